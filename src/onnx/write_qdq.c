/* SPDX-License-Identifier: Apache-2.0 */
/* FakeQuantize as QuantizeLinear and DequantizeLinear: one Q behind the value's producer, one DQ before each reader. */
#include "onnx/onnx.pb-c.h"
#include "onnx/tensor_proto.h"
#include "onnx/write.h"
#include "ops/mode.h"
#include "ops/wide.h"

#include <math.h>
#include <string.h>

const octet_qparams *octet_write_qparams(const octet_writer *writer, const octet_value *value)
{
    return writer->graph->training ? NULL : octet_future_levels(value);
}

const octet_qparams *octet_write_border(const octet_writer *writer, const octet_value *value)
{
    return value->as_levels ? octet_write_qparams(writer, value) : NULL;
}

static octet_status near_name(const char **name, octet_writer *writer, const octet_value *value, const char *ending)
{
    const char *near = octet_arena_format(writer->arena, "%s%s", value->name, ending);
    return near ? octet_write_name(name, writer, writer->value_names, near) : octet_fail_memory(writer->err);
}

static void store_level(void *to, octet_dtype dtype, int64_t at, int32_t level)
{
    const size_t size = octet_dtype_size(dtype);
    memcpy((char *)to + (size_t)at * size, &level, size); /* little-endian: the low bytes */
}

static octet_status write_levels(octet_writer *writer, const octet_value *value, const char *name,
                                 const octet_tensor *levels)
{
    return octet_value_is_packed(writer->graph, value) ? octet_write_packed(writer, name, levels)
                                                       : octet_write_initializer(writer, name, levels);
}

/* The shape of scales: a scalar per tensor, a list per channel, in blocks that of the levels, divided along an axis. */
static octet_tensor scale_of(const octet_value *value, const octet_qparams *q)
{
    octet_tensor scale = {.dtype = OCTET_F32, .rank = q->count > 1, .dims = {q->count}};
    scale.data = (void *)(uintptr_t)q->scale;
    if (!q->block) return scale;
    scale.rank = value->rank;
    memcpy(scale.dims, value->dims, sizeof scale.dims);
    scale.dims[q->axis] = (scale.dims[q->axis] + q->block - 1) / q->block;
    return scale;
}

/* Whether a zero point is written: s32 levels have none, and of many blocks zeros go without saying. */
static bool has_zero_points(const octet_qparams *q)
{
    bool any = false;
    for (int64_t i = 0; q->block && i < q->count; i++) any = any || q->zero_point[i];
    return q->dtype != OCTET_I32 && (any || !q->block);
}

/* Scale and zero point as initializers. */
static octet_status write_parameters(octet_writer *writer, const octet_value *value, const octet_qparams *q)
{
    octet_written     *written = &writer->written[value->index];
    const octet_tensor scale = scale_of(value, q);
    octet_tensor       zero = scale;
    OCTET_TRY(near_name(&written->scale, writer, value, "_scale"));
    OCTET_TRY(octet_write_initializer(writer, written->scale, &scale));
    if (!has_zero_points(q)) return OCTET_OK;
    zero.dtype = q->dtype;
    OCTET_TRY(octet_arena_get(&zero.data, writer->arena, (size_t)q->count, octet_dtype_size(q->dtype), writer->err));
    for (int64_t i = 0; i < q->count; i++) store_level(zero.data, q->dtype, i, q->zero_point[i]);
    OCTET_TRY(near_name(&written->zero_point, writer, value, "_zp"));
    return write_levels(writer, value, written->zero_point, &zero);
}

/* ---- ranges narrower than the type: a Clip says so, even where an activation clips there already, as the reader could
   not tell whether that activation is narrower than the range ---- */

static bool narrower_than_type(const octet_qparams *q)
{
    switch (q->dtype) {
    case OCTET_U8:
        return q->qmin > 0 || q->qmax < UINT8_MAX;
    case OCTET_I8:
        return q->qmin > INT8_MIN || q->qmax < INT8_MAX;
    case OCTET_U16:
        return q->qmin > 0 || q->qmax < UINT16_MAX;
    case OCTET_I16:
        return q->qmin > INT16_MIN || q->qmax < INT16_MAX;
    default:
        return false;
    }
}

