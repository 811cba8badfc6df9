/* SPDX-License-Identifier: Apache-2.0 */
/* Element by element, a vector of bytes at a time, widened and narrowed in the order of quads (see their header). */
#include "kernels/simd/quads.h"

enum { BLOCK = 4 * V_LANES };

/* Vectors of n bytes: the part that begins at byte i. */
V_INLINE v_part part_from(size_t i, size_t n) { return v_part_of(n - i < BLOCK ? n - i : BLOCK); }

/* From t to levels. Clamping before rounding changes nothing but keeps the conversion in range; where |t| < 2^30 for
   sure it can be left out. */
typedef struct rounding {
    v_bounds bounds;
    float    lo, hi; /* less the zero point */
    bool     tame;
} rounding;

/* most: no |t| can be larger. */
V_INLINE rounding rounding_of(const octet_to_levels *to, float most)
{
    return (rounding){ .bounds = v_bounds_of(to),
                       .lo = (float)(to->lo - to->zero_point),
                       .hi = (float)(to->hi - to->zero_point),
                       .tame = most < 0x1p30f };
}

V_INLINE v_bytes round_levels(const v_float t[4], const rounding *to)
{
    v_int q[4];
    V_UNROLL
    for (int v = 0; v < 4; v++) q[v] = v_round(to->tame ? t[v] : v_clamp(t[v], to->lo, to->hi));
    return v_quad_narrow(q, &to->bounds);
}

/* q - zero, exactly. */
V_INLINE void widen(v_float to[4], v_bytes q, int32_t zero)
{
    const v_bytes none = v_zero_bytes();
    v_int         levels[4];
    v_interleave(levels, q, none, none, none);
    V_UNROLL
    for (int v = 0; v < 4; v++) to[v] = v_add(v_to_float(levels[v]), v_set(-(float)zero));
}

static float magnitude(float x) { return x < 0 ? -x : x; }

static void add(uint8_t *y, const uint8_t *a, const uint8_t *b, size_t n, const octet_add_levels *rule)
{
    const octet_add_levels r = *rule;
    const rounding         to = rounding_of(&r.to, 256 * (magnitude(r.a_multiplier) + magnitude(r.b_multiplier)));
    for (size_t i = 0; i < n; i += BLOCK) {
        const v_part part = part_from(i, n);
        v_float      s[4], t[4];
        widen(s, v_part_load(a + i, part), r.a_zero);
        widen(t, v_part_load(b + i, part), r.b_zero);
        V_UNROLL
        for (int v = 0; v < 4; v++)
            t[v] = v_add(v_mul(s[v], v_set(r.a_multiplier)), v_mul(t[v], v_set(r.b_multiplier)));
        v_part_store(y + i, round_levels(t, &to), part);
    }
}

/* The product of two differences is below 2^17 and so exact in float. */
static void mul(uint8_t *y, const uint8_t *a, const uint8_t *b, size_t n, const octet_mul_levels *rule)
{
    const octet_mul_levels r = *rule;
    const rounding         to = rounding_of(&r.to, 0x1p17f * magnitude(r.multiplier));
    for (size_t i = 0; i < n; i += BLOCK) {
        const v_part part = part_from(i, n);
        v_float      s[4], t[4];
        widen(s, v_part_load(a + i, part), r.a_zero);
        widen(t, v_part_load(b + i, part), r.b_zero);
        V_UNROLL
        for (int v = 0; v < 4; v++) t[v] = v_mul(v_mul(s[v], t[v]), v_set(r.multiplier));
        v_part_store(y + i, round_levels(t, &to), part);
    }
}

static void rescale(uint8_t *y, const uint8_t *q, size_t n, const octet_rescale_levels *rule)
{
    const octet_rescale_levels r = *rule;
    const rounding             to = rounding_of(&r.to, 256 * magnitude(r.multiplier));
    for (size_t i = 0; i < n; i += BLOCK) {
        const v_part part = part_from(i, n);
        v_float      t[4];
        widen(t, v_part_load(q + i, part), r.zero);
        V_UNROLL
        for (int v = 0; v < 4; v++) t[v] = v_mul(t[v], v_set(r.multiplier));
        v_part_store(y + i, round_levels(t, &to), part);
    }
}

static void clamp(uint8_t *y, const uint8_t *q, size_t n, uint8_t lo, uint8_t hi)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t raised = q[i] > lo ? q[i] : lo;
        y[i] = raised < hi ? raised : hi;
    }
}

static void look_up(uint8_t *y, const uint8_t *q, size_t n, const uint8_t table[256])
{
    const v_table prepared = v_table_of(table);
    for (size_t i = 0; i < n; i += BLOCK) {
        const v_part part = part_from(i, n);
        v_part_store(y + i, v_look_up(v_part_load(q + i, part), &prepared), part);
    }
}

/* ---- choosing channels ---- */

typedef enum choice { TOGETHER, EVERY_SECOND, TWO_HALVES, ANY } choice;

/* What the common choices are: a part of the channels, every second one, two parts by turns (a shuffle of 2 groups). */
static choice choice_of(const int32_t *from, size_t n)
{
    bool together = true, second = true, halves = true;
    for (size_t i = 1; i < n; i++) {
        together = together && from[i] == from[i - 1] + 1;
        second = second && from[i] == from[i - 1] + 2;
        halves = halves && (i < 2 || from[i] == from[i - 2] + 1);
    }
    return together ? TOGETHER : second ? EVERY_SECOND : halves ? TWO_HALVES : ANY;
}

/* The first or second byte of each of PAIRS pairs. */
enum { PAIRS = 8 };

