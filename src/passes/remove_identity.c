/* SPDX-License-Identifier: Apache-2.0 */
/* Identity, Dropout whose mask nobody reads, and Cast to the type it has already disappear. An Identity between values
   of different quantization parameters is a requantize and stays. Names of graph outputs stay. */
#include "passes/pass.h"

static bool does_nothing(const octet_node *node)
{
    if (octet_node_is(node, "Identity")) return true;
    if (octet_node_is(node, "Dropout")) return node->output_count < 2 || !node->outputs[1];
    return octet_node_is(node, "Cast") && node->inputs[0]->dtype == node->outputs[0]->dtype &&
           node->outputs[0]->dtype != OCTET_NONE;
}

static bool same_levels(const octet_value *in, const octet_value *out)
{
    return !out->fake_quantize || out->fake_quantize == in->fake_quantize;
}

/* The producer of in writes out instead. */
static octet_status rename_to_output(octet_graph *graph, octet_value *in, octet_value *out, octet_error *err)
{
    octet_node *const producer = in->producer;
    for (int i = 0; i < producer->output_count; i++)
        if (producer->outputs[i] == in) octet_node_set_output(producer, i, out);
    in->producer       = NULL;
    out->fake_quantize = in->fake_quantize;
    return octet_value_replace(graph, in, out, err);
}

octet_status octet_pass_remove_identity(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first, *next; n; n = next) {
        next = n->next;
        if (!does_nothing(n)) continue;
        octet_value *const in = n->inputs[0], *const out = n->outputs[0];
        if (!same_levels(in, out)) continue;
        if (!out->is_output) {
            OCTET_TRY(octet_value_replace(graph, out, in, err));
            octet_node_remove(graph, n);
        } else if (in->producer && !in->is_output && !(in->fake_quantize && !out->fake_quantize)) {
            octet_node_remove(graph, n);
            OCTET_TRY(rename_to_output(graph, in, out, err));
        }
    }
    return OCTET_OK;
}
