/* SPDX-License-Identifier: Apache-2.0 */
/* Transpose, DepthToSpace, SpaceToDepth, Expand: every element keeps its value and changes its place, or has several.
   Each is one strided move. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/rows.h"
#include "ops/move.h"
#include "ops/rescale.h"

#include "base/checked.h"

#include <string.h>

static const octet_attr transpose_rows[] = {
    {.name = "perm", .kind = OCTET_ATTR_INTS, .offset = offsetof(octet_transpose_attrs, perm)},
    {.kind = OCTET_ATTR_END},
};

static octet_status transpose_order(int *order, const octet_call *call, octet_error *err)
{
    const octet_ints *const perm = &((const octet_transpose_attrs *)call->attrs)->perm;
    const int               rank = call->in[0]->rank;
    if (perm->count == 0) {
        for (int i = 0; i < rank; i++) order[i] = rank - 1 - i;
        return OCTET_OK;
    }
    if (perm->count != rank)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "perm", "%d entries for a tensor of %d dimensions", perm->count,
                                rank);
    return octet_check_axes(order, perm, rank, "perm", err);
}

static octet_status transpose_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    int                       order[OCTET_INTS_MAX];
    int64_t                   dims[OCTET_MAX_RANK];
    OCTET_TRY(transpose_order(order, call, err));
    for (int i = 0; i < in->rank; i++) dims[i] = in->dims[order[i]];
    return octet_set_output(call->out[0], in->dtype, dims, in->rank, err);
}

static octet_status transpose_move(octet_move *move, const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    int64_t                   steps[OCTET_MAX_RANK];
    int                       order[OCTET_INTS_MAX];
    OCTET_TRY(transpose_order(order, call, err));
    move->rank = in->rank;
    octet_dense_steps(steps, in->dims, in->rank);
    for (int i = 0; i < in->rank; i++) {
        move->dims[i] = in->dims[order[i]];
        move->from_step[i] = steps[order[i]];
    }
    octet_dense_steps(move->to_step, move->dims, move->rank);
    return OCTET_OK;
}

static octet_status transpose_forward(const octet_call *call, octet_error *err)
{
    octet_move move;
    OCTET_TRY(transpose_move(&move, call, err));
    octet_move_run(call->out[0]->data, call->in[0]->data, &move, octet_dtype_size(call->in[0]->dtype));
    return OCTET_OK;
}

static octet_status transpose_backward(const octet_backward_call *call, octet_error *err)
{
    octet_move move;
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    OCTET_TRY(transpose_move(&move, call->forward, err));
    octet_move_back(call->din[0]->data, call->dout[0]->data, &move, call->din[0]->dtype);
    return OCTET_OK;
}

const octet_op octet_op_transpose = {
    .name = "Transpose",
    .since = 1,
    OCTET_ONE_TO_ONE,
    .types = OCTET_TYPES_ALL,
    .attrs = transpose_rows,
    .attrs_size = sizeof(octet_transpose_attrs),
    .quant = OCTET_QUANT_SAME,
    .infer = transpose_infer,
    .forward = transpose_forward,
    .forward_integer = octet_move_levels,
    .scratch_size = octet_levels_scratch,
    .backward = transpose_backward,
};

/* ---- DepthToSpace: [N, C b b, H, W] -> [N, C, H b, W b] ---- */

static const octet_attr depth_rows[] = {
    {.name = "blocksize",
     .kind = OCTET_ATTR_INT,
     .offset = offsetof(octet_depth_attrs, blocksize),
     .min = 1,
     .max = 1 << 20,
     .required = true},
    {.name = "mode", .kind = OCTET_ATTR_STRING, .offset = offsetof(octet_depth_attrs, mode), .default_s = "DCR"},
    {.kind = OCTET_ATTR_END},
};

