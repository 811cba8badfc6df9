/* SPDX-License-Identifier: Apache-2.0 */
/* Gemm and MatMul against triple loops over whole tensors, in real numbers, integers and levels. */
#include "ops/case.h"

#include "ops/attrs.h"

#include <time.h>

/* ---- Gemm ---- */

typedef struct gemm {
    int   m, n, k, ta, tb;
    int   c_rows, c_columns; /* 0: C left out */
    float alpha, beta;
} gemm;

static const gemm gemms[] = {
    { 1, 10, 64, 0, 1, 1, 10, 1, 1 },      { 3, 5, 7, 0, 0, 0, 0, 1, 1 },       { 4, 17, 33, 1, 0, 4, 17, 0.5f, 2 },
    { 70, 33, 300, 0, 1, 1, 33, 1, 1 },    { 5, 300, 9, 1, 1, 5, 1, 2, -1 },    { 17, 1, 8, 0, 0, 1, 1, 1, 0.5f },
    { 2, 600, 513, 0, 0, 1, 600, 1, 1 },   { 1, 1, 1, 0, 0, 1, 1, 1, 1 },       { 65, 16, 257, 1, 1, 1, 16, 1, 1 },
};

static void set_gemm(op_case *c, const gemm *g)
{
    octet_gemm_attrs *a = c->node.attrs;
    *a = (octet_gemm_attrs){ .alpha = g->alpha, .beta = g->beta, .trans_a = g->ta, .trans_b = g->tb };
}

static int64_t a_at(const gemm *g, int m, int k) { return g->ta ? (int64_t)k * g->m + m : (int64_t)m * g->k + k; }
static int64_t b_at(const gemm *g, int k, int n) { return g->tb ? (int64_t)n * g->k + k : (int64_t)k * g->n + n; }

static const int64_t *a_dims(const gemm *g, int64_t d[3])
{
    d[0] = g->ta ? g->k : g->m;
    d[1] = g->ta ? g->m : g->k;
    d[2] = -1;
    return d;
}

static const int64_t *b_dims(const gemm *g, int64_t d[3])
{
    d[0] = g->tb ? g->n : g->k;
    d[1] = g->tb ? g->k : g->n;
    d[2] = -1;
    return d;
}

static void test_gemm_float(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof gemms / sizeof *gemms; t++) {
        const gemm *g = &gemms[t];
        op_case     c;
        int64_t     d[3];
        case_begin(&c, "Gemm", t + 1);
        set_gemm(&c, g);
        const float *a = case_random_f32(&c, a_dims(g, d))->data, *b = case_random_f32(&c, b_dims(g, d))->data;
        const float *bias = g->c_rows ? case_random_f32(&c, DIMS(g->c_rows, g->c_columns))->data : NULL;
        c.call.threads = 1 + (int)(t % 3);
        if (t % 2) c.node.activation = (octet_activation){ .on = true, .lo = -0.5f, .hi = INFINITY };
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        for (int m = 0; m < g->m; m++)
            for (int n = 0; n < g->n; n++) {
                double sum = 0, size = 1;
                for (int k = 0; k < g->k; k++) {
                    const double p = (double)a[a_at(g, m, k)] * (double)b[b_at(g, k, n)];
                    sum += p;
                    size += fabs(p);
                }
                sum *= (double)g->alpha;
                if (bias)
                    sum += (double)g->beta * (double)bias[(g->c_rows > 1 ? m : 0) * g->c_columns +
                                                          (g->c_columns > 1 ? n : 0)];
                if (t % 2 && sum < -0.5) sum = -0.5;
                const double got = (double)((const float *)c.out[0].data)[m * g->n + n];
                if (!(fabs(got - sum) <= 1e-6 * size)) fail_msg("gemm %zu [%d,%d]: %g, not %g", t, m, n, got, sum);
            }
        case_end(&c);
    }
}

