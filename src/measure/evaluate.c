/* SPDX-License-Identifier: Apache-2.0 */
/* Scores over a data set. Samples are read and run in chunks, one sample a thread, and scored in order, so that sums do
   not depend on threads. */
#include <octet/report.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/parallel.h"
#include "measure/score.h"
#include "measure/sqnr.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { OUTPUTS_MAX = 64, CHUNK_MAX = 64, CHUNK_BYTES = 16 << 20, WORKERS_MAX = 4 };

/* One of the two networks. */
typedef struct runner {
    octet_plan      *plan;
    octet_workspace *workspaces[WORKERS_MAX];
    size_t           batch;
    float           *inputs[WORKERS_MAX]; /* of one batch, where that is more than one sample */
    octet_tensor     output; /* of one sample */
    size_t           labelled, top1, top5, squares;
    double           square_sum, psnr_sum;
} runner;

typedef struct evaluation {
    octet_dataset                *data;
    const octet_evaluate_options *options;
    octet_arena                  *arena;
    runner                        runners[2];
    int                           count; /* runners in use */
    int                           workers, inner_threads;
    octet_port                    port;
    size_t                        sample; /* elements */
    size_t                        chunk;  /* samples read at once */
    float                        *values;
    int64_t                      *labels;
    octet_error                  *errors;
    size_t                        first;   /* of the chunk being read */
    size_t                        held, next; /* samples in the chunk, jobs taken so far */
    double                        spent[2][WORKERS_MAX];
    float                        *kept[2]; /* outputs of a chunk */
    size_t                        agreed, compared;
    octet_sqnr                    sqnr;
} evaluation;

/* ---- reading ---- */

static void read_one(void *context, size_t i)
{
    evaluation *const e = context;
    octet_dataset_read(e->data, e->first + i, e->values + i * e->sample, &e->labels[i], &e->errors[i]);
}

/* The error of the first sample that has one. */
static octet_status first_error(const evaluation *e, size_t count, octet_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (e->errors[i].status == OCTET_OK) continue;
        if (err && err->status == OCTET_OK) *err = e->errors[i];
        return e->errors[i].status;
    }
    return OCTET_OK;
}

static octet_status read_chunk(evaluation *e, size_t count, octet_error *err)
{
    memset(e->errors, 0, 2 * e->chunk * sizeof *e->errors);
    octet_parallel(count, e->workers * e->inner_threads, read_one, e);
    return first_error(e, count, err);
}

/* ---- running ---- */

/* The first output as one sample's; its type and batch must be what scores can be made of. */
static octet_status take_output(runner *r, const octet_tensor *output, octet_error *err)
{
    if (output->dtype != OCTET_F32 || output->qparams)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the first output is %s (need f32 to score it)",
                          octet_dtype_name(output->dtype));
    if (r->batch > 1 && (output->rank < 1 || output->dims[0] != (int64_t)r->batch))
        return octet_fail(err, OCTET_ERR_SHAPE, "the first output does not keep a batch of %zu apart", r->batch);
    r->output = *output;
    if (r->batch > 1) r->output.dims[0] = 1;
    return OCTET_OK;
}

/* Samples at..at + batch - 1 of the chunk, the last one repeated where it ends. */
static octet_tensor batch_input(const evaluation *e, const runner *r, int worker, size_t at)
{
    octet_tensor input = {.dtype = OCTET_F32, .rank = e->port.rank, .data = e->values + at * e->sample};
    memcpy(input.dims, e->port.dims, sizeof input.dims);
    input.dims[0] = (int64_t)r->batch;
    if (r->batch <= 1) return input;
    for (size_t i = 0; i < r->batch; i++) {
        const size_t from = at + i < e->held ? at + i : e->held - 1;
        memcpy(r->inputs[worker] + i * e->sample, e->values + from * e->sample, e->sample * sizeof(float));
    }
    input.data = r->inputs[worker];
    return input;
}

/* Runs one batch and keeps its outputs. first: fixes their shape and makes room for them. */
static octet_status run_batch(evaluation *e, int which, int worker, size_t at, octet_error *err)
{
    runner *const      r = &e->runners[which];
    octet_tensor       outputs[OUTPUTS_MAX] = {0};
    const octet_tensor input = batch_input(e, r, worker, at);
    const double       start = octet_clock();
    OCTET_TRY(octet_run(r->workspaces[worker], &input, outputs, err));
    e->spent[which][worker] += octet_clock() - start;
    if (!e->kept[which]) {
        OCTET_TRY(take_output(r, &outputs[0], err));
        const size_t room = e->chunk * (size_t)octet_tensor_count(&r->output);
        OCTET_TRY(octet_arena_get(&e->kept[which], e->arena, room, sizeof(float), err));
    }
    const size_t each = (size_t)octet_tensor_count(&r->output);
    const size_t used = e->held - at < r->batch ? e->held - at : r->batch;
    memcpy(e->kept[which] + at * each, outputs[0].data, used * each * sizeof(float));
    return OCTET_OK;
}

