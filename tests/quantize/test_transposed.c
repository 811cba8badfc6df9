/* SPDX-License-Identifier: Apache-2.0 */
/* A decoder of ConvTranspose, in groups and with batch norm, and a network in three dimensions, all the way to
   integers: one scale per output channel (which upstream refuses), every engine the bits of the reference, a file that
   means the same. */
#include "residual.h"

#include "graph/graph.h"
#include "graph/op.h"

static const int64_t two[] = { 2, 2, 2 }, one[] = { 1, 1, 1, 1, 1, 1 };

static octet_attribute ints(const char *name, const int64_t *at, size_t count)
{
    return (octet_attribute){ .name = name, .ints = at, .count = count };
}

/* conv (stride 2), up (2 groups), + skip, relu, out (output_padding, odd kernel). bias_scale spreads up's biases. */
static octet_graph *decoder(float bias_scale)
{
    random_state r = { 8 };
    octet_graph *graph;
    const octet_attribute down[] = { ints("strides", two, 2), ints("pads", one, 4), { 0 } };
    const octet_attribute up[] = { ints("strides", two, 2), ints("pads", one, 4), { .name = "group", .i = 2 }, { 0 } };
    const octet_attribute last[] = { ints("strides", two, 2), ints("pads", one, 4), ints("output_padding", one, 2),
                                     { 0 } };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, CHANNELS, SIZE, SIZE }, 4,
                               &err));
    add_random(graph, &r, "w1", (const int64_t[]){ 8, CHANNELS, 3, 3 }, 4, between(-0.4f, 0.5f));
    add_node(graph, "Conv", "conv", down, INPUTS("x", "w1"));
    add_batch_norm(graph, &r, "norm1", "conv");
    add_node(graph, "Relu", "relu1", NULL, INPUTS("norm1"));
    add_random(graph, &r, "w2", (const int64_t[]){ 8, 4, 4, 4 }, 4, between(-0.3f, 0.3f));
    add_random(graph, &r, "b2", (const int64_t[]){ 8 }, 1, between(-bias_scale, bias_scale));
    add_node(graph, "ConvTranspose", "up", up, INPUTS("relu1", "w2", "b2"));
    add_batch_norm(graph, &r, "norm2", "up");
    add_random(graph, &r, "w3", (const int64_t[]){ 8, CHANNELS, 1, 1 }, 4, between(-0.5f, 0.5f));
    add_node(graph, "Conv", "skip", NULL, INPUTS("x", "w3"));
    add_node(graph, "Relu", "relu_skip", NULL, INPUTS("skip"));
    add_node(graph, "Add", "sum", NULL, INPUTS("norm2", "relu_skip"));
    add_node(graph, "Relu", "relu2", NULL, INPUTS("sum"));
    add_random(graph, &r, "w4", (const int64_t[]){ 8, 5, 3, 3 }, 4, between(-0.3f, 0.3f));
    add_node(graph, "ConvTranspose", "out", last, INPUTS("relu2", "w4"));
    MUST(octet_graph_set_output(graph, "out", &err));
    return graph;
}

static octet_graph *cube(float bias_scale)
{
    random_state r = { 9 };
    octet_graph *graph;
    const octet_attribute same[] = { ints("pads", one, 6), { 0 } }, halves[] = { ints("strides", two, 3), { 0 } };
    const octet_attribute pool[] = { ints("kernel_shape", two, 3), ints("strides", two, 3), { 0 } };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, CHANNELS, SIZE, SIZE }, 4,
                               &err));
    add_ints(graph, "shape", (const int64_t[]){ -1, CHANNELS, 4, 4, 4 }, 5);
    add_node(graph, "Reshape", "cubes", NULL, INPUTS("x", "shape"));
    add_random(graph, &r, "w1", (const int64_t[]){ 8, CHANNELS, 3, 3, 3 }, 5, between(-0.3f, 0.3f));
    add_random(graph, &r, "b1", (const int64_t[]){ 8 }, 1, between(-bias_scale, bias_scale));
    add_node(graph, "Conv", "conv", same, INPUTS("cubes", "w1", "b1"));
    add_batch_norm(graph, &r, "norm1", "conv");
    add_node(graph, "Relu", "relu1", NULL, INPUTS("norm1"));
    add_node(graph, "MaxPool", "pool", pool, INPUTS("relu1"));
    add_random(graph, &r, "w2", (const int64_t[]){ 8, 8, 2, 2, 2 }, 5, between(-0.3f, 0.3f));
    add_node(graph, "ConvTranspose", "up", halves, INPUTS("pool", "w2"));
    add_batch_norm(graph, &r, "norm2", "up");
    add_node(graph, "Relu", "relu2", NULL, INPUTS("norm2"));
    add_random(graph, &r, "w3", (const int64_t[]){ 4, 8, 3, 3, 3 }, 5, between(-0.3f, 0.3f));
    add_node(graph, "Conv", "out", same, INPUTS("relu2", "w3"));
    MUST(octet_graph_set_output(graph, "out", &err));
    return graph;
}

