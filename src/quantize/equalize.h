/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of equalization share: layers as matrices of channels, and which channels must be scaled alike. */
#ifndef OCTET_QUANTIZE_EQUALIZE_H
#define OCTET_QUANTIZE_EQUALIZE_H

#include <octet/improve.h>

#include "graph/graph.h"
#include "graph/op.h"
#include "observe/range.h"

#include <stdint.h>

/* ---- layers (equalize_layer.c) ---- */

/* A Conv or Gemm with constant weights: weights[output][input of its group][tap], or, of a Gemm without transB,
   weights[input][output]. */
typedef struct octet_layer {
    octet_node *node;
    int64_t     outputs, inputs, group, taps;
    bool        inputs_first;
    float      *weights, *bias; /* copies to work on; bias has one entry per output, NULL: there is none */
} octet_layer;

/* False where node is none: computed weights or bias, transA, levels. Copies nothing yet. */
bool octet_layer_of(octet_layer *layer, octet_node *node);

/* The copies, as the graph has them. */
octet_status octet_layer_load(octet_layer *layer, octet_arena *arena, octet_error *err);

/* The copies become the node's constants; other readers of the old ones keep these. twin, unless NULL, is a layer of
   the same weights that was stored before: they go on sharing. */
octet_status octet_layer_store(octet_graph *graph, const octet_layer *layer, const octet_layer *twin,
                               octet_error *err);

/* How many weights it has. */
static inline int64_t octet_layer_count(const octet_layer *layer)
{
    return layer->outputs * (layer->inputs / layer->group) * layer->taps;
}

/* The channel that input i of output o's group is. */
static inline int64_t octet_layer_input(const octet_layer *layer, int64_t o, int64_t i)
{
    return o / (layer->outputs / layer->group) * (layer->inputs / layer->group) + i;
}

/* The first of layer->taps weights that lead from input i of its group to output o. */
static inline int64_t octet_layer_at(const octet_layer *layer, int64_t o, int64_t i)
{
    const int64_t pair = layer->inputs_first ? i * layer->outputs + o : o * (layer->inputs / layer->group) + i;
    return pair * layer->taps;
}

/* What every output channel's weights reach over (layer->outputs entries), or every input channel's (inputs). */
void octet_layer_outputs(octet_range *ranges, const octet_layer *layer);
void octet_layer_inputs(octet_range *ranges, const octet_layer *layer);

/* weights[o][c] *= output[o] * input[c], bias[o] *= output[o]; NULL: all 1. */
void octet_layer_scale(octet_layer *layer, const float *output, const float *input);

/* The Euclidean (of matrices: Frobenius) norm of a - b. */
double octet_distance(const float *a, const float *b, int64_t count);

/* ---- channels (equalize_channels.c) ---- */

/* What a value's elements belong to: element e to label at[(e / inner) % channels]. */
typedef struct octet_labels {
    int64_t channels, inner;
    int    *at; /* NULL: nothing is known of the value, which keeps its scale */
} octet_labels;

/* A clamp from above between labelled values: scaled channels need scaled bounds. */
typedef struct octet_bound {
    octet_node *node; /* a Clip, or a node that absorbed one */
    float       hi;   /* positive and finite */
} octet_bound;

/* Labels joined by operators that only a common factor passes. Label 0 keeps its scale. */
typedef struct octet_ties {
    octet_graph  *graph;
    octet_arena  *arena;
    octet_labels *values; /* by value->index */
    int          *parent; /* union-find; roots are the least of their members */
    int          *kept;   /* one entry: label 0 */
    size_t        label_count, label_capacity;
    octet_layer  *layers;
    int         **inputs, **outputs; /* of layers: labels of their channels */
    size_t        layer_count;
    octet_bound  *bounds;
    size_t        bound_count;
} octet_ties;

/* graph is fused and its batch norms are folded. Memory is arena's. */
octet_status octet_ties_find(octet_ties *ties, octet_graph *graph, octet_arena *arena, octet_error *err);

/* The axis of value along which its labels differ; -1: there is no such single axis. */
int octet_labels_axis(const octet_labels *labels, const octet_value *value);

/* The label that stands for all that are joined with it. */
int octet_ties_root(const octet_ties *ties, int label);

/* ---- what was seen (equalize_seen.c) ---- */

/* Means over samples of the least (or 0) and the largest value (or 0). */
typedef struct octet_ends {
    double lo, hi;
} octet_ends;

/* A value of which some channels may be scaled, and what was seen of each: [c] of labels.at[c]. */
typedef struct octet_seen_channels {
    const octet_value *value;
    octet_labels       labels;
    octet_range       *ranges; /* of all samples */
    octet_ends        *ends;
    size_t             samples;
} octet_seen_channels;

/* Every such value that will be levels, and what data (NULL: nothing) shows of it. */
octet_status octet_ties_see(octet_seen_channels **seen, size_t *count, const octet_ties *ties, octet_dataset *data,
                            const octet_calibrate_options *options, octet_error *err);

/* ---- bounds (equalize_bounds.c) ---- */

/* The bound becomes one per channel of its value, times factor[root of the channel's label]. */
octet_status octet_bound_scale(const octet_ties *ties, const octet_bound *bound, const double *factor,
                               octet_error *err);

#endif
