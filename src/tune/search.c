/* SPDX-License-Identifier: Apache-2.0 */
#include "tune/search.h"

#include "base/clock.h"

#include <math.h>
#include <string.h>

/* ---- one trial ---- */

void octet_search_judge(octet_tune_trial *trial, const octet_tune_options *options)
{
    const bool   sqnr = options->metric == OCTET_METRIC_SQNR;
    const double most = options->max_drop_share ? options->max_drop / 100 * fabs(trial->float_score)
                                                : options->max_drop;
    if (sqnr) trial->drop = options->min_sqnr_db - trial->sqnr_db;
    trial->meets = !trial->failed && trial->drop <= (sqnr ? 0 : most);
}

bool octet_search_goes_on(octet_search *s)
{
    const octet_tune_options *const o = s->options;
    const bool late = o->seconds > 0 && octet_clock() - s->began > o->seconds;
    if (late || (o->trials && s->journal->trial_count >= o->trials)) s->stopped = true;
    return !s->stopped;
}

octet_status octet_search_network(octet_graph **network, octet_search *s, octet_error *err)
{
    if (!s->network) OCTET_TRY(octet_workshop_make(&s->network, &s->workshop, &s->plain, err));
    *network = s->network;
    return OCTET_OK;
}

/* Beside the network without float layers, in turns. The shortest run counts: what others do to the machine only
   adds. */
static octet_status time_beside(double *ratio, octet_search *s, octet_graph *graph, octet_error *err)
{
    const octet_tune_options *const o = s->options;
    octet_bench                    *bench;
    octet_graph                    *plain;
    const octet_bench_options       how = { .plan             = o->evaluate.plan,
                                            .seconds          = o->bench_seconds > 0 ? o->bench_seconds : 2,
                                            .default_only     = true,
                                            .progress         = o->calibrate.progress,
                                            .progress_context = o->calibrate.progress_context };
    OCTET_TRY(octet_search_network(&plain, s, err));
    OCTET_TRY(octet_bench_run(&bench, graph, plain, &how, err));
    *ratio = bench->engines[0].time.min / bench->baseline->time.min;
    octet_bench_free(bench);
    return OCTET_OK;
}

static octet_status score(octet_tune_trial *trial, octet_search *s, octet_graph *graph, octet_error *err)
{
    const octet_tune_options *const o = s->options;
    const octet_tune_config *const  c = &trial->config;
    octet_evaluate_options          how = o->evaluate;
    octet_scores                    scores[2];
    how.progress         = o->calibrate.progress;
    how.progress_context = o->calibrate.progress_context;
    OCTET_TRY(octet_evaluate(scores, graph, s->workshop.graph, s->validation, &how, err));
    trial->score       = octet_score(&scores[0], o->metric);
    trial->float_score = octet_score(&scores[1], o->metric);
    trial->drop        = octet_score_drop(scores, o->metric);
    trial->sqnr_db     = scores[0].sqnr_db;
    trial->agreement   = scores[0].agreement;
    if (isnan(trial->score))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "no %s on the validation data", octet_metric_name(o->metric));
    if (c->float_count == 0) return OCTET_OK;
    trial->predicted = 1 + octet_tune_cost(&s->journal->times, s->workshop.graph, c->floats, c->float_count) /
                               s->journal->times.seconds;
    return time_beside(&trial->latency, s, graph, err);
}

static octet_status make_and_score(octet_tune_trial *trial, octet_search *s, octet_error *err)
{
    const octet_tune_config *const c = &trial->config;
    const bool   steps = c->equalize || c->rounding || c->bias_correction;
    octet_graph *graph;
    octet_error  why    = { 0 };
    octet_status status = octet_workshop_make(&graph, &s->workshop, c, &why);
    if (status == OCTET_ERR_UNSUPPORTED && steps) { /* that this network does not allow: no reason to end */
        trial->failed = octet_arena_copy(s->journal->arena, why.text);
        trial->score = trial->drop = trial->sqnr_db = trial->agreement = NAN;
        return trial->failed ? OCTET_OK : octet_fail_memory(err);
    }
    if (status != OCTET_OK && err && err->status == OCTET_OK) *err = why;
    OCTET_TRY(status);
    status = score(trial, s, graph, err);
    octet_graph_free(graph);
    return status;
}

octet_status octet_search_tell(const octet_search *s, const octet_tune_trial *trial, octet_error *err)
{
    if (!s->options->on_trial || !s->options->on_trial(s->options->on_trial_context, trial)) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
}

