/* SPDX-License-Identifier: Apache-2.0 */
/* Each pass: what it must merge, what it must leave, and that outputs stay. */
#include "support.h"

#include "graph/graph.h"
#include "passes/pass.h"

enum { ROOM = 4096 };

static int count_of(const octet_graph *graph, const char *op)
{
    int count = 0;
    for (const octet_node *n = graph->first; n; n = n->next) count += octet_node_is(n, op);
    return count;
}

static octet_graph *image_graph(int64_t channels, int64_t size)
{
    octet_graph  *graph;
    const int64_t dims[] = { OCTET_DIM_FREE, channels, size, size };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    return graph;
}

static void add_batch_norm(octet_graph *graph, random_state *r, const char *in, const char *out, int64_t channels)
{
    char names[4][32];
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "%s_p%d", out, i);
        add_random(graph, r, names[i], &channels, 1, between(i == 3 ? 0.1f : -1.0f, i == 3 ? 3.0f : 1.0f));
    }
    add_node(graph, "BatchNormalization", out, NULL, INPUTS(in, names[0], names[1], names[2], names[3]));
}

/* Runs graph before and after octet_fuse on the same input; outputs must agree to float rounding. */
static void fuse_keeps_outputs(octet_graph *graph, octet_tensor *input)
{
    static float before[ROOM], after[ROOM];
    MUST(octet_graph_verify(graph, &err));
    const octet_plan_options plain = { .engines = "reference" };
    const size_t             n     = run_graph(graph, input, before, ROOM, &plain);
    MUST(octet_fuse(graph, &err));
    MUST(octet_graph_check(graph, &err));
    assert_int_equal(run_graph(graph, input, after, ROOM, &plain), n);
    assert_true(sqnr_db(before, after, n) > 110);
}

static octet_tensor random_input(random_state *r, float *data, const octet_graph *graph, int64_t batch)
{
    octet_tensor x = octet_value_tensor(graph->inputs[0], batch);
    x.data         = data;
    random_fill(r, data, (size_t)octet_tensor_count(&x), -2, 2);
    return x;
}

static void batch_norm_and_relu_join_the_convolution(void **state)
{
    (void)state;
    random_state       r     = { 1 };
    octet_graph *const graph = image_graph(3, 6);
    float              data[2 * 3 * 36];
    add_random(graph, &r, "w", (const int64_t[]){ 4, 3, 3, 3 }, 4, between(-1, 1));
    add_random(graph, &r, "b", (const int64_t[]){ 4 }, 1, between(-1, 1));
    add_node(graph, "Conv", "c", NULL, INPUTS("x", "w", "b"));
    add_batch_norm(graph, &r, "c", "n", 4);
    add_node(graph, "Relu", "y", NULL, INPUTS("n"));
    MUST(octet_graph_set_output(graph, "y", &err));
    octet_tensor x = random_input(&r, data, graph, 2);
    fuse_keeps_outputs(graph, &x);
    assert_int_equal(graph->node_count, 1);
    assert_non_null(graph->first->batch_norm);
    assert_true(graph->first->activation.on);
    assert_string_equal(graph->first->merged, "c + n + y");
    static float attached[ROOM], folded[ROOM];
    const size_t n = run_graph(graph, &x, attached, ROOM, NULL);
    MUST(octet_pass_fold_batch_norm(graph, &err));
    assert_null(graph->first->batch_norm);
    run_graph(graph, &x, folded, ROOM, NULL);
    assert_true(sqnr_db(attached, folded, n) > 110);
    octet_graph_free(graph);
}

static void batch_norm_behind_a_second_reader_stays(void **state)
{
    (void)state;
    random_state       r     = { 2 };
    octet_graph *const graph = image_graph(3, 4);
    float              data[3 * 16];
    add_random(graph, &r, "w", (const int64_t[]){ 3, 3, 1, 1 }, 4, between(-1, 1));
    add_node(graph, "Conv", "c", NULL, INPUTS("x", "w"));
    add_batch_norm(graph, &r, "c", "n", 3);
    add_node(graph, "Add", "y", NULL, INPUTS("n", "c"));
    MUST(octet_graph_set_output(graph, "y", &err));
    octet_tensor x = random_input(&r, data, graph, 1);
    fuse_keeps_outputs(graph, &x);
    assert_int_equal(count_of(graph, "BatchNormalization"), 1);
    octet_graph_free(graph);
}

