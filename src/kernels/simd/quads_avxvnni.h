/* SPDX-License-Identifier: Apache-2.0 */
/* Quads (see depthwise.c) in 256 bits: the four products of a channel in one instruction. */
#ifndef OCTET_KERNELS_SIMD_QUADS_AVXVNNI_H
#define OCTET_KERNELS_SIMD_QUADS_AVXVNNI_H

#include "kernels/simd/quads_ymm.h"

typedef __m256i v_quads;
typedef struct v_quad_weights {
    int8_t at[32];
} v_quad_weights;

V_INLINE v_quads v_quads_of(v_int bytes) { return bytes; }

V_INLINE void v_quad_put(v_quad_weights *weights, size_t lane, size_t k, int8_t w) { weights->at[4 * lane + k] = w; }

V_INLINE v_int v_quad_dot(v_int sum, v_quads x, const v_quad_weights *w)
{
    return _mm256_dpbusd_avx_epi32(sum, x, _mm256_load_si256((const __m256i *)(const void *)w));
}

#endif
