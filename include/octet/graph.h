/* SPDX-License-Identifier: Apache-2.0 */
/* A network: nodes, values, and how far quantization has come. Opaque; one thread at a time while it changes. */
#ifndef OCTET_GRAPH_H
#define OCTET_GRAPH_H

#include <octet/tensor.h>

typedef struct octet_graph octet_graph;

/* What a graph promises; each stage includes the ones before it (docs/architecture.md). */
typedef enum octet_stage {
    OCTET_STAGE_FLOAT = 0,
    OCTET_STAGE_FUSED,      /* batch norm attached, activations absorbed, constants folded */
    OCTET_STAGE_PREPARED,   /* batch norm folded, observers in place */
    OCTET_STAGE_CALIBRATED, /* every observer has seen data and holds qparams */
    OCTET_STAGE_QUANTIZED,  /* weights and biases are integers */
} octet_stage;

enum { OCTET_DIM_FREE = -1 }; /* a dimension bound when a plan is made: the batch */

/* Limits on untrusted files. Zero means the default. */
typedef struct octet_limits {
    size_t max_memory;   /* bytes a plan may need; default 75 % of the memory available */
    size_t max_file;     /* bytes of a model file; default 2 GiB - 1 */
    size_t max_nodes;    /* default 1,000,000 */
    size_t max_messages; /* protobuf sub-messages; default 200,000 */
    size_t max_scalars;  /* protobuf packed and repeated numbers; default 4,000,000 */
    size_t max_pixels;   /* of one image; default 64 million */
    size_t max_folded;   /* bytes of one folded constant; default 64 MiB */
    bool   widen;        /* inputs and outputs of half precision become f32 when a file is read: what samples feed */
} octet_limits;

/* ---- files ---- */

/* Reads an ONNX file (opset 1 to 28) into canonical form. Q/DQ pairs become quantization parameters of values.
   The caller frees *graph. On failure *graph is NULL and err names file, node and reason. */
OCTET_API octet_status octet_graph_load(octet_graph **graph, const char *path, octet_error *err);
OCTET_API octet_status octet_graph_load_limited(octet_graph **graph, const char *path, const octet_limits *limits,
                                                octet_error *err);

/* How a file is read; zeroed: wholly, with the default limits. */
typedef struct octet_load_options {
    octet_limits       limits;
    const char *const *ends; /* values at which the network ends, in the order of its outputs; what stands behind them
                                alone is not even looked at */
    size_t             end_count;
} octet_load_options;

/* An end that no node of the file makes: OCTET_ERR_ARGUMENT. */
OCTET_API octet_status octet_graph_load_with(octet_graph **graph, const char *path, const octet_load_options *options,
                                             octet_error *err);

typedef struct octet_save_options {
    bool replace; /* an existing file is replaced, atomically; otherwise it is an error */
} octet_save_options;

/* Writes ONNX: float graphs as they were read, quantized ones as QuantizeLinear/DequantizeLinear. Atomic: after a
   failure an existing file is as it was. octet_graph_save replaces an existing file. */
OCTET_API octet_status octet_graph_save(const octet_graph *graph, const char *path, octet_error *err);
OCTET_API octet_status octet_graph_save_as(const octet_graph *graph, const char *path,
                                           const octet_save_options *options, octet_error *err);
OCTET_API void octet_graph_free(octet_graph *graph);

/* ---- building without a file ---- */

OCTET_API octet_status octet_graph_new(octet_graph **graph, octet_error *err);

/* Declares an input: name, type, dims (OCTET_DIM_FREE allowed). Strings and data are always copied. */
OCTET_API octet_status octet_graph_add_input(octet_graph *graph, const char *name, octet_dtype dtype,
                                             const int64_t *dims, int rank, octet_error *err);
OCTET_API octet_status octet_graph_add_constant(octet_graph *graph, const char *name, const octet_tensor *tensor,
                                                octet_error *err);

/* An attribute as ONNX has it; set the member that the operator documents. Arrays: ints, floats or strings with
   count. */
typedef struct octet_attribute {
    const char        *name;
    int64_t            i;
    float              f;
    const char        *s;
    const int64_t     *ints;
    const float       *floats;
    size_t             count;
    const char *const *strings;
} octet_attribute;

/* One node of the newest opset octet knows. inputs: names of values that exist, "" where an optional one is left
   out; outputs: new names. Both lists, and attributes (which ends at name == NULL), may be NULL where empty. */
typedef struct octet_node_spec {
    const char            *op;
    const char            *name; /* NULL: made from op and a number */
    const char *const     *inputs;
    int                    input_count;
    const char *const     *outputs;
    int                    output_count;
    const octet_attribute *attributes;
} octet_node_spec;

OCTET_API octet_status octet_graph_add(octet_graph *graph, const octet_node_spec *spec, octet_error *err);
OCTET_API octet_status octet_graph_set_output(octet_graph *graph, const char *value, octet_error *err);

