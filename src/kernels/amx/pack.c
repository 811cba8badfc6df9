/* SPDX-License-Identifier: Apache-2.0 */
/* Weights as tiles (layout.h). The memory is zero before, so depth and columns that do not exist multiply by 0. */
#include "kernels/amx/layout.h"

#include <string.h>

size_t octet_packed_size_amx(const octet_conv_shape *shape, const octet_conv_tiling *tiling)
{
    const size_t left = shape->columns % AMX_COLUMNS, block = octet_amx_block(shape, tiling);
    const size_t all = octet_amx_ceil(shape->columns, AMX_COLUMNS) * block;
    if (left == 0 || left > AMX_LANES) return all;
    return all - (block - sizeof(octet_amx_constants)) / 2; /* the last block has one tile instead of two */
}

/* One tap of one column, weights that lie together: dwords of 4 are 64 bytes apart, pieces a step. */
static uint32_t pack_together(int8_t *to, size_t piece, size_t step, const int8_t *from, size_t depth)
{
    int64_t sum = 0;
    for (size_t d = 0; d < depth; d++) sum += from[d];
    for (size_t first = 0; first < depth; first += piece, to += step) {
        const size_t n = depth - first < piece ? depth - first : piece, whole = n / 4 * 4;
        for (size_t d = 0; d < whole; d += 4) memcpy(to + d * 16, from + first + d, 4);
        if (n > whole) memcpy(to + whole * 16, from + first + whole, n - whole);
    }
    return (uint32_t)sum;
}

static uint32_t pack_apart(int8_t *to, size_t piece, size_t step, const int8_t *from,
                           const octet_conv_weights *weights, size_t depth)
{
    uint32_t sum = 0;
    for (size_t d = 0; d < depth; d++) {
        const int32_t w = from[d * weights->depth];
        to[d / piece * step + d % piece / 4 * 64 + d % 4] = (int8_t)w;
        sum += (uint32_t)w;
    }
    return sum;
}

/* One column of a column block. Returns the sum of its weights, wrapping. */
static uint32_t pack_column(int8_t *column, size_t tiles, const octet_conv_shape *shape,
                            const octet_conv_tiling *tiling, const octet_conv_weights *weights, const int8_t *from)
{
    const size_t piece = (size_t)tiling->depth, step = tiles * octet_amx_tile(tiling);
    uint32_t     sum = 0;
    for (size_t t = 0; t < shape->taps; t++, column += (size_t)tiling->steps * step, from += weights->tap)
        sum += weights->depth == 1 ? pack_together(column, piece, step, from, shape->depth)
                                   : pack_apart(column, piece, step, from, weights, shape->depth);
    return sum;
}

void octet_pack_amx(void *packed, const octet_conv_shape *shape, const octet_conv_tiling *tiling,
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
