/* SPDX-License-Identifier: Apache-2.0 */
/* From real constants to integer ones, once the parameters of values are known. Used when a quantized file is read and
   by conversion. */
#ifndef OCTET_PASSES_INTEGERIZE_H
#define OCTET_PASSES_INTEGERIZE_H

#include "graph/graph.h"
#include "graph/op.h"

/* Both steps below, in octet's rounding. */
octet_status octet_integerize(octet_graph *graph, octet_error *err);

/* Every float constant with a FakeQuantize becomes levels, rounded as profile (NULL: octet) says. */
octet_status octet_integerize_constants(octet_graph *graph, const octet_profile *profile, octet_error *err);

/* Every bias of an integer Conv, Gemm or MatMul becomes s32 with scale f32(sx * sw[c]), and the sums of every such node
   are proven to fit 32 bits, from the actual weights. A node that does not fit is refused by name. */
octet_status octet_integerize_biases(octet_graph *graph, octet_error *err);

/* The same for one such node. */
octet_status octet_integerize_bias(octet_graph *graph, octet_node *node, octet_error *err);

/* The way back: constants of levels become real numbers with a FakeQuantize that holds their parameters, biases become
   plain real numbers. Both steps above make the same levels of them (a bias above 2^24 only if it once was float32). */
octet_status octet_real_constants(octet_graph *graph, octet_error *err);

/* Whether node is a Conv, Gemm or MatMul that sums integers: it can, and its inputs are or will be levels. */
bool octet_sums_integers(const octet_node *node);

/* Largest |bias| in units of sx * sw: 2^30. */
#define OCTET_BIAS_LIMIT 1073741824.0

#endif
