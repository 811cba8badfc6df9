/* SPDX-License-Identifier: Apache-2.0 */
/* Before training has done anything: a network prepared for it is the float network to everybody else, and what would
   ship is what calibration makes, or the quantized network it was made from. */
#include "../models.h"
#include "../residual.h"

#include "graph/graph.h"
#include "graph/op.h"
#include "ops/mode.h"
#include "quantize/calibration.h"
#include "train/fake_quantize.h"
#include "train/quantized.h"

enum { MOST_OUTPUT = 1 << 21 };

/* ---- helpers ---- */

static void assert_same_outputs(const octet_graph *a, const octet_graph *b, const octet_tensor *x, const char *engine)
{
    static float             first[MOST_OUTPUT], second[MOST_OUTPUT];
    const octet_plan_options on = { .engines = engine, .threads = 2 };
    const size_t             n  = run_graph(a, x, first, MOST_OUTPUT, &on);
    assert_int_equal(run_graph(b, x, second, MOST_OUTPUT, &on), n);
    assert_memory_equal(first, second, n * sizeof *first);
}

/* Constants, parameters and their ranges of levels, whatever values are called. */
static void assert_same_levels(const octet_graph *a, const octet_graph *b)
{
    int compared = 0;
    assert_int_equal(a->node_count, b->node_count);
    const octet_node *m = b->first;
    for (const octet_node *n = a->first; n; n = n->next, m = m->next) {
        assert_string_equal(n->name, m->name);
        assert_int_equal(octet_node_compute_mode(a, n), octet_node_compute_mode(b, m));
        for (int i = 0; i < n->input_count; i++) {
            const octet_value *const v = n->inputs[i], *const w = m->inputs[i];
            assert_true(!v == !w);
            if (!v) continue;
            const octet_qparams *const p = octet_value_levels(a, v), *const q = octet_value_levels(b, w);
            assert_true(!p == !q);
            if (v->constant)
                assert_memory_equal(v->constant->data, w->constant->data, (size_t)octet_tensor_bytes(v->constant));
            if (!p) continue;
            compared++;
            assert_int_equal(p->count, q->count);
            assert_int_equal(p->dtype, q->dtype);
            assert_memory_equal(p->scale, q->scale, (size_t)p->count * sizeof *p->scale);
            assert_memory_equal(p->zero_point, q->zero_point, (size_t)p->count * sizeof *p->zero_point);
            if (!v->constant) assert_int_equal(p->qmin, q->qmin);
            if (!v->constant) assert_int_equal(p->qmax, q->qmax);
        }
    }
    assert_true(compared > 3);
}

static octet_graph *shipped(const octet_graph *training)
{
    octet_graph *graph;
    MUST(octet_train_quantized(&graph, training, &err));
    assert_int_equal(octet_graph_stage(graph), OCTET_STAGE_QUANTIZED);
    return graph;
}

static octet_graph *prepared(octet_graph *graph, const octet_qconfig *qconfig, bool calibrate)
{
    octet_dataset *data = NULL;
    MUST(octet_fuse(graph, &err));
    if (calibrate) MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = graph }, &err));
    MUST(octet_prepare_qat(graph, qconfig, data, NULL, &err));
    octet_dataset_free(data);
    return graph;
}

/* ---- from a float network ---- */

static void everybody_else_sees_the_float_network(void **state)
{
    (void)state;
    octet_graph *const plain = residual_network(1, true);
    octet_graph *const graph = prepared(residual_network(1, true), NULL, true);
    const octet_tensor x     = all_samples();
    const char        *text;
    MUST(octet_fuse(plain, &err));
    MUST(octet_graph_verify(graph, &err));
    MUST(octet_graph_print(graph, &text, &err));
    assert_non_null(strstr(text, "(training)"));
    assert_non_null(strstr(text, "+BatchNormalization"));
    assert_same_outputs(plain, graph, &x, NULL);
    MUST(octet_train_settle(graph, &err)); /* parameters are known now, and still nobody uses them */
    assert_same_outputs(plain, graph, &x, NULL);
    octet_graph *const again = saved_and_loaded(graph);
    assert_int_equal(octet_graph_stage(again), OCTET_STAGE_FUSED);
    assert_same_outputs(plain, again, &x, NULL);
    assert_int_equal(octet_prepare(graph, NULL, NULL), OCTET_ERR_UNSUPPORTED);
    assert_int_equal(octet_prepare_qat(graph, NULL, NULL, NULL, NULL), OCTET_ERR_UNSUPPORTED);
    assert_int_equal(octet_calibrate(graph, NULL, NULL, NULL), OCTET_ERR_ARGUMENT);
    octet_graph_free(plain);
    octet_graph_free(graph);
    octet_graph_free(again);
}

static const struct {
    const char *qconfig, *target, *weights, *activations;
} starts[] = { { "octet_qat", NULL, NULL, NULL },     { "octet_qat", "portable", NULL, NULL },
               { "octet_lsq", NULL, NULL, NULL },     { "octet_qat", NULL, "s4", "u4" },
               { "octet_lsq", NULL, "s3", "s5" },     { "octet_qat", NULL, NULL, "f32" },
               { "octet_qat", NULL, "f32", "u6" },    { "default_qat", "torch-1.13", NULL, NULL },
               { "onednn_qat", "torch-1.13", NULL, NULL } };

