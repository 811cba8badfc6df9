/* SPDX-License-Identifier: Apache-2.0 */
/* Pad: data, pads, value, axes. The inside is one move (negative pads crop it); then each axis, innermost first, fills
   its two ends, so that outer axes copy rows whose inner ends are already there. Tile is an input that wraps around. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/gradient.h"
#include "ops/rows.h"
#include "ops/move.h"
#include "ops/rescale.h"

#include "base/checked.h"

#include <string.h>

static const octet_attr rows[] = {
    {.name = "mode", .kind = OCTET_ATTR_STRING, .offset = offsetof(octet_pad_attrs, mode), .default_s = "constant"},
    {.kind = OCTET_ATTR_END},
};

/* Per axis: out[before + i] = in[crop + i] for i < kept. */
typedef struct padding {
    int64_t before[OCTET_MAX_RANK], crop[OCTET_MAX_RANK], kept[OCTET_MAX_RANK], dims[OCTET_MAX_RANK];
} padding;

static octet_status read_axis(padding *pad, int i, int64_t n, const int64_t *ends, octet_error *err)
{
    int64_t sum;
    if (!octet_add64(&sum, n, ends[0]) || !octet_add64(&sum, sum, ends[1]) || sum < 0)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "pads", "%lld and %lld around %lld entries of axis %d",
                                (long long)ends[0], (long long)ends[1], (long long)n, i);
    const int64_t crop_end = ends[1] < 0 ? -ends[1] : 0;
    pad->crop[i] = ends[0] < 0 ? -ends[0] : 0;
    pad->before[i] = ends[0] > 0 ? ends[0] : 0;
    pad->kept[i] = n - pad->crop[i] - crop_end;
    pad->dims[i] = sum;
    if (pad->kept[i] < 0) /* one end crops more than there is, the other adds it again */
        return octet_fail_field(err, OCTET_ERR_SHAPE, "pads", "axis %d has %lld entries, fewer than are cropped", i,
                                (long long)n);
    return OCTET_OK;
}

static octet_status read_pads(padding *pad, const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    octet_ints                list, axes = {.count = in->rank};
    int                       axis[OCTET_INTS_MAX];
    OCTET_TRY(octet_known_ints(&list, call, 1, "pads", err));
    for (int i = 0; i < in->rank; i++) axes.at[i] = i;
    if (octet_has_input(call, 3)) OCTET_TRY(octet_known_ints(&axes, call, 3, "axes", err));
    OCTET_TRY(octet_check_axes(axis, &axes, in->rank, "axes", err));
    if (list.count != 2 * axes.count)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "pads", "%d numbers for %d dimensions, %d are needed", list.count,
                                axes.count, 2 * axes.count);
    for (int i = 0; i < in->rank; i++) OCTET_TRY(read_axis(pad, i, in->dims[i], (const int64_t[2]){0}, err));
    for (int i = 0; i < axes.count; i++) {
        const int64_t ends[2] = {list.at[i], list.at[i + axes.count]};
        if (ends[0] < -INT64_MAX || ends[1] < -INT64_MAX)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "pads", "a pad of axis %d overflows", axis[i]);
        OCTET_TRY(read_axis(pad, axis[i], in->dims[axis[i]], ends, err));
    }
    return OCTET_OK;
}

static octet_status infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    const char *const         mode = ((const octet_pad_attrs *)call->attrs)->mode;
    padding                   pad;
    const bool                constant = !strcmp(mode, "constant");
    if (!constant && strcmp(mode, "reflect") && strcmp(mode, "edge") && strcmp(mode, "wrap"))
        return octet_fail_field(err, OCTET_ERR_FORMAT, "mode", "'%s' is none of constant, reflect, edge, wrap", mode);
    OCTET_TRY(read_pads(&pad, call, err));
    OCTET_TRY(octet_check_scalar(call, 2, "constant_value", err));
    for (int i = 0; i < in->rank; i++)
        if (!constant && pad.kept[i] == 0 && pad.dims[i] > 0)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "pads", "axis %d is empty, there is nothing to %s", i, mode);
    return octet_set_output(call->out[0], in->dtype, pad.dims, in->rank, err);
}

static void fill(void *data, size_t count, const void *value, size_t size)
{
    char *const to = data;
    if (size == 1) {
        memset(to, *(const char *)value, count);
        return;
    }
    for (size_t i = 0; i < count; i++) memcpy(to + i * size, value, size);
}

/* Where place i, outside 0..n-1, looks: at the nearest entry ("edge"), around the other end ("wrap"), or mirrored at
   the first and last ("reflect") as often as needed. */
static int64_t mirrored(int64_t i, int64_t n, const char *mode)
{
    if (*mode == 'e') return i < 0 ? 0 : n - 1;
    if (*mode == 'w') return i % n < 0 ? i % n + n : i % n;
    if (n == 1) return 0;
    const int64_t period = 2 * (n - 1), rest = i % period, at = rest < 0 ? rest + period : rest;
    return at < n ? at : period - at;
}

