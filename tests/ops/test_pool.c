/* SPDX-License-Identifier: Apache-2.0 */
/* Pools and means against definitions that ask, for every output, each input element whether the window holds it. */
#include "ops/case.h"

#include "ops/attrs.h"

#include <stdlib.h>

typedef struct pool {
    int rank, in[3], kernel[3], stride[3], dilation[3], pads[6];
    int ceil_mode, include_pad, column_major;
    int out[3];
} pool;

static int floor_divide(int a, int b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

/* Output extents, by PyTorch's words: with ceil_mode a window more, unless it would start in the padding behind. */
static void set_out(pool *p)
{
    for (int i = 0; i < p->rank; i++) {
        const int room = p->in[i] + p->pads[i] + p->pads[i + p->rank] - (p->kernel[i] - 1) * p->dilation[i] - 1;
        p->out[i] = floor_divide(room, p->stride[i]) + 1;
        if (!p->ceil_mode) continue;
        p->out[i] = floor_divide(room + p->stride[i] - 1, p->stride[i]) + 1;
        if ((p->out[i] - 1) * p->stride[i] >= p->in[i] + p->pads[i]) p->out[i]--;
    }
}

static pool random_pool(op_case *c, bool dilated)
{
    pool p = { .rank = case_between(c, 1, 3), .ceil_mode = case_between(c, 0, 1), .include_pad = case_between(c, 0, 1),
               .column_major = case_between(c, 0, 1) };
    for (int i = 0; i < p.rank; i++) {
        p.kernel[i] = case_between(c, 1, 4);
        p.stride[i] = case_between(c, 1, 4);
        p.dilation[i] = dilated ? case_between(c, 1, 2) : 1;
        p.pads[i] = case_between(c, 0, p.kernel[i] - 1);
        p.pads[i + p.rank] = case_between(c, 0, p.kernel[i] - 1);
        p.in[i] = (p.kernel[i] - 1) * p.dilation[i] + 1 + case_between(c, 0, 8);
    }
    set_out(&p);
    return p;
}

static void begin(op_case *c, const char *op, const pool *p, uint64_t seed)
{
    case_begin(c, op, seed);
    octet_window_attrs *a = c->node.attrs;
    a->kernel_shape.count = a->strides.count = p->rank;
    a->pads.count = 2 * p->rank;
    a->ceil_mode = p->ceil_mode;
    a->count_include_pad = p->include_pad;
    a->storage_order = p->column_major;
    for (int i = 0; i < p->rank; i++) {
        a->kernel_shape.at[i] = p->kernel[i];
        a->strides.at[i] = p->stride[i];
        a->pads.at[i] = p->pads[i];
        a->pads.at[i + p->rank] = p->pads[i + p->rank];
        a->dilations.count = p->rank;
        a->dilations.at[i] = p->dilation[i];
    }
}

static const int64_t *dims_of(const pool *p, int64_t d[6])
{
    d[0] = 2;
    d[1] = 3;
    for (int i = 0; i < p->rank; i++) d[2 + i] = p->in[i];
    d[2 + p->rank] = -1;
    return d;
}

static int size_of(const int *dims, int rank)
{
    int size = 1;
    for (int i = 0; i < rank; i++) size *= dims[i];
    return size;
}

/* Index along dimension i of element at of a plane of these dims. */
static int coordinate(const int *dims, int rank, int i, int at)
{
    for (int j = rank - 1; j > i; j--) at /= dims[j];
    return at % dims[i];
}

/* Whether output o's window holds input element e. */
static bool holds(const pool *p, int o, int e)
{
    for (int i = 0; i < p->rank; i++) {
        const int offset = coordinate(p->in, p->rank, i, e) + p->pads[i] -
                           coordinate(p->out, p->rank, i, o) * p->stride[i];
        if (offset < 0 || offset % p->dilation[i] || offset / p->dilation[i] >= p->kernel[i]) return false;
    }
    return true;
}

/* Elements that an average divides by: positions of the window in the input, or in the padded input. */
static int divisor(const pool *p, int o)
{
    int count = 1;
    for (int i = 0; i < p->rank; i++) {
        int own = 0;
        for (int k = 0; k < p->kernel[i]; k++) {
            const int at = coordinate(p->out, p->rank, i, o) * p->stride[i] + k * p->dilation[i] - p->pads[i];
            own += p->include_pad ? at < p->in[i] + p->pads[i + p->rank] : at >= 0 && at < p->in[i];
        }
        count *= own;
    }
    return count ? count : 1; /* a window of gaps: nothing to add either */
}

static void check_dims(const op_case *c, const pool *p)
{
    assert_int_equal(c->out[0].rank, p->rank + 2);
    for (int i = 0; i < p->rank; i++) assert_int_equal(c->out[0].dims[2 + i], p->out[i]);
}

static void run_max(const pool *p, uint64_t seed)
{
    op_case c;
    int64_t d[6];
    begin(&c, "MaxPool", p, seed);
    const float *x = case_random_f32(&c, dims_of(p, d))->data;
    c.call.threads = 2;
    case_prepare(&c, 2, NULL, false);
    check_dims(&c, p);
    case_run(&c, false);
    const int in = size_of(p->in, p->rank), out = size_of(p->out, p->rank);
    for (int plane = 0; plane < 6; plane++)
        for (int o = 0; o < out; o++) {
            int best = -1;
            for (int e = 0; e < in; e++)
                if (holds(p, o, e) && (best < 0 || x[plane * in + e] > x[plane * in + best])) best = e;
            if (best < 0) continue; /* only padding: no value to compare */
            int64_t index = best;
            if (p->column_major) {
                index = 0;
                for (int i = p->rank - 1; i >= 0; i--) index = index * p->in[i] + coordinate(p->in, p->rank, i, best);
            }
            assert_true(((float *)c.out[0].data)[plane * out + o] == x[plane * in + best]);
            assert_int_equal(((int64_t *)c.out[1].data)[plane * out + o], plane * in + index);
        }
    case_end(&c);
}

/* Levels: equal parameters (narrowed by a clamp) or others. */
static void run_max_levels(const pool *p, bool same, uint64_t seed)
{
    op_case c;
    int64_t d[6];
    begin(&c, "MaxPool", p, seed);
    const octet_tensor  *x = case_random_levels(&c, OCTET_U8, dims_of(p, d), 1, 0);
    const octet_qparams *to = same ? x->qparams : case_qparams(&c, OCTET_I8, -128, 127, 1, 0);
    if (same) c.node.activation = (octet_activation){ .on = true, .lo = 0, .hi = INFINITY };
    case_prepare(&c, 1, to, true);
    case_run(&c, true);
    const int   in = size_of(p->in, p->rank), out = size_of(p->out, p->rank);
    const float m = (float)((double)x->qparams->scale[0] / (double)to->scale[0]);
    for (int plane = 0; plane < 6; plane++)
        for (int o = 0; o < out; o++) {
            int best = -1;
            for (int e = 0; e < in; e++)
                if (holds(p, o, e) && case_level(x, plane * in + e) > best) best = case_level(x, plane * in + e);
            if (best < 0) continue;
            const int32_t zero = x->qparams->zero_point[0];
            const int32_t want = same ? (best > zero ? best : zero) : case_round((float)(best - zero) * m, to);
            assert_int_equal(case_level(&c.out[0], plane * out + o), want);
        }
    case_end(&c);
}

static void run_average(const pool *p, bool levels, uint64_t seed)
{
    op_case c;
    int64_t d[6];
    begin(&c, "AveragePool", p, seed);
    const octet_tensor  *x = levels ? case_random_levels(&c, OCTET_I8, dims_of(p, d), 1, 0)
                                    : case_random_f32(&c, dims_of(p, d));
    const octet_qparams *to = levels ? case_qparams(&c, OCTET_U8, 0, 255, 1, 0) : NULL;
    case_prepare(&c, 1, to, levels);
    check_dims(&c, p);
    case_run(&c, levels);
    const int in = size_of(p->in, p->rank), out = size_of(p->out, p->rank);
    for (int plane = 0; plane < 6; plane++)
        for (int o = 0; o < out; o++) {
            double    real = 0;
            int32_t   sum = 0;
            const int n = divisor(p, o), at = plane * out + o;
            for (int e = 0; e < in; e++) {
                if (!holds(p, o, e)) continue;
                if (levels)
                    sum += case_level(x, plane * in + e) - x->qparams->zero_point[0];
                else
                    real += (double)((float *)x->data)[plane * in + e];
            }
            if (levels) {
                const float m = (float)((double)x->qparams->scale[0] / (n * (double)to->scale[0]));
                assert_int_equal(case_level(&c.out[0], at), case_round((float)sum * m, to));
            } else {
                assert_true(fabs((double)((float *)c.out[0].data)[at] - real / n) < 1e-6);
            }
        }
    case_end(&c);
}

static void run_norm(const pool *p, int power, uint64_t seed)
{
    op_case c;
    int64_t d[6];
    begin(&c, "LpPool", p, seed);
    case_set_int(&c, "p", power);
    const float *const x = case_random_f32(&c, dims_of(p, d))->data;
    case_prepare(&c, 1, NULL, false);
    check_dims(&c, p);
    case_run(&c, false);
    const int in = size_of(p->in, p->rank), out = size_of(p->out, p->rank);
    for (int plane = 0; plane < 6; plane++)
        for (int o = 0; o < out; o++) {
            double sum = 0;
            for (int e = 0; e < in; e++)
                if (holds(p, o, e)) sum += pow(fabs((double)x[plane * in + e]), power);
            const double got = (double)((const float *)c.out[0].data)[plane * out + o];
            if (fabs(got - pow(sum, 1.0 / power)) > 2e-7 * (1 + got)) fail_msg("output %d: %g", o, got);
        }
    case_end(&c);
}

static void test_random(void **state)
{
    (void)state;
    op_case c;
    case_begin(&c, "MaxPool", 4);
    for (uint64_t i = 0; i < 150; i++) {
        const pool wide = random_pool(&c, true), dense = random_pool(&c, false);
        run_max(&wide, i);
        run_max_levels(&wide, i % 2, i);
        run_average(&dense, i % 2, i);
        run_average(&wide, i % 2, i);
        run_norm(&wide, 1 + (int)i % 3, i);
    }
    case_end(&c);
}

/* Rows longer than one part. */
static void test_long_rows(void **state)
{
    (void)state;
    pool p = { .rank = 2, .in = { 3, 1100 }, .kernel = { 2, 3 }, .stride = { 1, 2 }, .dilation = { 1, 1 },
               .pads = { 1, 1, 0, 2 } };
    set_out(&p);
    run_max(&p, 1);
    run_average(&p, false, 2);
    run_average(&p, true, 3);
}

/* ONNX's averagepool_2d_precomputed_pads and maxpool_2d_precomputed_strides on 1..25. */
static void test_onnx_examples(void **state)
{
    (void)state;
    for (int max = 0; max < 2; max++) {
        op_case c;
        case_begin(&c, max ? "MaxPool" : "AveragePool", 1);
        octet_window_attrs *a = c.node.attrs;
        a->kernel_shape = max ? (octet_ints){ 2, { 2, 2 } } : (octet_ints){ 2, { 5, 5 } };
        a->strides = max ? (octet_ints){ 2, { 2, 2 } } : (octet_ints){ 0 };
        if (!max) a->pads = (octet_ints){ 4, { 2, 2, 2, 2 } };
        float *x = case_input(&c, OCTET_F32, DIMS(1, 1, 5, 5))->data;
        for (int i = 0; i < 25; i++) x[i] = (float)(i + 1);
        case_prepare(&c, 1, NULL, false);
        case_run(&c, false);
        const float *y = c.out[0].data, maxima[4] = { 7, 9, 17, 19 }, first_row[5] = { 7, 7.5f, 8, 8.5f, 9 };
        assert_memory_equal(y, max ? maxima : first_row, max ? sizeof maxima : sizeof first_row);
        case_end(&c);
    }
}

/* ---- means ---- */

/* Averages axes (a bit each) of a rank-4 input by visiting every element once. */
static void run_mean(unsigned axes, bool levels, uint64_t seed)
{
    op_case       c;
    const int64_t dims[5] = { 3, 5, 4, 7, -1 };
    case_begin(&c, "ReduceMean", seed);
    octet_reduce_attrs *a = c.node.attrs;
    a->keepdims = seed % 2;
    int64_t list[4];
    int     count = 0;
    for (int i = 0; i < 4; i++)
        if (axes >> i & 1) list[count++] = seed % 3 ? i : i - 4;
    const octet_tensor  *x = levels ? case_random_levels(&c, OCTET_U8, dims, 1, 0) : case_random_f32(&c, dims);
    const octet_qparams *to = levels ? case_qparams(&c, OCTET_I8, -128, 127, 1, 0) : NULL;
    if (count) case_ints(&c, count, list);
    c.call.threads = 2;
    case_prepare(&c, 1, to, levels);
    case_run(&c, levels);
    double sums[3 * 5 * 4 * 7] = { 0 };
    int    counts[3 * 5 * 4 * 7] = { 0 };
    for (int e = 0; e < 420; e++) {
        const int index[4] = { e / 140, e / 28 % 5, e / 7 % 4, e % 7 };
        int       at = 0;
        for (int i = 0; i < 4; i++)
            if (!(axes >> i & 1)) at = at * (int)dims[i] + index[i];
        sums[at] += levels ? case_level(x, e) - x->qparams->zero_point[0] : (double)((float *)x->data)[e];
        counts[at]++;
    }
    assert_int_equal(octet_tensor_count(&c.out[0]) * counts[0], 420);
    assert_int_equal(c.out[0].rank, a->keepdims ? 4 : 4 - count);
    for (int64_t i = 0; i < octet_tensor_count(&c.out[0]); i++) {
        if (!levels) {
            assert_true(fabs((double)((float *)c.out[0].data)[i] - sums[i] / counts[i]) < 1e-6);
            continue;
        }
        const float m = (float)((double)x->qparams->scale[0] / (counts[i] * (double)to->scale[0]));
        assert_int_equal(case_level(&c.out[0], i), case_round((float)sums[i] * m, to));
    }
    case_end(&c);
}

static void test_means(void **state)
{
    (void)state;
    for (unsigned axes = 1; axes < 16; axes++) {
        run_mean(axes, false, axes);
        run_mean(axes, true, axes + 20);
    }
}

/* Of one plane of 15 values. */
static double global_value(const char *op, const float *x)
{
    double most = -1e9, mean = 0, squares = 0;
    for (int i = 0; i < 15; i++) {
        most = fmax(most, (double)x[i]);
        mean += (double)x[i] / 15;
        squares += (double)x[i] * (double)x[i];
    }
    return !strcmp(op, "GlobalMaxPool") ? most : !strcmp(op, "GlobalLpPool") ? sqrt(squares) : mean;
}

static void test_global(void **state)
{
    (void)state;
    static const char *const ops[] = { "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool" };
    for (int k = 0; k < 3; k++) {
        op_case c;
        case_begin(&c, ops[k], 3);
        const float *x = case_random_f32(&c, DIMS(2, 300, 3, 5))->data;
        case_prepare(&c, 1, NULL, false);
        assert_int_equal(c.out[0].dims[2] * c.out[0].dims[3], 1);
        case_run(&c, false);
        for (int plane = 0; plane < 600; plane++)
            assert_true(fabs((double)((float *)c.out[0].data)[plane] - global_value(ops[k], x + plane * 15)) < 1e-6);
        case_end(&c);
    }
}

/* ---- refusals ---- */

static void refuse_pool(const char *field, const octet_window_attrs *attrs)
{
    op_case c;
    case_begin(&c, "MaxPool", 1);
    octet_window_attrs *a = c.node.attrs;
    *a = *attrs;
    a->auto_pad = "NOTSET";
    case_random_f32(&c, DIMS(1, 2, 6, 6));
    assert_int_not_equal(case_infer(&c, 1), OCTET_OK);
    assert_string_equal(c.err.field, field);
    case_end(&c);
}

static void test_refusals(void **state)
{
    (void)state;
    const octet_ints two = { 2, { 2, 2 } };
    refuse_pool("kernel_shape", &(octet_window_attrs){ .strides = two });
    refuse_pool("kernel_shape", &(octet_window_attrs){ .kernel_shape = { 2, { 0, 0 } } });
    refuse_pool("kernel_shape", &(octet_window_attrs){ .kernel_shape = { 2, { 7, 7 } } });
    refuse_pool("kernel_shape", &(octet_window_attrs){ .kernel_shape = { 1, { 2 } } });
    refuse_pool("strides", &(octet_window_attrs){ .kernel_shape = two, .strides = { 2, { 0, 0 } } });
    refuse_pool("dilations", &(octet_window_attrs){ .kernel_shape = two, .dilations = { 2, { -1, -1 } } });
    refuse_pool("pads", &(octet_window_attrs){ .kernel_shape = two, .pads = { 4, { 2, 2, 2, 2 } } });
    op_case c;
    case_begin(&c, "ReduceMean", 1);
    case_random_f32(&c, DIMS(1, 2, 6, 6));
    INTS(&c, 9);
    assert_int_not_equal(case_infer(&c, 1), OCTET_OK);
    assert_string_equal(c.err.field, "axes");
    case_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random), cmocka_unit_test(test_long_rows), cmocka_unit_test(test_onnx_examples),
        cmocka_unit_test(test_means),  cmocka_unit_test(test_global),    cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
