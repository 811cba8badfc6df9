/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes nobody reads disappear, last first, so that their producers follow. */
#include "passes/pass.h"

static bool is_wanted(const octet_node *node)
{
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] && (node->outputs[i]->use_count > 0 || node->outputs[i]->is_output)) return true;
    return false;
}

octet_status octet_pass_remove_dead(octet_graph *graph, octet_error *err)
{
    (void)err;
    for (octet_node *n = graph->last, *prev; n; n = prev) {
        prev = n->prev;
        if (!is_wanted(n)) octet_node_remove(graph, n);
    }
    return OCTET_OK;
}
