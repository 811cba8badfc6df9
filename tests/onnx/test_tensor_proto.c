/* SPDX-License-Identifier: Apache-2.0 */
/* Every place where ONNX keeps numbers, and what does not fit there. */
#include "onnx/tensor_proto.h"
#include "proto.h"

static octet_arena *arena;
static int          setup(void **state) { return (void)state, (arena = octet_arena_new()) ? 0 : -1; }
static int          teardown(void **state) { return (void)state, octet_arena_free(arena), 0; }

static octet_status convert(octet_tensor *tensor, const Onnx__TensorProto *proto, const char *field)
{
    octet_error        err = { 0 };
    uint8_t            bytes[4096];
    const char        *name = NULL;
    const size_t       size = onnx__tensor_proto__pack(proto, bytes);
    const octet_status status = octet_tensor_proto_read(tensor, &name, bytes, size, arena, &err);
    if (status != OCTET_OK && field) assert_string_equal(err.field, field);
    if (status == OCTET_OK) assert_string_equal(name, "t");
    return status;
}

static Onnx__TensorProto make(int type, int64_t *dims, size_t rank)
{
    Onnx__TensorProto t = ONNX__TENSOR_PROTO__INIT;
    t.name = (char *)"t";
    t.has_data_type = 1;
    t.data_type = type;
    t.dims = dims;
    t.n_dims = rank;
    return t;
}

static int64_t three[] = { 3 };

static void test_wide_lists(void **state)
{
    (void)state;
    octet_tensor      tensor;
    float             floats[] = { 1.5f, -2.0f, 0.0f };
    int64_t           longs[] = { INT64_MIN, 0, INT64_MAX };
    double            doubles[] = { 1e300, 0, -1 };
    Onnx__TensorProto t = make(1, three, 1);
    t.float_data = floats, t.n_float_data = 3;
    assert_int_equal(convert(&tensor, &t, NULL), OCTET_OK);
    assert_int_equal(tensor.dtype, OCTET_F32);
    assert_memory_equal(tensor.data, floats, sizeof floats);
    t = make(7, three, 1);
    t.int64_data = longs, t.n_int64_data = 3;
    assert_int_equal(convert(&tensor, &t, NULL), OCTET_OK);
    assert_memory_equal(tensor.data, longs, sizeof longs);
    t = make(11, three, 1);
    t.double_data = doubles, t.n_double_data = 3;
    assert_int_equal(convert(&tensor, &t, NULL), OCTET_OK);
    assert_memory_equal(tensor.data, doubles, sizeof doubles);
}

static void test_narrow_lists(void **state)
{
    (void)state;
    octet_tensor      tensor;
    int32_t           small[] = { -128, 127, 5 }, truth[] = { 1, 0, 1 }, halves[] = { 0x3c00, 0xbc00, 0 };
    uint64_t          wide[] = { 1, UINT32_MAX, 3 };
    Onnx__TensorProto t = make(3, three, 1);
    t.int32_data = small, t.n_int32_data = 3;
    assert_int_equal(convert(&tensor, &t, NULL), OCTET_OK);
    assert_int_equal(tensor.dtype, OCTET_I8);
    assert_memory_equal(tensor.data, "\x80\x7f\x05", 3);
    small[1] = 128;
    assert_int_equal(convert(&tensor, &t, "int32_data"), OCTET_ERR_FORMAT);
    t.data_type = 9, t.int32_data = truth;
    assert_int_equal(convert(&tensor, &t, NULL), OCTET_OK);
    assert_memory_equal(tensor.data, "\1\0\1", 3);
    truth[0] = 2;
    assert_int_equal(convert(&tensor, &t, "int32_data"), OCTET_ERR_FORMAT);
    t.data_type = 10, t.int32_data = halves;
    assert_int_equal(convert(&tensor, &t, NULL), OCTET_OK);
    assert_int_equal(tensor.dtype, OCTET_F16);
    assert_int_equal(((uint16_t *)tensor.data)[1], 0xbc00);
    t = make(12, three, 1);
    t.uint64_data = wide, t.n_uint64_data = 3;
    assert_int_equal(convert(&tensor, &t, NULL), OCTET_OK);
    assert_int_equal(((uint32_t *)tensor.data)[1], UINT32_MAX);
    wide[1]++;
    assert_int_equal(convert(&tensor, &t, "uint64_data"), OCTET_ERR_FORMAT);
}

static void test_raw(void **state)
{
    (void)state;
    int64_t           dims[] = { 2, 2 };
    octet_tensor      tensor;
    float             data[5] = { 1, 2, 3, 4, 5 };
    Onnx__TensorProto t = make(1, dims, 2);
    t.has_raw_data = 1;
    t.raw_data.data = (uint8_t *)data;
    t.raw_data.len = 16;
    assert_int_equal(convert(&tensor, &t, NULL), OCTET_OK);
    assert_int_equal(tensor.rank, 2);
    assert_memory_equal(tensor.data, data, 16);
    t.raw_data.len = 20;
    assert_int_equal(convert(&tensor, &t, "raw_data"), OCTET_ERR_FORMAT);
    t.raw_data.len = 15;
    assert_int_equal(convert(&tensor, &t, "raw_data"), OCTET_ERR_FORMAT);
    t.has_raw_data = 0;
    assert_int_equal(convert(&tensor, &t, "raw_data"), OCTET_ERR_FORMAT);
    t.float_data = data, t.n_float_data = 3;
    assert_int_equal(convert(&tensor, &t, "float_data"), OCTET_ERR_FORMAT);
    t.n_float_data = 4;
    assert_int_equal(convert(&tensor, &t, NULL), OCTET_OK);
    t.has_raw_data = 1, t.raw_data.len = 16;
    assert_int_equal(convert(&tensor, &t, NULL), OCTET_ERR_FORMAT); /* both */
    t.has_raw_data = 0, t.data_type = 7;
    assert_int_equal(convert(&tensor, &t, "float_data"), OCTET_ERR_FORMAT); /* int64 in float_data */
}