static void matmul_add_batch_norm_become_one_gemm(void **state)
{
    (void)state;
    random_state r = { 3 };
    octet_graph *graph;
    float        data[5 * 8];
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, 8 }, 2, &err));
    add_random(graph, &r, "w", (const int64_t[]){ 8, 6 }, 2, between(-1, 1));
    add_random(graph, &r, "b", (const int64_t[]){ 6 }, 1, between(-1, 1));
    add_node(graph, "MatMul", "m", NULL, INPUTS("x", "w"));
    add_node(graph, "Add", "a", NULL, INPUTS("b", "m"));
    add_batch_norm(graph, &r, "a", "y", 6);
    MUST(octet_graph_set_output(graph, "y", &err));
    octet_tensor x = random_input(&r, data, graph, 5);
    fuse_keeps_outputs(graph, &x);
    assert_int_equal(graph->node_count, 1);
    assert_string_equal(graph->first->op->name, "Gemm");
    assert_non_null(graph->first->batch_norm);
    octet_graph_free(graph);
}

static void zero_pads_move_into_the_convolution(void **state)
{
    (void)state;
    random_state       r     = { 4 };
    octet_graph *const graph = image_graph(2, 5);
    float              data[2 * 25];
    add_ints(graph, "p", (const int64_t[]){ 0, 0, 0, 1, 0, 0, 2, 1 }, 8);
    add_random(graph, &r, "w", (const int64_t[]){ 3, 2, 3, 3 }, 4, between(-1, 1));
    add_node(graph, "Pad", "q", NULL, INPUTS("x", "p"));
    add_node(graph, "Conv", "y", NULL, INPUTS("q", "w"));
    MUST(octet_graph_set_output(graph, "y", &err));
    octet_tensor x = random_input(&r, data, graph, 1);
    fuse_keeps_outputs(graph, &x);
    assert_int_equal(count_of(graph, "Pad"), 0);
    octet_graph_free(graph);
}

static void channel_pads_stay(void **state)
{
    (void)state;
    random_state       r     = { 5 };
    octet_graph *const graph = image_graph(2, 5);
    float              data[2 * 25];
    add_ints(graph, "p", (const int64_t[]){ 0, 1, 0, 0, 0, 1, 0, 0 }, 8);
    add_random(graph, &r, "w", (const int64_t[]){ 3, 4, 3, 3 }, 4, between(-1, 1));
    add_node(graph, "Pad", "q", NULL, INPUTS("x", "p"));
    add_node(graph, "Conv", "y", NULL, INPUTS("q", "w"));
    MUST(octet_graph_set_output(graph, "y", &err));
    octet_tensor x = random_input(&r, data, graph, 1);
    fuse_keeps_outputs(graph, &x);
    assert_int_equal(count_of(graph, "Pad"), 1);
    octet_graph_free(graph);
}

/* Pools refuse padding as large as their window. */
static void pads_as_large_as_a_pools_window_stay(void **state)
{
    (void)state;
    for (int64_t before = 1; before <= 2; before++) {
        random_state          r      = { 6 };
        octet_graph *const    graph  = image_graph(2, 5);
        const int64_t         size[]  = { 2, 2 };
        const octet_attribute two[]   = { { .name = "kernel_shape", .ints = size, .count = 2 }, { 0 } };
        float                 data[2 * 25];
        add_ints(graph, "p", (const int64_t[]){ 0, 0, 0, before, 0, 0, 1, 0 }, 8);
        add_node(graph, "Pad", "q", NULL, INPUTS("x", "p"));
        add_node(graph, "AveragePool", "y", two, INPUTS("q"));
        MUST(octet_graph_set_output(graph, "y", &err));
        octet_tensor x = random_input(&r, data, graph, 1);
        fuse_keeps_outputs(graph, &x);
        assert_int_equal(count_of(graph, "Pad"), before == 2);
        octet_graph_free(graph);
    }
}

