/* SPDX-License-Identifier: Apache-2.0 */
/* LSTM, GRU and RNN with weights of levels: each product's vector becomes levels when it is multiplied; sums are exact,
   f32(f32(acc) * f32(sx * sw)) + bias is what a gate is fed, and gates and states stay float32.

   OCTET_DYNAMIC_ROW: every vector has its own range. Else: x has one over all steps, h one over the sequences that run
   at a step. */
#include "base/parallel.h"
#include "ops/check.h"
#include "ops/dynamic.h"
#include "ops/recurrent_buffers.h"

#include <string.h>

/* Vectors as levels: u8 rows of `width`, and each one's parameters. */
typedef struct level_rows {
    int64_t       width;
    uint8_t      *levels;
    octet_affine *affine;
} level_rows;

typedef struct walk {
    octet_recurrent run;
    const octet_recurrent_products *products; /* NULL: sums are made here */
    octet_recurrent_buffers *buffers; /* one per sequence */
    level_rows      x, state;         /* x: by (step, sample) as they lie; state: by sample */
    size_t          row;              /* bytes of one sequence's buffers */
    int             direction;
    int64_t         s;                /* step */
} walk;

/* ---- levels ---- */

static bool is_joint(const walk *w) { return w->run.call->node->dynamic != OCTET_DYNAMIC_ROW; }

static void set_row(level_rows *rows, const walk *w, int64_t row, const float *x, octet_affine affine)
{
    rows->affine[row] = affine;
    octet_dynamic_levels(rows->levels + row * rows->width, x, (size_t)rows->width, affine, w->run.call);
}

/* Rows of x, dense or (rows[i] NULL: left out) listed. */
static void set_rows(level_rows *rows, const walk *w, int64_t count, const float *const *x)
{
    octet_range joint = { 0 };
    for (int64_t i = 0; is_joint(w) && i < count; i++)
        if (x[i]) octet_range_observe(&joint, x[i], (size_t)rows->width);
    for (int64_t i = 0; i < count; i++) {
        octet_range own = { 0 };
        if (!x[i]) continue;
        if (!is_joint(w)) octet_range_observe(&own, x[i], (size_t)rows->width);
        set_row(rows, w, i, x[i], octet_dynamic_affine(w->run.call, is_joint(w) ? joint : own));
    }
}

/* The definition of octet_recurrent_products.sums. */
static void make_sums(int32_t *sums, const walk *w, const octet_recurrent_part *part, const uint8_t *x, int32_t zero)
{
    const octet_tensor *const weights = w->run.call->in[part->slot];
    const int64_t             all = w->run.cell->gates * w->run.hidden;
    const int64_t             depth = part->slot == OCTET_RECURRENT_R ? w->run.hidden : w->run.width;
    for (int64_t i = 0; i < part->count; i++) {
        const int64_t       row = part->first + i, entry = weights->qparams->count > 1 ? row : 0;
        const int8_t *const m = (const int8_t *)weights->data + (part->direction * all + row) * depth;
        const int32_t       weight_zero = weights->qparams->zero_point[entry];
        int32_t             sum = 0;
        for (int64_t k = 0; k < depth; k++) sum += (x[k] - zero) * (m[k] - weight_zero);
        sums[i] = sum;
    }
}

/* to[first ..] = matrix * row + bias of input slot W or R. */
static void multiply(float *to, const walk *w, int slot, int64_t first, int64_t count, int64_t row)
{
    const octet_recurrent *const run = &w->run;
    const bool                   state = slot == OCTET_RECURRENT_R;
    const level_rows *const      rows = state ? &w->state : &w->x;
    const octet_tensor *const    weights = run->call->in[slot];
    const int64_t                all = run->cell->gates * run->hidden;
    const octet_affine           affine = rows->affine[row];
    const uint8_t *const         x = rows->levels + row * rows->width;
    const octet_recurrent_part   part = { slot, w->direction, first, count };
    int32_t *const               sums = (int32_t *)(void *)(to + first); /* each makes way for its result */
    const float *const           bias =
        octet_recurrent_at(run, OCTET_RECURRENT_B, (2 * w->direction + state) * all + first);
    if (w->products) w->products->sums(w->products, sums, &part, x, affine.zero_point);
    else make_sums(sums, w, &part, x, affine.zero_point);
    for (int64_t i = 0; i < count; i++) {
        const int64_t entry = weights->qparams->count > 1 ? first + i : 0;
        int32_t       sum;
        memcpy(&sum, to + first + i, sizeof sum);
        to[first + i] = (float)sum * (float)((double)affine.scale * (double)weights->qparams->scale[entry]) +
                        (bias ? bias[i] : 0);
    }
}

