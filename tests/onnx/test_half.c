/* SPDX-License-Identifier: Apache-2.0 */
/* float16 and bfloat16: inside the graph there is float32 only, a Cast stands at each border, and what runs gives the
   float32 result, rounded once. */
#include "graph/graph.h"
#include "graph/op.h"
#include "ops/attrs.h"
#include "ops/wide.h"
#include "proto.h"

#include <octet/engine.h>

static const int64_t four[] = { 4 };

/* y = x * w + x, all of one half type. */
static proto_model *model(int type, const uint16_t *weights)
{
    proto_model *p = proto_new(17);
    proto_input(p, "x", type, four, 1);
    p->output_list[p->graph.n_output++] = proto_info(p, "y", type, four, 1);
    Onnx__TensorProto *w = proto_tensor(p, "w", 1, (float[4]){ 0 }, four, 1);
    w->data_type = type;
    w->raw_data.len = 8;
    memcpy(w->raw_data.data, weights, 8);
    proto_node(p, "Mul", "x w", "t");
    proto_node(p, "Add", "t x", "y");
    return p;
}

static const octet_node *find(const octet_graph *graph, const char *op)
{
    for (const octet_node *n = graph->first; n; n = n->next)
        if (!strcmp(n->op->name, op)) return n;
    fail_msg("no %s", op);
    return NULL;
}

static void run(const octet_graph *graph, octet_tensor *y, octet_tensor *x)
{
    octet_plan      *plan;
    octet_workspace *workspace;
    octet_tensor     out;
    MUST(octet_plan_create(&plan, graph, &(octet_plan_options){ .inputs = x }, &err));
    MUST(octet_workspace_create(&workspace, plan, &err));
    MUST(octet_run(workspace, x, &out, &err));
    assert_int_equal(out.dtype, y->dtype);
    memcpy(y->data, out.data, (size_t)octet_tensor_bytes(&out));
    octet_workspace_free(workspace);
    octet_plan_free(plan);
}

static void test_computes(void **state)
{
    (void)state;
    const float real_x[] = { 1.5f, -0.25f, 3.0f, 100.0f }, real_w[] = { 0.1f, 2.0f, -7.0f, 1.0f / 3.0f };
    for (int k = 0; k < 2; k++) {
        uint16_t x[4], w[4], y[4], want[4];
        for (int i = 0; i < 4; i++) {
            x[i] = k ? octet_bfloat_from_double((double)real_x[i]) : octet_half_from_double((double)real_x[i]);
            w[i] = k ? octet_bfloat_from_double((double)real_w[i]) : octet_half_from_double((double)real_w[i]);
            const float a = (float)(k ? octet_bfloat_to_double(x[i]) : octet_half_to_double(x[i]));
            const float b = (float)(k ? octet_bfloat_to_double(w[i]) : octet_half_to_double(w[i]));
            const float product = a * b, sum = product + a;
            want[i] = k ? octet_bfloat_from_double((double)sum) : octet_half_from_double((double)sum);
        }
        const octet_dtype type = k ? OCTET_BF16 : OCTET_F16;
        octet_graph      *graph = proto_load_good(model(k ? 16 : 10, w));
        assert_int_equal(graph->inputs[0]->dtype, type);
        assert_int_equal(graph->outputs[0]->dtype, type);
        assert_int_equal(graph->node_count, 4);
        assert_int_equal(find(graph, "Mul")->inputs[1]->constant->dtype, OCTET_F32);
        assert_int_equal(find(graph, "Add")->outputs[0]->dtype, OCTET_F32);
        octet_tensor in = { .dtype = type, .rank = 1, .dims = { 4 }, .data = x }, out = in;
        out.data = y;
        run(graph, &out, &in);
        assert_memory_equal(y, want, sizeof want);
        octet_graph_free(graph);
    }
}

/* Inside, a Cast to a half is a Cast to float32; saved and read again, nothing is added. */
static void test_stays_the_same(void **state)
{
    (void)state;
    const uint16_t w[4] = { 0x3c00, 0x3c00, 0x3c00, 0x3c00 };
    proto_model   *p = model(10, w);
    proto_int(p, proto_node(p, "Cast", "t", "u"), "to", 10);
    proto_node(p, "Sigmoid", "u", "v");
    p->output_list[p->graph.n_output++] = proto_info(p, "v", 10, four, 1);
    octet_graph *graph = proto_load_good(p);
    char         path[1024];
    make_folder(path, 1000);
    strcat(path, "/model.onnx");
    for (int i = 0; i < 2; i++) {
        octet_graph *again;
        assert_int_equal(graph->node_count, 7);
        assert_int_equal(find(graph, "Sigmoid")->inputs[0]->dtype, OCTET_F32);
        MUST(octet_graph_save(graph, path, &err));
        MUST(octet_graph_load(&again, path, &err));
        octet_graph_free(graph);
        graph = again;
    }
    octet_graph_free(graph);
    proto_remove(path);
}

/* An output whose size hangs on values is of the type that the file states, too. */
static void test_of_unknown_size(void **state)
{
    (void)state;
    proto_model *const p = proto_new(27);
    for (int i = 0; i < 3; i++) proto_input(p, i == 0 ? "a" : i == 1 ? "b" : "c", 10, NULL, 0);
    proto_node(p, "Range", "a b c", "y");
    p->output_list[p->graph.n_output++] = proto_info(p, "y", 10, (const int64_t[]){ -1 }, 1);
    octet_graph *const graph = proto_load_good(p);
    assert_string_equal(graph->outputs[0]->producer->op->name, "Cast");
    assert_int_equal(graph->outputs[0]->dtype, OCTET_F16);
    octet_graph_free(graph);
}

/* Where samples are to be fed, the borders are float32, too, and no Cast is needed. */
static void test_widened(void **state)
{
    (void)state;
    const uint16_t w[4] = { 0x3c00, 0x3c00, 0x3c00, 0x3c00 };
    octet_graph   *graph;
    char          *path = proto_write(model(10, w));
    MUST(octet_graph_load_limited(&graph, path, &(octet_limits){ .widen = true }, &err));
    proto_remove(path);
    assert_int_equal(graph->node_count, 2);
    assert_int_equal(graph->inputs[0]->dtype, OCTET_F32);
    assert_int_equal(graph->outputs[0]->dtype, OCTET_F32);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_computes), cmocka_unit_test(test_stays_the_same),
                                        cmocka_unit_test(test_of_unknown_size), cmocka_unit_test(test_widened) };
    return cmocka_run_group_tests(tests, NULL, proto_teardown);
}
