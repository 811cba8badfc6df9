/* SPDX-License-Identifier: Apache-2.0 */
/* Plain C: what every machine can do, and the shortest definition of the primitives. */
#ifndef OCTET_KERNELS_SIMD_SCALAR_H
#define OCTET_KERNELS_SIMD_SCALAR_H

#include "kernels/simd/simd.h"

#include <math.h>

#define V_ISA   scalar
#define V_NEEDS 0
#define V_TILES(T) T(1, 1) T(1, 2) T(1, 3) T(1, 4)

enum { V_LANES = 4, V_WEIGHT_SHIFT = 0 };

typedef struct v_int { int32_t lane[V_LANES]; } v_int;
typedef struct v_float { float lane[V_LANES]; } v_float;
typedef struct v_bytes { uint8_t at[4 * V_LANES]; } v_bytes;
typedef struct v_input { int32_t at[4]; } v_input;
typedef int8_t v_weight;

#define V_EACH for (int i = 0; i < V_LANES; i++)

V_INLINE int v_weight_index(int lane, int k) { return 4 * lane + k; }

V_INLINE v_input v_spread(const uint8_t *x) { return (v_input){ { x[0], x[1], x[2], x[3] } }; }

V_INLINE v_int v_dot4(v_int sum, v_input x, const v_weight *w)
{
    V_EACH
    {
        const int32_t *const a = x.at;
        const v_weight *const b = w + v_weight_index(i, 0);
        sum.lane[i] = (int32_t)((uint32_t)sum.lane[i] +
                                (uint32_t)(a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]));
    }
    return sum;
}

V_INLINE v_int v_load(const int32_t *at)
{
    v_int v;
    memcpy(&v, at, sizeof v);
    return v;
}

V_INLINE void v_store(int32_t *to, v_int v) { memcpy(to, &v, sizeof v); }

V_INLINE v_float v_load_float(const float *at)
{
    v_float v;
    memcpy(&v, at, sizeof v);
    return v;
}

V_INLINE void v_store_float(float *to, v_float v) { memcpy(to, &v, sizeof v); }

V_INLINE void v_store_floats(float *to, v_float v, size_t n) { memcpy(to, &v, n * sizeof *to); }

V_INLINE v_int v_load_some_levels(const uint8_t *q, size_t n)
{
    v_int v = { { 0 } };
    for (size_t i = 0; i < n; i++) v.lane[i] = q[i];
    return v;
}

V_INLINE v_int v_load_levels(const uint8_t *q) { return v_load_some_levels(q, V_LANES); }

V_INLINE v_float v_to_float(v_int v)
{
    v_float t;
    V_EACH t.lane[i] = (float)v.lane[i];
    return t;
}

V_INLINE v_int v_round(v_float t)
{
    v_int v;
    V_EACH v.lane[i] = (int32_t)rintf(t.lane[i]);
    return v;
}

V_INLINE v_float v_set(float x) { return (v_float){ { x, x, x, x } }; }

V_INLINE v_float v_mul(v_float a, v_float b)
{
    V_EACH a.lane[i] *= b.lane[i];
    return a;
}

V_INLINE v_float v_add(v_float a, v_float b)
{
    V_EACH a.lane[i] += b.lane[i];
    return a;
}

V_INLINE v_float v_clamp(v_float t, float lo, float hi)
{
    V_EACH
    {
        const float raised = t.lane[i] > lo ? t.lane[i] : lo;
        t.lane[i] = raised < hi ? raised : hi;
    }
    return t;
}

V_INLINE v_float v_sub(v_float a, v_float b)
{
    V_EACH a.lane[i] -= b.lane[i];
    return a;
}

V_INLINE v_float v_div(v_float a, v_float b)
{
    V_EACH a.lane[i] /= b.lane[i];
    return a;
}

V_INLINE v_float v_number(v_float t)
{
    V_EACH if (t.lane[i] != t.lane[i]) t.lane[i] = 0;
    return t;
}

V_INLINE v_float v_most(v_float most, v_float t)
{
    V_EACH if (fabsf(t.lane[i]) > most.lane[i]) most.lane[i] = fabsf(t.lane[i]);
    return most;
}

typedef struct v_sums { double lane[2 * V_LANES]; } v_sums;

V_INLINE v_sums v_load_sums(const double *at)
{
    v_sums s;
    memcpy(&s, at, sizeof s);
    return s;
}

V_INLINE void v_store_sums(double *to, const v_sums *s) { memcpy(to, s, sizeof *s); }

V_INLINE void v_add_products(v_sums *s, int vector, v_float a, v_float b)
{
    V_EACH s->lane[vector % 2 * V_LANES + i] += (double)a.lane[i] * (double)b.lane[i];
}

V_INLINE v_bytes v_narrow(const v_int q[4], const octet_to_levels *to)
{
    v_bytes bytes;
    for (int i = 0; i < 4 * V_LANES; i++) {
        const int64_t y = (int64_t)q[i / V_LANES].lane[i % V_LANES] + to->zero_point;
        bytes.at[i] = (uint8_t)(y < to->lo ? to->lo : y > to->hi ? to->hi : y);
    }
    return bytes;
}

V_INLINE void v_store_some_levels(uint8_t *to, v_bytes b, size_t n) { memcpy(to, &b, n); }

V_INLINE void v_store_levels(uint8_t *to, v_bytes b, int first, int vectors)
{
    memcpy(to, b.at + first * V_LANES, (size_t)vectors * V_LANES);
}

#endif
