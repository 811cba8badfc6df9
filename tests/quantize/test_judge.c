/* SPDX-License-Identifier: Apache-2.0 */
/* What a judgement measures, against sums made here, and which of two networks it prefers. */
#include "residual.h"

#include "quantize/judge.h"

static octet_judgement judgement(double *noise, double *signal, size_t count, double squashed)
{
    return (octet_judgement){ noise, signal, count, squashed };
}

static void gains_are_the_mean_of_two_views(void **state)
{
    (void)state;
    double signal[] = { 100, 100 }, before[] = { 10, 1 }, worst[] = { 1, 1 }, typical[] = { 10, 0.1 };
    const octet_judgement a = judgement(before, signal, 2, 0), b = judgement(worst, signal, 2, 0),
                          c = judgement(typical, signal, 2, 0);
    assert_true(fabs(octet_judgement_db(&a) - 10 * log10(200.0 / 11)) < 1e-12);
    /* one sample 10 dB better, the other as it was: 5 dB in the mean over samples, both ways */
    assert_true(fabs(octet_judgement_gain(&a, &b) - (10 * log10(11.0 / 2) + 5) / 2) < 1e-12);
    assert_true(fabs(octet_judgement_gain(&a, &c) - (10 * log10(11.0 / 10.1) + 5) / 2) < 1e-12);
    assert_true(octet_judgement_gain(&a, &a) == 0);
    assert_true(octet_judgement_gain(&b, &a) < 0);
}

static void what_comes_out_behind_a_softmax_may_forbid(void **state)
{
    (void)state;
    double signal[] = { 100 }, before[] = { 10 }, after[] = { 1 };
    const octet_judgement a = judgement(before, signal, 1, 1), same = judgement(after, signal, 1, 1.04),
                          worse = judgement(after, signal, 1, 2);
    assert_true(fabs(octet_judgement_gain(&a, &same) - 10) < 1e-12); /* 0.17 dB behind it are none */
    assert_true(fabs(octet_judgement_gain(&a, &worse) + 10 * log10(2.0)) < 1e-12);
}

static void exact_networks_gain_nothing(void **state)
{
    (void)state;
    double signal[] = { 1 }, none[] = { 0 }, some[] = { 1e-3 };
    const octet_judgement exact = judgement(none, signal, 1, 0), other = judgement(some, signal, 1, 0);
    assert_true(octet_judgement_gain(&exact, &exact) == 0);
    assert_true(octet_judgement_gain(&exact, &other) == -INFINITY);
    assert_true(octet_judgement_gain(&other, &exact) == INFINITY);
    assert_true(octet_judgement_db(&exact) == INFINITY);
}

/* The residual network with a Softmax behind it. */
static octet_graph *squashed_network(void)
{
    random_state r = { 3 };
    octet_graph *graph;
    MUST(octet_graph_new(&graph, &err));
    const int64_t dims[] = { OCTET_DIM_FREE, CHANNELS, SIZE, SIZE };
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    add_random(graph, &r, "w", (const int64_t[]){ 4, CHANNELS, 3, 3 }, 4, between(-0.4f, 0.5f));
    add_node(graph, "Conv", "conv", NULL, INPUTS("x", "w"));
    add_node(graph, "GlobalAveragePool", "pool", NULL, INPUTS("conv"));
    add_node(graph, "Flatten", "flat", NULL, INPUTS("pool"));
    add_node(graph, "Softmax", "softmax", NULL, INPUTS("flat"));
    MUST(octet_graph_set_output(graph, "softmax", &err));
    return graph;
}

/* Outputs of graph for every sample. */
static void outputs_of(const octet_graph *graph, float *out)
{
    const octet_tensor x = all_samples();
    run_graph(graph, &x, out, ROOM, NULL);
}

static void noise_is_summed_sample_by_sample(void **state)
{
    (void)state;
    static float   expected[ROOM], got[ROOM];
    octet_graph   *real = squashed_network(), *quantized;
    octet_dataset *data;
    octet_judge    judge;
    octet_judgement j, same;
    MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = real }, &err));
    MUST(octet_quantize(&quantized, real, data, NULL, NULL, &err));
    MUST(octet_judge_open(&judge, real, data, NULL, &err));
    MUST(octet_judge_measure(&j, &judge, quantized, &err));
    MUST(octet_judge_measure(&same, &judge, real, &err));
    outputs_of(real, expected);
    outputs_of(quantized, got);
    double behind = 0;
    for (size_t i = 0; i < SAMPLES * 4; i++) behind += ((double)expected[i] - got[i]) * ((double)expected[i] - got[i]);
    assert_int_equal(j.samples, SAMPLES);
    assert_true(behind > 0 && fabs(j.squashed - behind) < 1e-6 * behind);
    assert_true(octet_judgement_db(&j) > 20 && octet_judgement_db(&j) < 80); /* of what Softmax is fed */
    assert_true(octet_judgement_db(&same) == INFINITY && same.squashed == 0);
    for (size_t i = 0; i < SAMPLES; i++) assert_true(j.noise[i] > 0 && j.signal[i] > j.noise[i]);
    octet_judge_free(&judge);
    octet_graph_free(quantized);
    octet_dataset_free(data);
    octet_graph_free(real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gains_are_the_mean_of_two_views),
        cmocka_unit_test(what_comes_out_behind_a_softmax_may_forbid),
        cmocka_unit_test(exact_networks_gain_nothing),
        cmocka_unit_test(noise_is_summed_sample_by_sample),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
