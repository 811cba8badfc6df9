/* SPDX-License-Identifier: Apache-2.0 */
/* The way back from integer constants, for networks that are to be trained further. */
#include "passes/integerize.h"

#include "ops/levels.h"
#include "ops/mode.h"

static octet_status real_bias(octet_graph *graph, const octet_node *node, octet_error *err)
{
    octet_value *const bias = node->input_count > 2 ? node->inputs[2] : NULL;
    if (!bias || !bias->constant || bias->constant->dtype != OCTET_I32) return OCTET_OK;
    octet_tensor         real  = *bias->constant;
    float               *x;
    OCTET_TRY(octet_arena_get(&x, graph->arena, (size_t)octet_tensor_count(&real), sizeof *x, err));
    octet_bias_real(x, node);
    real.dtype   = OCTET_F32;
    real.qparams = NULL;
    real.data    = x;
    return octet_value_set_constant(graph, bias, &real, err);
}

static octet_status real_constant(octet_graph *graph, octet_value *value, octet_error *err)
{
    const octet_tensor *const  levels = value->constant;
    const octet_qparams *const q      = levels->qparams;
    octet_tensor               real   = *levels;
    const size_t               count  = (size_t)octet_tensor_count(levels);
    real.dtype   = OCTET_F32;
    real.qparams = NULL;
    OCTET_TRY(octet_arena_get(&real.data, graph->arena, count, sizeof(float), err));
    octet_levels_real_any(real.data, levels, 0, count);
    if (levels->dtype != OCTET_I32) {
        OCTET_TRY(octet_arena_get(&value->fake_quantize, graph->arena, 1, sizeof *value->fake_quantize, err));
        *value->fake_quantize = (octet_fake_quantize){ .qparams = *q, .method = "given" };
    }
    return octet_value_set_constant(graph, value, &real, err);
}

octet_status octet_real_constants(octet_graph *graph, octet_error *err)
{
    for (const octet_node *n = graph->first; n; n = n->next)
        if (octet_sums_integers(n)) OCTET_TRY(real_bias(graph, n, err));
    for (octet_value *v = graph->values; v; v = v->next)
        if (v->constant && v->constant->qparams) OCTET_TRY(real_constant(graph, v, err));
    return OCTET_OK;
}
