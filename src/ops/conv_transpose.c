/* SPDX-License-Identifier: Apache-2.0 */
/* ConvTranspose: its row and the validation of its shapes. Weights are [input channels, output channels of a group,
   kernel...]. The arithmetic is in conv_transpose_run.c. */
#include "ops/check.h"
#include "ops/conv_run.h"
#include "ops/rows.h"

#include <inttypes.h>

#define AT(field) offsetof(octet_window_attrs, field)

static const octet_attr attrs[] = {
    { "auto_pad", OCTET_ATTR_STRING, AT(auto_pad), .default_s = "NOTSET" },
    { "dilations", OCTET_ATTR_INTS, AT(dilations), .min = 1, .max = INT32_MAX },
    { "group", OCTET_ATTR_INT, AT(group), .default_i = 1, .min = 1, .max = INT32_MAX },
    { "kernel_shape", OCTET_ATTR_INTS, AT(kernel_shape), .min = 1, .max = INT32_MAX },
    { "output_padding", OCTET_ATTR_INTS, AT(output_padding), .min = 0, .max = INT32_MAX },
    { "output_shape", OCTET_ATTR_INTS, AT(output_shape), .min = 1, .max = INT32_MAX },
    { "pads", OCTET_ATTR_INTS, AT(pads), .min = 0, .max = 0xffff },
    { "strides", OCTET_ATTR_INTS, AT(strides), .min = 1, .max = INT32_MAX },
    { 0 },
};

static octet_status check_weights(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const w = call->in[1];
    const int64_t             group = ((const octet_window_attrs *)call->attrs)->group;
    OCTET_TRY(octet_check_same_type(call, 1, "W", err));
    if (x->rank < 3 || w->rank != x->rank)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "W",
                                "the weights have rank %d, the input has %d; one rank, at least 3, is needed", w->rank,
                                x->rank);
    for (int i = 0; i < w->rank; i++)
        if (w->dims[i] < 1)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "W", "dimension %d of the weights is %" PRId64, i,
                                    w->dims[i]);
    if (x->dims[1] != w->dims[0])
        return octet_fail_field(err, OCTET_ERR_SHAPE, "W",
                                "the weights expect %" PRId64 " input channels; the input has %" PRId64, w->dims[0],
                                x->dims[1]);
    if (group < 1 || x->dims[1] % group != 0)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "group", "%" PRId64 " does not divide %" PRId64 " input channels",
                                group, x->dims[1]);
    return OCTET_OK;
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const w = call->in[1];
    OCTET_TRY(check_weights(call, err));
    const int64_t channels = octet_product((const int64_t[]){ ((const octet_window_attrs *)call->attrs)->group,
                                                              w->dims[1] }, 2);
    OCTET_TRY(octet_check_bias(call, 2, channels, err));
    octet_window window;
    OCTET_TRY(octet_window_make_transposed(&window, call, w->dims + 2, err));
    int64_t dims[OCTET_MAX_RANK] = { x->dims[0], channels };
    for (int i = 0; i < window.rank; i++) dims[2 + i] = window.in[i];
    return octet_set_output(call->out[0], x->dtype, dims, x->rank, err);
}

static int64_t macs(const octet_call *call)
{
    const octet_tensor *const w = call->in[1];
    const int64_t             factors[] = { octet_tensor_count(call->in[0]), octet_product(w->dims + 1, w->rank - 1) };
    return octet_product(factors, 2);
}

const octet_op octet_op_conv_transpose = {
    .name = "ConvTranspose",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_FLOAT,
    .attrs = attrs,
    .attrs_size = sizeof(octet_window_attrs),
    .quant = OCTET_QUANT_MAC,
    .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_SAMPLES,
    .infer = infer,
    .forward = octet_conv_transpose_forward,
    .forward_integer = octet_conv_transpose_forward_integer,
    .scratch_size = octet_conv_transpose_scratch,
    .backward = octet_conv_transpose_backward,
    .backward_scratch = octet_conv_transpose_backward_scratch,
    .macs = macs,
};
