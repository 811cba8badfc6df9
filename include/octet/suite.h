/* SPDX-License-Identifier: Apache-2.0 */
/* The numeric suite: matching tensors of a float network and the quantized one that came from it, by name, handed to a
   logger one after the other. Nothing is kept, so memory does not depend on how many samples there are; octet_suite_log
   is a logger that keeps statistics. PyTorch's torch.ao.ns._numeric_suite: compare_weights, compare_model_stub,
   compare_model_outputs. */
#ifndef OCTET_SUITE_H
#define OCTET_SUITE_H

#include <octet/report.h>

/* Two tensors of one name. They live until the logger returns. */
typedef struct octet_matched {
    const char  *name;       /* of the value, or of the weights */
    const char  *node, *op;  /* that makes it, or has these weights; "" for a network's input */
    const char  *merged;     /* original nodes that the node stands for, "a + b", or "" */
    octet_tensor real;       /* float32 */
    octet_tensor quantized;  /* as it is kept: levels with qparams, or float32 */
} octet_matched;

/* Return OCTET_OK to go on. sample: 0 for weights. */
typedef octet_status (*octet_logger)(void *context, size_t sample, const octet_matched *pair, octet_error *err);

/* Weights of every Conv, Gemm and MatMul, the float ones with their batch norms folded; of every recurrent node both
   matrices, W and R. */
OCTET_API octet_status octet_compare_weights(octet_graph *reference, octet_graph *quantized, octet_logger logger,
                                             void *context, octet_error *err);

/* Values of both networks, each as its own network computes it (propagated error): the input, then every node's. */
OCTET_API octet_status octet_compare_outputs(octet_graph *reference, octet_graph *quantized, octet_dataset *data,
                                             octet_logger logger, void *context, octet_error *err);

/* Every node of the quantized network and, as its shadow, the float node fed the quantized network's inputs as real
   numbers (local error). Nodes that stayed in float have no shadow. A Conv that is summed in an Add has no value of its
   own; the Add's shadow is fed the Conv's shadow. */
OCTET_API octet_status octet_compare_shadow(octet_graph *reference, octet_graph *quantized, octet_dataset *data,
                                            octet_logger logger, void *context, octet_error *err);

/* ---- a logger that keeps statistics ---- */

typedef struct octet_suite octet_suite;

typedef struct octet_suite_entry {
    const char *name, *node, *op, *merged;
    uint64_t    count;   /* elements seen */
    double      sqnr_db; /* 20 log10(|x| / |x - y|), all that was seen as one vector */
    double      l2;      /* normalized: |x - y| / |x| */
    double      cosine, max_abs;
} octet_suite_entry;

OCTET_API octet_status octet_suite_create(octet_suite **suite, octet_error *err);
OCTET_API void         octet_suite_free(octet_suite *suite);

/* An octet_logger whose context is an octet_suite. */
OCTET_API octet_status octet_suite_log(void *suite, size_t sample, const octet_matched *pair, octet_error *err);

/* In the order of their first appearance. */
OCTET_API size_t            octet_suite_count(const octet_suite *suite);
OCTET_API octet_suite_entry octet_suite_at(const octet_suite *suite, size_t index);

#endif
