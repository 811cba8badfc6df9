/* SPDX-License-Identifier: Apache-2.0 */
/* The whole graph as text, one node a line. */
#include "base/builder.h"
#include "graph/graph.h"
#include "graph/op.h"

#include <string.h>

static void put_value(octet_builder *t, const octet_graph *graph, const octet_value *value)
{
    if (!value) {
        octet_build(t, " -");
        return;
    }
    char shape[128] = "?";
    if (value->has_shape) octet_shape_text(shape, sizeof shape, value->dims, value->rank);
    octet_build(t, " %s:%s%s", value->name, octet_dtype_name(value->dtype), shape);
    const octet_qparams *const levels = octet_value_levels(graph, value);
    if (levels && levels->block)
        octet_build(t, "{%s per %lld of axis %d}", octet_dtype_name(levels->dtype), (long long)levels->block,
                    levels->axis);
    else if (levels && levels->count == 1)
        octet_build(t, "{%s %.9g %d}", octet_dtype_name(levels->dtype), (double)levels->scale[0],
                    levels->zero_point[0]);
    else if (levels) octet_build(t, "{%s per axis %d}", octet_dtype_name(levels->dtype), levels->axis);
    else if (value->fake_quantize) octet_build(t, "{observed}");
}

static void put_node(octet_builder *t, const octet_graph *graph, const octet_node *node)
{
    octet_build(t, "%4d %s '%s':", node->index, node->op->name, node->name);
    for (int i = 0; i < node->input_count; i++) put_value(t, graph, node->inputs[i]);
    octet_build(t, " ->");
    for (int i = 0; i < node->output_count; i++) put_value(t, graph, node->outputs[i]);
    if (node->batch_norm) octet_build(t, " +BatchNormalization");
    if (node->activation.on)
        octet_build(t, " +clamp[%g, %g]", (double)node->activation.lo, (double)node->activation.hi);
    if (node->merged) octet_build(t, "   # %s", node->merged);
    octet_build(t, "\n");
}

octet_status octet_graph_print(octet_graph *graph, const char **out, octet_error *err)
{
    static const char *const stages[] = { "float", "fused", "prepared", "calibrated", "quantized" };
    octet_builder t = { .arena = graph->arena };
    octet_build(&t, "graph '%s' (%s)\n", graph->name, graph->training ? "training" : stages[graph->stage]);
    for (size_t i = 0; i < graph->input_count; i++) {
        octet_build(&t, "  input");
        put_value(&t, graph, graph->inputs[i]);
        octet_build(&t, "\n");
    }
    for (const octet_node *n = graph->first; n; n = n->next) put_node(&t, graph, n);
    for (size_t i = 0; i < graph->output_count; i++) octet_build(&t, "  output %s\n", graph->outputs[i]->name);
    *out = t.text;
    return t.failed ? octet_fail_memory(err) : OCTET_OK;
}
