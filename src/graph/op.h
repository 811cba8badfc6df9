/* SPDX-License-Identifier: Apache-2.0 */
/* What octet knows about one ONNX operator: a row. All families are in ops/, one file each, listed in ops/list.h.

   Canonical form: every opset is read into the meaning of the newest one octet knows (28): Clip's bounds, Slice's
   starts, Pad's pads, Squeeze's axes, Split's sizes, the axes of every Reduce..., ... are inputs. The reader upgrades
   (onnx/upgrade.c), nobody else knows. */
#ifndef OCTET_GRAPH_OP_H
#define OCTET_GRAPH_OP_H

#include "graph/graph.h"

#include <stddef.h>

/* ---- attributes: rows that reader, writer, printer, verifier and documentation walk ---- */

typedef enum octet_attr_kind {
    OCTET_ATTR_END = 0,
    OCTET_ATTR_INT,    /* int64_t */
    OCTET_ATTR_FLOAT,  /* float */
    OCTET_ATTR_INTS,   /* octet_ints */
    OCTET_ATTR_FLOATS, /* octet_floats */
    OCTET_ATTR_STRING, /* const char * */
    OCTET_ATTR_STRINGS, /* octet_strings */
    OCTET_ATTR_TENSOR, /* const octet_tensor * */
} octet_attr_kind;

enum { OCTET_INTS_MAX = 16 };
typedef struct octet_ints {
    int     count; /* 0: attribute not given */
    int64_t at[OCTET_INTS_MAX];
} octet_ints;

typedef struct octet_floats {
    size_t       count; /* 0: attribute not given */
    const float *at;
} octet_floats;

typedef struct octet_strings {
    size_t             count; /* 0: attribute not given */
    const char *const *at;
} octet_strings;

typedef struct octet_attr {
    const char     *name; /* as in ONNX */
    octet_attr_kind kind;
    size_t          offset;   /* in the family's attribute struct */
    int64_t         default_i; /* INT */
    float           default_f; /* FLOAT */
    const char     *default_s; /* STRING, or NULL */
    int64_t         min, max;  /* of an INT or of each entry of INTS; both 0: any */
    bool            required;
    int             since;     /* lowest opset that has it, where that is later than the operator's: the writer states
                                  at least this one where the value is not the default */
    bool            counts_outputs; /* an INT that files from since on must state where there is no input 1: the number
                                       of outputs */
} octet_attr;

/* ---- one call ---- */

typedef struct octet_profile octet_profile; /* rounding rules, ops/profile.h */

/* Everything an operator sees when it runs or infers. in[i] is NULL where an optional input is absent, and out[i]
   where an optional output is not wanted. While inferring, in[i]->data is NULL unless the value is known already. */
typedef struct octet_call {
    const octet_node          *node;
    const void                *attrs;
    const octet_tensor *const *in;
    octet_tensor *const       *out;
    int                        in_count, out_count;
    octet_arena               *arena;   /* while inferring and preparing only */
    bool                      *needs_value; /* while inferring, may be NULL: becomes true where infer fails because the
                                               value of an input is not known yet */
    void                      *scratch; /* scratch_size() bytes, 64-byte aligned */
    int                        threads;
    const octet_profile       *profile; /* integer rules only */
    float                      real_unit; /* of a MAC's real output: 0 or 1 plain, else the fused Add's output scale */
} octet_call;

typedef octet_status (*octet_infer)(const octet_call *call, octet_error *err);
typedef octet_status (*octet_forward)(const octet_call *call, octet_error *err);

/* The gradient of one call of real numbers (float32 or float64, all tensors of one type). forward holds the tensors of
   the call: in[] as it read them, out[] in its type and shape (its data is not read and may be gone).
   node->activation and node->batch_norm are ignored: the caller has dealt with them. scratch is the caller's,
   backward_scratch() bytes. Single-threaded: whoever calls splits the work. */
typedef struct octet_backward_call {
    const octet_call          *forward;
    const octet_tensor *const *dout; /* per output; NULL: zero */
    octet_tensor *const       *din;  /* per input; NULL: not wanted. The gradient is ADDED to it */
    void                      *scratch;
} octet_backward_call;

typedef octet_status (*octet_backward)(const octet_backward_call *call, octet_error *err);

/* How an operator takes part in quantization. */
typedef enum octet_quant_kind {
    OCTET_QUANT_NONE = 0, /* runs in real numbers */
    OCTET_QUANT_MAC,      /* Conv, Gemm, MatMul: int32 sums; output may stay real */
    OCTET_QUANT_RESCALE,  /* Add, Sub, Mul, AveragePool, Resize linear, ...: own output parameters */
    OCTET_QUANT_SAME,     /* levels move or compare: output shares the parameters of input 0 */
    OCTET_QUANT_CONCAT,   /* inputs may share the output's parameters */
    OCTET_QUANT_TABLE,    /* one input, any function: 256 entries */
} octet_quant_kind;

