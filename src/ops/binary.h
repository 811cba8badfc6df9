/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of Add, Sub, Mul, Div and Min share. */
#ifndef OCTET_OPS_BINARY_H
#define OCTET_OPS_BINARY_H

#include "ops/move.h"

/* The rows of a call: operand 0 is the output, 1 and 2 are the inputs. */
octet_walk octet_binary_rows(const octet_call *call);

octet_status octet_add_backward(const octet_backward_call *call, octet_error *err);
octet_status octet_sub_backward(const octet_backward_call *call, octet_error *err);
octet_status octet_mul_backward(const octet_backward_call *call, octet_error *err);
octet_status octet_div_backward(const octet_backward_call *call, octet_error *err);

#endif
