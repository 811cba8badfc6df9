/* SPDX-License-Identifier: Apache-2.0 */
/* The epilogue of a tape of floats by the kernels of this CPU: what it needs of memory is one pass forward after z's
   moments are known, and two backward. Steps whose channels lie last are rows of channels; a step without channels of
   its own is one long row, taken WIDTH numbers at a time. */
#include "train/steps.h"

#include "base/cpu.h"
#include "base/parallel.h"
#include "kernels/kernels.h"
#include "ops/levels.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 64, FACTORS = 3 };

/* Per channel, as the kernels want it; least and most are one list per slice. */
struct octet_tape_rows {
    const octet_rows_kernel *kernel;
    float  *pivot, *scale, *shift, *factor[FACTORS], *least, *most;
    double  learned[OCTET_TAPE_SLICES][2];
    size_t  channels; /* of the widest step */
};

/* ---- which steps ---- */

static bool takes(const octet_tape *tape, const octet_tape_step *step)
{
    const octet_trained *const t = step->out[0] ? step->out[0]->trained : NULL;
    if (tape->dtype != OCTET_F32 || tape->options.reference || !step->has_epilogue) return false;
    if (step->z.dtype != OCTET_F32 || (step->shape.inner > 1 && step->shape.channels > 1)) return false;
    return !t || (octet_trained_is_own(t) && t->channels == 1 && t->qmax - t->qmin < 1 << 21);
}

octet_status octet_rows_plan(octet_tape *tape, octet_error *err)
{
    octet_tape_rows *r;
    size_t           widest = WIDTH;
    OCTET_TRY(octet_arena_get(&r, tape->arena, 1, sizeof *r, err));
    for (size_t i = 0; i < tape->step_count; i++) {
        tape->steps[i].rows = takes(tape, &tape->steps[i]);
        if (tape->steps[i].shape.channels > widest) widest = tape->steps[i].shape.channels;
    }
    r->kernel              = octet_kernels_select(octet_cpu_sets())->rows;
    r->channels            = widest;
    float **const lists[]  = { &r->pivot, &r->scale, &r->shift, &r->factor[0], &r->factor[1], &r->factor[2] };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        OCTET_TRY(octet_arena_get(lists[i], tape->arena, widest, sizeof(float), err));
    OCTET_TRY(octet_arena_get(&r->least, tape->arena, OCTET_TAPE_SLICES * widest, sizeof(float), err));
    OCTET_TRY(octet_arena_get(&r->most, tape->arena, OCTET_TAPE_SLICES * widest, sizeof(float), err));
    OCTET_TRY(octet_arena_get(&tape->row_sums, tape->arena, OCTET_TAPE_SLICES * 2 * widest, sizeof(double), err));
    tape->rows = r;
    return OCTET_OK;
}

/* ---- slices as rows ---- */

/* A slice of a step: rows from element `at` on, then (of a long row) one shorter row. */
typedef struct slice_rows {
    octet_rows rows[2];
    size_t     at[2];
} slice_rows;

static slice_rows rows_of(const octet_tape_step *step, size_t slice)
{
    const octet_channel_shape *const s     = &step->shape;
    const size_t                     row   = s->channels * s->inner, first = octet_slice_begin(s->outer, slice);
    const size_t                     outer = octet_slice_begin(s->outer, slice + 1) - first, count = outer * row;
    slice_rows                       all   = { .at = { first * row, first * row } };
    if (s->channels > 1) {
        all.rows[0] = (octet_rows){ outer, s->channels };
        return all;
    }
    all.rows[0] = (octet_rows){ count / WIDTH, WIDTH };
    all.rows[1] = (octet_rows){ count % WIDTH > 0, count % WIDTH };
    all.at[1] += count - count % WIDTH;
    return all;
}

/* Numbers per channel, repeated along a long row. */
static size_t width_of(const octet_tape_step *step) { return step->shape.channels > 1 ? step->shape.channels : WIDTH; }

static void spread(float *to, const octet_tape_step *step, const double *from, float otherwise)
{
    const size_t width = width_of(step);
    for (size_t c = 0; c < width; c++)
        to[c] = from ? (float)from[step->shape.channels > 1 ? c : 0] : otherwise;
}

typedef struct rows_work {
    const octet_tape        *tape;
    const octet_tape_step   *step;
    const float             *x;
    float                   *y;
    uint8_t                 *levels;
    const octet_row_finish  *how;
    bool                     learns;
} rows_work;

/* ---- moments ---- */

static void moments_slice(void *context, size_t slice)
{
    const rows_work *const w     = context;
    octet_tape_rows *const r     = w->tape->rows;
    const size_t           width = width_of(w->step);
    const slice_rows       all   = rows_of(w->step, slice);
    double *const          sum   = w->tape->row_sums + slice * 2 * r->channels;
    const octet_row_sums   to    = { r->pivot, sum, sum + r->channels, r->least + slice * r->channels,
                                     r->most + slice * r->channels };
    memset(sum, 0, 2 * r->channels * sizeof *sum);
    for (size_t c = 0; c < width; c++) to.least[c] = INFINITY, to.most[c] = -INFINITY;
    for (int i = 0; i < 2; i++)
        if (all.rows[i].pixels) r->kernel->moments(&to, w->x + all.at[i], &all.rows[i]);
}

