/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of clamps whose channels were scaled: min(x, hi) of a channel scaled by k is min(k x, k hi). */
#include "quantize/equalize.h"

#include "passes/pass.h"

#include <math.h>

/* The same factor for every channel: a plain bound remains. */
static bool is_uniform(float *factor, const octet_ties *ties, const octet_labels *labels, const double *factors)
{
    *factor = (float)factors[octet_ties_root(ties, labels->at[0])];
    for (int64_t c = 1; c < labels->channels; c++)
        if ((float)factors[octet_ties_root(ties, labels->at[c])] != *factor) return false;
    return true;
}

/* The channels' bounds as a constant that is stretched over the value. */
static octet_status bounds_constant(octet_value **constant, const octet_ties *ties, const octet_bound *bound,
                                    const double *factors, octet_error *err)
{
    const octet_value *const  value  = bound->node->outputs[0];
    const octet_labels *const labels = &ties->values[value->index];
    const int                 axis   = octet_labels_axis(labels, value);
    octet_tensor              tensor = { .dtype = OCTET_F32, .rank = value->rank - axis, .dims = { labels->channels } };
    float                    *at;
    for (int i = 1; i < tensor.rank; i++) tensor.dims[i] = 1;
    OCTET_TRY(octet_arena_get(&at, ties->arena, (size_t)labels->channels, sizeof *at, err));
    for (int64_t c = 0; c < labels->channels; c++)
        at[c] = bound->hi * (float)factors[octet_ties_root(ties, labels->at[c])];
    tensor.data            = at;
    const char *const name = octet_arena_format(ties->arena, "%s_bounds", value->name);
    if (!name) return octet_fail_memory(err);
    OCTET_TRY(octet_value_new_near(constant, ties->graph, name, err));
    return octet_value_set_constant(ties->graph, *constant, &tensor, err);
}

octet_status octet_bound_scale(const octet_ties *ties, const octet_bound *bound, const double *factors,
                               octet_error *err)
{
    octet_graph *const  graph = ties->graph;
    octet_value *const  out   = bound->node->outputs[0];
    octet_value        *bounds, *inner;
    octet_node         *least;
    float               factor;
    if (is_uniform(&factor, ties, &ties->values[out->index], factors))
        return factor == 1 ? OCTET_OK : octet_set_upper_bound(graph, bound->node, bound->hi * factor, err);
    OCTET_TRY(bounds_constant(&bounds, ties, bound, factors, err));
    OCTET_TRY(octet_set_upper_bound(graph, bound->node, INFINITY, err));
    OCTET_TRY(octet_value_new_near(&inner, graph, out->name, err));
    inner->dtype     = out->dtype;
    inner->has_shape = out->has_shape;
    inner->rank      = out->rank;
    for (int i = 0; i < out->rank; i++) inner->dims[i] = out->dims[i];
    const octet_new_node as = { .op = octet_op_find("Min", NULL), .inputs = 2, .outputs = 1,
                                .before = bound->node->next };
    OCTET_TRY(octet_node_new(&least, graph, &as, err));
    octet_node_set_output(bound->node, 0, inner);
    octet_node_set_output(least, 0, out);
    OCTET_TRY(octet_node_set_input(graph, least, 0, inner, err));
    return octet_node_set_input(graph, least, 1, bounds, err);
}
