/* SPDX-License-Identifier: Apache-2.0 */
/* Dynamic quantization: what a node's input is as levels is found when it runs (docs/arithmetic.md). */
#ifndef OCTET_OPS_DYNAMIC_H
#define OCTET_OPS_DYNAMIC_H

#include "ops/profile.h"

/* The highest of a call's levels: 255, or 127 where it asks for 7 bits. */
int32_t octet_dynamic_highest(const octet_call *call);

/* The parameters of numbers in that range. */
octet_affine octet_dynamic_affine(const octet_call *call, octet_range range);

/* The same for input 0 of a Conv, Gemm or MatMul: such that its products with the weights have normal units. */
octet_affine octet_dynamic_input(const octet_call *call, octet_range range);

/* Quantizes n numbers to u8 levels. */
void octet_dynamic_levels(uint8_t *levels, const float *x, size_t n, octet_affine affine, const octet_call *call);

/* Conv, Gemm and MatMul: input 0 real, input 1 levels, input 2 a real bias or none. Input 0 becomes levels as
   call->node->dynamic says, and the integer rule gives f32(f32(acc) * f32(sx * sw[c])), to which bias and activation
   are applied in float32. */
octet_status octet_dynamic_mac(const octet_call *call, octet_error *err);
size_t       octet_dynamic_mac_scratch(const octet_call *call);

#endif
