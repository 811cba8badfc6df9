/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a layer (moments.h) are problems of their own. Few large ones share out their channels among threads, many
   small ones, as depthwise convolutions have, are shared out themselves. */
#include "quantize/round_layer.h"

#include "ops/levels.h"
#include "ops/mode.h"
#include "passes/integerize.h"
#include "quantize/round_rows.h"

#include <string.h>

enum { SMALL = 64, SLICES = 4 }; /* terms of a small part; slices of work per thread, so that none waits long */

typedef struct task {
    const octet_round_layer *layer;
    const octet_qparams     *q; /* but for the scale */
    octet_layer_weights      shape;
    size_t                   slices, longest; /* terms of the longest part */
    char                    *room;            /* row_room(longest) bytes for each slice */
    double                  *factors;         /* longest * longest, for each slice where parts are shared out */
    octet_quadratic          h;               /* of the part whose channels are shared out */
    const octet_moment      *part;
} task;

/* ---- what is asked of whom ---- */

static size_t place_of(const task *t, size_t channel, size_t term)
{
    return (term / t->shape.inner * t->shape.channels + channel) * t->shape.inner + term % t->shape.inner;
}

static octet_level_rule rule_of(const task *t, size_t channel, float scale)
{
    const int64_t at = octet_qparams_index(t->q, (int64_t)channel);
    return (octet_level_rule){ scale, t->q->zero_point[at], t->q->qmin, t->q->qmax };
}

/* Product i, j of H: the sum over nodes, in units of their inputs' scales. */
static double moment_of(const task *t, size_t part, size_t i, size_t j)
{
    double sum = 0;
    for (size_t l = 0; l < t->layer->count; l++) {
        const octet_moments *const m       = &t->layer->moments[l];
        const octet_moment *const  p       = &m->parts[part];
        const double               scale   = octet_future_levels(m->node->inputs[0])->scale[0];
        const double               product = p->products[i * p->terms + j];
        const bool                 centred = t->layer->centred && p->count > 0;
        sum += scale * scale * (centred ? product - p->sums[i] * p->sums[j] / p->count : product);
    }
    return sum;
}

/* How much of the products of different terms is believed: with few windows for many terms most of it is chance, and
   rounding would fit that. Levels of few bits move so far that even doubtful products help (docs/decisions.md). */
static double belief(const task *t, size_t part)
{
    double windows = 0;
    for (size_t l = 0; l < t->layer->count; l++) windows += t->layer->moments[l].parts[part].count;
    const double terms = t->layer->few_levels ? 0 : (double)t->layer->moments[0].parts[part].terms;
    return windows > 0 ? windows / (windows + terms) : 0;
}

/* H, in place of the first node's products. */
static octet_quadratic take_moments(const task *t, size_t part)
{
    const octet_moment *const first = &t->layer->moments[0].parts[part];
    const octet_quadratic     h     = { .terms = first->terms, .products = first->products };
    const double              share = belief(t, part);
    for (size_t i = 0; i < h.terms; i++)
        for (size_t j = 0; j < h.terms; j++)
            h.products[i * h.terms + j] = moment_of(t, part, i, j) * (i == j ? 1 : share);
    return h;
}

/* ---- rounding ---- */

/* Channels of a part that are rounded together, and their rows. */
typedef struct batch {
    const task             *task;
    const octet_moment     *part;
    const octet_quadratic  *h;
    size_t                  first; /* channel */
    octet_rounded_rows      rows;
    double                 *target;
    float                  *real; /* one row's weights */
} batch;

/* Room for OCTET_ROWS channels of n terms. */
static size_t row_room(size_t n)
{
    return octet_aligned(OCTET_ROWS * n * (3 * sizeof(double) + sizeof(int32_t)) + n * sizeof(float));
}

/* Rounds all rows, with scale[r] for row r. */
static void round_with(double *error, const batch *b, const float *scale)
{
    const size_t n = b->part->terms;
    for (size_t r = 0; r < b->rows.count; r++) {
        const octet_level_rule to = rule_of(b->task, b->first + r, scale[r]);
        for (size_t k = 0; k < n; k++)
            b->real[k] = b->task->layer->weights[place_of(b->task, b->first + r, b->part->first_term + k)];
        for (size_t k = 0; k < n; k++)
            b->target[r * n + k] = (double)b->real[k] / (double)to.scale + to.zero_point;
        octet_profile_octet.quantize(b->rows.level + r * n, b->real, n, &to);
    }
    octet_round_rows(error, &b->rows, b->h);
}

/* With few levels it pays to cut off the largest weights: the others get finer ones. Every scale is rounded with in
   full, and the one that leaves the least error is kept. */
