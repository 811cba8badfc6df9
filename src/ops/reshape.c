/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that give the same bytes another shape: Identity, Dropout (in inference), Reshape, Flatten, Squeeze,
   Unsqueeze. A planner may let input and output share memory; then nothing is copied. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/rows.h"
#include "ops/rescale.h"

#include "base/checked.h"

#include <string.h>

static octet_status copy_bytes(const octet_call *call, octet_error *err)
{
    (void)err;
    const octet_tensor *const in = call->in[0];
    octet_tensor *const       out = call->out[0];
    const size_t              bytes = (size_t)octet_tensor_bytes(in);
    if (out && bytes > 0 && out->data != in->data) memcpy(out->data, in->data, bytes);
    return OCTET_OK;
}

/* ---- Identity ---- */

const octet_op octet_op_identity = {
    .name = "Identity",
    .since = 1,
    OCTET_ONE_TO_ONE,
    .types = OCTET_TYPES_ALL,
    .quant = OCTET_QUANT_SAME,
    .flags = OCTET_OP_VIEW | OCTET_OP_SAMPLES,
    .infer = octet_infer_same,
    .forward = copy_bytes,
    .forward_integer = octet_move_levels,
    .scratch_size = octet_levels_scratch,
    .backward = octet_gradient_same,
};

/* ---- Dropout: data, ratio, training_mode -> data, mask ---- */

typedef struct dropout_attrs {
    int64_t seed;
} dropout_attrs;

static const octet_attr dropout_rows[] = {
    {.name = "seed", .kind = OCTET_ATTR_INT, .offset = offsetof(dropout_attrs, seed)},
    {.kind = OCTET_ATTR_END},
};

static bool known_zero(const octet_tensor *ratio)
{
    static const uint8_t zero[8];
    return ratio->data && memcmp(ratio->data, zero, octet_dtype_size(ratio->dtype)) == 0;
}

static octet_status dropout_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    if (octet_has_input(call, 1) && octet_tensor_count(call->in[1]) != 1)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "ratio", "input 'ratio' must be a single number");
    if (octet_has_input(call, 2)) {
        const octet_tensor *const training = call->in[2];
        if (training->dtype != OCTET_BOOL || octet_tensor_count(training) != 1)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "training_mode", "input 'training_mode' must be one bool");
        OCTET_TRY(octet_check_known(call, 2, "training_mode", err));
        const bool random = !octet_has_input(call, 1) || !known_zero(call->in[1]);
        if (*(const uint8_t *)training->data && random)
            return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "training_mode",
                                    "Dropout in training mode is random; only inference is supported");
    }
    if (octet_has_output(call, 1)) OCTET_TRY(octet_set_output(call->out[1], OCTET_BOOL, in->dims, in->rank, err));
    return call->out[0] ? octet_set_output(call->out[0], in->dtype, in->dims, in->rank, err) : OCTET_OK;
}

static octet_status dropout_forward(const octet_call *call, octet_error *err)
{
    const size_t bytes = octet_has_output(call, 1) ? (size_t)octet_tensor_bytes(call->out[1]) : 0;
    if (bytes > 0) memset(call->out[1]->data, 1, bytes);
    return copy_bytes(call, err);
}

const octet_op octet_op_dropout = {
    .name = "Dropout",
    .since = 12,
    .min_inputs = 1,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 2,
    .types = OCTET_TYPES_FLOAT,
    .attrs = dropout_rows,
    .attrs_size = sizeof(dropout_attrs),
    .quant = OCTET_QUANT_SAME,
    .flags = OCTET_OP_SAMPLES,
    .infer = dropout_infer,
    .forward = dropout_forward,
    .backward = octet_gradient_same,
    .fixed_inputs = 1 << 1 | 1 << 2,
};

/* ---- Reshape: data, shape ---- */

typedef struct reshape_attrs {
    int64_t allowzero;
} reshape_attrs;

static const octet_attr reshape_rows[] = {
    {.name = "allowzero", .kind = OCTET_ATTR_INT, .offset = offsetof(reshape_attrs, allowzero), .max = 1},
    {.kind = OCTET_ATTR_END},
};

/* Takes zeros from the input and multiplies up everything but the -1, whose place goes to open. */
static octet_status reshape_known_part(octet_ints *shape, int *open, int64_t *product, const octet_call *call,
                                       octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    const bool                keep_zero = ((const reshape_attrs *)call->attrs)->allowzero != 0;
    *open = -1;
    *product = 1;
    for (int i = 0; i < shape->count; i++) {
        if (shape->at[i] == 0 && !keep_zero) {
            if (i >= in->rank)
                return octet_fail_field(err, OCTET_ERR_SHAPE, "shape",
                                        "0 at place %d copies a dimension, the input has %d", i, in->rank);
            shape->at[i] = in->dims[i];
        }
        if (shape->at[i] == -1 && *open >= 0)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "shape", "-1 may be given once only");
        if (shape->at[i] < -1)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "shape", "dimension %lld is negative",
                                    (long long)shape->at[i]);
        if (shape->at[i] == -1)
            *open = i;
        else if (!octet_mul64(product, *product, shape->at[i]))
            return octet_fail_field(err, OCTET_ERR_SHAPE, "shape", "the product of the dimensions overflows");
    }
    return OCTET_OK;
}

