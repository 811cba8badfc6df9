/* SPDX-License-Identifier: Apache-2.0 */
/* A network laid out for training: every value with its gradient, every node with its backward step. Sums over a batch
   are made slice by slice, and slices added in order, so nothing depends on the number of threads. */
#ifndef OCTET_TRAIN_TAPE_H
#define OCTET_TRAIN_TAPE_H

#include "graph/graph.h"
#include "train/fake_quantize.h"
#include "train/parameter.h"

typedef struct octet_tape octet_tape;

typedef struct octet_tape_options {
    octet_dtype          dtype;     /* OCTET_NONE: float32. OCTET_F64: for proofs; definitions only */
    int64_t              batch;     /* what the free leading dimension becomes */
    int                  threads;
    bool                 reference; /* the operators' own definitions only */
    bool                 slow_batch_norm;
    bool                 keep_gradients; /* of all values, inputs included, until the next backward */
    const octet_profile *profile;   /* of FakeQuantize; NULL: octet's */
    size_t               max_memory; /* 0: no limit */
} octet_tape_options;

/* The graph has been through octet_fuse at least; FakeQuantize takes part where fake_quantize->trained is set. The
   graph must outlive the tape and not change. */
octet_status octet_tape_create(octet_tape **tape, const octet_graph *graph, const octet_tape_options *options,
                               octet_error *err);
void         octet_tape_free(octet_tape *tape);
size_t       octet_tape_memory(const octet_tape *tape);

/* Weights, biases, batch norms, learned parameters; in execution order. Values belong to the tape. */
octet_parameter *octet_tape_parameters(octet_tape *tape, size_t *count);

/* Batch norms live (their statistics are the batch's, and move the running ones) or frozen (folded). */
void octet_tape_freeze_batch_norm(octet_tape *tape, bool frozen);

/* A quantized copy of the graph with the tape's present parameters: the forward pass is then its integer arithmetic.
   NULL: back to simulation. It must outlive its use. */
octet_status octet_tape_use_integers(octet_tape *tape, const octet_graph *quantized, octet_error *err);

/* Running statistics of batch norms, for checkpoints; kind GAMMA and BETA name nothing here: mean, then variance. */
octet_parameter *octet_tape_statistics(octet_tape *tape, size_t *count);

/* Runs. training: batch statistics move where live, observers observe. */
octet_status octet_tape_forward(octet_tape *tape, const octet_tensor *inputs, bool training, octet_error *err);

/* The tensor of a value after forward (real numbers), and after backward its gradient; data NULL: there is none. */
octet_tensor octet_tape_value(const octet_tape *tape, const octet_value *value);
octet_tensor octet_tape_gradient(const octet_tape *tape, const octet_value *value);

/* The integer levels of a value after a forward pass in integers; data NULL where it has none. */
octet_tensor octet_tape_levels(const octet_tape *tape, const octet_value *value);

/* Sets all gradients to those of sum(dvalue * value) for the last forward pass. */
octet_status octet_tape_backward(octet_tape *tape, const octet_value *value, const void *dvalue, octet_error *err);

/* Copies parameters and statistics into the constants of graph, which is the tape's or a copy of it (same order). */
octet_status octet_tape_store(const octet_tape *tape, octet_graph *graph, octet_error *err);

#endif