/* Fills both ends of one axis. The rows of outer axes between their own ends are there, those outside come later. */
static void fill_axis(const octet_tensor *out, const padding *pad, int axis, size_t size, const char *mode)
{
    int64_t    steps[OCTET_MAX_RANK];
    octet_walk walk = {.rank = axis + 1};
    octet_dense_steps(steps, out->dims, out->rank);
    for (int i = 0; i < axis; i++) {
        walk.dims[i] = pad->kept[i];
        walk.step[0][i] = steps[i];
        walk.offset[0] += pad->before[i] * steps[i];
    }
    walk.dims[axis] = 1;
    if (octet_walk_rows(&walk) == 0) return;
    const size_t bytes = (size_t)steps[axis] * size;
    do {
        char *const row = (char *)out->data + (size_t)walk.offset[0] * size;
        for (int64_t i = 0; i < out->dims[axis]; i++) {
            const int64_t at = i - pad->before[axis];
            if (at >= 0 && at < pad->kept[axis]) continue;
            const int64_t from = pad->before[axis] + mirrored(at, pad->kept[axis], mode);
            memcpy(row + (size_t)i * bytes, row + (size_t)from * bytes, bytes);
        }
    } while (octet_walk_next(&walk));
}

/* The inside, and where it begins on both sides. */
typedef struct inside {
    octet_move move;
    int64_t    from, to;
    bool       empty;
} inside;

static inside make_inside(const octet_tensor *out, const octet_tensor *in, const padding *pad)
{
    inside at = {.move = {.rank = in->rank}};
    octet_dense_steps(at.move.from_step, in->dims, in->rank);
    octet_dense_steps(at.move.to_step, out->dims, out->rank);
    for (int i = 0; i < in->rank; i++) {
        at.move.dims[i] = pad->kept[i];
        at.empty = at.empty || pad->kept[i] == 0;
        at.from += pad->crop[i] * at.move.from_step[i];
        at.to += pad->before[i] * at.move.to_step[i];
    }
    return at;
}

static void move_inside(const octet_tensor *out, const octet_tensor *in, const padding *pad)
{
    const int64_t size = (int64_t)octet_dtype_size(in->dtype);
    const inside  at = make_inside(out, in, pad);
    if (at.empty) return;
    octet_move_run((char *)out->data + at.to * size, (const char *)in->data + at.from * size, &at.move, (size_t)size);
}

/* The inside, and around it what mode says that the input has there. */
static octet_status pad_around(const octet_call *call, const padding *pad, const char *mode, octet_error *err)
{
    const octet_tensor *const in = call->in[0], *const out = call->out[0];
    OCTET_TRY(octet_check_planned(out, pad->dims, in->rank, err));
    if (octet_tensor_count(out) == 0) return OCTET_OK;
    move_inside(out, in, pad);
    for (int i = in->rank - 1; *mode != 'c' && i >= 0; i--) fill_axis(out, pad, i, octet_dtype_size(in->dtype), mode);
    return OCTET_OK;
}

/* value: bytes of one element, for mode constant. */
static octet_status pad_with(const octet_call *call, const void *value, octet_error *err)
{
    const octet_tensor *const in = call->in[0], *const out = call->out[0];
    const char *const         mode = ((const octet_pad_attrs *)call->attrs)->mode;
    const int64_t             count = octet_tensor_count(out);
    padding                   pad;
    OCTET_TRY(read_pads(&pad, call, err));
    if (!strcmp(mode, "constant") && count > 0) fill(out->data, (size_t)count, value, octet_dtype_size(in->dtype));
    return pad_around(call, &pad, mode, err);
}

static octet_status forward(const octet_call *call, octet_error *err)
{
    static const uint8_t zero[8];
    return pad_with(call, octet_has_input(call, 2) ? call->in[2]->data : zero, err);
}

/* The constant as a level of input 0's parameters: 0 is the zero point. */
static octet_status move_levels(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    const octet_level_rule    rule = octet_level_rule_of(in->qparams, 0, NULL);
    int32_t                   level = rule.zero_point;
    uint8_t                   stored[8];
    if (octet_has_input(call, 2) && !call->in[2]->qparams) call->profile->quantize(&level, call->in[2]->data, 1, &rule);
    octet_levels_store(stored, in->dtype, 0, &level, 1);
    return pad_with(call, stored, err);
}

static octet_status forward_levels(const octet_call *call, octet_error *err)
{
    return octet_forward_levels(call, move_levels, err);
}

/* ---- gradients ---- */

