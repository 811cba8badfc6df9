/* SPDX-License-Identifier: Apache-2.0 */
/* A Min with constants, which equalization puts behind a clamp whose channels were scaled, becomes one upper bound of
   the clamp again: the least. Levels end at one number for all channels of a tensor in any case, and equalization
   scales channels so that nothing it has seen exceeds the least bound. Only in graphs that carry its mark. */
#include "passes/pass.h"

#include <math.h>

static float least_of(const octet_value *value)
{
    const float *const x     = octet_constant_floats(value);
    const int64_t      count = octet_tensor_count(value->constant);
    float              least = INFINITY;
    for (int64_t i = 0; i < count; i++) least = fminf(least, x[i]);
    return least;
}

/* The node whose bound a Min is, or NULL. */
static octet_node *clamp_before(const octet_node *min)
{
    if (min->input_count != 2 || !min->inputs[0] || !min->inputs[1]) return NULL;
    octet_value *const x    = min->inputs[0];
    octet_node *const  node = x->producer;
    if (!node || octet_value_only_reader(x) != min || !octet_constant_floats(min->inputs[1])) return NULL;
    if (node->activation.on) return node->activation.hi == INFINITY ? node : NULL;
    return octet_node_is(node, "Clip") && node->input_count == 3 && !node->inputs[2] ? node : NULL;
}

octet_status octet_pass_merge_bounds(octet_graph *graph, octet_error *err)
{
    if (!octet_graph_metadata(graph, OCTET_EQUALIZED)) return OCTET_OK;
    for (octet_node *n = graph->first, *next; n; n = next) {
        next                   = n->next;
        octet_node *const node = octet_node_is(n, "Min") && !n->activation.on ? clamp_before(n) : NULL;
        if (!node) continue;
        octet_value *const out = n->outputs[0];
        OCTET_TRY(octet_set_upper_bound(graph, node, least_of(n->inputs[1]), err));
        octet_node_remove(graph, n);
        octet_node_set_output(node, 0, out);
    }
    octet_graph_sweep(graph);
    return OCTET_OK;
}

octet_status octet_set_upper_bound(octet_graph *graph, octet_node *node, float hi, octet_error *err)
{
    if (node->activation.on) {
        node->activation.hi = hi;
        return OCTET_OK;
    }
    const octet_tensor tensor = { .dtype = OCTET_F32, .data = &hi };
    if (isinf(hi)) return octet_node_set_input(graph, node, 2, NULL, err);
    return octet_replace_constant(graph, node, 2, &tensor, err);
}
