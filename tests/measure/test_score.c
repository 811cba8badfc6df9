/* SPDX-License-Identifier: Apache-2.0 */
/* Scores of one sample against values worked out by hand. */
#include "support.h"

#include "measure/score.h"
#include "measure/sqnr.h"

static void test_rank(void **state)
{
    const float values[] = {1, 7, 3, 7, -2, 3};
    (void)state;
    assert_int_equal(octet_argmax(values, 6), 1);
    assert_int_equal(octet_argmax((const float[]){2, 2, 2}, 3), 0);
    assert_int_equal(octet_argmax((const float[]){-3, -2}, 2), 1);
    static const size_t want[] = {4, 0, 2, 1, 5, 3};
    for (size_t i = 0; i < 6; i++) assert_int_equal(octet_label_rank(values, 6, i), want[i]);
}

static void test_class_count(void **state)
{
    static const struct {
        octet_tensor tensor;
        size_t       want;
    } cases[] = {
        {{.rank = 2, .dims = {1, 10}}, 10},       {{.rank = 1, .dims = {7}}, 7},
        {{.rank = 4, .dims = {1, 10, 1, 1}}, 10}, {{.rank = 4, .dims = {1, 85, 22, 22}}, 0},
        {{.rank = 2, .dims = {1, 1}}, 0},         {{.rank = 0}, 0},
        {{.rank = 2, .dims = {4, 10}}, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(octet_class_count(&cases[i].tensor), cases[i].want);
}

static void test_squares(void **state)
{
    float         x[12], y[12];
    octet_tensor  output = {.dtype = OCTET_F32, .rank = 4, .dims = {1, 1, 3, 4}, .data = x};
    octet_squares squares;
    (void)state;
    for (int i = 0; i < 12; i++) {
        x[i] = (float)i;
        y[i] = (float)(i + (i == 5 ? 3 : i == 6 ? 1 : i == 0 ? 100 : 0));
    }
    assert_true(octet_squares_of(&squares, &output, y, 0));
    assert_true(squares.mean == (9.0 + 1 + 10000) / 12 && !squares.unit);
    assert_true(octet_squares_of(&squares, &output, y, 1)); /* places 5 and 6 are left */
    assert_true(squares.mean == 5);
    assert_false(octet_squares_of(&squares, &output, y, 2));
    /* two planes: the border is of each */
    output.dims[1] = 2, output.dims[2] = 1, output.dims[3] = 6;
    assert_false(octet_squares_of(&squares, &output, y, 1));
    output.dims[2] = 3, output.dims[3] = 2;
    assert_true(octet_squares_of(&squares, &output, y, 0));
    /* pixels saturate */
    output = (octet_tensor){.dtype = OCTET_F32, .rank = 1, .dims = {3}, .data = (float[]){1.5f, -1, 0.25f}};
    assert_true(octet_squares_of(&squares, &output, (const float[]){0.5f, 0, 0.75f}, 0));
    assert_true(squares.unit && squares.mean == 2.25 / 3 && squares.clamped == 0.5 / 3);
    assert_true(octet_psnr_db(0.01) == 20);
    assert_true(octet_psnr_db(1) == 0);
    assert_true(isinf(octet_psnr_db(0)));
}

static void test_sqnr(void **state)
{
    octet_sqnr  whole = {0}, parts = {0};
    const float reference[] = {3, 4, 0, 1}, measured[] = {3, 3, 1, 1};
    (void)state;
    assert_true(isnan(octet_sqnr_db(&whole)));
    octet_sqnr_add(&whole, reference, measured, 4); /* 26 over 2 */
    assert_true(fabs(octet_sqnr_db(&whole) - (11.139433523068367)) <= 1e-12);
    assert_true(fabs(octet_sqnr_cosine(&whole) - (22 / (sqrt(26) * sqrt(20)))) <= 1e-12);
    assert_true(whole.max_abs == 1);
    for (size_t i = 0; i < 4; i++) octet_sqnr_add(&parts, reference + i, measured + i, 1);
    assert_memory_equal(&parts, &whole, sizeof whole);
    octet_sqnr equal = {0};
    octet_sqnr_add(&equal, reference, reference, 4);
    assert_true(isinf(octet_sqnr_db(&equal)));
}

static void test_metrics(void **state)
{
    const octet_scores scores[2] = {
        {.top1 = 0.75, .top5 = 0.5, .mse = 3, .psnr_db = 20, .agreement = 0.5, .sqnr_db = 30},
        {.top1 = 0.875, .top5 = 0.25, .mse = 2, .psnr_db = 21, .agreement = NAN, .sqnr_db = 40}};
    static const struct {
        const char *name;
        double      score, drop;
    } want[] = {{"top1", 0.75, 12.5}, {"top5", 0.5, -25}, {"mse", 3, 1},
                {"psnr", 20, 1},      {"sqnr", 30, 10},   {"agreement", 0.5, 50}};
    (void)state;
    for (int m = 0; m < OCTET_METRIC_COUNT; m++) {
        assert_string_equal(octet_metric_name((octet_metric)m), want[m].name);
        assert_true(octet_score(scores, (octet_metric)m) == want[m].score);
        assert_true(octet_score_drop(scores, (octet_metric)m) == want[m].drop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rank), cmocka_unit_test(test_class_count),
                                       cmocka_unit_test(test_squares), cmocka_unit_test(test_sqnr),
                                       cmocka_unit_test(test_metrics)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
