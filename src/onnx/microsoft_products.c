/* SPDX-License-Identifier: Apache-2.0 */
/* Products of com.microsoft whose weights, or whose inputs too, are levels: as the operators of ONNX that they fuse. */
#include "onnx/onnx.pb-c.h"
#include "onnx/upgrade.h"
#include "ops/check.h"

#include <string.h>

enum { TYPE_INT = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT };

/* ---- weights of a few bits ---- */

/* MatMulNBits: N rows of B, each of blocks of levels packed from the lowest bit on; a scale, and perhaps a zero point,
   for each block. */
typedef struct narrow {
    int64_t             k, n, bits, size, blocks;
    const octet_tensor *packed, *scales, *zeros; /* zeros NULL: the middle */
} narrow;

static octet_status take_int(int64_t *value, octet_raw_node *raw, const char *name, octet_error *err)
{
    const Onnx__AttributeProto *at;
    OCTET_TRY(octet_raw_take(&at, raw, name, TYPE_INT, err));
    if (at) *value = at->i;
    return OCTET_OK;
}

static octet_status take_size(int64_t *value, octet_raw_node *raw, const char *name, octet_error *err)
{
    OCTET_TRY(take_int(value, raw, name, err));
    if (*value >= 1 && *value <= INT32_MAX) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_FORMAT, name, "%lld, need at least 1", (long long)*value);
}

static octet_status take_constant(const octet_tensor **tensor, const octet_raw_node *raw, int slot, const char *name,
                                  octet_dtype dtype, octet_error *err)
{
    const octet_value *const value = octet_raw_input(raw, slot);
    *tensor = value ? value->constant : NULL;
    if (!value) return OCTET_OK;
    if (!*tensor) return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, name, "only constants are supported");
    if ((*tensor)->dtype == dtype && !(*tensor)->qparams) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, name, "is %s, only %s is supported",
                            octet_dtype_name((*tensor)->dtype), octet_dtype_name(dtype));
}

static octet_status need_count(const octet_tensor *tensor, int64_t count, const char *name, octet_error *err)
{
    if (!tensor || octet_tensor_count(tensor) == count) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_SHAPE, name, "%lld entries, need %lld",
                            (long long)octet_tensor_count(tensor), (long long)count);
}

static octet_status read_narrow(narrow *w, octet_raw_node *raw, octet_error *err)
{
    int64_t level = 0, packed_before = 0;
    *w = (narrow){ .bits = 4 };
    OCTET_TRY(octet_raw_need(raw, 3, err));
    OCTET_TRY(take_size(&w->k, raw, "K", err));
    OCTET_TRY(take_size(&w->n, raw, "N", err));
    OCTET_TRY(take_size(&w->size, raw, "block_size", err));
    OCTET_TRY(take_int(&w->bits, raw, "bits", err));
    OCTET_TRY(take_int(&level, raw, "accuracy_level", err)); /* how to round inside: real sums are the best of all */
    OCTET_TRY(take_int(&packed_before, raw, "weight_prepacked", err));
    if (packed_before) return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "weight_prepacked", "only 0 is supported");
    if (w->bits != 2 && w->bits != 4 && w->bits != 8)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "bits", "%lld, only 2, 4 and 8 are supported",
                                (long long)w->bits);
    if (w->size % 8 || w->size > 1 << 20)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "block_size", "%lld, need a multiple of 8 up to 2^20",
                                (long long)w->size);
    if (octet_raw_input(raw, 4)) return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "g_idx", "is not supported");
    w->blocks = (w->k + w->size - 1) / w->size;
    OCTET_TRY(take_constant(&w->packed, raw, 1, "B", OCTET_U8, err));
    OCTET_TRY(take_constant(&w->scales, raw, 2, "scales", OCTET_F32, err));
    OCTET_TRY(take_constant(&w->zeros, raw, 3, "zero_points", OCTET_U8, err));
    int64_t count; /* of scales: below 2^62, as k and n fit 31 bits */
    count = w->n * w->blocks;
    OCTET_TRY(need_count(w->scales, count, "scales", err));
    OCTET_TRY(need_count(w->packed, count * (w->size * w->bits / 8), "B", err));
    return need_count(w->zeros, w->n * ((w->blocks * w->bits + 7) / 8), "zero_points", err);
}

