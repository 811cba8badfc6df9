/* SPDX-License-Identifier: Apache-2.0 */
/* What callers may look at. */
#include "graph/graph.h"
#include "graph/op.h"

#include <string.h>

octet_stage octet_graph_stage(const octet_graph *graph) { return graph->stage; }

static octet_port port_of(const octet_value *value)
{
    octet_port port = { .name = value->name, .dtype = value->dtype, .rank = value->rank };
    memcpy(port.dims, value->dims, sizeof port.dims);
    return port;
}

static octet_port border_of(const octet_value *value)
{
    octet_port                 port   = port_of(value);
    const octet_qparams *const levels = octet_border_levels(value);
    if (levels) port.levels = *levels, port.dtype = levels->dtype;
    return port;
}

size_t     octet_graph_input_count(const octet_graph *graph) { return graph->input_count; }
size_t     octet_graph_output_count(const octet_graph *graph) { return graph->output_count; }
octet_port octet_graph_input(const octet_graph *graph, size_t index) { return border_of(graph->inputs[index]); }
octet_port octet_graph_output(const octet_graph *graph, size_t index) { return border_of(graph->outputs[index]); }

size_t octet_graph_node_count(const octet_graph *graph) { return (size_t)graph->node_count; }

static int64_t parameters_of(const octet_node *node)
{
    int64_t sum = 0;
    for (int i = 0; i < node->input_count; i++)
        if (octet_value_is_constant(node->inputs[i]) && node->inputs[i]->dtype == OCTET_F32)
            sum += octet_tensor_count(node->inputs[i]->constant);
    return sum + (node->batch_norm ? 4 * node->batch_norm->channels : 0);
}

/* Multiply-accumulates with free dimensions taken as 1. */
static int64_t macs_of(const octet_node *node)
{
    enum { MOST = 8 };
    octet_tensor        tensors[2 * MOST];
    const octet_tensor *in[MOST]  = { 0 };
    octet_tensor       *out[MOST] = { 0 };
    if (!node->op->macs) return 0;
    if (node->input_count > MOST || node->output_count > MOST) return -1;
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i]) {
            if (!node->inputs[i]->has_shape) return -1;
            tensors[i] = octet_value_tensor(node->inputs[i], 1);
            in[i]      = &tensors[i];
        }
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i]) {
            if (!node->outputs[i]->has_shape) return -1;
            tensors[MOST + i] = octet_value_tensor(node->outputs[i], 1);
            out[i]            = &tensors[MOST + i];
        }
    const octet_call call = { .node = node, .attrs = node->attrs, .in = in, .out = out,
                              .in_count = node->input_count, .out_count = node->output_count };
    return node->op->macs(&call);
}

octet_node_info octet_graph_node(const octet_graph *graph, size_t index)
{
    const octet_node *node = graph->first;
    for (size_t i = 0; i < index; i++) node = node->next;
    const octet_value *const out  = node->output_count ? node->outputs[0] : NULL;
    octet_node_info          info = { .name = node->name, .op = node->op->name, .output = out ? out->name : "",
                                      .merged = node->merged ? node->merged : "", .parameters = parameters_of(node),
                                      .macs = macs_of(node), .mode = octet_node_compute_mode(graph, node),
                                      .method = "" };
    if (!out) return info;
    info.shape = port_of(out);
    const octet_qparams *const levels = octet_value_levels(graph, out);
    if (levels) info.qparams = *levels;
    if (levels && out->fake_quantize && out->fake_quantize->method) info.method = out->fake_quantize->method;
    return info;
}

size_t         octet_graph_decision_count(const octet_graph *graph) { return graph->decision_count; }
octet_decision octet_graph_decision(const octet_graph *graph, size_t index) { return graph->decisions[index]; }

static octet_metadata *metadata_find(const octet_graph *graph, const char *key)
{
    for (size_t i = 0; i < graph->metadata_count; i++)
        if (!strcmp(graph->metadata[i].key, key)) return &graph->metadata[i];
    return NULL;
}

const char *octet_graph_metadata(const octet_graph *graph, const char *key)
{
    const octet_metadata *const found = metadata_find(graph, key);
    return found ? found->value : NULL;
}

octet_status octet_graph_set_metadata(octet_graph *graph, const char *key, const char *value, octet_error *err)
{
    const char *const k = octet_arena_copy(graph->arena, key), *const v = octet_arena_copy(graph->arena, value);
    if (!k || !v) return octet_fail_memory(err);
    octet_metadata *at = metadata_find(graph, key);
    if (!at) {
        if (!octet_arena_grow(graph->arena, &graph->metadata, graph->metadata_count, &graph->metadata_capacity,
                              sizeof *graph->metadata))
            return octet_fail_memory(err);
        at = &graph->metadata[graph->metadata_count++];
    }
    *at = (octet_metadata){ k, v };
    return OCTET_OK;
}

bool octet_operator(octet_operator_info *info, size_t index)
{
    const octet_op *const op = octet_op_at(index);
    if (!op) return false;
    *info = (octet_operator_info){ .name = op->name, .integer = op->forward_integer != NULL,
                                   .gradient = op->backward != NULL, .parts = op->forward == NULL, .since = op->since };
    return true;
}

double octet_graph_macs(const octet_graph *graph)
{
    double sum = 0;
    for (const octet_node *n = graph->first; n; n = n->next) {
        const int64_t macs = macs_of(n);
        sum += macs > 0 ? (double)macs : 0;
    }
    return sum;
}

const char *octet_dynamic_name(octet_dynamic dynamic)
{
    static const char *const names[OCTET_DYNAMIC_COUNT] = { NULL, "tensor", "row", "reduced" };
    return (unsigned)dynamic < OCTET_DYNAMIC_COUNT ? names[dynamic] : NULL;
}
