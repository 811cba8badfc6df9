/* SPDX-License-Identifier: Apache-2.0 */
/* One matrix product as Gemm and MatMul both need it: any steps on both sides, any number of matrices. */
#ifndef OCTET_OPS_PRODUCT_H
#define OCTET_OPS_PRODUCT_H

#include "ops/mac.h"

/* y[m][n] = sum over k of a[m][k] * b[k][n] for every matrix of the batch. Steps count elements. */
typedef struct octet_product_shape {
    size_t  rows, columns, depth; /* of m, n, k */
    size_t  a_row, a_depth, b_depth, b_column;
    int     batch_rank;
    int64_t batch_dims[OCTET_MAX_RANK];
    int64_t a_step[OCTET_MAX_RANK], b_step[OCTET_MAX_RANK]; /* 0 along dimensions that are stretched */
    size_t  batch;
} octet_product_shape;

/* Of a MatMul's inputs; reads their shapes alone. */
octet_product_shape octet_matmul_shape(const octet_call *call);

/* The real product of f32, f64, (u)int32 or (u)int64, written to output 0 without bias or activation. Order of every
   sum: k ascending, or eight interleaved sums where both sides run along k. */
void octet_product_real(const octet_call *call, const octet_product_shape *shape);

/* The gradients of factor * a * b: adds to inputs 0 and 1 from output 0. */
void   octet_product_backward(const octet_backward_call *call, const octet_product_shape *shape, double factor);
size_t octet_product_backward_scratch(const octet_call *call, const octet_product_shape *shape);

/* The integer product. */
octet_status octet_product_integer(const octet_call *call, const octet_product_shape *shape,
                                   const octet_mac_terms *terms, octet_error *err);
size_t       octet_product_scratch(const octet_call *call, const octet_product_shape *shape);

#endif
