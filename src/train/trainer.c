/* SPDX-License-Identifier: Apache-2.0 */
/* A trainer works on a copy of its network, with FakeQuantize states of its own: the caller's graph stays as it is
   until octet_trainer_store. What is sized by the batch is laid out apart, as fit.c may learn only from its data how
   many samples there are. */
#include "train/trainer.h"

#include "base/cpu.h"
#include "base/parallel.h"
#include "graph/copy.h"
#include "graph/op.h"
#include "train/identity.h"
#include "train/options.h"
#include "train/quantized.h"
#include "train/schedule.h"

#include <math.h>

enum { USUAL_BATCH = 32 };

/* ---- layout ---- */

static void close_layout(octet_trainer *t)
{
    octet_teacher_close(&t->layout.teacher);
    octet_tape_free(t->layout.tape);
    octet_graph_free(t->quantized);
    octet_arena_free(t->layout.arena);
    t->layout    = (octet_trainer_layout){ 0 };
    t->quantized = NULL;
}

static octet_status open_tape(octet_trainer *t, size_t batch, octet_error *err)
{
    octet_trainer_layout *const l       = &t->layout;
    const octet_tape_options    options = {
           .batch = (int64_t)batch, .threads = t->options.threads, .slow_batch_norm = t->options.slow_batch_norm,
           .max_memory = octet_memory_allowed(t->options.limits.max_memory) };
    OCTET_TRY(octet_tape_create(&l->tape, t->work, &options, err));
    l->statistics = octet_tape_statistics(l->tape, &l->statistic_count);
    octet_tape_freeze_batch_norm(l->tape, t->scalars.batch_norm_frozen);
    t->has_batch_norm = l->statistic_count > 0;
    return OCTET_OK;
}

static octet_status list_parameters(octet_trainer *t, octet_error *err)
{
    octet_trainer_layout *const  l    = &t->layout;
    const octet_parameter *const from = octet_tape_parameters(l->tape, &l->parameter_count);
    OCTET_TRY(octet_arena_get(&l->parameters, l->arena, l->parameter_count, sizeof *from, err));
    OCTET_TRY(octet_arena_get(&l->learned, l->arena, l->parameter_count, sizeof *l->learned, err));
    for (size_t i = 0; i < l->parameter_count; i++) {
        l->parameters[i] = from[i];
        for (size_t k = 0; k < t->trained_count && from[i].kind >= OCTET_PARAMETER_SCALE; k++)
            if (from[i].value == t->trained[k]->scale || from[i].value == t->trained[k]->zero_point)
                l->learned[i] = t->trained[k];
    }
    return OCTET_OK;
}

static octet_status open_layout(octet_trainer *t, size_t batch, octet_error *err)
{
    octet_trainer_layout *const l = &t->layout;
    if (!(l->arena = octet_arena_new())) return octet_fail_memory(err);
    OCTET_TRY(open_tape(t, batch, err));
    OCTET_TRY(list_parameters(t, err));
    OCTET_TRY(octet_mover_new(&l->mover, l->arena, &t->options, l->parameters, l->parameter_count, err));
    OCTET_TRY(octet_arena_get(&l->before, l->arena, octet_trainer_moving_size(t), 1, err));
    l->gradient = octet_value_tensor(t->output, (int64_t)batch);
    OCTET_TRY(octet_arena_get(&l->gradient.data, l->arena, (size_t)octet_tensor_bytes(&l->gradient), 1, err));
    return t->options.teacher ? octet_teacher_open(&l->teacher, t, batch, err) : OCTET_OK;
}

/* What the network's file says about its leading dimension; 0: free. */
static size_t fixed_batch(const octet_graph *graph)
{
    const octet_value *const input = graph->inputs[0];
    return input->has_shape && input->rank > 0 && input->dims[0] != OCTET_DIM_FREE ? (size_t)input->dims[0] : 0;
}

static octet_status lay_out(octet_trainer *trainer, size_t batch, octet_error *err)
{
    const size_t fixed = fixed_batch(trainer->graph);
    if (fixed && batch != fixed)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "batch is %zu (the network's own is fixed to %zu)", batch, fixed);
    if (trainer->layout.tape && trainer->options.batch == batch) return OCTET_OK;
    close_layout(trainer);
    const octet_status status = open_layout(trainer, batch, err);
    if (status != OCTET_OK) close_layout(trainer);
    trainer->options.batch = batch;
    return status;
}

/* ---- life ---- */

