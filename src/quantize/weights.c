/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of constant weights: min-max or least squared error, per tensor, channel or block; raised where a bias
   would not fit 32 bits. */
#include "quantize/calibration.h"

#include "base/entries.h"
#include "observe/least_error.h"
#include "ops/mode.h"
#include "passes/integerize.h"
#include "passes/pass.h"

#include <math.h>
#include <string.h>

/* Another reader wants other channels or blocks: node gets a copy of its own. */
static octet_status own_copy(octet_graph *graph, const octet_weight_slot *at, const octet_qparams *wanted,
                             octet_error *err)
{
    octet_value *const         value = at->node->inputs[at->slot];
    const octet_qparams *const q     = &value->fake_quantize->qparams;
    const bool one = q->count == 1 && !q->block && !wanted->block;
    if (one || (q->axis == wanted->axis && q->block == wanted->block)) return OCTET_OK;
    return octet_replace_constant(graph, at->node, at->slot, value->constant, err);
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

/* ---- parameters of one constant ---- */

typedef struct finding {
    const octet_quantizer   *quantizer;
    octet_levels_range       levels;
    const octet_tensor      *w;
    const octet_tensor_rule *rule; /* NULL: none */
    octet_entries            entries;
    float                   *row; /* where the numbers of one entry are put together */
    float                   *scale, *real_zero_point;
    int32_t                 *zero_point;
} finding;

static octet_range range_of(const finding *f, size_t e)
{
    const octet_entry_pieces p     = octet_entries_pieces(&f->entries, e);
    octet_range              range = { 0 };
    for (size_t i = 0; i < p.pieces; i++)
        octet_range_observe(&range, (const float *)f->w->data + p.begin + i * p.distance, p.length);
    if (f->rule) octet_tensor_rule_range(&range, f->rule, e);
    return range;
}

static octet_affine least_error_of(const finding *f, size_t e)
{
    const octet_entry_pieces p = octet_entries_pieces(&f->entries, e);
    for (size_t i = 0; i < p.pieces; i++)
        memcpy(f->row + i * p.length, (const float *)f->w->data + p.begin + i * p.distance, p.length * sizeof *f->row);
    return octet_least_error(f->row, p.pieces * p.length, f->levels.qmin, f->levels.qmax, f->quantizer->symmetric);
}

static void find_entry(finding *f, size_t e)
{
    const bool   least  = f->quantizer->method == OCTET_METHOD_MSE && !f->rule;
    octet_affine affine = { 0 };
    if (f->real_zero_point)
        affine = octet_quantizer_real_affine(&f->real_zero_point[e], f->quantizer, range_of(f, e));
    else affine = least ? least_error_of(f, e) : octet_quantizer_affine(f->quantizer, true, range_of(f, e));
    f->scale[e]      = affine.scale;
    f->zero_point[e] = affine.zero_point;
}

/* Sets fq's parameters; their axis and block are known. */
static octet_status find_parameters(octet_fake_quantize *fq, octet_graph *graph, finding *f, octet_error *err)
{
    octet_qparams *const     q      = &fq->qparams;
    const size_t             total  = octet_entries_total(&f->entries);
    const octet_entry_pieces most   = octet_entries_pieces(&f->entries, 0);
    const octet_levels_range stored = octet_stored_levels(graph->calibration, f->levels, true);
    const bool               real   = f->quantizer->formula == OCTET_FORMULA_TORCH_FLOAT;
    octet_arena *const       arena  = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    octet_status status = octet_arena_get(&f->row, arena, most.pieces * most.length, sizeof *f->row, err);
    if (status == OCTET_OK) status = octet_arena_get(&f->scale, graph->arena, total, sizeof *f->scale, err);
    if (status == OCTET_OK) status = octet_arena_get(&f->zero_point, graph->arena, total, sizeof *f->zero_point, err);
    if (status == OCTET_OK && real)
        status = octet_arena_get(&f->real_zero_point, graph->arena, total, sizeof *f->real_zero_point, err);
    for (size_t e = 0; status == OCTET_OK && e < total; e++) find_entry(f, e);
    octet_arena_free(arena);
    *q = (octet_qparams){ f->scale, f->zero_point, (int64_t)total, q->axis, f->levels.dtype, stored.qmin, stored.qmax,
                          q->block, f->real_zero_point };
    fq->method = f->quantizer->method == OCTET_METHOD_MSE && !f->rule ? "mse" : "minmax";
    return status;
}

/* ---- which constants ---- */

static octet_status quantizer_of(octet_quantizer *quantizer, const octet_calibration *c, const octet_weight_slot *at,
                                 octet_error *err)
{
    const octet_layer_rule *const rule  = octet_layer_rule_find(&c->qconfig, at->node);
    const octet_quantizer *const  table = at->node->op->flags & OCTET_OP_PICKS ? octet_table_quantizer(&c->qconfig)
                                                                               : NULL;
    *quantizer = table ? *table : c->qconfig.weight;
    if (!rule || !*rule->weights || quantizer->formula == OCTET_FORMULA_TORCH_FLOAT) return OCTET_OK;
    return octet_weight_type(quantizer, &c->qconfig, rule->weights, err);
}

/* The axis of scales, and how many coordinates of it share one. */
static octet_status find_layout(octet_qparams *q, octet_graph *graph, const octet_weight_slot *at,
                                const octet_quantizer *quantizer, octet_error *err)
{
    const octet_tensor *const w = at->node->inputs[at->slot]->constant;
    *q = (octet_qparams){ .axis = at->axis };
    if (!quantizer->group || octet_tensor_rule_find(graph->calibration, at->node->inputs[at->slot]->name))
        return OCTET_OK;
    if (at->inner < 0 || at->inner == at->axis || w->dims[at->inner] < quantizer->group)
        return octet_decide(graph, at->node->name, "no groups", err,
                            "fewer than %lld input channels: one scale for each output channel",
                            (long long)quantizer->group);
    *q = (octet_qparams){ .axis = at->inner, .block = quantizer->group };
    return OCTET_OK;
}

octet_status octet_prepare_weight(octet_graph *graph, octet_node *node, octet_error *err)
{
    return octet_prepare_constant(
        graph, &(octet_weight_slot){ node, 1, octet_weight_axis(node), octet_weight_inner_axis(node) }, err);
}

octet_status octet_prepare_constant(octet_graph *graph, const octet_weight_slot *at, octet_error *err)
{
    octet_quantizer quantizer;
    octet_qparams   layout;
    OCTET_TRY(quantizer_of(&quantizer, graph->calibration, at, err));
    OCTET_TRY(find_layout(&layout, graph, at, &quantizer, err));
    if (at->node->inputs[at->slot]->fake_quantize) OCTET_TRY(own_copy(graph, at, &layout, err));
    octet_value *const value = at->node->inputs[at->slot];
    if (value->fake_quantize) return OCTET_OK;
    const octet_tensor *const      w     = value->constant;
    const octet_tensor_rule *const rule  = octet_tensor_rule_find(graph->calibration, value->name);
    const bool                     given = rule && rule->count && !rule->per_channel;
    const bool many = given ? rule->count > 1 : quantizer.per_channel || layout.block || (rule && rule->per_channel);
    finding    f    = { &quantizer, octet_quantizer_levels(&quantizer, true), w, rule, { 1, 1, 0, 0 } };
    f.entries.inner = (size_t)octet_tensor_count(w);
    if (many && (layout.block || w->dims[at->axis] > 1)) f.entries = octet_entries_along(w, layout.axis, layout.block);
    else layout.axis = 0;
    OCTET_TRY(octet_arena_get(&value->fake_quantize, graph->arena, 1, sizeof *value->fake_quantize, err));
    value->fake_quantize->qparams = layout;
    OCTET_TRY(find_parameters(value->fake_quantize, graph, &f, err));
    return rule ? take_given(graph, value->fake_quantize, rule, err) : OCTET_OK;
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
