/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of two or more tensors beyond arithmetic: Sum, Mean, Min, Max, PRelu and Pow on levels against the formulas
   of docs/arithmetic.md written out here; shifts, remainders and comparisons at their corners; ties of gradients. */
#include "ops/backward.h"

static double offset_of(const octet_tensor *t, int i) { return case_level(t, i) - t->qparams->zero_point[0]; }

/* f32(s / to), as docs/arithmetic.md's multipliers. */
static float multiplier(double scale, const octet_qparams *to) { return (float)(scale / (double)to->scale[0]); }

/* Three inputs of shapes [3,300], [3,1], [300]. */
static const octet_qparams *three_inputs(op_case *c, const char *op, uint64_t seed)
{
    case_begin(c, op, seed);
    case_random_levels(c, OCTET_U8, DIMS(3, 300), 1, 0);
    case_random_levels(c, OCTET_I8, DIMS(3, 1), 1, 0);
    case_random_levels(c, OCTET_U8, DIMS(300), 1, 0);
    return case_qparams(c, OCTET_U8, 5, 250, 1, 0);
}

static int place_of(int input, int i) { return input == 0 ? i : input == 1 ? i / 300 : i % 300; }

static void sums_of_levels(void **state)
{
    (void)state;
    for (int mean = 0; mean < 2; mean++) {
        op_case              c;
        const octet_qparams *to = three_inputs(&c, mean ? "Mean" : "Sum", 11 + (uint64_t)mean);
        case_prepare(&c, 1, to, true);
        case_run(&c, true);
        for (int i = 0; i < 900; i++) {
            float t = 0;
            for (int k = 0; k < 3; k++) {
                const double scale = (double)c.in[k].qparams->scale[0] / (mean ? 3 : 1);
                const float  part = (float)offset_of(&c.in[k], place_of(k, i)) * multiplier(scale, to);
                t = k ? t + part : part;
            }
            assert_int_equal(case_level(&c.out[0], i), case_round(t, to));
        }
        case_end(&c);
    }
}

static void extremes_of_levels(void **state)
{
    (void)state;
    for (int most = 0; most < 2; most++) {
        op_case              c;
        const octet_qparams *to = three_inputs(&c, most ? "Max" : "Min", 21 + (uint64_t)most);
        case_prepare(&c, 1, to, true);
        case_run(&c, true);
        for (int i = 0; i < 900; i++) {
            int32_t want = most ? INT32_MIN : INT32_MAX;
            for (int k = 0; k < 3; k++) {
                const float   m = multiplier((double)c.in[k].qparams->scale[0], to);
                const int32_t level = case_round((float)offset_of(&c.in[k], place_of(k, i)) * m, to);
                if (most ? level > want : level < want) want = level;
            }
            assert_int_equal(case_level(&c.out[0], i), want);
        }
        case_end(&c);
    }
}

static void slopes_of_levels(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "PRelu", 31);
    const octet_tensor  *x = case_random_levels(&c, OCTET_U8, DIMS(2, 3, 50), 1, 0);
    const octet_tensor  *w = case_random_levels(&c, OCTET_I8, DIMS(3, 1), 1, 0);
    const octet_qparams *to = case_qparams(&c, OCTET_U8, 0, 255, 1, 0);
    ((int32_t *)x->qparams->zero_point)[0] = 120;
    case_prepare(&c, 1, to, true);
    case_run(&c, true);
    for (int i = 0; i < 300; i++) {
        const double a = offset_of(x, i), b = offset_of(w, i / 50 % 3), sx = x->qparams->scale[0];
        const float  t = a < 0 ? (float)(a * b) * multiplier(sx * (double)w->qparams->scale[0], to)
                               : (float)a * multiplier(sx, to);
        assert_int_equal(case_level(&c.out[0], i), case_round(t, to));
    }
    case_end(&c);
}

