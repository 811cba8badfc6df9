/* SPDX-License-Identifier: Apache-2.0 */
/* From calibrated to quantized: weights and biases become integers, nothing observes any more. */
#include "quantize/calibration.h"

#include "ops/profile.h"
#include "passes/integerize.h"
#include "passes/pass.h"

octet_status octet_convert(octet_graph *graph, octet_error *err)
{
    const octet_calibration *const c = graph->calibration;
    if (graph->stage != OCTET_STAGE_CALIBRATED || !c)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "only a calibrated network can be converted");
    const bool integer_bias = !c->target->real_bias;
    for (octet_node *n = graph->first; n; n = n->next) {
        if (!octet_sums_integers(n) || !integer_bias) continue;
        OCTET_TRY(octet_raise_weight_scales(graph, n, err));
        if (!c->qconfig.no_bias_correction) OCTET_TRY(octet_correct_bias(graph, n, err));
    }
    OCTET_TRY(octet_integerize_constants(graph, octet_profile_find(c->target->profile), err));
    if (integer_bias) OCTET_TRY(octet_integerize_biases(graph, err));
    for (octet_value *v = graph->values; v; v = v->next)
        if (v->fake_quantize) v->fake_quantize->observer = NULL;
    graph->stage       = OCTET_STAGE_QUANTIZED;
    graph->calibration = NULL;
    return octet_graph_check(graph, err);
}
