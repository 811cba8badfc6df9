/* SPDX-License-Identifier: Apache-2.0 */
/* Samples on their way through a float network and its quantized one, side by side and segment by segment. Between two
   segments only the values that later ones read are kept, levels as levels, for as many samples as fit. */
#ifndef OCTET_QUANTIZE_WALK_H
#define OCTET_QUANTIZE_WALK_H

#include <octet/quantize.h>

#include "quantize/segments.h"

/* One value of all samples, in both networks. */
typedef struct octet_kept {
    octet_arena *arena;  /* NULL: not kept now */
    octet_tensor form;   /* of one sample in the quantized network: levels, or float32 */
    size_t       count;  /* its elements */
    uint8_t     *stored; /* samples times what form says */
    float       *real;   /* samples * count: the float network's */
} octet_kept;

typedef struct octet_walk {
    const octet_graph *networks[2]; /* OCTET_WALK_FLOAT, OCTET_WALK_QUANTIZED */
    octet_segments     segments;
    octet_kept        *kept; /* by value->index of the quantized network */
    size_t             kept_count, samples, total;
    int                workers;
    const char        *profile;
    size_t             runs; /* of nodes, all samples together */
} octet_walk;

enum { OCTET_WALK_FLOAT, OCTET_WALK_QUANTIZED };

/* Takes the samples that memory (bytes) has room for, evenly out of data, to the first segment. The networks have the
   same nodes and names of values; profile is the quantized one's rounding. Memory is arena's. */
typedef struct octet_walk_start {
    const octet_graph *real, *quantized;
    octet_dataset     *data;
    int                threads;
    size_t             memory;
    const char        *profile;
} octet_walk_start;

octet_status octet_walk_begin(octet_walk *walk, const octet_walk_start *start, octet_arena *arena, octet_error *err);

/* One network's run of one segment on all samples. */
typedef struct octet_walk_pass {
    int    network;
    size_t segment;
    bool   bare; /* results of sites come without activation and rounding, and nothing is kept */
    void (*look)(void *context, size_t sample, const octet_tensor *outputs); /* in float32; from several threads, for
                                                                                different samples; may be NULL */
    void *context;
} octet_walk_pass;

/* Segments in order: enter, run as often as is wanted (the last run's results are kept), leave. */
octet_status octet_walk_enter(octet_walk *walk, size_t segment, octet_error *err);
octet_status octet_walk_run(octet_walk *walk, const octet_walk_pass *pass, octet_error *err);
void         octet_walk_leave(octet_walk *walk, size_t segment);

/* Frees what is kept; harmless on a zeroed walk. */
void octet_walk_end(octet_walk *walk);

#endif