/* What torch exports for x.view(x.size(0), -1). */
static void shape_chains_become_a_constant_reshape(void **state)
{
    (void)state;
    random_state       r     = { 6 };
    octet_graph *const graph = image_graph(2, 3);
    float              data[3 * 18];
    add_ints(graph, "zero", (const int64_t[]){ 0 }, 1);
    add_ints(graph, "rest", (const int64_t[]){ -1 }, 1);
    add_node(graph, "Shape", "s", NULL, INPUTS("x"));
    add_node(graph, "Gather", "n", NULL, INPUTS("s", "zero"));
    const octet_attribute axis[] = { { .name = "axis", .i = 0 }, { 0 } };
    add_node(graph, "Concat", "t", axis, INPUTS("n", "rest"));
    add_node(graph, "Reshape", "y", NULL, INPUTS("x", "t"));
    MUST(octet_graph_set_output(graph, "y", &err));
    octet_tensor x = random_input(&r, data, graph, 3);
    fuse_keeps_outputs(graph, &x);
    assert_int_equal(graph->node_count, 1);
    const int64_t *const target = graph->first->inputs[1]->constant->data;
    assert_int_equal(target[0], 0);
    assert_int_equal(target[1], -1);
    octet_graph_free(graph);
}

static void identities_and_dead_nodes_go_but_output_names_stay(void **state)
{
    (void)state;
    random_state       r     = { 7 };
    octet_graph *const graph = image_graph(2, 3);
    float              data[18];
    add_node(graph, "Identity", "i", NULL, INPUTS("x"));
    add_node(graph, "Sigmoid", "s", NULL, INPUTS("i"));
    add_node(graph, "Tanh", "dead", NULL, INPUTS("s"));
    add_node(graph, "Identity", "y", NULL, INPUTS("s"));
    MUST(octet_graph_set_output(graph, "y", &err));
    octet_tensor x = random_input(&r, data, graph, 1);
    fuse_keeps_outputs(graph, &x);
    assert_int_equal(graph->node_count, 1);
    assert_string_equal(octet_graph_output(graph, 0).name, "y");
    octet_graph_free(graph);
}

static void splitting_an_activation_undoes_absorbing_it(void **state)
{
    (void)state;
    random_state       r     = { 8 };
    octet_graph *const graph = image_graph(3, 4);
    float              data[48];
    static float       merged[ROOM], split[ROOM];
    const float        bounds[] = { -0.25f, 0.5f };
    for (int i = 0; i < 2; i++) {
        const octet_tensor bound = { .dtype = OCTET_F32, .data = (void *)(uintptr_t)&bounds[i] };
        MUST(octet_graph_add_constant(graph, i ? "hi" : "lo", &bound, &err));
    }
    add_random(graph, &r, "w", (const int64_t[]){ 3, 3, 1, 1 }, 4, between(-1, 1));
    add_node(graph, "Conv", "c", NULL, INPUTS("x", "w"));
    add_node(graph, "Clip", "y", NULL, INPUTS("c", "lo", "hi"));
    MUST(octet_graph_set_output(graph, "y", &err));
    octet_tensor x = random_input(&r, data, graph, 1);
    fuse_keeps_outputs(graph, &x);
    assert_int_equal(graph->node_count, 1);
    const size_t n = run_graph(graph, &x, merged, ROOM, NULL);
    MUST(octet_split_activation(graph, graph->first, &err));
    MUST(octet_graph_verify(graph, &err));
    assert_int_equal(graph->node_count, 2);
    run_graph(graph, &x, split, ROOM, NULL);
    assert_memory_equal(merged, split, n * sizeof *split);
    octet_graph_free(graph);
}

/* ---- constants behind and before a convolution ---- */