enum { MOST = SAMPLES * 5 * 16 * 16 };
static float plain[MOST], got[MOST], again[MOST];

static size_t run_all(const octet_graph *graph, float *to, const char *engines)
{
    const octet_tensor x = all_samples();
    return run_graph(graph, &x, to, MOST, &(octet_plan_options){ .engines = engines, .threads = 2 });
}

static double db_of(octet_graph *real, const octet_graph *quantized)
{
    MUST(octet_graph_verify(real, &err));
    const size_t n = run_all(real, plain, NULL);
    assert_int_equal(run_all(quantized, got, NULL), n);
    return sqnr_db(plain, got, n);
}

static void check_network(octet_graph *(*make)(float bias_scale), bool per_channel)
{
    octet_graph *const graph = make(0.5f), *const real = make(0.5f);
    octet_qconfig      qconfig = *octet_qconfig_find("octet");
    qconfig.weight.per_channel = per_channel;
    MUST(quantize(graph, &qconfig, 2, &err));
    for (const octet_node *n = graph->first; n; n = n->next) {
        assert_int_not_equal(octet_node_compute_mode(graph, n), OCTET_MODE_REAL);
        if (strcmp(n->op->name, "ConvTranspose") != 0) continue;
        const octet_qparams *const w = n->inputs[1]->constant->qparams;
        assert_int_equal(w->count, per_channel ? n->inputs[1]->constant->dims[1] : 1);
        assert_int_equal(w->axis, per_channel);
    }
    const double db = db_of(real, graph);
    print_message("%s weights: %.1f dB\n", per_channel ? "per-channel" : "per-tensor", db);
    assert_true(db > 30 && db < 60);
    const size_t n = run_all(graph, again, "reference");
    assert_memory_equal(again, got, n * sizeof *got);
    octet_graph *const loaded = saved_and_loaded(graph);
    run_all(loaded, again, NULL);
    assert_memory_equal(again, got, n * sizeof *got);
    octet_graph_free(loaded);
    octet_graph_free(graph);
    octet_graph_free(real);
}

static void all_the_way_to_integers(void **state)
{
    (void)state;
    for (int per_channel = 0; per_channel < 2; per_channel++) {
        check_network(decoder, per_channel);
        check_network(cube, per_channel);
    }
}

/* Two groups of channels share a scale: the larger bias of the two decides. */
static void a_large_bias_raises_the_scale_of_its_channels(void **state)
{
    (void)state;
    octet_graph *const graph = decoder(1e9f);
    MUST(quantize(graph, NULL, 1, &err));
    bool told = false;
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++)
        told = told || !strcmp(octet_graph_decision(graph, i).what, "weight scale raised");
    assert_true(told);
    const octet_node *const up = octet_graph_find_node(graph, "up");
    const int32_t *const    bias = up->inputs[2]->constant->data;
    for (int c = 0; c < 8; c++) assert_in_range(abs(bias[c]), 1, 1 << 30);
    octet_graph_free(graph);
}

/* 4096 inputs of 20 taps each: 4096 * 20 * 127 * 255 is over 2^31; in two groups it is half of that. */
static octet_status quantize_wide(int64_t groups, octet_error *error)
{
    enum { INPUTS_OF = 4096, TAPS = 20 };
    static float         image[2 * INPUTS_OF], weights[INPUTS_OF * TAPS];
    char                 path[300];
    octet_graph         *graph;
    octet_dataset       *data;
    const octet_tensor   x = { .dtype = OCTET_F32, .rank = 4, .dims = { 2, INPUTS_OF, 1, 1 }, .data = image };
    const octet_tensor   w = { .dtype = OCTET_F32, .rank = 4, .dims = { INPUTS_OF, 1, 4, 5 }, .data = weights };
    const octet_attribute attributes[] = { { .name = "group", .i = groups }, { 0 } };
    for (int i = 0; i < 2 * INPUTS_OF; i++) image[i] = (float)(i % 7);
    for (int i = 0; i < INPUTS_OF * TAPS; i++) weights[i] = 0.5f;
    snprintf(path, sizeof path, "%s/wide.npy", folder);
    write_npy(path, &x);
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, INPUTS_OF, 1, 1 }, 4, &err));
    MUST(octet_graph_add_constant(graph, "w", &w, &err));
    add_node(graph, "ConvTranspose", "y", attributes, INPUTS("x", "w"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_fuse(graph, &err));
    MUST(octet_dataset_open(&data, path, &(octet_dataset_options){ .graph = graph }, &err));
    MUST(octet_prepare(graph, NULL, &err));
    MUST(octet_calibrate(graph, data, NULL, &err));
    const octet_status status = octet_convert(graph, error);
    octet_dataset_free(data);
    octet_graph_free(graph);
    unlink(path);
    return status;
}

