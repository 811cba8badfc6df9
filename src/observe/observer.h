/* SPDX-License-Identifier: Apache-2.0 */
/* What is gathered about one tensor while real numbers flow. The methods of estimate.h differ only in how they read
   it, so one pass over the data serves all of them. Zeroed (histograms NULL) = min-max and moving average, nothing
   seen. */
#ifndef OCTET_OBSERVE_OBSERVER_H
#define OCTET_OBSERVE_OBSERVER_H

#include "observe/histogram.h"
#include "observe/range.h"
#include "observe/torch_histogram.h"

typedef struct octet_observer {
    octet_range      range;     /* over everything */
    octet_range      moving;    /* averaged over calls of observe: depends on batches and their order by definition */
    float            averaging; /* of moving; 0: 0.01 */
    octet_histogram *histogram; /* the caller's memory; NULL: not gathered */
    octet_torch_histogram *torch; /* the same; PyTorch's depends on batches and their order by definition, too */
    uint64_t         count;     /* values seen, finite or not */
    uint64_t         rejected;  /* values that were not finite: part of no statistic */
} octet_observer;

/* x is one batch. An empty one is ignored. */
void octet_observer_observe(octet_observer *observer, const float *x, size_t count);

/* Adds what another observer saw after this one. moving and torch stay as they are: averages of two sequences do
   not combine. Both have a histogram or neither. */
void octet_observer_merge(octet_observer *into, const octet_observer *from);

#endif
