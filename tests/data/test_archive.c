/* SPDX-License-Identifier: Apache-2.0 */
/* WebDataset's tar, plain numbers, and networks of several inputs; everything written here byte by byte. */
#include "data_case.h"

enum { BLOCK = 512 };

static uint8_t tar[1 << 17];
static size_t  tar_size;

/* A header as POSIX describes it, the data, and zeros up to the next block. */
static void put(const char *name, char type, const void *bytes, size_t size)
{
    char *const h   = (char *)tar + tar_size;
    unsigned    sum = 0;
    memset(h, 0, BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK);
    snprintf(h, 100, "%s", name);
    snprintf(h + 124, 12, "%011zo", size);
    h[156] = type;
    memcpy(h + 257, "ustar", 6);
    memset(h + 148, ' ', 8);
    for (int i = 0; i < BLOCK; i++) sum += (uint8_t)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    memcpy(h + BLOCK, bytes, size);
    tar_size += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
}

static octet_file golden(const char *name)
{
    char        path[512];
    octet_file  file;
    octet_error err = {0};
    snprintf(path, sizeof path, "%s/tests/golden/resize/%s", OCTET_SOURCE_DIR, name);
    assert_int_equal(octet_file_read(&file, path, 0, &err), OCTET_OK);
    return file;
}

static const char *written(const char *name)
{
    memset(tar + tar_size, 0, 2 * BLOCK);
    return write_bytes(name, tar, tar_size + 2 * BLOCK);
}

static void test_tar(void **state)
{
    static float from_tar[3 * 64 * 64], alone[3 * 64 * 64];
    octet_file   rgb = golden("rgb.png"), gray = golden("gray.png");
    octet_error  err = {0};
    int64_t      label;
    (void)state;
    tar_size = 0;
    put("s/", '5', "", 0);
    put("s/a.cls", '0', "7\n", 2); /* before its image */
    put("s/a.png", '0', rgb.data, rgb.size);
    put("s/b.v2.png", '0', rgb.data, rgb.size);
    put("s/b.json", '0', "{\"text\": \"x\", \"label\": 3}", strlen("{\"text\": \"x\", \"label\": 3}"));
    put("s/notes.txt", '0', "?", 1);
    octet_dataset *const data = must_open(written("wd.tar"), NULL);
    octet_dataset *const png  = must_open(write_bytes("rgb.png", rgb.data, rgb.size), NULL);
    assert_int_equal(octet_dataset_count(data), 2);
    assert_string_equal(octet_dataset_name(data, 1), "s/b.v2.png");
    assert_int_equal(octet_dataset_read(data, 0, from_tar, &label, &err), OCTET_OK);
    assert_int_equal(label, 7);
    assert_int_equal(octet_dataset_read(png, 0, alone, NULL, &err), OCTET_OK);
    assert_memory_equal(from_tar, alone, 3 * 37 * 29 * sizeof *alone);
    assert_int_equal(octet_dataset_read(data, 1, from_tar, &label, &err), OCTET_OK);
    assert_int_equal(label, 3);
    octet_dataset_free(png);
    octet_dataset_free(data);
    octet_file_close(&rgb);
    octet_file_close(&gray);
}

static void test_bad_tar(void **state)
{
    octet_file rgb = golden("rgb.png");
    (void)state;
    tar_size = 0;
    put("a.png", '0', rgb.data, rgb.size);
    expect_refusal(write_bytes("cut.tar", tar, tar_size - BLOCK), NULL, "longer than the file");
    expect_refusal(write_bytes("head.tar", tar, 300), NULL, "truncated header");
    tar[130] ^= 1;
    expect_refusal(written("sum.tar"), NULL, "checksum");
    tar_size = 0;
    put("a.txt", '0', "x", 1);
    expect_refusal(written("none.tar"), NULL, "no image");
    tar_size = 0;
    put("a.png", '0', rgb.data, rgb.size);
    put("a.cls", '0', "-4", 2);
    expect_refusal(written("class.tar"), NULL, "not a class");
    tar_size = 0;
    put("a.png", '0', rgb.data, rgb.size);
    put("a.cls", '0', "4", 1);
    put("b.png", '0', rgb.data, rgb.size);
    expect_refusal(written("half.tar"), NULL, "1 of 2 images");
    expect_refusal(write_packed("z.tar.gz", tar, tar_size), NULL, "packed tar");
    octet_file_close(&rgb);
}

