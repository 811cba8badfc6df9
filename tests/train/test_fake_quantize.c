/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a FakeQuantize: which batches move them, by which formula, what holds them, and what is refused. */
#include "support.h"

#include "observe/qparams.h"
#include "train/fake_quantize.h"

#include <float.h>

static const octet_channel_shape pair = { 1, 1, 2 };

static octet_trained *make(octet_arena *arena, octet_quantizer quantizer, int64_t channels)
{
    octet_trained      *trained;
    const octet_trained settings = { .quantizer = quantizer, .channels = channels };
    MUST(octet_trained_new(&trained, arena, &settings, &err));
    return trained;
}

static void assert_parameters(const octet_trained *t, int64_t channel, float scale, int32_t zero_point)
{
    if (t->scale[channel] != scale || octet_trained_zero_point(t, channel) != zero_point)
        fail_msg("channel %lld: scale %.9g zero point %d, want %.9g and %d", (long long)channel,
                 (double)t->scale[channel], octet_trained_zero_point(t, channel), (double)scale, zero_point);
}

static void starts_with_nothing_seen(void **unused)
{
    (void)unused;
    octet_arena *const arena = octet_arena_new();
    assert_parameters(make(arena, (octet_quantizer){ 0 }, 1), 0, 1, 0);
    assert_parameters(make(arena, (octet_quantizer){ .symmetric = true }, 1), 0, 1, 128);
    assert_parameters(make(arena, (octet_quantizer){ .dtype = OCTET_I8, .qmin = -9, .qmax = -1 }, 1), 0, 1, -1);
    const octet_trained *const t = make(arena, (octet_quantizer){ 0 }, 0);
    assert_true(t->enabled && t->observing && !t->learning && t->channels == 1 && !t->range->seen);
    octet_arena_free(arena);
}

/* 0.25 from {-1, 3} to {-5, 1}: {-2, 2.5}. */
static void observed_follows_the_moving_range(void **unused)
{
    (void)unused;
    octet_arena *const   arena = octet_arena_new();
    octet_trained *const t     = make(arena, (octet_quantizer){ .averaging = 0.25f }, 1);
    octet_trained_observe(t, (const float[]){ -1, 3 }, &pair);
    assert_parameters(t, 0, (float)(4.0 / 255), 64);
    octet_trained_observe(t, (const float[]){ -5, 1 }, &pair);
    assert_parameters(t, 0, (float)(4.5 / 255), 113);
    octet_trained_observe(t, (const float[]){ NAN, INFINITY }, &pair);
    assert_parameters(t, 0, (float)(4.5 / 255), 113);
    t->enabled = false; /* what is observed counts all the same */
    octet_trained_observe(t, (const float[]){ -2, 18.5f }, &pair);
    assert_parameters(t, 0, (float)(8.5 / 255), 60);
    t->observing = false;
    octet_trained_observe(t, (const float[]){ -100, 100 }, &pair);
    assert_parameters(t, 0, (float)(8.5 / 255), 60);
    octet_arena_free(arena);
}

static void channels_have_ranges_of_their_own(void **unused)
{
    (void)unused;
    static const float   last[] = { 1, -2, -3, 0.5f }, first[] = { 1, -3, -2, 0.5f };
    octet_arena *const   arena  = octet_arena_new();
    const octet_quantizer quantizer = { .dtype = OCTET_I8, .symmetric = true };
    for (int layout = 0; layout < 2; layout++) {
        octet_trained *const t = make(arena, quantizer, 2);
        octet_trained_observe(t, layout ? first : last,
                              &(octet_channel_shape){ layout ? 1 : 2, 2, layout ? 2 : 1 });
        assert_parameters(t, 0, (float)(3.0 / 127), 0);
        assert_parameters(t, 1, (float)(2.0 / 127), 0);
        const octet_range both[] = { { true, -1, 1 }, { true, 0, 6 } };
        octet_trained *const moved = make(arena, quantizer, 2);
        octet_trained_move(moved, both);
        assert_parameters(moved, 1, (float)(6.0 / 127), 0);
    }
    octet_arena_free(arena);
}

