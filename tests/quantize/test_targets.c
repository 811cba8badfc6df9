/* SPDX-License-Identifier: Apache-2.0 */
/* What each target promises its reader, checked on the file that is written, with protobuf-c alone. */
#include "../onnx/proto.h"
#include "../residual.h"

#include "graph/graph.h"
#include "graph/op.h"

static octet_graph *quantized_for(octet_graph *graph, const char *target)
{
    octet_qconfig qconfig     = *octet_qconfig_find("octet");
    qconfig.target            = target;
    qconfig.activation.method = OCTET_METHOD_MINMAX;
    MUST(quantize(graph, &qconfig, 1, &err));
    return graph;
}

/* The file of a network, and the network that it holds. */
static Onnx__ModelProto *written(octet_graph **again, const octet_graph *graph)
{
    char *path = proto_write_bytes("", 0);
    MUST(octet_graph_save(graph, path, &err));
    MUST(octet_graph_load(again, path, &err));
    MUST(octet_fuse(*again, &err));
    Onnx__ModelProto *const model = unpack_file(path);
    proto_remove(path);
    return model;
}

static bool is(const Onnx__NodeProto *node, const char *op) { return node && !strcmp(node->op_type, op); }

static bool sums(const Onnx__NodeProto *node) { return is(node, "Conv") || is(node, "Gemm"); }

/* ---- tensorrt ---- */

static int zero_points(const Onnx__GraphProto *g, const Onnx__NodeProto *node)
{
    if (!is(node, "QuantizeLinear") && !is(node, "DequantizeLinear")) return 0;
    assert_int_equal(node->n_input, 3);
    const Onnx__TensorProto *const zero = initializer(g, node->input[2]);
    assert_int_equal(zero->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__INT8);
    assert_true(zero->raw_data.len > 0);
    for (size_t i = 0; i < zero->raw_data.len; i++) assert_int_equal(zero->raw_data.data[i], 0);
    return 1;
}

static int weights_and_bias(const Onnx__GraphProto *g, const Onnx__NodeProto *node)
{
    if (!sums(node)) return 0;
    const Onnx__NodeProto *const   dq = producer(g, node->input[1]);
    const Onnx__TensorProto *const w  = initializer(g, dq->input[0]);
    assert_true(is(dq, "DequantizeLinear") && w->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT8);
    for (size_t i = 0; i < w->raw_data.len; i++) assert_int_not_equal((int8_t)w->raw_data.data[i], -128);
    if (node->n_input < 3) return 1;
    assert_int_equal(initializer(g, node->input[2])->data_type, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT);
    return 1;
}

/* Constants of levels, biases among them, are those that were written. */
static void assert_same_levels(const octet_graph *graph, const octet_graph *again)
{
    int compared = 0;
    for (const octet_value *v = graph->values; v; v = v->next) {
        if (!v->constant || !v->constant->qparams) continue;
        const octet_value *const w = octet_graph_find_value(again, v->name);
        assert_non_null(w);
        assert_int_equal(w->constant->dtype, v->constant->dtype);
        assert_memory_equal(w->constant->data, v->constant->data, (size_t)octet_tensor_bytes(v->constant));
        compared++;
    }
    assert_true(compared >= 6);
}

static void test_tensorrt(void **state)
{
    (void)state;
    octet_graph *again, *third, *graph = quantized_for(residual_network(1, true), "tensorrt");
    Onnx__ModelProto *const model = written(&again, graph), *const second = written(&third, again);
    int                     zeros = 0, weighted = 0;
    for (size_t i = 0; i < model->graph->n_node; i++) {
        const Onnx__NodeProto *const node = model->graph->node[i];
        zeros += zero_points(model->graph, node);
        weighted += weights_and_bias(model->graph, node);
        assert_false(is(node, "Clip"));
    }
    assert_int_equal(weighted, 4);
    assert_true(zeros > 10);
    assert_same_levels(graph, again);
    for (size_t i = 0; i < second->graph->n_node; i++) weights_and_bias(second->graph, second->graph->node[i]);
    onnx__model_proto__free_unpacked(model, NULL);
    onnx__model_proto__free_unpacked(second, NULL);
    octet_graph_free(graph);
    octet_graph_free(again);
    octet_graph_free(third);
}

