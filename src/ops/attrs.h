/* SPDX-License-Identifier: Apache-2.0 */
/* Attribute structs of the operators, in canonical form. A family's octet_attr rows fill them; passes and engines
   read them. */
#ifndef OCTET_OPS_ATTRS_H
#define OCTET_OPS_ATTRS_H

#include "graph/op.h"

/* Everything that slides a window: Conv, AveragePool, MaxPool. ops/window.h turns it into numbers. */
typedef struct octet_window_attrs {
    const char *auto_pad; /* "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID" */
    octet_ints  kernel_shape, strides, pads, dilations;
    int64_t     group; /* Conv */
    int64_t     ceil_mode, count_include_pad, storage_order; /* pools */
} octet_window_attrs;

extern const octet_attr octet_conv_attrs[]; /* of Conv and what computes like it */

typedef struct octet_gemm_attrs {
    float   alpha, beta;
    int64_t trans_a, trans_b;
} octet_gemm_attrs;

typedef struct octet_batch_norm_attrs {
    float   epsilon, momentum;
    int64_t training_mode;
} octet_batch_norm_attrs;

typedef struct octet_reduce_attrs {
    octet_ints axes; /* none: all */
    int64_t    keepdims;
} octet_reduce_attrs;

typedef struct octet_softmax_attrs {
    int64_t axis;
} octet_softmax_attrs;

typedef struct octet_axis_attrs { /* Concat, Flatten, Gather, Split, QuantizeLinear, DequantizeLinear */
    int64_t axis;
} octet_axis_attrs;

typedef struct octet_transpose_attrs {
    octet_ints perm; /* none: the dimensions in reverse */
} octet_transpose_attrs;

typedef struct octet_depth_attrs {
    int64_t     blocksize;
    const char *mode; /* "DCR", "CRD" */
} octet_depth_attrs;

typedef struct octet_pad_attrs {
    const char *mode; /* "constant", "reflect", "edge" */
} octet_pad_attrs;

typedef struct octet_recurrent_attrs { /* LSTM, GRU, RNN */
    octet_floats  activation_alpha, activation_beta;
    octet_strings activations;
    float         clip; /* 0: none */
    const char   *direction; /* "forward", "reverse", "bidirectional" */
    int64_t       hidden_size; /* 0: as R says */
    int64_t       layout;
    int64_t       input_forget;        /* LSTM */
    int64_t       linear_before_reset; /* GRU */
} octet_recurrent_attrs;

typedef struct octet_cast_attrs {
    int64_t to; /* TensorProto.DataType */
} octet_cast_attrs;

typedef struct octet_resize_attrs {
    const char *coordinate_transformation_mode, *mode, *nearest_mode;
    float       cubic_coeff_a, extrapolation_value;
    int64_t     exclude_outside;
} octet_resize_attrs;

#endif
