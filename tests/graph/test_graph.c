/* SPDX-License-Identifier: Apache-2.0 */
/* Editing keeps producers, uses and names right; order is stable; cycles and clashes are named. */
#include "support.h"

#include "graph/graph.h"
#include "graph/op.h"

static octet_graph *relu_chain(int length)
{
    octet_graph  *graph;
    const int64_t dims[] = { OCTET_DIM_FREE, 4 };
    char          in[16] = "x", out[16];
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 2, &err));
    for (int i = 0; i < length; i++) {
        snprintf(out, sizeof out, "v%d", i);
        add_node(graph, "Relu", out, NULL, INPUTS(in));
        memcpy(in, out, sizeof in);
    }
    MUST(octet_graph_set_output(graph, in, &err));
    return graph;
}

static void builder_links_what_it_is_told(void **state)
{
    (void)state;
    octet_graph *const graph = relu_chain(3);
    MUST(octet_graph_verify(graph, &err));
    const octet_value *const v0 = octet_graph_find_value(graph, "v0");
    assert_int_equal(v0->use_count, 1);
    assert_ptr_equal(v0->uses[0].node, octet_graph_find_node(graph, "v1"));
    assert_ptr_equal(octet_value_only_reader(v0), v0->uses[0].node);
    assert_null(octet_value_only_reader(octet_graph_find_value(graph, "v2"))); /* a graph output */
    octet_graph_free(graph);
}

static void a_name_defined_twice_is_refused(void **state)
{
    (void)state;
    octet_graph *const    graph  = relu_chain(1);
    octet_error           err    = { 0 };
    const char           *out    = "v0";
    const octet_node_spec spec   = { .op = "Relu", .inputs = INPUTS("x"), .input_count = 1, .outputs = &out,
                                     .output_count = 1 };
    const int             before = graph->node_count;
    assert_int_equal(octet_graph_add(graph, &spec, &err), OCTET_ERR_FORMAT);
    assert_non_null(strstr(err.text, "v0"));
    assert_int_equal(graph->node_count, before);
    octet_graph_free(graph);
}

static void replacing_moves_every_reader(void **state)
{
    (void)state;
    octet_graph *const graph = relu_chain(3);
    octet_value *const x = octet_graph_find_value(graph, "x"), *const v0 = octet_graph_find_value(graph, "v0");
    MUST(octet_value_replace(graph, v0, x, &err));
    assert_int_equal(v0->use_count, 0);
    assert_int_equal(x->use_count, 2);
    octet_node_remove(graph, octet_graph_find_node(graph, "v0"));
    assert_int_equal(x->use_count, 1);
    assert_null(octet_graph_find_node(graph, "v0"));
    octet_graph_sweep(graph);
    assert_null(octet_graph_find_value(graph, "v0"));
    assert_int_equal(graph->value_count, 3);
    MUST(octet_graph_verify(graph, &err));
    octet_graph_free(graph);
}

static void sorting_repairs_order_and_is_stable(void **state)
{
    (void)state;
    octet_graph *const graph = relu_chain(4);
    octet_value *const x = octet_graph_find_value(graph, "x"), *const v3 = octet_graph_find_value(graph, "v3");
    MUST(octet_node_set_input(graph, octet_graph_find_node(graph, "v1"), 0, x, &err));
    MUST(octet_node_set_input(graph, octet_graph_find_node(graph, "v0"), 0, v3, &err)); /* v0 is last now */
    assert_int_not_equal(octet_graph_check(graph, NULL), OCTET_OK);
    MUST(octet_graph_sort(graph, &err));
    MUST(octet_graph_check(graph, &err));
    int i = 0;
    for (const octet_node *n = graph->first; n; n = n->next, i++) {
        char name[16];
        snprintf(name, sizeof name, "v%d", (i + 1) % 4);
        assert_string_equal(n->name, name);
    }
    octet_graph_free(graph);
}

static void a_cycle_is_named(void **state)
{
    (void)state;
    octet_graph *const graph = relu_chain(3);
    octet_error        cycle = { 0 };
    MUST(octet_node_set_input(graph, octet_graph_find_node(graph, "v0"), 0, octet_graph_find_value(graph, "v2"), &err));
    assert_int_equal(octet_graph_sort(graph, &cycle), OCTET_ERR_FORMAT);
    assert_non_null(strstr(cycle.text, "cycle"));
    assert_true(cycle.node[0] == 'v');
    octet_graph_free(graph);
}

static void names_near_a_taken_one_are_free(void **state)
{
    (void)state;
    octet_graph *const graph = relu_chain(1);
    octet_value       *a, *b;
    MUST(octet_value_new_near(&a, graph, "v0", &err));
    MUST(octet_value_new_near(&b, graph, "v0", &err));
    assert_string_not_equal(a->name, b->name);
    assert_ptr_equal(octet_graph_find_value(graph, a->name), a);
    octet_graph_free(graph);
}

static void many_nodes_take_linear_time(void **state)
{
    (void)state;
    octet_graph *const graph = relu_chain(20000);
    MUST(octet_graph_sort(graph, &err));
    MUST(octet_graph_check(graph, &err));
    octet_graph_free(graph);
}

static void unknown_attributes_and_ranges_are_refused(void **state)
{
    (void)state;
    octet_graph *const    graph  = relu_chain(1);
    const char           *out    = "y";
    const octet_attribute bad[]  = { { .name = "colour", .i = 1 }, { 0 } };
    const octet_node_spec spec   = { .op = "Flatten", .inputs = INPUTS("x"), .input_count = 1, .outputs = &out,
                                     .output_count = 1, .attributes = bad };
    octet_error           err    = { 0 };
    assert_int_equal(octet_graph_add(graph, &spec, &err), OCTET_ERR_ARGUMENT);
    assert_string_equal(err.field, "colour");
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builder_links_what_it_is_told),
        cmocka_unit_test(a_name_defined_twice_is_refused),
        cmocka_unit_test(replacing_moves_every_reader),
        cmocka_unit_test(sorting_repairs_order_and_is_stable),
        cmocka_unit_test(a_cycle_is_named),
        cmocka_unit_test(names_near_a_taken_one_are_free),
        cmocka_unit_test(many_nodes_take_linear_time),
        cmocka_unit_test(unknown_attributes_and_ranges_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
