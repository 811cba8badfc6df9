/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions about integer computation beyond those in graph/op.h, for prepare and convert. */
#ifndef OCTET_OPS_MODE_H
#define OCTET_OPS_MODE_H

#include "graph/op.h"

/* How many of node's first inputs are data that quantization concerns (the others are shapes, bounds, biases). */
int octet_node_data_inputs(const octet_node *node);

/* Why node cannot compute on levels, whatever its values hold; NULL: it can. */
const char *octet_node_refusal(const octet_node *node);

/* Why node cannot quantize its input when it runs; NULL: it can, once its weights are levels. */
const char *octet_dynamic_refusal(const octet_node *node);

/* Whether it does: node->dynamic is set, its weights are levels, its input is real. */
bool octet_node_is_dynamic(const octet_graph *graph, const octet_node *node);

/* The Add in which node would be summed, before anything is known about levels: what prepare leaves without a
   FakeQuantize. Of two candidates for one Add the later in execution order is taken. NULL: none. */
octet_node *octet_node_candidate_add(const octet_node *node);

/* The axis of a Conv's, Gemm's or MatMul's weights (input 1) along which its output channels lie. */
int octet_weight_axis(const octet_node *node);

/* Where a network's error is judged: its output, or what a last squashing function is fed (behind a saturated Softmax
   the error of a few unsure samples is all that can be seen). */
const octet_value *octet_judged_value(const octet_value *output);

/* Whether value is constant weights of a Conv, Gemm or MatMul. */
bool octet_value_is_weight(const octet_value *value);

#endif
