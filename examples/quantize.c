/* SPDX-License-Identifier: Apache-2.0 */
/* Quantizes a float network with samples, saves it, runs it on the first sample and prints both networks' outputs.

     cc quantize.c $(pkg-config --cflags --libs octet) -o quantize
     ./quantize net.onnx samples.npy net.int8.onnx */
#include <octet/octet.h>

#include <stdio.h>
#include <stdlib.h>

/* The first output of graph for one input of float32; printed, at most eight numbers of it. */
static octet_status show(const octet_graph *graph, const char *what, const octet_tensor *input, octet_error *err)
{
    octet_plan      *plan      = NULL;
    octet_workspace *workspace = NULL;
    octet_tensor     outputs[16];
    octet_status     status    = octet_plan_create(&plan, graph, NULL, err);
    if (status == OCTET_OK) status = octet_workspace_create(&workspace, plan, err);
    if (status == OCTET_OK) status = octet_run(workspace, input, outputs, err);
    if (status == OCTET_OK) {
        printf("%-6s", what);
        for (int64_t i = 0; i < octet_tensor_count(&outputs[0]) && i < 8; i++)
            printf(" %9.5f", (double)((const float *)outputs[0].data)[i]);
        printf("\n");
    }
    octet_workspace_free(workspace);
    octet_plan_free(plan);
    return status;
}

static octet_status show_both(const octet_graph *real, const octet_graph *quantized, const octet_dataset *data,
                              octet_error *err)
{
    octet_tensor input = octet_dataset_tensor(data);
    input.data         = malloc((size_t)octet_tensor_bytes(&input));
    if (!input.data) return octet_fail(err, OCTET_ERR_MEMORY, "out of memory");
    octet_status status = octet_dataset_read(data, 0, input.data, NULL, err);
    if (status == OCTET_OK) status = show(real, "float", &input, err);
    if (status == OCTET_OK) status = show(quantized, "int8", &input, err);
    free(input.data);
    return status;
}

int main(int argc, char **argv)
{
    octet_error    err       = { 0 };
    octet_graph   *real      = NULL, *quantized = NULL;
    octet_dataset *data      = NULL;
    char           line[512];
    if (argc != 4) {
        fprintf(stderr, "usage: quantize MODEL SAMPLES OUTPUT\n");
        return 2;
    }
    octet_status status = octet_graph_load(&real, argv[1], &err);
    if (status == OCTET_OK)
        status = octet_dataset_open(&data, argv[2], &(octet_dataset_options){ .graph = real, .limit = 512 }, &err);
    if (status == OCTET_OK) status = octet_quantize(&quantized, real, data, NULL, NULL, &err);
    if (status == OCTET_OK) status = octet_graph_save(quantized, argv[3], &err);
    if (status == OCTET_OK) status = show_both(real, quantized, data, &err);
    if (status != OCTET_OK) {
        octet_error_line(line, sizeof line, &err);
        fprintf(stderr, "quantize: %s\n", line);
    }
    octet_dataset_free(data);
    octet_graph_free(quantized);
    octet_graph_free(real);
    return status == OCTET_OK ? 0 : 1;
}
