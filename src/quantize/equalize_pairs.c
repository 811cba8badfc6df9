/* SPDX-License-Identifier: Apache-2.0 */
/* Equalization of named pairs as PyTorch does it, for those who compare with it: float32 and in PyTorch's order. What
   is better for int8 is in equalize.c. */
#include "quantize/equalize.h"

#include "passes/pass.h"

#include <math.h>
#include <string.h>

enum { MOST_ROUNDS = 1000 };

typedef struct pair {
    size_t  first, second; /* layers */
    int64_t channels;      /* outputs of the first */
    int    *from;          /* per input channel of the second: the first's output channel that it reads */
} pair;

typedef struct work {
    octet_graph *graph;
    octet_arena *arena;
    octet_ties   ties;
    pair        *pairs;
    size_t       count;
    float      **before;           /* per layer: weights before its last step; NULL: in no pair */
    octet_range *first, *second;   /* per channel of a pair, room for the largest layer */
    float       *factor, *inverse, *input_factor;
} work;

/* ---- which pairs there are ---- */

static octet_status refuse(const octet_pair *names, const char *why, octet_error *err)
{
    octet_fail(err, OCTET_ERR_ARGUMENT, "cannot be equalized with '%.80s': %s", names->second, why);
    octet_error_node(err, names->first);
    return OCTET_ERR_ARGUMENT;
}

static octet_status find_layer(size_t *index, const work *w, const char *name, octet_error *err)
{
    for (*index = 0; *index < w->ties.layer_count; ++*index)
        if (name && !strcmp(w->ties.layers[*index].node->name, name)) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_ARGUMENT, "no Conv or Gemm with constant weights is called '%.80s'",
                      name ? name : "");
}

/* How many channels of layers have a label. */
static size_t count_label(const octet_ties *t, int root)
{
    size_t count = 0;
    for (size_t l = 0; l < t->layer_count; l++) {
        for (int64_t o = 0; o < t->layers[l].outputs; o++) count += octet_ties_root(t, t->outputs[l][o]) == root;
        for (int64_t c = 0; c < t->layers[l].inputs; c++) count += octet_ties_root(t, t->inputs[l][c]) == root;
    }
    return count;
}

static bool is_bounded(const octet_ties *t, int root)
{
    for (size_t b = 0; b < t->bound_count; b++) {
        const octet_labels *const labels = &t->values[t->bounds[b].node->outputs[0]->index];
        for (int64_t c = 0; c < labels->channels; c++)
            if (octet_ties_root(t, labels->at[c]) == root) return true;
    }
    return false;
}

/* Which channels belong together; why they cannot be scaled, or NULL. */
static const char *connect(pair *p, const octet_ties *t)
{
    for (int64_t o = 0; o < p->channels; o++) {
        const int root = octet_ties_root(t, t->outputs[p->first][o]);
        size_t    used = 1;
        for (int64_t c = 0; c < t->layers[p->second].inputs; c++) {
            if (octet_ties_root(t, t->inputs[p->second][c]) != root) continue;
            p->from[c] = (int)o;
            used++;
        }
        if (root == 0) return "what lies behind the first is no function that scales with its input, or an output";
        if (used == 1) return "the second does not read what the first makes";
        if (used != count_label(t, root)) return "other nodes write or read the values between";
        if (is_bounded(t, root)) return "a bound lies between them that all channels share";
    }
    return NULL;
}

static octet_status make_pair(pair *p, work *w, const octet_pair *names, octet_error *err)
{
    OCTET_TRY(find_layer(&p->first, w, names->first, err));
    OCTET_TRY(find_layer(&p->second, w, names->second, err));
    const int64_t inputs = w->ties.layers[p->second].inputs;
    p->channels          = w->ties.layers[p->first].outputs;
    OCTET_TRY(octet_arena_get(&p->from, w->arena, (size_t)inputs, sizeof *p->from, err));
    for (int64_t c = 0; c < inputs; c++) p->from[c] = -1;
    const char *const why = p->first == p->second ? "it is the same node" : connect(p, &w->ties);
    if (why) return refuse(names, why, err);
    for (int64_t c = 0; c < inputs; c++)
        if (p->from[c] < 0) return refuse(names, "the second also reads other channels", err);
    return OCTET_OK;
}

/* ---- one step ---- */

static float reach(const octet_range *range) { return range->seen ? range->max - range->min : 0; }