static octet_status check_graph(const octet_graph *graph, const octet_train_options *o, octet_error *err)
{
    if (graph->input_count == 0 || graph->output_count == 0)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "network has no input or no output");
    if (graph->output_count > 1)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "network has %zu outputs (training needs 1)",
                          graph->output_count);
    if (graph->stage == OCTET_STAGE_FLOAT)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "network must be prepared first (octet_prepare_qat, or octet_fuse)");
    if (graph->stage == OCTET_STAGE_QUANTIZED)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "network is quantized (octet_prepare_qat makes it trainable again)");
    if (o->teacher && o->loss != OCTET_LOSS_DISTILL)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "a teacher needs the loss 'distill' (got '%s')",
                          octet_loss_name(o->loss));
    return OCTET_OK;
}

static octet_status identify(octet_trainer *t, octet_error *err)
{
    t->identity = octet_train_identify(t->arena, "network", t->graph);
    if (t->identity && t->options.teacher)
        t->identity = octet_arena_format(t->arena, "%s%s", t->identity,
                                         octet_train_identify(t->arena, "teacher", t->options.teacher));
    return t->identity ? OCTET_OK : octet_fail_memory(err);
}

static octet_status open_trainer(octet_trainer *t, octet_error *err)
{
    OCTET_TRY(identify(t, err));
    OCTET_TRY(octet_graph_copy(&t->work, t->graph, err));
    OCTET_TRY(octet_trained_separate(t->work, err));
    OCTET_TRY(octet_trained_list(&t->trained, &t->trained_count, t->arena, t->work, err));
    octet_trainer_learn(t);
    const size_t fixed = fixed_batch(t->graph), usual = fixed ? fixed : USUAL_BATCH;
    const bool   soft  = t->options.loss != OCTET_LOSS_MSE;
    const size_t batch = t->options.batch ? t->options.batch : usual;
    t->output          = octet_loss_value(t->work, batch, soft);
    t->probabilities   = t->output != t->work->outputs[0];
    t->scalars.learning_rate = t->options.learning_rate;
    if (!t->output->has_shape)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "shape of output '%s' is not known", t->output->name);
    return lay_out(t, batch, err);
}

octet_status octet_trainer_create(octet_trainer **trainer, octet_graph *graph, const octet_train_options *options,
                                  octet_error *err)
{
    octet_train_options resolved;
    *trainer = NULL;
    OCTET_TRY(octet_train_resolve(&resolved, options, err));
    OCTET_TRY(check_graph(graph, &resolved, err));
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    octet_trainer *t      = NULL;
    octet_status   status = octet_arena_get(&t, arena, 1, sizeof *t, err);
    if (status != OCTET_OK) {
        octet_arena_free(arena);
        return status;
    }
    *t = (octet_trainer){ .arena = arena, .graph = graph, .options = resolved, .stale = true,
                          .given_batch = resolved.batch };
    if (t->options.threads == 0) t->options.threads = octet_threads_available();
    status = open_trainer(t, err);
    if (status == OCTET_OK) *trainer = t;
    else octet_trainer_free(t);
    return status;
}

void octet_trainer_free(octet_trainer *trainer)
{
    if (!trainer) return;
    close_layout(trainer);
    octet_graph_free(trainer->work);
    octet_arena_free(trainer->arena);
}

size_t octet_trainer_memory(const octet_trainer *trainer)
{
    const octet_trainer_layout *const l = &trainer->layout;
    size_t bytes = octet_arena_bytes(trainer->arena) + octet_arena_bytes(trainer->work->arena);
    bytes += octet_arena_bytes(l->arena) + octet_tape_memory(l->tape);
    if (trainer->quantized) bytes += octet_arena_bytes(trainer->quantized->arena);
    if (l->teacher.plan) bytes += octet_plan_memory(l->teacher.plan);
    return bytes;
}

/* ---- phases ---- */

void octet_trainer_set_learning_rate(octet_trainer *trainer, double learning_rate)
{
    trainer->scalars.learning_rate = learning_rate;
}

static bool has_seen(const octet_trained *trained)
{
    for (int64_t i = 0; i < trained->channels; i++)
        if (!trained->range[i].seen) return false;
    return true;
}

void octet_trainer_learn(octet_trainer *trainer)
{
    for (size_t i = 0; i < trainer->trained_count; i++) {
        octet_trained *const trained = trainer->trained[i];
        if (trained->quantizer.fake == OCTET_FAKE_LEARNED && !trained->learning &&
            (has_seen(trained) || !trained->observing))
            octet_trained_learn(trained);
    }
    trainer->stale = true;
}