static octet_status write_clip(const char **real, octet_writer *writer, const octet_value *value,
                               const octet_qparams *q)
{
    const char   *inputs[3] = {*real}, *output;
    const int32_t bounds[2] = {q->qmin, q->qmax};
    for (int i = 0; i < 2; i++) {
        float *bound;
        OCTET_TRY(octet_arena_get(&bound, writer->arena, 1, sizeof *bound, writer->err));
        *bound = (float)((double)(bounds[i] - q->zero_point[0]) * (double)q->scale[0]);
        const octet_tensor tensor = {.dtype = OCTET_F32, .data = bound};
        OCTET_TRY(near_name(&inputs[1 + i], writer, value, i ? "_clip_max" : "_clip_min"));
        OCTET_TRY(octet_write_initializer(writer, inputs[1 + i], &tensor));
    }
    Onnx__NodeProto *node;
    OCTET_TRY(near_name(&output, writer, value, "_clip"));
    OCTET_TRY(octet_write_node(&node, writer, &(octet_write_spec){"Clip", output, inputs, 3, &output, 1}));
    OCTET_TRY(octet_write_info(writer, output, OCTET_F32, value));
    *real = output;
    return OCTET_OK;
}

/* ---- nodes ---- */

static octet_status write_linear(octet_writer *writer, const octet_value *value, const octet_qparams *q, const char *op,
                                 const char *from, const char *to)
{
    const octet_written *written = &writer->written[value->index];
    const char *const    inputs[] = {from, written->scale, written->zero_point};
    Onnx__NodeProto     *node;
    writer->quantized = true;
    OCTET_TRY(
        octet_write_node(&node, writer, &(octet_write_spec){op, to, inputs, written->zero_point ? 3 : 2, &to, 1}));
    if (!value->constant) return OCTET_OK;
    OCTET_TRY(octet_write_int(writer, node, "axis", q->count > 1 || q->block ? q->axis : 0));
    return q->block ? octet_write_int(writer, node, "block_size", q->block) : OCTET_OK;
}

/* ONNX has no real zero points: Cast, Sub and Mul of one number for each row, f32(f32(level - zero point) * scale) in
   every runtime. */
static octet_status write_real_zero(octet_writer *writer, const octet_value *value)
{
    const octet_tensor *const  levels = value->constant;
    const octet_qparams *const q = levels->qparams;
    octet_tensor               row = {.dtype = OCTET_F32, .rank = q->count > 1 ? levels->rank : 0};
    const char                *names[6]; /* levels, zero point, scale; cast, difference, real */
    static const char *const   endings[6] = {"_q", "_zp", "_scale", "_cast", "_offset", "_dq"};
    const float *const         data[3] = {NULL, q->real_zero_point, q->scale};
    for (int i = 0; i < row.rank; i++) row.dims[i] = i == q->axis ? q->count : 1;
    for (int i = 0; i < 6; i++) OCTET_TRY(near_name(&names[i], writer, value, endings[i]));
    OCTET_TRY(write_levels(writer, value, names[0], levels));
    for (int i = 1; i < 3; i++) {
        row.data = (void *)(uintptr_t)data[i];
        OCTET_TRY(octet_write_initializer(writer, names[i], &row));
    }
    Onnx__NodeProto *node;
    writer->quantized = true;
    OCTET_TRY(octet_write_node(&node, writer, &(octet_write_spec){"Cast", names[3], &names[0], 1, &names[3], 1}));
    OCTET_TRY(octet_write_int(writer, node, "to", octet_dtype_to_onnx(OCTET_F32)));
    const char *const sub[] = {names[3], names[1]}, *const mul[] = {names[4], names[2]};
    OCTET_TRY(octet_write_node(&node, writer, &(octet_write_spec){"Sub", names[4], sub, 2, &names[4], 1}));
    OCTET_TRY(octet_write_node(&node, writer, &(octet_write_spec){"Mul", names[5], mul, 2, &names[5], 1}));
    writer->written[value->index].real = names[5];
    return octet_write_info(writer, names[5], OCTET_F32, value);
}