static void refuse(const char *target, const octet_qconfig *from, const char *why)
{
    octet_error   err     = { 0 };
    octet_graph  *graph   = residual_network(1, true);
    octet_qconfig qconfig = *from;
    qconfig.target        = target;
    assert_int_equal(octet_prepare(graph, &qconfig, &err), OCTET_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, why));
    octet_graph_free(graph);
}

static void test_tensorrt_refuses(void **state)
{
    (void)state;
    octet_qconfig qconfig = *octet_qconfig_find("octet");
    refuse("tensorrt", octet_qconfig_find("default"), "activations of s8");
    qconfig.activation.dtype = OCTET_U8;
    refuse("tensorrt", &qconfig, "activations of s8");
    qconfig.activation.dtype = OCTET_I8;
    qconfig.weight.symmetric = false;
    refuse("tensorrt", &qconfig, "symmetric s8");
}

/* ---- onnxruntime and openvino ---- */

/* conv, then Softmax over channels: a network that ends in a sum that native leaves real. */
static octet_graph *ends_in_conv(void)
{
    random_state r = { 9 };
    octet_graph *graph;
    MUST(octet_graph_new(&graph, &err));
    const int64_t dims[] = { OCTET_DIM_FREE, CHANNELS, SIZE, SIZE };
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    add_random(graph, &r, "w", (const int64_t[]){ 4, CHANNELS, 3, 3 }, 4, between(-0.4f, 0.5f));
    add_node(graph, "Conv", "conv", NULL, INPUTS("x", "w"));
    MUST(octet_graph_set_output(graph, "conv", &err));
    return graph;
}

/* How many Convs of the file are followed by QuantizeLinear, a Relu between them or not. */
static int quantized_convs(const Onnx__GraphProto *g)
{
    int count = 0;
    for (size_t i = 0; i < g->n_node; i++) {
        if (!is(g->node[i], "QuantizeLinear")) continue;
        const Onnx__NodeProto *from = producer(g, g->node[i]->input[0]);
        if (is(from, "Relu")) from = producer(g, from->input[0]);
        count += is(from, "Conv");
    }
    return count;
}

static void count_convs(octet_graph *network, const char *target, int expected)
{
    octet_graph            *again, *const graph = quantized_for(network, target);
    Onnx__ModelProto *const model = written(&again, graph);
    const int               found = quantized_convs(model->graph);
    if (found != expected) fail_msg("%s: %d Convs end in levels, need %d", target, found, expected);
    onnx__model_proto__free_unpacked(model, NULL);
    octet_graph_free(graph);
    octet_graph_free(again);
}

static void test_convs(void **state)
{
    (void)state;
    count_convs(ends_in_conv(), "onnxruntime", 1);
    count_convs(ends_in_conv(), "portable", 0);
    count_convs(ends_in_conv(), "openvino", 0);
    count_convs(residual_network(1, true), "onnxruntime", 3);
    count_convs(residual_network(1, true), "openvino", 2); /* one is summed into the Add */
}

/* ---- torch-1.13 ---- */

/* The scale of a channel whose weights are next to nothing, in a network for the target. */
static float scale_of_dead_channel(const char *target)
{
    octet_graph *const graph = ends_in_conv();
    float *const       dead  = (float *)octet_graph_find_value(graph, "w")->constant->data + 2 * CHANNELS * 9;
    for (int i = 0; i < CHANNELS * 9; i++) dead[i] *= 1e-14f;
    quantized_for(graph, target);
    const octet_tensor *weight = NULL;
    for (const octet_value *v = graph->values; v; v = v->next)
        if (v->constant && v->constant->qparams && v->constant->rank == 4) weight = v->constant;
    assert_non_null(weight);
    assert_int_equal(weight->qparams->count, 4);
    const float scale = weight->qparams->scale[2];
    octet_graph_free(graph);
    return scale;
}

static void test_dead_channels(void **state)
{
    (void)state;
    assert_true(scale_of_dead_channel("torch-1.13") >= 0x1p-23f); /* refused if its multiplier were not normal */
    assert_true(scale_of_dead_channel("torch-1.13") <= 0x1p-22f);
    assert_true(scale_of_dead_channel("native") < 1e-14f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensorrt),
        cmocka_unit_test(test_tensorrt_refuses),
        cmocka_unit_test(test_convs),
        cmocka_unit_test(test_dead_channels),
    };
    const int failed = cmocka_run_group_tests(tests, make_data, remove_data);
    proto_teardown(NULL);
    return failed;
}
