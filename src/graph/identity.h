/* SPDX-License-Identifier: Apache-2.0 */
/* Networks as hashes, for files that belong to one of them. */
#ifndef OCTET_GRAPH_IDENTITY_H
#define OCTET_GRAPH_IDENTITY_H

#include "base/hash.h"
#include "graph/graph.h"

/* Begins both: structure is of nodes, names, shapes and attributes, weights of constants and batch norms. Two networks
   that compute something else differ in one of them. */
void octet_graph_identify(octet_hash *structure, octet_hash *weights, const octet_graph *graph);

/* Text with its end, NULL as an empty one. */
void octet_hash_add_text(octet_hash *hash, const char *text);

#endif
