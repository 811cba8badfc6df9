/* SPDX-License-Identifier: Apache-2.0 */
/* The rounding of octet's own profile and its gradient, in float32. Each loop is written once and compiled twice: along
   a row that has one channel, and across the channels of a channels-last tensor. Loops do one simple thing each, and
   what is chosen between is always computed: only then do compilers vectorise them. */
#include "train/fake_torch.h"

#include <math.h>
#include <string.h>

#define INLINE inline __attribute__((always_inline))

/* The arrays of a loop are apart, or the same element by element. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed" /* with sanitizers it does not vectorise, and that is fine */
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

enum { LANES = 64 };

/* Parameters of up to LANES channels; of one channel: lane 0. */
typedef struct lanes {
    float   scale[LANES];
    float   lo[LANES], hi[LANES];          /* levels less the zero point */
    float   lowest[LANES], highest[LANES]; /* the ends of what is within the levels; backward only */
    int32_t zero_point[LANES];
} lanes;

typedef struct tally {
    double slope[LANES], clipped[LANES];
} tally;

/* Rows of n elements, step apart, that share parameters: n <= LANES where lanes are channels. */
typedef struct rows {
    float       *to;     /* y or dx; NULL where levels are made */
    int32_t     *levels;
    const float *x, *dy; /* dy: backward */
    tally       *tally;  /* learning */
    size_t       count, step, n;
} rows;

/* ---- where levels begin and end ---- */

/* The least number that is rounded (ties to even) to lo or above; |lo| < 2^17. */
static float least_rounded(int32_t lo)
{
    const float tie = (float)lo - 0.5f;
    return lo & 1 ? nextafterf(tie, INFINITY) : tie;
}

/* The least x with f32(x / scale) >= t: division is monotone, and the product a few steps off. */
static float least_divided(float t, float scale)
{
    float x = t * scale;
    while (x / scale >= t) x = nextafterf(x, -INFINITY);
    while (!(x / scale >= t)) x = nextafterf(x, INFINITY);
    return x;
}

static void set_lane(lanes *p, size_t lane, const octet_trained *trained, size_t channel, bool ends)
{
    const int32_t zero_point = octet_trained_zero_point(trained, (int64_t)channel);
    const int32_t lo = trained->qmin - zero_point, hi = trained->qmax - zero_point;
    const float   scale = trained->scale[channel];
    p->scale[lane]      = scale;
    p->zero_point[lane] = zero_point;
    p->lo[lane]         = (float)lo;
    p->hi[lane]         = (float)hi;
    if (!ends) return;
    p->lowest[lane]  = least_divided(least_rounded(lo), scale);
    p->highest[lane] = -least_divided(least_rounded(-hi), scale); /* rounding and division are odd */
}

/* ---- rows ---- */

/* clamp(rne(t)): t is clamped first, which changes nothing; adding 1.5 * 2^23 rounds to nearest even, and taking it
   off again leaves +0 where an integer would be 0. */
static inline float level_of(float t, float lo, float hi)
{
    const float magic = 12582912.0f, number = t == t ? t : 0.0f, raised = number > lo ? number : lo;
    return ((raised < hi ? raised : hi) + magic) - magic;
}

/* value where lo <= x <= hi, else 0. */
static inline float within(float value, float x, float lo, float hi)
{
    const float some = x >= lo ? value : 0.0f;
    return x <= hi ? some : 0.0f;
}

static INLINE void make_levels(const rows *r, const lanes *given, const bool each)
{
    const lanes p = *given;
    for (size_t row = 0; row < r->count; row++) {
        int32_t *const     level = r->levels + row * r->step;
        const float *const x     = r->x + row * r->step;
        INDEPENDENT
        for (size_t i = 0; i < r->n; i++) {
            const size_t k = each ? i : 0;
            level[i]       = (int32_t)level_of(x[i] / p.scale[k], p.lo[k], p.hi[k]) + p.zero_point[k];
        }
    }
}