enum { /* octet_op.flags */
    OCTET_OP_LINEAR_CLAMP = 1, /* may absorb a following Relu or Clip (its forward functions apply node->activation) */
    OCTET_OP_SHAPE        = 2, /* result is known as soon as input shapes are: Shape, Size */
    OCTET_OP_VIEW         = 4, /* output 0 is input 0's bytes in another shape: Reshape, Flatten, Squeeze, ... */
    OCTET_OP_ELEMENTWISE  = 8, /* real numbers: where all shapes are one, out[i] depends on the elements at i alone */
    OCTET_OP_FUNCTION     = 16, /* a squashing function (Softmax, Sigmoid, ...): at a network's end it stays real */
    OCTET_OP_SAMPLES      = 32, /* sample n of output 0 (dimension 0) depends on sample n of input 0 alone, and on all
                                   of the other inputs: a batch may be cut into slices. Not so BatchNormalization in
                                   its training_mode, which has no gradient */
    OCTET_OP_AVERAGES     = 128, /* output 0 lies within input 0's range (averages, interpolation): some targets let
                                    both share their parameters */
    OCTET_OP_ONE_DATA     = 64, /* inputs behind the first are parameters: only that one holds levels */
    OCTET_OP_PICKS        = 256, /* picks entries of input 0: where that is a constant of levels, whatever their
                                    parameters, forward_integer makes real numbers of those picked, or levels of the
                                    result's */
};

/* Bit of a type, for octet_op.types. */
#define OCTET_TYPE(dtype) (1u << (dtype))
enum {
    OCTET_TYPES_FLOAT = 1u << OCTET_F32 | 1u << OCTET_F64,
    OCTET_TYPES_INT   = 1u << OCTET_I8 | 1u << OCTET_U8 | 1u << OCTET_I16 | 1u << OCTET_U16 | 1u << OCTET_I32 |
                      1u << OCTET_U32 | 1u << OCTET_I64 | 1u << OCTET_U64,
    OCTET_TYPES_ALL = OCTET_TYPES_FLOAT | OCTET_TYPES_INT | 1u << OCTET_BOOL | 1u << OCTET_F16 | 1u << OCTET_BF16,
};

struct octet_op {
    const char       *name;   /* as in ONNX */
    const char       *domain; /* NULL: ai.onnx */
    int               since;  /* lowest opset in which its present canonical form exists (what the writer must state) */
    int               min_inputs, max_inputs;   /* max OCTET_ANY: variadic */
    int               min_outputs, max_outputs;
    unsigned          types;  /* of input 0 (or of output 0 where there is no input): OCTET_TYPE bits */
    const octet_attr *attrs;  /* ends with OCTET_ATTR_END; NULL: none */
    size_t            attrs_size;
    octet_quant_kind  quant;
    unsigned          flags;
    /* Checks everything about shapes, types and attributes, and sets dtype, rank and dims of every wanted output. Never
       trusts: files end here. Dimensions are always concrete. */
    octet_infer       infer;
    /* Real numbers: fills out[i]->data. Tensors have been checked by infer. NULL: never runs (only exists in files). */
    octet_forward     forward;
    /* Integer levels, as docs/arithmetic.md says: inputs carry qparams (or are real where the rule says so), outputs
       carry qparams, or none (MAC with a real output). The definition every engine is tested against. */
    octet_forward     forward_integer;
    /* Why this very node cannot compute on levels although its operator can; NULL result, or no function: it can. */
    const char     *(*refuses_levels)(const octet_node *node);
    /* Of a RESCALE operator: whether this very node only moves levels, as one of kind SAME does. NULL: none does. */
    bool            (*moves_levels)(const octet_node *node);
    /* Bytes of call->scratch that forward / forward_integer need; NULL: 0. */
    size_t          (*scratch_size)(const octet_call *call, bool integer);
    /* Gradients of real numbers; NULL: none (training stops there, and says so). fixed_inputs: bits of the inputs that
       are read as settings (bounds, shapes, indices) and have no gradient. */
    octet_backward    backward;
    size_t          (*backward_scratch)(const octet_call *call);
    unsigned          fixed_inputs;
    /* Bits of the inputs behind a Conv's, Gemm's or MatMul's that training moves where they are real constants: weights
       of recurrent operators, embeddings, gains. */
    unsigned          parameters;
    /* Dynamic quantization (node->dynamic): the inputs of which dynamic_weights has the bits are levels, all others
       real. Input 0 becomes levels when the node runs. NULL: cannot. */
    octet_forward     forward_dynamic;
    size_t          (*dynamic_scratch)(const octet_call *call);
    unsigned          dynamic_weights;
    /* Multiply-accumulates, for reports; NULL: 0. */
    int64_t         (*macs)(const octet_call *call);
};

enum { OCTET_ANY = 1 << 20 };

/* The row of an operator, NULL where there is none. domain NULL or "" or "ai.onnx": the default. */
const octet_op *octet_op_find(const char *name, const char *domain);

/* All rows, sorted by name; NULL past the end. */
const octet_op *octet_op_at(size_t index);

/* ---- quantization state as seen by everybody (ops/mode.c) ---- */

/* The parameters of a value's levels where it is stored as levels: FakeQuantize with known qparams on a quantized
   graph, or an integer constant. NULL: real. */
const octet_qparams *octet_value_levels(const octet_graph *graph, const octet_value *value);

/* The same of an input or output of the network whose levels cross the border; NULL: real numbers do. */
const octet_qparams *octet_border_levels(const octet_value *value);

/* How node computes on this graph: the one decision that planner, writer, statistics and tests share. */
octet_node_mode octet_node_compute_mode(const octet_graph *graph, const octet_node *node);

/* The Add in whose accumulator node (a Conv or Gemm) is summed (numerics.md section 2), or NULL. node's own output then
   is float32 in units of the Add's output scale. */
octet_node *octet_node_fused_add(const octet_graph *graph, const octet_node *node);

#endif
