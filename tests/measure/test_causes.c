/* SPDX-License-Identifier: Apache-2.0 */
/* Networks in which each cause really occurs: the cause is named, the remedy is named, and applying it gains what was
   said. */
#include "residual.h"

#include "graph/graph.h"
#include "passes/integerize.h"

/* What is wrong with a chain of three convolutions, a, b, c. */
typedef struct ailment {
    float       wide_value;  /* times channel 2 of a's results; b takes it back */
    float       wide_weight; /* times b's weights of channel 2, whose bias then keeps it at zero */
    bool        function;    /* what has no integer rule reads a's levels, too */
    const char *weights;                 /* "s2" */
    bool        per_tensor, symmetric;
    const char *in_float;
} ailment;

static void scale_channel(octet_graph *graph, const char *name, int64_t rows, int64_t row, float by)
{
    const octet_tensor *const w = octet_graph_find_value(graph, name)->constant;
    const int64_t             length = octet_tensor_count(w) / rows;
    for (int64_t i = 0; i < length; i++) ((float *)w->data)[row * length + i] *= by;
}

static octet_graph *chain(const ailment *how)
{
    random_state          r      = { 8 };
    const int64_t         ones[] = { 1, 1, 1, 1 }, dims[] = { OCTET_DIM_FREE, CHANNELS, SIZE, SIZE };
    const octet_attribute same[] = { { .name = "pads", .ints = ones, .count = 4 }, { 0 } };
    octet_graph          *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    add_random(graph, &r, "wa", (const int64_t[]){ 8, CHANNELS, 3, 3 }, 4, between(-0.4f, 0.5f));
    add_random(graph, &r, "ba", (const int64_t[]){ 8 }, 1, between(-0.2f, 0.2f));
    add_node(graph, "Conv", "a", same, INPUTS("x", "wa", "ba"));
    add_node(graph, "Relu", "ra", NULL, INPUTS("a"));
    add_random(graph, &r, "wb", (const int64_t[]){ 8, 8, 3, 3 }, 4, between(-0.2f, 0.2f));
    add_random(graph, &r, "bb", (const int64_t[]){ 8 }, 1, between(-0.2f, 0.2f));
    add_node(graph, "Conv", "b", same, INPUTS("ra", "wb", "bb"));
    add_node(graph, "Relu", "rb", NULL, INPUTS("b"));
    add_random(graph, &r, "wc", (const int64_t[]){ 4, 8, 3, 3 }, 4, between(-0.3f, 0.3f));
    add_random(graph, &r, "bc", (const int64_t[]){ 4 }, 1, between(-0.2f, 0.2f));
    add_node(graph, "Conv", "c", same, INPUTS("rb", "wc", "bc"));
    if (how->function) {
        add_random(graph, &r, "d", (const int64_t[]){ 1 }, 1, between(2, 3));
        add_node(graph, "Div", "m", NULL, INPUTS("ra", "d"));
        add_random(graph, &r, "wd", (const int64_t[]){ 4, 8, 1, 1 }, 4, between(-0.3f, 0.3f));
        add_node(graph, "Conv", "e", NULL, INPUTS("m", "wd"));
        add_node(graph, "Add", "y", NULL, INPUTS("c", "e"));
    }
    MUST(octet_graph_set_output(graph, how->function ? "y" : "c", &err));
    if (how->wide_value != 0) {
        scale_channel(graph, "wa", 8, 2, how->wide_value);
        scale_channel(graph, "ba", 8, 2, how->wide_value);
        for (int64_t o = 0; o < 8; o++) scale_channel(graph, "wb", 64, o * 8 + 2, 1 / how->wide_value);
    }
    if (how->wide_weight != 0) {
        scale_channel(graph, "wb", 8, 2, how->wide_weight);
        ((float *)octet_graph_find_value(graph, "bb")->constant->data)[2] = -1e4f;
    }
    MUST(octet_graph_verify(graph, &err));
    MUST(octet_fuse(graph, &err));
    return graph;
}

static octet_graph *quantized_chain(octet_dataset *data, const ailment *how, octet_method method)
{
    octet_graph *const     graph   = chain(how);
    const octet_layer_rule rule    = { how->in_float, true };
    octet_qconfig          qconfig = *octet_qconfig_find("octet");
    qconfig.activation.method      = method;
    if (how->weights) MUST(octet_qconfig_bits(&qconfig, how->weights, NULL, &err));
    qconfig.weight.per_channel = !how->per_tensor;
    if (how->symmetric) qconfig.activation.symmetric = true, qconfig.activation.dtype = OCTET_I8;
    if (how->in_float) qconfig.layers = &rule, qconfig.layer_count = 1;
    MUST(octet_prepare(graph, &qconfig, &err));
    MUST(octet_calibrate(graph, data, NULL, &err));
    MUST(octet_convert(graph, &err));
    return graph;
}

static octet_dataset *open_data(const octet_graph *graph)
{
    octet_dataset *data;
    MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = graph }, &err));
    return data;
}

/* What compare says of one layer, and the output in dB. */
typedef struct verdict {
    octet_cause cause;
    char        why[300], remedy[100];
    double      local_db, remedy_db, output_db;
} verdict;

