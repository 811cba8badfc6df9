/* SPDX-License-Identifier: Apache-2.0 */
/* Malformed bytes, written by hand after the wire format's definition. */
#include "onnx/prescan.h"
#include "proto.h"

static octet_status scan(const void *bytes, size_t size, const octet_limits *limits)
{
    octet_error        err = { 0 };
    const octet_status status = octet_prescan(bytes, size, &onnx__model_proto__descriptor, limits, &err);
    assert_int_equal(status, err.status);
    return status;
}

#define SCAN(literal) scan("" literal, sizeof(literal) - 1, NULL)

static void test_well_formed(void **state)
{
    (void)state;
    assert_int_equal(SCAN("\x08\x07"), OCTET_OK);                                     /* ir_version 7 */
    assert_int_equal(SCAN("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), OCTET_OK); /* -1 */
    assert_int_equal(SCAN("\x3a\x00"), OCTET_OK);                                     /* an empty graph */
    assert_int_equal(SCAN("\x3a\x04\x0a\x02\x22\x00"), OCTET_OK);                     /* graph > node > op_type "" */
    assert_int_equal(SCAN("\xf8\x3f\x01"), OCTET_OK);                                 /* field 1023: unknown, varint */
    assert_int_equal(SCAN("\xfd\x3f\x01\x02\x03\x04"), OCTET_OK);                     /* unknown, 32 bits */
    assert_int_equal(SCAN("\xf9\x3f\x01\x02\x03\x04\x05\x06\x07\x08"), OCTET_OK);     /* unknown, 64 bits */
}

static void test_malformed(void **state)
{
    (void)state;
    assert_int_equal(SCAN(""), OCTET_ERR_FORMAT);
    assert_int_equal(SCAN("\x00\x01"), OCTET_ERR_FORMAT);                                         /* field 0 */
    assert_int_equal(SCAN("\x08"), OCTET_ERR_FORMAT);                                             /* no number */
    assert_int_equal(SCAN("\x08\x80"), OCTET_ERR_FORMAT);                                         /* cut short */
    assert_int_equal(SCAN("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), OCTET_ERR_FORMAT);     /* > 64 bits */
    assert_int_equal(SCAN("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), OCTET_ERR_FORMAT); /* 11 bytes */
    assert_int_equal(SCAN("\x0f"), OCTET_ERR_FORMAT);                                             /* wire type 7 */
    assert_int_equal(SCAN("\x0b\x0c"), OCTET_ERR_FORMAT);                                         /* a group */
    assert_int_equal(SCAN("\x3a\x05\x0a"), OCTET_ERR_FORMAT);                                     /* past the end */
    assert_int_equal(SCAN("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), OCTET_ERR_FORMAT);     /* 2^64 - 1 */
    assert_int_equal(SCAN("\x3a\x80\x80\x80\x80\x10"), OCTET_ERR_FORMAT);                         /* 2^32 */
    assert_int_equal(SCAN("\x3a\x00\x3a\x00"), OCTET_ERR_FORMAT);                                 /* two graphs */
    assert_int_equal(SCAN("\x38\x01"), OCTET_ERR_FORMAT);                                         /* graph: number */
    assert_int_equal(SCAN("\x0a\x01\x01"), OCTET_ERR_FORMAT);                                     /* ir: bytes */
    assert_int_equal(SCAN("\x12\x02"
                          "a\0"),
                     OCTET_ERR_FORMAT);                 /* NUL in producer_name */
    assert_int_equal(SCAN("\xfd\x3f\x01\x02"), OCTET_ERR_FORMAT); /* unknown 32 bits cut short */
    /* graph > initializer > packed float_data of 5 bytes; packed dims that end inside a number */
    assert_int_equal(SCAN("\x3a\x09\x2a\x07\x22\x05\x00\x00\x00\x00\x00"), OCTET_ERR_FORMAT);
    assert_int_equal(SCAN("\x3a\x05\x2a\x03\x0a\x01\x80"), OCTET_ERR_FORMAT);
    assert_int_equal(SCAN("\x1f\x8b\x08\x00"), OCTET_ERR_FORMAT); /* gzip */
}

/* Puts a tag and a length before the size bytes at to. */
static size_t wrap(uint8_t *to, size_t size, uint8_t tag)
{
    const size_t head = size < 128 ? 2 : 3;
    memmove(to + head, to, size);
    to[0] = tag;
    to[1] = (uint8_t)(size < 128 ? size : (size & 0x7f) | 0x80);
    if (head == 3) to[2] = (uint8_t)(size >> 7);
    return size + head;
}

/* graph > node > attribute > graph > ... */
static size_t nested(uint8_t *at, int graphs)
{
    size_t size = 0;
    for (int i = 1; i < graphs; i++) {
        size = wrap(at, size, 0x32); /* AttributeProto.g */
        size = wrap(at, size, 0x2a); /* NodeProto.attribute */
        size = wrap(at, size, 0x0a); /* GraphProto.node */
    }
    return wrap(at, size, 0x3a); /* ModelProto.graph */
}

static void test_depth(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    assert_int_equal(scan(bytes, nested(bytes, 32), NULL), OCTET_OK);
    assert_int_equal(scan(bytes, nested(bytes, 33), NULL), OCTET_ERR_LIMIT);
}

static void test_limits(void **state)
{
    (void)state;
    char graph[2 + 100] = "\x3a\x64"; /* a graph of 50 empty initializers */
    for (int i = 0; i < 50; i++) memcpy(graph + 2 + 2 * i, "\x2a\x00", 2);
    assert_int_equal(scan(graph, sizeof graph, &(octet_limits){ .max_messages = 51 }), OCTET_OK);
    assert_int_equal(scan(graph, sizeof graph, &(octet_limits){ .max_messages = 50 }), OCTET_ERR_LIMIT);
    char dims[6 + 20] = "\x3a\x18\x2a\x16\x0a\x14"; /* graph > initializer > 20 packed dims */
    memset(dims + 6, 1, 20);
    assert_int_equal(scan(dims, sizeof dims, &(octet_limits){ .max_scalars = 20 }), OCTET_OK);
    assert_int_equal(scan(dims, sizeof dims, &(octet_limits){ .max_scalars = 19 }), OCTET_ERR_LIMIT);
}

/* What the scan lets pass, protobuf-c unpacks. */
static void test_agrees_with_unpacker(void **state)
{
    (void)state;
    proto_model  *p = proto_new(13);
    const int64_t dims[] = { 1, 4 };
    const float   data[4] = { 1, 2, 3, 4 };
    proto_input(p, "x", 1, dims, 2);
    proto_output(p, "y");
    proto_tensor(p, "w", 1, data, dims, 2);
    proto_int(p, proto_node(p, "Add", "x w", "y"), "axis", 300);
    uint8_t      bytes[1024], copy[1024];
    const size_t size = onnx__model_proto__pack(&p->model, bytes);
    uint32_t     seed = 1;
    int          passed = 0;
    for (int round = 0; round < 20000; round++) {
        size_t n = size;
        memcpy(copy, bytes, size);
        for (int i = 0; i < 3; i++) {
            seed = seed * 1664525u + 1013904223u;
            copy[(seed >> 8) % size] = (uint8_t)(seed >> 24);
        }
        if (round % 4 == 0) n = 1 + (seed >> 4) % size;
        if (scan(copy, n, NULL) != OCTET_OK) continue;
        passed++;
        Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, n, copy);
        assert_non_null(model);
        onnx__model_proto__free_unpacked(model, NULL);
    }
    assert_in_range(passed, 1000, 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well_formed), cmocka_unit_test(test_malformed), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_agrees_with_unpacker),
    };
    return cmocka_run_group_tests(tests, NULL, proto_teardown);
}
