/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of an SQNR in a fixed number of lanes, which are added in order: the same bits wherever it runs. The vectors are
   the compiler's, of a width that any machine has: it makes nothing good of wider ones. */
#ifndef OCTET_MEASURE_LANES_H
#define OCTET_MEASURE_LANES_H

#include "measure/sqnr.h"

#include <stdint.h>
#include <string.h>

enum { OCTET_LANES = 4 };

typedef float   octet_lane4 __attribute__((vector_size(16)));
typedef int32_t octet_masks __attribute__((vector_size(16)));
typedef float   octet_half __attribute__((vector_size(8)));
typedef double  octet_doubles __attribute__((vector_size(16)));

/* signal r r, noise d d, cross r d (the measured vector's energy is |r|^2 + |d|^2 - 2 r d), and the bits of the largest
   |d|, which order as integers do. second: the noise of another vector. */
typedef struct octet_lanes {
    octet_doubles signal[2], noise[2], cross[2], second[2];
    octet_masks   most;
} octet_lanes;

static inline octet_doubles octet_lane4_lower(octet_lane4 x)
{
    octet_half h;
    memcpy(&h, &x, sizeof h);
    return __builtin_convertvector(h, octet_doubles);
}

static inline octet_doubles octet_lane4_upper(octet_lane4 x)
{
    return octet_lane4_lower(__builtin_shufflevector(x, x, 2, 3, 2, 3));
}

static inline octet_lane4 octet_lane4_choose(octet_masks mask, octet_lane4 yes, octet_lane4 no)
{
    return (octet_lane4)(((octet_masks)yes & mask) | ((octet_masks)no & ~mask));
}

/* n numbers, then zeros. */
static inline octet_lane4 octet_lane4_load(const float *x, size_t n)
{
    octet_lane4 all = { 0 };
    if (n == OCTET_LANES) memcpy(&all, x, sizeof all);
    else memcpy(&all, x, n * sizeof *x);
    return all;
}

static inline void octet_lanes_add(octet_lanes *sum, octet_lane4 r, octet_lane4 m)
{
    const octet_lane4  d  = r - m;
    const octet_doubles r0 = octet_lane4_lower(r), r1 = octet_lane4_upper(r);
    const octet_doubles d0 = octet_lane4_lower(d), d1 = octet_lane4_upper(d);
    const octet_masks   size = (octet_masks)d & INT32_MAX, larger = size > sum->most;
    sum->signal[0] += r0 * r0;
    sum->signal[1] += r1 * r1;
    sum->noise[0] += d0 * d0;
    sum->noise[1] += d1 * d1;
    sum->cross[0] += r0 * d0;
    sum->cross[1] += r1 * d1;
    sum->most = (size & larger) | (sum->most & ~larger);
}

static inline void octet_lanes_add_second(octet_lanes *sum, octet_lane4 r, octet_lane4 m)
{
    const octet_lane4  d  = r - m;
    const octet_doubles d0 = octet_lane4_lower(d), d1 = octet_lane4_upper(d);
    sum->second[0] += d0 * d0;
    sum->second[1] += d1 * d1;
}

/* Adds them to `to`; of the second vector signal and noise alone. */
void octet_lanes_take(octet_sqnr *to, const octet_lanes *sum);
void octet_lanes_take_second(octet_sqnr *to, const octet_lanes *sum);

#endif
