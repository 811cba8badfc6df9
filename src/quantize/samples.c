/* SPDX-License-Identifier: Apache-2.0 */
/* Workers take the next sample until none is left or somebody failed. Worker 0 is the calling thread: it reports. */
#include "quantize/samples.h"

#include "base/hash.h"
#include "base/parallel.h"
#include "measure/inputs.h"

#include <string.h>

enum { MOST_WORKERS = 4, OUTPUTS = 64 }; /* each has a workspace of its own */

struct octet_sampler {
    octet_samples   *samples;
    octet_workspace *workspace, *rest;
    octet_binding   *binding; /* where samples vary in shape: in place of both */
    octet_arena     *arena;   /* then: of the sample in hand */
    octet_tensor    *inputs;
    int              worker;
    size_t           sample, count;
    octet_error      error;
};
typedef struct octet_sampler octet_sampler;

int octet_calibrate_threads(const octet_calibrate_options *options)
{
    return options && options->threads > 0 ? options->threads : octet_threads_available();
}

static octet_status see(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    const octet_sampler *const sampler = context;
    octet_samples *const       s       = sampler->samples;
    const octet_seen seen = { sampler->sample, sampler->count, sampler->worker, octet_graph_find_value(s->graph, name),
                              tensor };
    return seen.value ? s->see(s->context, &seen, err) : OCTET_OK;
}

uint64_t octet_sample_identity(const octet_tensor *inputs, size_t count, size_t sample)
{
    octet_hash hash;
    octet_hash_begin(&hash);
    for (size_t i = 0; i < count; i++) {
        const int64_t batch = inputs[i].rank ? inputs[i].dims[0] : 1;
        const size_t  bytes = (size_t)(octet_tensor_bytes(&inputs[i]) / batch);
        octet_hash_add(&hash, (const uint8_t *)inputs[i].data + sample * bytes, bytes);
    }
    return octet_hash_value(&hash);
}

static octet_inputs inputs_of(const octet_samples *s)
{
    return (octet_inputs){ .graph = s->graph, .data = s->data, .batch = (int64_t)s->options.batch,
                           .port_count = s->graph->input_count };
}

static size_t index_at(const octet_samples *s, size_t position)
{
    return s->options.list ? s->options.list[position] : position;
}

static void hook(octet_workspace *workspace, octet_sampler *sampler)
{
    if (sampler->samples->options.raw && sampler->samples->plan) octet_workspace_set_raw_hook(workspace, see, sampler);
    else octet_workspace_set_hook(workspace, see, sampler);
}

/* A sample whose shape is its own, in memory of its own. */
static octet_status one_alone(octet_sampler *sampler, size_t at, octet_error *err)
{
    octet_samples *const s     = sampler->samples;
    const octet_inputs   from  = inputs_of(s);
    const size_t         index = index_at(s, at);
    octet_tensor         outputs[OUTPUTS];
    octet_workspace     *workspace;
    octet_arena_free(sampler->arena);
    sampler->count = 1;
    sampler->arena = octet_arena_new();
    if (!sampler->arena) return octet_fail_memory(err);
    OCTET_TRY(octet_inputs_make_at(&sampler->inputs, &from, index, sampler->arena, err));
    const octet_status status = octet_binding_take(&workspace, sampler->binding, sampler->inputs, err);
    if (status != OCTET_OK) {
        octet_error_file(err, octet_dataset_name(s->data, index));
        return status;
    }
    hook(workspace, sampler);
    OCTET_TRY(octet_inputs_read(sampler->inputs, &from, 0, index, err));
    if (s->options.identities)
        s->options.identities[index] = octet_sample_identity(sampler->inputs, from.port_count, 0);
    return octet_run(workspace, sampler->inputs, outputs, err);
}

