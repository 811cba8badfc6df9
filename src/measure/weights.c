/* SPDX-License-Identifier: Apache-2.0 */
/* The float network is folded on a copy, so that both sides hold what is multiplied. */
#include "measure/weights.h"

#include "graph/copy.h"
#include "passes/pass.h"

static octet_status compare_folded(octet_layer_error *layers, const octet_pairing *p, octet_graph *folded,
                                   octet_error *err)
{
    OCTET_TRY(octet_pass_fold_batch_norm(folded, err));
    for (size_t i = 0; i < p->layer_count; i++) {
        const octet_node *const node = p->layers[i].unrounded;
        const octet_value      *twin = octet_graph_find_value(folded, p->layers[i].reference->name);
        if (!node || !twin || node->op->quant != OCTET_QUANT_MAC || node->input_count < 2) continue;
        const octet_value *const w = node->inputs[1], *const v = twin->producer->inputs[1];
        const float *const       a = octet_constant_floats(v), *const b = octet_constant_floats(w);
        octet_sqnr               sum = { 0 };
        if (!a || !b || octet_tensor_count(v->constant) != octet_tensor_count(w->constant)) continue;
        octet_sqnr_add(&sum, a, b, (size_t)octet_tensor_count(w->constant));
        layers[i].weights_db = octet_sqnr_db(&sum);
    }
    return OCTET_OK;
}

octet_status octet_weights_db(octet_layer_error *layers, const octet_pairing *pairing, octet_error *err)
{
    octet_graph *folded;
    OCTET_TRY(octet_graph_copy(&folded, pairing->real, err));
    const octet_status status = compare_folded(layers, pairing, folded, err);
    octet_graph_free(folded);
    return status;
}
