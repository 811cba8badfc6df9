/* SPDX-License-Identifier: Apache-2.0 */
/* Moving elements without looking at them: a box with steps on both sides. Transpose, Slice, Split, Concat, Pad and
   DepthToSpace are all one such move, for every type. */
#ifndef OCTET_OPS_MOVE_H
#define OCTET_OPS_MOVE_H

#include "graph/op.h"

/* to[sum i*to_step] = from[sum i*from_step] for every index i of the box; steps in elements, negative ones allowed. */
typedef struct octet_move {
    int     rank;
    int64_t dims[OCTET_MAX_RANK], to_step[OCTET_MAX_RANK], from_step[OCTET_MAX_RANK];
} octet_move;

/* to and from are where index 0 lies; size: bytes of one element (1, 2, 4 or 8). */
void octet_move_run(void *to, const void *from, const octet_move *move, size_t size);

/* The gradient of that move: from[...] += to[...] for every index i of the box. dtype: float32 or float64. */
void octet_move_back(void *from, const void *to, const octet_move *move, octet_dtype dtype);

/* Steps of a dense row-major tensor. */
void octet_dense_steps(int64_t *steps, const int64_t *dims, int rank);

/* Steps of a tensor that is stretched to rank dimensions: 0 where it has one entry or none. */
void octet_stretched_steps(int64_t *steps, const octet_tensor *in, int rank);

/* A walk over all rows of a box: octet_walk_next steps to the next index of dims[0 .. rank-2] and keeps the offsets of
   up to OCTET_WALKERS operands. Zeroed offsets = the first row; an operand whose steps are zero is none. */
enum { OCTET_WALKERS = 4 };
typedef struct octet_walk {
    int     rank;
    int64_t dims[OCTET_MAX_RANK], step[OCTET_WALKERS][OCTET_MAX_RANK];
    int64_t index[OCTET_MAX_RANK], offset[OCTET_WALKERS];
} octet_walk;

/* Leaves out dimensions of 1 and merges those that lie densely behind each other for all operands. */
void octet_walk_simplify(octet_walk *walk);

/* false: that was the last row. */
bool octet_walk_next(octet_walk *walk);

/* Rows in all; 0 where the box is empty. */
int64_t octet_walk_rows(const octet_walk *walk);

#endif
