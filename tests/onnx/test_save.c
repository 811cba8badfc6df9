/* SPDX-License-Identifier: Apache-2.0 */
/* What is written: float networks come back as they were, quantized ones as Q/DQ pairs by the rules tested here. The
   file is looked at with protobuf-c alone, then read again. */
#include "graph/attrs.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "ops/shape.h"
#include "proto.h"

#include <octet/quantize.h>

/* ---- float round trip ---- */

static void same_attributes(const octet_node *a, const octet_node *b)
{
    for (const octet_attr *row = a->op->attrs; row && row->kind != OCTET_ATTR_END; row++) {
        const void *x = octet_attr_get(a->attrs, row), *y = octet_attr_get(b->attrs, row);
        if (row->kind == OCTET_ATTR_INT) assert_memory_equal(x, y, sizeof(int64_t));
        if (row->kind == OCTET_ATTR_FLOAT) assert_memory_equal(x, y, sizeof(float));
        if (row->kind == OCTET_ATTR_INTS) assert_memory_equal(x, y, sizeof(octet_ints));
        if (row->kind == OCTET_ATTR_STRING) {
            const char *s = *(const char *const *)x, *t = *(const char *const *)y;
            assert_true((s == NULL) == (t == NULL));
            if (s) assert_string_equal(s, t);
        }
        if (row->kind == OCTET_ATTR_STRINGS) {
            const octet_strings *s = x, *t = y;
            assert_int_equal(s->count, t->count);
            for (size_t i = 0; i < s->count; i++) assert_string_equal(s->at[i], t->at[i]);
        }
        if (row->kind == OCTET_ATTR_TENSOR) {
            const octet_tensor *s = *(const octet_tensor *const *)x, *t = *(const octet_tensor *const *)y;
            assert_true((s == NULL) == (t == NULL));
            if (s) assert_memory_equal(s->data, t->data, (size_t)octet_tensor_bytes(s));
        }
    }
}

static void same_value(const octet_value *a, const octet_value *b)
{
    assert_true((a == NULL) == (b == NULL));
    if (!a) return;
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->rank, b->rank);
    assert_memory_equal(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
    assert_true((a->constant == NULL) == (b->constant == NULL));
    if (!a->constant) return;
    assert_int_equal(a->constant->dtype, b->constant->dtype);
    assert_memory_equal(a->constant->data, b->constant->data, (size_t)octet_tensor_bytes(a->constant));
}

static void same_graph(const octet_graph *a, const octet_graph *b)
{
    assert_int_equal(a->node_count, b->node_count);
    const octet_node *n = b->first;
    for (const octet_node *m = a->first; m; m = m->next, n = n->next) {
        assert_string_equal(m->name, n->name);
        assert_ptr_equal(m->op, n->op);
        assert_int_equal(m->input_count, n->input_count);
        assert_int_equal(m->output_count, n->output_count);
        same_attributes(m, n);
        for (int i = 0; i < m->input_count; i++) same_value(m->inputs[i], n->inputs[i]);
        for (int i = 0; i < m->output_count; i++) same_value(m->outputs[i], n->outputs[i]);
    }
    assert_int_equal(a->output_count, b->output_count);
    for (size_t i = 0; i < a->output_count; i++) assert_string_equal(a->outputs[i]->name, b->outputs[i]->name);
}

static const char *const models[] = { "ad01_autoencoder", "fastestdet_coco",      "kws_dscnn",   "lenet_mnist",
                                      "resnet20_cifar10", "resnet20_cifar10_natural", "resnet8_cifar10_nhwc",
                                      "super_resolution_x3", "sww_dscnn1d", "vit_mnist", "vww_mobilenetv1" };

static octet_graph *load_shared(const char *model)
{
    char         name[64], path[512];
    octet_graph *graph;
    snprintf(name, sizeof name, "models/%s.onnx", model);
    if (!shared_path(path, sizeof path, name)) return NULL;
    MUST(octet_graph_load(&graph, path, &err));
    return graph;
}

