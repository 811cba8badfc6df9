/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that are made of others: once shapes are known the reader puts those in their place, so that every rule,
   pass and engine finds what it knows. What goes wrong on the way is kept, and all that follows does nothing: whoever
   expands looks at the status once, at the end. */
#ifndef OCTET_ONNX_EXPAND_H
#define OCTET_ONNX_EXPAND_H

#include "onnx/read.h"

typedef struct octet_expansion {
    octet_graph *graph;
    octet_arena *arena; /* for names */
    octet_node  *node; /* that is replaced */
    octet_node  *last; /* that was made */
    octet_status status;
    octet_error *err;
} octet_expansion;

/* The result of a new node of op; inputs may be NULL where op leaves some out. */
octet_value *octet_expand(octet_expansion *e, const char *op, octet_value *const *inputs, size_t count);
#define OCTET_EXPAND(e, op, ...)                                                                                       \
    octet_expand(e, op, (octet_value *const[]){__VA_ARGS__},                                                           \
                 sizeof((octet_value *const[]){__VA_ARGS__}) / sizeof(octet_value *))

/* Attributes of the last node. */
void octet_expand_int(octet_expansion *e, const char *name, int64_t value);
void octet_expand_ints(octet_expansion *e, const char *name, int count, const int64_t *values);

void octet_expand_float(octet_expansion *e, const char *name, float value);

/* Constants: a tensor, a list of int64, a single number of a type. */
octet_value *octet_expand_constant(octet_expansion *e, const octet_tensor *tensor);
octet_value *octet_expand_list(octet_expansion *e, int64_t count, const int64_t *values);
octet_value *octet_expand_number(octet_expansion *e, octet_dtype dtype, double number);

/* A Reshape to dims, a Transpose by perm, a Cast. */
octet_value *octet_expand_reshape(octet_expansion *e, octet_value *x, int count, const int64_t *dims);
octet_value *octet_expand_transpose(octet_expansion *e, octet_value *x, int count, const int64_t *perm);
octet_value *octet_expand_cast(octet_expansion *e, octet_value *x, octet_dtype dtype);

/* value is what the replaced node's output slot was; nothing where nobody wants that. */
void octet_expand_result(octet_expansion *e, int slot, octet_value *value);

/* Keeps the first failure. */
void octet_expand_fail(octet_expansion *e, const char *why);

/* read_attention.c */
void octet_expand_attention(octet_expansion *e);
void octet_expand_rotary(octet_expansion *e);

/* read_stft.c */
void octet_expand_stft(octet_expansion *e);
void octet_expand_swi_glu(octet_expansion *e);

#endif
