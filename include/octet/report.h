/* SPDX-License-Identifier: Apache-2.0 */
/* Scores and comparisons. SQNR = 20 log10(|reference| / |reference - measured|), in dB. */
#ifndef OCTET_REPORT_H
#define OCTET_REPORT_H

#include <octet/bench.h>
#include <octet/engine.h>
#include <octet/quantize.h>

typedef enum octet_metric {
    OCTET_METRIC_TOP1 = 0,
    OCTET_METRIC_TOP5,
    OCTET_METRIC_MSE,
    OCTET_METRIC_PSNR,
    OCTET_METRIC_SQNR,
    OCTET_METRIC_AGREEMENT, /* of top-1 with the baseline: needs no labels */
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
    double sqnr_db;   /* of the scored output against the baseline's, the whole set as one vector; +INFINITY if equal */
    double seconds;   /* spent in the engine */
} octet_scores;

typedef struct octet_evaluate_options {
    octet_plan_options      plan;     /* of the model */
    octet_plan_options      baseline_plan;
    const char             *output;   /* name of the one that is scored; NULL: the first */
    double                 *outputs_db; /* one for each output of the model: octet_scores.sqnr_db of that output, NAN
                                           where it cannot be compared; NULL: nobody asks */
    int                     border;   /* pixels left out on each side for mse and psnr */
    octet_progress_function progress;
    void                   *progress_context;
    /* octet_compare: layers' errors are measured on so many samples, evenly spaced (0: 32, or all if fewer); effects on
       the output, which need a run per layer, likewise (0: 2 to 16 by the network's size). */
    size_t                  layer_samples;
    size_t                  effects;
    bool                    no_effects;
} octet_evaluate_options;

/* Scores of model on data, of all its inputs; where baseline is not NULL, also baseline's own scores and agreement and
   SQNR between the two. Samples may vary in shape (octet_dataset_varies). Both graphs are fused first if they are not.
   scores[0] is the model's, scores[1] the baseline's. */
OCTET_API octet_status octet_evaluate(octet_scores scores[2], octet_graph *model, octet_graph *baseline,
                                      octet_dataset *data, const octet_evaluate_options *options, octet_error *err);

/* The score that metric names, and the loss from baseline to model in the metric's unit (percentage points for top1,
   top5 and agreement, of which the baseline has all); positive = worse. */
OCTET_API double      octet_score(const octet_scores *scores, octet_metric metric);
OCTET_API double      octet_score_drop(const octet_scores scores[2], octet_metric metric);
OCTET_API const char *octet_metric_name(octet_metric metric);
/* Whether scores are shares of the samples, and losses percentage points. */
OCTET_API bool        octet_metric_is_share(octet_metric metric);
/* Whether the metric compares outputs with the baseline's, and so needs one. */
OCTET_API bool        octet_metric_compares(octet_metric metric);

/* Why a layer costs accuracy. */
typedef enum octet_cause {
    OCTET_CAUSE_NONE = 0,
    OCTET_CAUSE_CLIPPING,        /* values beyond the range */
    OCTET_CAUSE_RESOLUTION,      /* steps too wide for what lies in the range */
    OCTET_CAUSE_OUTLIER_CHANNEL, /* one channel takes the range that the others share with it */
    OCTET_CAUSE_BIAS,            /* the mean of a channel has moved */
    OCTET_CAUSE_ZERO_POINT,      /* levels that the values, all of one sign, never take */
    OCTET_CAUSE_FLOAT,           /* the operator was left in float */
} octet_cause;

/* One layer of a comparison. Everything in dB is SQNR; NAN: not comparable, or not asked for. Effects on "the output"
   are judged by all outputs, each relative to its own energy, and by what a last squashing function is fed: behind a
   saturated Softmax only luck shows. */
typedef struct octet_layer_error {
    const char *name, *op;
    const char *merged;          /* original nodes that it stands for, "a + b", or "" */
    double      local_db;        /* fed the float network's own inputs, quantized */
    double      accumulated_db;  /* as it stands in the quantized network */
    double      cosine, max_abs; /* accumulated */
    double      weights_db;      /* of its weights; NAN: it has none */
    double      output_db;       /* of the network's output when only this layer is quantized */
    double      gain_db;         /* of the network's output when only this layer stays float */
    octet_cause cause;
    const char *why;             /* the cause with its figures, or "" */
    const char *remedy;          /* the option that mends it ("--layer 'conv1=minmax'"), or "" */
    double      remedy_db;       /* gain of the output with the remedy alone, measured; NAN: none */
} octet_layer_error;

OCTET_API const char *octet_cause_name(octet_cause cause);

typedef struct octet_comparison {
    double                   output_sqnr_db, output_cosine, output_max_abs;
    size_t                   samples, layer_count;
    size_t                   layer_samples;  /* that layers' own figures were measured on */
    size_t                   effect_samples; /* that output_db and gain_db were measured on */
    const octet_layer_error *layers; /* worst accumulated first */
} octet_comparison;

/* Compares quantized with the float network it came from; values are matched by name. The caller frees with
   octet_comparison_free. */
OCTET_API octet_status octet_compare(octet_comparison **comparison, octet_graph *reference, octet_graph *quantized,
                                     octet_dataset *data, const octet_evaluate_options *options, octet_error *err);
OCTET_API void octet_comparison_free(octet_comparison *comparison);

/* ---- weights ---- */

/* What constants take in a file, without names and the like. */
typedef struct octet_weight_sizes {
    size_t count;         /* numbers that became levels */
    size_t before, after; /* bytes: of these as float32; of their levels, scales and zero points */
    size_t kept;          /* bytes of all other constants */
    double bits;          /* for each that became a level, scales and all */
    double sqnr_db;       /* of what the levels mean, against reference's constants of the same names, batch norms
                             folded in; NAN where there are none */
} octet_weight_sizes;

/* quantized was made of reference, which is float. */
OCTET_API octet_status octet_weigh(octet_weight_sizes *sizes, const octet_graph *reference,
                                   const octet_graph *quantized, octet_error *err);

/* ---- a page for people ---- */

/* What a page is about. All belong to the caller. */
typedef struct octet_report_source {
    octet_graph            *reference, *quantized;
    octet_dataset          *data;
    const octet_comparison *comparison; /* of the two on data */
    const octet_bench      *bench;      /* of quantized beside reference, with layers; NULL: no times */
} octet_report_source;

typedef struct octet_report_options {
    octet_evaluate_options evaluate; /* for one more run of both on every sample: plans, progress */
    const char *title;               /* NULL: the quantized network's name */
    const char *reference_name, *quantized_name, *data_name; /* as the page calls them; NULL: the files' paths, or "" */
    bool        replace;             /* path may exist: it is replaced, atomically */
} octet_report_options;

/* Writes one HTML file that holds everything it needs and asks no network (docs/report.md): the comparison, the times,
   and for every layer how its weights and values lie beside the ranges that were chosen for them. Names from files are
   shown as text, whatever is in them. options may be NULL. */
OCTET_API octet_status octet_report_write(const char *path, const octet_report_source *source,
                                          const octet_report_options *options, octet_error *err);

#endif
