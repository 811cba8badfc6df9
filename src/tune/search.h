/* SPDX-License-Identifier: Apache-2.0 */
/* What to try next. The search is a function of what the journal holds: with the same journal it asks for the same
   trials in the same order, which is all that going on after a kill needs. */
#ifndef OCTET_TUNE_SEARCH_H
#define OCTET_TUNE_SEARCH_H

#include "tune/tune.h"

typedef struct octet_search {
    const octet_tune_options *options;
    octet_workshop            workshop;
    octet_journal            *journal;
    octet_dataset            *validation;
    octet_arena              *arena;
    double                    began;
    bool                      stopped; /* by options->trials or seconds: nothing new is begun */
    octet_tune_config         plain;   /* the best configuration without float layers, and its network once it is */
    octet_graph              *network; /* needed to time others beside */
} octet_search;

/* All of it. */
octet_status octet_search_run(octet_search *s, octet_error *err);
void         octet_search_free(octet_search *s);

/* One configuration, from the journal or measured now; NULL where the search has been stopped. */
octet_status octet_search_try(const octet_tune_trial **trial, octet_search *s, const octet_tune_config *config,
                              octet_error *err);

/* Tells the caller of a trial. */
octet_status octet_search_tell(const octet_search *s, const octet_tune_trial *trial, octet_error *err);

/* Fills in what the present budget says of a trial. */
void octet_search_judge(octet_tune_trial *trial, const octet_tune_options *options);

/* Whether a is the better one of two to go on with, which are equally fast; b may be NULL. Differences of shares that
   are within chance decide nothing here: then the output's SQNR does, which sees every sample. */
bool octet_search_better(const octet_search *s, const octet_tune_trial *a, const octet_tune_trial *b);

/* The network without float layers that others are timed beside; stays the search's. */
octet_status octet_search_network(octet_graph **network, octet_search *s, octet_error *err);

/* Whether there is time for another piece of work; notes it where there is none. */
bool octet_search_goes_on(octet_search *s);

/* ---- floats.c ---- */

/* Times all layers, unless the journal has that. */
octet_status octet_search_time_layers(octet_search *s, octet_error *err);

/* As few layers in float as meet the budget, those first that gain most for their time. */
octet_status octet_search_floats(octet_search *s, const octet_tune_trial *plain, octet_error *err);

#endif
