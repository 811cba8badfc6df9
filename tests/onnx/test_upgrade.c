/* SPDX-License-Identifier: Apache-2.0 */
/* Old opsets into canonical form: each case is a node as its opset has it, and what must stand in the graph. */
#include "graph/attrs.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "proto.h"

static const int64_t image[] = { 1, 2, 4, 4 };

static octet_node *only_node(const octet_graph *graph, const char *op)
{
    assert_int_equal(graph->node_count, 1);
    assert_string_equal(graph->first->op->name, op);
    return graph->first;
}

static void input_is_ints(const octet_node *node, int slot, const int64_t *values, int64_t count)
{
    assert_true(slot < node->input_count);
    assert_true(octet_value_is_constant(node->inputs[slot]));
    assert_int_equal(node->inputs[slot]->constant->dtype, OCTET_I64);
    assert_int_equal(octet_tensor_count(node->inputs[slot]->constant), count);
    assert_memory_equal(node->inputs[slot]->constant->data, values, (size_t)count * sizeof *values);
}

static void input_is_float(const octet_node *node, int slot, float value)
{
    assert_true(slot < node->input_count);
    assert_true(octet_value_is_constant(node->inputs[slot]));
    assert_int_equal(octet_tensor_count(node->inputs[slot]->constant), 1);
    assert_true(*(const float *)node->inputs[slot]->constant->data == value);
}

static const void *attribute(const octet_node *node, const char *name)
{
    const octet_attr *row = octet_attr_find(node->op, name);
    assert_non_null(row);
    return octet_attr_get(node->attrs, row);
}

static proto_model *one(int opset, const char *op, Onnx__NodeProto **node, const int64_t *dims, size_t rank)
{
    proto_model *p = proto_new(opset);
    proto_input(p, "x", 1, dims, rank);
    proto_output(p, "y");
    *node = proto_node(p, op, "x", "y");
    return p;
}

static void test_clip(void **state)
{
    (void)state;
    Onnx__NodeProto *n;
    proto_model     *p = one(7, "Clip", &n, image, 4);
    proto_float(p, n, "min", 0);
    proto_float(p, n, "max", 6);
    octet_graph *graph = proto_load_good(p);
    octet_node  *node = only_node(graph, "Clip");
    input_is_float(node, 1, 0);
    input_is_float(node, 2, 6);
    octet_graph_free(graph);
    p = one(7, "Clip", &n, image, 4);
    proto_float(p, n, "max", 6);
    graph = proto_load_good(p);
    node = only_node(graph, "Clip");
    assert_null(node->inputs[1]);
    input_is_float(node, 2, 6);
    octet_graph_free(graph);
    p = one(11, "Clip", &n, image, 4); /* no longer an attribute */
    proto_float(p, n, "max", 6);
    octet_error err;
    assert_null(proto_load(p, &err));
    assert_string_equal(err.field, "max");
    assert_string_equal(err.node, "y");
}

static void test_lists(void **state)
{
    (void)state;
    int64_t          a[] = { 1, 0 }, b[] = { 3, 4 }, axes[] = { 2, 3 }, pads[] = { 0, 0, 1, 1, 0, 0, 1, 1 };
    Onnx__NodeProto *n;
    proto_model     *p = one(9, "Slice", &n, image, 4);
    proto_ints(p, n, "starts", a, 2);
    proto_ints(p, n, "ends", b, 2);
    proto_ints(p, n, "axes", axes, 2);
    octet_graph *graph = proto_load_good(p);
    octet_node  *node = only_node(graph, "Slice");
    input_is_ints(node, 1, a, 2);
    input_is_ints(node, 2, b, 2);
    input_is_ints(node, 3, axes, 2);
    assert_int_equal(node->outputs[0]->dims[2], 2);
    octet_graph_free(graph);
    p = one(10, "Pad", &n, image, 4);
    proto_ints(p, n, "pads", pads, 8);
    proto_float(p, n, "value", 2.5f);
    graph = proto_load_good(p);
    node = only_node(graph, "Pad");
    input_is_ints(node, 1, pads, 8);
    input_is_float(node, 2, 2.5f);
    assert_int_equal(node->outputs[0]->dims[3], 6);
    octet_graph_free(graph);
    int64_t front[] = { 0 };
    p = one(11, "Unsqueeze", &n, image, 4);
    proto_ints(p, n, "axes", front, 1);
    graph = proto_load_good(p);
    input_is_ints(only_node(graph, "Unsqueeze"), 1, front, 1);
    octet_graph_free(graph);
    p = one(11, "Squeeze", &n, image, 4);
    proto_ints(p, n, "axes", front, 1);
    graph = proto_load_good(p);
    input_is_ints(only_node(graph, "Squeeze"), 1, front, 1);
    octet_graph_free(graph);
}

