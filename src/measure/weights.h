/* SPDX-License-Identifier: Apache-2.0 */
/* Weights of the quantized network against the float network's, batch norms folded. */
#ifndef OCTET_MEASURE_WEIGHTS_H
#define OCTET_MEASURE_WEIGHTS_H

#include "measure/compare.h"

/* The weights of a layer (index in the pairing), as real numbers: float, quantized. False: it has none. */
bool octet_layer_weights(const octet_tensor *weights[2], const octet_pairing *pairing, size_t layer);

/* SQNR of them; NAN: none. */
double octet_weights_db(const octet_pairing *pairing, size_t layer);

#endif
