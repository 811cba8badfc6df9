/* SPDX-License-Identifier: Apache-2.0 */
/* Where two networks, or two engines that run one, give other numbers: value by value, as levels where both keep
   levels of one scale. */
#ifndef OCTET_DIFF_H
#define OCTET_DIFF_H

#include <octet/dataset.h>
#include <octet/engine.h>
#include <octet/quantize.h>

/* Distances between levels are counted in these classes: 0, 1, 2, 3 to 4, 5 and more. */
enum { OCTET_DIFF_CLASSES = 5 };

typedef struct octet_level_counts {
    uint64_t classes[OCTET_DIFF_CLASSES];
    int64_t  max; /* the largest distance */
} octet_level_counts;

/* How two tensors differ. */
typedef struct octet_tensor_diff {
    uint64_t           count;  /* elements seen; 0: not comparable */
    uint64_t           differing;
    bool               levels; /* otherwise counted as real numbers: levels is empty */
    octet_level_counts level;
    double             max_abs, sqnr_db; /* of real numbers; sqnr_db +INFINITY if equal; NAN for levels */
} octet_tensor_diff;

/* One value that both have by name. accumulated: as both computed it. local: as its node made it when fed the values of
   the other side (one network on two engines only; count 0 otherwise). */
typedef struct octet_value_diff {
    const char       *name;
    const char       *node, *op;  /* what makes it; "" for an input */
    const char       *engines[2]; /* that run the node; "" where none does */
    bool              is_output;
    octet_tensor_diff accumulated, local;
} octet_value_diff;

typedef struct octet_diff {
    size_t                  samples, value_count, output_count;
    const octet_value_diff *values; /* in the order of execution */
    /* Outputs of plans as they are deployed, without every value kept: the network's own order; real numbers. */
    const octet_value_diff *outputs;
    octet_level_counts      accumulated, local; /* of all values together */
    size_t                  worst_accumulated, worst_local; /* values with the largest distance; value_count: none */
    size_t                  only[2]; /* node outputs that the other side does not have */
    /* Values that lie in memory in a way that diff cannot replace: local counts of their readers include what came
       before. */
    size_t not_fed;
    /* Samples for which a side's outputs are other bytes when it keeps every value: then values does not show what is
       deployed. */
    size_t unlike_deployed[2];
    /* octet_diff_recorded: arrays that could not be compared, and why. */
    const struct octet_unmatched {
        const char *name, *why;
    } *unmatched;
    size_t unmatched_count;
} octet_diff;

/* One network as one choice of engines runs it. */
typedef struct octet_diff_side {
    octet_graph *graph;
    const char  *engines; /* octet_plan_options.engines */
} octet_diff_side;

typedef struct octet_diff_options {
    octet_plan_options plan;    /* of both; engines is the sides' own */
    octet_dataset     *data;    /* NULL: random numbers in the range of the inputs */
    size_t             samples; /* without data; 0: 16 */
    uint64_t           seed;
    octet_progress_function progress;
    void                   *progress_context;
} octet_diff_options;

/* Compares sides[0] with sides[1], the reference. Where both have the same graph object, every node is also run on what
   the reference computed. Graphs are fused first if they are not. The caller frees with octet_diff_free. */
OCTET_API octet_status octet_diff_run(octet_diff **diff, const octet_diff_side sides[2],
                                      const octet_diff_options *options, octet_error *err);
OCTET_API void         octet_diff_free(octet_diff *diff);

/* Compares what graph computes with what another program recorded: path is an npz with arrays by the names of values
   (or of the nodes that make them), or an npy of the first output. An array holds the samples of options->data in order
   along its first dimension, or the first sample alone; levels of a value's own type are compared as levels, all else
   as real numbers. What cannot be compared is listed in unmatched; OCTET_ERR_ARGUMENT where nothing can. side->graph is
   fused if it is not; engines[1] of the result is "recorded". The caller frees with octet_diff_free. */
OCTET_API octet_status octet_diff_recorded(octet_diff **diff, const octet_diff_side *side, const char *path,
                                           const octet_diff_options *options, octet_error *err);

#endif