void octet_trainer_freeze_observers(octet_trainer *trainer, bool frozen)
{
    for (size_t i = 0; i < trainer->trained_count; i++) {
        octet_trained *const trained = trainer->trained[i];
        trained->observing = !frozen && trained->quantizer.fake != OCTET_FAKE_FIXED && !trained->learning;
    }
    if (frozen) octet_trainer_learn(trainer);
}

void octet_trainer_freeze_batch_norm(octet_trainer *trainer, bool frozen)
{
    trainer->scalars.batch_norm_frozen = frozen;
    octet_tape_freeze_batch_norm(trainer->layout.tape, frozen);
}

void octet_trainer_fake_quantize(octet_trainer *trainer, bool enabled)
{
    for (size_t i = 0; i < trainer->trained_count; i++) trainer->trained[i]->enabled = enabled;
}

bool octet_trainer_is_integer(const octet_trainer *trainer)
{
    if (trainer->trained_count == 0 || (trainer->has_batch_norm && !trainer->scalars.batch_norm_frozen)) return false;
    for (size_t i = 0; i < trainer->trained_count; i++)
        if (!trainer->trained[i]->enabled || trainer->trained[i]->observing) return false;
    return true;
}

/* ---- the plan ---- */

octet_status octet_trainer_plan(octet_trainer *trainer, size_t samples, octet_error *err)
{
    size_t batch = trainer->options.batch;
    if (!trainer->given_batch && !fixed_batch(trainer->graph) && samples < batch) batch = samples;
    if (samples < batch || samples == 0)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "data has %zu samples (need a batch of %zu)", samples, batch);
    OCTET_TRY(lay_out(trainer, batch, err));
    trainer->epoch_steps = samples / batch;
    return OCTET_OK;
}

/* The step from which a phase lasts; by default at a share of the whole plan. */
static double phase_begin(const octet_trainer *t, int epoch, double share)
{
    const double epoch_steps = (double)t->epoch_steps;
    if (epoch == OCTET_EPOCH_NEVER) return INFINITY;
    if (epoch == OCTET_EPOCH_FIRST) return 0;
    return epoch ? epoch * epoch_steps : share * (double)t->options.epochs * epoch_steps;
}

void octet_trainer_follow_plan(octet_trainer *trainer)
{
    const octet_train_options *const o    = &trainer->options;
    const uint64_t                   step = trainer->scalars.step;
    const double                     at   = (double)step;
    if (!trainer->epoch_steps) return;
    octet_trainer_set_learning_rate(trainer, octet_schedule_rate(o, (size_t)step, trainer->epoch_steps));
    if (at >= phase_begin(trainer, o->freeze_observers, 0.5)) octet_trainer_freeze_observers(trainer, true);
    if (at >= phase_begin(trainer, o->freeze_batch_norm, 0.75)) octet_trainer_freeze_batch_norm(trainer, true);
}

size_t octet_trainer_steps(const octet_trainer *trainer) { return (size_t)trainer->scalars.step; }

const octet_train_options *octet_trainer_settings(const octet_trainer *trainer) { return &trainer->options; }

const octet_graph *octet_trainer_graph(const octet_trainer *trainer) { return trainer->graph; }

/* ---- results ---- */

/* Of a copy, which shares what does not change: storing into one graph again and again would make it grow. */
octet_status octet_trainer_quantized(octet_graph **quantized, const octet_trainer *trainer, octet_error *err)
{
    octet_graph *copy;
    *quantized = NULL;
    OCTET_TRY(octet_graph_copy(&copy, trainer->work, err));
    octet_status status = octet_tape_store(trainer->layout.tape, copy, err);
    if (status == OCTET_OK) status = octet_train_finish(copy, err);
    if (status == OCTET_OK) *quantized = copy;
    else octet_graph_free(copy);
    return status;
}

octet_status octet_trainer_store(octet_trainer *trainer, octet_error *err)
{
    octet_trained    **trained;
    size_t             count;
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    octet_status status = octet_trained_list(&trained, &count, arena, trainer->graph, err);
    if (status == OCTET_OK) status = octet_tape_store(trainer->layout.tape, trainer->graph, err);
    for (size_t i = 0; status == OCTET_OK && i < count; i++) octet_trained_follow(trained[i], trainer->trained[i]);
    octet_arena_free(arena);
    if (status == OCTET_OK && trainer->graph->training) status = octet_train_settle(trainer->graph, err);
    return status;
}