static void sums_that_could_leave_32_bits_are_refused_by_name(void **state)
{
    (void)state;
    octet_error error = { 0 };
    assert_int_equal(quantize_wide(1, &error), OCTET_ERR_UNSUPPORTED);
    assert_string_equal(error.node, "y");
    MUST(quantize_wide(2, &err));
}

/* Equalization, rounding and bias correction leave a ConvTranspose alone or do it good. */
static void every_step_takes_it(void **state)
{
    (void)state;
    octet_graph *(*const make[])(float bias_scale) = { decoder, cube };
    for (int i = 0; i < 2; i++) {
        octet_graph   *quantized, *const graph = make[i](0.5f), *const real = make[i](0.5f);
        octet_dataset *data;
        MUST(octet_fuse(graph, &err));
        MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = graph }, &err));
        const octet_quantize_options options = { .equalize = true, .rounding = OCTET_ROUND_FEEDBACK,
                                                 .bias_correction = OCTET_BIAS_SEQUENTIAL };
        MUST(octet_quantize(&quantized, graph, data, &options, NULL, &err));
        const double db = db_of(real, quantized);
        print_message("every step: %.1f dB\n", db);
        assert_true(db > 30);
        octet_dataset_free(data);
        octet_graph_free(quantized);
        octet_graph_free(graph);
        octet_graph_free(real);
    }
}

/* Nearest moves levels, linear has a range of its own; a batch norm behind it is no pool. */
static octet_graph *upsampler(const char *mode)
{
    random_state r = { 10 };
    octet_graph *graph;
    float        scales[] = { 1, 1, 2, 2 };
    const octet_tensor    twice = { .dtype = OCTET_F32, .rank = 1, .dims = { 4 }, .data = scales };
    const octet_attribute resize[] = { { .name = "mode", .s = mode }, { 0 } };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, CHANNELS, SIZE, SIZE }, 4,
                               &err));
    MUST(octet_graph_add_constant(graph, "scales", &twice, &err));
    add_random(graph, &r, "w1", (const int64_t[]){ 8, CHANNELS, 3, 3 }, 4, between(-0.4f, 0.5f));
    add_node(graph, "Conv", "conv", NULL, INPUTS("x", "w1"));
    add_node(graph, "Resize", "up", resize, INPUTS("conv", "", "scales"));
    add_batch_norm(graph, &r, "norm", "up");
    add_node(graph, "Relu", "relu", NULL, INPUTS("norm")); /* else the Conv behind would take the batch norm up */
    add_random(graph, &r, "w2", (const int64_t[]){ 4, 8, 3, 3 }, 4, between(-0.3f, 0.3f));
    add_node(graph, "Conv", "out", NULL, INPUTS("relu", "w2"));
    MUST(octet_graph_set_output(graph, "out", &err));
    return graph;
}

static void nearest_shares_and_batch_norm_does_not(void **state)
{
    (void)state;
    static const char *const targets[] = { "native", "torch-1.13" };
    for (int i = 0; i < 4; i++) {
        const bool         nearest = i % 2;
        octet_graph *const graph = upsampler(nearest ? "nearest" : "linear");
        octet_qconfig      qconfig = *octet_qconfig_find("octet");
        qconfig.target = targets[i / 2];
        MUST(quantize(graph, &qconfig, 1, &err));
        const octet_node *const up = octet_graph_find_node(graph, "up");
        const octet_node *const norm = octet_graph_find_node(graph, "norm");
        assert_int_equal(octet_node_compute_mode(graph, norm), OCTET_MODE_INTEGER);
        const octet_fake_quantize *const in = up->inputs[0]->fake_quantize, *const out = up->outputs[0]->fake_quantize;
        assert_int_equal(in == out, nearest || i / 2);
        assert_ptr_not_equal(norm->inputs[0]->fake_quantize, norm->outputs[0]->fake_quantize);
        if (!(i / 2)) {
            octet_graph *const real = upsampler(nearest ? "nearest" : "linear");
            const double db = db_of(real, graph);
            print_message("%s: %.1f dB\n", nearest ? "nearest" : "linear", db);
            assert_true(db > 30);
            octet_graph_free(real);
        }
        octet_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_the_way_to_integers),
        cmocka_unit_test(a_large_bias_raises_the_scale_of_its_channels),
        cmocka_unit_test(sums_that_could_leave_32_bits_are_refused_by_name),
        cmocka_unit_test(every_step_takes_it),
        cmocka_unit_test(nearest_shares_and_batch_norm_does_not),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