/* Untrained, what ships is what calibration alone makes. */
static void a_calibrated_start_is_what_calibration_makes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        for (int norm = 0; norm < 2; norm++) {
            octet_qconfig qconfig = *octet_qconfig_find(starts[i].qconfig);
            MUST(octet_qconfig_bits(&qconfig, starts[i].weights, starts[i].activations, &err));
            qconfig.target             = starts[i].target;
            qconfig.no_bias_correction = true;
            octet_graph *const graph   = prepared(residual_network(1, norm), &qconfig, true);
            octet_graph *const ptq     = residual_network(1, norm);
            const octet_tensor x       = all_samples();
            MUST(quantize(ptq, &qconfig, 2, &err));
            octet_graph *const first = shipped(graph), *const second = shipped(graph);
            assert_same_levels(ptq, first);
            MUST(octet_train_settle(graph, &err));
            MUST(octet_convert(graph, &err));
            assert_same_levels(first, graph);
            octet_graph_free(graph); /* the others stand alone */
            assert_same_levels(first, second);
            assert_same_outputs(ptq, first, &x, "reference");
            assert_same_outputs(ptq, second, &x, "native");
            octet_graph_free(first);
            octet_graph_free(second);
            octet_graph_free(ptq);
        }
}

static void without_parameters_nothing_is_converted(void **state)
{
    (void)state;
    octet_graph *const graph = prepared(network(1), octet_qconfig_find("octet_qat"), false);
    octet_error        early = { 0 };
    assert_int_equal(octet_convert(graph, &early), OCTET_ERR_ARGUMENT);
    assert_non_null(strstr(early.text, "octet_trainer_store"));
    octet_graph *const unseen = shipped(graph); /* scale 1 everywhere: useless, but valid */
    octet_graph_free(unseen);
    octet_graph_free(graph);
}

/* ---- torch's ---- */

static octet_trained *trained_of(const octet_graph *graph, const char *value)
{
    const octet_value *const v = octet_graph_find_value(graph, value);
    assert_non_null(v);
    assert_non_null(v->fake_quantize);
    return v->fake_quantize->trained;
}

static octet_graph *functions(void)
{
    octet_graph *graph;
    random_state r = { 9 };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, 4 }, 2, &err));
    add_random(graph, &r, "w", (const int64_t[]){ 4, 4 }, 2, between(-1, 1));
    add_node(graph, "Gemm", "g", NULL, INPUTS("x", "w"));
    add_node(graph, "Tanh", "t", NULL, INPUTS("g"));
    add_node(graph, "Sigmoid", "s", NULL, INPUTS("t"));
    add_node(graph, "Gemm", "y", NULL, INPUTS("s", "w"));
    MUST(octet_graph_set_output(graph, "y", &err));
    return graph;
}

static void functions_have_fixed_parameters_in_torch_alone(void **state)
{
    (void)state;
    for (int torch = 0; torch < 2; torch++) {
        octet_qconfig qconfig    = *octet_qconfig_find("default_qat");
        qconfig.target           = torch ? "torch-1.13" : NULL;
        octet_graph *const graph = functions();
        MUST(octet_prepare_qat(graph, &qconfig, NULL, NULL, &err));
        const octet_trained *const t = trained_of(graph, "t"), *const s = trained_of(graph, "s");
        assert_int_equal(t->quantizer.fake, torch ? OCTET_FAKE_FIXED : OCTET_FAKE_OBSERVED);
        assert_int_equal(t->observing, !torch);
        if (torch) {
            assert_true(t->scale[0] == 2 / 256.0f && t->zero_point[0] == 128);
            assert_true(s->scale[0] == 1 / 256.0f && s->zero_point[0] == 0);
            assert_int_equal(t->qmax, 255);
        }
        assert_int_equal(trained_of(graph, "x")->qmax, 127); /* halved while training, the whole type afterwards */
        octet_graph *const out = shipped(graph);
        assert_int_equal(octet_graph_find_value(out, "x")->fake_quantize->qparams.qmax, torch ? 255 : 127);
        octet_graph_free(out);
        octet_graph_free(graph);
    }
}

/* ---- one weight, several readers ---- */

static octet_graph *twins(bool batch_norm)
{
    octet_graph *graph;
    random_state r = { 4 };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, 8, 4, 4 }, 4, &err));
    add_random(graph, &r, "w", (const int64_t[]){ 8, 8, 1, 1 }, 4, between(-1, 1));
    add_node(graph, "Conv", "a", NULL, INPUTS("x", "w"));
    if (batch_norm) add_batch_norm(graph, &r, "n", "a");
    add_node(graph, "Conv", "b", NULL, INPUTS(batch_norm ? "n" : "a", "w"));
    MUST(octet_graph_set_output(graph, "b", &err));
    return graph;
}