/* Level i of a row that starts at a whole byte. */
static uint8_t narrow_level(const uint8_t *row, int64_t i, int64_t bits)
{
    return (uint8_t)((row[i * bits / 8] >> (i * bits % 8)) & ((1 << bits) - 1));
}

/* Levels, scales and zero points as DequantizeLinear wants them: [K, N] and [blocks, N]. */
static octet_status unpack(uint8_t **levels, float **scales, uint8_t **zeros, octet_arena *arena, const narrow *w,
                           octet_error *err)
{
    const int64_t  row = w->blocks * (w->size * w->bits / 8), zero_row = (w->blocks * w->bits + 7) / 8;
    const uint8_t *packed = w->packed->data;
    OCTET_TRY(octet_arena_get(levels, arena, (size_t)(w->k * w->n), 1, err));
    OCTET_TRY(octet_arena_get(scales, arena, (size_t)(w->blocks * w->n), sizeof **scales, err));
    OCTET_TRY(octet_arena_get(zeros, arena, (size_t)(w->blocks * w->n), 1, err));
    for (int64_t n = 0; n < w->n; n++) {
        for (int64_t k = 0; k < w->k; k++) (*levels)[k * w->n + n] = narrow_level(packed + n * row, k, w->bits);
        for (int64_t b = 0; b < w->blocks; b++) {
            (*scales)[b * w->n + n] = ((const float *)w->scales->data)[n * w->blocks + b];
            (*zeros)[b * w->n + n] =
                w->zeros ? narrow_level((const uint8_t *)w->zeros->data + n * zero_row, b, w->bits)
                         : (uint8_t)(1 << (w->bits - 1));
        }
    }
    return OCTET_OK;
}

static octet_status give_matrix(octet_reader *reader, octet_raw_node *raw, int slot, const char *near,
                                const octet_tensor *tensor, octet_error *err)
{
    octet_value *value;
    OCTET_TRY(octet_value_new_near(&value, reader->graph, near, err));
    octet_raw_set_input(raw, slot, value);
    return octet_value_set_constant(reader->graph, value, tensor, err);
}

/* The weights as DequantizeLinear of constants. */
static octet_status dequantize_narrow(octet_value **weight, octet_reader *reader, const octet_raw_node *raw,
                                      const narrow *w, octet_error *err)
{
    octet_raw_node node;
    uint8_t       *levels, *zeros;
    float         *scales;
    const char    *name = raw->inputs[1]->name;
    OCTET_TRY(unpack(&levels, &scales, &zeros, reader->arena, w, err));
    OCTET_TRY(octet_raw_new(&node, reader, raw, "DequantizeLinear", err));
    octet_tensor tensor = { .dtype = OCTET_U8, .rank = 2, .dims = { w->k, w->n }, .data = levels };
    OCTET_TRY(give_matrix(reader, &node, 0, name, &tensor, err));
    tensor = (octet_tensor){ .dtype = OCTET_F32, .rank = 2, .dims = { w->blocks, w->n }, .data = scales };
    OCTET_TRY(give_matrix(reader, &node, 1, raw->inputs[2]->name, &tensor, err));
    tensor.dtype = OCTET_U8;
    tensor.data = zeros;
    OCTET_TRY(give_matrix(reader, &node, 2, raw->inputs[2]->name, &tensor, err));
    OCTET_TRY(octet_raw_give_int(reader, &node, "axis", 0, err));
    OCTET_TRY(octet_raw_give_int(reader, &node, "block_size", w->size, err));
    OCTET_TRY(octet_value_new_near(&node.outputs[0], reader->graph, name, err));
    node.output_count = 1;
    *weight = node.outputs[0];
    return octet_read_emit(NULL, reader, &node, err);
}

