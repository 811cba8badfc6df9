/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a tensor along one axis, and the order of numbers: what ArgMax, TopK, Unique and their like share. */
#ifndef OCTET_OPS_ORDER_H
#define OCTET_OPS_ORDER_H

#include "ops/wide.h"

#include <math.h>

/* Line l begins at element octet_line_start(...); its elements lie step apart. */
typedef struct octet_lines {
    int64_t length, step, count;
} octet_lines;

octet_lines octet_lines_along(const octet_tensor *tensor, int axis);

static inline int64_t octet_line_start(const octet_lines *lines, int64_t line)
{
    return line / lines->step * lines->step * lines->length + line % lines->step;
}

/* a before b when sorted upwards; NaN is above everything, zeros are equal. */
static inline bool octet_wide_less(octet_wide a, octet_wide b, octet_dtype dtype)
{
    if (octet_dtype_is_float(dtype)) return a.f < b.f || (isnan(b.f) && !isnan(a.f));
    return dtype == OCTET_U64 ? (uint64_t)a.i < (uint64_t)b.i : a.i < b.i;
}

/* Sorts n numbers so that before(context, index[i], index[i + 1]) holds. before must order any two different numbers.
   In place, n log n steps at most. */
typedef bool (*octet_before)(const void *context, int64_t a, int64_t b);
void octet_order(int64_t *index, int64_t n, octet_before before, const void *context);

#endif
