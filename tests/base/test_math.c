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

static const function functions[] = {
    { "exp", octet_exp, expl, -700, 700 }, { "exp", octet_exp, expl, -1, 1 },
    { "tanh", octet_tanh, tanhl, -25, 25 }, { "tanh", octet_tanh, tanhl, -0.5, 0.5 },
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
