/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of two tensors on any type, by rows of their wide forms: comparisons, logic, bits, Mod and Pow. */
#include "ops/binary.h"
#include "ops/check.h"
#include "ops/rows.h"
#include "ops/unary.h"

#include "base/math.h"

#include <string.h>

typedef struct compare_attrs {
    int64_t     fmod;      /* Mod: the remainder has the sign of the dividend, else of the divisor */
    const char *direction; /* BitShift: "LEFT", "RIGHT" */
} compare_attrs;

/* ---- comparisons: which orders of a and b are true ---- */

enum { LESS = 1, EQUAL = 2, GREATER = 4 };

/* 0 where one is no number. */
static int order_of(octet_wide a, octet_wide b, octet_dtype dtype)
{
    if (octet_dtype_is_float(dtype)) return a.f < b.f ? LESS : a.f > b.f ? GREATER : a.f == b.f ? EQUAL : 0;
    if (a.i == b.i) return EQUAL;
    const bool below = dtype == OCTET_U64 ? (uint64_t)a.i < (uint64_t)b.i : a.i < b.i;
    return below ? LESS : GREATER;
}

static void compare_row(octet_wide *a, const octet_wide *b, size_t n, const octet_call *call, int orders)
{
    for (size_t i = 0; i < n; i++) a[i].i = (order_of(a[i], b[i], call->in[0]->dtype) & orders) != 0;
}

static octet_status infer_compare(const octet_call *call, octet_error *err)
{
    return octet_infer_binary_to(call, OCTET_BOOL, err);
}

/* ---- bits ---- */

enum { AND, OR, XOR };

static void bits_row(octet_wide *a, const octet_wide *b, size_t n, const octet_call *call, int what)
{
    (void)call;
    for (size_t i = 0; i < n; i++)
        a[i].i = what == AND ? a[i].i & b[i].i : what == OR ? a[i].i | b[i].i : a[i].i ^ b[i].i;
}

static bool shifts_left(const octet_call *call)
{
    return strcmp(((const compare_attrs *)call->attrs)->direction, "LEFT") == 0;
}

static octet_status infer_shift(const octet_call *call, octet_error *err)
{
    const compare_attrs *const attrs = call->attrs;
    if (!shifts_left(call) && strcmp(attrs->direction, "RIGHT") != 0)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "direction", "'LEFT' or 'RIGHT' is needed");
    return octet_infer_binary(call, err);
}

/* Unsigned types only. Nothing is left of a number shifted by its width or more. */
static void shift_row(octet_wide *a, const octet_wide *b, size_t n, const octet_call *call, int what)
{
    const bool left = shifts_left(call);
    (void)what;
    for (size_t i = 0; i < n; i++) {
        const uint64_t x = (uint64_t)a[i].i, by = (uint64_t)b[i].i;
        a[i].i = by > 63 ? 0 : (int64_t)(left ? x << by : x >> by);
    }
}

/* ---- Mod ---- */

/* A zero has the sign of what the result follows. */
static double real_remainder(double a, double b, bool of_dividend)
{
    const double r = fmod(a, b);
    if (of_dividend) return r;
    if (r == 0.0) return copysign(0.0, b);
    return (r < 0.0) != (b < 0.0) ? r + b : r;
}

/* x mod 0 is 0, which no machine traps. */
static int64_t remainder_of(int64_t a, int64_t b, octet_dtype dtype, bool of_dividend)
{
    if (b == 0) return 0;
    if (dtype == OCTET_U64) return (int64_t)((uint64_t)a % (uint64_t)b);
    const int64_t r = b == -1 ? 0 : a % b;
    return !of_dividend && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static void mod_row(octet_wide *a, const octet_wide *b, size_t n, const octet_call *call, int what)
{
    const octet_dtype dtype = call->in[0]->dtype;
    const bool        of_dividend = ((const compare_attrs *)call->attrs)->fmod != 0;
    (void)what;
    for (size_t i = 0; i < n; i++)
        if (octet_dtype_is_float(dtype))
            a[i].f = real_remainder(a[i].f, b[i].f, of_dividend);
        else
            a[i].i = remainder_of(a[i].i, b[i].i, dtype, of_dividend);
}

/* ---- Pow: the result has the base's type, the exponent may have another ---- */

static octet_status infer_pow(const octet_call *call, octet_error *err)
{
    const octet_tensor *const base = call->in[0], *const exponent = call->in[1];
    int64_t                   dims[OCTET_MAX_RANK];
    int                       rank;
    if (!((OCTET_TYPES_FLOAT | OCTET_TYPES_INT) >> exponent->dtype & 1))
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "an exponent of type %s is not supported",
                          octet_dtype_name(exponent->dtype));
    OCTET_TRY(octet_broadcast(dims, &rank, base, exponent, err));
    return octet_set_output(call->out[0], base->dtype, dims, rank, err);
}

