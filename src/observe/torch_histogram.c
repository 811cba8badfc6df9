/* SPDX-License-Identifier: Apache-2.0 */
/* Each float operation is one rounding, in torch's order; what torch sums in double is summed in double here, in the
   same order. Torch spreads old counts over an array of bins * downsampling elements, which one outlier lets explode;
   here a position in it is a number. */
#include "observe/torch_histogram.h"

#include <math.h>
#include <string.h>

static size_t bins_of(const octet_torch_histogram *h) { return h->bins ? (size_t)h->bins : OCTET_TORCH_BINS; }

/* ---- counting: torch.histc ---- */

/* Where lo and hi are equal the batch's own ends count, and where those are, too, one to either side. */
static void count_batch(float *counts, size_t bins, const float *x, size_t count, octet_range edges, octet_range own)
{
    if (edges.min == edges.max) edges = own;
    if (edges.min == edges.max) edges = (octet_range){ true, edges.min - 1, edges.max + 1 };
    const float lo = edges.min, hi = edges.max, width = hi - lo, times = (float)bins;
    memset(counts, 0, bins * sizeof *counts);
    for (size_t i = 0; i < count; i++) {
        if (!(x[i] >= lo && x[i] <= hi)) continue;
        const float away = x[i] - lo, scaled = away * times, at = scaled / width;
        const size_t bin = at < times ? (size_t)at : bins - 1;
        counts[bin] += 1;
    }
}

static octet_range edges_of(const octet_torch_histogram *h, octet_range range)
{
    if (!h->truncates) return range;
    return (octet_range){ true, truncf(range.min), truncf(range.max) };
}

/* ---- wider bins ---- */

/* counts and what the old ones, each spread over OCTET_TORCH_UPSAMPLE fine bins from start on, give every down of
   those. Torch takes the difference of two running sums, of which it has rounded the lower one. */
static void spread(float *counts, const float *old, size_t bins, int64_t start, int64_t down)
{
    const int64_t end  = start + (int64_t)bins * OCTET_TORCH_UPSAMPLE;
    int64_t       at   = start;
    double        sum  = 0;
    float         last = 0;
    for (size_t i = 0; i < bins; i++) {
        const int64_t stop = ((int64_t)i + 1) * down < end ? ((int64_t)i + 1) * down : end;
        for (; at < stop; at++) sum += (double)old[(at - start) / OCTET_TORCH_UPSAMPLE];
        const float held = (float)((sum - (double)last) / OCTET_TORCH_UPSAMPLE);
        last             = (float)sum;
        counts[i] += held;
    }
}

/* The range of both and, per bin of the new histogram, fine bins of the old; false where the old one is too narrow for
   a number of those. */
static bool widen(octet_range *both, int64_t *start, int64_t *down, octet_range old, octet_range own, size_t bins)
{
    const float width = (old.max - old.min) / (float)(bins * OCTET_TORCH_UPSAMPLE), step = (float)bins * width;
    *both             = octet_range_union(old, own);
    const float ratio = (both->max - both->min) / step, times = ceilf(ratio);
    if (!(times < 0x1p40f)) return false;
    const float whole = times * step, more = whole - (both->max - both->min);
    both->max += more;
    *down  = (int64_t)times;
    *start = (int64_t)rintf((old.min - both->min) / width);
    return true;
}

void octet_torch_histogram_observe(octet_torch_histogram *h, const float *x, size_t count)
{
    const size_t bins = bins_of(h);
    octet_range  own = { 0 }, both;
    int64_t      start, down;
    octet_range_observe(&own, x, count);
    if (!own.seen) return;
    if (!h->range.seen || h->range.min == h->range.max || !widen(&both, &start, &down, h->range, own, bins)) {
        h->range = own; /* torch, too, forgets a history of one value */
        count_batch(h->counts, bins, x, count, edges_of(h, own), own);
        return;
    }
    count_batch(h->batch, bins, x, count, edges_of(h, both), own);
    if (both.min == h->range.min && both.max == h->range.max)
        for (size_t i = 0; i < bins; i++) h->batch[i] += h->counts[i];
    else
        spread(h->batch, h->counts, bins, start, down);
    memcpy(h->counts, h->batch, bins * sizeof *h->counts);
    h->range = both;
}

