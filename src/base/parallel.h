/* SPDX-License-Identifier: Apache-2.0 */
/* The one use of OpenMP. */
#ifndef OCTET_BASE_PARALLEL_H
#define OCTET_BASE_PARALLEL_H

#include <stddef.h>

/* Calls body(context, i) for every i in [0, count), on up to threads threads. Bodies write to disjoint places only,
   so results cannot depend on threads. threads <= 1 (or count <= 1) runs in the calling thread. */
void octet_parallel(size_t count, int threads, void (*body)(void *context, size_t i), void *context);

/* A lock around sums that several bodies add to: only for sums whose order cannot show (integers). */
typedef struct octet_lock octet_lock;
size_t octet_lock_size(void);
void   octet_lock_init(octet_lock *lock); /* memory is the caller's, octet_lock_size() bytes */
void   octet_lock_hold(octet_lock *lock);
void   octet_lock_release(octet_lock *lock);

/* Threads this process may use: OCTET_THREADS, else the affinity mask and the cgroup's quota. At least 1. */
int octet_threads_available(void);

#endif
