/* SPDX-License-Identifier: Apache-2.0 */
/* What the document says of a small network, against numbers that are computed here from its samples and weights. */
#include "../support.h"

#include <jansson.h>

#include "report/document.h"

enum { SAMPLES = 5, CHANNELS = 3, SIDE = 6, PIXELS = SIDE * SIDE, FILTERS = 4, ALL = SAMPLES * CHANNELS * PIXELS };

typedef struct fixture {
    char                folder[256], npy[300], page[300];
    float               x[ALL], w[FILTERS * CHANNELS];
    octet_graph        *real, *quantized;
    octet_dataset      *data;
    octet_comparison   *comparison;
    octet_report_source source;
    octet_json          json;
    json_t             *document;
} fixture;

/* A convolution of 1 x 1 and a Relu, and a pool, so that the result becomes levels. weight_scale is row 0's alone. */
static octet_graph *make_network(const fixture *f, float weight_scale)
{
    octet_graph *graph;
    float        w[FILTERS * CHANNELS];
    for (int i = 0; i < FILTERS * CHANNELS; i++) w[i] = f->w[i] * (i < CHANNELS ? weight_scale : 1);
    const octet_tensor weights = { .dtype = OCTET_F32, .rank = 4, .dims = { FILTERS, CHANNELS, 1, 1 }, .data = w };
    MUST(octet_graph_new(&graph, &err));
    const int64_t dims[] = { OCTET_DIM_FREE, CHANNELS, SIDE, SIDE };
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    MUST(octet_graph_add_constant(graph, "w", &weights, &err));
    add_node(graph, "Conv", "c", NULL, INPUTS("x", "w"));
    add_node(graph, "Relu", "r", NULL, INPUTS("c"));
    add_node(graph, "GlobalAveragePool", "p", NULL, INPUTS("r"));
    MUST(octet_graph_set_output(graph, "p", &err));
    MUST(octet_graph_verify(graph, &err));
    MUST(octet_fuse(graph, &err));
    return graph;
}

static void start(fixture *f, float weight_scale)
{
    random_state       random = { 3 };
    const octet_tensor tensor = { .dtype = OCTET_F32, .rank = 4, .data = f->x,
                                  .dims = { SAMPLES, CHANNELS, SIDE, SIDE } };
    memset(f, 0, sizeof *f);
    random_fill(&random, f->x, ALL, -1, 1);
    random_fill(&random, f->w, FILTERS * CHANNELS, -1, 1);
    for (int i = 0; i < CHANNELS; i++) f->w[2 * CHANNELS + i] = 0; /* a dead channel */
    for (int i = 0; i < CHANNELS; i++) f->w[3 * CHANNELS + i] *= 50; /* and an outlier */
    make_folder(f->folder, sizeof f->folder);
    snprintf(f->npy, sizeof f->npy, "%s/x.npy", f->folder);
    snprintf(f->page, sizeof f->page, "%s/page.html", f->folder);
    write_npy(f->npy, &tensor);
    f->real      = make_network(f, weight_scale);
    f->quantized = make_network(f, 1);
    octet_qconfig config     = *octet_qconfig_find("octet");
    config.activation.method = OCTET_METHOD_MINMAX;
    MUST(octet_dataset_open(&f->data, f->npy, &(octet_dataset_options){ .graph = f->real }, &err));
    MUST(octet_prepare(f->quantized, &config, &err));
    MUST(octet_calibrate(f->quantized, f->data, NULL, &err));
    MUST(octet_convert(f->quantized, &err));
    MUST(octet_compare(&f->comparison, f->real, f->quantized, f->data, NULL, &err));
    f->source = (octet_report_source){ f->real, f->quantized, f->data, f->comparison, NULL };
    f->json   = (octet_json){ .arena = octet_arena_new() };
    MUST(octet_report_document(&f->json, &f->source, &(octet_report_options){ 0 }, &err));
    f->document = json_loadb(f->json.text, f->json.length, 0, NULL);
    assert_non_null(f->document);
}

static void finish(fixture *f)
{
    json_decref(f->document);
    octet_arena_free(f->json.arena);
    octet_comparison_free(f->comparison);
    octet_dataset_free(f->data);
    octet_graph_free(f->quantized);
    octet_graph_free(f->real);
    unlink(f->npy);
    unlink(f->page);
    assert_int_equal(rmdir(f->folder), 0);
}

/* The convolution's. */
static json_t *layer(const fixture *f)
{
    const json_t *const layers = json_object_get(f->document, "layers");
    assert_int_equal(json_array_size(layers), 2);
    for (size_t i = 0; i < 2; i++)
        if (!strcmp(json_string_value(json_object_get(json_array_get(layers, i), "name")), "c"))
            return json_array_get(layers, i);
    fail_msg("no layer is called c");
    return NULL;
}

static double number(const json_t *object, const char *key)
{
    const json_t *const value = json_object_get(object, key);
    if (!json_is_number(value)) fail_msg("'%s' is no number", key);
    return json_number_value(value);
}

static double sum_of_bins(const json_t *distribution)
{
    const json_t *const bins = json_object_get(distribution, "bins"), *const counts = json_object_get(bins, "counts");
    double              sum  = number(bins, "below") + number(bins, "above");
    for (size_t i = 0; i < json_array_size(counts); i++) sum += json_number_value(json_array_get(counts, i));
    return sum;
}

static json_int_t first_outlier(const json_t *channels)
{
    return json_integer_value(json_array_get(json_array_get(json_object_get(channels, "outliers"), 0), 0));
}

