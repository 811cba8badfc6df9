/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a QuantizeLinear or DequantizeLinear node, checked. */
#ifndef OCTET_ONNX_QDQ_H
#define OCTET_ONNX_QDQ_H

#include "onnx/read.h"

/* Quantization parameters of a Q or DQ node, in the graph's arena. known false: scale or zero point are computed at
   run time, or belong to blocks of what is no constant, or a constant's scales are below zero. Everything else wrong is
   an error. */
octet_status octet_qdq_qparams(octet_qparams *qparams, bool *known, const octet_reader *reader, const octet_node *node,
                               octet_error *err);

/* Same scale, zero point, type and axis. */
bool octet_qdq_same(const octet_qparams *a, const octet_qparams *b);

/* "w" of "w_q", where that name is free; else NULL. */
const char *octet_qdq_bare_name(octet_reader *reader, const char *name);

/* Levels and what they mean become one constant, in the place of result. The constant, new or result itself. */
octet_status octet_qdq_make(octet_value **constant, octet_reader *reader, const octet_value *levels,
                            octet_value *result, const octet_qparams *qparams, octet_error *err);

/* read_real_zero.c: what octet writes of levels with a real zero point, Cast, Sub and Mul, is a constant of levels
   again. */
octet_status octet_read_real_zeros(octet_reader *reader, bool *changed, octet_error *err);

/* Gives value a FakeQuantize of these parameters. */
octet_status octet_qdq_attach(octet_reader *reader, octet_value *value, const octet_qparams *qparams,
                              octet_error *err);

/* to = Identity(from), before a node. */
octet_status octet_qdq_identity(octet_reader *reader, octet_node *before, octet_value *from, octet_value *to,
                                octet_error *err);

/* Value to takes the place of from as its producer's output, and all of from's readers. */
octet_status octet_qdq_take_place(octet_graph *graph, octet_value *from, octet_value *to, octet_error *err);

/* qdq_border.c: inputs that DequantizeLinear alone reads, and outputs that QuantizeLinear makes, become real values
   whose levels cross the border. */
octet_status octet_read_border_levels(octet_reader *reader, bool *changed, octet_error *err);

bool octet_is_quantize(const octet_node *node);
bool octet_is_dequantize(const octet_node *node);

#endif