static void slope_must_stretch_to_the_data(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "PRelu", 1);
    case_random_f32(&c, DIMS(3, 1));
    case_random_f32(&c, DIMS(3, 4));
    assert_int_equal(case_infer(&c, 1), OCTET_ERR_SHAPE);
    assert_string_equal(c.err.field, "slope");
    case_end(&c);
}

/* ---- corners of integers ---- */

static void run_words(op_case *c, octet_dtype dtype, const void *a, const void *b, int count)
{
    const size_t bytes = (size_t)count * octet_dtype_size(dtype);
    memcpy(case_input(c, dtype, DIMS(count))->data, a, bytes);
    memcpy(case_input(c, dtype, DIMS(count))->data, b, bytes);
    case_prepare(c, 1, NULL, false);
    case_run(c, false);
}

static void remainders_never_trap(void **state)
{
    (void)state;
    static const int64_t a[] = { INT64_MIN, -7, 7, 5, -6 }, b[] = { -1, 3, -3, 0, 3 };
    static const int64_t want[2][5] = { { 0, 2, -2, 0, 0 }, { 0, -1, 1, 0, 0 } };
    for (int fmod = 0; fmod < 2; fmod++) {
        op_case c;
        case_begin(&c, "Mod", 1);
        case_set_int(&c, "fmod", fmod);
        run_words(&c, OCTET_I64, a, b, 5);
        for (int i = 0; i < 5; i++) assert_true(((int64_t *)c.out[0].data)[i] == want[fmod][i]);
        case_end(&c);
    }
}

/* Of real numbers: the sign of a zero, too, is the one of what the result follows. */
static void remainders_of_floats(void **state)
{
    (void)state;
    static const float a[] = { -7.5f, 7.5f, -6, 6, INFINITY, 5, -5 }, b[] = { 2, -2, 3, -3, 2, INFINITY, INFINITY };
    static const float want[2][7] = { { 0.5f, -0.5f, 0, -0.0f, NAN, 5, INFINITY },
                                      { -1.5f, 1.5f, -0.0f, 0, NAN, 5, -5 } };
    for (int fmod = 0; fmod < 2; fmod++) {
        op_case c;
        case_begin(&c, "Mod", 1);
        case_set_int(&c, "fmod", fmod);
        run_words(&c, OCTET_F32, a, b, 7);
        for (int i = 0; i < 7; i++) {
            const float got = ((float *)c.out[0].data)[i], right = want[fmod][i];
            if (isnan(right) ? !isnan(got) : got != right || signbit(got) != signbit(right))
                fail_msg("%g mod %g is %g, not %g", (double)a[i], (double)b[i], (double)got, (double)right);
        }
        case_end(&c);
    }
}

static void shifts_by_any_number(void **state)
{
    (void)state;
    static const uint64_t a[] = { 1, 1, UINT64_MAX, 6 }, b[] = { 63, 64, UINT64_MAX, 1 };
    static const uint64_t left[] = { (uint64_t)1 << 63, 0, 0, 12 }, right[] = { 0, 0, 0, 3 };
    static const uint8_t  bytes[] = { 255, 200 }, by[] = { 1, 9 };
    for (int k = 0; k < 2; k++) {
        op_case c;
        case_begin(&c, "BitShift", 1);
        case_set_string(&c, "direction", k ? "RIGHT" : "LEFT");
        run_words(&c, OCTET_U64, a, b, 4);
        for (int i = 0; i < 4; i++) assert_true(((uint64_t *)c.out[0].data)[i] == (k ? right : left)[i]);
        case_end(&c);
    }
    op_case c;
    case_begin(&c, "BitShift", 1);
    case_set_string(&c, "direction", "LEFT");
    run_words(&c, OCTET_U8, bytes, by, 2);
    assert_int_equal(((uint8_t *)c.out[0].data)[0], 254);
    assert_int_equal(((uint8_t *)c.out[0].data)[1], 0);
    case_end(&c);
}

