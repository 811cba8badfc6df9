/* SPDX-License-Identifier: Apache-2.0 */
/* Scales and zero points of files, doubted. */
#include "graph/attrs.h"
#include "onnx/qdq.h"
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/levels.h"

#include <math.h>
#include <string.h>

bool octet_is_quantize(const octet_node *node) { return node && strcmp(node->op->name, "QuantizeLinear") == 0; }
bool octet_is_dequantize(const octet_node *node) { return node && strcmp(node->op->name, "DequantizeLinear") == 0; }

/* The type of the levels, and all that it holds. */
static octet_status find_dtype(octet_qparams *qparams, const octet_node *node, const octet_tensor *zero,
                               octet_error *err)
{
    const octet_dtype  input = node->inputs[0]->dtype;
    const bool         quantizes = octet_is_quantize(node);
    octet_dtype *const dtype = &qparams->dtype;
    *dtype = zero ? zero->dtype : quantizes ? OCTET_U8 : input;
    const bool bias = node->inputs[0]->constant != NULL; /* of 32 bits, as PyTorch's exporter writes them */
    if (!octet_levels_bounds(&qparams->qmin, &qparams->qmax, *dtype) || (quantizes && !bias && *dtype == OCTET_I32))
        return octet_fail_field(err, OCTET_ERR_FORMAT, "zero_point", "got type %s, need an integer of 8 or 16 bits",
                                octet_dtype_name(*dtype));
    if (!quantizes && *dtype != input)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "zero_point", "is %s, but the levels are %s",
                                octet_dtype_name(*dtype), octet_dtype_name(input));
    return OCTET_OK;
}

/* Per tensor: axis 0. Otherwise the dimension that has one scale for each entry. */
static octet_status find_axis(int *axis, const octet_node *node, const octet_tensor *scale, octet_error *err)
{
    const octet_value *data = node->inputs[0];
    const octet_attr  *row = octet_attr_find(node->op, "axis");
    int64_t            given = 1;
    *axis = 0;
    if (scale->rank == 0) return OCTET_OK;
    if (scale->rank > 1)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "scale", "got rank %d, need 0 or 1", scale->rank);
    if (row) memcpy(&given, octet_attr_get(node->attrs, row), sizeof given);
    if (scale->dims[0] == 1) return OCTET_OK;
    OCTET_TRY(octet_check_axis(axis, given, data->rank, "axis", err));
    if (data->dims[*axis] != scale->dims[0])
        return octet_fail_field(err, OCTET_ERR_SHAPE, "scale", "got %lld entries, but axis %d has %lld",
                                (long long)scale->dims[0], *axis, (long long)data->dims[*axis]);
    return OCTET_OK;
}

/* Blocks: the axis, along which scale has an entry for each, and all other dimensions of the levels. */
static octet_status find_blocks(octet_qparams *qparams, const octet_node *node, const octet_tensor *scale,
                                octet_error *err)
{
    const octet_value              *data = node->inputs[0];
    const octet_linear_attrs *const attrs = node->attrs;
    bool                            same = scale->rank == data->rank;
    OCTET_TRY(octet_check_axis(&qparams->axis, attrs->axis, data->rank, "axis", err));
    qparams->block = attrs->block_size;
    for (int i = 0; same && i < scale->rank; i++) {
        const int64_t blocks = (data->dims[i] + qparams->block - 1) / qparams->block;
        same = scale->dims[i] == (i == qparams->axis ? blocks : data->dims[i]);
    }
    if (same) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_SHAPE, "scale", "is not one for each block of %lld along axis %d",
                            (long long)qparams->block, qparams->axis);
}

static octet_status check_counts(const octet_tensor *scale, const octet_tensor *zero, octet_error *err)
{
    const int64_t count = octet_tensor_count(scale);
    if (scale->dtype != OCTET_F32)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "scale", "got type %s, need f32",
                                octet_dtype_name(scale->dtype));
    if (count < 1) return octet_fail_field(err, OCTET_ERR_SHAPE, "scale", "has no entries");
    if (zero && octet_tensor_count(zero) != count)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "zero_point", "got %lld entries, but scale has %lld",
                                (long long)octet_tensor_count(zero), (long long)count);
    return OCTET_OK;
}

