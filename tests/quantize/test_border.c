/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs and outputs that are levels: the network that takes and gives them is the network of real numbers with its
   first and last rounding done by the caller, here by loops written out; its file says so and is read as the same. */
#include "../residual.h"

#include "graph/graph.h"

#include <math.h>

enum { LEVELS = CHANNELS * SIZE * SIZE };

static octet_graph *exposed(octet_dtype input, octet_dtype output)
{
    octet_graph  *graph   = residual_network(1, true);
    octet_qconfig qconfig = *octet_qconfig_find("octet");
    qconfig.input = input, qconfig.output = output;
    MUST(quantize(graph, &qconfig, 1, &err));
    MUST(octet_expose_levels(graph, input != OCTET_NONE, output != OCTET_NONE, &err));
    return graph;
}

static void run(void *out, const octet_graph *graph, octet_dtype dtype, void *in, bool reals)
{
    octet_plan      *plan;
    octet_workspace *ws;
    octet_tensor     output;
    const octet_tensor input = { .dtype = dtype, .rank = 4, .dims = { 1, CHANNELS, SIZE, SIZE }, .data = in };
    MUST(octet_plan_create(&plan, graph, &(octet_plan_options){ .threads = 1, .reals = reals }, &err));
    MUST(octet_workspace_create(&ws, plan, &err));
    MUST(octet_run(ws, &input, &output, &err));
    memcpy(out, output.data, (size_t)octet_tensor_bytes(&output));
    octet_workspace_free(ws);
    octet_plan_free(plan);
}

/* Levels of either type, as bytes. */
static void make_levels(uint8_t *level, const float *x, size_t count, const octet_qparams *q)
{
    for (size_t i = 0; i < count; i++) {
        const double nearest = rint((double)(x[i] / q->scale[0])) + q->zero_point[0];
        level[i] = (uint8_t)(int)fmin(fmax(nearest, q->qmin), q->qmax);
    }
}

static float real_of(uint8_t level, const octet_qparams *q)
{
    const int value = q->dtype == OCTET_U8 ? level : (int8_t)level;
    return (float)(value - q->zero_point[0]) * q->scale[0];
}

static void check_one(const octet_graph *graph, float *x)
{
    const octet_port in = octet_graph_input(graph, 0), out = octet_graph_output(graph, 0);
    uint8_t          levels[LEVELS], given[CLASSES];
    float            reals[CLASSES];
    make_levels(levels, x, LEVELS, &in.levels);
    run(given, graph, in.dtype, levels, false);
    run(reals, graph, OCTET_F32, x, true);
    for (int i = 0; i < CLASSES; i++) assert_true(reals[i] == real_of(given[i], &out.levels));
}

static void test_levels_are_the_same_network(void **state)
{
    (void)state;
    static const octet_dtype types[] = { OCTET_U8, OCTET_I8 };
    for (int t = 0; t < 2; t++) {
        octet_graph *const graph = exposed(types[t], types[t]);
        const octet_port   in = octet_graph_input(graph, 0), out = octet_graph_output(graph, 0);
        assert_int_equal(in.dtype, types[t]);
        assert_int_equal(out.dtype, types[t]);
        assert_int_equal(in.levels.qmax - in.levels.qmin, 255);
        for (int s = 0; s < SAMPLES; s++) check_one(graph, samples + s * PIXELS);
        octet_graph_free(graph);
    }
}

/* With one side of levels the other is as before: real numbers that nobody rounds. */
static void test_sides_alone(void **state)
{
    (void)state;
    octet_graph *const input = exposed(OCTET_U8, OCTET_NONE), *const neither = exposed(OCTET_NONE, OCTET_NONE);
    const octet_port   in    = octet_graph_input(input, 0);
    assert_int_equal(octet_graph_output(input, 0).dtype, OCTET_F32);
    assert_int_equal(octet_graph_output(input, 0).levels.count, 0);
    for (int s = 0; s < SAMPLES; s++) {
        uint8_t levels[LEVELS];
        float   a[CLASSES], b[CLASSES];
        make_levels(levels, samples + s * PIXELS, LEVELS, &in.levels);
        run(a, input, OCTET_U8, levels, false);
        run(b, neither, OCTET_F32, samples + s * PIXELS, false);
        assert_memory_equal(a, b, sizeof a);
    }
    octet_graph_free(input);
    octet_graph_free(neither);
}

static void test_file(void **state)
{
    (void)state;
    octet_graph *const graph = exposed(OCTET_U8, OCTET_I8), *const again = saved_and_loaded(graph);
    const octet_port   in = octet_graph_input(again, 0), out = octet_graph_output(again, 0);
    assert_string_equal(in.name, "x");
    assert_string_equal(out.name, "fc");
    assert_int_equal(in.dtype, OCTET_U8);
    assert_int_equal(out.dtype, OCTET_I8);
    assert_int_equal(octet_graph_node_count(again), octet_graph_node_count(graph));
    for (int s = 0; s < SAMPLES; s++) {
        uint8_t levels[LEVELS], a[CLASSES], b[CLASSES];
        make_levels(levels, samples + s * PIXELS, LEVELS, &in.levels);
        run(a, graph, OCTET_U8, levels, false);
        run(b, again, OCTET_U8, levels, false);
        assert_memory_equal(a, b, sizeof a);
    }
    octet_graph_free(graph);
    octet_graph_free(again);
}

