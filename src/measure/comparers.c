/* SPDX-License-Identifier: Apache-2.0 */
/* Samples run beside each other, one a worker; each is summed alone, and the sums are added in the order of samples. */
#include "measure/compare.h"

#include "base/parallel.h"

#include <math.h>
#include <string.h>

/* ---- sums ---- */

octet_status octet_compared_make(octet_compared *c, const octet_pairing *pairing, octet_arena *arena,
                                 octet_error *err)
{
    const size_t layer_count = pairing->layer_count, outputs = pairing->output_count ? pairing->output_count : 1;
    *c = (octet_compared){ .layer_count = layer_count, .output_count = pairing->output_count,
                           .origin_count = layer_count + pairing->quantized->input_count };
    OCTET_TRY(octet_arena_get(&c->layers, arena, layer_count, sizeof *c->layers, err));
    OCTET_TRY(octet_arena_get(&c->origins, arena, c->origin_count, sizeof *c->origins, err));
    for (size_t i = 0; i < c->origin_count; i++)
        OCTET_TRY(octet_origins_make(&c->origins[i], pairing, i, arena, err));
    OCTET_TRY(octet_arena_get(&c->signal, arena, outputs, sizeof *c->signal, err));
    OCTET_TRY(octet_arena_get(&c->noise, arena, outputs, sizeof *c->noise, err));
    for (size_t i = 0; i < layer_count; i++) {
        OCTET_TRY(octet_arena_get(&c->layers[i].only, arena, outputs, sizeof(double), err));
        OCTET_TRY(octet_arena_get(&c->layers[i].without, arena, outputs, sizeof(double), err));
        OCTET_TRY(octet_arena_get(&c->layers[i].estimate, arena, outputs, sizeof(double), err));
    }
    return OCTET_OK;
}

static void take_doubles(double *into, double *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        into[i] += from[i];
        from[i] = 0;
    }
}

static void take_sqnr(octet_sqnr *into, octet_sqnr *from)
{
    octet_sqnr_merge(into, from);
    *from = (octet_sqnr){ 0 };
}

void octet_compared_take(octet_compared *into, octet_compared *from)
{
    take_sqnr(&into->output, &from->output);
    into->samples += from->samples;
    from->samples = 0;
    take_doubles(into->signal, from->signal, from->output_count);
    take_doubles(into->noise, from->noise, from->output_count);
    for (size_t i = 0; i < from->origin_count; i++) octet_origins_take(&into->origins[i], &from->origins[i]);
    for (size_t i = 0; i < from->layer_count; i++) {
        octet_layer_sums *const a = &into->layers[i], *const b = &from->layers[i];
        take_sqnr(&a->local, &b->local);
        take_sqnr(&a->accumulated, &b->accumulated);
        take_doubles(a->only, b->only, from->output_count);
        take_doubles(a->without, b->without, from->output_count);
        take_doubles(a->estimate, b->estimate, from->output_count);
        a->only_count += b->only_count;
        a->without_count += b->without_count;
        b->only_count = b->without_count = 0;
    }
}

/* ---- samples ---- */

size_t octet_comparers_index(const octet_comparers *c, size_t sample)
{
    return sample * octet_dataset_count(c->data) / c->total;
}

bool octet_comparers_choose(const octet_comparers *c, size_t sample, size_t count)
{
    return (sample + 1) * count / c->total > sample * count / c->total;
}

static void run_worker(void *context, size_t i)
{
    octet_comparers *const t     = context;
    octet_comparing *const c     = &t->workers[i];
    const size_t           index = octet_comparers_index(t, t->first + i);
    c->wanted                    = octet_comparers_choose(t, t->first + i, t->effects) ? t->wanted : 0;
    c->layers                    = c->wanted || octet_comparers_choose(t, t->first + i, t->layers);
    c->status                    = octet_inputs_read(c->inputs, &t->pairing.source, 0, index, &c->error);
    if (c->status == OCTET_OK) c->status = octet_compare_sample(c, &c->error);
    if (c->status == OCTET_OK && c->finish) c->status = c->finish(c->context, c, t->first + i, &c->error);
}

static octet_status compare_samples(octet_comparers *t, octet_error *err)
{
    const size_t left = t->total - t->first, count = left < t->count ? left : t->count;
    octet_parallel(count, (int)count, run_worker, t);
    for (size_t i = 0; i < count; i++) {
        if (t->workers[i].status != OCTET_OK) {
            if (err) *err = t->workers[i].error;
            return t->workers[i].status;
        }
        octet_compared_take(&t->sums, &t->workers[i].sums);
    }
    t->first += count;
    return OCTET_OK;
}

static octet_status make_worker(octet_comparing *c, const octet_comparers *t, octet_arena *arena, octet_error *err)
{
    OCTET_TRY(octet_inputs_make(&c->inputs, &t->pairing.source, arena, err));
    return octet_comparing_make(c, &t->pairing, arena, err);
}

octet_status octet_comparers_make(octet_comparers *t, octet_graph *graphs[2], const octet_evaluate_options *options,
                                  octet_arena *arena, octet_error *err)
{
    const int              asked   = options->plan.threads;
    const size_t           threads = (size_t)(asked > 0 ? asked : octet_default_threads());
    octet_evaluate_options how     = *options;
    t->count                       = threads < OCTET_MOST_COMPARERS ? threads : OCTET_MOST_COMPARERS;
    if (t->count > t->total) t->count = t->total ? t->total : 1;
    how.plan.threads = how.baseline_plan.threads = (int)(threads / t->count);
    t->pairing.source.data = t->data;
    OCTET_TRY(octet_pairing_make(&t->pairing, graphs[0], graphs[1], &how, arena, err));
    for (size_t i = 0; i < t->count; i++) OCTET_TRY(make_worker(&t->workers[i], t, arena, err));
    return octet_compared_make(&t->sums, &t->pairing, arena, err);
}

octet_status octet_comparers_run(octet_comparers *t, const octet_evaluate_options *options, const char *phase,
                                 octet_error *err)
{
    while (t->first < t->total) {
        OCTET_TRY(compare_samples(t, err));
        const octet_progress progress = { phase, t->first, t->total };
        if (options->progress && options->progress(options->progress_context, &progress))
            return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
    }
    return OCTET_OK;
}

void octet_comparers_release(octet_comparers *t)
{
    for (size_t w = 0; w < t->count; w++) octet_comparing_release(&t->workers[w]);
    octet_pairing_release(&t->pairing);
}

double octet_relative_db(const double *signal, const double *noise, size_t count)
{
    double sum   = 0;
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        if (!(signal[i] > 0)) continue;
        sum += noise[i] / signal[i];
        known++;
    }
    if (!known) return NAN;
    return sum > 0 ? -10 * log10(sum / (double)known) : INFINITY;
}

double octet_outputs_db(const octet_compared *c, const double *noise)
{
    return octet_relative_db(c->signal, noise, c->output_count);
}
