/* SPDX-License-Identifier: Apache-2.0 */
/* If with a condition that is known: after loading, the graph is the one that the branch taken gives, written out. */
#include "proto.h"

#include "graph/graph.h"
#include "graph/op.h"

static const float   TEN[] = { 10, 20, 30 };
static const int64_t THREE[] = { 3 };

/* A branch that makes "out": x times or plus its own constant "c". */
static Onnx__GraphProto *branch(const char *op)
{
    proto_model *const p = proto_new(17);
    proto_tensor(p, "c", 1, TEN, THREE, 1);
    proto_node(p, op, "x c", "out");
    proto_output(p, "out");
    return &p->graph;
}

static Onnx__NodeProto *add_if(proto_model *p, const char *condition, const char *result, Onnx__GraphProto *then,
                               Onnx__GraphProto *otherwise)
{
    Onnx__NodeProto *const n = proto_node(p, "If", condition, result);
    proto_attribute(p, n, "then_branch", 5)->g = then;
    proto_attribute(p, n, "else_branch", 5)->g = otherwise;
    return n;
}

static void add_condition(proto_model *p, const char *name, bool value)
{
    Onnx__TensorProto *const t = proto_tensor(p, name, 2, &(uint8_t){ value }, NULL, 0);
    t->data_type = 9;
}

/* rows 0: a free dimension. */
static proto_model *model(int64_t rows)
{
    proto_model *const p = proto_new(17);
    proto_input(p, "x", 1, (const int64_t[]){ rows ? rows : -1, 3 }, 2);
    proto_output(p, "y");
    return p;
}

/* y of { 1, 2, 3 } in two rows. */
static void check_run(proto_model *p, const float want[3])
{
    octet_graph *graph = proto_load_good(p);
    float        x[] = { 1, 2, 3, 1, 2, 3 }, y[6];
    octet_tensor in = { .dtype = OCTET_F32, .rank = 2, .dims = { 2, 3 }, .data = x };
    for (int fused = 0; fused < 2; fused++) {
        if (fused) MUST(octet_fuse(graph, &err));
        assert_int_equal(run_graph(graph, &in, y, 6, NULL), 6);
        for (int i = 0; i < 6; i++)
            if (y[i] != want[i % 3]) fail_msg("number %d is %g, not %g", i, (double)y[i], (double)want[i % 3]);
    }
    assert_int_equal(graph->outputs[0]->producer->output_count, 1);
    octet_graph_free(graph);
}

static void test_constant(void **state)
{
    (void)state;
    for (int yes = 0; yes < 2; yes++) {
        proto_model *const p = model(2);
        add_condition(p, "yes", yes);
        add_if(p, "yes", "y", branch("Mul"), branch("Add"));
        check_run(p, yes ? (const float[]){ 10, 40, 90 } : (const float[]){ 11, 22, 33 });
    }
}

/* Shape(x)[axis] == 3: of dimension 1 it is, whatever the batch. */
static proto_model *asks_for_shape(int64_t rows, int64_t axis)
{
    proto_model *const p = model(rows);
    proto_tensor(p, "axis", 7, &axis, NULL, 0);
    proto_tensor(p, "three", 7, THREE, NULL, 0);
    proto_node(p, "Shape", "x", "shape");
    proto_node(p, "Gather", "shape axis", "size");
    proto_node(p, "Equal", "size three", "is_three");
    add_if(p, "is_three", "y", branch("Mul"), branch("Add"));
    return p;
}

static void test_of_shapes(void **state)
{
    (void)state;
    check_run(asks_for_shape(2, 1), (const float[]){ 10, 40, 90 });
    check_run(asks_for_shape(0, 1), (const float[]){ 10, 40, 90 });
    check_run(asks_for_shape(2, 0), (const float[]){ 11, 22, 33 });
}

/* In a branch stands an If; its branch gives what it finds outside as it is, and a constant. */
static void test_nested(void **state)
{
    (void)state;
    proto_model *const outer = proto_new(17), *const inner = proto_new(17), *const p = model(2);
    proto_tensor(inner, "c", 1, (const float[]){ 5, 5, 5 }, THREE, 1);
    proto_output(inner, "c");
    proto_output(inner, "d");
    proto_node(outer, "Neg", "x", "d");
    Onnx__NodeProto *const n = add_if(outer, "yes", "a b", &inner->graph, branch("Add"));
    proto_tensor(outer, "c", 1, TEN, THREE, 1);
    proto_node(outer, "Mul", "b c", "e");
    proto_node(outer, "Add", "a e", "out");
    proto_output(outer, "out");
    assert_int_equal(n->n_output, 2);
    add_condition(p, "yes", true);
    add_condition(p, "no", false);
    add_if(p, "no", "y", branch("Sub"), &outer->graph);
    check_run(p, (const float[]){ -5, -35, -85 }); /* 5 - 10 x */
}

