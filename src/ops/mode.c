/* SPDX-License-Identifier: Apache-2.0 */
/* How nodes compute: the decisions that planner, writer, statistics and quantization share, so that a simulated and
   a deployed graph cannot read the same annotations differently (numerics, section 2). */
#include "ops/mode.h"

#include "ops/attrs.h"
#include "ops/levels.h"

#include <string.h>

const octet_qparams *octet_value_levels(const octet_graph *graph, const octet_value *value)
{
    if (!value) return NULL;
    if (value->constant) return value->constant->qparams;
    const octet_fake_quantize *const fq = value->fake_quantize;
    const bool in_force = value->as_levels || graph->stage == OCTET_STAGE_QUANTIZED;
    return fq && fq->qparams.count > 0 && in_force ? &fq->qparams : NULL;
}

const octet_qparams *octet_border_levels(const octet_value *value)
{
    const octet_fake_quantize *const fq = value->fake_quantize;
    return value->as_levels && fq && fq->qparams.count > 0 ? &fq->qparams : NULL;
}

const octet_qparams *octet_future_levels(const octet_value *value)
{
    if (!value) return NULL;
    if (value->constant && value->constant->qparams) return value->constant->qparams;
    return value->fake_quantize && value->fake_quantize->qparams.count ? &value->fake_quantize->qparams : NULL;
}

double octet_bias_unit(const octet_node *node, int64_t channel)
{
    const octet_qparams *const x = octet_future_levels(node->inputs[0]);
    const octet_qparams *const w = octet_future_levels(node->inputs[1]);
    return (double)x->scale[0] * (double)w->scale[channel % w->count];
}

void octet_bias_real(float *real, const octet_node *node)
{
    const octet_tensor *const bias  = node->inputs[2]->constant;
    const int64_t             count = octet_tensor_count(bias);
    for (int64_t c = 0; c < count; c++)
        real[c] = (float)(((const int32_t *)bias->data)[c] * octet_bias_unit(node, c));
}

int octet_node_data_inputs(const octet_node *node)
{
    const octet_op *const op = node->op;
    int                   count = 1;
    const bool any = op->quant == OCTET_QUANT_RESCALE && op->max_inputs == OCTET_ANY;
    if (op->flags & OCTET_OP_ONE_DATA) return 1;
    if (op->quant == OCTET_QUANT_CONCAT || any) count = node->input_count;
    else if (op->quant == OCTET_QUANT_MAC) count = 2;
    else if (op->quant == OCTET_QUANT_RESCALE && op->min_inputs == 2 && op->max_inputs == 2) count = 2;
    return count < node->input_count ? count : node->input_count;
}

bool octet_node_moves(const octet_node *node)
{
    return node->op->quant == OCTET_QUANT_SAME || (node->op->moves_levels && node->op->moves_levels(node));
}

static bool is(const octet_node *node, const char *op) { return strcmp(node->op->name, op) == 0; }

bool octet_node_takes_bias(const octet_node *node)
{
    if (node->op->quant != OCTET_QUANT_MAC || node->op->max_inputs < 3) return false;
    return strcmp(node->op->name, "MatMul") != 0 || (node->inputs[1]->constant && node->inputs[1]->constant->rank == 2);
}

int octet_weight_axis(const octet_node *node)
{
    if (is(node, "Conv")) return 0;
    if (is(node, "ConvTranspose")) return 1;
    if (is(node, "Gemm")) return ((const octet_gemm_attrs *)node->attrs)->trans_b ? 0 : 1;
    return node->inputs[1]->rank > 0 ? node->inputs[1]->rank - 1 : 0;
}

int octet_weight_inner_axis(const octet_node *node)
{
    if (is(node, "Conv")) return 1;
    if (is(node, "ConvTranspose")) return 0;
    if (is(node, "Gemm")) return ((const octet_gemm_attrs *)node->attrs)->trans_b ? 1 : 0;
    return node->inputs[1]->rank - 2;
}

