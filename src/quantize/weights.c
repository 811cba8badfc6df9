/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of constant weights: min-max per channel, raised where a bias would not fit 32 bits. */
#include "quantize/calibration.h"

#include "base/channels.h"
#include "ops/mode.h"
#include "passes/integerize.h"
#include "passes/pass.h"

#include <math.h>

/* Another reader wants other channels: node gets a copy of its own. */
static octet_status own_copy(octet_graph *graph, octet_node *node, int slot, int axis, octet_error *err)
{
    const octet_fake_quantize *const fq = node->inputs[slot]->fake_quantize;
    if (fq->qparams.count == 1 || fq->qparams.axis == axis) return OCTET_OK;
    return octet_replace_constant(graph, node, slot, node->inputs[slot]->constant, err);
}

/* Scales that a rule for the tensor gives. */
static octet_status take_given(octet_graph *graph, octet_fake_quantize *fq, const octet_tensor_rule *rule,
                               octet_error *err)
{
    float *scale;
    if (!rule->scale) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&scale, graph->arena, (size_t)fq->qparams.count, sizeof *scale, err));
    for (int64_t c = 0; c < fq->qparams.count; c++) scale[c] = rule->scale[rule->count > 1 ? c : 0];
    fq->method        = "given";
    fq->qparams.scale = scale;
    return OCTET_OK;
}

octet_status octet_prepare_weight(octet_graph *graph, octet_node *node, octet_error *err)
{
    return octet_prepare_constant(graph, node, 1, octet_weight_axis(node), err);
}

octet_status octet_prepare_constant(octet_graph *graph, octet_node *node, int slot, int axis, octet_error *err)
{
    const octet_quantizer *const quantizer = &graph->calibration->qconfig.weight;
    if (node->inputs[slot]->fake_quantize) OCTET_TRY(own_copy(graph, node, slot, axis, err));
    octet_value *const        value = node->inputs[slot];
    const octet_tensor *const w     = value->constant;
    if (value->fake_quantize) return OCTET_OK;
    const octet_tensor_rule *const rule = octet_tensor_rule_find(graph->calibration, value->name);
    const bool    given    = rule && rule->count && !rule->per_channel;
    const bool    many     = given ? rule->count > 1 : quantizer->per_channel || (rule && rule->per_channel);
    const int64_t channels = many ? w->dims[axis] : 1;
    const octet_channel_shape shape    = octet_channels_of(w, channels, axis);
    octet_range              *ranges;
    OCTET_TRY(octet_arena_get(&ranges, graph->arena, shape.channels, sizeof *ranges, err));
    octet_range_observe_channels(ranges, w->data, shape.outer, shape.channels, shape.inner);
    OCTET_TRY(octet_arena_get(&value->fake_quantize, graph->arena, 1, sizeof *value->fake_quantize, err));
    value->fake_quantize->qparams.axis = channels > 1 ? axis : 0;
    value->fake_quantize->method       = "minmax";
    if (!rule) return octet_set_qparams(graph, value->fake_quantize, quantizer, ranges, channels, err);
    for (int64_t c = 0; c < channels; c++) octet_tensor_rule_range(&ranges[c], rule, (size_t)c);
    OCTET_TRY(octet_set_qparams(graph, value->fake_quantize, quantizer, ranges, channels, err));
    return take_given(graph, value->fake_quantize, rule, err);
}

float octet_least_weight_scale(const octet_node *node, int64_t channel)
{
    const float *const bias = node->input_count > 2 ? octet_constant_floats(node->inputs[2]) : NULL;
    if (!bias) return 0;
    const bool         one  = octet_tensor_count(node->inputs[2]->constant) == 1;
    const double       b    = fabs((double)bias[one ? 0 : channel]);
    const double       sx   = octet_future_levels(node->inputs[0])->scale[0];
    float              s    = (float)(b / sx / OCTET_BIAS_LIMIT);
    if (b / sx / OCTET_BIAS_LIMIT > (double)s) s = nextafterf(s, INFINITY);
    return s * 1.000001f; /* room for the rounding of the bias itself */
}

octet_status octet_raise_weight_scales(octet_graph *graph, octet_node *node, octet_error *err)
{
    octet_fake_quantize *const fq = node->inputs[1]->fake_quantize;
    if (!fq || node->input_count < 3 || !octet_constant_floats(node->inputs[2])) return OCTET_OK;
    const int     axis     = octet_weight_axis(node);
    const int64_t channels = node->inputs[1]->constant->dims[axis], groups = octet_weight_groups(node);
    float        *scale;
    int32_t      *zero;
    int64_t       raised = 0;
    OCTET_TRY(octet_arena_get(&scale, graph->arena, (size_t)channels, sizeof *scale, err));
    OCTET_TRY(octet_arena_get(&zero, graph->arena, (size_t)channels, sizeof *zero, err));
    for (int64_t c = 0; c < channels; c++) {
        const int64_t from  = fq->qparams.count > 1 ? c : 0;
        float         least = 0;
        for (int64_t g = 0; g < groups; g++) least = fmaxf(least, octet_least_weight_scale(node, g * channels + c));
        scale[c]            = fmaxf(fq->qparams.scale[from], least);
        zero[c]             = fq->qparams.zero_point[from];
        raised += scale[c] > fq->qparams.scale[from];
    }
    if (!raised) return OCTET_OK;
    fq->qparams.scale      = scale;
    fq->qparams.zero_point = zero;
    fq->qparams.count      = channels;
    fq->qparams.axis       = axis;
    return octet_decide(graph, node->name, "weight scale raised", err,
                        "the bias of %lld channels would not fit 32 bits", (long long)raised);
}