static octet_graph *save_and_load(const octet_graph *graph)
{
    char        *path = proto_write_bytes("", 0);
    octet_graph *back;
    MUST(octet_graph_save(graph, path, &err));
    MUST(octet_graph_load(&back, path, &err));
    proto_remove(path);
    return back;
}

static void test_float_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        octet_graph *graph = load_shared(models[i]);
        if (!graph) skip();
        octet_graph *back = save_and_load(graph);
        same_graph(graph, back);
        octet_graph_free(graph);
        octet_graph_free(back);
    }
}

/* What fusing absorbed stands in the file as the nodes it was. */
static void test_fused_model(void **state)
{
    (void)state;
    octet_graph *plain = load_shared("resnet8_cifar10"), *fused = load_shared("resnet8_cifar10");
    if (!plain) skip();
    MUST(octet_fuse(fused, &err));
    assert_true(fused->node_count < plain->node_count);
    octet_graph *back = save_and_load(fused);
    assert_int_equal(back->node_count, plain->node_count);
    for (const octet_node *m = plain->first; m; m = m->next) {
        const octet_node *n = octet_graph_find_node(back, m->name);
        assert_non_null(n);
        assert_ptr_equal(m->op, n->op);
        same_attributes(m, n);
    }
    octet_graph_free(plain);
    octet_graph_free(fused);
    octet_graph_free(back);
}

/* ---- a quantized network ---- */

static float   scales[4] = { 0.02f, 0.25f, 0.5f, 0.125f };
static int32_t zeros[4] = { 128, 0, 0, 0 };

static void quantize(octet_graph *graph, const char *name, int which, int32_t qmin, int32_t qmax)
{
    octet_fake_quantize *fake = octet_arena_alloc(graph->arena, 1, sizeof *fake);
    fake->qparams = (octet_qparams){ &scales[which], &zeros[which], 1, 0, OCTET_U8, qmin, qmax };
    octet_graph_find_value(graph, name)->fake_quantize = fake;
}