static octet_graph *conv_graph(random_state *r, int64_t pad, bool bias)
{
    octet_graph *const    graph = image_graph(2, 5);
    const int64_t         pads[] = { pad, pad, pad, pad };
    const octet_attribute attrs[] = { { .name = "pads", .ints = pads, .count = 4 }, { 0 } };
    add_random(graph, r, "w", (const int64_t[]){ 4, 2, 3, 3 }, 4, between(-1, 1));
    add_random(graph, r, "b", (const int64_t[]){ 4 }, 1, between(-1, 1));
    add_node(graph, "Conv", "c", attrs, bias ? INPUTS("x", "w", "b") : INPUTS("x", "w"));
    return graph;
}

static void scales_and_shifts_join_the_convolution(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        random_state       r = { 20 + (uint64_t)form };
        octet_graph *const graph = conv_graph(&r, 1, form % 2);
        float              data[2 * 2 * 25];
        add_random(graph, &r, "m", (const int64_t[]){ 4, 1, 1 }, form < 2 ? 3 : 0, between(-2, 2));
        add_random(graph, &r, "s", (const int64_t[]){ 1, 4, 1, 1 }, form < 2 ? 4 : 0, between(-2, 2));
        add_node(graph, "Mul", "cm", NULL, INPUTS("m", "c"));
        add_node(graph, "Add", "y", NULL, INPUTS("cm", "s"));
        MUST(octet_graph_set_output(graph, "y", &err));
        octet_tensor x = random_input(&r, data, graph, 2);
        fuse_keeps_outputs(graph, &x);
        assert_int_equal(graph->node_count, 1);
        assert_string_equal(graph->first->merged, "c + cm + y");
        octet_graph_free(graph);
    }
}

/* A constant per column, and one that makes the result larger. */
static void other_constants_stay_behind_the_convolution(void **state)
{
    (void)state;
    for (int form = 0; form < 2; form++) {
        random_state       r = { 24 };
        octet_graph *const graph = conv_graph(&r, 1, true);
        float              data[2 * 25];
        add_random(graph, &r, "m", form ? (const int64_t[]){ 1, 1, 1, 1, 1 } : (const int64_t[]){ 5 }, form ? 5 : 1,
                   between(-2, 2));
        add_node(graph, "Mul", "y", NULL, INPUTS("m", "c"));
        MUST(octet_graph_set_output(graph, "y", &err));
        octet_tensor x = random_input(&r, data, graph, 1);
        fuse_keeps_outputs(graph, &x);
        assert_int_equal(count_of(graph, "Mul"), 1);
        octet_graph_free(graph);
    }
}

/* Two convolutions of one weight, of which one is scaled: the other must not notice. */
static void shared_weights_stay_for_the_other_reader(void **state)
{
    (void)state;
    random_state       r = { 25 };
    octet_graph *const graph = conv_graph(&r, 1, false);
    float              data[2 * 2 * 25];
    const int64_t      pads[] = { 1, 1, 1, 1 };
    add_random(graph, &r, "m", (const int64_t[]){ 4, 1, 1 }, 3, between(-2, 2));
    add_node(graph, "Mul", "cm", NULL, INPUTS("m", "c"));
    add_node(graph, "Conv", "d", (const octet_attribute[]){ { .name = "pads", .ints = pads, .count = 4 }, { 0 } },
             INPUTS("x", "w"));
    add_batch_norm(graph, &r, "d", "n", 4);
    add_node(graph, "Add", "y", NULL, INPUTS("cm", "n"));
    MUST(octet_graph_set_output(graph, "y", &err));
    octet_tensor x = random_input(&r, data, graph, 2);
    fuse_keeps_outputs(graph, &x);
    assert_int_equal(graph->node_count, 3);
    octet_graph_free(graph);
}

