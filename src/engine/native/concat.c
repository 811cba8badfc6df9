/* SPDX-License-Identifier: Apache-2.0 */
/* Concat of channels. Inputs that were written into the result (pixels.c) are there already; others are copied, or
   rescaled where their parameters differ. A result of real numbers is dense: inputs are dequantized into its planes. */
#include "engine/native/native.h"

#include "ops/attrs.h"
#include "ops/levels.h"
#include "ops/rescale.h"

#include <string.h>

typedef struct part_of {
    octet_area           area;
    size_t               first; /* channel of the result */
    bool                 there, copies;
    octet_rescale_levels rule;
    octet_real_levels    real;
} part_of;

typedef struct concat_step {
    octet_native_run            run;
    const octet_element_kernel *kernel;
    const octet_planes_kernel  *planes;
    octet_area                  out;
    part_of                    *inputs;
} concat_step;

static void add_input(const concat_step *s, const part_of *p, const uint8_t *from, uint8_t *to, octet_share share)
{
    for (size_t r = share.first; r < share.last; r++) {
        uint8_t       *y = to + octet_native_row_at(&s->out, r) + p->first;
        const uint8_t *x = from + octet_native_row_at(&p->area, r);
        for (size_t i = 0; i < s->out.width; i++, y += s->out.steps.pixel, x += p->area.steps.pixel)
            if (p->copies) memcpy(y, x, p->area.channels);
            else s->kernel->rescale(y, x, p->area.channels, &p->rule);
    }
}

static void run(const octet_step *step, const octet_call *call, int phase, int part)
{
    (void)phase;
    const concat_step *const s     = step->state;
    const octet_share        share = octet_native_share(s->out.images * s->out.height, part, step->parts);
    if (part == 0) octet_area_fill_border(&s->out, call->out[0]->data);
    for (int i = 0; i < step->in_count; i++)
        if (!s->inputs[i].there) add_input(s, &s->inputs[i], call->in[i]->data, call->out[0]->data, share);
}

/* Rows of the images, as in run. */
static void run_real(const octet_step *step, const octet_call *call, int phase, int part)
{
    (void)phase;
    const concat_step *const s     = step->state;
    const size_t             plane = s->out.height * s->out.width;
    const octet_share        share = octet_native_share(s->out.images * s->out.height, part, step->parts);
    for (int i = 0; i < step->in_count; i++) {
        const part_of *const p    = &s->inputs[i];
        const octet_planes   size = { .pixels = s->out.width, .channels = p->area.channels, .plane = plane,
                                      .pixel = p->area.steps.pixel };
        for (size_t r = share.first; r < share.last; r++) {
            const size_t n = r / s->out.height, y = r % s->out.height;
            float *const to = (float *)call->out[0]->data + (n * s->out.channels + p->first) * plane + y * s->out.width;
            s->planes->dequantize(to, (const uint8_t *)call->in[i]->data + octet_native_row_at(&p->area, r), &size,
                                  &p->real);
        }
    }
}

bool octet_native_accepts_concat(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_node *const node = step->node;
    const int64_t           axis = ((const octet_axis_attrs *)node->attrs)->axis;
    const int               rank = plan->shapes[node->outputs[0]->index].rank;
    if (!octet_native_take(plan, step, node->input_count, why)) return false;
    return (rank <= 4 && (axis == 1 || axis + rank == 1)) || octet_native_decline(why, "does not join channels");
}

static void describe_input(part_of *p, const octet_area *area, const octet_qparams *x, const octet_qparams *y)
{
    p->area = *area;
    p->real = (octet_real_levels){ .scale = x->scale[0], .to = octet_native_to(x, NULL) };
    if (!y) return;
    p->copies = octet_qparams_equal(x, y);
    p->rule   = (octet_rescale_levels){ .zero = octet_native_zero(area), .to = octet_native_to(y, NULL),
                                        .multiplier = (float)((double)x->scale[0] / y->scale[0]) };
}

octet_status octet_native_prepare_concat(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    const octet_node *const    node = step->node;
    const octet_qparams *const y    = octet_value_levels(plan->graph, node->outputs[0]);
    concat_step               *s;
    size_t                     first = 0, copied = 0;
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    OCTET_TRY(octet_arena_get(&s->inputs, arena, (size_t)step->in_count, sizeof *s->inputs, err));
    s->run    = y ? run : run_real;
    s->kernel = plan->kernels->element;
    s->planes = plan->kernels->planes;
    s->out    = y ? *octet_native_out(plan, step) : octet_native_dense_area(&plan->shapes[node->outputs[0]->index]);
    for (int i = 0; i < step->in_count; i++) {
        part_of *const p = &s->inputs[i];
        describe_input(p, octet_native_in(plan, step, i), octet_value_levels(plan->graph, node->inputs[i]), y);
        p->first = first;
        p->there = y && plan->forms[step->in[i]].buffer == plan->forms[step->out[0]].buffer &&
                   p->area.offset == s->out.offset + first; /* another name of a part may be wanted elsewhere, too */
        first += p->area.channels;
        if (!p->there) copied += p->area.channels;
    }
    step->state     = s;
    step->phases    = copied ? 1 : 0;
    step->view      = !copied;
    step->algorithm = copied ? "copies channels" : "in place";
    step->parts     = octet_native_parts(plan, (double)s->out.bytes / 10000);
    return OCTET_OK;
}
