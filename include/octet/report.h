/* SPDX-License-Identifier: Apache-2.0 */
/* Scores and comparisons. SQNR = 20 log10(|reference| / |reference - measured|), in dB. */
#ifndef OCTET_REPORT_H
#define OCTET_REPORT_H

#include <octet/engine.h>
#include <octet/quantize.h>

typedef enum octet_metric {
    OCTET_METRIC_TOP1 = 0,
    OCTET_METRIC_TOP5,
    OCTET_METRIC_MSE,
    OCTET_METRIC_PSNR,
    OCTET_METRIC_SQNR,
    OCTET_METRIC_COUNT
} octet_metric;

/* NAN where a score does not apply. */
typedef struct octet_scores {
    size_t count;     /* samples */
    double top1, top5;  /* shares of the samples with labels */
    /* Against the references; without references against the input, as autoencoders want. psnr: the mean over samples,
       peak 1, outputs clamped to 0..1 as pixels are; only where the truth lies in 0..1. */
    double mse, psnr_db;
    double agreement; /* share of samples whose top-1 equals the baseline's */
    double sqnr_db;   /* of the first output against the baseline's, the whole set as one vector; +INFINITY if equal */
    double seconds;   /* spent in the engine */
} octet_scores;

typedef struct octet_evaluate_options {
    octet_plan_options      plan;     /* of the model */
    octet_plan_options      baseline_plan;
    int                     border;   /* pixels left out on each side for mse and psnr */
    octet_progress_function progress;
    void                   *progress_context;
} octet_evaluate_options;

/* Scores of model on data; where baseline is not NULL, also baseline's own scores and agreement and SQNR between the
   two. Both graphs are fused first if they are not. scores[0] is the model's, scores[1] the baseline's. */
OCTET_API octet_status octet_evaluate(octet_scores scores[2], octet_graph *model, octet_graph *baseline,
                                      octet_dataset *data, const octet_evaluate_options *options, octet_error *err);

/* The score that metric names, and the loss from baseline to model in the metric's unit (percentage points for
   top1 and top5); positive = worse. */
OCTET_API double      octet_score(const octet_scores *scores, octet_metric metric);
OCTET_API double      octet_score_drop(const octet_scores scores[2], octet_metric metric);
OCTET_API const char *octet_metric_name(octet_metric metric);

/* One layer of a comparison. local: its error when fed the float network's own inputs, quantized; accumulated: its
   error as it stands in the quantized network. */
typedef struct octet_layer_error {
    const char *name, *op;
    double      local_db, accumulated_db; /* NAN: not comparable */
} octet_layer_error;

typedef struct octet_comparison {
    double                   output_sqnr_db, output_cosine, output_max_abs;
    size_t                   samples, layer_count;
    const octet_layer_error *layers; /* worst accumulated first */
} octet_comparison;

/* Compares quantized with the float network it came from; values are matched by name. The caller frees with
   octet_comparison_free. */
OCTET_API octet_status octet_compare(octet_comparison **comparison, octet_graph *reference, octet_graph *quantized,
                                     octet_dataset *data, const octet_evaluate_options *options, octet_error *err);
OCTET_API void octet_comparison_free(octet_comparison *comparison);

#endif
