/* SPDX-License-Identifier: Apache-2.0 */
/* Activations: functions of one number that networks use between their layers. */
#include "ops/clamp.h"
#include "ops/unary.h"

#include <string.h>

static inline float  between(float x) { return x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x; }
static inline double between_exact(double x) { return x < 0.0 ? 0.0 : x > 1.0 ? 1.0 : x; }
static inline bool   rises(double t) { return t > 0.0 && t < 1.0; }

UNARY(hard_sigmoid, between(attrs->alpha * x + attrs->beta),
      between_exact((double)attrs->alpha * x + (double)attrs->beta),
      rises((double)((real)attrs->alpha * x + (real)attrs->beta)) ? dy * (real)attrs->alpha : 0)
UNARY(hard_swish, x *between(x * (1.0f / 6.0f) + 0.5f), x *between_exact(x / 6.0 + 0.5),
      x <= -3  ? 0
      : x >= 3 ? dy
               : dy * (x / 3 + (real)0.5))
UNARY(leaky_relu, x < 0.0f ? x * attrs->alpha : x, x < 0.0 ? x * (double)attrs->alpha : x,
      x > 0 ? dy : dy * (real)attrs->alpha)

/* ---- squashing ---- */

#define LOGISTIC(x) BY_TYPE(x, octet_logistic_f32, octet_logistic)
#define TANH(x) BY_TYPE(x, tanhf, octet_tanh)
#define EXP(x) BY_TYPE(x, expf, octet_exp)

UNARY(sigmoid, octet_logistic_f32(x), octet_logistic(x), dy *((1 - LOGISTIC(x)) * LOGISTIC(x)))
UNARY(tanh, tanhf(x), octet_tanh(x), dy *(1 - TANH(x) * TANH(x)))
UNARY(softsign, x / (1.0f + fabsf(x)), x / (1.0 + fabs(x)),
      dy / ((1 + BY_TYPE(x, fabsf, fabs)) * (1 + BY_TYPE(x, fabsf, fabs))))

/* ---- smooth forms of Relu ---- */

/* log(1 + exp(x)), which neither overflows nor loses small results. */
static inline float  soft_f32(float x) { return (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x))); }
static inline double soft(double x) { return (x > 0.0 ? x : 0.0) + octet_log1p(octet_exp(-fabs(x))); }

#define SOFT_TANH(x) BY_TYPE(BY_TYPE(x, soft_f32, soft), tanhf, octet_tanh)

UNARY(softplus, soft_f32(x), soft(x), dy *LOGISTIC(x))
UNARY(mish, x *tanhf(soft_f32(x)), x *octet_tanh(soft(x)),
      dy *(SOFT_TANH(x) + x * LOGISTIC(x) * (1 - SOFT_TANH(x) * SOFT_TANH(x))))
UNARY(swish, x *octet_logistic_f32(attrs->alpha * x), x *octet_logistic((double)attrs->alpha * x),
      dy *LOGISTIC((real)attrs->alpha * x) * (1 + (real)attrs->alpha * x * (1 - LOGISTIC((real)attrs->alpha * x))))

/* The exponential ones below zero: alpha * (exp(x) - 1). */
UNARY(elu, x < 0.0f ? attrs->alpha * expm1f(x) : x, x < 0.0 ? (double)attrs->alpha * octet_expm1(x) : x,
      x > 0 ? dy : dy * (real)attrs->alpha * EXP(x))
UNARY(celu, x < 0.0f ? attrs->alpha * expm1f(x / attrs->alpha) : x,
      x < 0.0 ? (double)attrs->alpha * octet_expm1(x / (double)attrs->alpha) : x,
      x > 0 ? dy : dy * EXP(x / (real)attrs->alpha))
UNARY(selu, attrs->beta *(x < 0.0f ? attrs->alpha * expm1f(x) : x),
      (double)attrs->beta *(x < 0.0 ? (double)attrs->alpha * octet_expm1(x) : x),
      (real)attrs->beta *(x > 0 ? dy : dy * (real)attrs->alpha * EXP(x)))

