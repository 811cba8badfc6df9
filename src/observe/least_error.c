/* SPDX-License-Identifier: Apache-2.0 */
/* A search over scales. Sums are in double, in lanes of a fixed number: the same bits everywhere. */
#include "observe/least_error.h"

#include <math.h>

enum { LANES = 4, SHARES = 64, COARSE = 4, LEAST_SHARE = 12, FITS = 3 };

typedef struct search {
    const float *x;
    size_t       n;
    int32_t      qmin, qmax;
    bool         symmetric;
    octet_range  seen;
    octet_affine best;
    double       error; /* of best */
} search;

/* The level of x less the zero point, as a float: a number of at most 9 bits, rounded by adding 1.5 * 2^23. */
static inline float offset_level(float x, const octet_affine *a, float lowest, float highest)
{
    const float t = x / a->scale, raised = t > lowest ? t : lowest, clamped = raised < highest ? raised : highest;
    return (clamped + 0x1.8p23f) - 0x1.8p23f;
}

typedef struct sums {
    double error, product, square; /* of (x - level * scale)^2, x * level, level^2 */
} sums;

static sums measure(const search *s, const octet_affine *a)
{
    const float lowest = (float)(s->qmin - a->zero_point), highest = (float)(s->qmax - a->zero_point);
    double      error[LANES] = { 0 }, product[LANES] = { 0 }, square[LANES] = { 0 };
    for (size_t i = 0; i < s->n; i++) {
        const float  level = offset_level(s->x[i], a, lowest, highest);
        const double left = (double)s->x[i] - (double)level * (double)a->scale;
        if (!isfinite(s->x[i])) continue;
        error[i % LANES] += left * left;
        product[i % LANES] += (double)s->x[i] * (double)level;
        square[i % LANES] += (double)level * (double)level;
    }
    return (sums){ (error[0] + error[1]) + (error[2] + error[3]), (product[0] + product[1]) + (product[2] + product[3]),
                   (square[0] + square[1]) + (square[2] + square[3]) };
}

static void try_affine(search *s, octet_affine a)
{
    const sums got = measure(s, &a);
    if (!(got.error < s->error)) return;
    s->best  = a;
    s->error = got.error;
}

/* That share of both ends of the range. */
static void try_share(search *s, int share)
{
    const float       f     = (float)share / SHARES;
    const octet_range range = { s->seen.seen, s->seen.min * f, s->seen.max * f };
    octet_affine      a;
    if (octet_qparams_from_range(&a, range, s->qmin, s->qmax, s->symmetric)) try_affine(s, a);
}

octet_affine octet_least_error(const float *x, size_t n, int32_t qmin, int32_t qmax, bool symmetric)
{
    search s = { .x = x, .n = n, .qmin = qmin, .qmax = qmax, .symmetric = symmetric, .error = INFINITY };
    int    best = SHARES;
    octet_range_observe(&s.seen, x, n);
    if (!octet_qparams_from_range(&s.best, s.seen, qmin, qmax, symmetric)) return s.best;
    for (int share = SHARES; share >= LEAST_SHARE; share -= COARSE) {
        const double before = s.error;
        try_share(&s, share);
        if (s.error < before) best = share;
    }
    for (int share = best - COARSE + 1; share < best + COARSE; share++)
        if (share != best) try_share(&s, share);
    for (int i = 0; i < FITS; i++) { /* the scale that is best for these levels gives other levels, maybe */
        const sums   got = measure(&s, &s.best);
        const float  fit = (float)(got.product / got.square);
        if (got.square > 0 && isnormal(fit) && fit > 0) try_affine(&s, (octet_affine){ fit, s.best.zero_point });
    }
    return s.best;
}
