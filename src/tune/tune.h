/* SPDX-License-Identifier: Apache-2.0 */
/* A search in parts: the journal remembers (journal.h), the workshop makes networks (workshop.c), layers.c knows what
   each layer gains and costs, search.c decides what to try next. */
#ifndef OCTET_TUNE_TUNE_H
#define OCTET_TUNE_TUNE_H

#include <octet/tune.h>

#include "graph/graph.h"
#include "tune/journal.h"

enum { OCTET_TUNE_KEPT = 2 }; /* calibrations that are kept at once */

/* A network up to its ranges, all layers quantized: what trials with the same ranges begin from. */
typedef struct octet_tune_base {
    octet_method method;
    double       percentile;
    int          equalize;
    octet_graph *fused, *calibrated; /* NULL: none */
    unsigned     used; /* when, for the least recently used to go */
} octet_tune_base;

typedef struct octet_workshop {
    octet_graph              *graph; /* the user's, fused */
    octet_qconfig             qconfig;
    octet_dataset            *data;
    const octet_tune_options *options;
    octet_tune_base           bases[OCTET_TUNE_KEPT];
    unsigned                  clock;
    const octet_tune_config  *pinned; /* its base stays; NULL: none */
} octet_workshop;

/* Quantizes a network of its own, which the caller frees, by config. */
octet_status octet_workshop_make(octet_graph **quantized, octet_workshop *w, const octet_tune_config *config,
                                 octet_error *err);
/* The float network that config's is quantized from; stays the workshop's, and is valid until the next call. */
octet_status octet_workshop_fused(octet_graph **fused, octet_workshop *w, const octet_tune_config *config,
                                  octet_error *err);
void         octet_workshop_free(octet_workshop *w);

/* Whether two configurations are the same. */
bool octet_tune_config_same(const octet_tune_config *a, const octet_tune_config *b);

/* ---- layers.c ---- */

/* Times every layer of the quantized network beside the float one: the journal's octet_tune_times. */
octet_status octet_tune_time_layers(octet_tune_times *times, octet_arena *arena, octet_graph *quantized,
                                    octet_graph *graph, const octet_tune_options *options, octet_error *err);

/* Seconds that a run takes more with these layers in float, conversions at their borders included. */
double octet_tune_cost(const octet_tune_times *times, const octet_graph *graph, const char *const *floats,
                       size_t count);

/* The arena of a result. */
octet_arena *octet_tuning_arena(octet_tuning *tuning);

/* ---- frontier.c ---- */

/* Less lost, or as much and a better output. */
bool octet_tune_scores_better(const octet_tune_trial *a, const octet_tune_trial *b);

/* Fills frontier of every trial. */
void octet_tune_mark_frontier(octet_tune_trial *trials, size_t count);

#endif
