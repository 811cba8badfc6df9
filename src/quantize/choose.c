/* SPDX-License-Identifier: Apache-2.0 */
/* The range that hurts the model's output least, per group: each candidate rounds that one value on a few samples, and
   only what depends on it runs again. Errors are kept per sample and summed in sample order, so threads do not show.
   The first candidate's whole error is found first; every other is given up as soon as its own is larger, with the
   samples first that hurt most. (Giving up any earlier costs up to 2 dB: few samples decide a clipped range's loss.) */
#include "quantize/calibration.h"

#include "engine/run.h"
#include "measure/inputs.h"
#include "observe/qparams.h"
#include "ops/mode.h"
#include "quantize/guilty.h"
#include "quantize/samples.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CANDIDATES = 6, MOST_WORKERS = 4, OUTPUTS = 64 };

static const struct {
    const char *estimator, *name;
    double      percentile;
} methods[CANDIDATES] = {
    { "mse", "mse", 0 },
    { "minmax", "minmax", 0 },
    { "l3", "l3", 0 },
    { "percentile", "percentile 99.99", 99.99 },
    { "percentile", "percentile 99.95", 99.95 },
    { "percentile", "percentile 99.9", 99.9 },
};

typedef struct candidate {
    octet_range  range;
    octet_affine affine;
    bool         alive; /* false: too like an earlier one, or given up */
    double       loss;  /* so far, in any order */
} candidate;

typedef struct search {
    octet_graph                   *graph;
    octet_dataset                 *data;
    const octet_calibrate_options *options;
    octet_plan                    *plan;
    octet_workspace              **base, **changed; /* one of each per worker */
    octet_tensor                 **inputs;
    octet_error                   *errors;
    candidate                    (*candidates)[CANDIDATES]; /* per group */
    double                       (*loss)[CANDIDATES];       /* [sample * groups + group] */
    double                        *signal;                  /* [sample]: energy of the output, as loss counts it */
    octet_lock                    *lock; /* of candidates */
    bool                          *has_choice; /* per group: more than one candidate to begin with */
    size_t                        *order; /* of samples */
    octet_levels_range             levels;
    size_t                         samples, next;
    int                            workers, first, last; /* the candidates of this pass */
} search;

/* ---- one value rounded ---- */

/* to = x quantized and dequantized. Adding and subtracting 1.5 * 2^23 rounds to nearest even, and vectorises. */
static void round_trip(float *to, const float *x, size_t count, const candidate *c, octet_levels_range levels)
{
    const float magic = 12582912.0f, scale = c->affine.scale, inverse = 1.0f / scale;
    const float lo = (float)(levels.qmin - c->affine.zero_point), hi = (float)(levels.qmax - c->affine.zero_point);
    for (size_t i = 0; i < count; i++) {
        float t = x[i] * inverse;
        t       = t < lo ? lo : t > hi ? hi : t;
        to[i]   = ((t + magic) - magic) * scale;
    }
}

/* Squared error of the output; of several, each relative to its own energy. *signal (may be NULL): the output's own. */
static double output_loss(const search *s, int worker, double *signal)
{
    double loss = 0;
    if (signal) *signal = 0;
    for (size_t o = 0; o < s->graph->output_count; o++) {
        const octet_value *const value = octet_judged_value(s->graph->outputs[o]);
        const octet_tensor       a = octet_workspace_value(s->base[worker], value);
        const octet_tensor       b = octet_workspace_value(s->changed[worker], value);
        double                   error = 0, energy = 0;
        if (a.dtype != OCTET_F32 || !a.data || !b.data) continue;
        for (int64_t i = 0, count = octet_tensor_count(&a); i < count; i++) {
            const double x = ((const float *)a.data)[i], d = x - ((const float *)b.data)[i];
            error += d * d;
            energy += x * x;
        }
        const double unit = s->graph->output_count > 1 && energy > 0 ? energy : 1;
        loss += error / unit;
        if (signal) *signal += energy / unit;
    }
    return loss;
}

/* Nothing to choose: a rule says how the range is found. */
static bool is_settled(const octet_group *group) { return group->rule || group->tensor; }

