/* SPDX-License-Identifier: Apache-2.0 */
/* Where each place of a resized axis looks in the original, and with what weights: all of Resize's modes end in such a
   table per axis. */
#ifndef OCTET_OPS_RESIZE_AXIS_H
#define OCTET_OPS_RESIZE_AXIS_H

#include "ops/attrs.h"

/* One axis as the inputs ask for it. */
typedef struct octet_resize_axis {
    int64_t from, to; /* lengths */
    double  scale;
    double  length;     /* to, or from * scale before it is cut to a whole number */
    double  start, end; /* region of interest, of tf_crop_and_resize */
    bool    single;     /* coordinates as torch has them, in float32 and never below 0 */
} octet_resize_axis;

/* Fills axes, one per dimension of input 0, from the other inputs. */
octet_status octet_resize_axes(octet_resize_axis *axes, const octet_call *call, octet_error *err);

/* Place i of the axis is the sum of weight[k] * original[index[k]] for k from i * taps on. identity: every place is
   its own. outside (by place): takes the extrapolation value instead. */
typedef struct octet_resize_table {
    int      taps;
    int64_t *index;
    double  *weight;
    uint8_t *outside;
    bool     identity, any_outside;
} octet_resize_table;

/* 1, 2, 4 for "nearest", "linear", "cubic"; 0 for others. */
int octet_resize_taps(const char *mode);

/* Places that one result of an axis may look at: more than that where antialias stretches the filter. */
int64_t octet_resize_most_taps(const octet_resize_attrs *attrs, int64_t from, int64_t to);

/* Whether the attributes' strings are known ones; the name of the first that is not, or NULL. */
const char *octet_resize_unknown(const octet_resize_attrs *attrs);

/* Fills a table whose arrays have room for axis->to places (times octet_resize_most_taps for index and weight). */
void octet_resize_fill(octet_resize_table *table, const octet_resize_axis *axis, const octet_resize_attrs *attrs);

#endif
