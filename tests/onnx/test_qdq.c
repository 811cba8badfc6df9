/* SPDX-License-Identifier: Apache-2.0 */
/* QuantizeLinear and DequantizeLinear of files: what they become, what stays, what is refused. */
#include "graph/graph.h"
#include "graph/op.h"
#include "proto.h"

static const int64_t image[] = { 1, 2, 2, 2 };

static void scalar_f(proto_model *p, const char *name, float value) { proto_tensor(p, name, 1, &value, NULL, 0); }
static void scalar_u8(proto_model *p, const char *name, uint8_t value) { proto_tensor(p, name, 2, &value, NULL, 0); }

/* x, output y, and a scale s = 0.5 with a zero point z = 128. */
static proto_model *quantized_input(void)
{
    proto_model *p = proto_new(13);
    proto_input(p, "x", 1, image, 4);
    proto_output(p, "y");
    scalar_f(p, "s", 0.5f);
    scalar_u8(p, "z", 128);
    return p;
}

static const octet_qparams *parameters(const octet_graph *graph, const char *name)
{
    const octet_value *value = octet_graph_find_value(graph, name);
    assert_non_null(value);
    assert_non_null(value->fake_quantize);
    return &value->fake_quantize->qparams;
}

static void test_pair(void **state)
{
    (void)state;
    proto_model *p = quantized_input();
    proto_node(p, "QuantizeLinear", "x s z", "q");
    proto_node(p, "DequantizeLinear", "q s z", "d");
    proto_node(p, "Relu", "d", "y");
    octet_graph *graph = proto_load_good(p);
    assert_int_equal(graph->node_count, 1);
    assert_int_equal(graph->stage, OCTET_STAGE_FLOAT);
    assert_string_equal(graph->first->inputs[0]->name, "x");
    const octet_qparams *q = parameters(graph, "x");
    assert_int_equal(q->count, 1);
    assert_int_equal(q->dtype, OCTET_U8);
    assert_true(q->scale[0] == 0.5f);
    assert_int_equal(q->zero_point[0], 128);
    assert_int_equal(q->qmin, 0);
    assert_int_equal(q->qmax, 255);
    octet_graph_free(graph);
}

/* Weights of four bits, two a byte, and activations whose zero point is of four bits: levels with narrower bounds. */
static void test_four_bits(void **state)
{
    (void)state;
    const int64_t dims[] = { 1, 2, 1, 1 };
    const int8_t  want[] = { 7, -8 };
    proto_model  *p = quantized_input();
    Onnx__TensorProto *w = proto_tensor(p, "w_q", 3, (int8_t[]){ (int8_t)0x87, 0 }, dims, 4), *z;
    w->data_type = 22;
    w->raw_data.len = 1;
    z = proto_tensor(p, "z4", 2, (uint8_t[]){ 5 }, NULL, 0);
    z->data_type = 21;
    proto_node(p, "DequantizeLinear", "w_q s", "w");
    proto_node(p, "QuantizeLinear", "x s z4", "q");
    proto_node(p, "DequantizeLinear", "q s z4", "d");
    proto_node(p, "Conv", "d w", "y");
    octet_graph        *graph = proto_load_good(p);
    const octet_tensor *weights = graph->first->inputs[1]->constant;
    assert_int_equal(graph->node_count, 1);
    assert_memory_equal(weights->data, want, sizeof want);
    assert_int_equal(weights->qparams->qmin, -8);
    assert_int_equal(weights->qparams->qmax, 7);
    const octet_qparams *q = parameters(graph, "x");
    assert_int_equal(q->qmin, 0);
    assert_int_equal(q->qmax, 15);
    assert_int_equal(q->zero_point[0], 5);
    octet_graph_free(graph);
    p = quantized_input(); /* nobody dequantizes: a byte of them would be something else than the file says */
    z = proto_tensor(p, "z4", 2, (uint8_t[]){ 5 }, NULL, 0);
    z->data_type = 21;
    proto_node(p, "QuantizeLinear", "x s z4", "y");
    octet_error err;
    assert_null(proto_load(p, &err));
    assert_int_equal(err.status, OCTET_ERR_UNSUPPORTED);
}