/* Wraps. */
static int64_t integer_power(int64_t base, int64_t exponent)
{
    uint64_t y = 1, x = (uint64_t)base;
    for (uint64_t n = (uint64_t)exponent; n > 0; n >>= 1, x *= x)
        if (n & 1) y *= x;
    return (int64_t)y;
}

static void pow_row(octet_wide *a, const octet_wide *b, size_t n, const octet_call *call, int what)
{
    const octet_dtype base = call->in[0]->dtype, exponent = call->in[1]->dtype;
    const bool        real = octet_dtype_is_float(base), real_power = octet_dtype_is_float(exponent);
    (void)what;
    for (size_t i = 0; i < n; i++) {
        octet_wide x = a[i], power = b[i];
        if (!real && !real_power && (power.i >= 0 || exponent == OCTET_U64)) {
            a[i].i = integer_power(x.i, power.i);
            continue;
        }
        if (!real) octet_wide_convert(&x, 1, base, OCTET_F64);
        if (!real_power) octet_wide_convert(&power, 1, exponent, OCTET_F64);
        a[i].f = octet_pow(x.f, power.f);
        if (!real) octet_wide_convert(&a[i], 1, OCTET_F64, base);
    }
}

static double power_value(double x, const void *exponent) { return octet_pow(x, *(const double *)exponent); }

static const char *pow_refuses_levels(const octet_node *node)
{
    const octet_value *const exponent = node->input_count > 1 ? node->inputs[1] : NULL;
    const bool single = exponent && exponent->constant && octet_tensor_count(exponent->constant) == 1;
    return single && !exponent->constant->qparams ? NULL : "its exponent is no constant of one number";
}

/* One exponent for all: a function of one number. */
static octet_status pow_levels(const octet_call *call, octet_error *err)
{
    static const octet_unary  function = {.value = power_value};
    const octet_tensor *const exponent = call->in[1];
    octet_wide                power;
    if (octet_tensor_count(exponent) != 1) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "one exponent is needed");
    octet_wide_load(&power, exponent->data, exponent->dtype, 0, 1, 0);
    if (!octet_dtype_is_float(exponent->dtype)) octet_wide_convert(&power, 1, exponent->dtype, OCTET_F64);
    octet_call with = *call;
    with.attrs = &power.f;
    return octet_unary_levels(&with, &function);
}

/* ---- rows ---- */

#define WIDE_FORWARD(name, row, what)                                                                                  \
    static octet_status name##_forward(const octet_call *call, octet_error *err)                                       \
    {                                                                                                                  \
        (void)err;                                                                                                     \
        octet_binary_wide(call, row, what);                                                                            \
        return OCTET_OK;                                                                                               \
    }

WIDE_FORWARD(equal, compare_row, EQUAL)
WIDE_FORWARD(greater, compare_row, GREATER)
WIDE_FORWARD(greater_or_equal, compare_row, GREATER | EQUAL)
WIDE_FORWARD(less, compare_row, LESS)
WIDE_FORWARD(less_or_equal, compare_row, LESS | EQUAL)
WIDE_FORWARD(and, bits_row, AND)
WIDE_FORWARD(or, bits_row, OR)
WIDE_FORWARD(xor, bits_row, XOR)
WIDE_FORWARD(shift, shift_row, 0)
WIDE_FORWARD(mod, mod_row, 0)
WIDE_FORWARD(pow, pow_row, 0)