octet_status octet_search_try(const octet_tune_trial **trial, octet_search *s, const octet_tune_config *config,
                              octet_error *err)
{
    octet_journal *const journal = s->journal;
    *trial                       = octet_journal_find(journal, config);
    if (!*trial && octet_search_goes_on(s)) {
        const double     began = octet_clock();
        octet_tune_trial made  = { .config = *config, .latency = 1, .predicted = 1, .float_score = NAN };
        OCTET_TRY(make_and_score(&made, s, err));
        made.seconds = octet_clock() - began;
        octet_search_judge(&made, s->options);
        OCTET_TRY(octet_journal_add(journal, &made, err));
        *trial = &journal->trials[journal->trial_count - 1];
        OCTET_TRY(octet_search_tell(s, *trial, err));
    }
    return OCTET_OK;
}

/* ---- without float layers ---- */

/* One standard error of the difference of two shares, by the samples that the two networks decide differently. */
static double chance(const octet_search *s, const octet_tune_trial *trial)
{
    if (!octet_metric_is_share(s->options->metric) || isnan(trial->agreement)) return 0;
    return 100 * sqrt((1 - trial->agreement) / (double)octet_dataset_count(s->validation));
}

bool octet_search_better(const octet_search *s, const octet_tune_trial *a, const octet_tune_trial *b)
{
    if (a->failed || !b || b->failed) return !a->failed;
    if (a->meets != b->meets) return a->meets;
    const double gain = b->drop - a->drop;
    if (fabs(gain) > fmax(chance(s, a), chance(s, b)) || a->sqnr_db == b->sqnr_db) return gain > 0;
    return a->sqnr_db > b->sqnr_db;
}

static octet_status try_plain(const octet_tune_trial **best, octet_search *s, const octet_tune_config *config,
                              octet_error *err)
{
    const octet_tune_trial *trial;
    OCTET_TRY(octet_search_try(&trial, s, config, err));
    if (trial && octet_search_better(s, trial, *best)) *best = trial;
    s->workshop.pinned = *best ? &(*best)->config : NULL;
    return OCTET_OK;
}

/* Methods in the order in which they usually turn out. */
static octet_status try_methods(const octet_tune_trial **best, octet_search *s, octet_error *err)
{
    static const octet_method methods[] = { OCTET_METHOD_OUTPUT, OCTET_METHOD_MSE, OCTET_METHOD_PERCENTILE,
                                            OCTET_METHOD_MINMAX, OCTET_METHOD_MOVING_AVERAGE };
    const unsigned usual = 1u << OCTET_METHOD_OUTPUT | 1u << OCTET_METHOD_MSE | 1u << OCTET_METHOD_PERCENTILE |
                           1u << OCTET_METHOD_MINMAX;
    const double   given  = s->workshop.qconfig.activation.percentile;
    const unsigned wanted = s->options->methods ? s->options->methods : usual;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        octet_tune_config config = { .method = methods[i] };
        if (!(wanted & 1u << methods[i])) continue;
        if (methods[i] == OCTET_METHOD_PERCENTILE)
            config.percentile = given > 0 ? given : 99.99;
        OCTET_TRY(try_plain(best, s, &config, err));
    }
    return OCTET_OK;
}

/* Each on top of what was best so far. */
static octet_status try_steps(const octet_tune_trial **best, octet_search *s, octet_error *err)
{
    const octet_equalization balance = s->workshop.qconfig.weight.per_channel ? OCTET_EQUALIZE_BALANCE
                                                                              : OCTET_EQUALIZE_BALANCE_TENSOR;
    const octet_tune_config  steps[] = { { .equalize = 1 + OCTET_EQUALIZE_SCALE }, { .equalize = 1 + (int)balance },
                                         { .rounding = OCTET_ROUND_FEEDBACK },
                                         { .bias_correction = OCTET_BIAS_SEQUENTIAL } };
    for (size_t i = 0; i < sizeof steps / sizeof *steps && *best && !s->options->ranges_only; i++) {
        octet_tune_config config = (*best)->config;
        if (steps[i].equalize) config.equalize = steps[i].equalize;
        if (steps[i].rounding) config.rounding = steps[i].rounding;
        if (steps[i].bias_correction) config.bias_correction = steps[i].bias_correction;
        OCTET_TRY(try_plain(best, s, &config, err));
    }
    return OCTET_OK;
}

octet_status octet_search_run(octet_search *s, octet_error *err)
{
    const octet_tune_trial *best = NULL;
    OCTET_TRY(try_methods(&best, s, err));
    OCTET_TRY(try_steps(&best, s, err));
    if (!best || best->failed || s->stopped) return OCTET_OK;
    s->plain = best->config;
    OCTET_TRY(octet_search_time_layers(s, err));
    return best->meets && !s->options->explore ? OCTET_OK : octet_search_floats(s, best, err);
}

void octet_search_free(octet_search *s)
{
    octet_graph_free(s->network);
    octet_workshop_free(&s->workshop);
}
