/* SPDX-License-Identifier: Apache-2.0 */
/* Entropy calibration. Magnitudes lie in BINS equal bins up to the largest, octet's histogram bins spread evenly over
   them; zeros, which every range represents exactly, are left out. Levels tell L magnitudes apart: all levels where
   values have one sign, else half of them. For every i from L to BINS the first i bins are kept. P is their counts, the
   last one with all that lies beyond; Q is what levels make of them: bin j belongs to level j * L / i, and all bins of
   a level that P has something in hold the mean of what they held. The i with the least sum of P log(P / Q), both
   normalised, wins, of equal ones the largest; where a level holds only what lies beyond, the sum is infinite. */
#include "observe/estimate.h"

#include "base/arena.h"
#include "base/math.h"

#include <math.h>

enum { BINS = 2048 };

/* Running sums over the bins: entry k is of the first k. */
typedef struct sums {
    double count[BINS + 1], self[BINS + 1]; /* self: of P log P */
    int    held[BINS + 1];                  /* bins with something in them */
} sums;

static double self(double count) { return count > 0 ? count * octet_log(count) : 0; }

/* Spreads count values over magnitudes lo..hi. */
static void spread(double bins[BINS], double lo, double hi, double count, double width)
{
    const double last  = BINS - 1;
    const size_t first = (size_t)fmin(lo / width, last), end = (size_t)fmin(hi / width, last);
    for (size_t i = first; i <= end && first < end; i++) {
        const double from = fmax(lo, (double)i * width), to = i == end ? hi : fmin(hi, (double)(i + 1) * width);
        bins[i] += count * fmax(to - from, 0) / (hi - lo);
    }
    if (first == end) bins[first] += count;
}

static void fill(double bins[BINS], const octet_observer *observer, double width)
{
    octet_bin bin;
    for (size_t at = 0; octet_histogram_next(&bin, &at, observer->histogram);) {
        if (bin.lo == 0 || bin.hi == 0) continue;
        const octet_bin held = octet_bin_cut(bin, observer->range);
        const bool      negative = held.lo < 0;
        spread(bins, negative ? -held.hi : held.lo, negative ? -held.lo : held.hi, (double)held.count, width);
    }
}

static void accumulate(sums *s, const double bins[BINS])
{
    for (int i = 0; i < BINS; i++) {
        s->count[i + 1] = s->count[i] + bins[i];
        s->self[i + 1]  = s->self[i] + self(bins[i]);
        s->held[i + 1]  = s->held[i] + (bins[i] > 0);
    }
}

/* The divergence where the first kept bins are represented by levels. */
static double divergence(const sums *s, int kept, int levels)
{
    const double total = s->count[BINS], inside = s->count[kept], beyond = total - inside;
    const double last = s->count[kept] - s->count[kept - 1];
    double       sum  = s->self[kept] - self(last) + self(last + beyond);
    for (int level = 0; level < levels; level++) {
        const int    from = (level * kept + levels - 1) / levels, to = ((level + 1) * kept + levels - 1) / levels;
        const bool   ends = to == kept, newly = ends && last == 0 && beyond > 0;
        const double own = s->count[to] - s->count[from], of_p = own + (ends ? beyond : 0);
        const int    held = s->held[to] - s->held[from] + newly;
        if (of_p > 0 && !(own > 0)) return INFINITY;
        if (of_p > 0) sum -= of_p * octet_log(own / held);
    }
    return sum / total - octet_log(total) + octet_log(inside);
}

static int least_divergence(const sums *s, int levels)
{
    double best  = INFINITY;
    int    found = BINS;
    for (int i = levels; i <= BINS; i++) {
        const double here = divergence(s, i, levels);
        if (here > best) continue;
        best  = here;
        found = i;
    }
    return found;
}

octet_status octet_estimate_entropy(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                                    octet_error *err)
{
    *range = observer->range;
    const double most = fmax(-(double)range->min, (double)range->max), width = most / BINS;
    const bool   both = want->symmetric || (range->min < 0 && range->max > 0);
    const int    all  = want->qmax - want->qmin + 1, levels = both ? all / 2 : all;
    if (!range->seen || !(width > 0) || levels < 1 || levels > BINS) return OCTET_OK;
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    double *const bins = octet_arena_alloc(arena, BINS, sizeof *bins);
    sums *const   s    = octet_arena_alloc(arena, 1, sizeof *s);
    if (bins && s) {
        fill(bins, observer, width);
        accumulate(s, bins);
        const float end = (float)(least_divergence(s, levels) * width);
        range->min      = fminf(fmaxf(range->min, -end), 0);
        range->max      = fmaxf(fminf(range->max, end), 0);
    }
    octet_arena_free(arena);
    return bins && s ? OCTET_OK : octet_fail_memory(err);
}
