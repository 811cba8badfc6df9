/* SPDX-License-Identifier: Apache-2.0 */
/* A copy prints, saves and goes on as its original would, and stands alone once it owns its constants. */
#include "models.h"

#include "graph/copy.h"
#include "passes/pass.h"

static char folder[256];

static int make(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* A graph's file, as bytes; the caller frees them. */
static char *saved(const octet_graph *graph, size_t *size)
{
    char path[300];
    snprintf(path, sizeof path, "%s/graph.onnx", folder);
    MUST(octet_graph_save(graph, path, &err));
    FILE *const file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size             = (size_t)ftell(file);
    char *const bytes = malloc(*size + 1);
    rewind(file);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    unlink(path);
    return bytes;
}

static void assert_same(octet_graph *a, octet_graph *b)
{
    const char *text_a, *text_b;
    size_t      size_a, size_b;
    MUST(octet_graph_print(a, &text_a, &err));
    MUST(octet_graph_print(b, &text_b, &err));
    assert_string_equal(text_a, text_b);
    char *const file_a = saved(a, &size_a), *const file_b = saved(b, &size_b);
    assert_int_equal(size_a, size_b);
    assert_memory_equal(file_a, file_b, size_a);
    free(file_a);
    free(file_b);
    assert_int_equal(a->decision_count, b->decision_count);
    for (size_t i = 0; i < a->decision_count; i++) assert_string_equal(a->decisions[i].why, b->decisions[i].why);
    const octet_value *v = b->values;
    for (const octet_value *u = a->values; u; u = u->next, v = v->next) {
        assert_int_equal(u->index, v->index);
        assert_int_equal(u->use_count, v->use_count);
        assert_string_equal(u->name, v->name);
        assert_ptr_equal(octet_graph_find_value(b, u->name), v);
        for (size_t i = 0; i < u->use_count; i++) {
            assert_string_equal(u->uses[i].node->name, v->uses[i].node->name);
            assert_int_equal(u->uses[i].slot, v->uses[i].slot);
        }
    }
    MUST(octet_graph_check(b, &err));
}

static octet_graph *copy_of(const octet_graph *graph)
{
    octet_graph *copy;
    MUST(octet_graph_copy(&copy, graph, &err));
    return copy;
}

/* The copy of a copy that owns its constants, the first of which is gone. */
static octet_graph *lone_copy(const octet_graph *graph)
{
    octet_graph *const first = copy_of(graph), *const second = copy_of(first);
    MUST(octet_graph_own(second, &err));
    octet_graph_free(first);
    return second;
}

static octet_graph *loaded(const char *name)
{
    char         path[1024], file[200];
    octet_graph *graph;
    snprintf(file, sizeof file, "models/%s.onnx", name);
    if (!shared_path(path, sizeof path, file)) return NULL;
    MUST(octet_graph_load(&graph, path, &err));
    return graph;
}

static void copies_of_files_are_equal_and_fuse_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHARED_MODELS; i++) {
        octet_graph *const graph = loaded(shared_models[i].name);
        if (!graph) return;
        octet_graph *const copy = copy_of(graph), *const alone = lone_copy(graph);
        assert_same(graph, copy);
        assert_same(graph, alone);
        MUST(octet_fuse(graph, &err));
        MUST(octet_fuse(copy, &err)); /* names that passes make are the same, too */
        assert_same(graph, copy);
        octet_graph *const later = lone_copy(graph);
        MUST(octet_pass_fold_batch_norm(graph, &err));
        MUST(octet_pass_fold_batch_norm(later, &err));
        assert_same(graph, later);
        octet_graph_free(copy);
        octet_graph_free(alone);
        octet_graph_free(later);
        octet_graph_free(graph);
    }
}

static void copies_of_quantized_networks_are_equal(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHARED_MODELS; i += 3) {
        octet_dataset     *data;
        octet_graph *const graph = quantize_shared(&shared_models[i], &data, "native", OCTET_METHOD_MINMAX);
        if (!graph) return;
        octet_graph *const copy = lone_copy(graph);
        assert_same(graph, copy);
        octet_graph_free(graph);
        octet_graph_free(copy);
        octet_dataset_free(data);
    }
}

/* A name that was taken once is not made again, on a copy neither. */
static void copies_make_the_same_names(void **state)
{
    (void)state;
    octet_graph  *graph;
    octet_value  *gone, *made, *again;
    const int64_t dims[] = { 1 };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 1, &err));
    add_node(graph, "Relu", "y", NULL, INPUTS("x"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_value_new_near(&gone, graph, "x", &err));
    octet_graph_sweep(graph);
    octet_graph *const copy = copy_of(graph);
    MUST(octet_value_new_near(&made, graph, "x", &err));
    MUST(octet_value_new_near(&again, copy, "x", &err));
    assert_string_equal(made->name, again->name);
    octet_graph_free(copy);
    octet_graph_free(graph);
}

/* x -> Relu -> Flatten, prepared: the last two share a FakeQuantize that observes. */
static void sharing_stays_and_observing_does_not(void **state)
{
    (void)state;
    octet_graph  *graph;
    const int64_t dims[] = { OCTET_DIM_FREE, 2, 2, 2 };
    random_state  r      = { 3 };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    add_random(graph, &r, "w", (const int64_t[]){ 8, 3 }, 2, between(-1, 1));
    add_node(graph, "MaxPool", "p", (const octet_attribute[]){ { .name = "kernel_shape", .count = 2,
             .ints = (const int64_t[]){ 1, 1 } }, { 0 } }, INPUTS("x"));
    add_node(graph, "Flatten", "f", NULL, INPUTS("p"));
    add_node(graph, "Gemm", "y", NULL, INPUTS("f", "w"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_prepare(graph, NULL, &err));
    octet_graph *const       copy = lone_copy(graph);
    octet_fake_quantize *const fq = octet_graph_find_value(copy, "p")->fake_quantize;
    assert_non_null(fq);
    assert_ptr_equal(fq, octet_graph_find_value(copy, "f")->fake_quantize);
    assert_ptr_not_equal(fq, octet_graph_find_value(graph, "f")->fake_quantize);
    assert_non_null(octet_graph_find_value(graph, "f")->fake_quantize->observer);
    assert_null(fq->observer);
    assert_null(copy->calibration);
    assert_int_equal(octet_convert(copy, NULL), OCTET_ERR_ARGUMENT);
    octet_graph_free(graph);
    MUST(octet_graph_check(copy, &err));
    octet_graph_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_of_files_are_equal_and_fuse_alike),
        cmocka_unit_test(copies_of_quantized_networks_are_equal),
        cmocka_unit_test(copies_make_the_same_names),
        cmocka_unit_test(sharing_stays_and_observing_does_not),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
