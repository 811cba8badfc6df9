/* SPDX-License-Identifier: Apache-2.0 */
/* A network in which one layer is ruinous on levels: fc1's results span three decades, the widest channel counts least
   for fc2. Steps wide enough for the one swallow the others, and only fc2 reads them: fc2 alone in float mends it. */
#ifndef OCTET_TESTS_RUINOUS_H
#define OCTET_TESTS_RUINOUS_H

#include "support.h"

enum { WIDTH = 16, CLASSES = 6, SAMPLES = 48 };

/* random weights of rows x columns as Gemm with transB wants them; row 0 (or column 0) times scale. */
UNUSED static void add_scaled(octet_graph *graph, const char *name, int64_t rows, float row_scale, float column_scale)
{
    random_state r = { (uint64_t)rows + (uint64_t)name[1] };
    float        data[WIDTH * WIDTH];
    octet_tensor tensor = { .dtype = OCTET_F32, .rank = 2, .dims = { rows, WIDTH }, .data = data };
    random_fill(&r, data, (size_t)(rows * WIDTH), -1, 1);
    for (int64_t i = 0; i < WIDTH; i++) data[i] *= row_scale;
    for (int64_t i = 0; i < rows; i++) data[i * WIDTH] *= column_scale;
    MUST(octet_graph_add_constant(graph, name, &tensor, &err));
}

UNUSED static octet_graph *ruinous_network(float scale)
{
    octet_graph          *graph;
    const octet_attribute transposed[] = { { .name = "transB", .i = 1 }, { 0 } };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, WIDTH }, 2, &err));
    add_scaled(graph, "w1", WIDTH, scale, 1);
    add_scaled(graph, "w2", WIDTH, 1, 1 / scale);
    add_scaled(graph, "w3", WIDTH, 1, 1);
    add_scaled(graph, "w4", CLASSES, 1, 1);
    add_node(graph, "Gemm", "fc1", transposed, INPUTS("x", "w1"));
    add_node(graph, "Relu", "r1", NULL, INPUTS("fc1"));
    add_node(graph, "Gemm", "fc2", transposed, INPUTS("r1", "w2"));
    add_node(graph, "Relu", "r2", NULL, INPUTS("fc2"));
    add_node(graph, "Gemm", "fc3", transposed, INPUTS("r2", "w3"));
    add_node(graph, "Relu", "r3", NULL, INPUTS("fc3"));
    add_node(graph, "Gemm", "fc4", transposed, INPUTS("r3", "w4"));
    MUST(octet_graph_set_output(graph, "fc4", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

/* Samples by seed, read back as a data set of their own. */
UNUSED static octet_dataset *ruinous_data(const char *folder, const char *name, uint64_t seed, const octet_graph *graph)
{
    static float       values[SAMPLES * WIDTH];
    random_state       r      = { seed };
    const octet_tensor tensor = { .dtype = OCTET_F32, .rank = 2, .dims = { SAMPLES, WIDTH }, .data = values };
    octet_dataset     *data;
    char               path[400];
    random_fill(&r, values, SAMPLES * WIDTH, -1, 1);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_npy(path, &tensor);
    MUST(octet_dataset_open(&data, path, &(octet_dataset_options){ .graph = graph }, &err));
    return data;
}

#endif
