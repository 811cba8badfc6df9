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

/* Whether node only moves or compares levels: its outputs share the parameters of input 0. */
bool octet_node_moves(const octet_node *node);

/* Whether node picks from a constant of levels (OCTET_OP_PICKS): an embedding whose table is quantized. */
bool octet_node_picks(const octet_node *node);

/* The Add in which node would be summed, before anything is known about levels: what prepare leaves without a
   FakeQuantize. Of two candidates for one Add the later in execution order is taken. NULL: none. */
octet_node *octet_node_candidate_add(const octet_node *node);

/* Whether node, which sums products, has a bias or can be given one (octet_ensure_bias). */
bool octet_node_takes_bias(const octet_node *node);

/* The axis of a Conv's, Gemm's or MatMul's weights (input 1) along which its output channels lie. In a ConvTranspose
   they are those of one group: output channel c has entry c % dims[axis]. */
int octet_weight_axis(const octet_node *node);

/* The axis of the same weights along which the input channels lie that one result is a sum over; -1: there is none. */
int octet_weight_inner_axis(const octet_node *node);

/* Groups of output channels that lie on each other along that axis: 1, but for a ConvTranspose. */
int64_t octet_weight_groups(const octet_node *node);

/* Output channels of a node whose weights have a shape. */
int64_t octet_output_channels(const octet_node *node);

/* The axis of the node's result of so many dimensions along which its output channels lie. */
int octet_channel_axis(const octet_node *node, int rank);

/* Where a network's error is judged: its output, or what a last squashing function is fed (behind a saturated Softmax
   the error of a few unsure samples is all that can be seen). */
const octet_value *octet_judged_value(const octet_value *output);

/* Parameters of a value's levels as they will be, whatever the stage; NULL: real. */
const octet_qparams *octet_future_levels(const octet_value *value);

/* sx * sw of a channel of a node that sums integers, exactly. */
double octet_bias_unit(const octet_node *node, int64_t channel);

/* The bias of levels (input 2, a constant) of a node that sums integers as real numbers, one for each level: level *
   (sx * sw), rounded once. Divided by the same unit they give the levels again wherever a float32 bias did. */
void octet_bias_real(float *real, const octet_node *node);

/* Metadata, "f32" where files hold biases as real numbers, because their reader has no levels of 32 bits. */
#define OCTET_WRITE_BIASES "octet.biases"

/* Whether a file holds value's levels two in a byte: a constant's, they fit, and nobody computes with them as they are.
   Levels of an int8 network stay bytes, which more runtimes read. */
bool octet_value_is_packed(const octet_graph *graph, const octet_value *value);

/* Whether value is constant weights of a Conv, Gemm or MatMul. */
bool octet_value_is_weight(const octet_value *value);

#endif