static void test_split(void **state)
{
    (void)state;
    int64_t      parts[] = { 1, 3 };
    proto_model *p = proto_new(11);
    proto_input(p, "x", 1, image, 4);
    proto_output(p, "y");
    proto_output(p, "z");
    Onnx__NodeProto *n = proto_node(p, "Split", "x", "y z");
    proto_int(p, n, "axis", 3);
    proto_ints(p, n, "split", parts, 2);
    octet_graph *graph = proto_load_good(p);
    input_is_ints(only_node(graph, "Split"), 1, parts, 2);
    assert_int_equal(graph->outputs[1]->dims[3], 3);
    octet_graph_free(graph);
}

static void test_resize(void **state)
{
    (void)state;
    float            scales[] = { 1, 1, 2, 2 };
    const int64_t    four[] = { 4 };
    Onnx__NodeProto *n;
    proto_model     *p = one(7, "Upsample", &n, image, 4);
    Onnx__AttributeProto *a = proto_attribute(p, n, "scales", 6);
    a->floats = scales;
    a->n_floats = 4;
    proto_string(p, n, "mode", "nearest");
    for (int i = 0; i < 3; i++) {
        octet_graph *graph = proto_load_good(p);
        octet_node  *node = only_node(graph, "Resize");
        assert_null(node->inputs[1]);
        assert_memory_equal(node->inputs[2]->constant->data, scales, sizeof scales);
        assert_string_equal(*(const char *const *)attribute(node, "coordinate_transformation_mode"), "asymmetric");
        assert_string_equal(*(const char *const *)attribute(node, "nearest_mode"), "floor");
        assert_int_equal(node->outputs[0]->dims[2], 8);
        octet_graph_free(graph);
        p = proto_new(i == 0 ? 9 : 10); /* the same with an input, by either name */
        proto_input(p, "x", 1, image, 4);
        proto_output(p, "y");
        proto_tensor(p, "s", 1, scales, four, 1);
        proto_node(p, i == 0 ? "Upsample" : "Resize", "x s", "y");
    }
    const int64_t none[] = { 0 }, sizes[] = { 1, 2, 8, 8 };
    p = proto_new(11); /* empty tensors mean "not given" */
    proto_input(p, "x", 1, image, 4);
    proto_output(p, "y");
    proto_tensor(p, "roi", 1, scales, none, 1);
    proto_tensor(p, "s", 1, scales, none, 1);
    proto_tensor(p, "sizes", 7, sizes, four, 1);
    proto_node(p, "Resize", "x roi s sizes", "y");
    octet_graph *graph = proto_load_good(p);
    octet_node  *node = only_node(graph, "Resize");
    assert_null(node->inputs[1]);
    assert_null(node->inputs[2]);
    input_is_ints(node, 3, sizes, 4);
    octet_graph_free(graph);
}

