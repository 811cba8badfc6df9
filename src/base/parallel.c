/* SPDX-License-Identifier: Apache-2.0 */
/* OpenMP behind one function; a lock. */
#include "base/parallel.h"

#include <octet/engine.h>

#include "base/text.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

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
