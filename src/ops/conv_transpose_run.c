/* SPDX-License-Identifier: Apache-2.0 */
/* ConvTranspose is the gradient of a Conv with respect to its input, with the very same weights, and is computed as
   that (conv_backward.c): the planes of conv.h hold sums, to which every tap adds the input's rows, spread over the
   planes' positions. Its own gradients then are a Conv, and the gradient of that Conv's weights. */
#include "base/parallel.h"
#include "ops/conv_load.h"
#include "ops/conv_run.h"
#include "ops/conv_store.h"
#include "ops/gradient.h"
#include "ops/scratch.h"

#include <string.h>

enum { TILE = OCTET_CONV_TILE, RUN = OCTET_CONV_RUN };

typedef struct transpose_run {
    const octet_call *call;
    octet_conv_plan   plan;  /* of the Conv: its input is the output here */
    size_t           *offset, *row_start;
    size_t           *channel; /* where channel c of a group begins in spread */
    octet_mac_rule   *rules;   /* levels only */
    void             *weights, *spread, *planes;
    size_t            first_image;
    octet_scratch     scratch;
} transpose_run;

#define OCTET_TEMPLATE "ops/conv_transpose_template.h"
#include "ops/reals_template.h"

#include "ops/levels_template.h"

/* The Conv that call turns around: output and input change places. */
typedef struct turned_conv {
    octet_node          node;
    octet_tensor        out;
    const octet_tensor *in[2];
    octet_tensor       *outs[1];
    octet_call          call;
    octet_window        window;
} turned_conv;

static bool turn_around(turned_conv *conv, const octet_call *call)
{
    *conv = (turned_conv){ .node = { .name = call->node->name, .op = call->node->op }, .out = *call->in[0],
                           .in = { call->out[0], call->in[1] } };
    conv->outs[0] = &conv->out;
    conv->call = (octet_call){ .node = &conv->node, .attrs = call->attrs, .in = conv->in, .out = conv->outs,
                               .in_count = 2, .out_count = 1, .threads = 1, .profile = call->profile };
    return octet_window_make_transposed(&conv->window, call, call->in[1]->dims + 2, NULL) == OCTET_OK;
}

/* ---- forward ---- */

/* Plans a call and lays out its scratch memory. False: too large. */
static bool make_run(transpose_run *run, const octet_call *call, bool integer)
{
    const bool             wide = integer && octet_mac_is_wide(call);
    const size_t           real = octet_dtype_size(call->in[0]->dtype);
    const size_t           element = !integer ? real : wide ? 4 : 2, sum = integer ? 2 * element : real;
    octet_scratch *const   scratch = &run->scratch;
    octet_conv_plan *const plan = &run->plan;
    turned_conv            conv;
    size_t                 spread = 0, planes = 0, weights = 0;
    *run = (transpose_run){ .call = call, .scratch = { .data = call->scratch } };
    if (!turn_around(&conv, call) || !octet_conv_plan_lay(plan, &conv.window, &conv.call, sum)) return false;
    const size_t inputs = (size_t)(plan->group * plan->out_channels);
    if (!octet_mul(&spread, plan->images * inputs, plan->length) ||
        !octet_mul(&planes, plan->images, plan->image_size) || !octet_mul(&weights, inputs, (size_t)plan->sums))
        return false;
    run->offset = octet_scratch_take(scratch, (size_t)plan->sums, sizeof *run->offset);
    run->row_start = octet_scratch_take(scratch, (size_t)plan->rows, sizeof *run->row_start);
    run->channel = octet_scratch_take(scratch, (size_t)plan->out_channels, sizeof *run->channel);
    run->rules = integer ? octet_scratch_take(scratch, (size_t)(plan->group * plan->in_channels), sizeof *run->rules)
                         : NULL;
    run->weights = octet_scratch_take(scratch, weights, element);
    run->spread = octet_scratch_take(scratch, spread, element);
    run->planes = octet_scratch_take(scratch, planes, sum);
    return !scratch->too_large;
}

size_t octet_conv_transpose_scratch(const octet_call *call, bool integer)
{
    transpose_run run;
    return make_run(&run, call, integer) ? run.scratch.bytes : SIZE_MAX;
}