/* Adds slices in order into slice 0. */
static void join_slices(const octet_tape *tape, const octet_tape_step *step)
{
    octet_tape_rows *const r     = tape->rows;
    const size_t           width = width_of(step);
    for (size_t s = 1; s < OCTET_TAPE_SLICES; s++)
        for (size_t c = 0; c < width; c++) {
            tape->row_sums[c] += tape->row_sums[s * 2 * r->channels + c];
            tape->row_sums[r->channels + c] += tape->row_sums[(s * 2 + 1) * r->channels + c];
        }
}

static void join_ranges(const octet_tape *tape, const octet_tape_step *step)
{
    octet_tape_rows *const r     = tape->rows;
    const size_t           width = width_of(step);
    for (size_t s = 1; s < OCTET_TAPE_SLICES; s++)
        for (size_t c = 0; c < width; c++) {
            r->least[c] = fminf(r->least[c], r->least[s * r->channels + c]);
            r->most[c]  = fmaxf(r->most[c], r->most[s * r->channels + c]);
        }
}

static void measure(const octet_tape *tape, const octet_tape_step *step, const void *x, const double *pivot)
{
    rows_work work = { .tape = tape, .step = step, .x = x };
    spread(tape->rows->pivot, step, pivot, 0);
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, moments_slice, &work);
    join_slices(tape, step);
    join_ranges(tape, step);
}

void octet_rows_moments(const octet_tape *tape, const octet_tape_step *step, const void *x, double *mean,
                        double *variance)
{
    const double n = (double)step->shape.outer;
    measure(tape, step, x, mean);
    for (size_t c = 0; c < step->shape.channels; c++) {
        const double away = tape->row_sums[c] / n;
        mean[c] = (double)tape->rows->pivot[c] + away;
        variance[c] = fmax(tape->row_sums[tape->rows->channels + c] / n - away * away, 0);
    }
}

/* ---- forward ---- */

static octet_row_finish finish_of(const octet_tape *tape, const octet_tape_step *step)
{
    const octet_activation *const act = &step->node->activation;
    octet_tape_rows *const        r   = tape->rows;
    spread(r->scale, step, step->scale, 1);
    spread(r->shift, step, step->scale ? step->shift : NULL, 0);
    return (octet_row_finish){ .scale = r->scale, .shift = r->shift, .lo = act->on ? act->lo : -INFINITY,
                               .hi = act->on ? act->hi : INFINITY, .bounded = act->on };
}

static void add_rounding(octet_row_finish *how, const octet_trained *t)
{
    const int32_t zero = octet_trained_zero_point(t, 0);
    how->step = how->unit = t->scale[0];
    how->lowest           = (float)(t->qmin - zero);
    how->highest          = (float)(t->qmax - zero);
}

static void finish_slice(void *context, size_t slice)
{
    const rows_work *const w   = context;
    const slice_rows       all = rows_of(w->step, slice);
    for (int i = 0; i < 2; i++) {
        const octet_row_target to = { w->y + all.at[i], w->levels ? w->levels + all.at[i] : NULL };
        if (all.rows[i].pixels) w->tape->rows->kernel->finish(&to, w->x + all.at[i], w->how, &all.rows[i]);
    }
}

static void finish(const octet_tape *tape, const octet_tape_step *step, const octet_row_finish *how, void *y,
                   uint8_t *levels)
{
    rows_work work = { .tape = tape, .step = step, .x = step->z.data, .y = y, .levels = levels, .how = how };
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, finish_slice, &work);
}

void octet_rows_affine(const octet_tape *tape, const octet_tape_step *step, void *y)
{
    const octet_row_finish how = finish_of(tape, step);
    finish(tape, step, &how, y, NULL);
}

/* The range of what FakeQuantize gets: every operation before it is monotone, in float32, too. */
static octet_range range_of(const octet_tape *tape, const octet_tape_step *step, const octet_row_finish *how)
{
    const octet_tape_rows *const r     = tape->rows;
    octet_range                  range = { .min = INFINITY, .max = -INFINITY };
    for (size_t c = 0; c < width_of(step); c++) {
        if (!(r->least[c] <= r->most[c])) continue;
        const float a = r->least[c] * how->scale[c] + how->shift[c], b = r->most[c] * how->scale[c] + how->shift[c];
        const float lo = fminf(fmaxf(fminf(a, b), how->lo), how->hi), hi = fminf(fmaxf(fmaxf(a, b), how->lo), how->hi);
        range.seen = true;
        range.min  = fminf(range.min, lo);
        range.max  = fmaxf(range.max, hi);
    }
    return range;
}

void octet_rows_forward(const octet_tape *tape, octet_tape_step *step)
{
    octet_tape_slot *const out      = step->out[0];
    octet_trained *const   t        = out->trained;
    octet_row_finish       how      = finish_of(tape, step);
    const bool             measured = step->linear && step->linear->live && !step->linear->slow;
    if (t && t->observing && tape->training) {
        if (!measured) measure(tape, step, step->z.data, NULL);
        const octet_range range = range_of(tape, step, &how);
        if (range.seen) octet_trained_move(t, &range);
    }
    if (t && t->enabled) add_rounding(&how, t);
    finish(tape, step, &how, out->real.data, NULL);
}