static void equalize_pair(work *w, const pair *p)
{
    octet_layer *const first = &w->ties.layers[p->first], *const second = &w->ties.layers[p->second];
    memcpy(w->before[p->first], first->weights, (size_t)octet_layer_count(first) * sizeof(float));
    memcpy(w->before[p->second], second->weights, (size_t)octet_layer_count(second) * sizeof(float));
    octet_layer_outputs(w->first, first);
    octet_layer_inputs(w->second, second);
    for (int64_t o = 0; o < p->channels; o++) {
        octet_range reads = { 0 };
        for (int64_t c = 0; c < second->inputs; c++)
            if (p->from[c] == o) reads = octet_range_union(reads, w->second[c]);
        const float r1 = reach(&w->first[o]), r2 = reach(&reads), s = sqrtf(r1 / (r2 + 1e-9f));
        const bool  alive = r1 > 0 && r2 > 0 && isfinite(s) && isfinite(1 / s);
        w->factor[o]  = alive ? s : 1;
        w->inverse[o] = alive ? 1 / s : 1;
    }
    for (int64_t c = 0; c < second->inputs; c++) w->input_factor[c] = w->factor[p->from[c]];
    octet_layer_scale(first, w->inverse, NULL);
    octet_layer_scale(second, NULL, w->input_factor);
}

/* What the last step on every layer changed. */
static double change(const work *w)
{
    double sum = 0;
    for (size_t l = 0; l < w->ties.layer_count; l++)
        if (w->before[l])
            sum += octet_distance(w->ties.layers[l].weights, w->before[l], octet_layer_count(&w->ties.layers[l]));
    return sum;
}

/* ---- the whole ---- */

static octet_status prepare_layer(work *w, size_t index, octet_error *err)
{
    octet_layer *const layer = &w->ties.layers[index];
    if (w->before[index]) return OCTET_OK;
    OCTET_TRY(octet_layer_load(layer, w->arena, err));
    return octet_arena_get(&w->before[index], w->arena, (size_t)octet_layer_count(layer), sizeof(float), err);
}

static octet_status prepare(work *w, const octet_pair *names, octet_error *err)
{
    size_t most = 0;
    OCTET_TRY(octet_ties_find(&w->ties, w->graph, w->arena, err));
    OCTET_TRY(octet_arena_get(&w->pairs, w->arena, w->count, sizeof *w->pairs, err));
    OCTET_TRY(octet_arena_get(&w->before, w->arena, w->ties.layer_count, sizeof *w->before, err));
    for (size_t i = 0; i < w->count; i++) {
        pair *const p = &w->pairs[i];
        OCTET_TRY(make_pair(p, w, &names[i], err));
        OCTET_TRY(prepare_layer(w, p->first, err));
        OCTET_TRY(prepare_layer(w, p->second, err));
        if ((size_t)p->channels > most) most = (size_t)p->channels;
        if ((size_t)w->ties.layers[p->second].inputs > most) most = (size_t)w->ties.layers[p->second].inputs;
    }
    OCTET_TRY(octet_arena_get(&w->first, w->arena, most, sizeof *w->first, err));
    OCTET_TRY(octet_arena_get(&w->second, w->arena, most, sizeof *w->second, err));
    OCTET_TRY(octet_arena_get(&w->factor, w->arena, most, sizeof(float), err));
    OCTET_TRY(octet_arena_get(&w->inverse, w->arena, most, sizeof(float), err));
    return octet_arena_get(&w->input_factor, w->arena, most, sizeof(float), err);
}

static octet_status equalize(work *w, const octet_pair *names, double threshold, size_t *steps, octet_error *err)
{
    OCTET_TRY(prepare(w, names, err));
    int round = 0;
    do
        for (size_t i = 0; i < w->count; i++) equalize_pair(w, &w->pairs[i]);
    while (++round < MOST_ROUNDS && !(change(w) < threshold));
    if (steps) *steps = (size_t)round * w->count;
    for (size_t l = 0; l < w->ties.layer_count; l++)
        if (w->before[l]) OCTET_TRY(octet_layer_store(w->graph, &w->ties.layers[l], NULL, err));
    octet_graph_sweep(w->graph);
    return octet_graph_check(w->graph, err);
}

octet_status octet_equalize_pairs(octet_graph *graph, const octet_pair *pairs, size_t count, double threshold,
                                  size_t *steps, octet_error *err)
{
    work w = { .graph = graph, .count = count };
    if (graph->stage != OCTET_STAGE_FUSED)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "only a fused float network can be equalized");
    if (!(threshold > 0)) return octet_fail(err, OCTET_ERR_ARGUMENT, "threshold %g is not positive", threshold);
    OCTET_TRY(octet_pass_fold_batch_norm(graph, err));
    w.arena = octet_arena_new();
    if (!w.arena) return octet_fail_memory(err);
    const octet_status status = equalize(&w, pairs, threshold, steps, err);
    octet_arena_free(w.arena);
    return status;
}
