/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of a matrix product: da = dy * b', db = a' * dy, each a product itself, made in the order in which the
   gradient lies in memory and then added: along stretched dimensions, matrix after matrix. */
#include "ops/gradient.h"
#include "ops/product_run.h"

/* A matrix of any steps. */
typedef struct matrix {
    const char *data;
    size_t      row, column; /* steps, in elements */
} matrix;

static matrix turned(matrix m) { return (matrix){ m.data, m.column, m.row }; }

/* One gradient: to[rows][columns], dense, += factor * p[rows][depth] * q[depth][columns]. */
typedef struct gradient {
    char  *to;
    matrix p, q;
    size_t rows, columns, depth;
} gradient;

static gradient gradient_turned(const gradient *g)
{
    return (gradient){ g->to, turned(g->q), turned(g->p), g->columns, g->rows, g->depth };
}

static void add_gradient(const octet_backward_call *call, const gradient *g, double factor)
{
    const octet_dtype         dtype = call->dout[0]->dtype;
    const octet_tensor        p = { .dtype = dtype, .data = (void *)(uintptr_t)g->p.data };
    const octet_tensor        q = { .dtype = dtype, .data = (void *)(uintptr_t)g->q.data };
    octet_tensor              y = { .dtype = dtype, .rank = 1, .dims = { (int64_t)(g->rows * g->columns) },
                                    .data = call->scratch };
    octet_tensor              to = y;
    const octet_call          product = { .in = (const octet_tensor *const[]){ &p, &q },
                                          .out = (octet_tensor *const[]){ &y }, .in_count = 2, .out_count = 1,
                                          .threads = 1 };
    const octet_product_shape shape = { .rows = g->rows, .columns = g->columns, .depth = g->depth, .batch = 1,
                                        .a_row = g->p.row, .a_depth = g->p.column, .b_depth = g->q.row,
                                        .b_column = g->q.column };
    octet_product_real(&product, &shape);
    to.data = g->to;
    octet_gradient_stretched(&to, &y, factor);
}

void octet_product_backward(const octet_backward_call *call, const octet_product_shape *shape, double factor)
{
    const size_t      rows = shape->rows, columns = shape->columns, depth = shape->depth;
    const size_t      size = octet_dtype_size(call->forward->in[0]->dtype);
    const product_run whole = { .shape = shape, .block_rows = rows, .block_columns = columns };
    if (!call->dout[0] || octet_tensor_count(call->dout[0]) == 0) return;
    for (size_t i = 0; i < shape->batch; i++) {
        const product_block at = octet_product_block(&whole, i);
        const matrix        dy = { (const char *)call->dout[0]->data + i * rows * columns * size, columns, 1 };
        const matrix a = { (const char *)call->forward->in[0]->data + at.a * size, shape->a_row, shape->a_depth };
        const matrix b = { (const char *)call->forward->in[1]->data + at.b * size, shape->b_depth, shape->b_column };
        gradient     da = { .p = dy, .q = turned(b), .rows = rows, .columns = depth, .depth = columns };
        gradient     db = { .p = turned(a), .q = dy, .rows = depth, .columns = columns, .depth = rows };
        if (call->din[0]) {
            da.to = (char *)call->din[0]->data + at.a * size;
            if (shape->a_depth != 1) da = gradient_turned(&da);
            add_gradient(call, &da, factor);
        }
        if (call->din[1]) {
            db.to = (char *)call->din[1]->data + at.b * size;
            if (shape->b_column != 1) db = gradient_turned(&db);
            add_gradient(call, &db, factor);
        }
    }
}

size_t octet_product_backward_scratch(const octet_call *call, const octet_product_shape *shape)
{
    const size_t most = shape->rows > shape->columns ? shape->rows : shape->columns;
    return most * shape->depth * octet_dtype_size(call->in[0]->dtype);
}
