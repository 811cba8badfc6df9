/* SPDX-License-Identifier: Apache-2.0 */
/* OpenMP behind one function; a lock. */
#include "base/parallel.h"

#include <octet/engine.h>

#include "base/text.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef _OPENMP
#include <omp.h>
#endif

void octet_parallel(size_t count, int threads, void (*body)(void *context, size_t i), void *context)
{
    if (threads <= 1 || count <= 1) {
        for (size_t i = 0; i < count; i++) body(context, i);
        return;
    }
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
#endif
    for (size_t i = 0; i < count; i++) body(context, i);
}

/* ---- teams ---- */

struct octet_team {
    atomic_int  arrived;
    atomic_uint round, taken; /* meetings; parts given away since the team began */
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

bool octet_member_take(int *part, octet_member *member, int parts)
{
    octet_team *const team  = member->team;
    unsigned          taken = atomic_load_explicit(&team->taken, memory_order_relaxed);
    while (taken - member->shared < (unsigned)parts)
        if (atomic_compare_exchange_weak_explicit(&team->taken, &taken, taken + 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *part = (int)(taken - member->shared);
            return true;
        }
    member->shared += (unsigned)parts;
    return false;
}

void octet_member_wait(octet_member *member)
{
    enum { SPINS = 4000 };
    octet_team *const team = member->team;
    if (member->count <= 1) return;
    member->round++;
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) == member->count - 1) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&team->round, member->round, memory_order_release);
        return;
    }
    for (int i = 0; atomic_load_explicit(&team->round, memory_order_acquire) != member->round; i++)
        if (i < SPINS) relax();
        else sched_yield(); /* fewer CPUs than threads */
}

void octet_team_run(int members, void (*body)(void *context, octet_member *member), void *context)
{
    octet_team team = { 0 };
#ifdef _OPENMP
    if (members > 1) {
#pragma omp parallel num_threads(members)
        {
            octet_member member = { .team = &team, .index = omp_get_thread_num(), .count = omp_get_num_threads() };
            body(context, &member);
        }
        return;
    }
#endif
    (void)members;
    octet_member alone = { .team = &team, .count = 1 };
    body(context, &alone);
}

/* ---- locks ---- */

struct octet_lock {
    pthread_mutex_t mutex;
};

size_t octet_lock_size(void) { return sizeof(octet_lock); }
void   octet_lock_init(octet_lock *lock) { pthread_mutex_init(&lock->mutex, NULL); }
void   octet_lock_hold(octet_lock *lock) { pthread_mutex_lock(&lock->mutex); }
void   octet_lock_release(octet_lock *lock) { pthread_mutex_unlock(&lock->mutex); }

/* CPUs that the cgroup's quota allows (rounded up); a large number where there is none. */
static int quota(void)
{
    enum { UNLIMITED = 1 << 20 };
    FILE *const file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!file) return UNLIMITED;
    long long runtime = 0, period = 0;
    const int read    = fscanf(file, "%lld %lld", &runtime, &period);
    fclose(file);
    if (read != 2 || runtime <= 0 || period <= 0) return UNLIMITED;
    const long long cpus = (runtime + period - 1) / period;
    return cpus < UNLIMITED ? (int)cpus : UNLIMITED;
}

int octet_threads_available(void)
{
    const char *const asked = getenv("OCTET_THREADS");
    int64_t           number;
    if (asked && octet_parse_int(&number, asked) && number >= 1 && number <= 1024) return (int)number;
    cpu_set_t set;
    const int affinity = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    const int limit    = quota();
    return affinity < limit ? affinity : limit;
}

int octet_default_threads(void) { return octet_threads_available(); }
