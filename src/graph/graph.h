/* SPDX-License-Identifier: Apache-2.0 */
/* The one representation of a network. Passes rewrite it through edit.c's functions, which keep uses and producers
   right; nothing else writes those fields. */
#ifndef OCTET_GRAPH_GRAPH_H
#define OCTET_GRAPH_GRAPH_H

#include <octet/graph.h>

#include "base/arena.h"

typedef struct octet_value octet_value;
typedef struct octet_node  octet_node;
typedef struct octet_op    octet_op;

/* One reader of a value: slot is the index in node->inputs. */
typedef struct octet_use {
    octet_node *node;
    int         slot;
} octet_use;

/* FakeQuantize: the whole of quantization, at most one per value. Values that must share parameters (through Reshape,
   MaxPool, ...) point to the same object. */
typedef struct octet_fake_quantize {
    octet_qparams qparams;  /* count 0 until calibrated */
    void         *observer; /* observe/observer.h's, while observing; NULL otherwise */
    const char   *method;   /* how the range was found, for reports; or NULL */
    struct octet_trained *trained; /* train/fake_quantize.h's, from prepare_qat to convert; NULL otherwise */
} octet_fake_quantize;

/* A tensor of the network: an input, a constant, or a node's output. */
struct octet_value {
    const char          *name; /* unique in the graph, never empty */
    octet_dtype          dtype; /* of the real numbers; a constant of levels has its level type in constant->dtype */
    bool                 has_shape;
    int                  rank;
    int64_t              dims[OCTET_MAX_RANK]; /* OCTET_DIM_FREE: bound when planning */
    octet_node          *producer; /* NULL: an input or a constant */
    octet_use           *uses;
    size_t               use_count, use_capacity;
    const octet_tensor  *constant;      /* NULL unless known; with qparams: integer levels */
    octet_fake_quantize *fake_quantize; /* NULL: stays real */
    bool                 is_input, is_output;
    bool                 as_levels; /* an input or output: its levels cross the network's border, no real numbers */
    bool                 half;     /* a constant of float32 whose numbers are IEEE halves: so they are in a file */
    bool                 borrowed; /* the constant's data lies in the graph that this one is a copy of (copy.h) */
    int                  index; /* dense number of this value in the graph, for side tables */
    octet_value         *next;
};

/* An activation absorbed by its producer: out = clamp(out, lo, hi). The writer makes the original node of it again. */
typedef struct octet_activation {
    bool        on;
    float       lo, hi;      /* Relu: 0 and +infinity */
    const char *name, *op;   /* of the absorbed node: "Relu" or "Clip" */
    const char *inner;       /* name of the value between the two */
} octet_activation;

/* Batch normalization attached to a Conv or Gemm (kept as data so that training can keep it live). Each has one entry
   per output channel. */
typedef struct octet_batch_norm {
    int64_t      channels;
    const float *gamma, *beta, *mean, *variance;
    float        epsilon, momentum;
    const char  *name;
} octet_batch_norm;

struct octet_node {
    const char             *name; /* unique, never empty */
    const octet_op         *op;
    void                   *attrs; /* op->attrs_size bytes, described by op->attrs */
    octet_value           **inputs; /* NULL entries: optional inputs left out */
    int                     input_count;
    octet_value           **outputs; /* NULL entries: optional outputs nobody wants */
    int                     output_count;
    octet_activation        activation;
    const octet_batch_norm *batch_norm; /* NULL: none */
    const octet_batch_norm *folded; /* the batch norm that weights and bias contain by now; NULL: none */
    const char             *merged;     /* "a + b": original nodes that this one stands for; NULL: itself */
    octet_dynamic           dynamic;    /* where its weights are levels and its input is real; ops/dynamic.h */
    int                     index;      /* position in execution order */
    octet_node             *prev, *next;
};

typedef struct octet_metadata {
    const char *key, *value;
} octet_metadata;

