/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients through time: each sequence runs forward once more, all its steps are kept, and the walk goes back. */
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/recurrent_buffers.h"

#include <string.h>

typedef struct back {
    const octet_backward_call *call;
    octet_recurrent            run;
    octet_recurrent_buffers    kept;
    size_t                     element;
    int                        direction;
    int64_t                    sample;
    void                      *dh, *dc, *dgates, *dstate, *dextra, *dpeephole;
} back;

#define OCTET_TEMPLATE "ops/recurrent_backward_template.h"
#include "ops/reals_template.h"

/* ---- where things are ---- */

static void *din(const back *b, int slot, int64_t at)
{
    const bool wanted = slot < b->call->forward->in_count && b->call->din[slot];
    return wanted ? (char *)b->call->din[slot]->data + (size_t)at * b->element : NULL;
}

/* to += what output's gradient has at `at`. */
static void add_dout(const back *b, void *to, int output, int64_t at)
{
    if (output >= b->call->forward->out_count || !b->call->dout[output]) return;
    const char *const from = (const char *)b->call->dout[output]->data + (size_t)at * b->element;
    if (octet_recurrent_double(&b->run))
        accumulate_f64(to, (const double *)(const void *)from, b->run.hidden);
    else
        accumulate_f32(to, (const float *)(const void *)from, b->run.hidden);
}

static void add_to(const back *b, void *to, const void *from)
{
    if (!to) return;
    if (octet_recurrent_double(&b->run))
        accumulate_f64(to, from, b->run.hidden);
    else
        accumulate_f32(to, from, b->run.hidden);
}

/* What goes back through one product. */
static void product_back(const back *b, const octet_recurrent_product *p, const void *dsums, void *dx)
{
    const bool    state = p->slot == OCTET_RECURRENT_R;
    const int64_t all = b->run.cell->gates * b->run.hidden, depth = state ? b->run.hidden : b->run.width;
    const int64_t row = (p->direction * all + p->first) * depth;
    const linear_back l = {
        .count = p->count,
        .depth = depth,
        .weights = octet_recurrent_at(&b->run, p->slot, row),
        .x = p->x,
        .dsums = (const char *)dsums + (size_t)p->first * b->element,
        .dweights = din(b, p->slot, row),
        .dbias = din(b, OCTET_RECURRENT_B, (2 * p->direction + state) * all + p->first),
        .dx = dx,
    };
    if (octet_recurrent_double(&b->run))
        linear_f64(&l);
    else
        linear_f32(&l);
}

/* ---- one sequence ---- */

static void step_back(const back *b, const octet_recurrent_step *step, int64_t x)
{
    const octet_recurrent *const   run = &b->run;
    const octet_recurrent_gradient g = { step, b->dh, b->dc, b->dgates, b->dstate, b->dpeephole, b->dextra };
    const int                      wide = octet_recurrent_double(run);
    const int64_t                  n = run->hidden, all = run->cell->gates * n, last = all - n;
    const void                    *dstate = run->cell->backward_second[wide] ? b->dstate : b->dgates;
    if (run->cell->backward_second[wide]) run->cell->backward_second[wide](&g);
    if (run->second_product) {
        memset(b->dextra, 0, (size_t)n * b->element);
        product_back(b, &(octet_recurrent_product){ OCTET_RECURRENT_R, b->direction, last, n, step->extra }, b->dgates,
                     b->dextra);
    }
    run->cell->backward[wide](&g);
    product_back(b, &(octet_recurrent_product){ OCTET_RECURRENT_R, b->direction, 0, run->second_product ? last : all,
                                                step->h },
                 dstate, b->dh);
    product_back(b, &(octet_recurrent_product){ OCTET_RECURRENT_W, b->direction, 0, all,
                                                octet_recurrent_at(run, OCTET_RECURRENT_X, x) },
                 b->dgates, din(b, OCTET_RECURRENT_X, x));
}

static void start(void *to, const back *b, int slot, int64_t at)
{
    memset(to, 0, b->kept.state);
    if (octet_has_input(b->run.call, slot)) memcpy(to, octet_recurrent_at(&b->run, slot, at), b->kept.state);
}

static void sequence_back(back *b)
{
    const octet_recurrent *const run = &b->run;
    const int64_t                length = octet_recurrent_length(run, b->sample);
    const int64_t                y = b->direction * run->y_direction + b->sample * run->y_sample;
    const int64_t                state = b->direction * run->state_direction + b->sample * run->state_sample;
    start(b->kept.h, b, OCTET_RECURRENT_H, state);
    start(b->kept.c, b, OCTET_RECURRENT_C, state);
    for (int64_t s = 0; s < length; s++) {
        const int64_t              t = octet_recurrent_time(run, b->direction, length, s);
        const octet_recurrent_step step = octet_recurrent_step_at(&b->kept, run, b->direction, s, s, s + 1);
        octet_recurrent_advance(&step, octet_recurrent_at(run, 0, t * run->x_step + b->sample * run->x_sample),
                                b->kept.from_state);
    }
    memset(b->dh, 0, b->kept.state);
    memset(b->dc, 0, b->kept.state);
    add_dout(b, b->dh, 1, state);
    add_dout(b, b->dc, 2, state);
    b->dpeephole = din(b, OCTET_RECURRENT_P, 3 * b->direction * run->hidden);
    for (int64_t s = length - 1; s >= 0; s--) {
        const int64_t              t = octet_recurrent_time(run, b->direction, length, s);
        const octet_recurrent_step step = octet_recurrent_step_at(&b->kept, run, b->direction, s, s, s + 1);
        add_dout(b, b->dh, 0, y + t * run->y_step);
        step_back(b, &step, t * run->x_step + b->sample * run->x_sample);
    }
    add_to(b, din(b, OCTET_RECURRENT_H, state), b->dh);
    add_to(b, din(b, OCTET_RECURRENT_C, state), b->dc);
}

/* ---- the call ---- */

static size_t lay_out(back *b, void *memory)
{
    const size_t  kept = octet_recurrent_cut(&b->kept, &b->run, memory, b->run.steps + 1);
    octet_scratch scratch = { .data = memory, .bytes = kept };
    b->element = octet_dtype_size(b->run.call->in[0]->dtype);
    b->dh = octet_scratch_take(&scratch, 1, b->kept.state);
    b->dc = octet_scratch_take(&scratch, 1, b->kept.state);
    b->dextra = octet_scratch_take(&scratch, 1, b->kept.state);
    b->dgates = octet_scratch_take(&scratch, 1, b->kept.gates_size);
    b->dstate = octet_scratch_take(&scratch, 1, b->kept.gates_size);
    return kept && !scratch.too_large ? scratch.bytes : SIZE_MAX;
}

size_t octet_recurrent_backward_scratch(const octet_call *call)
{
    back b = { 0 };
    return octet_recurrent_make(&b.run, call, NULL) == OCTET_OK ? lay_out(&b, NULL) : 0;
}

octet_status octet_recurrent_backward(const octet_backward_call *call, octet_error *err)
{
    back b = { .call = call };
    OCTET_TRY(octet_recurrent_make(&b.run, call->forward, err));
    lay_out(&b, call->scratch);
    for (b.direction = 0; b.direction < b.run.directions; b.direction++)
        for (b.sample = 0; b.sample < b.run.batch; b.sample++) sequence_back(&b);
    return OCTET_OK;
}
