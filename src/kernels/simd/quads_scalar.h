/* SPDX-License-Identifier: Apache-2.0 */
/* Quads (see depthwise.c) in plain C. */
#ifndef OCTET_KERNELS_SIMD_QUADS_SCALAR_H
#define OCTET_KERNELS_SIMD_QUADS_SCALAR_H

#include "kernels/simd/scalar.h"

enum { V_QUAD_PIXELS = 1 };

typedef v_bytes v_quads;
typedef struct v_quad_weights {
    int8_t at[4 * V_LANES];
} v_quad_weights;
typedef size_t v_part;

V_INLINE v_part v_part_of(size_t n) { return n; }

V_INLINE v_bytes v_part_load(const uint8_t *from, v_part part)
{
    v_bytes bytes = { { 0 } };
    if (part == sizeof bytes)
        memcpy(bytes.at, from, sizeof bytes);
    else
        memcpy(bytes.at, from, part);
    return bytes;
}

V_INLINE void v_part_store(uint8_t *to, v_bytes bytes, v_part part)
{
    if (part == sizeof bytes)
        memcpy(to, bytes.at, sizeof bytes);
    else
        memcpy(to, bytes.at, part);
}

V_INLINE v_bytes v_zero_bytes(void) { return (v_bytes){ { 0 } }; }

V_INLINE void v_interleave(v_int to[4], v_bytes a, v_bytes b, v_bytes c, v_bytes d)
{
    for (int i = 0; i < 4 * V_LANES; i++) {
        const uint8_t quad[4] = { a.at[i], b.at[i], c.at[i], d.at[i] };
        memcpy(&to[i / V_LANES].lane[i % V_LANES], quad, sizeof quad);
    }
}

V_INLINE v_quads v_quads_of(v_int bytes)
{
    v_quads quads;
    memcpy(quads.at, bytes.lane, sizeof quads);
    return quads;
}

V_INLINE void v_quad_put(v_quad_weights *weights, size_t lane, size_t k, int8_t w) { weights->at[4 * lane + k] = w; }

V_INLINE v_int v_quad_dot(v_int sum, v_quads x, const v_quad_weights *w)
{
    V_EACH
    {
        const uint8_t *const a = x.at + 4 * i;
        const int8_t *const  b = w->at + 4 * i;
        sum.lane[i] = (int32_t)((uint32_t)sum.lane[i] +
                                (uint32_t)(a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]));
    }
    return sum;
}

typedef octet_to_levels v_bounds;

V_INLINE v_bounds v_bounds_of(const octet_to_levels *to) { return *to; }

V_INLINE v_bytes v_quad_narrow(const v_int q[4], const v_bounds *bounds) { return v_narrow(q, bounds); }

V_INLINE v_bytes v_larger(v_bytes a, v_bytes b)
{
    for (int i = 0; i < 4 * V_LANES; i++) a.at[i] = a.at[i] > b.at[i] ? a.at[i] : b.at[i];
    return a;
}

typedef const uint8_t *v_table;

V_INLINE v_table v_table_of(const uint8_t table[256]) { return table; }

V_INLINE v_bytes v_look_up(v_bytes q, const v_table *table)
{
    for (int i = 0; i < 4 * V_LANES; i++) q.at[i] = (*table)[q.at[i]];
    return q;
}

#endif
