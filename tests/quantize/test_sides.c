/* SPDX-License-Identifier: Apache-2.0 */
/* Weight-only and activation-only quantization: sums are real on every engine, and files say the same. */
#include "../residual.h"

#include "graph/graph.h"
#include "graph/op.h"

typedef struct side {
    const char *weights, *activations;
    double      least_db; /* against the float network; the weights' error alone, or the activations' */
} side;

static const side sides[] = { { "s8", "f32", 40 }, { "s4", "f32", 18 }, { "f32", "u8", 35 }, { "f32", "s6", 20 } };

enum { SIDES = sizeof sides / sizeof *sides };

static octet_graph *quantized(const side *s, const char *target)
{
    octet_graph  *graph   = residual_network(1, true);
    octet_qconfig qconfig = *octet_qconfig_find("octet");
    MUST(octet_qconfig_bits(&qconfig, s->weights, s->activations, &err));
    qconfig.target            = target;
    qconfig.activation.method = OCTET_METHOD_MINMAX;
    if (strcmp(s->activations, "f32")) MUST(quantize(graph, &qconfig, 2, &err));
    else { /* nothing to see: no data are needed */
        MUST(octet_prepare(graph, &qconfig, &err));
        MUST(octet_calibrate(graph, NULL, NULL, &err));
        MUST(octet_convert(graph, &err));
    }
    assert_int_equal(octet_graph_stage(graph), OCTET_STAGE_QUANTIZED);
    return graph;
}

/* Which values hold levels; every weighted node is real, and told of. */
static void assert_one_side(const octet_graph *graph, const side *s)
{
    int weights = 0, activations = 0, told = 0;
    for (const octet_value *v = graph->values; v; v = v->next) {
        if (!octet_value_levels(graph, v)) continue;
        if (v->constant) weights++;
        else activations++;
    }
    assert_int_equal(weights, strcmp(s->weights, "f32") ? 4 : 0);
    assert_true(strcmp(s->activations, "f32") ? activations > 3 : activations == 0);
    for (const octet_node *n = graph->first; n; n = n->next)
        if (n->op->quant == OCTET_QUANT_MAC)
            assert_int_equal(octet_node_compute_mode(graph, n), OCTET_MODE_REAL);
    const octet_node *const sum = octet_graph_find_node(graph, "sum"); /* of two real sums, rounded before */
    assert_int_equal(octet_node_compute_mode(graph, sum),
                     strcmp(s->activations, "f32") ? OCTET_MODE_INTEGER : OCTET_MODE_REAL);
    for (size_t i = 0; i < graph->decision_count; i++)
        told += !strncmp(graph->decisions[i].node, "conv", 4) && strstr(graph->decisions[i].why, "stay real");
    assert_int_equal(told, 3);
}

static void assert_near_float(const octet_graph *graph, const side *s)
{
    static float       expected[ROOM], first[ROOM], got[ROOM];
    octet_graph *const plain = residual_network(1, true);
    const octet_tensor x     = all_samples();
    MUST(octet_graph_verify(plain, &err));
    const size_t n = run_graph(plain, &x, expected, ROOM, NULL);
    run_graph(graph, &x, first, ROOM, &(octet_plan_options){ .engines = "reference" });
    print_message("weights %-4s activations %-4s %.1f dB\n", s->weights, s->activations, sqnr_db(expected, first, n));
    assert_true(sqnr_db(expected, first, n) > s->least_db);
    for (size_t i = 0; octet_engine_name(i, NULL); i++) {
        const octet_plan_options on = { .engines = octet_engine_name(i, NULL) };
        assert_int_equal(run_graph(graph, &x, got, ROOM, &on), n);
        assert_true(sqnr_db(first, got, n) > (strcmp(s->activations, "f32") ? s->least_db : 100));
    }
    octet_graph_free(plain);
}

static void assert_file_is_the_same(const octet_graph *graph)
{
    static float       expected[ROOM], got[ROOM];
    octet_graph *const again = saved_and_loaded(graph);
    const octet_tensor x     = all_samples();
    assert_int_equal(octet_graph_stage(again), OCTET_STAGE_QUANTIZED);
    for (int engine = 0; engine < 2; engine++) {
        const octet_plan_options on = { .engines = engine ? "native" : "reference" };
        const size_t             n  = run_graph(graph, &x, expected, ROOM, &on);
        assert_int_equal(run_graph(again, &x, got, ROOM, &on), n);
        assert_memory_equal(expected, got, n * sizeof *got);
    }
    octet_graph_free(again);
}

static void one_side_stays_real(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIDES; i++)
        for (int portable = 0; portable < 2; portable++) {
            octet_graph *const graph = quantized(&sides[i], portable ? "portable" : "native");
            assert_one_side(graph, &sides[i]);
            assert_near_float(graph, &sides[i]);
            assert_file_is_the_same(graph);
            octet_graph_free(graph);
        }
}

static void nothing_at_all_is_refused(void **state)
{
    (void)state;
    octet_graph  *graph   = network(1);
    octet_qconfig qconfig = *octet_qconfig_find("octet");
    MUST(octet_qconfig_bits(&qconfig, "f32", "f32", &err));
    assert_int_equal(octet_prepare(graph, &qconfig, NULL), OCTET_ERR_ARGUMENT);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_side_stays_real),
        cmocka_unit_test(nothing_at_all_is_refused),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
