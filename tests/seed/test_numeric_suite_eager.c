/* SPDX-License-Identifier: Apache-2.0 */
/* PyTorch's test_numeric_suite_eager.py: which entries there are and their shapes, with what
   upstream leaves out: numbers. Its defects are not copied: every sample of a batch counts, and nothing is
   overwritten. */
#include "support.h"

#include <octet/suite.h>

enum { SAMPLES = 10, SIDE = 6, PIXELS = 3 * SIDE * SIDE, STEPS = 9, WIDTH = PIXELS / STEPS, UNITS = 5 };

static float values[SAMPLES * PIXELS];
static char  folder[256], path[300];

static int make_data(void **state)
{
    (void)state;
    random_state r = { 3 };
    octet_tensor t = { .dtype = OCTET_F32, .rank = 4, .dims = { SAMPLES, 3, SIDE, SIDE }, .data = values };
    random_fill(&r, values, SAMPLES * PIXELS, -1, 1);
    make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/x.npy", folder);
    write_npy(path, &t);
    return 0;
}

static int remove_data(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* ---- models: upstream's, by the names of its modules ---- */

static octet_graph *begin(void)
{
    octet_graph *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "quant", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, 3, SIDE, SIDE }, 4, &err));
    return graph;
}

static octet_graph *finish(octet_graph *graph, const char *output)
{
    MUST(octet_graph_set_output(graph, output, &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

static void add_conv(octet_graph *graph, const char *name, const char *in)
{
    static random_state r = { 17 };
    char                weight[32];
    r.at = 17 + strlen(name);
    snprintf(weight, sizeof weight, "%s.weight", name);
    add_random(graph, &r, weight, (const int64_t[]){ 3, 3, 3, 3 }, 4, between(-0.4f, 0.4f));
    add_node(graph, "Conv", name, NULL, INPUTS(in, weight));
}

static octet_graph *conv_model(void)
{
    octet_graph *const graph = begin();
    add_conv(graph, "conv", "quant");
    return finish(graph, "conv");
}

static octet_graph *conv_bn_relu_model(void)
{
    octet_graph *const graph = begin();
    random_state       r     = { 4 };
    add_conv(graph, "conv", "quant");
    add_random(graph, &r, "gamma", (const int64_t[]){ 3 }, 1, between(0.5f, 2));
    add_random(graph, &r, "beta", (const int64_t[]){ 3 }, 1, between(-0.5f, 0.5f));
    add_random(graph, &r, "mean", (const int64_t[]){ 3 }, 1, between(-0.5f, 0.5f));
    add_random(graph, &r, "var", (const int64_t[]){ 3 }, 1, between(0.5f, 2));
    add_node(graph, "BatchNormalization", "bn", NULL, INPUTS("conv", "gamma", "beta", "mean", "var"));
    add_node(graph, "Relu", "relu", NULL, INPUTS("bn"));
    return finish(graph, "relu");
}

static octet_graph *linear_model(void)
{
    octet_graph *const graph = begin();
    random_state       r     = { 6 };
    add_random(graph, &r, "fc1.weight", (const int64_t[]){ PIXELS, 5 }, 2, between(-0.4f, 0.4f));
    add_node(graph, "Flatten", "flat", NULL, INPUTS("quant"));
    add_node(graph, "MatMul", "fc1", NULL, INPUTS("flat", "fc1.weight"));
    return finish(graph, "fc1");
}

/* The rows of the picture, two channels' worth at a time, are steps of a sequence. */
static octet_graph *lstm_model(void)
{
    octet_graph *const    graph       = begin();
    random_state          r           = { 8 };
    const octet_attribute batch_first[] = { { .name = "layout", .i = 1 }, { 0 } };
    add_ints(graph, "steps", (const int64_t[]){ 0, STEPS, WIDTH }, 3);
    add_random(graph, &r, "lstm.weight_ih", (const int64_t[]){ 1, 4 * UNITS, WIDTH }, 3, between(-0.4f, 0.4f));
    add_random(graph, &r, "lstm.weight_hh", (const int64_t[]){ 1, 4 * UNITS, UNITS }, 3, between(-0.4f, 0.4f));
    add_random(graph, &r, "lstm.bias", (const int64_t[]){ 1, 8 * UNITS }, 2, between(-0.4f, 0.4f));
    add_node(graph, "Reshape", "rows", NULL, INPUTS("quant", "steps"));
    add_node(graph, "LSTM", "lstm", batch_first, INPUTS("rows", "lstm.weight_ih", "lstm.weight_hh", "lstm.bias"));
    return finish(graph, "lstm");
}

/* Two convolutions, of which one may stay in float. */
static octet_graph *sub_module_model(void)
{
    octet_graph *const graph = begin();
    add_conv(graph, "mod1.conv", "quant");
    add_conv(graph, "conv", "mod1.conv");
    return finish(graph, "conv");
}

static octet_graph *functional_model(void)
{
    octet_graph *const    graph  = begin();
    float                 half[] = { -0.5f, 0.5f };
    const octet_tensor    minus = { .dtype = OCTET_F32, .rank = 1, .dims = { 1 }, .data = half };
    const octet_tensor    plus  = { .dtype = OCTET_F32, .rank = 1, .dims = { 1 }, .data = half + 1 };
    const octet_attribute axis[] = { { .name = "axis", .i = 1 }, { 0 } };
    MUST(octet_graph_add_constant(graph, "minus", &minus, &err));
    MUST(octet_graph_add_constant(graph, "plus", &plus, &err));
    add_node(graph, "Concat", "mycat", axis, INPUTS("quant", "quant", "quant"));
    add_node(graph, "Add", "myadd", NULL, INPUTS("mycat", "mycat"));
    add_node(graph, "Mul", "mymul", NULL, INPUTS("myadd", "myadd"));
    add_node(graph, "Add", "add", NULL, INPUTS("mymul", "mymul"));
    add_node(graph, "Relu", "myadd_relu", NULL, INPUTS("add"));
    add_node(graph, "Add", "my_scalar_add", NULL, INPUTS("myadd_relu", "minus"));
    add_node(graph, "Mul", "my_scalar_mul", NULL, INPUTS("my_scalar_add", "plus"));
    return finish(graph, "my_scalar_mul");
}

/* ---- quantizing and comparing ---- */

typedef struct pair {
    octet_graph   *real, *quantized;
    octet_dataset *data;
    octet_suite   *suite;
} pair;

static pair make_pair_by(octet_graph *(*model)(void), const octet_qconfig *qconfig)
{
    pair p = { model(), model(), NULL, NULL };
    MUST(octet_fuse(p.quantized, &err));
    MUST(octet_dataset_open(&p.data, path, &(octet_dataset_options){ .graph = p.real }, &err));
    MUST(octet_prepare(p.quantized, qconfig, &err));
    MUST(octet_calibrate(p.quantized, p.data, NULL, &err));
    MUST(octet_convert(p.quantized, &err));
    MUST(octet_suite_create(&p.suite, &err));
    return p;
}

static pair make_pair(octet_graph *(*model)(void), const char *in_float)
{
    octet_qconfig          qconfig = *octet_qconfig_find("per_channel");
    const octet_layer_rule rule    = { in_float, true };
    qconfig.target                 = "portable";
    if (in_float) qconfig.layers = &rule, qconfig.layer_count = 1;
    return make_pair_by(model, &qconfig);
}

static pair make_dynamic_pair(octet_graph *(*model)(void))
{
    return make_pair_by(model, octet_qconfig_find("default_dynamic_qconfig"));
}

static void drop(pair *p)
{
    octet_suite_free(p->suite);
    octet_dataset_free(p->data);
    octet_graph_free(p->real);
    octet_graph_free(p->quantized);
}

static octet_suite_entry entry_of(const octet_suite *suite, const char *name)
{
    for (size_t i = 0; i < octet_suite_count(suite); i++)
        if (!strcmp(octet_suite_at(suite, i).name, name)) return octet_suite_at(suite, i);
    fail_msg("no entry '%s'", name);
    return (octet_suite_entry){ 0 };
}

/* Logs, and checks what upstream checks: both have one shape. */
static octet_status log_checked(void *suite, size_t sample, const octet_matched *m, octet_error *err)
{
    assert_int_equal(m->real.rank, m->quantized.rank);
    assert_memory_equal(m->real.dims, m->quantized.dims, sizeof *m->real.dims * (size_t)m->real.rank);
    assert_int_equal(m->real.dtype, OCTET_F32);
    return octet_suite_log(suite, sample, m, err);
}

/* What upstream never asks: how near they are, that measures agree with each other, and that no sample is left out. */
static void check_numbers(const octet_suite *suite, double least_db, size_t samples)
{
    for (size_t i = 0; i < octet_suite_count(suite); i++) {
        const octet_suite_entry e = octet_suite_at(suite, i);
        print_message("  %-14s %6.2f dB, cosine %.6f, %llu elements\n", e.name, e.sqnr_db, e.cosine,
                      (unsigned long long)e.count);
        assert_true(e.sqnr_db > least_db && e.sqnr_db < 200);
        assert_true(fabs(e.sqnr_db + 20 * log10(e.l2)) < 1e-9);
        assert_true(e.cosine > 0.999 && e.cosine <= 1 + 1e-12 && e.max_abs > 0);
        assert_int_equal(e.count % samples, 0);
    }
}

static void compare_weights_conv_static(void **state)
{
    octet_graph *(*const models[])(void) = { conv_model, conv_bn_relu_model };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        pair p = make_pair(models[i], NULL);
        MUST(octet_compare_weights(p.real, p.quantized, log_checked, p.suite, &err));
        assert_int_equal(octet_suite_count(p.suite), 1);
        assert_string_equal(octet_suite_at(p.suite, 0).op, "Conv");
        assert_string_equal(octet_suite_at(p.suite, 0).name, "conv.weight");
        assert_int_equal(octet_suite_at(p.suite, 0).count, 81);
        if (i == 1) assert_string_equal(octet_suite_at(p.suite, 0).merged, "conv + bn + relu");
        check_numbers(p.suite, 40, 1);
        drop(&p);
    }
}

static void compare_weights_linear_static(void **state)
{
    (void)state;
    pair p = make_pair(linear_model, NULL);
    MUST(octet_compare_weights(p.real, p.quantized, log_checked, p.suite, &err));
    assert_int_equal(octet_suite_count(p.suite), 1);
    assert_int_equal(octet_suite_at(p.suite, 0).count, PIXELS * 5);
    check_numbers(p.suite, 40, 1);
    drop(&p);
}

static void compare_model_stub_conv_static(void **state)
{
    octet_graph *(*const models[])(void) = { conv_model, conv_bn_relu_model };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        pair p = make_pair(models[i], NULL);
        MUST(octet_compare_shadow(p.real, p.quantized, p.data, log_checked, p.suite, &err));
        assert_int_equal(octet_suite_count(p.suite), 1);
        const octet_suite_entry e = entry_of(p.suite, i ? "relu" : "conv");
        assert_int_equal(e.count, SAMPLES * 3 * 4 * 4); /* upstream: the first sample alone */
        check_numbers(p.suite, 35, SAMPLES);
        drop(&p);
    }
}

static void compare_model_stub_linear_static(void **state)
{
    (void)state;
    pair p = make_pair(linear_model, NULL);
    MUST(octet_compare_shadow(p.real, p.quantized, p.data, log_checked, p.suite, &err));
    assert_int_equal(octet_suite_count(p.suite), 1);
    assert_int_equal(entry_of(p.suite, "fc1").count, SAMPLES * 5);
    check_numbers(p.suite, 35, SAMPLES);
    drop(&p);
}

/* A shadow stands only where types differ. */
static void compare_model_stub_partial(void **state)
{
    (void)state;
    pair p = make_pair(sub_module_model, "conv");
    MUST(octet_compare_shadow(p.real, p.quantized, p.data, log_checked, p.suite, &err));
    assert_int_equal(octet_suite_count(p.suite), 1);
    assert_string_equal(octet_suite_at(p.suite, 0).name, "mod1.conv");
    drop(&p);
}

static void compare_model_stub_submodule_static(void **state)
{
    (void)state;
    pair p = make_pair(sub_module_model, NULL), q = make_pair(sub_module_model, NULL);
    MUST(octet_compare_shadow(p.real, p.quantized, p.data, log_checked, p.suite, &err));
    MUST(octet_compare_outputs(q.real, q.quantized, q.data, log_checked, q.suite, &err));
    assert_int_equal(octet_suite_count(p.suite), 2);
    check_numbers(p.suite, 35, SAMPLES);
    /* A shadow is fed what the quantized network has: it does not see the error of the layer before. */
    assert_true(entry_of(p.suite, "conv").sqnr_db > entry_of(q.suite, "conv").sqnr_db + 0.5);
    drop(&p);
    drop(&q);
}

static const char *const functionals[] = { "mycat", "myadd", "mymul", "myadd_relu", "my_scalar_add", "my_scalar_mul" };

static void compare_model_stub_functional_static(void **state)
{
    (void)state;
    pair p = make_pair(functional_model, NULL);
    MUST(octet_compare_shadow(p.real, p.quantized, p.data, log_checked, p.suite, &err));
    for (size_t i = 0; i < octet_suite_count(p.suite); i++)
        print_message("  %s %.2f\n", octet_suite_at(p.suite, i).name, octet_suite_at(p.suite, i).sqnr_db);
    assert_int_equal(octet_suite_count(p.suite), 6);
    for (size_t i = 0; i < 6; i++) assert_true(entry_of(p.suite, functionals[i]).sqnr_db > 35);
    drop(&p);
}

static void compare_model_outputs_conv_static(void **state)
{
    (void)state;
    pair p = make_pair(conv_model, NULL);
    MUST(octet_compare_outputs(p.real, p.quantized, p.data, log_checked, p.suite, &err));
    assert_int_equal(octet_suite_count(p.suite), 2);
    assert_int_equal(entry_of(p.suite, "quant").count, SAMPLES * PIXELS);
    assert_int_equal(entry_of(p.suite, "conv").count, SAMPLES * 3 * 4 * 4);
    assert_true(entry_of(p.suite, "conv").sqnr_db > 35);
    drop(&p);
}

static void compare_model_outputs_linear_static(void **state)
{
    (void)state;
    pair p = make_pair(linear_model, NULL);
    MUST(octet_compare_outputs(p.real, p.quantized, p.data, log_checked, p.suite, &err));
    assert_int_equal(entry_of(p.suite, "fc1").count, SAMPLES * 5);
    assert_int_equal(entry_of(p.suite, "quant").count, SAMPLES * PIXELS);
    assert_true(entry_of(p.suite, "fc1").sqnr_db > 35);
    drop(&p);
}

static void compare_model_outputs_functional_static(void **state)
{
    (void)state;
    pair p = make_pair(functional_model, NULL);
    MUST(octet_compare_outputs(p.real, p.quantized, p.data, log_checked, p.suite, &err));
    assert_int_equal(octet_suite_count(p.suite), 7);
    assert_int_equal(entry_of(p.suite, "quant").count, SAMPLES * PIXELS);
    for (size_t i = 0; i < 6; i++) assert_true(entry_of(p.suite, functionals[i]).sqnr_db > 30);
    drop(&p);
}

/* ---- dynamic ---- */

static void compare_weights_linear_dynamic(void **state)
{
    (void)state;
    pair p = make_dynamic_pair(linear_model);
    MUST(octet_compare_weights(p.real, p.quantized, log_checked, p.suite, &err));
    assert_int_equal(octet_suite_count(p.suite), 1);
    assert_int_equal(entry_of(p.suite, "fc1.weight").count, PIXELS * 5);
    check_numbers(p.suite, 35, 1);
    drop(&p);
}

/* Both matrices: upstream overwrites the first with the second. */
static void compare_weights_lstm_dynamic(void **state)
{
    (void)state;
    pair p = make_dynamic_pair(lstm_model);
    MUST(octet_compare_weights(p.real, p.quantized, log_checked, p.suite, &err));
    assert_int_equal(octet_suite_count(p.suite), 2);
    assert_int_equal(entry_of(p.suite, "lstm.weight_ih").count, 4 * UNITS * WIDTH);
    assert_int_equal(entry_of(p.suite, "lstm.weight_hh").count, 4 * UNITS * UNITS);
    assert_string_equal(entry_of(p.suite, "lstm.weight_hh").op, "LSTM");
    check_numbers(p.suite, 35, 1);
    drop(&p);
}

static void compare_model_stub_dynamic(void **state)
{
    octet_graph *(*const models[])(void) = { linear_model, lstm_model };
    const char *const names[] = { "fc1", "lstm" };
    const uint64_t    counts[] = { SAMPLES * 5, SAMPLES * STEPS * UNITS };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        pair p = make_dynamic_pair(models[i]);
        MUST(octet_compare_shadow(p.real, p.quantized, p.data, log_checked, p.suite, &err));
        assert_int_equal(octet_suite_count(p.suite), 1);
        assert_int_equal(entry_of(p.suite, names[i]).count, counts[i]);
        check_numbers(p.suite, 33, SAMPLES);
        drop(&p);
    }
}

