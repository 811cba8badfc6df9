/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for single tensors, by name. A value's rule belongs to the whole group that shares its levels. Constants that
   Add, Mul, ... read are values here, weights are not: of s8, symmetric, per tensor or along their output channels. */
#include "quantize/calibration.h"

#include "ops/levels.h"
#include "ops/mode.h"

#include <math.h>
#include <string.h>

static octet_status copy_list(const void **list, octet_arena *arena, size_t count, size_t size, octet_error *err)
{
    if (!*list) return OCTET_OK;
    *list = octet_arena_copy_bytes(arena, *list, count * size);
    return *list ? OCTET_OK : octet_fail_memory(err);
}

octet_status octet_tensor_rules_copy(octet_qconfig *qconfig, octet_arena *arena, octet_error *err)
{
    octet_tensor_rule *const rules =
        octet_arena_copy_bytes(arena, qconfig->tensors, qconfig->tensor_count * sizeof *rules);
    if (!rules) return octet_fail_memory(err);
    for (size_t i = 0; i < qconfig->tensor_count; i++) {
        octet_tensor_rule *const r = &rules[i];
        if (!(r->name = octet_arena_copy(arena, r->name))) return octet_fail_memory(err);
        OCTET_TRY(copy_list((const void **)&r->scale, arena, r->count, sizeof *r->scale, err));
        OCTET_TRY(copy_list((const void **)&r->zero_point, arena, r->count, sizeof *r->zero_point, err));
        OCTET_TRY(copy_list((const void **)&r->low, arena, r->count, sizeof *r->low, err));
        OCTET_TRY(copy_list((const void **)&r->high, arena, r->count, sizeof *r->high, err));
    }
    qconfig->tensors = rules;
    return OCTET_OK;
}

const octet_tensor_rule *octet_tensor_rule_find(const octet_calibration *calibration, const char *name)
{
    const octet_qconfig *const q = &calibration->qconfig;
    for (size_t i = 0; i < q->tensor_count; i++)
        if (strcmp(q->tensors[i].name, name) == 0) return &q->tensors[i];
    return NULL;
}

void octet_tensor_rule_quantizer(octet_quantizer *quantizer, const octet_tensor_rule *rule)
{
    if (rule->dtype) {
        quantizer->dtype = rule->dtype;
        quantizer->qmin = quantizer->qmax = 0;
    }
    if (rule->symmetric || rule->asymmetric) quantizer->symmetric = rule->symmetric;
    if (rule->reduce_range) quantizer->reduce_range = true;
    if (!rule->scale) return;
    const octet_levels_range levels = octet_quantizer_levels(quantizer, false);
    quantizer->fake             = OCTET_FAKE_FIXED;
    quantizer->fixed_scale      = rule->scale[0];
    quantizer->fixed_zero_point = rule->zero_point[0];
    quantizer->symmetric        = false; /* the type's levels, all of them */
    if (levels.dtype == OCTET_I8 && !rule->reduce_range) quantizer->qmin = INT8_MIN, quantizer->qmax = INT8_MAX;
}

void octet_tensor_rule_range(octet_range *range, const octet_tensor_rule *rule, size_t i)
{
    const size_t at = i < rule->count ? i : 0;
    if (rule->low) *range = (octet_range){ true, rule->low[at], rule->high[at] };
}

/* ---- judging ---- */

static octet_status refuse(const octet_tensor_rule *rule, octet_error *err, const char *why)
{
    return octet_fail(err, OCTET_ERR_ARGUMENT, "override of tensor '%.80s': %s", rule->name, why);
}

static octet_status check_numbers(const octet_tensor_rule *rule, octet_dtype dtype, octet_error *err)
{
    int32_t lowest, highest;
    octet_levels_bounds(&lowest, &highest, dtype);
    if (!rule->scale != !rule->zero_point) return refuse(rule, err, "scale and zero_point need each other");
    if (!rule->low != !rule->high) return refuse(rule, err, "rmin and rmax need each other");
    for (size_t i = 0; i < rule->count; i++) {
        if (rule->scale && (!isnormal(rule->scale[i]) || rule->scale[i] <= 0))
            return refuse(rule, err, "a scale is not a normal number above 0");
        if (rule->zero_point && (rule->zero_point[i] < lowest || rule->zero_point[i] > highest))
            return refuse(rule, err, "a zero point is outside of its type");
        if (rule->low && !(isfinite(rule->low[i]) && isfinite(rule->high[i]) && rule->low[i] <= rule->high[i]))
            return refuse(rule, err, "rmin is not below rmax");
    }
    return OCTET_OK;
}

