/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution as sums of shifted rows. Each image is copied once into planes that are padded and split by stride
   phase (element u of a dimension lies in phase u % stride at position u / stride). Then output position p of a
   channel is the sum over k of weight[k] * plane[offset[k] + p]: one loop without borders, for any number of
   dimensions, strides and dilations. Rows of the plane longer than the output's give sums that nobody reads. */
#ifndef OCTET_OPS_CONV_H
#define OCTET_OPS_CONV_H

#include "ops/mac.h"
#include "ops/window.h"

enum { OCTET_CONV_TILE = 512, OCTET_CONV_RUN = 32 }; /* positions at a time: of an input's tile, of one vector loop */

typedef struct octet_conv_plan {
    octet_window window;
    int64_t      batch, group, in_channels, out_channels; /* channels of one group */
    int64_t      taps;     /* of a window */
    int64_t      sums;     /* products in one output: in_channels * taps */
    int64_t      plane[OCTET_SPATIAL_MAX]; /* extents of one phase */
    int64_t      stride[OCTET_SPATIAL_MAX]; /* window's, 1 where there is one output only */
    size_t       phase_size, channel_size, image_size; /* elements */
    size_t       length;   /* output positions with the unread ones */
    int64_t      out_size; /* output positions */
    int64_t      row, rows; /* output rows that lie densely in the plane: length and number */
    size_t       images;   /* prepared at a time */
} octet_conv_plan;

/* The call has been inferred. False: the sizes overflow. element: bytes of a prepared element. */
bool octet_conv_plan_make(octet_conv_plan *plan, const octet_call *call, size_t element);

/* The same for a window that is known: input and weights give batch and channels. */
bool octet_conv_plan_lay(octet_conv_plan *plan, const octet_window *window, const octet_call *call, size_t element);

/* offset[k] for every product, in the order of the weights. */
void octet_conv_offsets(size_t *offset, const octet_conv_plan *plan);

/* start[r]: position in the plane of output row r. */
void octet_conv_row_starts(size_t *start, const octet_conv_plan *plan);

/* Where input row r (all dimensions but the last) begins in a channel's planes; false where no window reaches it. */
bool octet_conv_row_target(size_t *to, const octet_conv_plan *plan, size_t r);

/* Of n elements of an input row, from coordinate u of the padded row on, those that lie in one phase of the last
   dimension: every stride-th from first on, count of them, from place `at` of the row's planes on. */
typedef struct octet_conv_piece {
    size_t first, count, at;
} octet_conv_piece;

octet_conv_piece octet_conv_row_piece(const octet_conv_plan *plan, int64_t u, size_t n, size_t phase);

#endif
