/* SPDX-License-Identifier: Apache-2.0 */
/* Static quantization of small networks with the names of PyTorch's modules, for the ports of
   test_quantize_eager_ptq.py. */
#ifndef OCTET_TESTS_SEED_PTQ_FLOW_H
#define OCTET_TESTS_SEED_PTQ_FLOW_H

#include "torch_seed.h"

#include "graph/graph.h"
#include "graph/op.h"
#include "quantize/calibration.h"

enum { SAMPLES = 40, ROOM = 4096 };

/* ---- networks of Linear layers, with upstream's names and sizes ---- */

typedef struct layer {
    const char *name, *input;
    int64_t     in, out;
    bool        relu;
} layer;

UNUSED static const layer single[] = { { "fc1", "x", 5, 5, false }, { 0 } };
UNUSED static const layer two[]    = { { "fc1", "x", 5, 8, false }, { "fc2", "fc1", 8, 5, false }, { 0 } };
UNUSED static const layer nested[] = { { "sub1.fc", "x", 5, 5, true },
                                { "sub2.fc1", "sub1.fc", 5, 8, false },
                                { "sub2.fc2", "sub2.fc1", 8, 5, false },
                                { "fc3", "sub2.fc2", 5, 5, false },
                                { 0 } };

UNUSED static octet_graph *linear_network(const layer *l)
{
    octet_graph          *graph;
    random_state          r      = { 7 };
    const int64_t         dims[] = { OCTET_DIM_FREE, 5 };
    const octet_attribute gemm[] = { { .name = "transB", .i = 1 }, { 0 } };
    const char           *last   = NULL;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 2, &err));
    for (; l->name; l++) {
        char          weight[32], bias[32], raw[32];
        const int64_t shape[] = { l->out, l->in };
        const float   bound   = 1 / sqrtf((float)l->in);
        snprintf(weight, sizeof weight, "%s.weight", l->name);
        snprintf(bias, sizeof bias, "%s.bias", l->name);
        snprintf(raw, sizeof raw, "%s.raw", l->name);
        add_random(graph, &r, weight, shape, 2, between(-bound, bound));
        add_random(graph, &r, bias, shape, 1, between(-bound, bound));
        add_node(graph, "Gemm", l->relu ? raw : l->name, gemm, INPUTS(l->input, weight, bias));
        if (l->relu) add_node(graph, "Relu", l->name, NULL, INPUTS(raw));
        last = l->name;
    }
    MUST(octet_graph_set_output(graph, last, &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

/* fc2 alone; sub2.fc1 and fc3; all of sub2, and fc3. */
UNUSED static const octet_layer_rule only_fc2[]    = { { .match = "*", .keep_float = true }, { .match = "fc2" } };
UNUSED static const octet_layer_rule first_rules[] = { { .match = "*", .keep_float = true },
                                                       { .match = "sub2.fc1" },
                                                       { .match = "fc3" } };
UNUSED static const octet_layer_rule whole_sub2[]  = { { .match = "*", .keep_float = true },
                                                       { .match = "sub2.*" },
                                                       { .match = "fc3" } };

#define RULES(rules) rules, sizeof rules / sizeof *rules

/* ---- data and flow ---- */

static float samples[SAMPLES * 1024];

/* Random samples of graph's input as a dataset; the file is gone when it comes back. */
UNUSED static octet_dataset *data_for(const octet_graph *graph)
{
    char           folder[512], path[600];
    octet_dataset *data;
    random_state   r     = { 3 };
    octet_tensor   all   = { .dtype = OCTET_F32, .rank = graph->inputs[0]->rank, .data = samples };
    memcpy(all.dims, graph->inputs[0]->dims, sizeof all.dims);
    all.dims[0] = SAMPLES;
    assert_true((size_t)octet_tensor_count(&all) <= sizeof samples / sizeof *samples);
    random_fill(&r, samples, (size_t)octet_tensor_count(&all), -1, 1);
    make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/x.npy", folder);
    write_npy(path, &all);
    MUST(octet_dataset_open(&data, path, &(octet_dataset_options){ .graph = graph }, &err));
    unlink(path);
    rmdir(folder);
    return data;
}

UNUSED static octet_tensor input_of(const octet_graph *graph, int64_t batch)
{
    octet_tensor x = { .dtype = OCTET_F32, .rank = graph->inputs[0]->rank, .data = samples };
    memcpy(x.dims, graph->inputs[0]->dims, sizeof x.dims);
    x.dims[0] = batch;
    return x;
}

UNUSED static octet_qconfig torch_default(const octet_layer_rule *rules, size_t count)
{
    octet_qconfig qconfig = *octet_qconfig_find("default_qconfig");
    qconfig.target        = "torch-1.13";
    qconfig.layers        = rules;
    qconfig.layer_count   = count;
    return qconfig;
}

UNUSED static void calibrate_and_convert(octet_graph *graph)
{
    octet_dataset *const data = data_for(graph);
    MUST(octet_calibrate(graph, data, &(octet_calibrate_options){ .threads = 1 }, &err));
    MUST(octet_convert(graph, &err));
    octet_dataset_free(data);
}

UNUSED static octet_graph *quantized(octet_graph *graph, const octet_qconfig *qconfig)
{
    MUST(octet_prepare(graph, qconfig, &err));
    calibrate_and_convert(graph);
    return graph;
}

UNUSED static bool observed(const octet_graph *graph, const char *value)
{
    const octet_value *const v = octet_graph_find_value(graph, value);
    assert_non_null(v);
    return graph->calibration->watches[v->index].group != NULL;
}

UNUSED static octet_node_mode mode_of(const octet_graph *graph, const char *node)
{
    const octet_node *const n = octet_graph_find_node(graph, node);
    if (!n) fail_msg("there is no node %s", node);
    return octet_node_compute_mode(graph, n);
}

/* ---- hooks ---- */

typedef struct counts {
    const octet_graph *graph;
    int                seen[64];
} counts;

static inline octet_status count_value(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    counts *const            c     = context;
    const octet_value *const value = octet_graph_find_value(c->graph, name);
    (void)tensor;
    if (!value || value->index >= 64) return octet_fail(err, OCTET_ERR_ARGUMENT, "an unknown value");
    c->seen[value->index]++;
    return OCTET_OK;
}

/* A hook sees every node's result once a run. */
static inline void assert_seen_once(const octet_graph *graph)
{
    counts           c = { .graph = graph };
    octet_plan      *plan;
    octet_workspace *ws;
    octet_tensor     out[1];
    const octet_tensor x = input_of(graph, 3);
    MUST(octet_plan_create(&plan, graph, &(octet_plan_options){ .batch = 3, .keep_values = true }, &err));
    MUST(octet_workspace_create(&ws, plan, &err));
    octet_workspace_set_hook(ws, count_value, &c);
    MUST(octet_run(ws, &x, out, &err));
    for (const octet_node *n = graph->first; n; n = n->next) assert_int_equal(c.seen[n->outputs[0]->index], 1);
    octet_workspace_free(ws);
    octet_plan_free(plan);
}

/* ---- what became of it ---- */

/* PyTorch's checkQuantizedLinear, checkLinear. */
UNUSED static void assert_modes(const octet_graph *graph, const char *integer, const char *real)
{
    char        words[128];
    const char *lists[] = { integer, real };
    for (int i = 0; i < 2; i++) {
        snprintf(words, sizeof words, "%s", lists[i]);
        for (char *name = strtok(words, " "); name; name = strtok(NULL, " "))
            if ((mode_of(graph, name) == OCTET_MODE_REAL) != (i == 1))
                fail_msg("%s is %s", name, i ? "quantized" : "real");
    }
    assert_null(graph->calibration); /* neither observers nor qconfigs are left */
    for (const octet_value *v = graph->values; v; v = v->next)
        if (v->fake_quantize) assert_null(v->fake_quantize->observer);
}

#endif
