/* SPDX-License-Identifier: Apache-2.0 */
/* The whole way from float to int8. Samples that were held back judge every step: a step stays only where the network
   that would ship loses less with it. The steps are rows; each starts from what the rows before it left. */
#include <octet/improve.h>

#include "graph/copy.h"
#include "quantize/calibration.h"
#include "quantize/judge.h"

enum { HELD_BACK = 4, MOST_OLD = 8 * OCTET_STEPS };

/* Less gain than this is what other samples would take back. */
#define LEAST_GAIN_DB 0.1

/* Of several variants the best gains by chance alone, so it must gain more; and so must other ranges than those that
   the search's own rule takes, which has seen more samples. */
#define LEAST_CHOSEN_GAIN_DB 0.5

typedef struct way {
    octet_graph                  *origin; /* fused float network, which the judge goes by */
    octet_graph                  *real;   /* origin with every float step that was kept */
    octet_graph                  *now;    /* calibrated, with every step that was kept */
    octet_dataset                *data, *seen, *held_back; /* all samples, those that steps see, those that judge */
    const octet_quantize_options *options;
    octet_judge                   judge;
    octet_judgement               judged; /* now, on held_back */
    octet_graph                  *old[MOST_OLD]; /* what was in force before, and what copies are of */
    size_t                        old_count;
} way;

/* What is tried: a copy of the float network changed and calibrated again, or a copy of the calibrated one changed. Of
   several variants the best counts. */
typedef struct step {
    const char *name;
    int         variants;
    bool (*is_asked)(const octet_quantize_options *options);
    octet_status (*change_float)(octet_graph *graph, const way *w, int variant, octet_error *err);
    octet_status (*change_calibrated)(octet_graph *graph, const way *w, octet_error *err);
} step;

/* ---- the steps ---- */

static bool equalize_is_asked(const octet_quantize_options *o) { return o->equalize; }
static bool round_is_asked(const octet_quantize_options *o) { return o->rounding == OCTET_ROUND_FEEDBACK; }
static bool bias_is_asked(const octet_quantize_options *o) { return o->bias_correction != OCTET_BIAS_MEAN; }

static octet_status equalize(octet_graph *graph, const way *w, int variant, octet_error *err)
{
    return octet_equalize(graph, (octet_equalization)variant, w->seen, &w->options->calibrate, err);
}

static octet_status round_weights(octet_graph *graph, const way *w, octet_error *err)
{
    return octet_round_weights(graph, w->seen, &w->options->calibrate, err);
}

static octet_status correct_biases(octet_graph *graph, const way *w, octet_error *err)
{
    return octet_correct_biases(graph, w->options->bias_correction, w->seen, &w->options->calibrate, err);
}

static const step steps[OCTET_STEPS] = {
    { "equalize", OCTET_EQUALIZATIONS, equalize_is_asked, equalize, NULL },
    { "round", 1, round_is_asked, NULL, round_weights },
    { "bias-correct", 1, bias_is_asked, NULL, correct_biases },
};

/* ---- copies ---- */

/* Copies share constants and calibration with what they are copies of: all that was in force stays alive to the end. */

/* Statistics from elsewhere are of the network as it was given. */
static octet_status calibrated_copy(octet_graph **copy, const octet_graph *real, const way *w, octet_error *err)
{
    octet_calibrate_options how = w->options->calibrate;
    if (w->now) how.statistics = NULL;
    OCTET_TRY(octet_graph_copy(copy, real, err));
    OCTET_TRY(octet_prepare(*copy, w->options->qconfig, err));
    return octet_calibrate(*copy, w->data, &how, err);
}

/* The ranges that a search over the output found, where those of least squared error are in force, and the other way
   round. graph is a copy of the one that was calibrated. */
