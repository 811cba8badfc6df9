/* SPDX-License-Identifier: Apache-2.0 */
/* The geometry of a sliding window in any number of dimensions: attributes and shapes turned into numbers, once, for
   Conv and the pools alike. */
#ifndef OCTET_OPS_WINDOW_H
#define OCTET_OPS_WINDOW_H

#include "ops/attrs.h"

enum { OCTET_SPATIAL_MAX = OCTET_MAX_RANK - 2 };

typedef struct octet_window {
    int     rank; /* spatial dimensions */
    int64_t in[OCTET_SPATIAL_MAX], out[OCTET_SPATIAL_MAX], kernel[OCTET_SPATIAL_MAX], stride[OCTET_SPATIAL_MAX],
        dilation[OCTET_SPATIAL_MAX];
    int64_t pad[OCTET_SPATIAL_MAX], pad_end[OCTET_SPATIAL_MAX]; /* before, after; auto_pad resolved */
} octet_window;

/* From input 0 (batch, channels, space...) and the attributes of call. kernel: the window's size where the weights
   give it; NULL: the attribute kernel_shape does. On a call that was inferred before, it cannot fail. */
octet_status octet_window_make(octet_window *window, const octet_call *call, const int64_t *kernel, octet_error *err);

/* The same of a ConvTranspose or MaxUnpool, as the window of the Conv that it turns around: window->out is the space of
   input 0, window->in that of the output. A given output_shape may exceed what windows reach: the rest gets the bias
   alone. */
octet_status octet_window_make_transposed(octet_window *window, const octet_call *call, const int64_t *kernel,
                                          octet_error *err);

/* [batch, channels, window->out...] */
octet_status octet_window_output(const octet_call *call, int index, octet_dtype dtype, int64_t channels,
                                 const octet_window *window, octet_error *err);

/* The product of n dimensions; INT64_MAX where it overflows. */
int64_t octet_product(const int64_t *dims, int n);

#endif