/* Whether a candidate can still win. The first runs anyway: what its rounding costs is asked for later. */
static bool is_worth_it(search *s, size_t group, int c)
{
    const candidate *const all = s->candidates[group];
    int                    alive = 0;
    octet_lock_hold(s->lock);
    for (int i = 0; i < CANDIDATES; i++) alive += all[i].alive;
    const bool worth = (alive > 1 || c == 0) && all[c].alive && !is_settled(&s->graph->calibration->groups[group]);
    octet_lock_release(s->lock);
    return worth;
}

/* The margin is more than rounding and order can do to a sum: who is given up could not have won. */
static void add_loss(search *s, size_t group, int c, double loss)
{
    candidate *const all = s->candidates[group];
    octet_lock_hold(s->lock);
    all[c].loss += loss;
    if (c > 0 && all[c].loss > all[0].loss * (1 + 1e-9)) all[c].alive = false;
    octet_lock_release(s->lock);
}

static octet_status try_group(search *s, int worker, size_t sample, size_t group, octet_error *err)
{
    const octet_value *const value = s->graph->calibration->groups[group].representative;
    const octet_tensor       x     = octet_workspace_raw(s->base[worker], value);
    void *const              place = octet_workspace_place(s->changed[worker], value);
    double *const            loss  = s->loss[sample * s->graph->calibration->group_count + group];
    if (!x.data || !place) return OCTET_OK;
    for (int c = s->first; c < s->last; c++) {
        if (!is_worth_it(s, group, c)) continue;
        round_trip(place, x.data, (size_t)octet_tensor_count(&x), &s->candidates[group][c], s->levels);
        OCTET_TRY(octet_workspace_rerun(s->changed[worker], s->base[worker], value, NULL, err));
        loss[c] = output_loss(s, worker, &s->signal[sample]);
        add_loss(s, group, c, loss[c]);
    }
    return OCTET_OK;
}

static octet_status try_sample(search *s, int worker, size_t sample, octet_error *err)
{
    const size_t total = octet_dataset_count(s->data);
    octet_tensor outputs[OUTPUTS];
    OCTET_TRY(octet_dataset_read_inputs(s->data, sample * total / s->samples, s->inputs[worker], NULL, err));
    OCTET_TRY(octet_run(s->base[worker], s->inputs[worker], outputs, err));
    for (size_t g = 0; g < s->graph->calibration->group_count; g++)
        OCTET_TRY(try_group(s, worker, sample, g, err));
    return OCTET_OK;
}

static void run_worker(void *context, size_t worker)
{
    search *const s = context;
    for (;;) {
        const size_t at = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED);
        if (at >= s->samples) return;
        octet_status status = try_sample(s, (int)worker, s->order[at], &s->errors[worker]);
        if (status == OCTET_OK && worker == 0 && s->options && s->options->progress) {
            const octet_progress progress = { "choose ranges", at + (s->first ? s->samples : 0), 2 * s->samples };
            if (s->options->progress(s->options->progress_context, &progress))
                status = octet_fail(&s->errors[0], OCTET_ERR_ARGUMENT, "interrupted");
        }
        if (status != OCTET_OK) __atomic_store_n(&s->next, s->samples, __ATOMIC_RELAXED);
    }
}

/* One pass over the samples. */
static octet_status run_workers(search *s, int first, int last, octet_error *err)
{
    s->first = first;
    s->last  = last;
    s->next  = 0;
    octet_parallel((size_t)s->workers, s->workers, run_worker, s);
    for (int i = 0; i < s->workers; i++)
        if (s->errors[i].status != OCTET_OK) {
            if (err) *err = s->errors[i];
            return s->errors[i].status;
        }
    return OCTET_OK;
}

/* Samples by how much the first candidate hurt them, relative to the others, worst first. */
static void order_samples(search *s, double *hurt)
{
    const size_t groups = s->graph->calibration->group_count;
    for (size_t i = 0; i < s->samples; i++) {
        hurt[i] = 0;
        for (size_t g = 0; g < groups; g++) {
            const double whole = s->has_choice[g] ? s->candidates[g][0].loss : 0;
            if (whole > 0) hurt[i] += s->loss[i * groups + g][0] / whole;
        }
        size_t slot = i;
        for (; slot > 0 && hurt[s->order[slot - 1]] < hurt[i]; slot--) s->order[slot] = s->order[slot - 1];
        s->order[slot] = i;
    }
}

