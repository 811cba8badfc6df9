/* SPDX-License-Identifier: Apache-2.0 */
/* Dynamic quantization from a float network to a file and back: the formula of a layer, which nodes take part, equal
   bits on reference and native with any number of threads, the same graph and the same bytes out of a file. */
#include "../residual.h"

#include "graph/graph.h"
#include "graph/op.h"

enum { STEPS = 6, BATCH = 5, WIDTH = 7, HIDDEN = 8, VALUES = STEPS * BATCH * WIDTH };

static float sequences[VALUES];

/* Bidirectional LSTM, its directions side by side, GRU, and a product of three dimensions with a bias. */
static octet_graph *recurrent_network(void)
{
    random_state          r = { 21 };
    const octet_attribute both[] = { { .name = "direction", .s = "bidirectional" }, { 0 } };
    const octet_attribute turn[] = { { .name = "perm", .ints = (const int64_t[]){ 0, 2, 1, 3 }, .count = 4 }, { 0 } };
    const octet_attribute reset[] = { { .name = "linear_before_reset", .i = 1 }, { 0 } };
    const int64_t         shape[] = { 0, 0, 2 * HIDDEN }, first[] = { 1 };
    const octet_tensor    sides = { .dtype = OCTET_I64, .rank = 1, .dims = { 3 }, .data = (void *)(uintptr_t)shape };
    const octet_tensor    axis = { .dtype = OCTET_I64, .rank = 1, .dims = { 1 }, .data = (void *)(uintptr_t)first };
    octet_graph          *graph;
    random_fill(&r, sequences, VALUES, -2, 3);
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ STEPS, BATCH, WIDTH }, 3, &err));
    add_random(graph, &r, "lw", (const int64_t[]){ 2, 4 * HIDDEN, WIDTH }, 3, between(-0.5f, 0.5f));
    add_random(graph, &r, "lr", (const int64_t[]){ 2, 4 * HIDDEN, HIDDEN }, 3, between(-0.4f, 0.6f));
    add_random(graph, &r, "lb", (const int64_t[]){ 2, 8 * HIDDEN }, 2, between(-0.3f, 0.3f));
    add_node(graph, "LSTM", "lstm", both, INPUTS("x", "lw", "lr", "lb"));
    add_node(graph, "Transpose", "turned", turn, INPUTS("lstm"));
    MUST(octet_graph_add_constant(graph, "shape", &sides, &err));
    add_node(graph, "Reshape", "beside", NULL, INPUTS("turned", "shape"));
    add_random(graph, &r, "gw", (const int64_t[]){ 1, 3 * HIDDEN, 2 * HIDDEN }, 3, between(-0.5f, 0.5f));
    add_random(graph, &r, "gr", (const int64_t[]){ 1, 3 * HIDDEN, HIDDEN }, 3, between(-0.5f, 0.5f));
    add_node(graph, "GRU", "gru", reset, INPUTS("beside", "gw", "gr"));
    MUST(octet_graph_add_constant(graph, "one", &axis, &err));
    add_node(graph, "Squeeze", "flat", NULL, INPUTS("gru", "one"));
    add_random(graph, &r, "mw", (const int64_t[]){ HIDDEN, 4 }, 2, between(-1, 1));
    add_random(graph, &r, "mb", (const int64_t[]){ 4 }, 1, between(-1, 1));
    add_node(graph, "MatMul", "product", NULL, INPUTS("flat", "mw"));
    add_node(graph, "Add", "y", NULL, INPUTS("product", "mb"));
    MUST(octet_graph_set_output(graph, "y", &err));
    return graph;
}

/* x of PIXELS numbers a sample: Gemm of a transposed weight, Relu, Gemm without a bias. */
static octet_graph *perceptron(void)
{
    random_state          r = { 31 };
    const octet_attribute turned[] = { { .name = "transB", .i = 1 }, { 0 } };
    octet_graph          *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, PIXELS }, 2, &err));
    add_random(graph, &r, "w1", (const int64_t[]){ 16, PIXELS }, 2, between(-0.2f, 0.2f));
    add_random(graph, &r, "b1", (const int64_t[]){ 16 }, 1, between(-1, 1));
    add_node(graph, "Gemm", "first", turned, INPUTS("x", "w1", "b1"));
    add_node(graph, "Relu", "relu", NULL, INPUTS("first"));
    add_random(graph, &r, "w2", (const int64_t[]){ CLASSES, 16 }, 2, between(-0.5f, 0.5f));
    add_node(graph, "Gemm", "second", turned, INPUTS("relu", "w2"));
    MUST(octet_graph_set_output(graph, "second", &err));
    return graph;
}

static octet_graph *residual(void) { return residual_network(1, true); }

static octet_tensor images(void) { return all_samples(); }
static octet_tensor rows(void)
{
    return (octet_tensor){ .dtype = OCTET_F32, .rank = 2, .dims = { SAMPLES, PIXELS }, .data = samples };
}
static octet_tensor steps(void)
{
    return (octet_tensor){ .dtype = OCTET_F32, .rank = 3, .dims = { STEPS, BATCH, WIDTH }, .data = sequences };
}

