/* SPDX-License-Identifier: Apache-2.0 */
/* BatchNormalization that is the only reader of a Conv, a ConvTranspose, or a Gemm without transposed or scaled
   operands, is attached to it as data (training keeps it live) and folded later, with the arithmetic of numerics.md
   section 5:
   r = 1/sqrt(var+eps); k = gamma*r; w' = w*k; b' = ((b-mean)*r)*gamma + beta, float32 after each operation. */
#include "passes/pass.h"

#include "base/channels.h"
#include "ops/attrs.h"
#include "ops/mode.h"

#include <math.h>
#include <string.h>

/* ---- attaching ---- */

static bool takes_batch_norm(const octet_node *node)
{
    if (node->batch_norm || node->activation.on || node->outputs[0]->fake_quantize) return false;
    const bool bias_fixed = node->input_count < 3 || !node->inputs[2] || octet_constant_floats(node->inputs[2]);
    if (!bias_fixed || !octet_constant_floats(node->inputs[1])) return false;
    if (octet_node_is(node, "Conv") || octet_node_is(node, "ConvTranspose")) return true;
    if (!octet_node_is(node, "Gemm")) return false;
    const octet_gemm_attrs *const a = node->attrs;
    return a->alpha == 1.0f && a->beta == 1.0f && !a->trans_a;
}

static octet_status attach(octet_graph *graph, octet_node *node, octet_node *norm, octet_error *err)
{
    const octet_batch_norm_attrs *const a  = norm->attrs;
    octet_batch_norm *const             bn = octet_arena_alloc(graph->arena, 1, sizeof *bn);
    if (!bn) return octet_fail_memory(err);
    *bn = (octet_batch_norm){ .channels = octet_output_channels(node), .epsilon = a->epsilon, .momentum = a->momentum,
                              .name = norm->name };
    const float **const parts[] = { &bn->gamma, &bn->beta, &bn->mean, &bn->variance };
    for (int i = 0; i < 4; i++) *parts[i] = octet_constant_floats(norm->inputs[1 + i]);
    octet_value *const out = norm->outputs[0];
    OCTET_TRY(octet_node_merge_name(graph, node, norm->name, err));
    octet_node_remove(graph, norm);
    octet_node_set_output(node, 0, out);
    node->batch_norm = bn;
    return OCTET_OK;
}

static bool fits(const octet_node *node, const octet_node *norm)
{
    for (int i = 1; i < 5; i++) {
        if (!octet_constant_floats(norm->inputs[i])) return false;
        if (octet_tensor_count(norm->inputs[i]->constant) != octet_output_channels(node)) return false;
    }
    return true;
}

/* A network that was exported while it was trained: its results depend on the rest of the batch. */
static octet_status check_mode(const octet_node *node, octet_error *err)
{
    if (!octet_node_is(node, "BatchNormalization")) return OCTET_OK;
    if (!((const octet_batch_norm_attrs *)node->attrs)->training_mode) return OCTET_OK;
    octet_fail(err, OCTET_ERR_UNSUPPORTED, "the network was exported in training mode; export it for inference");
    octet_error_field(err, "training_mode");
    octet_error_node(err, node->name);
    return OCTET_ERR_UNSUPPORTED;
}

octet_status octet_pass_attach_batch_norm(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first; n; n = n->next) {
        OCTET_TRY(check_mode(n, err));
        if (!n->outputs[0] || n->op->quant != OCTET_QUANT_MAC || !takes_batch_norm(n)) continue;
        octet_node *const norm = octet_value_only_reader(n->outputs[0]);
        if (!norm || !octet_node_is(norm, "BatchNormalization") || norm->inputs[0] != n->outputs[0]) continue;
        OCTET_TRY(check_mode(norm, err));
        if (fits(n, norm)) OCTET_TRY(attach(graph, n, norm, err));
    }
    return OCTET_OK;
}

/* ---- folding ---- */

void octet_fold_weight(float *w, const octet_node *node)
{
    const octet_batch_norm *const bn       = node->batch_norm;
    const octet_tensor *const     t        = node->inputs[1]->constant;
    const octet_channel_shape     shape    = octet_channels_along(t, octet_weight_axis(node));
    const size_t                  rows     = shape.outer / (size_t)octet_weight_groups(node);
    const float *const            original = t->data;
    for (size_t i = 0; i < octet_channels_count(&shape); i++) {
        const size_t row = i / shape.inner / shape.channels;
        const size_t c   = row / rows * shape.channels + i / shape.inner % shape.channels;
        const float  r   = 1.0f / sqrtf(bn->variance[c] + bn->epsilon);
        w[i]             = original[i] * (bn->gamma[c] * r);
    }
}

