/* SPDX-License-Identifier: Apache-2.0 */
/* Bias correction from batch norms: what they say of a layer's input against what a calibration on samples of that very
   distribution sees. */
#include "support.h"

#include <octet/improve.h>

#include "graph/graph.h"

enum { SAMPLES = 48, CHANNELS = 4, SIDE = 16, PIXELS = CHANNELS * SIDE * SIDE };

static float samples[SAMPLES * PIXELS];
static char  folder[256], path[300];

/* Standard normal numbers (Box and Muller). */
static int make_data(void **state)
{
    (void)state;
    random_state r = { 3 };
    for (int i = 0; i < SAMPLES * PIXELS; i++) {
        const double u = 1 - (double)random_float(&r, 0, 1), v = (double)random_float(&r, 0, 1);
        samples[i]     = (float)(sqrt(-2 * log(u)) * cos(2 * M_PI * v));
    }
    make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/normal.npy", folder);
    write_npy(path, &(octet_tensor){ .dtype = OCTET_F32, .rank = 4, .dims = { SAMPLES, CHANNELS, SIDE, SIDE },
                                     .data = samples });
    return 0;
}

static int remove_data(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void add_values(octet_graph *graph, const char *name, float *values, const int64_t *dims, int rank)
{
    octet_tensor tensor = { .dtype = OCTET_F32, .rank = rank, .data = values };
    if (rank) memcpy(tensor.dims, dims, (size_t)rank * sizeof *dims);
    MUST(octet_graph_add_constant(graph, name, &tensor, &err));
}

/* Two channels of x from first on, as they are, and a batch norm whose statistics are those of x. */
static void add_branch(octet_graph *graph, const char *name, int first, float *gamma, float *beta)
{
    float         pick[2 * CHANNELS] = { 0 }, zeros[2] = { 0, 0 }, ones[2] = { 1, 1 };
    char          parts[6][24];
    static const char *const suffixes[] = { "w", "gamma", "beta", "mean", "variance", "conv" };
    const int64_t two[]              = { 2 };
    for (int i = 0; i < 6; i++) snprintf(parts[i], sizeof parts[i], "%s.%s", name, suffixes[i]);
    pick[first] = pick[CHANNELS + first + 1] = 1;
    add_values(graph, parts[0], pick, (const int64_t[]){ 2, CHANNELS, 1, 1 }, 4);
    add_values(graph, parts[1], gamma, two, 1);
    add_values(graph, parts[2], beta, two, 1);
    add_values(graph, parts[3], zeros, two, 1);
    add_values(graph, parts[4], ones, two, 1);
    add_node(graph, "Conv", parts[5], NULL, INPUTS("x", parts[0]));
    add_node(graph, "BatchNormalization", name, (const octet_attribute[]){ { .name = "epsilon", .f = 1e-9f }, { 0 } },
             INPUTS(parts[5], parts[1], parts[2], parts[3], parts[4]));
}

/* Two branches, one clamped to 0..1 and the other to 0..infinity, summed into what the layers under test read: "conv"
   directly, "fc" behind pooling and Flatten. */
static octet_graph *network(void)
{
    random_state r = { 41 };
    octet_graph *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, CHANNELS, SIDE, SIDE }, 4,
                               &err));
    add_branch(graph, "left", 0, (float[]){ 0.8f, -1.5f }, (float[]){ 0.3f, -0.4f });
    add_branch(graph, "right", 2, (float[]){ 0.4f, 1 }, (float[]){ -0.2f, 1.1f });
    add_values(graph, "low", (float[]){ 0 }, NULL, 0);
    add_values(graph, "high", (float[]){ 1 }, NULL, 0);
    add_node(graph, "Clip", "clip", NULL, INPUTS("left", "low", "high"));
    add_node(graph, "Relu", "relu", NULL, INPUTS("right"));
    add_node(graph, "Add", "sum", NULL, INPUTS("clip", "relu"));
    add_random(graph, &r, "conv.w", (const int64_t[]){ 3, 2, 3, 3 }, 4, between(-1, 1));
    add_node(graph, "Conv", "conv", NULL, INPUTS("sum", "conv.w"));
    add_node(graph, "GlobalAveragePool", "pool", NULL, INPUTS("sum"));
    add_node(graph, "Flatten", "flat", NULL, INPUTS("pool"));
    add_random(graph, &r, "fc.w", (const int64_t[]){ 2, 3 }, 2, between(-1, 1));
    add_node(graph, "Gemm", "fc", NULL, INPUTS("flat", "fc.w"));
    MUST(octet_graph_set_output(graph, "conv", &err));
    MUST(octet_graph_set_output(graph, "fc", &err));
    return graph;
}

/* Few bits for weights, so that there is something to take back. */
static octet_graph *corrected(octet_bias_correction how)
{
    octet_graph   *graph = network();
    octet_dataset *data;
    octet_qconfig  qconfig = *octet_qconfig_find("octet");
    MUST(octet_qconfig_bits(&qconfig, "s4", NULL, &err));
    qconfig.activation.method = OCTET_METHOD_MINMAX;
    MUST(octet_fuse(graph, &err));
    MUST(octet_dataset_open(&data, path, &(octet_dataset_options){ .graph = graph }, &err));
    MUST(octet_prepare(graph, &qconfig, &err));
    MUST(octet_calibrate(graph, data, NULL, &err));
    octet_dataset_free(data);
    MUST(octet_correct_biases(graph, how, NULL, NULL, &err));
    return graph;
}

/* 12288 positions a channel: a mean of deviation 1 is known to 0.009, what 9 taps of errors up to 0.07 make of it to
   0.003; a bias of fc adds two. */
static void batch_norms_say_what_samples_say(void **state)
{
    (void)state;
    static const struct { const char *name; int channels; } layers[] = { { "conv", 3 }, { "fc", 3 } };
    octet_graph *const analytic = corrected(OCTET_BIAS_ANALYTIC), *const sampled = corrected(OCTET_BIAS_MEAN);
    for (size_t i = 0; i < 2; i++) {
        const float *const a = octet_graph_find_node(analytic, layers[i].name)->inputs[2]->constant->data;
        const float *const b = octet_graph_find_node(sampled, layers[i].name)->inputs[2]->constant->data;
        double             most = 0;
        for (int c = 0; c < layers[i].channels; c++) {
            print_message("%s %d: analytic %.4f, sampled %.4f\n", layers[i].name, c, (double)a[c], (double)b[c]);
            assert_true(fabs((double)a[c] - (double)b[c]) < 0.004);
            most = fmax(most, fabs((double)a[c]));
        }
        assert_true(most > 0.02);
    }
    octet_graph_free(analytic);
    octet_graph_free(sampled);
}

/* The first layers read the input, of which no batch norm speaks: calibration's means serve, and it is said so. */
static void what_is_not_known_is_said(void **state)
{
    (void)state;
    octet_graph *const graph = corrected(OCTET_BIAS_ANALYTIC);
    int                said  = 0;
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++)
        said += !strcmp(octet_graph_decision(graph, i).what, "bias by calibration");
    assert_int_equal(said, 2);
    MUST(octet_correct_biases(graph, OCTET_BIAS_ANALYTIC, NULL, NULL, &err)); /* a second time changes nothing */
    const octet_decision last = octet_graph_decision(graph, octet_graph_decision_count(graph) - 1);
    assert_string_equal(last.what, "biases left");
    MUST(octet_convert(graph, &err));
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(batch_norms_say_what_samples_say),
                                        cmocka_unit_test(what_is_not_known_is_said) };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
