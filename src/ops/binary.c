/* SPDX-License-Identifier: Apache-2.0 */
/* Add, Sub, Mul, Div, PRelu: two tensors stretched to one shape. Every case walks the same rows, in which each operand
   either goes along or stays at one element; what is done with a row depends on the type. An absorbed activation is
   applied to the row as well. */
#include "ops/binary.h"

#include "ops/check.h"
#include "ops/levels.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <math.h>
#include <string.h>

enum { ROW = OCTET_WIDE_ROW };

/* NaN where either is. */
#define LEAST(a, b) ((b) < (a) || (b) != (b) ? (b) : (a))
#define MOST(a, b) ((b) > (a) || (b) != (b) ? (b) : (a))

octet_status octet_infer_binary_to(const octet_call *call, octet_dtype dtype, octet_error *err)
{
    const octet_tensor *const a = call->in[0], *const b = call->in[1];
    int64_t dims[OCTET_MAX_RANK];
    int     rank;
    if (a->dtype != b->dtype)
        return octet_fail(err, OCTET_ERR_SHAPE, "inputs of types %s and %s, they must be equal",
                          octet_dtype_name(a->dtype), octet_dtype_name(b->dtype));
    OCTET_TRY(octet_broadcast(dims, &rank, a, b, err));
    return octet_set_output(call->out[0], dtype, dims, rank, err);
}

octet_status octet_infer_binary(const octet_call *call, octet_error *err)
{
    return octet_infer_binary_to(call, call->in[0]->dtype, err);
}

/* The slope is stretched to the data's shape. */
static octet_status infer_prelu(const octet_call *call, octet_error *err)
{
    OCTET_TRY(octet_infer_binary(call, err));
    if (octet_same_dims(call->out[0], call->in[0])) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_SHAPE, "slope", "its shape does not stretch to that of the data");
}

octet_walk octet_binary_rows(const octet_call *call)
{
    const octet_tensor *const out = call->out[0];
    octet_walk                walk = {.rank = out->rank};
    for (int i = 0; i < out->rank; i++) walk.dims[i] = out->dims[i];
    octet_dense_steps(walk.step[0], out->dims, out->rank);
    octet_stretched_steps(walk.step[1], call->in[0], out->rank);
    octet_stretched_steps(walk.step[2], call->in[1], out->rank);
    octet_walk_simplify(&walk);
    return walk;
}

/* ---- float32 ---- */

static inline __attribute__((always_inline)) void real_row(float *y, const float *a, const float *b, int64_t n,
                                                           const int64_t step[2], octet_binary what)
{
    if (what == OCTET_BINARY_ADD)
        for (int64_t i = 0; i < n; i++) y[i] = a[i * step[0]] + b[i * step[1]];
    else if (what == OCTET_BINARY_SUB)
        for (int64_t i = 0; i < n; i++) y[i] = a[i * step[0]] - b[i * step[1]];
    else if (what == OCTET_BINARY_MUL)
        for (int64_t i = 0; i < n; i++) y[i] = a[i * step[0]] * b[i * step[1]];
    else if (what == OCTET_BINARY_MIN)
        for (int64_t i = 0; i < n; i++) y[i] = LEAST(a[i * step[0]], b[i * step[1]]);
    else if (what == OCTET_BINARY_MAX)
        for (int64_t i = 0; i < n; i++) y[i] = MOST(a[i * step[0]], b[i * step[1]]);
    else if (what == OCTET_BINARY_PRELU)
        for (int64_t i = 0; i < n; i++) y[i] = a[i * step[0]] * (a[i * step[0]] < 0 ? b[i * step[1]] : 1.0f);
    else
        for (int64_t i = 0; i < n; i++) y[i] = a[i * step[0]] / b[i * step[1]];
}

