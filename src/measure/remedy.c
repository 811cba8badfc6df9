/* SPDX-License-Identifier: Apache-2.0 */
/* For the layers that cost most: what mends their cause, tried. Every candidate is the quantized network with that one
   thing changed, run on the samples of the effects; --layer NAME=float was measured already, as the gain. The first one
   that helps is named, and float comes last. */
#include "measure/remedy.h"

#include "measure/variant.h"
#include "observe/estimate.h"

#include <math.h>
#include <string.h>

enum { LAYERS = 5, MOST_SAMPLES = 16 };

/* What is worth saying, in dB. */
static const double HELPS = 0.05;

typedef enum kind { MINMAX, MSE, P9999, P999, PER_CHANNEL, S8, AFFINE, SHIFT, IN_FLOAT, KINDS } kind;

typedef struct row {
    const char *text; /* %s: the layer */
    const char *estimator;
    double      percentile;
    bool        global; /* the same for all layers: measured once */
} row;

static const row rows[KINDS] = {
    [MINMAX]      = { "--layer '%s=minmax'", "minmax", 0, false },
    [MSE]         = { "--layer '%s=mse'", "mse", 0, false },
    [P9999]       = { "--layer '%s=percentile:99.99'", "percentile", 99.99, false },
    [P999]        = { "--layer '%s=percentile:99.9'", "percentile", 99.9, false },
    [PER_CHANNEL] = { "--per-channel", NULL, 0, true },
    [S8]          = { "--weights s8", NULL, 0, true },
    [AFFINE]      = { "without --symmetric", NULL, 0, true },
    [SHIFT]       = { "--bias-correct", NULL, 0, false },
    [IN_FLOAT]    = { "--layer '%s=float'", NULL, 0, false },
};

/* One layer to mend. */
typedef struct patient {
    size_t             layer;
    octet_layer_error *error;
    octet_finding      finding;
    octet_observer     observer; /* of finding.value's float twin */
} patient;

typedef struct remedying {
    const octet_remedies *given;
    octet_arena          *arena;
    patient               patients[LAYERS];
    size_t                count, samples;
    octet_tensor         *inputs[MOST_SAMPLES];
    float                *outputs[MOST_SAMPLES][OCTET_COMPARED_OUTPUTS];
    double                base;
    double                known[KINDS]; /* of global ones; NAN: not measured yet */
} remedying;

/* ---- the samples ---- */

static octet_status keep_outputs(remedying *r, size_t sample, octet_error *err)
{
    const octet_pairing *const p = r->given->pairing;
    for (size_t o = 0; o < p->output_count; o++) {
        const size_t count = octet_compared_count(p->real_plan, p->outputs[o][0]);
        float      **kept  = &r->outputs[sample][o];
        OCTET_TRY(octet_arena_get(kept, r->arena, count, sizeof **kept, err));
        const float *const x = octet_workspace_reals(r->given->worker->real, p->outputs[o][0], *kept);
        if (x && x != *kept) memcpy(*kept, x, count * sizeof *x);
    }
    return OCTET_OK;
}

/* Runs the float network and sees the values whose ranges are in question. */
static octet_status see_sample(remedying *r, size_t sample, octet_error *err)
{
    octet_comparing *const     c = r->given->worker;
    const octet_pairing *const p = r->given->pairing;
    octet_tensor               outputs[OCTET_COMPARED_OUTPUTS];
    OCTET_TRY(octet_inputs_make(&r->inputs[sample], &p->source, r->arena, err));
    OCTET_TRY(octet_inputs_read(r->inputs[sample], &p->source, 0, r->given->samples[sample], err));
    OCTET_TRY(octet_run(c->real, r->inputs[sample], outputs, err));
    for (size_t i = 0; i < r->count; i++) {
        const octet_value *const v    = r->patients[i].finding.value;
        const octet_value *const twin = v ? octet_graph_find_value(p->real, v->name) : NULL;
        const float *const       x    = twin ? octet_workspace_reals(c->real, twin, c->rooms[0]) : NULL;
        if (x) octet_observer_observe(&r->patients[i].observer, x, octet_compared_count(p->real_plan, twin));
    }
    return keep_outputs(r, sample, err);
}

/* ---- one candidate ---- */

static octet_status run_samples(double *db, const remedying *r, const octet_graph *graph, octet_workspace *ws,
                                octet_error *err)
{
    const octet_pairing *const p = r->given->pairing;
    double                     signal[OCTET_COMPARED_OUTPUTS] = { 0 }, noise[OCTET_COMPARED_OUTPUTS] = { 0 };
    octet_tensor               outputs[OCTET_COMPARED_OUTPUTS];
    for (size_t i = 0; i < r->samples; i++) {
        OCTET_TRY(octet_run(ws, r->inputs[i], outputs, err));
        for (size_t o = 0; o < p->output_count; o++) {
            const octet_value *const value = octet_graph_find_value(graph, p->outputs[o][1]->name);
            const float *const       x = value ? octet_workspace_reals(ws, value, r->given->worker->rooms[0]) : NULL;
            octet_sqnr               sum = { 0 };
            if (!x) continue;
            octet_sqnr_add(&sum, r->outputs[i][o], x, octet_compared_count(p->real_plan, p->outputs[o][0]));
            signal[o] += sum.signal;
            noise[o] += sum.noise;
        }
    }
    *db = octet_relative_db(signal, noise, p->output_count);
    return OCTET_OK;
}