int64_t octet_weight_groups(const octet_node *node)
{
    return is(node, "ConvTranspose") ? ((const octet_window_attrs *)node->attrs)->group : 1;
}

int64_t octet_output_channels(const octet_node *node)
{
    return node->inputs[1]->dims[octet_weight_axis(node)] * octet_weight_groups(node);
}

int octet_channel_axis(const octet_node *node, int rank)
{
    return is(node, "MatMul") || rank < 2 ? rank - 1 : 1;
}

bool octet_value_is_weight(const octet_value *value)
{
    return value->constant && value->use_count && value->uses[0].slot == 1 &&
           value->uses[0].node->op->quant == OCTET_QUANT_MAC;
}

const octet_value *octet_judged_value(const octet_value *output)
{
    const octet_node *const last     = output->producer;
    const bool              table    = last && last->op->quant == OCTET_QUANT_TABLE;
    const bool              squashes = table || (last && last->op->flags & OCTET_OP_FUNCTION);
    return squashes && !last->inputs[0]->constant ? last->inputs[0] : output;
}

bool octet_node_picks(const octet_node *node)
{
    const octet_value *const table = node->op->flags & OCTET_OP_PICKS ? node->inputs[0] : NULL;
    return table && table->constant && table->constant->qparams;
}

const char *octet_node_refusal(const octet_node *node)
{
    const octet_op *const op = node->op;
    if (op->quant == OCTET_QUANT_NONE || !op->forward_integer) return "operator has no integer rule";
    return op->refuses_levels ? op->refuses_levels(node) : NULL;
}

