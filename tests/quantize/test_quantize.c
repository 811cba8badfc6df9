/* SPDX-License-Identifier: Apache-2.0 */
/* A small residual network through fuse, prepare, calibrate, convert: what becomes integer, how well it still computes,
   and that threads do not show. */
#include "residual.h"

#include "graph/graph.h"
#include "graph/op.h"
#include "passes/pass.h"

static double quantized_db(octet_graph *graph)
{
    static float       expected[ROOM], got[ROOM];
    octet_graph *const plain = network(1);
    const octet_tensor x     = all_samples();
    MUST(octet_graph_verify(plain, &err));
    const size_t n = run_graph(plain, &x, expected, ROOM, NULL);
    assert_int_equal(run_graph(graph, &x, got, ROOM, NULL), n);
    octet_graph_free(plain);
    return sqnr_db(expected, got, n);
}

static const octet_node *node_of(const octet_graph *graph, const char *name)
{
    const octet_node *const node = octet_graph_find_node(graph, name);
    assert_non_null(node);
    return node;
}

static void every_sum_is_integer_and_close_to_float(void **state)
{
    (void)state;
    for (int method = 0; method < OCTET_METHOD_COUNT; method++) {
        octet_graph  *graph   = network(1);
        octet_qconfig qconfig = *octet_qconfig_find("octet");
        qconfig.activation.method = (octet_method)method;
        MUST(quantize(graph, &qconfig, 2, &err));
        assert_int_equal(octet_graph_stage(graph), OCTET_STAGE_QUANTIZED);
        for (const octet_node *n = graph->first; n; n = n->next)
            assert_int_not_equal(octet_node_compute_mode(graph, n), OCTET_MODE_REAL);
        assert_int_equal(octet_node_compute_mode(graph, node_of(graph, "fc")), OCTET_MODE_INTEGER_REAL);
        const double db = quantized_db(graph);
        print_message("%-16s %.1f dB\n", octet_method_name((octet_method)method), db);
        /* an average over 24 samples moves only a fifth of the way from the first one's range */
        assert_true(db > (method == OCTET_METHOD_MOVING_AVERAGE ? 15 : 30) && db < 60);
        octet_graph_free(graph);
    }
}

static void native_sums_in_the_accumulator_and_portable_does_not(void **state)
{
    (void)state;
    for (int portable = 0; portable < 2; portable++) {
        octet_graph  *graph   = network(1);
        octet_qconfig qconfig = *octet_qconfig_find("octet");
        qconfig.target        = portable ? "portable" : "native";
        MUST(quantize(graph, &qconfig, 1, &err));
        const octet_node *const add = octet_node_fused_add(graph, node_of(graph, "conv2"));
        if (portable) assert_null(add);
        else assert_ptr_equal(add, node_of(graph, "sum"));
        assert_true(quantized_db(graph) > 30);
        octet_graph_free(graph);
    }
}

static void layer_rules_keep_float_and_must_match(void **state)
{
    (void)state;
    const octet_layer_rule keep = { "conv1", true }, stray = { "nothing*", true };
    octet_qconfig          qconfig = *octet_qconfig_find("octet");
    octet_graph           *graph   = network(1);
    qconfig.layers = &keep, qconfig.layer_count = 1;
    MUST(quantize(graph, &qconfig, 1, &err));
    assert_int_equal(octet_node_compute_mode(graph, node_of(graph, "conv1")), OCTET_MODE_REAL);
    assert_int_equal(octet_node_compute_mode(graph, node_of(graph, "conv2")), OCTET_MODE_INTEGER);
    bool told = false;
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++)
        told = told || !strcmp(octet_graph_decision(graph, i).node, "conv1");
    assert_true(told);
    octet_graph_free(graph);
    graph          = network(1);
    qconfig.layers = &stray;
    octet_error wrong = { 0 };
    assert_int_equal(quantize(graph, &qconfig, 1, &wrong), OCTET_ERR_ARGUMENT);
    assert_non_null(strstr(wrong.text, "nothing*"));
    octet_graph_free(graph);
}

/* The method of node's result, and its scale. */
static const char *method_of(const octet_graph *graph, const char *node, float *scale)
{
    const octet_fake_quantize *const fq = node_of(graph, node)->outputs[0]->fake_quantize;
    *scale                              = fq->qparams.scale[0];
    return fq->method;
}

