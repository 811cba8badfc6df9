/* SPDX-License-Identifier: Apache-2.0 */
/* Slice and Split: parts of a tensor. Both find a window (start, step and length per axis) and move it. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/rows.h"
#include "ops/move.h"
#include "ops/rescale.h"

#include "base/checked.h"

typedef struct window {
    int64_t start[OCTET_MAX_RANK], step[OCTET_MAX_RANK], dims[OCTET_MAX_RANK];
} window;

static window whole(const octet_tensor *in)
{
    window all = {.start = {0}};
    for (int i = 0; i < in->rank; i++) {
        all.step[i] = 1;
        all.dims[i] = in->dims[i];
    }
    return all;
}

/* Returns where the window's first element lies in a tensor of in's shape. */
static int64_t make_move(octet_move *move, const octet_tensor *in, const window *part)
{
    int64_t steps[OCTET_MAX_RANK], offset = 0;
    move->rank = in->rank;
    octet_dense_steps(steps, in->dims, in->rank);
    octet_dense_steps(move->to_step, part->dims, in->rank);
    for (int i = 0; i < in->rank; i++) {
        offset += part->start[i] * steps[i];
        move->dims[i] = part->dims[i];
        move->from_step[i] = part->dims[i] > 1 ? part->step[i] * steps[i] : 0;
    }
    return offset;
}

static void move_window(const octet_tensor *out, const octet_tensor *in, const window *part)
{
    const size_t size = octet_dtype_size(in->dtype);
    octet_move   move;
    if (octet_tensor_count(out) == 0) return;
    const int64_t offset = make_move(&move, in, part);
    octet_move_run(out->data, (const char *)in->data + offset * (int64_t)size, &move, size);
}

static void move_window_back(const octet_tensor *din, const octet_tensor *dout, const window *part)
{
    const size_t size = octet_dtype_size(din->dtype);
    octet_move   move;
    if (octet_tensor_count(dout) == 0) return;
    const int64_t offset = make_move(&move, din, part);
    octet_move_back((char *)din->data + offset * (int64_t)size, dout->data, &move, din->dtype);
}

/* ---- Slice: data, starts, ends, axes, steps ---- */

static int64_t bounded(int64_t x, int64_t n, int64_t lo, int64_t hi)
{
    const int64_t at = x < 0 ? x + n : x;
    return at < lo ? lo : at > hi ? hi : at;
}

/* Number of elements that start, start + step, ... passes before end. */
static int64_t slice_length(int64_t start, int64_t end, int64_t step)
{
    if (step > 0) return end > start ? 1 + (end - start - 1) / step : 0;
    const int64_t back = step == INT64_MIN ? INT64_MAX : -step;
    return start > end ? 1 + (start - end - 1) / back : 0;
}

typedef struct slice_lists {
    octet_ints starts, ends, axes, steps;
} slice_lists;

static octet_status slice_read(slice_lists *lists, const octet_call *call, octet_error *err)
{
    OCTET_TRY(octet_known_ints(&lists->starts, call, 1, "starts", err));
    OCTET_TRY(octet_known_ints(&lists->ends, call, 2, "ends", err));
    const int count = lists->starts.count;
    if (octet_has_input(call, 3)) OCTET_TRY(octet_known_ints(&lists->axes, call, 3, "axes", err));
    if (octet_has_input(call, 4)) OCTET_TRY(octet_known_ints(&lists->steps, call, 4, "steps", err));
    if (!octet_has_input(call, 3))
        for (lists->axes.count = 0; lists->axes.count < count; lists->axes.count++)
            lists->axes.at[lists->axes.count] = lists->axes.count;
    if (!octet_has_input(call, 4))
        for (lists->steps.count = 0; lists->steps.count < count; lists->steps.count++)
            lists->steps.at[lists->steps.count] = 1;
    if (lists->ends.count == count && lists->axes.count == count && lists->steps.count == count) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_SHAPE, "starts", "%d starts, %d ends, %d axes and %d steps", count,
                            lists->ends.count, lists->axes.count, lists->steps.count);
}

static octet_status slice_window(window *part, const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    slice_lists               lists;
    int                       axis[OCTET_INTS_MAX];
    OCTET_TRY(slice_read(&lists, call, err));
    OCTET_TRY(octet_check_axes(axis, &lists.axes, in->rank, "axes", err));
    *part = whole(in);
    for (int i = 0; i < lists.axes.count; i++) {
        const int64_t step = lists.steps.at[i], n = in->dims[axis[i]];
        if (step == 0) return octet_fail_field(err, OCTET_ERR_SHAPE, "steps", "a step of 0 never ends");
        const int64_t start = bounded(lists.starts.at[i], n, 0, step > 0 ? n : n - 1);
        const int64_t end = bounded(lists.ends.at[i], n, step > 0 ? 0 : -1, step > 0 ? n : n - 1);
        part->start[axis[i]] = start;
        part->step[axis[i]] = step;
        part->dims[axis[i]] = n > 0 ? slice_length(start, end, step) : 0;
    }
    return OCTET_OK;
}

static octet_status slice_infer(const octet_call *call, octet_error *err)
{
    window part;
    OCTET_TRY(slice_window(&part, call, err));
    return octet_set_output(call->out[0], call->in[0]->dtype, part.dims, call->in[0]->rank, err);
}

static octet_status slice_forward(const octet_call *call, octet_error *err)
{
    window part;
    OCTET_TRY(slice_window(&part, call, err));
    OCTET_TRY(octet_check_planned(call->out[0], part.dims, call->in[0]->rank, err));
    move_window(call->out[0], call->in[0], &part);
    return OCTET_OK;
}

