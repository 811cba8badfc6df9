/* SPDX-License-Identifier: Apache-2.0 */
/* What the sums of a Conv, Gemm or MatMul read: one window of levels per output position. Term k of a window is what
   weight k of an output channel is multiplied with, in the order of octet_layer_weights. */
#ifndef OCTET_QUANTIZE_WINDOWS_H
#define OCTET_QUANTIZE_WINDOWS_H

#include "graph/op.h"
#include "ops/conv.h"

/* Windows come in pieces of at most so many, neighbours in a row of the output. */
enum { OCTET_WINDOW_PIECE = 64 };

typedef struct octet_windows {
    size_t          groups, terms; /* terms of one group's window */
    size_t          row, rows, pieces; /* windows in a row, rows, pieces, of one sample */
    bool            slides;
    octet_conv_plan plan;   /* where it slides */
    size_t         *offset, *start;
    size_t          room;   /* int16_t that octet_windows_fill writes */
} octet_windows;

/* Weights of a node as rows: term k of output channel c is element (k / inner * channels + c) * inner + k % inner. */
typedef struct octet_layer_weights {
    size_t channels, terms, inner;
} octet_layer_weights;

octet_layer_weights octet_layer_weights_of(const octet_node *node);

/* x: the node's input, of which only the shape is read. */
octet_status octet_windows_make(octet_windows *windows, const octet_node *node, const octet_tensor *x,
                                octet_arena *arena, octet_error *err);

/* Spreads x, one sample of int16_t levels less their zero point, so that windows can be cut out of it. */
void octet_windows_fill(int16_t *spread, const octet_windows *windows, const octet_tensor *x);

/* Term `first + i` of the windows of a piece, for i < terms: window w is at to[i * step + w]. Returns their number. */
typedef struct octet_window_cut {
    size_t group, first, terms, piece;
} octet_window_cut;

size_t octet_windows_cut(int16_t *to, size_t step, const octet_windows *windows, const int16_t *spread,
                         const octet_window_cut *cut);

#endif
