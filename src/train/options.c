/* SPDX-License-Identifier: Apache-2.0 */
/* Options are rows: what is checked, defaulted and written into checkpoints is said once for each. */
#include "train/options.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const char *const losses[OCTET_LOSS_COUNT] = {
    [OCTET_LOSS_CROSS_ENTROPY] = "cross_entropy", [OCTET_LOSS_MSE] = "mse", [OCTET_LOSS_DISTILL] = "distill",
};
static const char *const optimizers[OCTET_OPTIMIZER_COUNT] = {
    [OCTET_OPTIMIZER_SGD] = "sgd", [OCTET_OPTIMIZER_ADAM] = "adam", [OCTET_OPTIMIZER_ADAMW] = "adamw",
};
static const char *const schedules[OCTET_SCHEDULE_COUNT] = {
    [OCTET_SCHEDULE_COSINE] = "cosine", [OCTET_SCHEDULE_CONSTANT] = "constant", [OCTET_SCHEDULE_STEP] = "step",
};

const char *octet_loss_name(octet_loss loss) { return (unsigned)loss < OCTET_LOSS_COUNT ? losses[loss] : "?"; }

const char *octet_optimizer_name(octet_optimizer optimizer)
{
    return (unsigned)optimizer < OCTET_OPTIMIZER_COUNT ? optimizers[optimizer] : "?";
}

const char *octet_schedule_name(octet_schedule schedule)
{
    return (unsigned)schedule < OCTET_SCHEDULE_COUNT ? schedules[schedule] : "?";
}

typedef enum kind { NUMBER, COUNT, SEED, SWITCH, INT, CHOICE } kind;

typedef struct row {
    const char        *name;
    kind               kind;
    size_t             at;
    double             instead; /* of a NUMBER or COUNT that is 0 */
    double             least, below; /* least <= value < below */
    const char *const *names; /* of a CHOICE */
} row;

#define AT(member) offsetof(octet_train_options, member)

static const row rows[] = {
    { "loss", CHOICE, AT(loss), 0, 0, OCTET_LOSS_COUNT, losses },
    { "label_smoothing", NUMBER, AT(label_smoothing), 0, 0, 1, NULL },
    { "temperature", NUMBER, AT(temperature), 1, 1e-6, 1e6, NULL },
    { "optimizer", CHOICE, AT(optimizer), 0, 0, OCTET_OPTIMIZER_COUNT, optimizers },
    { "learning_rate", NUMBER, AT(learning_rate), 1e-3, 0, 1e6, NULL },
    { "scale_rate", NUMBER, AT(scale_rate), 0.1, 0, 1e6, NULL },
    { "momentum", NUMBER, AT(momentum), 0, 0, 1, NULL },
    { "nesterov", SWITCH, AT(nesterov), 0, 0, 2, NULL },
    { "weight_decay", NUMBER, AT(weight_decay), 0, 0, 1e6, NULL },
    { "decay_all", SWITCH, AT(decay_all), 0, 0, 2, NULL },
    { "beta1", NUMBER, AT(beta1), 0.9, 0, 1, NULL },
    { "beta2", NUMBER, AT(beta2), 0.999, 0, 1, NULL },
    { "epsilon", NUMBER, AT(epsilon), 1e-8, 0, 1, NULL },
    { "schedule", CHOICE, AT(schedule), 0, 0, OCTET_SCHEDULE_COUNT, schedules },
    { "warmup_epochs", NUMBER, AT(warmup_epochs), 0, 0, 1e9, NULL },
    { "step_epochs", NUMBER, AT(step_epochs), 0, 0, 1e9, NULL },
    { "step_factor", NUMBER, AT(step_factor), 0.1, 0, 1e6, NULL },
    { "epochs", COUNT, AT(epochs), 1, 1, 1e9, NULL },
    { "batch", COUNT, AT(batch), 0, 0, 1e9, NULL },
    { "seed", SEED, AT(seed), 0, 0, 0, NULL },
    { "flip", SWITCH, AT(flip), 0, 0, 2, NULL },
    { "crop", INT, AT(crop), 0, 0, 1 << 16, NULL },
    { "freeze_observers", INT, AT(freeze_observers), 0, OCTET_EPOCH_FIRST, 1 << 30, NULL },
    { "freeze_batch_norm", INT, AT(freeze_batch_norm), 0, OCTET_EPOCH_FIRST, 1 << 30, NULL },
    { "slow_batch_norm", SWITCH, AT(slow_batch_norm), 0, 0, 2, NULL },
    { "threads", INT, AT(threads), 0, 0, 1 << 16, NULL },
};

enum { ROWS = sizeof rows / sizeof *rows };

static double value_of(const octet_train_options *options, const row *r)
{
    const char *const at = (const char *)options + r->at;
    switch (r->kind) {
    case NUMBER:
        return *(const double *)at;
    case COUNT:
        return (double)*(const size_t *)at;
    case SWITCH:
        return *(const bool *)at;
    case INT:
    case CHOICE:
        return *(const int *)at;
    case SEED:
        break;
    }
    return 0;
}

static octet_status check(const octet_train_options *options, const row *r, octet_error *err)
{
    const double value = value_of(options, r);
    if (r->kind == SEED || (value >= r->least && value < r->below)) return OCTET_OK;
    octet_fail(err, OCTET_ERR_ARGUMENT, "got %g (need %g <= value < %g)", value, r->least, r->below);
    octet_error_field(err, r->name);
    return OCTET_ERR_ARGUMENT;
}

static void put_default(octet_train_options *options, const row *r)
{
    char *const at = (char *)options + r->at;
    if (r->kind == NUMBER && *(double *)at == 0) *(double *)at = r->instead;
    if (r->kind == COUNT && *(size_t *)at == 0) *(size_t *)at = (size_t)r->instead;
}

octet_status octet_train_resolve(octet_train_options *options, const octet_train_options *given, octet_error *err)
{
    *options = given ? *given : (octet_train_options){ 0 };
    for (size_t i = 0; i < ROWS; i++) {
        put_default(options, &rows[i]);
        OCTET_TRY(check(options, &rows[i], err));
    }
    if (options->step_epochs == 0) options->step_epochs = (double)options->epochs / 3;
    if (options->nesterov && options->momentum == 0)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "nesterov needs a momentum (got 0)");
    return OCTET_OK;
}

const char *octet_train_describe(octet_arena *arena, const octet_train_options *options)
{
    const char *text = "";
    for (size_t i = 0; i < ROWS && text; i++) {
        const row *const r = &rows[i];
        if (r->at == AT(threads)) continue;
        if (r->kind == SEED)
            text = octet_arena_format(arena, "%s%s %llu\n", text, r->name, (unsigned long long)options->seed);
        else if (r->kind == CHOICE)
            text = octet_arena_format(arena, "%s%s %s\n", text, r->name, r->names[(int)value_of(options, r)]);
        else
            text = octet_arena_format(arena, "%s%s %.17g\n", text, r->name, value_of(options, r));
    }
    return text;
}
