/* SPDX-License-Identifier: Apache-2.0 */
/* What is wanted of single tensors and layers: types, scales and ranges are those given, all others as without; what
   cannot be is refused by the tensor's name. */
#include "../onnx/proto.h"
#include "../residual.h"

#include "graph/graph.h"
#include "graph/op.h"

#include <math.h>

static octet_qconfig plain(void)
{
    octet_qconfig qconfig     = *octet_qconfig_find("octet");
    qconfig.activation.method = OCTET_METHOD_MINMAX;
    return qconfig;
}

static octet_graph *with_rules(const octet_tensor_rule *rules, size_t count)
{
    octet_graph  *graph   = residual_network(1, true);
    octet_qconfig qconfig = plain();
    qconfig.tensors       = rules;
    qconfig.tensor_count  = count;
    MUST(quantize(graph, &qconfig, 1, &err));
    return graph;
}

static const octet_qparams *levels_of(const octet_graph *graph, const char *name)
{
    const octet_value *const value = octet_graph_find_value(graph, name);
    assert_non_null(value);
    const octet_qparams *const q = octet_value_levels(graph, value);
    assert_non_null(q);
    return q;
}

static void test_values(void **state)
{
    (void)state;
    const float             low = -0.5f, high = 2, scale = 0.03125f;
    const int32_t           zero    = 17;
    const octet_tensor_rule rules[] = {
        { .name = "x", .count = 1, .scale = &scale, .zero_point = &zero },
        { .name = "relu1", .dtype = OCTET_U16 },
        { .name = "relu2", .count = 1, .low = &low, .high = &high },
    };
    octet_graph *const graph = with_rules(rules, 3), *const other = with_rules(NULL, 0);
    assert_true(levels_of(graph, "x")->scale[0] == scale);
    assert_int_equal(levels_of(graph, "x")->zero_point[0], zero);
    assert_int_equal(levels_of(graph, "relu1")->dtype, OCTET_U16);
    assert_int_equal(levels_of(other, "relu1")->dtype, OCTET_U8);
    const double steps = (double)levels_of(other, "relu1")->scale[0] * 255 / 65535;
    assert_true(fabs((double)levels_of(graph, "relu1")->scale[0] / steps - 1) < 1e-6);
    assert_true(levels_of(graph, "relu2")->scale[0] == (float)(2.5 / 255));
    assert_int_equal(levels_of(graph, "relu2")->zero_point[0], 51);
    assert_true(levels_of(graph, "conv3")->scale[0] != levels_of(graph, "relu2")->scale[0]);
    octet_graph_free(graph);
    octet_graph_free(other);
}

static void test_weights(void **state)
{
    (void)state;
    static float            scales[8];
    static const int32_t    zeros[8];
    const float             low = -1, high = 0.5f;
    const octet_tensor_rule rules[] = {
        { .name = "w1", .count = 8, .axis = 0, .scale = scales, .zero_point = zeros },
        { .name = "w2", .count = 1, .low = &low, .high = &high },
        { .name = "w4", .count = 1, .per_channel = true, .axis = -1, .low = &low, .high = &high },
    };
    for (int i = 0; i < 8; i++) scales[i] = 0.0078125f * (float)(i + 1);
    octet_graph *const   graph = with_rules(rules, 3);
    const octet_qparams *q     = levels_of(graph, "w1");
    assert_int_equal(q->count, 8);
    assert_memory_equal(q->scale, scales, sizeof scales);
    q = levels_of(graph, "w2");
    assert_int_equal(q->count, 1);
    assert_true(q->scale[0] == (float)(1.0 / 127));
    q = levels_of(graph, "w4");
    assert_int_equal(q->count, CLASSES);
    assert_int_equal(q->axis, 1);
    for (int i = 0; i < CLASSES; i++) assert_true(q->scale[i] == (float)(1.0 / 127));
    octet_graph_free(graph);
}

/* ---- refusals ---- */

static const float   one = 1, nan_scale = NAN, four[4] = { 1, 1, 1, 1 };
static const int32_t zero = 0, far = 300, zeros[4];

static const struct {
    octet_tensor_rule rule;
    const char       *why;
} refused[] = {
    { { .name = "nowhere" }, "no such tensor" },
    { { .name = "fc", .dtype = OCTET_U16 }, "stays real" },
    { { .name = "b4", .dtype = OCTET_I8 }, "does not become levels" },
    { { .name = "w1", .dtype = OCTET_U8 }, "s8" },
    { { .name = "w1", .asymmetric = true }, "symmetric" },
    { { .name = "w1", .per_channel = true, .axis = 1 }, "axis" },
    { { .name = "w1", .count = 4, .scale = four, .zero_point = zeros }, "each output channel" },
    { { .name = "x", .count = 4, .scale = four, .zero_point = zeros }, "only weights" },
    { { .name = "x", .count = 1, .scale = &one }, "need each other" },
    { { .name = "x", .count = 1, .scale = &nan_scale, .zero_point = &zero }, "normal number" },
    { { .name = "x", .count = 1, .scale = &one, .zero_point = &far }, "zero point" },
    { { .name = "x", .count = 1, .low = &one, .high = (const float[]){ 0 } }, "rmin" },
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        octet_error   err     = { 0 };
        octet_graph  *graph   = residual_network(1, true);
        octet_qconfig qconfig = plain();
        qconfig.tensors       = &refused[i].rule;
        qconfig.tensor_count  = 1;
        assert_int_equal(octet_prepare(graph, &qconfig, &err), OCTET_ERR_ARGUMENT);
        if (!strstr(err.text, refused[i].why) || !strstr(err.text, refused[i].rule.name))
            fail_msg("case %zu: '%s' does not say '%s'", i, err.text, refused[i].why);
        octet_graph_free(graph);
    }
}

/* ---- layers of 16 bits ---- */

static void test_layer_of_16_bits(void **state)
{
    (void)state;
    octet_layer_rule rule    = { .match = "conv1" };
    octet_qconfig    qconfig = plain();
    char             text[16];
    MUST(octet_layer_rule_parse(&rule, "s16", &err));
    octet_layer_rule_print(text, sizeof text, &rule);
    assert_string_equal(text, "s16");
    qconfig.layers           = &rule;
    qconfig.layer_count      = 1;
    octet_graph *const graph = residual_network(1, true);
    MUST(quantize(graph, &qconfig, 1, &err));
    assert_int_equal(levels_of(graph, "relu1")->dtype, OCTET_I16);
    assert_int_equal(levels_of(graph, "x")->dtype, OCTET_U8);
    assert_int_equal(levels_of(graph, "relu2")->dtype, OCTET_U8);
    char        *path = proto_write_bytes("", 0);
    octet_graph *again;
    MUST(octet_graph_save(graph, path, &err));
    MUST(octet_graph_load(&again, path, &err));
    MUST(octet_fuse(again, &err));
    assert_int_equal(levels_of(again, "relu1")->dtype, OCTET_I16);
    Onnx__ModelProto *const model = unpack_file(path);
    assert_int_equal(model->opset_import[0]->version, 21);
    assert_int_equal(model->ir_version, 10);
    onnx__model_proto__free_unpacked(model, NULL);
    proto_remove(path);
    octet_graph_free(graph);
    octet_graph_free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_layer_of_16_bits),
    };
    const int failed = cmocka_run_group_tests(tests, make_data, remove_data);
    proto_teardown(NULL);
    return failed;
}
