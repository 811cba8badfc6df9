/* SPDX-License-Identifier: Apache-2.0 */
/* Entropy calibration against its definition, written down one bin at a time: P is what was seen, Q what levels make
   of it, and every number of kept bins is tried. */
#include "observe/estimate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { COUNT = 30000, BINS = 2048 };

static octet_histogram histogram;
static float           values[COUNT];

static float uniform(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) * 0x1p-24f;
}

enum shape { EVEN, BELL, RELU, OUTLIERS, NEGATIVE, FEW, SHAPES };

static void fill(enum shape shape)
{
    uint32_t state = 77;
    for (int i = 0; i < COUNT; i++) {
        float x = 0;
        for (int k = 0; k < 12; k++) x += uniform(&state) - 0.5f;
        if (shape == EVEN) x = uniform(&state) * 2 - 1;
        if (shape == RELU) x = fmaxf(x, 0);
        if (shape == NEGATIVE) x = -fabsf(x);
        if (shape == FEW) x = (float)(i % 3);
        values[i] = x;
    }
    if (shape == OUTLIERS) values[5] = 40, values[6] = -38;
}

/* Octet's bins spread over equal ones: how much of [lo, hi] lies in bin i. */
static double share(double lo, double hi, int i, double width)
{
    const double from = fmax(lo, i * width), to = i == BINS - 1 ? hi : fmin(hi, (i + 1) * width);
    if (lo == hi) return (int)fmin(lo / width, BINS - 1) == i;
    return fmax(to - from, 0) / (hi - lo);
}

static void slow_bins(double *bins, const octet_observer *observer, double width)
{
    octet_bin bin;
    memset(bins, 0, BINS * sizeof *bins);
    for (size_t at = 0; octet_histogram_next(&bin, &at, observer->histogram);) {
        if (bin.lo == 0 || bin.hi == 0) continue;
        const octet_bin held = octet_bin_cut(bin, observer->range);
        const double    lo = fmin(fabs(held.lo), fabs(held.hi)), hi = fmax(fabs(held.lo), fabs(held.hi));
        for (int i = 0; i < BINS; i++) bins[i] += (double)held.count * share(lo, hi, i, width);
    }
}

static double slow_divergence(const double *bins, int kept, int levels)
{
    double p[BINS], q[BINS], held[256] = { 0 }, of_p = 0, of_q = 0, sum = 0;
    int    some[256] = { 0 };
    for (int i = 0; i < kept; i++) p[i] = bins[i];
    for (int i = kept; i < BINS; i++) p[kept - 1] += bins[i];
    for (int j = 0; j < kept; j++) held[j * levels / kept] += bins[j], some[j * levels / kept] += p[j] > 0;
    for (int j = 0; j < kept; j++) q[j] = p[j] > 0 ? held[j * levels / kept] / some[j * levels / kept] : 0;
    for (int i = 0; i < kept; i++) of_p += p[i], of_q += q[i];
    for (int i = 0; i < kept; i++)
        if (p[i] > 0) sum += q[i] > 0 ? p[i] / of_p * log((p[i] / of_p) / (q[i] / of_q)) : INFINITY;
    return sum;
}

static void the_least_divergence_is_found(void **unused)
{
    (void)unused;
    for (int k = 0; k < 2 * SHAPES; k++) {
        double bins[BINS], best = INFINITY;
        memset(&histogram, 0, sizeof histogram);
        fill((enum shape)(k / 2));
        octet_observer observer = { .histogram = &histogram };
        octet_observer_observe(&observer, values, COUNT);
        const octet_estimate want  = { .qmin = k % 2 ? -128 : 0, .qmax = k % 2 ? 127 : 255, .symmetric = k % 2 };
        const octet_range    seen  = observer.range;
        const double         most  = fmax(-(double)seen.min, (double)seen.max), width = most / BINS;
        const int            levels = k % 2 || (seen.min < 0 && seen.max > 0) ? 128 : 256;
        octet_range          got;
        assert_int_equal(octet_estimate_entropy(&got, &observer, &want, NULL), OCTET_OK);
        const double end = fmax(-(double)got.min, (double)got.max);
        const int    kept = (int)lrint(end / width);
        assert_true(fabs(kept * width - end) <= 1e-6 * end);
        assert_true(got.min >= fminf(seen.min, 0) && got.max <= fmaxf(seen.max, 0));
        slow_bins(bins, &observer, width);
        for (int i = levels; i <= BINS; i++) best = fmin(best, slow_divergence(bins, i, levels));
        const double here = slow_divergence(bins, kept, levels);
        print_message("shape %d, %d levels: %g of %g kept, divergence %g, least %g\n", k / 2, levels, end, most, here,
                      best);
        assert_true(here <= best + 1e-9);
    }
}

static octet_range found(enum shape shape)
{
    octet_range got;
    memset(&histogram, 0, sizeof histogram);
    fill(shape);
    octet_observer observer = { .histogram = &histogram };
    octet_observer_observe(&observer, values, COUNT);
    assert_int_equal(octet_estimate_entropy(&got, &observer, &(octet_estimate){ .qmax = 255 }, NULL), OCTET_OK);
    return got;
}

static void outliers_are_cut_and_even_values_are_not(void **unused)
{
    (void)unused;
    const octet_range rare = found(OUTLIERS), even = found(EVEN), few = found(FEW);
    assert_true(rare.max < 8 && rare.max > 2);
    assert_true(rare.min == -rare.max);
    assert_true(even.max > 0.99f && even.min < -0.99f);
    assert_true(few.min == 0 && few.max == 2); /* of equally good ones the widest */
}

static void nothing_and_zeros_stay(void **unused)
{
    (void)unused;
    const octet_estimate want     = { .qmax = 255 };
    octet_observer       observer = { .histogram = &histogram };
    octet_range          got;
    memset(&histogram, 0, sizeof histogram);
    assert_int_equal(octet_estimate_entropy(&got, &observer, &want, NULL), OCTET_OK);
    assert_false(got.seen);
    octet_observer_observe(&observer, (const float[]){ 0, 0, 0 }, 3);
    assert_int_equal(octet_estimate_entropy(&got, &observer, &want, NULL), OCTET_OK);
    assert_true(got.seen && got.min == 0 && got.max == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_divergence_is_found),
        cmocka_unit_test(outliers_are_cut_and_even_values_are_not),
        cmocka_unit_test(nothing_and_zeros_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
