/* SPDX-License-Identifier: Apache-2.0 */
/* Settings are numbers of double, as in Python, and are rounded to the parameters' type where they meet them. */
#include "train/optimizer.h"

#include "base/math.h"

#include <math.h>

/* Of one parameter. */
typedef struct update {
    const octet_train_options *options;
    double                     rate, decay;
} update;

#define X float
#define SQRT sqrtf
#define NAME(x) x##_f32
#include "train/optimizer_template.h"
#undef X
#undef SQRT
#undef NAME

#define X double
#define SQRT sqrt
#define NAME(x) x##_f64
#include "train/optimizer_template.h"
#undef X
#undef SQRT
#undef NAME

typedef void (*move)(const octet_parameter *p, const octet_moments *m, const update *u);

/* By optimizer, then whether numbers are double. */
static const move moves[OCTET_OPTIMIZER_COUNT][2] = {
    [OCTET_OPTIMIZER_SGD]   = { sgd_f32, sgd_f64 },
    [OCTET_OPTIMIZER_ADAM]  = { adam_f32, adam_f64 },
    [OCTET_OPTIMIZER_ADAMW] = { adam_f32, adam_f64 },
};

octet_status octet_mover_new(octet_mover **mover, octet_arena *arena, const octet_train_options *options,
                             octet_parameter *parameters, size_t count, octet_error *err)
{
    octet_mover *m;
    OCTET_TRY(octet_arena_get(&m, arena, 1, sizeof *m, err));
    *m = (octet_mover){ .options = options, .parameters = parameters, .count = count };
    OCTET_TRY(octet_arena_get(&m->moments, arena, count, sizeof *m->moments, err));
    const bool adam = options->optimizer != OCTET_OPTIMIZER_SGD;
    for (size_t i = 0; i < count; i++) {
        const size_t size = octet_dtype_size(parameters[i].dtype);
        if (adam || options->momentum != 0)
            OCTET_TRY(octet_arena_get(&m->moments[i].first, arena, parameters[i].count, size, err));
        if (adam) OCTET_TRY(octet_arena_get(&m->moments[i].second, arena, parameters[i].count, size, err));
    }
    *mover = m;
    return OCTET_OK;
}

void octet_mover_step(octet_mover *mover, double learning_rate)
{
    const octet_train_options *const o = mover->options;
    for (size_t i = 0; i < mover->count; i++) {
        const octet_parameter *const p = &mover->parameters[i];
        if (!p->gradient) continue;
        const bool   learned = p->kind == OCTET_PARAMETER_SCALE || p->kind == OCTET_PARAMETER_ZERO_POINT;
        const update u = { .options = o,
                           .rate    = learned ? learning_rate * o->scale_rate : learning_rate,
                           .decay   = p->kind == OCTET_PARAMETER_WEIGHT || o->decay_all ? o->weight_decay : 0 };
        mover->moments[i].steps++;
        moves[o->optimizer][p->dtype == OCTET_F64](p, &mover->moments[i], &u);
    }
}
