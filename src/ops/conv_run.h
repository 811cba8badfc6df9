/* SPDX-License-Identifier: Apache-2.0 */
/* What conv_run.c and conv_backward.c do for the row of Conv. */
#ifndef OCTET_OPS_CONV_RUN_H
#define OCTET_OPS_CONV_RUN_H

#include "ops/conv.h"

size_t       octet_conv_scratch(const octet_call *call, bool integer);
octet_status octet_conv_forward(const octet_call *call, octet_error *err);
octet_status octet_conv_forward_integer(const octet_call *call, octet_error *err);

size_t       octet_conv_backward_scratch(const octet_call *call);
octet_status octet_conv_backward(const octet_backward_call *call, octet_error *err);

#endif