/* ---- Gelu: x times the normal distribution, exactly or by tanh ---- */

static const double ROOT_HALF = 0.70710678118654752440, ROOT_2_PI = 0.79788456080286535588; /* sqrt(2 / pi) */
static const double INVERSE_ROOT_2PI = 0.39894228040143267794, CUBIC = 0.044715;

#define ERF(x) BY_TYPE(x, erff, octet_erf)
#define BEND(x) ((real)ROOT_2_PI * ((x) + (real)CUBIC * (x) * (x) * (x)))
#define BEND_SLOPE(x) ((real)ROOT_2_PI * (1 + 3 * (real)CUBIC * (x) * (x)))

static inline float bent_f32(float x) { return (float)ROOT_2_PI * (x + (float)CUBIC * x * x * x); }

UNARY(gelu_exact, 0.5f * x * (1.0f + erff(x * (float)ROOT_HALF)), 0.5 * x * (1.0 + octet_erf(x * ROOT_HALF)),
      dy *((real)0.5 * (1 + ERF(x * (real)ROOT_HALF)) + x * (real)INVERSE_ROOT_2PI * EXP(-x * x / 2)))
UNARY(gelu_tanh, 0.5f * x * (1.0f + tanhf(bent_f32(x))),
      0.5 * x * (1.0 + octet_tanh(ROOT_2_PI * (x + CUBIC * x * x * x))),
      dy *(real)0.5 * (1 + TANH(BEND(x)) + x * (1 - TANH(BEND(x)) * TANH(BEND(x))) * BEND_SLOPE(x)))

static bool by_tanh(const octet_call *call)
{
    const octet_unary_attrs *const attrs = call->attrs;
    return attrs->approximate && strcmp(attrs->approximate, "tanh") == 0;
}

static octet_status infer_gelu(const octet_call *call, octet_error *err)
{
    const octet_unary_attrs *const attrs = call->attrs;
    if (!by_tanh(call) && strcmp(attrs->approximate, "none") != 0)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "approximate", "'none' or 'tanh' is needed");
    return octet_infer_same(call, err);
}

static octet_status gelu_forward(const octet_call *call, octet_error *err)
{
    return (by_tanh(call) ? gelu_tanh_forward : gelu_exact_forward)(call, err);
}

static octet_status gelu_levels(const octet_call *call, octet_error *err)
{
    return (by_tanh(call) ? gelu_tanh_levels : gelu_exact_levels)(call, err);
}

static octet_status gelu_backward(const octet_backward_call *call, octet_error *err)
{
    return (by_tanh(call->forward) ? gelu_tanh_backward : gelu_exact_backward)(call, err);
}

/* ---- thresholds ---- */

UNARY_FUNCTION(relu, x < 0.0f ? 0.0f : x, x < 0.0 ? 0.0 : x, x <= 0 ? 0 : dy)
UNARY_BACKWARD(relu)
UNARY(thresholded_relu, x <= attrs->alpha ? 0.0f : x, x <= (double)attrs->alpha ? 0.0 : x,
      x <= (real)attrs->alpha ? 0 : dy)

/* Relu also takes signed integers, and on levels it compares. */
static octet_status relu_forward(const octet_call *call, octet_error *err)
{
    (void)err;
    if (octet_dtype_is_float(call->in[0]->dtype)) return octet_unary_forward(call, &relu_function);
    octet_clamp_integers(call->out[0], call->in[0], 0, INT64_MAX);
    return OCTET_OK;
}

static octet_status relu_levels(const octet_call *call, octet_error *err)
{
    (void)err;
    octet_clamp_levels(call, &(octet_activation){.on = true, .lo = 0.0f, .hi = INFINITY});
    return OCTET_OK;
}

/* ---- rows ---- */

#define ALPHA(number) FLOAT("alpha", alpha, number)
#define FLOAT(as, field, number)                                                                                       \
    {.name = as, .kind = OCTET_ATTR_FLOAT, .offset = offsetof(octet_unary_attrs, field), .default_f = number}