static void layer_rules_choose_ranges(void **state)
{
    (void)state;
    const octet_layer_rule rules[]   = { { "*", false, true, OCTET_METHOD_PERCENTILE, 60 },
                                         { "conv1", false, true, OCTET_METHOD_MINMAX, 0 } };
    octet_qconfig          qconfig   = *octet_qconfig_find("octet");
    octet_graph           *graphs[2] = { network(1), network(1) };
    float                  cut, wide, plain;
    qconfig.activation.method = OCTET_METHOD_MINMAX;
    MUST(quantize(graphs[0], &qconfig, 1, &err));
    qconfig.activation.method = OCTET_METHOD_OUTPUT;
    qconfig.layers = rules, qconfig.layer_count = 2;
    MUST(quantize(graphs[1], &qconfig, 1, &err));
    method_of(graphs[0], "conv1", &plain);
    assert_string_equal(method_of(graphs[1], "conv1", &wide), "minmax");
    assert_true(wide == plain);
    method_of(graphs[0], "sum", &plain);
    assert_string_equal(method_of(graphs[1], "sum", &cut), "percentile");
    assert_true(cut < 0.7f * plain);
    for (int i = 0; i < 2; i++) octet_graph_free(graphs[i]);
}

static void assert_same_graphs(const octet_graph *a, const octet_graph *b)
{
    const octet_value *w = b->values;
    for (const octet_value *v = a->values; v; v = v->next, w = w->next) {
        assert_string_equal(v->name, w->name);
        const octet_qparams *const p = octet_value_levels(a, v), *const q = octet_value_levels(b, w);
        assert_true(!p == !q);
        if (p) assert_memory_equal(p->scale, q->scale, (size_t)p->count * sizeof *p->scale);
        if (p) assert_memory_equal(p->zero_point, q->zero_point, (size_t)p->count * sizeof *p->zero_point);
        if (v->constant)
            assert_memory_equal(v->constant->data, w->constant->data, (size_t)octet_tensor_bytes(v->constant));
    }
    assert_null(w);
}

static void threads_do_not_show(void **state)
{
    (void)state;
    octet_graph *const one = network(1);
    MUST(quantize(one, NULL, 1, &err));
    for (int threads = 2; threads <= 5; threads++) {
        octet_graph *const many = network(1);
        MUST(quantize(many, NULL, threads, &err));
        assert_same_graphs(one, many);
        octet_graph_free(many);
    }
    octet_graph_free(one);
}

/* Weights near zero beside a large bias: the scale is raised until the bias fits, and it is said so. */
static void a_bias_that_does_not_fit_raises_the_scale(void **state)
{
    (void)state;
    octet_graph *const graph = network(1);
    float *const       w     = octet_graph_find_value(graph, "w1")->constant->data;
    for (int i = 0; i < 27; i++) w[i] *= 1e-12f;
    MUST(quantize(graph, NULL, 1, &err));
    bool raised = false;
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++)
        raised = raised || !strcmp(octet_graph_decision(graph, i).what, "weight scale raised");
    assert_true(raised);
    octet_graph_free(graph);
}

/* Rounding weights to few levels moves channel means; the correction brings them back. */
static void bias_correction_restores_channel_means(void **state)
{
    (void)state;
    double off[2];
    for (int without = 0; without < 2; without++) {
        static float       expected[ROOM], got[ROOM];
        octet_graph *const graph = network(1), *const plain = network(1);
        octet_qconfig      qconfig = *octet_qconfig_find("octet");
        const octet_tensor x = all_samples();
        qconfig.weight.qmin = -7, qconfig.weight.qmax = 7;
        qconfig.no_bias_correction = without;
        MUST(quantize(graph, &qconfig, 2, &err));
        MUST(octet_graph_verify(plain, &err));
        run_graph(plain, &x, expected, ROOM, NULL);
        run_graph(graph, &x, got, ROOM, NULL);
        off[without] = 0;
        for (int c = 0; c < CLASSES; c++) {
            double mean = 0;
            for (int s = 0; s < SAMPLES; s++) mean += (double)got[s * CLASSES + c] - expected[s * CLASSES + c];
            off[without] += fabs(mean / SAMPLES);
        }
        octet_graph_free(graph);
        octet_graph_free(plain);
    }
    print_message("mean error of the outputs: %.4f corrected, %.4f not\n", off[0], off[1]);
    assert_true(off[0] < 0.6 * off[1]);
}

static void a_quantized_network_is_not_quantized_again(void **state)
{
    (void)state;
    octet_graph *const graph = network(1);
    octet_error        twice = { 0 };
    MUST(quantize(graph, NULL, 1, &err));
    assert_int_equal(octet_prepare(graph, NULL, &twice), OCTET_ERR_UNSUPPORTED);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sum_is_integer_and_close_to_float),
        cmocka_unit_test(native_sums_in_the_accumulator_and_portable_does_not),
        cmocka_unit_test(layer_rules_keep_float_and_must_match),
        cmocka_unit_test(layer_rules_choose_ranges),
        cmocka_unit_test(threads_do_not_show),
        cmocka_unit_test(a_bias_that_does_not_fit_raises_the_scale),
        cmocka_unit_test(bias_correction_restores_channel_means),
        cmocka_unit_test(a_quantized_network_is_not_quantized_again),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
