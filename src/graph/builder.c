/* SPDX-License-Identifier: Apache-2.0 */
/* Networks written in C. */
#include "graph/attrs.h"
#include "graph/graph.h"

#include <string.h>

static octet_status bad(octet_error *err, const char *where, octet_status status)
{
    octet_error_node(err, where);
    return status;
}

octet_status octet_graph_add_input(octet_graph *graph, const char *name, octet_dtype dtype, const int64_t *dims,
                                   int rank, octet_error *err)
{
    if (rank < 0 || rank > OCTET_MAX_RANK)
        return bad(err, name, octet_fail(err, OCTET_ERR_ARGUMENT, "rank %d, need 0 to %d", rank, OCTET_MAX_RANK));
    octet_value *v;
    OCTET_TRY(octet_value_new(&v, graph, name, err));
    v->dtype     = dtype;
    v->has_shape = true;
    v->rank      = rank;
    for (int i = 0; i < rank; i++) v->dims[i] = dims[i];
    v->is_input = true;
    if (!octet_arena_grow(graph->arena, &graph->inputs, graph->input_count, &graph->input_capacity, sizeof v))
        return octet_fail_memory(err);
    graph->inputs[graph->input_count++] = v;
    return OCTET_OK;
}

octet_status octet_graph_add_constant(octet_graph *graph, const char *name, const octet_tensor *tensor,
                                      octet_error *err)
{
    octet_value *v;
    return octet_value_new_constant(&v, graph, name, tensor, false, err);
}

static octet_status set_ints(octet_ints *ints, const octet_attribute *from, octet_error *err)
{
    if (from->count > OCTET_INTS_MAX)
        return octet_fail(err, OCTET_ERR_LIMIT, "%zu entries, at most %d", from->count, OCTET_INTS_MAX);
    ints->count = (int)from->count;
    for (size_t i = 0; i < from->count; i++) ints->at[i] = from->ints[i];
    return OCTET_OK;
}

static octet_status set_strings(octet_graph *graph, octet_strings *to, const octet_attribute *from, octet_error *err)
{
    const char **list;
    OCTET_TRY(octet_arena_get(&list, graph->arena, from->count, sizeof *list, err));
    for (size_t i = 0; i < from->count; i++) {
        list[i] = octet_arena_copy(graph->arena, from->strings[i]);
        if (!list[i]) return octet_fail_memory(err);
    }
    *to = (octet_strings){ from->count, list };
    return OCTET_OK;
}

static octet_status set_attribute(octet_graph *graph, octet_node *node, const octet_attribute *from, octet_error *err)
{
    const octet_attr *const row = octet_attr_find(node->op, from->name);
    if (!row) return octet_fail(err, OCTET_ERR_ARGUMENT, "%s has no such attribute", node->op->name);
    void *const   at   = octet_attr_at(node->attrs, row);
    const char   *text = NULL;
    octet_floats *list = at;
    switch (row->kind) {
    case OCTET_ATTR_INT: memcpy(at, &from->i, sizeof from->i); break;
    case OCTET_ATTR_FLOAT: memcpy(at, &from->f, sizeof from->f); break;
    case OCTET_ATTR_INTS: OCTET_TRY(set_ints(at, from, err)); break;
    case OCTET_ATTR_FLOATS:
        list->count = from->count;
        list->at    = octet_arena_copy_bytes(graph->arena, from->floats, from->count * sizeof(float));
        if (!list->at) return octet_fail_memory(err);
        break;
    case OCTET_ATTR_STRING:
        text = octet_arena_copy(graph->arena, from->s);
        if (!text) return octet_fail_memory(err);
        memcpy(at, &text, sizeof text);
        break;
    case OCTET_ATTR_STRINGS: return set_strings(graph, at, from, err);
    case OCTET_ATTR_TENSOR:
    case OCTET_ATTR_END: return octet_fail(err, OCTET_ERR_ARGUMENT, "tensor attributes come as constants");
    }
    return octet_attr_check(node->attrs, row, err);
}

static octet_status set_inputs(octet_graph *graph, octet_node *node, const octet_node_spec *spec, octet_error *err)
{
    for (int i = 0; i < spec->input_count; i++) {
        if (!spec->inputs[i] || !*spec->inputs[i]) continue;
        octet_value *const v = octet_graph_find_value(graph, spec->inputs[i]);
        if (!v) return octet_fail(err, OCTET_ERR_ARGUMENT, "input '%.80s' does not exist", spec->inputs[i]);
        OCTET_TRY(octet_node_set_input(graph, node, i, v, err));
    }
    return OCTET_OK;
}

static octet_status set_outputs(octet_graph *graph, octet_node *node, const octet_node_spec *spec, octet_error *err)
{
    for (int i = 0; i < spec->output_count; i++) {
        if (!spec->outputs[i] || !*spec->outputs[i]) continue;
        octet_value *v;
        OCTET_TRY(octet_value_new(&v, graph, spec->outputs[i], err));
        octet_node_set_output(node, i, v);
    }
    return OCTET_OK;
}

static octet_status check_counts(const octet_op *op, const octet_node_spec *spec, octet_error *err)
{
    if (spec->input_count < op->min_inputs || spec->input_count > op->max_inputs)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "%s: got %d inputs, need %d to %d", op->name, spec->input_count,
                          op->min_inputs, op->max_inputs);
    if (spec->output_count < op->min_outputs || spec->output_count > op->max_outputs)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "%s: got %d outputs, need %d to %d", op->name, spec->output_count,
                          op->min_outputs, op->max_outputs);
    return OCTET_OK;
}

octet_status octet_graph_add(octet_graph *graph, const octet_node_spec *spec, octet_error *err)
{
    const char *const     where = spec->name ? spec->name : spec->op;
    const octet_op *const op    = octet_op_find(spec->op, NULL);
    if (!op) return bad(err, where, octet_fail(err, OCTET_ERR_UNSUPPORTED, "operator %s is unknown", spec->op));
    const octet_status counts = check_counts(op, spec, err);
    if (counts != OCTET_OK) return bad(err, where, counts);
    octet_node          *node;
    const octet_new_node as = { .op = op, .name = where, .inputs = spec->input_count, .outputs = spec->output_count };
    OCTET_TRY(octet_node_new(&node, graph, &as, err));
    octet_status status = set_inputs(graph, node, spec, err);
    for (const octet_attribute *a = spec->attributes; status == OCTET_OK && a && a->name; a++) {
        status = set_attribute(graph, node, a, err);
        if (status != OCTET_OK) octet_error_field(err, a->name);
    }
    if (status == OCTET_OK) status = set_outputs(graph, node, spec, err);
    if (status == OCTET_OK) return OCTET_OK;
    octet_node_remove(graph, node);
    return bad(err, where, status);
}

octet_status octet_graph_set_output(octet_graph *graph, const char *value, octet_error *err)
{
    octet_value *const v = octet_graph_find_value(graph, value);
    if (!v) return bad(err, value, octet_fail(err, OCTET_ERR_ARGUMENT, "graph output does not exist"));
    if (!octet_arena_grow(graph->arena, &graph->outputs, graph->output_count, &graph->output_capacity, sizeof v))
        return octet_fail_memory(err);
    v->is_output                          = true;
    graph->outputs[graph->output_count++] = v;
    return OCTET_OK;
}
