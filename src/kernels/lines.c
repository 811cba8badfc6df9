/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of sums or levels that lie together. Plain C in loops that compilers make vectors of; integer sums are exact in
   any order, and everything else is done for each element alone. */
#include OCTET_SIMD

#include <math.h>

/* 1.5 * 2^23: adding it rounds to an integer, ties to even, in the last bits. */
#define RAISED 12582912.0f

enum { BLOCK = 256 };

static size_t block_of(size_t i, size_t n) { return n - i < BLOCK ? n - i : BLOCK; }

/* clamp(rne(t) + zero_point): clamping first changes nothing but keeps rounding within RAISED's range; NaN is lo. */
static void round_block(uint8_t *restrict y, const float *restrict t, size_t n, const octet_to_levels *to)
{
    const float   lo = (float)(to->lo - to->zero_point), hi = (float)(to->hi - to->zero_point);
    const int32_t shift = to->zero_point - 0x4b400000;
    for (size_t i = 0; i < n; i++) {
        const float up = t[i] > lo ? t[i] : lo, sum = (up < hi ? up : hi) + RAISED;
        int32_t     bits;
        memcpy(&bits, &sum, sizeof bits);
        y[i] = (uint8_t)(bits + shift);
    }
}

/* ---- sums ---- */

static void scale_block(float *restrict t, const int32_t *restrict sums, const float *restrict multiplier, size_t n,
                        int32_t term)
{
    for (size_t i = 0; i < n; i++) t[i] = (float)(int32_t)((uint32_t)sums[i] + (uint32_t)term) * multiplier[i];
}

static void finish(uint8_t *y, const int32_t *sums, size_t n, const octet_sums_rule *rule)
{
    float t[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        scale_block(t, sums + i, rule->multiplier + i, block_of(i, n), rule->term);
        round_block(y + i, t, block_of(i, n), &rule->to);
    }
}

static void finish_real(float *y, const int32_t *sums, size_t n, const octet_sums_rule *rule)
{
    const float lo = rule->real_lo, hi = rule->real_hi;
    scale_block(y, sums, rule->multiplier, n, rule->term);
    for (size_t i = 0; i < n; i++) {
        const float up = y[i] > lo ? y[i] : lo;
        y[i] = up < hi ? up : hi;
    }
}

static int64_t sum(const uint8_t *x, size_t n)
{
    enum { FIT = 1 << 22 }; /* sums of as many bytes are below 2^31 */
    int64_t all = 0;
    for (size_t i = 0; i < n; i += FIT) {
        const size_t end = n - i < FIT ? n : i + FIT;
        int32_t      part = 0;
        for (size_t k = i; k < end; k++) part += x[k];
        all += part;
    }
    return all;
}

/* ---- normalization ---- */

/* Mean, in units of a level, and 1 / deviation. */
static void measure(double *mean, double *r, const uint8_t *x, size_t n, const octet_normal_rule *rule)
{
    enum { FIT = 1 << 14 }; /* as many squares of 255 are below 2^31 */
    int64_t all = 0, squares = 0;
    for (size_t i = 0; i < n; i += FIT) {
        const size_t end = n - i < FIT ? n : i + FIT;
        int32_t      part = 0, part_squares = 0;
        for (size_t k = i; k < end; k++) {
            const int32_t q = x[k] - rule->zero;
            part += q;
            part_squares += q * q;
        }
        all += part;
        squares += part_squares;
    }
    *mean = rule->centred ? (double)all / (double)n : 0;
    const double variance = ((double)squares / (double)n - *mean * *mean) * (rule->scale * rule->scale);
    *r = 1.0 / sqrt((variance > 0 ? variance : 0) + rule->epsilon);
}

static void normalize(uint8_t *y, const uint8_t *x, size_t n, const octet_normal_rule *rule)
{
    const double  scale = rule->scale;
    const int32_t zero = rule->zero;
    const float   unit = rule->unit;
    double        mean, r;
    float         t[BLOCK];
    measure(&mean, &r, x, n, rule);
    const double middle = mean * scale;
    for (size_t i = 0; i < n; i += BLOCK) {
        const double *const  gain = rule->gain + i, *const shift = rule->shift + i;
        const uint8_t *const q = x + i;
        for (size_t k = 0; k < block_of(i, n); k++)
            t[k] = (float)(((double)(q[k] - zero) * scale - middle) * r * gain[k] + shift[k]) / unit;
        round_block(y + i, t, block_of(i, n), &rule->to);
    }
}

/* ---- Softmax ---- */

/* What each level's distance from the largest says. Returns their sum. */
static int64_t look_up(int32_t *restrict entries, const uint8_t *restrict x, uint8_t most, size_t n,
                       const int32_t *restrict table)
{
    enum { FIT = 128 }; /* entries of at most 2^23 have sums below 2^31 */
    int64_t all = 0;
    for (size_t i = 0; i < n; i++) entries[i] = table[most - x[i]];
    for (size_t i = 0; i < n; i += FIT) {
        const size_t end = n - i < FIT ? n : i + FIT;
        int32_t      part = 0;
        for (size_t k = i; k < end; k++) part += entries[k];
        all += part;
    }
    return all;
}

/* A long line is looked up twice. */
static void soften(uint8_t *y, const uint8_t *x, size_t n, const octet_softmax_rule *rule)
{
    enum { ENTRIES = 512 };
    int32_t entries[ENTRIES];
    float   t[ENTRIES];
    uint8_t most = 0;
    int64_t all = 0;
    for (size_t i = 0; i < n; i++) most = x[i] > most ? x[i] : most;
    for (size_t i = 0; i < n; i += ENTRIES)
        all += look_up(entries, x + i, most, n - i < ENTRIES ? n - i : ENTRIES, rule->table);
    const float m = (float)(1.0 / ((double)all * rule->unit));
    for (size_t i = 0; i < n; i += ENTRIES) {
        const size_t some = n - i < ENTRIES ? n - i : ENTRIES;
        if (n > ENTRIES) look_up(entries, x + i, most, some, rule->table);
        for (size_t k = 0; k < some; k++) t[k] = (float)entries[k] * m;
        round_block(y + i, t, some, &rule->to);
    }
}

extern const octet_lines_kernel V_NAME(octet_lines);
const octet_lines_kernel        V_NAME(octet_lines) = {
    .finish = finish,
    .finish_real = finish_real,
    .sum = sum,
    .normalize = normalize,
    .soften = soften,
};
