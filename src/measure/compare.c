/* SPDX-License-Identifier: Apache-2.0 */
/* Layer by layer, the quantized network against the float one it came from. A layer's error is a mean over all its
   elements, which a part of the samples tells; effects on the output need a run per layer. Both are measured on few
   samples, evenly spaced. */
#include "measure/compare.h"

#include "measure/remedy.h"
#include "measure/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct owned {
    octet_comparison comparison; /* first: the caller's pointer is the owner's */
    octet_arena     *arena;
};

enum { LAYER_SAMPLES = 32 };

/* A run per layer and sample: few for large networks. */
static size_t effect_samples(const octet_graph *graph, const octet_evaluate_options *options, size_t total)
{
    const double macs  = octet_graph_macs(graph);
    size_t       count = macs > 100000000 ? 2 : macs > 20000000 ? 8 : 16;
    if (options->effects) count = options->effects;
    if (options->no_effects) count = 0;
    return count < total ? count : total;
}

static octet_status run_all(octet_comparers *t, octet_graph *graphs[2], const octet_evaluate_options *options,
                            octet_arena *arena, octet_error *err)
{
    t->total   = octet_dataset_count(t->data);
    t->layers  = options->layer_samples ? options->layer_samples : LAYER_SAMPLES;
    t->effects = effect_samples(graphs[0], options, t->total);
    if (t->layers > t->total) t->layers = t->total;
    t->wanted  = OCTET_WANT_ONLY | OCTET_WANT_WITHOUT | OCTET_WANT_ORIGINS;
    OCTET_TRY(octet_comparers_make(t, graphs, options, arena, err));
    return octet_comparers_run(t, options, "compare", err);
}

/* ---- the result ---- */

const char *octet_cause_name(octet_cause cause)
{
    static const char *const names[] = { "none", "clipping", "resolution", "outlier channel", "bias", "zero-point",
                                         "operator left in float" };
    return (size_t)cause < sizeof names / sizeof *names ? names[cause] : "none";
}

static int worst_first(const void *a, const void *b)
{
    const octet_layer_error *const x = a, *const y = b;
    const double p = isnan(x->accumulated_db) ? INFINITY : x->accumulated_db;
    const double q = isnan(y->accumulated_db) ? INFINITY : y->accumulated_db;
    if (p != q) return p < q ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* What the output gains from before to after; equal: 0. */
static double gain_of(double after, double before) { return after == before ? 0 : after - before; }

static octet_status fill_layer(octet_layer_error *to, const octet_comparers *t, size_t i, octet_arena *arena,
                               octet_error *err)
{
    const octet_layer_sums *const s = &t->sums.layers[i];
    const octet_layer *const      l = &t->pairing.layers[i];
    *to = (octet_layer_error){
        .name = octet_arena_copy(arena, l->node->name), .op = octet_arena_copy(arena, l->node->op->name),
        .merged = octet_arena_copy(arena, l->node->merged ? l->node->merged : ""),
        .local_db = octet_sqnr_db(&s->local), .accumulated_db = octet_sqnr_db(&s->accumulated),
        .cosine = octet_sqnr_cosine(&s->accumulated), .max_abs = s->accumulated.max_abs,
        .output_db = s->only_count ? octet_outputs_db(&t->sums, s->only) : NAN,
        .gain_db = s->without_count ? gain_of(octet_outputs_db(&t->sums, s->without),
                                              octet_outputs_db(&t->sums, t->sums.noise))
                                    : NAN,
        .weights_db = octet_weights_db(&t->pairing, i), .why = "", .remedy = "", .remedy_db = NAN,
    };
    if (!to->name || !to->op || !to->merged) return octet_fail_memory(err);
    return octet_find_cause(to, &t->pairing, &t->sums, i, arena, err);
}

static octet_status find_remedies(octet_layer_error *layers, octet_comparers *t, const octet_evaluate_options *options,
                                  octet_arena *arena, octet_error *err)
{
    size_t *chosen;
    OCTET_TRY(octet_arena_get(&chosen, arena, t->effects, sizeof *chosen, err));
    octet_remedies r = { .pairing = &t->pairing, .sums = &t->sums, .worker = &t->workers[0], .data = t->data,
                         .samples = chosen, .options = options, .layers = layers, .arena = arena };
    for (size_t i = 0; i < t->total; i++)
        if (octet_comparers_choose(t, i, t->effects)) chosen[r.sample_count++] = octet_comparers_index(t, i);
    return octet_find_remedies(&r, err);
}

static octet_status fill_result(octet_comparison *result, octet_comparers *t, const octet_evaluate_options *options,
                                octet_arena *arena, octet_error *err)
{
    octet_layer_error *layers;
    OCTET_TRY(octet_arena_get(&layers, arena, t->pairing.layer_count, sizeof *layers, err));
    for (size_t i = 0; i < t->pairing.layer_count; i++) OCTET_TRY(fill_layer(&layers[i], t, i, arena, err));
    OCTET_TRY(find_remedies(layers, t, options, arena, err));
    qsort(layers, t->pairing.layer_count, sizeof *layers, worst_first);
    *result = (octet_comparison){ .output_sqnr_db = octet_sqnr_db(&t->sums.output),
                                  .output_cosine = octet_sqnr_cosine(&t->sums.output),
                                  .output_max_abs = t->sums.output.max_abs, .samples = t->total,
                                  .layer_samples = t->sums.samples, .effect_samples = t->effects,
                                  .layer_count = t->pairing.layer_count, .layers = layers };
    return OCTET_OK;
}

octet_status octet_compare(octet_comparison **comparison, octet_graph *reference, octet_graph *quantized,
                           octet_dataset *data, const octet_evaluate_options *options, octet_error *err)
{
    const octet_evaluate_options defaults  = { 0 };
    octet_graph                 *graphs[2] = { reference, quantized };
    *comparison                            = NULL;
    if (!options) options = &defaults;
    OCTET_TRY(octet_fuse(reference, err));
    OCTET_TRY(octet_fuse(quantized, err));
    octet_arena *const  arena  = octet_arena_new();
    struct owned *const owned  = arena ? octet_arena_alloc(arena, 1, sizeof *owned) : NULL;
    octet_comparers     t      = { .data = data };
    octet_status        status = owned ? OCTET_OK : octet_fail_memory(err);
    if (status == OCTET_OK) status = run_all(&t, graphs, options, arena, err);
    if (status == OCTET_OK) status = fill_result(&owned->comparison, &t, options, arena, err);
    octet_comparers_release(&t);
    if (status != OCTET_OK) {
        octet_arena_free(arena);
        return status;
    }
    owned->arena = arena;
    *comparison  = &owned->comparison;
    return OCTET_OK;
}

void octet_comparison_free(octet_comparison *comparison)
{
    if (comparison) octet_arena_free(((struct owned *)(void *)comparison)->arena);
}
