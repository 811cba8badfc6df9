/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of numbers that are all at hand: weights that share one scale. */
#ifndef OCTET_OBSERVE_LEAST_ERROR_H
#define OCTET_OBSERVE_LEAST_ERROR_H

#include "observe/qparams.h"

/* The scale, and where not symmetric the zero point, with which rounding n numbers to qmin..qmax (8 bits at most) makes
   the least sum of squared errors that a fixed search finds: shares of the range seen, coarse, then fine, then the
   scale that fits the levels best. Symmetric: the zero point is the middle level, and the lowest level is used, too.
   Numbers that are not finite count for nothing. */
octet_affine octet_least_error(const float *x, size_t n, int32_t qmin, int32_t qmax, bool symmetric);

#endif
