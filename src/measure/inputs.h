/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs to run a network on: samples of a dataset, or random numbers that a seed decides. */
#ifndef OCTET_MEASURE_INPUTS_H
#define OCTET_MEASURE_INPUTS_H

#include <octet/dataset.h>

#include "base/arena.h"
#include "graph/graph.h"

typedef struct octet_inputs {
    const octet_graph   *graph;
    const octet_dataset *data; /* NULL: random numbers */
    int64_t              batch;
    uint64_t             seed;
    size_t               port_count; /* tensors in one set */
    bool                 levels; /* inputs of levels (octet_port.levels) are filled with these, as they are deployed,
                                    not with real numbers */
} octet_inputs;

/* Different sets that there are: all of the dataset in batches, the last one filled up from its begin; as many as
   anyone likes (SIZE_MAX) without one. */
size_t octet_inputs_count(const octet_inputs *inputs);

/* One set: shapes, and memory of the arena. Free leading dimensions become batch; a fixed one must be it. */
octet_status octet_inputs_make(octet_tensor **set, const octet_inputs *inputs, octet_arena *arena, octet_error *err);

/* The set without data: what plans are made for. */
octet_status octet_inputs_shapes(octet_tensor **shapes, const octet_inputs *inputs, octet_arena *arena,
                                 octet_error *err);

/* octet_inputs_make for sample index of the data, in its own shape; batch is 1. */
octet_status octet_inputs_make_at(octet_tensor **set, const octet_inputs *inputs, size_t index, octet_arena *arena,
                                  octet_error *err);

/* Writes the set's numbers. Random real ones lie in the range of the input's levels, else in -1..1; integers are 0 or
   1. */
octet_status octet_inputs_fill(octet_tensor *set, const octet_inputs *inputs, size_t index, octet_error *err);

enum { OCTET_INPUTS_MOST = 64 };

/* Sample number sample of the data becomes the set's at-th. */
octet_status octet_inputs_read(const octet_tensor *set, const octet_inputs *inputs, size_t at, size_t sample,
                               octet_error *err);

#endif
