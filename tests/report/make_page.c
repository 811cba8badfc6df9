/* SPDX-License-Identifier: Apache-2.0 */
/* make_page FOLDER: beside cli_make_model's files, writes hostile.onnx, whose names try what names can do to a page,
   and full.html, a page of it with every field of a comparison filled. */
#include <octet/octet.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#define RIGHT_TO_LEFT "\xe2\x80\xae"
#define LINE_SEPARATOR "\xe2\x80\xa8"
#define NAME_SCRIPT "<script>window.hit = 'script'</script>"
#define NAME_QUOTES "\"'><img src=x onerror=\"window.hit = 'image'\">`${window.hit = 'template'}"
#define NAME_CLOSE  "</script ><script>window.hit = 'close'</script><!--" LINE_SEPARATOR "<script x"
#define NAME_MARKS  "fc\n\x1b[31m\t" RIGHT_TO_LEFT "gnp.exe\x7f \xc3\xa9 \xf0\x9f\x90\x99 $(id) \\u003c &lt;"

enum { FILTERS = 8, CLASSES = 4 };

static octet_status constant(octet_graph *graph, const char *name, const int64_t *dims, int rank, octet_error *err)
{
    static uint32_t state = 11;
    static float    values[4096];
    octet_tensor    tensor = { .dtype = OCTET_F32, .rank = rank, .data = values };
    memcpy(tensor.dims, dims, (size_t)rank * sizeof *dims);
    for (int64_t i = 0; i < octet_tensor_count(&tensor); i++) {
        state     = state * 1664525u + 1013904223u;
        values[i] = 0.5f * (float)((double)(state >> 8) / (double)(1 << 23) - 1.0);
    }
    if (rank == 4) memset(values, 0, 27 * sizeof *values); /* the first channel is dead */
    return octet_graph_add_constant(graph, name, &tensor, err);
}

static octet_status make_network(octet_graph **graph, const char *path, octet_error *err)
{
    const octet_node_spec nodes[] = {
        { "Conv", NAME_SCRIPT, (const char *const[]){ "<!--<script>", "w" }, 2, (const char *const[]){ "</style>" }, 1,
          NULL },
        { "Relu", "a'b\"c", (const char *const[]){ "</style>" }, 1, (const char *const[]){ "r" }, 1, NULL },
        { "GlobalAveragePool", NAME_QUOTES, (const char *const[]){ "r" }, 1, (const char *const[]){ "p" }, 1, NULL },
        { "Flatten", NAME_CLOSE, (const char *const[]){ "p" }, 1, (const char *const[]){ "f" }, 1, NULL },
        { "Gemm", NAME_MARKS, (const char *const[]){ "f", "v", "d" }, 3, (const char *const[]){ "y" }, 1, NULL },
    };
    OCTET_TRY(octet_graph_new(graph, err));
    OCTET_TRY(octet_graph_add_input(*graph, "<!--<script>", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, 3, 8, 8 }, 4,
                                    err));
    OCTET_TRY(constant(*graph, "w", (const int64_t[]){ FILTERS, 3, 3, 3 }, 4, err));
    OCTET_TRY(constant(*graph, "v", (const int64_t[]){ FILTERS, CLASSES }, 2, err));
    OCTET_TRY(constant(*graph, "d", (const int64_t[]){ CLASSES }, 1, err));
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) OCTET_TRY(octet_graph_add(*graph, &nodes[i], err));
    OCTET_TRY(octet_graph_set_output(*graph, "y", err));
    OCTET_TRY(octet_graph_verify(*graph, err));
    return octet_graph_save(*graph, path, err);
}

static octet_status write_page(const char *path, octet_graph *real, octet_graph *quantized, octet_dataset *data,
                               octet_error *err)
{
    const octet_layer_error layers[] = {
        { .name = NAME_MARKS, .op = "Gemm", .merged = "", .local_db = 30, .accumulated_db = 18.25, .cosine = 0.99,
          .max_abs = 0.5, .weights_db = 41, .output_db = 22, .gain_db = 1.5, .cause = OCTET_CAUSE_CLIPPING,
          .why = "3 % beyond <b>the range</b>", .remedy = "--layer 'fc\n<i>=minmax'", .remedy_db = 1.25 },
        { .name = NAME_SCRIPT, .op = "Conv", .merged = "a + </script>", .local_db = INFINITY,
          .accumulated_db = INFINITY, .cosine = 1, .weights_db = 50, .output_db = 40, .gain_db = 0.25,
          .cause = OCTET_CAUSE_OUTLIER_CHANNEL, .why = "", .remedy = "--per-channel", .remedy_db = 0.5 },
        { .name = NAME_QUOTES, .op = "GlobalAveragePool", .merged = "", .local_db = -2.5, .accumulated_db = 9,
          .cosine = -NAN, .max_abs = INFINITY, .weights_db = NAN, .output_db = NAN, .gain_db = NAN, .why = "",
          .remedy = "", .remedy_db = NAN },
        { .name = "not in the network \xff\xc3(", .op = "\xed\xa0\x80", .merged = "", .local_db = NAN,
          .accumulated_db = NAN, .cosine = NAN, .max_abs = NAN, .weights_db = NAN, .output_db = NAN,
          .gain_db = -3, .cause = OCTET_CAUSE_FLOAT, .why = "", .remedy = "", .remedy_db = NAN },
    };
    const octet_comparison     comparison = { .output_sqnr_db = 17.5, .output_cosine = 0.998, .output_max_abs = 0.25,
                                              .samples = octet_dataset_count(data), .layer_count = 4,
                                              .layers = layers };
    const octet_report_source  source     = { real, quantized, data, &comparison, NULL };
    const octet_report_options options    = { .title = "</title>" NAME_SCRIPT, .replace = true };
    return octet_report_write(path, &source, &options, err);
}

static octet_status make_page(const char *folder, octet_error *err)
{
    char           path[4096];
    octet_graph   *real = NULL, *quantized = NULL;
    octet_dataset *data = NULL;
    snprintf(path, sizeof path, "%s/hostile.onnx", folder);
    octet_status status = make_network(&real, path, err);
    octet_graph_free(real);
    if (status == OCTET_OK) status = octet_graph_load(&real, path, err);
    if (status == OCTET_OK) status = octet_graph_load(&quantized, path, err);
    const octet_dataset_options options = { .graph = real };
    snprintf(path, sizeof path, "%s/calib.npy", folder);
    if (status == OCTET_OK) status = octet_dataset_open(&data, path, &options, err);
    if (status == OCTET_OK) status = octet_fuse(real, err);
    if (status == OCTET_OK) status = octet_fuse(quantized, err);
    if (status == OCTET_OK) status = octet_prepare(quantized, NULL, err);
    if (status == OCTET_OK) status = octet_calibrate(quantized, data, NULL, err);
    if (status == OCTET_OK) status = octet_convert(quantized, err);
    snprintf(path, sizeof path, "%s/full.html", folder);
    if (status == OCTET_OK) status = write_page(path, real, quantized, data, err);
    octet_dataset_free(data);
    octet_graph_free(quantized);
    octet_graph_free(real);
    return status;
}

int main(int argc, char **argv)
{
    octet_error err = { 0 };
    if (argc != 2) return 2;
    if (make_page(argv[1], &err) == OCTET_OK) return 0;
    fprintf(stderr, "make_page: %s: %s\n", err.node, err.text);
    return 1;
}
