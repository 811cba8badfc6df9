/* SPDX-License-Identifier: Apache-2.0 */
/* Batch normalization folded into Conv and Linear: a graph of the two nodes goes through octet's own passes. */
#include "golden.h"

#include "graph/graph.h"
#include "passes/pass.h"

#include <math.h>
#include <string.h>

typedef struct folding {
    golden_array weight, bias, parts[4]; /* gamma, beta, mean, var */
    const char  *op;
    int64_t      channels; /* outputs */
    bool         has_bias;
    float        eps;
} folding;

static octet_status build(octet_graph *graph, const folding *f, octet_error *err)
{
    static const char *const names[] = { "gamma", "beta", "mean", "var" };
    int64_t dims[OCTET_MAX_RANK]; /* a sample of the kernel's own size: one output element. Groups change no weight */
    memcpy(dims, f->weight.dims, sizeof dims);
    const bool linear = !strcmp(f->op, "Gemm"), transposed = !strcmp(f->op, "ConvTranspose");
    dims[1] = transposed ? dims[0] : dims[1];
    dims[0] = 1;
    const octet_attribute gemm[] = { { .name = "transB", .i = 1 }, { 0 } }, conv[] = { { 0 } };
    const octet_attribute norm[] = { { .name = "epsilon", .f = f->eps }, { 0 } };
    const char *const inputs[] = { "x", "w", "b" }, *const norm_inputs[] = { "t", "gamma", "beta", "mean", "var" };
    const char *const middle = "t", *const output = "y";
    OCTET_TRY(octet_graph_add_input(graph, "x", OCTET_F32, dims, f->weight.rank, err));
    OCTET_TRY(golden_constant(graph, "w", &f->weight, err));
    if (f->has_bias) OCTET_TRY(golden_constant(graph, "b", &f->bias, err));
    for (int i = 0; i < 4; i++) OCTET_TRY(golden_constant(graph, names[i], &f->parts[i], err));
    const octet_node_spec mac = { .op = f->op, .attributes = linear ? gemm : conv,
                                  .inputs = inputs, .input_count = f->has_bias ? 3 : 2,
                                  .outputs = &middle, .output_count = 1 };
    OCTET_TRY(octet_graph_add(graph, &mac, err));
    const octet_node_spec after = { .op = "BatchNormalization", .inputs = norm_inputs, .input_count = 5,
                                    .outputs = &output, .output_count = 1, .attributes = norm };
    OCTET_TRY(octet_graph_add(graph, &after, err));
    OCTET_TRY(octet_graph_set_output(graph, "y", err));
    OCTET_TRY(octet_pass_attach_batch_norm(graph, err));
    return octet_pass_fold_batch_norm(graph, err);
}

static void compare(golden_case *c, const octet_graph *graph)
{
    golden_array weight, bias;
    const octet_node *const node = graph->first;
    if (node != graph->last || node->input_count < 3) {
        golden_fail(c, "batch normalization was not folded");
        return;
    }
    if (!golden_array_read(&weight, c, json_object_get(c->manifest, "fused_weight"))) return;
    if (!golden_array_read(&bias, c, json_object_get(c->manifest, "fused_bias"))) return;
    const octet_tensor *const w = node->inputs[1]->constant, *const b = node->inputs[2]->constant;
    if ((size_t)octet_tensor_count(w) != weight.count || (size_t)octet_tensor_count(b) != bias.count) {
        golden_fail(c, "folded constants have other shapes");
        return;
    }
    golden_note_floats(c, "BN folding: weight", w->data, weight.real, weight.count);
    golden_note_floats(c, "BN folding: bias", b->data, bias.real, bias.count);
}

static bool read_folding(folding *f, golden_case *c)
{
    static const char *const names[] = { "gamma", "beta", "mean", "var" };
    const json_t *const bn = json_object_get(c->manifest, "bn"), *const bias = json_object_get(c->manifest, "bias");
    f->eps = (float)json_number_value(json_object_get(bn, "eps_f64"));
    f->has_bias = !json_is_null(bias);
    if (!golden_array_read(&f->weight, c, json_object_get(c->manifest, "weight"))) return false;
    if (f->has_bias && !golden_array_read(&f->bias, c, bias)) return false;
    f->channels = f->weight.dims[!strcmp(f->op, "ConvTranspose")];
    for (int i = 0; i < 4; i++) {
        const json_t *const part = json_object_get(bn, names[i]);
        if (!json_is_null(part)) {
            if (!golden_array_read(&f->parts[i], c, part)) return false;
            continue;
        }
        f->parts[i] = (golden_array){ .rank = 1, .dims = { f->channels }, .count = (size_t)f->channels };
        f->parts[i].real = golden_memory(c, f->parts[i].count, sizeof(float));
        for (size_t k = 0; k < f->parts[i].count; k++) f->parts[i].real[k] = i ? 0 : 1; /* gamma 1, beta 0 */
    }
    return true;
}

void golden_fuse(golden_case *c)
{
    folding f = { 0 };
    char line[512];
    octet_error error = { 0 };
    octet_graph *graph = NULL;
    const char *const kind = json_string_value(json_object_get(c->manifest, "kind"));
    f.op = kind && !strcmp(kind, "Linear") ? "Gemm" : kind && strstr(kind, "Transpose") ? "ConvTranspose" : "Conv";
    if (!read_folding(&f, c)) return;
    octet_status status = octet_graph_new(&graph, &error);
    if (status == OCTET_OK) status = build(graph, &f, &error);
    if (status == OCTET_OK) compare(c, graph);
    else {
        octet_error_line(line, sizeof line, &error);
        golden_fail(c, "%s", line);
    }
    octet_graph_free(graph);
}
