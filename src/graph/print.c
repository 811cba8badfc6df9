/* SPDX-License-Identifier: Apache-2.0 */
/* The whole graph as text, one node a line. */
#include "graph/graph.h"
#include "graph/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct text {
    octet_arena *arena;
    char        *at;
    size_t       used, size;
    bool         failed;
} text;

__attribute__((format(printf, 2, 3))) static void put(text *t, const char *format, ...)
{
    va_list args;
    for (;;) {
        va_start(args, format);
        const int n = vsnprintf(t->at ? t->at + t->used : NULL, t->size - t->used, format, args);
        va_end(args);
        if (n < 0 || t->failed) return;
        if (t->used + (size_t)n < t->size) {
            t->used += (size_t)n;
            return;
        }
        const size_t size = (t->size + (size_t)n + 256) * 2;
        char *const  more = octet_arena_alloc(t->arena, size, 1);
        if (!more) {
            t->failed = true;
            return;
        }
        if (t->at) memcpy(more, t->at, t->used + 1);
        t->at   = more;
        t->size = size;
    }
}

static void put_value(text *t, const octet_graph *graph, const octet_value *value)
{
    if (!value) {
        put(t, " -");
        return;
    }
    char shape[128] = "?";
    if (value->has_shape) octet_shape_text(shape, sizeof shape, value->dims, value->rank);
    put(t, " %s:%s%s", value->name, octet_dtype_name(value->dtype), shape);
    const octet_qparams *const levels = octet_value_levels(graph, value);
    if (levels && levels->count == 1)
        put(t, "{%s %.9g %d}", octet_dtype_name(levels->dtype), (double)levels->scale[0], levels->zero_point[0]);
    else if (levels) put(t, "{%s per axis %d}", octet_dtype_name(levels->dtype), levels->axis);
    else if (value->fake_quantize) put(t, "{observed}");
}

static void put_node(text *t, const octet_graph *graph, const octet_node *node)
{
    put(t, "%4d %s '%s':", node->index, node->op->name, node->name);
    for (int i = 0; i < node->input_count; i++) put_value(t, graph, node->inputs[i]);
    put(t, " ->");
    for (int i = 0; i < node->output_count; i++) put_value(t, graph, node->outputs[i]);
    if (node->batch_norm) put(t, " +BatchNormalization");
    if (node->activation.on)
        put(t, " +clamp[%g, %g]", (double)node->activation.lo, (double)node->activation.hi);
    if (node->merged) put(t, "   # %s", node->merged);
    put(t, "\n");
}

octet_status octet_graph_print(octet_graph *graph, const char **out, octet_error *err)
{
    static const char *const stages[] = { "float", "fused", "prepared", "calibrated", "quantized" };
    text t = { .arena = graph->arena };
    put(&t, "graph '%s' (%s)\n", graph->name, graph->training ? "training" : stages[graph->stage]);
    for (size_t i = 0; i < graph->input_count; i++) {
        put(&t, "  input");
        put_value(&t, graph, graph->inputs[i]);
        put(&t, "\n");
    }
    for (const octet_node *n = graph->first; n; n = n->next) put_node(&t, graph, n);
    for (size_t i = 0; i < graph->output_count; i++) put(&t, "  output %s\n", graph->outputs[i]->name);
    *out = t.at;
    return t.failed ? octet_fail_memory(err) : OCTET_OK;
}
