/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX keeps a tensor's numbers in one of seven places: raw bytes, five typed lists, or another file. All end as dense
   row-major bytes of the tensor's own type. */
#include "onnx/tensor_proto.h"

#include "base/checked.h"
#include "base/text.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/prescan.h"
#include "ops/check.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw_data is little-endian and is copied as it is");

static const struct {
    const char *name;
    octet_dtype dtype; /* OCTET_NONE: valid ONNX that octet has no type for */
    int         bits;  /* of numbers that share bytes, the first in the lowest bits; a constant of them is widened to
                          dtype. 0: dtype's own size */
} onnx_types[] = {
    [1] = {"FLOAT", OCTET_F32},
    [2] = {"UINT8", OCTET_U8},
    [3] = {"INT8", OCTET_I8},
    [4] = {"UINT16", OCTET_U16},
    [5] = {"INT16", OCTET_I16},
    [6] = {"INT32", OCTET_I32},
    [7] = {"INT64", OCTET_I64},
    [8] = {"STRING"},
    [9] = {"BOOL", OCTET_BOOL},
    [10] = {"FLOAT16", OCTET_F16},
    [11] = {"DOUBLE", OCTET_F64},
    [12] = {"UINT32", OCTET_U32},
    [13] = {"UINT64", OCTET_U64},
    [14] = {"COMPLEX64"},
    [15] = {"COMPLEX128"},
    [16] = {"BFLOAT16", OCTET_BF16},
    [17] = {"FLOAT8E4M3FN"},
    [18] = {"FLOAT8E4M3FNUZ"},
    [19] = {"FLOAT8E5M2"},
    [20] = {"FLOAT8E5M2FNUZ"},
    [21] = {"UINT4", OCTET_U8, 4},
    [22] = {"INT4", OCTET_I8, 4},
    [23] = {"FLOAT4E2M1"},
    [24] = {"FLOAT8E8M0"},
    [25] = {"UINT2", OCTET_U8, 2},
    [26] = {"INT2", OCTET_I8, 2},
};
enum { ONNX_TYPES = sizeof onnx_types / sizeof *onnx_types };

/* The type of a tensor's numbers, which octet_dtype_from_onnx restricts to those that need no widening. */
static octet_status type_from_onnx(octet_dtype *dtype, int64_t number, octet_error *err)
{
    if (number < 1 || number >= ONNX_TYPES)
        return octet_fail(err, OCTET_ERR_FORMAT, "type %lld is not one of ONNX's (1 to %d)", (long long)number,
                          ONNX_TYPES - 1);
    *dtype = onnx_types[number].dtype;
    if (*dtype == OCTET_NONE)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "type %s is not supported", onnx_types[number].name);
    return OCTET_OK;
}

octet_status octet_dtype_from_onnx(octet_dtype *dtype, int64_t number, octet_error *err)
{
    OCTET_TRY(type_from_onnx(dtype, number, err));
    if (!onnx_types[number].bits) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_UNSUPPORTED, "type %s is supported in constants only", onnx_types[number].name);
}

int octet_narrow_bits(const Onnx__TensorProto *proto)
{
    const int number = proto->has_data_type ? (int)proto->data_type : 0;
    return number > 0 && number < ONNX_TYPES ? onnx_types[number].bits : 0;
}

int octet_dtype_to_onnx(octet_dtype dtype)
{
    for (int i = 1; i < ONNX_TYPES; i++)
        if (dtype != OCTET_NONE && onnx_types[i].dtype == dtype && !onnx_types[i].bits) return i;
    return 0;
}

int octet_dtype_to_onnx_packed(octet_dtype dtype)
{
    for (int i = 1; i < ONNX_TYPES; i++)
        if (onnx_types[i].dtype == dtype && onnx_types[i].bits == 4) return i;
    return 0;
}

void octet_external_close(octet_external *external)
{
    octet_file_close(&external->file);
    external->file = (octet_file){0};
    external->location = NULL;
}

