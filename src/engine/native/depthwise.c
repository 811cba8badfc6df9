/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution: every channel has a kernel of its own. The input's border holds what windows touch outside. */
#include "engine/native/native.h"

typedef struct depthwise_step {
    octet_native_run              run;
    const octet_depthwise_kernel *kernel;
    octet_depthwise_shape         shape;
    octet_depthwise_call          call; /* without pointers into a workspace */
    octet_area                    out, residual;
    ptrdiff_t                     first; /* bytes of the first tap in the input's buffer */
} depthwise_step;

static void run(const octet_step *step, const octet_call *call, int phase, int part)
{
    (void)phase;
    const depthwise_step *const s = step->state;
    octet_depthwise_call        c = s->call;
    uint8_t *const              output = call->out[0]->data;
    c.input  = (const uint8_t *)call->in[0]->data + s->first;
    c.output = output + s->out.offset;
    if (step->add) c.residual = (const uint8_t *)call->in[step->in_count - 1]->data + s->residual.offset;
    if (part == 0) octet_area_fill_border(&s->out, output);
    s->kernel->run(&c, part, step->parts);
}

static octet_depthwise_shape shape_of(const octet_area *out, const octet_window2 *w)
{
    return (octet_depthwise_shape){
        .images = out->images, .height = out->height, .width = out->width, .channels = out->channels,
        .kernel_height = (int)w->y.kernel, .kernel_width = (int)w->x.kernel, .stride_height = (int)w->y.stride,
        .stride_width = (int)w->x.stride, .dilation_height = (int)w->y.dilation, .dilation_width = (int)w->x.dilation,
    };
}

octet_status octet_native_prepare_depthwise(const octet_plan *plan, octet_step *step, const octet_native_sums *sums,
                                            octet_arena *arena, octet_error *err)
{
    const octet_area *const in = octet_native_in(plan, step, 0);
    octet_window2           window;
    depthwise_step         *s;
    void                   *packed;
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    octet_window2_of(&window, plan, step->node);
    s->run    = run;
    s->kernel = plan->kernels->depthwise;
    s->out    = *octet_native_out(plan, step);
    s->shape  = shape_of(&s->out, &window);
    s->first  = (ptrdiff_t)in->offset - (ptrdiff_t)((size_t)window.y.pad * in->steps.row) -
               (ptrdiff_t)((size_t)window.x.pad * in->steps.pixel);
    const size_t             taps    = (size_t)(window.y.kernel * window.x.kernel);
    const octet_conv_weights weights = { .at = sums->weights, .column = taps, .tap = 1, .bias = sums->bias,
                                         .multiplier = sums->multiplier, .input_zero = octet_native_zero(in) };
    OCTET_TRY(octet_arena_get(&packed, plan->weights, s->kernel->packed_size(&s->shape), 1, err));
    s->kernel->pack(packed, &s->shape, &weights);
    s->call = (octet_depthwise_call){ .shape = &s->shape, .weights = packed, .input_steps = in->steps,
                                      .output_steps = s->out.steps, .to = sums->to, .tame = sums->tame };
    if (step->add) {
        s->residual                 = *octet_native_in(plan, step, step->in_count - 1);
        s->call.residual_steps      = s->residual.steps;
        s->call.residual_multiplier = sums->residual_multiplier;
        s->call.residual_zero       = octet_native_zero(&s->residual);
    }
    step->state     = s;
    step->phases    = 1;
    step->algorithm = "depthwise";
    step->parts     = octet_native_parts(plan, (double)s->out.bytes / 10000);
    return OCTET_OK;
}
