/* SPDX-License-Identifier: Apache-2.0 */
/* octet's transcendental functions against the C library's long double ones, and their corners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/math.h"

#include <math.h>

typedef struct function {
    const char *name;
    double (*ours)(double);
    long double (*theirs)(long double);
    double from, to;
} function;

static long double cos_pi(long double t) { return cosl(3.14159265358979323846264338L * t); }

static const function functions[] = {
    { "exp", octet_exp, expl, -700, 700 }, { "exp", octet_exp, expl, -1, 1 },
    { "tanh", octet_tanh, tanhl, -25, 25 }, { "tanh", octet_tanh, tanhl, -0.5, 0.5 },
    { "log", octet_log, logl, 1e-300, 1e300 }, { "log", octet_log, logl, 1e-6, 4 },
    { "log", octet_log, logl, 0.9, 1.1 },
    { "erf", octet_erf, erfl, -7, 7 }, { "erf", octet_erf, erfl, -1e-3, 1e-3 },
    { "cos", octet_cos_pi, cos_pi, 0, 0.4 }, { "cos", octet_cos_pi, cos_pi, 0.6, 1 },
};

static void test_accuracy(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof functions / sizeof *functions; f++)
        for (int i = 0; i <= 100000; i++) {
            const double      x = functions[f].from + (functions[f].to - functions[f].from) * i / 100000;
            const long double want = functions[f].theirs((long double)x);
            const double      got = functions[f].ours(x);
            const long double unit = fabsl(want) * 0x1p-52L;
            if (!(fabsl((long double)got - want) <= 5 * unit)) fail_msg("%s(%.17g) = %.17g", functions[f].name, x, got);
        }
}

static void test_corners(void **state)
{
    (void)state;
    assert_true(octet_exp(0) == 1 && octet_exp(710) == INFINITY && octet_exp(-750) == 0);
    assert_true(octet_exp(-INFINITY) == 0 && octet_exp(INFINITY) == INFINITY && isnan(octet_exp(NAN)));
    assert_true(octet_exp(-740) > 0 && octet_exp(709.7) < INFINITY);
    assert_true(octet_tanh(0) == 0 && octet_tanh(30) == 1 && octet_tanh(-INFINITY) == -1 && isnan(octet_tanh(NAN)));
    assert_true(signbit(octet_tanh(-0.0)));
    assert_true(octet_log(1) == 0 && octet_log(0) == -INFINITY && octet_log(INFINITY) == INFINITY);
    assert_true(isnan(octet_log(-1)) && isnan(octet_log(NAN)));
    assert_true(fabs(octet_log(0x1p-1074) + 744.4400719213812) < 1e-12);
    assert_true(octet_cos_pi(0) == 1 && octet_cos_pi(0.5) == 0 && octet_cos_pi(1) == -1);
    assert_true(octet_erf(0) == 0 && octet_erf(INFINITY) == 1 && octet_erf(-INFINITY) == -1 && isnan(octet_erf(NAN)));
    assert_true(octet_power(0.9, 0) == 1 && octet_power(2, 10) == 1024 && octet_power(-3, 3) == -27);
    assert_true(octet_power(0.5, UINT64_MAX) == 0 && octet_power(1, UINT64_MAX) == 1);
}

/* Recorded bits: they may differ on no machine and with no compiler. */
static void test_bits(void **state)
{
    (void)state;
    double sum = 0;
    for (int i = -2000; i <= 2000; i++) {
        const double x = i / 256.0;
        sum = sum * 0.75 + octet_exp(x) + octet_tanh(x) * 3;
    }
    assert_true(sum == 0x1.31b764c8b576ep+13);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_accuracy), cmocka_unit_test(test_corners),
                                        cmocka_unit_test(test_bits) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
