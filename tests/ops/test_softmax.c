/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and BatchNormalization against their formulas. */
#include "ops/case.h"

#include "ops/attrs.h"

static const int64_t shape[] = { 2, 3, 5, 4, -1 };

/* First element and step of the rows along axis. */
static int64_t row_at(int axis, int64_t row, int64_t *step)
{
    *step = 1;
    for (int i = axis + 1; i < 4; i++) *step *= shape[i];
    return row / *step * *step * shape[axis] + row % *step;
}

static void test_softmax_real(void **state)
{
    (void)state;
    for (int axis = 0; axis < 4; axis++) {
        op_case c;
        case_begin(&c, "Softmax", (uint64_t)axis + 1);
        ((octet_softmax_attrs *)c.node.attrs)->axis = axis % 2 ? axis : axis - 4;
        float *x = case_random_f32(&c, shape)->data;
        for (int i = 0; i < 120; i++) x[i] *= 60;
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        for (int64_t row = 0; row < 120 / shape[axis]; row++) {
            int64_t       step;
            const int64_t at = row_at(axis, row, &step);
            for (int64_t i = 0; i < shape[axis]; i++) { /* 1 / sum of exp of differences */
                double sum = 0;
                for (int64_t j = 0; j < shape[axis]; j++)
                    sum += exp((double)x[at + j * step] - (double)x[at + i * step]);
                assert_true(fabs((double)((float *)c.out[0].data)[at + i * step] - 1 / sum) < 1e-7);
            }
        }
        case_end(&c);
    }
}

static void test_softmax_levels(void **state)
{
    (void)state;
    for (int axis = 0; axis < 4; axis++) {
        op_case c;
        case_begin(&c, "Softmax", (uint64_t)axis + 7);
        ((octet_softmax_attrs *)c.node.attrs)->axis = axis;
        const octet_tensor  *x = case_random_levels(&c, axis % 2 ? OCTET_U8 : OCTET_I8, shape, 1, 0);
        const octet_qparams *to = case_qparams(&c, OCTET_U8, 0, 255, 1, 0);
        ((float *)to->scale)[0] = 1.0f / 256;
        ((int32_t *)to->zero_point)[0] = 0;
        case_prepare(&c, 1, to, true);
        case_run(&c, true);
        for (int64_t row = 0; row < 120 / shape[axis]; row++) {
            int64_t       step, sum = 0, e[5];
            const int64_t at = row_at(axis, row, &step);
            int32_t       most = -1000;
            for (int64_t i = 0; i < shape[axis]; i++)
                if (case_level(x, at + i * step) > most) most = case_level(x, at + i * step);
            for (int64_t i = 0; i < shape[axis]; i++) {
                const double d = most - case_level(x, at + i * step);
                e[i] = (int64_t)nearbyint(exp(-d * (double)x->qparams->scale[0]) * 0x1p23);
                sum += e[i];
            }
            for (int64_t i = 0; i < shape[axis]; i++) {
                const float t = (float)e[i] * (float)(1 / ((double)sum * (double)to->scale[0]));
                assert_int_equal(case_level(&c.out[0], at + i * step), case_round(t, to));
            }
        }
        case_end(&c);
    }
}

static void test_softmax_axis(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "Softmax", 1);
    ((octet_softmax_attrs *)c.node.attrs)->axis = 100;
    case_random_f32(&c, shape);
    assert_int_equal(case_infer(&c, 1), OCTET_ERR_SHAPE);
    assert_string_equal(c.err.field, "axis");
    case_end(&c);
}

/* ---- BatchNormalization ---- */

static void begin_norm(op_case *c, int64_t channels)
{
    case_begin(c, "BatchNormalization", 5);
    case_random_f32(c, shape);
    for (int i = 0; i < 4; i++) case_random_f32(c, DIMS(i == 0 ? channels : 3));
    for (int i = 0; i < 3; i++) ((float *)c->in[4].data)[i] = 0.25f + (float)i;
}

static void test_norm(void **state)
{
    (void)state;
    op_case c;
    begin_norm(&c, 3);
    c.node.activation = (octet_activation){ .on = true, .lo = 0, .hi = INFINITY };
    case_prepare(&c, 1, NULL, false);
    case_run(&c, false);
    for (int i = 0; i < 120; i++) {
        const int    ch = i / 20 % 3;
        const double x = (double)((float *)c.in[0].data)[i], gamma = (double)((float *)c.in[1].data)[ch];
        const double beta = (double)((float *)c.in[2].data)[ch], mean = (double)((float *)c.in[3].data)[ch];
        const double y = fmax(0, (x - mean) / sqrt(0.25 + ch + (double)1e-5f) * gamma + beta);
        assert_true(fabs((double)((float *)c.out[0].data)[i] - y) < 1e-5);
    }
    case_end(&c);
}

static void refuse_norm(const char *field, int64_t channels, float epsilon, float variance, int outputs)
{
    op_case c;
    begin_norm(&c, channels);
    octet_batch_norm_attrs *a = c.node.attrs;
    a->epsilon = epsilon;
    ((float *)c.in[4].data)[1] = variance;
    assert_int_not_equal(case_infer(&c, outputs), OCTET_OK);
    assert_string_equal(c.err.field, field);
    case_end(&c);
}

static void test_norm_refusals(void **state)
{
    (void)state;
    refuse_norm("scale", 4, 1e-5f, 1, 1);
    refuse_norm("epsilon", 3, -10, 1, 1);
    refuse_norm("epsilon", 3, NAN, 1, 1);
    refuse_norm("input_var", 3, 0, 0, 1);
    refuse_norm("input_var", 3, 1e-5f, NAN, 1);
    refuse_norm("input_var", 3, 1e-5f, -1, 1);
    refuse_norm("training_mode", 3, 1e-5f, 1, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax_real), cmocka_unit_test(test_softmax_levels), cmocka_unit_test(test_softmax_axis),
        cmocka_unit_test(test_norm),         cmocka_unit_test(test_norm_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
