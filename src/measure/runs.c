/* SPDX-License-Identifier: Apache-2.0 */
/* Samples are cut into jobs that threads take one after the other; what is kept lies in the order of samples, so that
   nobody's sums depend on threads. Where samples vary in shape each is a chunk of its own, run by all threads. */
#include "measure/evaluate.h"

#include "base/clock.h"
#include "base/parallel.h"

#include <string.h>

enum { CHUNK_BYTES = 16 << 20 };

/* ---- reading ---- */

static void read_one(void *context, size_t i)
{
    octet_runs *const e = context;
    octet_tensor      inputs[OCTET_INPUTS_MOST];
    for (size_t k = 0; k < e->source.port_count; k++) inputs[k] = e->samples[i][k];
    octet_dataset_read_inputs(e->source.data, e->first + i, inputs, &e->labels[i], &e->errors[i]);
}

/* The error of the first sample that has one. */
static octet_status first_error(const octet_runs *e, size_t count, octet_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (e->errors[i].status == OCTET_OK) continue;
        if (err && err->status == OCTET_OK) *err = e->errors[i];
        return e->errors[i].status;
    }
    return OCTET_OK;
}

/* Room for a sample whose shape is its own. */
static octet_status make_room(octet_runs *e, octet_error *err)
{
    octet_arena_free(e->chunk_arena);
    e->chunk_arena = octet_arena_new();
    if (!e->chunk_arena) return octet_fail_memory(err);
    for (int i = 0; i < e->count; i++) e->runners[i].shaped = false;
    return octet_inputs_make_at(&e->samples[0], &e->source, e->first, e->chunk_arena, err);
}

static octet_status read_chunk(octet_runs *e, size_t count, octet_error *err)
{
    if (e->varies) OCTET_TRY(make_room(e, err));
    memset(e->errors, 0, 2 * e->chunk * sizeof *e->errors);
    octet_parallel(count, e->workers * e->inner_threads, read_one, e);
    return first_error(e, count, err);
}

/* ---- running ---- */

/* Samples at..at + batch - 1 of the chunk, the last one repeated where it ends. */
static const octet_tensor *batch_inputs(const octet_runs *e, const octet_runner *r, int worker, size_t at)
{
    if (r->batch <= 1) return e->samples[at];
    for (size_t i = 0; i < r->batch; i++) {
        const octet_tensor *const from = e->samples[at + i < e->held ? at + i : e->held - 1];
        for (size_t k = 0; k < e->source.port_count; k++) {
            const size_t bytes = (size_t)octet_tensor_bytes(&from[k]);
            memcpy((uint8_t *)r->sets[worker][k].data + i * bytes, from[k].data, bytes);
        }
    }
    return r->sets[worker];
}

/* Fixes the outputs' shapes and makes room for a chunk of those that scores can be made of. */
static octet_status shape_outputs(octet_runs *e, octet_runner *r, const octet_tensor *outputs, octet_error *err)
{
    const size_t count = octet_graph_output_count(r->graph);
    for (size_t o = 0; o < count; o++) {
        octet_tensor *const out   = &r->outputs[o];
        const bool          apart = r->batch <= 1 || (outputs[o].rank > 0 && outputs[o].dims[0] == (int64_t)r->batch);
        *out      = outputs[o];
        out->data = NULL;
        if (r->batch > 1 && apart) out->dims[0] = 1;
        if (out->dtype != OCTET_F32 || !apart) continue;
        OCTET_TRY(octet_arena_get(&out->data, e->varies ? e->chunk_arena : e->arena,
                                  e->chunk * (size_t)octet_tensor_count(out), sizeof(float), err));
    }
    r->shaped = true;
    return OCTET_OK;
}

static octet_status workspace_for(octet_workspace **ws, const octet_runs *e, const octet_runner *r, int worker,
                                  octet_error *err)
{
    *ws = r->workspaces[worker];
    if (!e->varies) return OCTET_OK;
    const octet_status status = octet_binding_take(ws, r->binding, e->samples[0], err);
    if (status != OCTET_OK) octet_error_file(err, octet_dataset_name(e->source.data, e->first));
    return status;
}

/* Runs one batch and keeps its outputs. */
static octet_status run_batch(octet_runs *e, int which, int worker, size_t at, octet_error *err)
{
    octet_runner *const r                          = &e->runners[which];
    octet_tensor        outputs[OCTET_RUN_OUTPUTS] = { 0 };
    octet_workspace    *ws;
    OCTET_TRY(workspace_for(&ws, e, r, worker, err));
    const octet_tensor *const inputs = batch_inputs(e, r, worker, at);
    const double              start  = octet_clock();
    OCTET_TRY(octet_run(ws, inputs, outputs, err));
    r->spent[worker] += octet_clock() - start;
    if (!r->shaped) OCTET_TRY(shape_outputs(e, r, outputs, err));
    const size_t used = e->held - at < r->batch ? e->held - at : r->batch;
    for (size_t o = 0; o < octet_graph_output_count(r->graph); o++) {
        const size_t each = (size_t)octet_tensor_count(&r->outputs[o]);
        if (r->outputs[o].data && each)
            memcpy((float *)r->outputs[o].data + at * each, outputs[o].data, used * each * sizeof(float));
    }
    return OCTET_OK;
}

/* Jobs of a chunk: the batches of the model, then those of the baseline. */
static size_t batches(const octet_runs *e, int which)
{
    return (e->held + e->runners[which].batch - 1) / e->runners[which].batch;
}