static void test_refusals(void **state)
{
    (void)state;
    octet_error   why     = { 0 };
    octet_graph  *graph   = residual_network(1, true);
    octet_qconfig qconfig = *octet_qconfig_find("octet");
    assert_int_equal(octet_expose_levels(graph, true, false, &why), OCTET_ERR_ARGUMENT);
    qconfig.input = OCTET_I16;
    why = (octet_error){ 0 };
    assert_int_equal(quantize(graph, &qconfig, 1, &why), OCTET_ERR_ARGUMENT);
    assert_non_null(strstr(why.text, "u8 or s8"));
    octet_graph_free(graph);
    graph = exposed(OCTET_U8, OCTET_NONE); /* whose output stays real */
    why   = (octet_error){ 0 };
    assert_int_equal(octet_expose_levels(graph, false, true, &why), OCTET_ERR_UNSUPPORTED);
    assert_non_null(strstr(why.text, "output 'fc' cannot be levels"));
    octet_graph_free(graph);
}

/* ---- bytes that are levels ---- */

static void test_recipes(void **state)
{
    (void)state;
    static const struct {
        octet_recipe recipe;
        bool         exact;
        float        scale;
        int32_t      zero_point;
    } cases[] = {
        { { true, .scale = 1, .channels = 1, .std = { 1 } }, true, 1, 0 },
        { { true, .scale = 1.0 / 255, .channels = 1, .std = { 1 } }, true, (float)(1.0 / 255), 0 },
        { { true, .scale = 1, .channels = 1, .mean = { 128 }, .std = { 64 } }, true, 1.0f / 64, 128 },
        { { true, .scale = 1.0 / 127.5, .channels = 1, .mean = { 1 }, .std = { 1 } }, false, 0, 0 }, /* at 127.5 */
        { { true, .scale = 1, .channels = 3, .mean = { 104, 117, 123 }, .std = { 1, 1, 1 } }, false, 0, 0 },
        { { true, .scale = 1, .channels = 1, .mean = { 300 }, .std = { 1 } }, false, 0, 0 },
        { { false, .scale = 1, .channels = 1, .std = { 1 } }, false, 0, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float   scale;
        int32_t zero_point;
        assert_int_equal(octet_recipe_levels(&scale, &zero_point, &cases[i].recipe), cases[i].exact);
        if (!cases[i].exact) continue;
        assert_true(scale == cases[i].scale);
        assert_int_equal(zero_point, cases[i].zero_point);
    }
}

/* ---- feeding ---- */

static void read_levels(uint8_t *levels, const octet_graph *graph, const char *path, const char *preprocess)
{
    octet_dataset *data;
    MUST(octet_dataset_open(&data, path, &(octet_dataset_options){ .graph = graph, .preprocess = preprocess }, &err));
    octet_tensor input = octet_dataset_input(data, 0);
    assert_int_equal(input.dtype, OCTET_U8);
    input.data = levels;
    MUST(octet_dataset_read_inputs(data, 1, &input, NULL, &err));
    octet_dataset_free(data);
}

/* Real numbers are rounded; bytes are levels, or images where a recipe makes real numbers of them. */
static void test_data(void **state)
{
    (void)state;
    octet_graph *const   graph = exposed(OCTET_U8, OCTET_NONE);
    const octet_port     in    = octet_graph_input(graph, 0);
    uint8_t              bytes[2 * LEVELS], levels[LEVELS], want[LEVELS];
    float                x[LEVELS];
    char                 path[300];
    random_state         r = { 3 };
    const octet_tensor   images = { .dtype = OCTET_U8, .rank = 4, .dims = { 2, CHANNELS, SIZE, SIZE }, .data = bytes };
    make_levels(want, samples + PIXELS, LEVELS, &in.levels);
    read_levels(levels, graph, data_path, NULL);
    assert_memory_equal(levels, want, LEVELS);
    random_fill(&r, x, LEVELS, 0, 255);
    for (int i = 0; i < LEVELS; i++) bytes[i] = 0, bytes[LEVELS + i] = (uint8_t)x[i];
    snprintf(path, sizeof path, "%s/bytes.npy", folder);
    write_npy(path, &images);
    read_levels(levels, graph, path, NULL);
    assert_memory_equal(levels, bytes + LEVELS, LEVELS);
    read_levels(levels, graph, path, "unit");
    for (int i = 0; i < LEVELS; i++) x[i] = (float)(bytes[LEVELS + i] / 255.0);
    make_levels(want, x, LEVELS, &in.levels);
    assert_memory_equal(levels, want, LEVELS);
    unlink(path);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels_are_the_same_network),
        cmocka_unit_test(test_sides_alone),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_recipes),
        cmocka_unit_test(test_data),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
