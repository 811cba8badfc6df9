/* SPDX-License-Identifier: Apache-2.0 */
/* Which trials are worth a look, and the chart of them. */
#include "support.h"

#include "tune/tune.h"

static octet_tune_trial point(double latency, double drop)
{
    return (octet_tune_trial){ .latency = latency, .predicted = latency, .drop = drop, .score = 0.9, .sqnr_db = 20 };
}

static void nothing_on_the_frontier_is_beaten(void **state)
{
    (void)state;
    octet_tune_trial trials[] = {
        point(1.0, 2.0), point(1.0, 1.0), point(1.0, 1.0), point(1.2, 1.5), point(1.1, 0.5),
        point(1.3, -0.1), point(1.2, 0.5), point(0.9, -9), point(1.1, 0.5),
    };
    static const bool want[] = { false, true, false, false, false, true, false, false, true };
    trials[7].failed         = "cannot be made";
    trials[8].sqnr_db        = 21; /* between equals the output decides */
    octet_tune_mark_frontier(trials, 9);
    for (size_t i = 0; i < 9; i++)
        if (trials[i].frontier != want[i]) fail_msg("trial %zu is %son the frontier", i, want[i] ? "not " : "");
}

static void descriptions_name_what_was_done(void **state)
{
    (void)state;
    char              text[64];
    const char *const floats[] = { "a", "b" };
    octet_tune_config config   = { .method = OCTET_METHOD_PERCENTILE, .percentile = 99.9, .equalize = 1,
                                   .rounding = OCTET_ROUND_FEEDBACK, .bias_correction = OCTET_BIAS_SEQUENTIAL,
                                   .floats = floats, .float_count = 2 };
    octet_tune_config_print(text, sizeof text, &config);
    assert_string_equal(text, "percentile 99.9, equalize, round, bias, 2 float");
    octet_tune_config_print(text, 12, &config);
    assert_string_equal(text, "percentile ");
    config = (octet_tune_config){ 0 };
    octet_tune_config_print(text, sizeof text, &config);
    assert_string_equal(text, "output");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_on_the_frontier_is_beaten),
                                        cmocka_unit_test(descriptions_name_what_was_done) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
