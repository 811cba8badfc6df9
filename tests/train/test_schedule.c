/* SPDX-License-Identifier: Apache-2.0 */
/* Learning rates by step, written out, and options that are refused. */
#include "support.h"

#include "train/options.h"
#include "train/schedule.h"

static double rate(const octet_train_options *given, size_t step, size_t epoch_steps)
{
    octet_train_options options;
    MUST(octet_train_resolve(&options, given, &err));
    return octet_schedule_rate(&options, step, epoch_steps);
}

static bool near(double a, double b) { return fabs(a - b) <= 1e-15; }

static void test_rates(void **state)
{
    (void)state;
    octet_train_options o = { .learning_rate = 0.5, .epochs = 4, .schedule = OCTET_SCHEDULE_CONSTANT };
    assert_true(rate(&o, 0, 10) == 0.5 && rate(&o, 39, 10) == 0.5);
    o.schedule = OCTET_SCHEDULE_COSINE;
    assert_true(rate(&o, 0, 10) == 0.5 && near(rate(&o, 20, 10), 0.25) && rate(&o, 40, 10) == 0);
    for (size_t i = 0; i < 40; i++)
        assert_true(near(rate(&o, i, 10), 0.25 * (1 + cos(3.14159265358979323846 * (double)i / 40))));
    assert_true(rate(&o, 1000, 10) == 0);
    o.schedule = OCTET_SCHEDULE_STEP;
    o.epochs   = 3; /* a stair each epoch */
    assert_true(rate(&o, 9, 10) == 0.5 && near(rate(&o, 10, 10), 0.05) && near(rate(&o, 29, 10), 0.005));
    o.step_epochs = 0.3, o.step_factor = 0.5; /* 0.3 * 10 is 3 only when rounded */
    assert_true(rate(&o, 2, 10) == 0.5 && rate(&o, 3, 10) == 0.25 && rate(&o, 6, 10) == 0.125);
    o.step_epochs = 0.1; /* 50 stairs of 0.7 steps, though 35 / 0.7 is less than 50 in double */
    assert_true(rate(&o, 35, 7) == ldexp(0.5, -50));
}

static void test_warmup(void **state)
{
    (void)state;
    octet_train_options o = { .learning_rate = 1, .epochs = 4, .warmup_epochs = 0.5 };
    o.schedule            = OCTET_SCHEDULE_CONSTANT;
    for (size_t i = 0; i < 5; i++) assert_true(near(rate(&o, i, 10), (double)(i + 1) / 5));
    assert_true(rate(&o, 5, 10) == 1);
    o.schedule = OCTET_SCHEDULE_COSINE; /* falls over the 35 steps that are left */
    assert_true(near(rate(&o, 0, 10), 0.2) && rate(&o, 5, 10) == 1 && near(rate(&o, 40, 10), 0));
    assert_true(near(rate(&o, 19, 10), 0.5 * (1 + cos(3.14159265358979323846 * 14 / 35))));
    o.warmup_epochs = 9; /* longer than everything: only ever rises */
    assert_true(rate(&o, 39, 10) <= 1 && isfinite(rate(&o, 89, 10)));
}

static void test_options(void **state)
{
    (void)state;
    octet_train_options o;
    MUST(octet_train_resolve(&o, NULL, &err));
    assert_true(o.learning_rate == 1e-3 && o.beta1 == 0.9 && o.beta2 == 0.999 && o.epsilon == 1e-8 && o.epochs == 1);
    assert_true(o.temperature == 1 && o.scale_rate == 0.1 && o.step_factor == 0.1);
    static const struct {
        octet_train_options options;
        const char         *field;
    } bad[] = {
        { { .learning_rate = -1 }, "learning_rate" },   { { .label_smoothing = 1 }, "label_smoothing" },
        { { .momentum = NAN }, "momentum" },            { { .crop = -1 }, "crop" },
        { { .optimizer = OCTET_OPTIMIZER_COUNT }, "optimizer" }, { { .freeze_observers = -3 }, "freeze_observers" },
        { { .nesterov = true }, "" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        octet_error err = { 0 };
        assert_int_equal(octet_train_resolve(&o, &bad[i].options, &err), OCTET_ERR_ARGUMENT);
        assert_string_equal(err.field, bad[i].field);
    }
}

/* Two sets of options have one description only where they learn the same. */
static void test_description(void **state)
{
    (void)state;
    octet_arena *const  arena = octet_arena_new();
    octet_train_options a = { .learning_rate = 0.1, .seed = UINT64_MAX }, b = a;
    b.threads             = 3;
    assert_string_equal(octet_train_describe(arena, &a), octet_train_describe(arena, &b));
    b.seed--;
    assert_string_not_equal(octet_train_describe(arena, &a), octet_train_describe(arena, &b));
    b      = a;
    b.flip = true;
    assert_string_not_equal(octet_train_describe(arena, &a), octet_train_describe(arena, &b));
    assert_non_null(strstr(octet_train_describe(arena, &a), "optimizer sgd\nlearning_rate 0.10000000000000001\n"));
    octet_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rates), cmocka_unit_test(test_warmup),
                                        cmocka_unit_test(test_options), cmocka_unit_test(test_description) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