/* Checks names, order, types and shapes as the stage promises. Call it once a built graph is complete. */
OCTET_API octet_status octet_graph_verify(octet_graph *graph, octet_error *err);

/* ---- looking ---- */

OCTET_API octet_stage octet_graph_stage(const octet_graph *graph);

/* A named tensor of the graph's border. dims may hold OCTET_DIM_FREE. name belongs to the graph. */
typedef struct octet_port {
    const char *name;
    octet_dtype dtype;
    int         rank;
    int64_t     dims[OCTET_MAX_RANK];
    octet_qparams levels; /* what crosses the border are levels of dtype, and this is what they mean; count 0: numbers
                             as they are */
} octet_port;

OCTET_API size_t     octet_graph_input_count(const octet_graph *graph);
OCTET_API size_t     octet_graph_output_count(const octet_graph *graph);
OCTET_API octet_port octet_graph_input(const octet_graph *graph, size_t index);
OCTET_API octet_port octet_graph_output(const octet_graph *graph, size_t index);

/* Sets the free dimensions of the input shape->name to shape's (OCTET_DIM_FREE: stays free) and finds all other shapes
   again. For graphs that nothing has been done to yet. Another input, rank or size is OCTET_ERR_ARGUMENT; what the
   network cannot take is OCTET_ERR_SHAPE, and the graph of no use any more. */
OCTET_API octet_status octet_graph_bind(octet_graph *graph, const octet_port *shape, octet_error *err);

/* Dynamic quantization: over what the range of a node's input is taken when it runs. */
typedef enum octet_dynamic {
    OCTET_DYNAMIC_OFF = 0,
    OCTET_DYNAMIC_TENSOR,  /* the whole input (of a recurrent operator: the input of all steps; each step's states) */
    OCTET_DYNAMIC_ROW,     /* each row that is multiplied (of Conv: each sample) has its own */
    OCTET_DYNAMIC_REDUCED, /* as TENSOR, in 7 bits: PyTorch's reduce_range */
    OCTET_DYNAMIC_COUNT
} octet_dynamic;

/* "tensor", "row", "reduced"; NULL for OCTET_DYNAMIC_OFF and what is none. */
OCTET_API const char *octet_dynamic_name(octet_dynamic dynamic);

/* How a node computes. */
typedef enum octet_node_mode {
    OCTET_MODE_REAL = 0,     /* float32 (or whatever its type is) */
    OCTET_MODE_INTEGER,      /* integer levels in, integer levels out */
    OCTET_MODE_INTEGER_REAL, /* integer levels in, real numbers out: a last layer */
    OCTET_MODE_DYNAMIC,      /* real numbers in and out; the input becomes levels when the node runs */
} octet_node_mode;

/* One node, in execution order. Strings belong to the graph. */
typedef struct octet_node_info {
    const char     *name, *op;
    const char     *output; /* name of its first output value */
    const char     *merged; /* original nodes it now stands for, "a + b", or "" */
    int64_t         parameters;
    int64_t         macs; /* multiply-accumulates of one sample; -1: not known */
    octet_node_mode mode;
    octet_port      shape; /* of its first output; free dimensions as OCTET_DIM_FREE */
    octet_qparams   qparams; /* of its first output; count 0 where real */
    const char     *method;  /* how the output's range was found ("percentile 99.99", ...), or "" */
} octet_node_info;

OCTET_API size_t          octet_graph_node_count(const octet_graph *graph);
OCTET_API octet_node_info octet_graph_node(const octet_graph *graph, size_t index);

/* Multiply-accumulates of one sample, as far as they are known. */
OCTET_API double octet_graph_macs(const octet_graph *graph);

/* A choice octet made and why; in the order they were made. */
typedef struct octet_decision {
    const char *node; /* node or value */
    const char *what; /* "float", "scale raised", "folded", ... */
    const char *why;
} octet_decision;

OCTET_API size_t         octet_graph_decision_count(const octet_graph *graph);
OCTET_API octet_decision octet_graph_decision(const octet_graph *graph, size_t index);

/* metadata_props of the file. Keys starting "octet." are octet's own. NULL when absent. */
OCTET_API const char  *octet_graph_metadata(const octet_graph *graph, const char *key);
OCTET_API octet_status octet_graph_set_metadata(octet_graph *graph, const char *key, const char *value,
                                                octet_error *err);

/* Writes the whole graph, one node a line, for people. The caller frees nothing: text lives in the graph. */
OCTET_API octet_status octet_graph_print(octet_graph *graph, const char **text, octet_error *err);

/* Operators of this build, sorted by name, for documentation. Returns false past the end. */
typedef struct octet_operator_info {
    const char *name;
    bool        integer;  /* has an integer rule (docs/arithmetic.md) */
    bool        gradient; /* can be trained through */
    bool        parts;    /* while reading, the operators that it is made of take its place: their answers hold */
    int         since;    /* lowest opset read */
} octet_operator_info;

OCTET_API bool octet_operator(octet_operator_info *info, size_t index);

#endif
