/* SPDX-License-Identifier: Apache-2.0 */
/* Samples flow through the float network; every watched value is counted once per sample. All sums are integers, so
   neither threads nor order show in them (moving averages excepted: they run in order, on one thread). */
#include "quantize/calibration.h"

#include "engine/run.h"

#include <math.h>
#include <string.h>

typedef struct work {
    octet_graph                   *graph;
    octet_dataset                 *data;
    const octet_calibrate_options *options;
    octet_plan                    *plan;
    octet_workspace              **workspaces; /* one per worker */
    float                        **inputs;
    octet_error                   *errors;
    size_t                        *failed_at; /* sample that a worker failed on */
    size_t                         next, done, total;
    int                            workers, inner_threads;
} work;

int octet_calibrate_threads(const octet_calibrate_options *options)
{
    return options && options->threads > 0 ? options->threads : octet_threads_available();
}

/* ---- one value of one sample ---- */

/* A power of two such that 2^23 samples as large as this one's largest value cannot overflow. */
static double unit_for(const float *x, size_t count)
{
    float most = 0;
    int   exponent;
    for (size_t i = 0; i < count; i++) most = fmaxf(most, fabsf(x[i]));
    if (!isfinite(most)) return 1;
    frexp(most > 0 ? most : 1.0, &exponent);
    return ldexp(1.0, exponent - 39);
}

static octet_status add_to_mean(octet_mean *mean, octet_arena *arena, const float *x, size_t count, octet_error *err)
{
    if (!mean->sum) {
        OCTET_TRY(octet_arena_get(&mean->sum, arena, count, sizeof *mean->sum, err));
        mean->count = count;
        mean->unit  = unit_for(x, count);
    }
    const double scale = 1.0 / mean->unit;
    for (size_t i = 0; i < count && count == mean->count; i++) {
        const double units = x[i] * scale;
        if (fabs(units) < 0x1p62) /* otherwise not finite or absurd: the observer counts it and the run is refused */
            (void)!__builtin_add_overflow(mean->sum[i], (int64_t)units, &mean->sum[i]);
    }
    return OCTET_OK;
}

static octet_status see(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    const work *const        w     = context;
    octet_calibration *const c     = w->graph->calibration;
    const octet_value *const value = octet_graph_find_value(w->graph, name);
    octet_watch *const       watch = value ? &c->watches[value->index] : NULL;
    if (!watch || !watch->lock || tensor->dtype != OCTET_F32) return OCTET_OK;
    const size_t count  = (size_t)octet_tensor_count(tensor);
    octet_status status = OCTET_OK;
    octet_lock_hold(watch->lock);
    if (watch->group) octet_observer_observe(&watch->group->observer, tensor->data, count);
    if (watch->mean) status = add_to_mean(watch->mean, w->graph->arena, tensor->data, count, err);
    octet_lock_release(watch->lock);
    return status;
}

/* ---- samples ---- */

static octet_status one_sample(work *w, int worker, size_t index, octet_error *err)
{
    OCTET_TRY(octet_dataset_read(w->data, index, w->inputs[worker], NULL, err));
    const octet_port port  = octet_dataset_port(w->data);
    octet_tensor     input = { .dtype = OCTET_F32, .rank = port.rank, .data = w->inputs[worker] };
    octet_tensor     outputs[64];
    memcpy(input.dims, port.dims, sizeof input.dims);
    return octet_run(w->workspaces[worker], &input, outputs, err);
}

static int report(const work *w, size_t done)
{
    if (!w->options || !w->options->progress) return 0;
    const octet_progress progress = { "calibrate", done, w->total };
    return w->options->progress(w->options->progress_context, &progress);
}

/* One worker: takes the next sample until none is left or somebody failed. Worker 0 is the calling thread. */
static void run_worker(void *context, size_t worker)
{
    work *const w = context;
    for (;;) {
        const size_t index = __atomic_fetch_add(&w->next, 1, __ATOMIC_RELAXED);
        if (index >= w->total) return;
        octet_status status = one_sample(w, (int)worker, index, &w->errors[worker]);
        const size_t done   = __atomic_add_fetch(&w->done, 1, __ATOMIC_RELAXED);
        if (status == OCTET_OK && worker == 0 && report(w, done))
            status = octet_fail(&w->errors[0], OCTET_ERR_ARGUMENT, "interrupted");
        if (status == OCTET_OK) continue;
        w->failed_at[worker] = index;
        __atomic_store_n(&w->next, w->total, __ATOMIC_RELAXED);
        return;
    }
}

/* The failure of the earliest sample. */
static octet_status first_error(const work *w, octet_error *err)
{
    int first = -1;
    for (int i = 0; i < w->workers; i++)
        if (w->errors[i].status != OCTET_OK && (first < 0 || w->failed_at[i] < w->failed_at[first])) first = i;
    if (first < 0) return OCTET_OK;
    if (err) *err = w->errors[first];
    return w->errors[first].status;
}

static octet_status make_workers(work *w, octet_arena *arena, octet_error *err)
{
    const octet_port port  = octet_dataset_port(w->data);
    octet_tensor     shape = { .dtype = OCTET_F32, .rank = port.rank };
    memcpy(shape.dims, port.dims, sizeof shape.dims);
    const int64_t count = octet_tensor_count(&shape);
    OCTET_TRY(octet_arena_get(&w->workspaces, arena, (size_t)w->workers, sizeof *w->workspaces, err));
    OCTET_TRY(octet_arena_get(&w->inputs, arena, (size_t)w->workers, sizeof *w->inputs, err));
    OCTET_TRY(octet_arena_get(&w->errors, arena, (size_t)w->workers, sizeof *w->errors, err));
    OCTET_TRY(octet_arena_get(&w->failed_at, arena, (size_t)w->workers, sizeof *w->failed_at, err));
    for (int i = 0; i < w->workers; i++) {
        OCTET_TRY(octet_workspace_create(&w->workspaces[i], w->plan, err));
        octet_workspace_set_raw_hook(w->workspaces[i], see, w);
        OCTET_TRY(octet_arena_get(&w->inputs[i], arena, (size_t)count, sizeof(float), err));
    }
    return OCTET_OK;
}