/* ---- the search ---- */

/* torch.div(a, b, rounding_mode='floor') for b > 0, clamped to the levels. */
static float level_of(float a, float b)
{
    const float rest = fmodf(a, b);
    float       d    = (a - rest) / b;
    if (rest < 0) d -= 1;
    float whole = floorf(d);
    if (d - whole > 0.5f) whole += 1;
    return whole < 0 ? 0 : whole > OCTET_TORCH_SEARCH_LEVELS - 1 ? OCTET_TORCH_SEARCH_LEVELS - 1 : whole;
}

/* The integral of density * x^2 over [lo, hi]. */
static float square(float lo, float hi, float density)
{
    const float high = hi * hi * hi, low = lo * lo * lo, apart = high - low;
    return density * (apart / 3);
}

/* What a bin from b to t loses to levels d wide. */
static float bin_error(float b, float t, float d, float half, float density)
{
    const float first = level_of(b, d), last = level_of(t, d);
    const float left = (first + 0.5f) * d, right = last * d + half;
    const float between = last - first - 1;
    const float head = square(b - left, half, density), middle = between * square(-half, half, density);
    const float sum = head + middle;
    return sum + square(-half, t - right, density);
}

/* The squared error of all values when the bins first..last become OCTET_TORCH_SEARCH_LEVELS levels. */
static float error_of(const octet_torch_histogram *h, size_t first, size_t last)
{
    const size_t bins  = bins_of(h);
    const double width = ((double)h->range.max - (double)h->range.min) / (double)bins;
    const double wide  = width * (double)(last - first + 1) / OCTET_TORCH_SEARCH_LEVELS;
    const float  w = (float)width, d = (float)wide, half = (float)(wide / 2);
    double       sum = 0;
    if (wide == 0) return 0;
    for (size_t i = 0; i < bins; i++) {
        if (h->counts[i] == 0) continue;
        const float from = ((float)i - (float)first) * w, density = h->counts[i] / w;
        sum += (double)bin_error(from, from + w, d, half, density);
    }
    return (float)sum;
}

/* Running sums, each rounded; returns the last one. */
static float accumulate(float *sums, const octet_torch_histogram *h)
{
    double sum = 0;
    for (size_t i = 0; i < bins_of(h); i++) {
        sum += (double)h->counts[i];
        sums[i] = (float)sum;
    }
    return (float)sum;
}

octet_range octet_torch_histogram_search(const octet_torch_histogram *h)
{
    float        sums[OCTET_TORCH_BINS], best = INFINITY;
    const double total = (double)accumulate(sums, h), step = 1e-5;
    const float  width = (h->range.max - h->range.min) / (float)bins_of(h);
    double       alpha = 0, beta = 1;
    size_t       start = 0, end = bins_of(h) - 1;
    if (!h->range.seen) return h->range;
    while (alpha < beta) {
        const double next_alpha = alpha + step, next_beta = beta - step;
        size_t       left = start, right = end, next_start = start, next_end = end;
        while (left < end && sums[left] < (float)(next_alpha * total)) left++;
        while (right > start && sums[right] > (float)(next_beta * total)) right--;
        if (left - start > end - right) next_start = left, alpha = next_alpha;
        else next_end = right, beta = next_beta;
        if (next_start == start && next_end == end) continue;
        const float error = error_of(h, next_start, next_end);
        if (error > best) break;
        best = error, start = next_start, end = next_end;
    }
    const float low = width * (float)start, high = width * (float)(end + 1);
    return (octet_range){ true, h->range.min + low, h->range.min + high };
}