static octet_status depth_infer(const octet_call *call, octet_error *err)
{
    const octet_depth_attrs *const  attrs = call->attrs;
    const octet_tensor *const in = call->in[0];
    const int64_t             block = attrs->blocksize;
    if (strcmp(attrs->mode, "DCR") && strcmp(attrs->mode, "CRD"))
        return octet_fail_field(err, OCTET_ERR_FORMAT, "mode", "'%s' is neither DCR nor CRD", attrs->mode);
    if (in->rank != 4) return octet_fail(err, OCTET_ERR_SHAPE, "input has %d dimensions, 4 are needed", in->rank);
    if (block < 1 || block > 1 << 20 || in->dims[1] % (block * block) != 0)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "blocksize",
                                "%lld channels do not divide into blocks of size "
                                "%lld",
                                (long long)in->dims[1], (long long)block);
    const int64_t limit = INT64_MAX / block;
    if (in->dims[2] > limit || in->dims[3] > limit) return octet_fail(err, OCTET_ERR_SHAPE, "the result is too large");
    const int64_t dims[4] = {in->dims[0], in->dims[1] / (block * block), in->dims[2] * block, in->dims[3] * block};
    return octet_set_output(call->out[0], in->dtype, dims, 4, err);
}

static octet_move depth_move(const octet_call *call)
{
    const octet_depth_attrs *const  attrs = call->attrs;
    const octet_tensor *const in = call->in[0];
    const int64_t             block = attrs->blocksize, channels = call->out[0]->dims[1];
    const int64_t             plane = in->dims[2] * in->dims[3];
    const bool                depth_first = !strcmp(attrs->mode, "DCR");
    const int64_t             channel_step = depth_first ? plane : block * block * plane;
    const int64_t             block_step = depth_first ? channels * plane : plane;
    /* out[n, c, h, bh, w, bw] */
    octet_move move = {
        .rank = 6,
        .dims = {in->dims[0], channels, in->dims[2], block, in->dims[3], block},
        .from_step = {in->dims[1] * plane, channel_step, in->dims[3], block * block_step, 1, block_step}};
    octet_dense_steps(move.to_step, move.dims, move.rank);
    return move;
}

/* ---- SpaceToDepth: [N, C, H b, W b] -> [N, b b C, H, W], in mode CRD [N, C b b, H, W] ---- */

static const octet_attr space_rows[] = {
    {.name = "blocksize",
     .kind = OCTET_ATTR_INT,
     .offset = offsetof(octet_depth_attrs, blocksize),
     .min = 1,
     .max = 1 << 20,
     .required = true},
    {.name = "mode", .kind = OCTET_ATTR_STRING, .offset = offsetof(octet_depth_attrs, mode), .default_s = "DCR",
     .since = 28},
    {.kind = OCTET_ATTR_END},
};

static octet_status space_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    const int64_t             block = ((const octet_depth_attrs *)call->attrs)->blocksize;
    int64_t                   channels;
    const char *const         mode = ((const octet_depth_attrs *)call->attrs)->mode;
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "mode", "'%s' is neither DCR nor CRD", mode);
    if (in->rank != 4) return octet_fail(err, OCTET_ERR_SHAPE, "input has %d dimensions, 4 are needed", in->rank);
    if (block < 1 || block > 1 << 20 || in->dims[2] % block != 0 || in->dims[3] % block != 0)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "blocksize", "%lld x %lld does not divide into blocks of %lld",
                                (long long)in->dims[2], (long long)in->dims[3], (long long)block);
    if (!octet_mul64(&channels, in->dims[1], block * block))
        return octet_fail(err, OCTET_ERR_SHAPE, "the result is too large");
    const int64_t dims[4] = {in->dims[0], channels, in->dims[2] / block, in->dims[3] / block};
    return octet_set_output(call->out[0], in->dtype, dims, 4, err);
}

static octet_move space_move(const octet_call *call)
{
    const octet_tensor *const in = call->in[0], *const out = call->out[0];
    const int64_t             block = ((const octet_depth_attrs *)call->attrs)->blocksize, width = in->dims[3];
    /* out[n, bh, bw, c, h, w] */
    octet_move move = {.rank = 6,
                       .dims = {in->dims[0], block, block, in->dims[1], out->dims[2], out->dims[3]},
                       .from_step = {in->dims[1] * in->dims[2] * width, width, 1, in->dims[2] * width, block * width,
                                     block}};
    octet_dense_steps(move.to_step, move.dims, move.rank);
    if (strcmp(((const octet_depth_attrs *)call->attrs)->mode, "CRD") != 0) return move;
    const int64_t plane = out->dims[2] * out->dims[3];
    move.to_step[3] = block * block * plane;
    move.to_step[1] = block * plane;
    move.to_step[2] = plane;
    return move;
}

/* ---- Expand: data, shape ---- */