/* Softmax of old flattened: where one wide dimension is left it is the same operator, elsewhere it is rewritten. */
static void test_softmax(void **state)
{
    (void)state;
    Onnx__NodeProto *n;
    const int64_t    plane[] = { 2, 5, 1, 1 };
    octet_graph     *graph = proto_load_good(one(11, "Softmax", &n, plane, 4));
    assert_int_equal(*(const int64_t *)attribute(only_node(graph, "Softmax"), "axis"), 1);
    octet_graph_free(graph);
    graph = proto_load_good(one(13, "Softmax", &n, image, 4));
    assert_int_equal(*(const int64_t *)attribute(only_node(graph, "Softmax"), "axis"), -1);
    octet_graph_free(graph);
    graph = proto_load_good(one(11, "Softmax", &n, image, 4)); /* over 2 * 4 * 4 numbers at once */
    assert_int_equal(graph->node_count, 4);
    const octet_node *reshape = graph->outputs[0]->producer;
    assert_string_equal(graph->outputs[0]->name, "y");
    assert_string_equal(reshape->op->name, "Reshape");
    assert_string_equal(reshape->inputs[0]->producer->op->name, "Softmax");
    assert_int_equal(reshape->inputs[0]->rank, 2);
    assert_int_equal(reshape->inputs[0]->dims[1], 32);
    assert_int_equal(graph->outputs[0]->rank, 4);
    octet_graph_free(graph);
}

static void test_constants(void **state)
{
    (void)state;
    float                 three[] = { 1, 2, 3 };
    const int64_t         dims[] = { 1, 3 };
    proto_model          *p = proto_new(13);
    Onnx__NodeProto      *n = proto_node(p, "Constant", "", "c");
    Onnx__AttributeProto *a = proto_attribute(p, n, "value_floats", 6);
    proto_input(p, "x", 1, dims, 2);
    proto_output(p, "y");
    proto_node(p, "Add", "x c", "y");
    a->floats = three;
    a->n_floats = 3;
    octet_graph *graph = proto_load_good(p);
    assert_memory_equal(only_node(graph, "Add")->inputs[1]->constant->data, three, sizeof three);
    assert_string_equal(graph->first->inputs[1]->name, "c");
    octet_graph_free(graph);
    proto_int(p, n, "value_int", 1);
    octet_error err;
    assert_null(proto_load(p, &err));
    assert_string_equal(err.node, "c");
}

/* Before IR version 4 initializers were inputs too. */
static void test_input_with_initializer(void **state)
{
    (void)state;
    const float   w[] = { 1, 2 };
    const int64_t dims[] = { -1, 2 }, wide[] = { 2 };
    proto_model  *p = proto_new(8);
    p->model.ir_version = 3;
    proto_input(p, "x", 1, dims, 2);
    proto_input(p, "w", 1, wide, 1);
    proto_output(p, "y");
    proto_tensor(p, "w", 1, w, wide, 1);
    proto_node(p, "Mul", "x w", "y");
    octet_graph *graph = proto_load_good(p);
    assert_int_equal(graph->input_count, 1);
    assert_true(octet_value_is_constant(octet_graph_find_value(graph, "w")));
    assert_int_equal(graph->outputs[0]->dims[0], OCTET_DIM_FREE);
    octet_graph_free(graph);
}

static void test_versions(void **state)
{
    (void)state;
    const struct {
        int          opset, ir;
        octet_status status;
    } rows[] = { { 7, 3, OCTET_OK },
                 { 17, 8, OCTET_OK },
                 { 13, 10, OCTET_OK },
                 { 1, 1, OCTET_OK },
                 { 28, 14, OCTET_OK },
                 { 29, 14, OCTET_ERR_UNSUPPORTED },
                 { 0, 7, OCTET_ERR_FORMAT },
                 { -1, 7, OCTET_ERR_FORMAT },
                 { 13, 15, OCTET_ERR_UNSUPPORTED },
                 { 13, 0, OCTET_ERR_FORMAT } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Onnx__NodeProto *n;
        octet_error      err;
        proto_model     *p = one(rows[i].opset, "Relu", &n, image, 4);
        p->model.ir_version = rows[i].ir;
        octet_graph *graph = proto_load(p, &err);
        assert_int_equal(err.status, rows[i].status);
        if (graph) assert_int_equal(graph->opset, rows[i].opset);
        octet_graph_free(graph);
    }
}

