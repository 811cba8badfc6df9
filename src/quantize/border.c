/* SPDX-License-Identifier: Apache-2.0 */
/* Levels instead of real numbers at the network's border. Nothing is computed: what a deployed network would do first,
   round its input, and last, multiply its output out, is left to its caller. */
#include <octet/quantize.h>

#include "graph/op.h"
#include "ops/levels.h"

static octet_status expose(octet_graph *graph, octet_value *value, const char *what, octet_error *err)
{
    const octet_qparams *const levels = octet_value_levels(graph, value);
    const char                *why    = NULL;
    int32_t                    lowest, highest;
    if (value->dtype != OCTET_F32) return OCTET_OK;
    if (!levels) why = "it is not kept as levels";
    else if (value->constant || (value->is_input && value->is_output)) why = "nothing computes it";
    else if (levels->count != 1 || !octet_levels_bounds(&lowest, &highest, levels->dtype) ||
             levels->qmin > lowest || levels->qmax < highest)
        why = "its levels are not all of their type";
    if (why)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "%s '%.80s' cannot be levels: %s", what, value->name, why);
    value->as_levels = true;
    return OCTET_OK;
}

octet_status octet_expose_levels(octet_graph *graph, bool inputs, bool outputs, octet_error *err)
{
    if (graph->stage != OCTET_STAGE_QUANTIZED)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "the network is not quantized");
    for (size_t i = 0; inputs && i < graph->input_count; i++)
        OCTET_TRY(expose(graph, graph->inputs[i], "input", err));
    for (size_t i = 0; outputs && i < graph->output_count; i++)
        OCTET_TRY(expose(graph, graph->outputs[i], "output", err));
    return OCTET_OK;
}
