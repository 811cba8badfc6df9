/* SPDX-License-Identifier: Apache-2.0 */
/* Estimators against the data itself: percentiles against the sorted values, the searches against the error that
   really quantizing every value gives, on a dense grid of ranges. */
#include "observe/estimate.h"
#include "observe/qparams.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { COUNT = 4000 };

static octet_histogram histogram;
static float values[COUNT];

static float uniform(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) * 0x1p-24f;
}

enum shape { TWO_SIDED, RELU, RELU6, NEGATIVE, OUTLIER, SHAPES };

static void fill(enum shape shape)
{
    uint32_t state = 11;
    for (size_t i = 0; i < COUNT; i++) {
        float x = 0;
        for (int k = 0; k < 6; k++) x += uniform(&state) - 0.5f;
        x = x * x * x * 4 + x * 2;
        if (shape == RELU || shape == RELU6) x = fmaxf(x, 0);
        if (shape == RELU6) x = fminf(x, 2);
        if (shape == NEGATIVE) x = -fabsf(x);
        values[i] = x;
    }
    if (shape == OUTLIER) values[77] = 900;
}

static octet_observer observed(void)
{
    memset(&histogram, 0, sizeof histogram);
    octet_observer observer = { .histogram = &histogram };
    octet_observer_observe(&observer, values, COUNT);
    return observer;
}

static void percentile_keeps_that_share(void **unused)
{
    (void)unused;
    for (int shape = 0; shape < SHAPES; shape++)
        for (int step = 0; step < 3; step++) {
            const double percent = (const double[]){ 99.9, 99, 90 }[step];
            fill((enum shape)shape);
            const octet_observer observer = observed();
            octet_range got;
            const octet_estimate want = { .percentile = percent };
            assert_int_equal(octet_estimate_percentile(&got, &observer, &want, NULL), OCTET_OK);
            const bool both = observer.range.min < 0 && observer.range.max > 0;
            const double cut = COUNT * (1 - percent / 100) / (both ? 2 : 1);
            size_t below = 0, above = 0;
            for (size_t i = 0; i < COUNT; i++) {
                below += values[i] < got.min;
                above += values[i] > got.max;
            }
            if (observer.range.min < 0) assert_true(fabs((double)below - cut) <= 1 + 0.1 * cut);
            else assert_int_equal(below, 0);
            if (shape == RELU6) assert_true(got.max == 2 && above == 0);
            else if (observer.range.max > 0) assert_true(fabs((double)above - cut) <= 1 + 0.1 * cut);
            else assert_int_equal(above, 0);
        }
}

/* The mean error of quantizing every value with octet's own levels. */
static double true_error(double lo, double hi, const octet_estimate *want, int power)
{
    octet_affine affine;
    const octet_range range = { .seen = true, .min = (float)lo, .max = (float)hi };
    if (!octet_qparams_from_range(&affine, range, want->qmin, want->qmax, want->symmetric)) return INFINITY;
    double sum = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const double t = fmin(fmax(rint((double)values[i] / (double)affine.scale) + affine.zero_point, want->qmin),
                              want->qmax);
        const double off = fabs((double)values[i] - (t - affine.zero_point) * (double)affine.scale);
        sum += power == 2 ? off * off : off * off * off;
    }
    return sum / COUNT;
}

/* The least true error over a grid of both ends, each from its extreme to a thousandth of it, or 0. */
static double grid_error(octet_range seen, const octet_estimate *want, int power)
{
    const double lowest = fmin((double)seen.min, 0), highest = fmax((double)seen.max, 0);
    double best = INFINITY;
    for (double f = 1; f > 1e-3; f *= 0.9)
        for (double g = 1; g > 1e-3; g *= 0.9) {
            best = fmin(best, true_error(lowest * f, highest * g, want, power));
            if (highest == 0) break;
        }
    return best;
}

/* 1 %: the search takes values as evenly spread within their bin, and a bin of the tail holds only a few. */
static void search_is_as_good_as_a_grid(void **unused)
{
    (void)unused;
    static const octet_estimate wants[] = { { .qmin = 0, .qmax = 255 },
                                            { .qmin = -127, .qmax = 127, .symmetric = true },
                                            { .qmin = -8, .qmax = 7 } };
    for (int shape = 0; shape < SHAPES; shape++)
        for (size_t w = 0; w < sizeof wants / sizeof *wants; w++)
            for (int power = 2; power <= 3; power++) {
                fill((enum shape)shape);
                const octet_observer observer = observed();
                octet_range got;
                const octet_estimator *const how = octet_estimator_find(power == 2 ? "mse" : "l3");
                assert_int_equal(how->read(&got, &observer, &wants[w], NULL), OCTET_OK);
                const double error = true_error((double)got.min, (double)got.max, &wants[w], power);
                assert_true(error <= grid_error(observer.range, &wants[w], power) * 1.01);
            }
}

static void one_sided_data_keeps_zero_as_its_end(void **unused)
{
    (void)unused;
    octet_range got;
    fill(RELU6);
    octet_observer observer = observed();
    const octet_estimate want = { .qmax = 255 };
    assert_int_equal(octet_estimate_mse(&got, &observer, &want, NULL), OCTET_OK);
    assert_true(got.min == 0 && got.max <= 2 && got.max > 1.9f);
    fill(NEGATIVE);
    observer = observed();
    assert_int_equal(octet_estimate_l3(&got, &observer, &want, NULL), OCTET_OK);
    assert_true(got.max == 0 && got.min >= observer.range.min);
}

static void nothing_seen_stays_nothing(void **unused)
{
    (void)unused;
    memset(&histogram, 0, sizeof histogram);
    static octet_torch_histogram torch;
    const octet_observer observer = { .histogram = &histogram, .torch = &torch };
    for (size_t i = 0; octet_estimator_at(i); i++) {
        octet_range got = { .seen = true };
        const octet_estimate want = { .qmax = 255 };
        assert_int_equal(octet_estimator_at(i)->read(&got, &observer, &want, NULL), OCTET_OK);
        assert_false(got.seen);
        assert_ptr_equal(octet_estimator_find(octet_estimator_at(i)->name), octet_estimator_at(i));
    }
    assert_null(octet_estimator_find("nonsense"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentile_keeps_that_share),
        cmocka_unit_test(search_is_as_good_as_a_grid),
        cmocka_unit_test(one_sided_data_keeps_zero_as_its_end),
        cmocka_unit_test(nothing_seen_stays_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
