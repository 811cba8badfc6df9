/* SPDX-License-Identifier: Apache-2.0 */
/* What every infer function needs to doubt a file: axes, lists that come as inputs, sizes. Each failure names the
   attribute or input concerned. */
#ifndef OCTET_OPS_CHECK_H
#define OCTET_OPS_CHECK_H

#include "graph/op.h"

/* octet_fail with field set. Returns status, whether or not err is NULL. */
octet_status octet_fail_field(octet_error *err, octet_status status, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static inline bool octet_has_input(const octet_call *call, int slot)
{
    return slot < call->in_count && call->in[slot] != NULL;
}

static inline bool octet_has_output(const octet_call *call, int slot)
{
    return slot < call->out_count && call->out[slot] != NULL;
}

/* Brings an axis from -rank..rank-1 to 0..rank-1. */
octet_status octet_check_axis(int *axis, int64_t given, int rank, const char *field, octet_error *err);

/* The same for a list: axis[i] of list->at[i]; none may come twice. axis has room for OCTET_INTS_MAX entries. */
octet_status octet_check_axes(int *axis, const octet_ints *list, int rank, const char *field, octet_error *err);

/* Entry i of a tensor of type int32 or int64. */
int64_t octet_int_at(const octet_tensor *tensor, int64_t i);

/* The entries of a tensor of type int32 or int64 and at most one dimension; false where it is none such, its value is
   not known, or it has more than OCTET_INTS_MAX. */
bool octet_list_of(octet_ints *list, const octet_tensor *tensor);

/* The entries of an int32 or int64 input of at most one dimension, whose value must be known by now. */
octet_status octet_known_ints(octet_ints *list, const octet_call *call, int slot, const char *name, octet_error *err);

/* The input is there, and its value is known by now. */
octet_status octet_check_known(const octet_call *call, int slot, const char *name, octet_error *err);

/* An optional input of one element, of the type of input 0. */
octet_status octet_check_scalar(const octet_call *call, int slot, const char *name, octet_error *err);

/* Sets type and dimensions; refuses more than OCTET_MAX_RANK dimensions, negative ones, and more bytes than int64_t
   holds. */
octet_status octet_set_output(octet_tensor *out, octet_dtype dtype, const int64_t *dims, int rank, octet_error *err);

/* Input slot, called name, has the type of input 0. */
octet_status octet_check_same_type(const octet_call *call, int slot, const char *name, octet_error *err);

/* An optional input "B" of one number a channel, of the type of input 0. */
octet_status octet_check_bias(const octet_call *call, int slot, int64_t channels, octet_error *err);

/* Infer of operators whose outputs have input 0's type and shape. */
octet_status octet_infer_same(const octet_call *call, octet_error *err);

/* The shape that a and b are stretched to together. */
octet_status octet_broadcast(int64_t *dims, int *rank, const octet_tensor *a, const octet_tensor *b, octet_error *err);

/* In a forward function: a value that shaped the plan came out different when it ran. */
octet_status octet_check_planned(const octet_tensor *out, const int64_t *dims, int rank, octet_error *err);

static inline bool octet_same_dims(const octet_tensor *a, const octet_tensor *b)
{
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) same = a->dims[i] == b->dims[i];
    return same;
}

#endif