/* Another reader wants the real x: the pair becomes a value of its own. */
static void test_pair_beside_real_reader(void **state)
{
    (void)state;
    proto_model *p = quantized_input();
    proto_node(p, "QuantizeLinear", "x s z", "q");
    proto_node(p, "DequantizeLinear", "q s z", "d");
    proto_node(p, "Add", "d x", "y");
    octet_graph *graph = proto_load_good(p);
    assert_int_equal(graph->node_count, 2);
    assert_string_equal(graph->first->op->name, "Identity");
    parameters(graph, "d");
    assert_null(octet_graph_find_value(graph, "x")->fake_quantize);
    octet_graph_free(graph);
}

/* One DequantizeLinear for each reader, as octet writes; and an output that is dequantized keeps its name. */
static void test_pair_many_readers_and_output(void **state)
{
    (void)state;
    proto_model *p = quantized_input();
    proto_output(p, "e");
    proto_node(p, "Relu", "x", "r");
    proto_node(p, "QuantizeLinear", "r s z", "q");
    proto_node(p, "DequantizeLinear", "q s z", "d");
    proto_node(p, "DequantizeLinear", "q s z", "e");
    proto_node(p, "Relu", "d", "y");
    octet_graph *graph = proto_load_good(p);
    assert_int_equal(graph->node_count, 2);
    assert_string_equal(graph->outputs[1]->name, "e");
    parameters(graph, "e");
    assert_ptr_equal(graph->outputs[1], graph->first->outputs[0]);
    assert_ptr_equal(graph->outputs[0]->producer->inputs[0], graph->outputs[1]);
    assert_null(octet_graph_find_value(graph, "r"));
    octet_graph_free(graph);
}

/* A network of levels x: nodes are added, y is its output. */
static proto_model *levels_in(void)
{
    proto_model *p = proto_new(13);
    proto_input(p, "x", 2, image, 4);
    proto_output(p, "y");
    scalar_f(p, "s", 0.5f);
    scalar_f(p, "t", 0.25f);
    scalar_u8(p, "z", 128);
    return p;
}

static void check_port(octet_port port, const char *name, float scale)
{
    assert_string_equal(port.name, name);
    assert_int_equal(port.dtype, OCTET_U8);
    assert_int_equal(port.levels.count, 1);
    assert_true(port.levels.scale[0] == scale);
    assert_int_equal(port.levels.zero_point[0], 128);
}

static void test_integer_border(void **state)
{
    (void)state;
    proto_model *p = levels_in();
    proto_node(p, "DequantizeLinear", "x s z", "d");
    proto_node(p, "Relu", "d", "r");
    proto_node(p, "QuantizeLinear", "r t z", "y");
    octet_graph *graph = proto_load_good(p);
    assert_int_equal(graph->node_count, 1);
    check_port(octet_graph_input(graph, 0), "x", 0.5f);
    check_port(octet_graph_output(graph, 0), "y", 0.25f);
    octet_graph_free(graph);
}

/* Levels that are handed on within the graph, too; and an output of real numbers beside them. */
static void test_integer_border_many_readers(void **state)
{
    (void)state;
    proto_model *p = levels_in();
    proto_output(p, "e");
    proto_output(p, "w");
    proto_node(p, "DequantizeLinear", "x s z", "d");
    proto_node(p, "DequantizeLinear", "x s z", "e");
    proto_node(p, "Relu", "d", "r");
    proto_node(p, "QuantizeLinear", "r t z", "y");
    proto_node(p, "DequantizeLinear", "y t z", "f");
    proto_node(p, "Abs", "f", "w");
    octet_graph *graph = proto_load_good(p);
    assert_int_equal(graph->node_count, 3); /* Relu, Abs, and e as an Identity of x */
    check_port(octet_graph_input(graph, 0), "x", 0.5f);
    check_port(octet_graph_output(graph, 0), "y", 0.25f);
    assert_string_equal(octet_graph_output(graph, 1).name, "e");
    assert_int_equal(octet_graph_output(graph, 1).dtype, OCTET_F32);
    assert_int_equal(octet_graph_output(graph, 1).levels.count, 0);
    assert_string_equal(octet_graph_find_value(graph, "w")->producer->inputs[0]->name, "y");
    octet_graph_free(graph);
}