static octet_status check_weight(const octet_tensor_rule *rule, const octet_node *node, octet_error *err)
{
    const octet_tensor *const w    = node->inputs[1]->constant;
    const int                 axis = octet_weight_axis(node);
    const int                 given = rule->axis < 0 ? rule->axis + w->rank : rule->axis;
    if (rule->dtype && rule->dtype != OCTET_I8) return refuse(rule, err, "these are weights, which are s8 here");
    if (rule->asymmetric) return refuse(rule, err, "these are weights, which are symmetric here");
    if (rule->reduce_range) return refuse(rule, err, "reduce_range of weights is not supported (--weights s7 is)");
    if ((rule->count > 1 || rule->per_channel) && given != axis)
        return refuse(rule, err, "axis is not that of the output channels");
    if (rule->count > 1 && (int64_t)rule->count != w->dims[axis])
        return refuse(rule, err, "needs one entry, or one for each output channel");
    for (size_t i = 0; rule->zero_point && i < rule->count; i++)
        if (rule->zero_point[i]) return refuse(rule, err, "these are weights, whose zero point is 0 here");
    return check_numbers(rule, OCTET_I8, err);
}

/* ---- finding ---- */

static octet_status give(octet_calibration *c, octet_group *group, const octet_tensor_rule *rule, octet_error *err)
{
    octet_quantizer quantizer = c->qconfig.activation;
    if (group->tensor && group->tensor != rule) {
        octet_fail(err, OCTET_ERR_ARGUMENT, "overrides of tensors '%.80s' and '%.80s': they share their levels",
                   group->tensor->name, rule->name);
        return OCTET_ERR_ARGUMENT;
    }
    if (rule->count > 1 || rule->per_channel)
        return refuse(rule, err, "only weights have a scale for each channel");
    OCTET_TRY(check_numbers(rule, rule->dtype ? rule->dtype : octet_quantizer_levels(&quantizer, false).dtype, err));
    if (c->target->symmetric && (rule->asymmetric || (rule->dtype && rule->dtype != OCTET_I8) ||
                                 (rule->zero_point && rule->zero_point[0])))
        return refuse(rule, err, "the target reads symmetric s8 only");
    group->tensor = rule;
    return OCTET_OK;
}

static octet_group *group_of(octet_calibration *c, const octet_value *value)
{
    for (size_t i = 0; value->fake_quantize && i < c->group_count; i++)
        if (c->groups[i].fake_quantize == value->fake_quantize) return &c->groups[i];
    return NULL;
}

static octet_status place_constant(const octet_calibration *c, const octet_value *value, const octet_tensor_rule *rule,
                                   octet_error *err)
{
    for (size_t i = 0; i < c->weighted_count; i++)
        if (c->weighted[i]->inputs[1] == value) return check_weight(rule, c->weighted[i], err);
    for (size_t i = 0; i < c->operand_count; i++) {
        if (c->operands[i] != value) continue;
        if (rule->count > 1 || rule->per_channel)
        return refuse(rule, err, "only weights have a scale for each channel");
        return check_numbers(rule, rule->dtype ? rule->dtype : OCTET_U8, err);
    }
    return refuse(rule, err, "a constant that does not become levels");
}

/* An input or output that crosses the border: all levels of one type. */
static octet_status place_border(octet_graph *graph, const octet_value *value, octet_dtype dtype, octet_error *err)
{
    octet_calibration *const c     = graph->calibration;
    octet_group *const       group = value->dtype == OCTET_F32 ? group_of(c, value) : NULL;
    int32_t                  lowest, highest;
    octet_tensor_rule       *rule;
    if (!dtype || !group) return OCTET_OK;
    const octet_levels_range levels = octet_quantizer_levels(&c->qconfig.activation, false);
    const bool               known  = octet_levels_bounds(&lowest, &highest, dtype);
    if (!known || octet_dtype_size(dtype) != 1)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "inputs and outputs can be u8 or s8 (got %s)",
                          octet_dtype_name(dtype));
    if (!group->tensor && levels.dtype == dtype && levels.qmin == lowest && levels.qmax == highest) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&rule, graph->arena, 1, sizeof *rule, err));
    if (group->tensor) *rule = *group->tensor;
    else rule->name = value->name;
    if (rule->dtype && rule->dtype != dtype) return refuse(rule, err, "an input or output of another type");
    rule->dtype   = dtype;
    group->tensor = NULL;
    return give(c, group, rule, err);
}

static octet_status place_borders(octet_graph *graph, octet_error *err)
{
    const octet_qconfig *const q = &graph->calibration->qconfig;
    for (size_t i = 0; i < graph->input_count; i++) OCTET_TRY(place_border(graph, graph->inputs[i], q->input, err));
    for (size_t i = 0; i < graph->output_count; i++)
        OCTET_TRY(place_border(graph, graph->outputs[i], q->output, err));
    return OCTET_OK;
}

octet_status octet_tensor_rules_place(octet_graph *graph, octet_error *err)
{
    octet_calibration *const c = graph->calibration;
    for (size_t i = 0; i < c->qconfig.tensor_count; i++) {
        const octet_tensor_rule *const rule  = &c->qconfig.tensors[i];
        const octet_value *const       value = octet_graph_find_value(graph, rule->name);
        if (!value) return refuse(rule, err, "the network has no such tensor once it is fused");
        if (rule->symmetric && rule->asymmetric) return refuse(rule, err, "symmetric and not");
        octet_group *const group = group_of(c, value);
        if (value->constant) OCTET_TRY(place_constant(c, value, rule, err));
        else if (group) OCTET_TRY(give(c, group, rule, err));
        else return refuse(rule, err, "it stays real");
    }
    return place_borders(graph, err);
}