/* ---- one step of all sequences ---- */

static octet_recurrent_step step_of(const walk *w, int64_t n)
{
    return octet_recurrent_step_at(&w->buffers[n], &w->run, w->direction, 0, w->s % 2, (w->s + 1) % 2);
}

static bool runs(const walk *w, int64_t n) { return w->s < octet_recurrent_length(&w->run, n); }

static int64_t time_of(const walk *w, int64_t n)
{
    return octet_recurrent_time(&w->run, w->direction, octet_recurrent_length(&w->run, n), w->s);
}

static void first(void *context, size_t index)
{
    const walk *const            w = context;
    const octet_recurrent *const run = &w->run;
    const int64_t                n = (int64_t)index, all = run->cell->gates * run->hidden;
    if (!runs(w, n)) return;
    const octet_recurrent_step step = step_of(w, n);
    const int64_t              x = (time_of(w, n) * run->x_step + n * run->x_sample) / run->width;
    multiply(step.gates, w, OCTET_RECURRENT_W, 0, all, x);
    multiply((float *)(void *)w->buffers[n].from_state, w, OCTET_RECURRENT_R, 0,
             run->second_product ? all - run->hidden : all, n);
    run->cell->first[0](&step);
}

static void second(void *context, size_t index)
{
    const walk *const            w = context;
    const octet_recurrent *const run = &w->run;
    const int64_t                n = (int64_t)index, last = (run->cell->gates - 1) * run->hidden;
    if (!runs(w, n)) return;
    const octet_recurrent_step step = step_of(w, n);
    multiply((float *)(void *)w->buffers[n].from_state, w, OCTET_RECURRENT_R, last, run->hidden, n);
    run->cell->second[0](&step);
}

static void copy_state(float *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = from ? from[i] : 0;
}

static float *out_at(const walk *w, int output, int64_t at)
{
    const octet_call *const call = w->run.call;
    return octet_has_output(call, output) ? (float *)call->out[output]->data + at : NULL;
}

static void store(const walk *w)
{
    const octet_recurrent *const run = &w->run;
    for (int64_t n = 0; n < run->batch; n++) {
        const bool                 alive = runs(w, n);
        const octet_recurrent_step step = step_of(w, n);
        float *const               y = out_at(w, 0, w->direction * run->y_direction + n * run->y_sample +
                                                        (alive ? time_of(w, n) : w->s) * run->y_step);
        if (y) copy_state(y, alive ? step.h_next : NULL, run->hidden);
    }
}

static void advance(walk *w, const float **list)
{
    const octet_recurrent *const run = &w->run;
    const size_t                 batch = (size_t)run->batch;
    for (int64_t n = 0; n < run->batch; n++) list[n] = runs(w, n) ? step_of(w, n).h : NULL;
    set_rows(&w->state, w, run->batch, list);
    octet_parallel(batch, run->call->threads, first, w);
    if (run->second_product) {
        for (int64_t n = 0; n < run->batch; n++) list[n] = runs(w, n) ? step_of(w, n).extra : NULL;
        set_rows(&w->state, w, run->batch, list);
        octet_parallel(batch, run->call->threads, second, w);
    }
    store(w);
}