bool octet_rows_round(const octet_tape *tape, octet_tape_step *step)
{
    octet_tape_slot *const     out = step->out[0];
    const octet_qparams *const q   = out->levels.qparams;
    if (!step->rows || octet_dtype_size(q->dtype) != 1) return false;
    const octet_level_rule rule = octet_level_rule_of(q, 0, &step->quantized->activation);
    octet_row_finish       how  = { .scale = tape->rows->scale, .shift = tape->rows->shift, .lo = -INFINITY,
                                    .hi = INFINITY, .step = 1, .unit = rule.scale, .zero_point = rule.zero_point,
                                    .lowest = (float)(rule.qmin - rule.zero_point),
                                    .highest = (float)(rule.qmax - rule.zero_point) };
    spread(tape->rows->scale, step, NULL, 1);
    spread(tape->rows->shift, step, NULL, 0);
    finish(tape, step, &how, out->real.data, out->levels.data);
    return true;
}

/* ---- backward ---- */

static void reduce_slice(void *context, size_t slice)
{
    const rows_work *const w   = context;
    octet_tape_rows *const r   = w->tape->rows;
    const slice_rows       all = rows_of(w->step, slice);
    double *const          sum = w->tape->row_sums + slice * 2 * r->channels;
    octet_row_gradients    to  = { .how = w->how, .wide = *w->how, .pivot = r->pivot, .sum = sum,
                                   .product = sum + r->channels, .learns = w->learns, .step = &r->learned[slice][0],
                                   .zero_point = &r->learned[slice][1] };
    to.wide.lo         = -0x1p22f;
    to.wide.hi         = 0x1p22f;
    r->learned[slice][0] = r->learned[slice][1] = 0;
    memset(sum, 0, 2 * r->channels * sizeof *sum);
    for (int i = 0; i < 2; i++)
        if (all.rows[i].pixels) r->kernel->reduce(&to, w->y + all.at[i], w->x + all.at[i], &all.rows[i]);
}

static void add_learned(const octet_tape *tape, const octet_tape_step *step, octet_trained *t)
{
    const double factor = octet_trained_factor(t, step->shape.outer * step->shape.channels * step->shape.inner);
    double       sum[2] = { 0 };
    for (size_t s = 0; s < OCTET_TAPE_SLICES; s++)
        for (int i = 0; i < 2; i++) sum[i] += tape->rows->learned[s][i];
    t->scale_gradient[0] += (float)(sum[0] * factor);
    t->zero_point_gradient[0] += (float)(sum[1] * factor);
}

void octet_rows_backward(const octet_tape *tape, octet_tape_step *step)
{
    octet_tape_slot *const out      = step->out[0];
    octet_trained *const   t        = out->trained && out->trained->enabled ? out->trained : NULL;
    octet_row_finish       how      = finish_of(tape, step);
    const bool             measured = step->linear && step->linear->live && !step->linear->slow;
    const size_t           channels = step->shape.channels;
    rows_work work = { .tape = tape, .step = step, .x = step->z.data, .y = out->gradient.data, .how = &how,
                       .learns = t && t->learning };
    if (t) add_rounding(&how, t);
    spread(tape->rows->pivot, step, measured ? step->linear->batch_mean : NULL, 0);
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, reduce_slice, &work);
    join_slices(tape, step);
    if (work.learns) add_learned(tape, step, t);
    for (size_t c = channels; channels == 1 && c < WIDTH; c++) {
        tape->row_sums[0] += tape->row_sums[c];
        tape->row_sums[tape->rows->channels] += tape->row_sums[tape->rows->channels + c];
    }
    for (size_t c = 0; step->linear && c < channels; c++) {
        tape->sums[c]            = tape->row_sums[c];
        tape->sums[channels + c] = tape->row_sums[tape->rows->channels + c] +
                                   (double)tape->rows->pivot[c] * tape->row_sums[c];
    }
}

typedef struct combine_work {
    const octet_tape      *tape;
    const octet_tape_step *step;
    float                 *d;
    const float           *z;
} combine_work;

static void combine_slice(void *context, size_t slice)
{
    const combine_work *const    w       = context;
    const octet_tape_rows *const r       = w->tape->rows;
    const slice_rows             all     = rows_of(w->step, slice);
    const float *const           list[3] = { r->factor[0], r->factor[1], r->factor[2] };
    for (int i = 0; i < 2; i++)
        if (all.rows[i].pixels) r->kernel->combine(w->d + all.at[i], w->z + all.at[i], list, &all.rows[i]);
}

void octet_rows_combine(const octet_tape *tape, const octet_tape_step *step, void *d, const void *z,
                        const double *const factors[3])
{
    combine_work work = { tape, step, d, z };
    for (int i = 0; i < FACTORS; i++) spread(tape->rows->factor[i], step, factors[i], 0);
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, combine_slice, &work);
}
