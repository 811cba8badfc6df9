/* SPDX-License-Identifier: Apache-2.0 */
/* A Relu, or a Clip with constant bounds, that is the only reader of a node that can clamp its result is absorbed by
   it. The writer, and octet_split_activation, make the node again. */
#include "passes/pass.h"

#include <math.h>

/* Bounds of a Clip; false where they are not known. */
static bool clip_bounds(octet_activation *act, const octet_node *clip)
{
    act->lo = -INFINITY;
    act->hi = INFINITY;
    for (int i = 1; i < clip->input_count && i < 3; i++) {
        if (!clip->inputs[i]) continue;
        const float *const bound = octet_constant_floats(clip->inputs[i]);
        if (!bound || isnan(*bound)) return false;
        *(i == 1 ? &act->lo : &act->hi) = *bound;
    }
    return act->lo <= act->hi;
}

bool octet_activation_bounds(octet_activation *act, const octet_node *node)
{
    if (octet_node_is(node, "Clip")) return clip_bounds(act, node);
    act->lo = 0.0f;
    act->hi = INFINITY;
    return octet_node_is(node, "Relu");
}

octet_status octet_pass_absorb_activation(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first; n; n = n->next) {
        octet_value *const inner = n->output_count ? n->outputs[0] : NULL;
        if (!(n->op->flags & OCTET_OP_LINEAR_CLAMP) || n->activation.on || !inner || inner->fake_quantize) continue;
        octet_node *const act    = octet_value_only_reader(inner);
        octet_activation  bounds = { .on = true };
        if (inner->dtype != OCTET_F32 || !act || act->inputs[0] != inner) continue;
        if (!octet_activation_bounds(&bounds, act)) continue;
        bounds.name   = act->name;
        bounds.op     = act->op->name;
        bounds.inner  = inner->name;
        n->activation = bounds;
        octet_value *const out = act->outputs[0];
        OCTET_TRY(octet_node_merge_name(graph, n, act->name, err));
        octet_node_remove(graph, act);
        octet_node_set_output(n, 0, out);
    }
    return OCTET_OK;
}

static octet_status bound_constant(octet_graph *graph, octet_node *clip, int slot, float bound, octet_error *err)
{
    if (isinf(bound)) return OCTET_OK;
    const octet_tensor tensor = { .dtype = OCTET_F32, .rank = 0, .data = &bound };
    return octet_replace_constant(graph, clip, slot, &tensor, err);
}

octet_status octet_split_activation(octet_graph *graph, octet_node *node, octet_error *err)
{
    const octet_activation act = node->activation;
    octet_value *const     out = node->outputs[0];
    octet_value           *inner;
    octet_node            *clamp;
    OCTET_TRY(octet_value_new_near(&inner, graph, act.inner, err));
    inner->dtype     = out->dtype;
    inner->has_shape = out->has_shape;
    inner->rank      = out->rank;
    for (int i = 0; i < out->rank; i++) inner->dims[i] = out->dims[i];
    const octet_op *const op = octet_op_find(act.op, NULL);
    const octet_new_node  as = { .op = op, .name = act.name, .inputs = op->max_inputs, .outputs = 1,
                                 .before = node->next };
    OCTET_TRY(octet_node_new(&clamp, graph, &as, err));
    octet_node_set_output(node, 0, inner);
    octet_node_set_output(clamp, 0, out);
    OCTET_TRY(octet_node_set_input(graph, clamp, 0, inner, err));
    if (op->max_inputs > 1) {
        OCTET_TRY(bound_constant(graph, clamp, 1, act.lo, err));
        OCTET_TRY(bound_constant(graph, clamp, 2, act.hi, err));
    }
    node->activation = (octet_activation){ 0 };
    octet_graph_sweep(graph);
    return OCTET_OK;
}
