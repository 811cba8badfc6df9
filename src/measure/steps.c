/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions are named after values, which may be called as nodes are; but no operator is called as theirs are. */
#include "measure/steps.h"

#include <string.h>

octet_step_nodes octet_step_nodes_of(const octet_graph *graph, const octet_step_info *step)
{
    const octet_node *const node   = octet_graph_find_node(graph, step->node);
    const size_t            length = strcspn(step->op, "+"); /* "Conv+Add" */
    if (!node || strlen(node->op->name) != length || memcmp(node->op->name, step->op, length) != 0)
        return (octet_step_nodes){ 0 };
    return (octet_step_nodes){ node, step->op[length] ? octet_node_fused_add(graph, node) : NULL };
}