#define END {.kind = OCTET_ATTR_END}

static const octet_attr leaky_attrs[] = {ALPHA(0.01f), END};
static const octet_attr one_attrs[] = {ALPHA(1.0f), END};
static const octet_attr hard_sigmoid_attrs[] = {ALPHA(0.2f), FLOAT("beta", beta, 0.5f), END};
static const octet_attr selu_attrs[] = {ALPHA(1.67326319217681884765625f),
                                        FLOAT("gamma", beta, 1.05070102214813232421875f), END};
static const octet_attr gelu_attrs[] = {{.name = "approximate", .kind = OCTET_ATTR_STRING,
                                         .offset = offsetof(octet_unary_attrs, approximate), .default_s = "none"},
                                        END};

static octet_status infer_celu(const octet_call *call, octet_error *err)
{
    const octet_unary_attrs *const attrs = call->attrs;
    if (attrs->alpha == 0) return octet_fail_field(err, OCTET_ERR_FORMAT, "alpha", "0 divides by zero");
    return octet_infer_alpha(call, err);
}

#define WITH_ALPHA(rows) .types = OCTET_TYPES_FLOAT, .infer = octet_infer_alpha, UNARY_ATTRS(rows)

const octet_op octet_op_celu = {
    UNARY_ROW(celu, "Celu", 12), .types = OCTET_TYPES_FLOAT, .infer = infer_celu, UNARY_ATTRS(one_attrs),
};
const octet_op octet_op_elu = { UNARY_ROW(elu, "Elu", 6), WITH_ALPHA(one_attrs) };
const octet_op octet_op_gelu = {
    UNARY_ROW(gelu, "Gelu", 20), .types = OCTET_TYPES_FLOAT, .infer = infer_gelu, UNARY_ATTRS(gelu_attrs),
};
const octet_op octet_op_hard_sigmoid = {
    UNARY_ROW(hard_sigmoid, "HardSigmoid", 6), .types = OCTET_TYPES_FLOAT, .infer = octet_infer_alpha_beta,
    UNARY_ATTRS(hard_sigmoid_attrs),
};
const octet_op octet_op_hard_swish = { UNARY_ROW(hard_swish, "HardSwish", 14), UNARY_PLAIN };
const octet_op octet_op_leaky_relu = { UNARY_ROW(leaky_relu, "LeakyRelu", 6), WITH_ALPHA(leaky_attrs) };
const octet_op octet_op_mish = { UNARY_ROW(mish, "Mish", 18), UNARY_PLAIN };
const octet_op octet_op_relu = {
    .name = "Relu", .since = 6, UNARY_ONE_TO_ONE, .types = OCTET_TYPES_SIGNED, .quant = OCTET_QUANT_SAME,
    .infer = octet_infer_same, .forward = relu_forward, .forward_integer = relu_levels,
    .backward = relu_backward,
};
const octet_op octet_op_selu = {
    UNARY_ROW(selu, "Selu", 6), .types = OCTET_TYPES_FLOAT, .infer = octet_infer_alpha_beta, UNARY_ATTRS(selu_attrs),
};
const octet_op octet_op_sigmoid = { UNARY_ROW(sigmoid, "Sigmoid", 6), UNARY_PLAIN };
const octet_op octet_op_softplus = { UNARY_ROW(softplus, "Softplus", 1), UNARY_PLAIN };
const octet_op octet_op_softsign = { UNARY_ROW(softsign, "Softsign", 1), UNARY_PLAIN };
const octet_op octet_op_swish = { UNARY_ROW(swish, "Swish", 24), WITH_ALPHA(one_attrs) };
const octet_op octet_op_tanh = { UNARY_ROW(tanh, "Tanh", 6), UNARY_PLAIN };
const octet_op octet_op_thresholded_relu = {
    UNARY_ROW(thresholded_relu, "ThresholdedRelu", 10), WITH_ALPHA(one_attrs),
};
