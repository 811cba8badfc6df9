/* SPDX-License-Identifier: Apache-2.0 */
/* Quads (see quads.h) of aarch64 with the dot product of signed bytes: they get their top bits flipped. */
#ifndef OCTET_KERNELS_SIMD_QUADS_NEON_H
#define OCTET_KERNELS_SIMD_QUADS_NEON_H

#include "kernels/simd/neon.h"

enum { V_QUAD_PIXELS = 4 };

typedef int8x16_t v_quads;
typedef struct v_quad_weights {
    int8_t at[16];
} v_quad_weights;
typedef size_t v_part;

V_INLINE v_part v_part_of(size_t n) { return n; }

V_INLINE v_bytes v_part_load(const uint8_t *from, v_part part)
{
    if (part == 16) return vld1q_u8(from);
    uint8_t all[16] = { 0 };
    memcpy(all, from, part);
    return vld1q_u8(all);
}

V_INLINE void v_part_store(uint8_t *to, v_bytes bytes, v_part part)
{
    if (part == 16) {
        vst1q_u8(to, bytes);
        return;
    }
    uint8_t all[16];
    vst1q_u8(all, bytes);
    memcpy(to, all, part);
}

V_INLINE v_bytes v_zero_bytes(void) { return vdupq_n_u8(0); }

V_INLINE void v_interleave(v_int to[4], v_bytes a, v_bytes b, v_bytes c, v_bytes d)
{
    const uint16x8_t ab = vreinterpretq_u16_u8(vzip1q_u8(a, b)), cd = vreinterpretq_u16_u8(vzip1q_u8(c, d));
    const uint16x8_t ab_high = vreinterpretq_u16_u8(vzip2q_u8(a, b)), cd_high = vreinterpretq_u16_u8(vzip2q_u8(c, d));
    to[0] = vreinterpretq_s32_u16(vzip1q_u16(ab, cd));
    to[1] = vreinterpretq_s32_u16(vzip2q_u16(ab, cd));
    to[2] = vreinterpretq_s32_u16(vzip1q_u16(ab_high, cd_high));
    to[3] = vreinterpretq_s32_u16(vzip2q_u16(ab_high, cd_high));
}

V_INLINE v_quads v_quads_of(v_int bytes) { return veorq_s8(vreinterpretq_s8_s32(bytes), vdupq_n_s8(-128)); }

V_INLINE void v_quad_put(v_quad_weights *weights, size_t lane, size_t k, int8_t w) { weights->at[4 * lane + k] = w; }

V_INLINE v_int v_quad_dot(v_int sum, v_quads x, const v_quad_weights *w) { return vdotq_s32(sum, x, vld1q_s8(w->at)); }

typedef struct v_bounds {
    int16x8_t  zero;
    uint8x16_t lo, hi;
} v_bounds;

V_INLINE v_bounds v_bounds_of(const octet_to_levels *to)
{
    return (v_bounds){ .zero = vdupq_n_s16((int16_t)to->zero_point),
                       .lo = vdupq_n_u8((uint8_t)to->lo),
                       .hi = vdupq_n_u8((uint8_t)to->hi) };
}

V_INLINE v_bytes v_quad_narrow(const v_int q[4], const v_bounds *bounds)
{
    const int16x8_t a = vqaddq_s16(vcombine_s16(vqmovn_s32(q[0]), vqmovn_s32(q[1])), bounds->zero);
    const int16x8_t b = vqaddq_s16(vcombine_s16(vqmovn_s32(q[2]), vqmovn_s32(q[3])), bounds->zero);
    return vminq_u8(vmaxq_u8(vcombine_u8(vqmovun_s16(a), vqmovun_s16(b)), bounds->lo), bounds->hi);
}

V_INLINE v_bytes v_larger(v_bytes a, v_bytes b) { return vmaxq_u8(a, b); }

typedef struct v_table {
    uint8x16x4_t quarter[4];
} v_table;

V_INLINE v_table v_table_of(const uint8_t table[256])
{
    v_table t;
    for (int i = 0; i < 16; i++) t.quarter[i / 4].val[i % 4] = vld1q_u8(table + 16 * i);
    return t;
}

/* Bytes outside a quarter yield 0. */
V_INLINE v_bytes v_look_up(v_bytes q, const v_table *table)
{
    v_bytes y = vqtbl4q_u8(table->quarter[0], q);
    for (int i = 1; i < 4; i++) {
        q = vsubq_u8(q, vdupq_n_u8(64));
        y = vorrq_u8(y, vqtbl4q_u8(table->quarter[i], q));
    }
    return y;
}

#endif
