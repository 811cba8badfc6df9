/* SPDX-License-Identifier: Apache-2.0 */
/* Levels on engines of other people's libraries, against the operators' definitions fed the same levels: at most one
   level away, counted. First one node at a time, geometry at random; then every shared network, node by node, of which
   an engine must take 95 % of the multiply-accumulates. */
#include "../models.h"
#include "network.h"

#include "engine/run.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "ops/profile.h"

enum { MOST_ELEMENTS = 1 << 17, CASES = 200 };

typedef struct tally {
    int64_t taken, cases, outputs, differ, most;
} tally;

static void report(const tally *t, const char *engine, const char *what)
{
    print_message("%-8s %-26s %4d of %4d taken, %8lld of %9lld outputs (%.2f %%) differ, by %lld at most\n", engine,
                  what, (int)t->taken, (int)t->cases, (long long)t->differ, (long long)t->outputs,
                  t->outputs ? 100.0 * (double)t->differ / (double)t->outputs : 0, (long long)t->most);
}

/* Whether the engine is there and takes levels on this machine; said loudly if not. */
static bool is_there(const char *engine)
{
    const char *name;
    bool        found = false;
    for (size_t i = 0; (name = octet_engine_name(i, NULL)); i++) found |= strcmp(name, engine) == 0;
    if (found && strcmp(engine, "onednn") == 0 && !strstr(octet_cpu_features(), "vnni")) {
        print_message("[ SKIPPED  ] onednn takes no levels without VNNI\n");
        return false;
    }
    if (!found) print_message("[ SKIPPED  ] this build has no engine %s\n", engine);
    return found;
}

/* ---- one node ---- */

typedef struct one_node {
    octet_graph        *graph;
    octet_fake_quantize fq[3]; /* x, r, y */
    float               scale[3];
    int32_t             zero[3];
    float               data[2][MOST_ELEMENTS];
    octet_tensor        inputs[2];
    bool                sums, real;
} one_node;

typedef struct geometry {
    int     rank; /* spatial */
    int64_t shape[3], kernel[2], stride[2], dilation[2], pads[4]; /* shape: channels in and out, groups */
} geometry;

static geometry random_geometry(random_state *r)
{
    static const int64_t shapes[][3] = { { 3, 16, 1 },   { 1, 5, 1 },    { 24, 40, 1 },  { 32, 32, 32 }, { 7, 7, 7 },
                                         { 24, 32, 2 },  { 64, 32, 2 },  { 6, 12, 3 },   { 16, 48, 16 }, { 17, 3, 1 },
                                         { 48, 48, 48 }, { 64, 64, 1 },  { 96, 24, 1 },  { 128, 10, 1 },
                                         { 33, 65, 1 } };
    const int64_t *const shape = shapes[random_int(r, 0, 14)];
    geometry             g     = { .rank = (int)random_int(r, 1, 2) };
    memcpy(g.shape, shape, sizeof g.shape);
    for (int i = 0; i < g.rank; i++) {
        g.kernel[i]   = random_int(r, 0, 3) ? random_int(r, 1, 3) : 5;
        g.stride[i]   = random_int(r, 1, 2);
        g.dilation[i] = random_int(r, 0, 3) ? 1 : 2;
        g.pads[i]          = random_int(r, 0, g.kernel[i] - 1);
        g.pads[g.rank + i] = random_int(r, 0, g.kernel[i] - 1);
    }
    return g;
}

/* Gives a value levels of either sign; scale 0: stays real. */
static void set_levels(one_node *n, random_state *r, int slot, const char *name, float scale)
{
    const bool    is_signed = random_int(r, 0, 1);
    const int32_t shift     = is_signed ? 128 : 0;
    if (scale == 0) return;
    n->scale[slot] = scale;
    n->zero[slot]  = (int32_t)(random_int(r, 0, 3) ? random_int(r, 0, 255) : 128) - shift;
    n->fq[slot]    = (octet_fake_quantize){ .qparams = { .scale = &n->scale[slot], .zero_point = &n->zero[slot],
                                                         .count = 1, .dtype = is_signed ? OCTET_I8 : OCTET_U8,
                                                         .qmin = -shift, .qmax = 255 - shift } };
    octet_graph_find_value(n->graph, name)->fake_quantize = &n->fq[slot];
}

