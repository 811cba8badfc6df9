/* SPDX-License-Identifier: Apache-2.0 */
/* torch's dynamic Linear and LSTM: graphs of recorded integer weights whose nodes are dynamic, run by the reference
   engine in both profiles. qnnpack's Linear is compared bit for bit; onednn's sums are rounded elsewhere (4e-7), and
   torch's vectorized sigmoid and tanh differ from ours in the last bits. */
#include "golden.h"

#include "graph/graph.h"
#include "graph/op.h"
#include "ops/levels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 16 };

static const struct {
    const char *name, *profile;
    bool        exact, reduces; /* onednn takes 7 bits where reduce_range is asked for */
} engines[] = { { "qnnpack", "torch-qnnpack", true, false }, { "onednn", "torch-onednn", false, true },
                { "fbgemm", "torch-fbgemm", false, true }, { "x86", "torch-x86", false, true } };

enum { ENGINES = sizeof engines / sizeof *engines };

/* What is run, and where the results go. */
typedef struct network {
    golden_case *c;
    octet_graph *graph;
    octet_error  error;
    int          count; /* of names made */
    char         names[128][24];
} network;

static const char *fresh(network *n)
{
    snprintf(n->names[n->count], sizeof n->names[0], "v%d", n->count);
    return n->names[n->count++];
}

static const char *constant(network *n, const octet_tensor *tensor)
{
    octet_value *value;
    const char *const name = fresh(n);
    return octet_value_new_constant(&value, n->graph, name, tensor, false, &n->error) == OCTET_OK ? name : "";
}

static const char *floats(network *n, const json_t *entry)
{
    golden_array array;
    const char *const name = fresh(n);
    if (!golden_array_read(&array, n->c, entry)) return "";
    golden_constant(n->graph, name, &array, &n->error);
    return name;
}

/* A node as spec says; outputs gets the names of its results, of which spec has the number. */
static void add(network *n, octet_node_spec spec, const char **outputs, octet_dynamic dynamic)
{
    for (int i = 0; i < spec.output_count; i++) outputs[i] = fresh(n);
    spec.outputs = outputs;
    while (spec.inputs[spec.input_count]) spec.input_count++;
    if (octet_graph_add(n->graph, &spec, &n->error) == OCTET_OK) n->graph->last->dynamic = dynamic;
}

#define NODE(name, ...) (octet_node_spec){ .op = name, .inputs = (const char *const[]){ __VA_ARGS__, NULL }

static bool begin(network *n, golden_case *c, octet_tensor *x)
{
    golden_array array;
    *n = (network){ .c = c };
    const json_t *const inputs = json_object_get(c->manifest, "inputs");
    if (!golden_array_read(&array, c, json_object_get(inputs ? inputs : c->manifest, "x"))) return false;
    *x = (octet_tensor){ .dtype = OCTET_F32, .rank = array.rank, .data = array.real };
    memcpy(x->dims, array.dims, sizeof x->dims);
    octet_graph_new(&n->graph, &n->error);
    octet_graph_add_input(n->graph, "x", OCTET_F32, x->dims, x->rank, &n->error);
    return true;
}

static bool run(network *n, const octet_tensor *x, octet_tensor *out, const char *profile)
{
    char line[512];
    octet_plan *plan = NULL;
    octet_workspace *workspace = NULL;
    octet_status status = n->error.status;
    n->graph->stage = OCTET_STAGE_QUANTIZED;
    if (status == OCTET_OK) status = octet_graph_verify(n->graph, &n->error);
    if (status == OCTET_OK)
        status = octet_plan_create(&plan, n->graph, &(octet_plan_options){ .profile = profile }, &n->error);
    if (status == OCTET_OK) status = octet_workspace_create(&workspace, plan, &n->error);
    if (status == OCTET_OK) status = octet_run(workspace, x, out, &n->error);
    for (size_t i = 0; status == OCTET_OK && i < n->graph->output_count; i++) {
        const size_t bytes = (size_t)octet_tensor_bytes(&out[i]);
        out[i].data = memcpy(golden_memory(n->c, bytes, 1), out[i].data, bytes);
    }
    octet_workspace_free(workspace);
    octet_plan_free(plan);
    octet_graph_free(n->graph);
    if (status == OCTET_OK) return true;
    octet_error_line(line, sizeof line, &n->error);
    return golden_fail(n->c, "%s", line);
}

