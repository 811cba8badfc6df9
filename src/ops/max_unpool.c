/* SPDX-License-Identifier: Apache-2.0 */
/* MaxUnpool: X, I, output_shape. Each element goes where I (flat, as MaxPool's Indices) says; zeros elsewhere. I counts
   in the shape that the window gives; a larger output_shape is filled up with zeros at the end of every axis. */
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/rows.h"
#include "ops/window.h"

#include <inttypes.h>
#include <string.h>

#define AT(field) offsetof(octet_window_attrs, field)

static const octet_attr attrs[] = {
    { "kernel_shape", OCTET_ATTR_INTS, AT(kernel_shape), .min = 1, .max = INT32_MAX, .required = true },
    { "pads", OCTET_ATTR_INTS, AT(pads), .min = 0, .max = 0xffff },
    { "strides", OCTET_ATTR_INTS, AT(strides), .min = 1, .max = INT32_MAX },
    { 0 },
};

/* The shape that I counts in. */
static octet_status counted_dims(int64_t *dims, const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    octet_window_attrs        plain = *(const octet_window_attrs *)call->attrs;
    octet_call                padded = *call;
    octet_window              window;
    plain.auto_pad = "NOTSET";
    padded.attrs = &plain;
    OCTET_TRY(octet_window_make_transposed(&window, &padded, NULL, err));
    memcpy(dims, x->dims, 2 * sizeof *dims);
    memcpy(dims + 2, window.in, (size_t)window.rank * sizeof *dims);
    return OCTET_OK;
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const indices = call->in[1];
    int64_t                   dims[OCTET_MAX_RANK];
    octet_ints                shape;
    if (indices->dtype != OCTET_I64 || !octet_same_dims(x, indices))
        return octet_fail_field(err, OCTET_ERR_SHAPE, "I", "int64 indices of the input's shape are needed");
    OCTET_TRY(counted_dims(dims, call, err));
    if (octet_has_input(call, 2)) {
        OCTET_TRY(octet_known_ints(&shape, call, 2, "output_shape", err));
        if (shape.count != x->rank)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "output_shape", "%d entries for %d dimensions", shape.count,
                                    x->rank);
        for (int i = 0; i < shape.count; i++) {
            if (shape.at[i] < dims[i] || (i < 2 && shape.at[i] != dims[i]))
                return octet_fail_field(err, OCTET_ERR_SHAPE, "output_shape",
                                        "entry %d is %" PRId64 "; the windows cover %" PRId64, i, shape.at[i], dims[i]);
            dims[i] = shape.at[i];
        }
    }
    return octet_set_output(call->out[0], x->dtype, dims, x->rank, err);
}

/* Where element `index` of a tensor of shape dims lies in one of shape in. */
static int64_t position(int64_t index, const int64_t *dims, const octet_tensor *in)
{
    int64_t at = 0, step = 1;
    for (int i = in->rank - 1; i >= 0; i--) {
        at += index % dims[i] * step;
        step *= in->dims[i];
        index /= dims[i];
    }
    return at;
}

static octet_status check_index(int64_t index, int64_t count, octet_error *err)
{
    if (index >= 0 && index < count) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_SHAPE, "I", "index %" PRId64 " is outside of %" PRId64 " elements", index,
                            count);
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const y = call->out[0];
    const int64_t *const      index = call->in[1]->data;
    const size_t              size = octet_dtype_size(x->dtype);
    int64_t                   dims[OCTET_MAX_RANK];
    OCTET_TRY(counted_dims(dims, call, err));
    const int64_t count = octet_product(dims, x->rank);
    memset(y->data, 0, (size_t)octet_tensor_bytes(y));
    for (int64_t i = 0; i < octet_tensor_count(x); i++) {
        OCTET_TRY(check_index(index[i], count, err));
        memcpy((char *)y->data + (size_t)position(index[i], dims, y) * size, (const char *)x->data + (size_t)i * size,
               size);
    }
    return OCTET_OK;
}

static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    const octet_call *const   forward_call = call->forward;
    const octet_tensor *const x = forward_call->in[0];
    int64_t                   dims[OCTET_MAX_RANK];
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    OCTET_TRY(counted_dims(dims, forward_call, err));
    const int64_t count = octet_product(dims, x->rank);
    for (int64_t i = 0; i < octet_tensor_count(x); i++) {
        const int64_t index = ((const int64_t *)forward_call->in[1]->data)[i];
        OCTET_TRY(check_index(index, count, err));
        octet_gradient_add(call->din[0], i, call->dout[0], position(index, dims, forward_call->out[0]), 1);
    }
    return OCTET_OK;
}

const octet_op octet_op_max_unpool = {
    .name = "MaxUnpool",
    .since = 9,
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_FLOAT | 1u << OCTET_F16,
    .attrs = attrs,
    .attrs_size = sizeof(octet_window_attrs),
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .fixed_inputs = 1 << 1 | 1 << 2,
};
