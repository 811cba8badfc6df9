/* SPDX-License-Identifier: Apache-2.0 */
/* Weights as tiles (layout.h). The memory is zero before, so depth and columns that do not exist multiply by 0. */
#include "kernels/amx/layout.h"

size_t octet_amx_packed_size(const octet_conv_shape *shape, const octet_conv_tiling *tiling)
{
    const size_t left = shape->columns % AMX_COLUMNS, block = octet_amx_block(shape, tiling);
    const size_t all = octet_amx_ceil(shape->columns, AMX_COLUMNS) * block;
    if (left == 0 || left > AMX_LANES) return all;
    return all - (block - sizeof(octet_amx_constants)) / 2; /* the last block has one tile instead of two */
}

/* One column of a column block. Returns the sum of its weights, wrapping. */
static uint32_t pack_column(int8_t *column, size_t tiles, const octet_conv_shape *shape,
                            const octet_conv_tiling *tiling, const octet_conv_weights *weights, const int8_t *from)
{
    const size_t piece = (size_t)tiling->depth, step = tiles * octet_amx_tile(tiling);
    uint32_t     sum = 0;
    for (size_t t = 0; t < shape->taps; t++, column += (size_t)tiling->steps * step)
        for (size_t d = 0; d < shape->depth; d++) {
            const int32_t w = from[t * weights->tap + d * weights->depth];
            column[d / piece * step + d % piece / 4 * 64 + d % 4] = (int8_t)w;
            sum += (uint32_t)w;
        }
    return sum;
}

void octet_amx_pack(void *packed, const octet_conv_shape *shape, const octet_conv_tiling *tiling,
                    const octet_conv_weights *weights)
{
    const size_t tile = octet_amx_tile(tiling), steps = shape->taps * (size_t)tiling->steps;
    for (size_t c = 0; c < shape->columns; c++) {
        const size_t               lane = c % AMX_COLUMNS, tiles = octet_amx_tiles(shape, c - lane);
        int8_t *const              block = (int8_t *)packed + c / AMX_COLUMNS * octet_amx_block(shape, tiling);
        int8_t *const              column = block + lane / AMX_LANES * tile + lane % AMX_LANES * 4;
        octet_amx_constants *const constants = (octet_amx_constants *)(void *)(block + steps * tiles * tile);
        const uint32_t sum = pack_column(column, tiles, shape, tiling, weights, weights->at + c * weights->column);
        constants->bias[lane] = (int32_t)((uint32_t)weights->bias[c] - (uint32_t)weights->input_zero * sum);
        constants->multiplier[lane] = weights->multiplier[c];
    }
}
