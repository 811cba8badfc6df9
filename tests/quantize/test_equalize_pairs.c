/* SPDX-License-Identifier: Apache-2.0 */
/* Named pairs: what PyTorch's function does wrong (constant channels, missing biases, depthwise layers) works, and
   pairs that no factor leaves unchanged are refused. PyTorch's own numbers: tests/golden/equalize.c. */
#include "quantize/equalize_case.h"

#include "graph/copy.h"

static octet_status equalize_pair(octet_graph *graph, const char *first, const char *second, octet_error *err)
{
    const octet_pair pair = { first, second };
    return octet_equalize_pairs(graph, &pair, 1, 1e-4, NULL, err);
}

static float reach(const float *w, int count)
{
    float lo = INFINITY, hi = -INFINITY;
    for (int i = 0; i < count; i++) {
        lo = fminf(lo, w[i]);
        hi = fmaxf(hi, w[i]);
    }
    return hi - lo;
}

static void a_depthwise_second_layer_and_no_biases(void **state)
{
    (void)state;
    static const char text[] = "bare a x 3 8;Relu b a;dw y b";
    octet_graph *const plain = build_text(text, NULL), *const graph = build_text(text, NULL);
    MUST(equalize_pair(graph, "a", "y", &err));
    assert_same_function(plain, graph, 100, "depthwise");
    for (int c = 0; c < 8; c++) {
        const float made = reach(weights_of(graph, "a", 1) + c * 27, 27);
        const float read = reach(weights_of(graph, "y", 1) + c * 9, 9);
        assert_true(fabsf(made / read - 1) < 1e-5f);
    }
    octet_graph_free(plain);
    octet_graph_free(graph);
}

static void constant_and_dead_channels_stay(void **state)
{
    (void)state;
    static const char text[] = "conv a x 3 8;Relu b a;conv y b";
    octet_graph *const graph = build_text(text, NULL);
    octet_graph       *plain;
    float *const       w = (float *)(uintptr_t)weights_of(graph, "a", 1);
    float *const       v = (float *)(uintptr_t)weights_of(graph, "y", 1);
    for (int i = 0; i < 27; i++) w[i] = 0.25f;           /* reaches nowhere: PyTorch divides by 0 */
    for (int i = 0; i < 27; i++) w[27 + i] = 0;
    for (int o = 0; o < 8; o++) memset(v + (o * 8 + 2) * 9, 0, 9 * sizeof *v); /* nobody reads channel 2 */
    MUST(octet_graph_copy(&plain, graph, &err));
    MUST(octet_graph_own(plain, &err));
    MUST(equalize_pair(graph, "a", "y", &err));
    assert_same_function(plain, graph, 100, "dead channels");
    assert_memory_equal(weights_of(graph, "a", 1), weights_of(plain, "a", 1), 81 * sizeof(float));
    assert_memory_not_equal(weights_of(graph, "a", 1) + 81, weights_of(plain, "a", 1) + 81, 27 * sizeof(float));
    octet_graph_free(plain);
    octet_graph_free(graph);
}

static const struct {
    const char *what, *text, *tap, *first, *second, *why;
} refusals[] = {
    { "sigmoid", "conv a x 3 8;Sigmoid b a;conv y b", NULL, "a", "y", "scales with its input" },
    { "relu6", "conv a x 3 8;relu6 b a;conv y b", NULL, "a", "y", "bound" },
    { "output between", "conv a x 3 8;Relu b a;conv y b", "b", "a", "y", "an output" },
    { "two readers", "conv a x 3 8;Relu b a;conv c b;conv d b;Add y c d", NULL, "a", "c", "other nodes" },
    { "two writers", "conv a x 3 8;conv b x 3 8;Add c a b;conv y c", NULL, "a", "y", "other nodes" },
    { "not neighbours", "conv a x 3 8;conv b a;conv y b", NULL, "a", "y", "does not read" },
    { "half of it", "conv a x 3 8;conv b x 3 8;Concat c a b;conv y c 16 8", NULL, "a", "y", "also reads" },
    { "itself", "conv a x 3 8;conv y a", NULL, "a", "a", "same node" },
    { "nobody", "conv a x 3 8;conv y a", NULL, "a", "z", "'z'" },
    { "no layer", "conv a x 3 8;Sigmoid b a;conv y b", NULL, "a", "b", "'b'" },
};

static void pairs_that_would_change_the_network_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        octet_error        error = { 0 };
        octet_graph *const graph = build_text(refusals[i].text, refusals[i].tap);
        octet_graph *const plain = build_text(refusals[i].text, refusals[i].tap);
        assert_int_equal(equalize_pair(graph, refusals[i].first, refusals[i].second, &error), OCTET_ERR_ARGUMENT);
        if (!strstr(error.text, refusals[i].why)) fail_msg("%s: %s", refusals[i].what, error.text);
        assert_memory_equal(weights_of(graph, "a", 1), weights_of(plain, "a", 1), 8 * 27 * sizeof(float));
        octet_graph_free(plain);
        octet_graph_free(graph);
    }
}

static void wrong_thresholds_and_stages_are_refused(void **state)
{
    (void)state;
    const octet_pair   pair  = { "a", "y" };
    octet_graph *const graph = build_text("conv a x 3 8;conv y a", NULL);
    assert_int_equal(octet_equalize_pairs(graph, &pair, 1, 0, NULL, NULL), OCTET_ERR_ARGUMENT);
    assert_int_equal(octet_equalize_pairs(graph, &pair, 1, (double)NAN, NULL, NULL), OCTET_ERR_ARGUMENT);
    MUST(octet_prepare(graph, NULL, &err));
    assert_int_equal(equalize_pair(graph, "a", "y", NULL), OCTET_ERR_ARGUMENT);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_depthwise_second_layer_and_no_biases),
        cmocka_unit_test(constant_and_dead_channels_stay),
        cmocka_unit_test(pairs_that_would_change_the_network_are_refused),
        cmocka_unit_test(wrong_thresholds_and_stages_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