/* Conv: ((b-mean)*r)*gamma + beta. Linear: (b-mean)*(gamma*r) + beta, as torch/nn/utils/fusion.py has it. */
static void fold_bias(float *bias, const octet_node *node, const octet_batch_norm *bn)
{
    const octet_value *const value  = node->input_count > 2 ? node->inputs[2] : NULL;
    const float *const       old    = octet_constant_floats(value);
    const bool               scalar = value && octet_tensor_count(value->constant) == 1;
    const bool               linear = octet_node_is(node, "Gemm");
    for (int64_t c = 0; c < bn->channels; c++) {
        const float r     = 1.0f / sqrtf(bn->variance[c] + bn->epsilon);
        const float shift = (old ? old[scalar ? 0 : c] : 0.0f) - bn->mean[c];
        const float moved = linear ? shift * (bn->gamma[c] * r) : (shift * r) * bn->gamma[c];
        bias[c]           = moved + bn->beta[c];
    }
}

octet_status octet_add_bias_slot(octet_graph *graph, octet_node *node, octet_error *err)
{
    if (node->input_count > 2) return OCTET_OK;
    octet_value **const inputs = octet_arena_alloc(graph->arena, 3, sizeof *inputs);
    if (!inputs) return octet_fail_memory(err);
    memcpy(inputs, node->inputs, (size_t)node->input_count * sizeof *inputs);
    node->inputs      = inputs;
    node->input_count = 3;
    return OCTET_OK;
}

octet_status octet_ensure_bias(octet_graph *graph, octet_node *node, int64_t channels, octet_error *err)
{
    OCTET_TRY(octet_add_bias_slot(graph, node, err));
    if (node->inputs[2] && octet_tensor_count(node->inputs[2]->constant) == channels) return OCTET_OK;
    float *const zeros = octet_arena_alloc(graph->arena, (size_t)channels, sizeof *zeros);
    if (!zeros) return octet_fail_memory(err);
    const float *const scalar = octet_constant_floats(node->inputs[2]);
    for (int64_t i = 0; scalar && i < channels; i++) zeros[i] = scalar[0];
    const octet_tensor bias = { .dtype = OCTET_F32, .rank = 1, .dims = { channels }, .data = zeros };
    if (node->inputs[2]) return octet_replace_constant(graph, node, 2, &bias, err);
    octet_value      *value;
    const char *const name = octet_arena_format(graph->arena, "%s_bias", node->name);
    if (!name) return octet_fail_memory(err);
    OCTET_TRY(octet_value_new_near(&value, graph, name, err));
    OCTET_TRY(octet_value_set_constant(graph, value, &bias, err));
    return octet_node_set_input(graph, node, 2, value, err);
}

static octet_status fold(octet_graph *graph, octet_node *node, octet_error *err)
{
    const octet_batch_norm *const bn     = node->batch_norm;
    octet_tensor                  weight = *node->inputs[1]->constant;
    octet_tensor                  bias   = { .dtype = OCTET_F32, .rank = 1, .dims = { bn->channels } };
    OCTET_TRY(octet_arena_get(&weight.data, graph->arena, (size_t)octet_tensor_count(&weight), sizeof(float), err));
    OCTET_TRY(octet_arena_get(&bias.data, graph->arena, (size_t)bn->channels, sizeof(float), err));
    octet_fake_quantize *const trained = node->inputs[1]->fake_quantize; /* for these folded weights, while training */
    octet_fold_weight(weight.data, node);
    fold_bias(bias.data, node, bn);
    OCTET_TRY(octet_replace_constant(graph, node, 1, &weight, err));
    node->inputs[1]->fake_quantize = trained;
    OCTET_TRY(octet_ensure_bias(graph, node, bn->channels, err));
    OCTET_TRY(octet_replace_constant(graph, node, 2, &bias, err));
    node->folded     = bn;
    node->batch_norm = NULL;
    return OCTET_OK;
}

octet_status octet_pass_fold_batch_norm(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first; n; n = n->next)
        if (n->batch_norm) OCTET_TRY(fold(graph, n, err));
    octet_graph_sweep(graph);
    return OCTET_OK;
}