static void forward_f32(const octet_call *call, octet_binary what)
{
    octet_walk    walk = octet_binary_rows(call);
    const int     inner = walk.rank - 1;
    const int64_t n = walk.dims[inner], a_step = walk.step[1][inner], b_step = walk.step[2][inner];
    do {
        float *const       y = (float *)call->out[0]->data + walk.offset[0];
        const float *const a = (const float *)call->in[0]->data + walk.offset[1];
        const float *const b = (const float *)call->in[1]->data + walk.offset[2];
        if (a_step == 1 && b_step == 1) /* constant steps, so that each becomes its own vector loop */
            real_row(y, a, b, n, (const int64_t[]){1, 1}, what);
        else if (a_step == 1 && b_step == 0)
            real_row(y, a, b, n, (const int64_t[]){1, 0}, what);
        else if (a_step == 0 && b_step == 1)
            real_row(y, a, b, n, (const int64_t[]){0, 1}, what);
        else
            real_row(y, a, b, n, (const int64_t[]){a_step, b_step}, what);
        if (call->node) octet_activation_apply(y, (size_t)n, &call->node->activation);
    } while (octet_walk_next(&walk));
}

/* ---- other types ---- */

static double float_value(double a, double b, octet_binary what)
{
    if (what == OCTET_BINARY_MIN) return LEAST(a, b);
    if (what == OCTET_BINARY_MAX) return MOST(a, b);
    if (what == OCTET_BINARY_PRELU) return a < 0 ? a * b : a;
    if (what == OCTET_BINARY_MUL) return a * b;
    return what == OCTET_BINARY_ADD ? a + b : what == OCTET_BINARY_SUB ? a - b : a / b;
}

