/* SPDX-License-Identifier: Apache-2.0 */
/* Numerics section 2: b = rne(bias / (sx * sw[c])) in double, and the proof that no sum leaves 32 bits. */
#include "passes/integerize.h"

#include "base/channels.h"
#include "ops/levels.h"
#include "ops/mode.h"
#include "ops/profile.h"
#include "passes/pass.h"

#include <math.h>

bool octet_sums_integers(const octet_node *node)
{
    if (node->op->quant != OCTET_QUANT_MAC || octet_node_refusal(node)) return false;
    const octet_qparams *const weights = octet_future_levels(node->inputs[1]);
    return octet_future_levels(node->inputs[0]) && weights && octet_qparams_plain(weights);
}

/* ---- constants ---- */

static octet_status constant_to_levels(octet_graph *graph, octet_value *value, const octet_profile *profile,
                                       octet_error *err)
{
    const octet_qparams *const q      = &value->fake_quantize->qparams;
    octet_tensor               levels = *value->constant;
    const size_t               count  = (size_t)octet_tensor_count(&levels);
    levels.dtype   = q->dtype;
    levels.qparams = q;
    OCTET_TRY(octet_arena_get(&levels.data, graph->arena, count, octet_dtype_size(q->dtype), err));
    octet_levels_from_real(&levels, value->constant->data, 0, count, profile);
    OCTET_TRY(octet_value_set_constant(graph, value, &levels, err));
    value->fake_quantize = NULL;
    return OCTET_OK;
}

octet_status octet_integerize_constants(octet_graph *graph, const octet_profile *profile, octet_error *err)
{
    for (octet_value *v = graph->values; v; v = v->next) {
        const bool waits = v->fake_quantize && v->fake_quantize->qparams.count && octet_constant_floats(v);
        if (waits) OCTET_TRY(constant_to_levels(graph, v, profile ? profile : &octet_profile_octet, err));
    }
    return OCTET_OK;
}

/* ---- biases ---- */

/* A bias of levels that already has the right scales stays. */
static bool is_settled(const octet_node *node, const octet_tensor *bias)
{
    const octet_qparams *const q = bias->qparams;
    if (!q) return false;
    const int64_t count = octet_tensor_count(bias);
    for (int64_t c = 0; c < count; c++)
        if (q->scale[q->count > 1 ? c : 0] != (float)octet_bias_unit(node, c)) return false;
    return true;
}

static double real_bias(const octet_tensor *bias, int64_t c)
{
    const octet_qparams *const q = bias->qparams;
    if (!q) return ((const float *)bias->data)[c];
    return (double)((const int32_t *)bias->data)[c] * (double)q->scale[q->count > 1 ? c : 0];
}

static octet_status bias_to_levels(octet_graph *graph, octet_node *node, octet_error *err)
{
    const octet_tensor *const old   = node->inputs[2]->constant;
    const int64_t             count = octet_tensor_count(old);
    int32_t                  *levels, *zeros;
    float                    *scales;
    OCTET_TRY(octet_arena_get(&levels, graph->arena, (size_t)count, sizeof *levels, err));
    OCTET_TRY(octet_arena_get(&zeros, graph->arena, (size_t)count, sizeof *zeros, err));
    OCTET_TRY(octet_arena_get(&scales, graph->arena, (size_t)count, sizeof *scales, err));
    for (int64_t c = 0; c < count; c++) {
        const double level = rint(real_bias(old, c) / octet_bias_unit(node, c));
        scales[c]          = (float)octet_bias_unit(node, c);
        if (!(fabs(level) <= OCTET_BIAS_LIMIT) || !isnormal(scales[c])) {
            octet_fail(err, OCTET_ERR_UNSUPPORTED,
                       "bias %g of channel %lld does not fit 32 bits in units of input scale * weight scale %g",
                       real_bias(old, c), (long long)c, octet_bias_unit(node, c));
            octet_error_node(err, node->name);
            return OCTET_ERR_UNSUPPORTED;
        }
        levels[c] = (int32_t)level;
    }
    const octet_qparams q = { .scale = scales, .zero_point = zeros, .count = count, .axis = 0, .dtype = OCTET_I32,
                              .qmin = INT32_MIN, .qmax = INT32_MAX };
    octet_tensor bias = *old;
    bias.dtype        = OCTET_I32;
    bias.data         = levels;
    bias.qparams      = &q;
    if (node->inputs[2]->use_count == 1) return octet_value_set_constant(graph, node->inputs[2], &bias, err);
    return octet_replace_constant(graph, node, 2, &bias, err);
}

/* ---- the proof ---- */

/* Sum of |w - zw| over one output channel, whatever the layout. */
static double absolute_sum(const octet_node *node, int64_t channel)
{
    const octet_tensor *const w     = node->inputs[1]->constant;
    const octet_channel_shape shape = octet_channels_along(w, octet_weight_axis(node));
    const size_t              own   = (size_t)channel % shape.channels, group = (size_t)channel / shape.channels;
    const size_t              rows  = shape.outer / (size_t)octet_weight_groups(node);
    const int32_t             zero  = w->qparams->zero_point[octet_qparams_index(w->qparams, (int64_t)own)];
    int64_t                   sum   = 0;
    for (size_t o = group * rows; o < (group + 1) * rows; o++)
        sum += octet_levels_magnitude(w, (o * shape.channels + own) * shape.inner, shape.inner, zero);
    return (double)sum;
}

static octet_status prove(const octet_node *node, octet_error *err)
{
    const octet_qparams *const x = octet_future_levels(node->inputs[0]);
    const octet_tensor *const  w = node->inputs[1]->constant;
    if (!w || octet_dtype_size(x->dtype) > 1) return OCTET_OK; /* 16 bits are summed in 64 */
    const octet_tensor *const bias  = node->input_count > 2 && node->inputs[2] ? node->inputs[2]->constant : NULL;
    const int64_t             count = octet_output_channels(node);
    const double              reach = fmax((double)x->qmax - x->zero_point[0], (double)x->zero_point[0] - x->qmin);
    for (int64_t c = 0; c < count; c++) {
        const bool   has_level = bias && bias->dtype == OCTET_I32 && c < octet_tensor_count(bias);
        const double offset    = has_level ? fabs((double)((const int32_t *)bias->data)[c]) : 0;
        if (absolute_sum(node, c) * reach + offset < 2147483648.0) continue;
        octet_fail(err, OCTET_ERR_UNSUPPORTED, "sums of channel %lld can leave 32 bits", (long long)c);
        octet_error_node(err, node->name);
        return OCTET_ERR_UNSUPPORTED;
    }
    return OCTET_OK;
}

octet_status octet_integerize_bias(octet_graph *graph, octet_node *node, octet_error *err)
{
    const octet_value *const bias = node->input_count > 2 ? node->inputs[2] : NULL;
    if (bias && bias->constant && !is_settled(node, bias->constant)) OCTET_TRY(bias_to_levels(graph, node, err));
    return prove(node, err);
}

octet_status octet_integerize_biases(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first; n; n = n->next)
        if (octet_sums_integers(n)) OCTET_TRY(octet_integerize_bias(graph, n, err));
    octet_graph_sweep(graph);
    return OCTET_OK;
}

octet_status octet_integerize(octet_graph *graph, octet_error *err)
{
    OCTET_TRY(octet_integerize_constants(graph, NULL, err));
    return octet_integerize_biases(graph, err);
}
