/* SPDX-License-Identifier: Apache-2.0 */
/* The interval of real values seen on a tensor, or on one channel of it. A zeroed struct is empty. The ends are the
   raw ones: that zero must be representable is qparams.h's business, because PyTorch's formulas want both forms. */
#ifndef OCTET_OBSERVE_RANGE_H
#define OCTET_OBSERVE_RANGE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct octet_range {
    bool  seen; /* false: no finite value yet, min and max mean nothing */
    float min, max;
} octet_range;

/* Widens range to cover x. Returns how many values were not finite; those are left out. */
size_t octet_range_observe(octet_range *range, const float *x, size_t count);

/* The same for x of shape [outer, channels, inner], one range per channel. */
size_t octet_range_observe_channels(octet_range *ranges, const float *x, size_t outer, size_t channels, size_t inner);

/* Combines what two threads or batches have seen. */
octet_range octet_range_union(octet_range a, octet_range b);

/* Moves range towards a batch's: v + averaging * (batch - v), each operation rounded to float32 as PyTorch does. The
   first batch sets it; an empty one changes nothing. */
void octet_range_move(octet_range *range, octet_range batch, float averaging);

#endif
