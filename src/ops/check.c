/* SPDX-License-Identifier: Apache-2.0 */
/* Checks shared by infer functions (check.h). */
#include "ops/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

octet_status octet_fail_field(octet_error *err, octet_status status, const char *field, const char *format, ...)
{
    char    text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    octet_fail(err, status, "%s", text);
    octet_error_field(err, field);
    return status;
}

octet_status octet_check_axis(int *axis, int64_t given, int rank, const char *field, octet_error *err)
{
    if (given < -rank || given >= rank)
        return octet_fail_field(err, OCTET_ERR_SHAPE, field, "axis %lld is outside a tensor of %d dimensions",
                                (long long)given, rank);
    *axis = (int)(given < 0 ? given + rank : given);
    return OCTET_OK;
}

octet_status octet_check_axes(int *axis, const octet_ints *list, int rank, const char *field, octet_error *err)
{
    bool seen[OCTET_MAX_RANK + OCTET_INTS_MAX] = {false};
    for (int i = 0; i < list->count; i++) {
        OCTET_TRY(octet_check_axis(&axis[i], list->at[i], rank, field, err));
        if (seen[axis[i]])
            return octet_fail_field(err, OCTET_ERR_SHAPE, field, "axis %lld is given twice", (long long)list->at[i]);
        seen[axis[i]] = true;
    }
    return OCTET_OK;
}

int64_t octet_int_at(const octet_tensor *tensor, int64_t i)
{
    return tensor->dtype == OCTET_I32 ? ((const int32_t *)tensor->data)[i] : ((const int64_t *)tensor->data)[i];
}

octet_status octet_check_known(const octet_call *call, int slot, const char *name, octet_error *err)
{
    if (!octet_has_input(call, slot))
        return octet_fail_field(err, OCTET_ERR_FORMAT, name, "input '%s' is missing", name);
    if (!call->in[slot]->data && octet_tensor_count(call->in[slot]) != 0) {
        if (call->needs_value) *call->needs_value = true;
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, name,
                                "input '%s' is computed at run time; a constant value is needed", name);
    }
    return OCTET_OK;
}

bool octet_list_of(octet_ints *list, const octet_tensor *tensor)
{
    const int64_t count = octet_tensor_count(tensor);
    const bool    integers = tensor->dtype == OCTET_I64 || tensor->dtype == OCTET_I32;
    if (!integers || tensor->rank > 1 || count < 0 || count > OCTET_INTS_MAX || (count > 0 && !tensor->data))
        return false;
    list->count = (int)count;
    for (int i = 0; i < list->count; i++) list->at[i] = octet_int_at(tensor, i);
    return true;
}

octet_status octet_known_ints(octet_ints *list, const octet_call *call, int slot, const char *name, octet_error *err)
{
    OCTET_TRY(octet_check_known(call, slot, name, err));
    const octet_tensor *const in = call->in[slot];
    if (in->dtype != OCTET_I64 && in->dtype != OCTET_I32)
        return octet_fail_field(err, OCTET_ERR_SHAPE, name, "input '%s' has type %s, int32 or int64 is needed", name,
                                octet_dtype_name(in->dtype));
    const int64_t count = octet_tensor_count(in);
    if (in->rank > 1 || count < 0 || count > OCTET_INTS_MAX)
        return octet_fail_field(err, OCTET_ERR_SHAPE, name, "input '%s' must be a list of at most %d numbers", name,
                                OCTET_INTS_MAX);
    octet_list_of(list, in);
    return OCTET_OK;
}

octet_status octet_check_scalar(const octet_call *call, int slot, const char *name, octet_error *err)
{
    if (!octet_has_input(call, slot)) return OCTET_OK;
    const octet_tensor *const in = call->in[slot];
    if (in->dtype != call->in[0]->dtype)
        return octet_fail_field(err, OCTET_ERR_SHAPE, name, "input '%s' has type %s, the data has %s", name,
                                octet_dtype_name(in->dtype), octet_dtype_name(call->in[0]->dtype));
    if (in->rank > 1 || octet_tensor_count(in) != 1)
        return octet_fail_field(err, OCTET_ERR_SHAPE, name, "input '%s' must be a single number", name);
    return OCTET_OK;
}

octet_status octet_set_output(octet_tensor *out, octet_dtype dtype, const int64_t *dims, int rank, octet_error *err)
{
    if (rank < 0 || rank > OCTET_MAX_RANK)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "the result has %d dimensions, at most %d are supported", rank,
                          OCTET_MAX_RANK);
    octet_tensor result = {.dtype = dtype, .rank = rank};
    for (int i = 0; i < rank; i++) result.dims[i] = dims[i];
    if (octet_tensor_bytes(&result) < 0) {
        char text[160];
        return octet_fail(err, OCTET_ERR_SHAPE, "a result of shape %s is not possible",
                          octet_shape_text(text, sizeof text, dims, rank));
    }
    out->dtype = dtype;
    out->rank = rank;
    for (int i = 0; i < rank; i++) out->dims[i] = dims[i];
    return OCTET_OK;
}

octet_status octet_check_same_type(const octet_call *call, int slot, const char *name, octet_error *err)
{
    if (call->in[slot]->dtype == call->in[0]->dtype) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_SHAPE, name, "input '%s' has type %s, the data has %s", name,
                            octet_dtype_name(call->in[slot]->dtype), octet_dtype_name(call->in[0]->dtype));
}

octet_status octet_check_bias(const octet_call *call, int slot, int64_t channels, octet_error *err)
{
    if (!octet_has_input(call, slot)) return OCTET_OK;
    const octet_tensor *const b = call->in[slot];
    OCTET_TRY(octet_check_same_type(call, slot, "B", err));
    if (b->rank == 1 && b->dims[0] == channels) return OCTET_OK;
    char text[160];
    return octet_fail_field(err, OCTET_ERR_SHAPE, "B", "the bias has shape %s; [%" PRId64 "] is needed",
                            octet_shape_text(text, sizeof text, b->dims, b->rank), channels);
}

octet_status octet_infer_same(const octet_call *call, octet_error *err)
{
    const octet_tensor *const in = call->in[0];
    for (int i = 0; i < call->out_count; i++)
        if (call->out[i]) OCTET_TRY(octet_set_output(call->out[i], in->dtype, in->dims, in->rank, err));
    return OCTET_OK;
}

octet_status octet_broadcast(int64_t *dims, int *rank, const octet_tensor *a, const octet_tensor *b, octet_error *err)
{
    *rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < *rank; i++) {
        const int     at_a = i - (*rank - a->rank), at_b = i - (*rank - b->rank);
        const int64_t n = at_a < 0 ? 1 : a->dims[at_a], m = at_b < 0 ? 1 : b->dims[at_b];
        if (n != m && n != 1 && m != 1) {
            char left[128], right[128];
            return octet_fail(err, OCTET_ERR_SHAPE, "shapes %s and %s do not broadcast",
                              octet_shape_text(left, sizeof left, a->dims, a->rank),
                              octet_shape_text(right, sizeof right, b->dims, b->rank));
        }
        dims[i] = n == 1 ? m : n;
    }
    return OCTET_OK;
}

octet_status octet_check_planned(const octet_tensor *out, const int64_t *dims, int rank, octet_error *err)
{
    bool same = rank == out->rank;
    for (int i = 0; same && i < rank; i++) same = dims[i] == out->dims[i];
    if (same) return OCTET_OK;
    char text[128];
    return octet_fail(err, OCTET_ERR_ARGUMENT, "the inputs give a result of shape %s, planned was another",
                      octet_shape_text(text, sizeof text, dims, rank));
}
