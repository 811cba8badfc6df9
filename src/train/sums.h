/* SPDX-License-Identifier: Apache-2.0 */
/* A product over integer levels while training: the forward pass of docs/arithmetic.md section 2 with a real result,

     t = f32(f32(acc) * multiplier[c]), acc = sum (x - zero point) * w + bias[c]

   by the kernels of this CPU. Weights change with every step, so packing them is cheap. Images lie channels last,
   densely; levels are bytes 0..255 as kernels/kernels.h has them. */
#ifndef OCTET_TRAIN_SUMS_H
#define OCTET_TRAIN_SUMS_H

#include "base/arena.h"
#include "engine/bare.h"
#include "kernels/kernels.h"

typedef struct octet_sums octet_sums;

/* bare->images: of the whole batch. *sums becomes NULL where windows reach so far that this is no way to do it. */
octet_status octet_sums_new(octet_sums **sums, octet_arena *arena, const octet_bare *bare,
                            const octet_kernels *kernels, octet_error *err);

/* In the order of the graph; zero point 0. acc fits int32: the caller has proven it. */
typedef struct octet_sums_weights {
    const int8_t  *weights;
    const int32_t *bias;       /* one per output channel; NULL: none */
    const float   *multiplier; /* one per output channel */
    int32_t        input_zero; /* of the bytes */
} octet_sums_weights;

/* Takes them over. Nobody may be running. */
void octet_sums_set(octet_sums *sums, const octet_sums_weights *weights);

/* Bytes of scratch memory, 64-byte aligned, for each caller that runs at a time. */
size_t octet_sums_scratch(const octet_sums *sums);

/* Images [first, last). x and t are the whole batch. */
void octet_sums_run(const octet_sums *sums, float *t, const uint8_t *x, size_t first, size_t last, void *scratch);

#endif