/* Levels of both sides, per-channel weights along the right axis, with a bias of the given kind. */
static void run_gemm_levels(const gemm *g, octet_dtype xt, bool real_out, bool real_bias, uint64_t seed)
{
    op_case c;
    int64_t d[3];
    case_begin(&c, "Gemm", seed);
    set_gemm(&c, g);
    ((octet_gemm_attrs *)c.node.attrs)->alpha = ((octet_gemm_attrs *)c.node.attrs)->beta = 1;
    const octet_tensor *a = case_random_levels(&c, xt, a_dims(g, d), 1, 0);
    const octet_tensor *b = case_random_levels(&c, OCTET_I8, b_dims(g, d), g->n, g->tb ? 0 : 1);
    const octet_tensor *bias = real_bias ? case_random_f32(&c, DIMS(g->n)) : case_bias(&c, g->n, 9000);
    const octet_qparams *to = real_out ? NULL : case_qparams(&c, OCTET_U8, 3, 250, 1, 0);
    if (to) ((float *)to->scale)[0] *= 30;
    c.call.threads = 2;
    case_prepare(&c, 1, to, true);
    case_run(&c, true);
    for (int m = 0; m < g->m; m++)
        for (int n = 0; n < g->n; n++) {
            const double sx = (double)a->qparams->scale[0], sw = (double)b->qparams->scale[g->n > 1 ? n : 0];
            int64_t      sum = real_bias ? (int64_t)nearbyint((double)((float *)bias->data)[n] / (sx * sw))
                                         : ((int32_t *)bias->data)[n];
            for (int k = 0; k < g->k; k++)
                sum += (int64_t)(case_level(a, a_at(g, m, k)) - a->qparams->zero_point[0]) *
                       (case_level(b, b_at(g, k, n)) - b->qparams->zero_point[g->n > 1 ? n : 0]);
            const int64_t at = (int64_t)m * g->n + n;
            if (real_out)
                assert_true(((float *)c.out[0].data)[at] == (float)sum * (float)(sx * sw));
            else
                assert_int_equal(case_level(&c.out[0], at), case_requantize(sum, sx, sw, to));
        }
    case_end(&c);
}

static void test_gemm_levels(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof gemms / sizeof *gemms; t++) {
        run_gemm_levels(&gemms[t], t % 2 ? OCTET_U8 : OCTET_I8, t % 3 == 0, t % 2, t + 5);
        run_gemm_levels(&gemms[t], OCTET_I16, t % 3 == 1, t % 2, t + 50);
    }
}

/* ---- MatMul ---- */

typedef struct matmul {
    int     a_rank, b_rank, out_rank;
    int64_t a[5], b[5], out[5];
} matmul;

static const matmul matmuls[] = {
    { 2, 2, 2, { 3, 4 }, { 4, 5 }, { 3, 5 } },
    { 1, 2, 1, { 4 }, { 4, 5 }, { 5 } },
    { 2, 1, 1, { 3, 4 }, { 4 }, { 3 } },
    { 1, 1, 0, { 9 }, { 9 }, { 0 } },
    { 3, 2, 3, { 2, 3, 4 }, { 4, 5 }, { 2, 3, 5 } },
    { 3, 3, 3, { 1, 3, 4 }, { 6, 4, 20 }, { 6, 3, 20 } },
    { 4, 4, 4, { 2, 1, 7, 30 }, { 1, 3, 30, 18 }, { 2, 3, 7, 18 } },
    { 2, 4, 4, { 2, 70 }, { 2, 3, 70, 2 }, { 2, 3, 2, 2 } },
    { 3, 1, 2, { 2, 3, 4 }, { 4 }, { 2, 3 } },
};

static int64_t last(const int64_t *d, int rank, int from_end) { return rank >= from_end ? d[rank - from_end] : 1; }

/* First element of the matrix that batch index of out belongs to, of a tensor whose matrix has size elements. */
static int64_t matrix_of(const int64_t *d, int rank, int64_t size, const matmul *t, int64_t batch)
{
    int64_t at = 0, step = size;
    const int batches = (t->a_rank > t->b_rank ? t->a_rank : t->b_rank) - 2;
    for (int i = 0; i < batches; i++) { /* from the right */
        const int64_t n = t->out[batches - 1 - i], own = last(d, rank, 3 + i);
        at += own > 1 ? batch % n * step : 0;
        batch /= n;
        step *= own;
    }
    return at;
}

typedef double (*element)(const octet_tensor *t, int64_t i);

static double as_f32(const octet_tensor *t, int64_t i) { return (double)((const float *)t->data)[i]; }
static double as_i64(const octet_tensor *t, int64_t i) { return (double)((const int64_t *)t->data)[i]; }
static double as_level(const octet_tensor *t, int64_t i)
{
    return case_level(t, i) - t->qparams->zero_point[0];
}

/* The exact product of row m and column n of matrix `batch`. */
static double product(const op_case *c, const matmul *t, element get, int64_t batch, int64_t m, int64_t n)
{
    const int64_t rows = t->a_rank > 1 ? last(t->a, t->a_rank, 2) : 1, depth = last(t->a, t->a_rank, 1);
    const int64_t columns = t->b_rank > 1 ? last(t->b, t->b_rank, 1) : 1;
    const int64_t a = matrix_of(t->a, t->a_rank, rows * depth, t, batch);
    const int64_t b = matrix_of(t->b, t->b_rank, depth * columns, t, batch);
    double        sum = 0;
    for (int64_t k = 0; k < depth; k++)
        sum += get(&c->in[0], a + m * depth + k) * get(&c->in[1], b + k * columns + n);
    return sum;
}

