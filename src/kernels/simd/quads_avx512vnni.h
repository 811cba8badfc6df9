/* SPDX-License-Identifier: Apache-2.0 */
/* Quads (see depthwise.c) in 512 bits: the four products of a channel in one instruction. */
#ifndef OCTET_KERNELS_SIMD_QUADS_AVX512VNNI_H
#define OCTET_KERNELS_SIMD_QUADS_AVX512VNNI_H

#include "kernels/simd/avx512vnni.h"

enum { V_QUAD_PIXELS = 4 };

typedef __m512i   v_quads;
typedef __mmask64 v_part;
typedef struct v_quad_weights {
    int8_t at[64];
} v_quad_weights;

V_INLINE v_part v_part_of(size_t n) { return ~(__mmask64)0 >> (64 - n); }

V_INLINE v_bytes v_part_load(const uint8_t *from, v_part part) { return _mm512_maskz_loadu_epi8(part, from); }

V_INLINE void v_part_store(uint8_t *to, v_bytes bytes, v_part part)
{
    if (part == ~(v_part)0)
        _mm512_storeu_si512(to, bytes);
    else
        _mm512_mask_storeu_epi8(to, part, bytes);
}

V_INLINE v_bytes v_zero_bytes(void) { return _mm512_setzero_si512(); }

V_INLINE void v_interleave(v_int to[4], v_bytes a, v_bytes b, v_bytes c, v_bytes d)
{
    const __m512i ab = _mm512_unpacklo_epi8(a, b), cd = _mm512_unpacklo_epi8(c, d);
    const __m512i ab_high = _mm512_unpackhi_epi8(a, b), cd_high = _mm512_unpackhi_epi8(c, d);
    to[0] = _mm512_unpacklo_epi16(ab, cd);
    to[1] = _mm512_unpackhi_epi16(ab, cd);
    to[2] = _mm512_unpacklo_epi16(ab_high, cd_high);
    to[3] = _mm512_unpackhi_epi16(ab_high, cd_high);
}

V_INLINE v_quads v_quads_of(v_int bytes) { return bytes; }

V_INLINE void v_quad_put(v_quad_weights *weights, size_t lane, size_t k, int8_t w) { weights->at[4 * lane + k] = w; }

V_INLINE v_int v_quad_dot(v_int sum, v_quads x, const v_quad_weights *w)
{
    return _mm512_dpbusd_epi32(sum, x, _mm512_load_si512(w));
}

typedef struct v_bounds {
    __m512i zero, lo, hi;
} v_bounds;

V_INLINE v_bounds v_bounds_of(const octet_to_levels *to)
{
    return (v_bounds){ .zero = _mm512_set1_epi16((int16_t)to->zero_point),
                       .lo = _mm512_set1_epi8((char)to->lo),
                       .hi = _mm512_set1_epi8((char)to->hi) };
}

V_INLINE v_bytes v_quad_narrow(const v_int q[4], const v_bounds *bounds)
{
    const __m512i a = _mm512_adds_epi16(_mm512_packs_epi32(q[0], q[1]), bounds->zero);
    const __m512i b = _mm512_adds_epi16(_mm512_packs_epi32(q[2], q[3]), bounds->zero);
    return _mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(a, b), bounds->lo), bounds->hi);
}

V_INLINE v_bytes v_larger(v_bytes a, v_bytes b) { return _mm512_max_epu8(a, b); }

/* Each 16 bytes of the table xor the 16 before, except those where bytes change sign. */
typedef struct v_table {
    __m512i step[16];
} v_table;

V_INLINE v_table v_table_of(const uint8_t table[256])
{
    v_table t;
    __m128i before = _mm_setzero_si128();
    for (int i = 0; i < 16; i++) {
        const __m128i now = _mm_loadu_si128((const __m128i *)(table + 16 * i));
        t.step[i] = _mm512_broadcast_i32x4(_mm_xor_si128(now, i % 8 == 0 ? _mm_setzero_si128() : before));
        before = now;
    }
    return t;
}

/* vpshufb yields 0 for negative bytes: step i counts for bytes of at least 16 * i, so the steps up to a byte's own
   cancel out to its entry. */
V_INLINE v_bytes v_look_up(v_bytes q, const v_table *table)
{
    const __m512i sixteen = _mm512_set1_epi8(16);
    __m512i       low = q, high = _mm512_xor_si512(q, _mm512_set1_epi8(-128)), y = _mm512_setzero_si512();
    V_UNROLL
    for (int i = 0; i < 8; i++) {
        y = _mm512_xor_si512(y, _mm512_shuffle_epi8(table->step[i], low));
        y = _mm512_xor_si512(y, _mm512_shuffle_epi8(table->step[i + 8], high));
        low = _mm512_subs_epi8(low, sixteen);
        high = _mm512_subs_epi8(high, sixteen);
    }
    return y;
}

#endif
