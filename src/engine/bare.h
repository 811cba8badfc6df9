/* SPDX-License-Identifier: Apache-2.0 */
/* A product with nothing after it (no bias, batch normalization or activation), as training needs it: Conv over one or
   two dimensions, Gemm or MatMul with one matrix of weights, all seen as one convolution over images that lie channels
   last, densely: [images, height, width, channels]. */
#ifndef OCTET_ENGINE_BARE_H
#define OCTET_ENGINE_BARE_H

#include "engine/native/window.h"

typedef struct octet_bare {
    size_t            images, in_channels, out_channels, groups;
    octet_axis_window y, x;
    bool              turned; /* weights lie [in, out], not [out, in / groups, y, x] */
} octet_bare;

/* x and weights: the node's inputs 0 and 1 with concrete shapes; only shapes are read. False: it is none of these. A
   Gemm's alpha is not part of the product. */
bool octet_bare_make(octet_bare *bare, const octet_node *node, const octet_tensor *x, const octet_tensor *weights);

/* Elements of all images, and of the weights. */
size_t octet_bare_in(const octet_bare *bare);
size_t octet_bare_out(const octet_bare *bare);
size_t octet_bare_weights(const octet_bare *bare);

/* One tap, stride 1, no padding: output pixel p reads input pixel p alone. */
bool octet_bare_is_matrix(const octet_bare *bare);

#endif
