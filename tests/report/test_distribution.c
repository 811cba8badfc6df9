/* SPDX-License-Identifier: Apache-2.0 */
/* Counts against counting by hand; bins against the numbers themselves. */
#include "../support.h"

#include "report/distribution.h"

enum { MANY = 20000 };

static octet_channel_shape flat(size_t count) { return (octet_channel_shape){ 1, 1, count }; }

static void shares_are_counted(void **unused)
{
    (void)unused;
    octet_arena *const arena  = octet_arena_new();
    const octet_range  chosen = { true, -1, 2 };
    const float        x[]    = { -1.3f, -1.2f, -1, 0, -0.0f, 1, 2, 2.24f, 2.26f, 9, NAN, INFINITY };
    octet_distribution d;
    MUST(octet_distribution_make(&d, arena, &chosen, 0.5, 0, &err));
    octet_distribution_add(&d, x, flat(12));
    octet_distribution_add(&d, x, flat(1));
    assert_int_equal(d.count, 13);
    assert_int_equal(d.rejected, 2);
    assert_int_equal(d.below, 2);
    assert_int_equal(d.above, 3); /* 2.26, 9, infinity */
    assert_true(d.seen.min == -1.3f && d.seen.max == 9);
    octet_arena_free(arena);
}

/* Every count in its place but for numbers whose histogram bin (1/64 of them wide) reaches over an edge. */
static void bins_hold_the_numbers(void **unused)
{
    (void)unused;
    static float x[MANY];
    const struct {
        float       lo, hi; /* of the numbers */
        octet_range chosen;
        double      first, last; /* of the bins */
    } cases[] = {
        { -3, 5, { false, 0, 0 }, -3, 5 },
        { 0, 5, { true, 0, 4 }, 0, 5 },
        { -100, 100, { true, -1, 1 }, -2, 2 },   /* half of the range's width on each side */
        { 2, 3, { true, 0, 10 }, 0, 10 },
        { -3, -2, { true, -2.5f, 0 }, -3, 0 },
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        octet_arena *const arena = octet_arena_new();
        random_state       random = { c };
        octet_distribution d;
        uint64_t           all = 0;
        MUST(octet_distribution_make(&d, arena, &cases[c].chosen, 0.01, 0, &err));
        for (int i = 0; i < MANY; i++) x[i] = random_float(&random, cases[c].lo, cases[c].hi);
        x[0] = cases[c].lo, x[1] = cases[c].hi, x[2] = x[3] = 0;
        octet_distribution_add(&d, x, flat(MANY));
        const octet_bins bins = octet_distribution_bins(&d);
        assert_true(bins.lo == cases[c].first && bins.hi == cases[c].last);
        for (int k = 0; k < OCTET_BINS; k++) {
            const double lo = bins.lo + (bins.hi - bins.lo) * k / OCTET_BINS;
            const double hi = bins.lo + (bins.hi - bins.lo) * (k + 1) / OCTET_BINS;
            int64_t      inside = 0, near = 0;
            for (int i = 0; i < MANY; i++) {
                inside += x[i] >= lo && (x[i] < hi || (k == OCTET_BINS - 1 && x[i] <= hi));
                near += fabs(x[i] - lo) < fabs(lo) / 64 || fabs(x[i] - hi) < fabs(hi) / 64;
            }
            all += bins.counts[k];
            assert_true(llabs((int64_t)bins.counts[k] - inside) <= near / 2 + 4 * (int64_t)sqrt((double)near) + 1);
        }
        assert_int_equal(all + bins.below + bins.above, MANY);
        octet_arena_free(arena);
    }
}

static void bins_of_few_numbers(void **unused)
{
    (void)unused;
    octet_arena *const arena  = octet_arena_new();
    const float        x[]    = { 0, 0, -0.0f };
    const octet_range  chosen = { true, 0, 1 };
    octet_distribution d;
    MUST(octet_distribution_make(&d, arena, NULL, 0, 0, &err));
    octet_bins bins = octet_distribution_bins(&d); /* nothing seen */
    assert_true(bins.lo < bins.hi);
    octet_distribution_add(&d, x, flat(3));
    bins = octet_distribution_bins(&d);
    assert_true(bins.lo < 0 && bins.hi > 0);
    assert_int_equal(bins.counts[OCTET_BINS / 2], 3);
    MUST(octet_distribution_make(&d, arena, &chosen, 0.1, 0, &err));
    octet_distribution_add(&d, x, flat(3));
    bins = octet_distribution_bins(&d);
    assert_int_equal(bins.counts[0], 3); /* also the negative zero */
    assert_int_equal(bins.below, 0);
    octet_arena_free(arena);
}

static void channels_are_told_apart(void **unused)
{
    (void)unused;
    octet_arena *const arena = octet_arena_new();
    /* [2, 5, 2]: reaches 1, 0, 3, 1e-6, 40 */
    const float        x[] = { 1, 0, 0, 0, -3, 1, 1e-6f, 0, 1, 1, 0, -1, 0, -0.0f, 1, 2, 0, 0, -40, 3 };
    octet_distribution d;
    double             room[5];
    MUST(octet_distribution_make(&d, arena, NULL, 0, 5, &err));
    octet_distribution_add(&d, x, (octet_channel_shape){ 2, 5, 2 });
    const double reach[] = { 1, 0, 3, (double)1e-6f, 40 };
    for (int c = 0; c < 5; c++) assert_true(octet_channel_reach(d.channel[c]) == reach[c]);
    assert_true(octet_distribution_dead(&d) == 40 * 0x1p-24); /* 2.4e-6 */
    assert_true(octet_distribution_middle(&d, room) == 3);    /* of 1, 3, 40 */
    d.channel[3].max = 2;
    assert_true(octet_distribution_middle(&d, room) == 2); /* of 1, 2, 3, 40 */
    octet_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_counted),
        cmocka_unit_test(bins_hold_the_numbers),
        cmocka_unit_test(bins_of_few_numbers),
        cmocka_unit_test(channels_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
