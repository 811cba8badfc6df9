/* SPDX-License-Identifier: Apache-2.0 */
/* Clamping of whole tensors: what Clip and Relu do to integers and to levels. */
#ifndef OCTET_OPS_CLAMP_H
#define OCTET_OPS_CLAMP_H

#include "ops/levels.h"

/* out = clamp(in, lo, hi) for an integer type; of uint64, lo and hi are taken as unsigned. */
void octet_clamp_integers(const octet_tensor *out, const octet_tensor *in, int64_t lo, int64_t hi);

/* Levels of input 0 between the levels of bounds, with output 0's parameters, or as real numbers where it has none. */
void octet_clamp_levels(const octet_call *call, const octet_activation *bounds);

#endif
