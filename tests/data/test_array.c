/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays: npy, npz, idx, CIFAR, packed or not, every number type, and how samples lie. Files are written here byte by
   byte; expected values follow from them by hand. */
#include "data_case.h"

#include <zip.h>

static float values[4096];

static void read_sample(const octet_dataset *data, size_t index, int64_t *label)
{
    octet_error err = {0};
    if (octet_dataset_read(data, index, values, label, &err) != OCTET_OK) fail_msg("%s", err.text);
}

/* ---- numbers ---- */

typedef struct type_case {
    const char   *descr;
    const uint8_t bytes[16]; /* two numbers */
    float         want[2];
} type_case;

static const type_case types[] = {
    {"<f4", {0, 0, 0xc0, 0x3f, 0, 0, 0x20, 0xc1}, {1.5f, -10.0f}},
    {">f4", {0x3f, 0xc0, 0, 0, 0xc1, 0x20, 0, 0}, {1.5f, -10.0f}},
    {"<f2", {0x00, 0x3e, 0x01, 0x80}, {1.5f, -5.9604644775390625e-8f}},
    {">f2", {0x3e, 0x00, 0xfb, 0xff}, {1.5f, -65504.0f}},
    {"<f8", {0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0x24, 0xc0}, {1.5f, -10.0f}},
    {"|u1", {255, 1}, {255, 1}},
    {"|i1", {255, 0x80}, {-1, -128}},
    {"<i2", {0xfe, 0xff, 0x00, 0x01}, {-2, 256}},
    {">i2", {0xff, 0xfe, 0x01, 0x00}, {-2, 256}},
    {"<u2", {0xfe, 0xff, 0x00, 0x01}, {65534, 256}},
    {"<i4", {0xfd, 0xff, 0xff, 0xff, 0, 0, 1, 0}, {-3, 65536}},
    {"<u4", {0, 0, 0, 0x80, 7, 0, 0, 0}, {2147483648.0f, 7}},
    {"<i8", {0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 9}, {-4, 9}},
    {">i8", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc, 0, 0, 0, 0, 0, 0, 0, 9}, {-4, 9}},
    {"<u8", {0, 0, 0, 0, 0, 0, 0, 0x80, 5}, {9223372036854775808.0f, 5}},
};

static void test_types(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const size_t     size = 2 * (size_t)(types[i].descr[2] - '0');
        const char      *path = write_npy("types.npy", types[i].descr, "(1, 2)", types[i].bytes, size);
        octet_dataset   *data = must_open(path, NULL);
        const octet_port port = octet_dataset_port(data);
        assert_int_equal(port.rank, 2);
        assert_int_equal(port.dims[0], 1);
        assert_int_equal(port.dims[1], 2);
        read_sample(data, 0, NULL);
        if (values[0] != types[i].want[0] || values[1] != types[i].want[1])
            fail_msg("%s: %g %g", types[i].descr, (double)values[0], (double)values[1]);
        octet_dataset_free(data);
    }
}

static void test_not_finite(void **state)
{
    static const struct {
        const char *descr;
        uint8_t     bytes[8];
        const char *word;
    } cases[] = {{"<f4", {0, 0, 0, 0, 0, 0, 0xc0, 0x7f}, "element 1 is nan"},
                 {"<f4", {0, 0, 0x80, 0xff, 0, 0, 0, 0}, "element 0 is inf"},
                 {"<f2", {0, 0, 0, 0, 0, 0x7c, 0, 0}, "element 2 is inf"}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const char *const path = write_npy("bad.npy", cases[i].descr, i < 2 ? "(1, 2)" : "(1, 4)", cases[i].bytes, 8);
        expect_refusal(path, NULL, cases[i].word);
        expect_refusal(path, NULL, "sample #0");
    }
    /* finite as double, not as the float that the network gets */
    expect_refusal(write_npy("big.npy", "<f8", "(1, 1)", (const double[]){1e300}, 8), NULL, "element 0 is inf");
}

/* ---- order of axes ---- */

