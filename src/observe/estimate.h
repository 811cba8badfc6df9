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

/* The methods as a table; NULL past the end, or where there is none of the name. */
typedef struct octet_estimator {
    const char *name; /* "minmax", "moving_average", "percentile", "mse", "l3" */
    bool        histogram; /* reads the observer's histogram, which must then exist */
    octet_status (*read)(octet_range *range, const octet_observer *observer, const octet_estimate *want,
                         octet_error *err);
} octet_estimator;

const octet_estimator *octet_estimator_at(size_t index);
const octet_estimator *octet_estimator_find(const char *name);

#endif
