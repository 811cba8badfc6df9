/* SPDX-License-Identifier: Apache-2.0 */
/* How much the output depends on each layer's precision. Two exact answers, whose cost grows with the square of a
   network's depth, and an estimate, whose cost grows with the depth. */
#ifndef OCTET_SENSITIVITY_H
#define OCTET_SENSITIVITY_H

#include <octet/engine.h>
#include <octet/quantize.h>

enum { /* octet_sensitivity_options.measure */
    OCTET_SENSITIVITY_ALONE    = 1, /* the float network with only this layer quantized */
    OCTET_SENSITIVITY_WITHOUT  = 2, /* the quantized network with only this layer in float */
    OCTET_SENSITIVITY_ESTIMATE = 4, /* ALONE, to first order, from gradients */
    OCTET_SENSITIVITY_ALL      = 7,
};

typedef struct octet_sensitivity_options {
    unsigned           measure; /* 0: the estimate alone */
    size_t             samples; /* evenly spaced over the data; 0: all */
    size_t             probes;  /* random directions of the output per sample, for the estimate; 0: 2 */
    uint64_t           seed;
    octet_plan_options plan;    /* of the quantized network */
    octet_plan_options baseline_plan;
    octet_progress_function progress;
    void                   *progress_context;
} octet_sensitivity_options;

/* dB, judged as octet_layer_error's effects; NAN where it was not asked for or the layer is not quantized. */
typedef struct octet_layer_sensitivity {
    const char *name, *op;
    double      alone_db;    /* SQNR of the output */
    double      gain_db;     /* of the output's SQNR, with only this layer in float */
    double      estimate_db; /* of alone_db */
} octet_layer_sensitivity;

/* What measuring took: nodes that were run, and what running the whole network once per layer and sample would have
   taken. The estimate's backward pass counts every node once. */
typedef struct octet_node_counts {
    uint64_t run, naive;
} octet_node_counts;

typedef struct octet_sensitivity {
    double                         output_db; /* of the quantized network */
    size_t                         samples, layer_count;
    const octet_layer_sensitivity *layers; /* in execution order */
    octet_node_counts              exact, estimate;
} octet_sensitivity;

/* quantized is what became of reference; values are matched by name. Both are fused if they are not. The estimate needs
   an operator's gradient for every node behind a quantized layer: OCTET_ERR_UNSUPPORTED names one without. The caller
   frees with octet_sensitivity_free. options may be NULL. */
OCTET_API octet_status octet_sensitivity_measure(octet_sensitivity **sensitivity, octet_graph *reference,
                                                 octet_graph *quantized, octet_dataset *data,
                                                 const octet_sensitivity_options *options, octet_error *err);
OCTET_API void         octet_sensitivity_free(octet_sensitivity *sensitivity);

#endif