static octet_status read_dims(octet_tensor *tensor, const Onnx__TensorProto *proto, octet_error *err)
{
    if (proto->n_dims > OCTET_MAX_RANK)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "dims", "rank %zu, need at most %d", proto->n_dims,
                                OCTET_MAX_RANK);
    tensor->rank = (int)proto->n_dims;
    for (int i = 0; i < tensor->rank; i++) {
        const int64_t dim = proto->dims[i];
        if (dim < 0 || dim > INT32_MAX)
            return octet_fail_field(err, OCTET_ERR_FORMAT, "dims", "dimension %d is %lld, need 0 to %d", i,
                                    (long long)dim, INT32_MAX);
        tensor->dims[i] = dim;
    }
    const int64_t bytes = octet_tensor_bytes(tensor);
    if (bytes < 0 || bytes > (int64_t)8 << 30)
        return octet_fail_field(err, OCTET_ERR_LIMIT, "dims", "the shape asks for more than 8 GiB");
    return OCTET_OK;
}

/* ---- where the numbers are ---- */

/* A typed list of the message, and which types keep their numbers there. */
typedef struct number_list {
    const char *field;
    size_t      count;
    const void *data;
    unsigned    types;
    size_t      width;
} number_list;

enum { LISTS = 5 };

#define BIT(dtype) (1u << (dtype))

static void lists_of(number_list lists[LISTS], const Onnx__TensorProto *proto)
{
    const unsigned small = BIT(OCTET_I32) | BIT(OCTET_I16) | BIT(OCTET_U16) | BIT(OCTET_I8) | BIT(OCTET_U8) |
                           BIT(OCTET_BOOL) | BIT(OCTET_F16) | BIT(OCTET_BF16);
    lists[0] = (number_list){"float_data", proto->n_float_data, proto->float_data, BIT(OCTET_F32), 4};
    lists[1] = (number_list){"int32_data", proto->n_int32_data, proto->int32_data, small, 4};
    lists[2] = (number_list){"int64_data", proto->n_int64_data, proto->int64_data, BIT(OCTET_I64), 8};
    lists[3] = (number_list){"double_data", proto->n_double_data, proto->double_data, BIT(OCTET_F64), 8};
    lists[4] =
        (number_list){"uint64_data", proto->n_uint64_data, proto->uint64_data, BIT(OCTET_U64) | BIT(OCTET_U32), 8};
}

/* The numbers of a list narrower than its elements (int8 in int32_data, uint32 in uint64_data), each in range. */
static octet_status narrow(void *to, octet_dtype dtype, const number_list *list, octet_error *err)
{
    static const struct {
        int64_t low, high;
    } range[OCTET_DTYPE_COUNT] = {
        [OCTET_I8] = {INT8_MIN, INT8_MAX}, [OCTET_U8] = {0, UINT8_MAX},   [OCTET_I16] = {INT16_MIN, INT16_MAX},
        [OCTET_U16] = {0, UINT16_MAX},     [OCTET_F16] = {0, UINT16_MAX}, [OCTET_BOOL] = {0, 1},
        [OCTET_U32] = {0, UINT32_MAX},     [OCTET_BF16] = {0, UINT16_MAX},
    };
    const size_t size = octet_dtype_size(dtype);
    for (size_t i = 0; i < list->count; i++) {
        const uint64_t wide = list->width == 8 ? ((const uint64_t *)list->data)[i] : 0;
        const int64_t  number =
            list->width == 8 ? (wide > INT64_MAX ? INT64_MAX : (int64_t)wide) : ((const int32_t *)list->data)[i];
        if (number < range[dtype].low || number > range[dtype].high)
            return octet_fail_field(err, OCTET_ERR_FORMAT, list->field, "element %zu is %lld, outside the range of %s",
                                    i, (long long)number, octet_dtype_name(dtype));
        memcpy((char *)to + i * size, &number, size);
    }
    return OCTET_OK;
}

static octet_status copy_list(octet_tensor *tensor, const number_list *list, octet_arena *arena, octet_error *err)
{
    const int64_t count = octet_tensor_count(tensor);
    if (!(list->types & BIT(tensor->dtype)))
        return octet_fail_field(err, OCTET_ERR_FORMAT, list->field, "not the place for data of type %s",
                                octet_dtype_name(tensor->dtype));
    if ((uint64_t)count != list->count)
        return octet_fail_field(err, OCTET_ERR_FORMAT, list->field, "got %zu elements, the shape needs %lld",
                                list->count, (long long)count);
    const size_t size = octet_dtype_size(tensor->dtype);
    OCTET_TRY(octet_arena_get(&tensor->data, arena, list->count, size, err));
    if (size != list->width) return narrow(tensor->data, tensor->dtype, list, err);
    if (list->count) memcpy(tensor->data, list->data, list->count * size);
    return OCTET_OK;
}