static void test_shapes(void **state)
{
    (void)state;
    octet_tensor      tensor;
    int64_t           dims[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    Onnx__TensorProto t = make(2, dims, 8);
    t.has_raw_data = 1;
    t.raw_data.data = (uint8_t *)"\7";
    t.raw_data.len = 1;
    assert_int_equal(convert(&tensor, &t, NULL), OCTET_OK);
    t.n_dims = 9;
    assert_int_equal(convert(&tensor, &t, "dims"), OCTET_ERR_UNSUPPORTED);
    t.n_dims = 0; /* a scalar */
    assert_int_equal(convert(&tensor, &t, NULL), OCTET_OK);
    t.n_dims = 2;
    dims[0] = dims[1] = -1;
    assert_int_equal(convert(&tensor, &t, "dims"), OCTET_ERR_FORMAT);
    dims[0] = dims[1] = (int64_t)1 << 32;
    assert_int_equal(convert(&tensor, &t, "dims"), OCTET_ERR_FORMAT);
    dims[0] = dims[1] = INT32_MAX;
    assert_int_equal(convert(&tensor, &t, "dims"), OCTET_ERR_LIMIT);
    t.n_dims = 1, dims[0] = 0, t.raw_data.len = 0; /* an empty list */
    assert_int_equal(convert(&tensor, &t, NULL), OCTET_OK);
    assert_int_equal(octet_tensor_count(&tensor), 0);
    t.raw_data.len = 1;
    assert_int_equal(convert(&tensor, &t, "raw_data"), OCTET_ERR_FORMAT);
}

static void test_types(void **state)
{
    (void)state;
    octet_tensor      tensor;
    int64_t           dims[] = { 1 };
    uint8_t           zeros[16] = { 0 };
    Onnx__TensorProto t = make(0, dims, 1);
    t.has_raw_data = 1;
    t.raw_data.data = zeros;
    t.raw_data.len = sizeof zeros;
    const struct {
        int          type;
        octet_status status;
    } rows[] = { { 0, OCTET_ERR_FORMAT },       { -1, OCTET_ERR_FORMAT },      { 99, OCTET_ERR_FORMAT },
                 { 8, OCTET_ERR_UNSUPPORTED },  { 14, OCTET_ERR_UNSUPPORTED }, { 15, OCTET_ERR_UNSUPPORTED },
                 { 17, OCTET_ERR_UNSUPPORTED }, { 23, OCTET_ERR_UNSUPPORTED } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        t.data_type = rows[i].type;
        assert_int_equal(convert(&tensor, &t, "data_type"), rows[i].status);
    }
    for (octet_dtype d = OCTET_F32; d < OCTET_DTYPE_COUNT; d++) {
        octet_dtype back = OCTET_NONE;
        assert_int_equal(octet_dtype_from_onnx(&back, octet_dtype_to_onnx(d), NULL), OCTET_OK);
        assert_int_equal(back, d);
    }
}

/* Numbers of four and two bits share bytes, the first in the lowest bits. Each gets a byte of its own. */
static void test_packed(void **state)
{
    (void)state;
    octet_tensor tensor;
    int64_t      dims[] = { 3 };
    uint8_t      bytes[3] = { 0x92, 0x0f }; /* and one too many */
    int32_t      words[3] = { 0x92, 0x0f };
    const struct {
        int         type;
        size_t      bytes;
        octet_dtype dtype;
        int8_t      want[3];
    } rows[] = { { 21, 2, OCTET_U8, { 2, 9, 15 } },
                 { 22, 2, OCTET_I8, { 2, -7, -1 } },
                 { 25, 1, OCTET_U8, { 2, 0, 1 } },
                 { 26, 1, OCTET_I8, { -2, 0, 1 } } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int list = 0; list < 2; list++) {
            Onnx__TensorProto t = make(rows[i].type, dims, 1);
            t.has_raw_data = !list;
            t.raw_data.data = bytes;
            t.raw_data.len = rows[i].bytes;
            t.int32_data = words;
            t.n_int32_data = list ? rows[i].bytes : 0;
            assert_int_equal(convert(&tensor, &t, NULL), OCTET_OK);
            assert_int_equal(tensor.dtype, rows[i].dtype);
            assert_memory_equal(tensor.data, rows[i].want, 3);
            t.raw_data.len++;
            t.n_int32_data += (size_t)list;
            assert_int_equal(convert(&tensor, &t, list ? "int32_data" : "raw_data"), OCTET_ERR_FORMAT);
        }
    octet_dtype none;
    assert_int_equal(octet_dtype_from_onnx(&none, 22, NULL), OCTET_ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_wide_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_narrow_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_raw, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shapes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_packed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