/* Where readers differ, or one reads numbers and no levels, nodes stay nodes. */
static void test_integer_border_stays(void **state)
{
    (void)state;
    static const char *const others[] = { "DequantizeLinear", "Cast" };
    for (int i = 0; i < 2; i++) {
        proto_model *p = levels_in();
        proto_node(p, "DequantizeLinear", "x s z", "d");
        Onnx__NodeProto *const other = proto_node(p, others[i], i ? "x" : "x t z", "c");
        if (i) proto_int(p, other, "to", 1);
        proto_node(p, "Add", "c d", "y");
        octet_graph *graph = proto_load_good(p);
        assert_int_equal(graph->node_count, 3);
        assert_int_equal(octet_graph_input(graph, 0).dtype, OCTET_U8);
        assert_int_equal(octet_graph_input(graph, 0).levels.count, 0);
        octet_graph_free(graph);
    }
}

/* Two channels of [2, 2, 1, 1] with scales of their own, as levels and as real numbers. */
static void test_weights(void **state)
{
    (void)state;
    const int64_t wide[] = { 2 }, dims[] = { 2, 2, 1, 1 };
    const float   scales[] = { 0.5f, 0.25f }, real[] = { 1.0f, -0.75f, 0.375f, 100.0f };
    const int8_t  zeros[] = { 0, 0 }, levels[] = { 2, -2, 2, 127 }; /* -1.5 and 1.5 go to even */
    for (int from_real = 0; from_real < 2; from_real++) {
        proto_model *p = proto_new(13);
        proto_input(p, "x", 1, image, 4);
        proto_output(p, "y");
        proto_tensor(p, "s", 1, scales, wide, 1);
        proto_tensor(p, "z", 3, zeros, wide, 1);
        if (from_real) {
            proto_tensor(p, "w", 1, real, dims, 4);
            proto_int(p, proto_node(p, "QuantizeLinear", "w s z", "w_q"), "axis", 0);
        } else {
            proto_tensor(p, "w_q", 3, levels, dims, 4);
        }
        proto_int(p, proto_node(p, "DequantizeLinear", "w_q s z", "d"), "axis", 0);
        proto_int(p, proto_node(p, "DequantizeLinear", "w_q s z", "e"), "axis", -4);
        proto_node(p, "Conv", "x d", "c");
        proto_node(p, "Conv", "c e", "y");
        octet_graph *graph = proto_load_good(p);
        assert_int_equal(graph->node_count, 2);
        const octet_value *w = octet_graph_find_value(graph, "w");
        assert_ptr_equal(graph->first->inputs[1], w);
        assert_ptr_equal(graph->last->inputs[1], w);
        assert_int_equal(w->dtype, OCTET_F32);
        assert_int_equal(w->constant->dtype, OCTET_I8);
        assert_memory_equal(w->constant->data, levels, sizeof levels);
        assert_int_equal(w->constant->qparams->count, 2);
        assert_int_equal(w->constant->qparams->axis, 0);
        assert_memory_equal(w->constant->qparams->scale, scales, sizeof scales);
        octet_graph_free(graph);
    }
}

