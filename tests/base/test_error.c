/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: who writes them, what of a name survives, and that a caller who wants none (err NULL) still gets the
   status. */
#include "support.h"

#include "base/file.h"

static void test_first_failure_stays(void **state)
{
    (void)state;
    octet_error err = { 0 };
    assert_int_equal(octet_fail(&err, OCTET_ERR_SHAPE, "%s", "first"), OCTET_ERR_SHAPE);
    assert_int_equal(octet_fail(&err, OCTET_ERR_FILE, "second"), OCTET_ERR_FILE);
    assert_int_equal(err.status, OCTET_ERR_SHAPE);
    assert_string_equal(err.text, "first");
    octet_error_node(&err, NULL);
    octet_error_node(&err, "inner");
    octet_error_node(&err, "outer");
    octet_error_field(&err, "pads");
    octet_error_file(&err, "a.onnx");
    char line[128], cut[10];
    octet_error_line(line, sizeof line, &err);
    assert_string_equal(line, "a.onnx: node 'inner': pads: first");
    octet_error_line(cut, sizeof cut, &err);
    assert_string_equal(cut, "a.onnx: n");
}

/* Names come from files: one line, no control bytes; of a long path the end stays. */
static void test_hostile_names(void **state)
{
    (void)state;
    octet_error err = { 0 };
    char        path[600];
    memset(path, 'd', sizeof path);
    memcpy(path + sizeof path - 12, "/model.onnx", 12);
    octet_fail(&err, OCTET_ERR_FORMAT, "%s", "a\nb\x1b[2J%n");
    octet_error_node(&err, "line\nbreak");
    octet_error_file(&err, path);
    assert_string_equal(err.text, "a?b?[2J%n");
    assert_string_equal(err.node, "line?break");
    assert_memory_equal(err.file, "...", 3);
    assert_int_equal(strlen(err.file), sizeof err.file - 1);
    assert_string_equal(err.file + strlen(err.file) - 11, "/model.onnx");
}

static void test_status_without_error(void **state)
{
    (void)state;
    octet_graph  *graph;
    octet_file    file;
    octet_dataset *data;
    octet_error_file(NULL, "a");
    octet_error_node(NULL, "a");
    octet_error_field(NULL, "a");
    assert_int_equal(octet_fail(NULL, OCTET_ERR_LIMIT, "unheard"), OCTET_ERR_LIMIT);
    assert_int_equal(octet_file_read(&file, "absent/file", 0, NULL), OCTET_ERR_FILE);
    assert_int_equal(octet_file_read_beneath(&file, ".", "../a", NULL), OCTET_ERR_FILE);
    assert_int_equal(octet_output_check("", true, NULL), OCTET_ERR_ARGUMENT);
    assert_int_equal(octet_output_check("/", true, NULL), OCTET_ERR_FILE);
    assert_int_equal(octet_file_write("absent/file", "x", 1, true, NULL), OCTET_ERR_FILE);
    assert_int_equal(octet_graph_load(&graph, "absent/model.onnx", NULL), OCTET_ERR_FILE);
    assert_int_equal(octet_graph_load(&graph, OCTET_SOURCE_DIR "/meson.build", NULL), OCTET_ERR_FORMAT);
    assert_int_equal(octet_dataset_open(&data, "absent/data", NULL, NULL), OCTET_ERR_FILE);
}

static void test_graph_without_error(void **state)
{
    (void)state;
    octet_graph   *graph;
    const int64_t  four[] = { 4 }, five[] = { 5 };
    const char    *out  = "z";
    octet_node_spec add  = { .op = "Add", .name = "sum", .inputs = INPUTS("x", "y"), .input_count = 2,
                             .outputs = &out, .output_count = 1 };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, four, 1, &err));
    MUST(octet_graph_add_input(graph, "y", OCTET_F32, five, 1, &err));
    assert_int_equal(octet_graph_add_input(graph, "x", OCTET_F32, four, 1, NULL), OCTET_ERR_FORMAT);
    add.op = "Unheard";
    assert_int_equal(octet_graph_add(graph, &add, NULL), OCTET_ERR_UNSUPPORTED);
    add.op = "Add", add.input_count = 1;
    assert_int_equal(octet_graph_add(graph, &add, NULL), OCTET_ERR_ARGUMENT);
    add.input_count = 2;
    MUST(octet_graph_add(graph, &add, &err));
    assert_int_equal(octet_graph_set_output(graph, "absent", NULL), OCTET_ERR_ARGUMENT);
    MUST(octet_graph_set_output(graph, out, &err));
    assert_int_equal(octet_graph_verify(graph, NULL), OCTET_ERR_SHAPE);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_failure_stays),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_status_without_error),
        cmocka_unit_test(test_graph_without_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
