/* SPDX-License-Identifier: Apache-2.0 */
/* From sums to levels or real numbers: what amx/conv.c does with finished sums. It is included behind the vectors
   (simd/amx.h or simd/amx_model.h) that it is written in. */
#ifndef OCTET_KERNELS_AMX_FINISH_TEMPLATE_H
#define OCTET_KERNELS_AMX_FINISH_TEMPLATE_H

#include "kernels/amx/layout.h"

enum { /* what a call needs; constant wherever it is used, so each sum of them has code of its own */
    FINISH_RESIDUAL = 1,
    FINISH_SHIFT    = 2, /* the zero point is not 0, or bounds are narrower than a byte */
    FINISH_CLAMP    = 4, /* before rounding: t can be large */
    FINISH_REAL     = 8,
    FINISH_SUMS     = 16, /* they are the results */
    FINISH_FULL     = 32, /* of the block: an even number of rows, all wanted, and all columns of two tiles */
};

/* A block of sums and where it goes. */
typedef struct finish {
    t_block_sums               sums;
    uint8_t                    nowhere[4 * AMX_COLUMNS]; /* takes the place of rows that nobody wants */
    const octet_amx_constants *constants;
    uint8_t                   *output; /* the block's first column, in the group */
    const uint8_t             *residual;
    const int32_t             *place, *residual_place; /* of the block's first row */
    size_t                     rows, share;            /* all; those of one step, an even number */
    uint32_t                   mask;                   /* of columns */
    bool                       wide, full;             /* two tiles of columns; FINISH_FULL */
} finish;

/* What the loop over rows needs. Bytes that are stored may alias anything in memory, but not these copies. */
typedef struct finish_state {
    const int32_t *sums, *place, *residual_place;
    uint8_t       *output, *nowhere;
    const uint8_t *residual;
    v_int          bias[2], residual_zero;
    v_real         multiplier[2], residual_multiplier, lo, hi;
    int32_t        zero_point, byte_lo, byte_hi;
    uint32_t       mask;
    bool           wide;
} finish_state;

V_INLINE finish_state finish_begin(finish *f, const octet_conv_call *call, int kind)
{
    finish_state s = { .sums = f->sums.at[0], .place = f->place, .output = f->output, .nowhere = f->nowhere,
                       .mask = f->mask, .wide = f->wide };
    for (int n = 0; n < 2; n++) {
        s.bias[n] = v_load(&f->constants->bias[n * AMX_LANES]);
        s.multiplier[n] = v_load_real(&f->constants->multiplier[n * AMX_LANES]);
    }
    if (kind & FINISH_RESIDUAL) {
        s.residual = f->residual;
        s.residual_place = f->residual_place;
        s.residual_zero = v_spread_int(call->residual_zero);
        s.residual_multiplier = v_spread(call->residual_multiplier);
    }
    if (kind & FINISH_CLAMP) {
        s.lo = v_spread((float)(call->to.lo - call->to.zero_point));
        s.hi = v_spread((float)(call->to.hi - call->to.zero_point));
    }
    if (kind & FINISH_REAL) {
        s.lo = v_spread(call->real_lo);
        s.hi = v_spread(call->real_hi);
    }
    if (kind & FINISH_SHIFT) {
        s.zero_point = call->to.zero_point;
        s.byte_lo = call->to.lo;
        s.byte_hi = call->to.hi;
    }
    return s;
}

static const int32_t at_begin = 0;

/* Without branches: holes come at the end of every image row, too rarely to be foreseen. */
V_INLINE uint8_t *row_output(const finish_state *s, size_t row, int kind)
{
    const int32_t  place = s->place[row];
    uint8_t *const wanted = s->output + place;
    return kind & FINISH_FULL || place >= 0 ? wanted : s->nowhere;
}

V_INLINE const uint8_t *row_residual(const finish_state *s, size_t row, int kind)
{
    if (kind & FINISH_FULL) return s->residual + s->residual_place[row];
    const bool           wanted = s->place[row] >= 0;
    const int32_t *const place = wanted ? s->residual_place + row : &at_begin;
    return (wanted ? s->residual : s->nowhere) + *place;
}