static void test_fortran(void **state)
{
    uint8_t bytes[256], out[512];
    (void)state;
    /* sample n, channel c, row y, column x = 1000 n + 100 c + 10 y + x, first index fastest */
    int16_t *const at = (int16_t *)(void *)bytes;
    for (int x = 0, k = 0; x < 3; x++)
        for (int y = 0; y < 2; y++)
            for (int c = 0; c < 2; c++)
                for (int n = 0; n < 2; n++) at[k++] = (int16_t)(1000 * n + 100 * c + 10 * y + x);
    const char *const  path = write_bytes("f.npy", out, npy_bytes(out, "<i2", "(2, 2, 2, 3)", true, bytes, 48));
    octet_graph *const graph = border3(2, 2, 3);
    octet_dataset     *data = must_open(path, &(octet_dataset_options){.graph = graph});
    read_sample(data, 1, NULL);
    for (int c = 0, k = 0; c < 2; c++)
        for (int y = 0; y < 2; y++)
            for (int x = 0; x < 3; x++) assert_true(values[k++] == (float)(1000 + 100 * c + 10 * y + x));
    octet_dataset_free(data);
    octet_graph_free(graph);
    /* the same through the route without channels */
    data = must_open(write_bytes("g.npy", out, npy_bytes(out, "<i2", "(2, 2, 2, 1, 3)", true, bytes, 48)), NULL);
    read_sample(data, 1, NULL);
    for (int c = 0, k = 0; c < 2; c++)
        for (int y = 0; y < 2; y++)
            for (int x = 0; x < 3; x++) assert_true(values[k++] == (float)(1000 + 100 * c + 10 * y + x));
    octet_dataset_free(data);
}

/* Two samples of 2 rows, 4 columns, 3 channels; byte = 100 n + 40 y + 10 x + c */
static const char *write_nhwc(void)
{
    uint8_t bytes[48];
    for (int i = 0; i < 48; i++) bytes[i] = (uint8_t)(100 * (i / 24) + 40 * (i / 12 % 2) + 10 * (i / 3 % 4) + i % 3);
    return write_npy("nhwc.npy", "|u1", "(2, 2, 4, 3)", bytes, sizeof bytes);
}

static void expect_chw(void)
{
    for (int c = 0, k = 0; c < 3; c++)
        for (int y = 0; y < 2; y++)
            for (int x = 0; x < 4; x++) assert_true(values[k++] == (float)(100 + 40 * y + 10 * x + c));
}

static void expect_hwc(void)
{
    for (int y = 0, k = 0; y < 2; y++)
        for (int x = 0; x < 4; x++)
            for (int c = 0; c < 3; c++) assert_true(values[k++] == (float)(100 + 40 * y + 10 * x + c));
}

static void test_layouts(void **state)
{
    (void)state;
    octet_graph *const nchw = border3(3, 2, 4), *const nhwc = border3(2, 4, 3);
    const char *const path = write_nhwc();
    octet_dataset    *data = must_open(path, &(octet_dataset_options){.graph = nchw, .layout = "nhwc"});
    assert_non_null(strstr(octet_dataset_warnings(data), "no recipe"));
    read_sample(data, 1, NULL);
    expect_chw();
    octet_dataset_free(data);
    data = must_open(path, &(octet_dataset_options){.graph = nhwc, .layout = "nhwc"});
    read_sample(data, 1, NULL);
    expect_hwc();
    octet_dataset_free(data);
    expect_refusal(path, &(octet_dataset_options){.graph = nchw}, "--layout nhwc would fit");
    expect_refusal(path, &(octet_dataset_options){.graph = nchw, .layout = "hwc"}, "need nhwc or nchw");

    /* a channel-last network gets channel-first samples transposed */
    uint8_t planes[48];
    for (int i = 0; i < 48; i++) planes[i] = (uint8_t)(100 * (i / 24) + 40 * (i / 4 % 2) + 10 * (i % 4) + i / 8 % 3);
    data = must_open(write_npy("nchw.npy", "|u1", "(2, 3, 2, 4)", planes, 48), &(octet_dataset_options){.graph = nhwc});
    const octet_port port = octet_dataset_port(data);
    assert_memory_equal(port.dims, ((const int64_t[]){1, 2, 4, 3}), 4 * sizeof(int64_t));
    assert_string_equal(port.name, "x");
    read_sample(data, 1, NULL);
    expect_hwc();
    octet_dataset_free(data);
    octet_graph_free(nchw);
    octet_graph_free(nhwc);
}

