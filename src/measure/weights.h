/* SPDX-License-Identifier: Apache-2.0 */
/* Weights of the quantized network against the float network's, batch norms folded. */
#ifndef OCTET_MEASURE_WEIGHTS_H
#define OCTET_MEASURE_WEIGHTS_H

#include "measure/compare.h"

/* Sets weights_db of every layer (in the order of pairing) that has weights. */
octet_status octet_weights_db(octet_layer_error *layers, const octet_pairing *pairing, octet_error *err);

#endif
