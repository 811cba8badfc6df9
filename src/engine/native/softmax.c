/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax on levels, along channels or a dimension of space: exp of a difference is an entry of a table
   (ops/softmax.c is the definition). */
#include "engine/native/native.h"

#include "base/math.h"
#include "ops/attrs.h"

#include <math.h>

typedef struct softmax_step {
    octet_native_run          run;
    const octet_lines_kernel *lines;
    octet_area                in, out;
    int                       axis; /* 1: channels, 2: rows, 3: pixels of a row */
    size_t                    length, in_step, out_step;
    octet_softmax_rule        rule;
    int32_t                   table[256]; /* rne(exp(-d * scale) * 2^23) */
} softmax_step;

/* Lines that do not lie together are brought together first. */
static void soften(const softmax_step *s, uint8_t *y, const uint8_t *x, uint8_t *together)
{
    if (s->in_step == 1 && s->out_step == 1) {
        s->lines->soften(y, x, s->length, &s->rule);
        return;
    }
    for (size_t i = 0; i < s->length; i++) together[i] = x[i * s->in_step];
    s->lines->soften(together, together, s->length, &s->rule);
    for (size_t i = 0; i < s->length; i++) y[i * s->out_step] = together[i];
}

static void run(const octet_step *step, const octet_call *call, int phase, int part)
{
    (void)phase;
    const softmax_step *const s      = step->state;
    uint8_t *const            output = call->out[0]->data;
    const octet_area *const   a      = &s->out;
    const size_t              height = s->axis == 2 ? 1 : a->height, width = s->axis == 3 ? 1 : a->width;
    const size_t              channels = s->axis == 1 ? 1 : a->channels;
    const octet_share         share    = octet_native_share(a->images * height, part, step->parts);
    uint8_t *const together = call->scratch ? (uint8_t *)call->scratch + (size_t)part * s->length : NULL;
    if (part == 0) octet_area_fill_border(a, output);
    for (size_t r = share.first; r < share.last; r++) {
        const size_t         row = r / height * a->height + r % height;
        const uint8_t *const x   = (const uint8_t *)call->in[0]->data + octet_native_row_at(&s->in, row);
        uint8_t *const       y   = output + octet_native_row_at(a, row);
        for (size_t p = 0; p < width; p++)
            for (size_t c = 0; c < channels; c++)
                soften(s, y + p * a->steps.pixel + c, x + p * s->in.steps.pixel + c, together);
    }
}

/* The axis as channels, rows or pixels; 0: neither (images, or one of several dimensions that are channels). */
static int place_of_axis(const octet_tensor *x, int64_t axis)
{
    if (axis < 0) axis += x->rank;
    const int space = x->rank > 3 ? 2 : x->rank - 2;
    if (axis >= x->rank - space) return axis == x->rank - 1 ? 3 : 2;
    return axis == 1 && x->rank - space == 2 ? 1 : 0;
}

bool octet_native_accepts_softmax(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_node *const node = step->node;
    if (!octet_native_take(plan, step, 1, why)) return false;
    if (!octet_value_levels(plan->graph, node->outputs[0])) return octet_native_decline(why, "output is real");
    const octet_tensor *const x    = &plan->shapes[node->inputs[0]->index];
    const int64_t             axis = ((const octet_softmax_attrs *)node->attrs)->axis;
    if ((axis == -1 || axis == x->rank - 1) && octet_native_layout(plan, node->inputs[0]) == OCTET_LAYOUT_ROWS) {
        octet_native_use_rows(step);
        return true;
    }
    return place_of_axis(x, axis) || octet_native_decline(why, "not along channels or space");
}

octet_status octet_native_prepare_softmax(const octet_plan *plan, octet_step *step, octet_arena *arena,
                                          octet_error *err)
{
    const octet_node *const    node = step->node;
    const octet_qparams *const x    = octet_value_levels(plan->graph, node->inputs[0]);
    const octet_qparams *const y    = octet_value_levels(plan->graph, node->outputs[0]);
    softmax_step              *s;
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    s->run  = run;
    s->in   = *octet_native_in(plan, step, 0);
    s->out  = *octet_native_out(plan, step);
    s->lines = plan->kernels->lines;
    s->rule  = (octet_softmax_rule){ .table = s->table, .unit = (double)y->scale[0], .to = octet_native_to(y, NULL) };
    s->axis = 1;
    if (step->in_layout[0] == OCTET_LAYOUT_PIXELS)
        s->axis =
            place_of_axis(&plan->shapes[node->inputs[0]->index], ((const octet_softmax_attrs *)node->attrs)->axis);
    s->length   = s->axis == 1 ? s->in.channels : s->axis == 2 ? s->in.height : s->in.width;
    s->in_step  = s->axis == 1 ? 1 : s->axis == 2 ? s->in.steps.row : s->in.steps.pixel;
    s->out_step = s->axis == 1 ? 1 : s->axis == 2 ? s->out.steps.row : s->out.steps.pixel;
    for (int d = 0; d < 256; d++)
        s->table[d] = (int32_t)rint(octet_exp(-(double)d * (double)x->scale[0]) * 8388608.0);
    step->state     = s;
    step->phases    = 1;
    step->algorithm = "table of exp";
    step->parts     = octet_native_parts(plan, (double)s->out.bytes / 400);
    if (s->in_step > 1 || s->out_step > 1) step->scratch_bytes = (size_t)step->parts * s->length;
    return OCTET_OK;
}