static void unordered_numbers_compare_false(void **state)
{
    static const char *const ops[] = { "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual" };
    static const float       a[] = { NAN, 1, 0.0f, 1, 2 }, b[] = { NAN, NAN, -0.0f, 2, 1 };
    static const uint8_t     want[5][5] = { { 0, 0, 1, 0, 0 }, { 0, 0, 0, 1, 0 }, { 0, 0, 1, 1, 0 }, { 0, 0, 0, 0, 1 },
                                            { 0, 0, 1, 0, 1 } };
    static const uint64_t    huge = UINT64_MAX, two = 2;
    static const uint8_t     huge_to_two[] = { 0, 0, 0, 1, 1 };
    (void)state;
    for (int op = 0; op < 5; op++) {
        op_case c;
        case_begin(&c, ops[op], 1);
        run_words(&c, OCTET_F32, a, b, 5);
        assert_int_equal(c.out[0].dtype, OCTET_BOOL);
        assert_memory_equal(c.out[0].data, want[op], 5);
        case_end(&c);
        case_begin(&c, ops[op], 1);
        run_words(&c, OCTET_U64, &huge, &two, 1);
        assert_int_equal(*(uint8_t *)c.out[0].data, huge_to_two[op]);
        case_end(&c);
    }
}

/* PyTorch's: inputs that attain the extreme share its gradient. */
static void ties_share_their_gradient(void **state)
{
    static const double want[3][3] = { { 0.5, 1, 0 }, { 0.5, 0, 0.5 }, { 0, 0, 0.5 } };
    static const double x[3][3] = { { 3, 2, -1 }, { 3, 1, 4 }, { 1, 1, 4 } };
    (void)state;
    const backward_case row = { "Max", "3 3 3", "", 1 };
    op_case             c;
    gradients           g = { 0 };
    begin(&c, &row, OCTET_F32);
    new_gradients(&c, &g);
    for (int i = 0; i < 9; i++) set_value(&c.in[i / 3], i % 3, x[i / 3][i % 3]);
    for (int i = 0; i < 3; i++) set_value(&g.dout[0], i, 1.0);
    run_backward(&c, &g, &all);
    for (int i = 0; i < 9; i++) assert_true(value_at(&g.din[i / 3], i % 3) == want[i / 3][i % 3]);
    case_end(&c);
}

/* ---- losses: a label is a value, judged when it runs ---- */

static octet_status run_loss(op_case *c, int64_t label, int64_t ignore)
{
    case_begin(c, "SoftmaxCrossEntropyLoss", 1);
    case_set_int(c, "ignore_index", ignore);
    memcpy(case_input(c, OCTET_F32, DIMS(2, 3))->data, (const float[]){ 0, 0, 0, 1, 2, 3 }, 24);
    memcpy(case_input(c, OCTET_I64, DIMS(2))->data, (const int64_t[]){ 1, label }, 16);
    case_prepare(c, 1, NULL, false);
    return c->node.op->forward(&c->call, &c->err);
}

static void labels_are_classes_or_ignored(void **state)
{
    (void)state;
    op_case c;
    for (int64_t label = -1; label <= 3; label += 4) {
        assert_int_equal(run_loss(&c, label, INT64_MIN), OCTET_ERR_ARGUMENT);
        case_end(&c);
        assert_int_equal(run_loss(&c, label, label), OCTET_OK);
        assert_true(fabs((double)*(float *)c.out[0].data - log(3)) < 1e-6);
        case_end(&c);
    }
    assert_int_equal(run_loss(&c, INT64_MIN, INT64_MIN), OCTET_ERR_ARGUMENT); /* no index was given to ignore */
    case_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_levels),        cmocka_unit_test(extremes_of_levels),
        cmocka_unit_test(slopes_of_levels),      cmocka_unit_test(slope_must_stretch_to_the_data),
        cmocka_unit_test(remainders_never_trap),
        cmocka_unit_test(remainders_of_floats), cmocka_unit_test(shifts_by_any_number),
        cmocka_unit_test(unordered_numbers_compare_false), cmocka_unit_test(ties_share_their_gradient),
        cmocka_unit_test(labels_are_classes_or_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
