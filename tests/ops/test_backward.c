/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator of the table that has a gradient: against central differences, all in double; float32 against double;
   and what graph/op.h promises about din, dout, scratch and batches. The calls are rows of backward_cases.h. */
#include "ops/backward.h"

static const double step = 0x1p-16; /* of central differences */

static const char *reason(const char *op)
{
    for (int i = 0; i < NOT_DIFFERENTIABLE; i++)
        if (!strcmp(not_differentiable[i].op, op)) return not_differentiable[i].because;
    return NULL;
}

static void test_every_operator_is_listed(void **state)
{
    (void)state;
    for (size_t i = 0; octet_op_at(i); i++) {
        const octet_op *op = octet_op_at(i);
        int             found = 0;
        for (int k = 0; k < CASES; k++) found += !strcmp(cases[k].op, op->name);
        if (op->backward && !found) fail_msg("%s has a gradient but no line in cases", op->name);
        if (!op->backward && !reason(op->name)) fail_msg("%s has neither a gradient nor a reason", op->name);
        if (op->backward && reason(op->name)) fail_msg("%s has a gradient and a reason to have none", op->name);
        if (!op->backward && (op->backward_scratch || op->fixed_inputs)) fail_msg("%s: half a gradient", op->name);
    }
    for (int i = 0; i < NOT_DIFFERENTIABLE; i++) assert_non_null(octet_op_find(not_differentiable[i].op, NULL));
}

/* Sum of dout * (result with the element raised - result with it lowered). */
static double difference(op_case *c, const gradients *g, int input, int64_t at)
{
    const double  value = value_at(&c->in[input], at);
    double        sum = 0;
    octet_tensor  raised[CASE_MAX];
    set_value(&c->in[input], at, value + step);
    case_run(c, false);
    for (int i = 0; i < c->call.out_count; i++) {
        raised[i] = c->out[i];
        c->out[i].data = octet_arena_alloc(c->arena, (size_t)octet_tensor_bytes(&raised[i]) + 1, 1);
    }
    set_value(&c->in[input], at, value - step);
    case_run(c, false);
    set_value(&c->in[input], at, value);
    for (int i = 0; i < c->call.out_count; i++)
        for (int64_t k = 0; is_real(&c->out[i]) && k < octet_tensor_count(&c->out[i]); k++)
            sum += value_at(&g->dout[i], k) * (value_at(&raised[i], k) - value_at(&c->out[i], k));
    return sum;
}

static void test_central_differences(void **state)
{
    (void)state;
    for (int n = 0; n < CASES; n++) {
        op_case   c;
        gradients g = { 0 };
        begin(&c, &cases[n], OCTET_F64);
        new_gradients(&c, &g);
        run_backward(&c, &g, &all);
        for (int i = 0; i < c.call.in_count; i++) {
            if (!has_gradient(&c, i)) continue;
            if (!is_real(&c.in[i])) fail_msg("%s: input %d is not real and not fixed", cases[n].op, i);
            octet_tensor expected = g.din[i];
            expected.data = octet_arena_alloc(c.arena, (size_t)octet_tensor_count(&expected) + 1, sizeof(double));
            for (int64_t k = 0; k < octet_tensor_count(&expected); k++)
                set_value(&expected, k, difference(&c, &g, i, k) / (2 * step));
            expect_near(&cases[n], &g.din[i], 0.0, &expected, 1e-6);
        }
        case_end(&c);
    }
}

static void test_single_against_double(void **state)
{
    (void)state;
    for (int n = 0; n < CASES; n++) {
        op_case   c[2];
        gradients g[2] = { 0 };
        for (int k = 0; k < 2; k++) {
            begin(&c[k], &cases[n], k ? OCTET_F64 : OCTET_F32);
            new_gradients(&c[k], &g[k]);
            run_backward(&c[k], &g[k], &all);
        }
        for (int i = 0; i < c[0].call.in_count; i++)
            if (has_gradient(&c[0], i)) expect_near(&cases[n], &g[0].din[i], 0.0, &g[1].din[i], 2e-6);
        for (int k = 0; k < 2; k++) case_end(&c[k]);
    }
}

/* Gradients are added; those not wanted change nothing about the others; inputs that are settings stay untouched. */
static void check_inputs(const backward_case *row, octet_dtype dtype)
{
    op_case       c;
    gradients     whole = { 0 }, part = { 0 };
    const request shifted = { ~0u, ~0u, 3.0 };
    const double  tolerance = dtype == OCTET_F64 ? 1e-14 : 5e-6;
    begin(&c, row, dtype);
    new_gradients(&c, &whole);
    part = whole;
    for (int i = 0; i < c.call.in_count; i++)
        if (c.inputs[i])
            part.din[i].data = octet_arena_alloc(c.arena, (size_t)octet_tensor_bytes(&part.din[i]) + 1, 1);
    run_backward(&c, &whole, &all);
    run_backward(&c, &part, &shifted);
    for (int i = 0; i < c.call.in_count; i++) {
        if (c.inputs[i] && is_fixed(&c, i)) expect_all(row, &part.din[i], shifted.start);
        if (has_gradient(&c, i)) expect_near(row, &part.din[i], -shifted.start, &whole.din[i], tolerance);
    }
    for (int i = 0; i < c.call.in_count; i++) {
        if (!has_gradient(&c, i)) continue;
        run_backward(&c, &part, &(request){ ~0u, 1u << i, 0.0 });
        expect_same(row, &part.din[i], &whole.din[i]);
        for (int k = 0; k < c.call.in_count; k++)
            if (k != i && c.inputs[k]) expect_all(row, &part.din[k], 0.0);
    }
    case_end(&c);
}

