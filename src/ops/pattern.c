/* SPDX-License-Identifier: Apache-2.0 */
/* Results whose elements follow from their place: EyeLike, OneHot, Range, Trilu. */
#include "ops/cast.h"
#include "ops/check.h"
#include "ops/move.h"
#include "ops/order.h"
#include "ops/rows.h"

#include <string.h>

/* Element 0 of an input that is there. */
static octet_wide first_of(const octet_tensor *tensor)
{
    octet_wide value;
    octet_wide_load(&value, tensor->data, tensor->dtype, 0, 1, 1);
    return value;
}

/* ---- EyeLike ---- */

typedef struct eye_attrs {
    int64_t dtype, k; /* dtype 0: the input's */
} eye_attrs;

static const octet_attr eye_rows[] = {
    {.name = "dtype", .kind = OCTET_ATTR_INT, .offset = offsetof(eye_attrs, dtype)},
    {.name = "k", .kind = OCTET_ATTR_INT, .offset = offsetof(eye_attrs, k)},
    {.kind = OCTET_ATTR_END},
};

static octet_status eye_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0];
    octet_dtype               dtype = x->dtype;
    const int64_t             given = ((const eye_attrs *)call->attrs)->dtype;
    if (x->rank != 2) return octet_fail(err, OCTET_ERR_SHAPE, "input has %d dimensions, 2 are needed", x->rank);
    if (given) OCTET_TRY(octet_cast_type(&dtype, given, "dtype", err));
    return octet_set_output(call->out[0], dtype, x->dims, 2, err);
}

/* Whether the diagonal k of a matrix lies, in row r, at column c or further right. No sum may overflow. */
static bool diagonal_from(int64_t r, int64_t c, int64_t k) { return k >= c - r; }

static octet_status eye_forward(const octet_call *call, octet_error *err)
{
    (void)err;
    const octet_tensor *const out = call->out[0];
    const int64_t             rows = out->dims[0], columns = out->dims[1], k = ((const eye_attrs *)call->attrs)->k;
    octet_wide                one = {.i = 1};
    if (octet_tensor_count(out) == 0) return OCTET_OK;
    if (octet_dtype_is_float(out->dtype)) one.f = 1.0;
    memset(out->data, 0, (size_t)octet_tensor_bytes(out));
    for (int64_t r = 0; r < rows; r++)
        if (diagonal_from(r, 0, k) && !diagonal_from(r, columns, k))
            octet_wide_store(out->data, out->dtype, r * columns + r + k, &one, 1);
    return OCTET_OK;
}

const octet_op octet_op_eye_like = {
    .name = "EyeLike",
    .since = 9,
    OCTET_ONE_TO_ONE,
    .types = OCTET_TYPES_ALL,
    .attrs = eye_rows,
    .attrs_size = sizeof(eye_attrs),
    .infer = eye_infer,
    .forward = eye_forward,
};

/* ---- OneHot: indices, depth, values = (off, on) ---- */

typedef struct hot_attrs {
    int64_t axis;
} hot_attrs;

static const octet_attr hot_rows[] = {
    {.name = "axis", .kind = OCTET_ATTR_INT, .offset = offsetof(hot_attrs, axis), .default_i = -1},
    {.kind = OCTET_ATTR_END},
};

/* The result's type and shape, and where its new axis is. */
static octet_status hot_shape(octet_tensor *out, int *axis, const octet_call *call, octet_error *err)
{
    const octet_tensor *const indices = call->in[0], *const depth = call->in[1], *const values = call->in[2];
    OCTET_TRY(octet_check_known(call, 1, "depth", err));
    if (depth->rank > 1 || octet_tensor_count(depth) != 1)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "depth", "input 'depth' must be a single number");
    if (values->rank != 1 || values->dims[0] != 2)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "values", "input 'values' must be two numbers");
    octet_wide entries = first_of(depth);
    octet_wide_convert(&entries, 1, depth->dtype, OCTET_I64);
    if (entries.i < 0) return octet_fail_field(err, OCTET_ERR_SHAPE, "depth", "%lld is negative", (long long)entries.i);
    OCTET_TRY(octet_check_axis(axis, ((const hot_attrs *)call->attrs)->axis, indices->rank + 1, "axis", err));
    int64_t dims[OCTET_MAX_RANK + 1];
    for (int i = 0; i <= indices->rank; i++)
        dims[i] = i == *axis ? entries.i : indices->dims[i < *axis ? i : i - 1];
    return octet_set_output(out, values->dtype, dims, indices->rank + 1, err);
}

