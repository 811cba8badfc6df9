/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of a convolution, on the planes of conv.h. Those of an image's outputs are spread over the positions of the
   planes, 0 where nobody reads: then a weight's gradient is the product of two rows, and the gradient of the
   planes is a sum of shifted rows, as the convolution itself is. */
#include "ops/conv_load.h"
#include "ops/conv_run.h"
#include "ops/gradient.h"
#include "ops/scratch.h"

#include <string.h>

enum { TILE = OCTET_CONV_TILE, RUN = OCTET_CONV_RUN, TAPS = 4 };

typedef struct conv_gradient {
    const octet_backward_call *call;
    octet_conv_plan            plan;
    octet_scratch              scratch;
    size_t                    *offset, *row_start;
    size_t                    *channel; /* where channel c of a group begins in dy */
    void                      *planes;  /* of one image: x, later the gradients of x */
    void                      *dy;      /* of one image, spread */
    void                      *weights; /* for each group and product, those of all its output channels */
} conv_gradient;

#define OCTET_TEMPLATE "ops/conv_backward_template.h"
#include "ops/reals_template.h"

/* Plans a call and lays out its scratch memory. False: too large. */
static bool lay_out(conv_gradient *g, const octet_call *call, const octet_window *window)
{
    const size_t           element = octet_dtype_size(call->in[0]->dtype);
    octet_conv_plan *const plan = &g->plan;
    size_t                 weights = 0, length = 0;
    if (!octet_conv_plan_lay(plan, window, call, element)) return false;
    if (!octet_mul(&weights, (size_t)(plan->group * plan->out_channels), (size_t)plan->sums)) return false;
    if (!octet_mul(&length, (size_t)(plan->group * plan->out_channels), plan->length)) return false;
    g->offset = octet_scratch_take(&g->scratch, (size_t)plan->sums, sizeof *g->offset);
    g->row_start = octet_scratch_take(&g->scratch, (size_t)plan->rows, sizeof *g->row_start);
    g->channel = octet_scratch_take(&g->scratch, (size_t)plan->out_channels, sizeof *g->channel);
    g->planes = octet_scratch_take(&g->scratch, plan->image_size, element);
    g->dy = octet_scratch_take(&g->scratch, length, element);
    g->weights = octet_scratch_take(&g->scratch, weights, element);
    return !g->scratch.too_large;
}

size_t octet_conv_backward_scratch_in(const octet_call *call, const octet_window *window)
{
    conv_gradient g = { .call = NULL };
    return lay_out(&g, call, window) ? g.scratch.bytes : SIZE_MAX;
}

size_t octet_conv_backward_scratch(const octet_call *call)
{
    octet_window window;
    return octet_conv_window(&window, call) ? octet_conv_backward_scratch_in(call, &window) : SIZE_MAX;
}

/* The bias is stretched over images and positions. */
void octet_conv_bias_gradient(const octet_backward_call *call)
{
    octet_tensor db = *call->din[2];
    db.rank = call->dout[0]->rank - 1;
    for (int i = 1; i < db.rank; i++) db.dims[i] = 1;
    octet_gradient_stretched(&db, call->dout[0], 1.0);
}

octet_status octet_conv_backward_in(const octet_backward_call *call, const octet_window *window, octet_error *err)
{
    conv_gradient g = { .call = call, .scratch = { .data = call->scratch } };
    if (!lay_out(&g, call->forward, window)) return octet_fail(err, OCTET_ERR_LIMIT, "the padded input is too large");
    if (octet_gradient_wanted(call, 2)) octet_conv_bias_gradient(call);
    octet_conv_offsets(g.offset, &g.plan);
    octet_conv_row_starts(g.row_start, &g.plan);
    for (int64_t c = 0; c < g.plan.out_channels; c++) g.channel[c] = (size_t)c * g.plan.length;
    if (call->forward->in[0]->dtype == OCTET_F64)
        backward_f64(&g);
    else
        backward_f32(&g);
    return OCTET_OK;
}

octet_status octet_conv_backward(const octet_backward_call *call, octet_error *err)
{
    octet_window window;
    OCTET_TRY(octet_window_make(&window, call->forward, call->forward->in[1]->dims + 2, err));
    return octet_conv_backward_in(call, &window, err);
}
