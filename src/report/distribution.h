/* SPDX-License-Identifier: Apache-2.0 */
/* How real numbers lie beside the range that was chosen for them. Memory depends on channels, not on how many numbers
   were seen; all counts are exact and do not depend on order. */
#ifndef OCTET_REPORT_DISTRIBUTION_H
#define OCTET_REPORT_DISTRIBUTION_H

#include "base/arena.h"
#include "base/channels.h"
#include "observe/histogram.h"
#include "observe/range.h"

typedef struct octet_distribution {
    octet_histogram *histogram;
    octet_range      seen;
    octet_range      chosen;        /* what the lowest and the highest level stand for; not seen: no levels */
    double           half_step;     /* numbers beyond chosen by more than that saturate */
    uint64_t         count, rejected, below, above; /* numbers, and of these: not finite, saturating at either end */
    octet_range     *channel;       /* NULL: none, or not known which dimension */
    size_t           channel_count;
} octet_distribution;

/* chosen may be NULL; step is the distance of two levels. channels 0: none are told apart. */
octet_status octet_distribution_make(octet_distribution *d, octet_arena *arena, const octet_range *chosen, double step,
                                     size_t channels, octet_error *err);

/* shape is that of x where channels are told apart, else its product alone counts. */
void octet_distribution_add(octet_distribution *d, const float *x, octet_channel_shape shape);

/* ---- for drawing ---- */

enum { OCTET_BINS = 80 };

/* Equal bins over [lo, hi]: the chosen range, and of what lies beyond at most half of its width on each side; without
   one, all that was seen. */
typedef struct octet_bins {
    double   lo, hi;
    uint64_t counts[OCTET_BINS];
    uint64_t below, above; /* numbers outside of [lo, hi] */
} octet_bins;

/* A number's place is known to 1/64 of it: bins that share one of the histogram's are given their parts of its count,
   rounded so that nothing is lost. */
octet_bins octet_distribution_bins(const octet_distribution *d);

/* ---- channels ---- */

/* A channel is dead where it was always 0, or nearer to it than 2^-24 of what the farthest channel reaches: in a sum of
   both in float32 it leaves no trace. It is an outlier where it reaches OCTET_OUTLIER times as far as the channel in
   the middle of those that are not dead. */
#define OCTET_OUTLIER 8.0

/* The reach of a channel, max |x|. */
double octet_channel_reach(octet_range range);
/* The farthest reach of a dead channel. */
double octet_distribution_dead(const octet_distribution *d);
/* The middle one of the reaches of channels that are not dead (of an even number the lower); 0: all are dead.
   room: channel_count doubles. */
double octet_distribution_middle(const octet_distribution *d, double *room);

#endif
