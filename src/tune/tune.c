/* SPDX-License-Identifier: Apache-2.0 */
/* From what the user gives to a search, and from what the search has found to the result. */
#include <octet/text.h>
#include <octet/tune.h>

#include "base/clock.h"
#include "base/hash.h"
#include "data/data.h"
#include "data/pixels.h"
#include "train/identity.h"
#include "tune/search.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HASHED = 16 }; /* samples of which every number counts */

struct owned {
    octet_tuning tuning; /* first: the caller's pointer is the owner's */
    octet_arena *arena;
};

/* ---- what a journal belongs to ---- */

static octet_status hash_numbers(octet_hash *hash, const octet_dataset *data, octet_arena *arena, octet_error *err)
{
    const octet_port port   = octet_dataset_port(data);
    const size_t     sample = (size_t)octet_port_count(&port), most = octet_dataset_count(data);
    float           *values;
    octet_hash_add(hash, port.dims, sizeof port.dims);
    OCTET_TRY(octet_arena_get(&values, arena, sample, sizeof *values, err));
    for (size_t i = 0; i < HASHED && i < most; i++) {
        OCTET_TRY(octet_dataset_read(data, i * most / (HASHED < most ? HASHED : most), values, NULL, err));
        octet_hash_add(hash, values, sample * sizeof *values);
    }
    return OCTET_OK;
}

/* "375 samples, 0123456789abcdef": names, labels and true outputs of all, the numbers of some, prepared. */
static octet_status identify_data(const char **text, const octet_dataset *data, octet_arena *arena, octet_error *err)
{
    octet_hash   hash;
    const size_t count = octet_dataset_count(data);
    octet_hash_begin(&hash);
    OCTET_TRY(hash_numbers(&hash, data, arena, err));
    for (size_t i = 0; i < count; i++) {
        const char *const  name  = octet_dataset_name(data, i);
        const int64_t      label = octet_dataset_label(data, i);
        const octet_tensor truth = octet_dataset_reference(data, i);
        octet_hash_add(&hash, name, strlen(name) + 1);
        octet_hash_add(&hash, &label, sizeof label);
        if (truth.data) octet_hash_add(&hash, truth.data, (size_t)octet_tensor_bytes(&truth));
    }
    *text = octet_arena_format(arena, "%zu samples, %016llx", count, (unsigned long long)octet_hash_value(&hash));
    return *text ? OCTET_OK : octet_fail_memory(err);
}

static octet_status identify_model(const char **text, const octet_graph *graph, octet_arena *arena, octet_error *err)
{
    octet_hash        hash;
    char              name[80];
    const char *const all = octet_train_identify(arena, "model", graph);
    if (!all) return octet_fail_memory(err);
    octet_hash_begin(&hash);
    octet_hash_add(&hash, all, strlen(all));
    octet_text_clean(name, 32, graph->name ? graph->name : "");
    *text = octet_arena_format(arena, "'%s', %d nodes, %016llx", name, graph->node_count,
                               (unsigned long long)octet_hash_value(&hash));
    return *text ? OCTET_OK : octet_fail_memory(err);
}

static const char *describe_side(octet_arena *arena, const octet_quantizer *q)
{
    return octet_arena_format(arena, "%s%s %d..%d%s%s%s %d %g %g", q->off ? "off " : "", octet_dtype_name(q->dtype),
                              q->qmin, q->qmax, q->symmetric ? " symmetric" : "", q->per_channel ? " per channel" : "",
                              q->reduce_range ? " reduced" : "", (int)q->formula, (double)q->averaging, (double)q->eps);
}