static verdict judge(octet_graph *real, octet_graph *quantized, octet_dataset *data, const char *layer)
{
    octet_comparison *c;
    verdict           v = { .remedy_db = NAN };
    MUST(octet_compare(&c, real, quantized, data, &(octet_evaluate_options){ .effects = SAMPLES }, &err));
    v.output_db = c->output_sqnr_db;
    for (size_t i = 0; i < c->layer_count; i++) {
        const octet_layer_error *const l = &c->layers[i];
        if (strcmp(l->name, layer) != 0) continue;
        v.cause     = l->cause;
        v.remedy_db = l->remedy_db;
        v.local_db  = l->local_db;
        snprintf(v.why, sizeof v.why, "%s", l->why);
        snprintf(v.remedy, sizeof v.remedy, "%s", l->remedy);
    }
    octet_comparison_free(c);
    return v;
}

/* What the output really gains where the network is quantized as the remedy says. */
static double really(octet_graph *real, octet_dataset *data, const verdict *v, octet_graph *mended)
{
    octet_scores scores[2];
    MUST(octet_evaluate(scores, mended, real, data, NULL, &err));
    octet_graph_free(mended);
    print_message("  %s: said %.3f, really %.3f dB\n", v->remedy, v->remedy_db, scores[0].sqnr_db - v->output_db);
    return scores[0].sqnr_db - v->output_db;
}

static void check(const ailment *ill, const char *layer, octet_cause cause, const char *remedy, const ailment *mended)
{
    octet_graph *const   real = chain(ill);
    octet_dataset *const data = open_data(real);
    octet_graph *const   quantized = quantized_chain(data, ill, OCTET_METHOD_MINMAX);
    const verdict        v = judge(real, quantized, data, layer);
    assert_int_equal(v.cause, cause);
    assert_string_equal(v.remedy, remedy);
    assert_true(v.why[0] != 0);
    if (cause == OCTET_CAUSE_FLOAT) assert_true(v.local_db > 40);
    if (mended) {
        const double gain = really(real, data, &v, quantized_chain(data, mended, OCTET_METHOD_MINMAX));
        assert_true(gain > 0.05 && fabs(gain - v.remedy_db) < 0.15 * gain + 0.2);
    }
    octet_graph_free(quantized);
    octet_dataset_free(data);
    octet_graph_free(real);
}

static void weights_of_two_bits(void **state)
{
    (void)state;
    check(&(ailment){ .weights = "s2" }, "b", OCTET_CAUSE_RESOLUTION, "--weights s8", &(ailment){ 0 });
}

static void one_scale_for_all_weights(void **state)
{
    (void)state;
    const ailment ill = { .wide_weight = 60, .per_tensor = true }, mended = { .wide_weight = 60 };
    check(&ill, "b", OCTET_CAUSE_OUTLIER_CHANNEL, "--per-channel", &mended);
}

/* The network that was quantized well, and then spoilt. */
static void check_spoilt(void (*spoil)(octet_graph *graph), const char *layer, octet_cause cause, const char *remedy)
{
    const ailment        none = { 0 };
    octet_graph *const   real = chain(&none);
    octet_dataset *const data = open_data(real);
    octet_graph *const   spoilt = quantized_chain(data, &none, OCTET_METHOD_MINMAX);
    MUST(octet_real_constants(spoilt, &err));
    spoil(spoilt);
    MUST(octet_integerize(spoilt, &err));
    const verdict v    = judge(real, spoilt, data, layer);
    const double  gain = really(real, data, &v, quantized_chain(data, &none, OCTET_METHOD_MINMAX));
    assert_int_equal(v.cause, cause);
    assert_string_equal(v.remedy, remedy);
    assert_true(gain > 1 && fabs(gain - v.remedy_db) < 0.05 * gain + 0.2);
    octet_graph_free(spoilt);
    octet_dataset_free(data);
    octet_graph_free(real);
}

static void cut_range(octet_graph *graph)
{
    static float         scale;
    octet_qparams *const q = &octet_graph_find_value(graph, "ra")->fake_quantize->qparams;
    scale    = 0.25f * q->scale[0];
    q->scale = &scale;
}

static void shift_bias(octet_graph *graph)
{
    const octet_tensor *const bias = octet_graph_find_node(graph, "c")->inputs[2]->constant;
    for (int64_t i = 0; i < octet_tensor_count(bias); i++) ((float *)bias->data)[i] += 0.4f;
}

static void a_range_cut(void **state)
{
    (void)state;
    check_spoilt(cut_range, "a", OCTET_CAUSE_CLIPPING, "--layer 'a=minmax'");
    check_spoilt(cut_range, "b", OCTET_CAUSE_CLIPPING, "--layer 'a=minmax'"); /* who reads it suffers, too */
}

static void a_bias_shifted(void **state)
{
    (void)state;
    check_spoilt(shift_bias, "c", OCTET_CAUSE_BIAS, "--bias-correct");
}

static void a_function_in_float(void **state)
{
    (void)state;
    check(&(ailment){ .function = true }, "m", OCTET_CAUSE_FLOAT, "", NULL);
}

static void levels_that_are_never_taken(void **state)
{
    (void)state;
    check(&(ailment){ .symmetric = true }, "c", OCTET_CAUSE_ZERO_POINT, "without --symmetric", &(ailment){ 0 });
}

static void a_channel_a_thousand_times_as_wide(void **state)
{
    (void)state;
    const ailment ill = { .wide_value = 1000 }, mended = { .wide_value = 1000, .in_float = "b" };
    check(&ill, "b", OCTET_CAUSE_OUTLIER_CHANNEL, "--layer 'b=float'", &mended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_cut),
        cmocka_unit_test(a_bias_shifted),
        cmocka_unit_test(a_function_in_float),
        cmocka_unit_test(weights_of_two_bits),
        cmocka_unit_test(one_scale_for_all_weights),
        cmocka_unit_test(levels_that_are_never_taken),
        cmocka_unit_test(a_channel_a_thousand_times_as_wide),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