/* Upstream's exact keys: the input, which nothing quantizes, and the layer. */
static void compare_model_outputs_dynamic(void **state)
{
    octet_graph *(*const models[])(void) = { linear_model, lstm_model };
    const char *const names[] = { "fc1", "lstm" };
    const uint64_t    counts[] = { SAMPLES * 5, SAMPLES * STEPS * UNITS };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        pair p = make_dynamic_pair(models[i]);
        MUST(octet_compare_outputs(p.real, p.quantized, p.data, log_checked, p.suite, &err));
        assert_int_equal(entry_of(p.suite, names[i]).count, counts[i]);
        assert_true(entry_of(p.suite, names[i]).sqnr_db > 33 && entry_of(p.suite, names[i]).sqnr_db < 80);
        assert_true(entry_of(p.suite, "quant").max_abs == 0);
        drop(&p);
    }
}

/* The logger alone: nothing at first; a name gets one entry; two samples add up (12 + 4 squares of 1 against 0.5). */
static void output_logger(void **state)
{
    (void)state;
    octet_suite  *suite;
    float         x[] = { 1, 1, 1 }, y[] = { 1, 1, 0.5f };
    octet_matched m   = { .name = "a", .node = "n", .op = "Conv", .merged = "" };
    m.real      = (octet_tensor){ .dtype = OCTET_F32, .rank = 1, .dims = { 3 }, .data = x };
    m.quantized = (octet_tensor){ .dtype = OCTET_F32, .rank = 1, .dims = { 3 }, .data = y };
    MUST(octet_suite_create(&suite, &err));
    assert_int_equal(octet_suite_count(suite), 0);
    for (size_t i = 0; i < 2; i++) MUST(octet_suite_log(suite, i, &m, &err));
    assert_int_equal(octet_suite_count(suite), 1);
    const octet_suite_entry e = octet_suite_at(suite, 0);
    assert_true(e.count == 6 && e.max_abs == 0.5 && fabs(e.sqnr_db - 10 * log10(6 / 0.5)) < 1e-12);
    octet_suite_free(suite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare_weights_conv_static),      cmocka_unit_test(compare_weights_linear_static),
        cmocka_unit_test(compare_model_stub_conv_static),   cmocka_unit_test(compare_model_stub_linear_static),
        cmocka_unit_test(compare_model_stub_partial),       cmocka_unit_test(compare_model_stub_submodule_static),
        cmocka_unit_test(compare_model_stub_functional_static),
        cmocka_unit_test(compare_model_outputs_conv_static), cmocka_unit_test(compare_model_outputs_linear_static),
        cmocka_unit_test(compare_model_outputs_functional_static),
        cmocka_unit_test(compare_weights_linear_dynamic),    cmocka_unit_test(compare_weights_lstm_dynamic),
        cmocka_unit_test(compare_model_stub_dynamic),        cmocka_unit_test(compare_model_outputs_dynamic),
        cmocka_unit_test(output_logger),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
