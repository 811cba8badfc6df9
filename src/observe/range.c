/* SPDX-License-Identifier: Apache-2.0 */
/* Min-max statistics. Values are looked at in blocks: one pass without branches finds the block's ends, and only a
   block with an infinity or NaN in it is looked at one value at a time. */
#include "observe/range.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK = 1024, LANES = 16 };

/* Widens ends to cover x; false where a value was not finite (ends are then undefined). */
static bool block_ends(float ends[2], const float *x, size_t count)
{
    float low[LANES], high[LANES];
    uint32_t special[LANES] = { 0 };
    for (int lane = 0; lane < LANES; lane++) low[lane] = high[lane] = x[0];
    for (size_t i = 0; i + LANES <= count; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            const float value = x[i + (size_t)lane];
            uint32_t bits;
            memcpy(&bits, &value, sizeof bits);
            special[lane] |= (uint32_t)((bits & 0x7f800000u) == 0x7f800000u);
            low[lane] = value < low[lane] ? value : low[lane];
            high[lane] = value > high[lane] ? value : high[lane];
        }
    bool finite = true;
    for (int lane = 0; lane < LANES; lane++) {
        finite = finite && !special[lane];
        ends[0] = low[lane] < ends[0] ? low[lane] : ends[0];
        ends[1] = high[lane] > ends[1] ? high[lane] : ends[1];
    }
    for (size_t i = count / LANES * LANES; i < count; i++) {
        finite = finite && isfinite(x[i]);
        ends[0] = x[i] < ends[0] ? x[i] : ends[0];
        ends[1] = x[i] > ends[1] ? x[i] : ends[1];
    }
    return finite;
}

/* The same one value at a time, skipping what is not finite. Returns how many were skipped. */
static size_t careful_ends(octet_range *range, const float *x, size_t count)
{
    size_t rejected = 0;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(x[i])) rejected++;
        else *range = octet_range_union(*range, (octet_range){ .seen = true, .min = x[i], .max = x[i] });
    return rejected;
}

size_t octet_range_observe(octet_range *range, const float *x, size_t count)
{
    size_t rejected = 0;
    for (size_t start = 0; start < count; start += BLOCK) {
        const size_t size = count - start < BLOCK ? count - start : BLOCK;
        float ends[2] = { range->seen ? range->min : x[start], range->seen ? range->max : x[start] };
        if (block_ends(ends, x + start, size))
            *range = (octet_range){ .seen = true, .min = ends[0], .max = ends[1] };
        else
            rejected += careful_ends(range, x + start, size);
    }
    return rejected;
}

size_t octet_range_observe_channels(octet_range *ranges, const float *x, size_t outer, size_t channels, size_t inner)
{
    size_t rejected = 0;
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
