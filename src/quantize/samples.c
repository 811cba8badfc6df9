/* SPDX-License-Identifier: Apache-2.0 */
/* Workers take the next sample until none is left or somebody failed. Worker 0 is the calling thread: it reports. */
#include "quantize/samples.h"

#include "base/parallel.h"

#include <string.h>

enum { MOST_WORKERS = 4, OUTPUTS = 64 }; /* each has a workspace of its own */

struct octet_sampler {
    octet_samples   *samples;
    octet_workspace *workspace;
    float           *input;
    int              worker;
    size_t           sample;
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
    const octet_seen seen = { sampler->sample, sampler->worker, octet_graph_find_value(s->graph, name), tensor };
    return seen.value ? s->see(s->context, &seen, err) : OCTET_OK;
}

static octet_status one_sample(octet_sampler *sampler, octet_error *err)
{
    octet_samples *const s     = sampler->samples;
    octet_tensor         input = octet_dataset_tensor(s->data);
    octet_tensor         outputs[OUTPUTS];
    input.data = sampler->input;
    OCTET_TRY(octet_dataset_read(s->data, sampler->sample, sampler->input, NULL, err));
    return octet_run(sampler->workspace, &input, outputs, err);
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
        sampler->sample = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED);
        if (sampler->sample >= s->end) return;
        octet_status status = one_sample(sampler, &sampler->error);
        const size_t done   = __atomic_add_fetch(&s->done, 1, __ATOMIC_RELAXED);
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

octet_status octet_samples_run(octet_samples *s, octet_samples_hook see_value, void *context, octet_error *err)
{
    s->see     = see_value;
    s->context = context;
    s->next    = 0;
    s->end     = s->total ? 1 : 0;
    run_worker(s, 0);
    s->next = s->end;
    s->end  = s->total;
    if (s->samplers[0].error.status == OCTET_OK) octet_parallel((size_t)s->workers, s->workers, run_worker, s);
    return first_error(s, err);
}

static octet_status make_samplers(octet_samples *s, octet_error *err)
{
    const octet_tensor shape = octet_dataset_tensor(s->data);
    OCTET_TRY(octet_arena_get(&s->samplers, s->arena, (size_t)s->workers, sizeof *s->samplers, err));
    for (int i = 0; i < s->workers; i++) {
        octet_sampler *const sampler = &s->samplers[i];
        sampler->samples             = s;
        sampler->worker              = i;
        OCTET_TRY(octet_workspace_create(&sampler->workspace, s->plan, err));
        if (s->options.raw) octet_workspace_set_raw_hook(sampler->workspace, see, sampler);
        else octet_workspace_set_hook(sampler->workspace, see, sampler);
        OCTET_TRY(octet_arena_get(&sampler->input, s->arena, (size_t)octet_tensor_count(&shape), sizeof(float), err));
    }
    return OCTET_OK;
}

octet_status octet_samples_open(octet_samples *s, const octet_graph *graph, octet_dataset *data,
                                const octet_samples_options *options, octet_error *err)
{
    *s = (octet_samples){ .graph = graph, .data = data, .options = *options, .total = octet_dataset_count(data) };
    if (graph->input_count != 1 || graph->output_count > OUTPUTS)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "networks with %zu inputs and %zu outputs cannot be calibrated",
                          graph->input_count, graph->output_count);
    const int threads = octet_calibrate_threads(options->calibrate);
    s->workers        = options->in_order ? 1 : threads < MOST_WORKERS ? threads : MOST_WORKERS;
    s->options.rounds = options->rounds ? options->rounds : 1;
    s->arena          = octet_arena_new();
    if (!s->arena) return octet_fail_memory(err);
    const octet_plan_options plan = { .threads = threads / s->workers, .batch = 1,
                                      .limits = options->calibrate ? options->calibrate->limits : (octet_limits){ 0 } };
    OCTET_TRY(octet_plan_create(&s->plan, graph, &plan, err));
    return make_samplers(s, err);
}

void octet_samples_free(octet_samples *s)
{
    for (int i = 0; s->samplers && i < s->workers; i++) octet_workspace_free(s->samplers[i].workspace);
    octet_plan_free(s->plan);
    octet_arena_free(s->arena);
    *s = (octet_samples){ 0 };
}

const octet_workspace *octet_samples_workspace(const octet_samples *s) { return s->samplers[0].workspace; }
