/* SPDX-License-Identifier: Apache-2.0 */
/* QuantizeLinear and DequantizeLinear as operators on real tensors, for graphs in which the reader leaves them: per
   tensor, per entry of one axis or per block of entries of it, a true division, ties to even. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/levels.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <math.h>

static const octet_attr rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_linear_attrs, axis), .default_i = 1},
    {.name = "block_size", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_linear_attrs, block_size),
     .max = INT32_MAX, .since = 21},
    {.kind = OCTET_ATTR_END},
};

enum { ROW = OCTET_WIDE_ROW };

/* Elements lie as [outer, count, inner]. A scale and zero point for each of the count entries, or, in blocks, for each
   of ceil(count / block) blocks and each inner element. */
typedef struct entries {
    int64_t outer, count, inner, block; /* block 0: none */
} entries;

static octet_status find_entries(entries *found, const octet_call *call, octet_error *err)
{
    const octet_tensor *const       in    = call->in[0];
    const octet_linear_attrs *const attrs = call->attrs;
    int                             axis;
    *found = (entries){1, 1, octet_tensor_count(in), 0};
    if (octet_tensor_count(call->in[1]) == 1 && !attrs->block_size) return OCTET_OK;
    OCTET_TRY(octet_check_axis(&axis, attrs->axis, in->rank, "axis", err));
    *found = (entries){1, in->dims[axis], 1, attrs->block_size};
    for (int i = 0; i < axis; i++) found->outer *= in->dims[i];
    for (int i = axis + 1; i < in->rank; i++) found->inner *= in->dims[i];
    return OCTET_OK;
}

/* The scales of blocks: the shape of the data, but for the axis. */
static octet_status check_blocks(const octet_call *call, const entries *found, octet_error *err)
{
    const octet_tensor *const in = call->in[0], *const scale = call->in[1];
    int                       axis;
    bool                      same = scale->rank == in->rank;
    OCTET_TRY(octet_check_axis(&axis, ((const octet_linear_attrs *)call->attrs)->axis, in->rank, "axis", err));
    for (int i = 0; same && i < in->rank; i++)
        same = scale->dims[i] == (i == axis ? (found->count + found->block - 1) / found->block : in->dims[i]);
    if (same) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_SHAPE, "scale", "is not one for each block of %lld along axis %d",
                            (long long)found->block, axis);
}

static octet_status check_parameters(const octet_call *call, octet_error *err)
{
    const octet_tensor *const scale = call->in[1];
    entries                   found;
    if (scale->dtype != OCTET_F32)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "scale", "type is %s, float is needed",
                                octet_dtype_name(scale->dtype));
    OCTET_TRY(find_entries(&found, call, err));
    if (found.block) OCTET_TRY(check_blocks(call, &found, err));
    if (!found.block && scale->rank > 1)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "scale", "got rank %d, need 0 or 1", scale->rank);
    if (!found.block && octet_tensor_count(scale) != found.count)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "scale", "%lld scales for %lld entries of the axis",
                                (long long)octet_tensor_count(scale), (long long)found.count);
    if (octet_has_input(call, 2) && octet_tensor_count(call->in[2]) != octet_tensor_count(scale))
        return octet_fail_field(err, OCTET_ERR_SHAPE, "zero_point", "%lld zero points for %lld scales",
                                (long long)octet_tensor_count(call->in[2]), (long long)octet_tensor_count(scale));
    return OCTET_OK;
}

/* A stretch of n elements from at on; their scales are from parameter on, step apart. */
typedef struct stretch {
    int64_t at, parameter, step;
    size_t  n;
} stretch;

static void load_zero_points(octet_wide *zero, const octet_call *call, const stretch *s)
{
    const octet_wide none = {.i = 0};
    for (size_t i = 0; i < s->n; i++) zero[i] = none;
    if (octet_has_input(call, 2))
        octet_wide_load(zero, call->in[2]->data, call->in[2]->dtype, s->parameter, s->n, s->step);
}