/* NNCF gives weights scales below zero, so that their largest is the lowest level. Octet's are above: such weights stay
   real. */
static bool mirrors(const octet_node *node, const octet_tensor *scale)
{
    bool below = false;
    if (!octet_is_dequantize(node) || !node->inputs[0]->constant || scale->dtype != OCTET_F32) return false;
    for (int64_t i = 0; i < octet_tensor_count(scale); i++) {
        const float s = ((const float *)scale->data)[i];
        if (!isnormal(s)) return false;
        below = below || s < 0;
    }
    return below;
}

/* Levels of fewer bits than their type, where the file says so of the levels or of the zero point. */
static void narrow_bounds(octet_qparams *qparams, const octet_reader *reader, const octet_node *node)
{
    const int of_levels = octet_is_dequantize(node) ? octet_read_bits(reader, node->inputs[0]) : 0;
    const int of_zero = node->input_count > 2 ? octet_read_bits(reader, node->inputs[2]) : 0;
    const int bits = of_levels ? of_levels : of_zero;
    if (!bits) return;
    qparams->qmin = qparams->dtype == OCTET_U8 ? 0 : -(1 << (bits - 1));
    qparams->qmax = qparams->qmin + (1 << bits) - 1;
}

octet_status octet_qdq_qparams(octet_qparams *qparams, bool *known, const octet_reader *reader, const octet_node *node,
                               octet_error *err)
{
    const octet_value  *scale_value = node->inputs[1], *zero_value = node->input_count > 2 ? node->inputs[2] : NULL;
    const octet_tensor *scale = scale_value->constant, *zero = zero_value ? zero_value->constant : NULL;
    *qparams = (octet_qparams){0};
    const octet_linear_attrs *attrs = node->attrs;
    const bool blocks = attrs->block_size > 0, constant = octet_is_dequantize(node) && node->inputs[0]->constant;
    *known = scale && (!zero_value || zero) && node->inputs[0]->has_shape && (!blocks || constant);
    if (*known && mirrors(node, scale)) *known = false;
    if (!*known) return OCTET_OK;
    OCTET_TRY(check_counts(scale, zero, err));
    OCTET_TRY(find_dtype(qparams, node, zero, err));
    OCTET_TRY(blocks ? find_blocks(qparams, node, scale, err) : find_axis(&qparams->axis, node, scale, err));
    qparams->count = octet_tensor_count(scale);
    narrow_bounds(qparams, reader, node);
    int32_t *points;
    OCTET_TRY(octet_arena_get(&points, reader->graph->arena, (size_t)qparams->count, sizeof *points, err));
    for (int64_t i = 0; i < qparams->count; i++) {
        const float s = ((const float *)scale->data)[i];
        if (!isnormal(s) || s <= 0)
            return octet_fail_field(err, OCTET_ERR_FORMAT, "scale", "entry %lld is %g, need a normal number above 0",
                                    (long long)i, (double)s);
        points[i] = 0;
        if (zero) octet_levels_load(&points[i], zero->data, zero->dtype, (size_t)i, 1, 0);
        if (qparams->dtype == OCTET_I32 && points[i] != 0)
            return octet_fail_field(err, OCTET_ERR_FORMAT, "zero_point", "entry %lld of an s32 tensor is %d, need 0",
                                    (long long)i, points[i]);
    }
    qparams->zero_point = points;
    qparams->scale = scale->data; /* lives as long as the graph's arena */
    return OCTET_OK;
}

bool octet_qdq_same(const octet_qparams *a, const octet_qparams *b)
{
    const size_t count = (size_t)a->count;
    return a->dtype == b->dtype && a->count == b->count && (a->count == 1 || a->axis == b->axis) &&
           a->block == b->block && !a->real_zero_point && !b->real_zero_point &&
           memcmp(a->scale, b->scale, count * sizeof *a->scale) == 0 &&
           memcmp(a->zero_point, b->zero_point, count * sizeof *a->zero_point) == 0;
}
