/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one number. Each is written twice as an expression in x: in float for real tensors, in double for the
   rarer types and for levels, where any of them is a table of 256 entries (docs/arithmetic.md). Its gradient is an
   expression in x and dy; where a function bends, it is PyTorch's. */
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/levels.h"
#include "ops/rows.h"
#include "ops/clamp.h"
#include "ops/wide.h"

#include "base/math.h"

#include <math.h>

typedef struct unary_attrs {
    float alpha, beta;
} unary_attrs;

/* One function: a row of floats, and one number in double. */
typedef struct unary {
    void (*row)(float *y, const float *x, size_t n, const unary_attrs *attrs);
    double (*value)(double x, const void *attrs);
} unary;

#define UNARY(name, real, exact)                                                                \
    static void name##_row(float *y, const float *row, size_t n, const unary_attrs *attrs)      \
    {                                                                                           \
        (void)attrs;                                                                            \
        for (size_t i = 0; i < n; i++) {                                                        \
            const float x = row[i];                                                             \
            y[i] = (real);                                                                      \
        }                                                                                       \
    }                                                                                           \
    static double name##_value(double x, const void *of)                                        \
    {                                                                                           \
        const unary_attrs *const attrs = of;                                                    \
        (void)attrs;                                                                            \
        return (exact);                                                                         \
    }                                                                                           \
    static const unary name##_function = {name##_row, name##_value};

static inline float  between(float x) { return x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x; }
static inline double between_exact(double x) { return x < 0.0 ? 0.0 : x > 1.0 ? 1.0 : x; }
static inline float  logistic(float x) { return 1.0f / (1.0f + expf(-x)); }
static inline double logistic_exact(double x) { return 1.0 / (1.0 + octet_exp(-x)); }

UNARY(hard_sigmoid, between(attrs->alpha * x + attrs->beta),
      between_exact((double)attrs->alpha * x + (double)attrs->beta))
UNARY(hard_swish, x *between(x * (1.0f / 6.0f) + 0.5f), x *between_exact(x / 6.0 + 0.5))
UNARY(leaky_relu, x < 0.0f ? x * attrs->alpha : x, x < 0.0 ? x * (double)attrs->alpha : x)
UNARY(relu, x < 0.0f ? 0.0f : x, x < 0.0 ? 0.0 : x)
UNARY(sigmoid, logistic(x), logistic_exact(x))
UNARY(tanh, tanhf(x), octet_tanh(x))

static const octet_attr leaky_rows[] = {
    {.name = "alpha", .kind = OCTET_ATTR_FLOAT, .offset = offsetof(unary_attrs, alpha), .default_f = 0.01f},
    {.kind = OCTET_ATTR_END},
};

static const octet_attr hard_sigmoid_rows[] = {
    {.name = "alpha", .kind = OCTET_ATTR_FLOAT, .offset = offsetof(unary_attrs, alpha), .default_f = 0.2f},
    {.name = "beta", .kind = OCTET_ATTR_FLOAT, .offset = offsetof(unary_attrs, beta), .default_f = 0.5f},
    {.kind = OCTET_ATTR_END},
};

static octet_status infer_alpha(const octet_call *call, octet_error *err)
{
    const unary_attrs *const attrs = call->attrs;
    if (!isfinite(attrs->alpha)) return octet_fail_field(err, OCTET_ERR_FORMAT, "alpha", "a finite number is needed");
    return octet_infer_same(call, err);
}

static octet_status infer_hard_sigmoid(const octet_call *call, octet_error *err)
{
    const unary_attrs *const attrs = call->attrs;
    if (!isfinite(attrs->beta)) return octet_fail_field(err, OCTET_ERR_FORMAT, "beta", "a finite number is needed");
    return infer_alpha(call, err);
}

/* ---- real numbers ---- */

static void forward_wide(const octet_call *call, const unary *function)
{
    const octet_tensor *const in = call->in[0];
    const int64_t             count = octet_tensor_count(in);
    octet_wide                row[OCTET_WIDE_ROW];
    for (int64_t at = 0; at < count; at += OCTET_WIDE_ROW) {
        const size_t n = count - at < OCTET_WIDE_ROW ? (size_t)(count - at) : OCTET_WIDE_ROW;
        octet_wide_load(row, in->data, in->dtype, at, n, 1);
        for (size_t i = 0; i < n; i++) row[i].f = function->value(row[i].f, call->attrs);
        octet_wide_store(call->out[0]->data, in->dtype, at, row, n);
    }
}

