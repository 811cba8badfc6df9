/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2 with AVX-VNNI: vpdpbusd of 256 bits. */
#ifndef OCTET_KERNELS_SIMD_AVXVNNI_H
#define OCTET_KERNELS_SIMD_AVXVNNI_H

#include "kernels/simd/ymm.h"

#define V_ISA   avxvnni
#define V_NEEDS (OCTET_CPU_AVX2 | OCTET_CPU_AVXVNNI)
/* 16 registers: 12 sums, and inputs and weights in turn. */
#define V_TILES(T)                                                                                         \
    T(1, 4) T(2, 4) T(3, 4) T(1, 3) T(2, 3) T(3, 3) T(4, 3) T(1, 2) T(2, 2) T(3, 2) T(4, 2) T(5, 2) T(6, 2) \
    T(1, 1) T(2, 1) T(4, 1) T(8, 1) T(11, 1) T(12, 1)

typedef __m256i v_input;
typedef int8_t  v_weight;

V_INLINE int v_weight_index(int lane, int k) { return 4 * lane + k; }

V_INLINE v_input v_spread(const uint8_t *x) { return ymm_spread(x); }

V_INLINE v_int v_dot4(v_int sum, v_input x, const v_weight *w)
{
    return _mm256_dpbusd_avx_epi32(sum, x, _mm256_loadu_si256((const __m256i *)w));
}

#endif
