/* SPDX-License-Identifier: Apache-2.0 */
/* simd/amx.h in plain C: the same kernel can be tested on every machine. */
#ifndef OCTET_KERNELS_SIMD_AMX_MODEL_H
#define OCTET_KERNELS_SIMD_AMX_MODEL_H

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define V_INLINE static inline

/* ---- tiles ---- */

enum { T_LANES = 16, T_BYTES = 64 };

/* An instruction leaves bytes and rows beyond the sizes zero. */
typedef struct t_tiles {
    int     rows, depth;
    int32_t sums[2][2][T_LANES][T_LANES];
    uint8_t inputs[2][T_LANES][T_BYTES];
    int8_t  weights[2][T_LANES][T_BYTES];
} t_tiles;

typedef struct t_block_sums {
    _Alignas(64) int32_t at[2 * T_LANES][2 * T_LANES];
} t_block_sums;

V_INLINE void t_begin(t_tiles *tiles, int rows, int depth)
{
    assert(rows >= 1 && rows <= T_LANES && depth >= 4 && depth <= T_BYTES && depth % 4 == 0);
    memset(tiles, 0, sizeof *tiles);
    tiles->rows = rows;
    tiles->depth = depth;
}

V_INLINE void t_end(t_tiles *tiles) { memset(tiles, 0, sizeof *tiles); }

V_INLINE void t_load_inputs(t_tiles *tiles, int m, const uint8_t *at, size_t pitch)
{
    for (int r = 0; r < tiles->rows; r++) memcpy(tiles->inputs[m][r], at + (size_t)r * pitch, (size_t)tiles->depth);
}

V_INLINE void t_load_weights(t_tiles *tiles, int n, const int8_t *at)
{
    memcpy(tiles->weights[n], at, (size_t)tiles->depth / 4 * T_BYTES);
}

V_INLINE void t_zero(t_tiles *tiles, int m, int n) { memset(tiles->sums[m][n], 0, sizeof tiles->sums[m][n]); }

V_INLINE void t_multiply(t_tiles *tiles, int m, int n)
{
    for (int r = 0; r < tiles->rows; r++)
        for (int c = 0; c < T_LANES; c++) {
            uint32_t sum = (uint32_t)tiles->sums[m][n][r][c];
            for (int d = 0; d < tiles->depth; d++)
                sum += (uint32_t)(tiles->inputs[m][r][d] * tiles->weights[n][d / 4][4 * c + d % 4]);
            tiles->sums[m][n][r][c] = (int32_t)sum;
        }
}

V_INLINE void t_store(const t_tiles *tiles, int m, int n, t_block_sums *to, int row)
{
    for (int r = 0; r < tiles->rows; r++)
        memcpy(&to->at[row + r][T_LANES * n], tiles->sums[m][n][r], sizeof tiles->sums[m][n][r]);
}

V_INLINE void t_fetch(const void *at) { (void)at; }
V_INLINE void t_fetch_near(const void *at) { (void)at; }

/* ---- vectors of 16 ---- */

typedef struct v_int {
    int32_t at[T_LANES];
} v_int;

typedef struct v_real {
    float at[T_LANES];
} v_real;

#define V_EACH(type, value)                                    \
    type result;                                               \
    for (int i = 0; i < T_LANES; i++) result.at[i] = (value);  \
    return result

V_INLINE v_int  v_load(const int32_t *at) { V_EACH(v_int, at[i]); }
V_INLINE v_real v_load_real(const float *at) { V_EACH(v_real, at[i]); }
V_INLINE v_real v_spread(float x) { V_EACH(v_real, x); }
V_INLINE v_int  v_spread_int(int32_t x) { V_EACH(v_int, x); }
V_INLINE v_int  v_add(v_int a, v_int b) { V_EACH(v_int, (int32_t)((uint32_t)a.at[i] + (uint32_t)b.at[i])); }
V_INLINE v_int  v_subtract(v_int a, v_int b) { V_EACH(v_int, (int32_t)((uint32_t)a.at[i] - (uint32_t)b.at[i])); }
V_INLINE v_real v_convert(v_int a) { V_EACH(v_real, (float)a.at[i]); }
V_INLINE v_int  v_round(v_real a) { V_EACH(v_int, (int32_t)rintf(a.at[i])); }
V_INLINE v_real v_add_real(v_real a, v_real b) { V_EACH(v_real, a.at[i] + b.at[i]); }
V_INLINE v_real v_multiply(v_real a, v_real b) { V_EACH(v_real, a.at[i] * b.at[i]); }
V_INLINE v_real v_raise(v_real a, v_real lo) { V_EACH(v_real, a.at[i] > lo.at[i] ? a.at[i] : lo.at[i]); }
V_INLINE v_real v_lower(v_real a, v_real hi) { V_EACH(v_real, a.at[i] < hi.at[i] ? a.at[i] : hi.at[i]); }

V_INLINE v_int v_load_bytes(const uint8_t *at, uint32_t mask) { V_EACH(v_int, mask >> i & 1 ? at[i] : 0); }

V_INLINE void v_store_real(float *at, uint32_t mask, v_real a)
{
    for (int i = 0; i < T_LANES; i++)
        if (mask >> i & 1) memcpy(&at[i], &a.at[i], sizeof a.at[i]);
}

V_INLINE void v_store_int(int32_t *at, uint32_t mask, v_int a)
{
    for (int i = 0; i < T_LANES; i++)
        if (mask >> i & 1) memcpy(&at[i], &a.at[i], sizeof a.at[i]);
}

/* ---- two rows of 32 levels ---- */

typedef struct v_levels {
    int32_t at[2][2 * T_LANES]; /* a narrowed row is the first */
} v_levels;

V_INLINE int32_t v_within(int32_t a, int32_t lo, int32_t hi) { return a < lo ? lo : a > hi ? hi : a; }

V_INLINE v_levels v_narrow(v_int left, v_int right)
{
    v_levels result = { { { 0 } } };
    for (int i = 0; i < T_LANES; i++) {
        result.at[0][i] = v_within(left.at[i], INT16_MIN, INT16_MAX);
        result.at[0][T_LANES + i] = v_within(right.at[i], INT16_MIN, INT16_MAX);
    }
    return result;
}

V_INLINE v_levels v_shift(v_levels a, int32_t by)
{
    for (int i = 0; i < 2 * T_LANES; i++) a.at[0][i] = v_within(a.at[0][i] + by, INT16_MIN, INT16_MAX);
    return a;
}

V_INLINE v_levels v_pair(v_levels first, v_levels second)
{
    for (int i = 0; i < 2 * T_LANES; i++) {
        first.at[0][i] = v_within(first.at[0][i], 0, UINT8_MAX);
        first.at[1][i] = v_within(second.at[0][i], 0, UINT8_MAX);
    }
    return first;
}

V_INLINE v_levels v_bound(v_levels a, int32_t lo, int32_t hi)
{
    for (int i = 0; i < 2 * T_LANES; i++)
        for (int r = 0; r < 2; r++) a.at[r][i] = v_within(a.at[r][i], lo, hi);
    return a;
}

V_INLINE void v_store_row(uint8_t *at, uint32_t mask, const int32_t *levels)
{
    for (int i = 0; i < 2 * T_LANES; i++)
        if (mask >> i & 1) at[i] = (uint8_t)levels[i];
}

V_INLINE void v_store_first(uint8_t *at, uint32_t mask, v_levels a) { v_store_row(at, mask, a.at[0]); }
V_INLINE void v_store_second(uint8_t *at, uint32_t mask, v_levels a) { v_store_row(at, mask, a.at[1]); }

#endif