/* ---- candidates ---- */

/* Scales within 3 % of each other round alike: not worth a run of their own. */
static bool repeats(const candidate *all, int c)
{
    for (int i = 0; i < c; i++) {
        const float ratio = all[i].affine.scale / all[c].affine.scale;
        const int   shift = all[i].affine.zero_point - all[c].affine.zero_point;
        if (all[i].alive && ratio > 0.97f && ratio < 1.03f && shift >= -3 && shift <= 3) return true;
    }
    return false;
}

static octet_status make_candidates(search *s, size_t group, octet_error *err)
{
    const octet_quantizer *const quantizer = &s->graph->calibration->qconfig.activation;
    const octet_observer *const  observer  = &s->graph->calibration->groups[group].observer;
    candidate *const             all       = s->candidates[group];
    if (is_settled(&s->graph->calibration->groups[group])) {
        all[0].alive = true;
        return OCTET_OK;
    }
    for (int c = 0; c < CANDIDATES; c++) {
        const octet_estimate want = { s->levels.qmin, s->levels.qmax, quantizer->symmetric, methods[c].percentile };
        OCTET_TRY(octet_estimator_find(methods[c].estimator)->read(&all[c].range, observer, &want, err));
        octet_qparams_from_range(&all[c].affine, all[c].range, want.qmin, want.qmax, want.symmetric);
        all[c].alive = !repeats(all, c);
        s->has_choice[group] = s->has_choice[group] || (c > 0 && all[c].alive);
    }
    return OCTET_OK;
}

static double total_loss(const search *s, size_t group, int c)
{
    double sum = 0;
    for (size_t i = 0; i < s->samples; i++) sum += s->loss[i * s->graph->calibration->group_count + group][c];
    return sum;
}

static int best_of(const search *s, size_t group)
{
    int    best  = -1;
    double least = INFINITY;
    for (int c = 0; c < CANDIDATES; c++) {
        const double loss = s->candidates[group][c].alive ? total_loss(s, group, c) : INFINITY;
        if (loss < least || (best < 0 && s->candidates[group][c].alive)) {
            least = loss;
            best  = c;
        }
    }
    return best;
}

/* The choice must promise less than half the error of MSE ranges, all together; else those stay: what little it gains
   on these samples it loses on others (FastestDet, calibrated on one kind of photographs and run on another: 12.9 dB
   chosen, 16.3 by MSE; its promise was 0.6. MobileNetV2: 22.2 chosen, 18 by MSE; 0.4). */
static bool choice_pays(const search *s)
{
    double chosen = 0, plain = 0;
    for (size_t g = 0; g < s->graph->calibration->group_count; g++) {
        if (!s->has_choice[g]) continue;
        chosen += total_loss(s, g, best_of(s, g));
        plain += total_loss(s, g, 0);
    }
    return chosen < 0.5 * plain;
}

static octet_status take_best(search *s, octet_error *err)
{
    octet_calibration *const c = s->graph->calibration;
    c->choice_pays             = choice_pays(s);
    for (size_t g = 0; g < c->group_count; g++) {
        octet_group *const group = &c->groups[g];
        if (is_settled(group)) continue;
        const int best       = best_of(s, g), taken = c->choice_pays ? best : 0;
        group->chosen        = s->candidates[g][best].range;
        group->chosen_method = methods[best].name;
        group->loss          = total_loss(s, g, taken);
        group->fake_quantize->method = methods[taken].name;
        OCTET_TRY(octet_set_qparams(s->graph, group->fake_quantize, &c->qconfig.activation,
                                    &s->candidates[g][taken].range, 1, err));
    }
    return OCTET_OK;
}

/* ---- the whole ---- */

static size_t sample_count(const octet_graph *graph, const octet_dataset *data, const octet_calibrate_options *options)
{
    const double macs  = octet_graph_macs(graph);
    size_t       count = macs > 100000000 ? 24 : macs > 20000000 ? 64 : 128;
    if (options && options->choose_samples) count = options->choose_samples;
    return count < octet_dataset_count(data) ? count : octet_dataset_count(data);
}

