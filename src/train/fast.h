/* SPDX-License-Identifier: Apache-2.0 */
/* Fast linear steps: how the batch is cut, and what runs on a piece of it. fast.c multiplies real numbers, fast_sums.c
   levels. */
#ifndef OCTET_TRAIN_FAST_H
#define OCTET_TRAIN_FAST_H

#include "engine/onednn/train.h"
#include "train/steps.h"
#include "train/sums.h"

enum { OCTET_FAST_SIZES = 4 }; /* of pieces: two sizes of slices, two of pieces in each */

/* A thread's room, tape->lanes: scratch memory of products, then from these bytes on a piece's gradient of the weights
   and one of its input. */
typedef struct octet_fast_room {
    size_t gradient, dx, bytes;
} octet_fast_room;

struct octet_tape_fast {
    octet_bare          bare; /* of the batch */
    octet_dnnl_product *product[OCTET_FAST_SIZES];
    size_t              images[OCTET_FAST_SIZES]; /* of a piece */
    size_t              sizes, most;              /* how many there are; the largest */
    size_t              gradient;                 /* floats of a slice's gradient of the weights */
    octet_fast_room     room;
    octet_sums         *sums;  /* NULL: products of levels are the operator's own */
    bool                takes; /* sums has the weights of the quantized graph */
    octet_mac_rule     *rules; /* one per output channel */
    float              *multiplier;
    int32_t            *bias;
    uint8_t            *flipped; /* s8 levels as the kernels take them; NULL: not yet needed */
    octet_tensor        planes[2]; /* input and output of the operator's own rule; data NULL: not yet needed */
};

/* What one thread does at a time. */
typedef struct octet_fast_piece {
    const octet_dnnl_product *product;
    octet_dnnl_slice          at; /* x and z: of the piece; gradient and scratch: the lane's */
    size_t                    slice, first, images;
    float                    *dx; /* room for a gradient of the input */
} octet_fast_piece;

typedef struct octet_fast_work {
    octet_tape            *tape;
    const octet_tape_fast *fast;
    float                 *x, *z, *dx; /* dx NULL: not wanted */
    const uint8_t         *levels;     /* in place of x */
    bool                   adds;       /* to dx */
    octet_slices           slices;
    octet_status (*piece)(const struct octet_fast_work *w, const octet_fast_piece *piece, octet_error *err);
} octet_fast_work;

/* Runs piece on every piece of the batch; slices run at once, the pieces of one in order. */
octet_status octet_fast_run(octet_fast_work *w, octet_error *err);

/* fast_sums.c */
octet_status octet_fast_sums_new(octet_tape *tape, octet_tape_fast *f, octet_error *err);

#endif
