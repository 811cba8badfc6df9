/* SPDX-License-Identifier: Apache-2.0 */
/* From what an observer has seen to the range that will be quantized: one function per method, all deterministic and
   in double. Every result lies within the range seen, or that range widened to hold zero. */
#ifndef OCTET_OBSERVE_ESTIMATE_H
#define OCTET_OBSERVE_ESTIMATE_H

#include "base/arena.h"
#include "observe/observer.h"

#include <octet/error.h>

/* What the range is for: searches judge by the levels of octet's formula (qparams.h). */
typedef struct octet_estimate {
    int32_t qmin, qmax;
    bool    symmetric;
    double  percentile; /* of octet_estimate_percentile: in (50, 100]; 0: 99.99 */
} octet_estimate;

octet_status octet_estimate_minmax(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                                   octet_error *err);
octet_status octet_estimate_moving_average(octet_range *range, const octet_observer *observer,
                                           const octet_estimate *want, octet_error *err);

/* The smallest range that keeps `percentile` percent of all values: where values of both signs occur half of the rest
   is cut at each end (as ONNX Runtime does), else all of it at the one end. */
octet_status octet_estimate_percentile(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                                       octet_error *err);

/* The ends with the least sum of |x - quantized x|^p, p = 2 or 3, found by a fixed search: both ends shrink together,
   then each by itself. Where all values have one sign only the other end moves; symmetric moves both together. */
octet_status octet_estimate_mse(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                                octet_error *err);
octet_status octet_estimate_l3(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                               octet_error *err);

/* The range whose levels, as a distribution, are least apart from the values: least Kullback-Leibler divergence, as
   TensorRT and ONNX Runtime calibrate. See entropy.c for its exact terms. */
octet_status octet_estimate_entropy(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                                    octet_error *err);

/* What torch's HistogramObserver finds, whatever is wanted. */
octet_status octet_estimate_torch(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                                  octet_error *err);

/* A bin of octet's histogram cut to the range really seen: a spike at the largest value (after a Clip), or the one
   outlier, then sits where it is. */
octet_bin octet_bin_cut(octet_bin bin, octet_range seen);

/* The methods as a table; NULL past the end, or where there is none of the name. */
typedef struct octet_estimator {
    const char *name; /* "minmax", "moving_average", "percentile", "mse", "l3", "entropy", "histogram", ... */
    bool        histogram; /* reads the observer's histogram, which must then exist */
    bool        torch;     /* reads torch's, which must then exist */
    bool        truncates; /* that is to be 1.13's */
    octet_status (*read)(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                         octet_error *err);
} octet_estimator;

const octet_estimator *octet_estimator_at(size_t index);
const octet_estimator *octet_estimator_find(const char *name);

#endif
