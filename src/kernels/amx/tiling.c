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

/* Cycles, roughly, of a part of so many blocks that reads so many bytes: four products of a step, what finishing adds,
   and the memory's speed. */
static size_t split_time(const octet_conv_tiling *tiling, const octet_conv_shape *shape, size_t blocks, size_t bytes)
{
    enum { STEP = 64, FINISH = 200, BYTES = 8 };
    return blocks * (shape->taps * (size_t)tiling->steps * STEP + FINISH) + bytes / BYTES;
}

/* A part that is a range of rows reads all weights, a range of columns all inputs. */
static bool choose_split(const octet_conv_tiling *tiling, const octet_conv_shape *shape, size_t parts)
{
    const size_t rows = shape->groups * octet_amx_ceil(shape->rows, (size_t)tiling->rows);
    const size_t columns = octet_amx_ceil(shape->columns, AMX_COLUMNS);
    const size_t weights = shape->taps * shape->depth * shape->columns;
    const size_t inputs = shape->groups * shape->rows * shape->pixel;
    return split_time(tiling, shape, octet_amx_ceil(columns, parts) * rows, weights / parts + inputs) <
           split_time(tiling, shape, octet_amx_ceil(rows, parts) * columns, weights + inputs / parts);
}

void octet_choose_amx(octet_conv_tiling *tiling, const octet_conv_shape *shape, int parts)
{
    const size_t weights = shape->taps * shape->depth * shape->columns;
    *tiling = (octet_conv_tiling){ .rows = choose_rows(shape->rows), .columns = AMX_COLUMNS };
    tiling->steps = (int)octet_amx_ceil(shape->depth, 64);
    tiling->depth = (int)octet_amx_ceil(octet_amx_ceil(shape->depth, (size_t)tiling->steps), 4) * 4;
    /* Weights of all columns from the first-level cache, or from the second while the inputs of one row block stay in
       the first; but rows that several taps share stay there anyway while the weights of a column block do, too. */
    tiling->columns_outer = weights > 131072 || (shape->taps > 1 && weights > 32768);
    tiling->split_columns = parts > 1 && choose_split(tiling, shape, (size_t)parts);
    snprintf(tiling->text, sizeof tiling->text, "%dx%d, %s outer", tiling->rows, tiling->columns,
             tiling->columns_outer ? "columns" : "rows");
}
