/* SPDX-License-Identifier: Apache-2.0 */
/* Samples flow through the float network; every watched value is counted once per sample. All sums are integers, so
   neither threads nor order show in them (moving averages and torch's histograms excepted: they run in order, on one
   thread, and in the batches that were asked for). */
#include "quantize/calibration.h"

#include "quantize/statistics.h"

#include <math.h>

/* ---- one value of one sample ---- */

static octet_status add_to_mean(octet_mean *mean, octet_arena *arena, const float *x, size_t count, octet_error *err)
{
    if (!mean->sum) {
        OCTET_TRY(octet_arena_get(&mean->fine, arena, count, sizeof *mean->fine, err));
        OCTET_TRY(octet_arena_get(&mean->sum, arena, count, sizeof *mean->sum, err));
        mean->count = count;
    }
    for (size_t i = 0; i < count && count == mean->count; i++) {
        double in = x[i]; /* what is not finite the observer counts, and the run is refused */
        in = in > -OCTET_MEAN_MOST ? in < OCTET_MEAN_MOST ? in : OCTET_MEAN_MOST : -OCTET_MEAN_MOST;
        const int64_t whole = (int64_t)in; /* exact: towards zero */
        mean->sum[i] += whole;
        mean->fine[i] += (int64_t)((in - (double)whole) * (1 / OCTET_MEAN_FINE));
    }
    return OCTET_OK;
}

/* A copy, as torch's RecordingObserver keeps. */
static octet_status keep(octet_group *group, octet_arena *arena, const octet_tensor *tensor, octet_error *err)
{
    octet_recorded *kept;
    OCTET_TRY(octet_arena_get(&kept, arena, 1, sizeof *kept, err));
    kept->tensor      = *tensor;
    kept->tensor.data = octet_arena_copy_bytes(arena, tensor->data, (size_t)octet_tensor_bytes(tensor));
    if (!kept->tensor.data) return octet_fail_memory(err);
    *(group->last_recorded ? &group->last_recorded->next : &group->recorded) = kept;
    group->last_recorded                                                      = kept;
    return OCTET_OK;
}

octet_status octet_calibration_see(void *context, const octet_seen *seen, octet_error *err)
{
    const octet_graph *const  graph  = context;
    const octet_watch *const  watch  = &graph->calibration->watches[seen->value->index];
    const octet_tensor *const tensor = seen->tensor;
    if (!watch->lock || tensor->dtype != OCTET_F32) return OCTET_OK;
    const size_t count  = (size_t)octet_tensor_count(tensor);
    const size_t size   = count / seen->count;
    octet_status status = OCTET_OK;
    octet_lock_hold(watch->lock);
    if (watch->group) octet_observer_observe(&watch->group->observer, tensor->data, count);
    if (watch->group && graph->calibration->qconfig.activation.observing == OCTET_OBSERVE_RECORD)
        status = keep(watch->group, graph->arena, tensor, err);
    for (size_t i = 0; watch->mean && status == OCTET_OK && i < seen->count; i++)
        status = add_to_mean(watch->mean, graph->arena, (const float *)tensor->data + i * size, size, err);
    octet_lock_release(watch->lock);
    return status;
}

/* Values came as they lie in memory; whoever reads a mean expects the value's own order. */
static octet_status order_means(const octet_samples *samples, const octet_calibration *c, octet_error *err)
{
    size_t   most = 0;
    int64_t *room;
    for (size_t i = 0; i < c->mean_count; i++)
        if (c->means[i].count > most) most = c->means[i].count;
    OCTET_TRY(octet_arena_get(&room, samples->arena, most, sizeof *room, err));
    for (size_t i = 0; i < c->mean_count; i++)
        for (int fine = 0; c->means[i].sum && fine < 2; fine++)
            octet_samples_order_sums(samples, c->means[i].value, fine ? c->means[i].fine : c->means[i].sum, room);
    return OCTET_OK;
}

/* ---- ranges ---- */

octet_status octet_group_range(octet_range *range, const char **method, const octet_graph *graph,
                               const octet_group *group, octet_error *err)
{
    const octet_quantizer         quantizer = octet_group_quantizer(graph->calibration, group);
    const octet_layer_rule *const rule      = group->rule;
    const octet_levels_range      levels    = octet_quantizer_levels(&quantizer, false);
    const octet_method            asked     = rule ? rule->method : quantizer.method;
    const char *const             by_output = octet_dtype_size(levels.dtype) > 1 ? "minmax" : "mse";
    const octet_estimate want = { levels.qmin, levels.qmax, quantizer.symmetric,
                                  rule && rule->percentile > 0 ? rule->percentile : quantizer.percentile };
    const octet_estimator *const how =
        octet_estimator_find(asked == OCTET_METHOD_OUTPUT ? by_output : octet_method_name(asked));
    *method = how->name;
    OCTET_TRY(how->read(range, &group->observer, &want, err));
    if (!group->tensor || !(group->tensor->low || group->tensor->scale)) return OCTET_OK;
    *method = "given";
    octet_tensor_rule_range(range, group->tensor, 0);
    return OCTET_OK;
}