static void batch_norm_before_a_convolution_moves_in_unless_it_pads(void **state)
{
    (void)state;
    for (int64_t pad = 0; pad < 2; pad++)
        for (int64_t group = 1; group <= 2; group++) {
            random_state          r = { 26 };
            octet_graph *const    graph = image_graph(4, 5);
            float                 data[2 * 4 * 25];
            const int64_t         pads[] = { pad, 0, 0, pad };
            const octet_attribute attrs[] = { { .name = "pads", .ints = pads, .count = 4 },
                                              { .name = "group", .i = group },
                                              { 0 } };
            add_random(graph, &r, "w", (const int64_t[]){ 6, 4 / group, 2, 3 }, 4, between(-1, 1));
            add_batch_norm(graph, &r, "x", "n", 4);
            add_node(graph, "Conv", "y", attrs, INPUTS("n", "w"));
            MUST(octet_graph_set_output(graph, "y", &err));
            octet_tensor x = random_input(&r, data, graph, 2);
            fuse_keeps_outputs(graph, &x);
            assert_int_equal(graph->node_count, pad ? 2 : 1);
            octet_graph_free(graph);
        }
}

/* ---- moves in a row ---- */

static void transposes_in_a_row_become_one_or_none(void **state)
{
    (void)state;
    const int64_t perms[3][4] = { { 0, 2, 3, 1 }, { 0, 3, 1, 2 }, { 0, 3, 2, 1 } };
    for (int second = 1; second < 3; second++) {
        random_state       r = { 30 };
        octet_graph *const graph = image_graph(3, 4);
        float              data[2 * 48];
        for (int i = 0; i < 2; i++)
            add_node(graph, "Transpose", i ? "u" : "t",
                     (const octet_attribute[]){ { .name = "perm", .ints = perms[i * second], .count = 4 }, { 0 } },
                     INPUTS(i ? "t" : "x"));
        add_node(graph, "Sigmoid", "y", NULL, INPUTS("u"));
        MUST(octet_graph_set_output(graph, "y", &err));
        octet_tensor x = random_input(&r, data, graph, 2);
        fuse_keeps_outputs(graph, &x);
        assert_int_equal(count_of(graph, "Transpose"), second - 1);
        octet_graph_free(graph);
    }
}

static void of_reshapes_in_a_row_the_last_is_enough(void **state)
{
    (void)state;
    for (int zero = 0; zero < 2; zero++) { /* 0 repeats what the first made */
        random_state       r = { 31 };
        octet_graph *const graph = image_graph(3, 4);
        float              data[2 * 48];
        add_ints(graph, "a", (const int64_t[]){ -1, 4, 12 }, 3);
        add_ints(graph, "b", (const int64_t[]){ -1, zero ? 0 : 8, 6 }, 3);
        add_node(graph, "Reshape", "t", NULL, INPUTS("x", "a"));
        add_node(graph, "Reshape", "u", NULL, INPUTS("t", "b"));
        add_node(graph, "Sigmoid", "y", NULL, INPUTS("u"));
        MUST(octet_graph_set_output(graph, "y", &err));
        octet_tensor x = random_input(&r, data, graph, 2);
        fuse_keeps_outputs(graph, &x);
        assert_int_equal(count_of(graph, "Reshape"), 1 + zero);
        octet_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norm_and_relu_join_the_convolution),
        cmocka_unit_test(batch_norm_behind_a_second_reader_stays),
        cmocka_unit_test(matmul_add_batch_norm_become_one_gemm),
        cmocka_unit_test(zero_pads_move_into_the_convolution),
        cmocka_unit_test(channel_pads_stay),
        cmocka_unit_test(pads_as_large_as_a_pools_window_stay),
        cmocka_unit_test(shape_chains_become_a_constant_reshape),
        cmocka_unit_test(identities_and_dead_nodes_go_but_output_names_stay),
        cmocka_unit_test(splitting_an_activation_undoes_absorbing_it),
        cmocka_unit_test(scales_and_shifts_join_the_convolution),
        cmocka_unit_test(other_constants_stay_behind_the_convolution),
        cmocka_unit_test(shared_weights_stay_for_the_other_reader),
        cmocka_unit_test(batch_norm_before_a_convolution_moves_in_unless_it_pads),
        cmocka_unit_test(transposes_in_a_row_become_one_or_none),
        cmocka_unit_test(of_reshapes_in_a_row_the_last_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
