/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a histogram. The search's error is exact for values spread evenly within their bin: with t = x / scale and n
   its level, t - n to the power p has the antiderivative n * C + sign(r) |r|^(p+1) / (p+1), r = t - n, which holds for
   clipped values too (n stays at the last level and r grows). One evaluation per bin edge, no sampling. */
#include "observe/estimate.h"

#include "observe/qparams.h"

#include <math.h>
#include <string.h>

octet_status octet_estimate_minmax(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                                   octet_error *err)
{
    (void)want;
    (void)err;
    *range = observer->range;
    return OCTET_OK;
}

octet_status octet_estimate_moving_average(octet_range *range, const octet_observer *observer,
                                           const octet_estimate *want, octet_error *err)
{
    (void)want;
    (void)err;
    *range = observer->moving;
    return OCTET_OK;
}

octet_bin octet_bin_cut(octet_bin bin, octet_range seen)
{
    if (bin.count == 1 && bin.hi >= seen.max && bin.lo <= seen.max) bin.lo = seen.max;
    if (bin.count == 1 && bin.lo <= seen.min && bin.hi >= seen.min) bin.hi = seen.min;
    bin.lo = fmax(bin.lo, fmin(seen.min, bin.hi));
    bin.hi = fmin(bin.hi, fmax(seen.max, bin.lo));
    return bin;
}

/* ---- percentile ---- */

/* The value below which `rank` values lie, between a bin's edges in proportion. */
static double quantile(const octet_observer *observer, double rank)
{
    octet_bin bin;
    double below = 0;
    for (size_t at = 0; octet_histogram_next(&bin, &at, observer->histogram);) {
        if (below + (double)bin.count >= rank) {
            const octet_bin held = octet_bin_cut(bin, observer->range);
            return held.lo + (held.hi - held.lo) * fmax(rank - below, 0) / (double)bin.count;
        }
        below += (double)bin.count;
    }
    return (double)observer->range.max;
}

octet_status octet_estimate_percentile(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                                       octet_error *err)
{
    (void)err;
    *range = observer->range;
    if (!range->seen) return OCTET_OK;
    const double kept = (want->percentile > 0 ? want->percentile : 99.99) / 100;
    const double total = (double)(observer->count - observer->rejected), rest = total * (1 - kept);
    const bool both = range->min < 0 && range->max > 0;
    if (rest <= 0) return OCTET_OK;
    if (range->min < 0) range->min = (float)quantile(observer, both ? rest / 2 : rest);
    if (range->max > 0) range->max = (float)quantile(observer, total - (both ? rest / 2 : rest));
    return OCTET_OK;
}

/* ---- search for the least error ---- */

typedef struct search {
    const octet_bin      *bins;
    size_t                count;
    const octet_estimate *want;
    int                   power; /* 2 or 3 */
} search;

/* |r|^power */
static double error_of(double r, int power)
{
    const double size = fabs(r);
    return power == 2 ? size * size : size * size * size;
}

/* The antiderivative of that error at t, in units of levels. */
static double antiderivative(double t, double tmin, double tmax, int power)
{
    const double level = fmin(fmax(rint(t), tmin), tmax), r = t - level;
    const double whole = power == 2 ? 1.0 / 12 : 1.0 / 32; /* over one level: 2 * 0.5^(p+1) / (p+1) */
    return level * whole + r * error_of(r, power) / (power + 1);
}

/* Sum of |x - quantized x|^p over all values, for levels made from [lo, hi]. */
static double total_error(const search *s, double lo, double hi)
{
    octet_affine affine;
    const octet_range range = { .seen = true, .min = (float)lo, .max = (float)hi };
    if (!octet_qparams_from_range(&affine, range, s->want->qmin, s->want->qmax, s->want->symmetric)) return INFINITY;
    const double inverse = 1 / (double)affine.scale;
    const double tmin = s->want->qmin - affine.zero_point, tmax = s->want->qmax - affine.zero_point;
    double sum = 0, edge = NAN, at_edge = 0;
    for (size_t i = 0; i < s->count; i++) {
        const octet_bin *bin = &s->bins[i];
        const double t0 = bin->lo * inverse, t1 = bin->hi * inverse;
        if (t1 > t0) {
            const double start = t0 == edge ? at_edge : antiderivative(t0, tmin, tmax, s->power);
            edge = t1;
            at_edge = antiderivative(t1, tmin, tmax, s->power);
            sum += (double)bin->count * (at_edge - start) / (t1 - t0);
        } else {
            sum += (double)bin->count * error_of(t0 - fmin(fmax(rint(t0), tmin), tmax), s->power);
        }
    }
    return sum * error_of((double)affine.scale, s->power);
}

