/* SPDX-License-Identifier: Apache-2.0 */
/* Files as other tools write them: PyTorch's narrow ranges and 32-bit biases, levels of 16 bits, scales in blocks, and
   the fused operators of ONNX Runtime's own domain. */
#include "graph/attrs.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "ops/levels.h"
#include "proto.h"

#include <octet/quantize.h>

static const int64_t image[] = { 1, 2, 2, 2 };

static void scalar(proto_model *p, const char *name, int type, const void *value)
{
    proto_tensor(p, name, type, value, NULL, 0);
}

/* x of shape image, output y, scale s = 0.5 and zero point z = 3 (u8). */
static proto_model *with_scale(int opset)
{
    proto_model *p = proto_new(opset);
    proto_input(p, "x", 1, image, 4);
    proto_output(p, "y");
    scalar(p, "s", 1, &(float){ 0.5f });
    scalar(p, "z", 2, &(uint8_t){ 3 });
    return p;
}

static const octet_qparams *parameters(const octet_graph *graph, const char *name)
{
    const octet_value *value = octet_graph_find_value(graph, name);
    assert_non_null(value);
    assert_non_null(value->fake_quantize);
    return &value->fake_quantize->qparams;
}

/* ---- PyTorch's exporter ---- */

/* Levels 0..127 of u8: Clip stands between the two. */
static void test_clipped_levels(void **state)
{
    (void)state;
    proto_model *p = with_scale(13);
    scalar(p, "low", 2, &(uint8_t){ 0 });
    scalar(p, "high", 2, &(uint8_t){ 127 });
    proto_node(p, "QuantizeLinear", "x s z", "q");
    proto_node(p, "Clip", "q low high", "c");
    proto_node(p, "DequantizeLinear", "c s z", "d");
    proto_node(p, "Relu", "d", "y");
    octet_graph         *graph = proto_load_good(p);
    const octet_qparams *q     = parameters(graph, "x");
    assert_int_equal(graph->node_count, 1);
    assert_int_equal(q->qmin, 0);
    assert_int_equal(q->qmax, 127);
    octet_graph_free(graph);
}

/* A Clip that would leave zero out is no range: all stays as it is. */
static void test_clip_without_zero(void **state)
{
    (void)state;
    proto_model *p = with_scale(13);
    scalar(p, "low", 2, &(uint8_t){ 4 });
    proto_node(p, "QuantizeLinear", "x s z", "q");
    proto_node(p, "Clip", "q low", "c");
    proto_node(p, "DequantizeLinear", "c s z", "y");
    octet_graph *graph = proto_load_good(p);
    assert_int_equal(graph->node_count, 3);
    octet_graph_free(graph);
}

/* bias: QuantizeLinear to s32, of a scale that is computed, and DequantizeLinear. */
static void test_bias_of_32_bits(void **state)
{
    (void)state;
    const int64_t two[] = { 2 }, weights[] = { 2, 2, 1, 1 };
    const float   bias[] = { 1, -0.25f }, scales[] = { 0.25f, 0.125f };
    proto_model  *p      = with_scale(13);
    proto_tensor(p, "b", 1, bias, two, 1);
    proto_tensor(p, "sw", 1, scales, two, 1);
    proto_tensor(p, "zw", 3, (const int8_t[]){ 0, 0 }, two, 1);
    proto_tensor(p, "zb", 6, (const int32_t[]){ 0, 0 }, two, 1);
    proto_tensor(p, "wq", 3, (const int8_t[]){ 1, -2, 3, 4 }, weights, 4);
    proto_node(p, "QuantizeLinear", "x s z", "q");
    proto_node(p, "DequantizeLinear", "q s z", "d");
    proto_int(p, proto_node(p, "DequantizeLinear", "wq sw zw", "w"), "axis", 0);
    proto_node(p, "Mul", "sw s", "sb");
    proto_int(p, proto_node(p, "QuantizeLinear", "b sb zb", "bq"), "axis", 0);
    proto_int(p, proto_node(p, "DequantizeLinear", "bq sb zb", "bd"), "axis", 0);
    proto_node(p, "Conv", "d w bd", "y");
    octet_graph *graph = proto_load_good(p);
    octet_error  err   = { 0 };
    assert_int_equal(octet_fuse(graph, &err), OCTET_OK);
    assert_int_equal(graph->node_count, 1);
    const octet_tensor *levels = graph->first->inputs[2]->constant;
    assert_int_equal(levels->dtype, OCTET_I32);
    assert_int_equal(((const int32_t *)levels->data)[0], 8);
    assert_int_equal(((const int32_t *)levels->data)[1], -4);
    octet_graph_free(graph);
}