/* Jobs of a chunk: the batches of the model, then those of the baseline. */
static size_t batches(const evaluation *e, int which)
{
    return (e->held + e->runners[which].batch - 1) / e->runners[which].batch;
}

static void run_worker(void *context, size_t worker)
{
    evaluation *const e = context;
    const size_t      split = batches(e, 0), total = split + (e->count > 1 ? batches(e, 1) : 0);
    for (;;) {
        const size_t job = __atomic_fetch_add(&e->next, 1, __ATOMIC_RELAXED);
        if (job >= total) return;
        const int    which = job >= split;
        const size_t at = (which ? job - split : job) * e->runners[which].batch;
        run_batch(e, which, (int)worker, at, &e->errors[(size_t)which * e->chunk + at]);
    }
}

/* The first batch of each network, ever, runs alone: it says how large outputs are. */
static octet_status run_first(evaluation *e, octet_error *err)
{
    for (int i = 0; i < e->count; i++)
        if (!e->kept[i]) OCTET_TRY(run_batch(e, i, 0, 0, err));
    return OCTET_OK;
}

/* ---- scoring ---- */

static void score_label(runner *r, const float *output, size_t classes, int64_t label)
{
    if (label < 0 || !classes) return;
    r->labelled++;
    if ((uint64_t)label >= classes) return;
    const size_t rank = octet_label_rank(output, classes, (size_t)label);
    r->top1 += rank == 0;
    r->top5 += rank < 5;
}

/* Against the reference, or against the input where the two have one shape. */
static octet_status score_squares(evaluation *e, runner *r, size_t index, const float *input, octet_error *err)
{
    const octet_tensor reference = octet_dataset_reference(e->data, index);
    const int64_t      count = octet_tensor_count(&r->output);
    const float       *truth = reference.data;
    octet_squares      squares;
    if (truth && octet_tensor_count(&reference) != count) {
        char got[160], need[160];
        return octet_fail(err, OCTET_ERR_SHAPE, "wrong shape of references (got %s, the network's output is %s)",
                          octet_shape_text(got, sizeof got, reference.dims, reference.rank),
                          octet_shape_text(need, sizeof need, r->output.dims, r->output.rank));
    }
    if (!truth) {
        if (e->port.rank != r->output.rank ||
            memcmp(e->port.dims, r->output.dims, sizeof *e->port.dims * (size_t)e->port.rank))
            return OCTET_OK;
        truth = input;
    }
    if (!octet_squares_of(&squares, &r->output, truth, e->options->border))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "a border of %d leaves nothing of the output", e->options->border);
    r->squares++;
    r->square_sum += squares.mean;
    r->psnr_sum += squares.unit ? octet_psnr_db(squares.clamped) : NAN;
    return OCTET_OK;
}

static octet_status score_sample(evaluation *e, size_t at, octet_error *err)
{
    size_t       classes[2] = {0}, each[2] = {0};
    const float *outputs[2] = {NULL};
    for (int i = 0; i < e->count; i++) {
        runner *const r = &e->runners[i];
        each[i] = (size_t)octet_tensor_count(&r->output);
        outputs[i] = e->kept[i] + at * each[i];
        classes[i] = octet_class_count(&r->output);
        r->output.data = e->kept[i] + at * each[i];
        score_label(r, outputs[i], classes[i], e->labels[at]);
        OCTET_TRY(score_squares(e, r, e->first + at, e->values + at * e->sample, err));
    }
    if (e->count < 2) return OCTET_OK;
    if (each[0] != each[1])
        return octet_fail(err, OCTET_ERR_SHAPE, "the first outputs differ in size (got %zu, the baseline has %zu)",
                          each[0], each[1]);
    octet_sqnr_add(&e->sqnr, outputs[1], outputs[0], each[0]);
    if (!classes[0]) return OCTET_OK;
    e->compared++;
    e->agreed += octet_argmax(outputs[0], classes[0]) == octet_argmax(outputs[1], classes[0]);
    return OCTET_OK;
}

/* ---- the whole ---- */

static octet_status start_runner(runner *r, const evaluation *e, const octet_graph *graph,
                                 const octet_plan_options *options, octet_error *err)
{
    octet_plan_options how = *options;
    if (octet_graph_output_count(graph) > OUTPUTS_MAX)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "%zu outputs (need at most %d)", octet_graph_output_count(graph),
                          OUTPUTS_MAX);
    r->batch = how.batch > 1 && how.batch <= CHUNK_MAX ? (size_t)how.batch : 1;
    how.batch = (int64_t)r->batch;
    how.threads = e->inner_threads, how.reals = true;
    OCTET_TRY(octet_plan_create(&r->plan, graph, &how, err));
    for (int i = 0; i < e->workers; i++) {
        const size_t own = r->batch > 1 ? r->batch * e->sample : 0;
        OCTET_TRY(octet_arena_get(&r->inputs[i], e->arena, own, sizeof(float), err));
        OCTET_TRY(octet_workspace_create(&r->workspaces[i], r->plan, err));
    }
    return OCTET_OK;
}

