/* SPDX-License-Identifier: Apache-2.0 */
/* Networks as a few lines of text, for checkpoints: two that compute something else have different ones. */
#ifndef OCTET_TRAIN_IDENTITY_H
#define OCTET_TRAIN_IDENTITY_H

#include "graph/graph.h"

/* Lines "ROLE 'name', N nodes", and hashes: "ROLE structure" of nodes, names, shapes and attributes, "ROLE weights" of
   constants and batch norms, "ROLE quantization" of FakeQuantize's settings. NULL when memory is out. */
const char *octet_train_identify(octet_arena *arena, const char *role, const octet_graph *graph);

#endif
