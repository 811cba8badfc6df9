/* SPDX-License-Identifier: Apache-2.0 */
/* How packed weights lie, and the functions that do not depend on how tiles are computed.

   A column block is 32 columns (2 tiles), the last one 16 (1 tile) if no more than 16 are left. Column block after
   column block:

       step 0: tile of columns 0..15, tile of columns 16..31
       step 1: ...                                               a step is (tap, piece of the depth)
       bias[32], multiplier[32]

   A tile has tiling->depth / 4 rows of 64 bytes: 4 bytes of depth for each of 16 columns. */
#ifndef OCTET_KERNELS_AMX_LAYOUT_H
#define OCTET_KERNELS_AMX_LAYOUT_H

#include "kernels/kernels.h"

enum { AMX_LANES = 16, AMX_COLUMNS = 2 * AMX_LANES };

typedef struct octet_amx_constants {
    int32_t bias[AMX_COLUMNS]; /* with the input's zero point taken out */
    float   multiplier[AMX_COLUMNS];
} octet_amx_constants;

static inline size_t octet_amx_ceil(size_t count, size_t unit) { return (count + unit - 1) / unit; }

/* Bytes of one tile of weights. */
static inline size_t octet_amx_tile(const octet_conv_tiling *tiling) { return (size_t)tiling->depth * AMX_LANES; }

/* Tiles side by side in the column block that begins with this column. */
static inline size_t octet_amx_tiles(const octet_conv_shape *shape, size_t column)
{
    return shape->columns - column > AMX_LANES ? 2 : 1;
}

/* Bytes from a column block to the next. */
static inline size_t octet_amx_block(const octet_conv_shape *shape, const octet_conv_tiling *tiling)
{
    return shape->taps * (size_t)tiling->steps * 2 * octet_amx_tile(tiling) + sizeof(octet_amx_constants);
}

void   octet_choose_amx(octet_conv_tiling *tiling, const octet_conv_shape *shape, int parts);
size_t octet_packed_size_amx(const octet_conv_shape *shape, const octet_conv_tiling *tiling);
void   octet_pack_amx(void *packed, const octet_conv_shape *shape, const octet_conv_tiling *tiling,
                      const octet_conv_weights *weights);

extern const octet_conv_kernel octet_conv_amx, octet_conv_amx_model;

#endif
