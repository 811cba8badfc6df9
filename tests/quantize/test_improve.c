/* SPDX-License-Identifier: Apache-2.0 */
/* octet_quantize: without steps it is prepare, calibrate, convert; a step stays only where held-back samples say so,
   and one that does not leaves the same bytes behind as if it had never been tried. */
#include "residual.h"

enum { BYTES = 1 << 20, TEXT = 1 << 16 };

static const octet_quantize_options every_step = { .equalize        = true,
                                                   .bias_correction = OCTET_BIAS_SEQUENTIAL,
                                                   .rounding        = OCTET_ROUND_FEEDBACK };

static octet_dataset *open_samples(const octet_graph *graph, size_t limit)
{
    octet_dataset *data;
    MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = graph, .limit = limit }, &err));
    return data;
}

/* The file that graph becomes. */
static size_t bytes_of(unsigned char *bytes, const octet_graph *graph)
{
    char file[300];
    snprintf(file, sizeof file, "%s/bytes.onnx", folder);
    MUST(octet_graph_save(graph, file, &err));
    FILE *const stream = fopen(file, "rb");
    assert_non_null(stream);
    const size_t size = fread(bytes, 1, BYTES, stream);
    fclose(stream);
    unlink(file);
    assert_true(size > 0 && size < BYTES);
    return size;
}

static void assert_same_files(const octet_graph *a, const octet_graph *b)
{
    static unsigned char bytes[2][BYTES];
    const size_t         size = bytes_of(bytes[0], a);
    assert_int_equal(bytes_of(bytes[1], b), size);
    assert_memory_equal(bytes[0], bytes[1], size);
}

static void without_steps_it_is_the_plain_way(void **state)
{
    (void)state;
    octet_graph *by_hand = residual_network(1, true), *real = residual_network(1, true), *quantized;
    octet_step_gains gains = { .count = 9 };
    MUST(quantize(by_hand, NULL, 1, &err));
    octet_dataset *const data = open_samples(real, 0);
    MUST(octet_quantize(&quantized, real, data, NULL, &gains, &err));
    assert_int_equal(gains.count, 0);
    assert_same_files(quantized, by_hand);
    octet_graph_free(quantized);
    octet_dataset_free(data);
    octet_graph_free(real);
    octet_graph_free(by_hand);
}

/* Output SQNR against real on the samples that judge. */
static double judged_db(octet_graph *quantized, octet_graph *real, const octet_dataset *data, size_t held_back)
{
    octet_dataset *judge;
    octet_scores   scores[2];
    MUST(octet_dataset_part(&judge, data, held_back, false, &err));
    MUST(octet_evaluate(scores, quantized, real, judge, NULL, &err));
    octet_dataset_free(judge);
    return scores[0].sqnr_db;
}

static bool is_recorded(const octet_graph *graph, const octet_step_gain *gain)
{
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++) {
        const octet_decision d = octet_graph_decision(graph, i);
        if (!strcmp(d.node, gain->step)) return !strcmp(d.what, gain->kept ? "kept" : "left out");
    }
    return false;
}

/* Weights of few bits, so that rounding matters. */
static octet_qconfig few_bits(void)
{
    octet_qconfig qconfig = *octet_qconfig_find("octet");
    MUST(octet_qconfig_bits(&qconfig, "s4", NULL, &err));
    return qconfig;
}

/* Two convolutions: every weight is read at many places, so that few samples say what rounding does. */
static octet_graph *two_convolutions(void)
{
    random_state r = { 7 };
    octet_graph *graph;
    MUST(octet_graph_new(&graph, &err));
    const int64_t dims[] = { OCTET_DIM_FREE, CHANNELS, SIZE, SIZE };
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    add_random(graph, &r, "w1", (const int64_t[]){ 8, CHANNELS, 3, 3 }, 4, between(-0.4f, 0.5f));
    add_node(graph, "Conv", "conv1", NULL, INPUTS("x", "w1"));
    add_node(graph, "Relu", "relu", NULL, INPUTS("conv1"));
    add_random(graph, &r, "w2", (const int64_t[]){ 4, 8, 3, 3 }, 4, between(-0.2f, 0.3f));
    add_node(graph, "Conv", "conv2", NULL, INPUTS("relu", "w2"));
    MUST(octet_graph_set_output(graph, "conv2", &err));
    return graph;
}

