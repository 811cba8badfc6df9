/* SPDX-License-Identifier: Apache-2.0 */
/* Counting by float bits: one shift and one increment a value. Equal neighbours (zeros after a Relu) would make each
   increment wait for the one before; values four apart are counted one after another instead, so that a run of equal
   ones is added at once. */
#include "observe/histogram.h"

#include <string.h>

enum { SHIFT = 23 - OCTET_HISTOGRAM_MANTISSA };

static uint32_t bin_of(const float *x)
{
    uint32_t bits;
    memcpy(&bits, x, sizeof bits);
    return bits >> SHIFT;
}

void octet_histogram_observe(octet_histogram *histogram, const float *x, size_t count)
{
    uint64_t *const counts = histogram->counts;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const uint32_t a = bin_of(x + i), b = bin_of(x + i + 1), c = bin_of(x + i + 2), d = bin_of(x + i + 3);
        if (a == b && c == d && a == c) {
            counts[a] += 4;
            continue;
        }
        counts[a]++;
        counts[b]++;
        counts[c]++;
        counts[d]++;
    }
    for (; i < count; i++) counts[bin_of(x + i)]++;
}

void octet_histogram_merge(octet_histogram *into, const octet_histogram *from)
{
    for (size_t i = 0; i < OCTET_HISTOGRAM_BINS; i++) into->counts[i] += from->counts[i];
}

/* The magnitude at which the bins of one sign number index begin. The one past the largest float is 2^128, which a
   float cannot hold. */
static double edge(uint32_t index)
{
    if (index == OCTET_HISTOGRAM_HALF) return 0x1p128;
    const uint32_t bits = index << SHIFT;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

_Bool octet_histogram_next(octet_bin *bin, size_t *at, const octet_histogram *histogram)
{
    for (; *at < 2 * OCTET_HISTOGRAM_HALF; ++*at) {
        const _Bool negative = *at < OCTET_HISTOGRAM_HALF;
        const uint32_t magnitude = (uint32_t)(negative ? OCTET_HISTOGRAM_HALF - 1 - *at : *at - OCTET_HISTOGRAM_HALF);
        const uint64_t count = histogram->counts[magnitude + (negative ? OCTET_HISTOGRAM_BINS / 2 : 0)];
        if (!count) continue;
        const double inner = edge(magnitude), outer = edge(magnitude + 1);
        *bin = (octet_bin){ .lo = negative ? -outer : inner, .hi = negative ? -inner : outer, .count = count };
        ++*at;
        return 1;
    }
    return 0;
}