/* A range narrower than the type, which octet's own files state as a Clip. */
static void test_narrow_range(void **state)
{
    (void)state;
    for (int own = 0; own < 2; own++) {
        proto_model *p = quantized_input();
        if (own) proto_metadata(p, "octet.version", "0.1.0");
        scalar_f(p, "lo", -64.0f); /* level 0 */
        scalar_f(p, "hi", -0.5f);  /* below the zero point: no range can end there */
        scalar_f(p, "top", -0.5f + 64.0f);
        proto_node(p, "Relu", "x", "r");
        proto_node(p, "Clip", "r lo top", "r_clip");
        proto_node(p, "QuantizeLinear", "r_clip s z", "q");
        proto_node(p, "DequantizeLinear", "q s z", "d");
        proto_node(p, "Relu", "d", "y");
        octet_graph *graph = proto_load_good(p);
        assert_int_equal(graph->node_count, own ? 2 : 3);
        const octet_qparams *q = parameters(graph, own ? "r" : "r_clip");
        assert_int_equal(q->qmin, 0);
        assert_int_equal(q->qmax, 255);
        octet_graph_free(graph);
        p->inputs[1][2] = (char *)"hi2";
        scalar_f(p, "hi2", 31.5f); /* level 191 */
        graph = proto_load_good(p);
        assert_int_equal(parameters(graph, own ? "r" : "r_clip")->qmax, own ? 191 : 255);
        octet_graph_free(graph);
        p->inputs[1][2] = (char *)"hi";
        graph = proto_load_good(p);
        assert_int_equal(graph->node_count, 3);
        octet_graph_free(graph);
    }
}

static void test_qlinear_conv(void **state)
{
    (void)state;
    const int64_t wide[] = { 2 }, dims[] = { 2, 2, 1, 1 };
    const float   scales[] = { 0.5f, 0.25f };
    const int8_t  zeros[] = { 0, 0 }, levels[] = { 1, 2, 3, 4 };
    const int32_t bias[] = { 100, -100 };
    proto_model  *p = quantized_input();
    scalar_f(p, "ys", 2.0f);
    proto_tensor(p, "ws", 1, scales, wide, 1);
    proto_tensor(p, "wz", 3, zeros, wide, 1);
    proto_tensor(p, "w", 3, levels, dims, 4);
    proto_tensor(p, "b", 6, bias, wide, 1);
    proto_node(p, "QuantizeLinear", "x s z", "q");
    proto_node(p, "QLinearConv", "q s z w ws wz ys z b", "c");
    proto_node(p, "DequantizeLinear", "c ys z", "y");
    octet_graph *graph = proto_load_good(p);
    assert_int_equal(graph->node_count, 1);
    assert_string_equal(graph->first->op->name, "Conv");
    parameters(graph, "x");
    assert_true(parameters(graph, "y")->scale[0] == 2.0f);
    const octet_tensor *b = graph->first->inputs[2]->constant;
    assert_int_equal(b->dtype, OCTET_I32);
    assert_true(b->qparams->scale[0] == 0.25f && b->qparams->scale[1] == 0.125f);
    assert_int_equal(graph->first->inputs[1]->constant->qparams->axis, 0);
    octet_graph_free(graph);
}

/* Any number of operands, and the result's parameters before them. */
static void test_qlinear_concat(void **state)
{
    (void)state;
    proto_model *p = quantized_input();
    p->opsets[1] = p->opsets[0];
    p->opsets[1].domain = (char *)"com.microsoft";
    p->opset_list[1] = &p->opsets[1];
    p->model.n_opset_import = 2;
    scalar_f(p, "t", 2.0f);
    proto_node(p, "QuantizeLinear", "x s z", "q");
    Onnx__NodeProto *n = proto_node(p, "QLinearConcat", "t z q s z q s z q s z", "c");
    n->domain = (char *)"com.microsoft";
    proto_int(p, n, "axis", 1);
    proto_node(p, "DequantizeLinear", "c t z", "y");
    octet_graph *graph = proto_load_good(p);
    assert_int_equal(graph->node_count, 1);
    assert_string_equal(graph->first->op->name, "Concat");
    assert_int_equal(graph->first->input_count, 3);
    for (int i = 0; i < 3; i++) assert_string_equal(graph->first->inputs[i]->name, "x");
    assert_true(parameters(graph, "x")->scale[0] == 0.5f);
    assert_true(parameters(graph, "y")->scale[0] == 2.0f);
    assert_int_equal(graph->outputs[0]->dims[1], 6);
    octet_graph_free(graph);
}

