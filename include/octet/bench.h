/* SPDX-License-Identifier: Apache-2.0 */
/* How long a network takes: every engine of the build and a float baseline, in turns, in one run. */
#ifndef OCTET_BENCH_H
#define OCTET_BENCH_H

#include <octet/dataset.h>
#include <octet/engine.h>
#include <octet/quantize.h>

/* Durations in seconds. Zeroed: nothing measured. */
typedef struct octet_timing {
    size_t runs;
    double min;
    double median;   /* of an even number: the mean of the two in the middle */
    double p99;      /* the smallest one that at least 99 % of the runs do not exceed: of fewer than 100, the largest */
    double mad;      /* the median of the distances to the median */
    size_t outliers; /* runs of more than twice the median: the machine did something else */
} octet_timing;

typedef struct octet_bench_options {
    /* engines: the ones to time, each with the others of the list behind it; NULL: every engine of this build that runs
       a node when it is asked first (reference only where no other does). threads, batch and limits as there. */
    octet_plan_options plan;
    octet_dataset     *data;    /* what to run; NULL: random numbers in the range of the model's inputs */
    uint64_t           seed;    /* of the random numbers */
    size_t             runs;    /* of each engine; 0: as many as fit in seconds, at least 3 */
    double             seconds; /* of all engines together, without warming up; 0: 5 */
    bool               layers;  /* time every layer too, in runs of their own */
    bool               default_only; /* no engine is asked first: the model's default choice alone is timed */
    octet_progress_function progress;
    void                   *progress_context;
} octet_bench_options;

/* One engine, asked first. */
typedef struct octet_bench_engine {
    const char  *name;
    octet_timing time; /* of a whole batch */
    double       images_per_second; /* by the median */
    double       plan_seconds;      /* to make plan and workspace */
    size_t       workspace_bytes;
    size_t       not_finite; /* numbers in outputs that are none */
} octet_bench_engine;

/* One step of the default engine's plan, in order. */
typedef struct octet_layer_time {
    const char *name, *op, *engine, *algorithm;
    bool        conversion; /* from one form of a value to another: not a node of the network */
    int         threads;
    int64_t     macs;
    double      seconds;          /* median */
    double      baseline_seconds; /* of the baseline's nodes of this name; NAN: it has none */
} octet_layer_time;

typedef struct octet_bench {
    int     threads;
    int64_t batch;
    size_t  inputs; /* different ones, in turns */
    size_t  engine_count;
    const octet_bench_engine *engines;  /* first: the default of the model */
    const char               *left_out; /* "xnnpack: why; ...": engines that were not timed, or "" */
    const octet_bench_engine *baseline; /* NULL: none */
    size_t                    layer_count;
    const octet_layer_time   *layers;
    double baseline_unmatched; /* seconds of the baseline's steps that have no partner among layers */
    size_t baseline_unmatched_count;
} octet_bench;

/* Times model and, where it is not NULL, baseline (with the default choice of engines), one run of each in turns, after
   warming up. Both are fused first if they are not. Inputs change from run to run; a run that gives other bytes than an
   earlier one with the same input is OCTET_ERR_BACKEND. The caller frees with octet_bench_free. */
OCTET_API octet_status octet_bench_run(octet_bench **bench, octet_graph *model, octet_graph *baseline,
                                       const octet_bench_options *options, octet_error *err);
OCTET_API void         octet_bench_free(octet_bench *bench);

#endif