static octet_status hot_infer(const octet_call *call, octet_error *err)
{
    int axis;
    return hot_shape(call->out[0], &axis, call, err);
}

static octet_status hot_forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const indices = call->in[0], *const values = call->in[2], *const out = call->out[0];
    const size_t              size = octet_dtype_size(out->dtype);
    octet_tensor              result = {0};
    int                       axis;
    OCTET_TRY(hot_shape(&result, &axis, call, err));
    OCTET_TRY(octet_check_planned(out, result.dims, result.rank, err));
    const int64_t     count = octet_tensor_count(out), depth = out->dims[axis];
    const octet_lines lines = octet_lines_along(out, axis);
    for (int64_t i = 0; i < count; i++) memcpy((char *)out->data + (size_t)i * size, values->data, size);
    for (int64_t i = 0; count > 0 && i < lines.count; i++) {
        octet_wide index;
        octet_wide_load(&index, indices->data, indices->dtype, i, 1, 1);
        octet_wide_convert(&index, 1, indices->dtype, OCTET_I64);
        if (index.i < -depth || index.i >= depth) continue; /* nothing is hot, as ONNX says */
        const int64_t at = octet_line_start(&lines, i) + (index.i < 0 ? index.i + depth : index.i) * lines.step;
        memcpy((char *)out->data + (size_t)at * size, (const char *)values->data + size, size);
    }
    return OCTET_OK;
}

const octet_op octet_op_one_hot = {
    .name = "OneHot",
    .since = 11,
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_FLOAT | OCTET_TYPES_INT,
    .attrs = hot_rows,
    .attrs_size = sizeof(hot_attrs),
    .infer = hot_infer,
    .forward = hot_forward,
};

/* ---- Range: start, limit, delta ---- */

/* Entry i is start + i delta, rounded once. */
typedef struct range {
    octet_wide start, delta;
    int64_t    count;
} range;

static octet_status count_floats(range *r, double limit, octet_error *err)
{
    const double count = ceil((limit - r->start.f) / r->delta.f);
    if (!(count < 0x1p40)) /* NaN, too */
        return octet_fail_field(err, OCTET_ERR_SHAPE, "delta", "%g to %g in steps of %g", r->start.f, limit,
                                r->delta.f);
    r->count = count > 0 ? (int64_t)count : 0;
    return OCTET_OK;
}

static octet_status count_integers(range *r, int64_t limit, octet_error *err)
{
    const bool     up = r->delta.i > 0, any = up ? limit > r->start.i : limit < r->start.i;
    const uint64_t way = (uint64_t)limit - (uint64_t)r->start.i, span = up ? way : 0 - way;
    const uint64_t step = up ? (uint64_t)r->delta.i : 0 - (uint64_t)r->delta.i;
    if (r->delta.i == 0) return octet_fail_field(err, OCTET_ERR_SHAPE, "delta", "a step of 0 never ends");
    const uint64_t count = any ? (span - 1) / step + 1 : 0;
    if (count >> 40)
        return octet_fail_field(err, OCTET_ERR_SHAPE, "delta", "%lld to %lld in steps of %lld", (long long)r->start.i,
                                (long long)limit, (long long)r->delta.i);
    r->count = (int64_t)count;
    return OCTET_OK;
}

static octet_status read_range(range *r, const octet_call *call, octet_error *err)
{
    static const char *const names[3] = {"start", "limit", "delta"};
    for (int i = 0; i < 3; i++) {
        OCTET_TRY(octet_check_known(call, i, names[i], err));
        OCTET_TRY(octet_check_same_type(call, i, names[i], err));
        if (call->in[i]->rank > 1 || octet_tensor_count(call->in[i]) != 1)
            return octet_fail_field(err, OCTET_ERR_SHAPE, names[i], "must be a single number");
    }
    const octet_wide limit = first_of(call->in[1]);
    *r = (range){.start = first_of(call->in[0]), .delta = first_of(call->in[2])};
    return octet_dtype_is_float(call->in[0]->dtype) ? count_floats(r, limit.f, err) : count_integers(r, limit.i, err);
}

