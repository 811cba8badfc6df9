/* SPDX-License-Identifier: Apache-2.0 */
/* What calibration adds to the FakeQuantize of a network: observers, means of inputs, parameters of constants. */
#include "quantize/calibration.h"

#include "ops/mode.h"
#include "passes/pass.h"

static octet_status new_lock(octet_lock **lock, octet_graph *graph, octet_error *err)
{
    OCTET_TRY(octet_arena_get(lock, graph->arena, 1, octet_lock_size(), err));
    octet_lock_init(*lock);
    return OCTET_OK;
}

/* What the methods of octet and the qconfig's read. */
static octet_status new_observer(octet_observer *observer, octet_graph *graph, octet_error *err)
{
    const octet_quantizer *const quantizer = &graph->calibration->qconfig.activation;
    const octet_estimator *const how       = octet_estimator_find(octet_method_name(quantizer->method));
    observer->averaging                    = quantizer->averaging;
    OCTET_TRY(octet_arena_get(&observer->histogram, graph->arena, 1, sizeof *observer->histogram, err));
    if (!how || !how->torch) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&observer->torch, graph->arena, 1, sizeof *observer->torch, err));
    observer->torch->truncates = how->truncates;
    return OCTET_OK;
}

static octet_status observe_groups(octet_graph *graph, octet_error *err)
{
    octet_calibration *const c = graph->calibration;
    for (size_t i = 0; i < c->group_count; i++) {
        octet_group *const g = &c->groups[i];
        OCTET_TRY(new_observer(&g->observer, graph, err));
        OCTET_TRY(new_lock(&g->lock, graph, err));
        g->fake_quantize->observer = &g->observer;
    }
    for (int i = 0; i < graph->value_count; i++)
        if (c->watches[i].group) c->watches[i].lock = c->watches[i].group->lock;
    return OCTET_OK;
}

/* A constant operand of Add, Mul, ...: its range is what it holds. */
static octet_status quantize_operand(octet_graph *graph, octet_value *value, octet_error *err)
{
    if (value->fake_quantize) return OCTET_OK; /* somebody's weights, too */
    octet_quantizer quantizer = graph->calibration->qconfig.activation;
    octet_range     range     = { 0 };
    const octet_tensor_rule *const rule = octet_tensor_rule_find(graph->calibration, value->name);
    octet_range_observe(&range, value->constant->data, (size_t)octet_tensor_count(value->constant));
    OCTET_TRY(octet_arena_get(&value->fake_quantize, graph->arena, 1, sizeof *value->fake_quantize, err));
    value->fake_quantize->method = "constant";
    if (rule) {
        octet_tensor_rule_quantizer(&quantizer, rule);
        octet_tensor_rule_range(&range, rule, 0);
    }
    return octet_set_qparams(graph, value->fake_quantize, &quantizer, &range, 1, err);
}

/* A mean has one entry for each element of a sample: there must be a number of them. */
static bool has_elements(const octet_value *value)
{
    bool known = value->has_shape;
    for (int i = 1; known && i < value->rank; i++) known = value->dims[i] != OCTET_DIM_FREE;
    return known;
}

static octet_status watch_mean(octet_graph *graph, const octet_node *node, octet_error *err)
{
    octet_calibration *const c     = graph->calibration;
    const octet_value *const value = node->inputs[0];
    octet_watch *const       w     = &c->watches[value->index];
    if (w->mean || value->constant || !value->has_shape) return OCTET_OK;
    if (!has_elements(value))
        return octet_decide(graph, node->name, "bias not corrected", err,
                            "'%s' has free dimensions (--shape binds them)", value->name);
    if (!w->lock) OCTET_TRY(new_lock(&w->lock, graph, err));
    w->mean        = &c->means[c->mean_count++];
    w->mean->value = value;
    return OCTET_OK;
}

static octet_original original_of(const octet_node *node)
{
    const octet_value *const bias = node->input_count > 2 ? node->inputs[2] : NULL;
    return (octet_original){ node->inputs[1]->constant, bias ? bias->constant : NULL };
}

static octet_status quantize_constants(octet_graph *graph, octet_error *err)
{
    octet_calibration *const c       = graph->calibration;
    const bool               correct = !c->qconfig.no_bias_correction && !c->target->real_bias;
    if (c->qconfig.weight.dtype == OCTET_F16) return octet_halve_weights(graph, err);
    OCTET_TRY(octet_arena_get(&c->means, graph->arena, c->weighted_count, sizeof *c->means, err));
    OCTET_TRY(octet_arena_get(&c->originals, graph->arena, c->weighted_count, sizeof *c->originals, err));
    for (size_t i = 0; i < c->weighted_count; i++) {
        OCTET_TRY(octet_prepare_weight(graph, c->weighted[i], err));
        c->originals[i] = original_of(c->weighted[i]);
        if (correct && !c->qconfig.activation.off) OCTET_TRY(watch_mean(graph, c->weighted[i], err));
    }
    for (size_t i = 0; i < c->table_count; i++) OCTET_TRY(octet_prepare_table(graph, c->tables[i], err));
    for (size_t i = 0; i < c->operand_count; i++) OCTET_TRY(quantize_operand(graph, c->operands[i], err));
    return OCTET_OK;
}

octet_status octet_prepare(octet_graph *graph, const octet_qconfig *qconfig, octet_error *err)
{
    OCTET_TRY(octet_fuse(graph, err));
    if (graph->stage > OCTET_STAGE_FUSED)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the network is %s already",
                          graph->training ? "prepared for training" : "quantized");
    OCTET_TRY(octet_pass_fold_batch_norm(graph, err));
    OCTET_TRY(octet_pass_merge_bounds(graph, err));
    OCTET_TRY(octet_place_fake_quantize(graph, qconfig, err));
    OCTET_TRY(observe_groups(graph, err));
    OCTET_TRY(quantize_constants(graph, err));
    graph->stage = OCTET_STAGE_PREPARED;
    return octet_graph_check(graph, err);
}