/* x -> Conv(w, b) -> c -> Add(c, c) -> y, with c also read by Relu -> z. x, c and y carry parameters. */
static octet_graph *quantized_network(void)
{
    octet_graph *graph;
    MUST(octet_graph_new(&graph, &err));
    const int64_t dims[] = { OCTET_DIM_FREE, 2, 3, 3 };
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    int8_t              w[4] = { 1, -127, 3, 4 };
    int32_t             b[2] = { 1000, -5 };
    const octet_qparams wq = { &scales[2], zeros + 1, 2, 0, OCTET_I8, -127, 127 };
    const octet_qparams bq = { &scales[2], zeros + 1, 2, 0, OCTET_I32, INT32_MIN, INT32_MAX };
    MUST(octet_graph_add_constant(
        graph, "w", &(octet_tensor){ OCTET_I8, 4, { 2, 2, 1, 1 }, w, &wq }, &err));
    MUST(octet_graph_add_constant(graph, "b", &(octet_tensor){ OCTET_I32, 1, { 2 }, b, &bq }, &err));
    add_node(graph, "Conv", "c", NULL, INPUTS("x", "w", "b"));
    add_node(graph, "Add", "y", NULL, INPUTS("c", "c"));
    add_node(graph, "Relu", "z", NULL, INPUTS("c"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_set_output(graph, "z", &err));
    quantize(graph, "x", 0, 0, 255);
    quantize(graph, "c", 1, 0, 191);
    quantize(graph, "y", 2, 0, 255);
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

static int readers(const Onnx__GraphProto *g, const char *name)
{
    int count = 0;
    for (size_t i = 0; i < g->n_node; i++) {
        int here = 0;
        for (size_t j = 0; j < g->node[i]->n_input; j++) here |= strcmp(g->node[i]->input[j], name) == 0;
        count += here;
    }
    return count;
}

static int64_t axis_of(const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (strcmp(node->attribute[i]->name, "axis") == 0) return node->attribute[i]->i;
    return -100;
}

/* Before every operator its own DequantizeLinear, and no other reader of that. */
static void check_operands(const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_node; i++) {
        const Onnx__NodeProto *n = g->node[i];
        if (!strcmp(n->op_type, "Clip") || strstr(n->op_type, "Linear")) continue;
        for (size_t j = 0; j < n->n_input; j++) {
            const Onnx__NodeProto *d = producer(g, n->input[j]);
            assert_non_null(d);
            assert_string_equal(d->op_type, "DequantizeLinear");
            assert_int_equal(readers(g, n->input[j]), 1);
        }
    }
}

static void check_weight(const Onnx__GraphProto *g, const char *name, int type, bool zero_point)
{
    char levels[32], dq[32];
    snprintf(levels, sizeof levels, "%s_q", name);
    snprintf(dq, sizeof dq, "%s_dq", name);
    assert_int_equal(initializer(g, levels)->data_type, type);
    const Onnx__NodeProto *node = producer(g, dq);
    assert_string_equal(node->op_type, "DequantizeLinear");
    assert_int_equal(node->n_input, zero_point ? 3 : 2);
    assert_int_equal(axis_of(node), 0);
    assert_int_equal(initializer(g, node->input[1])->dims[0], 2);
}

static void test_quantized_file(void **state)
{
    (void)state;
    octet_graph *graph = quantized_network();
    char        *path = proto_write_bytes("", 0);
    MUST(octet_graph_save(graph, path, &err));
    Onnx__ModelProto       *model = unpack_file(path);
    const Onnx__GraphProto *g = model->graph;
    assert_int_equal(model->ir_version, 8);
    assert_int_equal(model->opset_import[0]->version, 13);
    check_operands(g);
    check_weight(g, "w", 3, true);
    check_weight(g, "b", 6, false);
    assert_string_equal(producer(g, "y")->op_type, "DequantizeLinear");
    assert_string_equal(producer(g, "z")->op_type, "Relu");
    assert_string_equal(producer(g, "c_clip")->op_type, "Clip"); /* 0..191 is narrower than u8 */
    assert_string_equal(producer(g, "c_clip")->input[0], "c");
    const Onnx__TensorProto *top = initializer(g, "c_clip_max");
    assert_true(*(const float *)top->raw_data.data == 191 * 0.25f);
    assert_null(producer(g, "x_clip"));
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t j = 0; j < g->node[i]->n_output; j++) { /* a shape for everything */
            const char *name = g->node[i]->output[j];
            bool        known = strcmp(name, "y") == 0 || strcmp(name, "z") == 0;
            for (size_t k = 0; k < g->n_value_info; k++) known |= strcmp(g->value_info[k]->name, name) == 0;
            if (!known) print_error("%s has no value_info\n", name);
            assert_true(known);
        }
    assert_string_equal(model->metadata_props[0]->key, "octet.version");
    onnx__model_proto__free_unpacked(model, NULL);
    proto_remove(path);
    octet_graph_free(graph);
}

static void test_quantized_round_trip(void **state)
{
    (void)state;
    octet_graph *graph = quantized_network(), *back = save_and_load(graph);
    assert_int_equal(back->node_count, graph->node_count);
    static const char *const names[] = { "x", "c", "y", "z" };
    for (size_t i = 0; i < 4; i++) {
        const octet_value *a = octet_graph_find_value(graph, names[i]), *b = octet_graph_find_value(back, names[i]);
        assert_non_null(b);
        assert_int_equal(a->use_count, b->use_count);
        assert_true((a->fake_quantize == NULL) == (b->fake_quantize == NULL));
        if (!a->fake_quantize) continue;
        const octet_qparams *p = &a->fake_quantize->qparams, *q = &b->fake_quantize->qparams;
        assert_int_equal(p->dtype, q->dtype);
        assert_int_equal(p->qmin, q->qmin);
        assert_int_equal(p->qmax, q->qmax);
        assert_memory_equal(p->scale, q->scale, sizeof(float));
        assert_int_equal(p->zero_point[0], q->zero_point[0]);
    }
    for (int i = 1; i < 3; i++) {
        const octet_tensor *a = graph->first->inputs[i]->constant, *b = back->first->inputs[i]->constant;
        assert_string_equal(graph->first->inputs[i]->name, back->first->inputs[i]->name);
        assert_int_equal(a->dtype, b->dtype);
        assert_memory_equal(a->data, b->data, (size_t)octet_tensor_bytes(a));
        assert_memory_equal(a->qparams->scale, b->qparams->scale, 2 * sizeof(float));
    }
    octet_graph *again = save_and_load(back);
    assert_int_equal(again->node_count, graph->node_count);
    octet_graph_free(graph);
    octet_graph_free(back);
    octet_graph_free(again);
}