static octet_status set_range(octet_graph *graph, octet_group *group, octet_error *err)
{
    octet_range range;
    if (!group->observer.range.seen)
        OCTET_TRY(octet_decide(graph, group->representative->name, "scale 1", err, "no value was seen"));
    OCTET_TRY(octet_group_range(&range, &group->fake_quantize->method, graph, group, err));
    const octet_quantizer quantizer = octet_group_quantizer(graph->calibration, group);
    return octet_set_qparams(graph, group->fake_quantize, &quantizer, &range, 1, err);
}

octet_status octet_calibration_check_finite(const octet_calibration *c, octet_error *err)
{
    for (size_t i = 0; i < c->group_count; i++) {
        const octet_observer *const o = &c->groups[i].observer;
        if (!o->rejected) continue;
        octet_fail(err, OCTET_ERR_FORMAT, "%llu of %llu values computed from the samples are not finite",
                   (unsigned long long)o->rejected, (unsigned long long)o->count);
        octet_error_node(err, c->groups[i].representative->name);
        return OCTET_ERR_FORMAT;
    }
    return OCTET_OK;
}

/* Whether what is observed depends on the order of samples, and on how many come at once. */
static bool needs_order(const octet_quantizer *quantizer)
{
    const octet_estimator *const how = octet_estimator_find(octet_method_name(quantizer->method));
    return quantizer->method == OCTET_METHOD_MOVING_AVERAGE || (how && how->torch) ||
           quantizer->observing == OCTET_OBSERVE_RECORD;
}

static octet_status observe_all(octet_graph *graph, octet_dataset *data, const octet_calibrate_options *options,
                                octet_error *err)
{
    const bool   in_order = needs_order(&graph->calibration->qconfig.activation);
    const size_t batch    = in_order && options ? options->batch : 0;
    const octet_samples_options how = { .calibrate = options, .phase = "calibrate", .in_order = in_order,
                                        .raw = !in_order, .batch = batch };
    octet_samples               samples;
    octet_status status = octet_samples_open(&samples, graph, data, &how, err);
    if (status == OCTET_OK) status = octet_samples_run(&samples, octet_calibration_see, graph, err);
    if (status == OCTET_OK && !in_order) status = order_means(&samples, graph->calibration, err);
    graph->calibration->samples = samples.total;
    octet_samples_free(&samples);
    return status;
}

/* What needs samples again, or in their order, is said before anything is read. */
static octet_status use_statistics(octet_graph *graph, const octet_dataset *data, const octet_statistics *statistics,
                                   octet_error *err)
{
    const octet_quantizer *const quantizer = &graph->calibration->qconfig.activation;
    if (needs_order(quantizer) || (quantizer->method == OCTET_METHOD_OUTPUT && !data))
        return octet_fail(err, OCTET_ERR_ARGUMENT,
                          "method %s needs samples%s (statistics serve minmax, percentile, mse and entropy alone)",
                          octet_method_name(quantizer->method), data ? " in their order" : "");
    return octet_statistics_apply(statistics, graph, err);
}

octet_status octet_calibrate(octet_graph *graph, octet_dataset *data, const octet_calibrate_options *options,
                             octet_error *err)
{
    octet_calibration *const      c          = graph->calibration;
    const octet_statistics *const statistics = options ? options->statistics : NULL;
    if (graph->stage != OCTET_STAGE_PREPARED || graph->training || !c)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "only a network prepared for it can be calibrated");
    if (c->group_count == 0) { /* weights alone become levels: there is nothing to see */
        graph->stage = OCTET_STAGE_CALIBRATED;
        return octet_graph_check(graph, err);
    }
    if (!data && !statistics) return octet_fail(err, OCTET_ERR_ARGUMENT, "no data to calibrate with");
    OCTET_TRY(statistics ? use_statistics(graph, data, statistics, err) : observe_all(graph, data, options, err));
    OCTET_TRY(octet_calibration_check_finite(c, err));
    OCTET_TRY(octet_check_input(graph, err));
    for (size_t i = 0; i < c->group_count; i++) OCTET_TRY(set_range(graph, &c->groups[i], err));
    const octet_levels_range levels = octet_quantizer_levels(&c->qconfig.activation, false);
    if (c->qconfig.activation.method == OCTET_METHOD_OUTPUT && octet_dtype_size(levels.dtype) == 1)
        OCTET_TRY(octet_choose_by_output(graph, data, options, err));
    graph->stage = OCTET_STAGE_CALIBRATED;
    return octet_graph_check(graph, err);
}