static octet_status expand_shape(octet_tensor *out, const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    octet_ints                shape;
    int64_t                   dims[OCTET_INTS_MAX];
    int                       rank;
    OCTET_TRY(octet_known_ints(&shape, call, 1, "shape", err));
    octet_tensor wanted = {.rank = shape.count};
    if (shape.count > OCTET_MAX_RANK)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "shape", "%d dimensions, at most %d are supported",
                                shape.count, OCTET_MAX_RANK);
    for (int i = 0; i < shape.count; i++) {
        wanted.dims[i] = shape.at[i];
        if (shape.at[i] < 0)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "shape", "dimension %lld is negative",
                                    (long long)shape.at[i]);
    }
    const octet_status status = octet_broadcast(dims, &rank, in, &wanted, err);
    if (status != OCTET_OK) octet_error_field(err, "shape");
    OCTET_TRY(status);
    return octet_set_output(out, in->dtype, dims, rank, err);
}

static octet_status expand_infer(const octet_call *call, octet_error *err)
{
    return expand_shape(call->out[0], call, err);
}

static octet_move expand_move(const octet_call *call)
{
    const octet_tensor *const out = call->out[0];
    octet_move                move = {.rank = out->rank};
    for (int i = 0; i < out->rank; i++) move.dims[i] = out->dims[i];
    octet_dense_steps(move.to_step, out->dims, out->rank);
    octet_stretched_steps(move.from_step, call->in[0], out->rank);
    return move;
}

static octet_status expand_forward(const octet_call *call, octet_error *err)
{
    octet_tensor result = {0};
    OCTET_TRY(expand_shape(&result, call, err));
    OCTET_TRY(octet_check_planned(call->out[0], result.dims, result.rank, err));
    const octet_move move = expand_move(call);
    octet_move_run(call->out[0]->data, call->in[0]->data, &move, octet_dtype_size(call->in[0]->dtype));
    return OCTET_OK;
}

static octet_status expand_backward(const octet_backward_call *call, octet_error *err)
{
    (void)err;
    if (octet_gradient_wanted(call, 0)) octet_gradient_stretched(call->din[0], call->dout[0], 1.0);
    return OCTET_OK;
}

/* ---- forward and backward of an operator that is one move ---- */

#define MOVE(name)                                                                                                     \
    static octet_status name##_forward(const octet_call *call, octet_error *err)                                       \
    {                                                                                                                  \
        (void)err;                                                                                                     \
        const octet_move move = name##_move(call);                                                                     \
        octet_move_run(call->out[0]->data, call->in[0]->data, &move, octet_dtype_size(call->in[0]->dtype));            \
        return OCTET_OK;                                                                                               \
    }
#define MOVE_BACK(name)                                                                                                \
    static octet_status name##_backward(const octet_backward_call *call, octet_error *err)                             \
    {                                                                                                                  \
        (void)err;                                                                                                     \
        const octet_move move = name##_move(call->forward);                                                            \
        if (octet_gradient_wanted(call, 0))                                                                            \
            octet_move_back(call->din[0]->data, call->dout[0]->data, &move, call->din[0]->dtype);                      \
        return OCTET_OK;                                                                                               \
    }

MOVE(depth)
MOVE_BACK(depth)
MOVE(space)
MOVE_BACK(space)

#define MOVES(name)                                                                                                    \
    .types = OCTET_TYPES_ALL, .quant = OCTET_QUANT_SAME, .infer = name##_infer, .forward = name##_forward,             \
    .forward_integer = octet_move_levels, .scratch_size = octet_levels_scratch, .backward = name##_backward

const octet_op octet_op_depth_to_space = {
    .name = "DepthToSpace",
    .since = 11,
    OCTET_ONE_TO_ONE,
    MOVES(depth),
    .attrs = depth_rows,
    .attrs_size = sizeof(octet_depth_attrs),
    .flags = OCTET_OP_SAMPLES,
};

const octet_op octet_op_space_to_depth = {
    .name = "SpaceToDepth",
    .since = 1,
    OCTET_ONE_TO_ONE,
    MOVES(space),
    .attrs = space_rows,
    .attrs_size = sizeof(octet_depth_attrs),
    .flags = OCTET_OP_SAMPLES,
};

const octet_op octet_op_expand = {
    .name = "Expand",
    .since = 8,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    MOVES(expand),
    .fixed_inputs = 1 << 1,
};
