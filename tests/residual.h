/* SPDX-License-Identifier: Apache-2.0 */
/* A small residual network, samples of its input in a file, and the way to integers. */
#ifndef OCTET_TESTS_RESIDUAL_H
#define OCTET_TESTS_RESIDUAL_H

#include "support.h"

enum { SAMPLES = 24, CHANNELS = 3, SIZE = 8, PIXELS = CHANNELS * SIZE * SIZE, CLASSES = 10, ROOM = SAMPLES * CLASSES };

static float samples[SAMPLES * PIXELS];
static char  folder[256], data_path[300];

UNUSED static octet_tensor all_samples(void)
{
    return (octet_tensor){ .dtype = OCTET_F32, .rank = 4, .dims = { SAMPLES, CHANNELS, SIZE, SIZE }, .data = samples };
}

UNUSED static int make_data(void **state)
{
    (void)state;
    random_state       r      = { 11 };
    const octet_tensor tensor = all_samples();
    random_fill(&r, samples, SAMPLES * PIXELS, -1, 2);
    make_folder(folder, sizeof folder);
    snprintf(data_path, sizeof data_path, "%s/samples.npy", folder);
    write_npy(data_path, &tensor);
    return 0;
}

UNUSED static int remove_data(void **state)
{
    (void)state;
    unlink(data_path);
    return rmdir(folder);
}

/* A BatchNormalization of 8 channels behind in. */
static void add_batch_norm(octet_graph *graph, random_state *r, const char *out, const char *in)
{
    static const char *const parts[] = { "gamma", "beta", "mean", "variance" };
    char                     names[4][32];
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "%s_%s", out, parts[i]);
        add_random(graph, r, names[i], (const int64_t[]){ 8 }, 1, i % 3 ? between(-0.3f, 0.3f) : between(0.5f, 1.5f));
    }
    add_node(graph, "BatchNormalization", out, NULL, INPUTS(in, names[0], names[1], names[2], names[3]));
}

/* conv-relu, conv + skip, relu, depthwise, flatten, gemm. bias_scale spreads the biases. */
UNUSED static octet_graph *residual_network(float bias_scale, bool batch_norm)
{
    random_state r = { 5 };
    octet_graph *graph;
    MUST(octet_graph_new(&graph, &err));
    const int64_t dims[] = { OCTET_DIM_FREE, CHANNELS, SIZE, SIZE };
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    const int64_t         ones[]      = { 1, 1, 1, 1 };
    const octet_attribute same[]      = { { .name = "pads", .ints = ones, .count = 4 }, { 0 } };
    const octet_attribute depthwise[] = { { .name = "group", .i = 8 },
                                          { .name = "strides", .ints = (const int64_t[]){ 2, 2 }, .count = 2 }, { 0 } };
    add_random(graph, &r, "w1", (const int64_t[]){ 8, CHANNELS, 3, 3 }, 4, between(-0.4f, 0.5f));
    add_random(graph, &r, "b1", (const int64_t[]){ 8 }, 1, between(-bias_scale, bias_scale));
    add_node(graph, "Conv", "conv1", same, INPUTS("x", "w1", "b1"));
    if (batch_norm) add_batch_norm(graph, &r, "norm1", "conv1");
    add_node(graph, "Relu", "relu1", NULL, INPUTS(batch_norm ? "norm1" : "conv1"));
    add_random(graph, &r, "w2", (const int64_t[]){ 8, 8, 3, 3 }, 4, between(-0.2f, 0.2f));
    add_node(graph, "Conv", "conv2", same, INPUTS("relu1", "w2"));
    if (batch_norm) add_batch_norm(graph, &r, "norm2", "conv2");
    add_node(graph, "Add", "sum", NULL, INPUTS(batch_norm ? "norm2" : "conv2", "relu1"));
    add_node(graph, "Relu", "relu2", NULL, INPUTS("sum"));
    add_random(graph, &r, "w3", (const int64_t[]){ 8, 1, 3, 3 }, 4, between(-0.5f, 0.5f));
    add_node(graph, "Conv", "conv3", depthwise, INPUTS("relu2", "w3"));
    add_node(graph, "Flatten", "flat", NULL, INPUTS("conv3"));
    add_random(graph, &r, "w4", (const int64_t[]){ 72, CLASSES }, 2, between(-0.3f, 0.3f));
    add_random(graph, &r, "b4", (const int64_t[]){ CLASSES }, 1, between(-1, 1));
    add_node(graph, "Gemm", "fc", NULL, INPUTS("flat", "w4", "b4"));
    MUST(octet_graph_set_output(graph, "fc", &err));
    return graph;
}

/* What a file of graph holds. */
UNUSED static octet_graph *saved_and_loaded(const octet_graph *graph)
{
    char         file[300];
    octet_graph *again;
    snprintf(file, sizeof file, "%s/q.onnx", folder);
    MUST(octet_graph_save(graph, file, &err));
    MUST(octet_graph_load(&again, file, &err));
    MUST(octet_fuse(again, &err));
    unlink(file);
    return again;
}

/* A float network, what was made of it, and samples for both. */
typedef struct setup {
    octet_graph   *real, *quantized;
    octet_dataset *data;
} setup;

UNUSED static void drop(setup *s)
{
    octet_dataset_free(s->data);
    octet_graph_free(s->real);
    octet_graph_free(s->quantized);
}

UNUSED static octet_graph *network(float bias_scale) { return residual_network(bias_scale, false); }

UNUSED static octet_status quantize(octet_graph *graph, const octet_qconfig *qconfig, int threads, octet_error *err)
{
    octet_dataset                *data;
    const octet_calibrate_options options = { .threads = threads };
    OCTET_TRY(octet_fuse(graph, err));
    OCTET_TRY(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = graph }, err));
    octet_status status = octet_prepare(graph, qconfig, err);
    if (status == OCTET_OK) status = octet_calibrate(graph, data, &options, err);
    if (status == OCTET_OK) status = octet_convert(graph, err);
    octet_dataset_free(data);
    return status;
}

#endif
