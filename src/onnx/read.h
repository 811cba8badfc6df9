/* SPDX-License-Identifier: Apache-2.0 */
/* State shared by the parts of the reader during one call of octet_graph_load. A raw node is a node of the file with
   its inputs looked up and its attributes still as the file has them: what upgrades work on. */
#ifndef OCTET_ONNX_READ_H
#define OCTET_ONNX_READ_H

#include "graph/op.h"
#include "onnx/tensor_proto.h"

typedef struct Onnx__ModelProto     Onnx__ModelProto;
typedef struct Onnx__GraphProto     Onnx__GraphProto;
typedef struct Onnx__AttributeProto Onnx__AttributeProto;
typedef struct Onnx__NodeProto      Onnx__NodeProto;
typedef struct Onnx__ValueInfoProto Onnx__ValueInfoProto;

/* A node to read. Where it comes from a function, that one states the opset, and scope says what names mean there. */
typedef struct octet_proto_node {
    const Onnx__NodeProto    *proto;
    int                       opset;
    const struct octet_scope *scope;
} octet_proto_node;

typedef struct octet_reader {
    octet_graph            *graph;
    const Onnx__ModelProto *model;
    const Onnx__GraphProto *proto;
    octet_arena            *arena; /* of this call */
    octet_external          external;
    struct octet_names     *narrow; /* constants that the file holds in less than a byte -> Onnx__TensorProto */
    int                     opset;
    const char *const      *ends; /* values at which the network ends; none: at the outputs of the file */
    size_t                  end_count;
    octet_proto_node       *nodes;
    size_t                  node_count, node_capacity;
    struct octet_names     *functions; /* "domain:name" -> Onnx__FunctionProto */
    size_t                  unfolded; /* names looked at while unfolding functions and branches */
    size_t                  computed_conditions;
    octet_node            **flattening; /* Softmax and its like from before opset 13 */
    size_t                  flattening_count, flattening_capacity;
} octet_reader;

enum { OCTET_OPSET_HIGH = 28 }; /* newest that is read */
enum { OCTET_RAW_ROOM = 8 }; /* inputs and attributes that upgrades may add */

typedef struct octet_raw_node {
    const char                  *op, *domain, *name; /* name: of the file, or what messages call it */
    bool                         named;
    octet_value                **inputs; /* NULL: left out; room for OCTET_RAW_ROOM more */
    int                          input_count;
    octet_value                **outputs;
    int                          output_count;
    const Onnx__AttributeProto **attributes; /* room for OCTET_RAW_ROOM more */
    size_t                       attribute_count;
} octet_raw_node;

/* read_graph.c: everything of the file into the graph, nodes upgraded and in order. */
octet_status octet_read_graph(octet_reader *reader, octet_error *err);

/* read_cut.c: nodes that only what stands behind reader->ends needs are struck from reader->nodes. */
octet_status octet_read_cut(octet_reader *reader, octet_error *err);

/* read_cut.c: what the file says of its output; NULL: it is none of the file's. */
const Onnx__ValueInfoProto *octet_read_declared(const octet_reader *reader, const char *output);

/* Declared types and shapes of outputs against what was found. */
octet_status octet_read_check_outputs(const octet_reader *reader, octet_error *err);

/* Makes a graph node of raw. node may be NULL. */
octet_status octet_read_emit(octet_node **node, octet_reader *reader, octet_raw_node *raw, octet_error *err);

/* attributes.c: fills node->attrs from the list. Unknown, doubled, ill-typed, missing ones and values out of range
   are refused. */
octet_status octet_attributes_read(octet_reader *reader, octet_node *node, const octet_raw_node *raw, octet_error *err);

/* The type of an attribute, checked to be what it carries. */
octet_status octet_attribute_type(int *type, const Onnx__AttributeProto *attribute, octet_error *err);

/* half.c: a tensor of the file as the graph has it, halves widened to float32. */
octet_status octet_read_tensor(octet_tensor *tensor, octet_reader *reader, const Onnx__TensorProto *proto,
                               octet_error *err);

/* half.c: the type of an input or output that the file declares to be of dtype. */
octet_dtype octet_read_border(const octet_reader *reader, octet_dtype dtype);

/* half.c: a Cast behind each input of a half's type (before shapes are known), and before each output that the file
   declares to be of one (once they are). Sets *changed where shapes must be found again. */
octet_status octet_read_half_inputs(octet_reader *reader, octet_error *err);
octet_status octet_read_half_outputs(octet_reader *reader, bool *changed, octet_error *err);

/* Whether a domain is ONNX's own. */
bool octet_read_is_default(const char *domain);

/* Bits of the numbers of a constant that the file holds in less than a byte; 0: of no such. */
int octet_read_bits(const octet_reader *reader, const octet_value *value);

/* What messages call a node: its name, else its first output, else its operator. */
const char *octet_read_label(const Onnx__NodeProto *node);

/* functions.c: the nodes of the file in reader->nodes, each call of one of the model's own functions replaced by the
   function's nodes. */
octet_status octet_read_nodes(octet_reader *reader, octet_error *err);

/* read_if.c: puts the nodes of the branch that an If takes behind reader->nodes, and its constants into the graph.
   (*results)[i]: what its result number i is called in the graph. Refused where the condition is not known, or not the
   same for every batch. */
octet_status octet_read_if(const char ***results, octet_reader *reader, const octet_proto_node *node, octet_error *err);

/* functions.c: the nodes of an If's branch behind reader->nodes. names: what its own names are outside. */
octet_status octet_read_branch(octet_reader *reader, const octet_proto_node *node, const Onnx__GraphProto *branch,
                               struct octet_names *names, octet_error *err);

/* functions.c: what a name around node is in the graph; NULL: no memory. */
const char *octet_read_outside(octet_reader *reader, const octet_proto_node *node, const char *name);

/* read_graph.c: a constant of the file. */
octet_status octet_read_initializer(octet_reader *reader, const Onnx__TensorProto *proto, octet_error *err);

/* neutral.c: an attribute that the operator's rows do not have. One that says nothing here is passed over; the others
   are refused. */
octet_status octet_attribute_neutral(const octet_reader *reader, const octet_op *op,
                                     const Onnx__AttributeProto *attribute, octet_error *err);

/* upgrade.c: brings raw to the canonical form described in graph/op.h. */
octet_status octet_upgrade(octet_reader *reader, octet_raw_node *raw, octet_error *err);

/* read_late.c: what can only be done once shapes are known. Sets *changed where shapes must be found again. */
octet_status octet_read_flattening(octet_reader *reader, bool *changed, octet_error *err);

/* expand.c: operators that are made of others are replaced by those. */
octet_status octet_read_expand(octet_reader *reader, bool *changed, octet_error *err);

/* read_dynamic.c: integer products of what DynamicQuantizeLinear makes become nodes with node->dynamic; metadata says
   which others are meant so. */
octet_status octet_read_dynamic(octet_reader *reader, bool *changed, octet_error *err);

/* qdq.c: QuantizeLinear/DequantizeLinear pairs become FakeQuantize; integer constants with a DequantizeLinear become
   constants of levels. */
octet_status octet_read_qdq(octet_reader *reader, bool *changed, octet_error *err);

#endif
