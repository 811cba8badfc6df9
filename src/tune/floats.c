/* SPDX-License-Identifier: Apache-2.0 */
/* Layers in float. Each layer's gain is measured alone, as the noise that leaves the output with it; noises of layers
   add up nearly enough to rank them. The ranking is cut where the budget is met (doubling, then halving the interval),
   and what turns out not to be needed goes back to levels. */
#include "tune/search.h"

#include "data/data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 32 }; /* that measure gains */

/* A layer that might stay float, in the order of the network. */
typedef struct candidate {
    const char *name;
    size_t      index;
    double      removed; /* share of the output's noise that goes with it */
    double      worth;   /* removed per cost */
    bool        chosen;
} candidate;

typedef struct floating {
    octet_search     *s;
    octet_tune_config base; /* without float layers */
    candidate        *candidates, **ranked;
    size_t            count;
    const char      **names; /* room for a configuration */
} floating;

/* ---- what layers gain ---- */

static octet_status sqnr_with(double *sqnr_db, floating *f, const char *layer, octet_dataset *sample, octet_error *err)
{
    octet_workshop *const  w      = &f->s->workshop;
    octet_evaluate_options how    = f->s->options->evaluate;
    octet_tune_config      config = f->base;
    octet_scores           scores[2];
    octet_graph           *graph;
    config.floats      = &layer;
    config.float_count = *layer ? 1 : 0;
    OCTET_TRY(octet_workshop_make(&graph, w, &config, err));
    const octet_status status = octet_evaluate(scores, graph, w->graph, sample, &how, err);
    octet_graph_free(graph);
    *sqnr_db = scores[0].sqnr_db;
    return status;
}

static bool interrupted(const octet_search *s, size_t done, size_t total)
{
    const octet_calibrate_options *const o        = &s->options->calibrate;
    const octet_progress                 progress = { "gains of layers", done, total };
    return o->progress && o->progress(o->progress_context, &progress);
}

/* The output's SQNR with layer alone in float. NAN where there is no time to measure it. */
static octet_status find_gain(double *sqnr_db, floating *f, const char *layer, octet_dataset *sample, octet_error *err)
{
    octet_search *const          s     = f->s;
    const octet_tune_gain *const known = octet_journal_find_gain(s->journal, &f->base, layer);
    octet_tune_gain              gain  = { .base = &f->base, .layer = layer, .sqnr_db = NAN };
    if (known) *sqnr_db = known->sqnr_db;
    if (known) return OCTET_OK;
    if (octet_search_goes_on(s)) {
        OCTET_TRY(sqnr_with(&gain.sqnr_db, f, layer, sample, err));
        OCTET_TRY(octet_journal_add_gain(s->journal, &gain, err));
    }
    *sqnr_db = gain.sqnr_db;
    return OCTET_OK;
}

static double noise_of(double sqnr_db) { return pow(10, -sqnr_db / 10); }

static octet_status find_gains(floating *f, octet_error *err)
{
    octet_search *const           s     = f->s;
    const octet_tune_times *const times = &s->journal->times;
    const double least = times->seconds / 200; /* by which a layer costs: below half a percent, times mean little */
    octet_dataset sample;
    double        all, without;
    OCTET_TRY(octet_dataset_spread(&sample, s->workshop.data, SAMPLES, s->arena, err));
    OCTET_TRY(find_gain(&all, f, "", &sample, err));
    for (size_t i = 0; i < f->count && !s->stopped; i++) {
        candidate *const c = &f->candidates[i];
        if (interrupted(s, i, f->count)) return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
        OCTET_TRY(find_gain(&without, f, c->name, &sample, err));
        c->removed = isfinite(all) ? 1 - noise_of(without) / noise_of(all) : 0;
        c->worth   = c->removed / fmax(octet_tune_cost(times, s->workshop.graph, &c->name, 1), least);
    }
    return OCTET_OK;
}

