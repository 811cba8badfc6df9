/* SPDX-License-Identifier: Apache-2.0 */
/* Element by element, in plain loops that compilers turn into vectors of whatever width the set has. */
#include "kernels/kernels.h"

#include <string.h>

#include OCTET_SIMD

/* clamp(rne(t) + zero_point), with the bounds less zero_point as floats. Clamping first changes nothing and keeps the
   sum exact: adding 1.5 * 2^23 rounds to an integer, ties to even, in the last bits. NaN becomes lo. */
typedef struct rounding {
    float   lo, hi;
    int32_t shift;
} rounding;

static inline rounding rounding_of(const octet_to_levels *to)
{
    return (rounding){ .lo = (float)(to->lo - to->zero_point),
                       .hi = (float)(to->hi - to->zero_point),
                       .shift = to->zero_point - 0x4b400000 };
}

static inline uint8_t round_level(float t, rounding to)
{
    const float raised = t > to.lo ? t : to.lo;
    const float sum = (raised < to.hi ? raised : to.hi) + 12582912.0f;
    int32_t     bits;
    memcpy(&bits, &sum, sizeof bits);
    return (uint8_t)(bits + to.shift);
}

static void add(uint8_t *y, const uint8_t *a, const uint8_t *b, size_t n, const octet_add_levels *rule)
{
    const rounding to = rounding_of(&rule->to);
    const int32_t  az = rule->a_zero, bz = rule->b_zero;
    const float    am = rule->a_multiplier, bm = rule->b_multiplier;
    for (size_t i = 0; i < n; i++) y[i] = round_level((float)(a[i] - az) * am + (float)(b[i] - bz) * bm, to);
}

static void mul(uint8_t *y, const uint8_t *a, const uint8_t *b, size_t n, const octet_mul_levels *rule)
{
    const rounding to = rounding_of(&rule->to);
    const int32_t  az = rule->a_zero, bz = rule->b_zero;
    const float    m = rule->multiplier;
    for (size_t i = 0; i < n; i++) y[i] = round_level((float)((a[i] - az) * (b[i] - bz)) * m, to);
}

static void rescale(uint8_t *y, const uint8_t *q, size_t n, const octet_rescale_levels *rule)
{
    const rounding to = rounding_of(&rule->to);
    const int32_t  zero = rule->zero;
    const float    m = rule->multiplier;
    for (size_t i = 0; i < n; i++) y[i] = round_level((float)(q[i] - zero) * m, to);
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
    for (size_t i = 0; i < n; i++) y[i] = table[q[i]];
}

static void select_channels(uint8_t *y, size_t y_pixel, const uint8_t *q, size_t q_pixel, size_t pixels,
                            const int32_t *from, size_t n)
{
    for (size_t p = 0; p < pixels; p++, y += y_pixel, q += q_pixel)
        for (size_t i = 0; i < n; i++) y[i] = q[from[i]];
}

static void max(uint8_t *y, const octet_window_view *window, size_t n)
{
    memcpy(y, window->first, n);
    for (size_t i = 0; i < window->rows; i++)
        for (size_t j = 0; j < window->columns; j++) {
            const uint8_t *const q = window->first + i * window->row + j * window->column;
            for (size_t c = 0; c < n; c++) y[c] = q[c] > y[c] ? q[c] : y[c];
        }
}

enum { MEAN_BLOCK = 256 };

static void sum_window(int32_t sum[MEAN_BLOCK], const octet_window_view *window, size_t first, size_t n)
{
    memset(sum, 0, MEAN_BLOCK * sizeof *sum);
    for (size_t i = 0; i < window->rows; i++)
        for (size_t j = 0; j < window->columns; j++) {
            const uint8_t *const q = window->first + i * window->row + j * window->column + first;
            for (size_t c = 0; c < n; c++) sum[c] += q[c];
        }
}

static void mean(uint8_t *y, const octet_window_view *window, size_t n, const octet_rescale_levels *rule)
{
    const rounding to = rounding_of(&rule->to);
    const int32_t  zero = (int32_t)(window->rows * window->columns) * rule->zero;
    for (size_t first = 0; first < n; first += MEAN_BLOCK) {
        const size_t count = n - first < MEAN_BLOCK ? n - first : MEAN_BLOCK;
        int32_t      sum[MEAN_BLOCK];
        sum_window(sum, window, first, count);
        for (size_t c = 0; c < count; c++) y[first + c] = round_level((float)(sum[c] - zero) * rule->multiplier, to);
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
