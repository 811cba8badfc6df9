/* SPDX-License-Identifier: Apache-2.0 */
/* Gather: picks entries along one axis by index. An index is never trusted, not even at run time. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
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

/* The entries that are picked, in the order of the output: entry piece of the result is entry from of the input, inner
   elements each. */
typedef struct picking {
    const octet_tensor *indices;
    int64_t             n, count, inner, pieces; /* entries of the axis, indices; pieces in all */
} picking;

static octet_status begin(picking *pick, const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    int                       axis;
    OCTET_TRY(octet_check_axis(&axis, ((const octet_axis_attrs *)call->attrs)->axis, in->rank, "axis", err));
    *pick = (picking){.indices = call->in[1], .n = in->dims[axis], .inner = 1};
    OCTET_TRY(check_indices(pick->indices, pick->n, err));
    if (octet_tensor_count(call->out[0]) == 0) return OCTET_OK;
    pick->count = pick->pieces = octet_tensor_count(pick->indices);
    for (int i = 0; i < axis; i++) pick->pieces *= in->dims[i];
    for (int i = axis + 1; i < in->rank; i++) pick->inner *= in->dims[i];
    return OCTET_OK;
}

static int64_t picked(const picking *pick, int64_t piece)
{
    const int64_t index = octet_int_at(pick->indices, piece % pick->count);
    return piece / pick->count * pick->n + (index < 0 ? index + pick->n : index);
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    picking pick;
    OCTET_TRY(begin(&pick, call, err));
    const size_t size = (size_t)pick.inner * octet_dtype_size(call->in[0]->dtype);
    char        *to = call->out[0]->data;
    for (int64_t i = 0; i < pick.pieces; i++, to += size)
        memcpy(to, (const char *)call->in[0]->data + (size_t)picked(&pick, i) * size, size);
    return OCTET_OK;
}

static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    picking pick;
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    OCTET_TRY(begin(&pick, call->forward, err));
    for (int64_t i = 0; i < pick.pieces; i++)
        octet_gradient_add(call->din[0], picked(&pick, i) * pick.inner, call->dout[0], i * pick.inner,
                           (size_t)pick.inner);
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
    .backward = backward,
    .fixed_inputs = 1 << 1,
    .scratch_size = octet_levels_scratch,
};
