/* SPDX-License-Identifier: Apache-2.0 */
/* Counts by float bits (observe/histogram.h) need no range beforehand; only drawing makes equal bins of them. */
#include "report/distribution.h"

#include <math.h>
#include <stdlib.h>

octet_status octet_distribution_make(octet_distribution *d, octet_arena *arena, const octet_range *chosen, double step,
                                     size_t channels, octet_error *err)
{
    *d = (octet_distribution){ .half_step = step / 2, .channel_count = channels };
    if (chosen) d->chosen = *chosen;
    if (channels) OCTET_TRY(octet_arena_get(&d->channel, arena, channels, sizeof *d->channel, err));
    return octet_arena_get(&d->histogram, arena, 1, sizeof *d->histogram, err);
}

void octet_distribution_add(octet_distribution *d, const float *x, octet_channel_shape shape)
{
    const size_t count = octet_channels_count(&shape);
    const double lo = (double)d->chosen.min - d->half_step, hi = (double)d->chosen.max + d->half_step;
    uint64_t     below = 0, above = 0;
    d->rejected += octet_range_observe(&d->seen, x, count);
    d->count += count;
    octet_histogram_observe(d->histogram, x, count);
    if (d->channel) octet_range_observe_channels(d->channel, x, shape.outer, shape.channels, shape.inner);
    if (!d->chosen.seen) return;
    for (size_t i = 0; i < count; i++) {
        below += (double)x[i] < lo;
        above += (double)x[i] > hi;
    }
    d->below += below;
    d->above += above;
}

/* ---- drawing ---- */

static void set_interval(octet_bins *bins, const octet_distribution *d)
{
    const double min = (double)d->seen.min, max = (double)d->seen.max; /* 0 where nothing was seen */
    bins->lo = min, bins->hi = max;
    if (d->chosen.seen) {
        const double lo = (double)d->chosen.min, hi = (double)d->chosen.max, most = (hi - lo) / 2;
        bins->lo = fmin(lo, fmax(min, lo - most));
        bins->hi = fmax(hi, fmin(max, hi + most));
    }
    if (bins->lo < bins->hi) return;
    bins->lo -= 0.5; /* one number only */
    bins->hi += 0.5;
}

/* How many of the bin's numbers lie left of edge (last: or on it). Those of a bin that touches 0 are zeros. */
static double left_of(const octet_bin *bin, const octet_range *seen, double edge, bool last)
{
    double lo = fmax(bin->lo, (double)seen->min), hi = fmin(bin->hi, (double)seen->max);
    if (bin->lo == 0 || bin->hi == 0) lo = hi = 0;
    if (edge > hi || (edge == hi && (last || lo < hi))) return (double)bin->count;
    if (edge <= lo) return 0;
    return (double)bin->count * ((edge - lo) / (hi - lo));
}

octet_bins octet_distribution_bins(const octet_distribution *d)
{
    octet_bins bins = { 0 };
    double     left[OCTET_BINS + 1] = { 0 };
    octet_bin  bin;
    double     all = 0;
    set_interval(&bins, d);
    for (size_t at = 0; octet_histogram_next(&bin, &at, d->histogram);) {
        all += (double)bin.count;
        for (int k = 0; k <= OCTET_BINS; k++)
            left[k] += left_of(&bin, &d->seen, bins.lo + (bins.hi - bins.lo) * k / OCTET_BINS, k == OCTET_BINS);
    }
    for (int k = 0; k < OCTET_BINS; k++) bins.counts[k] = (uint64_t)(rint(left[k + 1]) - rint(left[k]));
    bins.below = (uint64_t)rint(left[0]);
    bins.above = (uint64_t)(all - rint(left[OCTET_BINS]));
    return bins;
}

/* ---- channels ---- */

double octet_channel_reach(octet_range range)
{
    return range.seen ? fmax(fabs((double)range.min), fabs((double)range.max)) : 0;
}

double octet_distribution_dead(const octet_distribution *d)
{
    double farthest = 0;
    for (size_t c = 0; c < d->channel_count; c++) farthest = fmax(farthest, octet_channel_reach(d->channel[c]));
    return farthest * 0x1p-24;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double octet_distribution_middle(const octet_distribution *d, double *room)
{
    const double dead  = octet_distribution_dead(d);
    size_t       alive = 0;
    for (size_t i = 0; i < d->channel_count; i++) {
        const double reach = octet_channel_reach(d->channel[i]);
        if (reach > dead) room[alive++] = reach;
    }
    if (!alive) return 0;
    qsort(room, alive, sizeof *room, ascending);
    return room[(alive - 1) / 2];
}