/* All that a trial's numbers depend on beyond its own configuration. */
static octet_status identify_options(const char **text, const octet_qconfig *q, const octet_tune_options *o,
                                     octet_arena *arena, octet_error *err)
{
    const char *const sides[] = { describe_side(arena, &q->weight), describe_side(arena, &q->activation) };
    char              clean[256], rule[64];
    if (!sides[0] || !sides[1]) return octet_fail_memory(err);
    *text = octet_arena_format(arena,
                               "%s, border %d, target %s, weights %s, activations %s%s, %zu to choose, engines %s",
                               octet_metric_name(o->metric), o->evaluate.border,
                               q->target ? q->target : octet_target_name(0), sides[0], sides[1],
                               q->no_bias_correction ? ", biases as they are" : "", o->calibrate.choose_samples,
                               o->evaluate.plan.engines ? o->evaluate.plan.engines : "all");
    for (size_t i = 0; i < q->layer_count && *text; i++) {
        octet_text_clean(clean, sizeof clean, q->layers[i].match);
        octet_layer_rule_print(rule, sizeof rule, &q->layers[i]);
        *text = octet_arena_format(arena, "%s, %s=%s", *text, clean, rule);
    }
    return *text ? OCTET_OK : octet_fail_memory(err);
}

static octet_status identify(octet_tune_identity identity[6], const octet_search *s, octet_arena *arena,
                             octet_error *err)
{
    const char *model, *data, *validation, *options;
    OCTET_TRY(identify_model(&model, s->workshop.graph, arena, err));
    OCTET_TRY(identify_data(&data, s->workshop.data, arena, err));
    OCTET_TRY(identify_data(&validation, s->validation, arena, err));
    OCTET_TRY(identify_options(&options, &s->workshop.qconfig, s->options, arena, err));
    identity[0] = (octet_tune_identity){ "version of octet", octet_version() };
    identity[1] = (octet_tune_identity){ "model", model };
    identity[2] = (octet_tune_identity){ "data", data };
    identity[3] = (octet_tune_identity){ "validation", validation };
    identity[4] = (octet_tune_identity){ "options", options };
    identity[5] = (octet_tune_identity){ 0 };
    return OCTET_OK;
}

/* ---- the result ---- */

void octet_tune_config_print(char *text, size_t size, const octet_tune_config *c)
{
    static const char *const ways[] = { "", ", equalize", ", equalize by balance", ", equalize by balance per tensor" };
    _Static_assert(sizeof ways / sizeof *ways == OCTET_EQUALIZATIONS + 1, "a name for each");
    char percentile[32] = "";
    if (c->method == OCTET_METHOD_PERCENTILE) snprintf(percentile, sizeof percentile, " %g", c->percentile);
    const int n = snprintf(text, size, "%s%s%s%s%s", octet_method_name(c->method), percentile,
                           ways[c->equalize], c->rounding == OCTET_ROUND_FEEDBACK ? ", round" : "",
                           c->bias_correction == OCTET_BIAS_SEQUENTIAL ? ", bias"
                           : c->bias_correction == OCTET_BIAS_ANALYTIC ? ", bias analytic"
                                                                       : "");
    if (c->float_count && n >= 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, ", %zu float", c->float_count);
}

/* The fastest that meets the budget; of those the better one. */
static void choose(octet_tuning *tuning)
{
    for (size_t i = 0; i < tuning->trial_count; i++) {
        const octet_tune_trial *const t = &tuning->trials[i], *const best = tuning->best;
        if (t->failed) continue;
        if (!tuning->closest || t->drop < tuning->closest->drop) tuning->closest = t;
        if (!t->meets) continue;
        const bool as_fast = best && t->predicted == best->predicted;
        if (!best || t->predicted < best->predicted || (as_fast && octet_tune_scores_better(t, best))) tuning->best = t;
    }
}

static void sum_up(octet_tuning *tuning, const octet_search *s)
{
    octet_journal *const            journal = s->journal;
    const octet_tune_options *const o       = s->options;
    const octet_tune_times *const   times   = &journal->times;
    octet_tune_mark_frontier(journal->trials, journal->trial_count);
    *tuning = (octet_tuning){ .trial_count = journal->trial_count, .trials = journal->trials,
                              .resumed = journal->resumed, .metric = o->metric, .float_score = NAN,
                              .float_latency = times->layers ? times->float_seconds / times->seconds : NAN,
                              .layer_count = times->layer_count, .stopped = s->stopped };
    choose(tuning);
    if (tuning->closest) tuning->float_score = tuning->closest->float_score;
    tuning->max_drop = o->metric == OCTET_METRIC_SQNR ? 0
                       : o->max_drop_share            ? o->max_drop / 100 * fabs(tuning->float_score)
                                                      : o->max_drop;
}