/* s8 weights, one scale per output channel (axis), over a range of 16. */
static void add_weights(one_node *n, random_state *r, const int64_t *dims, int rank, int axis)
{
    static int8_t       w[MOST_ELEMENTS];
    static float        scale[256];
    static int32_t      zero[256];
    const octet_qparams q = { .scale = scale, .zero_point = zero, .count = dims[axis], .axis = axis, .dtype = OCTET_I8,
                              .qmin = -127, .qmax = 127 };
    octet_tensor        tensor = { .dtype = OCTET_I8, .rank = rank, .data = w, .qparams = &q };
    memcpy(tensor.dims, dims, (size_t)rank * sizeof *dims);
    const int64_t count = octet_tensor_count(&tensor);
    assert_in_range(count, 1, MOST_ELEMENTS);
    for (int64_t i = 0; i < count; i++) w[i] = (int8_t)random_int(r, -127, 127);
    for (int64_t i = 0; i < dims[axis]; i++) scale[i] = exp2f(random_float(r, -9, -5));
    MUST(octet_graph_add_constant(n->graph, "w", &tensor, &err));
}

static void add_input(one_node *n, random_state *r, int slot, const char *name, const octet_tensor *shape)
{
    octet_tensor *const input = &n->inputs[slot];
    *input                    = *shape;
    input->data               = n->data[slot];
    const int64_t count       = octet_tensor_count(input);
    assert_in_range(count, 1, MOST_ELEMENTS);
    random_fill(r, n->data[slot], (size_t)count, -6, 6);
    MUST(octet_graph_add_input(n->graph, name, OCTET_F32, input->dims, input->rank, &err));
}

/* The levels of everything; products is the length of a sum. */
static void finish(one_node *n, random_state *r, int64_t products)
{
    const float wide = 0.02f * 0.008f * 74 * 74 * sqrtf((float)products) * random_float(r, 0.01f, 0.04f);
    MUST(octet_graph_set_output(n->graph, "y", &err));
    MUST(octet_graph_verify(n->graph, &err));
    set_levels(n, r, 0, "x", 0.02f);
    if (n->sums) set_levels(n, r, 1, "r", wide * random_float(r, 0.2f, 1.5f));
    set_levels(n, r, 2, "y", n->real ? 0 : wide);
    octet_node *const last = octet_graph_find_value(n->graph, "y")->producer;
    if (random_int(r, 0, 1)) last->activation = (octet_activation){ .on = true, .lo = 0, .hi = 60 * wide };
    n->graph->stage = OCTET_STAGE_QUANTIZED;
}

