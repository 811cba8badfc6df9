/* SPDX-License-Identifier: Apache-2.0 */
/* What a bench promises beside its figures: which engines it times, how often, what it finds of a baseline. */
#include "support.h"

static octet_graph *make_net(const char *second)
{
    octet_graph  *graph;
    random_state  r = { 3 };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, 3, 6, 6 }, 4, &err));
    add_random(graph, &r, "w", (const int64_t[]){ 4, 3, 3, 3 }, 4, between(-1, 1));
    add_node(graph, "Conv", "c", NULL, INPUTS("x", "w"));
    add_node(graph, second, "y", NULL, INPUTS("c"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

static void times_what_it_is_asked_for(void **state)
{
    (void)state;
    octet_graph *const model = make_net("Sigmoid"), *const baseline = make_net("Tanh");
    octet_bench       *b;
    MUST(octet_bench_run(&b, model, baseline,
                         &(octet_bench_options){ .plan = { .engines = "reference", .batch = 3, .threads = 1 },
                                                 .runs = 5, .layers = true }, &err));
    assert_int_equal(b->engine_count, 1);
    assert_string_equal(b->engines[0].name, "reference");
    assert_int_equal(b->engines[0].time.runs, 5);
    assert_true(b->engines[0].time.min > 0 && b->engines[0].time.min <= b->engines[0].time.median);
    assert_true(fabs(b->engines[0].images_per_second * b->engines[0].time.median - 3) < 1e-9);
    assert_int_equal(b->batch, 3);
    assert_int_equal(b->threads, 1);
    assert_non_null(b->baseline);
    assert_int_equal(b->baseline->time.runs, 5);
    assert_int_equal(b->layer_count, 2); /* c, y */
    assert_string_equal(b->layers[0].name, "c");
    assert_int_equal(b->layers[0].macs, 3 * 4 * 16 * 27);
    for (size_t i = 0; i < 2; i++) assert_true(b->layers[i].baseline_seconds > 0); /* y: the same name suffices */
    octet_bench_free(b);
    octet_graph_free(model);
    octet_graph_free(baseline);
}

static void reference_steps_back(void **state)
{
    (void)state;
    octet_graph *const model = make_net("Relu");
    octet_bench       *b;
    MUST(octet_bench_run(&b, model, NULL, &(octet_bench_options){ .seconds = 0.001 }, &err));
    assert_true(b->engines[0].time.runs >= 3);
    assert_null(b->baseline);
    const bool alone = !strcmp(octet_engine_name(0, NULL), "reference");
    if (!alone)
        for (size_t i = 0; i < b->engine_count; i++) assert_string_not_equal(b->engines[i].name, "reference");
    octet_bench_free(b);
    octet_graph_free(model);
}

static void refuses(void **state)
{
    (void)state;
    octet_graph *const model = make_net("Relu");
    octet_bench       *b;
    octet_error        err = { 0 };
    const octet_status status =
        octet_bench_run(&b, model, NULL, &(octet_bench_options){ .plan = { .engines = "steam" } }, &err);
    assert_int_equal(status, OCTET_ERR_ARGUMENT);
    assert_null(b);
    octet_graph_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_what_it_is_asked_for),
        cmocka_unit_test(reference_steps_back),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
