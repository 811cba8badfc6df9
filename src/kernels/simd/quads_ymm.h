/* SPDX-License-Identifier: Apache-2.0 */
/* Quads (see depthwise.c) in 256 bits, except the products. Include the set's header first. */
#ifndef OCTET_KERNELS_SIMD_QUADS_YMM_H
#define OCTET_KERNELS_SIMD_QUADS_YMM_H

#include "kernels/simd/ymm.h"

enum { V_QUAD_PIXELS = 2 };

/* Loads are masked by whole dwords; what is left over takes a copy. */
typedef struct v_part {
    __m256i dwords;
    size_t  n;
} v_part;

V_INLINE v_part v_part_of(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return (v_part){ .dwords = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n / 4)), lane), .n = n };
}

V_INLINE v_bytes v_part_load(const uint8_t *from, v_part part)
{
    if (part.n == 32) return _mm256_loadu_si256((const __m256i *)from);
    if (part.n % 4 == 0) return _mm256_maskload_epi32((const int *)(const void *)from, part.dwords);
    uint8_t all[32] = { 0 };
    memcpy(all, from, part.n);
    return _mm256_loadu_si256((const __m256i *)all);
}

V_INLINE void v_part_store(uint8_t *to, v_bytes bytes, v_part part)
{
    if (part.n == 32) {
        _mm256_storeu_si256((__m256i *)to, bytes);
        return;
    }
    uint8_t all[32];
    _mm256_storeu_si256((__m256i *)all, bytes);
    if (part.n >= 16) { /* two halves that overlap */
        memcpy(to, all, 16);
        memcpy(to + part.n - 16, all + part.n - 16, 16);
    } else if (part.n >= 8) {
        memcpy(to, all, 8);
        memcpy(to + part.n - 8, all + part.n - 8, 8);
    } else {
        for (size_t i = 0; i < part.n; i++) to[i] = all[i];
    }
}

V_INLINE v_bytes v_zero_bytes(void) { return _mm256_setzero_si256(); }

V_INLINE void v_interleave(v_int to[4], v_bytes a, v_bytes b, v_bytes c, v_bytes d)
{
    const __m256i ab = _mm256_unpacklo_epi8(a, b), cd = _mm256_unpacklo_epi8(c, d);
    const __m256i ab_high = _mm256_unpackhi_epi8(a, b), cd_high = _mm256_unpackhi_epi8(c, d);
    to[0] = _mm256_unpacklo_epi16(ab, cd);
    to[1] = _mm256_unpackhi_epi16(ab, cd);
    to[2] = _mm256_unpacklo_epi16(ab_high, cd_high);
    to[3] = _mm256_unpackhi_epi16(ab_high, cd_high);
}

typedef struct v_bounds {
    __m256i zero, lo, hi;
} v_bounds;

V_INLINE v_bounds v_bounds_of(const octet_to_levels *to)
{
    return (v_bounds){ .zero = _mm256_set1_epi16((int16_t)to->zero_point),
                       .lo = _mm256_set1_epi8((char)to->lo),
                       .hi = _mm256_set1_epi8((char)to->hi) };
}

V_INLINE v_bytes v_quad_narrow(const v_int q[4], const v_bounds *bounds)
{
    const __m256i a = _mm256_adds_epi16(_mm256_packs_epi32(q[0], q[1]), bounds->zero);
    const __m256i b = _mm256_adds_epi16(_mm256_packs_epi32(q[2], q[3]), bounds->zero);
    return _mm256_min_epu8(_mm256_max_epu8(_mm256_packus_epi16(a, b), bounds->lo), bounds->hi);
}

V_INLINE v_bytes v_larger(v_bytes a, v_bytes b) { return _mm256_max_epu8(a, b); }

/* Each 16 bytes of the table xor the 16 before, except those where bytes change sign. */
typedef struct v_table {
    __m256i step[16];
} v_table;

V_INLINE v_table v_table_of(const uint8_t table[256])
{
    v_table t;
    __m128i before = _mm_setzero_si128();
    for (int i = 0; i < 16; i++) {
        const __m128i now = _mm_loadu_si128((const __m128i *)(table + 16 * i));
        t.step[i] = _mm256_broadcastsi128_si256(_mm_xor_si128(now, i % 8 == 0 ? _mm_setzero_si128() : before));
        before = now;
    }
    return t;
}

/* vpshufb yields 0 for negative bytes: step i counts for bytes of at least 16 * i, so the steps up to a byte's own
   cancel out to its entry. */
V_INLINE v_bytes v_look_up(v_bytes q, const v_table *table)
{
    const __m256i sixteen = _mm256_set1_epi8(16);
    __m256i       low = q, high = _mm256_xor_si256(q, _mm256_set1_epi8(-128)), y = _mm256_setzero_si256();
    V_UNROLL
    for (int i = 0; i < 8; i++) {
        y = _mm256_xor_si256(y, _mm256_shuffle_epi8(table->step[i], low));
        y = _mm256_xor_si256(y, _mm256_shuffle_epi8(table->step[i + 8], high));
        low = _mm256_subs_epi8(low, sixteen);
        high = _mm256_subs_epi8(high, sixteen);
    }
    return y;
}

#endif