static void conv_case(one_node *n, random_state *r, char *text, size_t size)
{
    const geometry g    = random_geometry(r);
    const int      rank = g.rank + 2;
    octet_tensor   x = { .dtype = OCTET_F32, .rank = rank, .dims = { random_int(r, 1, 2), g.shape[0] } }, y = x;
    int64_t        weights[4] = { g.shape[1], g.shape[0] / g.shape[2] }, products = weights[1];
    y.dims[1] = g.shape[1];
    for (int i = 0; i < g.rank; i++) {
        const int64_t reach = (g.kernel[i] - 1) * g.dilation[i] + 1;
        x.dims[2 + i]       = random_int(r, 9, g.rank == 1 ? 40 : 14);
        weights[2 + i]      = g.kernel[i];
        y.dims[2 + i]       = (x.dims[2 + i] + g.pads[i] + g.pads[g.rank + i] - reach) / g.stride[i] + 1;
        products *= g.kernel[i];
    }
    const octet_attribute attributes[] = { { .name = "strides", .ints = g.stride, .count = (size_t)g.rank },
                                           { .name = "dilations", .ints = g.dilation, .count = (size_t)g.rank },
                                           { .name = "pads", .ints = g.pads, .count = (size_t)g.rank * 2 },
                                           { .name = "group", .i = g.shape[2] },
                                           { 0 } };
    add_input(n, r, 0, "x", &x);
    if (n->sums) add_input(n, r, 1, "r", &y);
    add_weights(n, r, weights, rank, 0);
    add_random(n->graph, r, "b", g.shape + 1, 1, between(-0.5f, 0.5f));
    add_node(n->graph, "Conv", n->sums ? "c" : "y", attributes,
             random_int(r, 0, 1) ? INPUTS("x", "w", "b") : INPUTS("x", "w"));
    if (n->sums) add_node(n->graph, "Add", "y", NULL, INPUTS("c", "r"));
    finish(n, r, products);
    snprintf(text, size, "Conv %dd %d->%d group %d kernel %d stride %d dilation %d pads %d %d, %d %d", g.rank,
             (int)g.shape[0], (int)g.shape[1], (int)g.shape[2], (int)g.kernel[0], (int)g.stride[0], (int)g.dilation[0],
             (int)g.pads[0], (int)g.pads[g.rank], (int)g.pads[g.rank - 1], (int)g.pads[2 * g.rank - 1]);
}

static void product_case(one_node *n, random_state *r, char *text, size_t size)
{
    const int64_t m = random_int(r, 1, 9), k = random_int(r, 1, 200), width = random_int(r, 1, 90);
    const bool    gemm = random_int(r, 0, 1), turned = gemm && random_int(r, 0, 1);
    const int64_t weights[] = { turned ? width : k, turned ? k : width };
    const octet_tensor    x = { .dtype = OCTET_F32, .rank = 2, .dims = { m, k } };
    const octet_attribute attributes[] = { { .name = "transB", .i = turned }, { 0 } };
    add_input(n, r, 0, "x", &x);
    add_weights(n, r, weights, 2, turned ? 0 : 1);
    add_random(n->graph, r, "b", &width, 1, between(-0.5f, 0.5f));
    if (gemm) add_node(n->graph, "Gemm", "y", attributes, INPUTS("x", "w", "b"));
    else add_node(n->graph, "MatMul", "y", NULL, INPUTS("x", "w"));
    finish(n, r, k);
    snprintf(text, size, "%s %dx%dx%d transposed %d", gemm ? "Gemm" : "MatMul", (int)m, (int)k, (int)width, turned);
}

static void count_differences(tally *t, const octet_tensor *want, const octet_tensor *got, float scale,
                              const char *what)
{
    const int64_t count = octet_tensor_count(want);
    assert_int_equal(count, octet_tensor_count(got));
    t->outputs += count;
    for (int64_t i = 0; i < count; i++) {
        const float   apart  = fabsf(((const float *)want->data)[i] - ((const float *)got->data)[i]);
        const int64_t levels = (int64_t)lrintf(apart / scale);
        t->differ += levels != 0;
        if (levels > t->most) t->most = levels;
        if (levels > 1) fail_msg("%s: output %d is %d levels away", what, (int)i, (int)levels);
    }
}

