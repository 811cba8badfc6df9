/* SPDX-License-Identifier: Apache-2.0 */
/* Min-max statistics. One pass without branches keeps ends per lane, which NaN does not touch; only where an infinity
   shows among them are values looked at one at a time. */
#include "observe/range.h"

#include <math.h>
#include <stdint.h>

enum { LANES = 64 };

/* What lane k of every row has seen. */
typedef struct ends {
    float    low[LANES], high[LANES];
    uint32_t nan[LANES];
} ends;

/* rows of n <= LANES values, step apart. */
static void find_ends(ends *found, const float *x, size_t rows, size_t step, size_t n)
{
    ends e = { .nan = { 0 } };
    for (size_t lane = 0; lane < LANES; lane++) {
        e.low[lane]  = INFINITY;
        e.high[lane] = -INFINITY;
    }
    for (size_t row = 0; row < rows; row++)
        for (size_t lane = 0; lane < n; lane++) {
            const float value = x[row * step + lane];
            e.nan[lane] += value != value;
            e.low[lane]  = value < e.low[lane] ? value : e.low[lane];
            e.high[lane] = value > e.high[lane] ? value : e.high[lane];
        }
    *found = e;
}

/* Widens range to what a lane has seen; false where that has an infinity in it, or nothing but NaN. */
static bool add_lane(octet_range *range, const ends *e, size_t lane)
{
    const float low = e->low[lane], high = e->high[lane];
    if (isinf(low) || isinf(high)) return false;
    *range = octet_range_union(*range, (octet_range){ .seen = true, .min = low, .max = high });
    return true;
}

/* One value at a time, step apart, skipping what is not finite. Returns how many were skipped. */
static size_t careful(octet_range *range, const float *x, size_t count, size_t step)
{
    size_t      rejected = 0;
    octet_range found    = { .min = INFINITY, .max = -INFINITY };
    for (size_t i = 0; i < count; i++) {
        const float value = x[i * step];
        if (!isfinite(value)) {
            rejected++;
            continue;
        }
        found.min = value < found.min ? value : found.min;
        found.max = value > found.max ? value : found.max;
    }
    found.seen = rejected < count;
    *range     = octet_range_union(*range, found);
    return rejected;
}

size_t octet_range_observe(octet_range *range, const float *x, size_t count)
{
    const size_t rows = count / LANES, whole = rows * LANES;
    if (!rows) return careful(range, x, count, 1);
    ends        e;
    octet_range seen     = *range;
    size_t      rejected = 0;
    bool        finite   = true;
    find_ends(&e, x, rows, LANES, LANES);
    for (size_t lane = 0; lane < LANES; lane++) {
        rejected += e.nan[lane];
        finite = add_lane(&seen, &e, lane) && finite;
    }
    if (!finite) return careful(range, x, count, 1);
    *range = seen;
    return rejected + careful(range, x + whole, count - whole, 1);
}

/* Channels last: LANES of them at a time. */
static size_t observe_across(octet_range *ranges, const float *x, size_t outer, size_t channels)
{
    size_t rejected = 0;
    for (size_t first = 0; first < channels; first += LANES) {
        const size_t n = channels - first < LANES ? channels - first : LANES;
        ends         e;
        find_ends(&e, x + first, outer, channels, n);
        for (size_t lane = 0; lane < n; lane++)
            rejected += add_lane(&ranges[first + lane], &e, lane)
                            ? e.nan[lane]
                            : careful(&ranges[first + lane], x + first + lane, outer, channels);
    }
    return rejected;
}

size_t octet_range_observe_channels(octet_range *ranges, const float *x, size_t outer, size_t channels, size_t inner)
{
    size_t rejected = 0;
    if (inner == 1) return observe_across(ranges, x, outer, channels);
    for (size_t o = 0; o < outer; o++)
        for (size_t c = 0; c < channels; c++)
            rejected += octet_range_observe(&ranges[c], x + (o * channels + c) * inner, inner);
    return rejected;
}

octet_range octet_range_union(octet_range a, octet_range b)
{
    if (!a.seen) return b;
    if (!b.seen) return a;
    return (octet_range){ .seen = true,
                          .min = b.min < a.min ? b.min : a.min,
                          .max = b.max > a.max ? b.max : a.max };
}

static float move(float value, float batch, float averaging)
{
    const float step = averaging * (batch - value);
    return value + step;
}

void octet_range_move(octet_range *range, octet_range batch, float averaging)
{
    if (!batch.seen) return;
    if (range->seen) {
        batch.min = move(range->min, batch.min, averaging);
        batch.max = move(range->max, batch.max, averaging);
    }
    *range = batch;
}