static octet_status copy_raw(octet_tensor *tensor, const uint8_t *bytes, size_t size, octet_arena *arena,
                             octet_error *err)
{
    const int64_t need = octet_tensor_bytes(tensor);
    if ((uint64_t)need != size)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "raw_data", "got %zu bytes, shape and type need %lld", size,
                                (long long)need);
    OCTET_TRY(octet_arena_get(&tensor->data, arena, size, 1, err));
    if (size) memcpy(tensor->data, bytes, size);
    for (size_t i = 0; tensor->dtype == OCTET_BOOL && i < size; i++)
        if (bytes[i] > 1)
            return octet_fail_field(err, OCTET_ERR_FORMAT, "raw_data", "element %zu of a bool tensor is %d", i,
                                    bytes[i]);
    return OCTET_OK;
}

/* ---- external data ---- */

typedef struct external_place {
    const char *location;
    int64_t     offset, length; /* length -1: not given */
} external_place;

/* A byte number as external data has it: decimal digits only. */
static octet_status parse_size(int64_t *value, const char *text, const char *key, octet_error *err)
{
    if (text[0] && text[strspn(text, "0123456789")] == '\0' && octet_parse_int(value, text)) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_FORMAT, "%s '%.40s' is not a number of bytes", key, text);
}

static octet_status read_place(external_place *place, const Onnx__TensorProto *proto, octet_error *err)
{
    *place = (external_place){.length = -1};
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const char *key = proto->external_data[i]->key, *value = proto->external_data[i]->value;
        if (!key || !value) return octet_fail(err, OCTET_ERR_FORMAT, "an entry has no key or no value");
        if (strcmp(key, "location") == 0) {
            if (place->location) return octet_fail(err, OCTET_ERR_FORMAT, "location is given twice");
            place->location = value;
        } else if (strcmp(key, "offset") == 0) {
            OCTET_TRY(parse_size(&place->offset, value, key, err));
        } else if (strcmp(key, "length") == 0) {
            OCTET_TRY(parse_size(&place->length, value, key, err));
        } else if (strcmp(key, "checksum") != 0) {
            return octet_fail(err, OCTET_ERR_FORMAT, "unknown key '%.40s' (need location, offset, length or checksum)",
                              key);
        }
    }
    if (!place->location || !place->location[0]) return octet_fail(err, OCTET_ERR_FORMAT, "has no location");
    if (place->location[0] == '/' || strchr(place->location, '\\'))
        return octet_fail(err, OCTET_ERR_FORMAT, "location '%.80s' is not a path inside the model's folder",
                          place->location);
    return OCTET_OK;
}

static octet_status copy_external(octet_tensor *tensor, const Onnx__TensorProto *proto, octet_external *external,
                                  octet_arena *arena, octet_error *err)
{
    external_place place;
    if (!external || !external->folder)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "external data is not allowed here");
    OCTET_TRY(read_place(&place, proto, err));
    if (!external->location || strcmp(external->location, place.location) != 0) {
        octet_external_close(external);
        OCTET_TRY(octet_file_read_beneath(&external->file, external->folder, place.location, err));
        external->location = place.location;
    }
    const int64_t need = octet_tensor_bytes(tensor);
    int64_t       end;
    if (place.length >= 0 && place.length != need)
        return octet_fail(err, OCTET_ERR_FORMAT, "length is %lld, but the shape and type need %lld bytes",
                          (long long)place.length, (long long)need);
    if (!octet_add64(&end, place.offset, need) || (uint64_t)end > external->file.size)
        return octet_fail(err, OCTET_ERR_FORMAT, "offset %lld plus %lld bytes passes the end of '%.80s' (%zu bytes)",
                          (long long)place.offset, (long long)need, place.location, external->file.size);
    return copy_raw(tensor, external->file.data + place.offset, (size_t)need, arena, err);
}

