/* SPDX-License-Identifier: Apache-2.0 */
/* What a search has found out, in memory and as a file of JSON lines (docs/tune.md). A line is written when its piece
   of work is done; nothing is ever rewritten. */
#ifndef OCTET_TUNE_JOURNAL_H
#define OCTET_TUNE_JOURNAL_H

#include <octet/tune.h>

#include "base/append.h"
#include "base/arena.h"

/* One layer of the network without float layers: could it stay float, and for how long it ran. */
typedef struct octet_tune_layer {
    const char *name;
    double      seconds, float_seconds;
} octet_tune_layer;

typedef struct octet_tune_times {
    double            seconds, float_seconds; /* of a run of the networks, the quantized and the float one */
    double            conversion;             /* of one element, from levels to float or back */
    octet_tune_layer *layers;                 /* in the network's order */
    size_t            layer_count;
} octet_tune_times;

/* By how much the output's SQNR rises when one layer alone stays float. */
typedef struct octet_tune_gain {
    const char *layer;
    double      db;
} octet_tune_gain;

/* Of all layers of one configuration without float layers. */
typedef struct octet_tune_gains {
    octet_tune_config base;
    octet_tune_gain  *layers; /* in the network's order */
    size_t            layer_count;
} octet_tune_gains;

/* What a journal belongs to: "model", "17 nodes, 0123...". Ends with key NULL. */
typedef struct octet_tune_identity {
    const char *key, *value;
} octet_tune_identity;

typedef struct octet_journal {
    octet_arena      *arena;
    octet_appender    file;
    octet_tune_trial *trials;
    octet_tune_gains *gains;
    size_t            trial_count, trial_capacity, gains_count, gains_capacity;
    size_t            resumed; /* trials that the file had */
    octet_tune_times  times;   /* layers NULL: not measured yet */
} octet_journal;

/* Reads the file (path NULL: none, in memory only) or begins it. */
octet_status octet_journal_open(octet_journal *journal, const char *path, const octet_tune_identity *identity,
                                bool restart, octet_error *err);
void         octet_journal_close(octet_journal *journal);

const octet_tune_trial *octet_journal_find(const octet_journal *journal, const octet_tune_config *config);
const octet_tune_gains *octet_journal_find_gains(const octet_journal *journal, const octet_tune_config *base);

/* In memory alone. Lists are copied into the journal's arena, names are not. */
octet_status octet_journal_remember(octet_journal *journal, const octet_tune_trial *trial, octet_error *err);
octet_status octet_journal_remember_gains(octet_journal *journal, const octet_tune_gains *gains, octet_error *err);

/* Each remembers, and writes its line. */
octet_status octet_journal_add(octet_journal *journal, const octet_tune_trial *trial, octet_error *err);
octet_status octet_journal_add_gains(octet_journal *journal, const octet_tune_gains *gains, octet_error *err);
octet_status octet_journal_set_times(octet_journal *journal, const octet_tune_times *times, octet_error *err);

#endif
