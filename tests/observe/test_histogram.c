/* SPDX-License-Identifier: Apache-2.0 */
/* Every value must lie in the bin that counts it; bins must be disjoint, in order and narrow. */
#include "observe/histogram.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static octet_histogram histogram;

static void start(void) { memset(&histogram, 0, sizeof histogram); }

static void a_value_lies_in_its_bin(void **unused)
{
    (void)unused;
    const float values[] = { 0.0f, -0.0f, 1.0f, -1.0f, 0.1f, -3.75f, FLT_MAX, -FLT_MAX, FLT_MIN, 1e-40f, -1e-42f,
                             255.0f, 6.0f, 0.99999994f, 1.0000001f };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        start();
        octet_histogram_observe(&histogram, &values[i], 1);
        octet_bin bin;
        size_t at = 0;
        assert_true(octet_histogram_next(&bin, &at, &histogram));
        assert_int_equal(bin.count, 1);
        const double x = (double)values[i];
        assert_true(bin.lo <= x && x <= bin.hi);
        if (fabs(x) >= (double)FLT_MIN) assert_true(bin.hi - bin.lo <= fabs(x) / 64);
        assert_false(octet_histogram_next(&bin, &at, &histogram));
    }
}

static void bins_are_in_order_and_cover_the_line(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < OCTET_HISTOGRAM_BINS; i++) histogram.counts[i] = 1;
    octet_bin bin, before = { .hi = -0x1p128 };
    size_t bins = 0;
    for (size_t at = 0; octet_histogram_next(&bin, &at, &histogram); bins++) {
        assert_true(bin.lo < bin.hi);
        assert_true(bin.lo == before.hi);
        before = bin;
    }
    assert_true(before.hi == 0x1p128);
    assert_int_equal(bins, 2 * OCTET_HISTOGRAM_HALF);
}

static void order_and_batches_do_not_matter(void **unused)
{
    (void)unused;
    enum { COUNT = 1003 };
    static octet_histogram other;
    memset(&other, 0, sizeof other);
    float x[COUNT];
    for (int i = 0; i < COUNT; i++) x[i] = i % 3 ? 0 : (float)(i - 500) * 0.01f;
    start();
    octet_histogram_observe(&histogram, x, COUNT);
    for (int i = COUNT - 1; i >= 0; i--) octet_histogram_observe(&other, &x[i], 1);
    assert_memory_equal(&histogram, &other, sizeof other);
    uint64_t total = 0;
    for (size_t i = 0; i < OCTET_HISTOGRAM_BINS; i++) total += other.counts[i];
    assert_int_equal(total, COUNT);
}

static void what_is_not_finite_is_in_no_bin(void **unused)
{
    (void)unused;
    const float x[] = { INFINITY, -INFINITY, NAN, -NAN };
    start();
    octet_histogram_observe(&histogram, x, 4);
    octet_bin bin;
    size_t at = 0;
    assert_false(octet_histogram_next(&bin, &at, &histogram));
}

/* Printed, not asserted: machines differ. */
static void speed(void **unused)
{
    (void)unused;
    enum { COUNT = 1 << 20 };
    float *x = malloc(COUNT * sizeof *x);
    assert_non_null(x);
    uint32_t state = 1;
    for (int relu = 0; relu < 2; relu++) {
        for (size_t i = 0; i < COUNT; i++) {
            float sum = 0;
            for (int k = 0; k < 4; k++) sum += (float)((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-24f - 0.5f;
            x[i] = relu && sum < 0 ? 0 : sum;
        }
        double best = INFINITY;
        for (int round = 0; round < 5; round++) {
            struct timespec before, after;
            clock_gettime(CLOCK_MONOTONIC, &before);
            octet_histogram_observe(&histogram, x, COUNT);
            clock_gettime(CLOCK_MONOTONIC, &after);
            best = fmin(best, (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec));
        }
        printf("histogram, %s: %.2f ns a value\n", relu ? "after Relu" : "two-sided", best / COUNT * 1e9);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_lies_in_its_bin),
        cmocka_unit_test(bins_are_in_order_and_cover_the_line),
        cmocka_unit_test(order_and_batches_do_not_matter),
        cmocka_unit_test(what_is_not_finite_is_in_no_bin),
        cmocka_unit_test(speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
