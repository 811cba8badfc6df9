/* SPDX-License-Identifier: Apache-2.0 */
/* One step: forward, loss, backward, update. Only the update moves parameters, and it comes last; what a forward pass
   moves is kept before and put back where a step fails. So a failed step has not been. */
#include "train/loss.h"
#include "train/trainer.h"

#include <float.h>
#include <math.h>

/* ---- phases ---- */

static octet_status make_integers(octet_trainer *t, octet_error *err)
{
    octet_graph *quantized;
    OCTET_TRY(octet_trainer_quantized(&quantized, t, err));
    const octet_status status = octet_tape_use_integers(t->layout.tape, quantized, err);
    octet_graph_free(status == OCTET_OK ? t->quantized : quantized);
    if (status != OCTET_OK) return status;
    t->quantized = quantized;
    t->stale     = false;
    return OCTET_OK;
}

/* Brings the tape into the phase that batch norm and FakeQuantize are in. */
static octet_status settle_phase(octet_trainer *t, octet_error *err)
{
    if (octet_trainer_is_integer(t)) return t->quantized && !t->stale ? OCTET_OK : make_integers(t, err);
    if (!t->quantized) return OCTET_OK;
    OCTET_TRY(octet_tape_use_integers(t->layout.tape, NULL, err));
    octet_graph_free(t->quantized);
    t->quantized = NULL;
    return OCTET_OK;
}

/* ---- numbers that are none ---- */

/* The first element that is not finite, count where all are. */
static size_t first_bad(const float *x, size_t count)
{
    enum { BLOCK = 1024 };
    for (size_t at = 0; at < count; at += BLOCK) {
        const size_t n   = count - at < BLOCK ? count - at : BLOCK;
        bool         bad = false;
        for (size_t i = 0; i < n; i++) bad |= !(fabsf(x[at + i]) <= FLT_MAX);
        for (size_t i = 0; bad && i < n; i++)
            if (!isfinite(x[at + i])) return at + i;
    }
    return count;
}

typedef struct suspect {
    const char *what, *node;
} suspect;

static octet_status check_finite(const octet_trainer *t, const suspect *s, const octet_tensor *x, octet_error *err)
{
    if (x->dtype != OCTET_F32 || !x->data) return OCTET_OK;
    const float *const values = x->data;
    const size_t       count = (size_t)octet_tensor_count(x), at = first_bad(values, count);
    if (at == count) return OCTET_OK;
    octet_fail(err, OCTET_ERR_ARGUMENT, "step %llu: %s is %g at element %zu of %zu",
               (unsigned long long)t->scalars.step + 1, s->what, (double)values[at], at, count);
    octet_error_node(err, s->node);
    return OCTET_ERR_ARGUMENT;
}

static octet_status check_parameters(const octet_trainer *t, bool gradients, octet_error *err)
{
    for (size_t i = 0; i < t->layout.parameter_count; i++) {
        const octet_parameter *const p = &t->layout.parameters[i];
        const suspect                s = { gradients ? "gradient" : "parameter", p->name };
        const octet_tensor x = { .dtype = p->dtype, .rank = 1, .dims = { (int64_t)p->count },
                                 .data = gradients ? p->gradient : p->value };
        OCTET_TRY(check_finite(t, &s, &x, err));
    }
    return OCTET_OK;
}

/* Names what made the loss what it is: the first in the order of computing. */
static octet_status explain_loss(const octet_trainer *t, const octet_tensor *inputs, double loss, octet_error *err)
{
    OCTET_TRY(check_parameters(t, false, err));
    for (size_t i = 0; i < t->work->input_count; i++)
        OCTET_TRY(check_finite(t, &(suspect){ "input", t->work->inputs[i]->name }, &inputs[i], err));
    for (const octet_node *n = t->work->first; n; n = n->next)
        for (int i = 0; i < n->output_count; i++) {
            if (!n->outputs[i]) continue;
            const octet_tensor x = octet_tape_value(t->layout.tape, n->outputs[i]);
            OCTET_TRY(check_finite(t, &(suspect){ "output", n->name }, &x, err));
        }
    return octet_fail(err, OCTET_ERR_ARGUMENT, "step %llu: loss is %g though every output is finite (see the targets)",
                      (unsigned long long)t->scalars.step + 1, loss);
}