/* ---- more than 8 bits, and blocks ---- */

static void test_levels_of_16_bits(void **state)
{
    (void)state;
    proto_model      *p    = with_scale(21);
    Onnx__TensorProto *zero = proto_tensor(p, "z16", 2, (const uint8_t[]){ 0xe8, 0x03 }, (const int64_t[]){ 2 }, 1);
    zero->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__UINT16; /* 1000 */
    zero->n_dims    = 0;
    proto_node(p, "QuantizeLinear", "x s z16", "q");
    proto_node(p, "DequantizeLinear", "q s z16", "d");
    proto_node(p, "Relu", "d", "y");
    octet_graph         *graph = proto_load_good(p);
    const octet_qparams *q     = parameters(graph, "x");
    assert_int_equal(q->dtype, OCTET_U16);
    assert_int_equal(q->zero_point[0], 1000);
    assert_int_equal(q->qmax, 65535);
    octet_graph_free(graph);
}

/* Rows 0..2 of a 3 x 2 weight in blocks of two: rows 0 and 1 share scales, row 2 has its own. */
static void add_blocks(proto_model *p, const int64_t *scale_dims)
{
    const int64_t x[] = { 1, 3 }, w[] = { 3, 2 };
    const float   scales[] = { 0.5f, 2, 0.25f, 1 };
    proto_input(p, "x", 1, x, 2);
    proto_output(p, "y");
    proto_tensor(p, "wq", 3, (const int8_t[]){ 1, 2, 3, 4, 5, 6 }, w, 2);
    proto_tensor(p, "sw", 1, scales, scale_dims, 2);
    proto_tensor(p, "zw", 3, (const int8_t[]){ 1, 0, -1, 0 }, scale_dims, 2);
    Onnx__NodeProto *n = proto_node(p, "DequantizeLinear", "wq sw zw", "w");
    proto_int(p, n, "axis", 0);
    proto_int(p, n, "block_size", 2);
    proto_node(p, "MatMul", "x w", "y");
}

static void test_blocks(void **state)
{
    (void)state;
    static const float expected[] = { 0, 4, 1, 8, 1.5f, 6 };
    octet_error        err        = { 0 };
    proto_model       *p          = proto_new(21);
    add_blocks(p, (const int64_t[]){ 2, 2 });
    octet_graph *graph = proto_load_good(p);
    assert_int_equal(octet_fuse(graph, &err), OCTET_OK);
    assert_int_equal(graph->node_count, 1);
    const octet_tensor *w = graph->first->inputs[1]->constant;
    assert_non_null(w);
    assert_int_equal(w->dtype, OCTET_I8); /* they stay levels */
    assert_true(w->qparams->count == 4 && w->qparams->block == 2);
    float real[6];
    octet_levels_real_any(real, w, 0, 6);
    assert_memory_equal(real, expected, sizeof expected);
    octet_graph_free(graph);
    p = proto_new(21);
    add_blocks(p, (const int64_t[]){ 4, 1 });
    assert_null(proto_load(p, &err));
    assert_string_equal(err.field, "scale");
}