/* The gradient is the sum of those of single outputs, and 0 where none has one. */
static void check_outputs(const backward_case *row, octet_dtype dtype)
{
    op_case   c;
    gradients g = { 0 };
    double   *sum[CASE_MAX] = { 0 };
    begin(&c, row, dtype);
    new_gradients(&c, &g);
    /* Pieces of Split are elements of their own; elsewhere outputs add to the same ones. */
    const bool rounded = c.call.out_count > 1 && strcmp(row->op, "Split") != 0;
    for (int i = 0; i < c.call.in_count; i++)
        sum[i] = octet_arena_alloc(c.arena, c.inputs[i] ? (size_t)octet_tensor_count(&c.in[i]) + 1 : 1, sizeof(double));
    for (int o = -1; o < c.call.out_count; o++) {
        run_backward(&c, &g, &(request){ o < 0 ? 0 : 1u << o, ~0u, 0.0 });
        for (int i = 0; i < c.call.in_count; i++) {
            if (!has_gradient(&c, i)) continue;
            if (o < 0) expect_all(row, &g.din[i], 0.0);
            for (int64_t k = 0; k < octet_tensor_count(&g.din[i]); k++) sum[i][k] += value_at(&g.din[i], k);
        }
    }
    run_backward(&c, &g, &all);
    for (int i = 0; i < c.call.in_count; i++) {
        if (!has_gradient(&c, i)) continue;
        const octet_tensor expected = { .dtype = OCTET_F64, .rank = 1, .dims = { octet_tensor_count(&g.din[i]) },
                                        .data = sum[i] };
        expect_near(row, &g.din[i], 0.0, &expected, rounded ? 2e-6 : 0.0);
    }
    case_end(&c);
}

/* What the caller has dealt with is ignored: an absorbed activation. */
static void check_activation(const backward_case *row)
{
    op_case   c;
    gradients plain = { 0 }, absorbed = { 0 };
    begin(&c, row, OCTET_F32);
    new_gradients(&c, &plain);
    absorbed = plain;
    for (int i = 0; i < c.call.in_count; i++)
        if (c.inputs[i])
            absorbed.din[i].data = octet_arena_alloc(c.arena, (size_t)octet_tensor_bytes(&plain.din[i]) + 1, 1);
    run_backward(&c, &plain, &all);
    c.node.activation = (octet_activation){ .on = true, .lo = -0.01f, .hi = 0.01f };
    run_backward(&c, &absorbed, &all);
    for (int i = 0; i < c.call.in_count; i++)
        if (has_gradient(&c, i)) expect_same(row, &absorbed.din[i], &plain.din[i]);
    case_end(&c);
}

static void test_contract(void **state)
{
    (void)state;
    for (int n = 0; n < CASES; n++) {
        check_inputs(&cases[n], OCTET_F32);
        check_inputs(&cases[n], OCTET_F64);
        check_outputs(&cases[n], OCTET_F32);
        check_activation(&cases[n]);
    }
}

/* ---- batches ---- */

/* Sample n of t, which lies behind each other. */
static octet_tensor sample_of(const octet_tensor *t, int64_t n)
{
    octet_tensor  sample = *t;
    const int64_t size = octet_tensor_bytes(t) / t->dims[0];
    sample.dims[0] = 1;
    sample.data = (char *)t->data + n * size;
    return sample;
}

static void add_values(const octet_tensor *to, const octet_tensor *t)
{
    for (int64_t k = 0; k < octet_tensor_count(t); k++) set_value(to, k, value_at(to, k) + value_at(t, k));
}

/* OCTET_OP_SAMPLES: a sample alone gives the same bytes, and other inputs' gradients are sums over samples. */
static void check_samples(const backward_case *row)
{
    op_case   c;
    gradients g = { 0 }, sum = { 0 };
    begin(&c, row, OCTET_F32);
    assert_true(c.in[0].rank > 0);
    case_run(&c, false);
    new_gradients(&c, &g);
    new_gradients(&c, &sum);
    run_backward(&c, &g, &all);
    for (int64_t n = 0; n < c.in[0].dims[0]; n++) {
        op_case   one;
        gradients part = { 0 };
        build(&one, row, OCTET_F32);
        one.in[0] = sample_of(&one.in[0], n);
        case_prepare(&one, row->outputs ? row->outputs : 1, NULL, false);
        case_run(&one, false);
        new_gradients(&one, &part);
        const octet_tensor y = sample_of(&c.out[0], n), dx = sample_of(&g.din[0], n);
        part.dout[0] = sample_of(&g.dout[0], n);
        run_backward(&one, &part, &all);
        expect_same(row, &one.out[0], &y);
        expect_same(row, &part.din[0], &dx);
        for (int i = 1; i < c.call.in_count; i++)
            if (has_gradient(&c, i)) add_values(&sum.din[i], &part.din[i]);
        case_end(&one);
    }
    for (int i = 1; i < c.call.in_count; i++)
        if (has_gradient(&c, i)) expect_near(row, &sum.din[i], 0.0, &g.din[i], 2e-6);
    case_end(&c);
}

