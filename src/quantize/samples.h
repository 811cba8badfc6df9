/* SPDX-License-Identifier: Apache-2.0 */
/* All samples of a dataset through a network, several at a time, and somebody who sees every value. */
#ifndef OCTET_QUANTIZE_SAMPLES_H
#define OCTET_QUANTIZE_SAMPLES_H

#include <octet/quantize.h>

#include "engine/run.h"

/* One value of one sample, or of count samples from sample on. worker, below octet_samples' workers, is the thread's;
   calls of different workers happen at the same time, so what is summed must not depend on order. */
typedef struct octet_seen {
    size_t              sample, count;
    int                 worker;
    const octet_value  *value;
    const octet_tensor *tensor;
} octet_seen;

typedef octet_status (*octet_samples_hook)(void *context, const octet_seen *seen, octet_error *err);

/* How samples are run. */
typedef struct octet_samples_options {
    const octet_calibrate_options *calibrate; /* threads, limits, progress; may be NULL */
    const char                    *phase;     /* of the progress */
    bool                           raw;       /* values come as by octet_workspace_set_raw_hook */
    bool                           in_order;  /* one worker */
    size_t                         batch;     /* samples run at once, where the first dimension is free; 0: 1 */
    size_t                         rounds;    /* for the progress: how often all samples are run */
    const size_t                  *list;      /* indices of those to run; NULL: all */
    size_t                         listed;
    uint64_t                      *identities; /* by index, of those that have run; NULL: nobody asks */
} octet_samples_options;

typedef struct octet_samples {
    const octet_graph     *graph;
    octet_dataset         *data;
    octet_samples_options  options;
    octet_arena           *arena;
    octet_plan            *plan, *rest_plan; /* rest: for what is left behind the last whole batch; NULL: nothing */
    struct octet_sampler  *samplers; /* one per worker */
    int                    workers;
    octet_samples_hook     see;
    void                  *context;
    size_t                 next, done, total, end; /* positions in the list; done: of all rounds */
} octet_samples;

/* A plan of graph (one input) and workspaces to run it. *samples may be freed whatever comes back. */
octet_status octet_samples_open(octet_samples *samples, const octet_graph *graph, octet_dataset *data,
                                const octet_samples_options *options, octet_error *err);
void         octet_samples_free(octet_samples *samples);

/* Runs all samples once. The first runs alone. The error is that of the earliest sample that failed. */
octet_status octet_samples_run(octet_samples *samples, octet_samples_hook see, void *context, octet_error *err);

/* The same in pieces: from the first sample again, and the next count of them (fewer at the end). */
void         octet_samples_rewind(octet_samples *samples, octet_samples_hook see, void *context);
octet_status octet_samples_run_some(octet_samples *samples, size_t count, octet_error *err);

/* Refuses a network of which an input's size is not known: a step that keeps sums for every element needs it. */
octet_status octet_check_bound(const octet_graph *graph, const char *step, octet_error *err);

/* Of what a network is fed, one sample of all inputs: equal ones have equal identities. */
uint64_t octet_sample_identity(const octet_tensor *inputs, size_t count, size_t sample);

/* octet_workspace_order_sums for what hooks have seen. (Where samples vary in shape values come in their own order.) */
void octet_samples_order_sums(const octet_samples *samples, const octet_value *value, int64_t *sums, int64_t *room);

/* Threads in force. */
int octet_calibrate_threads(const octet_calibrate_options *options);

#endif
