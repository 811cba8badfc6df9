/* SPDX-License-Identifier: Apache-2.0 */
/* A histogram whose bins are the floats themselves: a value's bin is its sign, exponent and upper mantissa bits. So it
   needs no range beforehand, an outlier costs no resolution, counts are exact and independent of order and batches,
   and two histograms merge by addition. With 6 mantissa bits a bin is at most 1/64 of its values wide (about two levels
   of 8 bits at the end of the range, far less than one near zero). */
#ifndef OCTET_OBSERVE_HISTOGRAM_H
#define OCTET_OBSERVE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    OCTET_HISTOGRAM_MANTISSA = 6,
    OCTET_HISTOGRAM_HALF     = 255 << OCTET_HISTOGRAM_MANTISSA, /* finite bins of one sign */
    OCTET_HISTOGRAM_BINS     = 512 << OCTET_HISTOGRAM_MANTISSA,
};

/* counts[bits >> 17]: 256 KiB, of which a tensor touches the few pages of its exponents. Zeroed = nothing seen. */
typedef struct octet_histogram {
    uint64_t counts[OCTET_HISTOGRAM_BINS];
} octet_histogram;

/* Infinities and NaN are counted in bins of their own, which no reading looks at. */
void octet_histogram_observe(octet_histogram *histogram, const float *x, size_t count);
void octet_histogram_merge(octet_histogram *into, const octet_histogram *from);

/* One bin that holds something; lo < hi. Zeros of both signs lie in bins that touch 0. */
typedef struct octet_bin {
    double   lo, hi;
    uint64_t count;
} octet_bin;

/* Bins that are not empty, from the most negative to the most positive. at runs over [0, 2 * OCTET_HISTOGRAM_HALF);
   call with *at = 0 first; false: no more. */
_Bool octet_histogram_next(octet_bin *bin, size_t *at, const octet_histogram *histogram);

#endif