typedef struct example {
    const char *name;
    octet_graph *(*make)(void);
    octet_tensor (*input)(void);
    int          layers; /* that become dynamic */
} example;

static const example examples[] = {
    { "perceptron", perceptron, rows, 2 },
    { "residual", residual, images, 4 },
    { "recurrent", recurrent_network, steps, 3 },
};

typedef struct way {
    const char *qconfig;
    double      least_db;
    bool        dynamic;
} way;

static const way ways[] = {
    { "octet_dynamic", 33, true },       { "octet_per_token", 33, true },  { "default_dynamic", 30, true },
    { "per_channel_dynamic", 33, true }, { "float16_dynamic", 65, false },
};

static octet_graph *converted(const example *e, const char *qconfig)
{
    octet_graph *graph = e->make();
    MUST(octet_prepare(graph, octet_qconfig_find(qconfig), &err));
    MUST(octet_calibrate(graph, NULL, NULL, &err));
    MUST(octet_convert(graph, &err));
    return graph;
}

static void assert_modes(const octet_graph *graph, const example *e, const way *w)
{
    int dynamic = 0, told = 0;
    for (const octet_node *n = graph->first; n; n = n->next)
        dynamic += octet_node_compute_mode(graph, n) == OCTET_MODE_DYNAMIC;
    for (size_t i = 0; i < graph->decision_count; i++)
        told += !strcmp(graph->decisions[i].what, w->dynamic ? "dynamic" : "float16");
    assert_int_equal(dynamic, w->dynamic ? e->layers : 0);
    assert_int_equal(told, e->layers);
}

static void assert_runs(const octet_graph *graph, const example *e, const way *w)
{
    static float       expected[ROOM], reference[ROOM], got[ROOM];
    octet_graph *const plain = e->make();
    const octet_tensor x = e->input();
    MUST(octet_graph_verify(plain, &err));
    const size_t n = run_graph(plain, &x, expected, ROOM, NULL);
    assert_int_equal(run_graph(graph, &x, reference, ROOM, &(octet_plan_options){ .engines = "reference" }), n);
    const double db = sqnr_db(expected, reference, n);
    if (!(db > w->least_db)) fail_msg("%s, %s: %.1f dB, at least %.1f wanted", e->name, w->qconfig, db, w->least_db);
    for (int threads = 1; w->dynamic && threads <= 3; threads++) {
        const octet_plan_options on = { .engines = "native", .threads = threads };
        assert_int_equal(run_graph(graph, &x, got, ROOM, &on), n);
        assert_memory_equal(got, reference, n * sizeof *got);
    }
    octet_graph_free(plain);
}

static size_t file_of(char **bytes, const octet_graph *graph)
{
    char path[300];
    snprintf(path, sizeof path, "%s/bytes.onnx", folder);
    MUST(octet_graph_save(graph, path, &err));
    FILE *const f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    const size_t size = (size_t)ftell(f);
    rewind(f);
    *bytes = malloc(size);
    assert_int_equal(fread(*bytes, 1, size, f), size);
    fclose(f);
    unlink(path);
    return size;
}

static void assert_file(const octet_graph *graph, const example *e, const way *w)
{
    static float       expected[ROOM], got[ROOM];
    octet_graph *const again = saved_and_loaded(graph);
    const octet_tensor x = e->input();
    char              *first, *second;
    const size_t       size = file_of(&first, graph);
    assert_int_equal(octet_graph_stage(again), w->dynamic ? OCTET_STAGE_QUANTIZED : OCTET_STAGE_FUSED);
    assert_int_equal(file_of(&second, again), size);
    if (memcmp(first, second, size)) fail_msg("%s, %s: the file read and written again differs", e->name, w->qconfig);
    const size_t n = run_graph(graph, &x, expected, ROOM, &(octet_plan_options){ .engines = "reference" });
    run_graph(again, &x, got, ROOM, &(octet_plan_options){ .engines = "reference" });
    assert_memory_equal(got, expected, n * sizeof *got);
    free(first);
    free(second);
    octet_graph_free(again);
}

static void every_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
            octet_graph *const graph = converted(&examples[i], ways[k].qconfig);
            assert_modes(graph, &examples[i], &ways[k]);
            assert_runs(graph, &examples[i], &ways[k]);
            assert_file(graph, &examples[i], &ways[k]);
            octet_graph_free(graph);
        }
}

/* ---- the formula, of one layer ---- */

/* lo, hi, scale and zero point of n numbers, in double as docs/arithmetic.md says. */
static void range_of(const float *x, size_t n, float *scale, int *zero)
{
    double lo = 0, hi = 0;
    for (size_t i = 0; i < n; i++) {
        lo = fmin(lo, (double)x[i]);
        hi = fmax(hi, (double)x[i]);
    }
    *scale = (float)((hi - lo) / 255);
    *zero = (int)fmin(fmax(rint(-lo * 255 / (hi - lo)), 0), 255);
}

