/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OCTET_TRAIN_QUANTIZED_H
#define OCTET_TRAIN_QUANTIZED_H
#include "graph/graph.h"
octet_status octet_train_quantized(octet_graph **quantized, const octet_graph *trained, octet_error *err);
#endif