static void run_matmul(const matmul *t, octet_dtype type, uint64_t seed)
{
    op_case c;
    case_begin(&c, "MatMul", seed);
    int64_t a[6], b[6];
    memcpy(a, t->a, sizeof t->a);
    memcpy(b, t->b, sizeof t->b);
    a[t->a_rank] = b[t->b_rank] = -1;
    const int64_t *dims[2] = { a, b };
    for (int i = 0; i < 2; i++) {
        if (type == OCTET_F32) case_random_f32(&c, dims[i]);
        if (type == OCTET_U8) case_random_levels(&c, type, dims[i], 1, 0);
        if (type != OCTET_I64) continue;
        octet_tensor *x = case_input(&c, type, dims[i]);
        for (int64_t j = 0; j < octet_tensor_count(x); j++) ((int64_t *)x->data)[j] = case_between(&c, -99, 99);
    }
    const bool           levels = type == OCTET_U8;
    const octet_qparams *to = levels ? case_qparams(&c, OCTET_I8, -128, 127, 1, 0) : NULL;
    c.call.threads = 2;
    case_prepare(&c, 1, to, levels);
    assert_int_equal(c.out[0].rank, t->out_rank);
    for (int i = 0; i < t->out_rank; i++) assert_int_equal(c.out[0].dims[i], t->out[i]);
    case_run(&c, levels);
    const int64_t rows = t->a_rank > 1 ? last(t->a, t->a_rank, 2) : 1;
    const int64_t columns = t->b_rank > 1 ? last(t->b, t->b_rank, 1) : 1;
    for (int64_t i = 0; i < octet_tensor_count(&c.out[0]); i++) {
        const element get = levels ? as_level : type == OCTET_I64 ? as_i64 : as_f32;
        const double  want = product(&c, t, get, i / (rows * columns), i / columns % rows, i % columns);
        if (levels)
            assert_int_equal(case_level(&c.out[0], i),
                             case_requantize((int64_t)want, (double)c.in[0].qparams->scale[0],
                                             (double)c.in[1].qparams->scale[0], to));
        else
            assert_true(fabs(get(&c.out[0], i) - want) <= 1e-4);
    }
    case_end(&c);
}

static void test_matmul(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof matmuls / sizeof *matmuls; t++) {
        run_matmul(&matmuls[t], OCTET_F32, t);
        run_matmul(&matmuls[t], OCTET_I64, t);
        run_matmul(&matmuls[t], OCTET_U8, t);
    }
}

/* ---- refusals ---- */

static bool accepted(const char *op, const int64_t *a, const int64_t *b, const int64_t *bias)
{
    op_case c;
    case_begin(&c, op, 1);
    case_random_f32(&c, a);
    case_random_f32(&c, b);
    if (bias) case_random_f32(&c, bias);
    const bool ok = case_infer(&c, 1) == OCTET_OK;
    assert_true(ok || c.err.text[0]);
    case_end(&c);
    return ok;
}

static void test_refusals(void **state)
{
    (void)state;
    assert_true(accepted("Gemm", DIMS(2, 4), DIMS(4, 3), DIMS(3)));
    assert_false(accepted("Gemm", DIMS(2, 4), DIMS(6, 3), NULL));
    assert_false(accepted("Gemm", DIMS(2, 4, 1), DIMS(4, 3), NULL));
    assert_false(accepted("Gemm", DIMS(2, 4), DIMS(4, 3), DIMS(2)));
    assert_false(accepted("Gemm", DIMS(1, 4), DIMS(4, 1), DIMS(1, 3)));
    assert_false(accepted("Gemm", DIMS(2, 4), DIMS(4, 3), DIMS(1, 2, 3)));
    assert_false(accepted("Gemm", DIMS(2, 0), DIMS(0, 3), NULL));
    assert_false(accepted("MatMul", DIMS(2, 4), DIMS(5, 3), NULL));
    assert_false(accepted("MatMul", DIMS(2, 3, 4), DIMS(3, 4, 5), NULL));
    assert_true(accepted("MatMul", DIMS(2, 3, 4), DIMS(1, 4, 5), NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_float),
        cmocka_unit_test(test_gemm_levels),
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