static octet_status allocate(search *s, octet_arena *arena, octet_error *err)
{
    const size_t       groups = s->graph->calibration->group_count, workers = (size_t)s->workers;
    const octet_inputs from   = { .graph = s->graph, .data = s->data, .batch = 1,
                                  .port_count = s->graph->input_count };
    OCTET_TRY(octet_arena_get(&s->base, arena, workers, sizeof *s->base, err));
    OCTET_TRY(octet_arena_get(&s->changed, arena, workers, sizeof *s->changed, err));
    OCTET_TRY(octet_arena_get(&s->inputs, arena, workers, sizeof *s->inputs, err));
    OCTET_TRY(octet_arena_get(&s->errors, arena, workers, sizeof *s->errors, err));
    OCTET_TRY(octet_arena_get(&s->candidates, arena, groups, sizeof *s->candidates, err));
    OCTET_TRY(octet_arena_get(&s->loss, arena, groups * s->samples, sizeof *s->loss, err));
    OCTET_TRY(octet_arena_get(&s->has_choice, arena, groups, sizeof *s->has_choice, err));
    OCTET_TRY(octet_arena_get(&s->signal, arena, s->samples, sizeof *s->signal, err));
    OCTET_TRY(octet_arena_get(&s->order, arena, s->samples, sizeof *s->order, err));
    OCTET_TRY(octet_arena_get(&s->lock, arena, 1, octet_lock_size(), err));
    octet_lock_init(s->lock);
    for (size_t i = 0; i < s->samples; i++) s->order[i] = i;
    for (int i = 0; i < s->workers; i++) {
        OCTET_TRY(octet_workspace_create(&s->base[i], s->plan, err));
        OCTET_TRY(octet_workspace_create(&s->changed[i], s->plan, err));
        OCTET_TRY(octet_inputs_make(&s->inputs[i], &from, arena, err));
    }
    return OCTET_OK;
}

static octet_status search_all(search *s, octet_arena *arena, octet_error *err)
{
    octet_plan_options options = { .threads = 1, .keep_values = true };
    const octet_inputs from    = { .graph = s->graph, .data = s->data, .batch = 1,
                                   .port_count = s->graph->input_count };
    octet_tensor      *shapes;
    OCTET_TRY(octet_inputs_shapes(&shapes, &from, arena, err));
    options.inputs = shapes;
    OCTET_TRY(octet_plan_create(&s->plan, s->graph, &options, err));
    OCTET_TRY(allocate(s, arena, err));
    for (size_t g = 0; g < s->graph->calibration->group_count; g++) OCTET_TRY(make_candidates(s, g, err));
    double *hurt;
    OCTET_TRY(octet_arena_get(&hurt, arena, s->samples, sizeof *hurt, err));
    OCTET_TRY(run_workers(s, 0, 1, err));
    order_samples(s, hurt);
    OCTET_TRY(run_workers(s, 1, CANDIDATES, err));
    OCTET_TRY(take_best(s, err));
    double signal = 0;
    for (size_t i = 0; i < s->samples; i++) signal += s->signal[i];
    return octet_spare_guilty(s->graph, signal, err);
}

static octet_status choose(octet_graph *graph, octet_dataset *data, const octet_calibrate_options *options,
                           octet_error *err)
{
    const int threads = octet_calibrate_threads(options);
    search    s       = { .graph = graph, .data = data, .options = options };
    s.workers         = threads < MOST_WORKERS ? threads : MOST_WORKERS;
    s.samples         = sample_count(graph, data, options);
    s.levels          = octet_quantizer_levels(&graph->calibration->qconfig.activation, false);
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    const octet_status status = search_all(&s, arena, err);
    for (int i = 0; i < s.workers; i++) {
        if (s.base) octet_workspace_free(s.base[i]);
        if (s.changed) octet_workspace_free(s.changed[i]);
    }
    octet_plan_free(s.plan);
    octet_arena_free(arena);
    return status;
}

/* One plan serves all samples: those of one shape, where they vary. */
octet_status octet_choose_by_output(octet_graph *graph, octet_dataset *data, const octet_calibrate_options *options,
                                    octet_error *err)
{
    octet_dataset *alike = NULL;
    if (octet_dataset_varies(data)) OCTET_TRY(octet_dataset_alike(&alike, data, err));
    const octet_status status = choose(graph, alike ? alike : data, options, err);
    octet_dataset_free(alike);
    return status;
}