static void values_are_the_samples(void **unused)
{
    (void)unused;
    fixture f;
    float   lo = 0, hi = 0;
    start(&f, 1);
    const json_t *const x = json_object_get(json_array_get(json_object_get(f.document, "inputs"), 0), "values");
    for (int i = 0; i < ALL; i++) lo = fminf(lo, f.x[i]), hi = fmaxf(hi, f.x[i]);
    assert_int_equal(number(x, "count"), ALL);
    assert_true(fabs(number(x, "min") - lo) < 1e-6 && fabs(number(x, "max") - hi) < 1e-6);
    assert_int_equal(number(x, "below") + number(x, "above"), 0); /* by min and max nothing saturates */
    assert_true(sum_of_bins(x) == ALL);
    assert_true(fabs(number(x, "lo") - lo) <= number(x, "scale") && fabs(number(x, "hi") - hi) <= number(x, "scale"));
    assert_true(fabs((number(x, "hi") - number(x, "lo")) / number(x, "scale") - 255) < 1e-4);
    finish(&f);
}

/* The layer's values: max(0, sum of w x), channel by channel. */
static void values_of_layers_are_the_float_networks(void **unused)
{
    (void)unused;
    fixture f;
    double  high[FILTERS] = { 0 }, highest = 0;
    start(&f, 1);
    for (int s = 0; s < SAMPLES; s++)
        for (int o = 0; o < FILTERS; o++)
            for (int p = 0; p < PIXELS; p++) {
                double sum = 0;
                for (int c = 0; c < CHANNELS; c++)
                    sum += (double)f.w[o * CHANNELS + c] * (double)f.x[(s * CHANNELS + c) * PIXELS + p];
                high[o] = fmax(high[o], sum);
            }
    const json_t *const r        = json_object_get(layer(&f), "values");
    const json_t *const channels = json_object_get(r, "channels");
    const json_t *const columns  = json_object_get(channels, "columns");
    for (int o = 0; o < FILTERS; o++) {
        highest = fmax(highest, high[o]);
        assert_true(fabs(json_number_value(json_array_get(columns, 2 * (size_t)o + 1)) - high[o]) <= 1e-3 * high[o]);
    }
    assert_true(fabs(number(r, "max") - highest) < 1e-5 * highest);
    assert_int_equal(number(channels, "count"), FILTERS);
    assert_int_equal(number(channels, "dead_count"), 1);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(channels, "dead"), 0)), 2);
    assert_int_equal(number(channels, "outlier_count"), 1);
    assert_int_equal(first_outlier(channels), 3);
    finish(&f);
}

static void weights_are_levels(void **unused)
{
    (void)unused;
    fixture f;
    start(&f, 1);
    const json_t *const w        = json_object_get(layer(&f), "weights");
    const json_t *const channels = json_object_get(w, "channels");
    assert_true(json_is_true(json_object_get(w, "levels")) && json_is_false(json_object_get(w, "own")));
    assert_int_equal(number(w, "scales"), FILTERS);
    assert_int_equal(number(w, "bits"), 8);
    assert_int_equal(number(w, "count"), FILTERS * CHANNELS);
    assert_true(sum_of_bins(w) == FILTERS * CHANNELS);
    assert_true(fmax(-number(w, "min"), number(w, "max")) <= 127.5 && fmax(-number(w, "min"), number(w, "max")) > 126);
    assert_int_equal(number(channels, "dead_count"), 1);
    assert_int_equal(first_outlier(channels), 3);
    finish(&f);
}

/* Weights that are others than the reference's say nothing about rounding: the network's own are shown, and said so. */
static void other_weights_are_recognized(void **unused)
{
    (void)unused;
    fixture f;
    start(&f, 1000);
    const json_t *const w = json_object_get(layer(&f), "weights");
    assert_true(json_is_true(json_object_get(w, "own")));
    assert_true(number(w, "max") <= 127 && number(w, "min") >= -128);
    finish(&f);
}

/* So are values whose channels carry other factors: row 0's 50 of another network, as equalization leaves them. */
static void scaled_values_are_recognized(void **unused)
{
    (void)unused;
    const struct {
        float scale;
        bool  scaled;
    } cases[] = { { 1, false }, { 1.1f, false }, { 1.4f, true }, { 50, true }, { 0.02f, true } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f;
        start(&f, cases[i].scale);
        const json_t *const r = json_object_get(layer(&f), "values");
        assert_int_equal(json_is_true(json_object_get(r, "scaled")), cases[i].scaled);
        assert_int_equal(json_is_null(json_object_get(r, "lo")), cases[i].scaled);
        finish(&f);
    }
}

static void a_page_replaces_only_where_told(void **unused)
{
    (void)unused;
    fixture    f;
    octet_file file;
    start(&f, 1);
    MUST(octet_report_write(f.page, &f.source, NULL, &err));
    MUST(octet_file_read(&file, f.page, 0, &err));
    assert_true(file.size > f.json.length && file.size < 200000);
    assert_memory_equal(file.data, "<!doctype html>", 15);
    assert_non_null(memmem(file.data, file.size, f.json.text, f.json.length));
    assert_null(memmem(file.data, file.size, "@script", 7)); /* no place was left empty */
    octet_file_close(&file);
    assert_int_equal(octet_report_write(f.page, &f.source, NULL, NULL), OCTET_ERR_FILE);
    MUST(octet_report_write(f.page, &f.source, &(octet_report_options){ .replace = true }, &err));
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_the_samples),
        cmocka_unit_test(values_of_layers_are_the_float_networks),
        cmocka_unit_test(weights_are_levels),
        cmocka_unit_test(other_weights_are_recognized),
        cmocka_unit_test(scaled_values_are_recognized),
        cmocka_unit_test(a_page_replaces_only_where_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
