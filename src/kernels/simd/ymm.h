/* SPDX-License-Identifier: Apache-2.0 */
/* What the sets of 256 bits share: everything but products. */
#ifndef OCTET_KERNELS_SIMD_YMM_H
#define OCTET_KERNELS_SIMD_YMM_H

#include "kernels/simd/simd.h"

#include <immintrin.h>

enum { V_LANES = 8, V_WEIGHT_SHIFT = 0 };

typedef __m256i v_int;
typedef __m256  v_float;
typedef __m256i v_bytes;

/* Four input bytes in every lane. */
V_INLINE __m256i ymm_spread(const uint8_t *x)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm256_set1_epi32(four);
}

V_INLINE v_int v_load(const int32_t *at) { return _mm256_loadu_si256((const __m256i *)at); }

V_INLINE void v_store(int32_t *to, v_int v) { _mm256_storeu_si256((__m256i *)to, v); }

V_INLINE v_float v_load_float(const float *at) { return _mm256_loadu_ps(at); }

V_INLINE void v_store_float(float *to, v_float v) { _mm256_storeu_ps(to, v); }

V_INLINE void v_store_floats(float *to, v_float v, size_t n)
{
    float all[V_LANES];
    _mm256_storeu_ps(all, v);
    memcpy(to, all, n * sizeof *to);
}

V_INLINE v_int v_load_levels(const uint8_t *q) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)q)); }

V_INLINE v_int v_load_some_levels(const uint8_t *q, size_t n)
{
    uint8_t all[V_LANES] = { 0 };
    memcpy(all, q, n);
    return v_load_levels(all);
}

V_INLINE v_float v_to_float(v_int v) { return _mm256_cvtepi32_ps(v); }

V_INLINE v_int v_round(v_float t) { return _mm256_cvtps_epi32(t); }

V_INLINE v_float v_set(float x) { return _mm256_set1_ps(x); }

V_INLINE v_float v_mul(v_float a, v_float b) { return _mm256_mul_ps(a, b); }

V_INLINE v_float v_add(v_float a, v_float b) { return _mm256_add_ps(a, b); }

V_INLINE v_float v_clamp(v_float t, float lo, float hi)
{
    return _mm256_min_ps(_mm256_max_ps(t, _mm256_set1_ps(lo)), _mm256_set1_ps(hi));
}

V_INLINE v_float v_sub(v_float a, v_float b) { return _mm256_sub_ps(a, b); }

V_INLINE v_float v_div(v_float a, v_float b) { return _mm256_div_ps(a, b); }

V_INLINE v_float v_number(v_float t) { return _mm256_and_ps(t, _mm256_cmp_ps(t, t, _CMP_ORD_Q)); }

V_INLINE v_float v_most(v_float most, v_float t)
{
    return _mm256_max_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), t), most);
}

typedef struct v_sums { __m256d at[2]; } v_sums;

V_INLINE v_sums v_load_sums(const double *at) { return (v_sums){ { _mm256_loadu_pd(at), _mm256_loadu_pd(at + 4) } }; }

V_INLINE void v_store_sums(double *to, const v_sums *s)
{
    _mm256_storeu_pd(to, s->at[0]);
    _mm256_storeu_pd(to + 4, s->at[1]);
}

V_INLINE void v_add_products(v_sums *s, int vector, v_float a, v_float b)
{
    (void)vector;
    V_UNROLL
    for (int half = 0; half < 2; half++) {
        const __m128 x = half ? _mm256_extractf128_ps(a, 1) : _mm256_castps256_ps128(a);
        const __m128 y = half ? _mm256_extractf128_ps(b, 1) : _mm256_castps256_ps128(b);
        s->at[half] = _mm256_add_pd(s->at[half], _mm256_mul_pd(_mm256_cvtps_pd(x), _mm256_cvtps_pd(y)));
    }
}

/* Packing works within 128 bits, which leaves the numbers in blocks of 4; the permutation puts the blocks in order.
   A branch that always goes the same way costs less than what it saves on the units that multiply. */
V_INLINE v_bytes v_narrow(const v_int q[4], const octet_to_levels *to)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i       a = _mm256_packs_epi32(q[0], q[1]), b = _mm256_packs_epi32(q[2], q[3]);
    if (to->zero_point != 0) {
        const __m256i zero = _mm256_set1_epi16((int16_t)to->zero_point);
        a = _mm256_adds_epi16(a, zero);
        b = _mm256_adds_epi16(b, zero);
    }
    __m256i y = _mm256_packus_epi16(a, b);
    if (to->lo > 0 || to->hi < UINT8_MAX) {
        y = _mm256_max_epu8(y, _mm256_set1_epi8((char)to->lo));
        y = _mm256_min_epu8(y, _mm256_set1_epi8((char)to->hi));
    }
    return _mm256_permutevar8x32_epi32(y, order);
}

V_INLINE void v_store_some_levels(uint8_t *to, v_bytes b, size_t n)
{
    uint8_t all[sizeof b];
    _mm256_storeu_si256((__m256i *)all, b);
    memcpy(to, all, n);
}

V_INLINE void v_store_levels(uint8_t *to, v_bytes b, int first, int vectors)
{
    const __m128i half = first < 2 ? _mm256_castsi256_si128(b) : _mm256_extracti128_si256(b, 1);
    if (vectors == 4) _mm256_storeu_si256((__m256i *)to, b);
    if (vectors == 2 || vectors == 3) _mm_storeu_si128((__m128i *)to, half);
    if (vectors == 3) _mm_storel_epi64((__m128i *)(to + 16), _mm256_extracti128_si256(b, 1));
    if (vectors == 1) _mm_storel_epi64((__m128i *)to, first % 2 ? _mm_unpackhi_epi64(half, half) : half);
}

#endif