/* One fault at a time in x -> Q -> DQ -> Relu. */
static void test_faults(void **state)
{
    (void)state;
    const struct {
        float       scale;
        int         count, zeros, q_type, dq_type;
        int64_t     axis;
        const char *field;
    } rows[] = {
        { 0.0f, 1, 1, 2, 2, 1, "scale" },      { -0.5f, 1, 1, 2, 2, 1, "scale" },
        { NAN, 1, 1, 2, 2, 1, "scale" },       { INFINITY, 1, 1, 2, 2, 1, "scale" },
        { 1e-40f, 1, 1, 2, 2, 1, "scale" },    { 0.5f, 0, 0, 2, 2, 1, "scale" },
        { 0.5f, 3, 3, 2, 2, 1, "scale" },      { 0.5f, 2, 1, 2, 2, 1, "zero_point" },
        { 0.5f, 1, 1, 2, 3, 1, "zero_point" }, { 0.5f, 1, 1, 6, 6, 1, "zero_point" },
        { 0.5f, 2, 2, 2, 2, 4, "axis" },       { 0.5f, 2, 2, 2, 2, -5, "axis" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const float   scales[3] = { rows[i].scale, rows[i].scale, rows[i].scale };
        const int32_t zeros[3] = { 0 };
        const int64_t n[] = { rows[i].count }, m[] = { rows[i].zeros };
        octet_error   err;
        proto_model  *p = proto_new(13);
        proto_input(p, "x", 1, image, 4);
        proto_output(p, "y");
        proto_tensor(p, "s", 1, scales, n, 1);
        proto_tensor(p, "z", rows[i].q_type, zeros, m, 1);
        proto_tensor(p, "dz", rows[i].dq_type, zeros, m, 1);
        proto_int(p, proto_node(p, "QuantizeLinear", "x s z", "q"), "axis", rows[i].axis);
        proto_int(p, proto_node(p, "DequantizeLinear", "q s dz", "d"), "axis", rows[i].axis);
        proto_node(p, "Relu", "d", "y");
        assert_null(proto_load(p, &err));
        if (strcmp(err.field, rows[i].field) != 0) print_error("row %zu: %s: %s\n", i, err.field, err.text);
        assert_string_equal(err.field, rows[i].field);
        assert_true(strcmp(err.node, "q") == 0 || strcmp(err.node, "d") == 0);
    }
}

static void test_bias_zero_point(void **state)
{
    (void)state;
    const int64_t wide[] = { 2 };
    const int32_t bias[] = { 1, 2 }, zero = 1;
    octet_error   err;
    proto_model  *p = proto_new(13);
    proto_input(p, "x", 1, image, 4);
    proto_output(p, "y");
    scalar_f(p, "s", 0.5f);
    proto_tensor(p, "z", 6, &zero, NULL, 0);
    proto_tensor(p, "b", 6, bias, wide, 1);
    proto_node(p, "DequantizeLinear", "b s z", "d");
    proto_node(p, "Add", "x d", "y");
    assert_null(proto_load(p, &err));
    assert_string_equal(err.field, "zero_point");
}

/* ---- Gemm: what levels cannot say is computed in real numbers ---- */

static const int8_t  gemm_weights[2][3] = { { 3, -5, 7 }, { -2, 4, 9 } };
static const float   gemm_scales[3]     = { 0.5f, 0.25f, 0.125f };
static const int32_t gemm_c[2][3]       = { { 4, -8, 12 }, { 1, 2, 3 } };
static const float   gemm_x[4]          = { 1.5f, -2.0f, 0.5f, 3.0f };

/* Everything quantized: x by 0.5, weights by column, C by 0.25, y by 0.0625. */
static octet_graph *quantized_gemm(float alpha, int64_t c_rows)
{
    const int64_t two[] = { 2, 2 }, wide[] = { 2, 3 }, three[] = { 3 }, c_dims[] = { c_rows, 3 };
    const int8_t  zeros[3] = { 0 };
    const int32_t zero     = 0;
    proto_model  *p        = quantized_input();
    *p->input_list[0]      = *proto_info(p, "x", 1, two, 2);
    scalar_f(p, "ys", 0.0625f);
    scalar_f(p, "cs", 0.25f);
    proto_tensor(p, "cz", 6, &zero, NULL, 0);
    proto_tensor(p, "ws", 1, gemm_scales, three, 1);
    proto_tensor(p, "wz", 3, zeros, three, 1);
    proto_tensor(p, "w", 3, gemm_weights, wide, 2);
    proto_tensor(p, "c", 6, gemm_c, c_dims, 2);
    proto_node(p, "QuantizeLinear", "x s z", "xq");
    proto_node(p, "DequantizeLinear", "xq s z", "xd");
    proto_int(p, proto_node(p, "DequantizeLinear", "w ws wz", "wd"), "axis", 1);
    proto_node(p, "DequantizeLinear", "c cs cz", "cd");
    proto_float(p, proto_node(p, "Gemm", "xd wd cd", "g"), "alpha", alpha);
    proto_node(p, "QuantizeLinear", "g ys z", "gq");
    proto_node(p, "DequantizeLinear", "gq ys z", "y");
    return proto_load_good(p);
}

static float gemm_expected(float alpha, int64_t c_rows, int row, int column)
{
    double sum = 0;
    for (int k = 0; k < 2; k++)
        sum += (double)gemm_x[row * 2 + k] * gemm_weights[k][column] * (double)gemm_scales[column];
    const double y = (double)alpha * sum + gemm_c[c_rows > 1 ? row : 0][column] * 0.25;
    const double q = nearbyint(y / 0.0625);
    return (float)((q < -128 ? -128 : q > 127 ? 127 : q) * 0.0625);
}

static void test_gemm(void **state)
{
    (void)state;
    static const struct { float alpha; int64_t c_rows; const char *why; } cases[] = {
        { 1, 1, NULL }, { 0.25f, 1, NULL }, { -0.5f, 1, "Gemm's alpha is not positive" },
        { 0, 1, "Gemm's alpha is not positive" }, { 1, 2, "Gemm's C differs by row" },
    };
    const octet_tensor x = { .dtype = OCTET_F32, .rank = 2, .dims = { 2, 2 }, .data = (void *)(uintptr_t)gemm_x };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float              y[6];
        octet_graph *const graph = quantized_gemm(cases[i].alpha, cases[i].c_rows);
        MUST(octet_fuse(graph, &err));
        assert_int_equal(graph->stage, OCTET_STAGE_QUANTIZED);
        assert_int_equal(graph->node_count, 1);
        assert_int_equal(octet_node_compute_mode(graph, graph->first),
                         cases[i].why ? OCTET_MODE_REAL : OCTET_MODE_INTEGER);
        assert_int_equal(octet_graph_decision_count(graph), cases[i].why != NULL);
        if (cases[i].why) assert_string_equal(octet_graph_decision(graph, 0).why, cases[i].why);
        assert_int_equal(run_graph(graph, &x, y, 6, NULL), 6);
        for (int k = 0; k < 6; k++)
            if (y[k] != gemm_expected(cases[i].alpha, cases[i].c_rows, k / 3, k % 3))
                fail_msg("case %zu: y[%d] = %g", i, k, (double)y[k]);
        octet_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_four_bits), cmocka_unit_test(test_pair),
        cmocka_unit_test(test_pair_beside_real_reader),
        cmocka_unit_test(test_pair_many_readers_and_output),
        cmocka_unit_test(test_integer_border),
        cmocka_unit_test(test_integer_border_many_readers),
        cmocka_unit_test(test_integer_border_stays),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_narrow_range),
        cmocka_unit_test(test_qlinear_conv),
        cmocka_unit_test(test_qlinear_concat),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_bias_zero_point),
        cmocka_unit_test(test_gemm),
    };
    return cmocka_run_group_tests(tests, NULL, proto_teardown);
}
