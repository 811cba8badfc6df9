/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one number. Each is written twice as an expression in x: in float for real tensors, in double for the
   rarer types and for levels, where any of them is a table of 256 entries (docs/arithmetic.md). Its gradient is an
   expression in x and dy; where a function bends, it is PyTorch's. The families are unary_*.c; what they share is
   unary.c. */
#ifndef OCTET_OPS_UNARY_H
#define OCTET_OPS_UNARY_H

#include "ops/check.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include "base/math.h"

#include <math.h>

typedef struct octet_unary_attrs {
    float       alpha, beta;   /* of what ONNX calls alpha, beta, gamma, lambd and bias */
    int64_t     negative, positive; /* IsInf: whether it looks for this infinity */
    const char *approximate;   /* Gelu: "none", "tanh" */
} octet_unary_attrs;

/* dx[i] += slope(x[i]) * dy[i] */
typedef void octet_slope_row(void *dx, const void *dy, const void *x, size_t n, const octet_unary_attrs *attrs);

/* One function: a row of floats, one number in double, and rows of gradients (NULL: none). */
typedef struct octet_unary {
    void (*row)(float *y, const float *x, size_t n, const octet_unary_attrs *attrs);
    double (*value)(double x, const void *attrs);
    octet_slope_row *slope_f32, *slope_f64;
} octet_unary;

/* Float types: by row where float32, else by value. */
octet_status octet_unary_forward(const octet_call *call, const octet_unary *function);

/* Levels: bytes through a table, wider ones one by one. */
octet_status octet_unary_levels(const octet_call *call, const octet_unary *function);

octet_status octet_unary_backward(const octet_backward_call *call, const octet_unary *function);

/* Any type, by rows of its wide form: change leaves in row what is stored as output 0's type. */
typedef void octet_unary_change(octet_wide *row, size_t n, const octet_call *call, const void *with);
octet_status octet_unary_rows(const octet_call *call, octet_unary_change *change, const void *with);

/* infer of the functions with numbers alpha, or alpha and beta, which must be finite. */
octet_status octet_infer_alpha(const octet_call *call, octet_error *err);
octet_status octet_infer_alpha_beta(const octet_call *call, octet_error *err);

/* The function of x's own type. */
#define BY_TYPE(x, single, wide) (_Generic((x), float: single, double: wide)(x))

#define UNARY_SLOPE(name, type, gradient)                                                                              \
    static void name(void *to, const void *from, const void *at, size_t n, const octet_unary_attrs *attrs)             \
    {                                                                                                                  \
        typedef type      real;                                                                                        \
        real *const       dx = to;                                                                                     \
        const real *const dys = from, *const xs = at;                                                                  \
        (void)attrs;                                                                                                   \
        for (size_t i = 0; i < n; i++) {                                                                               \
            const real x = xs[i], dy = dys[i];                                                                         \
            (void)x;                                                                                                   \
            dx[i] += (gradient);                                                                                       \
        }                                                                                                              \
    }

/* The row and the value of name; the two functions of UNARY_SLOPES follow where there is a gradient. */
#define UNARY_VALUES(name, single, exact)                                                                              \
    static void name##_row(float *y, const float *row, size_t n, const octet_unary_attrs *attrs)                       \
    {                                                                                                                  \
        (void)attrs;                                                                                                   \
        for (size_t i = 0; i < n; i++) {                                                                               \
            const float x = row[i];                                                                                    \
            y[i] = (single);                                                                                           \
        }                                                                                                              \
    }                                                                                                                  \
    static double name##_value(double x, const void *of)                                                               \
    {                                                                                                                  \
        const octet_unary_attrs *const attrs = of;                                                                     \
        (void)attrs;                                                                                                   \
        return (exact);                                                                                                \
    }

/* What a row of octet_op points to, of the function table name##_function. */
#define UNARY_FORWARD(name)                                                                                            \
    static octet_status name##_forward(const octet_call *call, octet_error *err)                                       \
    {                                                                                                                  \
        (void)err;                                                                                                     \
        return octet_unary_forward(call, &name##_function);                                                            \
    }
#define UNARY_LEVELS(name)                                                                                             \
    static octet_status name##_levels(const octet_call *call, octet_error *err)                                        \
    {                                                                                                                  \
        (void)err;                                                                                                     \
        return octet_unary_levels(call, &name##_function);                                                             \
    }
#define UNARY_BACKWARD(name)                                                                                           \
    static octet_status name##_backward(const octet_backward_call *call, octet_error *err)                             \
    {                                                                                                                  \
        (void)err;                                                                                                     \
        return octet_unary_backward(call, &name##_function);                                                           \
    }

/* A function without a gradient, and one with. */
#define UNARY_FLAT_FUNCTION(name, single, exact)                                                                       \
    UNARY_VALUES(name, single, exact)                                                                                  \
    static const octet_unary name##_function = {name##_row, name##_value, NULL, NULL};
#define UNARY_FUNCTION(name, single, exact, gradient)                                                                  \
    UNARY_VALUES(name, single, exact)                                                                                  \
    UNARY_SLOPE(name##_slope_f32, float, gradient)                                                                     \
    UNARY_SLOPE(name##_slope_f64, double, gradient)                                                                    \
    static const octet_unary name##_function = {name##_row, name##_value, name##_slope_f32, name##_slope_f64};

/* The same with everything that a row of float types points to. */
#define UNARY_FLAT(name, single, exact)                                                                                \
    UNARY_FLAT_FUNCTION(name, single, exact)                                                                           \
    UNARY_FORWARD(name)                                                                                                \
    UNARY_LEVELS(name)
#define UNARY(name, single, exact, gradient)                                                                           \
    UNARY_FUNCTION(name, single, exact, gradient)                                                                      \
    UNARY_FORWARD(name)                                                                                                \
    UNARY_LEVELS(name)                                                                                                 \
    UNARY_BACKWARD(name)

#define UNARY_ONE_TO_ONE OCTET_ONE_TO_ONE, .flags = OCTET_OP_ELEMENTWISE | OCTET_OP_SAMPLES

/* The row of a function: its identifier, ONNX's name and opset; types, infer and attributes follow. */
#define UNARY_FLAT_ROW(id, onnx, opset)                                                                                \
    .name = onnx, .since = opset, UNARY_ONE_TO_ONE, .quant = OCTET_QUANT_TABLE, .forward = id##_forward,               \
    .forward_integer = id##_levels
#define UNARY_ROW(id, onnx, opset) UNARY_FLAT_ROW(id, onnx, opset), .backward = id##_backward
#define UNARY_PLAIN .types = OCTET_TYPES_FLOAT, .infer = octet_infer_same
#define UNARY_ATTRS(rows) .attrs = rows, .attrs_size = sizeof(octet_unary_attrs)

#define OCTET_TYPES_SIGNED                                                                                             \
    (OCTET_TYPES_FLOAT | OCTET_TYPE(OCTET_I8) | OCTET_TYPE(OCTET_I16) | OCTET_TYPE(OCTET_I32) | OCTET_TYPE(OCTET_I64))

static inline float  octet_logistic_f32(float x) { return 1.0f / (1.0f + expf(-x)); }
static inline double octet_logistic(double x) { return 1.0 / (1.0 + octet_exp(-x)); }

#endif