/* Values came as they lie in memory; whoever reads a mean expects the value's own order. */
static octet_status order_means(work *w, octet_arena *arena, octet_error *err)
{
    const octet_calibration *const c    = w->graph->calibration;
    size_t                         most = 0;
    int64_t                       *room;
    for (size_t i = 0; i < c->mean_count; i++)
        if (c->means[i].count > most) most = c->means[i].count;
    OCTET_TRY(octet_arena_get(&room, arena, most, sizeof *room, err));
    for (size_t i = 0; i < c->mean_count; i++)
        if (c->means[i].sum) octet_workspace_order_sums(w->workspaces[0], c->means[i].value, c->means[i].sum, room);
    return OCTET_OK;
}

/* The first sample runs alone: it fixes the units of the means. */
static octet_status run_samples(work *w, octet_arena *arena, octet_error *err)
{
    const octet_plan_options options = { .threads = w->inner_threads, .batch = 1,
                                         .limits = w->options ? w->options->limits : (octet_limits){ 0 } };
    OCTET_TRY(octet_plan_create(&w->plan, w->graph, &options, err));
    OCTET_TRY(make_workers(w, arena, err));
    const size_t all = w->total;
    w->total         = all ? 1 : 0;
    run_worker(w, 0);
    w->total = all;
    w->next  = w->done;
    if (w->errors[0].status == OCTET_OK) octet_parallel((size_t)w->workers, w->workers, run_worker, w);
    OCTET_TRY(first_error(w, err));
    return order_means(w, arena, err);
}

static void free_workers(work *w)
{
    for (int i = 0; w->workspaces && i < w->workers; i++) octet_workspace_free(w->workspaces[i]);
    octet_plan_free(w->plan);
}

/* ---- ranges ---- */

octet_status octet_group_range(octet_range *range, const char **method, const octet_graph *graph,
                               const octet_group *group, octet_error *err)
{
    const octet_quantizer *const  quantizer = &graph->calibration->qconfig.activation;
    const octet_layer_rule *const rule      = group->rule;
    const octet_levels_range      levels    = octet_quantizer_levels(quantizer, false);
    const octet_method            asked     = rule ? rule->method : quantizer->method;
    const octet_estimate want = { levels.qmin, levels.qmax, quantizer->symmetric,
                                  rule && rule->percentile > 0 ? rule->percentile : quantizer->percentile };
    const octet_estimator *const how =
        octet_estimator_find(asked == OCTET_METHOD_OUTPUT ? "mse" : octet_method_name(asked));
    *method = how->name;
    return how->read(range, &group->observer, &want, err);
}

static octet_status set_range(octet_graph *graph, octet_group *group, octet_error *err)
{
    octet_range range;
    if (!group->observer.range.seen)
        OCTET_TRY(octet_decide(graph, group->representative->name, "scale 1", err, "no value was seen"));
    OCTET_TRY(octet_group_range(&range, &group->fake_quantize->method, graph, group, err));
    return octet_set_qparams(graph, group->fake_quantize, &graph->calibration->qconfig.activation, &range, 1, err);
}

static octet_status check_finite(const octet_calibration *c, octet_error *err)
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

static octet_status observe_all(octet_graph *graph, octet_dataset *data, const octet_calibrate_options *options,
                                octet_error *err)
{
    enum { MOST_WORKERS = 4 }; /* each has a workspace of its own */
    const int  threads  = octet_calibrate_threads(options);
    const bool in_order = graph->calibration->qconfig.activation.method == OCTET_METHOD_MOVING_AVERAGE;
    work       w = { .graph = graph, .data = data, .options = options, .total = octet_dataset_count(data) };
    w.workers          = in_order ? 1 : threads < MOST_WORKERS ? threads : MOST_WORKERS;
    w.inner_threads    = threads / w.workers;
    octet_arena *arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    const octet_status status = run_samples(&w, arena, err);
    free_workers(&w);
    octet_arena_free(arena);
    graph->calibration->samples = w.total;
    return status;
}

octet_status octet_calibrate(octet_graph *graph, octet_dataset *data, const octet_calibrate_options *options,
                             octet_error *err)
{
    octet_calibration *const c = graph->calibration;
    if (graph->stage != OCTET_STAGE_PREPARED || graph->training || !c)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "only a network prepared for it can be calibrated");
    if (c->group_count == 0) { /* weights alone become levels: there is nothing to see */
        graph->stage = OCTET_STAGE_CALIBRATED;
        return octet_graph_check(graph, err);
    }
    if (!data) return octet_fail(err, OCTET_ERR_ARGUMENT, "no data to calibrate with");
    if (graph->input_count != 1 || graph->output_count > 64)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "networks with %zu inputs and %zu outputs cannot be calibrated",
                          graph->input_count, graph->output_count);
    OCTET_TRY(observe_all(graph, data, options, err));
    OCTET_TRY(check_finite(c, err));
    for (size_t i = 0; i < c->group_count; i++) OCTET_TRY(set_range(graph, &c->groups[i], err));
    if (c->qconfig.activation.method == OCTET_METHOD_OUTPUT)
        OCTET_TRY(octet_choose_by_output(graph, data, options, err));
    graph->stage = OCTET_STAGE_CALIBRATED;
    return octet_graph_check(graph, err);
}
