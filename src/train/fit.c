/* SPDX-License-Identifier: Apache-2.0 */
/* The whole loop. What it knows beyond the trainer is one record, which lies in the checkpoint beside the trainer's
   state; everything else follows from the number of steps taken. So a run that is taken up again computes what one that
   was never interrupted does. */
#include <octet/report.h>
#include <octet/train.h>

#include "base/arena.h"
#include "base/clock.h"
#include "train/batches.h"
#include "train/schedule.h"
#include "train/trainer.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { ENDED, HAS_BEST, BEST_EPOCH, SINCE_BEST, BEST_COUNT, COUNTS }; /* since: in epochs */
enum { SUM_LOSS, SUM_TOP1, SUMS };                                      /* over the steps of the present epoch */
enum { TOP1, TOP5, MSE, PSNR, AGREEMENT, SQNR, SECONDS, SCORES };

/* What is in the checkpoint beside the trainer's state. */
typedef struct record {
    uint64_t counts[COUNTS];
    double   sums[SUMS], scores[SCORES]; /* scores: of the best */
    void    *best; /* the state that scored best; NULL without validation */
} record;

typedef struct fit {
    octet_trainer             *trainer;
    const octet_fit_options   *options;
    const octet_train_options *train;
    octet_batches             *batches;
    record                     record;
    octet_section              sections[4];
    size_t                     per_epoch;
    octet_fit_progress         progress;
    double                     began, step_seconds, validation_seconds;
    bool                       interrupted;
} fit;

/* ---- telling ---- */

static void update_progress(fit *f)
{
    octet_fit_progress *const p    = &f->progress;
    const size_t              done = p->last.step, ended = (size_t)f->record.counts[ENDED];
    const double              steps = (double)(done - ended * f->per_epoch), run = (double)(done - p->resumed);
    const double              validations = f->options->validation ? (double)(p->epochs - ended) : 0;
    p->epoch     = ended;
    p->seconds   = octet_clock() - f->began;
    p->remaining = NAN;
    if (run > 0)
        p->remaining = f->step_seconds / run * (double)(p->steps - done) + validations * f->validation_seconds;
    p->mean_loss = f->record.sums[SUM_LOSS] / steps; /* 0 / 0 before the first */
    p->mean_top1 = f->record.sums[SUM_TOP1] / steps;
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
    if (!f->options->checkpoint) return OCTET_OK;
    return octet_trainer_save(f->trainer, f->options->checkpoint, err);
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

static octet_scores best_scores(const record *r)
{
    const double *const s = r->scores;
    return (octet_scores){ .count = (size_t)r->counts[BEST_COUNT], .top1 = s[TOP1], .top5 = s[TOP5], .mse = s[MSE],
                           .psnr_db = s[PSNR], .agreement = s[AGREEMENT], .sqnr_db = s[SQNR], .seconds = s[SECONDS] };
}

static void keep_best(fit *f, const octet_scores *s)
{
    record *const r = &f->record;
    const double  scores[SCORES] = { [TOP1] = s->top1, [TOP5] = s->top5, [MSE] = s->mse, [PSNR] = s->psnr_db,
                                     [AGREEMENT] = s->agreement, [SQNR] = s->sqnr_db, [SECONDS] = s->seconds };
    memcpy(r->scores, scores, sizeof scores);
    r->counts[BEST_COUNT] = s->count;
    r->counts[BEST_EPOCH] = r->counts[ENDED];
    r->counts[SINCE_BEST] = 0;
    r->counts[HAS_BEST]   = 1;
    octet_trainer_state_get(r->best, f->trainer);
}

static bool is_better(const fit *f, double score)
{
    const octet_scores best = best_scores(&f->record);
    const double       high = octet_score(&best, f->options->metric);
    if (!f->record.counts[HAS_BEST]) return true;
    return f->options->metric == OCTET_METRIC_MSE ? score < high : score > high;
}

static octet_status judge(fit *f, const octet_scores *scores, octet_error *err)
{
    const double score = octet_score(scores, f->options->metric);
    if (isnan(score))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "the validation data has no %s to choose the best state by",
                          octet_metric_name(f->options->metric));
    f->progress.best   = is_better(f, score);
    f->progress.scores = scores;
    f->record.counts[SINCE_BEST]++;
    if (f->progress.best) keep_best(f, scores);
    return OCTET_OK;
}

