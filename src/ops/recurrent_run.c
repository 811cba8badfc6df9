/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over time, forward. Sequences are independent of each other: each is one body. */
#include "base/parallel.h"
#include "ops/check.h"
#include "ops/recurrent.h"
#include "ops/recurrent_buffers.h"

#include <string.h>

#define OCTET_TEMPLATE "ops/recurrent_product_template.h"
#include "ops/reals_template.h"

int64_t octet_recurrent_length(const octet_recurrent *run, int64_t sample)
{
    const bool given = octet_has_input(run->call, OCTET_RECURRENT_LENGTHS);
    return given ? ((const int32_t *)run->call->in[OCTET_RECURRENT_LENGTHS]->data)[sample] : run->steps;
}

const void *octet_recurrent_at(const octet_recurrent *run, int slot, int64_t at)
{
    if (!octet_has_input(run->call, slot)) return NULL;
    const octet_tensor *const t = run->call->in[slot];
    return (const char *)t->data + (size_t)at * octet_dtype_size(t->dtype);
}

/* to[first .. first + count - 1] = matrix * x + bias of input slot W or R. */
void octet_recurrent_multiply(void *to, const octet_recurrent *run, const octet_recurrent_product *p)
{
    const bool    state = p->slot == OCTET_RECURRENT_R;
    const int64_t all = run->cell->gates * run->hidden, depth = state ? run->hidden : run->width;
    const int64_t row = p->direction * all + p->first;
    const void   *weights = octet_recurrent_at(run, p->slot, row * depth);
    const void   *bias = octet_recurrent_at(run, OCTET_RECURRENT_B, (2 * p->direction + state) * all + p->first);
    if (octet_recurrent_double(run))
        multiply_f64((double *)to + p->first, weights, p->x, bias, p->count, depth);
    else
        multiply_f32((float *)to + p->first, weights, p->x, bias, p->count, depth);
}

/* One step of one sequence; x is its input. */
void octet_recurrent_advance(const octet_recurrent_step *step, const void *x, void *from_state)
{
    const octet_recurrent *const run = step->run;
    const int                    wide = octet_recurrent_double(run), last = run->cell->gates - 1;
    const int64_t                n = run->hidden, all = run->cell->gates * n;
    const int                    d = step->direction;
    const octet_recurrent_product input = { OCTET_RECURRENT_W, d, 0, all, x };
    const octet_recurrent_product state = { OCTET_RECURRENT_R, d, 0, run->second_product ? last * n : all, step->h };
    const octet_recurrent_product extra = { OCTET_RECURRENT_R, d, last * n, n, step->extra };
    octet_recurrent_multiply(step->gates, run, &input);
    octet_recurrent_multiply(from_state, run, &state);
    run->cell->first[wide](step);
    if (!run->second_product) return;
    octet_recurrent_multiply(from_state, run, &extra);
    run->cell->second[wide](step);
}

/* ---- forward ---- */

typedef struct walk {
    octet_recurrent run;
    size_t          element, row; /* bytes of an element; of one body's buffers */
} walk;

static void put(const walk *w, int output, int64_t at, const void *from)
{
    const octet_call *const call = w->run.call;
    const size_t            bytes = (size_t)w->run.hidden * w->element;
    if (!octet_has_output(call, output)) return;
    char *const to = (char *)call->out[output]->data + (size_t)at * w->element;
    if (from)
        memcpy(to, from, bytes);
    else
        memset(to, 0, bytes);
}

static void start(void *to, const walk *w, int slot, int64_t at)
{
    const void *const from = octet_recurrent_at(&w->run, slot, at);
    const size_t      bytes = (size_t)w->run.hidden * w->element;
    if (from)
        memcpy(to, from, bytes);
    else
        memset(to, 0, bytes);
}

static void sequence(void *context, size_t index)
{
    const walk *const            w = context;
    const octet_recurrent *const run = &w->run;
    const int                    direction = (int)((int64_t)index / run->batch);
    const int64_t                sample = (int64_t)index % run->batch, length = octet_recurrent_length(run, sample);
    const int64_t                y = direction * run->y_direction + sample * run->y_sample;
    const int64_t                state = direction * run->state_direction + sample * run->state_sample;
    octet_recurrent_buffers      b;
    octet_recurrent_cut(&b, run, (char *)run->call->scratch + index * w->row, 2);
    start(b.h, w, OCTET_RECURRENT_H, state);
    start(b.c, w, OCTET_RECURRENT_C, state);
    for (int64_t s = 0; s < length; s++) {
        const int64_t              t = octet_recurrent_time(run, direction, length, s);
        const octet_recurrent_step step = octet_recurrent_step_at(&b, run, direction, 0, s % 2, (s + 1) % 2);
        octet_recurrent_advance(&step, octet_recurrent_at(run, 0, t * run->x_step + sample * run->x_sample),
                                b.from_state);
        put(w, 0, y + t * run->y_step, step.h_next);
    }
    for (int64_t t = length; t < run->steps; t++) put(w, 0, y + t * run->y_step, NULL);
    put(w, 1, state, b.h + (size_t)(length % 2) * b.state);
    put(w, 2, state, b.c + (size_t)(length % 2) * b.state);
}

size_t octet_recurrent_scratch(const octet_call *call, bool integer)
{
    octet_recurrent         run;
    octet_recurrent_buffers b;
    size_t                  bytes = 0;
    (void)integer;
    if (octet_recurrent_make(&run, call, NULL) != OCTET_OK) return 0;
    const size_t row = octet_recurrent_cut(&b, &run, NULL, 2);
    return row && octet_mul(&bytes, row, (size_t)(run.directions * run.batch)) ? bytes : SIZE_MAX;
}

octet_status octet_recurrent_forward(const octet_call *call, octet_error *err)
{
    walk                    w;
    octet_recurrent_buffers b;
    OCTET_TRY(octet_recurrent_make(&w.run, call, err));
    w.element = octet_dtype_size(call->in[0]->dtype);
    w.row = octet_recurrent_cut(&b, &w.run, NULL, 2);
    octet_parallel((size_t)(w.run.directions * w.run.batch), call->threads, sequence, &w);
    return OCTET_OK;
}