static octet_status reshape_infer(const octet_call *call, octet_error *err)
{
    octet_ints shape;
    int        open;
    int64_t    product;
    OCTET_TRY(octet_known_ints(&shape, call, 1, "shape", err));
    OCTET_TRY(reshape_known_part(&shape, &open, &product, call, err));
    const int64_t count = octet_tensor_count(call->in[0]);
    if (open >= 0 && product > 0) {
        shape.at[open] = count / product;
        product *= shape.at[open];
    } else if (open >= 0)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "shape", "-1 cannot be found where another dimension is 0");
    if (product != count) {
        char have[128], want[128];
        return octet_fail_field(err, OCTET_ERR_SHAPE, "shape", "input of shape %s does not fill shape %s",
                                octet_shape_text(have, sizeof have, call->in[0]->dims, call->in[0]->rank),
                                octet_shape_text(want, sizeof want, shape.at, shape.count));
    }
    return octet_set_output(call->out[0], call->in[0]->dtype, shape.at, shape.count, err);
}

static octet_status reshape_forward(const octet_call *call, octet_error *err)
{
    octet_tensor        result = {0};
    octet_tensor *const out[1] = {&result};
    octet_call          again = *call;
    again.out = out;
    OCTET_TRY(reshape_infer(&again, err));
    OCTET_TRY(octet_check_planned(call->out[0], result.dims, result.rank, err));
    return copy_bytes(call, err);
}

const octet_op octet_op_reshape = {
    .name = "Reshape",
    .since = 5,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .attrs = reshape_rows,
    .attrs_size = sizeof(reshape_attrs),
    .quant = OCTET_QUANT_SAME,
    .flags = OCTET_OP_VIEW,
    .infer = reshape_infer,
    .forward = reshape_forward,
    .forward_integer = octet_move_levels,
    .scratch_size = octet_levels_scratch,
    .backward = octet_gradient_same,
    .fixed_inputs = 1 << 1,
};

/* ---- Flatten ---- */

static const octet_attr flatten_rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_axis_attrs, axis), .default_i = 1},
    {.kind = OCTET_ATTR_END},
};

static octet_status flatten_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    const int64_t             given = ((const octet_axis_attrs *)call->attrs)->axis;
    if (given < -in->rank || given > in->rank)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "axis", "axis %lld is outside a tensor of %d dimensions",
                                (long long)given, in->rank);
    const int64_t axis = given < 0 ? given + in->rank : given;
    int64_t       dims[2] = {1, 1};
    for (int i = 0; i < in->rank; i++)
        if (!octet_mul64(&dims[i >= axis], dims[i >= axis], in->dims[i]))
            return octet_fail(err, OCTET_ERR_SHAPE, "the flattened shape overflows");
    return octet_set_output(call->out[0], in->dtype, dims, 2, err);
}

const octet_op octet_op_flatten = {
    .name = "Flatten",
    .since = 9,
    OCTET_ONE_TO_ONE,
    .types = OCTET_TYPES_ALL,
    .attrs = flatten_rows,
    .attrs_size = sizeof(octet_axis_attrs),
    .quant = OCTET_QUANT_SAME,
    .flags = OCTET_OP_VIEW,
    .infer = flatten_infer,
    .forward = copy_bytes,
    .forward_integer = octet_move_levels,
    .scratch_size = octet_levels_scratch,
    .backward = octet_gradient_same,
};

/* ---- Squeeze, Unsqueeze: data, axes ---- */

static octet_status squeeze_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    const bool                listed = octet_has_input(call, 1);
    bool                      drop[OCTET_MAX_RANK] = {false};
    int                       axis[OCTET_INTS_MAX], rank = 0;
    int64_t                   dims[OCTET_MAX_RANK];
    octet_ints                axes = {0};
    if (listed) OCTET_TRY(octet_known_ints(&axes, call, 1, "axes", err));
    OCTET_TRY(octet_check_axes(axis, &axes, in->rank, "axes", err));
    for (int i = 0; i < axes.count; i++) {
        if (in->dims[axis[i]] != 1)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "axes", "axis %d has %lld entries, only 1 can be removed",
                                    axis[i], (long long)in->dims[axis[i]]);
        drop[axis[i]] = true;
    }
    for (int i = 0; i < in->rank; i++)
        if (!drop[i] && (listed || in->dims[i] != 1)) dims[rank++] = in->dims[i];
    return octet_set_output(call->out[0], in->dtype, dims, rank, err);
}

static octet_status unsqueeze_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    bool                      added[OCTET_MAX_RANK] = {false};
    int                       axis[OCTET_INTS_MAX], from = 0;
    int64_t                   dims[OCTET_MAX_RANK];
    octet_ints                axes;
    OCTET_TRY(octet_known_ints(&axes, call, 1, "axes", err));
    const int rank = in->rank + axes.count;
    if (rank > OCTET_MAX_RANK)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "axes",
                                "the result has %d dimensions, at most %d are "
                                "supported",
                                rank, OCTET_MAX_RANK);
    OCTET_TRY(octet_check_axes(axis, &axes, rank, "axes", err));
    for (int i = 0; i < axes.count; i++) added[axis[i]] = true;
    for (int i = 0; i < rank; i++) dims[i] = added[i] ? 1 : in->dims[from++];
    return octet_set_output(call->out[0], in->dtype, dims, rank, err);
}

const octet_op octet_op_squeeze = {
    .name = "Squeeze",
    .since = 13,
    .min_inputs = 1,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .quant = OCTET_QUANT_SAME,
    .flags = OCTET_OP_VIEW,
    .infer = squeeze_infer,
    .forward = copy_bytes,
    .forward_integer = octet_move_levels,
    .scratch_size = octet_levels_scratch,
    .backward = octet_gradient_same,
    .fixed_inputs = 1 << 1,
};

const octet_op octet_op_unsqueeze = {
    .name = "Unsqueeze",
    .since = 13,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .quant = OCTET_QUANT_SAME,
    .flags = OCTET_OP_VIEW,
    .infer = unsqueeze_infer,
    .forward = copy_bytes,
    .forward_integer = octet_move_levels,
    .scratch_size = octet_levels_scratch,
    .backward = octet_gradient_same,
    .fixed_inputs = 1 << 1,
};