/* Scores what would ship now, in the engine. */
static octet_status validate(octet_scores scores[2], fit *f, octet_error *err)
{
    const octet_plan_options     plan    = { .threads = f->train->threads, .limits = f->train->limits };
    const octet_evaluate_options options = { plan, plan, .progress = on_evaluated, .progress_context = f };
    octet_graph *const           beside  = f->options->metric == OCTET_METRIC_SQNR ? f->options->baseline : NULL;
    octet_graph                 *graph;
    const double                 start = octet_clock();
    OCTET_TRY(octet_trainer_quantized(&graph, f->trainer, err));
    const octet_status status = octet_evaluate(scores, graph, beside, f->options->validation, &options, err);
    octet_graph_free(graph);
    f->validation_seconds = octet_clock() - start;
    return status;
}

static octet_status end_epoch(fit *f, octet_error *err)
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
    f->progress.epoch = (size_t)++f->record.counts[ENDED];
    if (f->options->validation) OCTET_TRY(judge(f, scores, err));
    f->record.sums[SUM_LOSS] = f->record.sums[SUM_TOP1] = 0;
    if (!tell(f, OCTET_FIT_EPOCH)) return stop(f, err);
    f->progress.scores = NULL;
    return save(f, err);
}

/* ---- steps ---- */

/* Whether a phase that begins at an epoch (0: at a share of all steps) has come by step. */
static bool has_come(const fit *f, int epoch, double share, size_t step)
{
    if (epoch == OCTET_EPOCH_NEVER) return false;
    if (epoch == OCTET_EPOCH_FIRST) return true;
    return (double)step >= (epoch ? (double)epoch * (double)f->per_epoch : share * (double)f->progress.steps);
}

/* Brings the trainer to where the plan is at step, counted from 0. What rests is never woken: ranges of a quantized
   start rest from the beginning. */
static void follow_plan(fit *f, size_t step)
{
    octet_trainer *const t = f->trainer;
    octet_trainer_set_learning_rate(t, octet_schedule_rate(f->train, step, f->per_epoch));
    if (has_come(f, f->train->freeze_observers, 0.5, step)) octet_trainer_freeze_observers(t, true);
    else if (step >= f->per_epoch) octet_trainer_learn(t); /* what no calibration gave a range has found one by now */
    if (has_come(f, f->train->freeze_batch_norm, 0.75, step)) octet_trainer_freeze_batch_norm(t, true);
    t->epoch = (double)(step + 1) / (double)f->per_epoch;
}

static octet_status take_step(fit *f, octet_error *err)
{
    const double              start = octet_clock();
    const size_t              step  = (size_t)f->trainer->scalars.step;
    octet_train_batch         batch;
    octet_train_result *const last = &f->progress.last;
    follow_plan(f, step);
    OCTET_TRY(octet_batches_read(&batch, f->batches, step, err));
    OCTET_TRY(octet_trainer_step(f->trainer, &batch, last, err));
    f->record.sums[SUM_LOSS] += last->loss;
    f->record.sums[SUM_TOP1] += last->top1;
    f->step_seconds += octet_clock() - start;
    if (!tell(f, OCTET_FIT_STEP)) return stop(f, err);
    const bool due = f->options->checkpoint_steps && last->step % f->options->checkpoint_steps == 0;
    return due && last->step % f->per_epoch ? save(f, err) : OCTET_OK; /* at an epoch's end its end is saved */
}

static bool patience_is_out(const fit *f)
{
    return f->options->patience && f->record.counts[SINCE_BEST] >= f->options->patience;
}

static octet_status run(fit *f, octet_error *err)
{
    if (!tell(f, OCTET_FIT_START)) return stop(f, err);
    for (;;) {
        const size_t step = (size_t)f->trainer->scalars.step;
        if (f->record.counts[ENDED] < step / f->per_epoch) OCTET_TRY(end_epoch(f, err));
        else if (step >= f->progress.steps || patience_is_out(f)) return OCTET_OK;
        else OCTET_TRY(take_step(f, err));
    }
}