struct octet_graph {
    octet_arena    *arena;
    octet_stage     stage;
    bool            training; /* prepared by octet_prepare_qat: batch norms are attached and FakeQuantize is trained. An
                                 engine runs and a file holds the float network that it is */
    bool            biases_corrected; /* by a step before conversion, which then leaves biases alone */
    const char     *name;
    const char     *path; /* file it came from, for messages; NULL: built in memory */
    int             opset; /* of the file it came from */
    octet_node     *first, *last; /* execution order */
    octet_value    *values;       /* all, in the order of their making */
    octet_value    *values_last;
    int             node_count, value_count;
    octet_value   **inputs, **outputs; /* in the order of the file */
    size_t          input_count, output_count, input_capacity, output_capacity;
    octet_decision *decisions;
    size_t          decision_count, decision_capacity;
    octet_metadata *metadata;
    size_t          metadata_count, metadata_capacity;
    const char     *target;   /* quantization target, once prepared ("native") */
    octet_limits    limits;
    struct octet_names *value_names, *node_names;
    struct octet_calibration *calibration; /* quantize/'s own, from prepare to convert; NULL otherwise */
};

/* ---- looking up ---- */

octet_value *octet_graph_find_value(const octet_graph *graph, const char *name);
octet_node  *octet_graph_find_node(const octet_graph *graph, const char *name);

/* ---- editing (edit.c). All memory is the graph's arena's; err says "out of memory" or names a clash. ---- */

/* A new value. name NULL or taken: a free name is made from it ("x", "x_1", ...) when unique is allowed to be changed
   (octet_value_new_near), an error otherwise. */
octet_status octet_value_new(octet_value **value, octet_graph *graph, const char *name, octet_error *err);
octet_status octet_value_new_near(octet_value **value, octet_graph *graph, const char *name, octet_error *err);

/* A constant value; data, shape and qparams are copied into the graph unless borrow (the bytes live as long as it). */
octet_status octet_value_new_constant(octet_value **value, octet_graph *graph, const char *name,
                                      const octet_tensor *tensor, bool borrow, octet_error *err);

/* Makes an existing value a constant (its producer, if any, is left to remove); data, shape and qparams are copied. */
octet_status octet_value_set_constant(octet_graph *graph, octet_value *value, const octet_tensor *tensor,
                                      octet_error *err);

/* A node with room for inputs and outputs (all NULL), attributes at their defaults, appended to the order, or put
   before another one where before is not NULL. name NULL or taken: made unique. */
typedef struct octet_new_node {
    const octet_op *op;
    const char     *name;
    int             inputs, outputs;
    octet_node     *before;
} octet_new_node;

octet_status octet_node_new(octet_node **node, octet_graph *graph, const octet_new_node *as, octet_error *err);

octet_status octet_node_set_input(octet_graph *graph, octet_node *node, int slot, octet_value *value, octet_error *err);
void         octet_node_set_output(octet_node *node, int slot, octet_value *value);

/* Every reader of from (and the graph's output list) reads to instead. */
octet_status octet_value_replace(octet_graph *graph, octet_value *from, octet_value *to, octet_error *err);

/* Unlinks a node whose outputs nobody reads any more; its inputs lose a reader. */
void octet_node_remove(octet_graph *graph, octet_node *node);

/* Unlinks values without producer, reader or border role. Renumbers nodes and values. */
void octet_graph_sweep(octet_graph *graph);

/* Brings nodes into execution order (stable: Kahn). OCTET_ERR_FORMAT names a node on a cycle. */
octet_status octet_graph_sort(octet_graph *graph, octet_error *err);

/* Appends a decision; texts are copied, why is printf-formatted. */
octet_status octet_decide(octet_graph *graph, const char *node, const char *what, octet_error *err, const char *why,
                          ...) __attribute__((format(printf, 5, 6)));

/* Notes that node now also stands for the node called name. */
octet_status octet_node_merge_name(octet_graph *graph, octet_node *node, const char *name, octet_error *err);

/* ---- asking ---- */

static inline bool octet_value_is_constant(const octet_value *value) { return value && value->constant; }

/* The only reader of value, which is no graph output; NULL otherwise. */
octet_node *octet_value_only_reader(const octet_value *value);

/* Tensor view of a value with free dimensions taken as batch, its constant's data where it has one. */
octet_tensor octet_value_tensor(const octet_value *value, int64_t batch);

/* Checks what the graph's stage promises (verify.c). Cheap enough after every pass. */
octet_status octet_graph_check(const octet_graph *graph, octet_error *err);

#endif