/* The axes of reductions became an input with 18; what a file says either way is one graph. */
static void test_reduction(void **state)
{
    (void)state;
    int64_t          axes[] = { 2, 3 };
    const int64_t    two[] = { 2 };
    Onnx__NodeProto *n;
    proto_model     *old = one(13, "ReduceMean", &n, image, 4), *new = proto_new(18);
    proto_ints(old, n, "axes", axes, 2);
    proto_input(new, "x", 1, image, 4);
    proto_output(new, "y");
    proto_tensor(new, "axes", 7, axes, two, 1);
    proto_node(new, "ReduceMean", "x axes", "y");
    for (int i = 0; i < 2; i++) {
        octet_graph *graph = proto_load_good(i ? new : old);
        input_is_ints(only_node(graph, "ReduceMean"), 1, axes, 2);
        assert_int_equal(graph->outputs[0]->dims[1], 2);
        assert_int_equal(graph->outputs[0]->dims[3], 1);
        octet_graph_free(graph);
    }
    octet_error err;
    old->opsets[0].version = 18; /* no longer an attribute */
    assert_null(proto_load(old, &err));
    assert_string_equal(err.field, "axes");
    proto_model *none = one(18, "ReduceMean", &n, image, 4);
    proto_int(none, n, "noop_with_empty_axes", 1);
    octet_graph *graph = proto_load_good(none);
    assert_memory_equal(graph->outputs[0]->dims, image, sizeof image);
    octet_graph_free(graph);
}

/* Since 18 Split may cut unevenly, which older files cannot say; writing states the opset that it needs. */
static void test_uneven_split(void **state)
{
    (void)state;
    const int64_t    five[] = { 5, 2 };
    Onnx__NodeProto *n;
    for (int64_t outputs = 2; outputs < 4; outputs++) {
        proto_model *p = proto_new(18);
        proto_input(p, "x", 1, five, 2);
        proto_output(p, "y");
        proto_output(p, "z");
        n = proto_node(p, "Split", "x", "y z");
        proto_int(p, n, "num_outputs", outputs);
        octet_error  err;
        octet_graph *graph = proto_load(p, &err);
        assert_int_equal(graph != NULL, outputs == 2);
        if (!graph) {
            assert_string_equal(err.field, "num_outputs");
            continue;
        }
        assert_int_equal(graph->outputs[0]->dims[0], 3);
        assert_int_equal(graph->outputs[1]->dims[0], 2);
        octet_graph_free(graph);
    }
}

static void test_pad_axes(void **state)
{
    (void)state;
    const int64_t two[] = { 2 }, four[] = { 4 }, pads[] = { 1, 0, 2, 3 }, axes[] = { -1, 1 };
    proto_model  *p = proto_new(18);
    proto_input(p, "x", 1, image, 4);
    proto_output(p, "y");
    proto_tensor(p, "pads", 7, pads, four, 1);
    proto_tensor(p, "axes", 7, axes, two, 1);
    proto_node(p, "Pad", "x pads  axes", "y");
    octet_graph *graph = proto_load_good(p);
    assert_int_equal(graph->outputs[0]->dims[3], 4 + 1 + 2);
    assert_int_equal(graph->outputs[0]->dims[1], 2 + 0 + 3);
    assert_int_equal(graph->outputs[0]->dims[0], 1);
    octet_graph_free(graph);
}

