/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of series whose answers are worked out by hand. */
#include "support.h"

#include "measure/timing.h"

static const struct {
    const char *what;
    size_t      count;
    double      seconds[8];
    double      min, median, p99, mad;
    size_t      outliers;
} cases[] = {
    { "one run", 1, { 3 }, 3, 3, 3, 0, 0 },
    { "two runs: the mean of both", 2, { 5, 3 }, 3, 4, 5, 1, 0 },
    { "odd, unsorted", 5, { 9, 1, 5, 3, 4 }, 1, 4, 9, 1, 1 },       /* distances 3 1 0 1 5 */
    { "even, unsorted", 6, { 8, 1, 2, 6, 4, 3 }, 1, 3.5, 8, 2, 1 }, /* distances .5 .5 1.5 2.5 2.5 4.5 */
    { "twice the median is no outlier", 3, { 2, 2, 4 }, 2, 2, 4, 0, 0 },
    { "all equal", 4, { 7, 7, 7, 7 }, 7, 7, 7, 0, 0 },
};

static void known_series(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double seconds[8];
        memcpy(seconds, cases[i].seconds, sizeof seconds);
        const octet_timing t = octet_timing_of(seconds, cases[i].count);
        if (t.runs != cases[i].count || t.min != cases[i].min || t.median != cases[i].median ||
            t.p99 != cases[i].p99 || t.mad != cases[i].mad || t.outliers != cases[i].outliers)
            fail_msg("%s: min %g median %g p99 %g mad %g, %zu outliers", cases[i].what, t.min, t.median, t.p99, t.mad,
                     t.outliers);
    }
}

/* 1..n in any order: p99 is the number that 99 % do not exceed. */
static void percentile_of_long_series(void **state)
{
    static const struct {
        size_t count;
        double p99;
    } lengths[] = { { 99, 99 }, { 100, 99 }, { 101, 100 }, { 200, 198 }, { 1000, 990 } };
    static double seconds[1000];
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        const size_t count = lengths[i].count;
        for (size_t k = 0; k < count; k++) seconds[k] = (double)(k * 7 % count + 1); /* 7 divides no length */
        assert_true(octet_timing_of(seconds, count).p99 == lengths[i].p99);
    }
}

static void nothing_measured(void **state)
{
    (void)state;
    assert_true(octet_timing_of(NULL, 0).median == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_series),
        cmocka_unit_test(percentile_of_long_series),
        cmocka_unit_test(nothing_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
