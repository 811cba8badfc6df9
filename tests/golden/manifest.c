/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays of a manifest: in a .npy file beside it, or inline; float32 always from its bits. */
#include "golden.h"

#include "base/file.h"
#include "ops/levels.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool golden_fail(golden_case *c, const char *why, ...)
{
    va_list arguments;
    va_start(arguments, why);
    printf("%s: ", c->name);
    vprintf(why, arguments);
    printf("\n");
    va_end(arguments);
    c->failed = true;
    return false;
}

void *golden_memory(golden_case *c, size_t count, size_t size)
{
    void *memory = octet_arena_alloc(c->arena, count, size);
    if (memory) return memory;
    printf("%s: out of memory\n", c->name);
    exit(2);
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float from_text(const json_t *hex) { return from_bits((uint32_t)strtoul(json_string_value(hex), NULL, 16)); }

float golden_f32(golden_case *c, const json_t *entry)
{
    const json_t *const hex = json_object_get(entry, "f32");
    if (json_is_string(hex)) return from_text(hex);
    golden_fail(c, "a float32 scalar is missing");
    return 1;
}

int64_t golden_int(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *const value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

void golden_ints(int64_t *out, size_t count, const json_t *entry, int64_t otherwise)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *const item = json_is_array(entry) ? json_array_get(entry, i) : entry;
        out[i] = json_is_integer(item) ? json_integer_value(item) : otherwise;
    }
}

static bool inline_array(golden_array *array, golden_case *c, const json_t *entry, bool real)
{
    const json_t *const data = json_object_get(entry, real ? "f32" : "data");
    if (json_array_size(data) != array->count) return golden_fail(c, "an inline array has the wrong length");
    for (size_t i = 0; i < array->count; i++) {
        const json_t *const item = json_array_get(data, i);
        if (real) array->real[i] = from_text(item);
        else array->level[i] = (int32_t)json_integer_value(item);
    }
    return true;
}

static bool allocate(golden_array *array, golden_case *c, bool real)
{
    array->count = 1;
    for (int i = 0; i < array->rank; i++) array->count *= (size_t)array->dims[i];
    if (real) array->real = golden_memory(c, array->count, sizeof(float));
    else array->level = golden_memory(c, array->count, sizeof(int32_t));
    return true;
}

static void convert(golden_array *array, const uint8_t *bytes, char kind, size_t width)
{
    for (size_t i = 0; i < array->count; i++) {
        const uint8_t *const at = bytes + i * width;
        int64_t wide = 0;
        if (kind == 'f') memcpy(&array->real[i], at, sizeof(float));
        else if (width == 1) array->level[i] = kind == 'i' ? (int8_t)*at : *at;
        else if (width == 4) memcpy(&array->level[i], at, sizeof(int32_t));
        else {
            memcpy(&wide, at, sizeof wide);
            array->level[i] = (int32_t)wide;
        }
    }
}

/* The header is a Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }. */
static bool parse_npy(golden_array *array, golden_case *c, const char *path, const octet_file *file)
{
    char header[512] = "";
    if (file->size < 10 || memcmp(file->data, "\x93NUMPY\x01", 7) != 0) return golden_fail(c, "%s: not npy 1.0", path);
    const size_t length = (size_t)(file->data[8] | file->data[9] << 8);
    if (length >= sizeof header || file->size < 10 + length) return golden_fail(c, "%s: header too long", path);
    memcpy(header, file->data + 10, length);
    const char *const type = strstr(header, "'descr': '"), *shape = strstr(header, "'shape': (");
    if (!type || !shape || !strstr(header, "'fortran_order': False")) return golden_fail(c, "%s: bad header", path);
    const char kind = type[11];
    const size_t width = (size_t)(type[12] - '0');
    if (!(kind == 'f' && width == 4) && !((kind == 'i' || kind == 'u') && (width == 1 || width == 4 || width == 8)))
        return golden_fail(c, "%s: element type %.3s is not expected", path, type + 10);
    array->rank = 0;
    for (shape += strlen("'shape': ("); *shape != ')' && array->rank < OCTET_MAX_RANK;) {
        char *end;
        array->dims[array->rank] = strtoll(shape, &end, 10);
        if (end == shape) break;
        array->rank++;
        for (shape = end; *shape == ',' || *shape == ' '; shape++) {}
    }
    allocate(array, c, kind == 'f');
    if (file->size - 10 - length != array->count * width) return golden_fail(c, "%s: wrong size", path);
    convert(array, file->data + 10 + length, kind, width);
    return true;
}