static bool same_shape(const octet_value *a, const octet_value *b)
{
    if (!a->has_shape || !b->has_shape || a->rank != b->rank) return false;
    return !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

/* The Add that is value's only reader, if value is the bare result of a Conv, Gemm or MatMul of the Add's shape. */
static octet_node *add_after(const octet_node *node)
{
    if (node->op->quant != OCTET_QUANT_MAC || node->activation.on || node->output_count < 1) return NULL;
    if (octet_node_refusal(node)) return NULL;
    const octet_value *const out = node->outputs[0];
    octet_node *const        add = out ? octet_value_only_reader(out) : NULL;
    if (!add || strcmp(add->op->name, "Add") != 0 || !same_shape(out, add->outputs[0])) return NULL;
    const octet_value *const other = add->inputs[add->inputs[0] == out];
    return other->constant || !same_shape(out, other) ? NULL : add;
}

octet_node *octet_node_candidate_add(const octet_node *node)
{
    octet_node *const add = add_after(node);
    if (!add) return NULL;
    const octet_value *const other = add->inputs[add->inputs[0] == node->outputs[0]];
    const octet_node *const  rival = other->producer;
    if (rival && !other->fake_quantize && add_after(rival) == add && rival->index > node->index) return NULL;
    return add;
}

/* Levels that integer rules know. */
static bool has_plain_levels(const octet_graph *graph, const octet_value *value)
{
    const octet_qparams *const levels = octet_value_levels(graph, value);
    return levels && octet_qparams_plain(levels);
}

static bool inputs_are_levels(const octet_graph *graph, const octet_node *node)
{
    for (int i = 0; i < octet_node_data_inputs(node); i++)
        if (!has_plain_levels(graph, node->inputs[i])) return false;
    return true;
}

octet_node *octet_node_fused_add(const octet_graph *graph, const octet_node *node)
{
    octet_node *const add = octet_node_candidate_add(node);
    if (!add || octet_value_levels(graph, node->outputs[0]) || !inputs_are_levels(graph, node)) return NULL;
    const octet_value *const other = add->inputs[add->inputs[0] == node->outputs[0]];
    return octet_value_levels(graph, other) && octet_value_levels(graph, add->outputs[0]) ? add : NULL;
}

/* An Add may also read the sums of the node fused into it. */
static bool reads_fused(const octet_graph *graph, const octet_node *node, int slot)
{
    const octet_node *const producer = node->inputs[slot] ? node->inputs[slot]->producer : NULL;
    return producer && octet_node_fused_add(graph, producer) == node;
}

/* Gemm with nothing around its product but a constant bias. */
static bool is_plain_gemm(const octet_node *node)
{
    const octet_gemm_attrs *const a = node->attrs;
    const octet_value *const      c = node->input_count > 2 ? node->inputs[2] : NULL;
    const bool one = !c || (c->constant && c->dtype == OCTET_F32 && (c->rank < 2 || c->dims[0] == 1));
    return a->alpha == 1.0f && a->beta == 1.0f && !a->trans_a && one;
}

const char *octet_dynamic_refusal(const octet_node *node)
{
    if (!node->op->forward_dynamic) return "operator has no dynamic form";
    for (int i = 0; i < node->input_count; i++) {
        const octet_value *const in = node->inputs[i];
        if (node->op->dynamic_weights >> i & 1 && (!in || !in->constant)) return "weights are computed";
    }
    if (!node->inputs[0] || node->inputs[0]->dtype != OCTET_F32) return "input is not float32";
    if (node->op->quant != OCTET_QUANT_MAC) return NULL;
    if (!strcmp(node->op->name, "Gemm") && !is_plain_gemm(node)) return "Gemm with alpha, beta, transA or a computed C";
    if (!strcmp(node->op->name, "MatMul") && node->inputs[1]->rank != 2) return "weights are no matrix";
    const octet_value *const bias = node->input_count > 2 ? node->inputs[2] : NULL;
    return bias && !bias->constant ? "bias is computed" : NULL;
}

bool octet_node_is_dynamic(const octet_graph *graph, const octet_node *node)
{
    if (!node->dynamic || graph->stage != OCTET_STAGE_QUANTIZED || octet_dynamic_refusal(node)) return false;
    for (int i = 0; i < node->input_count; i++)
        if (node->op->dynamic_weights >> i & 1 && !has_plain_levels(graph, node->inputs[i])) return false;
    return !octet_value_levels(graph, node->inputs[0]);
}

octet_node_mode octet_node_compute_mode(const octet_graph *graph, const octet_node *node)
{
    if (octet_node_is_dynamic(graph, node)) return OCTET_MODE_DYNAMIC;
    if (octet_node_refusal(node) || node->output_count < 1 || !node->outputs[0]) return OCTET_MODE_REAL;
    if (octet_node_picks(node))
        return octet_value_levels(graph, node->outputs[0]) ? OCTET_MODE_INTEGER : OCTET_MODE_INTEGER_REAL;
    for (int i = 0; i < octet_node_data_inputs(node); i++)
        if (!has_plain_levels(graph, node->inputs[i]) && !reads_fused(graph, node, i)) return OCTET_MODE_REAL;
    if (octet_value_levels(graph, node->outputs[0]) || octet_node_fused_add(graph, node)) return OCTET_MODE_INTEGER;
    const bool real_result = node->op->quant == OCTET_QUANT_MAC || node->op->quant == OCTET_QUANT_CONCAT;
    return real_result ? OCTET_MODE_INTEGER_REAL : OCTET_MODE_REAL;
}

bool octet_value_is_packed(const octet_graph *graph, const octet_value *value)
{
    const octet_qparams *const q = value->constant ? value->constant->qparams : NULL;
    if (!q) return false;
    bool alone = (q->dtype == OCTET_I8 && q->qmin >= -8 && q->qmax <= 7) || (q->dtype == OCTET_U8 && q->qmax <= 15);
    for (size_t i = 0; alone && i < value->use_count; i++) {
        const octet_node *const node = value->uses[i].node;
        alone = octet_node_compute_mode(graph, node) == OCTET_MODE_REAL || octet_node_picks(node);
    }
    return alone;
}