static octet_status slice_backward(const octet_backward_call *call, octet_error *err)
{
    window part;
    if (!octet_gradient_wanted(call, 0)) return OCTET_OK;
    OCTET_TRY(slice_window(&part, call->forward, err));
    move_window_back(call->din[0], call->dout[0], &part);
    return OCTET_OK;
}

const octet_op octet_op_slice = {
    .name = "Slice",
    .since = 10,
    .min_inputs = 3,
    .max_inputs = 5,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .quant = OCTET_QUANT_SAME,
    .infer = slice_infer,
    .forward = slice_forward,
    .forward_integer = octet_move_levels,
    .scratch_size = octet_levels_scratch,
    .backward = slice_backward,
    .fixed_inputs = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4,
};

/* ---- Split: data, split ---- */

static const octet_attr split_rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_split_attrs, axis)},
    {.name = "num_outputs",
     .kind = OCTET_ATTR_INT,
     .offset = offsetof(octet_split_attrs, num_outputs),
     .since = 18,
     .counts_outputs = true},
    {.kind = OCTET_ATTR_END},
};

/* Entries of output i along the axis. */
static int64_t split_size(const octet_call *call, int axis, int i)
{
    const int64_t n = call->in[0]->dims[axis];
    if (octet_has_input(call, 1)) return octet_int_at(call->in[1], i);
    if (!((const octet_split_attrs *)call->attrs)->num_outputs) return n / call->out_count;
    const int64_t part = n / call->out_count + (n % call->out_count != 0), left = n - part * i;
    return left < part ? (left < 0 ? 0 : left) : part;
}

static octet_status split_check(int *axis, const octet_call *call, octet_error *err)
{
    const octet_tensor *const      in = call->in[0];
    const octet_split_attrs *const attrs = call->attrs;
    int64_t                        sum = 0;
    OCTET_TRY(octet_check_axis(axis, attrs->axis, in->rank, "axis", err));
    if (attrs->num_outputs && (attrs->num_outputs != call->out_count || octet_has_input(call, 1)))
        return octet_fail_field(err, OCTET_ERR_FORMAT, "num_outputs", "%lld for %d outputs%s",
                                (long long)attrs->num_outputs, call->out_count,
                                octet_has_input(call, 1) ? " whose sizes are an input" : "");
    if (octet_has_input(call, 1)) {
        const octet_tensor *const split = call->in[1];
        OCTET_TRY(octet_check_known(call, 1, "split", err));
        if ((split->dtype != OCTET_I64 && split->dtype != OCTET_I32) || split->rank > 1)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "split", "input 'split' must be a list of int64");
        if (octet_tensor_count(split) != call->out_count)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "split", "%lld sizes for %d outputs",
                                    (long long)octet_tensor_count(split), call->out_count);
    }
    for (int i = 0; i < call->out_count; i++) {
        const int64_t size = split_size(call, *axis, i);
        if (size < 0 || !octet_add64(&sum, sum, size))
            return octet_fail_field(err, OCTET_ERR_SHAPE, "split", "a part of %lld entries", (long long)size);
    }
    if (sum != in->dims[*axis])
        return octet_fail_field(err, OCTET_ERR_SHAPE, "split", "parts of %lld entries together, axis %d has %lld",
                                (long long)sum, *axis, (long long)in->dims[*axis]);
    return OCTET_OK;
}

static octet_status split_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    int                       axis;
    OCTET_TRY(split_check(&axis, call, err));
    window part = whole(in);
    for (int i = 0; i < call->out_count; i++) {
        part.dims[axis] = split_size(call, axis, i);
        if (call->out[i]) OCTET_TRY(octet_set_output(call->out[i], in->dtype, part.dims, in->rank, err));
    }
    return OCTET_OK;
}

static octet_status split_forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    int                       axis;
    OCTET_TRY(split_check(&axis, call, err));
    window part = whole(in);
    for (int i = 0; i < call->out_count; i++) {
        part.dims[axis] = split_size(call, axis, i);
        if (call->out[i]) {
            OCTET_TRY(octet_check_planned(call->out[i], part.dims, in->rank, err));
            move_window(call->out[i], in, &part);
        }
        part.start[axis] += part.dims[axis];
    }
    return OCTET_OK;
}

static octet_status split_backward(const octet_backward_call *call, octet_error *err)
{
    const octet_tensor *const in = call->forward->in[0];
    int                       axis;
    if (!call->din[0]) return OCTET_OK;
    OCTET_TRY(split_check(&axis, call->forward, err));
    window part = whole(in);
    for (int i = 0; i < call->forward->out_count; i++) {
        part.dims[axis] = split_size(call->forward, axis, i);
        if (call->dout[i]) move_window_back(call->din[0], call->dout[i], &part);
        part.start[axis] += part.dims[axis];
    }
    return OCTET_OK;
}

const octet_op octet_op_split = {
    .name = "Split",
    .since = 13,
    .min_inputs = 1,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = OCTET_ANY,
    .types = OCTET_TYPES_ALL,
    .attrs = split_rows,
    .attrs_size = sizeof(octet_split_attrs),
    .quant = OCTET_QUANT_SAME,
    .infer = split_infer,
    .forward = split_forward,
    .forward_integer = octet_move_levels,
    .scratch_size = octet_levels_scratch,
    .backward = split_backward,
    .fixed_inputs = 1 << 1,
};
