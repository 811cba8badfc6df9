/* SPDX-License-Identifier: Apache-2.0 */
/* The fastest quantized network within an accuracy budget: methods, steps and layers left in float are searched, every
   trial is journaled, and what was interrupted goes on where it stopped. */
#ifndef OCTET_TUNE_H
#define OCTET_TUNE_H

#include <octet/bench.h>
#include <octet/improve.h>
#include <octet/report.h>

/* One way to quantize. Zeroed: the ranges that hurt the output least, nothing beyond them, no layer in float. */
typedef struct octet_tune_config {
    octet_method          method;
    double                percentile; /* of OCTET_METHOD_PERCENTILE, in (50, 100] */
    int                   equalize; /* 0: not at all, else 1 + an octet_equalization */
    octet_rounding        rounding;
    octet_bias_correction bias_correction;
    const char *const    *floats; /* names of nodes of the fused network that stay float, in its order */
    size_t                float_count;
} octet_tune_config;

/* One configuration, quantized and measured on the validation data. */
typedef struct octet_tune_trial {
    octet_tune_config config;
    double            score, float_score; /* by the metric; float_score: of the float network (sqnr: +INFINITY) */
    double            drop;      /* from float, octet_score_drop's unit; by sqnr: what is missing to min_sqnr_db */
    double            sqnr_db, agreement;
    double            latency;   /* time of one run over that of the network without float layers, measured in turns */
    double            predicted; /* the same by the sum of the measured times of layers: what the search goes by */
    double            seconds;   /* that the trial took */
    const char       *failed;    /* why it could not be made; scores are NAN. NULL: it could */
    bool              meets;     /* the budget */
    bool              frontier;  /* no other trial is as fast and as accurate, and better at one of the two */
    bool              resumed;   /* read from the journal */
} octet_tune_trial;

typedef struct octet_tuning {
    size_t                  trial_count;
    const octet_tune_trial *trials; /* in the order in which they were made */
    const octet_tune_trial *best;   /* fastest that meets the budget, the most accurate of those; NULL: none does */
    const octet_tune_trial *closest; /* least drop of all; NULL: no trial could be made */
    size_t                  resumed; /* trials read from the journal */
    octet_metric            metric;
    double                  max_drop;      /* the budget in the metric's unit */
    double                  float_score;   /* NAN until a trial was made */
    double                  float_latency; /* of the float network; NAN where nothing was timed */
    size_t                  layer_count;   /* that could stay float */
    bool                    stopped;       /* by trials or seconds, before the search was over */
} octet_tuning;

/* A trial is done, or was found in the journal: once for each. A value other than 0 ends the work with
   OCTET_ERR_ARGUMENT and the text "interrupted"; the journal has the trial. */
typedef int (*octet_tune_function)(void *context, const octet_tune_trial *trial);

/* Zero is a valid default for every member. */
typedef struct octet_tune_options {
    const octet_qconfig *qconfig; /* types, target and layers of the user's own; NULL: "octet" */
    octet_metric metric;       /* by which the budget is meant */
    double       max_drop;     /* allowed loss against float, in octet_score_drop's unit */
    bool         max_drop_share; /* max_drop is in percent of the float network's score (not of shares, as top1) */
    double       min_sqnr_db;  /* the budget of OCTET_METRIC_SQNR, in place of max_drop */
    unsigned     methods;      /* bits 1 << OCTET_METHOD_...; 0: output, mse, percentile, minmax */
    bool         ranges_only;  /* no equalization, rounding or bias correction is tried */
    bool         explore;      /* go on after the budget is met: what more float layers would give */
    size_t       trials;       /* at most so many, those of the journal included; 0: no limit */
    double       seconds;      /* begin no trial after that time; 0: no limit */
    double       bench_seconds; /* to time one network; 0: 2 */
    const char  *journal;      /* file, made or gone on with; NULL: none */
    bool         restart;      /* what the journal holds is thrown away */
    octet_calibrate_options calibrate; /* its progress is told of every phase of every trial */
    octet_evaluate_options  evaluate;  /* without its progress */
    octet_tune_function     on_trial;
    void                   *on_trial_context;
} octet_tune_options;

/* Searches for the fastest network quantized from graph that meets the budget on data[1]. First without float layers:
   every method, then each step kept where it scores better. If none meets the budget, layers are left in float, those
   first that give the output the most for their time, as few as do.
   data[0] calibrates; data[1] judges, with labels where the metric needs them. graph is fused if it is not, and
   otherwise stays as it is.
   *quantized (which the caller frees) is NULL where no trial meets the budget. The caller frees *tuning with
   octet_tuning_free. A journal of another network, other data or another way to measure is OCTET_ERR_FORMAT and says
   what differs; max_drop, min_sqnr_db, trials, seconds and explore may change between runs. */
OCTET_API octet_status octet_tune(octet_graph **quantized, octet_tuning **tuning, octet_graph *graph,
                                  octet_dataset *const data[2], const octet_tune_options *options, octet_error *err);
OCTET_API void octet_tuning_free(octet_tuning *tuning);

/* A chart of the trials, accuracy against latency, as a text of SVG that belongs to tuning. title may be any text. */
OCTET_API octet_status octet_tuning_svg(const char **svg, octet_tuning *tuning, const char *title, octet_error *err);

/* "output, equalize, round, 2 float": one line for people, cut to size. */
OCTET_API void octet_tune_config_print(char *text, size_t size, const octet_tune_config *config);

#endif
