/* SPDX-License-Identifier: Apache-2.0 */
/* From sums to levels or real numbers: what amx/conv.c does with finished sums. It is included behind the vectors
   (simd/amx.h or simd/amx_model.h) that it is written in. */
#ifndef OCTET_KERNELS_AMX_FINISH_H
#define OCTET_KERNELS_AMX_FINISH_H

#include "kernels/amx/layout.h"

enum { /* what a call needs; constant wherever it is used, so each sum of them has code of its own */
    FINISH_RESIDUAL = 1,
    FINISH_SHIFT    = 2, /* the zero point is not 0, or bounds are narrower than a byte */
    FINISH_CLAMP    = 4, /* before rounding: t can be large */
    FINISH_REAL     = 8,
};

/* A block of sums and where it goes. */
typedef struct finish {
    t_block_sums               sums;
    uint8_t                    nowhere[4 * AMX_COLUMNS]; /* takes the place of rows that nobody wants */
    const octet_conv_call     *call;
    const octet_amx_constants *constants;
    uint8_t                   *output;  /* the block's first column, in the group */
    const uint8_t             *residual;
    const int32_t             *place, *residual_place; /* of the block's first row */
    size_t                     row, rows, share;       /* done, all, those to do in one step (even) */
    uint32_t                   mask;                   /* of columns */
    bool                       wide;                   /* two tiles of columns */
} finish;

static const int32_t at_begin = 0;

static inline uint8_t *row_output(finish *f, size_t row)
{
    const int32_t place = row < f->rows ? f->place[row] : -1;
    return place < 0 ? f->nowhere : f->output + place;
}

static inline const uint8_t *row_residual(const finish *f, size_t row)
{
    const bool wanted = row < f->rows && f->place[row] >= 0;
    return (wanted ? f->residual : f->nowhere) + *(wanted ? f->residual_place + row : &at_begin);
}

/* t of 16 sums. */
V_INLINE v_real scaled(const finish *f, size_t row, int n, int kind)
{
    const octet_conv_call *const call = f->call;
    const v_int sum = v_add(v_load(&f->sums.at[row][n * AMX_LANES]), v_load(&f->constants->bias[n * AMX_LANES]));
    v_real      t = v_multiply(v_convert(sum), v_load_real(&f->constants->multiplier[n * AMX_LANES]));
    if (kind & FINISH_RESIDUAL) {
        const v_int r = v_load_bytes(row_residual(f, row) + n * AMX_LANES, f->mask >> n * AMX_LANES);
        const v_int offset = v_subtract(r, v_spread_int(call->residual_zero));
        t = v_add_real(t, v_multiply(v_convert(offset), v_spread(call->residual_multiplier)));
    }
    if (kind & FINISH_CLAMP) {
        t = v_raise(t, v_spread((float)(call->to.lo - call->to.zero_point)));
        t = v_lower(t, v_spread((float)(call->to.hi - call->to.zero_point)));
    }
    if (kind & FINISH_REAL) t = v_lower(v_raise(t, v_spread(call->real_lo)), v_spread(call->real_hi));
    return t;
}

V_INLINE v_levels narrowed(const finish *f, size_t row, int kind)
{
    const v_int    left = v_round(scaled(f, row, 0, kind));
    const v_levels levels = v_narrow(left, f->wide ? v_round(scaled(f, row, 1, kind)) : left);
    return kind & FINISH_SHIFT ? v_shift(levels, f->call->to.zero_point) : levels;
}

V_INLINE void finish_pair(finish *f, size_t row, int kind)
{
    v_levels levels = v_pair(narrowed(f, row, kind), narrowed(f, row + 1, kind));
    if (kind & FINISH_SHIFT) levels = v_bound(levels, f->call->to.lo, f->call->to.hi);
    v_store_first(row_output(f, row), f->mask, levels);
    v_store_second(row_output(f, row + 1), f->mask, levels);
}

V_INLINE void finish_real(finish *f, size_t row, int kind)
{
    float *const output = (float *)(void *)row_output(f, row);
    v_store_real(output, f->mask, scaled(f, row, 0, kind));
    if (f->wide) v_store_real(output + AMX_LANES, f->mask >> AMX_LANES, scaled(f, row, 1, kind));
}

/* Finishes the next `count` rows, an even number. */
V_INLINE void finish_rows(finish *f, size_t count, int kind)
{
    const size_t end = count < f->rows - f->row ? f->row + count : f->rows;
    size_t       row = f->row;
    if (kind & FINISH_REAL)
        for (; row < end; row++) finish_real(f, row, kind);
    else
        for (; row < end; row += 2) finish_pair(f, row, kind);
    f->row = end;
}

#endif