static inline void first_of_pairs(uint8_t *y, const uint8_t *q)
{
    uint16_t pairs[PAIRS];
    uint8_t  bytes[PAIRS];
    memcpy(pairs, q, sizeof pairs);
    for (int i = 0; i < PAIRS; i++) bytes[i] = (uint8_t)pairs[i];
    memcpy(y, bytes, sizeof bytes);
}

static inline void second_of_pairs(uint8_t *y, const uint8_t *q)
{
    uint16_t pairs[PAIRS];
    uint8_t  bytes[PAIRS];
    memcpy(pairs, q, sizeof pairs);
    for (int i = 0; i < PAIRS; i++) bytes[i] = (uint8_t)(pairs[i] >> 8);
    memcpy(y, bytes, sizeof bytes);
}

/* The last byte may be the last one that can be read: the last group takes second bytes of pairs that begin one byte
   earlier. */
static void take_second(uint8_t *restrict y, const uint8_t *restrict q, size_t n)
{
    size_t i = 0;
    for (; i + PAIRS < n; i += PAIRS) first_of_pairs(y + i, q + 2 * i);
    if (n > PAIRS) second_of_pairs(y + n - PAIRS, q + 2 * (n - PAIRS) - 1);
    else
        for (; i < n; i++) y[i] = q[2 * i];
}

static void take_halves(uint8_t *restrict y, const uint8_t *restrict a, const uint8_t *restrict b, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        y[2 * i] = a[i];
        y[2 * i + 1] = b[i];
    }
    if (n % 2) y[n - 1] = a[n / 2];
}

static void take_any(uint8_t *restrict y, const uint8_t *restrict q, const int32_t *restrict from, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = q[from[i]];
}

static void select_channels(uint8_t *y, const uint8_t *q, const octet_select *how)
{
    const int32_t *const from = how->from;
    const size_t         n    = how->n;
    const choice         what = choice_of(from, n);
    for (size_t p = 0; p < how->pixels; p++, y += how->y_pixel, q += how->q_pixel) switch (what) {
        case TOGETHER: memcpy(y, q + from[0], n); break;
        case EVERY_SECOND: take_second(y, q + from[0], n); break;
        case TWO_HALVES: take_halves(y, q + from[0], q + from[1], n); break;
        case ANY: take_any(y, q, from, n); break;
        }
}

/* ---- windows ---- */

static void max(uint8_t *y, const octet_window_view *window, size_t n)
{
    const octet_window_view w = *window;
    for (size_t i = 0; i < n; i += BLOCK) {
        const v_part   part = part_from(i, n);
        const uint8_t *row = w.first + i;
        v_bytes        most = v_zero_bytes();
        for (size_t down = 0; down < w.rows; down++, row += w.row)
            for (size_t right = 0; right < w.columns; right++)
                most = v_larger(most, v_part_load(row + right * w.column, part));
        v_part_store(y + i, most, part);
    }
}

/* Walks over the pixels of a window. */
typedef struct walk {
    const uint8_t *row;
    size_t         right, left; /* pixels before the next one in its row; pixels left */
} walk;

/* The next pixel's bytes, or nothing. */
V_INLINE v_bytes next_pixel(walk *at, const octet_window_view *window, v_part part)
{
    if (at->left == 0) return v_zero_bytes();
    const v_bytes q = v_part_load(at->row + at->right * window->column, part);
    at->left--;
    if (++at->right == window->columns) {
        at->right = 0;
        at->row += window->row;
    }
    return q;
}

/* Sums of a window: four pixels side by side, times one. */
V_INLINE void sum_window(v_int sum[4], const octet_window_view *window, size_t first, v_part part,
                         const v_quad_weights *ones)
{
    walk at = { .row = window->first + first, .left = window->rows * window->columns };
    while (at.left > 0) {
        v_bytes q[4];
        v_int   four[4];
        V_UNROLL
        for (int k = 0; k < 4; k++) q[k] = next_pixel(&at, window, part);
        v_interleave(four, q[0], q[1], q[2], q[3]);
        V_UNROLL
        for (int v = 0; v < 4; v++) sum[v] = v_quad_dot(sum[v], v_quads_of(four[v]), ones);
    }
}

static void mean(uint8_t *y, const octet_window_view *window, size_t n, const octet_rescale_levels *rule)
{
    const octet_window_view w = *window;
    const size_t            count = w.rows * w.columns;
    const float             m = rule->multiplier;
    const rounding          to = rounding_of(&rule->to, (float)count * 256 * magnitude(m));
    _Alignas(64) v_quad_weights ones;
    _Alignas(64) int32_t        start[V_LANES]; /* takes off what the bytes, absent ones included, have too much */
    for (size_t lane = 0; lane < V_LANES; lane++) {
        start[lane] = (int32_t)((count + 3) / 4 * 4) * V_WEIGHT_SHIFT - (int32_t)count * rule->zero;
        for (size_t k = 0; k < 4; k++) v_quad_put(&ones, lane, k, 1);
    }
    for (size_t i = 0; i < n; i += BLOCK) {
        const v_part part = part_from(i, n);
        const v_int  zero = v_load(start);
        v_int        sum[4] = { zero, zero, zero, zero };
        v_float      t[4];
        sum_window(sum, &w, i, part, &ones);
        V_UNROLL
        for (int v = 0; v < 4; v++) t[v] = v_mul(v_to_float(sum[v]), v_set(m));
        v_part_store(y + i, round_levels(t, &to), part);
    }
}

extern const octet_element_kernel V_NAME(octet_element);
const octet_element_kernel        V_NAME(octet_element) = {
    .add = add,
    .mul = mul,
    .rescale = rescale,
    .clamp = clamp,
    .look_up = look_up,
    .select = select_channels,
    .max = max,
    .mean = mean,
};