/* A missing channel axis is added where the network has one channel, and only there. */
static void test_channel_axis(void **state)
{
    uint8_t bytes[12];
    (void)state;
    for (int i = 0; i < 12; i++) bytes[i] = (uint8_t)i;
    const char *const  path = write_npy("gray.npy", "|u1", "(2, 2, 3)", bytes, sizeof bytes);
    octet_graph *const one = border3(1, 2, 3), *const three = border3(3, 2, 3), *const last = border3(2, 3, 1);
    octet_dataset   *data = must_open(path, &(octet_dataset_options){.graph = one});
    const octet_port port = octet_dataset_port(data);
    assert_memory_equal(port.dims, ((const int64_t[]){1, 1, 2, 3}), 4 * sizeof(int64_t));
    read_sample(data, 1, NULL);
    for (int i = 0; i < 6; i++) assert_true(values[i] == (float)(6 + i));
    octet_dataset_free(data);
    data = must_open(path, &(octet_dataset_options){.graph = last});
    read_sample(data, 1, NULL);
    for (int i = 0; i < 6; i++) assert_true(values[i] == (float)(6 + i));
    octet_dataset_free(data);
    expect_refusal(path, &(octet_dataset_options){.graph = three},
                   "wrong shape of samples (got [1, 2, 3], need [1, 3, 2, 3]");
    octet_graph_free(one);
    octet_graph_free(three);
    octet_graph_free(last);
}

/* A channel-last network whose samples lie as it wants them: nothing moves, in spite of one channel at the end. */
static void test_identity(void **state)
{
    float numbers[24];
    (void)state;
    for (int i = 0; i < 24; i++) numbers[i] = (float)i / 4;
    octet_graph *const graph = border3(4, 3, 1);
    octet_dataset     *data = must_open(write_npy("id.npy", "<f4", "(2, 4, 3, 1)", numbers, sizeof numbers),
                                        &(octet_dataset_options){.graph = graph});
    assert_string_equal(octet_dataset_warnings(data), "");
    read_sample(data, 1, NULL);
    assert_memory_equal(values, numbers + 12, 12 * sizeof(float));
    octet_dataset_free(data);
    octet_graph_free(graph);
}

/* ---- recipes on arrays ---- */

static void test_recipe_values(void **state)
{
    const uint8_t bytes[3] = {10, 20, 30};
    (void)state;
    octet_graph *const    graph = border3(3, 1, 1);
    octet_dataset_options options = {.graph = graph, .scale = "1/2", .mean = "1,2,3", .std = "2,4,8"};
    const char *const     path = write_npy("rgb.npy", "|u1", "(1, 3, 1, 1)", bytes, 3);
    octet_dataset        *data = must_open(path, &options);
    assert_string_equal(octet_dataset_warnings(data), "");
    read_sample(data, 0, NULL);
    assert_true(values[0] == (float)(2));    /* (10 / 2 - 1) / 2 */
    assert_true(values[1] == (float)(2));    /* (20 / 2 - 2) / 4 */
    assert_true(values[2] == (float)(1.5f)); /* (30 / 2 - 3) / 8 */
    octet_dataset_free(data);
    options.color = "bgr";
    data = must_open(path, &options);
    read_sample(data, 0, NULL);
    assert_true(values[0] == (float)(7));     /* (30 / 2 - 1) / 2 */
    assert_true(values[2] == (float)(0.25f)); /* (10 / 2 - 3) / 8 */
    octet_dataset_free(data);
    /* numbers that are no bytes obey a recipe too, if one is asked for */
    data = must_open(write_npy("rgbf.npy", "<f4", "(1, 3, 1, 1)", (const float[]){0.5f, 1, 2}, 12),
                     &(octet_dataset_options){.graph = graph, .mean = "1", .std = "0.5"});
    read_sample(data, 0, NULL);
    assert_true(values[0] == (float)(-1));
    assert_true(values[2] == (float)(2));
    octet_dataset_free(data);
    octet_graph_free(graph);
}

