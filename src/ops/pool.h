/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling one output row at a time: for every position of the window, the elements of the row that it reaches are a
   stretch of one input row. Borders are decided per stretch, not per element. */
#ifndef OCTET_OPS_POOL_H
#define OCTET_OPS_POOL_H

#include "ops/window.h"

/* Outputs [first, first + count) of output row `row` (counted over the outer dimensions). */
typedef struct octet_pool_part {
    size_t row, first, count;
} octet_pool_part;

/* One window position: outputs from .. from + n of the part read elements at, at + step, ... of the input plane. */
typedef struct octet_pool_stretch {
    int64_t at, step;
    size_t  from, n;
} octet_pool_stretch;

/* A walk over the window positions that a part reads inside the input, in their order. */
typedef struct octet_pool_walk {
    const octet_window *window;
    octet_pool_part     part;
    int64_t             origin[OCTET_SPATIAL_MAX]; /* of the windows in the outer dimensions */
    int64_t             tap, taps;
} octet_pool_walk;

void octet_pool_begin(octet_pool_walk *walk, const octet_window *window, octet_pool_part part);
bool octet_pool_next(octet_pool_stretch *stretch, octet_pool_walk *walk);

enum { OCTET_POOL_PART = 256 }; /* outputs of a part, at most */

#endif