/* An attribute that no row has: passed over where it says what is so anyway, refused by name elsewhere. */
static void test_neutral_attributes(void **state)
{
    (void)state;
    const struct {
        const char  *op, *name;
        int          opset;
        int64_t      value;
        octet_status status;
    } rows[] = {
        { "Relu", "broadcast", 6, 1, OCTET_OK },                 { "Relu", "broadcast", 7, 1, OCTET_ERR_FORMAT },
        { "Relu", "axis", 6, 1, OCTET_ERR_UNSUPPORTED },         { "Relu", "axis", 7, 1, OCTET_ERR_FORMAT },
        { "Relu", "consumed_inputs", 1, 0, OCTET_OK },           { "Relu", "consumed_inputs", 6, 0, OCTET_ERR_FORMAT },
        { "Dropout", "is_test", 6, 1, OCTET_OK },                { "Dropout", "is_test", 6, 0, OCTET_ERR_UNSUPPORTED },
        { "Dropout", "is_test", 7, 1, OCTET_ERR_FORMAT },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Onnx__NodeProto *n;
        octet_error      err;
        proto_model     *p = one(rows[i].opset, rows[i].op, &n, image, 4);
        proto_int(p, n, rows[i].name, rows[i].value);
        octet_graph *graph = proto_load(p, &err);
        assert_int_equal(err.status, rows[i].status);
        if (!graph) assert_string_equal(err.field, rows[i].name);
        octet_graph_free(graph);
    }
}

/* What opset 1 wrote otherwise. */
static void test_first_opset(void **state)
{
    (void)state;
    int64_t          shape[] = { 4, -1 };
    Onnx__NodeProto *n;
    octet_error      err;
    proto_model     *p = one(1, "Reshape", &n, image, 4);
    proto_ints(p, n, "shape", shape, 2);
    octet_graph *graph = proto_load_good(p);
    input_is_ints(only_node(graph, "Reshape"), 1, shape, 2);
    octet_graph_free(graph);
    p = one(1, "Cast", &n, image, 4);
    proto_string(p, n, "to", "INT32");
    graph = proto_load_good(p);
    assert_int_equal(graph->outputs[0]->dtype, OCTET_I32);
    octet_graph_free(graph);
    p = one(1, "Cast", &n, image, 4);
    proto_string(p, n, "to", "INT33");
    assert_null(proto_load(p, &err));
    assert_string_equal(err.field, "to");
    p = one(1, "Concat", &n, image, 4);
    graph = proto_load_good(p);
    assert_int_equal(*(const int64_t *)attribute(only_node(graph, "Concat"), "axis"), 1);
    octet_graph_free(graph);
}

/* What attributes may be refused for, and under which name. */
static void test_attribute_errors(void **state)
{
    (void)state;
    int64_t two[] = { 2, 2 };
    for (int i = 0; i < 6; i++) {
        Onnx__NodeProto      *n;
        octet_error           err;
        Onnx__AttributeProto *a;
        proto_model          *p = one(13, "MaxPool", &n, image, 4);
        const char           *field = "kernel_shape";
        if (i != 0) proto_ints(p, n, "kernel_shape", two, 2);
        if (i == 1) proto_ints(p, n, "kernel_shape", two, 2);
        if (i == 2) proto_int(p, n, field = "strides", 2);
        if (i == 3) proto_int(p, n, field = "stride", 2);
        if (i == 4) a = proto_attribute(p, n, field = "strides", 0);
        if (i == 5) a = proto_attribute(p, n, field = "strides", 1), a->ints = two, a->n_ints = 2;
        assert_null(proto_load(p, &err));
        assert_string_equal(err.node, "y");
        assert_string_equal(err.field, field);
        assert_int_equal(err.status, OCTET_ERR_FORMAT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clip),      cmocka_unit_test(test_lists),
        cmocka_unit_test(test_split),     cmocka_unit_test(test_resize),
        cmocka_unit_test(test_softmax),   cmocka_unit_test(test_constants),
        cmocka_unit_test(test_versions),  cmocka_unit_test(test_input_with_initializer),
        cmocka_unit_test(test_attribute_errors), cmocka_unit_test(test_reduction),
        cmocka_unit_test(test_uneven_split), cmocka_unit_test(test_pad_axes),
        cmocka_unit_test(test_neutral_attributes), cmocka_unit_test(test_first_opset),
    };
    return cmocka_run_group_tests(tests, NULL, proto_teardown);
}