static void steps_stay_where_they_measure_better(void **state)
{
    static const size_t held_back[] = { 4, 2, 6 };
    const octet_qconfig qconfig     = few_bits();
    (void)state;
    for (size_t i = 0; i < sizeof held_back / sizeof *held_back; i++) {
        octet_graph *const     real    = two_convolutions();
        octet_dataset *const   data    = open_samples(real, 0);
        octet_quantize_options options = every_step, none = { .qconfig = &qconfig };
        octet_step_gains       gains;
        octet_graph           *quantized, *plain;
        size_t                 kept = 0;
        options.qconfig             = &qconfig;
        options.held_back           = held_back[i];
        MUST(octet_quantize(&quantized, real, data, &options, &gains, &err));
        MUST(octet_quantize(&plain, real, data, &none, NULL, &err));
        assert_int_equal(gains.count, OCTET_STEPS);
        double db = judged_db(plain, real, data, held_back[i]);
        for (size_t s = 0; s < gains.count; s++) {
            const octet_step_gain *const g = &gains.at[s];
            print_message("%-14s %.2f -> %.2f dB, gains %.2f\n", g->step, g->before_db, g->after_db, g->gain_db);
            assert_true(fabs(g->before_db - db) < 1e-6);
            assert_true(g->kept == (g->gain_db >= 0.1));
            assert_true(is_recorded(quantized, g));
            if (g->kept) db = g->after_db;
            kept += g->kept;
        }
        assert_true(kept > 0); /* 4 bits: rounding alone is worth several dB */
        assert_true(fabs(judged_db(quantized, real, data, held_back[i]) - db) < 1e-6);
        octet_graph_free(plain);
        octet_graph_free(quantized);
        octet_dataset_free(data);
        octet_graph_free(real);
    }
}

/* A network that int8 holds exactly: nothing can measure better. */
static octet_graph *exact_network(void)
{
    octet_graph *graph;
    const float  one[]  = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };
    const octet_tensor w = { .dtype = OCTET_F32, .rank = 4, .dims = { 3, 3, 1, 1 }, .data = (void *)(uintptr_t)one };
    const int64_t      dims[] = { OCTET_DIM_FREE, CHANNELS, SIZE, SIZE };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    MUST(octet_graph_add_constant(graph, "w", &w, &err));
    add_node(graph, "Conv", "conv", NULL, INPUTS("x", "w"));
    MUST(octet_graph_set_output(graph, "conv", &err));
    return graph;
}

static void what_does_not_help_leaves_nothing_behind(void **state)
{
    (void)state;
    octet_graph *const   real = exact_network();
    octet_dataset *const data = open_samples(real, 0);
    octet_step_gains     gains;
    octet_graph         *quantized, *plain;
    MUST(octet_quantize(&quantized, real, data, &every_step, &gains, &err));
    MUST(octet_quantize(&plain, real, data, NULL, NULL, &err));
    assert_int_equal(gains.count, OCTET_STEPS);
    for (size_t s = 0; s < gains.count; s++) assert_false(gains.at[s].kept);
    assert_same_files(quantized, plain);
    octet_graph_free(plain);
    octet_graph_free(quantized);
    octet_dataset_free(data);
    octet_graph_free(real);
}

static void the_float_network_stays(void **state)
{
    (void)state;
    octet_graph *const   real = residual_network(1, true);
    octet_dataset *const data = open_samples(real, 0);
    const char          *text;
    static char          before[TEXT];
    octet_graph         *quantized;
    MUST(octet_fuse(real, &err));
    MUST(octet_graph_print(real, &text, &err));
    snprintf(before, sizeof before, "%s", text);
    MUST(octet_quantize(&quantized, real, data, &every_step, NULL, &err));
    MUST(octet_graph_print(real, &text, &err));
    assert_string_equal(before, text);
    octet_graph_free(real); /* the result does not need it */
    octet_dataset_free(data);
    octet_graph_free(saved_and_loaded(quantized));
    octet_graph_free(quantized);
}

static int stop_at_once(void *context, const octet_progress *progress)
{
    (void)context;
    (void)progress;
    return 1;
}

static void refusals_leave_no_graph(void **state)
{
    (void)state;
    octet_graph *const     real    = network(1);
    octet_dataset         *data    = open_samples(real, 1);
    octet_quantize_options options = every_step;
    octet_graph           *quantized;
    octet_error            why = { 0 };
    assert_int_equal(octet_quantize(&quantized, real, data, &options, NULL, &why), OCTET_ERR_ARGUMENT);
    assert_null(quantized);
    assert_non_null(strstr(why.text, "1 samples, one in 4 held back"));
    octet_dataset_free(data);
    data                       = open_samples(real, 0);
    options.calibrate.progress = stop_at_once;
    why                        = (octet_error){ 0 };
    assert_int_equal(octet_quantize(&quantized, real, data, &options, NULL, &why), OCTET_ERR_ARGUMENT);
    assert_null(quantized);
    assert_string_equal(why.text, "interrupted");
    octet_dataset_free(data);
    octet_graph_free(real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_steps_it_is_the_plain_way),
        cmocka_unit_test(steps_stay_where_they_measure_better),
        cmocka_unit_test(what_does_not_help_leaves_nothing_behind),
        cmocka_unit_test(the_float_network_stays),
        cmocka_unit_test(refusals_leave_no_graph),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
