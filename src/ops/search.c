/* SPDX-License-Identifier: Apache-2.0 */
/* The largest or smallest along an axis: ArgMax, ArgMin, Hardmax, TopK. */
#include "ops/attrs.h"
#include "ops/check.h"
#include "ops/order.h"
#include "ops/rows.h"
#include "ops/scratch.h"

#include <string.h>

#define NUMBERS (OCTET_TYPES_FLOAT | OCTET_TYPES_INT)

/* Index of the extreme of a line; of equals the first, or the last. */
static int64_t extreme(const octet_tensor *x, const octet_lines *lines, int64_t line, bool largest, bool last)
{
    const int64_t start = octet_line_start(lines, line);
    octet_wide    row[OCTET_WIDE_ROW], best = {.i = 0};
    int64_t       found = 0;
    for (int64_t at = 0; at < lines->length; at += OCTET_WIDE_ROW) {
        const size_t n = lines->length - at < OCTET_WIDE_ROW ? (size_t)(lines->length - at) : OCTET_WIDE_ROW;
        octet_wide_load(row, x->data, x->dtype, start + at * lines->step, n, lines->step);
        for (size_t i = 0; i < n; i++) {
            const bool above = octet_wide_less(best, row[i], x->dtype), below = octet_wide_less(row[i], best, x->dtype);
            const bool beats = largest ? above : below, equal = !above && !below;
            if (at + (int64_t)i > 0 && !beats && !(equal && last)) continue;
            best = row[i];
            found = at + (int64_t)i;
        }
    }
    return found;
}

/* ---- ArgMax, ArgMin ---- */

typedef struct extreme_attrs {
    int64_t axis, keepdims, select_last_index;
} extreme_attrs;

static const octet_attr extreme_rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(extreme_attrs, axis)},
    {.name = "keepdims", .kind = OCTET_ATTR_INT, .offset = offsetof(extreme_attrs, keepdims), .default_i = 1},
    {.name = "select_last_index", .kind = OCTET_ATTR_INT, .offset = offsetof(extreme_attrs, select_last_index)},
    {.kind = OCTET_ATTR_END},
};

static octet_status extreme_infer(const octet_call *call, octet_error *err)
{
    const extreme_attrs *const attrs = call->attrs;
    const octet_tensor *const  x = call->in[0];
    int64_t                    dims[OCTET_MAX_RANK];
    int                        axis, rank = 0;
    OCTET_TRY(octet_check_axis(&axis, attrs->axis, x->rank, "axis", err));
    if (x->dims[axis] < 1) return octet_fail_field(err, OCTET_ERR_SHAPE, "axis", "dimension %d is empty", axis);
    for (int i = 0; i < x->rank; i++)
        if (i != axis || attrs->keepdims) dims[rank++] = i == axis ? 1 : x->dims[i];
    return octet_set_output(call->out[0], OCTET_I64, dims, rank, err);
}

static octet_status extreme_forward(const octet_call *call, bool largest, octet_error *err)
{
    const extreme_attrs *const attrs = call->attrs;
    const octet_tensor *const  x = call->in[0];
    int                        axis;
    OCTET_TRY(octet_check_axis(&axis, attrs->axis, x->rank, "axis", err));
    const octet_lines lines = octet_lines_along(x, axis);
    int64_t *const    to = call->out[0]->data;
    for (int64_t i = 0; i < lines.count; i++) to[i] = extreme(x, &lines, i, largest, attrs->select_last_index != 0);
    return OCTET_OK;
}

static octet_status max_forward(const octet_call *call, octet_error *err) { return extreme_forward(call, true, err); }
static octet_status min_forward(const octet_call *call, octet_error *err) { return extreme_forward(call, false, err); }

#define EXTREME                                                                                                        \
    .since = 12, OCTET_ONE_TO_ONE, .types = NUMBERS, .attrs = extreme_rows, .attrs_size = sizeof(extreme_attrs),       \
    .infer = extreme_infer

const octet_op octet_op_arg_max = {.name = "ArgMax", EXTREME, .forward = max_forward};
const octet_op octet_op_arg_min = {.name = "ArgMin", EXTREME, .forward = min_forward};

/* ---- Hardmax: 1 at the first largest of each line, 0 elsewhere ---- */

static const octet_attr hardmax_rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(octet_axis_attrs, axis), .default_i = -1},
    {.kind = OCTET_ATTR_END},
};

static octet_status hardmax_infer(const octet_call *call, octet_error *err)
{
    int axis;
    OCTET_TRY(octet_check_axis(&axis, ((const octet_axis_attrs *)call->attrs)->axis, call->in[0]->rank, "axis", err));
    return octet_infer_same(call, err);
}

static octet_status hardmax_forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const y = call->out[0];
    const octet_wide          one = {.f = 1.0};
    int                       axis;
    OCTET_TRY(octet_check_axis(&axis, ((const octet_axis_attrs *)call->attrs)->axis, x->rank, "axis", err));
    const octet_lines lines = octet_lines_along(x, axis);
    if (lines.length == 0 || lines.count == 0) return OCTET_OK;
    memset(y->data, 0, (size_t)octet_tensor_bytes(y));
    for (int64_t i = 0; i < lines.count; i++)
        octet_wide_store(y->data, y->dtype,
                         octet_line_start(&lines, i) + extreme(x, &lines, i, true, false) * lines.step, &one, 1);
    return OCTET_OK;
}

