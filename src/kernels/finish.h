/* SPDX-License-Identifier: Apache-2.0 */
/* From sums (in memory, in first-level cache) to results: the end of every convolution, whatever made the sums.
   Include the set's header first. */
#ifndef OCTET_KERNELS_FINISH_H
#define OCTET_KERNELS_FINISH_H

#include "kernels/simd/simd.h"

#include <float.h>

/* A wanted row of a convolution: where its sum begins to read and where its results go. */
typedef struct conv_row {
    const uint8_t *input, *residual; /* residual: NULL if there is none */
    uint8_t       *output;
} conv_row;

/* Sums of some rows, with the bias in them, for columns from `first` on. */
typedef struct conv_sums {
    const int32_t  *at;
    size_t          pitch;      /* int32s from a row to the next */
    const float    *multiplier; /* of column `first` */
    size_t          first, columns;
    const conv_row *row;
    size_t          rows;
} conv_sums;

/* t = f32(f32(acc) * m), then the residual: adding -zero is subtracting it, exactly. */
V_INLINE v_float finish_value(const octet_conv_call *call, const conv_sums *sums, size_t row, int v)
{
    const size_t at = (size_t)v * V_LANES;
    v_float      t = v_mul(v_to_float(v_load(sums->at + row * sums->pitch + at)), v_load_float(sums->multiplier + at));
    if (call->residual && at < sums->columns) {
        const uint8_t *const q = sums->row[row].residual + sums->first + at;
        const size_t         n = sums->columns - at;
        const v_int          level = n < V_LANES ? v_load_some_levels(q, n) : v_load_levels(q);
        const v_float        r = v_add(v_to_float(level), v_set(-(float)call->residual_zero));
        t = v_add(t, v_mul(r, v_set(call->residual_multiplier)));
    }
    return t;
}

V_INLINE void finish_levels(const octet_conv_call *call, const conv_sums *sums, const int vectors)
{
    const octet_to_levels to = call->to;
    const float           lo = (float)(to.lo - to.zero_point), hi = (float)(to.hi - to.zero_point);
    for (size_t row = 0; row < sums->rows; row++) {
        v_int q[4];
        V_UNROLL
        for (int v = 0; v < vectors; v++) {
            const v_float t = finish_value(call, sums, row, v);
            q[v] = v_round(call->tame ? t : v_clamp(t, lo, hi));
        }
        V_UNROLL
        for (int v = vectors; v < 4; v++) q[v] = q[vectors - 1];
        const v_bytes  y = v_narrow(q, &to);
        uint8_t *const at = sums->row[row].output + sums->first;
        if (sums->columns == (size_t)vectors * V_LANES)
            v_store_levels(at, y, vectors);
        else
            v_store_some_levels(at, y, sums->columns);
    }
}

V_INLINE void finish_real(const octet_conv_call *call, const conv_sums *sums, const int vectors)
{
    const bool bounded = call->real_lo >= -FLT_MAX || call->real_hi <= FLT_MAX;
    for (size_t row = 0; row < sums->rows; row++)
        for (int v = 0; v < vectors && (size_t)v * V_LANES < sums->columns; v++) {
            const size_t at = (size_t)v * V_LANES, left = sums->columns - at;
            float *const to = (float *)(void *)sums->row[row].output + sums->first + at;
            v_float      t = finish_value(call, sums, row, v);
            if (bounded) t = v_clamp(t, call->real_lo, call->real_hi);
            if (left < V_LANES)
                v_store_floats(to, t, left);
            else
                v_store_float(to, t);
        }
}

/* vectors: 1..4 times V_LANES sums of each row, of which `columns` are wanted. */
V_INLINE void finish(const octet_conv_call *call, const conv_sums *sums, const int vectors)
{
    if (call->real)
        finish_real(call, sums, vectors);
    else
        finish_levels(call, sums, vectors);
}

#endif
