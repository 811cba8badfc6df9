/* SPDX-License-Identifier: Apache-2.0 */
/* The number that scales attention's scores moves into a layer from wherever exporters put it, and outputs stay. */
#include "attention.h"

#include "graph/graph.h"
#include "passes/pass.h"

enum { COUNT = 2 * WORDS * WIDE };

static int count_of(const octet_graph *graph, const char *op)
{
    int count = 0;
    for (const octet_node *n = graph->first; n; n = n->next) count += octet_node_is(n, op);
    return count;
}

/* Fuses graph, runs it before and after, and says how many Mul and Div are left. */
static int left(octet_graph *graph, random_state *r)
{
    static float data[COUNT], before[COUNT], after[COUNT];
    MUST(octet_graph_verify(graph, &err));
    octet_tensor x = octet_value_tensor(graph->inputs[0], 2);
    x.data = data;
    random_fill(r, data, COUNT, -2, 2);
    const octet_plan_options plain = { .engines = "reference" };
    assert_int_equal(run_graph(graph, &x, before, COUNT, &plain), COUNT);
    MUST(octet_fuse(graph, &err));
    assert_int_equal(run_graph(graph, &x, after, COUNT, &plain), COUNT);
    assert_true(sqnr_db(before, after, COUNT) > 115);
    return count_of(graph, "Mul") + count_of(graph, "Div");
}

static void test_places(void **state)
{
    (void)state;
    static const float          mask[WORDS * WORDS] = { 0, -1, 0.5f, 0, 0, 1 };
    static const attention_form forms[] = {
        { .of_scores = "Mul" }, { .of_scores = "Div" }, { .of_q = "Mul" },
        { .of_q = "Div" },      { .of_k = "Mul" },      { .of_q = "Mul", .of_k = "Div" },
        { .of_scores = "Div", .mask = mask },           { .of_q = "Div", .of_scores = "Mul", .mask = mask },
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        random_state r = { i + 1 };
        octet_graph *graph = attention_graph(&r, &forms[i]);
        MUST(octet_graph_set_output(graph, "y", &err));
        if (left(graph, &r) != 0) fail_msg("form %zu keeps its Mul or Div", i);
        octet_graph_free(graph);
    }
}

/* Somebody else sees the numbers on the way: they stay as they are. */
static void test_seen(void **state)
{
    (void)state;
    static const struct {
        attention_form form;
        const char    *seen[3];
        int            left;
    } rows[] = {
        { { .of_scores = "Mul" }, { "scores" }, 1 },        { { .of_scores = "Mul" }, { "scaled" }, 1 },
        { { .of_scores = "Mul" }, { "q" }, 0 }, /* K takes it */ { { .of_scores = "Mul" }, { "q", "k" }, 1 },
        { { .of_q = "Mul" }, { "q" }, 1 },                  { { .of_q = "Mul" }, { "q_r" }, 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        random_state r = { i + 1 };
        octet_graph *graph = attention_graph(&r, &rows[i].form);
        MUST(octet_graph_set_output(graph, "y", &err));
        for (int k = 0; k < 3 && rows[i].seen[k]; k++) MUST(octet_graph_set_output(graph, rows[i].seen[k], &err));
        const int have = left(graph, &r);
        if (have != rows[i].left) fail_msg("row %zu: %d are left, not %d", i, have, rows[i].left);
        octet_graph_free(graph);
    }
}

/* No attention: a layer behind a number keeps it, as do others' numbers. */
static void test_others(void **state)
{
    (void)state;
    random_state r = { 3 };
    octet_graph *graph = attention_graph(&r, &(attention_form){ 0 });
    add_node(graph, "Mul", "z", NULL, INPUTS("y", "Mul_by"));
    add_node(graph, "Relu", "z1", NULL, INPUTS("z"));
    MUST(octet_graph_set_output(graph, "z1", &err));
    assert_int_equal(left(graph, &r), 1);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_seen),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
