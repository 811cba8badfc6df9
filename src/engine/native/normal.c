/* SPDX-License-Identifier: Apache-2.0 */
/* LayerNormalization and RMSNormalization of the last dimension, line by line (ops/norm.c is the definition). */
#include "engine/native/native.h"

#include "ops/attrs.h"

#include <string.h>

typedef struct normal_step {
    octet_native_run          run;
    const octet_lines_kernel *lines;
    octet_area                in, out;
    octet_normal_rule         rule;
} normal_step;

static void run(const octet_step *step, const octet_call *call, int phase, int part)
{
    (void)phase;
    const normal_step *const s     = step->state;
    const octet_share        share = octet_native_share(s->out.images, part, step->parts);
    for (size_t r = share.first; r < share.last; r++)
        s->lines->normalize((uint8_t *)call->out[0]->data + octet_native_row_at(&s->out, r),
                            (const uint8_t *)call->in[0]->data + octet_native_row_at(&s->in, r), s->out.channels,
                            &s->rule);
}

/* Scale or shift as numbers that the plan knows. */
static const octet_tensor *parameter_of(const octet_plan *plan, const octet_node *node, int slot)
{
    const octet_value *const value = slot < node->input_count ? node->inputs[slot] : NULL;
    if (!value) return NULL;
    return value->constant ? value->constant : &plan->shapes[value->index];
}

static bool is_plain(const octet_tensor *parameter)
{
    return !parameter || (parameter->data && parameter->dtype == OCTET_F32 && !parameter->qparams);
}

bool octet_native_accepts_normal(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_node *const node = step->node;
    const int64_t           axis = ((const octet_norm_attrs *)node->attrs)->axis;
    if (!octet_native_take(plan, step, 1, why)) return false;
    const int rank = plan->shapes[node->inputs[0]->index].rank;
    if (!octet_value_levels(plan->graph, node->outputs[0])) return octet_native_decline(why, "output is real");
    if (axis != -1 && axis != rank - 1) return octet_native_decline(why, "of more than the last dimension");
    if (!is_plain(parameter_of(plan, node, 1)) || !is_plain(parameter_of(plan, node, 2)))
        return octet_native_decline(why, "scale or shift is no constant of float32");
    if (rank > 2) octet_native_use_rows(step);
    return true;
}

/* One number for each element of a line. */
static octet_status spread(const double **to, const octet_tensor *parameter, double missing, size_t n,
                           octet_arena *arena, octet_error *err)
{
    const size_t count = parameter ? (size_t)octet_tensor_count(parameter) : 1;
    double      *all;
    OCTET_TRY(octet_arena_get(&all, arena, n, sizeof *all, err));
    for (size_t i = 0; i < n; i++)
        all[i] = parameter ? (double)((const float *)parameter->data)[i % count] : missing;
    *to = all;
    return OCTET_OK;
}

octet_status octet_native_prepare_normal(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    enum { ELEMENTS = 1000 }; /* of a microsecond, roughly */
    const octet_node *const    node = step->node;
    const octet_qparams *const x    = octet_value_levels(plan->graph, node->inputs[0]);
    const octet_qparams *const y    = octet_value_levels(plan->graph, node->outputs[0]);
    normal_step               *s;
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    s->run   = run;
    s->lines = plan->kernels->lines;
    s->in    = *octet_native_in(plan, step, 0);
    s->out   = *octet_native_out(plan, step);
    s->rule  = (octet_normal_rule){ .zero = octet_native_zero(&s->in), .scale = (double)x->scale[0],
                                    .epsilon = (double)((const octet_norm_attrs *)node->attrs)->epsilon,
                                    .centred = strcmp(node->op->name, "RMSNormalization") != 0, .unit = y->scale[0],
                                    .to = octet_native_to(y, &node->activation) };
    OCTET_TRY(spread(&s->rule.gain, parameter_of(plan, node, 1), 1, s->out.channels, arena, err));
    OCTET_TRY(spread(&s->rule.shift, parameter_of(plan, node, 2), 0, s->out.channels, arena, err));
    step->state     = s;
    step->phases    = 1;
    step->algorithm = "by line";
    step->parts     = octet_native_parts(plan, (double)s->out.bytes / ELEMENTS);
    return OCTET_OK;
}
