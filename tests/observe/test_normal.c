/* SPDX-License-Identifier: Apache-2.0 */
/* The clamped normal distribution against integrating it numerically. */
#include "support.h"

#include "observe/normal.h"

/* Mean and mean square by Simpson's rule over +-13 deviations in steps that no kink can hide in. */
static octet_normal integrated(octet_normal x, double lo, double hi)
{
    enum { STEPS = 260000 };
    const double s = sqrt(x.variance), h = 26.0 / STEPS;
    double       mean = 0, square = 0;
    for (int i = 0; i <= STEPS; i++) {
        const double z = -13 + h * i, y = fmin(fmax(x.mean + s * z, lo), hi);
        const double weight = (i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2) * h / 3 * exp(-0.5 * z * z) / sqrt(2 * M_PI);
        mean += weight * y;
        square += weight * y * y;
    }
    return (octet_normal){ mean, square - mean * mean };
}

static const struct {
    octet_normal x;
    double       lo, hi;
} cases[] = {
    { { 0, 1 }, 0, INFINITY },      { { 0.7, 4 }, 0, INFINITY },  { { -2, 0.25 }, 0, INFINITY },
    { { 1.5, 9 }, 0, 6 },           { { 7, 1 }, 0, 6 },           { { -0.3, 0.01 }, -0.5, 0.5 },
    { { 3, 2 }, -INFINITY, 1 },     { { 3, 2 }, -INFINITY, INFINITY }, { { 30, 1 }, 0, 6 },
    { { -30, 1 }, 0, INFINITY },
};

/* The bound is Simpson's at a kink: h^2 times its slope. */
static void clamping_equals_integrating(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const octet_normal got  = octet_normal_clamp(cases[i].x, cases[i].lo, cases[i].hi);
        const octet_normal want = integrated(cases[i].x, cases[i].lo, cases[i].hi);
        if (fabs(got.mean - want.mean) > 1e-7 || fabs(got.variance - want.variance) > 1e-6)
            fail_msg("case %zu: mean %.9g, integrated %.9g; variance %.9g, integrated %.9g", i, got.mean, want.mean,
                     got.variance, want.variance);
    }
}

static void a_constant_is_clamped(void **state)
{
    (void)state;
    const octet_normal got = octet_normal_clamp((octet_normal){ 9, 0 }, 0, 6);
    assert_true(got.mean == 6 && got.variance == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(clamping_equals_integrating),
                                        cmocka_unit_test(a_constant_is_clamped) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