static void test_plain_numbers(void **state)
{
    const float   numbers[] = {1, 2, 3, 4, 5, 6, -7, 8, 9, 10, 11, 12};
    const uint8_t bytes[]   = {0, 255, 7, 1, 2, 3};
    float         values[6];
    octet_error   err = {0};
    (void)state;
    octet_dataset *data = must_open(write_bytes("n.dat", numbers, sizeof numbers),
                                    &(octet_dataset_options){.shape = "3,1,2"});
    assert_int_equal(octet_dataset_count(data), 2);
    assert_int_equal(octet_dataset_read(data, 1, values, NULL, &err), OCTET_OK);
    assert_memory_equal(values, numbers + 6, sizeof values);
    octet_dataset_free(data);
    data = must_open(write_bytes("b.dat", bytes, sizeof bytes), &(octet_dataset_options){.shape = "u8:3"});
    assert_int_equal(octet_dataset_read(data, 0, values, NULL, &err), OCTET_OK);
    assert_true(values[1] == 255 && values[2] == 7);
    octet_dataset_free(data);
    static const struct {
        const char *shape, *word;
    } wrong[] = {{"5", "whole number of samples"}, {"3,", "--shape"}, {"0,2", "--shape"}, {"u9:3", "--shape"},
                 {"9223372036854775807,9", "--shape"}, {"-1", "--shape"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_refusal(in_scratch("n.dat"), &(octet_dataset_options){.shape = wrong[i].shape}, wrong[i].word);
}

/* x [N, 2] of float32 and ids [N, 3] of int64. */
static octet_graph *two_inputs(void)
{
    octet_graph *const graph = border("x", (const int64_t[]){2}, 1, 0);
    octet_error        err   = {0};
    assert_int_equal(octet_graph_add_input(graph, "ids", OCTET_I64, (const int64_t[]){OCTET_DIM_FREE, 3}, 2, &err),
                     OCTET_OK);
    return graph;
}

static void test_several_inputs(void **state)
{
    const float   x[]   = {1.5f, 2, 3, 4};
    const int64_t ids[] = {7, 0, 30000, -1, 5, 2};
    float         got_x[2];
    int64_t       got_ids[3];
    octet_error   err = {0};
    (void)state;
    octet_graph *const          graph = two_inputs();
    const octet_dataset_options any   = {.graph = graph, .any_inputs = true, .skip = 1};
    char                        folder[300];
    snprintf(folder, sizeof folder, "%s", in_scratch("both"));
    mkdir(folder, 0700);
    write_npy("both/x.npy", "<f4", "(2, 2)", x, sizeof x);
    write_npy("both/ids.npy", "<i8", "(2, 3)", ids, sizeof ids);
    octet_dataset *const data = must_open(folder, &any);
    assert_int_equal(octet_dataset_input_count(data), 2);
    assert_int_equal(octet_dataset_input(data, 1).dtype, OCTET_I64);
    octet_tensor inputs[] = {octet_dataset_input(data, 0), octet_dataset_input(data, 1)};
    inputs[0].data        = got_x;
    inputs[1].data        = got_ids;
    assert_int_equal(octet_dataset_read_inputs(data, 0, inputs, NULL, &err), OCTET_OK);
    assert_memory_equal(got_x, x + 2, sizeof got_x);
    assert_memory_equal(got_ids, ids + 3, sizeof got_ids);
    octet_dataset_free(data);
    expect_refusal(folder, &(octet_dataset_options){.graph = graph}, "has 2 inputs");
    write_npy("both/ids.npy", "<i8", "(1, 3)", ids, 24);
    expect_refusal(folder, &any, "1 samples of input 'ids'");
    unlink(in_scratch("both/ids.npy"));
    expect_refusal(folder, &any, "input 'ids'");
    octet_graph_free(graph);
}

static void test_fractions_are_no_integers(void **state)
{
    const float ids[] = {1, 2.5f, 3};
    int64_t     got[3];
    octet_error err   = {0};
    octet_graph *graph = NULL;
    (void)state;
    assert_int_equal(octet_graph_new(&graph, &err), OCTET_OK);
    assert_int_equal(octet_graph_add_input(graph, "ids", OCTET_I64, (const int64_t[]){OCTET_DIM_FREE, 3}, 2, &err),
                     OCTET_OK);
    octet_dataset *const data = must_open(write_npy("ids.npy", "<f4", "(1, 3)", ids, sizeof ids),
                                          &(octet_dataset_options){.graph = graph, .any_inputs = true});
    octet_tensor input = octet_dataset_input(data, 0);
    input.data         = got;
    assert_int_equal(octet_dataset_read_inputs(data, 0, &input, NULL, &err), OCTET_ERR_FORMAT);
    assert_non_null(strstr(err.text, "2.5"));
    octet_dataset_free(data);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tar),
        cmocka_unit_test(test_bad_tar),
        cmocka_unit_test(test_plain_numbers),
        cmocka_unit_test(test_several_inputs),
        cmocka_unit_test(test_fractions_are_no_integers),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
