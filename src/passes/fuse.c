/* SPDX-License-Identifier: Apache-2.0 */
/* The order of the passes, and what all of them share. */
#include <octet/quantize.h>

#include "passes/pass.h"

#include "ops/mode.h"
#include "ops/shape.h"
#include "passes/integerize.h"

#include <string.h>

/* In this order. */
static octet_status (*const passes[])(octet_graph *graph, octet_error *err) = {
    octet_pass_fold_constants,    octet_pass_remove_identity,   octet_pass_einsum,
    octet_pass_layer_norm,        octet_pass_gates,
    octet_pass_remove_dead, /* what patterns left would count as readers */
    octet_pass_merge_moves,       octet_pass_scale_conv,        octet_pass_matmul_to_gemm,
    octet_pass_scale_scores,      octet_pass_attach_batch_norm, octet_pass_batch_norm_before,
    octet_pass_merge_pad,         octet_pass_absorb_activation, octet_pass_remove_dead,
};

octet_status octet_graph_verify(octet_graph *graph, octet_error *err)
{
    OCTET_TRY(octet_graph_sort(graph, err));
    OCTET_TRY(octet_graph_check(graph, err));
    return octet_graph_infer(graph, err);
}

octet_status octet_graph_bind(octet_graph *graph, const octet_port *shape, octet_error *err)
{
    octet_value *input = NULL;
    char         got[96], need[96];
    for (size_t i = 0; i < graph->input_count; i++)
        if (!strcmp(graph->inputs[i]->name, shape->name)) input = graph->inputs[i];
    if (graph->stage != OCTET_STAGE_FLOAT)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "dimensions are bound before anything else");
    if (!input)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "the network has no input '%.80s' (its first is '%.80s')",
                          shape->name, graph->input_count ? graph->inputs[0]->name : "");
    bool fits = shape->rank == input->rank;
    for (int i = 0; fits && i < input->rank; i++)
        fits = input->dims[i] == OCTET_DIM_FREE || shape->dims[i] == OCTET_DIM_FREE || shape->dims[i] == input->dims[i];
    if (!fits)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "input '%.80s' cannot be %s (it is %s)", input->name,
                          octet_shape_text(got, sizeof got, shape->dims, shape->rank),
                          octet_shape_text(need, sizeof need, input->dims, input->rank));
    for (int i = 0; i < input->rank; i++)
        if (shape->dims[i] != OCTET_DIM_FREE) input->dims[i] = shape->dims[i];
    return octet_graph_infer(graph, err);
}

static bool is_quantized(const octet_graph *graph)
{
    for (const octet_value *v = graph->values; v; v = v->next)
        if ((v->fake_quantize && v->fake_quantize->qparams.count) || (v->constant && v->constant->qparams)) return true;
    return false;
}

/* What a file quantized, but octet computes in real numbers. */
static octet_status record_real_sums(octet_graph *graph, octet_error *err)
{
    for (const octet_node *n = graph->first; n; n = n->next) {
        const char *const why = n->op->quant == OCTET_QUANT_MAC ? octet_node_refusal(n) : NULL;
        if (!why || !octet_future_levels(n->inputs[0]) || !octet_future_levels(n->inputs[1])) continue;
        OCTET_TRY(octet_decide(graph, n->name, "float", err, "%s", why));
    }
    return OCTET_OK;
}

octet_status octet_fuse(octet_graph *graph, octet_error *err)
{
    if (graph->stage >= OCTET_STAGE_FUSED) return OCTET_OK;
    OCTET_TRY(octet_graph_verify(graph, err));
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        OCTET_TRY(passes[i](graph, err));
        octet_graph_sweep(graph);
#ifndef NDEBUG
        OCTET_TRY(octet_graph_check(graph, err));
#endif
    }
    OCTET_TRY(octet_graph_infer(graph, err));
    graph->stage = OCTET_STAGE_FUSED;
    if (!is_quantized(graph)) return OCTET_OK;
    OCTET_TRY(octet_pass_fold_batch_norm(graph, err)); /* a file that is quantized already */
    OCTET_TRY(octet_integerize(graph, err));
    OCTET_TRY(record_real_sums(graph, err));
    graph->stage = OCTET_STAGE_QUANTIZED;
    return octet_graph_check(graph, err);
}

octet_status octet_replace_constant(octet_graph *graph, octet_node *node, int slot, const octet_tensor *tensor,
                                    octet_error *err)
{
    octet_value *const old = node->inputs[slot];
    octet_value       *value;
    if (old && old->constant && old->use_count == 1 && !old->is_input && !old->is_output) { /* its name stays */
        old->fake_quantize = NULL;
        return octet_value_set_constant(graph, old, tensor, err);
    }
    OCTET_TRY(octet_value_new_near(&value, graph, old ? old->name : node->name, err));
    OCTET_TRY(octet_value_set_constant(graph, value, tensor, err));
    return octet_node_set_input(graph, node, slot, value, err);
}

const float *octet_constant_floats(const octet_value *value)
{
    if (!value || !value->constant || value->constant->dtype != OCTET_F32 || value->constant->qparams) return NULL;
    return value->constant->data;
}
