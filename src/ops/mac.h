/* SPDX-License-Identifier: Apache-2.0 */
/* What Conv, Gemm and MatMul share: how a sum of products becomes an output, in levels or in real numbers. */
#ifndef OCTET_OPS_MAC_H
#define OCTET_OPS_MAC_H

#include "ops/profile.h"

/* The bias of a multiply-accumulate call: a tensor (or none) and its factor (Gemm's beta). */
typedef struct octet_mac_bias {
    const octet_tensor *tensor; /* NULL: none; one entry per channel, or one for all */
    float               factor;
} octet_mac_bias;

/* Fills rules[0..channels): weight_axis is the axis of input 1 that runs over output channels, factor scales the
   products (Gemm's alpha). err tells what cannot be computed on levels. */
octet_status octet_mac_rules(octet_mac_rule *rules, int64_t channels, const octet_call *call, int weight_axis,
                             float factor, const octet_mac_bias *bias, octet_error *err);

/* Whether sums may leave int32: levels of more than 8 bits on either side. */
bool octet_mac_is_wide(const octet_call *call);

/* The zero point of channel's levels. */
static inline int32_t octet_zero_point(const octet_tensor *tensor, int64_t channel)
{
    return tensor->qparams->zero_point[tensor->qparams->count > 1 ? channel : 0];
}

/* Writes n sums of one channel to output 0 from element first on, step apart. sum is int32_t, or int64_t where wide.
   Wide sums know octet's own rounding only. */
void octet_mac_store(const octet_call *call, const octet_mac_rule *rule, const int32_t *sum, size_t first, size_t step,
                     size_t n);
void octet_mac_store_wide(const octet_call *call, const octet_mac_rule *rule, const int64_t *sum, size_t first,
                          size_t step, size_t n);

#endif