bool golden_npy_read(golden_array *array, golden_case *c, const char *name)
{
    char path[4096], line[512];
    octet_error error = { 0 };
    octet_file file = { 0 };
    *array = (golden_array){ 0 };
    snprintf(path, sizeof path, "%s/%s/%s", c->run->root, c->name, name);
    if (octet_file_read(&file, path, 0, &error) != OCTET_OK) {
        octet_error_line(line, sizeof line, &error);
        return golden_fail(c, "%s", line);
    }
    const bool done = parse_npy(array, c, name, &file);
    octet_file_close(&file);
    return done;
}

bool golden_array_read(golden_array *array, golden_case *c, const json_t *entry)
{
    const json_t *const shape = json_object_get(entry, "shape"), *const file = json_object_get(entry, "file");
    const char *const dtype = json_string_value(json_object_get(entry, "dtype"));
    *array = (golden_array){ 0 };
    if (!dtype || !json_is_array(shape)) return golden_fail(c, "an array is missing");
    if (file) return golden_npy_read(array, c, json_string_value(file));
    array->rank = (int)json_array_size(shape);
    if (array->rank > OCTET_MAX_RANK) return golden_fail(c, "rank %d is too high", array->rank);
    for (int i = 0; i < array->rank; i++) array->dims[i] = json_integer_value(json_array_get(shape, (size_t)i));
    const bool real = !strcmp(dtype, "float32");
    return allocate(array, c, real) && inline_array(array, c, entry, real);
}

octet_dtype golden_dtype(const json_t *qdtype)
{
    const char *const text = json_string_value(qdtype);
    if (text && !strcmp(text, "quint8")) return OCTET_U8;
    if (text && !strcmp(text, "qint8")) return OCTET_I8;
    return text && !strcmp(text, "qint32") ? OCTET_I32 : OCTET_NONE;
}

static octet_qparams *span(golden_case *c, octet_dtype dtype, int64_t count)
{
    octet_qparams *q = golden_memory(c, 1, sizeof *q);
    q->dtype = dtype;
    q->count = count;
    q->qmin = dtype == OCTET_U8 ? 0 : dtype == OCTET_I8 ? -128 : INT32_MIN;
    q->qmax = dtype == OCTET_U8 ? 255 : dtype == OCTET_I8 ? 127 : INT32_MAX;
    return q;
}

octet_tensor golden_tensor_make(golden_case *c, octet_dtype dtype, const int64_t *dims, int rank, float scale,
                                int32_t zero_point)
{
    octet_tensor tensor = { .dtype = dtype, .rank = rank };
    memcpy(tensor.dims, dims, (size_t)rank * sizeof *dims);
    octet_qparams *const q = span(c, dtype, 1);
    float *const scales = golden_memory(c, 1, sizeof *scales);
    int32_t *const zeros = golden_memory(c, 1, sizeof *zeros);
    *scales = scale;
    *zeros = zero_point;
    q->scale = scales;
    q->zero_point = zeros;
    tensor.qparams = q;
    tensor.data = golden_memory(c, (size_t)octet_tensor_count(&tensor), octet_dtype_size(dtype));
    return tensor;
}

bool golden_tensor_read(octet_tensor *tensor, golden_case *c, const json_t *entry)
{
    golden_array levels, scales, zeros;
    const octet_dtype dtype = golden_dtype(json_object_get(entry, "qdtype"));
    if (dtype == OCTET_NONE) return golden_fail(c, "a quantized tensor is missing");
    if (!golden_array_read(&levels, c, entry)) return false;
    const bool channels = json_object_get(entry, "scales") != NULL;
    const float scale = channels ? 1 : golden_f32(c, json_object_get(entry, "scale"));
    *tensor = golden_tensor_make(c, dtype, levels.dims, levels.rank, scale,
                                 (int32_t)golden_int(entry, "zero_point", 0));
    octet_levels_store(tensor->data, dtype, 0, levels.level, levels.count);
    if (!channels) return true;
    if (!golden_array_read(&scales, c, json_object_get(entry, "scales"))) return false;
    if (!golden_array_read(&zeros, c, json_object_get(entry, "zero_points"))) return false;
    octet_qparams *const q = span(c, dtype, (int64_t)scales.count);
    q->scale = scales.real;
    q->zero_point = zeros.level;
    q->axis = (int)golden_int(entry, "axis", 0);
    tensor->qparams = q;
    return true;
}

octet_tensor golden_channels_last(golden_case *c, const octet_tensor *x)
{
    const int64_t n = x->dims[0], channels = x->dims[1], plane = octet_tensor_count(x) / (n * channels);
    octet_tensor  last = *x;
    uint8_t *const to = golden_memory(c, (size_t)octet_tensor_count(x), 1);
    for (int64_t i = 0; i < octet_tensor_count(x); i++)
        to[(i / (channels * plane) * plane + i % plane) * channels + i / plane % channels] =
            ((const uint8_t *)x->data)[i];
    for (int i = 1; i < x->rank; i++) last.dims[i] = i + 1 < x->rank ? x->dims[i + 1] : channels;
    last.data = to;
    return last;
}
