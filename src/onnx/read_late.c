/* SPDX-License-Identifier: Apache-2.0 */
/* Before opset 13, Softmax, LogSoftmax and Hardmax saw their input as a matrix, cut at axis. That needs a rewrite only
   where more than one dimension larger than 1 lies behind the cut, which is known once shapes are. */
#include "graph/attrs.h"
#include "onnx/read.h"
#include "ops/check.h"

#include <string.h>

static octet_status set_axis(octet_node *node, int64_t axis, octet_error *err)
{
    const octet_attr *row = octet_attr_find(node->op, "axis");
    if (!row) return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "axis", "%s has no axis here", node->op->name);
    memcpy(octet_attr_at(node->attrs, row), &axis, sizeof axis);
    return OCTET_OK;
}

static octet_status get_axis(int *axis, const octet_node *node, octet_error *err)
{
    const octet_attr *row = octet_attr_find(node->op, "axis");
    int64_t           given = 1;
    if (row) memcpy(&given, octet_attr_get(node->attrs, row), sizeof given);
    return octet_check_axis(axis, given, node->inputs[0]->rank, "axis", err);
}

/* A node of one output before another; the output's name is made from node's. */
static octet_status insert(octet_node **made, octet_reader *reader, octet_node *before, const char *op, int inputs,
                           octet_error *err)
{
    octet_value    *value;
    const octet_op *row = octet_op_find(op, NULL);
    const char     *near = octet_arena_format(reader->arena, "%s_%s", before->outputs[0]->name, op);
    if (!row) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "operator %s is not supported", op);
    if (!near) return octet_fail_memory(err);
    const octet_new_node as = { .op = row, .name = near, .inputs = inputs, .outputs = 1, .before = before };
    OCTET_TRY(octet_node_new(made, reader->graph, &as, err));
    OCTET_TRY(octet_value_new_near(&value, reader->graph, near, err));
    octet_node_set_output(*made, 0, value);
    return OCTET_OK;
}

/* x -> Flatten(axis) -> node(axis 1) -> Reshape(Shape(x)) */
static octet_status flatten(octet_reader *reader, octet_node *node, int axis, octet_error *err)
{
    octet_graph *graph = reader->graph;
    octet_value *input = node->inputs[0], *output = node->outputs[0];
    octet_node  *shape, *cut, *back;
    OCTET_TRY(insert(&shape, reader, node, "Shape", 1, err));
    OCTET_TRY(insert(&cut, reader, node, "Flatten", 1, err));
    OCTET_TRY(insert(&back, reader, node, "Reshape", 2, err));
    OCTET_TRY(octet_node_set_input(graph, shape, 0, input, err));
    OCTET_TRY(octet_node_set_input(graph, cut, 0, input, err));
    OCTET_TRY(octet_node_set_input(graph, node, 0, cut->outputs[0], err));
    octet_value *flat = back->outputs[0]; /* changes places with the output, whose name must stay */
    octet_node_set_output(node, 0, NULL);
    octet_node_set_output(back, 0, NULL);
    octet_node_set_output(node, 0, flat);
    octet_node_set_output(back, 0, output);
    OCTET_TRY(octet_node_set_input(graph, back, 0, flat, err));
    OCTET_TRY(octet_node_set_input(graph, back, 1, shape->outputs[0], err));
    OCTET_TRY(set_axis(cut, axis, err));
    return set_axis(node, 1, err);
}

octet_status octet_read_flattening(octet_reader *reader, bool *changed, octet_error *err)
{
    for (size_t i = 0; i < reader->flattening_count; i++) {
        octet_node  *node = reader->flattening[i];
        octet_status status = OCTET_OK;
        int          axis = 0, wide = 0, last_wide = -1;
        if (!node->outputs[0]) continue;
        status = node->inputs[0]->has_shape
                     ? get_axis(&axis, node, err)
                     : octet_fail(err, OCTET_ERR_UNSUPPORTED, "%s of opset %d on a shape known only when running",
                                  node->op->name, reader->opset);
        for (int d = axis; status == OCTET_OK && d < node->inputs[0]->rank; d++)
            if (node->inputs[0]->dims[d] != 1) {
                wide++;
                last_wide = d;
            }
        if (status == OCTET_OK && wide <= 1) {
            if (wide == 1) status = set_axis(node, last_wide, err);
        } else if (status == OCTET_OK) {
            *changed = true;
            status = flatten(reader, node, axis, err);
        }
        if (status != OCTET_OK) {
            octet_error_node(err, node->name);
            return status;
        }
    }
    return OCTET_OK;
}
