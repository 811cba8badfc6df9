/* SPDX-License-Identifier: Apache-2.0 */
/* The whole loop. What it knows beyond the trainer is one record, which lies in the checkpoint beside the trainer's
   state; everything else follows from the number of steps taken. So a run that is taken up again computes what one that
   was never interrupted does. */
#include <octet/report.h>
#include <octet/train.h>

#include "base/arena.h"
#include "base/clock.h"
#include "train/batches.h"
#include "train/trainer.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* In the checkpoint, followed by the trainer's state as it scored best. */
typedef struct record {
    uint64_t     data;                    /* hash of what is trained and validated on */
    uint64_t     ended, best_epoch;       /* epochs; validated ones, where there is validation */
    uint64_t     has_best, since_best;    /* epochs since then */
    double       sum_loss, sum_top1;      /* over the steps of the present epoch */
    octet_scores scores;                  /* of the best */
} record;

enum { USUAL_INTERVAL = 100 }; /* steps between checkpoints within an epoch */

typedef struct fit {
    octet_trainer             *trainer;
    const octet_fit_options   *options;
    const octet_train_options *train;
    octet_batches             *batches;
    record                    *record; /* own_size bytes */
    size_t                     own_size;
    size_t                     per_epoch;
    octet_fit_progress         progress;
    size_t                     saved; /* steps taken when the checkpoint was written */
    double                     began, step_seconds, validation_seconds;
    bool                       interrupted;
} fit;

/* ---- telling ---- */

static void update_progress(fit *f)
{
    octet_fit_progress *const p    = &f->progress;
    const size_t              done = p->last.step, ended = (size_t)f->record->ended;
    const double              steps = (double)(done - ended * f->per_epoch), run = (double)(done - p->resumed);
    const double              validations = f->options->validation ? (double)(p->epochs - ended) : 0;
    p->epoch     = ended;
    p->seconds   = octet_clock() - f->began;
    p->remaining = NAN;
    if (run > 0)
        p->remaining = f->step_seconds / run * (double)(p->steps - done) + validations * f->validation_seconds;
    p->mean_loss = f->record->sum_loss / steps; /* 0 / 0 before the first */
    p->mean_top1 = f->record->sum_top1 / steps;
}

/* Whether the work is to go on. */
static bool tell(fit *f, octet_fit_event event)
{
    f->progress.event = event;
    if (event != OCTET_FIT_EPOCH) update_progress(f);
    if (f->options->progress && f->options->progress(f->options->progress_context, &f->progress))
        f->interrupted = true;
    return !f->interrupted;
}

static octet_status save(fit *f, octet_error *err)
{
    f->saved = octet_trainer_steps(f->trainer);
    if (!f->options->checkpoint) return OCTET_OK;
    return octet_trainer_save_with(f->trainer, f->options->checkpoint, f->record, f->own_size, err);
}

/* By steps alone where an interval is given: epochs may be shorter than it takes to write a file. */
static octet_status save_if_due(fit *f, bool epoch, octet_error *err)
{
    const size_t interval = f->options->checkpoint_steps, since = octet_trainer_steps(f->trainer) - f->saved;
    return since >= (interval ? interval : epoch ? 1 : USUAL_INTERVAL) ? save(f, err) : OCTET_OK;
}

/* The checkpoint comes first: whoever sees the error can come back. */
static octet_status stop(fit *f, octet_error *err)
{
    OCTET_TRY(save(f, err));
    return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
}

/* ---- epochs ---- */

static int on_evaluated(void *context, const octet_progress *progress)
{
    fit *const f            = context;
    f->progress.validated   = progress->done;
    f->progress.to_validate = progress->total;
    return !tell(f, OCTET_FIT_VALIDATE);
}

static bool is_better(const fit *f, double score)
{
    const double best = octet_score(&f->record->scores, f->options->metric);
    if (!f->record->has_best) return true;
    return f->options->metric == OCTET_METRIC_MSE ? score < best : score > best;
}

static octet_status judge(fit *f, const octet_scores *scores, octet_error *err)
{
    const double score = octet_score(scores, f->options->metric);
    if (isnan(score))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "the validation data has no %s to choose the best state by",
                          octet_metric_name(f->options->metric));
    record *const r    = f->record;
    f->progress.best   = is_better(f, score);
    f->progress.scores = scores;
    r->since_best++;
    if (!f->progress.best) return OCTET_OK;
    r->since_best = 0;
    r->has_best   = 1;
    r->best_epoch = r->ended;
    r->scores     = *scores;
    octet_trainer_state_get(r + 1, f->trainer);
    return OCTET_OK;
}

/* Scores what would ship now, in the engine. */
static octet_status validate(octet_scores scores[2], fit *f, octet_error *err)
{
    const octet_plan_options     plan    = { .threads = f->train->threads, .limits = f->train->limits };
    const octet_evaluate_options options = { plan, plan, .progress = on_evaluated, .progress_context = f };
    octet_graph *const           beside  = octet_metric_compares(f->options->metric) ? f->options->baseline : NULL;
    octet_graph                 *graph;
    const double                 start = octet_clock();
    OCTET_TRY(octet_trainer_quantized(&graph, f->trainer, err));
    const octet_status status = octet_evaluate(scores, graph, beside, f->options->validation, &options, err);
    octet_graph_free(graph);
    f->validation_seconds = octet_clock() - start;
    return status;
}