/* In a function, a branch reads what the function's names mean in the call. */
static void test_in_function(void **state)
{
    (void)state;
    static Onnx__FunctionProto proto, *list[1] = { &proto };
    proto_model *const         body = proto_new(17), *const p = model(2), *const inner = proto_new(17);
    static char               *inputs[2] = { (char *)"a", (char *)"cond" }, *outputs[1] = { (char *)"b" };
    proto_node(inner, "Mul", "twice twice", "out");
    proto_output(inner, "out");
    proto_node(body, "Add", "a a", "twice");
    add_if(body, "cond", "b", &inner->graph, &inner->graph);
    onnx__function_proto__init(&proto);
    proto.name = (char *)"f";
    proto.domain = (char *)"local";
    proto.input = inputs, proto.n_input = 2;
    proto.output = outputs, proto.n_output = 1;
    proto.node = body->node_list, proto.n_node = 2;
    p->model.functions = list, p->model.n_functions = 1;
    onnx__operator_set_id_proto__init(&p->opsets[1]);
    p->opsets[1].domain = (char *)"local";
    p->opsets[1].has_version = 1;
    p->opsets[1].version = 1;
    p->opset_list[1] = &p->opsets[1];
    p->model.n_opset_import = 2;
    add_condition(p, "yes", true);
    proto_node(p, "f", "x yes", "z")->domain = (char *)"local";
    proto_node(p, "f", "z yes", "y")->domain = (char *)"local";
    check_run(p, (const float[]){ 64, 1024, 5184 }); /* 4 (4 x^2)^2 */
}

/* ---- what is refused ---- */

static proto_model *of_data(void)
{
    proto_model *const p = model(2);
    proto_input(p, "yes", 9, NULL, 0);
    add_if(p, "yes", "y", branch("Mul"), branch("Add"));
    return p;
}
static proto_model *of_batch(void) { return asks_for_shape(0, 0); }
static proto_model *no_bool(void)
{
    proto_model *const p = model(2);
    proto_tensor(p, "yes", 1, TEN, NULL, 0);
    add_if(p, "yes", "y", branch("Mul"), branch("Add"));
    return p;
}
static proto_model *no_branch(void)
{
    proto_model *const p = model(2);
    add_condition(p, "yes", true);
    add_if(p, "yes", "y", branch("Mul"), branch("Add"))->attribute[0]->name = (char *)"then";
    return p;
}
static proto_model *fewer_results(void)
{
    proto_model *const p = model(2);
    add_condition(p, "yes", true);
    add_if(p, "yes", "y z", branch("Mul"), branch("Add"));
    return p;
}
static proto_model *no_result(void)
{
    proto_model *const p = model(2);
    Onnx__GraphProto *const g = branch("Mul");
    g->output[0]->name = (char *)"nothing";
    add_condition(p, "yes", true);
    add_if(p, "yes", "y", g, branch("Add"));
    return p;
}
static proto_model *made_twice(void)
{
    proto_model *const p = model(2);
    Onnx__GraphProto *const g = branch("Mul");
    g->node[0]->output[0] = (char *)"c";
    add_condition(p, "yes", true);
    add_if(p, "yes", "y", g, branch("Add"));
    return p;
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        proto_model *(*make)(void);
        octet_status status;
        const char  *field;
    } rows[] = {
        { of_data, OCTET_ERR_UNSUPPORTED, "cond" },   { of_batch, OCTET_ERR_UNSUPPORTED, "cond" },
        { no_bool, OCTET_ERR_SHAPE, "cond" },         { no_branch, OCTET_ERR_FORMAT, "then_branch" },
        { fewer_results, OCTET_ERR_FORMAT, "then_branch" }, { no_result, OCTET_ERR_FORMAT, "" },
        { made_twice, OCTET_ERR_FORMAT, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        octet_error err;
        assert_null(proto_load(rows[i].make(), &err));
        if (err.status != rows[i].status || strcmp(err.field, rows[i].field) != 0 || err.node[0] != 'y')
            fail_msg("row %zu: status %d, node '%s', field '%s', text '%s'", i, (int)err.status, err.node, err.field,
                     err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant), cmocka_unit_test(test_of_shapes), cmocka_unit_test(test_nested),
        cmocka_unit_test(test_in_function), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, proto_teardown);
}