static void test_samples(void **state)
{
    (void)state;
    for (int n = 0; n < CASES; n++)
        if (octet_op_find(cases[n].op, NULL)->flags & OCTET_OP_SAMPLES) check_samples(&cases[n]);
}

/* ---- where functions bend ---- */

static const struct {
    const char *op, *inputs, *attrs;
    int         count;
    double      x[4], slope[4];
} bends[] = {
    { "Relu", "4", "", 4, { 0, -0.0, 1, -1 }, { 0, 0, 1, 0 } },
    { "LeakyRelu", "3", "alpha=0.25", 3, { 0, 1, -1 }, { 0.25, 1, 0.25 } },
    { "Clip", "4 =-1 =2", "", 4, { -1, 2, -1.5, 2.5 }, { 1, 1, 0, 0 } },
    { "HardSigmoid", "3", "alpha=0.5 beta=0.5", 3, { -1, 1, 0 }, { 0, 0, 0.5 } },
    { "HardSwish", "4", "", 4, { -3, 3, 4, 0 }, { 0, 1, 1, 0.5 } },
    { "Elu", "3", "alpha=0.5", 3, { 0, 1, -0.0 }, { 0.5, 1, 0.5 } },
    { "Celu", "2", "alpha=0.5", 2, { 0, 1 }, { 1, 1 } },
    { "ThresholdedRelu", "3", "alpha=0.5", 3, { 0.5, 0.75, 0 }, { 0, 1, 0 } },
    { "Abs", "3", "", 3, { 0, 2, -2 }, { 0, 1, -1 } },
    { "Shrink", "4", "lambd=0.5", 4, { -0.5, 0.5, 0.75, -0.75 }, { 0, 0, 1, 1 } },
    { "MaxPool", "1x1x4", "kernel_shape=2 strides=2", 4, { 5, 5, 2, 3 }, { 1, 0, 0, 1 } },
    { "ReduceMax", "4", "", 4, { 1, 5, 5, 3 }, { 0, 0.5, 0.5, 0 } },
    { "ReduceProd", "4", "", 4, { 1, 0, 5, 3 }, { 0, 15, 0, 0 } },
    { "ReduceProd", "4", "", 4, { 1, 0, 0, 3 }, { 0, 0, 0, 0 } },
    { "ReduceL2", "3", "", 3, { 0, 0, 0 }, { 0, 0, 0 } },
    { "GlobalMaxPool", "1x1x4", "", 4, { 1, 5, 5, 3 }, { 0, 1, 0, 0 } },
};

static void test_bends(void **state)
{
    (void)state;
    for (size_t n = 0; n < 2 * sizeof bends / sizeof *bends; n++) {
        const backward_case row = { bends[n / 2].op, bends[n / 2].inputs, bends[n / 2].attrs, 1 };
        op_case             c;
        gradients           g = { 0 };
        begin(&c, &row, n % 2 ? OCTET_F64 : OCTET_F32);
        new_gradients(&c, &g);
        for (int i = 0; i < bends[n / 2].count; i++) set_value(&c.in[0], i, bends[n / 2].x[i]);
        for (int64_t k = 0; k < octet_tensor_count(&g.dout[0]); k++) set_value(&g.dout[0], k, 1.0);
        run_backward(&c, &g, &all);
        for (int i = 0; i < bends[n / 2].count; i++)
            if (value_at(&g.din[0], i) != bends[n / 2].slope[i])
                fail_msg("%s at %g: %g", row.op, bends[n / 2].x[i], value_at(&g.din[0], i));
        case_end(&c);
    }
}

static void test_refuses_batch_statistics(void **state)
{
    (void)state;
    const backward_case row = { "BatchNormalization", "3x4x2x3 4 4 4 +4", "training_mode=1", 1 };
    op_case             c;
    gradients           g = { 0 };
    begin(&c, &row, OCTET_F32);
    new_gradients(&c, &g);
    assert_int_equal(call_backward(&c, &g, &all), OCTET_ERR_UNSUPPORTED);
    assert_string_equal(c.err.field, "training_mode");
    case_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operator_is_listed), cmocka_unit_test(test_central_differences),
        cmocka_unit_test(test_single_against_double),    cmocka_unit_test(test_contract),
        cmocka_unit_test(test_samples),                  cmocka_unit_test(test_bends),
        cmocka_unit_test(test_refuses_batch_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
