/* SPDX-License-Identifier: Apache-2.0 */
/* Both formulas against cases worked by hand. torch's are checked bit for bit in tests/golden. */
#include "observe/qparams.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void octet_formula(void **unused)
{
    (void)unused;
    static const struct {
        octet_range range;
        int32_t     qmin, qmax;
        bool        symmetric, decided;
        double      scale;
        int32_t     zero_point;
    } cases[] = {
        { { false, 0, 0 }, 0, 255, false, false, 1, 0 },
        { { true, 0, 0 }, -128, 127, false, false, 1, 0 },
        { { true, 0, 6 }, 0, 255, false, true, 6.0 / 255, 0 },
        { { true, 0, 6 }, -128, 127, false, true, 6.0 / 255, -128 },
        { { true, 2, 6 }, 0, 255, false, true, 6.0 / 255, 0 },
        { { true, -6, -2 }, 0, 255, false, true, 6.0 / 255, 255 },
        { { true, -1, 1 }, 0, 255, false, true, 2.0 / 255, 128 },  /* 127.5 ties to even */
        { { true, -1, 1 }, -128, 127, false, true, 2.0 / 255, 0 }, /* -0.5 ties to even */
        { { true, -1, 3 }, 0, 127, false, true, 4.0 / 127, 32 },
        { { true, -0.5f, 0.25f }, -127, 127, true, true, 0.5 / 127, 0 },
        { { true, -0.5f, 0.25f }, -128, 127, true, true, 0.5 / 127, 0 },
        { { true, -0.5f, 0.25f }, 0, 255, true, true, 0.5 / 127, 128 },
        { { true, 0, 1e-40f }, 0, 255, false, false, 1, 0 },
        { { true, -1e-40f, 0 }, 1, 255, false, false, 1, 1 },
        { { true, -3e38f, 3e38f }, 0, 255, false, true, 2 * (double)3e38f / 255, 128 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        octet_affine got;
        const bool decided = octet_qparams_from_range(&got, cases[i].range, cases[i].qmin, cases[i].qmax,
                                                      cases[i].symmetric);
        if (decided != cases[i].decided || got.scale != (float)cases[i].scale || got.zero_point != cases[i].zero_point)
            fail_msg("case %zu: scale %.9g zero point %d", i, (double)got.scale, got.zero_point);
    }
}

static void torch_formula(void **unused)
{
    (void)unused;
    static const struct {
        octet_torch_quantizer quantizer;
        octet_range           range;
        float                 scale;
        int32_t               zero_point;
    } cases[] = {
        { { .scheme = OCTET_TORCH_SYMMETRIC, .is_signed = true }, { true, -1, 0.5f }, 1 / 127.5f, 0 },
        { { .scheme = OCTET_TORCH_SYMMETRIC }, { true, -1, 0.5f }, 1 / 127.5f, 128 },
        { { .scheme = OCTET_TORCH_SYMMETRIC, .custom = true, .qmax = 127 }, { true, -1, 0.5f }, 1 / 63.5f, 63 },
        { { .custom = true, .qmax = 255, .reduce_range = true }, { true, 0, 1 }, 1 / 127.0f, 0 },
        { { .is_signed = true, .reduce_range = true }, { true, 0, 1 }, 1 / 127.0f, -64 },
        { { 0 }, { true, 0, 0 }, FLT_EPSILON, 0 },
        { { .is_signed = true }, { true, 0, 0 }, FLT_EPSILON, -128 },
        { { 0 }, { false, 0, 0 }, 1, 0 },
        { { .eps = 0x1p-12f }, { true, 0, 1e-3f }, 0x1p-12f, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const octet_affine got = octet_qparams_torch(NULL, &cases[i].quantizer, cases[i].range);
        if (got.scale != cases[i].scale || got.zero_point != cases[i].zero_point)
            fail_msg("case %zu: scale %.9g zero point %d", i, (double)got.scale, got.zero_point);
    }
    float real;
    const octet_torch_quantizer embedding = { .scheme = OCTET_TORCH_FLOAT_QPARAMS };
    const octet_affine got = octet_qparams_torch(&real, &embedding, (octet_range){ true, 1, 3 });
    assert_true(got.scale == 2 / 255.0f && real == -1 / (2 / 255.0f));
}

/* ChooseQuantizationParams. One-sided weights are not symmetric, and nothing is finer than 6.1e-5. */
static void torch_choice(void **unused)
{
    (void)unused;
    static const struct {
        octet_range range;
        int32_t     qmin, qmax;
        bool        symmetric;
        float       scale;
        int32_t     zero_point;
    } cases[] = {
        { { true, -1, 0.5f }, -128, 127, true, 0x1p-7f, 0 },
        { { true, -0.5f, 1 }, -128, 127, true, (float)(1 / 127.0), 0 },
        { { true, 0, 1 }, -128, 127, true, (float)(1 / 255.0), -128 },
        { { true, -1, 0 }, -128, 127, true, (float)(1 / 255.0), 127 },
        { { true, -1e-3f, 1e-3f }, -128, 127, true, 6.1e-5f, 0 },
        { { true, -1, 1 }, 0, 255, false, (float)(2 / 255.0), 128 }, /* 127.5 ties to even */
        { { true, -1, 3 }, 0, 127, false, (float)(4 / 127.0), 32 },
        { { true, 2, 6 }, 0, 255, false, (float)(6 / 255.0), 0 },
        { { true, 0, 1e-3f }, 0, 255, false, 6.1e-5f, 0 },
        { { true, -1e-3f, 0 }, 0, 255, false, 6.1e-5f, 255 },
        { { true, -5e-5f, 1e-3f }, -128, 127, false, 6.1e-5f, -116 },
        { { true, -1e-3f, 1e-3f }, 0, 255, false, 6.1e-5f, 128 },
        { { true, -0x1.6p-5f, 0x1.6bp+0f }, -128, 127, false, (float)(0x1.76p+0 / 255), -121 }, /* by min: -120 */
        { { true, 0, 0 }, 0, 255, false, 0.1f, 0 },
        { { false, 5, 6 }, -128, 127, true, 0.1f, 127 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const octet_affine got = octet_qparams_choose(cases[i].range, cases[i].qmin, cases[i].qmax, cases[i].symmetric);
        if (got.scale != cases[i].scale || got.zero_point != cases[i].zero_point)
            fail_msg("case %zu: scale %.9g zero point %d", i, (double)got.scale, got.zero_point);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(octet_formula), cmocka_unit_test(torch_formula),
                                        cmocka_unit_test(torch_choice) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
