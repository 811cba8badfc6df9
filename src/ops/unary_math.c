/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one number as in a mathematics library. Those that exist for integers too have a second expression. */
#include "ops/unary.h"


UNARY(erf, erff(x), octet_erf(x),
      dy *(real)1.12837916709551257390 * BY_TYPE(-x * x, expf, octet_exp)) /* 2 / sqrt(pi) */
UNARY(exp, expf(x), octet_exp(x), dy *BY_TYPE(x, expf, octet_exp))
UNARY(log, logf(x), octet_log(x), dy / x)
UNARY(reciprocal, 1.0f / x, 1.0 / x, -dy / (x * x))
UNARY(sqrt, sqrtf(x), sqrt(x), dy / (2 * BY_TYPE(x, sqrtf, sqrt)))

/* ---- circular and hyperbolic ---- */

UNARY(sin, sinf(x), octet_sin(x), dy *BY_TYPE(x, cosf, octet_cos))
UNARY(cos, cosf(x), octet_cos(x), -dy * BY_TYPE(x, sinf, octet_sin))
UNARY(tan, tanf(x), octet_tan(x), dy *(1 + BY_TYPE(x, tanf, octet_tan) * BY_TYPE(x, tanf, octet_tan)))
UNARY(asin, asinf(x), octet_asin(x), dy / BY_TYPE((1 - x) * (1 + x), sqrtf, sqrt))
UNARY(acos, acosf(x), octet_acos(x), -dy / BY_TYPE((1 - x) * (1 + x), sqrtf, sqrt))
UNARY(atan, atanf(x), octet_atan(x), dy / (1 + x * x))
UNARY(sinh, sinhf(x), octet_sinh(x), dy *BY_TYPE(x, coshf, octet_cosh))
UNARY(cosh, coshf(x), octet_cosh(x), dy *BY_TYPE(x, sinhf, octet_sinh))
UNARY(asinh, asinhf(x), octet_asinh(x), dy / BY_TYPE(1 + x * x, sqrtf, sqrt))
UNARY(acosh, acoshf(x), octet_acosh(x), dy / BY_TYPE((x - 1) * (x + 1), sqrtf, sqrt))
UNARY(atanh, atanhf(x), octet_atanh(x), dy / ((1 - x) * (1 + x)))

/* ---- rounding: constant between its steps ---- */

UNARY_FLAT(ceil, ceilf(x), ceil(x))
UNARY_FLAT(floor, floorf(x), floor(x))
UNARY_FLAT(round, rintf(x), rint(x))

/* ---- those that integers have too ---- */

#define WITH_INTEGERS(name, whole)                                                                                     \
    static void name##_whole(octet_wide *row, size_t n, const octet_call *call, const void *with)                      \
    {                                                                                                                  \
        const octet_dtype dtype = call->in[0]->dtype;                                                                  \
        (void)dtype, (void)with;                                                                                       \
        for (size_t i = 0; i < n; i++) {                                                                               \
            const int64_t x = row[i].i;                                                                                \
            row[i].i = (whole);                                                                                        \
        }                                                                                                              \
    }                                                                                                                  \
    WITH_ROWS(name)
