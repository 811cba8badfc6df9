/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of products over levels for engines of other people's libraries: Conv, Gemm and MatMul are all one convolution
   over images in pixels without room between or around (plan->tight). */
#ifndef OCTET_ENGINE_FOREIGN_H
#define OCTET_ENGINE_FOREIGN_H

#include "engine/native/native.h"

typedef struct octet_foreign_conv {
    octet_area    in, out; /* a matrix is an image of one row */
    octet_window2 window;
    size_t        groups;
    bool          real; /* output of real numbers */
} octet_foreign_conv;

/* Whether the step's node can be seen so; sets the step's layouts, and its Add where both can be computed at once. */
bool octet_foreign_take(octet_foreign_conv *conv, const octet_plan *plan, octet_step *step, octet_reason *why);

/* Undoes what octet_foreign_take did to the step. Returns false. */
bool octet_foreign_leave(octet_step *step);

/* The same for a step whose layouts are decided. */
void octet_foreign_describe(octet_foreign_conv *conv, const octet_plan *plan, const octet_step *step);

#endif