static INLINE void forward(const rows *r, const lanes *given, const bool each)
{
    const lanes p = *given;
    for (size_t row = 0; row < r->count; row++) {
        float *const       y = r->to + row * r->step;
        const float *const x = r->x + row * r->step;
        INDEPENDENT
        for (size_t i = 0; i < r->n; i++) {
            const size_t k = each ? i : 0;
            y[i]           = level_of(x[i] / p.scale[k], p.lo[k], p.hi[k]) * p.scale[k];
        }
    }
}

static INLINE void straight(const rows *r, const lanes *given, const bool each)
{
    const lanes p = *given;
    for (size_t row = 0; row < r->count; row++) {
        float *const       dx = r->to + row * r->step;
        const float *const x = r->x + row * r->step, *const dy = r->dy + row * r->step;
        INDEPENDENT
        for (size_t i = 0; i < r->n; i++) {
            const size_t k = each ? i : 0;
            const float  g = dy[i];
            dx[i]          = within(g, x[i], p.lowest[k], p.highest[k]);
        }
    }
}

/* What up to LANES elements add to the sums: d scale / dy is level - x/scale within, level outside. */
static INLINE void add_sums(tally *to, const float *dy, const float *x, size_t n, const lanes *p, const bool each)
{
    float t[LANES], slope[LANES], clipped[LANES];
    for (size_t i = 0; i < n; i++) t[i] = x[i] / p->scale[each ? i : 0];
    for (size_t i = 0; i < n; i++) slope[i] = level_of(t[i], p->lo[each ? i : 0], p->hi[each ? i : 0]);
    for (size_t i = 0; i < n; i++) t[i] = within(t[i], x[i], p->lowest[each ? i : 0], p->highest[each ? i : 0]);
    for (size_t i = 0; i < n; i++) slope[i] = dy[i] * (slope[i] - t[i]);
    for (size_t i = 0; i < n; i++) {
        const float g = dy[i], below = x[i] < p->lowest[each ? i : 0] ? g : 0.0f;
        clipped[i] = x[i] > p->highest[each ? i : 0] ? g : below;
    }
    for (size_t i = 0; i < n; i++) to->slope[i] += (double)slope[i];
    for (size_t i = 0; i < n; i++) to->clipped[i] += (double)clipped[i];
}

static INLINE void learning(const rows *r, const lanes *given, const bool each)
{
    const lanes p     = *given;
    tally       local = *r->tally;
    for (size_t row = 0; row < r->count; row++)
        for (size_t at = 0; at < r->n; at += LANES) {
            const size_t       n = r->n - at < LANES ? r->n - at : LANES, from = row * r->step + at;
            float *const       dx = r->to + from;
            const float *const x = r->x + from, *const dy = r->dy + from;
            add_sums(&local, dy, x, n, &p, each);
            INDEPENDENT
            for (size_t i = 0; i < n; i++) {
                const float g = dy[i];
                dx[i]         = within(g, x[i], p.lowest[each ? i : 0], p.highest[each ? i : 0]);
            }
        }
    *r->tally = local;
}

static void make_levels_along(const rows *r, const lanes *p) { make_levels(r, p, false); }
static void make_levels_across(const rows *r, const lanes *p) { make_levels(r, p, true); }
static void forward_along(const rows *r, const lanes *p) { forward(r, p, false); }
static void forward_across(const rows *r, const lanes *p) { forward(r, p, true); }
static void straight_along(const rows *r, const lanes *p) { straight(r, p, false); }
static void straight_across(const rows *r, const lanes *p) { straight(r, p, true); }
static void learning_along(const rows *r, const lanes *p) { learning(r, p, false); }
static void learning_across(const rows *r, const lanes *p) { learning(r, p, true); }

typedef struct job {
    void (*along)(const rows *r, const lanes *p);
    void (*across)(const rows *r, const lanes *p);
} job;

static const job  make_levels_loop = { make_levels_along, make_levels_across };
static const job  forward_loop     = { forward_along, forward_across };
static const job  straight_loop    = { straight_along, straight_across };
static const job  learning_loop    = { learning_along, learning_across };

