/* SPDX-License-Identifier: Apache-2.0 */
/* What conv_run.c, conv_backward.c and conv_transpose_run.c do for the rows of Conv and ConvTranspose. */
#ifndef OCTET_OPS_CONV_RUN_H
#define OCTET_OPS_CONV_RUN_H

#include "ops/conv.h"

size_t       octet_conv_scratch(const octet_call *call, bool integer);
octet_status octet_conv_forward(const octet_call *call, octet_error *err);
octet_status octet_conv_forward_integer(const octet_call *call, octet_error *err);

size_t       octet_conv_backward_scratch(const octet_call *call);
octet_status octet_conv_backward(const octet_backward_call *call, octet_error *err);

size_t       octet_conv_transpose_scratch(const octet_call *call, bool integer);
octet_status octet_conv_transpose_forward(const octet_call *call, octet_error *err);
octet_status octet_conv_transpose_forward_integer(const octet_call *call, octet_error *err);

size_t       octet_conv_transpose_backward_scratch(const octet_call *call);
octet_status octet_conv_transpose_backward(const octet_backward_call *call, octet_error *err);

/* ---- a Conv whose window is known: what the gradient of a ConvTranspose is made of ---- */

size_t       octet_conv_scratch_in(const octet_call *call, const octet_window *window, bool integer);
octet_status octet_conv_forward_in(const octet_call *call, const octet_window *window, octet_error *err);
size_t       octet_conv_backward_scratch_in(const octet_call *call, const octet_window *window);
octet_status octet_conv_backward_in(const octet_backward_call *call, const octet_window *window, octet_error *err);

/* The window of a Conv that was inferred before; false: it was not. */
static inline bool octet_conv_window(octet_window *window, const octet_call *call)
{
    return octet_window_make(window, call, call->in[1]->dims + 2, NULL) == OCTET_OK;
}

/* din[2] of either: dout, summed over images and positions. */
void octet_conv_bias_gradient(const octet_backward_call *call);

#endif
