/* SPDX-License-Identifier: Apache-2.0 */
/* A network of the operators whose inputs are many, or settings: PRelu, Sum, Max, Pow, Gelu, ReduceMax, ReduceSum. All
   of them become integer, compute well, and are the same when read from a file. */
#include "../residual.h"

#include "graph/graph.h"
#include "graph/op.h"

static void add_constant(octet_graph *graph, const char *name, octet_tensor tensor)
{
    MUST(octet_graph_add_constant(graph, name, &tensor, &err));
}

static octet_graph *elements(void)
{
    random_state          r = { 9 };
    octet_graph          *graph;
    float                 two = 2.0f;
    int64_t               axes[] = { 2, 3 };
    const int64_t         dims[] = { OCTET_DIM_FREE, CHANNELS, SIZE, SIZE };
    const octet_attribute flat[] = { { .name = "keepdims", .i = 0 }, { 0 } };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    add_random(graph, &r, "w1", (const int64_t[]){ 8, CHANNELS, 3, 3 }, 4, between(-0.4f, 0.5f));
    add_node(graph, "Conv", "conv1", NULL, INPUTS("x", "w1"));
    add_random(graph, &r, "slope", (const int64_t[]){ 8, 1, 1 }, 3, between(-0.2f, 0.4f));
    add_node(graph, "PRelu", "prelu", NULL, INPUTS("conv1", "slope"));
    add_random(graph, &r, "w2", (const int64_t[]){ 8, 8, 1, 1 }, 4, between(-0.4f, 0.5f));
    add_node(graph, "Conv", "conv2", NULL, INPUTS("prelu", "w2"));
    add_node(graph, "Gelu", "gelu", NULL, INPUTS("conv2"));
    add_constant(graph, "two", (octet_tensor){ .dtype = OCTET_F32, .data = &two });
    add_node(graph, "Pow", "square", NULL, INPUTS("prelu", "two"));
    add_node(graph, "Sum", "sum", NULL, INPUTS("gelu", "prelu", "square"));
    add_random(graph, &r, "floor", (const int64_t[]){ 8, 1, 1 }, 3, between(0.0f, 0.3f));
    add_node(graph, "Max", "max", NULL, INPUTS("sum", "gelu", "floor"));
    add_constant(graph, "axes", (octet_tensor){ .dtype = OCTET_I64, .rank = 1, .dims = { 2 }, .data = axes });
    add_node(graph, "ReduceMax", "most", flat, INPUTS("max", "axes"));
    add_node(graph, "ReduceSum", "all", flat, INPUTS("max", "axes"));
    add_random(graph, &r, "w3", (const int64_t[]){ 8, CLASSES }, 2, between(-0.3f, 0.3f));
    add_random(graph, &r, "w4", (const int64_t[]){ 8, CLASSES }, 2, between(-0.02f, 0.02f));
    add_node(graph, "MatMul", "left", NULL, INPUTS("most", "w3"));
    add_node(graph, "MatMul", "right", NULL, INPUTS("all", "w4"));
    add_node(graph, "Add", "y", NULL, INPUTS("left", "right"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

static void all_become_integer_and_compute_well(void **state)
{
    static float        expected[ROOM], got[ROOM], again[ROOM];
    const octet_tensor  x = all_samples();
    octet_graph *const  plain = elements(), *const graph = elements();
    const octet_qconfig qconfig = *octet_qconfig_find("octet");
    (void)state;
    MUST(quantize(graph, &qconfig, 2, &err));
    for (const octet_node *n = graph->first; n; n = n->next)
        if (strcmp(n->name, "y") != 0 && octet_node_compute_mode(graph, n) == OCTET_MODE_REAL)
            fail_msg("%s is computed in real numbers", n->name);
    const size_t n = run_graph(plain, &x, expected, ROOM, NULL);
    assert_int_equal(run_graph(graph, &x, got, ROOM, NULL), n);
    print_message("%.1f dB\n", sqnr_db(expected, got, n));
    assert_true(sqnr_db(expected, got, n) > 30);
    octet_graph *const read = saved_and_loaded(graph);
    assert_int_equal(run_graph(read, &x, again, ROOM, NULL), n);
    assert_memory_equal(got, again, n * sizeof *got);
    octet_graph_free(read);
    octet_graph_free(graph);
    octet_graph_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(all_become_integer_and_compute_well) };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
