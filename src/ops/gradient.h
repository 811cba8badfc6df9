/* SPDX-License-Identifier: Apache-2.0 */
/* What backward functions share. All of them read in[] and the shape of out[], never out[]'s data, and add to din. */
#ifndef OCTET_OPS_GRADIENT_H
#define OCTET_OPS_GRADIENT_H

#include "graph/op.h"

/* Whether there is a gradient to carry from output 0 to input. */
static inline bool octet_gradient_wanted(const octet_backward_call *call, int input)
{
    return call->dout[0] && input < call->forward->in_count && call->din[input];
}

/* din[at + i] += dout[from + i] for n elements; types may differ. */
void octet_gradient_add(const octet_tensor *din, int64_t at, const octet_tensor *dout, int64_t from, size_t n);

/* din += factor * dout, summed over the dimensions along which a tensor of din's shape was stretched to dout's. */
void octet_gradient_stretched(const octet_tensor *din, const octet_tensor *dout, double factor);

/* The backward of operators whose output 0 is input 0's elements in their order. */
octet_status octet_gradient_same(const octet_backward_call *call, octet_error *err);

#endif