/* Towards zero as in C; x / 0 is 0, which no machine traps. */
static int64_t integer_quotient(int64_t a, int64_t b, octet_dtype dtype)
{
    if (b == 0) return 0;
    if (dtype == OCTET_U64) return (int64_t)((uint64_t)a / (uint64_t)b);
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

/* Wraps like the type's own arithmetic: only the low bits are stored. */
static int64_t integer_value(int64_t a, int64_t b, octet_dtype dtype, octet_binary what)
{
    const uint64_t x = (uint64_t)a, y = (uint64_t)b;
    if (what == OCTET_BINARY_DIV) return integer_quotient(a, b, dtype);
    const bool below = dtype == OCTET_U64 ? y < x : b < a;
    if (what == OCTET_BINARY_MIN) return below ? b : a;
    if (what == OCTET_BINARY_MAX) return below ? a : b;
    if (what == OCTET_BINARY_PRELU && (dtype == OCTET_U64 || a >= 0)) return a;
    return (int64_t)(what == OCTET_BINARY_ADD ? x + y : what == OCTET_BINARY_SUB ? x - y : x * y);
}

static void wide_row(octet_wide *a, const octet_wide *b, size_t n, const octet_call *call, int kind)
{
    const octet_dtype  dtype = call->in[0]->dtype;
    const octet_binary what = (octet_binary)kind;
    for (size_t i = 0; i < n; i++)
        if (octet_dtype_is_float(dtype))
            a[i].f = float_value(a[i].f, b[i].f, what);
        else
            a[i].i = integer_value(a[i].i, b[i].i, dtype, what);
}

void octet_binary_wide(const octet_call *call, octet_binary_row *row, int what)
{
    if (octet_tensor_count(call->out[0]) == 0) return;

    const octet_tensor *const a = call->in[0], *const b = call->in[1];
    octet_walk walk = octet_binary_rows(call);
    const int  inner = walk.rank - 1;
    octet_wide left[ROW], right[ROW];
    do
        for (int64_t i = 0; i < walk.dims[inner]; i += ROW) {
            const size_t n = walk.dims[inner] - i < ROW ? (size_t)(walk.dims[inner] - i) : ROW;
            octet_wide_load(left, a->data, a->dtype, walk.offset[1] + i * walk.step[1][inner], n, walk.step[1][inner]);
            octet_wide_load(right, b->data, b->dtype, walk.offset[2] + i * walk.step[2][inner], n, walk.step[2][inner]);
            row(left, right, n, call, what);
            if (call->node) octet_wide_clamp(left, n, a->dtype, &call->node->activation);
            octet_wide_store(call->out[0]->data, call->out[0]->dtype, walk.offset[0] + i, left, n);
        }
    while (octet_walk_next(&walk));
}

octet_status octet_binary_real(const octet_call *call, octet_binary what)
{
    if (octet_tensor_count(call->out[0]) == 0) return OCTET_OK;
    if (call->in[0]->dtype == OCTET_F32)
        forward_f32(call, what);
    else
        octet_binary_wide(call, wide_row, (int)what);
    return OCTET_OK;
}

/* ---- levels ---- */

void octet_binary_offsets(int32_t *level, const octet_tensor *in, int64_t at, size_t n, int64_t step)
{
    const int32_t zero_point = in->qparams->zero_point[0];
    if (step == 1) {
        octet_levels_load(level, in->data, in->dtype, (size_t)at, n, zero_point);
        return;
    }
    for (size_t i = 0; i < n; i++) /* step is 0, or the tensor's own step where rows were not merged */
        if (i > 0 && step == 0)
            level[i] = level[0];
        else
            octet_levels_load(&level[i], in->data, in->dtype, (size_t)(at + (int64_t)i * step), 1, zero_point);
}

static octet_add_rule level_rule(const octet_call *call, octet_binary what)
{
    const octet_qparams *const a = call->in[0]->qparams, *const b = call->in[1]->qparams;
    return (octet_add_rule){
        .a_scale = a->scale[0],
        .b_scale = b->scale[0],
        .a_zero_point = a->zero_point[0],
        .b_zero_point = b->zero_point[0],
        .sign = what == OCTET_BINARY_SUB ? -1 : 1,
        .to = octet_level_rule_of(call->out[0]->qparams, 0, call->node ? &call->node->activation : NULL),
        .total = (size_t)octet_tensor_count(call->out[0])};
}

static bool level_row(int32_t *a, const int32_t *b, size_t n, const octet_add_rule *rule, const octet_profile *profile,
                      octet_binary what)
{
    if (what == OCTET_BINARY_ADD || what == OCTET_BINARY_SUB) return profile->add(a, a, b, n, rule);
    (what == OCTET_BINARY_MUL ? profile->multiply : profile->prelu)(a, a, b, n, rule);
    return true;
}

static octet_status forward_levels(const octet_call *call, octet_binary what, octet_error *err)
{
    octet_walk     walk = octet_binary_rows(call);
    octet_add_rule rule = level_rule(call, what);
    const int      inner = walk.rank - 1;
    int32_t        left[ROW], right[ROW];
    if (rule.total == 0) return OCTET_OK;
    do
        for (int64_t i = 0; i < walk.dims[inner]; i += ROW) {
            const size_t  n = walk.dims[inner] - i < ROW ? (size_t)(walk.dims[inner] - i) : ROW;
            const int64_t a_step = walk.step[1][inner], b_step = walk.step[2][inner];
            rule.first = (size_t)(walk.offset[0] + i);
            octet_binary_offsets(left, call->in[0], walk.offset[1] + i * a_step, n, a_step);
            octet_binary_offsets(right, call->in[1], walk.offset[2] + i * b_step, n, b_step);
            if (!level_row(left, right, n, &rule, call->profile, what))
                return octet_fail(err, OCTET_ERR_UNSUPPORTED, "profile %s has no rule for these scales",
                                  call->profile->name);
            octet_levels_store(call->out[0]->data, call->out[0]->dtype, rule.first, left, n);
        }
    while (octet_walk_next(&walk));
    return OCTET_OK;
}

/* One input holds sums of a Conv or Gemm in units of the output's scale, of the output's shape:
   t = f32(sum + f32((r - zr) * mr)), y = clamp(rne(t) + zy). */
static octet_status add_to_sums(const octet_call *call, int sums)
{
    const octet_tensor *const out = call->out[0], *const other = call->in[!sums];
    octet_level_rule to = octet_level_rule_of(out->qparams, 0, call->node ? &call->node->activation : NULL);
    const float      multiplier = (float)((double)other->qparams->scale[0] / to.scale);
    const size_t     count = (size_t)octet_tensor_count(out);
    to.scale = 1.0f; /* t is in units of the output already */
    for (size_t at = 0; at < count; at += ROW) {
        int32_t            level[ROW];
        float              t[ROW];
        const size_t       n = count - at < ROW ? count - at : ROW;
        const float *const sum = (const float *)call->in[sums]->data + at;
        octet_levels_load(level, other->data, other->dtype, at, n, other->qparams->zero_point[0]);
        for (size_t i = 0; i < n; i++) t[i] = sum[i] + (float)level[i] * multiplier;
        octet_profile_octet.quantize(level, t, n, &to);
        octet_levels_store(out->data, out->dtype, at, level, n);
    }
    return OCTET_OK;
}

#define BINARY(name, what)                                                                                             \
    static octet_status name##_forward(const octet_call *call, octet_error *err)                                       \
    {                                                                                                                  \
        (void)err;                                                                                                     \
        return octet_binary_real(call, what);                                                                          \
    }
#define BINARY_LEVELS(name, what)                                                                                      \
    static octet_status name##_levels(const octet_call *call, octet_error *err)                                        \
    {                                                                                                                  \
        return forward_levels(call, what, err);                                                                        \
    }

BINARY(add, OCTET_BINARY_ADD)
BINARY(sub, OCTET_BINARY_SUB)
BINARY(mul, OCTET_BINARY_MUL)
BINARY(div, OCTET_BINARY_DIV)
BINARY(prelu, OCTET_BINARY_PRELU)
BINARY_LEVELS(sub, OCTET_BINARY_SUB)
BINARY_LEVELS(mul, OCTET_BINARY_MUL)
BINARY_LEVELS(prelu, OCTET_BINARY_PRELU)

static octet_status add_levels(const octet_call *call, octet_error *err)
{
    const bool left_real = !call->in[0]->qparams, right_real = !call->in[1]->qparams;
    if (!left_real && !right_real) return forward_levels(call, OCTET_BINARY_ADD, err);
    if (left_real != right_real && octet_same_dims(call->in[0], call->out[0]) &&
        octet_same_dims(call->in[1], call->out[0]))
        return add_to_sums(call, right_real);
    return octet_fail(err, OCTET_ERR_SHAPE, "real sums are added to levels of their own shape only");
}

#define TWO_TO_ONE                                                                                                     \
    .min_inputs = 2, .max_inputs = 2, .min_outputs = 1, .max_outputs = 1,                                              \
    .types = OCTET_TYPES_FLOAT | OCTET_TYPES_INT, .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_ELEMENTWISE,               \
    .infer = octet_infer_binary

const octet_op octet_op_add = {.name = "Add",
                               .since = 7,
                               TWO_TO_ONE,
                               .quant = OCTET_QUANT_RESCALE,
                               .forward = add_forward,
                               .backward = octet_add_backward,
                               .forward_integer = add_levels};
const octet_op octet_op_div = {.name = "Div",
                               .since = 7,
                               TWO_TO_ONE,
                               .forward = div_forward,
                               .backward = octet_div_backward};
const octet_op octet_op_mul = {.name = "Mul",
                               .since = 7,
                               TWO_TO_ONE,
                               .quant = OCTET_QUANT_RESCALE,
                               .forward = mul_forward,
                               .backward = octet_mul_backward,
                               .forward_integer = mul_levels};
const octet_op octet_op_prelu = {.name = "PRelu",
                                 .since = 7,
                                 .min_inputs = 2,
                                 .max_inputs = 2,
                                 .min_outputs = 1,
                                 .max_outputs = 1,
                                 .types = OCTET_TYPES_FLOAT | OCTET_TYPE(OCTET_I32) | OCTET_TYPE(OCTET_U32) |
                                          OCTET_TYPE(OCTET_I64) | OCTET_TYPE(OCTET_U64),
                                 .flags = OCTET_OP_ELEMENTWISE,
                                 .quant = OCTET_QUANT_RESCALE,
                                 .infer = infer_prelu,
                                 .forward = prelu_forward,
                                 .backward = octet_prelu_backward,
                                 .parameters = 1u << 1,
                                 .forward_integer = prelu_levels};
const octet_op octet_op_sub = {.name = "Sub",
                               .since = 7,
                               TWO_TO_ONE,
                               .quant = OCTET_QUANT_RESCALE,
                               .forward = sub_forward,
                               .backward = octet_sub_backward,
                               .forward_integer = sub_levels};
