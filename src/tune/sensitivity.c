/* SPDX-License-Identifier: Apache-2.0 */
/* The exact answers run again what depends on a layer (measure/effect.c); the estimate is a backward pass. Both stand
   on what comparing does: every layer alone, fed the float network's values. */
#include <octet/sensitivity.h>

#include "tune/gradient.h"

#include <math.h>

typedef struct sensing {
    octet_comparers        comparers;
    octet_gradient         gradients[OCTET_MOST_COMPARERS];
    octet_evaluate_options how;
    unsigned               measure;
} sensing;

struct owned {
    octet_sensitivity sensitivity; /* first: the caller's pointer is the owner's */
    octet_arena      *arena;
};

/* Tapes hold every value and its gradient: as many workers as together stay below so many bytes, one at least. */
static void spare_memory(octet_comparers *c, size_t tape)
{
    const size_t most = (size_t)200 << 20;
    while (c->count > 1 && tape * c->count > most) {
        octet_comparing *const last = &c->workers[--c->count];
        octet_comparing_release(last);
        *last = (octet_comparing){ 0 };
    }
}

static octet_status add_gradients(sensing *s, const octet_sensitivity_options *options, octet_arena *arena,
                                  octet_error *err)
{
    enum { PROBES = 2 };
    for (size_t i = 0; i < s->comparers.count; i++) {
        octet_gradient *const  g = &s->gradients[i];
        octet_comparing *const c = &s->comparers.workers[i];
        OCTET_TRY(octet_gradient_make(g, &s->comparers.pairing, arena, err));
        if (i == 0) spare_memory(&s->comparers, octet_tape_memory(g->tape));
        g->probes  = options->probes ? options->probes : PROBES;
        g->seed    = options->seed;
        c->look    = octet_gradient_look;
        c->finish  = octet_gradient_finish;
        c->context = g;
    }
    return OCTET_OK;
}

static octet_status run(sensing *s, octet_graph *graphs[2], const octet_sensitivity_options *options,
                        octet_arena *arena, octet_error *err)
{
    octet_comparers *const c     = &s->comparers;
    const size_t           count = octet_dataset_count(c->data);
    s->measure = options->measure ? options->measure : OCTET_SENSITIVITY_ESTIMATE;
    s->how     = (octet_evaluate_options){ .plan = options->plan, .baseline_plan = options->baseline_plan,
                                           .progress = options->progress,
                                           .progress_context = options->progress_context };
    c->total = c->layers = c->effects = options->samples && options->samples < count ? options->samples : count;
    c->wanted = OCTET_WANT_ESTIMATE;
    if (s->measure & OCTET_SENSITIVITY_ALONE) c->wanted |= OCTET_WANT_ONLY;
    if (s->measure & OCTET_SENSITIVITY_WITHOUT) c->wanted |= OCTET_WANT_WITHOUT;
    OCTET_TRY(octet_comparers_make(c, graphs, &s->how, arena, err));
    if (s->measure & OCTET_SENSITIVITY_ESTIMATE) OCTET_TRY(add_gradients(s, options, arena, err));
    return octet_comparers_run(c, &s->how, "sensitivity", err);
}

static void release(sensing *s)
{
    for (size_t i = 0; i < OCTET_MOST_COMPARERS; i++) octet_gradient_release(&s->gradients[i]);
    octet_comparers_release(&s->comparers);
}

/* ---- the result ---- */

static void count_nodes(octet_sensitivity *result, const sensing *s)
{
    uint64_t layers = 0, real = 0, quantized = 0, common = 0, again = 0, back = 0;
    for (size_t i = 0; i < s->comparers.pairing.layer_count; i++) layers += s->comparers.pairing.layers[i].rounds;
    for (size_t i = 0; i < s->comparers.count; i++) {
        const octet_comparing *const c = &s->comparers.workers[i];
        real += octet_workspace_nodes_run(c->real);
        quantized += octet_workspace_nodes_run(c->quantized);
        common += octet_workspace_nodes_run(c->fed);
        again += octet_workspace_nodes_run(c->real_again) + octet_workspace_nodes_run(c->quantized_again) +
                 octet_workspace_nodes_run(c->unrounded);
        back += s->gradients[i].nodes_run;
    }
    common += real + quantized;
    if (s->measure & OCTET_SENSITIVITY_ALONE) result->exact.naive += layers * real;
    if (s->measure & OCTET_SENSITIVITY_WITHOUT) result->exact.naive += layers * quantized;
    if (result->exact.naive) result->exact.run = common + again;
    if (s->measure & OCTET_SENSITIVITY_ESTIMATE)
        result->estimate = (octet_node_counts){ .run = common + back, .naive = layers * real };
}

static octet_status fill_result(octet_sensitivity *result, const sensing *s, octet_arena *arena, octet_error *err)
{
    const octet_compared *const sums = &s->comparers.sums;
    octet_layer_sensitivity    *layers;
    OCTET_TRY(octet_arena_get(&layers, arena, sums->layer_count, sizeof *layers, err));
    result->output_db = octet_outputs_db(sums, sums->noise);
    for (size_t i = 0; i < sums->layer_count; i++) {
        const octet_layer_sums *const l    = &sums->layers[i];
        const octet_layer *const      what = &s->comparers.pairing.layers[i];
        const bool estimated = what->rounds && s->measure & OCTET_SENSITIVITY_ESTIMATE;
        layers[i] = (octet_layer_sensitivity){
            .name = octet_arena_copy(arena, what->node->name), .op = octet_arena_copy(arena, what->node->op->name),
            .alone_db = l->only_count ? octet_outputs_db(sums, l->only) : NAN,
            .gain_db = l->without_count ? octet_outputs_db(sums, l->without) - result->output_db : NAN,
            .estimate_db = estimated ? octet_outputs_db(sums, l->estimate) : NAN,
        };
        if (!layers[i].name || !layers[i].op) return octet_fail_memory(err);
    }
    result->samples     = s->comparers.total;
    result->layer_count = sums->layer_count;
    result->layers      = layers;
    count_nodes(result, s);
    return OCTET_OK;
}

octet_status octet_sensitivity_measure(octet_sensitivity **sensitivity, octet_graph *reference, octet_graph *quantized,
                                       octet_dataset *data, const octet_sensitivity_options *options, octet_error *err)
{
    const octet_sensitivity_options defaults  = { 0 };
    octet_graph                    *graphs[2] = { reference, quantized };
    *sensitivity                              = NULL;
    OCTET_TRY(octet_fuse(reference, err));
    OCTET_TRY(octet_fuse(quantized, err));
    octet_arena *const  arena  = octet_arena_new();
    struct owned *const owned  = arena ? octet_arena_alloc(arena, 1, sizeof *owned) : NULL;
    sensing             s      = { .comparers.data = data };
    octet_status        status = owned ? OCTET_OK : octet_fail_memory(err);
    if (status == OCTET_OK) status = run(&s, graphs, options ? options : &defaults, arena, err);
    if (status == OCTET_OK) status = fill_result(&owned->sensitivity, &s, arena, err);
    release(&s);
    if (status != OCTET_OK) {
        octet_arena_free(arena);
        return status;
    }
    owned->arena = arena;
    *sensitivity = &owned->sensitivity;
    return OCTET_OK;
}

void octet_sensitivity_free(octet_sensitivity *sensitivity)
{
    if (sensitivity) octet_arena_free(((struct owned *)(void *)sensitivity)->arena);
}
