/* SPDX-License-Identifier: Apache-2.0 */
/* How a product is cut into blocks that run in parallel; shared by the real and the integer form. */
#ifndef OCTET_OPS_PRODUCT_RUN_H
#define OCTET_OPS_PRODUCT_RUN_H

#include "ops/product.h"

typedef struct product_run {
    const octet_call          *call;
    const octet_product_shape *shape;
    size_t                     block_rows, block_columns; /* at most, of one block */
    octet_mac_rule            *rules;    /* levels only: one per column */
    void                      *prepared; /* levels only: input 0 row by row, less its zero point */
} product_run;

typedef struct product_block {
    size_t matrix, row, rows, column, columns;
    size_t a, b; /* first elements of the two matrices */
} product_block;

size_t        octet_product_blocks(const product_run *run);
product_block octet_product_block(const product_run *run, size_t i);

#endif