/* PyTorch's two formulas for one range; finding 0.3 of the notes. */
static void fused_takes_the_other_formula(void **unused)
{
    (void)unused;
    octet_arena *const    arena  = octet_arena_new();
    octet_quantizer       weight = octet_qconfig_find("default_qat_v2")->weight;
    octet_trained *const  fused  = make(arena, weight, 1);
    weight.fake                  = OCTET_FAKE_OBSERVED;
    octet_trained *const plain   = make(arena, weight, 1);
    octet_trained_observe(fused, (const float[]){ -1, 0.5f }, &pair);
    octet_trained_observe(plain, (const float[]){ -1, 0.5f }, &pair);
    assert_parameters(fused, 0, 0x1p-7f, 0);
    assert_parameters(plain, 0, 1 / 127.5f, 0);
    octet_arena_free(arena);
}

/* The fused form's parameters follow its range whenever it is enabled; its range only while it observes. */
static void fused_refreshes_while_enabled(void **unused)
{
    (void)unused;
    octet_arena *const   arena = octet_arena_new();
    octet_trained *const t     = make(arena, octet_qconfig_find("default_qat_v2")->activation, 1);
    t->enabled                 = false;
    octet_trained_observe(t, (const float[]){ 0, 2.55f }, &pair);
    assert_parameters(t, 0, 1, 0);
    assert_true(t->range->max == 2.55f);
    t->enabled = true, t->observing = false;
    octet_trained_observe(t, (const float[]){ 0, 100 }, &pair);
    assert_parameters(t, 0, (float)((double)2.55f / 255), 0);
    octet_arena_free(arena);
}

static void fixed_never_moves(void **unused)
{
    (void)unused;
    octet_arena *const   arena = octet_arena_new();
    octet_trained *const t     = make(arena, (octet_quantizer){ .fake = OCTET_FAKE_FIXED, .fixed_scale = 2.0f / 256,
                                                                .fixed_zero_point = 128 }, 1);
    t->observing = true; /* by who switches all observers on */
    octet_trained_observe(t, (const float[]){ -100, 100 }, &pair);
    octet_trained_move(t, &(octet_range){ true, -1, 1 });
    octet_trained_learn(t);
    octet_trained_settle(t);
    assert_parameters(t, 0, 2.0f / 256, 128);
    assert_false(t->learning);
    octet_arena_free(arena);
}

static void learned_starts_from_its_range(void **unused)
{
    (void)unused;
    octet_arena *const   arena = octet_arena_new();
    octet_trained *const t     = make(arena, (octet_quantizer){ .fake = OCTET_FAKE_LEARNED }, 1);
    octet_trained_observe(t, (const float[]){ -1, 3 }, &pair);
    octet_trained_learn(t);
    assert_true(t->learning && t->scale_gradient && t->zero_point_gradient);
    t->observing = true; /* by who switches all observers on */
    octet_trained_observe(t, (const float[]){ -100, 100 }, &pair);
    assert_parameters(t, 0, (float)(4.0 / 255), 64);
    const float half_way[] = { 64.5f, 65.5f, 63.49f, -3, 300, NAN };
    const int   whole[]    = { 64, 66, 63, 0, 255, 0 };
    for (size_t i = 0; i < 6; i++) {
        t->zero_point[0] = half_way[i];
        assert_int_equal(octet_trained_zero_point(t, 0), whole[i]);
    }
    octet_arena_free(arena);
}

