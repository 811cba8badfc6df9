/* SPDX-License-Identifier: Apache-2.0 */
/* Layers in float. Each layer's gain is measured alone, as the noise that leaves the output with it. A ranking by
   gain per time, and then one by gain, is cut where the budget is met (doubling, then halving the interval), and what
   turns out not to be needed goes back to levels. */
#include "tune/search.h"

#include <octet/sensitivity.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 32 }; /* that measure gains */

/* A layer that might stay float, in the order of the network. */
typedef struct candidate {
    const char *name;
    size_t      index;
    double      removed; /* share of the output's noise that goes when it stays float */
    double      worth;   /* removed per cost */
    bool        chosen;
} candidate;

typedef struct floating {
    octet_search     *s;
    octet_tune_config base; /* without float layers */
    candidate        *candidates, **ranked;
    size_t            count;
    const char      **names; /* room for a configuration */
    double            most;  /* seconds that the cheapest set costs which meets the budget */
    bool              explore; /* larger sets, too */
} floating;

/* ---- what layers gain ---- */

static octet_status measure_gains(octet_tune_gains *gains, floating *f, octet_error *err)
{
    octet_search *const             s = f->s;
    const octet_tune_options *const o = s->options;
    octet_sensitivity              *found;
    octet_graph                    *network, *fused;
    const octet_sensitivity_options how = { .measure          = OCTET_SENSITIVITY_WITHOUT,
                                            .samples          = SAMPLES,
                                            .plan             = o->evaluate.plan,
                                            .baseline_plan    = o->evaluate.baseline_plan,
                                            .progress         = o->calibrate.progress,
                                            .progress_context = o->calibrate.progress_context };
    OCTET_TRY(octet_search_network(&network, s, err));
    OCTET_TRY(octet_workshop_fused(&fused, &s->workshop, &f->base, err));
    OCTET_TRY(octet_sensitivity_measure(&found, fused, network, s->workshop.data, &how, err));
    octet_status status = octet_arena_get(&gains->layers, s->arena, f->count, sizeof *gains->layers, err);
    for (size_t i = 0; i < f->count && status == OCTET_OK; i++) {
        octet_tune_gain *const gain = &gains->layers[i];
        *gain                       = (octet_tune_gain){ f->candidates[i].name, NAN };
        for (size_t k = 0; k < found->layer_count; k++)
            if (!strcmp(found->layers[k].name, gain->layer)) gain->db = found->layers[k].gain_db;
    }
    octet_sensitivity_free(found);
    gains->base        = f->base;
    gains->layer_count = f->count;
    return status;
}

static octet_status find_gains(floating *f, octet_error *err)
{
    octet_search *const           s     = f->s;
    const octet_tune_times *const times = &s->journal->times;
    const double least = times->seconds / 200; /* by which a layer costs: below half a percent, times mean little */
    const octet_tune_gains       *known = octet_journal_find_gains(s->journal, &f->base);
    octet_tune_gains              gains;
    if (!known && !octet_search_goes_on(s)) return OCTET_OK;
    if (!known) {
        OCTET_TRY(measure_gains(&gains, f, err));
        OCTET_TRY(octet_journal_add_gains(s->journal, &gains, err));
        known = &gains;
    }
    for (size_t i = 0; i < f->count && i < known->layer_count; i++) {
        candidate *const c  = &f->candidates[i];
        const double     db = known->layers[i].db;
        c->removed          = isnan(db) ? 0 : 1 - pow(10, -db / 10);
        c->worth            = c->removed / fmax(octet_tune_cost(times, s->workshop.graph, &c->name, 1), least);
    }
    return OCTET_OK;
}

/* The greater key first, then the order of the network. */
static int rank(double key, double other, size_t index, size_t other_index)
{
    if (key != other) return key > other ? -1 : 1;
    return index < other_index ? -1 : index > other_index;
}

static int by_worth(const void *a, const void *b)
{
    const candidate *const x = *(const candidate *const *)a, *const y = *(const candidate *const *)b;
    return rank(x->worth, y->worth, x->index, y->index);
}

static int by_removed(const void *a, const void *b)
{
    const candidate *const x = *(const candidate *const *)a, *const y = *(const candidate *const *)b;
    return rank(x->removed, y->removed, x->index, y->index);
}

/* ---- sets of layers ---- */

/* The configuration with the candidates that are chosen now. */
static octet_tune_config chosen(floating *f)
{
    octet_tune_config config = f->base;
    config.floats            = f->names;
    config.float_count       = 0;
    for (size_t i = 0; i < f->count; i++)
        if (f->candidates[i].chosen) f->names[config.float_count++] = f->candidates[i].name;
    return config;
}

static double cost_of_chosen(floating *f)
{
    const octet_tune_config config = chosen(f);
    return octet_tune_cost(&f->s->journal->times, f->s->workshop.graph, config.floats, config.float_count);
}

static octet_status try_chosen(const octet_tune_trial **trial, floating *f, octet_error *err)
{
    const octet_tune_config config = chosen(f);
    OCTET_TRY(octet_search_try(trial, f->s, &config, err));
    if (*trial && (*trial)->meets) f->most = fmin(f->most, cost_of_chosen(f));
    return OCTET_OK;
}

static void choose_first(floating *f, size_t count)
{
    for (size_t i = 0; i < f->count; i++) f->ranked[i]->chosen = i < count;
}

static octet_status try_first(const octet_tune_trial **trial, floating *f, size_t count, octet_error *err)
{
    choose_first(f, count);
    return try_chosen(trial, f, err);
}

/* The end of the doubling: *low layers do not meet the budget, *high do; *high 0: none that costs less than what is
   known does. */
static octet_status bracket(size_t *low, size_t *high, floating *f, bool met, octet_error *err)
{
    const octet_tune_trial *trial;
    *low = *high = 0;
    for (size_t size = 1; f->count; size = size * 2 < f->count ? size * 2 : f->count) {
        choose_first(f, size);
        if (!f->explore && cost_of_chosen(f) >= f->most) return OCTET_OK;
        OCTET_TRY(try_chosen(&trial, f, err));
        if (!trial) return OCTET_OK;
        if (trial->meets && !met) {
            *high = size;
            met   = true;
        } else if (!met) *low = size;
        if ((met && !f->explore) || size == f->count) return OCTET_OK;
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
    choose_first(f, high);
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

/* The cut through one ranking. */
static octet_status cut(floating *f, int (*order)(const void *a, const void *b), bool met, octet_error *err)
{
    size_t low, high;
    qsort(f->ranked, f->count, sizeof *f->ranked, order);
    OCTET_TRY(bracket(&low, &high, f, met, err));
    return high && !f->s->stopped ? narrow(f, low, high, err) : OCTET_OK;
}

/* By worth, many cheap layers come first. A few that gain much may do better. */
octet_status octet_search_floats(octet_search *s, const octet_tune_trial *plain, octet_error *err)
{
    floating f = { .s = s, .base = plain->config, .most = INFINITY, .explore = s->options->explore };
    OCTET_TRY(list_candidates(&f, err));
    OCTET_TRY(find_gains(&f, err));
    if (s->stopped) return OCTET_OK;
    OCTET_TRY(cut(&f, by_worth, plain->meets, err));
    f.explore = false;
    return s->stopped || plain->meets ? OCTET_OK : cut(&f, by_removed, false, err);
}