static octet_status measure(double *db, const remedying *r, const octet_graph *graph, octet_error *err)
{
    octet_plan_options how  = r->given->options->plan;
    octet_plan        *plan = NULL;
    octet_workspace   *ws   = NULL;
    how.inputs = r->given->pairing->shapes, how.keep_values = how.reals = true;
    octet_status status = octet_plan_create(&plan, graph, &how, err);
    if (status == OCTET_OK) status = octet_workspace_create(&ws, plan, err);
    if (status == OCTET_OK) status = run_samples(db, r, graph, ws, err);
    octet_workspace_free(ws);
    octet_plan_free(plan);
    return status;
}

/* All symmetric values get the range that was seen of them, with a zero point of their own. */
static octet_status make_affine(octet_graph *variant, const remedying *r, octet_error *err)
{
    const octet_pairing *const p = r->given->pairing;
    for (size_t i = 0; i < r->given->sums->origin_count; i++) {
        const octet_origins *const o = &r->given->sums->origins[i];
        const octet_value *const   v = octet_origin_value(p, i);
        const octet_qparams *const q = octet_value_levels(p->quantized, v);
        octet_range                range = { .seen = o->seen, .min = o->lo[0], .max = o->hi[0] };
        if (!o->seen || !q || !octet_is_symmetric(q)) continue;
        for (size_t k = 1; k < o->channels; k++) {
            range.min = fminf(range.min, o->lo[k]);
            range.max = fmaxf(range.max, o->hi[k]);
        }
        OCTET_TRY(octet_variant_range(variant, v, range, true, err));
    }
    return OCTET_OK;
}

static octet_status make_range(octet_graph *variant, const patient *at, const row *how, octet_error *err)
{
    const octet_value *const   v = at->finding.value;
    const octet_qparams *const q = &octet_graph_find_value(variant, v->name)->fake_quantize->qparams;
    const octet_estimate       want = { q->qmin, q->qmax, octet_is_symmetric(q), how->percentile };
    octet_range                range;
    OCTET_TRY(octet_estimator_find(how->estimator)->read(&range, &at->observer, &want, err));
    return octet_variant_range(variant, v, range, false, err);
}

/* *made false: the candidate says nothing to this network. */
static octet_status change(bool *made, octet_graph *variant, const remedying *r, const patient *at, kind k,
                           octet_error *err)
{
    const octet_pairing *const p = r->given->pairing;
    const octet_origins *const o = &r->given->sums->origins[at->layer];
    *made = true;
    switch (k) {
    case PER_CHANNEL: return octet_variant_weights(variant, p, true, 127, err);
    case S8: return octet_variant_weights(variant, p, false, 127, err);
    case AFFINE: return make_affine(variant, r, err);
    case SHIFT:
        *made = octet_variant_shift(variant, &p->layers[at->layer], o->shift,
                                    (double)o->count / (double)o->channels, o->channels);
        return OCTET_OK;
    default: return make_range(variant, at, &rows[k], err);
    }
}

/* The gain of the output, NAN where the candidate cannot be made. */
static octet_status try_candidate(double *gain, remedying *r, const patient *at, kind k, octet_error *err)
{
    octet_graph *variant;
    octet_error  why  = { 0 };
    bool         made = false;
    double       db   = NAN;
    if (rows[k].global && !isnan(r->known[k])) {
        *gain = r->known[k];
        return OCTET_OK;
    }
    OCTET_TRY(octet_variant_begin(&variant, r->given->pairing, err));
    octet_status status = change(&made, variant, r, at, k, &why);
    if (status == OCTET_OK && made) status = octet_variant_end(variant, &why);
    if (status == OCTET_OK && made) status = measure(&db, r, variant, &why);
    octet_graph_free(variant);
    if (status != OCTET_OK && status != OCTET_ERR_UNSUPPORTED) { /* what does not fit is no remedy */
        if (err) *err = why;
        return status;
    }
    *gain = db == r->base ? 0 : db - r->base;
    if (rows[k].global) r->known[k] = *gain;
    return OCTET_OK;
}

/* ---- which candidates ---- */