/* Where place i of a padded axis looks in the input. */
static int64_t origin(const padding *pad, int axis, int64_t i, const char *mode)
{
    const int64_t at = i - pad->before[axis];
    const bool    kept = at >= 0 && at < pad->kept[axis];
    return pad->crop[axis] + (kept ? at : mirrored(at, pad->kept[axis], mode));
}

/* Adds the gradients of all places, each to where it looks. */
static void add_mirrored(const octet_tensor *din, const octet_tensor *dout, const padding *pad, const char *mode)
{
    octet_walk walk = {.rank = dout->rank};
    const int  last = dout->rank - 1;
    int64_t    steps[OCTET_MAX_RANK];
    for (int i = 0; i < dout->rank; i++) walk.dims[i] = dout->dims[i];
    octet_dense_steps(walk.step[0], dout->dims, dout->rank);
    octet_dense_steps(steps, din->dims, din->rank);
    do {
        int64_t row = 0;
        for (int i = 0; i < last; i++) row += origin(pad, i, walk.index[i], mode) * steps[i];
        for (int64_t i = 0; i < dout->dims[last]; i++)
            octet_gradient_add(din, row + origin(pad, last, i, mode), dout, walk.offset[0] + i, 1);
    } while (octet_walk_next(&walk));
}

static octet_status backward(const octet_backward_call *call, octet_error *err)
{
    const char *const   mode = ((const octet_pad_attrs *)call->forward->attrs)->mode;
    const octet_tensor *din = call->din[0], *dout = call->dout[0];
    padding             pad;
    if (!octet_gradient_wanted(call, 0) || octet_tensor_count(dout) == 0) return OCTET_OK;
    OCTET_TRY(read_pads(&pad, call->forward, err));
    const int64_t size = (int64_t)octet_dtype_size(din->dtype);
    const inside  at = make_inside(dout, din, &pad);
    if (strcmp(mode, "constant") != 0 && din->rank > 0)
        add_mirrored(din, dout, &pad, mode);
    else if (!at.empty)
        octet_move_back((char *)din->data + at.from * size, (const char *)dout->data + at.to * size, &at.move,
                        din->dtype);
    return OCTET_OK;
}

const octet_op octet_op_pad = {
    .name = "Pad",
    .since = 11,
    .min_inputs = 2,
    .max_inputs = 4,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .attrs = rows,
    .attrs_size = sizeof(octet_pad_attrs),
    .quant = OCTET_QUANT_SAME,
    .infer = infer,
    .forward = forward,
    .forward_integer = forward_levels,
    .scratch_size = octet_levels_scratch,
    .backward = backward,
    .fixed_inputs = 1 << 1 | 1 << 2 | 1 << 3,
};

/* ---- Tile: data, repeats: what lies behind the input wraps around ---- */

static octet_status tile_pads(padding *pad, const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    octet_ints                repeats;
    OCTET_TRY(octet_known_ints(&repeats, call, 1, "repeats", err));
    if (repeats.count != in->rank)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "repeats", "%d numbers for %d dimensions", repeats.count,
                                in->rank);
    *pad = (padding){.before = {0}};
    for (int i = 0; i < in->rank; i++) {
        pad->kept[i] = in->dims[i];
        if (repeats.at[i] < 0 || !octet_mul64(&pad->dims[i], in->dims[i], repeats.at[i]))
            return octet_fail_field(err, OCTET_ERR_SHAPE, "repeats", "axis %d of %lld entries %lld times", i,
                                    (long long)in->dims[i], (long long)repeats.at[i]);
    }
    return OCTET_OK;
}

static octet_status tile_infer(const octet_call *call, octet_error *err)
{
    padding pad;
    OCTET_TRY(tile_pads(&pad, call, err));
    return octet_set_output(call->out[0], call->in[0]->dtype, pad.dims, call->in[0]->rank, err);
}

static octet_status tile_forward(const octet_call *call, octet_error *err)
{
    padding pad;
    OCTET_TRY(tile_pads(&pad, call, err));
    return pad_around(call, &pad, "wrap", err);
}

static octet_status tile_backward(const octet_backward_call *call, octet_error *err)
{
    padding pad;
    if (!octet_gradient_wanted(call, 0) || octet_tensor_count(call->dout[0]) == 0) return OCTET_OK;
    if (call->din[0]->rank == 0) return octet_gradient_same(call, err);
    OCTET_TRY(tile_pads(&pad, call->forward, err));
    add_mirrored(call->din[0], call->dout[0], &pad, "wrap");
    return OCTET_OK;
}

const octet_op octet_op_tile = {
    .name = "Tile",
    .since = 6,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .quant = OCTET_QUANT_SAME,
    .infer = tile_infer,
    .forward = tile_forward,
    .forward_integer = octet_move_levels,
    .scratch_size = octet_levels_scratch,
    .backward = tile_backward,
    .fixed_inputs = 1 << 1,
};
