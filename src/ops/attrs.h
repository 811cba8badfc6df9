/* SPDX-License-Identifier: Apache-2.0 */
/* Attribute structs of the operators, in canonical form. A family's octet_attr rows fill them; passes and engines
   read them. */
#ifndef OCTET_OPS_ATTRS_H
#define OCTET_OPS_ATTRS_H

#include "graph/op.h"

/* Everything that slides a window: Conv, ConvTranspose, the pools. ops/window.h turns it into numbers. */
typedef struct octet_window_attrs {
    const char *auto_pad; /* "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID" */
    octet_ints  kernel_shape, strides, pads, dilations;
    int64_t     group; /* Conv, ConvTranspose */
    octet_ints  output_padding, output_shape; /* ConvTranspose */
    int64_t     ceil_mode, count_include_pad, storage_order; /* pools */
    int64_t     p; /* LpPool, GlobalLpPool */
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

typedef struct octet_norm_attrs { /* LayerNormalization and its like */
    float   epsilon;
    int64_t axis, num_groups, stash_type;
} octet_norm_attrs;

typedef struct octet_reduce_attrs {
    int64_t keepdims, noop_with_empty_axes;
} octet_reduce_attrs;

typedef struct octet_softmax_attrs {
    int64_t axis;
} octet_softmax_attrs;

typedef struct octet_axis_attrs { /* Concat, Flatten, Gather */
    int64_t axis;
} octet_axis_attrs;

typedef struct octet_linear_attrs { /* QuantizeLinear, DequantizeLinear */
    int64_t axis, block_size; /* block_size 0: no blocks */
} octet_linear_attrs;

typedef struct octet_split_attrs {
    int64_t axis, num_outputs; /* num_outputs 0: not given, all parts are equal; else the last may be smaller */
} octet_split_attrs;

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

typedef struct octet_attention_attrs {
    int64_t q_num_heads, kv_num_heads; /* of inputs of three dimensions; 0: not given */
    int64_t is_causal, qk_matmul_output_mode, softmax_precision; /* precision 0: as the scores are */
    int64_t left_window_size, right_window_size; /* -1: none */
    float   scale; /* 0: one over the root of the head's size */
    float   softcap; /* 0: none */
} octet_attention_attrs;

typedef struct octet_rotary_attrs {
    int64_t interleaved, rotary_embedding_dim, num_heads; /* dim 0: all; heads 0: not given */
} octet_rotary_attrs;

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
    const char *coordinate_transformation_mode, *mode, *nearest_mode, *keep_aspect_ratio_policy;
    float       cubic_coeff_a, extrapolation_value;
    int64_t     exclude_outside, antialias;
    octet_ints  axes; /* of roi, scales and sizes; none: all */
} octet_resize_attrs;

typedef struct octet_grid_sample_attrs {
    int64_t     align_corners;
    const char *mode, *padding_mode;
} octet_grid_sample_attrs;

typedef struct octet_roi_align_attrs {
    const char *coordinate_transformation_mode, *mode;
    int64_t     output_height, output_width, sampling_ratio;
    float       spatial_scale;
} octet_roi_align_attrs;

typedef struct octet_col2im_attrs {
    octet_ints dilations, pads, strides;
} octet_col2im_attrs;

#endif
