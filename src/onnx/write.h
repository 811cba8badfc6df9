/* SPDX-License-Identifier: Apache-2.0 */
/* State of one save: the messages under construction, all in one arena, tensor data borrowed from the graph. */
#ifndef OCTET_ONNX_WRITE_H
#define OCTET_ONNX_WRITE_H

#include "graph/names.h"
#include "graph/op.h"

#include <protobuf-c/protobuf-c.h>

typedef struct Onnx__ModelProto     Onnx__ModelProto;
typedef struct Onnx__GraphProto     Onnx__GraphProto;
typedef struct Onnx__NodeProto      Onnx__NodeProto;
typedef struct Onnx__TensorProto    Onnx__TensorProto;
typedef struct Onnx__ValueInfoProto Onnx__ValueInfoProto;

/* What has been written for a value so far. */
typedef struct octet_written {
    const char *levels, *scale, *zero_point; /* names, once its levels exist; zero_point NULL: none is written */
    const char *result;                      /* name that its producer gives it, where that is not its own */
    bool        initializer;
    const char *dynamic[3];                  /* names of what DynamicQuantizeLinear made of it */
    const char *real;                        /* name of the numbers that levels with a real zero point are written as */
} octet_written;

typedef struct octet_writer {
    const octet_graph *graph;
    octet_arena       *arena;
    octet_names       *value_names, *node_names; /* of the file */
    octet_written     *written;                  /* by value->index */
    Onnx__GraphProto  *proto;
    size_t             node_capacity, initializer_capacity, info_capacity;
    int                opset;
    bool               real_biases; /* biases of levels are written as real numbers */
    bool               quantized; /* a QuantizeLinear or DequantizeLinear was written */
    octet_error       *err;
} octet_writer;

/* ---- write_proto.c: messages ---- */

/* A message of the given type with its defaults. */
octet_status octet_write_new(void *message, octet_writer *writer, const ProtobufCMessageDescriptor *type);

/* A name like near that the file does not have yet, reserved. */
octet_status octet_write_name(const char **name, octet_writer *writer, octet_names *names, const char *near);

typedef struct octet_write_spec {
    const char        *op, *name; /* name is made unique */
    const char *const *inputs;    /* NULL or "": left out */
    int                input_count;
    const char *const *outputs;
    int                output_count;
} octet_write_spec;

/* Appends a node. The lists are copied. */
octet_status octet_write_node(Onnx__NodeProto **node, octet_writer *writer, const octet_write_spec *spec);

octet_status octet_write_int(octet_writer *writer, Onnx__NodeProto *node, const char *name, int64_t value);
octet_status octet_write_float(octet_writer *writer, Onnx__NodeProto *node, const char *name, float value);

/* Every attribute of from that differs from its default. */
octet_status octet_write_attributes(octet_writer *writer, Onnx__NodeProto *node, const octet_node *from);

octet_status octet_write_tensor(Onnx__TensorProto **proto, octet_writer *writer, const char *name,
                                const octet_tensor *tensor);
octet_status octet_write_initializer(octet_writer *writer, const char *name, const octet_tensor *tensor);

/* The same of levels that fit four bits: two in a byte. */
octet_status octet_write_packed(octet_writer *writer, const char *name, const octet_tensor *tensor);

/* Type and shape like value's, under a name and with a type of its own. */
octet_status octet_write_value_info(Onnx__ValueInfoProto **info, octet_writer *writer, const char *name,
                                    octet_dtype dtype, const octet_value *like);

/* The same into the graph's list, where the shape is known. */
octet_status octet_write_info(octet_writer *writer, const char *name, octet_dtype dtype, const octet_value *like);

/* ---- write_qdq.c ---- */

/* Parameters that the file must state for value, NULL where it is real there (all of a training graph is). */
const octet_qparams *octet_write_qparams(const octet_writer *writer, const octet_value *value);

/* Its levels where these, and not real numbers, are the file's input or output; NULL otherwise. */
const octet_qparams *octet_write_border(const octet_writer *writer, const octet_value *value);

/* After value's real number exists under the name real: QuantizeLinear, behind a Clip where its range asks for one.
   Constants of levels become initializers. Once for each value. */
octet_status octet_write_quantize(octet_writer *writer, const octet_value *value, const char *real);

/* The name under which one reader finds value's real numbers: a DequantizeLinear of its own where value has levels.
   wanted: that name, or NULL. */
octet_status octet_write_dequantize(const char **name, octet_writer *writer, const octet_value *value,
                                    const char *wanted);

/* The name of node's bias (input 2), of levels, written as real numbers that the reader makes the same levels of. */
octet_status octet_write_real_bias(const char **name, octet_writer *writer, const octet_node *node);

/* ---- write_dynamic.c ---- */

/* Whether node is written as integer operators: DynamicQuantizeLinear, MatMulInteger or ConvInteger, Cast, Mul, Add. */
bool octet_write_is_dynamic(const octet_writer *writer, const octet_node *node);

/* Writes it so, without what it absorbed. *last: the node that makes result. */
octet_status octet_write_dynamic(Onnx__NodeProto **last, octet_writer *writer, const octet_node *node,
                                 const char *result);

/* ---- write.c ---- */

octet_status octet_write_graph(Onnx__ModelProto **model, octet_writer *writer);

#endif
