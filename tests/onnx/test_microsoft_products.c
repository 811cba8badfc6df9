/* SPDX-License-Identifier: Apache-2.0 */
/* Products of com.microsoft over levels: what they are read as, and the numbers that their bytes stand for. */
#include "graph/graph.h"
#include "graph/op.h"
#include "ops/levels.h"
#include "proto.h"

#include <octet/quantize.h>

enum { K = 10, N = 2, BLOCK = 8, BLOCKS = 2 };

/* Rows n of blocks of 8 levels of 4 bits, the lower half of a byte first; the last block is filled up. */
static const uint8_t packed[N * BLOCKS * BLOCK / 2] = {
    0x10, 0x32, 0x54, 0x76, 0x98, 0, 0, 0, /* 0 1 2 3 4 5 6 7 | 8 9 */
    0xef, 0xcd, 0xab, 0x89, 0x67, 0, 0, 0, /* 15 14 13 12 11 10 9 8 | 7 6 */
};
static const float   scales[N * BLOCKS] = { 1, 0.5f, 2, 0.25f };
static const uint8_t zeros[N] = { 0x91, 0x38 }; /* 1 and 9; 8 and 3 */

typedef struct odd {
    int64_t bits, block, prepacked, scale_count;
} odd;

/* y = x [1, K] times those weights; what is zero in odd is as it should be. */
static proto_model *narrow(bool with_zeros, odd what)
{
    const int64_t x[] = { 1, K }, b[] = { sizeof packed }, s[] = { what.scale_count ? what.scale_count : N * BLOCKS },
                  z[] = { N }, bias[] = { N };
    proto_model *p = proto_new(21);
    proto_microsoft(p);
    proto_input(p, "x", 1, x, 2);
    proto_output(p, "y");
    proto_tensor(p, "w", 2, packed, b, 1);
    proto_tensor(p, "s", 1, scales, s, 1);
    proto_tensor(p, "z", 2, zeros, z, 1);
    proto_tensor(p, "bias", 1, (const float[]){ 3, 4 }, bias, 1);
    Onnx__NodeProto *n = proto_fused(p, "MatMulNBits", with_zeros ? "x w s z  bias" : "x w s", "y");
    proto_int(p, n, "K", K);
    proto_int(p, n, "N", N);
    proto_int(p, n, "bits", what.bits ? what.bits : 4);
    proto_int(p, n, "block_size", what.block ? what.block : BLOCK);
    proto_int(p, n, "accuracy_level", 4);
    if (what.prepacked) proto_int(p, n, "weight_prepacked", what.prepacked);
    return p;
}

/* The weights [K, N] that graph multiplies by, as real numbers, are (level - zero point) * scale. */
static void assert_weights(octet_graph *graph, const int zero_point[N][BLOCKS])
{
    octet_error err = { 0 };
    assert_int_equal(octet_fuse(graph, &err), OCTET_OK);
    const octet_tensor *const w = graph->first->inputs[1]->constant;
    assert_non_null(w);
    assert_int_equal(octet_tensor_count(w), K * N);
    assert_true(w->qparams && w->qparams->block == BLOCK); /* they stay levels */
    float real[K * N];
    octet_levels_real_any(real, w, 0, K * N);
    const bool turned = w->dims[0] == N; /* where fusing made Gemm of it */
    for (int k = 0; k < K; k++)
        for (int n = 0; n < N; n++) {
            const int   level = n == 0 ? k : 15 - k;
            const float expected = (float)(level - zero_point[n][k / BLOCK]) * scales[n * BLOCKS + k / BLOCK];
            assert_true(real[turned ? n * K + k : k * N + n] == expected);
        }
}

static void test_narrow(void **state)
{
    (void)state;
    octet_graph *graph = proto_load_good(narrow(false, (odd){ 0 }));
    assert_weights(graph, (const int[N][BLOCKS]){ { 8, 8 }, { 8, 8 } });
    octet_graph_free(graph);
    graph = proto_load_good(narrow(true, (odd){ 0 }));
    assert_string_equal(graph->last->op->name, "Add");
    assert_string_equal(graph->last->inputs[1]->name, "bias");
    assert_weights(graph, (const int[N][BLOCKS]){ { 1, 9 }, { 8, 3 } });
    octet_graph_free(graph);
}