static octet_status begin(transpose_run *run, const octet_call *call, bool integer, octet_error *err)
{
    if (!make_run(run, call, integer)) return octet_fail(err, OCTET_ERR_LIMIT, "the padded output is too large");
    octet_conv_offsets(run->offset, &run->plan);
    octet_conv_row_starts(run->row_start, &run->plan);
    for (int64_t c = 0; c < run->plan.out_channels; c++) run->channel[c] = (size_t)c * run->plan.length;
    return OCTET_OK;
}

octet_status octet_conv_transpose_forward(const octet_call *call, octet_error *err)
{
    transpose_run run;
    OCTET_TRY(begin(&run, call, false, err));
    if (call->in[0]->dtype == OCTET_F64)
        run_f64(&run);
    else
        run_f32(&run);
    return OCTET_OK;
}

/* Whom torch's x86 profile asks for this convolution: oneDNN knows no output_padding. */
static int64_t groups_of_convolution(const octet_call *call)
{
    const octet_window_attrs *const attrs = call->attrs;
    for (int i = 0; i < attrs->output_padding.count; i++)
        if (attrs->output_padding.at[i] != 0) return 0;
    return attrs->group;
}

octet_status octet_conv_transpose_forward_integer(const octet_call *call, octet_error *err)
{
    transpose_run run;
    OCTET_TRY(begin(&run, call, true, err));
    const octet_mac_terms terms = { .weight_axis = 1, .factor = 1.0f, .bias_factor = 1.0f, .groups = run.plan.group,
                                    .convolution_groups = groups_of_convolution(call),
                                    .bias = call->in_count > 2 ? call->in[2] : NULL };
    OCTET_TRY(octet_mac_rules(run.rules, run.plan.group * run.plan.in_channels, call, &terms, err));
    if (octet_mac_is_wide(call))
        run_wide(&run);
    else
        run_narrow(&run);
    return OCTET_OK;
}

/* ---- gradients ---- */

/* The result of the Conv lies at the beginning of the scratch memory: bytes of it, or SIZE_MAX. */
static size_t result_bytes(const turned_conv *conv)
{
    octet_scratch scratch = { .data = NULL };
    octet_scratch_take(&scratch, (size_t)octet_tensor_count(&conv->out), octet_dtype_size(conv->out.dtype));
    return scratch.too_large ? SIZE_MAX : scratch.bytes;
}

size_t octet_conv_transpose_backward_scratch(const octet_call *call)
{
    turned_conv conv;
    size_t      total = 0;
    if (!turn_around(&conv, call)) return SIZE_MAX;
    const size_t forward = octet_conv_scratch_in(&conv.call, &conv.window, false);
    const size_t backward = octet_conv_backward_scratch_in(&conv.call, &conv.window);
    return octet_add(&total, result_bytes(&conv), forward > backward ? forward : backward) ? total : SIZE_MAX;
}

octet_status octet_conv_transpose_backward(const octet_backward_call *call, octet_error *err)
{
    turned_conv               conv;
    const octet_tensor *const x = call->forward->in[0];
    if (!call->dout[0]) return OCTET_OK;
    if (!turn_around(&conv, call->forward)) return octet_fail(err, OCTET_ERR_LIMIT, "the padded output is too large");
    if (octet_gradient_wanted(call, 2)) octet_conv_bias_gradient(call);
    conv.in[0] = call->dout[0];
    conv.call.scratch = (char *)call->scratch + result_bytes(&conv);
    if (octet_gradient_wanted(call, 1)) {
        octet_tensor *const       din[] = { NULL, call->din[1] };
        const octet_backward_call weights = { .forward = &conv.call, .dout = &x, .din = din,
                                              .scratch = conv.call.scratch };
        OCTET_TRY(octet_conv_backward_in(&weights, &conv.window, err));
    }
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    conv.out.data = call->scratch;
    OCTET_TRY(octet_conv_forward_in(&conv.call, &conv.window, err));
    octet_gradient_add(call->din[0], 0, &conv.out, 0, (size_t)octet_tensor_count(&conv.out));
    return OCTET_OK;
}
