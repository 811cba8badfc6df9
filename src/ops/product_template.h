/* SPDX-License-Identifier: Apache-2.0 */
/* The real matrix product for one type; product.c includes this once per type with T and NAME(x) defined. No guard: it
   is meant to be included again. */

#include "ops/dot_template.h"

/* sum[n] += a[k] * b[k][n]: b runs along n. */
static void NAME(along_columns)(T *restrict sum, size_t n, const T *restrict a, const T *restrict b,
                                const octet_product_shape *shape)
{
    size_t k = 0;
    for (; k + 4 <= shape->depth; k += 4) {
        const T  wa = a[k * shape->a_depth], wb = a[(k + 1) * shape->a_depth];
        const T  wc = a[(k + 2) * shape->a_depth], wd = a[(k + 3) * shape->a_depth];
        const T *p = b + k * shape->b_depth, *q = p + shape->b_depth, *r = q + shape->b_depth, *s = r + shape->b_depth;
        for (size_t i = 0; i < n; i++) sum[i] = sum[i] + wa * p[i] + wb * q[i] + wc * r[i] + wd * s[i];
    }
    for (; k < shape->depth; k++)
        for (size_t i = 0; i < n; i++) sum[i] += a[k * shape->a_depth] * b[k * shape->b_depth + i];
}

static T NAME(dot_strided)(const T *a, const T *b, const octet_product_shape *shape)
{
    T sum = 0;
    for (size_t k = 0; k < shape->depth; k++) sum += a[k * shape->a_depth] * b[k * shape->b_depth];
    return sum;
}

static void NAME(block)(const product_run *run, const product_block *block)
{
    const octet_product_shape *const shape = run->shape;
    const T *const b = (const T *)run->call->in[1]->data + block->b + block->column * shape->b_column;
    for (size_t m = block->row; m < block->row + block->rows; m++) {
        const T *const a = (const T *)run->call->in[0]->data + block->a + m * shape->a_row;
        T *const       y = (T *)run->call->out[0]->data + (block->matrix * shape->rows + m) * shape->columns +
                     block->column;
        memset(y, 0, block->columns * sizeof *y);
        if (shape->b_column == 1)
            NAME(along_columns)(y, block->columns, a, b, shape);
        else if (shape->a_depth == 1 && shape->b_depth == 1)
            for (size_t n = 0; n < block->columns; n++) y[n] = NAME(dot)(a, b + n * shape->b_column, shape->depth);
        else
            for (size_t n = 0; n < block->columns; n++)
                y[n] = NAME(dot_strided)(a, b + n * shape->b_column, shape);
    }
}
