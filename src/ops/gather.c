/* SPDX-License-Identifier: Apache-2.0 */
/* Gather: picks entries along one axis by index. An index is never trusted, not even at run time. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/rows.h"
#include "ops/rescale.h"

#include <string.h>

static const octet_attr rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_axis_attrs, axis)},
    {.kind = OCTET_ATTR_END},
};

static octet_status check_indices(const octet_tensor *indices, int64_t n, octet_error *err)
{
    const int64_t count = octet_tensor_count(indices);
    for (int64_t i = 0; i < count; i++) {
        const int64_t index = octet_int_at(indices, i);
        if (index < -n || index >= n)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "indices", "index %lld is outside an axis of %lld entries",
                                    (long long)index, (long long)n);
    }
    return OCTET_OK;
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0], *const indices = call->in[1];
    int64_t dims[2 * OCTET_MAX_RANK];
    int     axis, rank = 0;
    OCTET_TRY(octet_check_axis(&axis, ((const octet_axis_attrs *)call->attrs)->axis, in->rank, "axis", err));
    if (indices->dtype != OCTET_I64 && indices->dtype != OCTET_I32)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "indices", "type is %s, int32 or int64 is needed",
                                octet_dtype_name(indices->dtype));
    if (indices->data) OCTET_TRY(check_indices(indices, in->dims[axis], err));
    for (int i = 0; i < axis; i++) dims[rank++] = in->dims[i];
    for (int i = 0; i < indices->rank; i++) dims[rank++] = indices->dims[i];
    for (int i = axis + 1; i < in->rank; i++) dims[rank++] = in->dims[i];
    return octet_set_output(call->out[0], in->dtype, dims, rank, err);
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0], *const indices = call->in[1];
    const int64_t count = octet_tensor_count(indices);
    size_t        outer = 1, inner = octet_dtype_size(in->dtype);
    int           axis;
    OCTET_TRY(octet_check_axis(&axis, ((const octet_axis_attrs *)call->attrs)->axis, in->rank, "axis", err));
    const int64_t n = in->dims[axis];
    OCTET_TRY(check_indices(indices, n, err));
    for (int i = 0; i < axis; i++) outer *= (size_t)in->dims[i];
    for (int i = axis + 1; i < in->rank; i++) inner *= (size_t)in->dims[i];
    char *to = call->out[0]->data;
    if (octet_tensor_count(call->out[0]) == 0) return OCTET_OK;
    for (size_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < count; i++, to += inner) {
            const int64_t index = octet_int_at(indices, i);
            memcpy(to, (const char *)in->data + (o * (size_t)n + (size_t)(index < 0 ? index + n : index)) * inner,
                   inner);
        }
    return OCTET_OK;
}

const octet_op octet_op_gather = {
    .name = "Gather",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .attrs = rows,
    .attrs_size = sizeof(octet_axis_attrs),
    .quant = OCTET_QUANT_SAME,
    .infer = infer,
    .forward = forward,
    .forward_integer = octet_move_levels,
    .scratch_size = octet_levels_scratch,
};