static int by_worth(const void *a, const void *b)
{
    const candidate *const x = *(const candidate *const *)a, *const y = *(const candidate *const *)b;
    if (x->worth != y->worth) return x->worth > y->worth ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* ---- sets of layers ---- */

/* The candidates that are chosen now. */
static octet_status try_chosen(const octet_tune_trial **trial, floating *f, octet_error *err)
{
    octet_tune_config config = f->base;
    config.floats            = f->names;
    config.float_count       = 0;
    for (size_t i = 0; i < f->count; i++)
        if (f->candidates[i].chosen) f->names[config.float_count++] = f->candidates[i].name;
    return octet_search_try(trial, f->s, &config, err);
}

static octet_status try_first(const octet_tune_trial **trial, floating *f, size_t count, octet_error *err)
{
    for (size_t i = 0; i < f->count; i++) f->ranked[i]->chosen = i < count;
    return try_chosen(trial, f, err);
}

/* The end of the doubling: *low layers do not meet the budget, *high do; *high 0: not even all. */
static octet_status bracket(size_t *low, size_t *high, floating *f, bool met, octet_error *err)
{
    const octet_tune_trial *trial;
    *low = *high = 0;
    for (size_t size = 1; f->count; size = size * 2 < f->count ? size * 2 : f->count) {
        OCTET_TRY(try_first(&trial, f, size, err));
        if (!trial) return OCTET_OK;
        if (trial->meets && !met) {
            *high = size;
            met   = true;
        } else if (!met) *low = size;
        if ((met && !f->s->options->explore) || size == f->count) return OCTET_OK;
    }
    return OCTET_OK;
}

/* Takes back what is not needed, the least worth first. */
static octet_status shrink(floating *f, octet_error *err)
{
    const octet_tune_trial *trial;
    for (size_t i = f->count; i-- > 0;) {
        candidate *const c = f->ranked[i];
        if (!c->chosen) continue;
        c->chosen = false;
        OCTET_TRY(try_chosen(&trial, f, err));
        if (!trial) return OCTET_OK;
        if (!trial->meets) c->chosen = true;
    }
    return OCTET_OK;
}

static octet_status narrow(floating *f, size_t low, size_t high, octet_error *err)
{
    const octet_tune_trial *trial;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        OCTET_TRY(try_first(&trial, f, middle, err));
        if (!trial) return OCTET_OK;
        if (trial->meets) high = middle;
        else low = middle;
    }
    for (size_t i = 0; i < f->count; i++) f->ranked[i]->chosen = i < high;
    return high > 1 ? shrink(f, err) : OCTET_OK;
}

/* ---- the whole ---- */

octet_status octet_search_time_layers(octet_search *s, octet_error *err)
{
    octet_graph     *network;
    octet_tune_times times = { 0 };
    if (s->journal->times.layers) return OCTET_OK;
    OCTET_TRY(octet_search_network(&network, s, err));
    OCTET_TRY(octet_tune_time_layers(&times, s->journal->arena, network, s->workshop.graph, s->options, err));
    return octet_journal_set_times(s->journal, &times, err);
}

static octet_status list_candidates(floating *f, octet_error *err)
{
    const octet_tune_times *const times = &f->s->journal->times;
    f->count                            = times->layer_count;
    OCTET_TRY(octet_arena_get(&f->candidates, f->s->arena, f->count, sizeof *f->candidates, err));
    OCTET_TRY(octet_arena_get(&f->ranked, f->s->arena, f->count, sizeof *f->ranked, err));
    OCTET_TRY(octet_arena_get(&f->names, f->s->arena, f->count + 1, sizeof *f->names, err));
    for (size_t i = 0; i < f->count; i++) {
        f->candidates[i] = (candidate){ .name = times->layers[i].name, .index = i };
        f->ranked[i]     = &f->candidates[i];
    }
    return OCTET_OK;
}

octet_status octet_search_floats(octet_search *s, const octet_tune_trial *plain, octet_error *err)
{
    floating f = { .s = s, .base = plain->config };
    size_t   low, high;
    OCTET_TRY(list_candidates(&f, err));
    OCTET_TRY(find_gains(&f, err));
    if (s->stopped) return OCTET_OK;
    qsort(f.ranked, f.count, sizeof *f.ranked, by_worth);
    OCTET_TRY(bracket(&low, &high, &f, plain->meets, err));
    return high && !s->stopped ? narrow(&f, low, high, err) : OCTET_OK;
}