static void search_scales(const batch *b)
{
    enum { STEPS = 6 };
    const octet_round_layer *const layer = b->task->layer;
    float *const                   kept  = layer->scale + b->first;
    float                          whole[OCTET_ROWS], scale[OCTET_ROWS];
    double                         error[OCTET_ROWS], least[OCTET_ROWS];
    memcpy(whole, kept, b->rows.count * sizeof *whole);
    for (int step = 0; step <= STEPS; step++) {
        for (size_t r = 0; r < b->rows.count; r++) scale[r] = whole[r] * (1 - 0.07f * (float)step);
        round_with(error, b, scale);
        for (size_t r = 0; r < b->rows.count; r++) {
            const double real = error[r] * (double)scale[r] * (double)scale[r];
            const bool   fits = !layer->least || scale[r] >= layer->least[b->first + r];
            if (step > 0 && (!fits || !(real < least[r]))) continue;
            least[r] = real;
            kept[r]  = scale[r];
        }
    }
}

/* The channels of a part from its number `first` on, at most OCTET_ROWS. */
static void round_some(const task *t, const octet_moment *part, const octet_quadratic *h, size_t first, char *room)
{
    const size_t  n = part->terms, left = part->channels - first, count = left < OCTET_ROWS ? left : OCTET_ROWS;
    double *const target = (double *)(void *)room, *const e = target + count * n, *const g = e + count * n;
    int32_t *const level = (int32_t *)(void *)(g + count * n);
    double         error[OCTET_ROWS];
    const batch    b = { t, part, h, part->first_channel + first,
                         { count, target, level, t->q->qmin, t->q->qmax, e, g }, target,
                         (float *)(void *)(level + count * n) };
    if (t->layer->search && part->first_term == 0) search_scales(&b);
    round_with(error, &b, t->layer->scale + b.first);
    for (size_t r = 0; r < count; r++) {
        const octet_level_rule to = rule_of(t, b.first + r, t->layer->scale[b.first + r]);
        for (size_t k = 0; k < n; k++)
            t->layer->rounded[place_of(t, b.first + r, part->first_term + k)] =
                (float)(level[r * n + k] - to.zero_point) * to.scale;
    }
}

static void round_channels(void *context, size_t slice)
{
    const task *const t = context;
    for (size_t c = slice * OCTET_ROWS; c < t->part->channels; c += t->slices * OCTET_ROWS)
        round_some(t, t->part, &t->h, c, t->room + slice * row_room(t->longest));
}

static void round_parts(void *context, size_t slice)
{
    const task *const          t = context;
    const octet_moments *const m = &t->layer->moments[0];
    for (size_t p = slice; p < m->part_count; p += t->slices) {
        octet_quadratic h = take_moments(t, p);
        h.factor          = t->factors + slice * t->longest * t->longest;
        octet_quadratic_factor(&h, 1);
        for (size_t c = 0; c < m->parts[p].channels; c += OCTET_ROWS)
            round_some(t, &m->parts[p], &h, c, t->room + slice * row_room(t->longest));
    }
}

static void round_all(task *t)
{
    const octet_moments *const m = &t->layer->moments[0];
    if (t->longest <= SMALL) {
        octet_parallel(t->slices, t->layer->threads, round_parts, t);
        return;
    }
    for (size_t p = 0; p < m->part_count; p++) {
        t->part     = &m->parts[p];
        t->h        = take_moments(t, p);
        t->h.factor = t->factors;
        octet_quadratic_factor(&t->h, t->layer->threads);
        octet_parallel(t->slices, t->layer->threads, round_channels, t);
    }
}

octet_status octet_round_layer_run(const octet_round_layer *layer, octet_arena *arena, octet_error *err)
{
    const octet_moments *const m = &layer->moments[0];
    task t = { .layer = layer, .q = octet_future_levels(m->node->inputs[1]), .shape = octet_layer_weights_of(m->node),
               .slices = (size_t)layer->threads * SLICES };
    for (size_t p = 0; p < m->part_count; p++)
        if (m->parts[p].terms > t.longest) t.longest = m->parts[p].terms;
    const size_t factors = (t.longest <= SMALL ? t.slices : 1) * t.longest;
    OCTET_TRY(octet_arena_get(&t.factors, arena, factors * t.longest, sizeof(double), err));
    OCTET_TRY(octet_arena_get(&t.room, arena, t.slices, row_room(t.longest), err));
    for (size_t l = 0; l < layer->count; l++) octet_moments_end(&layer->moments[l]);
    round_all(&t);
    return OCTET_OK;
}