static float expected_at(const octet_graph *graph, const float *row, int channel, float sx, int zx)
{
    const octet_tensor *const w = octet_graph_find_value(graph, "w1")->constant;
    const float *const        b = octet_graph_find_value(graph, "b1")->constant->data;
    int32_t                   sum = 0;
    for (int k = 0; k < PIXELS; k++) {
        const double level = rint((double)(row[k] / sx)) + zx;
        sum += ((int)fmin(fmax(level, 0), 255) - zx) * ((const int8_t *)w->data)[channel * PIXELS + k];
    }
    const float product = (float)sum * (float)((double)sx * (double)w->qparams->scale[channel]);
    const float y = product + b[channel];
    return y < 0 ? 0 : y;
}

static void formula(void **state)
{
    (void)state;
    static float y[SAMPLES * 16];
    for (int by_row = 0; by_row < 2; by_row++) {
        octet_graph *const graph = perceptron();
        float              sx;
        int                zx;
        graph->outputs[0]->is_output = false; /* the first layer's result, clamped, is the network's */
        graph->outputs[0] = octet_graph_find_value(graph, "relu");
        graph->outputs[0]->is_output = true;
        MUST(octet_prepare(graph, octet_qconfig_find(by_row ? "octet_per_token" : "octet_dynamic"), &err));
        MUST(octet_calibrate(graph, NULL, NULL, &err));
        MUST(octet_convert(graph, &err));
        const octet_tensor x = rows();
        assert_int_equal(run_graph(graph, &x, y, SAMPLES * 16, NULL), SAMPLES * 16);
        range_of(samples, SAMPLES * PIXELS, &sx, &zx);
        for (int n = 0; n < SAMPLES; n++) {
            if (by_row) range_of(samples + n * PIXELS, PIXELS, &sx, &zx);
            for (int c = 0; c < 16; c++)
                assert_true(y[n * 16 + c] == expected_at(graph, samples + n * PIXELS, c, sx, zx));
        }
        octet_graph_free(graph);
    }
}

/* Zeros, not-a-numbers and numbers too small for a scale give the bias. */
static void odd_inputs(void **state)
{
    (void)state;
    static float             x[PIXELS], y[CLASSES], zeros[CLASSES];
    octet_graph *const       graph = converted(&examples[0], "octet_dynamic");
    const octet_tensor       in = { .dtype = OCTET_F32, .rank = 2, .dims = { 1, PIXELS }, .data = x };
    const octet_plan_options on = { .engines = "reference" };
    run_graph(graph, &in, zeros, CLASSES, &on);
    for (int kind = 0; kind < 3; kind++) {
        for (int i = 0; i < PIXELS; i++) x[i] = kind == 0 ? 1e-41f : kind == 1 ? 3e-37f * (float)(i % 3) : NAN;
        run_graph(graph, &in, y, CLASSES, &on);
        assert_memory_equal(y, zeros, sizeof y);
    }
    octet_graph_free(graph);
}

/* octet's static quantization makes recurrences dynamic, and says so; a rule keeps them float. */
static void recurrences_by_default(void **state)
{
    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        const octet_layer_rule rule = { .match = "*lstm*", .keep_float = true };
        octet_qconfig          qconfig = *octet_qconfig_find("octet");
        octet_graph           *graph = recurrent_network();
        int                    dynamic = 0, told = 0;
        qconfig.activation.off = false;
        qconfig.activation.method = OCTET_METHOD_MINMAX;
        qconfig.layers = &rule;
        qconfig.layer_count = (size_t)keep;
        MUST(octet_fuse(graph, &err));
        for (octet_node *n = graph->first; n; n = n->next)
            if (!strcmp(n->op->name, "LSTM")) n->name = "the_lstm";
        MUST(octet_prepare(graph, &qconfig, &err));
        for (const octet_node *n = graph->first; n; n = n->next) dynamic += n->dynamic == OCTET_DYNAMIC_ROW;
        for (size_t i = 0; i < graph->decision_count; i++) told += !strcmp(graph->decisions[i].what, "dynamic");
        assert_int_equal(dynamic, 2 - keep);
        assert_int_equal(told, 2 - keep);
        octet_graph_free(graph);
    }
}

/* As the command line does it: on a copy, which alone changes. */
static void whole_road(void **state)
{
    (void)state;
    octet_graph *const           plain = recurrent_network();
    const octet_quantize_options how = { .qconfig = octet_qconfig_find("octet_dynamic") };
    octet_graph                 *graph;
    int                          dynamic = 0;
    MUST(octet_quantize(&graph, plain, NULL, &how, NULL, &err));
    for (const octet_node *n = graph->first; n; n = n->next)
        dynamic += octet_node_compute_mode(graph, n) == OCTET_MODE_DYNAMIC;
    assert_int_equal(dynamic, 3);
    for (const octet_value *v = plain->values; v; v = v->next) assert_null(v->fake_quantize);
    octet_graph_free(graph);
    octet_graph_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way),
        cmocka_unit_test(formula),
        cmocka_unit_test(odd_inputs),
        cmocka_unit_test(recurrences_by_default),
        cmocka_unit_test(whole_road),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