static octet_status forward(const octet_call *call, const unary *function)
{
    const octet_tensor *const in = call->in[0];
    if (in->dtype == OCTET_F32)
        function->row(call->out[0]->data, in->data, (size_t)octet_tensor_count(in), call->attrs);
    else
        forward_wide(call, function);
    return OCTET_OK;
}

/* ---- gradients ---- */

#define GRADIENT_ROW(name, type, value)                                                                     \
    static void name(void *to, const void *from, const void *at, size_t n, const unary_attrs *attrs)       \
    {                                                                                                       \
        typedef type      real;                                                                             \
        real *const       dx = to;                                                                          \
        const real *const dys = from, *const xs = at;                                                       \
        (void)attrs;                                                                                        \
        for (size_t i = 0; i < n; i++) {                                                                    \
            const real x = xs[i], dy = dys[i];                                                              \
            dx[i] += (value);                                                                               \
        }                                                                                                   \
    }
#define BACKWARD(name, value)                                                                               \
    GRADIENT_ROW(name##_gradient_f32, float, value)                                                         \
    GRADIENT_ROW(name##_gradient_f64, double, value)                                                        \
    static octet_status name##_backward(const octet_backward_call *call, octet_error *err)                  \
    {                                                                                                       \
        const octet_tensor *const x = call->forward->in[0];                                                 \
        const size_t              n = (size_t)octet_tensor_count(x);                                        \
        (void)err;                                                                                          \
        if (!octet_gradient_wanted(call, 0)) return OCTET_OK;                                               \
        (x->dtype == OCTET_F32 ? name##_gradient_f32 : name##_gradient_f64)(                                \
            call->din[0]->data, call->dout[0]->data, x->data, n, call->forward->attrs);                     \
        return OCTET_OK;                                                                                    \
    }

/* The function of x's own type. */
#define BY_TYPE(x, single, wide) (_Generic((x), float: single, double: wide)(x))

static inline bool rises(double t) { return t > 0.0 && t < 1.0; }

BACKWARD(hard_sigmoid, rises((double)((real)attrs->alpha * x + (real)attrs->beta)) ? dy * (real)attrs->alpha : 0)
BACKWARD(hard_swish, x <= -3 ? 0 : x >= 3 ? dy : dy * (x / 3 + (real)0.5))
BACKWARD(leaky_relu, x > 0 ? dy : dy * (real)attrs->alpha)
BACKWARD(relu, x <= 0 ? 0 : dy)
BACKWARD(sigmoid, dy *((1 - BY_TYPE(x, logistic, logistic_exact)) * BY_TYPE(x, logistic, logistic_exact)))
BACKWARD(tanh, dy *(1 - BY_TYPE(x, tanhf, octet_tanh) * BY_TYPE(x, tanhf, octet_tanh)))

/* ---- levels ---- */

static octet_table_rule table_rule(const octet_call *call, const unary *function, bool tail)
{
    return (octet_table_rule){ .op = call->node->op->name, .value = function->value, .attrs = call->attrs,
                               .from = octet_level_rule_of(call->in[0]->qparams, 0, NULL),
                               .to = octet_level_rule_of(call->out[0]->qparams, 0, NULL), .tail = tail };
}

/* The elements from at to last: bytes through a table, wider levels one by one. */
static void table_part(const octet_call *call, const unary *function, size_t at, size_t last, bool tail)
{
    const octet_tensor *const in = call->in[0];
    octet_table_rule          rule = table_rule(call, function, tail);
    const int32_t             lowest = in->dtype == OCTET_I8 ? -128 : 0;
    const bool                bytes = octet_dtype_size(in->dtype) == 1;
    int32_t                   table[256], row[OCTET_WIDE_ROW];
    rule.first = lowest;
    if (bytes && at < last) call->profile->table(table, 256, &rule);
    for (; at < last; at += OCTET_WIDE_ROW) {
        const size_t n = last - at < OCTET_WIDE_ROW ? last - at : OCTET_WIDE_ROW;
        octet_levels_load(row, in->data, in->dtype, at, n, bytes ? lowest : 0);
        for (size_t i = 0; i < n; i++)
            if (bytes)
                row[i] = table[row[i]];
            else {
                rule.first = row[i];
                call->profile->table(&row[i], 1, &rule);
            }
        octet_levels_store(call->out[0]->data, call->out[0]->dtype, at, row, n);
    }
}

static octet_status forward_table(const octet_call *call, const unary *function)
{
    const size_t count = (size_t)octet_tensor_count(call->in[0]), block = call->profile->table_block;
    const size_t body = block ? count / block * block : count;
    table_part(call, function, 0, body, false);
    table_part(call, function, body, count, true);
    return OCTET_OK;
}

#define FORWARD(name)                                                            \
    static octet_status name##_forward(const octet_call *call, octet_error *err) \
    {                                                                            \
        (void)err;                                                               \
        return forward(call, &name##_function);                                  \
    }
#define FORWARD_TABLE(name)                                                     \
    static octet_status name##_levels(const octet_call *call, octet_error *err) \
    {                                                                           \
        (void)err;                                                              \
        return forward_table(call, &name##_function);                           \
    }

FORWARD(hard_sigmoid)
FORWARD(hard_swish)
FORWARD(leaky_relu)
FORWARD(sigmoid)
FORWARD(tanh)
FORWARD_TABLE(hard_sigmoid)
FORWARD_TABLE(hard_swish)
FORWARD_TABLE(leaky_relu)
FORWARD_TABLE(sigmoid)
FORWARD_TABLE(tanh)

/* Relu also takes signed integers, and on levels it compares. */
static octet_status relu_forward(const octet_call *call, octet_error *err)
{
    (void)err;
    if (octet_dtype_is_float(call->in[0]->dtype)) return forward(call, &relu_function);
    octet_clamp_integers(call->out[0], call->in[0], 0, INT64_MAX);
    return OCTET_OK;
}

static octet_status relu_levels(const octet_call *call, octet_error *err)
{
    (void)err;
    octet_clamp_levels(call, &(octet_activation){.on = true, .lo = 0.0f, .hi = INFINITY});
    return OCTET_OK;
}

#define ONE_TO_ONE OCTET_ONE_TO_ONE, .flags = OCTET_OP_ELEMENTWISE | OCTET_OP_SAMPLES
#define SIGNED_TYPES                                                                                \
    (OCTET_TYPES_FLOAT | OCTET_TYPE(OCTET_I8) | OCTET_TYPE(OCTET_I16) | OCTET_TYPE(OCTET_I32) |      \
     OCTET_TYPE(OCTET_I64))

const octet_op octet_op_hard_sigmoid = {
    .name = "HardSigmoid", .since = 6, ONE_TO_ONE, .types = OCTET_TYPES_FLOAT, .attrs = hard_sigmoid_rows,
    .attrs_size = sizeof(unary_attrs), .quant = OCTET_QUANT_TABLE, .infer = infer_hard_sigmoid,
    .forward = hard_sigmoid_forward, .forward_integer = hard_sigmoid_levels,
    .backward = hard_sigmoid_backward,
};

const octet_op octet_op_hard_swish = {
    .name = "HardSwish", .since = 14, ONE_TO_ONE, .types = OCTET_TYPES_FLOAT, .quant = OCTET_QUANT_TABLE,
    .infer = octet_infer_same, .forward = hard_swish_forward, .forward_integer = hard_swish_levels,
    .backward = hard_swish_backward,
};

const octet_op octet_op_leaky_relu = {
    .name = "LeakyRelu", .since = 6, ONE_TO_ONE, .types = OCTET_TYPES_FLOAT, .attrs = leaky_rows,
    .attrs_size = sizeof(unary_attrs), .quant = OCTET_QUANT_TABLE, .infer = infer_alpha,
    .forward = leaky_relu_forward, .forward_integer = leaky_relu_levels,
    .backward = leaky_relu_backward,
};

const octet_op octet_op_relu = {
    .name = "Relu", .since = 6, ONE_TO_ONE, .types = SIGNED_TYPES, .quant = OCTET_QUANT_SAME,
    .infer = octet_infer_same, .forward = relu_forward, .forward_integer = relu_levels,
    .backward = relu_backward,
};

const octet_op octet_op_sigmoid = {
    .name = "Sigmoid", .since = 6, ONE_TO_ONE, .types = OCTET_TYPES_FLOAT, .quant = OCTET_QUANT_TABLE,
    .infer = octet_infer_same, .forward = sigmoid_forward, .forward_integer = sigmoid_levels,
    .backward = sigmoid_backward,
};

const octet_op octet_op_tanh = {
    .name = "Tanh", .since = 6, ONE_TO_ONE, .types = OCTET_TYPES_FLOAT, .quant = OCTET_QUANT_TABLE,
    .infer = octet_infer_same, .forward = tanh_forward, .forward_integer = tanh_levels,
    .backward = tanh_backward,
};