#define TWO_TO_ONE(onnx, opset)                                                                                        \
    .name = onnx, .since = opset, .min_inputs = 2, .max_inputs = 2, .min_outputs = 1, .max_outputs = 1,                \
    .flags = OCTET_OP_ELEMENTWISE
#define COMPARE                                                                                                        \
    .types = OCTET_TYPES_FLOAT | OCTET_TYPES_INT | OCTET_TYPE(OCTET_F16), .infer = infer_compare
#define LOGIC .types = OCTET_TYPE(OCTET_BOOL), .infer = octet_infer_binary
#define BITS .types = OCTET_TYPES_INT, .infer = octet_infer_binary
#define UNSIGNED (OCTET_TYPE(OCTET_U8) | OCTET_TYPE(OCTET_U16) | OCTET_TYPE(OCTET_U32) | OCTET_TYPE(OCTET_U64))

static const octet_attr shift_attrs[] = {
    {.name = "direction", .kind = OCTET_ATTR_STRING, .offset = offsetof(compare_attrs, direction), .required = true},
    {.kind = OCTET_ATTR_END},
};
static const octet_attr mod_attrs[] = {
    {.name = "fmod", .kind = OCTET_ATTR_INT, .offset = offsetof(compare_attrs, fmod), .max = 1},
    {.kind = OCTET_ATTR_END},
};

const octet_op octet_op_and = { TWO_TO_ONE("And", 7), LOGIC, .forward = and_forward };
const octet_op octet_op_bit_shift = {
    TWO_TO_ONE("BitShift", 11), .types = UNSIGNED, .attrs = shift_attrs, .attrs_size = sizeof(compare_attrs),
    .infer = infer_shift, .forward = shift_forward,
};
const octet_op octet_op_bitwise_and = { TWO_TO_ONE("BitwiseAnd", 18), BITS, .forward = and_forward };
const octet_op octet_op_bitwise_or = { TWO_TO_ONE("BitwiseOr", 18), BITS, .forward = or_forward };
const octet_op octet_op_bitwise_xor = { TWO_TO_ONE("BitwiseXor", 18), BITS, .forward = xor_forward };
const octet_op octet_op_equal = {
    TWO_TO_ONE("Equal", 11), .types = OCTET_TYPES_ALL, .infer = infer_compare, .forward = equal_forward,
};
const octet_op octet_op_greater = { TWO_TO_ONE("Greater", 9), COMPARE, .forward = greater_forward };
const octet_op octet_op_greater_or_equal = {
    TWO_TO_ONE("GreaterOrEqual", 12), COMPARE, .forward = greater_or_equal_forward,
};
const octet_op octet_op_less = { TWO_TO_ONE("Less", 9), COMPARE, .forward = less_forward };
const octet_op octet_op_less_or_equal = { TWO_TO_ONE("LessOrEqual", 12), COMPARE, .forward = less_or_equal_forward };
const octet_op octet_op_mod = {
    TWO_TO_ONE("Mod", 10), .types = OCTET_TYPES_FLOAT | OCTET_TYPES_INT | OCTET_TYPE(OCTET_F16), .attrs = mod_attrs,
    .attrs_size = sizeof(compare_attrs), .infer = octet_infer_binary, .forward = mod_forward,
};
const octet_op octet_op_or = { TWO_TO_ONE("Or", 7), LOGIC, .forward = or_forward };
const octet_op octet_op_pow = {
    TWO_TO_ONE("Pow", 12), .types = OCTET_TYPES_FLOAT | OCTET_TYPE(OCTET_I32) | OCTET_TYPE(OCTET_I64),
    .quant = OCTET_QUANT_TABLE, .infer = infer_pow, .forward = pow_forward, .forward_integer = pow_levels,
    .refuses_levels = pow_refuses_levels, .backward = octet_pow_backward,
};
const octet_op octet_op_xor = { TWO_TO_ONE("Xor", 7), LOGIC, .forward = xor_forward };
