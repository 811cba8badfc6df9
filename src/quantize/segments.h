/* SPDX-License-Identifier: Apache-2.0 */
/* A quantized network cut in depth: segment k holds the layers that can be reached over k layers at most, and what lies
   before them. Walked one after the other over kept values, every node runs as often as its segment does, however deep
   the network is. A Conv summed in an Add is one layer with it, so a cut computes the whole network's levels. */
#ifndef OCTET_QUANTIZE_SEGMENTS_H
#define OCTET_QUANTIZE_SEGMENTS_H

#include "graph/graph.h"
#include "graph/op.h"

/* A layer whose bias can be corrected. */
typedef struct octet_site {
    octet_node        *node;  /* Conv or Gemm of constant weights that sums integers */
    const octet_value *value; /* its result, behind the activation; that of the Add it is summed in */
    int                axis;  /* of value, along which its channels lie */
    int64_t            channels;
} octet_site;

typedef struct octet_segment {
    const octet_value **inputs, **outputs; /* kept from earlier segments; sites' results, and what later ones read */
    size_t              input_count, output_count;
    octet_site         *sites;
    size_t              site_count;
    size_t              nodes; /* that one run computes */
} octet_segment;

typedef struct octet_segments {
    octet_segment *at;
    size_t         count;
    int           *last; /* by value->index: the last segment that reads a kept value; -1: none does */
} octet_segments;

/* Of a quantized graph. Memory is arena's. */
octet_status octet_segments_find(octet_segments *segments, const octet_graph *graph, octet_arena *arena,
                                 octet_error *err);

/* A graph of its own that computes one segment, its inputs and outputs in the order of the lists; graph (or another of
   the same nodes and value names, as the float network) must outlive it. Levels are given as the real numbers they
   stand for. bare: what sites compute, without activation and never rounded to levels. The caller frees it. */
octet_status octet_segment_cut(octet_graph **cut, const octet_graph *graph, const octet_segment *segment, bool bare,
                               octet_error *err);

#endif