/* Byte arrays are resized under a recipe that says so, never without. */
static void test_array_resize(void **state)
{
    uint8_t bytes[16];
    (void)state;
    for (int i = 0; i < 16; i++) bytes[i] = (uint8_t)(i * 10);
    octet_graph *const graph = border3(1, 2, 2);
    const char *const  path = write_npy("four.npy", "|u1", "(1, 4, 4)", bytes, 16);
    expect_refusal(path, &(octet_dataset_options){.graph = graph}, "wrong shape");
    expect_refusal(path, &(octet_dataset_options){.graph = graph, .preprocess = "unit"}, "wrong size");
    octet_dataset *data = must_open(path, &(octet_dataset_options){.graph = graph, .size = "2x2", .filter = "nearest"});
    read_sample(data, 0, NULL); /* places 1 and 3 of each axis */
    assert_memory_equal(values, ((const float[]){50, 70, 130, 150}), 16);
    octet_dataset_free(data);
    data = must_open(path, &(octet_dataset_options){.graph = graph, .crop = "2"});
    read_sample(data, 0, NULL);
    assert_memory_equal(values, ((const float[]){50, 60, 90, 100}), 16);
    octet_dataset_free(data);
    octet_graph_free(graph);
}

/* ---- formats ---- */

static void be32(uint8_t *to, uint32_t n)
{
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(n >> (24 - 8 * i));
}

static size_t idx_bytes(uint8_t *out, int type, const uint32_t *dims, int rank, size_t payload)
{
    memcpy(out, (const uint8_t[]){0, 0, (uint8_t)type, (uint8_t)rank}, 4);
    for (int i = 0; i < rank; i++) be32(out + 4 + 4 * i, dims[i]);
    for (size_t i = 0; i < payload; i++) out[4 + 4 * (size_t)rank + i] = (uint8_t)(i * 3);
    return 4 + 4 * (size_t)rank + payload;
}

static void test_idx(void **state)
{
    uint8_t            bytes[256];
    octet_graph *const graph = border3(1, 2, 3);
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        const size_t   size = idx_bytes(bytes, 8, (const uint32_t[]){4, 2, 3}, 3, 24);
        const char    *name = packed ? "p-images-idx3-ubyte.gz" : "images-idx3-ubyte";
        const char    *path = (packed ? write_packed : write_bytes)(name, bytes, size);
        octet_dataset *data = must_open(path, &(octet_dataset_options){.graph = graph});
        assert_false(octet_dataset_has_labels(data));
        octet_dataset_free(data);
        const size_t labels = idx_bytes(bytes, 8, (const uint32_t[]){4}, 1, 4);
        name = packed ? "p-labels-idx1-ubyte.gz" : "labels-idx1-ubyte";
        (packed ? write_packed : write_bytes)(name, bytes, labels);
        data = must_open(path, &(octet_dataset_options){.graph = graph});
        assert_int_equal(octet_dataset_count(data), 4);
        assert_true(octet_dataset_has_labels(data));
        int64_t label = -2;
        read_sample(data, 2, &label);
        assert_int_equal(label, 6);
        for (int i = 0; i < 6; i++) assert_true(values[i] == (float)((12 + i) * 3));
        assert_string_equal(octet_dataset_name(data, 2), "#2");
        octet_dataset_free(data);
    }
    const size_t size = idx_bytes(bytes, 0x0d, (const uint32_t[]){1, 2}, 2, 8);
    be32(bytes + 12, 0x3fc00000);
    be32(bytes + 16, 0xc1200000);
    octet_dataset *const data = must_open(write_bytes("float.idx2-float", bytes, size), NULL);
    read_sample(data, 0, NULL);
    assert_true(values[0] == (float)(1.5));
    assert_true(values[1] == (float)(-10));
    octet_dataset_free(data);
    octet_graph_free(graph);
}

static void test_cifar(void **state)
{
    static uint8_t     bytes[3 * 3074];
    octet_graph *const graph = border3(3, 32, 32);
    (void)state;
    for (int labels = 1; labels <= 2; labels++) {
        const size_t record = 3072 + (size_t)labels;
        for (size_t i = 0; i < 3 * record; i++)
            bytes[i] = (uint8_t)(i % record < (size_t)labels ? 7 + i / record : i * 7);
        for (int packed = 0; packed < 2; packed++) {
            const char *const path =
                packed ? write_packed("c.bin.gz", bytes, 3 * record) : write_bytes("c.bin", bytes, 3 * record);
            octet_dataset *const data = must_open(path, &(octet_dataset_options){.graph = graph});
            int64_t              label = -2;
            assert_int_equal(octet_dataset_count(data), 3);
            read_sample(data, 2, &label);
            assert_int_equal(label, 9);
            for (size_t i = 0; i < 3072; i++) assert_true(values[i] == bytes[2 * record + (size_t)labels + i]);
            octet_dataset_free(data);
        }
    }
    expect_refusal(write_bytes("short.bin", bytes, 3072), NULL, "no whole number of CIFAR records");
    octet_graph_free(graph);
}

