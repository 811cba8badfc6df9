/* SPDX-License-Identifier: Apache-2.0 */
/* QuantizeLinear and DequantizeLinear as operators on real tensors, for graphs in which the reader leaves them: per
   tensor or per entry of one axis, a true division, ties to even. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <math.h>

static const octet_attr rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_axis_attrs, axis), .default_i = 1},
    {.kind = OCTET_ATTR_END},
};

enum { ROW = OCTET_WIDE_ROW };

/* Elements lie as [outer, channels, inner]; a scale and zero point per channel. */
typedef struct channels {
    int64_t outer, count, inner;
} channels;

static octet_status find_channels(channels *found, const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    int                       axis;
    *found = (channels){1, 1, octet_tensor_count(in)};
    if (octet_tensor_count(call->in[1]) == 1) return OCTET_OK;
    OCTET_TRY(octet_check_axis(&axis, ((const octet_axis_attrs *)call->attrs)->axis, in->rank, "axis", err));
    *found = (channels){1, in->dims[axis], 1};
    for (int i = 0; i < axis; i++) found->outer *= in->dims[i];
    for (int i = axis + 1; i < in->rank; i++) found->inner *= in->dims[i];
    return OCTET_OK;
}

static octet_status check_parameters(const octet_call *call, octet_error *err)
{
    const octet_tensor *const scale = call->in[1];
    channels                  found;
    if (scale->dtype != OCTET_F32)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "scale", "type is %s, float is needed",
                                octet_dtype_name(scale->dtype));
    OCTET_TRY(find_channels(&found, call, err));
    if (scale->rank > 1 || octet_tensor_count(scale) != found.count)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "scale", "%lld scales for %lld entries of the axis",
                                (long long)octet_tensor_count(scale), (long long)found.count);
    if (octet_has_input(call, 2) && octet_tensor_count(call->in[2]) != octet_tensor_count(scale))
        return octet_fail_field(err, OCTET_ERR_SHAPE, "zero_point", "%lld zero points for %lld scales",
                                (long long)octet_tensor_count(call->in[2]), (long long)octet_tensor_count(scale));
    return OCTET_OK;
}

static int64_t zero_point_at(const octet_call *call, int64_t channel)
{
    octet_wide value = {.i = 0};
    if (octet_has_input(call, 2)) octet_wide_load(&value, call->in[2]->data, call->in[2]->dtype, channel, 1, 0);
    return value.i;
}

/* Runs row on every stretch of elements of one channel, at most ROW of them. */
static octet_status each_row(const octet_call *call, void (*row)(const octet_call *, int64_t, size_t, int64_t),
                             octet_error      *err)
{
    channels found;
    OCTET_TRY(find_channels(&found, call, err));
    for (int64_t r = 0; r < found.outer * found.count; r++)
        for (int64_t i = 0; i < found.inner; i += ROW)
            row(call, r * found.inner + i, found.inner - i < ROW ? (size_t)(found.inner - i) : ROW, r % found.count);
    return OCTET_OK;
}

/* ---- QuantizeLinear: x, y_scale, y_zero_point ---- */

static octet_status quantize_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    const octet_dtype         to = octet_has_input(call, 2) ? call->in[2]->dtype : OCTET_U8;
    if (to != OCTET_U8 && to != OCTET_I8)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "zero_point", "type is %s, uint8 or int8 is needed",
                                octet_dtype_name(to));
    OCTET_TRY(check_parameters(call, err));
    return octet_set_output(call->out[0], to, in->dims, in->rank, err);
}

static void quantize_row(const octet_call *call, int64_t at, size_t n, int64_t channel)
{
    const octet_tensor *const out = call->out[0];
    const float               scale = ((const float *)call->in[1]->data)[channel];
    const double              zero_point = (double)zero_point_at(call, channel);
    const double              lo = out->dtype == OCTET_U8 ? 0.0 : -128.0, hi = lo + 255.0;
    octet_wide                x[ROW];
    octet_wide_load(x, call->in[0]->data, call->in[0]->dtype, at, n, 1);
    if (call->in[0]->dtype == OCTET_I32) octet_wide_convert(x, n, OCTET_I32, OCTET_F32);
    for (size_t i = 0; i < n; i++) {
        const float  t = (float)x[i].f / scale;
        const double level = isnan(t) ? zero_point : rint((double)t) + zero_point;
        x[i].i = (int64_t)(level < lo ? lo : level > hi ? hi : level);
    }
    octet_wide_store(out->data, out->dtype, at, x, n);
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
    .attrs_size = sizeof(octet_axis_attrs),
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

static void dequantize_row(const octet_call *call, int64_t at, size_t n, int64_t channel)
{
    const float   scale = ((const float *)call->in[1]->data)[channel];
    const int64_t zero_point = zero_point_at(call, channel);
    float *const  out = (float *)call->out[0]->data + at;
    octet_wide    level[ROW];
    octet_wide_load(level, call->in[0]->data, call->in[0]->dtype, at, n, 1);
    for (size_t i = 0; i < n; i++) out[i] = (float)(level[i].i - zero_point) * scale;
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
    .types = OCTET_TYPE(OCTET_U8) | OCTET_TYPE(OCTET_I8) | OCTET_TYPE(OCTET_I32),
    .attrs = rows,
    .attrs_size = sizeof(octet_axis_attrs),
    .infer = dequantize_infer,
    .forward = dequantize_forward,
};
