/* SPDX-License-Identifier: Apache-2.0 */
/* Col2Im: input [N, C * block, positions], image_shape, block_shape. Every column is a window; what windows have in
   common is added, in the order of the block's places. */
#include "base/parallel.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/rows.h"
#include "ops/wide.h"
#include "ops/window.h"

#include <inttypes.h>
#include <string.h>

#define AT(field) offsetof(octet_col2im_attrs, field)

static const octet_attr attrs[] = {
    { "dilations", OCTET_ATTR_INTS, AT(dilations), .min = 1, .max = INT32_MAX },
    { "pads", OCTET_ATTR_INTS, AT(pads), .min = 0, .max = 0xffff },
    { "strides", OCTET_ATTR_INTS, AT(strides), .min = 1, .max = INT32_MAX },
    { 0 },
};

/* The window that slides over an image of the wanted shape: window->out counts its positions. */
static octet_status make_window(octet_window *window, const octet_call *call, octet_error *err)
{
    const octet_col2im_attrs *const a = call->attrs;
    octet_window_attrs              plain = { .auto_pad = "NOTSET", .dilations = a->dilations, .pads = a->pads,
                                              .strides = a->strides };
    octet_ints                      shape;
    OCTET_TRY(octet_known_ints(&shape, call, 1, "image_shape", err));
    OCTET_TRY(octet_known_ints(&plain.kernel_shape, call, 2, "block_shape", err));
    if (shape.count < 1 || shape.count > OCTET_SPATIAL_MAX || plain.kernel_shape.count != shape.count)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "image_shape", "%d entries, and %d in block_shape", shape.count,
                                plain.kernel_shape.count);
    octet_tensor              image = { .dtype = call->in[0]->dtype, .rank = shape.count + 2, .dims = { 1, 1 } };
    const octet_tensor *const in[] = { &image };
    octet_call                sliding = *call;
    memcpy(image.dims + 2, shape.at, (size_t)shape.count * sizeof *shape.at);
    sliding.attrs = &plain;
    sliding.in = in;
    sliding.in_count = 1;
    return octet_window_make(window, &sliding, NULL, err);
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    octet_window              window;
    int64_t                   dims[OCTET_MAX_RANK] = { 0 };
    OCTET_TRY(make_window(&window, call, err));
    const int64_t block = octet_product(window.kernel, window.rank), positions = octet_product(window.out, window.rank);
    if (x->rank != 3 || x->dims[1] % block != 0 || x->dims[2] != positions)
        return octet_fail(err, OCTET_ERR_SHAPE,
                          "the input must be [batch, channels * %" PRId64 ", %" PRId64 "] for these shapes", block,
                          positions);
    dims[0] = x->dims[0];
    dims[1] = x->dims[1] / block;
    memcpy(dims + 2, window.in, (size_t)window.rank * sizeof *dims);
    return octet_set_output(call->out[0], x->dtype, dims, window.rank + 2, err);
}

/* Where place `tap` of the window at position p lies in the image; -1: in the padding. */
static int64_t place_of(const octet_window *window, int64_t tap, int64_t p)
{
    int64_t at = 0, step = 1;
    for (int i = window->rank - 1; i >= 0; i--) {
        const int64_t k = p % window->out[i] * window->stride[i] - window->pad[i] +
                          tap % window->kernel[i] * window->dilation[i];
        if (k < 0 || k >= window->in[i]) return -1;
        at += k * step;
        step *= window->in[i];
        tap /= window->kernel[i];
        p /= window->out[i];
    }
    return at;
}

typedef struct col_run {
    const octet_call *call;
    octet_window      window;
} col_run;

static void add_plane(void *context, size_t plane)
{
    const col_run *const      run = context;
    const octet_tensor *const x = run->call->in[0], *const y = run->call->out[0];
    const int64_t             taps = octet_product(run->window.kernel, run->window.rank), positions = x->dims[2];
    const int64_t             size = octet_product(run->window.in, run->window.rank), first = (int64_t)plane * size;
    memset((char *)y->data + (size_t)first * octet_dtype_size(y->dtype), 0, (size_t)size * octet_dtype_size(y->dtype));
    for (int64_t tap = 0; tap < taps; tap++)
        for (int64_t p = 0; p < positions; p++) {
            const int64_t at = place_of(&run->window, tap, p);
            octet_wide    value;
            if (at < 0) continue;
            octet_wide_load(&value, x->data, x->dtype, ((int64_t)plane * taps + tap) * positions + p, 1, 1);
            octet_wide_add(y->data, y->dtype, first + at, &value, 1, 0);
        }
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    col_run run = { .call = call };
    OCTET_TRY(make_window(&run.window, call, err));
    octet_parallel((size_t)(call->out[0]->dims[0] * call->out[0]->dims[1]), call->threads, add_plane, &run);
    return OCTET_OK;
}

static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    const octet_tensor *const x = call->forward->in[0];
    octet_window              window;
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    OCTET_TRY(make_window(&window, call->forward, err));
    const int64_t taps = octet_product(window.kernel, window.rank), size = octet_product(window.in, window.rank);
    for (int64_t i = 0; i < octet_tensor_count(x); i++) {
        const int64_t at = place_of(&window, i / x->dims[2] % taps, i % x->dims[2]);
        if (at >= 0) octet_gradient_add(call->din[0], i, call->dout[0], i / x->dims[2] / taps * size + at, 1);
    }
    return OCTET_OK;
}

const octet_op octet_op_col2im = {
    .name = "Col2Im",
    .since = 18,
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_FLOAT,
    .attrs = attrs,
    .attrs_size = sizeof(octet_col2im_attrs),
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .fixed_inputs = 1 << 1 | 1 << 2,
};
