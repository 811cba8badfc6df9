/* SPDX-License-Identifier: Apache-2.0 */
/* Concat: inputs behind each other along one axis. Levels with the output's parameters are copied, others rescaled. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/rows.h"
#include "ops/rescale.h"

#include "base/checked.h"

#include <string.h>

static const octet_attr rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_axis_attrs, axis), .required = true},
    {.kind = OCTET_ATTR_END},
};

static octet_status check_input(const octet_call *call, int slot, int axis, octet_error *err)
{
    const octet_tensor *const first = call->in[0], *const in = call->in[slot];
    if (!in) return octet_fail(err, OCTET_ERR_FORMAT, "input %d is missing", slot);
    bool fits = in->rank == first->rank;
    for (int i = 0; fits && i < in->rank; i++) fits = i == axis || in->dims[i] == first->dims[i];
    if (fits && in->dtype == first->dtype) return OCTET_OK;
    char a[128], b[128];
    return octet_fail(err, OCTET_ERR_SHAPE, "input 0 is %s %s and input %d is %s %s: they do not join along axis %d",
                      octet_dtype_name(first->dtype), octet_shape_text(a, sizeof a, first->dims, first->rank), slot,
                      octet_dtype_name(in->dtype), octet_shape_text(b, sizeof b, in->dims, in->rank), axis);
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const first = call->in[0];
    int64_t                   dims[OCTET_MAX_RANK] = {0};
    int                       axis;
    OCTET_TRY(octet_check_axis(&axis, ((const octet_axis_attrs *)call->attrs)->axis, first->rank, "axis", err));
    for (int i = 0; i < first->rank; i++) dims[i] = first->dims[i];
    for (int i = 1; i < call->in_count; i++) {
        OCTET_TRY(check_input(call, i, axis, err));
        if (!octet_add64(&dims[axis], dims[axis], call->in[i]->dims[axis]))
            return octet_fail(err, OCTET_ERR_SHAPE, "axis %d becomes too long", axis);
    }
    return octet_set_output(call->out[0], first->dtype, dims, first->rank, err);
}

/* n elements of in from first on to place at of out. */
static void put(const octet_call *call, const octet_tensor *in, size_t first, size_t at, size_t n)
{
    enum { ROW = 256 };
    const octet_tensor *const out = call->out[0];
    const size_t              size = octet_dtype_size(out->dtype);
    if (octet_qparams_equal(in->qparams, out->qparams)) {
        memcpy((char *)out->data + at * size, (const char *)in->data + first * size, n * size);
        return;
    }
    if (!out->qparams) {
        octet_levels_real((float *)out->data + at, in, first, n, 0);
        return;
    }
    const octet_level_rule to = octet_level_rule_of(out->qparams, 0, NULL);
    for (size_t done = 0; done < n; done += ROW) {
        int32_t      levels[ROW];
        const size_t count = n - done < ROW ? n - done : ROW;
        octet_rescale_row(levels, in, first + done, count, &to, call->profile);
        octet_levels_store(out->data, out->dtype, at + done, levels, count);
    }
}

/* The pieces of the output in their order: n elements at place `at`, from element first of an input. */
typedef struct concat_piece {
    int    axis, input; /* input -1: not begun */
    size_t outer, inner, o, first, at, n;
} concat_piece;

static octet_status begin(concat_piece *piece, const octet_call *call, octet_error *err)
{
    const octet_tensor *const out = call->out[0];
    piece->input = -1;
    piece->outer = piece->inner = 1;
    OCTET_TRY(octet_check_axis(&piece->axis, ((const octet_axis_attrs *)call->attrs)->axis, out->rank, "axis", err));
    for (int i = 0; i < piece->axis; i++) piece->outer *= (size_t)out->dims[i];
    for (int i = piece->axis + 1; i < out->rank; i++) piece->inner *= (size_t)out->dims[i];
    return OCTET_OK;
}

static bool next(concat_piece *piece, const octet_call *call)
{
    piece->at += piece->n;
    if (++piece->input == call->in_count) {
        piece->input = 0;
        piece->o++;
    }
    piece->n = (size_t)call->in[piece->input]->dims[piece->axis] * piece->inner;
    piece->first = piece->o * piece->n;
    return piece->o < piece->outer;
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    concat_piece part = {0};
    OCTET_TRY(begin(&part, call, err));
    while (next(&part, call))
        if (part.n > 0) put(call, call->in[part.input], part.first, part.at, part.n);
    return OCTET_OK;
}

static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    concat_piece part = {0};
    OCTET_TRY(begin(&part, call->forward, err));
    while (next(&part, call->forward))
        if (octet_gradient_wanted(call, part.input))
            octet_gradient_add(call->din[part.input], (int64_t)part.first, call->dout[0], (int64_t)part.at, part.n);
    return OCTET_OK;
}

const octet_op octet_op_concat = {
    .name = "Concat",
    .since = 4,
    .min_inputs = 1,
    .max_inputs = OCTET_ANY,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .attrs = rows,
    .attrs_size = sizeof(octet_axis_attrs),
    .quant = OCTET_QUANT_CONCAT,
    .infer = infer,
    .forward = forward,
    .forward_integer = forward,
    .backward = backward,
};