/* ---- beginning and end ---- */

static octet_status check(const octet_fit_options *options, octet_error *err)
{
    const bool classes = options->metric == OCTET_METRIC_TOP1 || options->metric == OCTET_METRIC_TOP5;
    if (options->validation && classes && !octet_dataset_has_labels(options->validation))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "validation by %s needs labels", octet_metric_name(options->metric));
    if (options->validation && options->metric == OCTET_METRIC_SQNR && !options->baseline)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "validation by sqnr needs a baseline");
    if (options->patience && !options->validation)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "patience needs validation");
    return OCTET_OK;
}

/* The trainer has laid out a batch by now; fewer samples than the usual one make a smaller batch. */
static octet_status choose_batch(octet_trainer *trainer, size_t samples, octet_error *err)
{
    const size_t batch = trainer->options.batch;
    if (batch <= samples) return OCTET_OK;
    if (batch == OCTET_USUAL_BATCH) return octet_trainer_lay_out(trainer, samples, err);
    return octet_fail(err, OCTET_ERR_ARGUMENT, "batch is larger than the data set (got %zu, need at most %zu)", batch,
                      samples);
}

/* The record as the trainer's checkpoints are to carry it, and what they belong to. */
static octet_status describe_record(fit *f, octet_arena *arena, octet_error *err)
{
    record *const              r          = &f->record;
    const octet_dataset *const validation = f->options->validation;
    const size_t               best       = validation ? octet_trainer_state_size(f->trainer) : 0;
    const octet_section        sections[] = { { "epochs", OCTET_U64, r->counts, COUNTS },
                                              { "sums", OCTET_F64, r->sums, SUMS },
                                              { "best scores", OCTET_F64, r->scores, SCORES },
                                              { "best state", OCTET_U8, NULL, best } };
    OCTET_TRY(octet_arena_get(&r->best, arena, best, 1, err));
    memcpy(f->sections, sections, sizeof sections);
    f->sections[3].data          = r->best;
    f->trainer->more             = f->sections;
    f->trainer->more_count       = sizeof sections / sizeof *sections;
    f->trainer->more_identity    = octet_arena_format(
        arena, "data %016llx\nvalidation %zu by %s\n", (unsigned long long)octet_batches_hash(f->batches),
        validation ? octet_dataset_count(validation) : 0, octet_metric_name(f->options->metric));
    return f->trainer->more_identity ? OCTET_OK : octet_fail_memory(err);
}

static octet_status resume(fit *f, octet_error *err)
{
    const char *const path = f->options->checkpoint;
    if (!path || f->options->restart || access(path, F_OK) != 0) return OCTET_OK;
    return octet_trainer_load(f->trainer, path, err);
}

static octet_status prepare(fit *f, octet_arena *arena, octet_dataset *data, octet_error *err)
{
    octet_trainer *const t = f->trainer;
    OCTET_TRY(choose_batch(t, octet_dataset_count(data), err));
    f->train = &t->options;
    OCTET_TRY(octet_batches_new(&f->batches, arena, data, f->train, t->graph, err));
    f->per_epoch = octet_batches_per_epoch(f->batches);
    OCTET_TRY(describe_record(f, arena, err));
    OCTET_TRY(resume(f, err));
    const size_t taken = (size_t)t->scalars.step;
    f->progress = (octet_fit_progress){ .steps = f->per_epoch * f->train->epochs, .batch = f->train->batch,
                                        .epochs = f->train->epochs, .resumed = taken, .last.step = taken };
    return OCTET_OK;
}

static octet_status finish(octet_graph **quantized, octet_scores *scores, fit *f, octet_error *err)
{
    const bool best = f->record.counts[HAS_BEST];
    if (best) octet_trainer_state_put(f->trainer, f->record.best);
    if (scores) *scores = best ? best_scores(&f->record) : (octet_scores){ 0 };
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
    trainer->more_count    = 0;
    trainer->more_identity = NULL;
    octet_arena_free(arena);
    return status;
}
