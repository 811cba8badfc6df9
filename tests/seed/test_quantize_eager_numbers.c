/* SPDX-License-Identifier: Apache-2.0 */
/* PyTorch's test_quantize_eager_ptq.py, the static half, in meaning: what quantized networks compute, what hooks and
   recording observers see, what a file keeps. */
#include "ptq_flow.h"

#include <octet/file.h>

/* ---- numbers ---- */

/* The reference module: dequantized input and weights, a float sum in double, quantized again. */
static void check_reference(const octet_graph *graph, const float *got, int64_t rows, int64_t in, int64_t out)
{
    const octet_node *const    node = octet_graph_find_node(graph, "fc1");
    const octet_tensor *const  w = node->inputs[1]->constant, *const b = node->inputs[2]->constant;
    const octet_qparams *const x = octet_value_levels(graph, node->inputs[0]);
    const octet_qparams *const y = octet_value_levels(graph, node->outputs[0]);
    for (int64_t i = 0; i < rows * out; i++) {
        double sum = (double)((const float *)b->data)[i % out];
        for (int64_t k = 0; k < in; k++) {
            const double level = fmin(fmax(rint((double)(samples[i / out * in + k] * (1 / x->scale[0]))) +
                                               x->zero_point[0], 0), 255);
            sum += (level - x->zero_point[0]) * (double)x->scale[0] *
                   ((const int8_t *)w->data)[i % out * in + k] * (double)w->qparams->scale[0];
        }
        const double level = fmin(fmax(rint(sum / (double)y->scale[0]) + y->zero_point[0], 0), 255);
        assert_true(fabs((double)got[i] - (level - y->zero_point[0]) * (double)y->scale[0]) <= 1e-5);
    }
}

/* test_linear: is_reference gives the same numbers. */
static void a_reference_module_gives_the_same(void **unused)
{
    (void)unused;
    static const char *const profiles[] = { "torch-qnnpack", "torch-onednn", "torch-fbgemm", "torch-x86" };
    const octet_qconfig      qconfig    = torch_default(NULL, 0);
    octet_graph *const       graph      = quantized(linear_network(single), &qconfig);
    const octet_tensor       x          = input_of(graph, 8);
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++) {
        float got[ROOM];
        assert_int_equal(run_graph(graph, &x, got, ROOM, &(octet_plan_options){ .profile = profiles[i] }), 40);
        check_reference(graph, got, 8, 5, 5);
    }
    octet_graph_free(graph);
}

enum { CHANNELS = 3, SIDE = 5 };

