/* SPDX-License-Identifier: Apache-2.0 */
/* A Mul or Add of a constant per channel (or one number) behind a Conv moves into its weights and bias. Precondition:
   the Conv's only reader, nothing absorbed by it yet, constant float weights and bias, and a constant that stretches
   nothing but itself. Weights that other nodes read, too, stay as they are for these. */
#include "passes/pattern.h"

/* One number, or one per channel. */
typedef struct channel_numbers {
    const float *at;   /* NULL: the constant is neither */
    int          each; /* 0 or 1: the step between channels */
} channel_numbers;

static channel_numbers per_channel(const octet_value *value, const octet_value *out)
{
    const float *const        at = octet_constant_floats(value);
    const octet_tensor *const t = at ? value->constant : NULL;
    if (!t || value->fake_quantize || !out->has_shape || out->rank < 3 || t->rank > out->rank)
        return (channel_numbers){ 0 };
    const int64_t count = octet_tensor_count(t), channels = out->dims[1];
    const int     axis = t->rank - (out->rank - 1);
    const bool fits = count == 1 || (count == channels && axis >= 0 && t->dims[axis] == channels);
    return (channel_numbers){ fits ? at : NULL, count > 1 };
}

static bool takes_scale(const octet_node *n)
{
    if (!octet_node_is(n, "Conv") || n->batch_norm || n->activation.on || n->outputs[0]->fake_quantize) return false;
    if (!octet_constant_floats(n->inputs[1]) || n->inputs[1]->fake_quantize) return false;
    return n->input_count < 3 || !n->inputs[2] || octet_constant_floats(n->inputs[2]);
}

/* Multiplies (scales) the constant in slot by numbers, or adds them. */
static octet_status change(octet_graph *graph, octet_node *conv, int slot, bool scales, channel_numbers numbers,
                           octet_error *err)
{
    octet_tensor       tensor = *conv->inputs[slot]->constant;
    const float *const old = tensor.data;
    const int64_t      count = octet_tensor_count(&tensor), inner = count / conv->inputs[1]->constant->dims[0];
    float             *fresh;
    OCTET_TRY(octet_arena_get(&fresh, graph->arena, (size_t)count, sizeof *fresh, err));
    for (int64_t i = 0; i < count; i++) {
        const float number = numbers.at[i / inner * numbers.each];
        fresh[i] = scales ? old[i] * number : old[i] + number;
    }
    tensor.data = fresh;
    return octet_replace_constant(graph, conv, slot, &tensor, err);
}

static octet_status fold(octet_graph *graph, octet_node *conv, octet_node *next, channel_numbers numbers,
                         octet_error *err)
{
    const bool         scales = octet_node_is(next, "Mul");
    octet_value *const out = next->outputs[0];
    const bool         has_bias = conv->input_count > 2 && conv->inputs[2];
    OCTET_TRY(octet_node_merge_name(graph, conv, next->name, err));
    if (scales) OCTET_TRY(change(graph, conv, 1, true, numbers, err));
    if (!scales || has_bias) {
        OCTET_TRY(octet_ensure_bias(graph, conv, conv->inputs[1]->constant->dims[0], err));
        OCTET_TRY(change(graph, conv, 2, scales, numbers, err));
    }
    octet_node_remove(graph, next);
    octet_node_set_output(conv, 0, out);
    return OCTET_OK;
}

octet_status octet_pass_scale_conv(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first; n; n = n->next)
        while (takes_scale(n)) {
            octet_value *const out = n->outputs[0];
            octet_node        *next = octet_read_once(out, "Mul");
            if (!next) next = octet_read_once(out, "Add");
            const channel_numbers numbers =
                next ? per_channel(octet_beside(next, out), out) : (channel_numbers){ 0 };
            if (!numbers.at) break;
            OCTET_TRY(fold(graph, n, next, numbers, err));
        }
    return OCTET_OK;
}