/* ---- numbers that share bytes ---- */

/* packed is a tensor of bytes, bits: 2 or 4. tensor has the type and shape of the result. */
static octet_status unpack(octet_tensor *tensor, const octet_tensor *packed, int bits, octet_arena *arena,
                           octet_error *err)
{
    const int64_t  count = octet_tensor_count(tensor);
    const uint8_t *bytes = packed->data;
    const unsigned mask = (1u << bits) - 1, sign = tensor->dtype == OCTET_I8 ? 1u << (bits - 1) : 0;
    uint8_t       *to;
    OCTET_TRY(octet_arena_get(&to, arena, (size_t)count, 1, err));
    for (int64_t i = 0; i < count; i++) {
        const unsigned number = bytes[i * bits / 8] >> (i * bits % 8) & mask;
        to[i] = (uint8_t)((number ^ sign) - sign);
    }
    tensor->data = to;
    return OCTET_OK;
}

/* ---- the tensor ---- */

static octet_status read_data(octet_tensor *tensor, const Onnx__TensorProto *proto, octet_external *external,
                              octet_arena *arena, octet_error *err)
{
    number_list        lists[LISTS];
    const number_list *found = NULL;
    lists_of(lists, proto);
    const bool is_external =
        proto->has_data_location && proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    int places = is_external + (proto->has_raw_data && (proto->raw_data.len > 0 || !is_external));
    for (int i = 0; i < LISTS; i++)
        if (lists[i].count > 0) {
            /* An empty raw_data beside a list says nothing. */
            if (places == 1 && proto->has_raw_data && proto->raw_data.len == 0 && !is_external) places = 0;
            found = &lists[i];
            places++;
        }
    if (places > 1) return octet_fail(err, OCTET_ERR_FORMAT, "has data in more than one field");
    if (is_external) {
        const octet_status status = copy_external(tensor, proto, external, arena, err);
        if (status != OCTET_OK) octet_error_field(err, "external_data");
        return status;
    }
    if (found) return copy_list(tensor, found, arena, err);
    return copy_raw(tensor, proto->raw_data.data, proto->has_raw_data ? proto->raw_data.len : 0, arena, err);
}

octet_status octet_tensor_from_proto(octet_tensor *tensor, const Onnx__TensorProto *proto, octet_external *external,
                                     octet_arena *arena, octet_error *err)
{
    *tensor = (octet_tensor){0};
    if (proto->segment) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "tensors in segments are not supported");
    const octet_status status = type_from_onnx(&tensor->dtype, proto->has_data_type ? proto->data_type : 0, err);
    if (status != OCTET_OK) {
        octet_error_field(err, "data_type");
        return status;
    }
    if (proto->n_string_data > 0) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "strings are not supported");
    OCTET_TRY(read_dims(tensor, proto, err));
    const int bits = octet_narrow_bits(proto);
    if (!bits) return read_data(tensor, proto, external, arena, err);
    const int64_t bytes = (octet_tensor_count(tensor) * bits + 7) / 8;
    octet_tensor  packed = {.dtype = OCTET_U8, .rank = 1, .dims = {bytes}};
    OCTET_TRY(read_data(&packed, proto, external, arena, err));
    return unpack(tensor, &packed, bits, arena, err);
}

octet_status octet_tensor_proto_read(octet_tensor *tensor, const char **name, const void *bytes, size_t size,
                                     octet_arena *arena, octet_error *err)
{
    OCTET_TRY(octet_prescan(bytes, size, &onnx__tensor_proto__descriptor, NULL, err));
    Onnx__TensorProto *proto = onnx__tensor_proto__unpack(NULL, size, bytes);
    if (!proto) return octet_fail_memory(err);
    octet_status status = octet_tensor_from_proto(tensor, proto, NULL, arena, err);
    if (status == OCTET_OK && name) {
        *name = octet_arena_copy(arena, proto->name ? proto->name : "");
        if (!*name) status = octet_fail_memory(err);
    }
    onnx__tensor_proto__free_unpacked(proto, NULL);
    return status;
}