/* Weights with a scale below zero, as NNCF writes them: real from then on. */
static void test_scale_below_zero(void **state)
{
    (void)state;
    static const float expected[] = { 64, -1, -0.5f, -1 };
    const int64_t      x[] = { 1, 2 }, w[] = { 2, 2 }, two[] = { 2 };
    octet_error        err = { 0 };
    proto_model       *p   = proto_new(13);
    proto_input(p, "x", 1, x, 2);
    proto_output(p, "y");
    proto_tensor(p, "wq", 3, (const int8_t[]){ -128, -4, 1, -4 }, w, 2);
    proto_tensor(p, "sw", 1, (const float[]){ -0.5f, 0.25f }, two, 1);
    proto_int(p, proto_node(p, "DequantizeLinear", "wq sw", "w"), "axis", 1);
    proto_node(p, "MatMul", "x w", "y");
    octet_graph *graph = proto_load_good(p);
    assert_int_equal(octet_fuse(graph, &err), OCTET_OK);
    assert_int_equal(graph->node_count, 1);
    assert_memory_equal(graph->first->inputs[1]->constant->data, expected, sizeof expected);
    octet_graph_free(graph);
}

/* A Conv's scales of three dimensions, as NNCF 3.4 compresses them: no runtime takes them. */
static void test_scales_of_rank_3(void **state)
{
    (void)state;
    octet_error  err = { 0 };
    proto_model *p   = with_scale(21);
    proto_tensor(p, "wq", 3, (const int8_t[]){ 1, 2, 3, 4 }, (const int64_t[]){ 2, 2, 1, 1 }, 4);
    proto_tensor(p, "sw", 1, (const float[]){ 0.5f, 0.25f }, (const int64_t[]){ 2, 1, 1 }, 3);
    proto_int(p, proto_node(p, "DequantizeLinear", "wq sw", "w"), "axis", 0);
    proto_node(p, "Conv", "x w", "y");
    assert_null(proto_load(p, &err));
    assert_string_equal(err.field, "scale");
    assert_non_null(strstr(err.text, "got rank 3"));
}

/* ---- com.microsoft ---- */

static void assert_operators(const octet_graph *graph, const char *expected)
{
    char text[256] = "";
    for (const octet_node *n = graph->first; n; n = n->next) {
        strcat(text, n == graph->first ? "" : " ");
        strcat(text, n->op->name);
    }
    assert_string_equal(text, expected);
    assert_string_equal(graph->last->outputs[0]->name, "y");
}

static float attribute(const octet_node *node, const char *name)
{
    const octet_attr *row = octet_attr_find(node->op, name);
    float             value;
    assert_non_null(row);
    memcpy(&value, octet_attr_get(node->attrs, row), sizeof value);
    return value;
}

static void test_fused_conv(void **state)
{
    (void)state;
    const int64_t weights[] = { 2, 2, 1, 1 };
    proto_model  *p         = with_scale(13);
    proto_microsoft(p);
    proto_tensor(p, "w", 1, (const float[]){ 1, 2, 3, 4 }, weights, 4);
    proto_string(p, proto_fused(p, "FusedConv", "x w  x", "y"), "activation", "Relu");
    octet_graph *graph = proto_load_good(p);
    assert_operators(graph, "Conv Add Relu");
    assert_ptr_equal(graph->first->next->inputs[1], octet_graph_find_value(graph, "x"));
    assert_int_equal(graph->first->input_count, 2);
    octet_graph_free(graph);
}

static void test_fused_products(void **state)
{
    (void)state;
    const int64_t row[] = { 1, 2 }, square[] = { 2, 2 };
    proto_model  *p = proto_new(13);
    proto_microsoft(p);
    proto_input(p, "x", 1, row, 2);
    proto_output(p, "y");
    proto_tensor(p, "w", 1, (const float[]){ 1, 2, 3, 4 }, square, 2);
    proto_float(p, proto_fused(p, "FusedMatMul", "x w", "m"), "alpha", 0.5f);
    Onnx__NodeProto *gemm = proto_fused(p, "FusedGemm", "m w", "y");
    proto_string(p, gemm, "activation", "LeakyRelu");
    proto_float(p, gemm, "activation_alpha", 0.125f);
    octet_graph *graph = proto_load_good(p);
    assert_operators(graph, "MatMul Mul Gemm LeakyRelu");
    assert_true(attribute(graph->last, "alpha") == 0.125f);
    assert_true(*(const float *)graph->first->next->inputs[1]->constant->data == 0.5f);
    octet_graph_free(graph);
}

