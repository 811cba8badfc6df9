/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes as convolutions for other libraries (foreign.h). */
#include "engine/foreign.h"

#include "ops/attrs.h"

#include <string.h>

static octet_area area_of(const octet_plan *plan, const octet_value *value)
{
    return octet_value_levels(plan->graph, value) ? octet_plan_area(plan, value)
                                                  : octet_native_dense_area(&plan->shapes[value->index]);
}

/* Rows of a matrix become pixels of one image row. */
static void lay_flat(octet_area *area)
{
    area->width  = area->images;
    area->images = 1;
}

void octet_foreign_describe(octet_foreign_conv *conv, const octet_plan *plan, const octet_step *step)
{
    const octet_axis_window   one  = { 1, 1, 1, 1, 1, 0, 0 };
    const octet_node *const   node = step->node, *const last = step->add ? step->add : node;
    const octet_tensor *const w    = &plan->shapes[node->inputs[1]->index];
    *conv = (octet_foreign_conv){ .in = area_of(plan, node->inputs[0]), .out = area_of(plan, last->outputs[0]),
                                  .window = { .y = one, .x = one }, .groups = 1,
                                  .real = !octet_value_levels(plan->graph, last->outputs[0]) };
    if (strcmp(node->op->name, "Conv") == 0) {
        octet_window2_of(&conv->window, plan, node);
        conv->groups = conv->in.channels / (size_t)w->dims[1];
        return;
    }
    lay_flat(&conv->in);
    lay_flat(&conv->out);
}

bool octet_foreign_take(octet_foreign_conv *conv, const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_node *const node = step->node;
    const bool              is_conv = strcmp(node->op->name, "Conv") == 0;
    if (!plan->tight) return octet_native_decline(why, "asked behind native, values lie in its way");
    if (!is_conv && strcmp(node->op->name, "Gemm") != 0 && strcmp(node->op->name, "MatMul") != 0)
        return octet_native_decline(why, "not an operator of this engine on levels");
    step->add = octet_native_add(plan, node);
    if (!(is_conv ? octet_native_accepts_conv : octet_native_accepts_gemm)(plan, step, why))
        return octet_foreign_leave(step);
    octet_foreign_describe(conv, plan, step);
    return true;
}

bool octet_foreign_leave(octet_step *step)
{
    for (int i = 0; i < step->in_count; i++) step->in_layout[i] = OCTET_LAYOUT_DENSE;
    step->out_layout = OCTET_LAYOUT_DENSE;
    step->add        = NULL;
    return false;
}
