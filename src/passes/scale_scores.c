/* SPDX-License-Identifier: Apache-2.0 */
/* Attention: the number that scales scores, whether it stands at them or at either side of their product, goes into the
   weights and the bias of the layer that makes one side. It would be a rounding of its own on levels, and Div has none.
   The results differ by the rounding of float32 (none where the number is a power of two).
   Precondition: biases are part of their MatMul or Gemm; between layer and product, and between product and number,
   data is only reshaped and transposed, nobody else reads it, and nothing is quantized. */
#include "passes/pattern.h"

#include <math.h>

/* Where a side of a product of two activations is made, past what only moves it; NULL: somebody else reads it. */
static octet_node *maker_of(const octet_value *value)
{
    while (value->producer && !value->fake_quantize && octet_value_only_reader(value)) {
        octet_node *const node = value->producer;
        if (node->outputs[0] != value || node->activation.on || node->batch_norm) return NULL;
        if (!(node->op->flags & OCTET_OP_VIEW) && !octet_node_is(node, "Transpose")) return node;
        value = node->inputs[0];
    }
    return NULL;
}

static bool is_product(const octet_node *node)
{
    return node && octet_node_is(node, "MatMul") && node->input_count == 2 && !node->inputs[0]->constant &&
           !node->inputs[1]->constant;
}

/* A layer whose weights, and bias if it has one, are plain constants. */
static bool is_layer(const octet_node *node)
{
    if (!node || node->dynamic || !(octet_node_is(node, "MatMul") || octet_node_is(node, "Gemm"))) return false;
    for (int i = 1; i < node->input_count; i++)
        if (node->inputs[i] && (!octet_constant_floats(node->inputs[i]) || node->inputs[i]->fake_quantize))
            return false;
    return !node->inputs[0]->constant;
}

/* The layer that can take the number instead of value, which is scores or a side of their product. */
static octet_node *layer_behind(const octet_value *value)
{
    octet_node *const maker = maker_of(value);
    if (!is_product(maker)) return is_layer(maker) ? maker : NULL;
    for (int side = 0; side < 2; side++) {
        octet_node *const layer = maker_of(maker->inputs[side]);
        if (is_layer(layer)) return layer;
    }
    return NULL;
}

/* Whether value, moved or not, is a side of a product of two activations and nothing else. */
static bool feeds_product(const octet_value *value)
{
    for (;;) {
        const octet_node *const reader = value->fake_quantize ? NULL : octet_value_only_reader(value);
        if (is_product(reader)) return true;
        if (!reader || !(reader->op->flags & OCTET_OP_VIEW || octet_node_is(reader, "Transpose"))) return false;
        value = reader->outputs[0];
    }
}

/* The value that node, a Mul or Div, multiplies by a number; NULL: it does not. */
static octet_value *scaled_by(double *number, const octet_node *node)
{
    const bool mul = octet_node_is(node, "Mul"), div = octet_node_is(node, "Div");
    if ((!mul && !div) || node->activation.on || node->outputs[0]->fake_quantize || node->outputs[0]->is_output)
        return NULL;
    const int slot = mul && octet_one_number(number, node->inputs[0]) ? 0 : 1;
    if (!octet_one_number(number, node->inputs[slot]) || node->inputs[1 - slot]->constant) return NULL;
    if (div) *number = 1 / *number;
    return isnormal(*number) ? node->inputs[1 - slot] : NULL;
}

/* The product of an input of layer, a constant, with number; NULL in *scaled->data: it leaves float32. */
static octet_status scale_input(octet_tensor *scaled, octet_graph *graph, const octet_value *input, double number,
                                octet_error *err)
{
    const float *const from = octet_constant_floats(input);
    float             *to;
    *scaled = *input->constant;
    const int64_t count = octet_tensor_count(scaled);
    OCTET_TRY(octet_arena_get(&to, graph->arena, (size_t)count, sizeof *to, err));
    scaled->data = to;
    for (int64_t i = 0; i < count; i++) {
        to[i] = (float)((double)from[i] * number);
        if (!isfinite(to[i])) scaled->data = NULL;
    }
    return OCTET_OK;
}

static octet_status scale(octet_graph *graph, octet_node *layer, double number, bool *done, octet_error *err)
{
    octet_tensor scaled[3];
    *done = true;
    for (int i = 1; i < layer->input_count; i++) {
        if (!layer->inputs[i]) continue;
        OCTET_TRY(scale_input(&scaled[i], graph, layer->inputs[i], number, err));
        *done = *done && scaled[i].data;
    }
    for (int i = 1; *done && i < layer->input_count; i++)
        if (layer->inputs[i]) OCTET_TRY(octet_replace_constant(graph, layer, i, &scaled[i], err));
    return OCTET_OK;
}

octet_status octet_pass_scale_scores(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first, *next; n; n = next) {
        double             number = 1;
        bool               done;
        octet_value *const x = scaled_by(&number, n);
        next = n->next;
        if (!x || x->dtype != OCTET_F32 || !octet_value_only_reader(x)) continue;
        if (!is_product(maker_of(x)) && !feeds_product(n->outputs[0])) continue;
        octet_node *const layer = layer_behind(x);
        if (!layer || !x->has_shape || x->rank != n->outputs[0]->rank) continue;
        OCTET_TRY(scale(graph, layer, number, &done, err));
        if (!done) continue;
        OCTET_TRY(octet_node_merge_name(graph, layer, n->name, err));
        OCTET_TRY(octet_value_replace(graph, n->outputs[0], x, err));
        octet_node_remove(graph, n);
    }
    return OCTET_OK;
}
