/* SPDX-License-Identifier: Apache-2.0 */
/* Sequential bias correction: what it takes back, that the integer kernel feels it, and that cutting a network in depth
   changes no level of it. */
#include "models.h"
#include "residual.h"

#include <octet/improve.h>

#include "engine/run.h"
#include "graph/copy.h"
#include "passes/pass.h"
#include "quantize/correct_biases.h"
#include "quantize/walk.h"

/* ---- networks ---- */

static octet_dataset *open_samples(const octet_graph *graph)
{
    octet_dataset *data;
    MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = graph }, &err));
    return data;
}

static void calibrate_as(octet_graph *graph, const octet_qconfig *qconfig)
{
    MUST(octet_fuse(graph, &err));
    octet_dataset *const data = open_samples(graph);
    MUST(octet_prepare(graph, qconfig, &err));
    MUST(octet_calibrate(graph, data, NULL, &err));
    octet_dataset_free(data);
}

static octet_graph *calibrated(void)
{
    octet_graph *const graph = network(1);
    calibrate_as(graph, NULL);
    return graph;
}

static octet_graph *converted_copy(const octet_graph *graph)
{
    octet_graph *copy;
    MUST(octet_graph_copy(&copy, graph, &err));
    MUST(octet_convert(copy, &err));
    return copy;
}

static octet_bias_work correct(octet_graph *graph, int threads)
{
    octet_bias_work      work;
    octet_dataset *const data = open_samples(graph);
    MUST(octet_correct_biases_sequentially(&work, graph, data, &(octet_calibrate_options){ .threads = threads }, &err));
    octet_dataset_free(data);
    return work;
}

/* count convolutions in a row, with Relu between. */
static octet_graph *chain(int count)
{
    random_state r = { 17 };
    octet_graph *graph;
    char         in[24] = "x", out[24], weight[24], bias[24];
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, CHANNELS, SIZE, SIZE }, 4,
                               &err));
    for (int i = 0; i < count; i++) {
        snprintf(weight, sizeof weight, "w%d", i);
        snprintf(bias, sizeof bias, "b%d", i);
        snprintf(out, sizeof out, "conv%d", i);
        add_random(graph, &r, weight, (const int64_t[]){ CHANNELS, CHANNELS, 1, 1 }, 4, between(-0.5f, 1));
        add_random(graph, &r, bias, (const int64_t[]){ CHANNELS }, 1, between(0.1f, 0.4f));
        add_node(graph, "Conv", out, NULL, INPUTS(in, weight, bias));
        snprintf(in, sizeof in, "relu%d", i);
        add_node(graph, "Relu", in, NULL, INPUTS(out));
    }
    MUST(octet_graph_set_output(graph, in, &err));
    return graph;
}

/* ---- looking ---- */

static const octet_tensor *input_of(const octet_graph *graph, const char *node, int slot)
{
    return octet_graph_find_node(graph, node)->inputs[slot]->constant;
}

/* Multiplies a constant of node by factor, as an accident after calibration would. */
static void corrupt(octet_graph *graph, const char *node, int slot, float factor)
{
    octet_node *const n       = octet_graph_find_node(graph, node);
    octet_tensor      wrong   = *n->inputs[slot]->constant;
    float             values[600];
    octet_fake_quantize *const fake = n->inputs[slot]->fake_quantize;
    const int64_t     count   = octet_tensor_count(&wrong);
    assert_in_range(count, 1, 600);
    for (int64_t i = 0; i < count; i++) values[i] = factor * ((const float *)wrong.data)[i];
    wrong.data = values;
    MUST(octet_replace_constant(graph, n, slot, &wrong, &err));
    n->inputs[slot]->fake_quantize = fake;
}

/* SQNR of the outputs against the float network's, over all samples. */
static double output_db(const octet_graph *quantized, octet_graph *plain)
{
    static float       expected[2 * SAMPLES * PIXELS], got[2 * SAMPLES * PIXELS];
    const octet_tensor x = all_samples();
    MUST(octet_graph_verify(plain, &err));
    const size_t n = run_graph(plain, &x, expected, 2 * SAMPLES * PIXELS, NULL);
    assert_int_equal(run_graph(quantized, &x, got, 2 * SAMPLES * PIXELS, NULL), n);
    octet_graph_free(plain);
    return sqnr_db(expected, got, n);
}

static double converted_db(const octet_graph *calibrated_graph)
{
    octet_graph *const quantized = converted_copy(calibrated_graph);
    const double       db        = output_db(quantized, network(1));
    octet_graph_free(quantized);
    return db;
}

/* ---- what it takes back ---- */

