/* SPDX-License-Identifier: Apache-2.0 */
/* The walk of every operator that reduces axes: they are cut into kept and reduced ones, and a part of one kept row at
   a time collects what its elements come to. */
#ifndef OCTET_OPS_REDUCTION_H
#define OCTET_OPS_REDUCTION_H

#include "graph/op.h"
#include "ops/wide.h"

/* Axes, neighbours merged. */
typedef struct octet_box {
    int     rank;
    int64_t dims[OCTET_MAX_RANK], step[OCTET_MAX_RANK]; /* in the input */
} octet_box;

enum { OCTET_REDUCTION_PART = OCTET_WIDE_ROW };

typedef struct octet_reduction {
    const octet_call *call;
    octet_box         kept, reduced;
    int64_t           width, width_step, parts; /* of a kept row; parts in a row */
    int64_t           count;                    /* elements of one result */
} octet_reduction;

/* Part of a kept row: n results from place `to` of the output on, whose first elements lie from `from` on. */
typedef struct octet_reduction_part {
    int64_t from, to;
    size_t  n;
} octet_reduction_part;

/* Sets output 0. Axes are input 1 where the operator has one (none: all, or nothing with noop_with_empty_axes); else
   everything behind batch and channels is reduced. Where not may_be_empty, an axis that is reduced has an element. */
octet_status octet_infer_reduction(const octet_call *call, bool may_be_empty, octet_error *err);

octet_status octet_reduction_make(octet_reduction *reduction, const octet_call *call, octet_error *err);

size_t               octet_reduction_parts(const octet_reduction *reduction);
octet_reduction_part octet_reduction_part_at(const octet_reduction *reduction, size_t index);

/* Where element r of count lies, from the first on. */
int64_t octet_reduction_place(const octet_reduction *reduction, int64_t r);

/* keepdims and noop_with_empty_axes. */
extern const octet_attr octet_reduce_rows[];

#define OCTET_REDUCE                                                                                                   \
    .min_inputs = 1, .max_inputs = 2, .min_outputs = 1, .max_outputs = 1, .fixed_inputs = 1 << 1,                      \
    .attrs = octet_reduce_rows, .attrs_size = sizeof(octet_reduce_attrs)

#endif