/* Operands that lie turned: by how much, ranks tell later. */
static void test_fused_transposed(void **state)
{
    (void)state;
    static const float expected[] = { 4 * 1 + 5 * 2, 4 * 3 + 5 * 4 };
    const int64_t      x[] = { 2, 1 }, square[] = { 2, 2 };
    proto_model       *p = proto_new(13);
    octet_error        err = { 0 };
    proto_microsoft(p);
    proto_input(p, "x", 1, x, 2);
    proto_output(p, "y");
    proto_tensor(p, "w", 1, (const float[]){ 1, 2, 3, 4 }, square, 2);
    Onnx__NodeProto *n = proto_fused(p, "FusedMatMul", "x w", "y");
    proto_int(p, n, "transA", 1);
    proto_int(p, n, "transB", 1);
    octet_graph       *graph = proto_load_good(p);
    const octet_tensor in = { .dtype = OCTET_F32, .rank = 2, .dims = { 2, 1 }, .data = (float[]){ 4, 5 } };
    float              got[2];
    assert_int_equal(run_graph(graph, &in, got, 2, NULL), 2);
    assert_memory_equal(got, expected, sizeof got);
    assert_int_equal(octet_fuse(graph, &err), OCTET_OK);
    assert_string_equal(graph->last->op->name, "MatMul");
    assert_int_equal(run_graph(graph, &in, got, 2, NULL), 2);
    assert_memory_equal(got, expected, sizeof got);
    octet_graph_free(graph);
}

/* The rows of both in front: x [2, 3, 1] is three matrices of two rows. */
static void test_fused_batches(void **state)
{
    (void)state;
    const int64_t x[] = { 2, 3, 1 }, w[] = { 1, 3, 2 };
    proto_model  *p = proto_new(13);
    proto_microsoft(p);
    proto_input(p, "x", 1, x, 3);
    proto_output(p, "y");
    proto_tensor(p, "w", 1, (const float[]){ 1, 2, 3, 4, 5, 6 }, w, 3);
    Onnx__NodeProto *n = proto_fused(p, "FusedMatMul", "x w", "y");
    proto_int(p, n, "transBatchA", 1);
    proto_int(p, n, "transBatchB", 1);
    octet_graph       *graph = proto_load_good(p);
    const octet_tensor in = { .dtype = OCTET_F32, .rank = 3, .dims = { 2, 3, 1 },
                              .data = (float[]){ 1, 2, 3, 4, 5, 6 } };
    static const float expected[] = { 1, 2, 4, 8, 6, 8, 15, 20, 15, 18, 30, 36 };
    float              got[12];
    assert_int_equal(run_graph(graph, &in, got, 12, NULL), 12);
    assert_memory_equal(got, expected, sizeof got);
    octet_graph_free(graph);
}

static void test_refused(void **state)
{
    (void)state;
    octet_error  err = { 0 };
    proto_model *p   = with_scale(13);
    proto_microsoft(p);
    proto_tensor(p, "w", 1, (const float[]){ 1, 2, 3, 4 }, (const int64_t[]){ 2, 2, 1, 1 }, 4);
    proto_string(p, proto_fused(p, "FusedConv", "x w", "y"), "activation", "Sine");
    assert_null(proto_load(p, &err));
    assert_int_equal(err.status, OCTET_ERR_UNSUPPORTED);
    assert_string_equal(err.field, "activation");
    p = with_scale(13);
    proto_microsoft(p);
    proto_fused(p, "MoE", "x", "y");
    assert_null(proto_load(p, &err));
    assert_non_null(strstr(err.text, "com.microsoft:MoE"));
}