octet_status octet_write_quantize(octet_writer *writer, const octet_value *value, const char *real)
{
    octet_written       *written = &writer->written[value->index];
    const octet_qparams *q = octet_write_qparams(writer, value);
    if (!q || written->levels) return OCTET_OK;
    if (octet_write_border(writer, value)) written->levels = value->name;
    else OCTET_TRY(near_name(&written->levels, writer, value, "_q"));
    OCTET_TRY(write_parameters(writer, value, q));
    if (value->is_input && value->as_levels) return OCTET_OK; /* they come as levels */
    if (value->constant && value->constant->qparams)
        return write_levels(writer, value, written->levels, value->constant);
    if (q->count == 1 && narrower_than_type(q)) OCTET_TRY(write_clip(&real, writer, value, q));
    OCTET_TRY(write_linear(writer, value, q, "QuantizeLinear", real, written->levels));
    return written->levels == value->name ? OCTET_OK : octet_write_info(writer, written->levels, q->dtype, value);
}

/* A constant of halves: an initializer of float16 and a Cast. */
static octet_status write_half(const char **name, octet_writer *writer, const octet_value *value)
{
    octet_written *written = &writer->written[value->index];
    *name = value->name;
    if (written->initializer) return OCTET_OK;
    written->initializer = true;
    octet_tensor  halves = *value->constant;
    uint16_t     *to;
    const char   *stored;
    const int64_t count = octet_tensor_count(&halves);
    OCTET_TRY(octet_arena_get(&to, writer->arena, (size_t)count, sizeof *to, writer->err));
    for (int64_t i = 0; i < count; i++) to[i] = octet_half_from_double((double)((const float *)halves.data)[i]);
    halves.dtype = OCTET_F16;
    halves.data = to;
    Onnx__NodeProto *node;
    OCTET_TRY(near_name(&stored, writer, value, "_f16"));
    OCTET_TRY(octet_write_initializer(writer, stored, &halves));
    OCTET_TRY(octet_write_node(&node, writer, &(octet_write_spec){"Cast", value->name, &stored, 1, &value->name, 1}));
    return octet_write_int(writer, node, "to", octet_dtype_to_onnx(OCTET_F32));
}

octet_status octet_write_dequantize(const char **name, octet_writer *writer, const octet_value *value,
                                    const char *wanted)
{
    octet_written       *written = &writer->written[value->index];
    const octet_qparams *q = octet_write_qparams(writer, value);
    *name = value->name;
    const bool plain = value->constant && !value->constant->qparams;
    if (plain && value->half) return write_half(name, writer, value);
    if (plain && !written->initializer) {
        written->initializer = true;
        OCTET_TRY(octet_write_initializer(writer, value->name, value->constant));
    }
    if (!q) return OCTET_OK;
    if (value->constant && value->constant->qparams && q->real_zero_point) {
        if (!written->real) OCTET_TRY(write_real_zero(writer, value));
        *name = written->real;
        return OCTET_OK;
    }
    if (value->constant) OCTET_TRY(octet_write_quantize(writer, value, value->name));
    *name = wanted;
    if (!wanted) OCTET_TRY(near_name(name, writer, value, "_dq"));
    OCTET_TRY(write_linear(writer, value, q, "DequantizeLinear", written->levels, *name));
    return wanted ? OCTET_OK : octet_write_info(writer, *name, OCTET_F32, value);
}

octet_status octet_write_real_bias(const char **name, octet_writer *writer, const octet_node *node)
{
    const octet_value *value = node->inputs[2];
    octet_written     *written = &writer->written[value->index];
    *name = value->name;
    if (written->initializer) return OCTET_OK; /* nodes that share a bias of levels have the same unit */
    written->initializer = true;
    octet_tensor real = *value->constant;
    real.dtype = OCTET_F32;
    real.qparams = NULL;
    OCTET_TRY(
        octet_arena_get(&real.data, writer->arena, (size_t)octet_tensor_count(&real), sizeof(float), writer->err));
    octet_bias_real(real.data, node);
    return octet_write_initializer(writer, value->name, &real);
}
