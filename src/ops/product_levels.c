/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products of levels. Input 0 is prepared once (row by row, less its zero point); of input 1 a block of columns
   at a time is, so that its memory is not needed twice. */
#include "base/checked.h"
#include "base/parallel.h"
#include "ops/levels.h"
#include "ops/product_run.h"

#include <string.h>

enum { ROWS = 64, COLUMNS = 16, DEPTH = 256 };

#define X int16_t
#define SUM int32_t
#define STORE octet_mac_store
#define NAME(x) x##_narrow
#include "ops/product_levels_template.h"
#undef X
#undef SUM
#undef STORE
#undef NAME

#define X int32_t
#define SUM int64_t
#define STORE octet_mac_store_wide
#define NAME(x) x##_wide
#include "ops/product_levels_template.h"
#undef X
#undef SUM
#undef STORE
#undef NAME

static size_t rules_size(const octet_product_shape *shape)
{
    return octet_aligned(shape->columns * sizeof(octet_mac_rule));
}

size_t octet_product_scratch(const octet_call *call, const octet_product_shape *shape)
{
    size_t bytes = 0;
    if (!octet_mul(&bytes, (size_t)octet_tensor_count(call->in[0]), octet_mac_is_wide(call) ? 4 : 2)) return SIZE_MAX;
    return octet_add(&bytes, bytes, rules_size(shape)) ? bytes : SIZE_MAX;
}

octet_status octet_product_integer(const octet_call *call, const octet_product_shape *shape,
                                   const octet_mac_terms *terms, octet_error *err)
{
    product_run run = { .call = call,
                        .shape = shape,
                        .block_rows = ROWS,
                        .block_columns = COLUMNS,
                        .rules = call->scratch,
                        .prepared = (char *)call->scratch + rules_size(shape) };
    OCTET_TRY(octet_mac_rules(run.rules, (int64_t)shape->columns, call, terms, err));
    const size_t rows = shape->depth ? (size_t)octet_tensor_count(call->in[0]) / shape->depth : 0;
    const bool   wide = octet_mac_is_wide(call);
    octet_parallel(rows, call->threads, wide ? prepare_row_wide : prepare_row_narrow, &run);
    octet_parallel(octet_product_blocks(&run), call->threads, wide ? compute_wide : compute_narrow, &run);
    return OCTET_OK;
}
