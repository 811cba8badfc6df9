/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that a model brings along: after loading, the graph is the one that their bodies written out would give. */
#include "graph/attrs.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "proto.h"

enum { MOST = 4 };

/* A function under construction, with up to MOST nodes of up to MOST names. */
typedef struct function {
    Onnx__FunctionProto  proto;
    char                *inputs[MOST], *outputs[MOST], *node_inputs[MOST][MOST], *node_outputs[MOST][MOST];
    Onnx__NodeProto      nodes[MOST], *node_list[MOST];
    Onnx__AttributeProto attributes[MOST], *attribute_list[MOST];
} function;

static function *new_function(proto_model *p, const char *name, const char *inputs, const char *outputs)
{
    static Onnx__FunctionProto *list[8];
    if (p->model.n_functions == 0) p->model.functions = list;
    function *f = proto_alloc(sizeof *f);
    onnx__function_proto__init(&f->proto);
    f->proto.name = (char *)name;
    f->proto.domain = (char *)"local";
    f->proto.input = f->inputs;
    f->proto.output = f->outputs;
    f->proto.n_input = proto_names(f->inputs, inputs);
    f->proto.n_output = proto_names(f->outputs, outputs);
    f->proto.node = f->node_list;
    list[p->model.n_functions++] = &f->proto;
    return f;
}

static Onnx__NodeProto *add_to(function *f, const char *domain, const char *op, const char *inputs, const char *outputs)
{
    const size_t     i = f->proto.n_node++;
    Onnx__NodeProto *n = &f->nodes[i];
    onnx__node_proto__init(n);
    n->domain = (char *)domain;
    n->op_type = (char *)op;
    n->input = f->node_inputs[i];
    n->output = f->node_outputs[i];
    n->n_input = proto_names(n->input, inputs);
    n->n_output = proto_names(n->output, outputs);
    f->node_list[i] = n;
    return n;
}

/* The node's attribute name is what the call gives as `as`. */
static void refer(function *f, Onnx__NodeProto *n, const char *name, const char *as)
{
    Onnx__AttributeProto *a = &f->attributes[0];
    onnx__attribute_proto__init(a);
    a->name = (char *)name;
    a->ref_attr_name = (char *)as;
    a->has_type = 1;
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
    f->attribute_list[0] = a;
    n->attribute = f->attribute_list;
    n->n_attribute = 1;
}

static proto_model *model(void)
{
    static const int64_t dims[] = { 2, 3 };
    proto_model         *p = proto_new(17);
    onnx__operator_set_id_proto__init(&p->opsets[1]);
    p->opsets[1].domain = (char *)"local";
    p->opsets[1].has_version = 1;
    p->opsets[1].version = 1;
    p->opset_list[1] = &p->opsets[1];
    p->model.n_opset_import = 2;
    proto_input(p, "x", 1, dims, 2);
    proto_output(p, "y");
    return p;
}

static Onnx__NodeProto *call(proto_model *p, const char *name, const char *inputs, const char *outputs)
{
    Onnx__NodeProto *n = proto_node(p, name, inputs, outputs);
    n->domain = (char *)"local";
    return n;
}

/* y = twice(x), with twice(a) = leak(leak(a)), leak(b; slope) = LeakyRelu(b; alpha = slope) + b */
static void test_nested(void **state)
{
    (void)state;
    proto_model *p = model();
    function    *leak = new_function(p, "leak", "b", "c"), *twice = new_function(p, "twice", "a", "e");
    refer(leak, add_to(leak, "", "LeakyRelu", "b", "t"), "alpha", "slope");
    add_to(leak, "", "Add", "t b", "c");
    add_to(twice, "local", "leak", "a", "d");
    Onnx__NodeProto *second = add_to(twice, "local", "leak", "d", "e");
    Onnx__AttributeProto *slope = &twice->attributes[1];
    onnx__attribute_proto__init(slope);
    slope->name = (char *)"slope";
    slope->has_type = slope->has_f = 1;
    slope->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
    slope->f = 0.25f;
    twice->attribute_list[0] = slope;
    second->attribute = twice->attribute_list;
    second->n_attribute = 1;
    call(p, "twice", "x", "y");
    octet_graph      *graph = proto_load_good(p);
    const octet_node *n = graph->first;
    assert_int_equal(graph->node_count, 4);
    const char *const ops[] = { "LeakyRelu", "Add", "LeakyRelu", "Add" };
    const float       alphas[] = { 0.01f, 0, 0.25f, 0 }; /* the operator's own default, then the call's */
    for (int i = 0; i < 4; i++, n = n->next) {
        assert_string_equal(n->op->name, ops[i]);
        const octet_attr *const row = octet_attr_find(n->op, "alpha");
        if (row) assert_true(*(const float *)octet_attr_get(n->attrs, row) == alphas[i]);
    }
    assert_string_equal(graph->first->inputs[0]->name, "x");
    assert_ptr_equal(graph->first->next->inputs[1], graph->inputs[0]);
    assert_ptr_equal(graph->last->inputs[1], graph->first->next->outputs[0]);
    assert_string_equal(graph->last->outputs[0]->name, "y");
    octet_graph_free(graph);
}