/* A convolution of that many dimensions; weights NULL: random ones. */
static octet_graph *conv_network(int spatial, const float *weights)
{
    octet_graph  *graph;
    random_state  r      = { 13 };
    const int64_t dims[] = { OCTET_DIM_FREE, 2, SIDE, SIDE, SIDE }, kernel[] = { CHANNELS, 2, 3, 3, 3 };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 2 + spatial, &err));
    add_random(graph, &r, "bias", kernel, 1, between(-0.5f, 0.5f));
    if (weights) add_floats(graph, "conv.weight", weights, kernel, 2 + spatial);
    else add_random(graph, &r, "conv.weight", kernel, 2 + spatial, between(-0.4f, 0.4f));
    add_node(graph, "Conv", "conv", NULL, INPUTS("x", "conv.weight", "bias"));
    MUST(octet_graph_set_output(graph, "conv", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

static float rounded(float x, const octet_qparams *q)
{
    const double level = fmin(fmax(rint((double)(x * (1 / q->scale[0]))) + q->zero_point[0], 0), 255);
    return (float)(level - q->zero_point[0]) * q->scale[0];
}

/* test_conv_1d, 2d and 3d, per tensor and per channel: a float convolution of dequantized input and weights, rounded,
   is what integers give, but for ties. */
static void check_convolution(int spatial, bool per_channel)
{
    static float  dequantized[CHANNELS * 2 * 27], in[8 * 2 * SIDE * SIDE * SIDE], want[ROOM], got[ROOM];
    octet_qconfig qconfig = torch_default(NULL, 0);
    size_t        apart   = 0;
    qconfig.weight.per_channel = per_channel;
    octet_graph *const         graph = quantized(conv_network(spatial, NULL), &qconfig);
    const octet_node *const    node  = octet_graph_find_node(graph, "conv");
    const octet_tensor *const  w     = node->inputs[1]->constant;
    const octet_qparams *const x = octet_value_levels(graph, node->inputs[0]);
    const octet_qparams *const y = octet_value_levels(graph, node->outputs[0]);
    const int64_t              count = octet_tensor_count(w);
    assert_int_equal(w->qparams->count, per_channel ? CHANNELS : 1);
    for (int64_t i = 0; i < count; i++)
        dequantized[i] = (float)((const int8_t *)w->data)[i] *
                         w->qparams->scale[per_channel ? i / (count / CHANNELS) : 0];
    octet_graph *const reference = conv_network(spatial, dequantized);
    const octet_tensor sample = input_of(graph, 8);
    octet_tensor       close = sample;
    close.data = in;
    for (int64_t i = 0; i < octet_tensor_count(&sample); i++) in[i] = rounded(samples[i], x);
    const size_t n = run_graph(reference, &close, want, ROOM, NULL);
    assert_int_equal(run_graph(graph, &sample, got, ROOM, &(octet_plan_options){ .profile = "torch-fbgemm" }), n);
    for (size_t i = 0; i < n; i++) {
        const float off = fabsf(got[i] - rounded(want[i], y));
        assert_true(off <= 1.001f * y->scale[0]);
        apart += off > 0.5f * y->scale[0];
    }
    assert_true(apart * 100 <= n);
    octet_graph_free(reference);
    octet_graph_free(graph);
}

static void convolutions_of_dequantized_weights_give_the_same(void **unused)
{
    (void)unused;
    for (int spatial = 1; spatial <= 3; spatial++)
        for (int per_channel = 0; per_channel < 2; per_channel++) check_convolution(spatial, per_channel);
}

/* test_int16_reference_module: levels of 16 bits are nearly exact. */
static void activations_of_16_bits(void **unused)
{
    (void)unused;
    float              want[ROOM], got[ROOM];
    octet_qconfig      qconfig = *octet_qconfig_find("octet");
    octet_graph *const plain   = linear_network(two);
    qconfig.activation         = (octet_quantizer){ .method = OCTET_METHOD_MINMAX, .dtype = OCTET_I16 };
    octet_graph *const graph   = quantized(linear_network(two), &qconfig);
    assert_int_equal(octet_graph_find_value(graph, "fc1")->fake_quantize->qparams.dtype, OCTET_I16);
    const octet_tensor x = input_of(plain, 10);
    const size_t       n = run_graph(plain, &x, want, ROOM, NULL);
    run_graph(graph, &x, got, ROOM, NULL);
    const double db = sqnr_db(want, got, n);
    print_message("16-bit activations: %.1f dB\n", db);
    assert_true(db > 38); /* what weights of 8 bits leave */
    octet_graph_free(plain);
    octet_graph_free(graph);
}

/* test_save_load_state_dict: the reloaded model gives the same output, by the same names. */
static void a_saved_model_gives_the_same_output(void **unused)
{
    (void)unused;
    const octet_layer_rule rules[] = { { "*", .keep_float = true }, { "sub2.fc1" }, { "fc3" } };
    char                folder[512], path[600];
    float               want[ROOM], got[ROOM];
    octet_graph        *again;
    const octet_qconfig qconfig = torch_default(RULES(rules));
    octet_graph *const  graph   = quantized(linear_network(nested), &qconfig);
    make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/net.onnx", folder);
    MUST(octet_graph_save(graph, path, &err));
    MUST(octet_graph_load(&again, path, &err));
    MUST(octet_fuse(again, &err));
    unlink(path);
    rmdir(folder);
    assert_modes(again, "sub2.fc1 fc3", "sub1.fc.raw sub2.fc2");
    const octet_tensor x = input_of(graph, 10);
    const size_t       n = run_graph(graph, &x, want, ROOM, NULL);
    assert_int_equal(run_graph(again, &x, got, ROOM, NULL), n);
    assert_memory_equal(want, got, n * sizeof *got);
    for (const octet_node *a = graph->first; a; a = a->next)
        if (a->op->quant == OCTET_QUANT_MAC) assert_non_null(octet_graph_find_node(again, a->name));
    octet_graph_free(graph);
    octet_graph_free(again);
}

/* ---- hooks ---- */

/* test_forward_hooks_preserved: before, while and after quantization a hook sees every value once a run. */
static void hooks_see_every_value_once(void **unused)
{
    (void)unused;
    const octet_qconfig qconfig = torch_default(NULL, 0);
    octet_graph *const  graph   = linear_network(nested);
    assert_seen_once(graph);
    MUST(octet_prepare(graph, &qconfig, &err));
    assert_seen_once(graph);
    octet_observer *const observer =
        &graph->calibration->watches[octet_graph_find_value(graph, "fc3")->index].group->observer;
    assert_int_equal(observer->count, 0); /* only calibration is observed */
    calibrate_and_convert(graph);
    assert_seen_once(graph);
    octet_graph_free(graph);
}

/* RecordingObserver: every tensor in order, as it was; then nothing can be converted. */
static void a_recording_observer_keeps_all(void **unused)
{
    (void)unused;
    octet_qconfig        qconfig = *octet_qconfig_find("default_debug_qconfig");
    octet_graph *const   graph   = linear_network(two);
    octet_dataset *const data    = data_for(graph);
    octet_error          why     = { 0 };
    qconfig.target               = "torch-1.13";
    MUST(octet_prepare(graph, &qconfig, &err));
    MUST(octet_calibrate(graph, data, &(octet_calibrate_options){ .batch = 16 }, &err));
    const octet_recorded *kept = graph->calibration->watches[graph->inputs[0]->index].group->recorded;
    const int64_t         sizes[] = { 16, 16, 8 };
    size_t                at      = 0;
    for (int i = 0; i < 3; i++, kept = kept->next) {
        assert_non_null(kept);
        assert_int_equal(kept->tensor.dims[0], sizes[i]);
        assert_memory_equal(kept->tensor.data, samples + at, (size_t)octet_tensor_bytes(&kept->tensor));
        at += (size_t)octet_tensor_count(&kept->tensor);
    }
    assert_null(kept);
    assert_int_equal(octet_convert(graph, &why), OCTET_ERR_ARGUMENT);
    assert_non_null(strstr(why.text, "recording"));
    octet_dataset_free(data);
    octet_graph_free(graph);
}

/* Qconfigs that are not of static quantization are refused by name. */
static void others_are_refused(void **unused)
{
    (void)unused;
    static const char *const names[] = { "float16_static", "default_reuse_input" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        octet_error        err   = { 0 };
        octet_graph *const graph = linear_network(two);
        assert_int_equal(octet_prepare(graph, octet_qconfig_find(names[i]), &err), OCTET_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.text, names[i]));
        octet_graph_free(graph);
    }
}

/* A real zero point is for tables of embeddings: Linear layers stay as they are. */
static void real_zero_points_leave_linear_layers(void **unused)
{
    (void)unused;
    octet_graph *const graph = linear_network(two);
    MUST(octet_prepare(graph, octet_qconfig_find("float_qparams_weight_only"), &err));
    MUST(octet_calibrate(graph, NULL, NULL, &err));
    MUST(octet_convert(graph, &err));
    assert_modes(graph, "", "fc1 fc2");
    for (const octet_node *n = graph->first; n; n = n->next)
        assert_int_equal(n->inputs[1]->constant->dtype, OCTET_F32);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reference_module_gives_the_same),
        cmocka_unit_test(convolutions_of_dequantized_weights_give_the_same),
        cmocka_unit_test(activations_of_16_bits),
        cmocka_unit_test(a_saved_model_gives_the_same_output),
        cmocka_unit_test(hooks_see_every_value_once),
        cmocka_unit_test(a_recording_observer_keeps_all),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(real_zero_points_leave_linear_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
