/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512 F, BW, DQ, VL and VNNI: vpdpbusd multiplies unsigned inputs by signed weights, as they are. */
#ifndef OCTET_KERNELS_SIMD_AVX512VNNI_H
#define OCTET_KERNELS_SIMD_AVX512VNNI_H

#include "kernels/simd/simd.h"

#include <immintrin.h>

#define V_ISA   avx512vnni
#define V_NEEDS OCTET_CPU_AVX512VNNI
/* 32 registers: the sums, a row's input, the weights. One vector of columns needs 10 rows to fill two units of
   latency 5. */
#define V_TILES(T)                                                                                         \
    T(1, 4) T(2, 4) T(3, 4) T(4, 4) T(5, 4) T(6, 4) T(1, 3) T(2, 3) T(3, 3) T(4, 3) T(5, 3) T(6, 3) T(7, 3) \
    T(8, 3) T(1, 2) T(2, 2) T(4, 2) T(6, 2) T(7, 2) T(8, 2) T(1, 1) T(2, 1) T(4, 1) T(8, 1) T(11, 1) T(12, 1)

enum { V_LANES = 16, V_WEIGHT_SHIFT = 0 };

typedef __m512i v_int;
typedef __m512  v_float;
typedef __m512i v_bytes;
typedef __m512i v_input;
typedef int8_t  v_weight;

V_INLINE int v_weight_index(int lane, int k) { return 4 * lane + k; }

V_INLINE v_input v_spread(const uint8_t *x)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

V_INLINE v_int v_dot4(v_int sum, v_input x, const v_weight *w)
{
    return _mm512_dpbusd_epi32(sum, x, _mm512_loadu_si512(w));
}

V_INLINE v_int v_load(const int32_t *at) { return _mm512_loadu_si512(at); }

V_INLINE void v_store(int32_t *to, v_int v) { _mm512_storeu_si512(to, v); }

V_INLINE v_float v_load_float(const float *at) { return _mm512_loadu_ps(at); }

V_INLINE void v_store_float(float *to, v_float v) { _mm512_storeu_ps(to, v); }

V_INLINE void v_store_floats(float *to, v_float v, size_t n)
{
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), v);
}

V_INLINE v_int v_load_levels(const uint8_t *q) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)q)); }

V_INLINE v_int v_load_some_levels(const uint8_t *q, size_t n)
{
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8((__mmask16)((1u << n) - 1), q));
}

V_INLINE v_float v_to_float(v_int v) { return _mm512_cvtepi32_ps(v); }

V_INLINE v_int v_round(v_float t) { return _mm512_cvtps_epi32(t); }

V_INLINE v_float v_set(float x) { return _mm512_set1_ps(x); }

V_INLINE v_float v_mul(v_float a, v_float b) { return _mm512_mul_ps(a, b); }

V_INLINE v_float v_add(v_float a, v_float b) { return _mm512_add_ps(a, b); }

V_INLINE v_float v_clamp(v_float t, float lo, float hi)
{
    return _mm512_min_ps(_mm512_max_ps(t, _mm512_set1_ps(lo)), _mm512_set1_ps(hi));
}

V_INLINE v_float v_sub(v_float a, v_float b) { return _mm512_sub_ps(a, b); }

V_INLINE v_float v_div(v_float a, v_float b) { return _mm512_div_ps(a, b); }

V_INLINE v_float v_number(v_float t) { return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(t, t, _CMP_ORD_Q), t); }

V_INLINE v_float v_most(v_float most, v_float t) { return _mm512_max_ps(_mm512_abs_ps(t), most); }

typedef __m512d v_sums;

V_INLINE v_sums v_load_sums(const double *at) { return _mm512_loadu_pd(at); }

V_INLINE void v_store_sums(double *to, const v_sums *s) { _mm512_storeu_pd(to, *s); }

/* A product of two floats is exact in double, so rounding once, with the sum, changes nothing. */
V_INLINE void v_add_products(v_sums *s, int vector, v_float a, v_float b)
{
    (void)vector;
    V_UNROLL
    for (int half = 0; half < 2; half++) {
        const __m256 x = half ? _mm512_extractf32x8_ps(a, 1) : _mm512_castps512_ps256(a);
        const __m256 y = half ? _mm512_extractf32x8_ps(b, 1) : _mm512_castps512_ps256(b);
        *s = _mm512_fmadd_pd(_mm512_cvtps_pd(x), _mm512_cvtps_pd(y), *s);
    }
}

/* Packing works within 128 bits, which leaves the numbers in blocks of 4; the permutation puts the blocks in order.
   A branch that always goes the same way costs less than what it saves on the units that multiply. */
V_INLINE v_bytes v_narrow(const v_int q[4], const octet_to_levels *to)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i       a = _mm512_packs_epi32(q[0], q[1]), b = _mm512_packs_epi32(q[2], q[3]);
    if (to->zero_point != 0) {
        const __m512i zero = _mm512_set1_epi16((int16_t)to->zero_point);
        a = _mm512_adds_epi16(a, zero);
        b = _mm512_adds_epi16(b, zero);
    }
    __m512i y = _mm512_packus_epi16(a, b);
    if (to->lo > 0 || to->hi < UINT8_MAX) {
        y = _mm512_max_epu8(y, _mm512_set1_epi8((char)to->lo));
        y = _mm512_min_epu8(y, _mm512_set1_epi8((char)to->hi));
    }
    return _mm512_permutexvar_epi32(order, y);
}

V_INLINE void v_store_some_levels(uint8_t *to, v_bytes b, size_t n)
{
    _mm512_mask_storeu_epi8(to, ~(__mmask64)0 >> (64 - n), b);
}

V_INLINE void v_store_levels(uint8_t *to, v_bytes b, int first, int vectors)
{
    const __m256i half = first ? _mm512_extracti64x4_epi64(b, 1) : _mm512_castsi512_si256(b);
    if (vectors == 4) _mm512_storeu_si512(to, b);
    if (vectors == 2 || vectors == 3) _mm256_storeu_si256((__m256i *)to, half);
    if (vectors == 3) _mm_storeu_si128((__m128i *)(to + 32), _mm512_extracti32x4_epi32(b, 2));
    if (vectors == 1 && first == 0) _mm_storeu_si128((__m128i *)to, _mm512_castsi512_si128(b));
    if (vectors == 1 && first == 1) _mm_storeu_si128((__m128i *)to, _mm512_extracti32x4_epi32(b, 1));
    if (vectors == 1 && first == 2) _mm_storeu_si128((__m128i *)to, _mm512_extracti32x4_epi32(b, 2));
    if (vectors == 1 && first == 3) _mm_storeu_si128((__m128i *)to, _mm512_extracti32x4_epi32(b, 3));
}

#endif