static octet_status start(evaluation *e, octet_graph *const graphs[2], octet_error *err)
{
    octet_tensor shape = {.dtype = OCTET_F32, .rank = e->port.rank};
    memcpy(shape.dims, e->port.dims, sizeof shape.dims);
    e->sample = (size_t)octet_tensor_count(&shape);
    e->chunk = CHUNK_BYTES / sizeof(float) / (e->sample ? e->sample : 1);
    e->chunk = e->chunk < 1 ? 1 : e->chunk > CHUNK_MAX ? CHUNK_MAX : e->chunk;
    for (int i = 0; i < e->count; i++)
        OCTET_TRY(start_runner(&e->runners[i], e, graphs[i], i ? &e->options->baseline_plan : &e->options->plan, err));
    for (int i = 0; i < e->count; i++)
        if (e->chunk < e->runners[i].batch) e->chunk = e->runners[i].batch;
    OCTET_TRY(octet_arena_get(&e->values, e->arena, e->chunk * e->sample, sizeof *e->values, err));
    OCTET_TRY(octet_arena_get(&e->labels, e->arena, e->chunk, sizeof *e->labels, err));
    return octet_arena_get(&e->errors, e->arena, 2 * e->chunk, sizeof *e->errors, err);
}

static octet_status run_chunk(evaluation *e, size_t count, size_t total, octet_error *err)
{
    OCTET_TRY(read_chunk(e, count, err));
    e->held = count;
    OCTET_TRY(run_first(e, err));
    e->next = 0;
    octet_parallel((size_t)e->workers, e->workers, run_worker, e);
    OCTET_TRY(first_error(e, 2 * e->chunk, err));
    for (size_t at = 0; at < count; at++) OCTET_TRY(score_sample(e, at, err));
    const octet_progress progress = {"evaluate", e->first + count, total};
    if (e->options->progress && e->options->progress(e->options->progress_context, &progress))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
    return OCTET_OK;
}

static double share(size_t part, size_t whole) { return whole ? (double)part / (double)whole : NAN; }

static octet_scores sum_up(const evaluation *e, int which)
{
    const runner *const r = &e->runners[which];
    const bool          both = e->count == 2 && which == 0;
    const size_t        classes = octet_class_count(&r->output);
    double              seconds = 0;
    for (int i = 0; i < e->workers; i++) seconds += e->spent[which][i] / e->workers;
    return (octet_scores){
        .count = octet_dataset_count(e->data),
        .top1 = share(r->top1, r->labelled),
        .top5 = classes >= 5 ? share(r->top5, r->labelled) : NAN,
        .mse = r->squares ? r->square_sum / (double)r->squares : NAN,
        .psnr_db = r->squares ? r->psnr_sum / (double)r->squares : NAN,
        .agreement = both ? share(e->agreed, e->compared) : NAN,
        .sqnr_db = both ? octet_sqnr_db(&e->sqnr) : NAN,
        .seconds = seconds,
    };
}

static octet_status evaluate(evaluation *e, octet_graph *const graphs[2], octet_error *err)
{
    const size_t total = octet_dataset_count(e->data);
    OCTET_TRY(start(e, graphs, err));
    for (e->first = 0; e->first < total; e->first += e->chunk)
        OCTET_TRY(run_chunk(e, total - e->first < e->chunk ? total - e->first : e->chunk, total, err));
    return OCTET_OK;
}

octet_status octet_evaluate(octet_scores scores[2], octet_graph *model, octet_graph *baseline, octet_dataset *data,
                            const octet_evaluate_options *options, octet_error *err)
{
    const octet_evaluate_options defaults = {0};
    octet_graph *const           graphs[2] = {model, baseline};
    if (options && options->border < 0)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "a border of %d (need 0 or more)", options->border);
    for (int i = 0; i < 2; i++)
        if (graphs[i]) OCTET_TRY(octet_fuse(graphs[i], err));
    evaluation         e = {.data = data,
                            .options = options ? options : &defaults,
                            .count = baseline ? 2 : 1,
                            .port = octet_dataset_port(data),
                            .arena = octet_arena_new()};
    const int          threads = e.options->plan.threads > 0 ? e.options->plan.threads : octet_threads_available();
    e.workers = threads < WORKERS_MAX ? threads : WORKERS_MAX;
    e.inner_threads = threads / e.workers;
    const octet_status status = e.arena ? evaluate(&e, graphs, err) : octet_fail_memory(err);
    for (int i = 0; i < 2; i++) {
        for (int w = 0; w < WORKERS_MAX; w++) octet_workspace_free(e.runners[i].workspaces[w]);
        octet_plan_free(e.runners[i].plan);
        if (status == OCTET_OK) scores[i] = sum_up(&e, i);
    }
    octet_arena_free(e.arena);
    return status;
}