static void run_worker(void *context, size_t worker)
{
    octet_runs *const e     = context;
    const size_t      split = batches(e, 0), total = split + (e->count > 1 ? batches(e, 1) : 0);
    for (;;) {
        const size_t job = __atomic_fetch_add(&e->next, 1, __ATOMIC_RELAXED);
        if (job >= total) return;
        const int    which = job >= split;
        const size_t at    = (which ? job - split : job) * e->runners[which].batch;
        run_batch(e, which, (int)worker, at, &e->errors[(size_t)which * e->chunk + at]);
    }
}

/* The first batch of each network, ever, runs alone: it says how large outputs are. */
static octet_status run_first(octet_runs *e, octet_error *err)
{
    for (int i = 0; i < e->count; i++)
        if (!e->runners[i].shaped) OCTET_TRY(run_batch(e, i, 0, 0, err));
    return OCTET_OK;
}

octet_status octet_runs_chunk(octet_runs *e, size_t first, size_t count, octet_error *err)
{
    e->first = first;
    e->held  = count;
    OCTET_TRY(read_chunk(e, count, err));
    OCTET_TRY(run_first(e, err));
    if (e->varies) return OCTET_OK; /* that was all */
    e->next = 0;
    octet_parallel((size_t)e->workers, e->workers, run_worker, e);
    return first_error(e, 2 * e->chunk, err);
}

octet_tensor octet_runs_output(const octet_runs *e, int which, size_t output, size_t at)
{
    octet_tensor tensor = e->runners[which].outputs[output];
    if (tensor.data) tensor.data = (float *)tensor.data + at * (size_t)octet_tensor_count(&tensor);
    return tensor;
}

/* ---- making ---- */

static octet_status start_runner(octet_runner *r, octet_runs *e, const octet_plan_options *options, octet_error *err)
{
    octet_plan_options how    = *options;
    octet_inputs       source = e->source;
    octet_tensor      *shapes;
    if (octet_graph_output_count(r->graph) > OCTET_RUN_OUTPUTS)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "%zu outputs (need at most %d)",
                          octet_graph_output_count(r->graph), OCTET_RUN_OUTPUTS);
    if (octet_graph_input_count(r->graph) != e->source.port_count)
        return octet_fail(err, OCTET_ERR_SHAPE, "the networks have %zu and %zu inputs", e->source.port_count,
                          octet_graph_input_count(r->graph));
    r->batch    = !e->varies && how.batch > 1 && how.batch <= OCTET_RUN_CHUNK ? (size_t)how.batch : 1;
    how.threads = e->inner_threads, how.reals = true;
    if (e->varies) return octet_binding_create(&r->binding, r->graph, &how, err);
    source.batch = (int64_t)r->batch;
    OCTET_TRY(octet_inputs_shapes(&shapes, &source, e->arena, err));
    how.inputs = shapes;
    OCTET_TRY(octet_plan_create(&r->plan, r->graph, &how, err));
    for (int i = 0; i < e->workers; i++) {
        if (r->batch > 1) OCTET_TRY(octet_inputs_make(&r->sets[i], &source, e->arena, err));
        OCTET_TRY(octet_workspace_create(&r->workspaces[i], r->plan, err));
    }
    return OCTET_OK;
}

/* Samples of one shape: as many at once as their bytes allow. */
static octet_status make_chunk(octet_runs *e, octet_error *err)
{
    size_t bytes = 1;
    for (size_t k = 0; k < e->source.port_count; k++) {
        const octet_tensor input = octet_dataset_input(e->source.data, k);
        bytes += (size_t)octet_tensor_bytes(&input);
    }
    e->chunk = CHUNK_BYTES / bytes;
    e->chunk = e->varies || e->chunk < 1 ? 1 : e->chunk > OCTET_RUN_CHUNK ? OCTET_RUN_CHUNK : e->chunk;
    for (int i = 0; i < e->count; i++)
        if (e->chunk < e->runners[i].batch) e->chunk = e->runners[i].batch;
    for (size_t i = 0; !e->varies && i < e->chunk; i++)
        OCTET_TRY(octet_inputs_make(&e->samples[i], &e->source, e->arena, err));
    OCTET_TRY(octet_arena_get(&e->labels, e->arena, e->chunk, sizeof *e->labels, err));
    return octet_arena_get(&e->errors, e->arena, 2 * e->chunk, sizeof *e->errors, err);
}

octet_status octet_runs_make(octet_runs *e, const octet_evaluate_options *options, octet_error *err)
{
    const int threads = options->plan.threads > 0 ? options->plan.threads : octet_threads_available();
    e->source.batch      = 1;
    e->source.port_count = octet_graph_input_count(e->runners[0].graph);
    e->varies            = octet_dataset_varies(e->source.data);
    e->workers           = e->varies ? 1 : threads < OCTET_RUN_WORKERS ? threads : OCTET_RUN_WORKERS;
    e->inner_threads     = threads / e->workers;
    if (e->source.port_count > OCTET_INPUTS_MOST)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "%zu inputs (need at most %d)", e->source.port_count,
                          (int)OCTET_INPUTS_MOST);
    for (int i = 0; i < e->count; i++)
        OCTET_TRY(start_runner(&e->runners[i], e, i ? &options->baseline_plan : &options->plan, err));
    return make_chunk(e, err);
}

void octet_runs_release(octet_runs *e)
{
    for (int i = 0; i < 2; i++) {
        octet_runner *const r = &e->runners[i];
        for (int w = 0; w < OCTET_RUN_WORKERS; w++) octet_workspace_free(r->workspaces[w]);
        octet_plan_free(r->plan);
        octet_binding_free(r->binding);
    }
    octet_arena_free(e->chunk_arena);
}
