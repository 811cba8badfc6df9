/* SPDX-License-Identifier: Apache-2.0 */
/* Layers as matrices of channels: what their weights reach over, and scaling them. */
#include "quantize/equalize.h"

#include "ops/attrs.h"
#include "passes/pass.h"

#include <math.h>

/* A bias that can be scaled by channel. */
static bool has_plain_bias(const octet_node *node, int64_t outputs)
{
    if (node->input_count < 3 || !node->inputs[2]) return true;
    if (!octet_constant_floats(node->inputs[2])) return false;
    const octet_tensor *const bias  = node->inputs[2]->constant;
    const int64_t             count = octet_tensor_count(bias);
    return count == 1 || (count == outputs && bias->dims[bias->rank - 1] == outputs);
}

static bool conv_of(octet_layer *layer, const octet_node *node, const octet_tensor *w)
{
    layer->outputs = w->dims[0];
    layer->group   = ((const octet_window_attrs *)node->attrs)->group;
    layer->inputs  = w->dims[1] * layer->group;
    layer->taps    = layer->group > 0 && layer->inputs > 0 && layer->outputs > 0
                         ? octet_tensor_count(w) / layer->outputs / w->dims[1]
                         : 0;
    return layer->taps > 0 && layer->outputs % layer->group == 0;
}

static bool gemm_of(octet_layer *layer, const octet_node *node, const octet_tensor *w)
{
    const octet_gemm_attrs *const a = node->attrs;
    layer->inputs_first             = !a->trans_b;
    layer->outputs                  = w->dims[a->trans_b ? 0 : 1];
    layer->inputs                   = w->dims[a->trans_b ? 1 : 0];
    layer->group = layer->taps = 1;
    return !a->trans_a && layer->outputs > 0 && layer->inputs > 0;
}

bool octet_layer_of(octet_layer *layer, octet_node *node)
{
    *layer = (octet_layer){ .node = node };
    if (node->input_count < 2 || !octet_constant_floats(node->inputs[1])) return false;
    const octet_tensor *const w    = node->inputs[1]->constant;
    const bool                made = octet_node_is(node, "Conv")   ? conv_of(layer, node, w)
                                     : octet_node_is(node, "Gemm") ? gemm_of(layer, node, w)
                                                                   : false;
    return made && has_plain_bias(node, layer->outputs);
}

octet_status octet_layer_load(octet_layer *layer, octet_arena *arena, octet_error *err)
{
    const octet_node *const   node = layer->node;
    const octet_tensor *const w    = node->inputs[1]->constant;
    layer->weights                 = octet_arena_copy_bytes(arena, w->data, (size_t)octet_tensor_bytes(w));
    if (!layer->weights) return octet_fail_memory(err);
    if (node->input_count < 3 || !node->inputs[2]) return OCTET_OK;
    const float *const bias = octet_constant_floats(node->inputs[2]);
    const bool         one  = octet_tensor_count(node->inputs[2]->constant) == 1;
    OCTET_TRY(octet_arena_get(&layer->bias, arena, (size_t)layer->outputs, sizeof(float), err));
    for (int64_t o = 0; o < layer->outputs; o++) layer->bias[o] = bias[one ? 0 : o];
    return OCTET_OK;
}

octet_status octet_layer_store(octet_graph *graph, const octet_layer *layer, const octet_layer *twin, octet_error *err)
{
    octet_tensor       weight = *layer->node->inputs[1]->constant;
    const octet_tensor bias   = { .dtype = OCTET_F32, .rank = 1, .dims = { layer->outputs }, .data = layer->bias };
    weight.data               = layer->weights;
    if (twin) OCTET_TRY(octet_node_set_input(graph, layer->node, 1, twin->node->inputs[1], err));
    else OCTET_TRY(octet_replace_constant(graph, layer->node, 1, &weight, err));
    return layer->bias ? octet_replace_constant(graph, layer->node, 2, &bias, err) : OCTET_OK;
}

static void ranges_of(octet_range *ranges, const octet_layer *layer, bool of_inputs)
{
    const int64_t count = of_inputs ? layer->inputs : layer->outputs;
    for (int64_t c = 0; c < count; c++) ranges[c] = (octet_range){ 0 };
    for (int64_t o = 0; o < layer->outputs; o++)
        for (int64_t i = 0; i < layer->inputs / layer->group; i++)
            octet_range_observe(&ranges[of_inputs ? octet_layer_input(layer, o, i) : o],
                                layer->weights + octet_layer_at(layer, o, i), (size_t)layer->taps);
}

void octet_layer_outputs(octet_range *ranges, const octet_layer *layer) { ranges_of(ranges, layer, false); }
void octet_layer_inputs(octet_range *ranges, const octet_layer *layer) { ranges_of(ranges, layer, true); }

void octet_layer_scale(octet_layer *layer, const float *output, const float *input)
{
    for (int64_t o = 0; o < layer->outputs; o++) {
        for (int64_t i = 0; i < layer->inputs / layer->group; i++) {
            const float  factor = (output ? output[o] : 1) * (input ? input[octet_layer_input(layer, o, i)] : 1);
            float *const taps   = layer->weights + octet_layer_at(layer, o, i);
            for (int64_t t = 0; t < layer->taps; t++) taps[t] *= factor;
        }
        if (output && layer->bias) layer->bias[o] *= output[o];
    }
}

double octet_distance(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(sum);
}