#define WITH_ROWS(name)                                                                                                \
    static octet_status name##_any(const octet_call *call, octet_error *err)                                           \
    {                                                                                                                  \
        if (octet_dtype_is_float(call->in[0]->dtype)) return name##_forward(call, err);                                \
        return octet_unary_rows(call, name##_whole, NULL);                                                             \
    }

/* uint64 by its bits: no such number is below zero. */
static inline bool below_zero(int64_t x, octet_dtype dtype) { return x < 0 && dtype != OCTET_U64; }

/* Wraps: the lowest integer has no opposite. */
static inline int64_t opposite(int64_t x) { return (int64_t)(0 - (uint64_t)x); }

UNARY(neg, -x, -x, -dy)
UNARY(abs, fabsf(x), fabs(x), x > 0 ? dy : x < 0 ? -dy : 0)
UNARY_FLAT(sign, (float)((x > 0) - (x < 0)), (double)((x > 0) - (x < 0)))
WITH_INTEGERS(neg, opposite(x))
WITH_INTEGERS(abs, below_zero(x, dtype) ? opposite(x) : x)
WITH_INTEGERS(sign, below_zero(x, dtype) ? -1 : x != 0)

/* Shrink's integers are computed as real numbers, and lose their fractions when stored. */
static inline float shrink_f32(float x, float lambda, float bias)
{
    return x < -lambda ? x + bias : x > lambda ? x - bias : 0.0f;
}
static inline double shrink_exact(double x, double lambda, double bias)
{
    return x < -lambda ? x + bias : x > lambda ? x - bias : 0.0;
}

UNARY(shrink, shrink_f32(x, attrs->alpha, attrs->beta), shrink_exact(x, (double)attrs->alpha, (double)attrs->beta),
      x < -(real)attrs->alpha || x > (real)attrs->alpha ? dy : 0)

static void shrink_whole(octet_wide *row, size_t n, const octet_call *call, const void *with)
{
    const octet_dtype dtype = call->in[0]->dtype;
    (void)with;
    octet_wide_convert(row, n, dtype, OCTET_F64);
    for (size_t i = 0; i < n; i++) row[i].f = shrink_value(row[i].f, call->attrs);
    octet_wide_convert(row, n, OCTET_F64, dtype);
}

WITH_ROWS(shrink)

/* ---- rows ---- */

const octet_op octet_op_acos = { UNARY_ROW(acos, "Acos", 7), UNARY_PLAIN };
const octet_op octet_op_acosh = { UNARY_ROW(acosh, "Acosh", 9), UNARY_PLAIN };
const octet_op octet_op_asin = { UNARY_ROW(asin, "Asin", 7), UNARY_PLAIN };
const octet_op octet_op_asinh = { UNARY_ROW(asinh, "Asinh", 9), UNARY_PLAIN };
const octet_op octet_op_atan = { UNARY_ROW(atan, "Atan", 7), UNARY_PLAIN };
const octet_op octet_op_atanh = { UNARY_ROW(atanh, "Atanh", 9), UNARY_PLAIN };
const octet_op octet_op_ceil = { UNARY_FLAT_ROW(ceil, "Ceil", 6), UNARY_PLAIN };
const octet_op octet_op_cos = { UNARY_ROW(cos, "Cos", 7), UNARY_PLAIN };
const octet_op octet_op_cosh = { UNARY_ROW(cosh, "Cosh", 9), UNARY_PLAIN };
const octet_op octet_op_erf = { UNARY_ROW(erf, "Erf", 9), UNARY_PLAIN };
const octet_op octet_op_exp = { UNARY_ROW(exp, "Exp", 6), UNARY_PLAIN };
const octet_op octet_op_floor = { UNARY_FLAT_ROW(floor, "Floor", 6), UNARY_PLAIN };
const octet_op octet_op_log = { UNARY_ROW(log, "Log", 6), UNARY_PLAIN };
const octet_op octet_op_reciprocal = { UNARY_ROW(reciprocal, "Reciprocal", 6), UNARY_PLAIN };
const octet_op octet_op_round = { UNARY_FLAT_ROW(round, "Round", 11), UNARY_PLAIN };
const octet_op octet_op_sin = { UNARY_ROW(sin, "Sin", 7), UNARY_PLAIN };
const octet_op octet_op_sinh = { UNARY_ROW(sinh, "Sinh", 9), UNARY_PLAIN };
const octet_op octet_op_sqrt = { UNARY_ROW(sqrt, "Sqrt", 6), UNARY_PLAIN };
const octet_op octet_op_tan = { UNARY_ROW(tan, "Tan", 7), UNARY_PLAIN };

#define WITH_INTEGERS_ROW(id, onnx, opset, quant_backward)                                                             \
    .name = onnx, .since = opset, UNARY_ONE_TO_ONE, .quant = OCTET_QUANT_TABLE, .infer = octet_infer_same,             \
    .forward = id##_any, .forward_integer = id##_levels, .backward = quant_backward

const octet_op octet_op_abs = {
    WITH_INTEGERS_ROW(abs, "Abs", 6, abs_backward), .types = OCTET_TYPES_FLOAT | OCTET_TYPES_INT,
};
const octet_op octet_op_neg = { WITH_INTEGERS_ROW(neg, "Neg", 6, neg_backward), .types = OCTET_TYPES_SIGNED };
const octet_op octet_op_sign = {
    WITH_INTEGERS_ROW(sign, "Sign", 9, NULL), .types = OCTET_TYPES_FLOAT | OCTET_TYPES_INT,
};

static octet_status infer_shrink(const octet_call *call, octet_error *err)
{
    const octet_unary_attrs *const attrs = call->attrs;
    if (!isfinite(attrs->alpha)) return octet_fail_field(err, OCTET_ERR_FORMAT, "lambd", "a finite number is needed");
    if (!isfinite(attrs->beta)) return octet_fail_field(err, OCTET_ERR_FORMAT, "bias", "a finite number is needed");
    return octet_infer_same(call, err);
}

static const octet_attr shrink_attrs[] = {
    {.name = "lambd", .kind = OCTET_ATTR_FLOAT, .offset = offsetof(octet_unary_attrs, alpha), .default_f = 0.5f},
    {.name = "bias", .kind = OCTET_ATTR_FLOAT, .offset = offsetof(octet_unary_attrs, beta)},
    {.kind = OCTET_ATTR_END},
};

const octet_op octet_op_shrink = {
    .name = "Shrink", .since = 9, UNARY_ONE_TO_ONE, .types = OCTET_TYPES_FLOAT | OCTET_TYPES_INT,
    .quant = OCTET_QUANT_TABLE, .infer = infer_shrink, .forward = shrink_any, .forward_integer = shrink_levels,
    .backward = shrink_backward, UNARY_ATTRS(shrink_attrs),
};
