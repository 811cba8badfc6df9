/* SPDX-License-Identifier: Apache-2.0 */
/* A small network for the engine's tests that has everything an image classifier has, and sessions to run it. */
#ifndef OCTET_TESTS_ENGINE_NETWORK_H
#define OCTET_TESTS_ENGINE_NETWORK_H

#include "../support.h"

/* A convolution with square kernel and bias; kernel / 2 pixels of padding. */
UNUSED static void add_conv(octet_graph *graph, random_state *r, const char *output, const char *input,
                            const int64_t shape[5])
{
    const int64_t in = shape[0], out = shape[1], kernel = shape[2], stride = shape[3], group = shape[4];
    const int64_t dims[] = { out, in / group, kernel, kernel };
    const int64_t pads[] = { kernel / 2, kernel / 2, kernel / 2, kernel / 2 }, strides[] = { stride, stride };
    const octet_attribute attributes[] = { { .name = "pads", .ints = pads, .count = 4 },
                                           { .name = "strides", .ints = strides, .count = 2 },
                                           { .name = "group", .i = group },
                                           { 0 } };
    char                  weights[64], bias[64];
    const float           reach = 2.0f / sqrtf((float)(in / group * kernel * kernel));
    snprintf(weights, sizeof weights, "%s.weights", output);
    snprintf(bias, sizeof bias, "%s.bias", output);
    add_random(graph, r, weights, dims, 4, between(-reach, reach));
    add_random(graph, r, bias, &out, 1, between(-0.2f, 0.2f));
    add_node(graph, "Conv", output, attributes, INPUTS(input, weights, bias));
}

#define CONV(in, out, kernel, stride, group) ((const int64_t[]){ in, out, kernel, stride, group })

/* A first layer; depthwise, grouped and wide convolutions; channels that fill no block; a residual. */
UNUSED static void add_body(octet_graph *graph, random_state *r)
{
    add_conv(graph, r, "stem", "image", CONV(3, 24, 3, 2, 1));
    add_node(graph, "Relu", "stem_r", NULL, INPUTS("stem"));
    add_conv(graph, r, "wide", "stem_r", CONV(24, 48, 1, 1, 1));
    add_node(graph, "HardSwish", "wide_h", NULL, INPUTS("wide"));
    add_conv(graph, r, "deep", "wide_h", CONV(48, 48, 3, 1, 48));
    add_node(graph, "Sigmoid", "deep_s", NULL, INPUTS("deep"));
    add_conv(graph, r, "back", "deep_s", CONV(48, 24, 1, 1, 1));
    add_node(graph, "Add", "sum", NULL, INPUTS("back", "stem_r"));
    add_conv(graph, r, "left", "sum", CONV(24, 32, 3, 1, 2));
    add_conv(graph, r, "right", "sum", CONV(24, 16, 5, 1, 1));
}

/* Concatenation of whole blocks and of others, three kinds of pooling, a classifier. */
UNUSED static void add_heads(octet_graph *graph, random_state *r)
{
    const int64_t         two[] = { 2, 2 }, three[] = { 3, 3 }, pads[] = { 1, 1, 1, 1 }, ten[] = { 48, 10 };
    const octet_attribute axis[] = { { .name = "axis", .i = 1 }, { 0 } };
    const octet_attribute max[]  = { { .name = "kernel_shape", .ints = two, .count = 2 },
                                     { .name = "strides", .ints = two, .count = 2 },
                                     { .name = "ceil_mode", .i = 1 },
                                     { 0 } };
    const octet_attribute mean[] = { { .name = "kernel_shape", .ints = three, .count = 2 },
                                     { .name = "pads", .ints = pads, .count = 4 },
                                     { 0 } };
    add_node(graph, "Concat", "both", axis, INPUTS("left", "right"));
    add_node(graph, "Concat", "odd", axis, INPUTS("sum", "both"));
    add_node(graph, "MaxPool", "max", max, INPUTS("both"));
    add_node(graph, "AveragePool", "mean", mean, INPUTS("max"));
    add_node(graph, "GlobalAveragePool", "pool", NULL, INPUTS("mean"));
    add_node(graph, "Flatten", "flat", NULL, INPUTS("pool"));
    add_random(graph, r, "scores.weights", ten, 2, between(-0.4f, 0.4f));
    add_random(graph, r, "scores.bias", ten + 1, 1, between(-0.1f, 0.1f));
    add_node(graph, "Gemm", "scores", NULL, INPUTS("flat", "scores.weights", "scores.bias"));
    add_conv(graph, r, "map", "odd", CONV(72, 5, 1, 1, 1));
}

/* Input "image" [N, 3, 19, 17], outputs "map" [N, 5, 10, 9] and "scores" [N, 10]. The caller frees it. */
UNUSED static octet_graph *new_classifier(uint64_t seed)
{
    const int64_t dims[] = { OCTET_DIM_FREE, 3, 19, 17 };
    random_state  r      = { seed };
    octet_graph  *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "image", OCTET_F32, dims, 4, &err));
    add_body(graph, &r);
    add_heads(graph, &r);
    MUST(octet_graph_set_output(graph, "map", &err));
    MUST(octet_graph_set_output(graph, "scores", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

enum { IMAGE = 3 * 19 * 17, MAP = 5 * 10 * 9, SCORES = 10, MOST_BATCH = 4 };

/* A seeded batch of images. */
typedef struct image_batch {
    float        data[MOST_BATCH * IMAGE];
    octet_tensor tensor;
} image_batch;

UNUSED static void fill_images(image_batch *images, int64_t batch, uint64_t seed)
{
    random_state r = { seed };
    random_fill(&r, images->data, (size_t)(batch * IMAGE), -1, 1);
    images->tensor = (octet_tensor){.dtype = OCTET_F32, .rank = 4, .dims = {batch, 3, 19, 17}, .data = images->data};
}

/* ---- sessions ---- */

enum { MOST_OUTPUTS = 4 };

typedef struct session {
    octet_plan      *plan;
    octet_workspace *workspace;
    octet_tensor     outputs[MOST_OUTPUTS];
} session;

UNUSED static void session_begin(session *s, const octet_graph *graph, const octet_plan_options *options)
{
    assert_in_range(octet_graph_output_count(graph), 1, MOST_OUTPUTS);
    MUST(octet_plan_create(&s->plan, graph, options, &err));
    MUST(octet_workspace_create(&s->workspace, s->plan, &err));
}

UNUSED static void session_run(session *s, const octet_tensor *input)
{
    MUST(octet_run(s->workspace, input, s->outputs, &err));
}

UNUSED static void session_end(session *s)
{
    octet_workspace_free(s->workspace);
    octet_plan_free(s->plan);
}

/* Largest |a - b| over the largest |a|. */
UNUSED static double distance(const octet_tensor *a, const octet_tensor *b)
{
    double most = 0, scale = 1e-30;
    assert_int_equal(octet_tensor_count(a), octet_tensor_count(b));
    for (int64_t i = 0; i < octet_tensor_count(a); i++) {
        const double x = ((const float *)a->data)[i], y = ((const float *)b->data)[i];
        if (!(fabs(x - y) <= most)) most = fabs(x - y);
        if (fabs(x) > scale) scale = fabs(x);
    }
    return most / scale;
}

UNUSED static void assert_same_bytes(const octet_tensor *a, const octet_tensor *b)
{
    assert_int_equal(octet_tensor_bytes(a), octet_tensor_bytes(b));
    assert_memory_equal(a->data, b->data, (size_t)octet_tensor_bytes(a));
}

#endif
