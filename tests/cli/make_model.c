/* SPDX-License-Identifier: Apache-2.0 */
/* make_model FOLDER: writes net.onnx (Conv, Relu, GlobalAveragePool, Flatten, Gemm; 4 classes), norm.onnx (the same
   with BatchNormalization after Conv), renamed.onnx and other.onnx (net with another name or operator in the middle),
   free.onnx (net for images of any size), two.onnx (net whose features f are multiplied by a second input m, and are
   its second output),
   calib.npy (16 samples), labels.txt and names.txt, so that the command line can be tested without any other file. */
#include <octet/octet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 16, CHANNELS = 3, SIDE = 8, FILTERS = 8, CLASSES = 4 };

static float next_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)((double)(*state >> 8) / (double)(1 << 23) - 1.0);
}

static octet_status constant(octet_graph *graph, const char *name, const int64_t *dims, int rank, octet_error *err)
{
    static uint32_t state = 7;
    static float    values[4096];
    octet_tensor    tensor = { .dtype = OCTET_F32, .rank = rank, .data = values };
    memcpy(tensor.dims, dims, (size_t)rank * sizeof *dims);
    for (int64_t i = 0; i < octet_tensor_count(&tensor); i++) values[i] = 0.5f * next_number(&state);
    return octet_graph_add_constant(graph, name, &tensor, err);
}

static octet_status add_norm(octet_graph *graph, octet_error *err)
{
    static const char *const inputs[] = { "c", "gamma", "beta", "mean", "var" };
    float                    ones[FILTERS];
    const octet_node_spec    node = { "BatchNormalization", "norm", inputs, 5, (const char *const[]){ "n" }, 1, NULL };
    for (int i = 0; i < FILTERS; i++) ones[i] = 1;
    const octet_tensor variance = { .dtype = OCTET_F32, .rank = 1, .dims = { FILTERS }, .data = ones };
    for (int i = 1; i < 4; i++) OCTET_TRY(constant(graph, inputs[i], (const int64_t[]){ FILTERS }, 1, err));
    OCTET_TRY(octet_graph_add_constant(graph, inputs[4], &variance, err));
    return octet_graph_add(graph, &node, err);
}

typedef enum kind { NET, NORM, RENAMED, OTHER, FREE, TWO, KINDS } kind;

static octet_status make(octet_graph **graph, const char *path, kind which, octet_error *err)
{
    const bool        norm = which == NORM;
    const char *const pool = which == RENAMED ? "elsewhere" : "p";
    const octet_node_spec nodes[] = {
        { "Conv", "conv", (const char *const[]){ "x", "w", "b" }, 3, (const char *const[]){ "c" }, 1, NULL },
        { "Relu", "relu", (const char *const[]){ norm ? "n" : "c" }, 1, (const char *const[]){ "r" }, 1, NULL },
        { which == OTHER ? "GlobalMaxPool" : "GlobalAveragePool", "pool", (const char *const[]){ "r" }, 1,
          (const char *const[]){ pool }, 1, NULL },
        { "Flatten", "flat", (const char *const[]){ pool }, 1, (const char *const[]){ "f" }, 1, NULL },
        { "Gemm", "fc", (const char *const[]){ which == TWO ? "g" : "f", "v", "d" }, 3, (const char *const[]){ "y" }, 1,
          NULL },
    };
    const octet_node_spec times = { "Mul", "times", (const char *const[]){ "f", "m" }, 2,
                                    (const char *const[]){ "g" }, 1, NULL };
    const int64_t         side  = which == FREE ? OCTET_DIM_FREE : SIDE;
    OCTET_TRY(octet_graph_new(graph, err));
    OCTET_TRY(octet_graph_add_input(*graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, CHANNELS, side, side },
                                    4, err));
    if (which == TWO)
        OCTET_TRY(octet_graph_add_input(*graph, "m", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, FILTERS }, 2, err));
    OCTET_TRY(constant(*graph, "w", (const int64_t[]){ FILTERS, CHANNELS, 3, 3 }, 4, err));
    OCTET_TRY(constant(*graph, "b", (const int64_t[]){ FILTERS }, 1, err));
    OCTET_TRY(constant(*graph, "v", (const int64_t[]){ FILTERS, CLASSES }, 2, err));
    OCTET_TRY(constant(*graph, "d", (const int64_t[]){ CLASSES }, 1, err));
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        if (norm && i == 1) OCTET_TRY(add_norm(*graph, err));
        if (which == TWO && i == 4) OCTET_TRY(octet_graph_add(*graph, &times, err));
        OCTET_TRY(octet_graph_add(*graph, &nodes[i], err));
    }
    OCTET_TRY(octet_graph_set_output(*graph, "y", err));
    if (which == TWO) OCTET_TRY(octet_graph_set_output(*graph, "f", err));
    OCTET_TRY(octet_graph_verify(*graph, err));
    return octet_graph_save(*graph, path, err);
}

static int write_data(const char *folder)
{
    char     path[4096], header[128] = "\x93NUMPY\1\0\x76";
    uint32_t state = 1;
    snprintf(path, sizeof path, "%s/calib.npy", folder);
    FILE *const npy = fopen(path, "wb");
    snprintf(path, sizeof path, "%s/labels.txt", folder);
    FILE *const labels = fopen(path, "w");
    snprintf(path, sizeof path, "%s/names.txt", folder);
    FILE *const names = fopen(path, "w");
    if (!npy || !labels || !names) return 1;
    memset(header + 10, ' ', sizeof header - 10);
    const int n = snprintf(header + 10, sizeof header - 10,
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (16, 3, 8, 8), }");
    header[10 + n]            = ' ';
    header[sizeof header - 1] = '\n';
    fwrite(header, 1, sizeof header, npy);
    for (int i = 0; i < SAMPLES * CHANNELS * SIDE * SIDE; i++) {
        const float value = next_number(&state);
        fwrite(&value, sizeof value, 1, npy);
    }
    for (int i = 0; i < SAMPLES; i++) fprintf(labels, "%d\n", i % CLASSES);
    fprintf(names, "zero\none\ntwo\nthree\n");
    return fclose(npy) || fclose(labels) || fclose(names);
}

int main(int argc, char **argv)
{
    static const char *const names[] = { "net", "norm", "renamed", "other", "free", "two" };
    if (argc != 2) return 2;
    for (int i = 0; i < KINDS; i++) {
        char         path[4096];
        octet_error  err   = { 0 };
        octet_graph *graph = NULL;
        snprintf(path, sizeof path, "%s/%s.onnx", argv[1], names[i]);
        const octet_status status = make(&graph, path, (kind)i, &err);
        octet_graph_free(graph);
        if (status == OCTET_OK) continue;
        fprintf(stderr, "make_model: %s\n", err.text);
        return 1;
    }
    return write_data(argv[1]);
}