static void compare(tally *t, one_node *n, const char *engine, const char *what)
{
    session plain, other, threaded;
    bool    taken = false;
    char    text[300];
    session_begin(&plain, n->graph, &(octet_plan_options){ .engines = "reference" });
    session_begin(&other, n->graph, &(octet_plan_options){ .engines = engine, .threads = 1 });
    session_begin(&threaded, n->graph, &(octet_plan_options){ .engines = engine, .threads = 3 });
    session_run(&plain, n->inputs);
    session_run(&other, n->inputs);
    session_run(&threaded, n->inputs);
    for (size_t i = 0; i < octet_plan_step_count(other.plan); i++) {
        const octet_step_info info = octet_plan_step(other.plan, i);
        if (strcmp(info.engine, engine) != 0) continue;
        taken = true;
        snprintf(text, sizeof text, "%s, %s", what, info.algorithm);
    }
    t->cases++;
    t->taken += taken;
    if (taken && !n->real) count_differences(t, &plain.outputs[0], &other.outputs[0], n->scale[2], text);
    if (taken && n->real) assert_true(distance(&plain.outputs[0], &other.outputs[0]) < 1e-5);
    assert_same_bytes(&other.outputs[0], &threaded.outputs[0]);
    session_end(&plain);
    session_end(&other);
    session_end(&threaded);
}

static void sweep(const char *engine)
{
    static const char *const kinds[] = { "Conv", "Conv and Add", "Conv to real", "Gemm, MatMul",
                                         "Gemm, MatMul to real" };
    static one_node          n;
    random_state             r = { 77 };
    for (int kind = 0; kind < 5; kind++) {
        const bool gives_real = strcmp(engine, "onednn") == 0;
        tally      t          = { 0 };
        for (int i = 0; i < CASES; i++) {
            char text[200];
            n.sums = kind == 1;
            n.real = kind == 2 || kind == 4;
            MUST(octet_graph_new(&n.graph, &err));
            (kind < 3 ? conv_case : product_case)(&n, &r, text, sizeof text);
            compare(&t, &n, engine, text);
            octet_graph_free(n.graph);
        }
        report(&t, engine, kinds[kind]);
        if (gives_real || !n.real) assert_true(t.taken > CASES * 4 / 5);
    }
}

/* XNNPACK takes no multiplier of 256 or more: the next engine does, and the plan tells. */
static void test_refused_multipliers(void **state)
{
    (void)state;
    static one_node    n;
    random_state       r       = { 5 };
    session            s, plain;
    bool               told    = false;
    const int64_t      weights[] = { 4, 4, 1, 1 };
    const octet_tensor x = { .dtype = OCTET_F32, .rank = 4, .dims = { 1, 4, 3, 3 } };
    if (!is_there("xnnpack")) skip();
    MUST(octet_graph_new(&n.graph, &err));
    add_input(&n, &r, 0, "x", &x);
    add_weights(&n, &r, weights, 4, 0);
    add_node(n.graph, "Conv", "y", NULL, INPUTS("x", "w"));
    MUST(octet_graph_set_output(n.graph, "y", &err));
    MUST(octet_graph_verify(n.graph, &err));
    set_levels(&n, &r, 0, "x", 0.02f);
    set_levels(&n, &r, 2, "y", 0.02f * 0.001f / 300);
    n.graph->stage = OCTET_STAGE_QUANTIZED;
    session_begin(&plain, n.graph, &(octet_plan_options){ .engines = "reference" });
    session_begin(&s, n.graph, &(octet_plan_options){ .engines = "xnnpack,native" });
    session_run(&plain, n.inputs);
    session_run(&s, n.inputs);
    for (size_t i = 0; i < octet_plan_step_count(s.plan); i++) {
        const octet_step_info info = octet_plan_step(s.plan, i);
        if (strcmp(info.op, "Conv") != 0) continue;
        assert_string_equal(info.engine, "native");
        told = strstr(info.declined, "xnnpack: XNNPACK refuses it") != NULL;
    }
    assert_true(told);
    assert_same_bytes(&plain.outputs[0], &s.outputs[0]);
    session_end(&s);
    session_end(&plain);
    octet_graph_free(n.graph);
}

static void test_nodes_on_onednn(void **state)
{
    (void)state;
    if (is_there("onednn")) sweep("onednn");
}

static void test_nodes_on_xnnpack(void **state)
{
    (void)state;
    if (is_there("xnnpack")) sweep("xnnpack");
}

