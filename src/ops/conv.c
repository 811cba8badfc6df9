/* SPDX-License-Identifier: Apache-2.0 */
/* Conv: its row and the validation of its shapes. The arithmetic is in conv_run.c. */
#include "ops/check.h"
#include "ops/conv_run.h"
#include "ops/dynamic.h"
#include "ops/rows.h"

#include <inttypes.h>

#define AT(field) offsetof(octet_window_attrs, field)

const octet_attr octet_conv_attrs[] = {
    { "auto_pad", OCTET_ATTR_STRING, AT(auto_pad), .default_s = "NOTSET" },
    { "dilations", OCTET_ATTR_INTS, AT(dilations), .min = 1, .max = INT32_MAX },
    { "group", OCTET_ATTR_INT, AT(group), .default_i = 1, .min = 1, .max = INT32_MAX },
    { "kernel_shape", OCTET_ATTR_INTS, AT(kernel_shape), .min = 1, .max = INT32_MAX },
    { "pads", OCTET_ATTR_INTS, AT(pads), .min = 0, .max = 0xffff },
    { "strides", OCTET_ATTR_INTS, AT(strides), .min = 1, .max = INT32_MAX },
    { 0 },
};

static octet_status check_weights(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const w = call->in[1];
    const int64_t             group = ((const octet_window_attrs *)call->attrs)->group;
    OCTET_TRY(octet_check_same_type(call, 1, "W", err));
    if (w->rank != x->rank)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "W", "the weights have rank %d, the input has %d", w->rank,
                                x->rank);
    for (int i = 0; i < w->rank; i++)
        if (w->dims[i] < 1)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "W", "dimension %d of the weights is %" PRId64, i,
                                    w->dims[i]);
    if (group < 1 || x->dims[1] % group != 0 || w->dims[0] % group != 0)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "group",
                                "%" PRId64 " does not divide %" PRId64 " input and %" PRId64 " output channels", group,
                                x->dims[1], w->dims[0]);
    if (x->dims[1] / group != w->dims[1])
        return octet_fail_field(err, OCTET_ERR_SHAPE, "W",
                                "the weights expect %" PRId64 " channels per group; the input has %" PRId64
                                " channels in %" PRId64 " groups",
                                w->dims[1], x->dims[1], group);
    return OCTET_OK;
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const w = call->in[1];
    if (x->rank < 3)
        return octet_fail(err, OCTET_ERR_SHAPE, "the input has rank %d; at least 3 is needed (batch, channels, space)",
                          x->rank);
    OCTET_TRY(check_weights(call, err));
    OCTET_TRY(octet_check_bias(call, 2, w->dims[0], err));
    octet_window window;
    OCTET_TRY(octet_window_make(&window, call, w->dims + 2, err));
    return octet_window_output(call, 0, x->dtype, w->dims[0], &window, err);
}

static int64_t macs(const octet_call *call)
{
    const octet_tensor *const w = call->in[1];
    const int64_t             factors[] = { octet_tensor_count(call->out[0]), octet_product(w->dims + 1, w->rank - 1) };
    return octet_product(factors, 2);
}

const octet_op octet_op_conv = {
    .name = "Conv",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_FLOAT,
    .attrs = octet_conv_attrs,
    .attrs_size = sizeof(octet_window_attrs),
    .quant = OCTET_QUANT_MAC,
    .flags = OCTET_OP_LINEAR_CLAMP | OCTET_OP_SAMPLES,
    .infer = infer,
    .forward = octet_conv_forward,
    .forward_integer = octet_conv_forward_integer,
    .scratch_size = octet_conv_scratch,
    .backward = octet_conv_backward,
    .backward_scratch = octet_conv_backward_scratch,
    .forward_dynamic = octet_dynamic_mac,
    .dynamic_scratch = octet_dynamic_mac_scratch,
    .dynamic_weights = 1u << 1,
    .macs = macs,
};
