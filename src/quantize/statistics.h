/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics apart from a graph: sparse histograms and sums in values' logical order. */
#ifndef OCTET_QUANTIZE_STATISTICS_H
#define OCTET_QUANTIZE_STATISTICS_H

#include <octet/statistics.h>

#include "base/arena.h"
#include "observe/range.h"
#include "quantize/calibration.h"
#include "quantize/samples.h"

typedef struct octet_count {
    uint32_t bin; /* of octet_histogram */
    uint64_t count;
} octet_count;

/* Of one group, by its representative's name. */
typedef struct octet_seen_values {
    const char  *name;
    octet_range  range;
    uint64_t     count, rejected;
    octet_count *bins; /* ascending */
    size_t       bin_count;
} octet_seen_values;

/* As octet_mean. */
typedef struct octet_seen_sums {
    const char *name;
    size_t      count; /* 0: nothing seen */
    int64_t    *sum, *fine;
} octet_seen_sums;

struct octet_statistics {
    octet_arena       *arena;
    const char        *structure, *weights, *observed; /* hashes, 16 digits each */
    const char        *qconfig, *target, *recipe;      /* names, for people; recipe NULL: none */
    uint64_t          *samples;                        /* identities, ascending */
    size_t             sample_count;
    octet_seen_values *values;
    size_t             value_count;
    octet_seen_sums   *sums;
    size_t             sum_count;
};

/* What graph, which is prepared, would fill: everything but samples, bins and sums. */
octet_status octet_statistics_new(octet_statistics **statistics, const octet_graph *graph, const octet_recipe *recipe,
                                  octet_error *err);

/* OCTET_ERR_ARGUMENT where other is of another network, qconfig or recipe. */
octet_status octet_statistics_check(const octet_statistics *statistics, const octet_statistics *other,
                                    octet_error *err);

/* What graph's observers saw of that many samples. The order of sums is that of samples' workspaces. */
octet_status octet_statistics_take(octet_statistics *statistics, const octet_graph *graph, const octet_samples *samples,
                                   octet_error *err);

/* Puts statistics of graph, which is prepared, into its observers and means. */
octet_status octet_statistics_apply(const octet_statistics *statistics, octet_graph *graph, octet_error *err);

/* The hook of octet_samples that lets graph (the context) see a value. */
octet_status octet_calibration_see(void *graph, const octet_seen *seen, octet_error *err);

/* OCTET_ERR_FORMAT where a value was not finite. */
octet_status octet_calibration_check_finite(const octet_calibration *calibration, octet_error *err);

/* Ascending; for identities. */
void octet_sort_identities(uint64_t *identities, size_t count);

#endif
