/* SPDX-License-Identifier: Apache-2.0 */
/* One product of float32 on a slice of a batch, forward and backward, on one thread: so its results depend on the slice
   alone, and a batch is trained slice by slice on as many threads as there are. Activations and their gradients lie
   channels last and densely, weights as in the graph. */
#ifndef OCTET_ENGINE_ONEDNN_TRAIN_H
#define OCTET_ENGINE_ONEDNN_TRAIN_H

#include "engine/bare.h"

typedef struct octet_dnnl_product octet_dnnl_product;

typedef enum octet_dnnl_way {
    OCTET_DNNL_FORWARD = 0,      /* z from x and the weights */
    OCTET_DNNL_BACKWARD_DATA,    /* dx from dz and the weights */
    OCTET_DNNL_BACKWARD_WEIGHTS, /* the weights' gradient from x and dz */
    OCTET_DNNL_WAYS
} octet_dnnl_way;

/* bare->images: of the slice. lanes: how many slices may be computed at once. like (may be NULL): one that differs in
   images only; both have their gradients in one order. */
octet_status octet_dnnl_product_create(octet_dnnl_product **product, const octet_bare *bare, int lanes,
                                       const octet_dnnl_product *like, octet_error *err);
void         octet_dnnl_product_free(octet_dnnl_product *product);

/* Whether oneDNN has more than its reference loops; without it the way must not be taken. */
bool octet_dnnl_product_has(const octet_dnnl_product *product, octet_dnnl_way way);

/* Bytes the product holds; bytes of scratch memory (64-byte aligned) that a lane needs; floats of a slice's gradient of
   the weights, which lies in an order of oneDNN's. */
size_t octet_dnnl_product_memory(const octet_dnnl_product *product);
size_t octet_dnnl_product_scratch(const octet_dnnl_product *product);
size_t octet_dnnl_product_gradient(const octet_dnnl_product *product);

/* Takes weights for a way that reads them. Nobody may be running. */
octet_status octet_dnnl_product_weights(octet_dnnl_product *product, octet_dnnl_way way, const float *weights,
                                        octet_error *err);

/* One slice. x, z: its activations or, where a way writes or reads those, their gradients; gradient: of the weights
   alone. A lane serves one caller at a time, different lanes any number. */
typedef struct octet_dnnl_slice {
    int    lane;
    float *x, *z, *gradient;
    void  *scratch;
} octet_dnnl_slice;

/* Writes z, x or the gradient. */
octet_status octet_dnnl_product_run(const octet_dnnl_product *product, octet_dnnl_way way,
                                    const octet_dnnl_slice *slice, octet_error *err);

/* A gradient, or a sum of such, in the order of the graph. Nobody may be in octet_dnnl_product_weights. */
octet_status octet_dnnl_product_unpack(octet_dnnl_product *product, float *weights, const float *gradient,
                                       octet_error *err);

#endif