/* Functions of transformers, where octet has the operators that they stand for. */
static void test_transformer_functions(void **state)
{
    (void)state;
    if (!octet_op_find("Gelu", NULL) || !octet_op_find("LayerNormalization", NULL)) {
        print_message("SKIPPED: Gelu and LayerNormalization are not operators of this build\n");
        skip();
    }
    const int64_t two[] = { 2 };
    proto_model  *p     = with_scale(17);
    proto_microsoft(p);
    proto_tensor(p, "g", 1, (const float[]){ 1, 2 }, two, 1);
    proto_tensor(p, "b", 1, (const float[]){ 0, 1 }, two, 1);
    proto_fused(p, "BiasGelu", "x b", "a");
    proto_float(p, proto_fused(p, "SkipLayerNormalization", "a x g b b", "n   t"), "epsilon", 0.25f);
    proto_fused(p, "FastGelu", "n", "f");
    proto_node(p, "Add", "f t", "y");
    octet_graph *graph = proto_load_good(p);
    assert_operators(graph, "Add Gelu Add Add Identity LayerNormalization Gelu Add");
    const octet_node *norm = octet_graph_find_value(graph, "n")->producer;
    assert_true(attribute(norm, "epsilon") == 0.25f);
    assert_int_equal(norm->input_count, 3);
    assert_string_equal(norm->inputs[1]->name, "g");
    assert_string_equal(norm->inputs[2]->name, "b");
    octet_graph_free(graph);
}

/* ONNX Runtime's quantizer leaves BatchNormalization where it is, with scale and B as levels. */
static void test_norm_of_levels(void **state)
{
    (void)state;
    static const float expected[] = { 1.5f, 0.5f, 1, 1, -1.5f, -1.5f, 0, -1 };
    const int64_t      two[] = { 2 };
    proto_model       *p = with_scale(13);
    proto_tensor(p, "gq", 3, (const int8_t[]){ 2, -4 }, two, 1);
    scalar(p, "gs", 1, &(float){ 0.25f });
    proto_tensor(p, "bq", 6, (const int32_t[]){ 8, -8 }, two, 1);
    scalar(p, "bs", 1, &(float){ 0.125f });
    proto_tensor(p, "mean", 1, (const float[]){ 0, 0 }, two, 1);
    proto_tensor(p, "variance", 1, (const float[]){ 1, 1 }, two, 1);
    proto_node(p, "QuantizeLinear", "x s z", "q");
    proto_node(p, "DequantizeLinear", "q s z", "d");
    proto_node(p, "DequantizeLinear", "gq gs", "g");
    proto_node(p, "DequantizeLinear", "bq bs", "b");
    proto_node(p, "BatchNormalization", "d g b mean variance", "n");
    proto_node(p, "QuantizeLinear", "n s z", "nq");
    proto_node(p, "DequantizeLinear", "nq s z", "y");
    octet_graph       *graph = proto_load_good(p);
    const octet_tensor in = { .dtype = OCTET_F32, .rank = 4, .dims = { 1, 2, 2, 2 },
                              .data = (float[]){ 1, -1, 0.5f, 0, 2, 1, -1, 0 } };
    float              got[8];
    octet_error        err = { 0 };
    assert_int_equal(octet_fuse(graph, &err), OCTET_OK);
    assert_true(octet_node_compute_mode(graph, graph->first) == OCTET_MODE_INTEGER);
    assert_int_equal(run_graph(graph, &in, got, 8, NULL), 8);
    assert_memory_equal(got, expected, sizeof got);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clipped_levels),    cmocka_unit_test(test_clip_without_zero),
        cmocka_unit_test(test_bias_of_32_bits),   cmocka_unit_test(test_levels_of_16_bits),
        cmocka_unit_test(test_scale_below_zero),  cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_fused_conv),        cmocka_unit_test(test_fused_transposed),
        cmocka_unit_test(test_fused_batches),     cmocka_unit_test(test_scales_of_rank_3),
        cmocka_unit_test(test_fused_products),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_transformer_functions), cmocka_unit_test(test_norm_of_levels),
    };
    return cmocka_run_group_tests(tests, NULL, proto_teardown);
}