static octet_status one_batch(octet_sampler *sampler, size_t at, octet_error *err)
{
    octet_samples *const s     = sampler->samples;
    const octet_inputs   from  = inputs_of(s);
    octet_tensor         inputs[OCTET_INPUTS_MOST], outputs[OUTPUTS];
    sampler->count = s->total - at;
    if (sampler->count > s->options.batch) sampler->count = s->options.batch;
    for (size_t i = 0; i < from.port_count; i++) {
        inputs[i] = sampler->inputs[i];
        if (sampler->count < s->options.batch) inputs[i].dims[0] = (int64_t)sampler->count;
    }
    for (size_t i = 0; i < sampler->count; i++) {
        const size_t index = index_at(s, at + i);
        OCTET_TRY(octet_inputs_read(inputs, &from, i, index, err));
        if (s->options.identities)
            s->options.identities[index] = octet_sample_identity(inputs, from.port_count, i);
    }
    return octet_run(sampler->count < s->options.batch ? sampler->rest : sampler->workspace, inputs, outputs, err);
}

static int report(const octet_samples *s, size_t done)
{
    const octet_calibrate_options *const options = s->options.calibrate;
    if (!options || !options->progress) return 0;
    const octet_progress progress = { s->options.phase, done, s->total * s->options.rounds };
    return options->progress(options->progress_context, &progress);
}

static void run_worker(void *context, size_t worker)
{
    octet_samples *const s       = context;
    octet_sampler *const sampler = &s->samplers[worker];
    for (;;) {
        const size_t at = __atomic_fetch_add(&s->next, s->options.batch, __ATOMIC_RELAXED);
        if (at >= s->end) return;
        sampler->sample     = index_at(s, at);
        octet_status status = (sampler->binding ? one_alone : one_batch)(sampler, at, &sampler->error);
        const size_t done   = __atomic_add_fetch(&s->done, sampler->count, __ATOMIC_RELAXED);
        if (status == OCTET_OK && worker == 0 && report(s, done))
            status = octet_fail(&sampler->error, OCTET_ERR_ARGUMENT, "interrupted");
        if (status == OCTET_OK) continue;
        __atomic_store_n(&s->next, s->end, __ATOMIC_RELAXED);
        return;
    }
}

/* The failure of the earliest sample. */
static octet_status first_error(const octet_samples *s, octet_error *err)
{
    const octet_sampler *first = NULL;
    for (int i = 0; i < s->workers; i++) {
        const octet_sampler *const at = &s->samplers[i];
        if (at->error.status != OCTET_OK && (!first || at->sample < first->sample)) first = at;
    }
    if (!first) return OCTET_OK;
    if (err) *err = first->error;
    return first->error.status;
}

void octet_samples_rewind(octet_samples *s, octet_samples_hook see_value, void *context)
{
    s->see     = see_value;
    s->context = context;
    s->next    = 0;
}

octet_status octet_samples_run_some(octet_samples *s, size_t count, octet_error *err)
{
    const size_t end = count < s->total - s->next ? s->next + count : s->total;
    if (s->next == 0 && end > 0) {
        s->end = end < s->options.batch ? end : s->options.batch;
        run_worker(s, 0);
        s->next = s->end;
    }
    s->end = end;
    if (end && s->samplers[0].error.status == OCTET_OK) octet_parallel((size_t)s->workers, s->workers, run_worker, s);
    s->next = end;
    return first_error(s, err);
}

octet_status octet_samples_run(octet_samples *s, octet_samples_hook see_value, void *context, octet_error *err)
{
    octet_samples_rewind(s, see_value, context);
    return octet_samples_run_some(s, s->total, err);
}

static octet_status new_workspace(octet_workspace **workspace, octet_sampler *sampler, const octet_plan *plan,
                                  octet_error *err)
{
    OCTET_TRY(octet_workspace_create(workspace, plan, err));
    hook(*workspace, sampler);
    return OCTET_OK;
}

static octet_status make_samplers(octet_samples *s, const octet_plan_options *plan, octet_error *err)
{
    const octet_inputs from = inputs_of(s);
    OCTET_TRY(octet_arena_get(&s->samplers, s->arena, (size_t)s->workers, sizeof *s->samplers, err));
    for (int i = 0; i < s->workers; i++) {
        octet_sampler *const sampler = &s->samplers[i];
        sampler->samples             = s;
        sampler->worker              = i;
        if (!s->plan) {
            OCTET_TRY(octet_binding_create(&sampler->binding, s->graph, plan, err));
            continue;
        }
        OCTET_TRY(new_workspace(&sampler->workspace, sampler, s->plan, err));
        if (s->rest_plan) OCTET_TRY(new_workspace(&sampler->rest, sampler, s->rest_plan, err));
        OCTET_TRY(octet_inputs_make(&sampler->inputs, &from, s->arena, err));
    }
    return OCTET_OK;
}

