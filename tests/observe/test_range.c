/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges against a plain loop, at every alignment of the block, with and without values that are not finite. */
#include "observe/observer.h"
#include "observe/range.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static float value_at(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)((double)(int32_t)*state * 0x1p-28);
}

static void plain(octet_range *range, size_t *rejected, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(x[i])) {
            ++*rejected;
            continue;
        }
        if (!range->seen || x[i] < range->min) range->min = x[i];
        if (!range->seen || x[i] > range->max) range->max = x[i];
        range->seen = true;
    }
}

static void agrees_with_plain_loop(void **unused)
{
    (void)unused;
    enum { MOST = 3000 };
    float *x = malloc(MOST * sizeof *x);
    assert_non_null(x);
    uint32_t state = 7;
    for (size_t count = 0; count < MOST; count += count < 70 ? 1 : 487)
        for (int kind = 0; kind < 4; kind++) {
            for (size_t i = 0; i < count; i++) x[i] = value_at(&state);
            if (kind == 1 && count) x[state % count] = INFINITY;
            if (kind == 2 && count) x[state % count] = NAN;
            if (kind == 3)
                for (size_t i = 0; i < count; i++) x[i] = -NAN;
            octet_range got = { 0 }, want = { 0 };
            size_t rejected = 0;
            plain(&want, &rejected, x, count);
            assert_int_equal(octet_range_observe(&got, x, count), rejected);
            assert_int_equal(got.seen, want.seen);
            if (want.seen) assert_true(got.min == want.min && got.max == want.max);
        }
    free(x);
}

static void channels_are_rows_of_any_axis(void **unused)
{
    (void)unused;
    const float x[] = { 1, -2, 3, 4, 5, 6, -7, 8, 9, 10, 11, 12 }; /* [2, 3, 2] */
    octet_range ranges[3] = { { 0 } };
    assert_int_equal(octet_range_observe_channels(ranges, x, 2, 3, 2), 0);
    assert_true(ranges[0].min == -7 && ranges[0].max == 8);
    assert_true(ranges[1].min == 3 && ranges[1].max == 10);
    assert_true(ranges[2].min == 5 && ranges[2].max == 12);
}

/* Every layout against the plain loop over each channel, with values that are not finite. */
static void channels_agree_with_plain_loop(void **unused)
{
    (void)unused;
    enum { OUTER = 5, MOST_CHANNELS = 130, MOST = OUTER * MOST_CHANNELS * 3 };
    static const size_t channels[] = { 1, 2, 63, 64, 65, 130 };
    static float x[MOST], row[MOST];
    uint32_t state = 9;
    for (int n = 0; n < 36; n++) {
        const size_t count = channels[n % 6], inner = (size_t)(n / 6 % 3) + 1;
        octet_range got[MOST_CHANNELS] = { { 0 } };
        size_t rejected = 0;
        for (size_t i = 0; i < OUTER * count * inner; i++) x[i] = value_at(&state);
        for (size_t i = 0; n >= 18 && i < 20; i++) {
            const float values[] = { NAN, INFINITY, -INFINITY };
            state = state * 1664525u + 1013904223u;
            x[(state >> 8) % (OUTER * count * inner)] = values[i % 3];
        }
        for (size_t o = 0; n >= 18 && o < OUTER; o++) x[o * count * inner] = NAN;
        const size_t skipped = octet_range_observe_channels(got, x, OUTER, count, inner);
        for (size_t c = 0; c < count; c++) {
            octet_range want = { 0 };
            for (size_t o = 0, i = 0; o < OUTER; o++)
                for (size_t k = 0; k < inner; k++) row[i++] = x[(o * count + c) * inner + k];
            plain(&want, &rejected, row, OUTER * inner);
            assert_int_equal(got[c].seen, want.seen);
            if (want.seen) assert_true(got[c].min == want.min && got[c].max == want.max);
        }
        assert_int_equal(skipped, rejected);
    }
}

static void moving_average_by_hand(void **unused)
{
    (void)unused;
    octet_observer observer = { .averaging = 0.25f };
    const float first[] = { -1, 3 }, second[] = { -5, 1 };
    octet_observer_observe(&observer, first, 2);
    octet_observer_observe(&observer, second, 0);
    octet_observer_observe(&observer, second, 2);
    assert_true(observer.moving.min == -2 && observer.moving.max == 2.5f);
    assert_true(observer.range.min == -5 && observer.range.max == 3);
    assert_int_equal(observer.count, 4);
}

static void merging_equals_one_pass(void **unused)
{
    (void)unused;
    static octet_histogram left, right, whole;
    octet_observer a = { .histogram = &left }, b = { .histogram = &right }, all = { .histogram = &whole };
    float x[1000];
    uint32_t state = 3;
    for (size_t i = 0; i < 1000; i++) x[i] = value_at(&state);
    x[999] = NAN;
    octet_observer_observe(&a, x, 300);
    octet_observer_observe(&b, x + 300, 700);
    octet_observer_observe(&all, x, 1000);
    octet_observer_merge(&a, &b);
    assert_int_equal(a.count, 1000);
    assert_int_equal(a.rejected, 1);
    assert_true(a.range.min == all.range.min && a.range.max == all.range.max);
    assert_memory_equal(&left, &whole, sizeof whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_plain_loop),
        cmocka_unit_test(channels_are_rows_of_any_axis),
        cmocka_unit_test(channels_agree_with_plain_loop),
        cmocka_unit_test(moving_average_by_hand),
        cmocka_unit_test(merging_equals_one_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
