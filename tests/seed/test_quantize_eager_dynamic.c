/* SPDX-License-Identifier: Apache-2.0 */
/* PyTorch's TestQuantizeEagerPTQDynamic, in meaning: which layers become dynamic, with which weights, and that nothing
   is calibrated. Upstream checks types only; here the numbers are near the float ones, too. */
#include "ptq_flow.h"

static const octet_layer_rule not_fc1[] = { { .match = "sub2.fc1", .keep_float = true } };

/* test_single_layer, test_two_layers, test_nested1 to 3, test_type_match_rule (None beats the rule for the type),
   test_linear_relu_fusion (sub1.fc has a Relu). */
static const struct {
    const char             *test;
    const layer            *layers;
    const octet_layer_rule *rules;
    size_t                  rule_count;
    const char             *dynamic, *real;
} cases[] = {
    { "single_layer", single, NULL, 0, "fc1", "" },
    { "two_layers", two, RULES(only_fc2), "fc2", "fc1" },
    { "nested1", nested, RULES(first_rules), "sub2.fc1 fc3", "sub1.fc.raw sub2.fc2" },
    { "nested2", nested, RULES(whole_sub2), "sub2.fc1 sub2.fc2 fc3", "sub1.fc.raw" },
    { "nested3", nested, NULL, 0, "sub1.fc.raw sub2.fc1 sub2.fc2 fc3", "" },
    { "type_match_rule", nested, RULES(not_fc1), "sub1.fc.raw sub2.fc2 fc3", "sub2.fc1" },
};
enum { CASES = sizeof cases / sizeof *cases };

static octet_graph *dynamic(octet_graph *graph, const char *name, const octet_layer_rule *rules, size_t count)
{
    octet_qconfig qconfig = *octet_qconfig_find(name);
    qconfig.layers        = rules;
    qconfig.layer_count   = count;
    MUST(octet_prepare(graph, &qconfig, &err));
    for (const octet_value *v = graph->values; v; v = v->next) assert_null(graph->calibration->watches[v->index].group);
    MUST(octet_calibrate(graph, NULL, NULL, &err));
    MUST(octet_convert(graph, &err));
    return graph;
}

static void assert_all(const octet_graph *graph, const char *names, octet_node_mode mode)
{
    char words[128];
    snprintf(words, sizeof words, "%s", names);
    for (char *name = strtok(words, " "); name; name = strtok(NULL, " "))
        if (mode_of(graph, name) != mode) fail_msg("%s has mode %d", name, (int)mode_of(graph, name));
}

/* dB of the outputs of two networks of one input. */
static double db_between(const octet_graph *plain, const octet_graph *graph)
{
    static float       want[ROOM], got[ROOM];
    const octet_tensor x = input_of(plain, 10);
    random_state       r = { 9 };
    random_fill(&r, samples, (size_t)octet_tensor_count(&x), -1, 1);
    const size_t n = run_graph(plain, &x, want, ROOM, NULL);
    assert_int_equal(run_graph(graph, &x, got, ROOM, NULL), n);
    return sqnr_db(want, got, n);
}

static void rules_choose_layers(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < CASES; i++) {
        octet_graph *const plain = linear_network(cases[i].layers);
        octet_graph *const graph = dynamic(linear_network(cases[i].layers), "default_dynamic_qconfig", cases[i].rules,
                                           cases[i].rule_count);
        assert_all(graph, cases[i].dynamic, OCTET_MODE_DYNAMIC);
        assert_all(graph, cases[i].real, OCTET_MODE_REAL);
        const double db = db_between(plain, graph);
        print_message("%-16s %.1f dB\n", cases[i].test, db);
        assert_true(db > 25 && db < 70);
        octet_graph_free(graph);
        octet_graph_free(plain);
    }
}

/* The largest of n weights over 127.5, PyTorch's symmetric scale. */
static float scale_of(const float *w, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
    return most / 127.5f;
}

