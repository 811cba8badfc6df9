/* SPDX-License-Identifier: Apache-2.0 */
/* The few float operators behind an int8 network's last layer. They are computed here, by their definitions or better,
   so that a run needs no other engine and one team of threads. */
#include "engine/native/native.h"

#include "ops/attrs.h"

#include <string.h>

static bool is_float(const octet_plan *plan, const octet_value *value)
{
    return plan->shapes[value->index].dtype == OCTET_F32 && octet_tensor_count(&plan->shapes[value->index]) > 0;
}

bool octet_native_accepts_real(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_node *const node = step->node;
    if (octet_graph_stage(plan->graph) != OCTET_STAGE_QUANTIZED) return octet_native_decline(why, "real numbers");
    if (!node->inputs[0] || !is_float(plan, node->inputs[0]) || !is_float(plan, node->outputs[0]) ||
        octet_plan_known(plan, node->inputs[0]))
        return octet_native_decline(why, "not a float32 result");
    return true;
}

/* ---- by definition ---- */

typedef struct definition_step {
    octet_native_run run;
} definition_step;

static void run_definition(const octet_step *step, const octet_call *call, int phase, int part)
{
    (void)phase, (void)part;
    octet_call alone = *call;
    alone.threads    = 1;
    step->node->op->forward(&alone, NULL); /* inferred before: it cannot fail */
}

octet_status octet_native_prepare_definition(const octet_plan *plan, octet_step *step, octet_arena *arena,
                                             octet_error *err)
{
    definition_step *s;
    (void)plan;
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    s->run          = run_definition;
    step->state     = s;
    step->phases    = 1;
    step->algorithm = "definition in float";
    return OCTET_OK;
}

/* ---- DepthToSpace ---- */

typedef struct depth_step {
    octet_native_run run;
    size_t           images, channels, height, width, block; /* channels of the output, space of the input */
    bool             depth_first;                            /* mode DCR */
} depth_step;

/* One output row: every block-th number comes from one row of one input channel. */
static void spread_row(const depth_step *s, float *to, const float *image, size_t channel, size_t y)
{
    const size_t i = y % s->block, squared = s->block * s->block, plane = s->height * s->width;
    for (size_t j = 0; j < s->block; j++) {
        const size_t offset = i * s->block + j;
        const size_t from   = s->depth_first ? offset * s->channels + channel : channel * squared + offset;
        const float *row    = image + from * plane + y / s->block * s->width;
        for (size_t x = 0; x < s->width; x++) to[x * s->block + j] = row[x];
    }
}

static void run_depth(const octet_step *step, const octet_call *call, int phase, int part)
{
    (void)phase;
    const depth_step *const s     = step->state;
    const size_t            rows  = s->height * s->block, width = s->width * s->block;
    const octet_share       share = octet_native_share(s->images * s->channels * rows, part, step->parts);
    for (size_t r = share.first; r < share.last; r++) {
        const size_t       y = r % rows, c = r / rows % s->channels, n = r / rows / s->channels;
        const float *const image = (const float *)call->in[0]->data +
                                   n * s->channels * s->block * s->block * s->height * s->width;
        spread_row(s, (float *)call->out[0]->data + r * width, image, c, y);
    }
}

octet_status octet_native_prepare_depth(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    const octet_tensor *const x = &plan->shapes[step->node->inputs[0]->index];
    const octet_tensor *const y = &plan->shapes[step->node->outputs[0]->index];
    depth_step               *s;
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    *s = (depth_step){ .run = run_depth, .images = (size_t)x->dims[0], .channels = (size_t)y->dims[1],
                       .height = (size_t)x->dims[2], .width = (size_t)x->dims[3],
                       .block = (size_t)(y->dims[2] / x->dims[2]),
                       .depth_first = strcmp(((const octet_depth_attrs *)step->node->attrs)->mode, "DCR") == 0 };
    step->state     = s;
    step->phases    = 1;
    step->algorithm = "rows";
    step->parts     = octet_native_parts(plan, (double)octet_tensor_count(y) / 1000);
    return OCTET_OK;
}
