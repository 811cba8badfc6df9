/* SPDX-License-Identifier: Apache-2.0 */
/* The quantized network with one thing changed, made integers again: what an option would do, to be run. */
#ifndef OCTET_MEASURE_VARIANT_H
#define OCTET_MEASURE_VARIANT_H

#include "measure/compare.h"
#include "observe/range.h"

/* A copy in real numbers with its FakeQuantizes, to be changed by the functions below. The caller frees it. */
octet_status octet_variant_begin(octet_graph **variant, const octet_pairing *pairing, octet_error *err);

/* Makes it integers again. OCTET_ERR_UNSUPPORTED: a sum or a bias would not fit. */
octet_status octet_variant_end(octet_graph *variant, octet_error *err);

/* Gives value (and all that share its levels) the range; affine: its zero point may lie anywhere. */
octet_status octet_variant_range(octet_graph *variant, const octet_value *value, octet_range range, bool affine,
                                 octet_error *err);

/* All weights anew from the float network's: per channel where asked for or as they are; levels -most to most. */
octet_status octet_variant_weights(octet_graph *variant, const octet_pairing *pairing, bool per_channel, int32_t most,
                                   octet_error *err);

/* Takes from every channel of a layer's bias. False: it has none. */
bool octet_variant_shift(octet_graph *variant, const octet_layer *layer, const double *by, double divisor,
                         size_t channels);

/* Whether the zero point is the middle of the levels. */
bool octet_is_symmetric(const octet_qparams *q);

#endif