/* A candidate: the range's ends, each shrunk by a power of two. */
typedef struct candidate {
    double lo, hi, error;
} candidate;

/* Scales tried: 2^(k * step) from 2^above down to 2^below. */
typedef struct scales {
    double step, above, below;
} scales;

/* Tries the ends that `moves` (bit 0: lo, bit 1: hi) allows, scaled, within seen. Keeps the best. */
static void try_scales(candidate *best, const search *s, int moves, scales tried, const candidate *seen)
{
    const candidate from = *best;
    const int first = (int)lrint(tried.above / tried.step), last = (int)lrint(tried.below / tried.step);
    for (int k = first; k >= last; k--) {
        const double factor = exp2(k * tried.step);
        const double lo = moves & 1 ? fmax(from.lo * factor, seen->lo) : from.lo;
        const double hi = moves & 2 ? fmin(from.hi * factor, seen->hi) : from.hi;
        if (lo == from.lo && hi == from.hi) continue;
        const double error = total_error(s, lo, hi);
        if (error < best->error) *best = (candidate){ .lo = lo, .hi = hi, .error = error };
    }
}

/* Coarse to fine: 10 octaves below the ends seen, then neighbourhoods of ever smaller steps. */
static candidate find_least(const search *s, double lo, double hi)
{
    static const scales wide = { 1.0 / 8, 0, -10 }, local = { 1.0 / 8, 1, -1 };
    static const scales fine[] = { { 1.0 / 16, 1.0 / 16, -1.0 / 16 },
                                   { 1.0 / 32, 1.0 / 32, -1.0 / 32 },
                                   { 1.0 / 64, 1.0 / 64, -1.0 / 64 } };
    const bool both = lo < 0 && hi > 0 && !s->want->symmetric;
    const candidate seen = { .lo = lo, .hi = hi, .error = total_error(s, lo, hi) };
    candidate best = seen;
    try_scales(&best, s, 3, wide, &seen);
    for (int round = 0; both && round < 2; round++) {
        try_scales(&best, s, 2, local, &seen);
        try_scales(&best, s, 1, local, &seen);
    }
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        if (both) try_scales(&best, s, 1, fine[i], &seen);
        try_scales(&best, s, both ? 2 : 3, fine[i], &seen);
    }
    return best;
}

static octet_status least_error(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                                int power, octet_error *err)
{
    *range = observer->range;
    const double lo = fmin(range->min, 0), hi = fmax(range->max, 0);
    if (!range->seen || lo == hi) return OCTET_OK;
    size_t count = 0;
    octet_bin bin;
    for (size_t at = 0; octet_histogram_next(&bin, &at, observer->histogram);) count++;
    octet_arena *arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    octet_bin *bins = octet_arena_alloc(arena, count, sizeof *bins);
    if (!bins) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    count = 0;
    for (size_t at = 0; octet_histogram_next(&bin, &at, observer->histogram);)
        bins[count++] = octet_bin_cut(bin, observer->range);
    const candidate best = find_least(&(search){ bins, count, want, power }, lo, hi);
    range->min = (float)best.lo;
    range->max = (float)best.hi;
    octet_arena_free(arena);
    return OCTET_OK;
}

octet_status octet_estimate_mse(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                                octet_error *err)
{
    return least_error(range, observer, want, 2, err);
}

octet_status octet_estimate_l3(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                               octet_error *err)
{
    return least_error(range, observer, want, 3, err);
}

octet_status octet_estimate_torch(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                                  octet_error *err)
{
    (void)want;
    (void)err;
    *range = octet_torch_histogram_search(observer->torch);
    return OCTET_OK;
}

/* ---- the table ---- */

static const octet_estimator estimators[] = {
    { "minmax", .read = octet_estimate_minmax },
    { "moving_average", .read = octet_estimate_moving_average },
    { "percentile", .histogram = true, .read = octet_estimate_percentile },
    { "mse", .histogram = true, .read = octet_estimate_mse },
    { "l3", .histogram = true, .read = octet_estimate_l3 },
    { "entropy", .histogram = true, .read = octet_estimate_entropy },
    { "histogram", .torch = true, .read = octet_estimate_torch },
    { "histogram_1.13", .torch = true, .truncates = true, .read = octet_estimate_torch },
};

const octet_estimator *octet_estimator_at(size_t index)
{
    return index < sizeof estimators / sizeof *estimators ? &estimators[index] : NULL;
}

const octet_estimator *octet_estimator_find(const char *name)
{
    for (size_t i = 0; i < sizeof estimators / sizeof *estimators; i++)
        if (!strcmp(estimators[i].name, name)) return &estimators[i];
    return NULL;
}