/* Whole batches, and what is left of the samples behind them. */
static octet_status make_plans(octet_samples *s, octet_plan_options plan, octet_error *err)
{
    octet_inputs  from = inputs_of(s);
    octet_tensor *shapes;
    OCTET_TRY(octet_inputs_shapes(&shapes, &from, s->arena, err));
    plan.inputs = shapes;
    OCTET_TRY(octet_plan_create(&s->plan, s->graph, &plan, err));
    from.batch = (int64_t)(s->total % s->options.batch);
    if (!from.batch) return OCTET_OK;
    OCTET_TRY(octet_inputs_shapes(&shapes, &from, s->arena, err));
    plan.inputs = shapes;
    return octet_plan_create(&s->rest_plan, s->graph, &plan, err);
}

static octet_status make_all(octet_samples *s, int threads, octet_error *err)
{
    const octet_limits       none = { 0 };
    const octet_plan_options plan = { .threads = threads / s->workers, .reals = true,
                                      .limits = s->options.calibrate ? s->options.calibrate->limits : none };
    if (!octet_dataset_varies(s->data)) OCTET_TRY(make_plans(s, plan, err));
    return make_samplers(s, &plan, err);
}

octet_status octet_check_bound(const octet_graph *graph, const char *step, octet_error *err)
{
    for (size_t i = 0; i < graph->input_count; i++)
        for (int d = 1; d < graph->inputs[i]->rank; d++)
            if (graph->inputs[i]->dims[d] == OCTET_DIM_FREE)
                return octet_fail(err, OCTET_ERR_UNSUPPORTED,
                                  "%s: dimension %d of input '%s' is free (need sizes: --shape binds them)", step, d,
                                  graph->inputs[i]->name);
    return OCTET_OK;
}

octet_status octet_samples_open(octet_samples *s, const octet_graph *graph, octet_dataset *data,
                                const octet_samples_options *options, octet_error *err)
{
    *s = (octet_samples){ .graph = graph, .data = data, .options = *options, .total = octet_dataset_count(data) };
    if (options->list) s->total = options->listed;
    if (graph->input_count < 1 || graph->input_count > OCTET_INPUTS_MOST || graph->output_count > OUTPUTS)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "networks with %zu inputs and %zu outputs cannot be calibrated",
                          graph->input_count, graph->output_count);
    const int threads = octet_calibrate_threads(options->calibrate);
    s->workers        = options->in_order ? 1 : threads < MOST_WORKERS ? threads : MOST_WORKERS;
    s->options.rounds = options->rounds ? options->rounds : 1;
    const bool   free_batch = graph->inputs[0]->rank > 0 && graph->inputs[0]->dims[0] == OCTET_DIM_FREE;
    const size_t most       = s->total ? s->total : 1;
    if (!options->batch || !free_batch || octet_dataset_varies(data)) s->options.batch = 1;
    if (s->options.batch > most) s->options.batch = most;
    s->arena          = octet_arena_new();
    if (!s->arena) return octet_fail_memory(err);
    return make_all(s, threads, err);
}

void octet_samples_free(octet_samples *s)
{
    for (int i = 0; s->samplers && i < s->workers; i++) {
        octet_workspace_free(s->samplers[i].workspace);
        octet_workspace_free(s->samplers[i].rest);
        octet_binding_free(s->samplers[i].binding);
        octet_arena_free(s->samplers[i].arena);
    }
    octet_plan_free(s->plan);
    octet_plan_free(s->rest_plan);
    octet_arena_free(s->arena);
    *s = (octet_samples){ 0 };
}

void octet_samples_order_sums(const octet_samples *s, const octet_value *value, int64_t *sums, int64_t *room)
{
    if (s->plan) octet_workspace_order_sums(s->samplers[0].workspace, value, sums, room);
}
