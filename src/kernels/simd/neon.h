/* SPDX-License-Identifier: Apache-2.0 */
/* aarch64 with the dot product of signed bytes: input bytes get their top bit flipped, which subtracts 128. */
#ifndef OCTET_KERNELS_SIMD_NEON_H
#define OCTET_KERNELS_SIMD_NEON_H

#include "kernels/simd/simd.h"

#include <arm_neon.h>

#define V_ISA   neon
#define V_NEEDS OCTET_CPU_NEON
#define V_TILES(T)                                                                                         \
    T(1, 4) T(2, 4) T(3, 4) T(4, 4) T(5, 4) T(6, 4) T(1, 3) T(2, 3) T(4, 3) T(6, 3) T(7, 3) T(8, 3) T(1, 2) \
    T(2, 2) T(4, 2) T(6, 2) T(8, 2) T(1, 1) T(2, 1) T(4, 1) T(8, 1)

enum { V_LANES = 4, V_WEIGHT_SHIFT = 128 };

typedef int32x4_t   v_int;
typedef float32x4_t v_float;
typedef uint8x16_t  v_bytes;
typedef int8x16_t   v_input;
typedef int8_t      v_weight;

V_INLINE int v_weight_index(int lane, int k) { return 4 * lane + k; }

V_INLINE v_input v_spread(const uint8_t *x)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    return veorq_s8(vreinterpretq_s8_s32(vdupq_n_s32(four)), vdupq_n_s8(-128));
}

V_INLINE v_int v_dot4(v_int sum, v_input x, const v_weight *w) { return vdotq_s32(sum, x, vld1q_s8(w)); }

V_INLINE v_int v_load(const int32_t *at) { return vld1q_s32(at); }

V_INLINE void v_store(int32_t *to, v_int v) { vst1q_s32(to, v); }

V_INLINE v_float v_load_float(const float *at) { return vld1q_f32(at); }

V_INLINE void v_store_float(float *to, v_float v) { vst1q_f32(to, v); }

V_INLINE void v_store_floats(float *to, v_float v, size_t n)
{
    float all[V_LANES];
    vst1q_f32(all, v);
    memcpy(to, all, n * sizeof *to);
}

V_INLINE v_int v_load_some_levels(const uint8_t *q, size_t n)
{
    uint8_t all[8] = { 0 };
    memcpy(all, q, n);
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vld1_u8(all)))));
}

V_INLINE v_int v_load_levels(const uint8_t *q) { return v_load_some_levels(q, V_LANES); }

V_INLINE v_float v_to_float(v_int v) { return vcvtq_f32_s32(v); }

V_INLINE v_int v_round(v_float t) { return vcvtnq_s32_f32(t); }

V_INLINE v_float v_set(float x) { return vdupq_n_f32(x); }

V_INLINE v_float v_mul(v_float a, v_float b) { return vmulq_f32(a, b); }

V_INLINE v_float v_add(v_float a, v_float b) { return vaddq_f32(a, b); }

/* Not fmax and fmin, which treat NaN and zeros of both signs in their own ways. */
V_INLINE v_float v_clamp(v_float t, float lo, float hi)
{
    const float32x4_t low = vdupq_n_f32(lo), high = vdupq_n_f32(hi);
    const float32x4_t raised = vbslq_f32(vcgtq_f32(t, low), t, low);
    return vbslq_f32(vcltq_f32(raised, high), raised, high);
}

V_INLINE v_float v_sub(v_float a, v_float b) { return vsubq_f32(a, b); }

V_INLINE v_float v_div(v_float a, v_float b) { return vdivq_f32(a, b); }

V_INLINE v_float v_number(v_float t) { return vbslq_f32(vceqq_f32(t, t), t, vdupq_n_f32(0)); }

V_INLINE v_float v_most(v_float most, v_float t)
{
    const float32x4_t size = vabsq_f32(t);
    return vbslq_f32(vcgtq_f32(size, most), size, most);
}

typedef struct v_sums { float64x2_t at[4]; } v_sums;

V_INLINE v_sums v_load_sums(const double *at)
{
    return (v_sums){ { vld1q_f64(at), vld1q_f64(at + 2), vld1q_f64(at + 4), vld1q_f64(at + 6) } };
}

V_INLINE void v_store_sums(double *to, const v_sums *s)
{
    V_UNROLL
    for (int i = 0; i < 4; i++) vst1q_f64(to + 2 * i, s->at[i]);
}

V_INLINE void v_add_products(v_sums *s, int vector, v_float a, v_float b)
{
    float64x2_t *const at = s->at + vector % 2 * 2;
    at[0] = vfmaq_f64(at[0], vcvt_f64_f32(vget_low_f32(a)), vcvt_f64_f32(vget_low_f32(b)));
    at[1] = vfmaq_f64(at[1], vcvt_high_f64_f32(a), vcvt_high_f64_f32(b));
}

V_INLINE v_bytes v_narrow(const v_int q[4], const octet_to_levels *to)
{
    const int16x8_t  zero = vdupq_n_s16((int16_t)to->zero_point);
    const int16x8_t  a = vqaddq_s16(vcombine_s16(vqmovn_s32(q[0]), vqmovn_s32(q[1])), zero);
    const int16x8_t  b = vqaddq_s16(vcombine_s16(vqmovn_s32(q[2]), vqmovn_s32(q[3])), zero);
    const uint8x16_t y = vmaxq_u8(vcombine_u8(vqmovun_s16(a), vqmovun_s16(b)), vdupq_n_u8((uint8_t)to->lo));
    return vminq_u8(y, vdupq_n_u8((uint8_t)to->hi));
}

V_INLINE void v_store_some_levels(uint8_t *to, v_bytes b, size_t n)
{
    uint8_t all[sizeof b];
    vst1q_u8(all, b);
    memcpy(to, all, n);
}

V_INLINE void v_store_levels(uint8_t *to, v_bytes b, int first, int vectors)
{
    uint8_t all[sizeof b];
    vst1q_u8(all, b);
    memcpy(to, all + first * V_LANES, (size_t)vectors * V_LANES);
}

#endif