static octet_status take_other_ranges(octet_graph *graph, octet_error *err)
{
    const octet_calibration *const c = graph->calibration;
    for (size_t i = 0; i < c->group_count; i++) {
        const octet_group *const group = &c->groups[i];
        const octet_value *const twin  = octet_graph_find_value(graph, group->representative->name);
        octet_range              range = group->chosen;
        if (!group->chosen_method || !twin || group->wide) continue;
        twin->fake_quantize->method = group->chosen_method;
        if (c->choice_pays) OCTET_TRY(octet_group_range(&range, &twin->fake_quantize->method, graph, group, err));
        OCTET_TRY(octet_set_qparams(graph, twin->fake_quantize, &c->qconfig.activation, &range, 1, err));
    }
    return OCTET_OK;
}

/* ---- judging ---- */

static octet_status judge(octet_judgement *judgement, way *w, const octet_graph *calibrated, octet_error *err)
{
    octet_graph *quantized;
    OCTET_TRY(octet_graph_changed_copy(&quantized, calibrated, octet_convert, err));
    const octet_status status = octet_judge_measure(judgement, &w->judge, quantized, err);
    octet_graph_free(quantized);
    return status;
}

/* The network with one more step, as one of its variants: real is NULL where the step leaves that alone. */
typedef struct attempt {
    octet_graph    *real, *calibrated;
    octet_judgement judged;
    double          gain_db;
} attempt;

static void attempt_free(attempt *a)
{
    octet_graph_free(a->real);
    octet_graph_free(a->calibrated);
    *a = (attempt){ 0 };
}

/* Whether the search over the output promises enough is a guess, made for networks that were not equalized. */
static octet_status try_other_ranges(attempt *a, way *w, octet_error *err)
{
    octet_graph    *other = NULL;
    octet_judgement judged;
    octet_status    status = octet_graph_copy(&other, a->calibrated, err);
    if (status == OCTET_OK) status = take_other_ranges(other, err);
    if (status == OCTET_OK) status = judge(&judged, w, other, err);
    if (status == OCTET_OK && octet_judgement_gain(&a->judged, &judged) >= LEAST_CHOSEN_GAIN_DB) {
        w->old[w->old_count++] = a->calibrated;
        a->calibrated          = other;
        a->judged              = judged;
        return OCTET_OK;
    }
    octet_graph_free(other);
    return status;
}

static octet_status change(attempt *a, way *w, const step *s, int variant, octet_error *err)
{
    if (!s->change_float) {
        OCTET_TRY(octet_graph_copy(&a->calibrated, w->now, err));
        OCTET_TRY(s->change_calibrated(a->calibrated, w, err));
        return judge(&a->judged, w, a->calibrated, err);
    }
    OCTET_TRY(octet_graph_copy(&a->real, w->real, err));
    OCTET_TRY(s->change_float(a->real, w, variant, err));
    OCTET_TRY(calibrated_copy(&a->calibrated, a->real, w, err));
    OCTET_TRY(judge(&a->judged, w, a->calibrated, err));
    return try_other_ranges(a, w, err);
}

static octet_status make_attempt(attempt *a, way *w, const step *s, int variant, octet_error *err)
{
    *a                        = (attempt){ 0 };
    const octet_status status = change(a, w, s, variant, err);
    if (status == OCTET_OK) a->gain_db = octet_judgement_gain(&w->judged, &a->judged);
    else attempt_free(a);
    return status;
}

static octet_status best_attempt(attempt *best, way *w, const step *s, octet_error *err)
{
    octet_status status = make_attempt(best, w, s, 0, err);
    for (int variant = 1; variant < s->variants && status == OCTET_OK; variant++) {
        attempt other;
        status = make_attempt(&other, w, s, variant, err);
        if (status == OCTET_OK && other.gain_db > best->gain_db) {
            const attempt worse = *best;
            *best               = other;
            other               = worse;
        }
        attempt_free(&other);
    }
    if (status != OCTET_OK) attempt_free(best);
    return status;
}

static void take(way *w, const attempt *a)
{
    w->old[w->old_count++] = w->now;
    w->now                 = a->calibrated;
    w->judged              = a->judged;
    if (!a->real) return;
    w->old[w->old_count++] = w->real;
    w->real                = a->real;
}

