/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of whole graphs: free dimensions, shapes that a graph computes itself, limits, and who is named in errors. */
#include "support.h"

#include "ops/shape.h"

static octet_graph *new_graph(const int64_t *dims, int rank)
{
    octet_graph *graph = NULL;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, rank, &err));
    return graph;
}

static void expect_dims(const octet_graph *graph, const char *name, int rank, const int64_t *dims)
{
    const octet_value *v = octet_graph_find_value(graph, name);
    assert_non_null(v);
    assert_true(v->has_shape);
    assert_int_equal(v->rank, rank);
    for (int i = 0; i < rank; i++) assert_int_equal(v->dims[i], dims[i]);
}

static void test_free_batch(void **state)
{
    (void)state;
    random_state r = { 1 };
    octet_graph *g = new_graph((int64_t[]){ OCTET_DIM_FREE, 3, 8, 10 }, 4);
    add_random(g, &r, "w", (int64_t[]){ 5, 3, 3, 3 }, 4, between(-1, 1));
    add_node(g, "Conv", "c", NULL, INPUTS("x", "w"));
    add_node(g, "GlobalAveragePool", "p", NULL, INPUTS("c"));
    add_node(g, "Flatten", "y", NULL, INPUTS("p"));
    MUST(octet_graph_set_output(g, "y", &err));
    MUST(octet_graph_infer(g, &err));
    expect_dims(g, "x", 4, (int64_t[]){ OCTET_DIM_FREE, 3, 8, 10 });
    expect_dims(g, "c", 4, (int64_t[]){ OCTET_DIM_FREE, 5, 6, 8 });
    expect_dims(g, "y", 2, (int64_t[]){ OCTET_DIM_FREE, 5 });
    octet_graph_free(g);
}

/* Reshape(x, Concat(Gather(Shape(x), 0), [-1])), as exporters write a flatten. */
static octet_graph *computed_reshape(void)
{
    octet_graph *g = new_graph((int64_t[]){ OCTET_DIM_FREE, 6, 4 }, 3);
    add_node(g, "Shape", "s", NULL, INPUTS("x"));
    add_ints(g, "zero", (int64_t[]){ 0 }, 1);
    add_ints(g, "rest", (int64_t[]){ -1 }, 1);
    add_node(g, "Gather", "n", NULL, INPUTS("s", "zero"));
    add_node(g, "Concat", "target", (octet_attribute[]){ { .name = "axis", .i = 0 }, { 0 } }, INPUTS("n", "rest"));
    add_node(g, "Reshape", "y", NULL, INPUTS("x", "target"));
    MUST(octet_graph_set_output(g, "y", &err));
    return g;
}

static void test_computed_shape(void **state)
{
    (void)state;
    octet_graph *g = computed_reshape();
    MUST(octet_graph_infer(g, &err));
    expect_dims(g, "y", 2, (int64_t[]){ OCTET_DIM_FREE, 24 });
    octet_graph_free(g);
}

/* The values themselves are known, too. */
static void test_known_values(void **state)
{
    (void)state;
    octet_graph *g = computed_reshape();
    octet_arena *arena = octet_arena_new();
    octet_tensor *tensors = octet_arena_alloc(arena, (size_t)g->value_count, sizeof *tensors);
    const octet_tensor x = { .dtype = OCTET_F32, .rank = 3, .dims = { 7, 6, 4 } };
    MUST(octet_infer_shapes(tensors, g, &x, arena, &err));
    const octet_tensor *target = &tensors[octet_graph_find_value(g, "target")->index];
    assert_non_null(target->data);
    assert_int_equal(((int64_t *)target->data)[0], 7);
    assert_int_equal(((int64_t *)target->data)[1], -1);
    assert_null(tensors[octet_graph_find_value(g, "y")->index].data);
    octet_arena_free(arena);
    octet_graph_free(g);
}

/* A reshape to 24 elements fits a batch of 1 only: that is what the graph gets. */
static void test_one_batch_only(void **state)
{
    (void)state;
    octet_graph *g = new_graph((int64_t[]){ OCTET_DIM_FREE, 6, 4 }, 3);
    add_ints(g, "t", (int64_t[]){ 3, 8 }, 2);
    add_node(g, "Reshape", "y", NULL, INPUTS("x", "t"));
    MUST(octet_graph_set_output(g, "y", &err));
    MUST(octet_graph_infer(g, &err));
    expect_dims(g, "x", 3, (int64_t[]){ 1, 6, 4 });
    expect_dims(g, "y", 2, (int64_t[]){ 3, 8 });
    octet_graph_free(g);
}

/* A large constant result is not kept: inference must not allocate what a file asks for. */
static void test_folding_limit(void **state)
{
    (void)state;
    octet_graph *g = new_graph((int64_t[]){ 1 }, 1);
    add_ints(g, "shape", (int64_t[]){ 1 << 20, 1 << 20 }, 2);
    add_node(g, "ConstantOfShape", "huge", NULL, INPUTS("shape"));
    add_ints(g, "small", (int64_t[]){ 5 }, 1);
    add_node(g, "ConstantOfShape", "tiny", NULL, INPUTS("small"));
    MUST(octet_graph_set_output(g, "huge", &err));
    octet_arena  *arena = octet_arena_new();
    octet_tensor *tensors = octet_arena_alloc(arena, (size_t)g->value_count, sizeof *tensors);
    const octet_tensor x = { .dtype = OCTET_F32, .rank = 1, .dims = { 1 } };
    MUST(octet_infer_shapes(tensors, g, &x, arena, &err));
    assert_null(tensors[octet_graph_find_value(g, "huge")->index].data);
    assert_non_null(tensors[octet_graph_find_value(g, "tiny")->index].data);
    assert_true(octet_arena_bytes(arena) < (size_t)1 << 20);
    octet_arena_free(arena);
    octet_graph_free(g);
}

static void test_errors_name_the_node(void **state)
{
    (void)state;
    random_state r = { 1 };
    octet_graph *g = new_graph((int64_t[]){ OCTET_DIM_FREE, 4, 8, 8 }, 4);
    add_random(g, &r, "w", (int64_t[]){ 5, 3, 3, 3 }, 4, between(-1, 1));
    add_node(g, "Conv", "conv1", NULL, INPUTS("x", "w"));
    octet_error  err = { 0 };
    octet_status status = octet_graph_set_output(g, "conv1", &err);
    if (status == OCTET_OK) status = octet_graph_infer(g, &err);
    assert_int_equal(status, OCTET_ERR_SHAPE);
    assert_string_equal(err.node, "conv1");
    assert_string_equal(err.field, "W");
    octet_graph_free(g);
}

static void test_wrong_type(void **state)
{
    (void)state;
    octet_graph *g = NULL;
    MUST(octet_graph_new(&g, &err));
    MUST(octet_graph_add_input(g, "x", OCTET_I64, (int64_t[]){ 1, 3, 8, 8 }, 4, &err));
    add_node(g, "Softmax", "s", NULL, INPUTS("x"));
    octet_error  bad = { 0 };
    octet_status status = octet_graph_set_output(g, "s", &bad);
    if (status == OCTET_OK) status = octet_graph_infer(g, &bad);
    assert_int_equal(status, OCTET_ERR_UNSUPPORTED);
    assert_string_equal(bad.node, "s");
    octet_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_batch),     cmocka_unit_test(test_computed_shape),
        cmocka_unit_test(test_known_values),   cmocka_unit_test(test_one_batch_only),
        cmocka_unit_test(test_folding_limit),  cmocka_unit_test(test_errors_name_the_node),
        cmocka_unit_test(test_wrong_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
