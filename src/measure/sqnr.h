/* SPDX-License-Identifier: Apache-2.0 */
/* How far one vector is from another, gathered piece by piece in a fixed order. Zeroed = nothing seen. */
#ifndef OCTET_MEASURE_SQNR_H
#define OCTET_MEASURE_SQNR_H

#include <octet/tensor.h>

#include "kernels/kernels.h"

#include <stddef.h>

typedef struct octet_sqnr {
    double signal, noise; /* sums of squares of the reference, and of the difference */
    double other, product; /* of the measured vector, and of both: for the cosine */
    double max_abs;        /* largest difference */
} octet_sqnr;

void octet_sqnr_add(octet_sqnr *sqnr, const float *reference, const float *measured, size_t count);

/* measured is float32 or has levels, with one scale or one per channel; reference has as many elements. */
void octet_sqnr_add_tensor(octet_sqnr *sqnr, const float *reference, const octet_tensor *measured);

/* What a kernel has summed, added; of its second vector only signal and noise. */
void octet_sqnr_take(octet_sqnr *to, const octet_difference *sums);
void octet_sqnr_take_second(octet_sqnr *to, const octet_difference *sums);

/* What was gathered elsewhere, added behind what is here. */
void octet_sqnr_merge(octet_sqnr *into, const octet_sqnr *from);

/* 10 log10(signal / noise); +INFINITY where nothing differs, NAN where nothing was seen. */
double octet_sqnr_db(const octet_sqnr *sqnr);

/* NAN where either vector is zero. */
double octet_sqnr_cosine(const octet_sqnr *sqnr);

#endif
