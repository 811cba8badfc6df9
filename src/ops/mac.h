/* SPDX-License-Identifier: Apache-2.0 */
/* What Conv, Gemm and MatMul share: how a sum of products becomes an output, in levels or in real numbers. */
#ifndef OCTET_OPS_MAC_H
#define OCTET_OPS_MAC_H

#include "ops/profile.h"

/* What a multiply-accumulate operator says beside its tensors. */
typedef struct octet_mac_terms {
    int                 weight_axis; /* of input 1, that runs over output channels */
    float               factor;      /* of the products: Gemm's alpha, else 1 */
    const octet_tensor *bias;        /* NULL: none; one entry per channel, or one for all */
    float               bias_factor; /* Gemm's beta, else 1 */
    int64_t             convolution_groups; /* 0: not a convolution */
    int64_t             groups;      /* of output channels that share the scales along weight_axis; 0: one */
} octet_mac_terms;

/* Fills rules[0..channels). err tells what cannot be computed on levels. */
octet_status octet_mac_rules(octet_mac_rule *rules, int64_t channels, const octet_call *call,
                             const octet_mac_terms *terms, octet_error *err);

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