const octet_op octet_op_hardmax = {
    .name = "Hardmax",
    .since = 13,
    OCTET_ONE_TO_ONE,
    .types = OCTET_TYPES_FLOAT,
    .attrs = hardmax_rows,
    .attrs_size = sizeof(octet_axis_attrs),
    .infer = hardmax_infer,
    .forward = hardmax_forward,
};

/* ---- TopK: x, k -> values, indices. Of equals the one that stands first comes first. ---- */

typedef struct top_attrs {
    int64_t axis, largest, sorted;
} top_attrs;

static const octet_attr top_rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(top_attrs, axis), .default_i = -1},
    {.name = "largest", .kind = OCTET_ATTR_INT, .offset = offsetof(top_attrs, largest), .default_i = 1},
    {.name = "sorted", .kind = OCTET_ATTR_INT, .offset = offsetof(top_attrs, sorted), .default_i = 1},
    {.kind = OCTET_ATTR_END},
};

/* result has the shape of both outputs. */
static octet_status top_shape(octet_tensor *result, int *axis, const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    octet_ints                k;
    OCTET_TRY(octet_check_axis(axis, ((const top_attrs *)call->attrs)->axis, x->rank, "axis", err));
    OCTET_TRY(octet_known_ints(&k, call, 1, "K", err));
    if (k.count != 1 || k.at[0] < 0 || k.at[0] > x->dims[*axis])
        return octet_fail_field(err, OCTET_ERR_SHAPE, "K", "must be one number of 0 to %lld, as many as axis %d has",
                                (long long)x->dims[*axis], *axis);
    *result = *x;
    result->dims[*axis] = k.at[0];
    return OCTET_OK;
}

static octet_status top_infer(const octet_call *call, octet_error *err)
{
    octet_tensor result;
    int          axis;
    OCTET_TRY(top_shape(&result, &axis, call, err));
    for (int i = 0; i < 2; i++)
        if (octet_has_output(call, i))
            OCTET_TRY(octet_set_output(call->out[i], i ? OCTET_I64 : result.dtype, result.dims, result.rank, err));
    return OCTET_OK;
}

typedef struct top_line {
    octet_wide *value;
    int64_t    *index;
    octet_dtype dtype;
    bool        largest;
} top_line;

static bool top_before(const void *context, int64_t a, int64_t b)
{
    const top_line *const line = context;
    const octet_wide      x = line->value[line->largest ? b : a], y = line->value[line->largest ? a : b];
    return octet_wide_less(x, y, line->dtype) || (a < b && !octet_wide_less(y, x, line->dtype));
}

static size_t top_scratch(top_line *line, const octet_call *call, char *data)
{
    int axis = 0;
    octet_check_axis(&axis, ((const top_attrs *)call->attrs)->axis, call->in[0]->rank, "axis", NULL);
    octet_scratch scratch = {.data = data};
    const size_t  n = (size_t)call->in[0]->dims[axis];
    line->value = octet_scratch_take(&scratch, n, sizeof *line->value);
    line->index = octet_scratch_take(&scratch, n, sizeof *line->index);
    return scratch.too_large ? SIZE_MAX : scratch.bytes;
}

static size_t top_scratch_size(const octet_call *call, bool integer)
{
    top_line line;
    return integer ? 0 : top_scratch(&line, call, NULL);
}

static octet_status top_forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    octet_tensor              result;
    int                       axis;
    OCTET_TRY(top_shape(&result, &axis, call, err));
    top_line line = {.dtype = x->dtype, .largest = ((const top_attrs *)call->attrs)->largest != 0};
    top_scratch(&line, call, call->scratch);
    const octet_lines from = octet_lines_along(x, axis), to = octet_lines_along(&result, axis);
    for (int i = 0; i < 2; i++)
        if (octet_has_output(call, i)) OCTET_TRY(octet_check_planned(call->out[i], result.dims, result.rank, err));
    for (int64_t l = 0; l < from.count; l++) {
        octet_wide_load(line.value, x->data, x->dtype, octet_line_start(&from, l), (size_t)from.length, from.step);
        for (int64_t i = 0; i < from.length; i++) line.index[i] = i;
        octet_order(line.index, from.length, top_before, &line);
        for (int64_t i = 0; i < to.length; i++) {
            const int64_t at = octet_line_start(&to, l) + i * to.step;
            if (octet_has_output(call, 0))
                octet_wide_store(call->out[0]->data, x->dtype, at, &line.value[line.index[i]], 1);
            if (octet_has_output(call, 1)) ((int64_t *)call->out[1]->data)[at] = line.index[i];
        }
    }
    return OCTET_OK;
}

const octet_op octet_op_top_k = {
    .name = "TopK",
    .since = 11,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 2,
    .types = NUMBERS,
    .attrs = top_rows,
    .attrs_size = sizeof(top_attrs),
    .infer = top_infer,
    .forward = top_forward,
    .scratch_size = top_scratch_size,
};