static void a_corrupted_bias_is_undone_and_the_file_feels_it(void **state)
{
    (void)state;
    static float       memory[ROOM], file[ROOM], wrong[ROOM];
    const octet_tensor x     = all_samples();
    octet_graph *const clean = calibrated(), *const graph = calibrated();
    corrupt(graph, "conv1", 2, 3);
    octet_graph *const before = converted_copy(graph);
    const double       clean_db = converted_db(clean), wrong_db = converted_db(graph);
    const octet_bias_work work = correct(graph, 2);
    const double       mended_db = converted_db(graph);
    print_message("bias x3: %.1f dB, clean %.1f, corrected %.1f (%zu layers, depth %zu)\n", wrong_db, clean_db,
                  mended_db, work.layers, work.depth);
    assert_true(wrong_db < clean_db - 10);
    assert_true(mended_db > clean_db - 0.5);
    assert_int_equal(work.layers, 4);
    assert_int_equal(work.depth, 4);
    assert_int_equal(work.samples, SAMPLES);
    octet_graph *const quantized = converted_copy(graph), *const again = saved_and_loaded(quantized);
    assert_int_equal(run_graph(before, &x, wrong, ROOM, NULL), ROOM);
    assert_int_equal(run_graph(quantized, &x, memory, ROOM, NULL), ROOM);
    assert_int_equal(run_graph(again, &x, file, ROOM, NULL), ROOM);
    assert_memory_equal(memory, file, sizeof memory);
    assert_true(memcmp(memory, wrong, sizeof memory) != 0);
    octet_graph_free(again);
    octet_graph_free(quantized);
    octet_graph_free(before);
    octet_graph_free(graph);
    octet_graph_free(clean);
}

/* The reference is the network as it was prepared, whatever a step before this one has made of weights and biases. */
static void what_earlier_steps_did_to_weights_is_seen(void **state)
{
    (void)state;
    octet_graph *const graph = calibrated();
    corrupt(graph, "conv2", 1, 0.95f);
    graph->biases_corrected = true;
    const double wrong_db   = converted_db(graph);
    correct(graph, 1);
    const double mended_db = converted_db(graph);
    print_message("weights x0.95: %.1f dB, biases corrected %.1f\n", wrong_db, mended_db);
    assert_true(mended_db > wrong_db + 2);
    octet_graph_free(graph);
}

/* Whole numbers as levels, real output: float and integers agree, and nothing moves. */
static void without_an_error_nothing_changes(void **state)
{
    (void)state;
    enum { COUNT = 8 };
    float         image[COUNT * 4], weights[2 * 4] = { 127, -3, 5, 0, 1, 2, -127, 9 }, bias[2] = { 3, -700 };
    char          path[320];
    octet_graph  *graph;
    octet_dataset *data;
    for (int i = 0; i < COUNT * 4; i++) image[i] = (float)(i % 4 == 0 ? 0 : i % 4 == 1 ? 255 : 37 * i % 256);
    const octet_tensor samples_of = { .dtype = OCTET_F32, .rank = 2, .dims = { COUNT, 4 }, .data = image };
    snprintf(path, sizeof path, "%s/whole.npy", folder);
    write_npy(path, &samples_of);
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, 4 }, 2, &err));
    MUST(octet_graph_add_constant(
        graph, "w", &(octet_tensor){ .dtype = OCTET_F32, .rank = 2, .dims = { 2, 4 }, .data = weights }, &err));
    MUST(octet_graph_add_constant(
        graph, "b", &(octet_tensor){ .dtype = OCTET_F32, .rank = 1, .dims = { 2 }, .data = bias }, &err));
    const octet_attribute linear[] = { { .name = "transB", .i = 1 }, { 0 } };
    add_node(graph, "Gemm", "y", linear, INPUTS("x", "w", "b"));
    MUST(octet_graph_set_output(graph, "y", &err));
    octet_qconfig qconfig     = *octet_qconfig_find("octet");
    qconfig.activation.method = OCTET_METHOD_MINMAX;
    MUST(octet_fuse(graph, &err));
    MUST(octet_dataset_open(&data, path, &(octet_dataset_options){ .graph = graph }, &err));
    MUST(octet_prepare(graph, &qconfig, &err));
    MUST(octet_calibrate(graph, data, NULL, &err));
    MUST(octet_correct_biases(graph, OCTET_BIAS_SEQUENTIAL, data, NULL, &err));
    assert_memory_equal(input_of(graph, "y", 2)->data, bias, sizeof bias);
    corrupt(graph, "y", 2, 1.5f); /* the check can fail */
    MUST(octet_correct_biases(graph, OCTET_BIAS_SEQUENTIAL, data, NULL, &err));
    assert_memory_equal(input_of(graph, "y", 2)->data, bias, sizeof bias);
    unlink(path);
    octet_dataset_free(data);
    octet_graph_free(graph);
}