static octet_status try_step(way *w, const step *s, octet_step_gain *gain, octet_error *err)
{
    const double least = s->variants > 1 ? LEAST_CHOSEN_GAIN_DB : LEAST_GAIN_DB;
    attempt      best;
    OCTET_TRY(best_attempt(&best, w, s, err));
    *gain = (octet_step_gain){ s->name, octet_judgement_db(&w->judged), octet_judgement_db(&best.judged), best.gain_db,
                               best.gain_db >= least };
    if (gain->kept) take(w, &best);
    else attempt_free(&best);
    return OCTET_OK;
}

/* ---- the whole ---- */

static bool any_step(const octet_quantize_options *options)
{
    for (int i = 0; i < OCTET_STEPS; i++)
        if (steps[i].is_asked(options)) return true;
    return false;
}

static octet_status part_samples(way *w, octet_error *err)
{
    const size_t every = w->options->held_back ? w->options->held_back : HELD_BACK;
    if (!w->data) return octet_fail(err, OCTET_ERR_ARGUMENT, "equalizing, rounding and bias correction need samples");
    if (octet_dataset_count(w->data) < 2 || every < 2)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "%zu samples, one in %zu held back: nothing is left to improve on",
                          octet_dataset_count(w->data), every);
    OCTET_TRY(octet_dataset_part(&w->held_back, w->data, every, false, err));
    return octet_dataset_part(&w->seen, w->data, every, true, err);
}

static octet_status improve(way *w, octet_step_gains *gains, octet_error *err)
{
    if (!any_step(w->options)) return OCTET_OK;
    OCTET_TRY(part_samples(w, err));
    OCTET_TRY(octet_judge_open(&w->judge, w->origin, w->held_back, &w->options->calibrate, err));
    OCTET_TRY(judge(&w->judged, w, w->now, err));
    for (int i = 0; i < OCTET_STEPS; i++)
        if (steps[i].is_asked(w->options)) OCTET_TRY(try_step(w, &steps[i], &gains->at[gains->count++], err));
    return OCTET_OK;
}

static octet_status record(octet_graph *graph, const octet_step_gains *gains, octet_error *err)
{
    for (size_t i = 0; i < gains->count; i++) {
        const octet_step_gain *const g = &gains->at[i];
        OCTET_TRY(octet_decide(graph, g->step, g->kept ? "kept" : "left out", err,
                               "gains %.2f dB on samples held back (%.2f without, %.2f with it)", g->gain_db,
                               g->before_db, g->after_db));
    }
    return OCTET_OK;
}

static octet_status go(octet_graph **quantized, way *w, octet_step_gains *gains, octet_error *err)
{
    OCTET_TRY(octet_fuse(w->origin, err));
    OCTET_TRY(octet_graph_copy(&w->real, w->origin, err));
    OCTET_TRY(calibrated_copy(&w->now, w->real, w, err));
    OCTET_TRY(improve(w, gains, err));
    OCTET_TRY(octet_graph_changed_copy(quantized, w->now, octet_convert, err));
    OCTET_TRY(octet_graph_own(*quantized, err));
    return record(*quantized, gains, err);
}

octet_status octet_quantize(octet_graph **quantized, octet_graph *graph, octet_dataset *data,
                            const octet_quantize_options *options, octet_step_gains *gains, octet_error *err)
{
    const octet_quantize_options defaults = { 0 };
    octet_step_gains             tried    = { 0 };
    way w      = { .origin = graph, .data = data, .options = options ? options : &defaults };
    *quantized = NULL;
    const octet_status status = go(quantized, &w, &tried, err);
    if (status != OCTET_OK) {
        octet_graph_free(*quantized);
        *quantized = NULL;
    }
    octet_graph_free(w.now);
    octet_graph_free(w.real);
    for (size_t i = 0; i < w.old_count; i++) octet_graph_free(w.old[i]);
    octet_judge_free(&w.judge);
    octet_dataset_free(w.seen);
    octet_dataset_free(w.held_back);
    if (gains) *gains = tried;
    return status;
}