static void tied_weights_stay_tied_unless_batch_norm_parts_them(void **state)
{
    (void)state;
    for (int norm = 0; norm < 2; norm++) {
        octet_graph *const graph = twins(norm);
        MUST(octet_prepare_qat(graph, octet_qconfig_find("octet_qat"), NULL, NULL, &err));
        const octet_value *const a = octet_graph_find_node(graph, "a")->inputs[1];
        const octet_value *const b = octet_graph_find_node(graph, "b")->inputs[1];
        assert_int_equal(a == b, !norm);
        assert_int_equal(a->fake_quantize->trained == b->fake_quantize->trained, !norm);
        bool told = false;
        for (size_t i = 0; i < graph->decision_count; i++)
            told = told || !strcmp(graph->decisions[i].what, "weights of its own");
        assert_int_equal(told, norm);
        octet_graph *const out = shipped(graph);
        octet_graph_free(graph);
        MUST(octet_graph_check(out, &err));
        octet_graph_free(out);
    }
}

/* ---- from a quantized network ---- */

static void assert_gives_itself_again(const octet_graph *quantized, const char *qconfig, const octet_tensor *x,
                                      const char *engine)
{
    octet_graph *const graph = saved_and_loaded(quantized);
    MUST(octet_prepare_qat(graph, octet_qconfig_find(qconfig), NULL, NULL, &err));
    for (const octet_value *v = graph->values; v; v = v->next) {
        if (!v->fake_quantize) continue;
        assert_false(v->fake_quantize->trained->observing);
        assert_non_null(v->fake_quantize->trained);
    }
    octet_graph *const again = shipped(graph);
    octet_graph_free(graph);
    octet_graph *const loaded = saved_and_loaded(quantized);
    assert_same_levels(loaded, again);
    assert_same_outputs(loaded, again, x, engine);
    octet_graph_free(again);
    octet_graph_free(loaded);
}

static void quantized_networks_give_themselves_again(void **state)
{
    (void)state;
    static const char *const qconfigs[] = { "octet", "octet_lsq", "default_qat_v2", "octet_qat" };
    for (size_t i = 0; i < SHARED_MODELS; i++) {
        octet_dataset     *data;
        octet_graph *const graph =
            quantize_shared(&shared_models[i], &data, i % 2 ? "portable" : "native", OCTET_METHOD_MINMAX);
        if (!graph) return;
        octet_tensor x = first_sample(data);
        assert_gives_itself_again(graph, qconfigs[i % 4], &x, i % 3 ? "native" : "reference");
        free(x.data);
        octet_dataset_free(data);
        octet_graph_free(graph);
    }
}

static octet_graph *small_quantized(const char *weights, const char *activations)
{
    octet_graph  *graph   = residual_network(1, true);
    octet_qconfig qconfig = *octet_qconfig_find("octet");
    MUST(octet_qconfig_bits(&qconfig, weights, activations, &err));
    MUST(quantize(graph, &qconfig, 2, &err));
    return graph;
}

static void bits_are_kept_unless_others_are_asked_for(void **state)
{
    (void)state;
    octet_graph *const low = small_quantized("s4", "u4"), *const eight = small_quantized(NULL, NULL);
    const octet_tensor x   = all_samples();
    octet_qconfig      s4  = *octet_qconfig_find("octet_qat");
    MUST(octet_qconfig_bits(&s4, "s4", "u5", &err));
    assert_gives_itself_again(low, "octet_lsq", &x, "reference");
    assert_gives_itself_again(low, "octet_qat", &x, "native");

    octet_graph *const kept = saved_and_loaded(low), *const fewer = saved_and_loaded(eight);
    MUST(octet_prepare_qat(kept, octet_qconfig_find("octet_qat"), NULL, NULL, &err));
    assert_int_equal(octet_graph_find_node(kept, "conv1")->inputs[1]->fake_quantize->trained->qmax, 7);
    assert_int_equal(trained_of(kept, "relu1")->qmax, 15);
    MUST(octet_prepare_qat(fewer, &s4, NULL, NULL, &err));
    assert_int_equal(octet_graph_find_node(fewer, "conv1")->inputs[1]->fake_quantize->trained->qmax, 7);
    const octet_trained *const relu = trained_of(fewer, "relu1");
    const float                had  = octet_graph_find_value(eight, "relu1")->fake_quantize->qparams.scale[0];
    assert_int_equal(relu->qmax, 31);
    assert_true(fabsf(relu->scale[0] * 31 / (had * 255) - 1) < 1e-3f); /* the same range */
    octet_graph *const out = shipped(fewer);
    MUST(octet_graph_check(out, &err));
    octet_graph_free(out);
    octet_graph_free(kept);
    octet_graph_free(fewer);
    octet_graph_free(low);
    octet_graph_free(eight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_else_sees_the_float_network),
        cmocka_unit_test(a_calibrated_start_is_what_calibration_makes),
        cmocka_unit_test(without_parameters_nothing_is_converted),
        cmocka_unit_test(functions_have_fixed_parameters_in_torch_alone),
        cmocka_unit_test(tied_weights_stay_tied_unless_batch_norm_parts_them),
        cmocka_unit_test(quantized_networks_give_themselves_again),
        cmocka_unit_test(bits_are_kept_unless_others_are_asked_for),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