/* test_per_channel_linear_quantize. */
static void channels_have_scales_of_their_own(void **unused)
{
    (void)unused;
    static const char *const names[] = { "default_dynamic_qconfig", "per_channel_dynamic_qconfig" };
    octet_graph *const       plain   = linear_network(nested);
    const float *const       w       = octet_graph_find_node(plain, "sub2.fc1")->inputs[1]->constant->data;
    for (int i = 0; i < 2; i++) {
        octet_graph *const         graph = dynamic(linear_network(nested), names[i], NULL, 0);
        const octet_node *const    fc    = octet_graph_find_node(graph, "sub2.fc1");
        const octet_qparams *const q     = octet_value_levels(graph, fc->inputs[1]);
        assert_non_null(q);
        assert_int_equal(q->dtype, OCTET_I8);
        assert_int_equal(q->count, i ? 8 : 1);
        for (int64_t c = 0; c < q->count; c++) assert_true(q->scale[c] == scale_of(w + 5 * c, i ? 5 : 40));
        octet_graph_free(graph);
    }
    octet_graph_free(plain);
}

/* The float16 half of every test: weights are halves, computing is float. */
static void halves(void **unused)
{
    (void)unused;
    octet_graph *const plain = linear_network(nested);
    octet_graph *const graph = dynamic(linear_network(nested), "float16_dynamic_qconfig", NULL, 0);
    const float *const w     = octet_graph_find_node(graph, "fc3")->inputs[1]->constant->data;
    const float *const was   = octet_graph_find_node(plain, "fc3")->inputs[1]->constant->data;
    size_t             moved = 0;
    for (size_t i = 0; i < 25; i++) {
        uint32_t bits;
        memcpy(&bits, &w[i], sizeof bits);
        assert_int_equal(bits & 0x1fff, 0); /* of 23 bits of fraction a half has 10 */
        assert_true(fabsf(w[i] - was[i]) <= 0x1p-11f * fabsf(was[i]));
        moved += w[i] != was[i];
    }
    assert_true(moved > 0);
    assert_all(graph, "sub1.fc.raw sub2.fc1 sub2.fc2 fc3", OCTET_MODE_REAL);
    const double db = db_between(plain, graph);
    print_message("float16 %.1f dB\n", db);
    assert_true(db > 60);
    octet_graph_free(graph);
    octet_graph_free(plain);
}

/* test_forward_hooks_preserved. */
static void hooks_see_every_value_once(void **unused)
{
    (void)unused;
    octet_graph *const graph = linear_network(nested);
    assert_seen_once(graph);
    assert_seen_once(dynamic(graph, "default_dynamic_qconfig", NULL, 0));
    octet_graph_free(graph);
}

/* Files of all three qconfigs compute the same bits, and their layers are dynamic again. */
static void a_file_computes_the_same(void **unused)
{
    (void)unused;
    static const char *const names[] = { "default_dynamic_qconfig", "per_channel_dynamic_qconfig",
                                         "float16_dynamic_qconfig" };
    for (int i = 0; i < 3; i++) {
        char               folder[512], path[600];
        static float       want[ROOM], got[ROOM];
        octet_graph       *loaded;
        octet_graph *const graph = dynamic(linear_network(nested), names[i], NULL, 0);
        const octet_tensor x     = input_of(graph, 10);
        random_state       r     = { 9 };
        random_fill(&r, samples, (size_t)octet_tensor_count(&x), -1, 1);
        make_folder(folder, sizeof folder);
        snprintf(path, sizeof path, "%s/d.onnx", folder);
        MUST(octet_graph_save(graph, path, &err));
        MUST(octet_graph_load(&loaded, path, &err));
        MUST(octet_fuse(loaded, &err));
        const size_t n = run_graph(graph, &x, want, ROOM, NULL);
        assert_int_equal(run_graph(loaded, &x, got, ROOM, NULL), n);
        assert_memory_equal(want, got, n * sizeof *want);
        assert_all(loaded, "sub2.fc1 sub2.fc2 fc3", i < 2 ? OCTET_MODE_DYNAMIC : OCTET_MODE_REAL);
        octet_graph_free(loaded);
        octet_graph_free(graph);
        unlink(path);
        rmdir(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_choose_layers),
        cmocka_unit_test(channels_have_scales_of_their_own),
        cmocka_unit_test(halves),
        cmocka_unit_test(hooks_see_every_value_once),
        cmocka_unit_test(a_file_computes_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