static void compare(golden_case *c, const char *what, int e, const float *got, const json_t *entry, double tolerance)
{
    char row[96];
    golden_array want;
    snprintf(row, sizeof row, tolerance > 0 ? "%s %s (%.0e)" : "%s %s", engines[e].name, what, tolerance);
    if (!golden_array_read(&want, c, entry)) return;
    if (tolerance > 0) golden_note_close(c, row, got, &want, tolerance);
    else golden_note_floats(c, row, got, want.real, want.count);
}

/* ---- Linear ---- */

static const char *linear(network *n, const char *x, const json_t *weight, const json_t *bias, octet_dynamic dynamic)
{
    static const octet_attribute turned[] = { { .name = "transB", .i = 1 }, { 0 } };
    octet_tensor w;
    const char *y = "";
    if (!golden_tensor_read(&w, n->c, weight)) return y;
    const char *const b = json_is_object(bias) ? floats(n, bias) : NULL;
    add(n, NODE("Gemm", x, constant(n, &w), b), .attributes = turned, .output_count = 1 }, &y, dynamic);
    return y;
}

void golden_linear_dynamic(golden_case *c)
{
    const json_t *const inputs = json_object_get(c->manifest, "inputs");
    const json_t *const attrs = json_object_get(c->manifest, "attrs");
    for (int e = 0; e < ENGINES; e++) {
        network n;
        octet_tensor x, out[1];
        const json_t *const want = json_object_get(json_object_get(c->manifest, "outputs"), engines[e].name);
        if (!want || !begin(&n, c, &x)) continue;
        const bool reduced = json_is_true(json_object_get(attrs, "reduce_range"));
        const char *const y = linear(&n, "x", json_object_get(inputs, "w"), json_object_get(inputs, "b"),
                                     reduced ? OCTET_DYNAMIC_REDUCED : OCTET_DYNAMIC_TENSOR);
        if (json_is_true(json_object_get(attrs, "relu")))
            n.graph->last->activation = (octet_activation){ .on = true, .hi = INFINITY, .name = "relu", .op = "Relu" };
        octet_graph_set_output(n.graph, y, &n.error);
        if (run(&n, &x, out, engines[e].profile))
            compare(c, "linear_dynamic", e, out[0].data, want, engines[e].exact ? 0 : 4e-7);
    }
}

static void perceptron(golden_case *c)
{
    const json_t *const weights = json_object_get(c->manifest, "weights");
    for (int e = 0; e < ENGINES; e++) {
        network n;
        octet_tensor x, out[1];
        const json_t *const want = json_object_get(json_object_get(c->manifest, "engines"), engines[e].name);
        if (!want || !begin(&n, c, &x)) continue;
        const char *y = "x";
        for (int layer = 0; layer < 2; layer++) {
            const json_t *const at = json_object_get(weights, layer ? "2" : "0");
            y = linear(&n, y, json_object_get(at, "weight"), json_object_get(at, "bias"), OCTET_DYNAMIC_REDUCED);
            if (!layer) add(&n, NODE("Relu", y), .output_count = 1 }, &y, OCTET_DYNAMIC_OFF);
        }
        octet_graph_set_output(n.graph, y, &n.error);
        if (run(&n, &x, out, engines[e].profile))
            compare(c, "dynamic Linear, Relu, Linear", e, out[0].data, json_object_get(want, "output"),
                    engines[e].exact ? 0 : 4e-7);
    }
}

/* ---- LSTM ---- */

static const json_t *part(const golden_case *c, const char *what, int layer, bool reverse)
{
    char key[64];
    snprintf(key, sizeof key, "%s_l%d%s", what, layer, reverse ? "_reverse" : "");
    return json_object_get(json_object_get(c->manifest, "weights"), key);
}

/* torch's gates i, f, g, o as ONNX's i, o, f, c: rows of `bytes` each. */
static void reorder(char *to, const char *from, size_t bytes)
{
    static const int gates[] = { 0, 3, 1, 2 };
    for (size_t i = 0; i < 4; i++) memcpy(to + i * bytes, from + (size_t)gates[i] * bytes, bytes);
}

