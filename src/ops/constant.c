/* SPDX-License-Identifier: Apache-2.0 */
/* Operators whose result is known without running anything else: Constant, ConstantOfShape, Shape, Size. */
#include "ops/check.h"
#include "ops/rows.h"

#include <math.h>
#include <string.h>

/* ---- Constant: exactly one of its attributes. value_int and value_float have a default that stands for absent. ----
 */

typedef struct constant_attrs {
    const octet_tensor *value;
    float               value_float; /* NaN: not given */
    octet_floats        value_floats;
    int64_t             value_int; /* INT64_MIN: not given */
    octet_ints          value_ints;
} constant_attrs;

static const octet_attr constant_rows[] = {
    {.name = "value", .kind = OCTET_ATTR_TENSOR, .offset = offsetof(constant_attrs, value)},
    {.name = "value_float",
     .kind = OCTET_ATTR_FLOAT,
     .offset = offsetof(constant_attrs, value_float),
     .default_f = NAN},
    {.name = "value_floats", .kind = OCTET_ATTR_FLOATS, .offset = offsetof(constant_attrs, value_floats)},
    {.name = "value_int",
     .kind = OCTET_ATTR_INT,
     .offset = offsetof(constant_attrs, value_int),
     .default_i = INT64_MIN},
    {.name = "value_ints", .kind = OCTET_ATTR_INTS, .offset = offsetof(constant_attrs, value_ints)},
    {.kind = OCTET_ATTR_END},
};

/* The constant as a tensor whose data is the attribute's own. */
static octet_status constant_value(octet_tensor *result, const octet_call *call, octet_error *err)
{
    const constant_attrs *const attrs = call->attrs;
    const octet_tensor          choices[] = {
                 {.dtype = OCTET_F32, .data = (void *)&attrs->value_float},
                 {.dtype = OCTET_F32,
                  .rank = 1,
                  .dims = {(int64_t)attrs->value_floats.count},
                  .data = (void *)attrs->value_floats.at},
                 {.dtype = OCTET_I64, .data = (void *)&attrs->value_int},
                 {.dtype = OCTET_I64,
                  .rank = 1,
                  .dims = {attrs->value_ints.count},
                  .data = (void *)attrs->value_ints.at},
    };
    const bool given[] = {!isnan(attrs->value_float), attrs->value_floats.count > 0, attrs->value_int != INT64_MIN,
                          attrs->value_ints.count > 0};
    int        found = attrs->value != NULL;
    if (attrs->value) *result = *attrs->value;
    for (int i = 0; i < 4; i++) {
        if (given[i]) *result = choices[i];
        found += given[i];
    }
    if (found == 1) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_FORMAT, "value",
                            found ? "more than one value is given" : "no value is given");
}

static octet_status constant_infer(const octet_call *call, octet_error *err)
{
    octet_tensor value = {0};
    OCTET_TRY(constant_value(&value, call, err));
    return octet_set_output(call->out[0], value.dtype, value.dims, value.rank, err);
}

static octet_status constant_forward(const octet_call *call, octet_error *err)
{
    octet_tensor value = {0};
    OCTET_TRY(constant_value(&value, call, err));
    const size_t bytes = (size_t)octet_tensor_bytes(&value);
    if (bytes > 0) memcpy(call->out[0]->data, value.data, bytes);
    return OCTET_OK;
}

const octet_op octet_op_constant = {
    .name = "Constant",
    .since = 12,
    .min_outputs = 1,
    .max_outputs = 1,
    .types = OCTET_TYPES_ALL,
    .attrs = constant_rows,
    .attrs_size = sizeof(constant_attrs),
    .infer = constant_infer,
    .forward = constant_forward,
};

/* ---- ConstantOfShape: shape ---- */

typedef struct fill_attrs {
    const octet_tensor *value; /* one element; not given: float 0 */
} fill_attrs;

static const octet_attr fill_rows[] = {
    {.name = "value", .kind = OCTET_ATTR_TENSOR, .offset = offsetof(fill_attrs, value)},
    {.kind = OCTET_ATTR_END},
};

