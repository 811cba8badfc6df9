/* SPDX-License-Identifier: Apache-2.0 */
/* Cast, CastLike: every pair of numeric types, by way of wide.h. */
#include "ops/cast.h"

#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/rows.h"
#include "ops/wide.h"

#include <string.h>

static const octet_attr rows[] = {
    {.name = "to", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_cast_attrs, to), .required = true},
    {.kind = OCTET_ATTR_END},
};

/* TensorProto.DataType of ONNX. */
enum { ONNX_LAST = 26 };
static const octet_dtype onnx_types[] = {
    [1] = OCTET_F32, [2] = OCTET_U8,   [3] = OCTET_I8,   [4] = OCTET_U16,  [5] = OCTET_I16,  [6] = OCTET_I32,
    [7] = OCTET_I64, [9] = OCTET_BOOL, [10] = OCTET_F16, [11] = OCTET_F64, [12] = OCTET_U32, [13] = OCTET_U64,
    [16] = OCTET_BF16};

octet_status octet_cast_type(octet_dtype *dtype, int64_t to, const char *field, octet_error *err)
{
    const int64_t known = (int64_t)(sizeof onnx_types / sizeof *onnx_types);
    if (to == 8 || to == 14 || to == 15 || (to > 16 && to <= ONNX_LAST))
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, field, "casting to %s is not supported",
                                to == 8                 ? "strings"
                                : to == 14 || to == 15  ? "complex numbers"
                                : to == 21 || to == 22 || to >= 25 ? "integers of 4 or 2 bits"
                                                        : "floats of 8 or 4 bits");
    if (to < 1 || to >= known || onnx_types[to] == OCTET_NONE)
        return octet_fail_field(err, OCTET_ERR_FORMAT, field, "%lld is not a type of ONNX", (long long)to);
    *dtype = onnx_types[to];
    return OCTET_OK;
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    octet_dtype dtype = OCTET_NONE;
    OCTET_TRY(octet_cast_type(&dtype, ((const octet_cast_attrs *)call->attrs)->to, "to", err));
    return octet_set_output(call->out[0], dtype, call->in[0]->dims, call->in[0]->rank, err);
}

static octet_status infer_like(const octet_call *call, octet_error *err)
{
    return octet_set_output(call->out[0], call->in[1]->dtype, call->in[0]->dims, call->in[0]->rank, err);
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    (void)err;
    const octet_tensor *const in = call->in[0];
    octet_tensor *const       out = call->out[0];
    const int64_t             count = octet_tensor_count(in);
    octet_wide                row[OCTET_WIDE_ROW];
    if (in->dtype == out->dtype && count > 0) {
        memcpy(out->data, in->data, (size_t)octet_tensor_bytes(in));
        return OCTET_OK;
    }
    for (int64_t at = 0; at < count; at += OCTET_WIDE_ROW) {
        const size_t n = count - at < OCTET_WIDE_ROW ? (size_t)(count - at) : OCTET_WIDE_ROW;
        octet_wide_load(row, in->data, in->dtype, at, n, 1);
        octet_wide_convert(row, n, in->dtype, out->dtype);
        octet_wide_store(out->data, out->dtype, at, row, n);
    }
    return OCTET_OK;
}

static bool is_real(octet_dtype dtype) { return dtype == OCTET_F32 || dtype == OCTET_F64; }

/* Between real numbers; whatever was an integer on its way carries no gradient. */
static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    const bool real = is_real(call->forward->in[0]->dtype) && is_real(call->forward->out[0]->dtype);
    return real ? octet_gradient_same(call, err) : OCTET_OK;
}

const octet_op octet_op_cast = {
    .name = "Cast",
    .since = 9,
    OCTET_ONE_TO_ONE,
    .types = OCTET_TYPES_ALL,
    .attrs = rows,
    .attrs_size = sizeof(octet_cast_attrs),
    .flags = OCTET_OP_SAMPLES,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};

const octet_op octet_op_cast_like = {
    .name = "CastLike",
    .since = 15,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .infer = infer_like,
    .forward = forward,
    .backward = backward,
    .fixed_inputs = 1 << 1,
};