static const char *matrix(network *n, const json_t *entry)
{
    octet_tensor from;
    if (!golden_tensor_read(&from, n->c, entry)) return "";
    octet_tensor to = from;
    const size_t bytes = (size_t)octet_tensor_count(&from);
    to.rank = 3;
    to.dims[0] = 1;
    to.dims[1] = from.dims[0];
    to.dims[2] = from.dims[1];
    to.data = golden_memory(n->c, bytes, 1);
    reorder(to.data, from.data, bytes / 4);
    return constant(n, &to);
}

static const char *biases(network *n, const json_t *input, const json_t *state)
{
    golden_array both[2];
    if (!golden_array_read(&both[0], n->c, input) || !golden_array_read(&both[1], n->c, state)) return "";
    float *const all = golden_memory(n->c, 2 * both[0].count, sizeof *all);
    for (int i = 0; i < 2; i++)
        reorder((char *)(all + (size_t)i * both[0].count), (const char *)both[i].real, both[0].count / 4 * sizeof *all);
    const octet_tensor t = { .dtype = OCTET_F32, .rank = 2, .dims = { 1, (int64_t)(2 * both[0].count) }, .data = all };
    return constant(n, &t);
}

/* One layer in one direction: *y has no dimension for directions; h and c are outputs of the graph. */
static void one_way(network *n, const char **y, const char *x, int layer, bool reverse)
{
    static const int64_t first = 1;
    const octet_attribute attributes[] = { { .name = "direction", .s = reverse ? "reverse" : "forward" }, { 0 } };
    const octet_tensor axis = { .dtype = OCTET_I64, .rank = 1, .dims = { 1 }, .data = (void *)(uintptr_t)&first };
    const char *outputs[3];
    const char *const w = matrix(n, part(n->c, "weight_ih", layer, reverse));
    const char *const r = matrix(n, part(n->c, "weight_hh", layer, reverse));
    const char *const b = biases(n, part(n->c, "bias_ih", layer, reverse), part(n->c, "bias_hh", layer, reverse));
    add(n, NODE("LSTM", x, w, r, b), .attributes = attributes, .output_count = 3 }, outputs, OCTET_DYNAMIC_REDUCED);
    add(n, NODE("Squeeze", outputs[0], constant(n, &axis)), .output_count = 1 }, y, OCTET_DYNAMIC_OFF);
    octet_graph_set_output(n->graph, outputs[1], &n->error);
    octet_graph_set_output(n->graph, outputs[2], &n->error);
}

static void compare_states(golden_case *c, int e, const octet_tensor *out, int count, const json_t *want)
{
    for (int state = 0; state < 2; state++) {
        const size_t one = (size_t)octet_tensor_count(&out[0]);
        float *const all = golden_memory(c, one * (size_t)count, sizeof *all);
        for (int i = 0; i < count; i++) memcpy(all + (size_t)i * one, out[2 * i + state].data, one * sizeof *all);
        compare(c, state ? "dynamic LSTM, c" : "dynamic LSTM, h", e, all, json_object_get(want, state ? "c" : "h"),
                2e-6);
    }
}

static void lstm(golden_case *c)
{
    const json_t *const args = json_object_get(c->manifest, "args");
    const int layers = (int)golden_int(args, "num_layers", 1);
    const int ways = json_is_true(json_object_get(args, "bidirectional")) ? 2 : 1;
    const octet_attribute last[] = { { .name = "axis", .i = 2 }, { 0 } };
    for (int e = 0; e < ENGINES; e++) {
        network n;
        octet_tensor x, out[MOST];
        const json_t *const want = json_object_get(json_object_get(c->manifest, "engines"), engines[e].name);
        if (!want || !begin(&n, c, &x)) continue;
        const char *y = "x", *parts[2];
        for (int layer = 0; layer < layers; layer++) {
            for (int way = 0; way < ways; way++) one_way(&n, &parts[way], y, layer, way == 1);
            y = parts[0];
            if (ways == 2)
                add(&n, NODE("Concat", parts[0], parts[1]), .attributes = last, .output_count = 1 }, &y,
                    OCTET_DYNAMIC_OFF);
        }
        octet_graph_set_output(n.graph, y, &n.error);
        if (!run(&n, &x, out, engines[e].profile)) continue;
        compare(c, "dynamic LSTM", e, out[2 * layers * ways].data, json_object_get(want, "output"), 2e-6);
        compare_states(c, e, out, layers * ways, want);
    }
}

void golden_dynamic(golden_case *c)
{
    if (json_object_get(c->manifest, "hidden_size")) lstm(c);
    else perceptron(c);
}