static void add_member(zip_t *zip, const char *name, const void *bytes, size_t size, bool stored)
{
    const zip_int64_t index = zip_file_add(zip, name, zip_source_buffer(zip, bytes, size, 0), ZIP_FL_ENC_UTF_8);
    assert_true(index >= 0);
    if (stored) zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0);
}

static void test_npz(void **state)
{
    uint8_t            first[256], second[256];
    const size_t       a = npy_bytes(first, "<f4", "(1, 2)", false, (const float[]){1, 2}, 8);
    const size_t       b = npy_bytes(second, "<f4", "(1, 2)", false, (const float[]){3, 4}, 8);
    const char *const  path = in_scratch("two.npz");
    octet_graph *const graph = border("x", (const int64_t[]){2}, 1, 0), *const other =
                                                                            border("z", (const int64_t[]){2}, 1, 0);
    (void)state;
    zip_t *const zip = zip_open(path, ZIP_CREATE, NULL);
    add_member(zip, "w.npy", first, a, true);
    add_member(zip, "x.npy", second, b, false);
    assert_int_equal(zip_close(zip), 0);
    octet_dataset *const data = must_open(path, &(octet_dataset_options){.graph = graph});
    read_sample(data, 0, NULL);
    assert_true(values[0] == (float)(3));
    octet_dataset_free(data);
    expect_refusal(path, &(octet_dataset_options){.graph = other}, "no member named 'z.npy'");
    octet_graph_free(graph);
    octet_graph_free(other);
}

static void test_packed_npy(void **state)
{
    static uint8_t bytes[70000];
    static float   numbers[16384];
    (void)state;
    for (int i = 0; i < 16384; i++) numbers[i] = (float)(i % 977);
    const size_t         size = npy_bytes(bytes, "<f4", "(16, 1024)", false, numbers, sizeof numbers);
    octet_dataset *const data = must_open(write_packed("x.npy.gz", bytes, size), NULL);
    read_sample(data, 15, NULL);
    assert_memory_equal(values, numbers + 15 * 1024, 4096);
    octet_dataset_free(data);
    expect_refusal(write_packed("short.npy.gz", bytes, size - 1), NULL, "data truncated");
    expect_refusal(write_packed("long.npy.gz", bytes, size + 1), NULL, "data too long");
    /* a limit is met before memory is asked for */
    const octet_limits limits = {.max_memory = 60000};
    expect_refusal(in_scratch("x.npy.gz"), &(octet_dataset_options){.limits = limits}, "limit 60000");
    /* the packed stream itself cut */
    octet_file  file;
    octet_error err = {0};
    assert_int_equal(octet_file_read(&file, in_scratch("x.npy.gz"), 0, &err), OCTET_OK);
    expect_refusal(write_bytes("cut.npy.gz", file.data, file.size - 9), NULL, "truncated");
    octet_file_close(&file);
}

static void test_rank2_networks(void **state)
{
    float              numbers[6] = {1, 2, 3, 4, 5, 6};
    octet_graph *const graph = border("x", (const int64_t[]){3}, 1, 3);
    (void)state;
    octet_dataset *data =
        must_open(write_npy("ad.npy", "<f4", "(2, 3)", numbers, 24), &(octet_dataset_options){.graph = graph});
    read_sample(data, 1, NULL);
    assert_memory_equal(values, numbers + 3, 12);
    octet_dataset_free(data);
    expect_refusal(write_npy("ad4.npy", "<f4", "(1, 4)", numbers, 16), &(octet_dataset_options){.graph = graph},
                   "got [1, 4], need [1, 3]");
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),          cmocka_unit_test(test_not_finite),   cmocka_unit_test(test_fortran),
        cmocka_unit_test(test_layouts),        cmocka_unit_test(test_channel_axis), cmocka_unit_test(test_identity),
        cmocka_unit_test(test_recipe_values),  cmocka_unit_test(test_array_resize), cmocka_unit_test(test_idx),
        cmocka_unit_test(test_cifar),          cmocka_unit_test(test_npz),          cmocka_unit_test(test_packed_npy),
        cmocka_unit_test(test_rank2_networks),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