/* Scores the present state as that of `ended` epochs. */
static octet_status close_epoch(fit *f, uint64_t ended, octet_error *err)
{
    octet_scores scores[2];
    f->progress.best   = false;
    f->progress.scores = NULL;
    if (f->options->validation) {
        octet_error        why    = { 0 };
        const octet_status status = validate(scores, f, &why);
        if (f->interrupted) return stop(f, err);
        if (status != OCTET_OK && err && err->status == OCTET_OK) *err = why;
        OCTET_TRY(status);
    }
    update_progress(f);
    f->record->ended  = ended;
    f->progress.epoch = (size_t)ended;
    if (f->options->validation) OCTET_TRY(judge(f, scores, err));
    f->record->sum_loss = f->record->sum_top1 = 0;
    if (!tell(f, OCTET_FIT_EPOCH)) return stop(f, err);
    f->progress.scores = NULL;
    return save_if_due(f, ended > 0, err);
}

/* ---- steps ---- */

static octet_status take_step(fit *f, octet_error *err)
{
    const double             start = octet_clock();
    octet_train_batch        batch;
    octet_train_result *const last = &f->progress.last;
    OCTET_TRY(octet_batches_read(&batch, f->batches, octet_trainer_steps(f->trainer), err));
    OCTET_TRY(octet_trainer_step(f->trainer, &batch, last, err));
    f->record->sum_loss += last->loss;
    f->record->sum_top1 += last->top1;
    f->step_seconds += octet_clock() - start;
    if (!tell(f, OCTET_FIT_STEP)) return stop(f, err);
    return last->step % f->per_epoch ? save_if_due(f, false, err) : OCTET_OK; /* else when the epoch has ended */
}

static bool patience_is_out(const fit *f)
{
    return f->options->patience && f->record->since_best >= f->options->patience;
}

static octet_status run(fit *f, octet_error *err)
{
    if (!tell(f, OCTET_FIT_START)) return stop(f, err);
    const bool begun = f->record->has_best || octet_trainer_steps(f->trainer) > 0;
    if (f->options->validation && !begun) OCTET_TRY(close_epoch(f, 0, err)); /* training may make it worse */
    for (;;) {
        const size_t step = octet_trainer_steps(f->trainer);
        if (f->record->ended < step / f->per_epoch) OCTET_TRY(close_epoch(f, f->record->ended + 1, err));
        else if (step >= f->progress.steps || patience_is_out(f)) return save(f, err);
        else OCTET_TRY(take_step(f, err));
    }
}

/* ---- beginning and end ---- */

static octet_status check(const octet_fit_options *options, octet_error *err)
{
    const bool classes = options->metric == OCTET_METRIC_TOP1 || options->metric == OCTET_METRIC_TOP5;
    if (options->validation && classes && !octet_dataset_has_labels(options->validation))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "validation by %s needs labels", octet_metric_name(options->metric));
    if (options->validation && octet_metric_compares(options->metric) && !options->baseline)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "validation by %s needs a baseline",
                          octet_metric_name(options->metric));
    if (options->patience && !options->validation)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "patience needs validation");
    return OCTET_OK;
}

static octet_status resume(fit *f, octet_error *err)
{
    const char *const path = f->options->checkpoint;
    const uint64_t    data = f->record->data;
    if (!path || f->options->restart || access(path, F_OK) != 0) return OCTET_OK;
    OCTET_TRY(octet_trainer_load_with(f->trainer, path, f->record, f->own_size, err));
    if (f->record->data != data) {
        octet_error_file(err, path);
        return octet_fail(err, OCTET_ERR_ARGUMENT, "checkpoint of a run with other data or another way to validate");
    }
    return OCTET_OK;
}

static octet_status prepare(fit *f, octet_arena *arena, octet_dataset *data, octet_error *err)
{
    const octet_dataset *const validation = f->options->validation;
    OCTET_TRY(octet_trainer_plan(f->trainer, octet_dataset_count(data), err));
    f->train = octet_trainer_settings(f->trainer);
    OCTET_TRY(octet_batches_new(&f->batches, arena, data, f->train, octet_trainer_graph(f->trainer), err));
    f->per_epoch = octet_batches_per_epoch(f->batches);
    f->own_size  = sizeof *f->record + (validation ? octet_trainer_state_size(f->trainer) : 0);
    OCTET_TRY(octet_arena_get(&f->record, arena, f->own_size, 1, err));
    f->record->data = octet_batches_hash(f->batches);
    if (validation) f->record->data += 1 + octet_dataset_count(validation) * 31 + (uint64_t)f->options->metric;
    OCTET_TRY(resume(f, err));
    f->saved = octet_trainer_steps(f->trainer);
    f->progress = (octet_fit_progress){ .steps     = f->per_epoch * f->train->epochs,
                                        .batch     = f->train->batch,
                                        .epochs    = f->train->epochs,
                                        .resumed   = octet_trainer_steps(f->trainer),
                                        .last.step = octet_trainer_steps(f->trainer) };
    return OCTET_OK;
}

static octet_status finish(octet_graph **quantized, octet_scores *scores, fit *f, octet_error *err)
{
    if (f->record->has_best) octet_trainer_state_set(f->trainer, f->record + 1);
    if (scores) *scores = f->record->has_best ? f->record->scores : (octet_scores){ 0 };
    return octet_trainer_quantized(quantized, f->trainer, err);
}

octet_status octet_fit(octet_graph **quantized, octet_scores *scores, octet_trainer *trainer, octet_dataset *data,
                       const octet_fit_options *options, octet_error *err)
{
    const octet_fit_options none = { 0 };
    fit f = { .trainer = trainer, .options = options ? options : &none, .began = octet_clock() };
    OCTET_TRY(check(f.options, err));
    octet_arena *const arena  = octet_arena_new();
    octet_status       status = arena ? prepare(&f, arena, data, err) : octet_fail_memory(err);
    if (status == OCTET_OK) status = run(&f, err);
    if (status == OCTET_OK) status = finish(quantized, scores, &f, err);
    octet_arena_free(arena);
    return status;
}