static octet_status make_best(octet_graph **quantized, octet_search *s, const octet_tune_trial *best, octet_error *err)
{
    char text[160];
    octet_tune_config_print(text, sizeof text, &best->config);
    OCTET_TRY(octet_workshop_make(quantized, &s->workshop, &best->config, err));
    return octet_graph_set_metadata(*quantized, "octet.tune", text, err);
}

/* ---- the whole ---- */

static octet_status check(const octet_graph *graph, octet_dataset *const data[2], const octet_tune_options *o,
                          octet_error *err)
{
    const bool labels = o->metric == OCTET_METRIC_TOP1 || o->metric == OCTET_METRIC_TOP5;
    if (octet_graph_stage(graph) != OCTET_STAGE_FUSED || graph->training)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "the network is quantized or prepared already (need a float one)");
    if (labels && !octet_dataset_has_labels(data[1]))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "%s needs labels of the validation data",
                          octet_metric_name(o->metric));
    if (!(o->max_drop >= -1e300 && o->max_drop <= 1e300) || !(fabs(o->min_sqnr_db) <= 1e300))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "the budget is no number");
    return OCTET_OK;
}

static octet_status run(octet_graph **quantized, struct owned *owned, octet_search *s, octet_error *err)
{
    octet_tune_identity             identity[6];
    octet_journal *const            journal = s->journal;
    const octet_tune_options *const o       = s->options;
    OCTET_TRY(identify(identity, s, s->arena, err));
    OCTET_TRY(octet_journal_open(journal, o->journal, identity, o->restart, err));
    for (size_t i = 0; i < journal->trial_count; i++) {
        octet_search_judge(&journal->trials[i], o);
        OCTET_TRY(octet_search_tell(s, &journal->trials[i], err));
    }
    OCTET_TRY(octet_search_run(s, err));
    sum_up(&owned->tuning, s);
    return owned->tuning.best ? make_best(quantized, s, owned->tuning.best, err) : OCTET_OK;
}

/* The trials lie in the journal's arena, which becomes the result's. */
static octet_status run_owned(octet_graph **quantized, struct owned **result, octet_search *s, octet_error *err)
{
    octet_journal journal = { 0 };
    struct owned  owned   = { 0 };
    s->journal            = &journal;
    octet_status status   = run(quantized, &owned, s, err);
    owned.arena           = journal.arena;
    *result               = status == OCTET_OK ? octet_arena_copy_bytes(owned.arena, &owned, sizeof owned) : NULL;
    if (status == OCTET_OK && !*result) status = octet_fail_memory(err);
    if (status == OCTET_OK) journal.arena = NULL;
    octet_journal_close(&journal);
    return status;
}

octet_status octet_tune(octet_graph **quantized, octet_tuning **tuning, octet_graph *graph,
                        octet_dataset *const data[2], const octet_tune_options *options, octet_error *err)
{
    const octet_tune_options        none = { 0 }, *const o = options ? options : &none;
    octet_arena *const              arena  = octet_arena_new();
    octet_search                    s = { .options = o, .validation = data[1], .arena = arena, .began = octet_clock() };
    struct owned                   *result = NULL;
    *quantized = NULL, *tuning = NULL;
    octet_status status = arena ? octet_fuse(graph, err) : octet_fail_memory(err);
    s.workshop = (octet_workshop){ .graph   = graph,
                                   .data    = data[0],
                                   .options = o,
                                   .qconfig = *(o->qconfig ? o->qconfig : octet_qconfig_find("octet")) };
    if (status == OCTET_OK) status = check(graph, data, s.options, err);
    if (status == OCTET_OK) status = run_owned(quantized, &result, &s, err);
    octet_search_free(&s);
    octet_arena_free(arena);
    if (status != OCTET_OK) {
        octet_graph_free(*quantized);
        *quantized = NULL;
        return status;
    }
    *tuning = &result->tuning;
    return OCTET_OK;
}

octet_arena *octet_tuning_arena(octet_tuning *tuning) { return ((struct owned *)(void *)tuning)->arena; }

void octet_tuning_free(octet_tuning *tuning)
{
    if (tuning) octet_arena_free(octet_tuning_arena(tuning));
}