/* ---- shared networks ---- */

/* A value of a finished run, copied; the caller frees data. */
static octet_tensor copy_value(octet_workspace *ws, const octet_value *value)
{
    octet_tensor tensor = value->constant ? *value->constant : octet_workspace_value(ws, value);
    const size_t bytes  = (size_t)octet_tensor_bytes(&tensor);
    const void  *from   = tensor.data;
    assert_non_null(from);
    tensor.data = memcpy(malloc(bytes), from, bytes);
    return tensor;
}

/* Runs a node's definition. out has its memory. */
static void define(octet_tensor *out, const octet_node *node, const octet_tensor *inputs, float real_unit)
{
    const octet_tensor *in[4] = { NULL };
    octet_tensor       *outs[] = { out };
    for (int i = 0; i < node->input_count; i++) in[i] = inputs[i].data ? &inputs[i] : NULL;
    octet_call call = { .node = node, .attrs = node->attrs, .in = in, .out = outs, .in_count = node->input_count,
                        .out_count = 1, .threads = 2, .profile = octet_profile_find(NULL), .real_unit = real_unit };
    void *const scratch = node->op->scratch_size ? malloc(node->op->scratch_size(&call, true)) : NULL;
    call.scratch        = scratch;
    MUST(node->op->forward_integer(&call, &err));
    free(scratch);
}

static octet_tensor room_like(const octet_tensor *shape, octet_dtype dtype, const octet_qparams *qparams)
{
    octet_tensor room = *shape;
    room.dtype        = dtype;
    room.qparams      = qparams;
    room.data         = malloc((size_t)octet_tensor_bytes(&room));
    return room;
}

/* The node of a finished run, with the Add that it is summed in, once more by definition. */
static void check_node(tally *t, octet_workspace *ws, const octet_graph *graph, const octet_node *node)
{
    const octet_node *const add  = octet_node_fused_add(graph, node);
    const octet_node *const last = add ? add : node;
    octet_tensor            got = copy_value(ws, last->outputs[0]), inputs[4] = { { 0 } };
    octet_tensor            want = room_like(&got, got.dtype, got.qparams);
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i]) inputs[i] = copy_value(ws, node->inputs[i]);
    if (!add) define(&want, node, inputs, 0);
    else {
        octet_tensor sum   = room_like(&got, OCTET_F32, NULL), terms[2];
        const int    first = add->inputs[0] == node->outputs[0] ? 0 : 1;
        define(&sum, node, inputs, got.qparams->scale[0]);
        terms[first]     = sum;
        terms[1 - first] = copy_value(ws, add->inputs[1 - first]);
        define(&want, add, terms, 0);
        free(sum.data);
        free(terms[1 - first].data);
    }
    const int64_t count = octet_tensor_count(&got);
    if (got.qparams) t->outputs += count;
    else assert_true(distance(&want, &got) < 1e-6);
    for (int64_t i = 0; got.qparams && i < count; i++) {
        const int64_t apart = got.dtype == OCTET_U8 ? ((uint8_t *)got.data)[i] - ((uint8_t *)want.data)[i]
                                                    : ((int8_t *)got.data)[i] - ((int8_t *)want.data)[i];
        t->differ += apart != 0;
        if (llabs(apart) > t->most) t->most = llabs(apart);
    }
    for (int i = 0; i < node->input_count; i++) free(inputs[i].data);
    free(got.data);
    free(want.data);
}