static void settles_within_what_is_valid(void **unused)
{
    (void)unused;
    static const struct {
        octet_quantizer quantizer;
        float           scale, zero_point, settled, settled_zero;
    } cases[] = {
        { { .qmax = 15 }, 0.5f, 3.25f, 0.5f, 3.25f },
        { { .qmax = 15 }, -1, -0.5f, FLT_MIN, 0 },
        { { .qmax = 15 }, NAN, NAN, FLT_MIN, 0 },
        { { .qmax = 15 }, INFINITY, 15.5f, FLT_MAX, 15 },
        { { .dtype = OCTET_I8, .symmetric = true }, 1, 4, 1, 0 },
        { { .symmetric = true }, 1, 4, 1, 128 },
        { { .qmax = 15, .formula = OCTET_FORMULA_TORCH }, 1e-9f, 1, FLT_EPSILON, 1 },
        { { .qmax = 15, .formula = OCTET_FORMULA_TORCH, .eps = 0x1p-12f }, 1e-9f, 1, 0x1p-12f, 1 },
        { { .qmax = 255, .formula = OCTET_FORMULA_TORCH, .symmetric = true }, 1, 100, 1, 0 },
    };
    octet_arena *const arena = octet_arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        octet_quantizer quantizer = cases[i].quantizer;
        quantizer.fake            = OCTET_FAKE_LEARNED;
        octet_trained *const t    = make(arena, quantizer, 1);
        octet_trained_learn(t);
        t->scale[0] = cases[i].scale, t->zero_point[0] = cases[i].zero_point;
        octet_trained_settle(t);
        if (t->scale[0] != cases[i].settled || t->zero_point[0] != cases[i].settled_zero)
            fail_msg("case %zu: scale %.9g zero point %g", i, (double)t->scale[0], (double)t->zero_point[0]);
    }
    octet_arena_free(arena);
}

static void factor_is_that_of_lsq(void **unused)
{
    (void)unused;
    octet_arena *const arena = octet_arena_new();
    octet_trained *const trained = make(arena, (octet_quantizer){ .qmax = 16 }, 1);
    assert_true(octet_trained_factor(trained, 25) == 1);
    trained->profile = &octet_profile_torch_qnnpack;
    assert_true(octet_trained_factor(trained, 25) == 1.0 / 20);
    octet_arena_free(arena);
}

static void refuses_what_is_no_quantizer(void **unused)
{
    (void)unused;
    static const struct {
        octet_quantizer quantizer;
        const char     *says;
    } cases[] = {
        { { .dtype = OCTET_I32 }, "levels are s32" },
        { { .qmin = 3, .qmax = 3 }, "levels 3..3" },
        { { .qmin = -1, .qmax = 3 }, "levels -1..3 are no range of u8" },
        { { .dtype = OCTET_I8, .qmax = 128 }, "levels 0..128 are no range of s8" },
        { { .averaging = 1.5f }, "averaging is 1.5" },
        { { .averaging = NAN }, "averaging" },
        { { .fake = OCTET_FAKE_FIXED }, "fixed scale is 0" },
        { { .fake = OCTET_FAKE_FIXED, .fixed_scale = -1 }, "fixed scale is -1" },
        { { .fake = OCTET_FAKE_FIXED, .fixed_scale = 1e-40f }, "fixed scale" },
        { { .fake = OCTET_FAKE_FIXED, .fixed_scale = 1, .fixed_zero_point = 256 }, "fixed zero point 256" },
    };
    octet_arena *const arena = octet_arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        octet_trained *trained;
        octet_error    err = { 0 };
        assert_int_equal(octet_trained_new(&trained, arena, &(octet_trained){ .quantizer = cases[i].quantizer }, &err),
                         OCTET_ERR_ARGUMENT);
        if (!strstr(err.text, cases[i].says)) fail_msg("case %zu: %s", i, err.text);
    }
    octet_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_with_nothing_seen),
        cmocka_unit_test(observed_follows_the_moving_range),
        cmocka_unit_test(channels_have_ranges_of_their_own),
        cmocka_unit_test(fused_takes_the_other_formula),
        cmocka_unit_test(fused_refreshes_while_enabled),
        cmocka_unit_test(fixed_never_moves),
        cmocka_unit_test(learned_starts_from_its_range),
        cmocka_unit_test(settles_within_what_is_valid),
        cmocka_unit_test(factor_is_that_of_lsq),
        cmocka_unit_test(refuses_what_is_no_quantizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
