/* SPDX-License-Identifier: Apache-2.0 */
/* The float network runs once, and its outputs stay; each network that is judged runs once. */
#include "quantize/judge.h"

#include "measure/sqnr.h"
#include "ops/mode.h"
#include "quantize/samples.h"

#include <math.h>
#include <string.h>

typedef struct octet_judged_output {
    float     *real;
    size_t     count;
    double     signal;
    octet_sqnr sqnr; /* of the network that is judged */
} judged_output;

/* One run over the samples; graph is the float network or the one that is judged. */
typedef struct run {
    octet_judge        *judge;
    const octet_value **values; /* of the float network, by output: what is judged, then the outputs; NULL: the same */
    bool                keeps;  /* the float network's run */
} run;

/* ---- one value ---- */

static octet_status keep(judged_output *to, octet_arena *arena, const octet_tensor *tensor, octet_error *err)
{
    octet_sqnr itself = { 0 };
    to->count         = (size_t)octet_tensor_count(tensor);
    OCTET_TRY(octet_arena_get(&to->real, arena, to->count, sizeof *to->real, err));
    memcpy(to->real, tensor->data, to->count * sizeof *to->real);
    octet_sqnr_add(&itself, to->real, to->real, to->count);
    to->signal = itself.signal;
    return OCTET_OK;
}

static void compare(judged_output *to, const octet_tensor *tensor)
{
    if ((size_t)octet_tensor_count(tensor) != to->count) return;
    to->sqnr = (octet_sqnr){ 0 };
    octet_sqnr_add_tensor(&to->sqnr, to->real, tensor);
}

static octet_status look(void *context, const octet_seen *seen, octet_error *err)
{
    const run *const r = context;
    octet_judge     *j = r->judge;
    for (size_t o = 0; o < 2 * j->outputs; o++) {
        judged_output *const to = &j->values[seen->sample * 2 * j->outputs + o];
        if (!r->values[o] || strcmp(seen->value->name, r->values[o]->name) != 0) continue;
        if (!seen->tensor->qparams && seen->tensor->dtype != OCTET_F32) continue;
        if (!r->keeps) compare(to, seen->tensor);
        else OCTET_TRY(keep(to, j->arena, seen->tensor, err));
    }
    return OCTET_OK;
}

/* ---- all samples ---- */

static octet_status run_samples(octet_judge *j, const octet_graph *graph, bool keeps, octet_error *err)
{
    const octet_samples_options options = { .calibrate = j->options, .phase = "judge", .in_order = keeps };
    octet_samples               samples;
    run                         r = { .judge = j, .keeps = keeps };
    OCTET_TRY(octet_arena_get(&r.values, j->arena, 2 * j->outputs, sizeof *r.values, err));
    for (size_t o = 0; o < j->outputs; o++) {
        r.values[o] = octet_judged_value(j->real->outputs[o]);
        if (r.values[o] != j->real->outputs[o]) r.values[j->outputs + o] = j->real->outputs[o];
    }
    octet_status status = octet_samples_open(&samples, graph, j->data, &options, err);
    if (status == OCTET_OK) status = octet_samples_run(&samples, look, &r, err);
    octet_samples_free(&samples);
    return status;
}

octet_status octet_judge_open(octet_judge *judge, const octet_graph *real, octet_dataset *data,
                              const octet_calibrate_options *options, octet_error *err)
{
    *judge = (octet_judge){ .arena = octet_arena_new(), .real = real, .data = data, .options = options,
                            .samples = octet_dataset_count(data), .outputs = real->output_count };
    if (!judge->arena) return octet_fail_memory(err);
    OCTET_TRY(octet_arena_get(&judge->values, judge->arena, judge->samples * 2 * judge->outputs, sizeof *judge->values,
                              err));
    return run_samples(judge, real, true, err);
}

void octet_judge_free(octet_judge *judge)
{
    octet_arena_free(judge->arena);
    *judge = (octet_judge){ 0 };
}

/* Values that are not float32 are nothing that rounding could move. */
static void add_output(octet_judgement *g, const octet_judge *judge, size_t o)
{
    const size_t               step  = 2 * judge->outputs;
    const judged_output *const first = &judge->values[o];
    double                     whole = 0;
    for (size_t i = 0; i < g->samples; i++) whole += first[i * step].signal;
    const double unit = judge->outputs > 1 && whole > 0 ? whole : 1;
    for (size_t i = 0; i < g->samples && first->real; i++) {
        if (o >= judge->outputs) {
            g->squashed += first[i * step].sqnr.noise / unit;
            continue;
        }
        g->noise[i] += first[i * step].sqnr.noise / unit;
        g->signal[i] += first[i * step].signal / unit;
    }
}

octet_status octet_judge_measure(octet_judgement *judgement, octet_judge *judge, const octet_graph *quantized,
                                 octet_error *err)
{
    octet_judgement *const g = judgement;
    *g                       = (octet_judgement){ .samples = judge->samples };
    OCTET_TRY(octet_arena_get(&g->noise, judge->arena, g->samples, sizeof *g->noise, err));
    OCTET_TRY(octet_arena_get(&g->signal, judge->arena, g->samples, sizeof *g->signal, err));
    for (size_t i = 0; i < judge->samples * 2 * judge->outputs; i++) judge->values[i].sqnr.noise = INFINITY;
    OCTET_TRY(run_samples(judge, quantized, false, err));
    for (size_t o = 0; o < 2 * judge->outputs; o++) add_output(g, judge, o);
    return OCTET_OK;
}

/* ---- figures ---- */

double octet_judgement_db(const octet_judgement *judgement)
{
    double noise = 0, signal = 0;
    for (size_t i = 0; i < judgement->samples; i++) {
        noise += judgement->noise[i];
        signal += judgement->signal[i];
    }
    return noise > 0 ? 10 * log10(signal / noise) : INFINITY;
}

double octet_judgement_gain(const octet_judgement *before, const octet_judgement *after)
{
    double noise[2] = { 0 }, sum = 0;
    size_t counted = 0;
    for (size_t i = 0; i < before->samples; i++) {
        noise[0] += before->noise[i];
        noise[1] += after->noise[i];
        if (!(before->noise[i] > 0) || !(after->noise[i] > 0)) continue; /* levels may hit float exactly */
        sum += 10 * log10(before->noise[i] / after->noise[i]);
        counted++;
    }
    if (!(noise[0] > 0) && !(noise[1] > 0)) return 0;
    if (!counted) return noise[1] > 0 ? -INFINITY : INFINITY;
    const double gain   = (10 * log10(noise[0] / noise[1]) + sum / (double)counted) / 2;
    const bool   both   = before->squashed > 0 && after->squashed > 0;
    const double behind = both ? 10 * log10(before->squashed / after->squashed) : 0;
    return behind < -OCTET_LOSS_DB && behind < gain ? behind : gain;
}
