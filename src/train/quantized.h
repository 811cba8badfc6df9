/* SPDX-License-Identifier: Apache-2.0 */
/* From a training graph to the network that ships. */
#ifndef OCTET_TRAIN_QUANTIZED_H
#define OCTET_TRAIN_QUANTIZED_H

#include "graph/graph.h"

/* What training, with its present weights and FakeQuantize, would ship: a graph of its own that stands alone and that
   the caller frees. training is only read. Without any quantization: the float network. */
octet_status octet_train_quantized(octet_graph **quantized, const octet_graph *training, octet_error *err);

/* Makes that of a training graph itself, a copy of another one (graph/copy.h). */
octet_status octet_train_finish(octet_graph *copy, octet_error *err);

/* Gives every FakeQuantize of a training graph the parameters that its `trained` has now: octet_convert then makes of
   it what octet_train_quantized makes. */
octet_status octet_train_settle(octet_graph *training, octet_error *err);

#endif