static octet_status range_infer(const octet_call *call, octet_error *err)
{
    range r;
    OCTET_TRY(read_range(&r, call, err));
    return octet_set_output(call->out[0], call->in[0]->dtype, &r.count, 1, err);
}

static octet_status range_forward(const octet_call *call, octet_error *err)
{
    range r;
    OCTET_TRY(read_range(&r, call, err));
    OCTET_TRY(octet_check_planned(call->out[0], &r.count, 1, err));
    for (int64_t i = 0; i < r.count; i++) {
        octet_wide value = {.i = (int64_t)((uint64_t)r.start.i + (uint64_t)i * (uint64_t)r.delta.i)};
        if (octet_dtype_is_float(call->in[0]->dtype)) value.f = r.start.f + (double)i * r.delta.f;
        octet_wide_store(call->out[0]->data, call->in[0]->dtype, i, &value, 1);
    }
    return OCTET_OK;
}

const octet_op octet_op_range = {
    .name = "Range",
    .since = 11,
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_FLOAT | 1u << OCTET_I16 | 1u << OCTET_I32 | 1u << OCTET_I64,
    .infer = range_infer,
    .forward = range_forward,
};

/* ---- Trilu: x, k. A triangle of each matrix, zeros elsewhere ---- */

typedef struct triangle_attrs {
    int64_t upper;
} triangle_attrs;

static const octet_attr triangle_rows[] = {
    {.name = "upper", .kind = OCTET_ATTR_INT, .offset = offsetof(triangle_attrs, upper), .default_i = 1},
    {.kind = OCTET_ATTR_END},
};

static octet_status triangle_diagonal(int64_t *k, const octet_call *call, octet_error *err)
{
    octet_ints list = {.count = 1};
    if (octet_has_input(call, 1)) OCTET_TRY(octet_known_ints(&list, call, 1, "k", err));
    if (list.count != 1) return octet_fail_field(err, OCTET_ERR_SHAPE, "k", "%d numbers, need 1", list.count);
    *k = list.at[0];
    return OCTET_OK;
}

static octet_status triangle_infer(const octet_call *call, octet_error *err)
{
    int64_t k;
    if (call->in[0]->rank < 2)
        return octet_fail(err, OCTET_ERR_SHAPE, "input has %d dimensions, 2 are needed", call->in[0]->rank);
    if (octet_has_input(call, 1) && call->in[1]->data) OCTET_TRY(triangle_diagonal(&k, call, err));
    return octet_infer_same(call, err);
}

/* The columns first <= c < last of row r that are kept. */
static void kept_columns(int64_t kept[2], const octet_call *call, int64_t r, int64_t k)
{
    const octet_tensor *const x = call->in[0];
    const bool                upper = ((const triangle_attrs *)call->attrs)->upper != 0;
    const int64_t             columns = x->dims[x->rank - 1];
    /* the diagonal's column in this row, brought into 0..columns; the lower triangle has it too */
    const int64_t at = !diagonal_from(r, 0, k) ? -1 : diagonal_from(r, columns, k) ? columns : r + k;
    kept[0] = upper ? (at < 0 ? 0 : at) : 0;
    kept[1] = upper ? columns : at < columns ? at + 1 : columns;
}

static octet_status triangle_forward(const octet_call *call, octet_error *err)
{
    const octet_tensor *const x = call->in[0], *const y = call->out[0];
    const size_t              size = octet_dtype_size(x->dtype);
    const int64_t             rows = x->dims[x->rank - 2], columns = x->dims[x->rank - 1];
    int64_t                   k = 0, kept[2];
    OCTET_TRY(triangle_diagonal(&k, call, err));
    const int64_t count = octet_tensor_count(x);
    if (count == 0) return OCTET_OK;
    memset(y->data, 0, (size_t)count * size);
    for (int64_t row = 0; row < count / columns; row++) {
        kept_columns(kept, call, row % rows, k);
        const size_t at = (size_t)(row * columns + kept[0]) * size;
        memcpy((char *)y->data + at, (const char *)x->data + at, (size_t)(kept[1] - kept[0]) * size);
    }
    return OCTET_OK;
}

const octet_op octet_op_trilu = {
    .name = "Trilu",
    .since = 14,
    .min_inputs = 1,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .attrs = triangle_rows,
    .attrs_size = sizeof(triangle_attrs),
    .infer = triangle_infer,
    .forward = triangle_forward,
};
