/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of Add, Sub, Mul, Div, PRelu and Pow. An input that was stretched gets the sum over where it was. */
#include "base/math.h"
#include "ops/binary.h"
#include "ops/gradient.h"
#include "ops/wide.h"

enum { ROW = OCTET_WIDE_ROW };

static octet_status backward_sum(const octet_backward_call *call, double sign)
{
    if (octet_gradient_wanted(call, 0)) octet_gradient_stretched(call->din[0], call->dout[0], 1.0);
    if (octet_gradient_wanted(call, 1)) octet_gradient_stretched(call->din[1], call->dout[0], sign);
    return OCTET_OK;
}

octet_status octet_add_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    return backward_sum(call, 1.0);
}

octet_status octet_sub_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    return backward_sum(call, -1.0);
}

/* One input's part of a row: dy becomes its gradient. */
typedef void row_gradient(octet_wide *dy, const octet_wide *a, const octet_wide *b, size_t n);

static void mul_left(octet_wide *dy, const octet_wide *a, const octet_wide *b, size_t n)
{
    (void)a;
    for (size_t i = 0; i < n; i++) dy[i].f *= b[i].f;
}

static void mul_right(octet_wide *dy, const octet_wide *a, const octet_wide *b, size_t n)
{
    mul_left(dy, b, a, n);
}

static void div_left(octet_wide *dy, const octet_wide *a, const octet_wide *b, size_t n)
{
    (void)a;
    for (size_t i = 0; i < n; i++) dy[i].f /= b[i].f;
}

static void div_right(octet_wide *dy, const octet_wide *a, const octet_wide *b, size_t n)
{
    for (size_t i = 0; i < n; i++) dy[i].f *= -(a[i].f / b[i].f) / b[i].f;
}

static void prelu_left(octet_wide *dy, const octet_wide *a, const octet_wide *b, size_t n)
{
    for (size_t i = 0; i < n; i++) dy[i].f *= a[i].f > 0 ? 1.0 : b[i].f;
}

static void prelu_right(octet_wide *dy, const octet_wide *a, const octet_wide *b, size_t n)
{
    (void)b;
    for (size_t i = 0; i < n; i++) dy[i].f *= a[i].f > 0 ? 0.0 : a[i].f;
}

/* PyTorch's: 0 where the exponent is 0, and for the exponent where both are 0. */
static void pow_left(octet_wide *dy, const octet_wide *a, const octet_wide *b, size_t n)
{
    for (size_t i = 0; i < n; i++) dy[i].f *= b[i].f == 0 ? 0.0 : b[i].f * octet_pow(a[i].f, b[i].f - 1.0);
}

static void pow_right(octet_wide *dy, const octet_wide *a, const octet_wide *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dy[i].f *= a[i].f == 0 && b[i].f >= 0 ? 0.0 : octet_pow(a[i].f, b[i].f) * octet_log(a[i].f);
}

static void add_row(const octet_tensor *din, int64_t at, octet_wide *row, size_t n, int64_t step)
{
    for (size_t i = 1; step == 0 && i < n; i++) row[0].f += row[i].f;
    octet_wide_add(din->data, din->dtype, at, row, step == 0 ? 1 : n, step);
}

/* Adds the gradient of one input. */
static void backward_one(const octet_backward_call *call, int input, row_gradient *gradient)
{
    const octet_tensor *const a = call->forward->in[0], *const b = call->forward->in[1], *const dy = call->dout[0];
    octet_walk                walk = octet_binary_rows(call->forward);
    const int                 inner = walk.rank - 1;
    octet_wide                row[ROW], left[ROW], right[ROW];
    if (!octet_gradient_wanted(call, input) || octet_walk_rows(&walk) == 0) return;
    do
        for (int64_t i = 0; i < walk.dims[inner]; i += ROW) {
            const size_t  n = walk.dims[inner] - i < ROW ? (size_t)(walk.dims[inner] - i) : ROW;
            const int64_t a_step = walk.step[1][inner], b_step = walk.step[2][inner];
            octet_wide_load(row, dy->data, dy->dtype, walk.offset[0] + i, n, 1);
            octet_wide_load(left, a->data, a->dtype, walk.offset[1] + i * a_step, n, a_step);
            octet_wide_load(right, b->data, b->dtype, walk.offset[2] + i * b_step, n, b_step);
            if (!octet_dtype_is_float(b->dtype)) octet_wide_convert(right, n, b->dtype, OCTET_F64);
            gradient(row, left, right, n);
            add_row(call->din[input], walk.offset[1 + input] + i * walk.step[1 + input][inner], row, n,
                    walk.step[1 + input][inner]);
        }
    while (octet_walk_next(&walk));
}

octet_status octet_mul_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    backward_one(call, 0, mul_left);
    backward_one(call, 1, mul_right);
    return OCTET_OK;
}

octet_status octet_div_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    backward_one(call, 0, div_left);
    backward_one(call, 1, div_right);
    return OCTET_OK;
}

octet_status octet_prelu_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    backward_one(call, 0, prelu_left);
    backward_one(call, 1, prelu_right);
    return OCTET_OK;
}

octet_status octet_pow_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    backward_one(call, 0, pow_left);
    if (octet_dtype_is_float(call->forward->in[1]->dtype)) backward_one(call, 1, pow_right);
    return OCTET_OK;
}
