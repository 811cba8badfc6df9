/* SPDX-License-Identifier: Apache-2.0 */
/* Windows over images as the native engine sees them: two dimensions (a one-dimensional window has height 1), and how a
   convolution will go about them, which decides what border its input needs. */
#ifndef OCTET_ENGINE_NATIVE_WINDOW_H
#define OCTET_ENGINE_NATIVE_WINDOW_H

#include "engine/plan.h"

typedef struct octet_axis_window {
    int64_t in, out, kernel, stride, dilation, pad, pad_end;
} octet_axis_window;

/* The padding behind the image that windows meet: pad_end may leave some for a window that has no room, or (ceil_mode)
   be less. */
static inline int64_t octet_axis_overhang(const octet_axis_window *w)
{
    return (w->out - 1) * w->stride + (w->kernel - 1) * w->dilation + 1 - w->in - w->pad;
}

typedef struct octet_window2 {
    octet_axis_window y, x;
    octet_border      reach; /* pixels that windows touch outside the image */
} octet_window2;

/* The window of a Conv or pool (GlobalAveragePool, GlobalMaxPool: the image) with the plan's shapes. False: it has more
   than two dimensions. */
bool octet_window2_of(octet_window2 *window, const octet_plan *plan, const octet_node *node);

/* The same without a plan: x and weights (NULL where node has none) are inputs 0 and 1. */
bool octet_window2_make(octet_window2 *window, const octet_node *node, const octet_tensor *x,
                        const octet_tensor *weights);

/* Whether windows reach so far outside that a border would cost more than it saves. */
bool octet_window2_is_far(const octet_window2 *window);

/* Whether value is an input image whose only reader is a convolution of stride 2 that is better computed from folded
   pixels (area.h), and how many of those there are. */
bool octet_window2_folds(octet_fold *fold, size_t extent[2], const octet_plan *plan, const octet_value *value);

typedef enum octet_conv_way {
    OCTET_CONV_DIRECT,    /* stride 1: rows of the product are the image's pixels, one after the other */
    OCTET_CONV_BY_ROW,    /* wide output, stride above 1: each output row is a group of its own */
    OCTET_CONV_PACKED,    /* windows are copied together first */
    OCTET_CONV_DEPTHWISE, /* one channel each */
} octet_conv_way;

/* How a Conv over levels is computed. */
octet_conv_way octet_conv_way_of(const octet_plan *plan, const octet_node *node, const octet_window2 *window);

#endif
