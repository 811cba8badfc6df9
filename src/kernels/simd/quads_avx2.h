/* SPDX-License-Identifier: Apache-2.0 */
/* Quads (see depthwise.c) in 256 bits, without an exact product of bytes: taps 0 and 2 of a channel are widened into
   one pair of 16-bit numbers, taps 1 and 3 into another. */
#ifndef OCTET_KERNELS_SIMD_QUADS_AVX2_H
#define OCTET_KERNELS_SIMD_QUADS_AVX2_H

#include "kernels/simd/quads_ymm.h"

typedef struct v_quads {
    __m256i even, odd;
} v_quads;
typedef struct v_quad_weights {
    int16_t even[16], odd[16];
} v_quad_weights;

V_INLINE v_quads v_quads_of(v_int bytes)
{
    return (v_quads){ .even = _mm256_and_si256(bytes, _mm256_set1_epi16(0xff)), .odd = _mm256_srli_epi16(bytes, 8) };
}

V_INLINE void v_quad_put(v_quad_weights *weights, size_t lane, size_t k, int8_t w)
{
    (k % 2 ? weights->odd : weights->even)[2 * lane + k / 2] = w;
}

V_INLINE v_int v_quad_dot(v_int sum, v_quads x, const v_quad_weights *w)
{
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x.even, _mm256_load_si256((const __m256i *)(const void *)w->even)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(x.odd, _mm256_load_si256((const __m256i *)(const void *)w->odd)));
}

#endif