static octet_status fill_infer(const octet_call *call, octet_error *err)
{
    const octet_tensor *const value = ((const fill_attrs *)call->attrs)->value;
    octet_ints                shape;
    OCTET_TRY(octet_known_ints(&shape, call, 0, "input", err));
    if (value && (octet_tensor_count(value) != 1 || !value->data))
        return octet_fail_field(err, OCTET_ERR_FORMAT, "value", "a tensor of one element is needed");
    for (int i = 0; i < shape.count; i++)
        if (shape.at[i] < 0)
            return octet_fail_field(err, OCTET_ERR_SHAPE, "input", "dimension %lld is negative",
                                    (long long)shape.at[i]);
    return octet_set_output(call->out[0], value ? value->dtype : OCTET_F32, shape.at, shape.count, err);
}

static octet_status fill_forward(const octet_call *call, octet_error *err)
{
    octet_tensor *const       out = call->out[0];
    const octet_tensor *const value = ((const fill_attrs *)call->attrs)->value;
    const size_t              size = octet_dtype_size(out->dtype), count = (size_t)octet_tensor_count(out);
    octet_ints                shape;
    OCTET_TRY(octet_known_ints(&shape, call, 0, "input", err));
    OCTET_TRY(octet_check_planned(out, shape.at, shape.count, err));
    if (!value && count > 0) memset(out->data, 0, count * size);
    for (size_t i = 0; value && i < count; i++) memcpy((char *)out->data + i * size, value->data, size);
    return OCTET_OK;
}

const octet_op octet_op_constant_of_shape = {
    .name = "ConstantOfShape",
    .since = 9,
    OCTET_ONE_TO_ONE,
    .types = OCTET_TYPE(OCTET_I64),
    .attrs = fill_rows,
    .attrs_size = sizeof(fill_attrs),
    .infer = fill_infer,
    .forward = fill_forward,
};

/* ---- Shape: the dimensions start..end of its input ---- */

typedef struct shape_attrs {
    int64_t start, end;
} shape_attrs;

static const octet_attr shape_rows[] = {
    {.name = "end", .kind = OCTET_ATTR_INT, .offset = offsetof(shape_attrs, end), .default_i = INT64_MAX},
    {.name = "start", .kind = OCTET_ATTR_INT, .offset = offsetof(shape_attrs, start)},
    {.kind = OCTET_ATTR_END},
};

/* Counted from the end where negative, then brought into 0..rank. */
static int clamped(int64_t at, int rank)
{
    const int64_t from_start = at < 0 ? at + rank : at;
    return from_start < 0 ? 0 : from_start > rank ? rank : (int)from_start;
}

static octet_status shape_infer(const octet_call *call, octet_error *err)
{
    const shape_attrs *const attrs = call->attrs;
    const int                rank = call->in[0]->rank;
    const int64_t            count = clamped(attrs->end, rank) - clamped(attrs->start, rank);
    return octet_set_output(call->out[0], OCTET_I64, &(int64_t){count > 0 ? count : 0}, 1, err);
}

static octet_status shape_forward(const octet_call *call, octet_error *err)
{
    (void)err;
    const octet_tensor *const in = call->in[0];
    const int                 start = clamped(((const shape_attrs *)call->attrs)->start, in->rank);
    const size_t              bytes = (size_t)octet_tensor_bytes(call->out[0]);
    if (bytes > 0) memcpy(call->out[0]->data, in->dims + start, bytes);
    return OCTET_OK;
}

const octet_op octet_op_shape = {
    .name = "Shape",
    .since = 1,
    OCTET_ONE_TO_ONE,
    .types = OCTET_TYPES_ALL,
    .attrs = shape_rows,
    .attrs_size = sizeof(shape_attrs),
    .flags = OCTET_OP_SHAPE,
    .infer = shape_infer,
    .forward = shape_forward,
};

/* ---- Size ---- */

static octet_status size_infer(const octet_call *call, octet_error *err)
{
    return octet_set_output(call->out[0], OCTET_I64, NULL, 0, err);
}

static octet_status size_forward(const octet_call *call, octet_error *err)
{
    (void)err;
    *(int64_t *)call->out[0]->data = octet_tensor_count(call->in[0]);
    return OCTET_OK;
}

const octet_op octet_op_size = {
    .name = "Size",
    .since = 1,
    OCTET_ONE_TO_ONE,
    .types = OCTET_TYPES_ALL,
    .flags = OCTET_OP_SHAPE,
    .infer = size_infer,
    .forward = size_forward,
};
