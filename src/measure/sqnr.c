/* SPDX-License-Identifier: Apache-2.0 */
/* Sums in double, in a fixed number of lanes that are added in order: the same bits from vectors of any width. */
#include "measure/sqnr.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 4 };

/* The compiler's vectors, of a width that any machine has: it makes nothing good of wider ones. */
typedef float   floats __attribute__((vector_size(16)));
typedef int32_t masks __attribute__((vector_size(16)));
typedef float   half __attribute__((vector_size(8)));
typedef double  doubles __attribute__((vector_size(16)));

static inline doubles lower(floats x)
{
    half h;
    memcpy(&h, &x, sizeof h);
    return __builtin_convertvector(h, doubles);
}

static inline doubles upper(floats x)
{
    half h;
    memcpy(&h, (const char *)&x + sizeof h, sizeof h);
    return __builtin_convertvector(h, doubles);
}

static double in_order(doubles lo, doubles hi) { return ((lo[0] + lo[1]) + hi[0]) + hi[1]; }

/* Sums of whole vectors: signal r r, noise d d, cross r d (the measured vector's energy is |r|^2 + |d|^2 - 2 r d), and
   the bits of the largest |d|, which order as integers do. second: noise alone. */
typedef struct lanes {
    doubles signal[2], noise[2], cross[2], second[2];
    masks   most;
} lanes;

static inline void add_lanes(lanes *sum, floats r, floats m)
{
    const floats  d  = r - m;
    const doubles r0 = lower(r), r1 = upper(r), d0 = lower(d), d1 = upper(d);
    const masks   size = (masks)d & INT32_MAX, larger = size > sum->most;
    sum->signal[0] += r0 * r0;
    sum->signal[1] += r1 * r1;
    sum->noise[0] += d0 * d0;
    sum->noise[1] += d1 * d1;
    sum->cross[0] += r0 * d0;
    sum->cross[1] += r1 * d1;
    sum->most = (size & larger) | (sum->most & ~larger);
}

static inline void add_second(lanes *sum, floats r, floats m)
{
    const floats  d  = r - m;
    const doubles d0 = lower(d), d1 = upper(d);
    sum->second[0] += d0 * d0;
    sum->second[1] += d1 * d1;
}

/* n < LANES numbers, then zeros. */
static inline floats load(const float *x, size_t n)
{
    floats all = { 0 };
    if (n == LANES) memcpy(&all, x, sizeof all);
    else memcpy(&all, x, n * sizeof *x);
    return all;
}

static void take(octet_sqnr *to, const lanes *sum)
{
    const double signal = in_order(sum->signal[0], sum->signal[1]), noise = in_order(sum->noise[0], sum->noise[1]);
    const double cross  = in_order(sum->cross[0], sum->cross[1]);
    const floats most   = (floats)sum->most;
    octet_sqnr   all    = { signal, noise, signal + noise - 2 * cross, signal - cross, 0 };
    for (int k = 0; k < LANES; k++)
        if ((double)most[k] > all.max_abs) all.max_abs = (double)most[k];
    octet_sqnr_merge(to, &all);
}

void octet_sqnr_add(octet_sqnr *sqnr, const float *reference, const float *measured, size_t count)
{
    const size_t whole = count - count % LANES;
    lanes        sum   = { 0 };
    for (size_t i = 0; i < whole; i += LANES) add_lanes(&sum, load(reference + i, LANES), load(measured + i, LANES));
    add_lanes(&sum, load(reference + whole, count - whole), load(measured + whole, count - whole));
    take(sqnr, &sum);
}

void octet_sqnr_add_two(octet_sqnr *sqnr, octet_sqnr *noise, const float *reference, const float *const measured[2],
                        size_t count)
{
    const size_t       whole = count - count % LANES;
    const float *const a = measured[0], *const b = measured[1];
    lanes              sum = { 0 };
    for (size_t i = 0; i < whole; i += LANES) {
        const floats r = load(reference + i, LANES);
        add_lanes(&sum, r, load(a + i, LANES));
        add_second(&sum, r, load(b + i, LANES));
    }
    const floats r = load(reference + whole, count - whole);
    add_lanes(&sum, r, load(a + whole, count - whole));
    add_second(&sum, r, load(b + whole, count - whole));
    take(sqnr, &sum);
    noise->signal += in_order(sum.signal[0], sum.signal[1]);
    noise->noise += in_order(sum.second[0], sum.second[1]);
}

void octet_sqnr_merge(octet_sqnr *into, const octet_sqnr *from)
{
    into->signal += from->signal;
    into->noise += from->noise;
    into->other += from->other;
    into->product += from->product;
    if (from->max_abs > into->max_abs) into->max_abs = from->max_abs;
}

double octet_sqnr_db(const octet_sqnr *sqnr)
{
    if (sqnr->noise == 0) return sqnr->signal > 0 ? INFINITY : NAN;
    return 10 * log10(sqnr->signal / sqnr->noise);
}

double octet_sqnr_cosine(const octet_sqnr *sqnr)
{
    const double norm = sqrt(sqnr->signal) * sqrt(sqnr->other);
    return norm > 0 ? sqnr->product / norm : NAN;
}