/* ---- tensors ---- */

/* What a loop works on: all of a tensor. */
typedef struct work {
    float                     *to;
    int32_t                   *levels;
    const float               *x, *dy;
    const octet_trained       *trained;
    const octet_channel_shape *shape;
    const octet_trained_sums  *sums; /* NULL: not learning */
} work;

static rows rows_of(const work *w, size_t at, tally *sums)
{
    return (rows){ .to     = w->to ? w->to + at : NULL,
                   .levels = w->levels ? w->levels + at : NULL,
                   .x      = w->x + at,
                   .dy     = w->dy ? w->dy + at : NULL,
                   .tally  = sums };
}

static void add_sum(const work *w, size_t channel, const tally *s, size_t lane)
{
    w->sums->scale[channel] += s->slope[lane];
    w->sums->zero_point[channel] -= s->clipped[lane] * (double)w->trained->scale[channel];
}

static void run_along(const work *w, const job *how)
{
    const octet_channel_shape *const shape = w->shape;
    const bool                       one   = shape->channels == 1;
    for (size_t c = 0; c < shape->channels; c++) {
        lanes p;
        tally s = { { 0 }, { 0 } };
        rows  r = rows_of(w, c * shape->inner, &s);
        r.count = one ? 1 : shape->outer;
        r.n     = one ? shape->outer * shape->inner : shape->inner;
        r.step  = shape->channels * shape->inner;
        set_lane(&p, 0, w->trained, c, w->dy != NULL);
        how->along(&r, &p);
        for (size_t lane = 0; w->sums && lane < LANES; lane++) add_sum(w, c, &s, lane);
    }
}

static void run_across(const work *w, const job *how)
{
    const size_t channels = w->shape->channels;
    for (size_t first = 0; first < channels; first += LANES) {
        lanes p;
        tally s = { { 0 }, { 0 } };
        rows  r = rows_of(w, first, &s);
        r.count = w->shape->outer;
        r.n     = channels - first < LANES ? channels - first : LANES;
        r.step  = channels;
        for (size_t lane = 0; lane < r.n; lane++) set_lane(&p, lane, w->trained, first + lane, w->dy != NULL);
        how->across(&r, &p);
        for (size_t lane = 0; w->sums && lane < r.n; lane++) add_sum(w, first + lane, &s, lane);
    }
}

static void run_loop(const work *w, const job *how)
{
    if (w->shape->inner == 1 && w->shape->channels > 1) run_across(w, how);
    else run_along(w, how);
}


void octet_trained_forward(float *y, int32_t *levels, const float *x, const octet_trained *trained,
                           const octet_channel_shape *shape)
{
    const work to_levels = { .levels = levels, .x = x, .trained = trained, .shape = shape };
    const work to_reals  = { .to = y, .x = x, .trained = trained, .shape = shape };
    if (!trained->enabled) {
        memmove(y, x, octet_channels_count(shape) * sizeof *y);
    } else if (octet_trained_is_own(trained) && !octet_trained_is_real(trained)) {
        if (levels) run_loop(&to_levels, &make_levels_loop);
        run_loop(&to_reals, &forward_loop);
    } else {
        octet_trained_forward_torch(y, levels, x, trained, shape);
    }
}

void octet_trained_backward(float *dx, const octet_trained_sums *sums, const float *dy, const float *x,
                            const octet_trained *trained, const octet_channel_shape *shape)
{
    const work w = { .to = dx, .x = x, .dy = dy, .trained = trained, .shape = shape, .sums = sums };
    if (!trained->enabled) memmove(dx, dy, octet_channels_count(shape) * sizeof *dx);
    else if (octet_trained_is_own(trained) && !octet_trained_is_real(trained))
        run_loop(&w, sums ? &learning_loop : &straight_loop);
    else octet_trained_backward_torch(dx, sums, dy, x, trained, shape);
}
