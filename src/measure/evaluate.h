/* SPDX-License-Identifier: Apache-2.0 */
/* Samples through one network or two: read and run in chunks, one sample (or batch) a thread; outputs are kept until
   somebody has looked at the chunk. */
#ifndef OCTET_MEASURE_EVALUATE_H
#define OCTET_MEASURE_EVALUATE_H

#include <octet/report.h>

#include "base/arena.h"
#include "measure/inputs.h"

enum { OCTET_RUN_OUTPUTS = 64, OCTET_RUN_CHUNK = 64, OCTET_RUN_WORKERS = 4 };

/* One of the networks. */
typedef struct octet_runner {
    octet_graph     *graph;
    octet_plan      *plan; /* NULL where samples vary in shape */
    octet_workspace *workspaces[OCTET_RUN_WORKERS];
    octet_binding   *binding; /* then */
    size_t           batch;
    octet_tensor    *sets[OCTET_RUN_WORKERS]; /* of one batch, where that is more than one sample */
    bool             shaped; /* what follows is known */
    /* Of one sample; data holds those of the whole chunk, NULL where they are no float32 or are not kept apart in a
       batch. */
    octet_tensor outputs[OCTET_RUN_OUTPUTS];
    double       spent[OCTET_RUN_WORKERS];
} octet_runner;

typedef struct octet_runs {
    octet_inputs  source;
    octet_arena  *arena, *chunk_arena; /* chunk_arena: of the chunk, where samples vary */
    octet_runner  runners[2];
    int           count; /* runners in use */
    int           workers, inner_threads;
    bool          varies;
    size_t        chunk;  /* samples read at once */
    octet_tensor *samples[OCTET_RUN_CHUNK]; /* the inputs of each */
    int64_t      *labels;
    octet_error  *errors;
    size_t        first, held, next; /* of the chunk in hand; samples in it; jobs taken so far */
} octet_runs;

/* source, arena, count and runners' graphs are set. Released in any case. */
octet_status octet_runs_make(octet_runs *runs, const octet_evaluate_options *options, octet_error *err);
void         octet_runs_release(octet_runs *runs);

/* Reads and runs samples first .. first + count - 1, at most runs->chunk of them. */
octet_status octet_runs_chunk(octet_runs *runs, size_t first, size_t count, octet_error *err);

/* An output of sample at of the chunk; data NULL: none of float32 is kept. */
octet_tensor octet_runs_output(const octet_runs *runs, int which, size_t output, size_t at);

#endif
