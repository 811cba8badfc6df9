/* SPDX-License-Identifier: Apache-2.0 */
/* External data: where it may lie, and how much of it there must be. Each row is one model beside the same files. */
#include "graph/graph.h"
#include "proto.h"

#include <sys/stat.h>

typedef struct row {
    const char  *location, *offset, *length;
    octet_status status;
} row;

static const row rows[] = {
    { "data.bin", NULL, NULL, OCTET_OK },
    { "data.bin", "0", "16", OCTET_OK },
    { "data.bin", "16", "16", OCTET_OK },
    { "sub/data.bin", "0", "16", OCTET_OK },
    { "data.bin", "17", NULL, OCTET_ERR_FORMAT },
    { "data.bin", "9223372036854775807", "16", OCTET_ERR_FORMAT },
    { "data.bin", "9223372036854775808", "16", OCTET_ERR_FORMAT },
    { "data.bin", "-1", "16", OCTET_ERR_FORMAT },
    { "data.bin", "0x10", "16", OCTET_ERR_FORMAT },
    { "data.bin", " 0", "16", OCTET_ERR_FORMAT },
    { "data.bin", "", "16", OCTET_ERR_FORMAT },
    { "data.bin", "0", "15", OCTET_ERR_FORMAT },
    { "data.bin", "0", "18446744073709551600", OCTET_ERR_FORMAT },
    { "", NULL, NULL, OCTET_ERR_FORMAT },
    { NULL, NULL, NULL, OCTET_ERR_FORMAT },
    { "..\\data.bin", NULL, NULL, OCTET_ERR_FORMAT },
    { "/etc/hostname", NULL, NULL, OCTET_ERR_FORMAT },
    { "../outside.bin", NULL, NULL, OCTET_ERR_FILE },
    { "sub/../../outside.bin", NULL, NULL, OCTET_ERR_FILE },
    { "link.bin", NULL, NULL, OCTET_ERR_FILE },
    { "linked/data.bin", NULL, NULL, OCTET_ERR_FILE },
    { "sub", NULL, NULL, OCTET_ERR_FILE },
    { "fifo", NULL, NULL, OCTET_ERR_FILE },
    { "absent.bin", NULL, NULL, OCTET_ERR_FILE },
    { "hard.bin", NULL, NULL, OCTET_ERR_FORMAT },
};

static const float numbers[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static char        root[900];

/* A path beneath the test's folder; valid until the call after the next. */
static const char *at(const char *name)
{
    static char paths[2][1024];
    static int  turn;
    turn = !turn;
    snprintf(paths[turn], sizeof paths[turn], "%s/%s", root, name);
    return paths[turn];
}

static void put(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    make_folder(root, sizeof root);
    assert_int_equal(mkdir(at("in"), 0700), 0);
    assert_int_equal(mkdir(at("in/sub"), 0700), 0);
    put(at("in/data.bin"), numbers, sizeof numbers);
    put(at("in/sub/data.bin"), numbers, sizeof numbers);
    put(at("outside.bin"), numbers, sizeof numbers);
    assert_int_equal(symlink("data.bin", at("in/link.bin")), 0);
    assert_int_equal(symlink("sub", at("in/linked")), 0);
    assert_int_equal(link(at("outside.bin"), at("in/hard.bin")), 0);
    return mkfifo(at("in/fifo"), 0600);
}

static int teardown(void **state)
{
    static const char *const made[] = { "in/model.onnx", "in/data.bin", "in/sub/data.bin", "in/link.bin",
                                        "in/linked",     "in/hard.bin", "in/fifo",         "in/sub",
                                        "in",            "outside.bin" };
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) remove(at(made[i]));
    proto_teardown(state);
    return rmdir(root);
}

static void add(Onnx__TensorProto *t, Onnx__StringStringEntryProto *entry, const char *key, const char *value)
{
    if (!value) return;
    onnx__string_string_entry_proto__init(entry);
    entry->key = (char *)key;
    entry->value = (char *)value;
    t->external_data[t->n_external_data++] = entry;
}

static octet_status load(octet_graph **graph, const row *r, const char *last_key, octet_error *err)
{
    proto_model                 *p = proto_new(13);
    const int64_t                dims[] = { 1, 4 };
    Onnx__StringStringEntryProto entries[4], *list[4];
    uint8_t                      bytes[1024];
    proto_input(p, "x", 1, dims, 2);
    proto_output(p, "y");
    proto_node(p, "Add", "x w", "y");
    Onnx__TensorProto *t = proto_tensor(p, "w", 1, numbers, dims, 2);
    t->has_raw_data = 0;
    t->has_data_location = 1;
    t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    t->external_data = list;
    add(t, &entries[0], "location", r->location);
    add(t, &entries[1], "offset", r->offset);
    add(t, &entries[2], "length", r->length);
    add(t, &entries[3], last_key, "0");
    put(at("in/model.onnx"), bytes, onnx__model_proto__pack(&p->model, bytes));
    *err = (octet_error){ 0 };
    return octet_graph_load(graph, at("in/model.onnx"), err);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        octet_graph       *graph;
        octet_error        err;
        const octet_status status = load(&graph, &rows[i], "checksum", &err);
        if (status != rows[i].status) print_error("row %zu: %s: %s: %s\n", i, err.node, err.field, err.text);
        assert_int_equal(status, rows[i].status);
        if (status == OCTET_OK) {
            const octet_value *w = octet_graph_find_value(graph, "w");
            const size_t       first = rows[i].offset && atoi(rows[i].offset) ? 4 : 0;
            assert_memory_equal(w->constant->data, numbers + first, 16);
        } else {
            assert_string_equal(err.node, "w");
            assert_string_equal(err.field, "external_data");
        }
        octet_graph_free(graph);
    }
}

/* A sparse file of 3 GiB: what a network beyond protobuf's 2 GiB keeps beside it. */
static void test_beyond_two_gib(void **state)
{
    (void)state;
    const int64_t end = (int64_t)3 << 30;
    char          offset[32];
    octet_graph  *graph;
    octet_error   err;
    FILE         *f = fopen(at("in/huge.bin"), "wb");
    assert_non_null(f);
    assert_int_equal(fseeko(f, end - 16, SEEK_SET), 0);
    assert_int_equal(fwrite(numbers + 4, 1, 16, f), 16);
    fclose(f);
    snprintf(offset, sizeof offset, "%lld", (long long)end - 16);
    const octet_status status = load(&graph, &(row){ "huge.bin", offset, "16", OCTET_OK }, "checksum", &err);
    snprintf(offset, sizeof offset, "%lld", (long long)end - 15);
    octet_graph       *none;
    const octet_status past = load(&none, &(row){ "huge.bin", offset, "16", OCTET_OK }, "checksum", &err);
    remove(at("in/huge.bin"));
    assert_int_equal(past, OCTET_ERR_FORMAT);
    assert_int_equal(status, OCTET_OK);
    assert_memory_equal(octet_graph_find_value(graph, "w")->constant->data, numbers + 4, 16);
    octet_graph_free(graph);
}

static void test_keys(void **state)
{
    (void)state;
    octet_graph *graph;
    octet_error  err;
    assert_int_equal(load(&graph, &rows[0], "__class__", &err), OCTET_ERR_FORMAT);
    assert_non_null(strstr(err.text, "__class__"));
    assert_int_equal(load(&graph, &rows[0], "location", &err), OCTET_ERR_FORMAT); /* twice */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_keys),
                                        cmocka_unit_test(test_beyond_two_gib) };
    return cmocka_run_group_tests(tests, setup, teardown);
}
