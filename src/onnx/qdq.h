/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a QuantizeLinear or DequantizeLinear node, checked. */
#ifndef OCTET_ONNX_QDQ_H
#define OCTET_ONNX_QDQ_H

#include "onnx/read.h"

/* Quantization parameters of a Q or DQ node, in the graph's arena. known false: scale or zero point are computed at
   run time, or belong to blocks, or a constant's scales are below zero. Everything else wrong is an error. */
octet_status octet_qdq_qparams(octet_qparams *qparams, bool *known, const octet_reader *reader, const octet_node *node,
                               octet_error *err);

/* Same scale, zero point, type and axis. */
bool octet_qdq_same(const octet_qparams *a, const octet_qparams *b);

/* "w" of "w_q", where that name is free; else NULL. */
const char *octet_qdq_bare_name(octet_reader *reader, const char *name);

bool octet_is_quantize(const octet_node *node);
bool octet_is_dequantize(const octet_node *node);

#endif
