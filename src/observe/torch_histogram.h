/* SPDX-License-Identifier: Apache-2.0 */
/* PyTorch's HistogramObserver, bit for bit: equal bins over the range seen so far, moved to wider ones when the range
   grows, and a search for the range with the least squared error. What it finds depends on batches and their order by
   definition, so two of them do not merge. histogram.h is octet's own. */
#ifndef OCTET_OBSERVE_TORCH_HISTOGRAM_H
#define OCTET_OBSERVE_TORCH_HISTOGRAM_H

#include "observe/range.h"

#include <stdint.h>

enum { OCTET_TORCH_BINS = 2048, OCTET_TORCH_UPSAMPLE = 128, OCTET_TORCH_SEARCH_LEVELS = 256 };

/* Zeroed = nothing seen, 2048 bins, as PyTorch has it since its pull request 90355. */
typedef struct octet_torch_histogram {
    octet_range range;     /* of the bins: true ends, the upper one moved out to a whole number of bins */
    int32_t     bins;      /* 1 to OCTET_TORCH_BINS; 0: OCTET_TORCH_BINS */
    bool        truncates; /* as up to 1.13: values are counted between the ends cut to whole numbers, others dropped */
    float       counts[OCTET_TORCH_BINS];
    float       batch[OCTET_TORCH_BINS]; /* room of observe */
} octet_torch_histogram;

/* x is one batch; values that are not finite are left out, an empty batch is ignored. */
void octet_torch_histogram_observe(octet_torch_histogram *histogram, const float *x, size_t count);

/* `_non_linear_param_search`: the range whose 256 levels have the least squared error, as found by cutting quantiles
   off both ends until the error grows. Not seen where nothing was. */
octet_range octet_torch_histogram_search(const octet_torch_histogram *histogram);

#endif
