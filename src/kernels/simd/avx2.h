/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2. vpmaddubsw would saturate, so products are of 16 bits: even and odd input bytes are widened apart, which takes
   one instruction each, and the packed weights, 16 bits wide, lie in that order. */
#ifndef OCTET_KERNELS_SIMD_AVX2_H
#define OCTET_KERNELS_SIMD_AVX2_H

#include "kernels/simd/ymm.h"

#define V_ISA   avx2
#define V_NEEDS OCTET_CPU_AVX2
#define V_TILES(T) \
    T(1, 4) T(2, 4) T(1, 3) T(2, 3) T(3, 3) T(1, 2) T(2, 2) T(3, 2) T(4, 2) T(1, 1) T(2, 1) T(4, 1) T(5, 1) T(6, 1)

typedef struct v_input {
    __m256i even, odd;
} v_input;
typedef int16_t v_weight;

V_INLINE int v_weight_index(int lane, int k) { return 2 * V_LANES * (k % 2) + 2 * lane + k / 2; }

V_INLINE v_input v_spread(const uint8_t *x)
{
    const __m256i four = ymm_spread(x);
    return (v_input){ _mm256_and_si256(four, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(four, 8) };
}

V_INLINE v_int v_dot4(v_int sum, v_input x, const v_weight *w)
{
    const __m256i *const at = (const __m256i *)w;
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x.even, _mm256_loadu_si256(at)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(x.odd, _mm256_loadu_si256(at + 1)));
}

#endif