V_INLINE uint32_t columns_of(const finish_state *s, int kind) { return kind & FINISH_FULL ? ~0u : s->mask; }

/* t of 16 sums. */
V_INLINE v_real scaled(const finish_state *s, size_t row, int n, int kind)
{
    const v_int sum = v_add(v_load(s->sums + row * AMX_COLUMNS + n * AMX_LANES), s->bias[n]);
    v_real      t = v_multiply(v_convert(sum), s->multiplier[n]);
    if (kind & FINISH_RESIDUAL) {
        const v_int r = v_load_bytes(row_residual(s, row, kind) + n * AMX_LANES, columns_of(s, kind) >> n * AMX_LANES);
        t = v_add_real(t, v_multiply(v_convert(v_subtract(r, s->residual_zero)), s->residual_multiplier));
    }
    if (kind & (FINISH_CLAMP | FINISH_REAL)) t = v_lower(v_raise(t, s->lo), s->hi);
    return t;
}

V_INLINE v_levels narrowed(const finish_state *s, size_t row, int kind)
{
    const v_int    left = v_round(scaled(s, row, 0, kind));
    const v_levels levels = v_narrow(left, kind & FINISH_FULL || s->wide ? v_round(scaled(s, row, 1, kind)) : left);
    return kind & FINISH_SHIFT ? v_shift(levels, s->zero_point) : levels;
}

V_INLINE void finish_pair(const finish_state *s, size_t first, size_t second, int kind)
{
    v_levels levels = v_pair(narrowed(s, first, kind), narrowed(s, second, kind));
    if (kind & FINISH_SHIFT) levels = v_bound(levels, s->byte_lo, s->byte_hi);
    v_store_first(row_output(s, first, kind), columns_of(s, kind), levels);
    v_store_second(row_output(s, second, kind), columns_of(s, kind), levels);
}

V_INLINE void finish_real(const finish_state *s, size_t row, int kind)
{
    float *const output = (float *)(void *)row_output(s, row, kind);
    v_store_real(output, s->mask, scaled(s, row, 0, kind));
    if (s->wide) v_store_real(output + AMX_LANES, s->mask >> AMX_LANES, scaled(s, row, 1, kind));
}

V_INLINE void finish_sum(const finish_state *s, size_t row, int kind)
{
    int32_t *const       output = (int32_t *)(void *)row_output(s, row, kind);
    const int32_t *const sums = s->sums + row * AMX_COLUMNS;
    v_store_int(output, s->mask, v_add(v_load(sums), s->bias[0]));
    if (s->wide) v_store_int(output + AMX_LANES, s->mask >> AMX_LANES, v_add(v_load(sums + AMX_LANES), s->bias[1]));
}

/* Finishes rows from `row` (even) to `end` or the last one, and returns where it stopped. */
V_INLINE size_t finish_more(const finish_state *s, const finish *f, size_t row, size_t end, int kind)
{
    const size_t stop = end < f->rows ? end : f->rows, last = f->rows - 1;
    if (kind & FINISH_SUMS)
        for (; row < stop; row++) finish_sum(s, row, kind);
    else if (kind & FINISH_REAL)
        for (; row < stop; row++) finish_real(s, row, kind);
    else if (f->full)
        for (; row < stop; row += 2) finish_pair(s, row, row + 1, kind | FINISH_FULL);
    else /* the last one of an odd number is made twice */
        for (; row < stop; row += 2) finish_pair(s, row, row < last ? row + 1 : last, kind);
    return row;
}

V_INLINE size_t finish_rows(finish *f, const octet_conv_call *call, size_t row, size_t end, int kind)
{
    if (row >= f->rows) return row;
    const finish_state s = finish_begin(f, call, kind);
    return finish_more(&s, f, row, end, kind);
}

#endif
