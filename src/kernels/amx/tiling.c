/* SPDX-License-Identifier: Apache-2.0 */
/* How a convolution is cut into blocks of at most 32 rows and 32 columns. */
#include "kernels/amx/layout.h"

#include <stdio.h>

/* A product takes one cycle per row of its inputs, so the rows a tile does not need are not computed; but a tile of
   weights is loaded for every block, however few its rows are. */
static int choose_rows(size_t rows)
{
    if (rows <= AMX_LANES) return (int)rows;
    int    best = AMX_LANES;
    size_t least = SIZE_MAX;
    for (int tile = AMX_LANES; tile >= AMX_LANES / 2; tile--) {
        const size_t tiles = octet_amx_ceil(rows, (size_t)tile), time = tiles * (size_t)(2 * tile + 4);
        if (time < least) {
            least = time;
            best = tile;
        }
    }
    return 2 * best;
}

void octet_amx_choose(octet_conv_tiling *tiling, const octet_conv_shape *shape, int parts)
{
    *tiling = (octet_conv_tiling){ .rows = choose_rows(shape->rows), .columns = AMX_COLUMNS };
    tiling->steps = (int)octet_amx_ceil(shape->depth, 64);
    tiling->depth = (int)octet_amx_ceil(octet_amx_ceil(shape->depth, (size_t)tiling->steps), 4) * 4;
    const size_t sum = shape->taps * shape->depth;
    const size_t row_blocks = shape->groups * octet_amx_ceil(shape->rows, (size_t)tiling->rows);
    const size_t column_blocks = octet_amx_ceil(shape->columns, AMX_COLUMNS);
    tiling->columns_outer = sum * shape->columns > 32768;
    tiling->split_columns = parts > 1 && row_blocks < column_blocks;
    snprintf(tiling->text, sizeof tiling->text, "%dx%d, %s outer", tiling->rows, tiling->columns,
             tiling->columns_outer ? "columns" : "rows");
}