static void readers_of_one_bias_get_one_each(void **state)
{
    (void)state;
    random_state r = { 29 };
    octet_graph *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, CHANNELS, SIZE, SIZE }, 4,
                               &err));
    add_random(graph, &r, "w", (const int64_t[]){ 4, CHANNELS, 3, 3 }, 4, between(-0.4f, 0.5f));
    add_random(graph, &r, "v", (const int64_t[]){ 4, 4, 3, 3 }, 4, between(-0.4f, 0.5f));
    add_random(graph, &r, "b", (const int64_t[]){ 4 }, 1, between(0.2f, 0.5f));
    add_node(graph, "Conv", "first", NULL, INPUTS("x", "w", "b"));
    add_node(graph, "Relu", "relu", NULL, INPUTS("first"));
    add_node(graph, "Conv", "second", NULL, INPUTS("relu", "v", "b"));
    MUST(octet_graph_set_output(graph, "second", &err));
    calibrate_as(graph, NULL);
    graph->biases_corrected   = true; /* nobody has parted them before */
    const float *const shared = input_of(graph, "first", 2)->data, before = shared[0];
    correct(graph, 2);
    const float *const a = input_of(graph, "first", 2)->data, *const b = input_of(graph, "second", 2)->data;
    assert_true(a != b && a != shared && b != shared);
    assert_true(memcmp(a, b, 4 * sizeof *a) != 0);
    assert_true(shared[0] == before);
    octet_graph_free(graph);
}

/* ---- how ---- */

static void threads_do_not_show(void **state)
{
    (void)state;
    static const char *const layers[] = { "conv1", "conv2", "conv3", "fc" };
    octet_graph *const       one      = calibrated();
    correct(one, 1);
    for (int threads = 2; threads <= 5; threads++) {
        octet_graph *const many = calibrated();
        correct(many, threads);
        for (size_t i = 0; i < 4; i++) {
            const octet_tensor *const a = input_of(one, layers[i], 2), *const b = input_of(many, layers[i], 2);
            assert_memory_equal(a->data, b->data, (size_t)octet_tensor_bytes(a));
        }
        octet_graph_free(many);
    }
    octet_graph_free(one);
}

/* Float once, integers once more than biases moved (not at all, once, or twice where one was far off): at any depth. */
static void every_node_runs_as_often_at_any_depth(void **state)
{
    (void)state;
    for (int depth = 4; depth <= 32; depth *= 2) {
        octet_graph *const graph = chain(depth);
        calibrate_as(graph, NULL);
        const octet_bias_work work = correct(graph, 2);
        const double          runs = (double)work.node_runs / (double)(work.samples * (size_t)depth);
        print_message("depth %d: every node ran %.2f times a sample\n", depth, runs);
        assert_int_equal(work.depth, depth);
        assert_true(runs > 2 && runs <= 4);
        octet_graph_free(graph);
    }
}

static void same_levels(octet_walk *walk, octet_workspace *whole, const octet_segment *segment, size_t sample)
{
    for (size_t i = 0; i < segment->output_count; i++) {
        const octet_kept *const kept  = &walk->kept[segment->outputs[i]->index];
        const octet_tensor      value = octet_workspace_value(whole, segment->outputs[i]);
        const size_t            bytes = (size_t)octet_tensor_bytes(&kept->form);
        assert_non_null(value.data);
        assert_int_equal(value.dtype, kept->form.dtype);
        assert_memory_equal(value.data, kept->stored + sample * bytes, bytes);
    }
}

/* Every segment of a quantized network against the whole, on all samples of data. */
static void check_segments(const octet_graph *quantized, octet_dataset *data)
{
    octet_plan      *plan;
    octet_workspace *whole;
    octet_walk       walk;
    octet_tensor     outputs[16], x = first_sample(data);
    octet_arena *const     arena = octet_arena_new();
    const octet_walk_start start = { .real = quantized, .quantized = quantized, .data = data, .threads = 2,
                                     .memory = 1 << 27 };
    MUST(octet_walk_begin(&walk, &start, arena, &err));
    assert_int_equal(walk.samples, octet_dataset_count(data));
    MUST(octet_plan_create(&plan, quantized, &(octet_plan_options){ .threads = 1, .keep_values = true }, &err));
    MUST(octet_workspace_create(&whole, plan, &err));
    for (size_t k = 0; k < walk.segments.count; k++) {
        MUST(octet_walk_enter(&walk, k, &err));
        MUST(octet_walk_run(&walk, &(octet_walk_pass){ .network = OCTET_WALK_QUANTIZED, .segment = k }, &err));
        for (size_t s = 0; s < walk.samples; s++) {
            MUST(octet_dataset_read(data, s, x.data, NULL, &err));
            MUST(octet_run(whole, &x, outputs, &err));
            same_levels(&walk, whole, &walk.segments.at[k], s);
        }
        octet_walk_leave(&walk, k);
    }
    octet_workspace_free(whole);
    octet_plan_free(plan);
    octet_walk_end(&walk);
    octet_arena_free(arena);
    free(x.data);
}

