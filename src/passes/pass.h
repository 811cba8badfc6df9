/* SPDX-License-Identifier: Apache-2.0 */
/* A pass rewrites a graph without data and keeps its outputs. Each file has its precondition on top. */
#ifndef OCTET_PASSES_PASS_H
#define OCTET_PASSES_PASS_H

#include "graph/graph.h"
#include "graph/op.h"

octet_status octet_pass_fold_constants(octet_graph *graph, octet_error *err);
octet_status octet_pass_remove_identity(octet_graph *graph, octet_error *err);
octet_status octet_pass_einsum(octet_graph *graph, octet_error *err);
octet_status octet_pass_layer_norm(octet_graph *graph, octet_error *err);
octet_status octet_pass_gates(octet_graph *graph, octet_error *err);
octet_status octet_pass_merge_moves(octet_graph *graph, octet_error *err);
octet_status octet_pass_scale_conv(octet_graph *graph, octet_error *err);
octet_status octet_pass_batch_norm_before(octet_graph *graph, octet_error *err);
octet_status octet_pass_scale_scores(octet_graph *graph, octet_error *err);
octet_status octet_pass_attach_batch_norm(octet_graph *graph, octet_error *err);
octet_status octet_pass_matmul_to_gemm(octet_graph *graph, octet_error *err);
octet_status octet_pass_merge_pad(octet_graph *graph, octet_error *err);
octet_status octet_pass_absorb_activation(octet_graph *graph, octet_error *err);
octet_status octet_pass_remove_dead(octet_graph *graph, octet_error *err);

/* Folds attached batch norm into weights and biases: what prepare and inference want. */
octet_status octet_pass_fold_batch_norm(octet_graph *graph, octet_error *err);

/* Metadata of a graph that was equalized. */
#define OCTET_EQUALIZED "octet.equalized"

/* Of equalized graphs: bounds per channel become one bound for all. What is to be quantized wants that. */
octet_status octet_pass_merge_bounds(octet_graph *graph, octet_error *err);

/* The upper bound of a node that has absorbed a clamp, or of a Clip with three inputs; INFINITY: none. */
octet_status octet_set_upper_bound(octet_graph *graph, octet_node *node, float hi, octet_error *err);

/* w = node's weights as its attached batch norm will make them, in their layout. */
void octet_fold_weight(float *w, const octet_node *node);

/* Makes room for input 2 of a Conv, Gemm or MatMul. */
octet_status octet_add_bias_slot(octet_graph *graph, octet_node *node, octet_error *err);

/* Gives a Conv, Gemm or MatMul a float bias of channels entries if it has none (zeros) or a scalar one. */
octet_status octet_ensure_bias(octet_graph *graph, octet_node *node, int64_t channels, octet_error *err);

/* Makes an absorbed activation a node of its own again. */
octet_status octet_split_activation(octet_graph *graph, octet_node *node, octet_error *err);

/* The bounds of a Relu, or of a Clip whose bounds are constants; false where node is neither. */
bool octet_activation_bounds(octet_activation *bounds, const octet_node *node);

/* Replaces node's input in slot, a constant, by a new one made near its name (other readers keep the old one). */
octet_status octet_replace_constant(octet_graph *graph, octet_node *node, int slot, const octet_tensor *tensor,
                                    octet_error *err);

/* The data of a float32 constant without levels, NULL where value is none. */
const float *octet_constant_floats(const octet_value *value);

/* Whether node is of ONNX's operator op. */
static inline bool octet_node_is(const octet_node *node, const char *op)
{
    const char *a = node->op->name;
    while (*a && *a == *op) a++, op++;
    return *a == *op;
}

#endif
