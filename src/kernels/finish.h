/* SPDX-License-Identifier: Apache-2.0 */
/* From sums (in memory, in first-level cache) to results: the end of every convolution, whatever made the sums.
   Include the set's header first. */
#ifndef OCTET_KERNELS_FINISH_H
#define OCTET_KERNELS_FINISH_H

#include "kernels/simd/simd.h"

#include <float.h>

/* A wanted row of a convolution: where its sum begins to read and where its results go. */
typedef struct conv_row {
    const uint8_t *input, *residual; /* residual: not set if there is none */
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

/* Adds the residual of columns from v * V_LANES on: adding -zero is subtracting it, exactly. */
V_INLINE v_float finish_residual(v_float t, const octet_conv_call *call, v_int level)
{
    const v_float r = v_add(v_to_float(level), v_set(-(float)call->residual_zero));
    return v_add(t, v_mul(r, v_set(call->residual_multiplier)));
}

/* As many columns as the vectors hold, tame: the usual case, without a branch. Rows of one or two vectors are narrowed
   together; the last row is repeated to fill up, which writes it twice. Everything is copied first: a store of bytes
   might change it, for all the compiler knows. */
V_INLINE void finish_full(const octet_conv_call *call, const conv_sums *all, const int vectors, const bool residual)
{
    const int             together = vectors == 1 ? 4 : vectors == 2 ? 2 : 1;
    const octet_conv_call local = *call;
    const octet_to_levels to = call->to;
    const conv_sums       sums = *all;
    v_float               m[4];
    V_UNROLL
    for (int v = 0; v < vectors; v++) m[v] = v_load_float(sums.multiplier + v * V_LANES);
    for (size_t row = 0; row < sums.rows; row += (size_t)together) {
        size_t each[4]; /* row number i / vectors of those together */
        v_int  q[4];
        V_UNROLL
        for (int i = 0; i < together; i++)
            each[i] = i && row + (size_t)i >= sums.rows ? sums.rows - 1 : row + (size_t)i;
        V_UNROLL
        for (int i = 0; i < 4; i++) {
            if (i >= together * vectors) {
                q[i] = q[0];
                continue;
            }
            const size_t r = each[i / vectors], at = (size_t)(i % vectors) * V_LANES;
            v_float      t = v_mul(v_to_float(v_load(sums.at + r * sums.pitch + at)), m[i % vectors]);
            if (residual) t = finish_residual(t, &local, v_load_levels(sums.row[r].residual + sums.first + at));
            q[i] = v_round(t);
        }
        const v_bytes y = v_narrow(q, &to);
        V_UNROLL
        for (int i = 0; i < together; i++)
            v_store_levels(sums.row[each[i]].output + sums.first, y, i * vectors, vectors);
    }
}

/* t of any vector, with fewer columns than lanes perhaps. */
V_INLINE v_float finish_value(const octet_conv_call *call, const conv_sums *sums, size_t row, size_t at)
{
    const v_int   sum = v_load(sums->at + row * sums->pitch + at);
    const v_float t = v_mul(v_to_float(sum), v_load_float(sums->multiplier + at));
    if (!call->residual || at >= sums->columns) return t;
    const uint8_t *const q = sums->row[row].residual + sums->first + at;
    const size_t         n = sums->columns - at;
    return finish_residual(t, call, n < V_LANES ? v_load_some_levels(q, n) : v_load_levels(q));
}

V_INLINE void finish_some(const octet_conv_call *call, const conv_sums *sums, const int vectors)
{
    const octet_conv_call local = *call;
    const octet_to_levels to = call->to;
    const float           lo = (float)(to.lo - to.zero_point), hi = (float)(to.hi - to.zero_point);
    for (size_t row = 0; row < sums->rows; row++) {
        v_int q[4];
        V_UNROLL
        for (int v = 0; v < vectors; v++) {
            const v_float t = finish_value(&local, sums, row, (size_t)v * V_LANES);
            q[v] = v_round(local.tame ? t : v_clamp(t, lo, hi));
        }
        V_UNROLL
        for (int v = vectors; v < 4; v++) q[v] = q[0];
        v_store_some_levels(sums->row[row].output + sums->first, v_narrow(q, &to), sums->columns);
    }
}

static void finish_real(const octet_conv_call *call, const conv_sums *sums)
{
    const bool bounded = call->real_lo >= -FLT_MAX || call->real_hi <= FLT_MAX;
    for (size_t row = 0; row < sums->rows; row++)
        for (size_t at = 0; at < sums->columns; at += V_LANES) {
            float *const to = (float *)(void *)sums->row[row].output + sums->first + at;
            v_float      t = finish_value(call, sums, row, at);
            if (bounded) t = v_clamp(t, call->real_lo, call->real_hi);
            if (sums->columns - at < V_LANES)
                v_store_floats(to, t, sums->columns - at);
            else
                v_store_float(to, t);
        }
}

/* The sums themselves. */
static void finish_sums(const octet_conv_call *call, const conv_sums *sums)
{
    (void)call;
    for (size_t row = 0; row < sums->rows; row++) {
        uint8_t *const       to = sums->row[row].output + sums->first * sizeof(int32_t);
        const int32_t *const from = sums->at + row * sums->pitch;
        if (sums->columns == sums->pitch)
            for (size_t at = 0; at < sums->pitch; at += V_LANES) memcpy(to + at * 4, from + at, 4 * V_LANES);
        else
            memcpy(to, from, sums->columns * sizeof *from);
    }
}

typedef void finish_function(const octet_conv_call *call, const conv_sums *sums);

#define FINISH(vectors)                                                                                                \
    static void finish_##vectors(const octet_conv_call *call, const conv_sums *sums)                                   \
    {                                                                                                                  \
        finish_full(call, sums, vectors, false);                                                                       \
    }                                                                                                                  \
    static void finish_residual_##vectors(const octet_conv_call *call, const conv_sums *sums)                          \
    {                                                                                                                  \
        finish_full(call, sums, vectors, true);                                                                        \
    }                                                                                                                  \
    static void finish_some_##vectors(const octet_conv_call *call, const conv_sums *sums)                              \
    {                                                                                                                  \
        finish_some(call, sums, vectors);                                                                              \
    }
FINISH(1)
FINISH(2)
FINISH(3)
FINISH(4)

/* What ends tiles of 1..4 vectors, of which `columns` columns are wanted. */
static finish_function *finish_for(const octet_conv_call *call, size_t vectors, size_t columns)
{
    static finish_function *const full[] = { NULL, finish_1, finish_2, finish_3, finish_4 };
    static finish_function *const residual[] = { NULL, finish_residual_1, finish_residual_2, finish_residual_3,
                                                 finish_residual_4 };
    static finish_function *const some[] = { NULL, finish_some_1, finish_some_2, finish_some_3, finish_some_4 };
    if (call->sums) return finish_sums;
    if (call->real) return finish_real;
    if (columns < vectors * V_LANES || !call->tame) return some[vectors];
    return call->residual ? residual[vectors] : full[vectors];
}

#endif
