/* SPDX-License-Identifier: Apache-2.0 */
/* The weights of one layer, channel by channel, onto their grids. */
#ifndef OCTET_QUANTIZE_ROUND_LAYER_H
#define OCTET_QUANTIZE_ROUND_LAYER_H

#include "quantize/moments.h"

typedef struct octet_round_layer {
    octet_moments *moments;  /* of all nodes that share the weights: gathered, and used up */
    size_t         count;    /* of nodes */
    bool           centred;  /* biases take the mean of what is left, so the error is measured about it */
    bool           few_levels; /* below 8 bits */
    bool           search;   /* scales may shrink; of a layer cut into parts, the first decides */
    const float   *weights;  /* real */
    const float   *least;    /* scales, one per channel; NULL: any */
    float         *scale;    /* of the weights' channels, in and out; zero points and bounds are the first node's */
    float         *rounded;  /* out: (level - zero point) * scale, in the layout of weights */
    int            threads;
} octet_round_layer;

octet_status octet_round_layer_run(const octet_round_layer *layer, octet_arena *arena, octet_error *err);

#endif
