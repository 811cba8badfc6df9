/* SPDX-License-Identifier: Apache-2.0 */
/* The one use of OpenMP. */
#ifndef OCTET_BASE_PARALLEL_H
#define OCTET_BASE_PARALLEL_H

#include <stdbool.h>
#include <stddef.h>

/* Calls body(context, i) for every i in [0, count), on up to threads threads. Bodies write to disjoint places only,
   so results cannot depend on threads. threads <= 1 (or count <= 1) runs in the calling thread. */
void octet_parallel(size_t count, int threads, void (*body)(void *context, size_t i), void *context);

/* Threads that go through a list of work together. Each runs body once and meets the others where it says. */
typedef struct octet_team octet_team;
typedef struct octet_member {
    octet_team *team;
    int         index, count; /* of the threads there are, which may be fewer than asked for */
    unsigned    round, shared; /* meetings so far; parts shared out so far */
} octet_member;

/* Runs body on up to `members` threads; with one, in the calling thread. */
void octet_team_run(int members, void (*body)(void *context, octet_member *member), void *context);

/* Shares out parts [0, parts) of a piece of work: every member calls it until it returns false, for the same pieces in
   the same order, and all meet before the next one. So whoever is quicker does more. */
bool octet_member_take(int *part, octet_member *member, int parts);

/* Returns when all members have called it. Waits some microseconds without giving up the CPU: as long as a step of a
   network takes. */
void octet_member_wait(octet_member *member);

/* A lock around sums that several bodies add to: only for sums whose order cannot show (integers). */
typedef struct octet_lock octet_lock;
size_t octet_lock_size(void);
void   octet_lock_init(octet_lock *lock); /* memory is the caller's, octet_lock_size() bytes */
void   octet_lock_hold(octet_lock *lock);
void   octet_lock_release(octet_lock *lock);

/* Threads this process may use: OCTET_THREADS, else the affinity mask and the cgroup's quota. At least 1. */
int octet_threads_available(void);

#endif