/* A convolution whose result is an output, too, and so is not summed in the Add that reads it. */
static octet_graph *network_with_a_seen_summand(void)
{
    octet_graph *const graph = network(1);
    MUST(octet_graph_set_output(graph, "conv2", &err));
    return graph;
}

static void segments_equal_the_whole(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        octet_graph  *graph = i < 2 ? residual_network(1, true) : i < 4 ? chain(5) : network_with_a_seen_summand();
        octet_qconfig qconfig = *octet_qconfig_find("octet");
        qconfig.target = i % 2 ? "portable" : "native";
        calibrate_as(graph, &qconfig);
        octet_dataset *const data = open_samples(graph);
        MUST(octet_convert(graph, &err));
        check_segments(graph, data);
        octet_dataset_free(data);
        octet_graph_free(graph);
    }
}

/* Residual sums, one dimension, samples that lie channels last, shuffled channels and several outputs. */
static void segments_equal_real_networks(void **state)
{
    (void)state;
    static const char *const names[] = { "resnet8_cifar10", "resnet8_cifar10_nhwc", "sww_dscnn1d", "fastestdet_coco" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t m = 0; m < SHARED_MODELS; m++) {
            octet_dataset *data;
            if (strcmp(shared_models[m].name, names[i]) != 0) continue;
            octet_graph *const graph = quantize_shared(&shared_models[m], &data, "native", OCTET_METHOD_MINMAX);
            if (!graph) continue;
            check_segments(graph, data);
            octet_dataset_free(data);
            octet_graph_free(graph);
        }
}

/* A Conv summed in an Add is mended where its sum becomes a value, after what it is summed with. */
static void a_summed_layer_is_one_with_its_add(void **state)
{
    (void)state;
    octet_graph *const graph = calibrated(), *const quantized = converted_copy(graph);
    octet_arena *const arena = octet_arena_new();
    octet_segments     segments;
    MUST(octet_segments_find(&segments, quantized, arena, &err));
    assert_int_equal(segments.count, 4);
    assert_int_equal(segments.at[1].site_count, 1);
    assert_string_equal(segments.at[1].sites[0].node->name, "conv2");
    assert_string_equal(segments.at[1].sites[0].value->name, "relu2");
    assert_int_equal(segments.at[1].nodes, 2);
    octet_arena_free(arena);
    octet_graph_free(quantized);
    octet_graph_free(graph);
}

static void what_cannot_be_corrected_is_refused(void **state)
{
    (void)state;
    octet_graph *const   graph = network(1);
    octet_error          wrong = { 0 };
    MUST(octet_fuse(graph, &err));
    octet_dataset *const data = open_samples(graph);
    assert_int_equal(octet_correct_biases(graph, OCTET_BIAS_SEQUENTIAL, data, NULL, &wrong), OCTET_ERR_ARGUMENT);
    calibrate_as(graph, NULL);
    assert_int_equal(octet_correct_biases(graph, OCTET_BIAS_SEQUENTIAL, NULL, NULL, &wrong), OCTET_ERR_ARGUMENT);
    MUST(octet_correct_biases(graph, OCTET_BIAS_SEQUENTIAL, data, NULL, &err));
    const octet_decision last = octet_graph_decision(graph, octet_graph_decision_count(graph) - 1);
    assert_string_equal(last.what, "biases corrected");
    octet_dataset_free(data);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_corrupted_bias_is_undone_and_the_file_feels_it),
        cmocka_unit_test(what_earlier_steps_did_to_weights_is_seen),
        cmocka_unit_test(without_an_error_nothing_changes),
        cmocka_unit_test(readers_of_one_bias_get_one_each),
        cmocka_unit_test(threads_do_not_show),
        cmocka_unit_test(every_node_runs_as_often_at_any_depth),
        cmocka_unit_test(segments_equal_the_whole),
        cmocka_unit_test(segments_equal_real_networks),
        cmocka_unit_test(a_summed_layer_is_one_with_its_add),
        cmocka_unit_test(what_cannot_be_corrected_is_refused),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
