/* SPDX-License-Identifier: Apache-2.0 */
/* The integer matrix product for one pair of types; product_levels.c includes this twice with X (levels less zero
   point), SUM, STORE and NAME(x) defined. No guard: it is meant to be included again. */

static void NAME(prepare_row)(void *context, size_t i)
{
    const product_run *const         run = context;
    const octet_product_shape *const shape = run->shape;
    const octet_tensor *const        a = run->call->in[0];
    const size_t                     matrix = shape->rows * shape->depth;
    const size_t                     first = i / shape->rows * matrix + i % shape->rows * shape->a_row;
    X *const                         to = (X *)run->prepared + i * shape->depth;
    const int32_t                    zero_point = octet_zero_point(a, 0);
    for (size_t k = 0; k < shape->depth; k += DEPTH) {
        const size_t n = shape->depth - k < DEPTH ? shape->depth - k : DEPTH;
        int32_t      level[DEPTH];
        if (shape->a_depth == 1)
            octet_levels_load(level, a->data, a->dtype, first + k, n, zero_point);
        else
            for (size_t j = 0; j < n; j++)
                octet_levels_load(level + j, a->data, a->dtype, first + (k + j) * shape->a_depth, 1, zero_point);
        for (size_t j = 0; j < n; j++) to[k + j] = (X)level[j];
    }
}

/* weight[n][j] = b[k + j][column + n] less its zero point. */
static void NAME(load_columns)(X (*weight)[DEPTH], const product_run *run, const product_block *block, size_t k,
                               size_t depth)
{
    const octet_tensor *const b = run->call->in[1];
    const size_t              b_column = run->shape->b_column, b_depth = run->shape->b_depth;
    const size_t              first = block->b + k * b_depth + block->column * b_column;
    int32_t                   level[DEPTH];
    if (b_depth == 1) {
        for (size_t n = 0; n < block->columns; n++) {
            const int32_t zero_point = octet_zero_point(b, (int64_t)(block->column + n));
            octet_levels_load(level, b->data, b->dtype, first + n * b_column, depth, zero_point);
            for (size_t j = 0; j < depth; j++) weight[n][j] = (X)level[j];
        }
        return;
    }
    for (size_t j = 0; j < depth; j++) { /* columns are neighbours */
        octet_levels_load(level, b->data, b->dtype, first + j * b_depth, block->columns, 0);
        for (size_t n = 0; n < block->columns; n++)
            weight[n][j] = (X)(level[n] - octet_zero_point(b, (int64_t)(block->column + n)));
    }
}

static SUM NAME(dot)(const X *restrict a, const X *restrict b, size_t n)
{
    SUM sum = 0;
    for (size_t k = 0; k < n; k++) sum += (SUM)a[k] * (SUM)b[k];
    return sum;
}

static void NAME(compute)(void *context, size_t i)
{
    const product_run *const         run = context;
    const octet_product_shape *const shape = run->shape;
    const product_block              block = octet_product_block(run, i);
    const X *const                   a = (const X *)run->prepared + block.a + block.row * shape->depth;
    SUM                              sum[COLUMNS][ROWS];
    memset(sum, 0, sizeof sum);
    for (size_t k = 0; k < shape->depth; k += DEPTH) {
        const size_t n = shape->depth - k < DEPTH ? shape->depth - k : DEPTH;
        X            weight[COLUMNS][DEPTH];
        NAME(load_columns)(weight, run, &block, k, n);
        for (size_t m = 0; m < block.rows; m++)
            for (size_t c = 0; c < block.columns; c++)
                sum[c][m] += NAME(dot)(a + m * shape->depth + k, weight[c], n);
    }
    const size_t first = (block.matrix * shape->rows + block.row) * shape->columns + block.column;
    for (size_t c = 0; c < block.columns; c++)
        STORE(run->call, &run->rules[block.column + c], sum[c], first + c, shape->columns, block.rows);
}