static size_t list_candidates(kind to[KINDS], const octet_pairing *p, const patient *at)
{
    static const kind lists[][4] = {
        [OCTET_CAUSE_CLIPPING]        = { MINMAX, P9999, MSE, IN_FLOAT },
        [OCTET_CAUSE_RESOLUTION]      = { MSE, P9999, P999, IN_FLOAT },
        [OCTET_CAUSE_OUTLIER_CHANNEL] = { MSE, P9999, P999, IN_FLOAT },
        [OCTET_CAUSE_ZERO_POINT]      = { AFFINE, MINMAX, MSE, IN_FLOAT },
        [OCTET_CAUSE_BIAS]            = { SHIFT, IN_FLOAT, IN_FLOAT, IN_FLOAT },
    };
    const octet_finding *const f = &at->finding;
    const octet_node *const    node = p->layers[at->layer].node;
    size_t                     count = 0;
    if (f->cause == OCTET_CAUSE_NONE || f->cause == OCTET_CAUSE_FLOAT) return 0;
    if (f->weights) {
        const octet_qparams *const q = octet_value_levels(p->quantized, node->inputs[1]);
        if (q && q->qmax < 127) to[count++] = S8;
        if (q && q->count == 1) to[count++] = PER_CHANNEL;
        to[count++] = IN_FLOAT;
        return count;
    }
    for (size_t i = 0; i < 4; i++) {
        const kind k     = lists[f->cause][i];
        const bool range = rows[k].estimator != NULL;
        if (range && (!f->value || !f->value->producer || !octet_value_levels(p->quantized, f->value))) continue;
        if (k == AFFINE && !octet_is_symmetric(octet_value_levels(p->quantized, f->value))) continue;
        if (!count || to[count - 1] != k) to[count++] = k;
    }
    return count;
}

/* Inside single quotes of a shell. */
static const char *quoted(octet_arena *arena, const char *name)
{
    size_t length = strlen(name), at = 0;
    for (const char *c = name; *c; c++) length += *c == '\'' ? 3 : 0;
    char *const text = octet_arena_alloc(arena, length + 1, 1);
    for (const char *c = name; text && *c; c++) {
        if (*c == '\'') {
            memcpy(text + at, "'\\''", 4);
            at += 4;
        } else text[at++] = *c;
    }
    return text;
}

static octet_status say(patient *at, const octet_pairing *p, kind k, double gain, octet_arena *arena, octet_error *err)
{
    const octet_node *const node = rows[k].estimator ? at->finding.value->producer : p->layers[at->layer].node;
    const char *const       name = quoted(arena, node->name);
    const char *const       spot = strstr(rows[k].text, "%s");
    if (!name) return octet_fail_memory(err);
    at->error->remedy = rows[k].text;
    const int before  = spot ? (int)(spot - rows[k].text) : 0;
    if (spot) at->error->remedy = octet_arena_format(arena, "%.*s%s%s", before, rows[k].text, name, spot + 2);
    at->error->remedy_db = gain;
    return at->error->remedy ? OCTET_OK : octet_fail_memory(err);
}

static octet_status mend(remedying *r, patient *at, octet_error *err)
{
    const octet_pairing *const p = r->given->pairing;
    kind                       candidates[KINDS];
    const size_t               count = list_candidates(candidates, p, at);
    for (size_t i = 0; i < count; i++) {
        double gain = at->error->gain_db;
        if (candidates[i] != IN_FLOAT) OCTET_TRY(try_candidate(&gain, r, at, candidates[i], err));
        if (gain > HELPS) return say(at, p, candidates[i], gain, r->given->arena, err);
    }
    return OCTET_OK;
}

/* ---- the whole ---- */

/* The layers that cost the output most when quantized alone. */
static octet_status choose_patients(remedying *r, octet_error *err)
{
    const octet_remedies *const g = r->given;
    while (r->count < LAYERS) {
        size_t worst = g->pairing->layer_count;
        for (size_t i = 0; i < g->pairing->layer_count; i++) {
            bool taken = !(g->layers[i].output_db < INFINITY) || !g->layers[i].cause;
            for (size_t k = 0; k < r->count; k++) taken = taken || r->patients[k].layer == i;
            if (!taken && (worst == g->pairing->layer_count || g->layers[i].output_db < g->layers[worst].output_db))
                worst = i;
        }
        if (worst == g->pairing->layer_count) break;
        patient *const at = &r->patients[r->count++];
        *at = (patient){ .layer = worst, .error = &g->layers[worst],
                         .finding = octet_finding_of(g->pairing, g->sums, worst) };
        OCTET_TRY(octet_arena_get(&at->observer.histogram, r->arena, 1, sizeof *at->observer.histogram, err));
    }
    return OCTET_OK;
}

static octet_status find_all(remedying *r, octet_error *err)
{
    OCTET_TRY(choose_patients(r, err));
    if (!r->count) return OCTET_OK;
    for (size_t i = 0; i < r->samples; i++) OCTET_TRY(see_sample(r, i, err));
    OCTET_TRY(measure(&r->base, r, r->given->pairing->quantized, err));
    for (size_t i = 0; i < r->count; i++) OCTET_TRY(mend(r, &r->patients[i], err));
    return OCTET_OK;
}

octet_status octet_find_remedies(const octet_remedies *given, octet_error *err)
{
    octet_arena *const arena = octet_arena_new();
    remedying *const   r     = arena ? octet_arena_alloc(arena, 1, sizeof *r) : NULL;
    if (!r) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    r->given   = given;
    r->arena   = arena;
    r->samples = given->sample_count < MOST_SAMPLES ? given->sample_count : MOST_SAMPLES;
    for (int k = 0; k < KINDS; k++) r->known[k] = NAN;
    const octet_status status = r->samples ? find_all(r, err) : OCTET_OK;
    octet_arena_free(arena);
    return status;
}
