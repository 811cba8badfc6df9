/* SPDX-License-Identifier: Apache-2.0 */
/* Samples of differing shapes: folders and lists of npy files, a sample in each. */
#include "data_case.h"

enum { FILES = 6, MOST = 64 };

/* Sample i is [3, 2 + i % 3, 4] of numbers i, i + 1, ...; every other one has a leading 1. */
static void write_files(void)
{
    char list[FILES * 32] = "", name[16], shape[32];
    mkdir(in_scratch("sizes"), 0777);
    for (int i = 0; i < FILES; i++) {
        float     x[MOST];
        const int height = 2 + i % 3, count = 3 * height * 4;
        for (int k = 0; k < count; k++) x[k] = (float)(i + k);
        snprintf(name, sizeof name, "sizes/%d.npy", i);
        snprintf(shape, sizeof shape, i % 2 ? "(1, 3, %d, 4)" : "(3, %d, 4)", height);
        write_npy(name, "<f4", shape, x, (size_t)count * sizeof *x);
        strcat(strcat(list, name), "\n");
    }
    write_text("list.txt", list);
}

static octet_graph *any_size(void)
{
    return border("x", (const int64_t[]){ 3, OCTET_DIM_FREE, OCTET_DIM_FREE }, 3, 0);
}

static void check_sample(const octet_dataset *data, size_t index, int number)
{
    octet_error  err = { 0 };
    octet_tensor input;
    float        x[MOST];
    assert_int_equal(octet_dataset_input_at(&input, data, 0, index, &err), OCTET_OK);
    const int64_t dims[] = { 1, 3, 2 + number % 3, 4 };
    assert_int_equal(input.rank, 4);
    assert_memory_equal(input.dims, dims, sizeof dims);
    input.data = x;
    assert_int_equal(octet_dataset_read_inputs(data, index, &input, NULL, &err), OCTET_OK);
    for (int k = 0; k < (int)octet_tensor_count(&input); k++) assert_true(x[k] == (float)(number + k));
}

static void test_every_sample_has_its_shape(void **state)
{
    (void)state;
    write_files();
    octet_graph *const graph = any_size();
    for (int listed = 0; listed < 2; listed++) {
        octet_dataset *const data =
            must_open(in_scratch(listed ? "list.txt" : "sizes"), &(octet_dataset_options){ .graph = graph });
        assert_true(octet_dataset_varies(data));
        assert_int_equal(octet_dataset_count(data), FILES);
        for (int i = 0; i < FILES; i++) check_sample(data, (size_t)i, i);
        octet_dataset_free(data);
    }
    octet_graph_free(graph);
}

/* Memory for the first sample's shape takes no other. */
static void test_another_shape_is_refused(void **state)
{
    (void)state;
    write_files();
    octet_graph *const   graph = any_size();
    octet_dataset *const data  = must_open(in_scratch("sizes"), &(octet_dataset_options){ .graph = graph });
    octet_error          err   = { 0 };
    float                x[MOST];
    assert_int_equal(octet_dataset_read(data, 0, x, NULL, &err), OCTET_OK);
    assert_int_equal(octet_dataset_read(data, 1, x, NULL, &err), OCTET_ERR_SHAPE);
    assert_non_null(strstr(err.text, "1.npy (got [1, 3, 3, 4], need [1, 3, 2, 4]"));
    octet_dataset_free(data);
    octet_graph_free(graph);
}

/* The commonest shape: of samples 1, 4 and 6. */
static void test_alike(void **state)
{
    (void)state;
    write_files();
    float x[36];
    for (int k = 0; k < 36; k++) x[k] = (float)(7 + k);
    write_npy("sizes/6.npy", "<f4", "(3, 3, 4)", x, sizeof x);
    octet_graph *const   graph = any_size();
    octet_dataset *const data  = must_open(in_scratch("sizes"), &(octet_dataset_options){ .graph = graph });
    octet_dataset       *alike = NULL;
    octet_error          err   = { 0 };
    assert_int_equal(octet_dataset_alike(&alike, data, &err), OCTET_OK);
    assert_false(octet_dataset_varies(alike));
    assert_int_equal(octet_dataset_count(alike), 3);
    for (size_t i = 0; i < 3; i++) check_sample(alike, i, 1 + 3 * (int)i);
    assert_string_equal(octet_dataset_name(alike, 1), "4.npy");
    octet_dataset_free(alike);
    octet_dataset_free(data);
    octet_graph_free(graph);
    unlink(in_scratch("sizes/6.npy"));
}

static void test_refusals(void **state)
{
    (void)state;
    const float        x[12]  = { 0 };
    octet_graph *const graph  = border3(3, 2, 2);
    char               text[512];
    mkdir(in_scratch("bad"), 0777);
    write_npy("bad/a.npy", "<f4", "(2, 3, 2, 1)", x, sizeof x);
    assert_int_equal(try_all(text, sizeof text, in_scratch("bad"), &(octet_dataset_options){ .graph = graph }),
                     OCTET_ERR_SHAPE);
    assert_non_null(strstr(text, "bad/a.npy"));
    assert_non_null(strstr(text, "holds 2 samples"));
    write_npy("bad/a.npy", "<f4", "(3, 2, 1)", x, 6 * sizeof *x);
    assert_int_equal(try_all(text, sizeof text, in_scratch("bad"), &(octet_dataset_options){ .graph = graph }),
                     OCTET_ERR_SHAPE);
    assert_non_null(strstr(text, "got [1, 3, 2, 1], need [1, 3, 2, 2] for input 'x'"));
    write_text("bad/a.npy", "no npy");
    assert_int_equal(try_all(text, sizeof text, in_scratch("bad"), &(octet_dataset_options){ .graph = graph }),
                     OCTET_ERR_FORMAT);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_sample_has_its_shape),
        cmocka_unit_test(test_another_shape_is_refused),
        cmocka_unit_test(test_alike),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