/* Runs row on every stretch of elements, at most ROW of them. */
static octet_status each_row(const octet_call *call, void (*row)(const octet_call *, const stretch *), octet_error *err)
{
    entries e;
    OCTET_TRY(find_entries(&e, call, err));
    const int64_t blocks = e.block ? (e.count + e.block - 1) / e.block : 0;
    for (int64_t r = 0; r < e.outer * e.count; r++) {
        const int64_t entry = r % e.count, block = e.block ? r / e.count * blocks + entry / e.block : 0;
        for (int64_t i = 0; i < e.inner; i += ROW)
            row(call, &(stretch){.at = r * e.inner + i, .parameter = e.block ? block * e.inner + i : entry,
                                 .step = e.block ? 1 : 0, .n = e.inner - i < ROW ? (size_t)(e.inner - i) : ROW});
    }
    return OCTET_OK;
}

/* ---- QuantizeLinear: x, y_scale, y_zero_point ---- */

/* Levels of 32 bits are no ONNX, but PyTorch's exporter writes biases so. */
static octet_status quantize_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    const octet_dtype         to = octet_has_input(call, 2) ? call->in[2]->dtype : OCTET_U8;
    int32_t                   low, high;
    if (!octet_levels_bounds(&low, &high, to))
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "zero_point",
                                "type is %s, an integer of 8 or 16 bits is needed", octet_dtype_name(to));
    OCTET_TRY(check_parameters(call, err));
    return octet_set_output(call->out[0], to, in->dims, in->rank, err);
}

static void quantize_row(const octet_call *call, const stretch *s)
{
    const octet_tensor *const out   = call->out[0];
    const float *const        scale = (const float *)call->in[1]->data + s->parameter;
    octet_wide                x[ROW], zero[ROW];
    int32_t                   low = 0, high = 0;
    octet_levels_bounds(&low, &high, out->dtype);
    octet_wide_load(x, call->in[0]->data, call->in[0]->dtype, s->at, s->n, 1);
    load_zero_points(zero, call, s);
    if (call->in[0]->dtype == OCTET_I32) octet_wide_convert(x, s->n, OCTET_I32, OCTET_F32);
    for (size_t i = 0; i < s->n; i++) {
        const float  t     = (float)x[i].f / scale[(int64_t)i * s->step];
        const double level = isnan(t) ? (double)zero[i].i : rint((double)t) + (double)zero[i].i;
        x[i].i             = (int64_t)fmin(fmax(level, low), high);
    }
    octet_wide_store(out->data, out->dtype, s->at, x, s->n);
}

static octet_status quantize_forward(const octet_call *call, octet_error *err)
{
    return each_row(call, quantize_row, err);
}

const octet_op octet_op_quantize_linear = {
    .name = "QuantizeLinear",
    .since = 13,
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPE(OCTET_F32) | OCTET_TYPE(OCTET_I32),
    .attrs = rows,
    .attrs_size = sizeof(octet_linear_attrs),
    .infer = quantize_infer,
    .forward = quantize_forward,
};

/* ---- DequantizeLinear: x, x_scale, x_zero_point ---- */

static octet_status dequantize_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    if (octet_has_input(call, 2) && call->in[2]->dtype != in->dtype)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "zero_point", "type is %s, the levels are %s",
                                octet_dtype_name(call->in[2]->dtype), octet_dtype_name(in->dtype));
    OCTET_TRY(check_parameters(call, err));
    return octet_set_output(call->out[0], OCTET_F32, in->dims, in->rank, err);
}

static void dequantize_row(const octet_call *call, const stretch *s)
{
    const float *const scale = (const float *)call->in[1]->data + s->parameter;
    float *const       out   = (float *)call->out[0]->data + s->at;
    octet_wide         level[ROW], zero[ROW];
    octet_wide_load(level, call->in[0]->data, call->in[0]->dtype, s->at, s->n, 1);
    load_zero_points(zero, call, s);
    for (size_t i = 0; i < s->n; i++) out[i] = (float)(level[i].i - zero[i].i) * scale[(int64_t)i * s->step];
}

static octet_status dequantize_forward(const octet_call *call, octet_error *err)
{
    return each_row(call, dequantize_row, err);
}

const octet_op octet_op_dequantize_linear = {
    .name = "DequantizeLinear",
    .since = 13,
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPE(OCTET_U8) | OCTET_TYPE(OCTET_I8) | OCTET_TYPE(OCTET_U16) | OCTET_TYPE(OCTET_I16) |
             OCTET_TYPE(OCTET_I32),
    .attrs = rows,
    .attrs_size = sizeof(octet_linear_attrs),
    .infer = dequantize_infer,
    .forward = dequantize_forward,
};
