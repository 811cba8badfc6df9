/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products of real numbers and integers of ONNX, cut into blocks of outputs. */
#include "ops/product.h"

#include "base/parallel.h"
#include "ops/product_run.h"

#include <string.h>

static size_t ceil_divide(size_t a, size_t b) { return (a + b - 1) / b; }

size_t octet_product_blocks(const product_run *run)
{
    const octet_product_shape *const shape = run->shape;
    return shape->batch * ceil_divide(shape->rows, run->block_rows) * ceil_divide(shape->columns, run->block_columns);
}

product_block octet_product_block(const product_run *run, size_t i)
{
    const octet_product_shape *const shape = run->shape;
    const size_t                     across = ceil_divide(shape->columns, run->block_columns);
    const size_t                     down = ceil_divide(shape->rows, run->block_rows);
    product_block                    block = { .matrix = i / (across * down) };
    block.row = i / across % down * run->block_rows;
    block.column = i % across * run->block_columns;
    block.rows = shape->rows - block.row < run->block_rows ? shape->rows - block.row : run->block_rows;
    block.columns =
        shape->columns - block.column < run->block_columns ? shape->columns - block.column : run->block_columns;
    size_t matrix = block.matrix;
    for (int d = shape->batch_rank - 1; d >= 0; d--) {
        const size_t index = matrix % (size_t)shape->batch_dims[d];
        matrix /= (size_t)shape->batch_dims[d];
        block.a += index * (size_t)shape->a_step[d];
        block.b += index * (size_t)shape->b_step[d];
    }
    return block;
}

/* Integers are multiplied as unsigned ones: the same low bits, and overflow wraps. */
#define OCTET_TEMPLATE "ops/product_template.h"
#include "ops/reals_template.h"

#define T uint32_t
#define NAME(x) x##_u32
#include "ops/product_template.h"
#undef T
#undef NAME

#define T uint64_t
#define NAME(x) x##_u64
#include "ops/product_template.h"
#undef T
#undef NAME

static void compute(void *context, size_t i)
{
    const product_run *const run = context;
    const product_block      block = octet_product_block(run, i);
    switch (run->call->in[0]->dtype) {
    case OCTET_F32: block_f32(run, &block); break;
    case OCTET_F64: block_f64(run, &block); break;
    case OCTET_I32:
    case OCTET_U32: block_u32(run, &block); break;
    default: block_u64(run, &block);
    }
}

void octet_product_real(const octet_call *call, const octet_product_shape *shape)
{
    product_run run = { .call = call, .shape = shape, .block_rows = 16, .block_columns = 256 };
    octet_parallel(octet_product_blocks(&run), call->threads, compute, &run);
}
