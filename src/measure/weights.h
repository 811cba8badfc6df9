/* SPDX-License-Identifier: Apache-2.0 */
/* Weights of the quantized network against the float network's, batch norms folded. */
#ifndef OCTET_MEASURE_WEIGHTS_H
#define OCTET_MEASURE_WEIGHTS_H

#include "measure/compare.h"

/* The weights of a layer (index in the pairing) that are its node's input `slot`, as real numbers: float, quantized.
   False: no weights are there. Recurrent nodes have two, 1 and 2; all others one, 1. */
bool octet_layer_weights(const octet_tensor *weights[2], const octet_pairing *pairing, size_t layer, int slot);

/* SQNR of those at 1; NAN: none. */
double octet_weights_db(const octet_pairing *pairing, size_t layer);

#endif
