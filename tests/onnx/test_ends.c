/* SPDX-License-Identifier: Apache-2.0 */
/* Networks that end where the caller says: nothing behind is looked at, everything before is there. */
#include "proto.h"

#include "graph/graph.h"
#include "graph/op.h"

static const int64_t TWO[] = { 2 };

/* a = Relu(x), b = Neg(a), c = If(known: x + a), d = Nowhere(b, c), which no octet knows, and reads the input n. */
static proto_model *model(void)
{
    proto_model *const p = proto_new(17), *const then = proto_new(17), *const otherwise = proto_new(17);
    proto_input(p, "x", 1, TWO, 1);
    proto_input(p, "n", 1, TWO, 1);
    proto_output(p, "d");
    proto_tensor(p, "yes", 2, &(uint8_t){ 1 }, NULL, 0)->data_type = 9;
    proto_node(then, "Add", "x a", "sum");
    proto_output(then, "sum");
    proto_node(otherwise, "Relu", "b", "none");
    proto_output(otherwise, "none");
    proto_node(p, "Nowhere", "b c n", "d");
    Onnx__NodeProto *const n = proto_node(p, "If", "yes", "c");
    proto_attribute(p, n, "then_branch", 5)->g = &then->graph;
    proto_attribute(p, n, "else_branch", 5)->g = &otherwise->graph;
    proto_node(p, "Neg", "a", "b");
    proto_node(p, "Relu", "x", "a");
    return p;
}

static octet_status load(octet_graph **graph, const char *const *ends, size_t count, octet_error *err)
{
    char *const              path    = proto_write(model());
    const octet_load_options options = { .ends = ends, .end_count = count };
    *err                             = (octet_error){ 0 };
    const octet_status status = octet_graph_load_with(graph, path, &options, err);
    proto_remove(path);
    return status;
}

static void test_ends(void **state)
{
    (void)state;
    static const struct {
        const char  *ends[2];
        size_t       count, nodes;
        octet_status status;
    } rows[] = {
        { { "a" }, 1, 1, OCTET_OK },
        { { "b" }, 1, 2, OCTET_OK },
        { { "b", "a" }, 2, 2, OCTET_OK },
        { { "d" }, 1, 0, OCTET_ERR_UNSUPPORTED },
        { { NULL }, 0, 0, OCTET_ERR_UNSUPPORTED },
        { { "x" }, 1, 0, OCTET_ERR_ARGUMENT },
        { { "a", "nothing" }, 2, 0, OCTET_ERR_ARGUMENT },
        { { "a", "a" }, 2, 0, OCTET_ERR_ARGUMENT },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        octet_graph *graph;
        octet_error  err;
        const octet_status status = load(&graph, rows[i].ends, rows[i].count, &err);
        if (status != rows[i].status) fail_msg("row %zu: status %d, %s", i, status, err.text);
        if (status != OCTET_OK) continue;
        assert_int_equal(graph->node_count, rows[i].nodes);
        assert_int_equal(graph->output_count, rows[i].count);
        for (size_t k = 0; k < rows[i].count; k++) assert_string_equal(graph->outputs[k]->name, rows[i].ends[k]);
        octet_graph_free(graph);
    }
}

/* What only a branch reads is needed, too: c = x + Relu(x). */
static void test_branches(void **state)
{
    (void)state;
    octet_graph       *graph;
    float              x[] = { 3, -2 }, y[2];
    const octet_tensor in[] = { { .dtype = OCTET_F32, .rank = 1, .dims = { 2 }, .data = x },
                                { .dtype = OCTET_F32, .rank = 1, .dims = { 2 }, .data = x } };
    octet_error        err;
    assert_int_equal(load(&graph, (const char *const[]){ "c" }, 1, &err), OCTET_OK);
    assert_int_equal(run_graph(graph, in, y, 2, NULL), 2);
    assert_true(y[0] == 6 && y[1] == -2);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_ends), cmocka_unit_test(test_branches) };
    return cmocka_run_group_tests(tests, NULL, proto_teardown);
}
