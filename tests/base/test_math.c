/* SPDX-License-Identifier: Apache-2.0 */
/* octet's transcendental functions against the C library's long double ones, and their corners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/math.h"

#include <math.h>
#include <stdbool.h>

typedef struct function {
    const char *name;
    double (*ours)(double);
    long double (*theirs)(long double);
    double from, to;
} function;

static long double cos_pi(long double t) { return cosl(3.14159265358979323846264338L * t); }

static double      power_17(double x) { return octet_pow(x, 1.7); }
static long double power_17_long(long double x) { return powl(x, (long double)1.7); }
static double      power_minus_3(double x) { return octet_pow(x, -3); }
static long double power_minus_3_long(long double x) { return powl(x, -3); }

static const function functions[] = {
    { "exp", octet_exp, expl, -700, 700 }, { "exp", octet_exp, expl, -1, 1 },
    { "tanh", octet_tanh, tanhl, -25, 25 }, { "tanh", octet_tanh, tanhl, -0.5, 0.5 },
    { "log", octet_log, logl, 1e-300, 1e300 }, { "log", octet_log, logl, 1e-6, 4 },
    { "log", octet_log, logl, 0.9, 1.1 },
    { "erf", octet_erf, erfl, -7, 7 }, { "erf", octet_erf, erfl, -1e-3, 1e-3 },
    { "expm1", octet_expm1, expm1l, -50, 50 }, { "expm1", octet_expm1, expm1l, -1e-3, 1e-3 },
    { "expm1", octet_expm1, expm1l, 600, 709 },
    { "log1p", octet_log1p, log1pl, -0.999, 50 }, { "log1p", octet_log1p, log1pl, -1e-3, 1e-3 },
    { "sinh", octet_sinh, sinhl, -30, 30 }, { "sinh", octet_sinh, sinhl, -1e-3, 1e-3 },
    { "sinh", octet_sinh, sinhl, 650, 710 }, { "cosh", octet_cosh, coshl, -30, 30 },
    { "asinh", octet_asinh, asinhl, -9, 9 }, { "asinh", octet_asinh, asinhl, -1e12, 1e12 },
    { "asinh", octet_asinh, asinhl, -1e-3, 1e-3 }, { "acosh", octet_acosh, acoshl, 1, 9 },
    { "acosh", octet_acosh, acoshl, 1, 1e12 }, { "atanh", octet_atanh, atanhl, -0.9999, 0.9999 },
    { "sin", octet_sin, sinl, -20, 20 }, { "sin", octet_sin, sinl, -1e6, 1e6 }, { "sin", octet_sin, sinl, -1e-3, 1e-3 },
    { "cos", octet_cos, cosl, -20, 20 }, { "cos", octet_cos, cosl, -1e6, 1e6 },
    { "tan", octet_tan, tanl, -20, 20 }, { "tan", octet_tan, tanl, -1e6, 1e6 },
    { "asin", octet_asin, asinl, -1, 1 }, { "acos", octet_acos, acosl, -1, 1 },
    { "atan", octet_atan, atanl, -5, 5 }, { "atan", octet_atan, atanl, -1e6, 1e6 },
    { "atan", octet_atan, atanl, -1e-3, 1e-3 },
    { "pow 1.7", power_17, power_17_long, 0.3, 3 }, { "pow -3", power_minus_3, power_minus_3_long, -9, -0.1 },
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

/* Where a function has a sign, an end or no value, it has the C library's. */
static void test_library_corners(void **state)
{
    static const struct {
        const char *name;
        double (*ours)(double);
        double (*theirs)(double);
    } all[] = {
        { "expm1", octet_expm1, expm1 }, { "log1p", octet_log1p, log1p }, { "sinh", octet_sinh, sinh },
        { "cosh", octet_cosh, cosh },    { "asinh", octet_asinh, asinh }, { "acosh", octet_acosh, acosh },
        { "atanh", octet_atanh, atanh }, { "sin", octet_sin, sin },       { "cos", octet_cos, cos },
        { "tan", octet_tan, tan },       { "asin", octet_asin, asin },    { "acos", octet_acos, acos },
        { "atan", octet_atan, atan },
    };
    static const double at[] = { 0.0, -0.0, 1, -1, 1e-310, -1e-310, 2, -2, 800, -800, INFINITY, -INFINITY, NAN };
    (void)state;
    for (size_t f = 0; f < sizeof all / sizeof *all; f++)
        for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
            const double a = all[f].ours(at[i]), b = all[f].theirs(at[i]);
            const bool   near = isfinite(b) && fabs(a - b) <= 1e-15 * fabs(b) && signbit(a) == signbit(b);
            if (isnan(b) ? isnan(a) : a == b || near) continue;
            fail_msg("%s(%g) = %.17g, not %.17g", all[f].name, at[i], a, b);
        }
}

static void test_power_corners(void **state)
{
    static const double at[] = { 0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 1e10, -1e10, 1e300,
                                 INFINITY, -INFINITY, NAN };
    enum { COUNT = sizeof at / sizeof *at };
    (void)state;
    for (int i = 0; i < COUNT * COUNT; i++) {
        const double x = at[i / COUNT], y = at[i % COUNT], a = octet_pow(x, y), b = pow(x, y);
        if (isnan(b) ? isnan(a) : a == b || fabs(a - b) <= 1e-13 * fabs(b)) continue; /* |y log x| < 700 */
        fail_msg("%g to the power %g: %.17g, not %.17g", x, y, a, b);
    }
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
                                        cmocka_unit_test(test_library_corners), cmocka_unit_test(test_power_corners),
                                        cmocka_unit_test(test_bits) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
