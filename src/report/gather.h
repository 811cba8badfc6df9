/* SPDX-License-Identifier: Apache-2.0 */
/* What a page shows of the networks' numbers: the float network's values while samples flow, its weights as the
   quantized network's levels see them. */
#ifndef OCTET_REPORT_GATHER_H
#define OCTET_REPORT_GATHER_H

#include <octet/dataset.h>
#include <octet/report.h>

#include "graph/graph.h"
#include "report/distribution.h"

/* One distribution for each value of reference (by its index) that quantized has under the same name, histogram NULL
   for all others. */
typedef struct octet_value_statistics {
    octet_distribution *values;
    bool               *scaled; /* quantized computes it with other factors per channel, as equalization makes them: its
                                   range says nothing about the float network's numbers, and is left out */
} octet_value_statistics;

/* Runs both networks once on every sample. Both are fused. Memory is the arena's. */
octet_status octet_gather_values(octet_value_statistics *statistics, const octet_report_source *source,
                                 const octet_evaluate_options *options, octet_arena *arena, octet_error *err);

typedef struct octet_weight_statistics {
    octet_distribution of;      /* in levels where the weights are levels, else real; channels are real */
    bool               levels;
    bool               own;     /* the quantized network's own weights: the float network's are not comparable */
    size_t             scales;  /* 1: all channels share one; 0: real */
    int                bits;
} octet_weight_statistics;

/* node is quantized's; statistics->of.histogram is NULL where it has no constant weights. Memory is the arena's. */
octet_status octet_gather_weights(octet_weight_statistics *statistics, const octet_report_source *source,
                                  const octet_node *node, octet_arena *arena, octet_error *err);

#endif
