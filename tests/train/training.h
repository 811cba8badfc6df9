/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of training share: a small network, and pictures that it can learn to tell apart. */
#ifndef OCTET_TESTS_TRAIN_TRAINING_H
#define OCTET_TESTS_TRAIN_TRAINING_H

#include "support.h"

enum { BATCH = 8, SIDE = 6, CLASSES = 3, PIXELS = 2 * SIDE * SIDE };

/* ---- the network ---- */

static void add_norm(octet_graph *graph, random_state *r, const char *input, const char *output, int64_t channels)
{
    char names[4][32];
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "%s.%c", output, "gbmv"[i]);
        add_random(graph, r, names[i], &channels, 1, i % 3 == 0 ? between(0.5f, 1.5f) : between(-0.2f, 0.2f));
    }
    add_node(graph, "BatchNormalization", output, NULL, INPUTS(input, names[0], names[1], names[2], names[3]));
}

static void add_conv(octet_graph *graph, random_state *r, const char *input, const char *output, const int64_t *dims)
{
    char                  weight[32];
    const int64_t         pads[] = { 1, 1, 1, 1 };
    const octet_attribute attributes[] = { { .name = "pads", .ints = pads, .count = 4 }, { 0 } };
    snprintf(weight, sizeof weight, "%s.w", output);
    add_random(graph, r, weight, dims, 4, between(-0.3f, 0.3f));
    add_node(graph, "Conv", output, attributes, INPUTS(input, weight));
}

typedef struct shape_of_net {
    bool        norm, softmax, prepare;
    const char *qconfig; /* where prepared; NULL: the default */
    uint64_t    seed;
} shape_of_net;

UNUSED static octet_graph *make(const shape_of_net *how)
{
    octet_graph *graph;
    random_state r = { how->seed };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, 2, SIDE, SIDE }, 4, &err));
    add_conv(graph, &r, "x", "conv1", (const int64_t[]){ 4, 2, 3, 3 });
    if (how->norm) add_norm(graph, &r, "conv1", "bn1", 4);
    add_node(graph, "Relu", "relu1", NULL, INPUTS(how->norm ? "bn1" : "conv1"));
    add_conv(graph, &r, "relu1", "conv2", (const int64_t[]){ 6, 4, 3, 3 });
    if (how->norm) add_norm(graph, &r, "conv2", "bn2", 6);
    add_node(graph, "Relu", "relu2", NULL, INPUTS(how->norm ? "bn2" : "conv2"));
    add_node(graph, "GlobalAveragePool", "pool", NULL, INPUTS("relu2"));
    add_node(graph, "Flatten", "flat", NULL, INPUTS("pool"));
    add_random(graph, &r, "fc.w", (const int64_t[]){ 6, CLASSES }, 2, between(-0.5f, 0.5f));
    add_random(graph, &r, "fc.b", (const int64_t[]){ CLASSES }, 1, between(-0.1f, 0.1f));
    add_node(graph, "Gemm", "fc", NULL, INPUTS("flat", "fc.w", "fc.b"));
    if (how->softmax) add_node(graph, "Softmax", "p", NULL, INPUTS("fc"));
    MUST(octet_graph_set_output(graph, how->softmax ? "p" : "fc", &err));
    MUST(octet_graph_verify(graph, &err));
    MUST(octet_fuse(graph, &err));
    if (how->prepare) MUST(octet_prepare_qat(graph, octet_qconfig_find(how->qconfig), NULL, NULL, &err));
    return graph;
}

/* ---- the data: stripes, columns, or dots ---- */

typedef struct data {
    float             x[BATCH * PIXELS];
    int64_t           labels[BATCH];
    octet_tensor      input;
    octet_train_batch batch;
} data;

/* count samples: PIXELS numbers and a label each. */
UNUSED static void draw_samples(float *x, int64_t *labels, size_t count, uint64_t seed)
{
    random_state r = { seed * 1000 + 7 };
    for (size_t i = 0; i < count; i++) {
        labels[i] = random_int(&r, 0, CLASSES - 1);
        for (size_t p = 0; p < PIXELS; p++) {
            const size_t row = p / SIDE % SIDE, column = p % SIDE;
            const size_t bright = labels[i] == 0 ? row : labels[i] == 1 ? column : row + column;
            x[i * PIXELS + p]   = (float)(bright % 2) + random_float(&r, -0.2f, 0.2f);
        }
    }
}

UNUSED static void draw(data *d, uint64_t step)
{
    draw_samples(d->x, d->labels, BATCH, step);
    d->input = (octet_tensor){ .dtype = OCTET_F32, .rank = 4, .dims = { BATCH, 2, SIDE, SIDE }, .data = d->x };
    d->batch = (octet_train_batch){ .inputs = &d->input, .labels = d->labels };
}

UNUSED static void same_files(const char *a, const char *b)
{
    octet_file x, y;
    MUST(octet_file_read(&x, a, 0, &err));
    MUST(octet_file_read(&y, b, 0, &err));
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    octet_file_close(&x);
    octet_file_close(&y);
}

#endif