/* Returns the share of multiply-accumulates that the engine took. looks: at what it made of them, too. */
static double check_nodes(tally *t, const session *s, const octet_graph *graph, const char *engine, bool looks)
{
    int64_t all = 0, taken = 0;
    for (size_t i = 0; i < octet_plan_step_count(s->plan); i++) {
        const octet_step_info info = octet_plan_step(s->plan, i);
        all += info.macs;
        t->cases += info.macs > 0;
        if (strcmp(info.engine, engine) != 0) {
            if (info.macs > 0) assert_non_null(strstr(info.declined, engine));
            continue;
        }
        t->taken++;
        taken += info.macs;
        for (const octet_node *node = graph->first; looks && node; node = node->next)
            if (strcmp(node->name, info.node) == 0) check_node(t, s->workspace, graph, node);
    }
    return (double)taken / (double)all;
}

typedef struct network {
    octet_graph *real, *quantized;
    octet_tensor input;
} network;

/* Whether the shared pack has it. */
static bool load(network *w, const shared_model *model)
{
    char           name[200], path[1024];
    octet_dataset *data;
    snprintf(name, sizeof name, "models/%s.onnx", model->name);
    w->quantized = quantize_shared(model, &data, "native", OCTET_METHOD_MINMAX);
    if (!w->quantized || !shared_path(path, sizeof path, name)) return false;
    MUST(octet_graph_load(&w->real, path, &err));
    w->input = first_sample(data);
    octet_dataset_free(data);
    return true;
}

static void unload(network *w)
{
    free(w->input.data);
    octet_graph_free(w->real);
    octet_graph_free(w->quantized);
}

/* The autoencoder is products only, the last of which gives real numbers. */
static bool is_cnn(const shared_model *model) { return strcmp(model->name, "ad01_autoencoder") != 0; }

/* Networks whose definition would take long here: only their plans are looked at. */
static bool is_large(const shared_model *model)
{
    return strstr(model->name, "mobilenetv1_0.75") || strstr(model->name, "super_resolution");
}

/* SQNR of output 0 of a plan of the quantized network against the float one. */
static double quality(const network *w, const session *real, const char *engines)
{
    session s;
    session_begin(&s, w->quantized, &(octet_plan_options){ .engines = engines });
    session_run(&s, &w->input);
    const double db = sqnr_db(real->outputs[0].data, s.outputs[0].data, (size_t)octet_tensor_count(&s.outputs[0]));
    session_end(&s);
    return db;
}

static void check_network(const network *w, const char *engine, const shared_model *model)
{
    char    engines[32];
    tally   t = { 0 };
    session s, real;
    snprintf(engines, sizeof engines, "%s,native", engine);
    session_begin(&s, w->quantized, &(octet_plan_options){ .engines = engines, .keep_values = true });
    session_run(&s, &w->input);
    const double share = check_nodes(&t, &s, w->quantized, engine, !is_large(model));
    session_end(&s);
    report(&t, engine, model->name);
    print_message("%-35s %5.1f %% of multiply-accumulates\n", "", 100 * share);
    assert_true(t.most <= 1);
    assert_true(share >= (is_cnn(model) ? 0.95 : 0.6));
    if (is_large(model)) return;
    session_begin(&real, w->real, NULL);
    session_run(&real, &w->input);
    const double exact = quality(w, &real, "reference"), there = quality(w, &real, engines);
    session_end(&real);
    print_message("%-35s %.1f dB (reference %.1f)\n", "", there, exact);
    assert_true(there > exact - 8); /* one sample: xnnpack's sums scatter (200 of CIFAR-10: 30.9 to 31.2 dB) */
}

static void test_networks(void **state)
{
    (void)state;
    static const char *const engines[] = { "onednn", "xnnpack" };
    const bool               there[]   = { is_there("onednn"), is_there("xnnpack") };
    for (size_t i = 0; i < SHARED_MODELS; i++) {
        network w;
        if (!load(&w, &shared_models[i])) continue;
        for (int e = 0; e < 2; e++)
            if (there[e]) check_network(&w, engines[e], &shared_models[i]);
        unload(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_on_onednn),
        cmocka_unit_test(test_nodes_on_xnnpack),
        cmocka_unit_test(test_refused_multipliers),
        cmocka_unit_test(test_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
