/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of a whole graph, and values that are known as soon as shapes are. */
#ifndef OCTET_OPS_SHAPE_H
#define OCTET_OPS_SHAPE_H

#include "graph/op.h"

/* Fills tensors[value->index] for every value: type, shape, and data where the value is known now: constants, the
   results of operators with OCTET_OP_SHAPE, and small results (up to graph->limits.max_folded bytes) of operators all
   of whose inputs are known. inputs (one per graph input, in order) gives concrete shapes; one with data is known.
   Memory is arena's. err names the node that does not fit. */
octet_status octet_infer_shapes(octet_tensor *tensors, const octet_graph *graph, const octet_tensor *inputs,
                                octet_arena *arena, octet_error *err);

/* What free dimensions of inputs are bound to in order to find shapes: the leading ones, and the others. Sizes to try,
   each and its double: some networks halve their batch, windows without padding need images to lie in. */
typedef struct octet_free_sizes {
    int64_t batch, size;
} octet_free_sizes;

enum { OCTET_FREE_SIZES = 4 };
extern const octet_free_sizes octet_free_sizes_tried[OCTET_FREE_SIZES];

static inline octet_free_sizes octet_free_sizes_doubled(octet_free_sizes sizes)
{
    return (octet_free_sizes){ 2 * sizes.batch, 2 * sizes.size };
}

/* An input of these sizes. */
octet_tensor octet_free_input(const octet_value *value, octet_free_sizes sizes);

/* Writes dtype and dims into every value of the graph. Free dimensions are found by inferring with two of these sizes:
   what differs is free (a graph that only works with one size gets that one). Values whose shape hangs on the value of
   an input stay without: a plan that is given the value finds it. */
octet_status octet_graph_infer(octet_graph *graph, octet_error *err);

/* The tensor of a value with its data where that is known and the same whatever the free dimensions are, else with
   data NULL. Nodes may still be missing behind it. Memory is arena's. */
octet_status octet_graph_known(octet_tensor *known, const octet_graph *graph, const octet_value *value,
                               octet_arena *arena, octet_error *err);

#endif