static void test_narrow_refused(void **state)
{
    (void)state;
    static const struct {
        odd           what;
        const char   *field;
        octet_status  status;
    } cases[] = {
        { { .bits = 3 }, "bits", OCTET_ERR_UNSUPPORTED },
        { { .block = 12 }, "block_size", OCTET_ERR_UNSUPPORTED },
        { { .block = -8 }, "block_size", OCTET_ERR_FORMAT },
        { { .block = 16 }, "scales", OCTET_ERR_SHAPE },
        { { .bits = 8 }, "B", OCTET_ERR_SHAPE },
        { { .prepacked = 1 }, "weight_prepacked", OCTET_ERR_UNSUPPORTED },
        { { .scale_count = 3 }, "scales", OCTET_ERR_SHAPE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        octet_error err = { 0 };
        assert_null(proto_load(narrow(true, cases[i].what), &err));
        assert_int_equal(err.status, cases[i].status);
        assert_string_equal(err.field, cases[i].field);
    }
}

/* x [1, 2], weights s8 [2, 2] with a scale for each column. */
static proto_model *integers(void)
{
    const int64_t x[] = { 1, 2 }, w[] = { 2, 2 }, two[] = { 2 };
    proto_model  *p = proto_new(17);
    proto_microsoft(p);
    proto_input(p, "x", 1, x, 2);
    proto_output(p, "y");
    proto_tensor(p, "w", 3, (const int8_t[]){ 1, -2, 3, 4 }, w, 2);
    proto_tensor(p, "sw", 1, (const float[]){ 0.5f, 0.25f }, two, 1);
    proto_tensor(p, "zw", 3, (const int8_t[]){ 0, 0 }, two, 1);
    proto_tensor(p, "bias", 1, (const float[]){ 3, 4 }, two, 1);
    return p;
}

/* One product whose input becomes levels when it runs, and the Add of its bias. */
static void assert_dynamic(octet_graph *graph)
{
    assert_int_equal(graph->node_count, 2);
    assert_string_equal(graph->first->op->name, "MatMul");
    assert_int_equal(graph->first->dynamic, OCTET_DYNAMIC_TENSOR);
    assert_string_equal(graph->first->inputs[0]->name, "x");
    const octet_tensor *const w = graph->first->inputs[1]->constant;
    assert_non_null(w->qparams);
    assert_true(w->qparams->count == 2 && w->qparams->axis == 1 && w->qparams->scale[1] == 0.25f);
    assert_string_equal(graph->last->op->name, "Add");
    octet_graph_free(graph);
}

static void test_dynamic(void **state)
{
    (void)state;
    proto_model *p = integers();
    proto_fused(p, "DynamicQuantizeMatMul", "x w sw zw bias", "y");
    assert_dynamic(proto_load_good(p));
    p = integers();
    proto_node(p, "DynamicQuantizeLinear", "x", "xq sx zx");
    proto_fused(p, "MatMulIntegerToFloat", "xq w sx sw zx zw bias", "y");
    assert_dynamic(proto_load_good(p));
}

static void test_too_few(void **state)
{
    (void)state;
    static const char *const cases[][2] = { { "MatMulNBits", "x w" },
                                            { "DynamicQuantizeMatMul", "x w" },
                                            { "MatMulIntegerToFloat", "x w sw" } };
    for (size_t i = 0; i < 3; i++) {
        octet_error  err = { 0 };
        proto_model *p = integers();
        proto_fused(p, cases[i][0], cases[i][1], "y");
        assert_null(proto_load(p, &err));
        assert_int_equal(err.status, OCTET_ERR_FORMAT);
        assert_non_null(strstr(err.text, "is required"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_narrow_refused),
        cmocka_unit_test(test_dynamic),
        cmocka_unit_test(test_too_few),
    };
    return cmocka_run_group_tests(tests, NULL, proto_teardown);
}
