/* SPDX-License-Identifier: Apache-2.0 */
/* Two tensors stretched to one shape: what the families of Add, of comparisons and of n inputs share. */
#ifndef OCTET_OPS_BINARY_H
#define OCTET_OPS_BINARY_H

#include "ops/move.h"
#include "ops/wide.h"

/* Operations that keep their inputs' type. PRelu: a where it is not below zero, else a * b. */
typedef enum octet_binary {
    OCTET_BINARY_ADD,
    OCTET_BINARY_SUB,
    OCTET_BINARY_MUL,
    OCTET_BINARY_DIV,
    OCTET_BINARY_MIN,
    OCTET_BINARY_MAX,
    OCTET_BINARY_PRELU,
} octet_binary;

/* out = what(in[0], in[1]) in real numbers or integers; call->node may be NULL. out may be in[0] where that has its
   shape. */
octet_status octet_binary_real(const octet_call *call, octet_binary what);

/* Any types, by rows of their wide forms: row leaves in a what is stored as output 0's type. what is handed on. */
typedef void octet_binary_row(octet_wide *a, const octet_wide *b, size_t n, const octet_call *call, int what);
void octet_binary_wide(const octet_call *call, octet_binary_row *row, int what);

/* Both inputs of one type; output 0 has it (octet_infer_binary) or is of type dtype. */
octet_status octet_infer_binary(const octet_call *call, octet_error *err);
octet_status octet_infer_binary_to(const octet_call *call, octet_dtype dtype, octet_error *err);

/* The rows of a call: operand 0 is the output, 1 and 2 are the inputs. */
octet_walk octet_binary_rows(const octet_call *call);

/* n levels of in, less its zero point, from element at on, step apart. */
void octet_binary_offsets(int32_t *level, const octet_tensor *in, int64_t at, size_t n, int64_t step);

octet_status octet_add_backward(const octet_backward_call *call, octet_error *err);
octet_status octet_sub_backward(const octet_backward_call *call, octet_error *err);
octet_status octet_mul_backward(const octet_backward_call *call, octet_error *err);
octet_status octet_div_backward(const octet_backward_call *call, octet_error *err);
octet_status octet_pow_backward(const octet_backward_call *call, octet_error *err);
octet_status octet_prelu_backward(const octet_backward_call *call, octet_error *err);

#endif