/* A file states the opset that its operators need, and then what that opset wants said: Split's number of parts is
   implied before 18. reduced: with a ReduceMean, whose axes are an input since 18. */
static void check_split(bool reduced)
{
    const int64_t dims[] = { 2, 6 }, axes[] = { 1 };
    octet_tensor  list = { .dtype = OCTET_I64, .rank = 1, .dims = { 1 }, .data = (void *)(uintptr_t)axes };
    octet_graph  *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 2, &err));
    MUST(octet_graph_add_constant(graph, "axes", &list, &err));
    const octet_attribute axis[] = { { .name = "axis", .i = 1 }, { 0 } };
    const char *const     parts[] = { "a", "b", "c" }, *const x[] = { "x" }, *const c[] = { "c", "axes" },
                      *const y[] = { "y" };
    MUST(octet_graph_add(graph, &(octet_node_spec){ .op = "Split", .inputs = x, .input_count = 1, .outputs = parts,
                                                    .output_count = 3, .attributes = axis }, &err));
    MUST(octet_graph_add(graph, &(octet_node_spec){ .op = reduced ? "ReduceMean" : "Relu", .inputs = c,
                                                    .input_count = 1 + reduced, .outputs = y, .output_count = 1 },
                         &err));
    for (int i = 0; i < 2; i++) MUST(octet_graph_set_output(graph, parts[i], &err));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_infer(graph, &err));
    char *path = proto_write_bytes("", 0);
    MUST(octet_graph_save(graph, path, &err));
    Onnx__ModelProto      *model = unpack_file(path);
    const Onnx__NodeProto *split = producer(model->graph, "a");
    assert_int_equal(model->opset_import[0]->version, reduced ? 18 : 13);
    assert_int_equal(split->n_attribute, 1 + reduced);
    if (reduced) assert_string_equal(split->attribute[1]->name, "num_outputs");
    if (reduced) assert_int_equal(split->attribute[1]->i, 3);
    onnx__model_proto__free_unpacked(model, NULL);
    octet_graph *back;
    MUST(octet_graph_load(&back, path, &err));
    assert_int_equal(back->outputs[1]->dims[1], 2);
    octet_graph_free(back);
    octet_graph_free(graph);
    proto_remove(path);
}

static void test_stated_opset(void **state)
{
    (void)state;
    check_split(false);
    check_split(true);
}

static void test_existing_file(void **state)
{
    (void)state;
    octet_graph *graph = quantized_network();
    char        *path = proto_write_bytes("old", 3), text[4] = "";
    octet_error  err = { 0 };
    assert_int_equal(octet_graph_save_as(graph, path, NULL, &err), OCTET_ERR_FILE);
    assert_non_null(strstr(err.file, "model.onnx"));
    FILE *f = fopen(path, "rb");
    assert_int_equal(fread(text, 1, 4, f), 3);
    fclose(f);
    assert_string_equal(text, "old");
    err = (octet_error){ 0 };
    assert_int_equal(octet_graph_save_as(graph, "absent-folder/model.onnx", NULL, &err), OCTET_ERR_FILE);
    proto_remove(path);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float_models),        cmocka_unit_test(test_fused_model),
        cmocka_unit_test(test_quantized_file),      cmocka_unit_test(test_quantized_round_trip),
        cmocka_unit_test(test_existing_file),       cmocka_unit_test(test_stated_opset),
    };
    return cmocka_run_group_tests(tests, NULL, proto_teardown);
}