static octet_status add_bias(octet_reader *reader, octet_raw_node *raw, int slot, octet_error *err)
{
    octet_value *const bias = octet_raw_input(raw, slot);
    octet_raw_node     sum;
    if (!bias) return OCTET_OK;
    OCTET_TRY(octet_raw_behind(&sum, reader, raw, "Add", err));
    octet_raw_set_input(&sum, 1, bias);
    return octet_read_emit(NULL, reader, &sum, err);
}

octet_status octet_microsoft_narrow_product(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    narrow w;
    OCTET_TRY(read_narrow(&w, raw, err));
    OCTET_TRY(add_bias(reader, raw, 5, err));
    OCTET_TRY(dequantize_narrow(&raw->inputs[1], reader, raw, &w, err));
    raw->op = "MatMul";
    raw->input_count = 2;
    return OCTET_OK;
}

/* ---- levels on both sides ---- */

/* raw becomes MatMulInteger of a and b; behind it a Cast, a Mul by both scales, and the bias of slot. */
static octet_status integer_product(octet_reader *reader, octet_raw_node *raw, octet_value *const levels[4],
                                    octet_value *const scales[2], int bias, octet_error *err)
{
    octet_raw_node node;
    octet_value   *unit;
    OCTET_TRY(add_bias(reader, raw, bias, err));
    OCTET_TRY(octet_raw_in_front(&unit, reader, raw, "Mul", (octet_value *const[3]){ scales[0], scales[1] }, err));
    OCTET_TRY(octet_raw_behind(&node, reader, raw, "Mul", err));
    octet_raw_set_input(&node, 1, unit);
    OCTET_TRY(octet_read_emit(NULL, reader, &node, err));
    OCTET_TRY(octet_raw_behind(&node, reader, raw, "Cast", err));
    OCTET_TRY(octet_raw_give_int(reader, &node, "to", ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, err));
    OCTET_TRY(octet_read_emit(NULL, reader, &node, err));
    for (int i = 0; i < raw->input_count; i++) raw->inputs[i] = NULL;
    raw->input_count = 0;
    for (int i = 0; i < 4; i++)
        if (levels[i]) octet_raw_set_input(raw, i, levels[i]);
    raw->op = "MatMulInteger";
    return OCTET_OK;
}

/* A, B, scale of B, zero point of B, bias: levels of A are made when it runs. */
octet_status octet_microsoft_dynamic_product(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    octet_raw_node node;
    OCTET_TRY(octet_raw_need(raw, 3, err));
    OCTET_TRY(octet_raw_new(&node, reader, raw, "DynamicQuantizeLinear", err));
    octet_raw_set_input(&node, 0, raw->inputs[0]);
    for (node.output_count = 0; node.output_count < 3; node.output_count++)
        OCTET_TRY(octet_value_new_near(&node.outputs[node.output_count], reader->graph, node.name, err));
    OCTET_TRY(octet_read_emit(NULL, reader, &node, err));
    octet_value *const levels[4] = { node.outputs[0], raw->inputs[1], node.outputs[2], octet_raw_input(raw, 3) };
    octet_value *const scales[2] = { node.outputs[1], raw->inputs[2] };
    return integer_product(reader, raw, levels, scales, 4, err);
}

/* A, B, both scales, both zero points, bias. */
octet_status octet_microsoft_integer_product(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    OCTET_TRY(octet_raw_need(raw, 4, err));
    octet_value *const levels[4] = { raw->inputs[0], raw->inputs[1], octet_raw_input(raw, 4), octet_raw_input(raw, 5) };
    octet_value *const scales[2] = { raw->inputs[2], raw->inputs[3] };
    return integer_product(reader, raw, levels, scales, 6, err);
}
