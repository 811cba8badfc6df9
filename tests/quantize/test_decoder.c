/* SPDX-License-Identifier: Apache-2.0 */
/* A decoder with outliers, trained here: octet's default notices what 8 bits would do to it, gives the guilty values 16
   and says so; without that it collapses. */
#include "decoder.h"

#include "graph/graph.h"

enum { JUDGED = 1024, SAMPLES = 64 };

static octet_graph *trained;
static char         folder[200], file[300], samples[300];
static float        judged[JUDGED * LENGTH];
static int64_t      next[JUDGED];

static int set_up(void **state)
{
    (void)state;
    random_state r = { 2024 }, held = { 7 }, seen = { 8 };
    static float tokens[SAMPLES * LENGTH];
    trained = decoder_network(&r);
    train(trained, &r);
    make_folder(folder, sizeof folder);
    snprintf(file, sizeof file, "%s/decoder.onnx", folder);
    snprintf(samples, sizeof samples, "%s/tokens.npy", folder);
    MUST(octet_graph_save(trained, file, &err));
    octet_graph_free(trained);
    for (int i = 0; i < JUDGED; i++) next[i] = draw(&held, judged + i * LENGTH);
    for (int i = 0; i < SAMPLES; i++) draw(&seen, tokens + i * LENGTH);
    write_npy(samples, &(octet_tensor){ .dtype = OCTET_F32, .rank = 2, .dims = { SAMPLES, LENGTH }, .data = tokens });
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(file);
    unlink(samples);
    return rmdir(folder);
}

static double accuracy(const octet_graph *graph)
{
    static float logits[JUDGED * TOKENS];
    int          hits = 0;
    const octet_tensor x = { .dtype = OCTET_F32, .rank = 2, .dims = { JUDGED, LENGTH }, .data = judged };
    assert_int_equal(run_graph(graph, &x, logits, JUDGED * TOKENS, NULL), JUDGED * TOKENS);
    for (int i = 0; i < JUDGED; i++) {
        int best = 0;
        for (int t = 1; t < TOKENS; t++)
            if (logits[i * TOKENS + t] > logits[i * TOKENS + best]) best = t;
        hits += best == next[i];
    }
    return 100.0 * hits / JUDGED;
}

static octet_graph *load(void)
{
    octet_graph *graph;
    MUST(octet_graph_load(&graph, file, &err));
    return graph;
}

/* By qconfig; NULL: octet's default. */
static octet_graph *quantized(const octet_qconfig *qconfig)
{
    octet_graph   *graph = load();
    octet_dataset *data;
    MUST(octet_fuse(graph, &err));
    MUST(octet_dataset_open(&data, samples, &(octet_dataset_options){ .graph = graph }, &err));
    MUST(octet_prepare(graph, qconfig, &err));
    MUST(octet_calibrate(graph, data, NULL, &err));
    MUST(octet_convert(graph, &err));
    octet_dataset_free(data);
    return graph;
}

static int decisions(const octet_graph *graph, const char *what)
{
    int count = 0;
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++) {
        const octet_decision d = octet_graph_decision(graph, i);
        if (strcmp(d.what, what) != 0) continue;
        print_message("%s: %s, %s\n", d.node, d.what, d.why);
        count++;
    }
    return count;
}

static void the_default_keeps_what_outliers_would_cost(void **state)
{
    (void)state;
    octet_graph *const real = load(), *const mixed = quantized(NULL);
    octet_qconfig      bytes = *octet_qconfig_find("octet");
    bytes.activation.dtype = OCTET_U8; /* asked for, so never changed */
    octet_graph *const narrow = quantized(&bytes);
    const double       before = accuracy(real), after = accuracy(mixed), without = accuracy(narrow);
    print_message("next-token accuracy: float %.2f %%, default %.2f %%, 8 bits everywhere %.2f %%\n", before, after,
                  without);
    assert_true(before > 70);
    assert_true(before - after <= 2);
    assert_true(before - without > 20);
    assert_int_equal(decisions(narrow, "16 bits"), 0);
    const int wide = decisions(mixed, "16 bits");
    assert_in_range(wide, 1, 8);
    octet_graph_free(real);
    octet_graph_free(mixed);
    octet_graph_free(narrow);
}

/* What is saved holds 16 bits as levels, and computes the same. */
static void a_file_keeps_them(void **state)
{
    (void)state;
    static float       before[JUDGED * TOKENS], after[JUDGED * TOKENS];
    char               saved[300];
    octet_graph *const mixed = quantized(NULL);
    octet_graph       *again;
    const octet_tensor x = { .dtype = OCTET_F32, .rank = 2, .dims = { JUDGED, LENGTH }, .data = judged };
    snprintf(saved, sizeof saved, "%s/saved.onnx", folder);
    MUST(octet_graph_save(mixed, saved, &err));
    MUST(octet_graph_load(&again, saved, &err));
    MUST(octet_fuse(again, &err));
    run_graph(mixed, &x, before, JUDGED * TOKENS, NULL);
    run_graph(again, &x, after, JUDGED * TOKENS, NULL);
    assert_memory_equal(before, after, sizeof before);
    assert_true(again->opset >= 21);
    unlink(saved);
    octet_graph_free(mixed);
    octet_graph_free(again);
}

/* The same by hand, and asked for by a layer rule. */
static void a_rule_asks_for_them(void **state)
{
    (void)state;
    octet_layer_rule rules[] = { { .match = "x?" }, { .match = "masked" } };
    octet_qconfig    qconfig = *octet_qconfig_find("octet");
    for (int i = 0; i < 2; i++) MUST(octet_layer_rule_parse(&rules[i], "u16", &err));
    qconfig.layers = rules, qconfig.layer_count = 2;
    octet_graph *const real = load(), *const mixed = quantized(&qconfig);
    assert_int_equal(decisions(mixed, "16 bits"), 0);
    assert_int_equal(octet_graph_find_value(mixed, "x1")->fake_quantize->qparams.dtype, OCTET_U16);
    assert_int_equal(octet_graph_find_value(mixed, "n1")->fake_quantize->qparams.dtype, OCTET_U8);
    assert_true(accuracy(real) - accuracy(mixed) <= 2);
    octet_graph_free(real);
    octet_graph_free(mixed);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_default_keeps_what_outliers_would_cost),
                                        cmocka_unit_test(a_file_keeps_them), cmocka_unit_test(a_rule_asks_for_them) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
