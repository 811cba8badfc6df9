/* SPDX-License-Identifier: Apache-2.0 */
/* The float network is folded on a copy, so that both sides hold what is multiplied. */
#include "measure/weights.h"

#include "passes/pass.h"

#include <math.h>

static bool holds_weights(const octet_op *op, int slot)
{
    return (op->quant == OCTET_QUANT_MAC && slot == 1) || op->dynamic_weights >> slot & 1;
}

bool octet_layer_weights(const octet_tensor *weights[2], const octet_pairing *pairing, size_t layer, int slot)
{
    const octet_node *const  node = pairing->layers[layer].unrounded;
    const octet_value *const twin = octet_graph_find_value(pairing->folded, pairing->layers[layer].reference->name);
    if (!node || !twin || node->input_count <= slot || !holds_weights(node->op, slot)) return false;
    const octet_value *const real = twin->producer->inputs[slot], *const rounded = node->inputs[slot];
    if (!octet_constant_floats(real) || !octet_constant_floats(rounded)) return false;
    weights[0] = real->constant;
    weights[1] = rounded->constant;
    return octet_tensor_count(weights[0]) == octet_tensor_count(weights[1]);
}

double octet_weights_db(const octet_pairing *pairing, size_t layer)
{
    const octet_tensor *w[2];
    octet_sqnr          sum = { 0 };
    if (!octet_layer_weights(w, pairing, layer, 1)) return NAN;
    octet_sqnr_add(&sum, w[0]->data, w[1]->data, (size_t)octet_tensor_count(w[0]));
    return octet_sqnr_db(&sum);
}
