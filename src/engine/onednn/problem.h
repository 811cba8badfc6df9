/* SPDX-License-Identifier: Apache-2.0 */
/* A node as a problem for oneDNN: operation, memory descriptions and constants. Channels of blocked tensors are
   rounded up to whole blocks, the added ones with zero weights: so oneDNN never has filling of its own to clear. */
#ifndef OCTET_ENGINE_ONEDNN_PROBLEM_H
#define OCTET_ENGINE_ONEDNN_PROBLEM_H

#include "engine/plan.h"

#include <dnnl.h>

/* Which layouts a problem reads and writes. */
typedef struct octet_dnnl_layouts {
    octet_layout in, out;
} octet_dnnl_layouts;

typedef struct octet_dnnl_problem {
    const octet_plan        *plan;
    const octet_node        *node;
    octet_dnnl_layouts       layouts;
    const octet_tensor      *x, *y, *weights, *bias; /* logical; weights and bias NULL: none */
    union {
        dnnl_convolution_desc_t   convolution;
        dnnl_deconvolution_desc_t deconvolution;
        dnnl_inner_product_desc_t inner_product;
        dnnl_pooling_v2_desc_t    pooling;
    } operation;
    dnnl_memory_desc_t plain_weights; /* as pack_weights writes them */
    dnnl_dim_t         bias_length;
} octet_dnnl_problem;

/* An operator that oneDNN can run. layouts: choices, best first. */
typedef struct octet_dnnl_row {
    const char               *op;
    const octet_dnnl_layouts *layouts;
    size_t                    layout_count;
    /* Fills operation; false with a reason: oneDNN is not asked. */
    bool (*describe)(octet_dnnl_problem *problem, octet_reason *why);
    /* Fill zeroed memory: plain_weights' bytes, bias_length floats. NULL: the operator has no weights. */
    void (*pack_weights)(float *to, const octet_dnnl_problem *problem);
    void (*pack_bias)(float *to, const octet_dnnl_problem *problem);
} octet_dnnl_row;

/* The row of an operator; NULL where there is none. */
const octet_dnnl_row *octet_dnnl_row_find(const char *op);

/* Whether the node adds a bias: its own, or that of an attached batch normalization. */
bool octet_dnnl_has_bias(const octet_dnnl_problem *problem);

bool octet_dnnl_decline(octet_reason *why, const char *text);

#endif
