/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions of axes by any function: ReduceMax, Min, Prod, L1, L2, LogSum, LogSumExp and SumSquare.
   Each is a start, a step that joins an element, an end, and a slope; floats are joined in double. */
#include "base/math.h"
#include "base/parallel.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/reduction.h"
#include "ops/rescale.h"
#include "ops/rows.h"

#include <math.h>

enum { PART = OCTET_REDUCTION_PART };

typedef void join_row(octet_wide *s, const octet_wide *x, const octet_wide *pivot, size_t n, octet_dtype dtype);

typedef struct reducer {
    double    start; /* of the row s of what is joined so far */
    join_row *join;
    double    (*end)(double s, double pivot);
    double    (*slope)(double x, double y, double ties); /* NULL: no gradient */
    bool      real;  /* integers are reduced as real numbers */
    bool      pivot; /* the largest element is found first */
    const struct reducer *without_zeros; /* whose result slope gets for y, with the number of zeros for ties */
} reducer;

typedef struct reduce_run {
    octet_reduction over;
    const reducer  *by;
} reduce_run;

/* An expression in s, x and p (the pivot); one for integers; the end in s and p. */
#define REDUCER(name, joined, whole, ended)                                                                            \
    static void name##_join(octet_wide *so_far, const octet_wide *row, const octet_wide *pivot, size_t n,              \
                            octet_dtype dtype)                                                                         \
    {                                                                                                                  \
        if (octet_dtype_is_float(dtype))                                                                               \
            for (size_t i = 0; i < n; i++) {                                                                           \
                const double s = so_far[i].f, x = row[i].f, p = pivot[i].f;                                            \
                (void)p;                                                                                               \
                so_far[i].f = (joined);                                                                                \
            }                                                                                                          \
        else                                                                                                           \
            for (size_t i = 0; i < n; i++) {                                                                           \
                const int64_t s = so_far[i].i, x = row[i].i;                                                           \
                so_far[i].i = (whole);                                                                                 \
            }                                                                                                          \
    }                                                                                                                  \
    static double name##_end(double s, double p)                                                                       \
    {                                                                                                                  \
        (void)p;                                                                                                       \
        return (ended);                                                                                                \
    }
#define SLOPE(name, expression)                                                                                        \
    static double name##_slope(double x, double y, double ties)                                                        \
    {                                                                                                                  \
        (void)x, (void)y, (void)ties;                                                                                  \
        return (expression);                                                                                           \
    }

