/* SPDX-License-Identifier: Apache-2.0 */
/* Quantization of what is not calibrated: inputs that become levels when a node runs, and recurrent operators, whose
   states would be rounded again at every step by ranges of no step in particular. */
#include "quantize/calibration.h"

#include "ops/mode.h"
#include "ops/wide.h"
#include "passes/pass.h"

enum { W = 1, R = 2 }; /* inputs of recurrent operators */

bool octet_is_recurrent(const octet_node *node)
{
    return node->op->forward_dynamic && node->op->quant == OCTET_QUANT_NONE;
}

octet_status octet_make_dynamic(octet_graph *graph, octet_node *node, octet_dynamic dynamic, octet_error *err)
{
    static const char *const parts[OCTET_DYNAMIC_COUNT] = { NULL, "its input", "each row of its input",
                                                            "its input, in 7 bits" };
    node->dynamic = dynamic;
    return octet_decide(graph, node->name, "dynamic", err, "becomes levels when it runs: a range for %s",
                        parts[dynamic]);
}

/* Why a recurrent node stays as it is; NULL: it becomes dynamic, or its weights alone become levels. */
static const char *stays(const octet_node *node, const octet_qconfig *q, bool keep_float)
{
    const bool torch_static = q->weight.formula == OCTET_FORMULA_TORCH && !q->activation.off;
    if (keep_float) return "kept float by a layer rule";
    if (q->weight.off) return "weights stay real";
    if (q->weight.formula == OCTET_FORMULA_TORCH_FLOAT) return "zero points of weights are whole numbers";
    if (torch_static) return "PyTorch's static quantization leaves it float";
    return octet_dynamic_refusal(node);
}

octet_status octet_place_recurrent(octet_graph *graph, octet_node *node, bool keep_float, octet_error *err)
{
    octet_calibration *const   c = graph->calibration;
    const octet_qconfig *const q = &c->qconfig;
    const char *const          why = stays(node, q, keep_float);
    if (why) return octet_decide(graph, node->name, "float", err, "%s", why);
    if (!c->recurrent)
        OCTET_TRY(octet_arena_get(&c->recurrent, graph->arena, (size_t)graph->node_count, sizeof *c->recurrent, err));
    c->recurrent[c->recurrent_count++] = node;
    if (q->activation.off && !q->activation.dynamic)
        return octet_decide(graph, node->name, "float", err, "activations stay real");
    return octet_make_dynamic(graph, node, q->activation.dynamic ? q->activation.dynamic : OCTET_DYNAMIC_ROW, err);
}

/* ---- converting ---- */

octet_status octet_convert_dynamic(octet_graph *graph, octet_error *err)
{
    octet_calibration *const c = graph->calibration;
    for (size_t i = 0; i < c->recurrent_count; i++) {
        octet_node *const node = octet_graph_find_node(graph, c->recurrent[i]->name); /* graph may be a copy */
        if (!node) continue;
        OCTET_TRY(octet_prepare_constant(graph, &(octet_weight_slot){ node, W, 1, 2 }, err));
        OCTET_TRY(octet_prepare_constant(graph, &(octet_weight_slot){ node, R, 1, 2 }, err));
    }
    return OCTET_OK;
}

/* ---- float16 ---- */

static octet_status halve(octet_graph *graph, octet_node *node, octet_error *err)
{
    for (int slot = 0; slot < node->input_count; slot++) {
        octet_value *const value = node->inputs[slot];
        if (!(node->op->dynamic_weights >> slot & 1) || !octet_constant_floats(value) || value->half) continue;
        octet_tensor  halves = *value->constant;
        const int64_t count = octet_tensor_count(&halves);
        float        *to;
        OCTET_TRY(octet_arena_get(&to, graph->arena, (size_t)count, sizeof *to, err));
        for (int64_t i = 0; i < count; i++)
            to[i] = (float)octet_half_to_double(octet_half_from_double((double)((const float *)halves.data)[i]));
        halves.data = to;
        OCTET_TRY(octet_value_set_constant(graph, value, &halves, err));
        value->half = true;
    }
    return octet_decide(graph, node->name, "float16", err, "weights are stored in 16 bits");
}

octet_status octet_halve_weights(octet_graph *graph, octet_error *err)
{
    octet_calibration *const c = graph->calibration;
    for (size_t i = 0; i < c->weighted_count; i++) OCTET_TRY(halve(graph, c->weighted[i], err));
    for (size_t i = 0; i < c->recurrent_count; i++) OCTET_TRY(halve(graph, c->recurrent[i], err));
    c->weighted_count = c->recurrent_count = 0;
    return OCTET_OK;
}
