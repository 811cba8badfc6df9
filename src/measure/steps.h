/* SPDX-License-Identifier: Apache-2.0 */
/* From the steps of a plan back to the nodes of its graph. */
#ifndef OCTET_MEASURE_STEPS_H
#define OCTET_MEASURE_STEPS_H

#include <octet/engine.h>

#include "graph/op.h"

/* The nodes that a step runs: one, or one and the Add that it is summed in. Both NULL: a conversion. */
typedef struct octet_step_nodes {
    const octet_node *node, *add;
} octet_step_nodes;

octet_step_nodes octet_step_nodes_of(const octet_graph *graph, const octet_step_info *step);

#endif