/* Integers wrap. */
static int64_t sum_of(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static int64_t product_of(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }
static int64_t size_of(int64_t x, octet_dtype dtype)
{
    return x < 0 && dtype != OCTET_U64 ? (int64_t)(0 - (uint64_t)x) : x;
}
static int64_t larger(int64_t a, int64_t b, octet_dtype dtype)
{
    return (dtype == OCTET_U64 ? (uint64_t)a < (uint64_t)b : a < b) ? b : a;
}
static int64_t smaller(int64_t a, int64_t b, octet_dtype dtype) { return larger(a, b, dtype) == a ? b : a; }

static double sign_of(double x) { return (double)((x > 0) - (x < 0)); }

REDUCER(max, x > s || x != x ? x : s, larger(s, x, dtype), s)
REDUCER(min, x < s || x != x ? x : s, smaller(s, x, dtype), s)
REDUCER(prod, s *x, product_of(s, x), s)
REDUCER(nonzero, x == 0 ? s : s * x, product_of(s, x), s)
REDUCER(l1, s + fabs(x), sum_of(s, size_of(x, dtype)), s)
REDUCER(l2, s + x * x, sum_of(s, product_of(x, x)), sqrt(s))
REDUCER(sum_square, s + x * x, sum_of(s, product_of(x, x)), s)
REDUCER(log_sum, s + x, sum_of(s, x), octet_log(s))
REDUCER(log_sum_exp, s + octet_exp(x - p), sum_of(s, x), isfinite(p) ? p + octet_log(s) : p)

/* Of x, the result y, and the number of elements that equal it. Where y is 0, PyTorch's norms have no slope. */
SLOPE(extreme, x == y ? 1.0 / ties : 0.0)
SLOPE(prod, ties == 0 ? y / x : ties == 1 && x == 0 ? y : 0.0)
SLOPE(l1, sign_of(x))
SLOPE(l2, y == 0 ? 0.0 : x / y)
SLOPE(sum_square, 2 * x)
SLOPE(log_sum, 1 / octet_exp(y))
SLOPE(log_sum_exp, octet_exp(x - y))

static const reducer reduce_max = {.start = -INFINITY, .join = max_join, .end = max_end, .slope = extreme_slope};
static const reducer reduce_min = {.start = INFINITY, .join = min_join, .end = min_end, .slope = extreme_slope};
static const reducer of_nonzero = {.start = 1, .join = nonzero_join, .end = nonzero_end};
static const reducer reduce_prod = {.start = 1, .join = prod_join, .end = prod_end, .slope = prod_slope,
                                    .without_zeros = &of_nonzero};
static const reducer reduce_l1 = {.join = l1_join, .end = l1_end, .slope = l1_slope};
static const reducer reduce_l2 = {.join = l2_join, .end = l2_end, .slope = l2_slope, .real = true};
static const reducer reduce_sum_square = {.join = sum_square_join, .end = sum_square_end, .slope = sum_square_slope};
static const reducer reduce_log_sum = {.join = log_sum_join, .end = log_sum_end, .slope = log_sum_slope, .real = true};
static const reducer reduce_log_sum_exp = {.join = log_sum_exp_join, .end = log_sum_exp_end,
                                           .slope = log_sum_exp_slope, .real = true, .pivot = true};

/* ---- one part ---- */

static void start_row(octet_wide *s, const reducer *by, octet_dtype dtype)
{
    for (size_t i = 0; i < PART; i++) {
        s[i].f = by->start;
        if (dtype == OCTET_BOOL)
            s[i].i = by->start > 0;
        else if (!octet_dtype_is_float(dtype))
            octet_wide_convert(&s[i], 1, OCTET_F64, dtype);
    }
}

static void join_all(octet_wide *s, const octet_wide *pivot, const reduce_run *run, octet_reduction_part part,
                     const reducer *by)
{
    const octet_tensor *const x = run->over.call->in[0];
    const octet_dtype         as = run->by->real ? OCTET_F64 : x->dtype;
    start_row(s, by, as);
    for (int64_t r = 0; r < run->over.count; r++) {
        octet_wide row[PART];
        octet_wide_load(row, x->data, x->dtype, part.from + octet_reduction_place(&run->over, r), part.n,
                        run->over.width_step);
        if (as != x->dtype && !octet_dtype_is_float(x->dtype)) octet_wide_convert(row, part.n, x->dtype, as);
        by->join(s, row, pivot, part.n, as);
    }
}

/* The part's results, not yet of the output's type. */
static void reduce_part(octet_wide *s, const reduce_run *run, octet_reduction_part part)
{
    const octet_dtype dtype = run->over.call->in[0]->dtype;
    octet_wide        pivot[PART];
    for (size_t i = 0; i < PART; i++) pivot[i].f = 0;
    if (run->by->pivot) join_all(pivot, pivot, run, part, &reduce_max);
    for (size_t i = 0; i < part.n; i++)
        if (!isfinite(pivot[i].f) && run->over.count == 0) pivot[i].f = 0; /* log of nothing's sum is -infinity */
    join_all(s, pivot, run, part, run->by);
    if (!octet_dtype_is_float(dtype) && !run->by->real) return;
    for (size_t i = 0; i < part.n; i++) s[i].f = run->by->end(s[i].f, pivot[i].f);
}

static void compute_part(void *context, size_t index)
{
    const reduce_run *const    run = context;
    const octet_reduction_part part = octet_reduction_part_at(&run->over, index);
    const octet_tensor *const  y = run->over.call->out[0];
    octet_wide                 s[PART];
    reduce_part(s, run, part);
    if (run->by->real && !octet_dtype_is_float(y->dtype)) octet_wide_convert(s, part.n, OCTET_F64, y->dtype);
    octet_wide_store(y->data, y->dtype, part.to, s, part.n);
}

static octet_status make_run(reduce_run *run, const octet_call *call, const reducer *by, octet_error *err)
{
    *run = (reduce_run){.by = by};
    return octet_reduction_make(&run->over, call, err);
}

static octet_status forward(const octet_call *call, const reducer *by, octet_error *err)
{
    reduce_run run;
    OCTET_TRY(make_run(&run, call, by, err));
    octet_parallel(octet_reduction_parts(&run.over), call->threads, compute_part, &run);
    return OCTET_OK;
}

/* ---- gradients ---- */

static void load_row(octet_wide *row, const reduce_run *run, octet_reduction_part part, int64_t r)
{
    const octet_tensor *const x = run->over.call->in[0];
    octet_wide_load(row, x->data, x->dtype, part.from + octet_reduction_place(&run->over, r), part.n,
                    run->over.width_step);
}

static void backward_part(const octet_backward_call *call, const reduce_run *run, octet_reduction_part part)
{
    const octet_tensor *const dx = call->din[0], *const dy = call->dout[0];
    octet_wide                y[PART], row[PART], slopes[PART];
    double                    ties[PART] = {0};
    reduce_run                of = *run;
    if (run->by->without_zeros) of.by = run->by->without_zeros;
    reduce_part(y, &of, part);
    octet_wide_load(slopes, dy->data, dy->dtype, part.to, part.n, 1);
    for (int64_t r = 0; r < run->over.count; r++) {
        load_row(row, run, part, r);
        for (size_t i = 0; i < part.n; i++) ties[i] += row[i].f == (run->by->without_zeros ? 0 : y[i].f);
    }
    for (int64_t r = 0; r < run->over.count; r++) {
        load_row(row, run, part, r);
        for (size_t i = 0; i < part.n; i++)
            row[i].f = slopes[i].f * run->by->slope(row[i].f, y[i].f, ties[i]);
        octet_wide_add(dx->data, dx->dtype, part.from + octet_reduction_place(&run->over, r), row, part.n,
                       run->over.width_step);
    }
}

static octet_status backward(const octet_backward_call *call, const reducer *by, octet_error *err)
{
    reduce_run run;
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    OCTET_TRY(make_run(&run, call->forward, by, err));
    for (size_t i = 0; i < octet_reduction_parts(&run.over); i++)
        backward_part(call, &run, octet_reduction_part_at(&run.over, i));
    return OCTET_OK;
}

/* ---- rows ---- */

static octet_status infer(const octet_call *call, octet_error *err) { return octet_infer_reduction(call, true, err); }

#define BOTH(name)                                                                                                     \
    static octet_status name##_forward(const octet_call *call, octet_error *err)                                       \
    {                                                                                                                  \
        return forward(call, &name, err);                                                                              \
    }                                                                                                                  \
    static octet_status name##_backward(const octet_backward_call *call, octet_error *err)                             \
    {                                                                                                                  \
        return backward(call, &name, err);                                                                             \
    }

BOTH(reduce_max)
BOTH(reduce_min)
BOTH(reduce_prod)
BOTH(reduce_l1)
BOTH(reduce_l2)
BOTH(reduce_sum_square)
BOTH(reduce_log_sum)
BOTH(reduce_log_sum_exp)

#define WORDS (1u << OCTET_I32 | 1u << OCTET_U32 | 1u << OCTET_I64 | 1u << OCTET_U64)
#define SUMS(id, onnx)                                                                                                 \
    .name = onnx, .since = 18, OCTET_REDUCE, .types = OCTET_TYPES_FLOAT | WORDS, .infer = infer,              \
    .forward = id##_forward, .backward = id##_backward
#define EXTREME(id, onnx)                                                                                              \
    .name = onnx, .since = 18, OCTET_REDUCE,                                                                           \
    .types = OCTET_TYPES_FLOAT | WORDS | 1u << OCTET_I8 | 1u << OCTET_U8 | 1u << OCTET_BOOL | 1u << OCTET_F16,         \
    .quant = OCTET_QUANT_SAME, .infer = infer, .forward = id##_forward, .forward_integer = octet_move_levels,          \
    .scratch_size = octet_levels_scratch, .backward = id##_backward

const octet_op octet_op_reduce_l1 = { SUMS(reduce_l1, "ReduceL1") };
const octet_op octet_op_reduce_l2 = { SUMS(reduce_l2, "ReduceL2") };
const octet_op octet_op_reduce_log_sum = { SUMS(reduce_log_sum, "ReduceLogSum") };
const octet_op octet_op_reduce_log_sum_exp = { SUMS(reduce_log_sum_exp, "ReduceLogSumExp") };
const octet_op octet_op_reduce_max = { EXTREME(reduce_max, "ReduceMax") };
const octet_op octet_op_reduce_min = { EXTREME(reduce_min, "ReduceMin") };
const octet_op octet_op_reduce_prod = { SUMS(reduce_prod, "ReduceProd") };
const octet_op octet_op_reduce_sum_square = { SUMS(reduce_sum_square, "ReduceSumSquare") };
