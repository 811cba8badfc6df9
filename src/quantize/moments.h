/* SPDX-License-Identifier: Apache-2.0 */
/* Second moments of what layers read: H = the sum of x x^T over samples and windows, where x are levels less their zero
   point. All sums are whole numbers below 2^53, so H is exact: neither threads nor order nor CPU show in it. */
#ifndef OCTET_QUANTIZE_MOMENTS_H
#define OCTET_QUANTIZE_MOMENTS_H

#include <octet/quantize.h>

#include "base/parallel.h"
#include "graph/op.h"
#include "quantize/windows.h"

/* Terms first_term.. of output channels first_channel..: a group of a convolution, or a part of a window that is longer
   than OCTET_MOMENT_TERMS, whose products with other parts are left out. */
typedef struct octet_moment {
    size_t  first_channel, channels, first_term, terms, group;
    double *products; /* [terms][terms] */
    double *sums;     /* [terms] */
    double  count;    /* windows */
} octet_moment;

enum { OCTET_MOMENT_TERMS = 2048 };

/* Of one node. Zeroed but for node, then octet_moments_plan. */
typedef struct octet_moments {
    const octet_node *node; /* its input is no constant and will be levels; its weights are a constant of rank 2, or a
                               Conv's */
    octet_moment     *parts;
    size_t            part_count;
    size_t            bytes; /* of products and sums */
    octet_windows     windows;
    size_t            every; /* pieces of windows from one that counts to the next */
    size_t            samples_every; /* the same of samples */
    octet_lock       *lock;
} octet_moments;

/* Decides about parts. x: the node's input, of which only the shape is read. samples: how many there will be. */
octet_status octet_moments_plan(octet_moments *moments, const octet_tensor *x, size_t samples, octet_arena *arena,
                                octet_error *err);

/* Memory for products and sums; adding to them begins at zero. */
octet_status octet_moments_begin(octet_moments *moments, octet_arena *arena, octet_error *err);

/* What one thread needs to add to any of `count` moments. */
typedef struct octet_moment_room {
    int16_t *levels, *spread, *cut;
    int32_t *sums;
} octet_moment_room;

octet_status octet_moment_room_make(octet_moment_room *room, const octet_moments *moments, size_t count,
                                    octet_arena *arena, octet_error *err);

/* Whether a sample counts: some do not where there are windows enough without. */
bool octet_moments_want(const octet_moments *moments, size_t sample);

/* x as int16_t levels less zero point, in room->levels; x is real (and rounded as q says) or has levels. */
octet_tensor octet_moment_levels(const octet_moment_room *room, const octet_tensor *x, const octet_qparams *q);

/* Adds the windows of one sample's levels. Any thread may, each with room of its own. */
void octet_moments_add(octet_moments *moments, const octet_moment_room *room, const octet_tensor *levels,
                       size_t sample);

/* Fills the upper halves of products: adding fills the lower ones. */
void octet_moments_end(octet_moments *moments);

#endif