/* An input that is handed out, an output nobody wants, an optional input that the call leaves out. */
static void test_borders(void **state)
{
    (void)state;
    proto_model *p = model();
    function    *f = new_function(p, "same", "a low b", "b r a");
    add_to(f, "", "Clip", "a low", "r");
    proto_output(p, "z");
    call(p, "same", "x  x", "y  z");
    octet_graph *graph = proto_load_good(p);
    assert_int_equal(graph->node_count, 3);
    int clips = 0;
    for (const octet_node *n = graph->first; n; n = n->next)
        if (!strcmp(n->op->name, "Clip")) {
            clips++;
            assert_int_equal(n->input_count, 1);
        } else
            assert_string_equal(n->op->name, "Identity");
    assert_int_equal(clips, 1);
    octet_graph_free(graph);
}

/* The function's own opset decides what its nodes mean. */
static void test_own_opset(void **state)
{
    (void)state;
    static Onnx__OperatorSetIdProto own, *list[] = { &own };
    proto_model                    *p = model();
    function                       *f = new_function(p, "softmax", "a", "b");
    onnx__operator_set_id_proto__init(&own);
    own.domain = (char *)"";
    own.has_version = 1;
    own.version = 11;
    f->proto.opset_import = list;
    f->proto.n_opset_import = 1;
    add_to(f, "", "Softmax", "a", "b");
    call(p, "softmax", "x", "y");
    octet_graph      *graph = proto_load_good(p);
    const octet_attr *row = octet_attr_find(graph->first->op, "axis");
    assert_int_equal(*(const int64_t *)octet_attr_get(graph->first->attrs, row), 1); /* -1 in opset 17 */
    octet_graph_free(graph);
}

static void refused(const proto_model *p, octet_status status, const char *text)
{
    octet_error err;
    assert_null(proto_load(p, &err));
    assert_int_equal(err.status, status);
    if (!strstr(err.text, text)) fail_msg("'%s' instead of '%s'", err.text, text);
}

static void test_refusals(void **state)
{
    (void)state;
    proto_model *p = model(); /* itself, for ever */
    add_to(new_function(p, "f", "a", "b"), "local", "f", "a", "b");
    call(p, "f", "x", "y");
    refused(p, OCTET_ERR_LIMIT, "deep");
    p = model();
    function *f = new_function(p, "f", "a", "b");
    add_to(f, "", "Relu", "a", "b");
    add_to(new_function(p, "f", "a", "b"), "", "Tanh", "a", "b");
    call(p, "f", "x", "y");
    refused(p, OCTET_ERR_UNSUPPORTED, "overloads");
    p = model();
    f = new_function(p, "f", "a", "b");
    add_to(f, "", "Relu", "a", "b");
    call(p, "f", "x x", "y");
    refused(p, OCTET_ERR_FORMAT, "2 inputs");
    p = model();
    f = new_function(p, "f", "a", "b");
    add_to(f, "", "Relu", "q", "b");
    call(p, "f", "x", "y");
    refused(p, OCTET_ERR_FORMAT, "does not exist");
}

/* Functions that call each other twice: a file of a few bytes would unfold to 2^28 nodes. */
static void test_explosion(void **state)
{
    (void)state;
    static char               names[28][8];
    static Onnx__FunctionProto *list[28];
    proto_model              *p = model();
    for (int i = 0; i < 28; i++) {
        snprintf(names[i], sizeof names[i], "f%d", i);
        p->model.n_functions = 0;
        function *f = new_function(p, names[i], "a", "b");
        list[i] = &f->proto;
        add_to(f, i ? "local" : "", i ? names[i - 1] : "Relu", "a", "t");
        add_to(f, i ? "local" : "", i ? names[i - 1] : "Relu", "t", "b");
    }
    p->model.functions = list;
    p->model.n_functions = 28;
    call(p, names[27], "x", "y");
    refused(p, OCTET_ERR_LIMIT, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nested),   cmocka_unit_test(test_borders),   cmocka_unit_test(test_own_opset),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_explosion),
    };
    return cmocka_run_group_tests(tests, NULL, proto_teardown);
}
