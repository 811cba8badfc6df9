/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-layer equalization by PyTorch: the recorded modules as a chain, equalized by octet. A number that no module has
   is a ReLU's. */
#include "golden.h"

#include "graph/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PAIRS = 8 };

typedef struct modules {
    octet_graph *graph;
    char         from[32]; /* its last value */
    int          next;     /* number of the next module */
} modules;

/* One recorded module, and a Relu first where modules were left out. */
static octet_status add_module(modules *chain, golden_case *c, const char *name, const json_t *module, octet_error *err)
{
    octet_graph *const graph = chain->graph;
    char         names[3][32];
    golden_array weight, bias;
    if (!golden_array_read(&weight, c, json_object_get(module, "weight"))) return OCTET_ERR_FORMAT;
    if (!golden_array_read(&bias, c, json_object_get(module, "bias"))) return OCTET_ERR_FORMAT;
    snprintf(names[0], sizeof names[0], "relu%s", name);
    snprintf(names[1], sizeof names[1], "w%s", name);
    snprintf(names[2], sizeof names[2], "b%s", name);
    const char *output = names[0], *input = chain->from;
    if (atoi(name) != chain->next) {
        const octet_node_spec spec = { .op = "Relu", .inputs = &input, .input_count = 1, .outputs = &output,
                                       .output_count = 1 };
        OCTET_TRY(octet_graph_add(graph, &spec, err));
        input = output;
    }
    OCTET_TRY(golden_constant(graph, names[1], &weight, err));
    OCTET_TRY(golden_constant(graph, names[2], &bias, err));
    const octet_attribute gemm[] = { { .name = "transB", .i = 1 }, { 0 } };
    const char *const     inputs[] = { input, names[1], names[2] };
    const octet_node_spec spec = { .op = weight.rank == 2 ? "Gemm" : "Conv", .name = name, .inputs = inputs,
                                   .input_count = 3, .outputs = &name, .output_count = 1,
                                   .attributes = weight.rank == 2 ? gemm : NULL };
    OCTET_TRY(octet_graph_add(graph, &spec, err));
    snprintf(chain->from, sizeof chain->from, "%s", name);
    chain->next = atoi(name) + 1;
    return OCTET_OK;
}

static octet_status build(octet_graph *graph, golden_case *c, octet_error *err)
{
    const json_t *const before = json_object_get(c->manifest, "before");
    const json_t       *module;
    const char         *name;
    modules             chain = { graph, "x", 0 };
    json_object_foreach((json_t *)before, name, module) {
        golden_array weight;
        if (!golden_array_read(&weight, c, json_object_get(module, "weight"))) return OCTET_ERR_FORMAT;
        const int64_t dims[] = { 1, weight.dims[1], 16, 16 };
        if (!chain.next) OCTET_TRY(octet_graph_add_input(graph, "x", OCTET_F32, dims, weight.rank, err));
        OCTET_TRY(add_module(&chain, c, name, module, err));
    }
    OCTET_TRY(octet_graph_set_output(graph, chain.from, err));
    return octet_fuse(graph, err);
}

static octet_status equalize(octet_graph *graph, golden_case *c, size_t *steps, octet_error *err)
{
    const json_t *const pairs = json_object_get(c->manifest, "pairs");
    octet_pair          named[MOST_PAIRS];
    const size_t        count = json_array_size(pairs);
    if (count > MOST_PAIRS) return octet_fail(err, OCTET_ERR_LIMIT, "%zu pairs", count);
    for (size_t i = 0; i < count; i++) {
        const json_t *const pair = json_array_get(pairs, i);
        named[i]                 = (octet_pair){ json_string_value(json_array_get(pair, 0)),
                                                 json_string_value(json_array_get(pair, 1)) };
    }
    const double threshold = json_number_value(json_object_get(c->manifest, "threshold"));
    return octet_equalize_pairs(graph, named, count, threshold, steps, err);
}

static void compare(golden_case *c, const octet_graph *graph, size_t steps)
{
    static const char *const parts[] = { "weight", "bias" }, *const rows[] = { "equalize: weight", "equalize: bias" };
    const json_t *module;
    const char   *name;
    const int32_t got = (int32_t)steps, want = (int32_t)golden_int(c->manifest, "pair_steps", -1);
    golden_note_levels(c, "equalize: pairs until converged", &got, &want, 1, 0);
    json_object_foreach((json_t *)json_object_get(c->manifest, "after"), name, module) {
        const octet_node *const node = octet_graph_find_node(graph, name);
        for (int i = 0; i < 2 && node; i++) {
            golden_array wanted;
            if (!golden_array_read(&wanted, c, json_object_get(module, parts[i]))) return;
            const octet_tensor *const tensor = node->inputs[1 + i]->constant;
            if ((size_t)octet_tensor_count(tensor) != wanted.count) golden_fail(c, "%s of another shape", parts[i]);
            else golden_note_close(c, rows[i], tensor->data, &wanted, 1e-6);
        }
        if (!node) golden_fail(c, "module %s is gone", name);
    }
}

void golden_equalize(golden_case *c)
{
    char         line[512];
    octet_error  error = { 0 };
    octet_graph *graph = NULL;
    size_t       steps = 0;
    octet_status status = octet_graph_new(&graph, &error);
    if (status == OCTET_OK) status = build(graph, c, &error);
    if (status == OCTET_OK) status = equalize(graph, c, &steps, &error);
    if (status == OCTET_OK) compare(c, graph, steps);
    else {
        octet_error_line(line, sizeof line, &error);
        golden_fail(c, "%s", line);
    }
    octet_graph_free(graph);
}