static void direction(walk *w, const float **list)
{
    const octet_recurrent *const run = &w->run;
    for (int64_t n = 0; n < run->batch; n++) {
        const int64_t at = w->direction * run->state_direction + n * run->state_sample;
        copy_state((float *)(void *)w->buffers[n].h, octet_recurrent_at(run, OCTET_RECURRENT_H, at), run->hidden);
        copy_state((float *)(void *)w->buffers[n].c, octet_recurrent_at(run, OCTET_RECURRENT_C, at), run->hidden);
    }
    for (w->s = 0; w->s < run->steps; w->s++) advance(w, list);
    for (int64_t n = 0; n < run->batch; n++) {
        const int64_t at = w->direction * run->state_direction + n * run->state_sample;
        const size_t  last = (size_t)(octet_recurrent_length(run, n) % 2) * w->buffers[n].state;
        float *const  h = out_at(w, 1, at), *const c = out_at(w, 2, at);
        if (h) copy_state(h, (const float *)(const void *)(w->buffers[n].h + last), run->hidden);
        if (c) copy_state(c, (const float *)(const void *)(w->buffers[n].c + last), run->hidden);
    }
}

/* ---- the call ---- */

/* Memory of the whole walk; list: room for one pointer per row of x or state. */
static size_t lay_out(walk *w, const float ***list, void *memory)
{
    const octet_recurrent *const run = &w->run;
    octet_scratch                scratch = { .data = memory };
    octet_recurrent_buffers      counted;
    const int64_t                rows = run->steps * run->batch;
    const size_t                 most = (size_t)(rows > run->batch ? rows : run->batch);
    w->row = octet_recurrent_cut(&counted, run, NULL, 2);
    w->x.width = run->width;
    w->state.width = run->hidden;
    w->x.levels = octet_scratch_take(&scratch, (size_t)rows, (size_t)run->width);
    w->x.affine = octet_scratch_take(&scratch, (size_t)rows, sizeof *w->x.affine);
    w->state.levels = octet_scratch_take(&scratch, (size_t)run->batch, (size_t)run->hidden);
    w->state.affine = octet_scratch_take(&scratch, (size_t)run->batch, sizeof *w->state.affine);
    w->buffers = octet_scratch_take(&scratch, (size_t)run->batch, sizeof *w->buffers);
    *list = octet_scratch_take(&scratch, most, sizeof **list);
    char *const own = octet_scratch_take(&scratch, (size_t)run->batch, w->row);
    for (int64_t n = 0; memory && n < run->batch; n++)
        octet_recurrent_cut(&w->buffers[n], run, own + (size_t)n * w->row, 2);
    return w->row && !scratch.too_large ? scratch.bytes : SIZE_MAX;
}

size_t octet_recurrent_dynamic_scratch(const octet_call *call)
{
    walk          w = { 0 };
    const float **list;
    return octet_recurrent_make(&w.run, call, NULL) == OCTET_OK ? lay_out(&w, &list, NULL) : 0;
}

octet_status octet_recurrent_dynamic(const octet_call *call, octet_error *err)
{
    return octet_recurrent_dynamic_by(call, NULL, err);
}

octet_status octet_recurrent_dynamic_by(const octet_call *call, const octet_recurrent_products *products,
                                        octet_error *err)
{
    walk          w = { .products = products };
    const float **list;
    OCTET_TRY(octet_recurrent_make(&w.run, call, err));
    for (int slot = OCTET_RECURRENT_W; slot <= OCTET_RECURRENT_R; slot++) {
        const octet_qparams *const q = call->in[slot]->qparams;
        if (q->dtype != OCTET_I8 || (q->count > 1 && q->axis != 1) || call->in[slot]->dims[2] > 65536)
            return octet_fail(err, OCTET_ERR_UNSUPPORTED, "weights must be s8, per tensor or along axis 1, and at most "
                                                          "65536 wide");
    }
    lay_out(&w, &list, call->scratch);
    const int64_t rows = w.run.steps * w.run.batch;
    for (int64_t i = 0; i < rows; i++) list[i] = (const float *)call->in[0]->data + i * w.run.width;
    set_rows(&w.x, &w, rows, list);
    for (w.direction = 0; w.direction < w.run.directions; w.direction++) direction(&w, list);
    return OCTET_OK;
}