/* ---- the step ---- */

static octet_status find_loss(octet_loss_result *result, octet_trainer *t, const octet_train_batch *batch,
                              octet_error *err)
{
    const octet_train_options *const o      = &t->options;
    const octet_tensor               logits = octet_tape_value(t->layout.tape, t->output);
    octet_tensor                     target;
    octet_loss_call call = { .loss = o->loss, .label_smoothing = o->label_smoothing, .temperature = o->temperature,
                             .probabilities = t->probabilities, .logits = &logits, .labels = batch->labels,
                             .target = batch->targets, .gradient = &t->layout.gradient };
    if (t->layout.teacher.plan) {
        OCTET_TRY(octet_teacher_run(&target, &t->layout.teacher, batch->inputs, err));
        call.target        = &target;
        call.probabilities = t->layout.teacher.probabilities;
    }
    return octet_loss_compute(result, &call, err);
}

/* Scales and zero points that do not learn yet must not move, be it by momentum or decay. */
static void rest(octet_trainer *t)
{
    for (size_t i = 0; i < t->layout.parameter_count; i++) {
        octet_parameter *const     p       = &t->layout.parameters[i];
        const octet_trained *const learned = t->layout.learned[i];
        if (!learned) continue;
        p->gradient = p->value == learned->scale ? learned->scale_gradient : learned->zero_point_gradient;
        if (!learned->learning) p->gradient = NULL;
    }
}

static octet_status take_step(octet_loss_result *result, octet_trainer *t, const octet_train_batch *batch,
                              octet_error *err)
{
    octet_trainer_layout *const l = &t->layout;
    OCTET_TRY(settle_phase(t, err));
    OCTET_TRY(octet_tape_forward(l->tape, batch->inputs, true, err));
    OCTET_TRY(find_loss(result, t, batch, err));
    if (!isfinite(result->loss)) return explain_loss(t, batch->inputs, result->loss, err);
    OCTET_TRY(octet_tape_backward(l->tape, t->output, l->gradient.data, err));
    rest(t);
    OCTET_TRY(check_parameters(t, true, err));
    for (size_t i = 0; i < t->trained_count; i++) octet_trained_to_logs(t->trained[i]);
    octet_mover_step(l->mover, t->scalars.learning_rate);
    for (size_t i = 0; i < t->trained_count; i++)
        if (t->trained[i]->learning) octet_trained_settle(t->trained[i]);
    return OCTET_OK;
}

octet_status octet_trainer_step(octet_trainer *trainer, const octet_train_batch *batch, octet_train_result *result,
                                octet_error *err)
{
    octet_loss_result loss;
    octet_trainer_follow_plan(trainer);
    octet_trainer_moving_get(trainer->layout.before, trainer);
    const octet_status status = take_step(&loss, trainer, batch, err);
    if (status != OCTET_OK) {
        octet_trainer_moving_set(trainer, trainer->layout.before);
        return status;
    }
    trainer->stale = true;
    trainer->scalars.step++;
    const double steps = (double)trainer->scalars.step;
    if (result)
        *result = (octet_train_result){ .step = (size_t)trainer->scalars.step,
                                        .epoch = trainer->epoch_steps ? steps / (double)trainer->epoch_steps : 0,
                                        .loss = loss.loss, .top1 = loss.top1,
                                        .learning_rate = trainer->scalars.learning_rate,
                                        .integer = trainer->quantized != NULL };
    return OCTET_OK;
}

octet_status octet_trainer_forward(octet_trainer *trainer, const octet_tensor *inputs, octet_tensor *outputs,
                                   octet_error *err)
{
    OCTET_TRY(settle_phase(trainer, err));
    OCTET_TRY(octet_tape_forward(trainer->layout.tape, inputs, false, err));
    for (size_t i = 0; i < trainer->work->output_count; i++)
        outputs[i] = octet_tape_value(trainer->layout.tape, trainer->work->outputs[i]);
    return OCTET_OK;
}
