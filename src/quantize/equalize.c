/* SPDX-License-Identifier: Apache-2.0 */
/* Equalization of everything that can be scaled: of factors that leave a network what it is, those with which int8
   keeps more of it. A channel's factor k scales up its activations and the weights that make it, and down the weights
   that read it. Each reaches over some share of what its tensor's step is made for; shares are what is balanced. */
#include "quantize/equalize.h"

#include "passes/pass.h"
#include "quantize/samples.h"

#include <math.h>
#include <string.h>

enum { MOST_ROUNDS = 100 };
static const double still     = 1e-3; /* a round that moves every factor by less, relatively, is the last */
static const double most_room = 1024; /* channels that are as good as dead on data need not be so elsewhere */

/* By octet_equalization: what keeps a factor from growing, besides the weights that read the channel. */
static const struct kind {
    const char *name;
    bool        halfway;     /* to the full scaling of activations; nothing is balanced */
    bool        activations; /* their ranges */
    bool        makers;      /* the weights that make the channel, where they share a step with other channels */
} kinds[] = {
    [OCTET_EQUALIZE_SCALE]          = { "scale", .halfway = true },
    [OCTET_EQUALIZE_BALANCE]        = { "balance", .activations = true },
    [OCTET_EQUALIZE_BALANCE_TENSOR] = { "balance-tensor", .activations = true, .makers = true },
};

typedef struct layer_roots {
    int         *inputs, *outputs; /* label 0 and roots of channels */
    float       *reach;            /* [output][input of its group]: largest |weight| */
    double      *row, *column;     /* per output and input: how far weights reach in this round */
    octet_value *weights;          /* as they were */
} layer_roots;

typedef struct solving {
    octet_graph       *graph;
    octet_arena       *arena;
    const struct kind *kind;
    octet_ties         ties;
    octet_seen_channels        *seen;
    size_t             seen_count;
    layer_roots       *layers;
    double            *factor;       /* by label: of roots alone; label 0's is 1 */
    double            *least, *most; /* by label: bounds of factors */
    double            *up, *down;    /* by label: largest shares of what k scales up, and down */
} solving;

static void raise_to(double *a, double b) { *a = fmax(*a, b); }

static int root_of(const solving *s, const octet_labels *labels, int64_t c)
{
    return octet_ties_root(&s->ties, labels->at[c]);
}

/* ---- scaling activations ---- */

/* How much larger a channel may become before it widens its tensor's range, by what samples reach on average. */
static double room(const octet_ends *tensor, const octet_ends *channel)
{
    double times = INFINITY;
    if (channel->hi > 0) times = fmin(times, tensor->hi / channel->hi);
    if (channel->lo < 0) times = fmin(times, tensor->lo / channel->lo);
    return times;
}

static void limit_by_room(solving *s, const octet_seen_channels *seen)
{
    octet_ends whole = { 0 };
    for (int64_t c = 0; c < seen->labels.channels; c++) {
        whole.lo = fmin(whole.lo, seen->ends[c].lo);
        whole.hi = fmax(whole.hi, seen->ends[c].hi);
    }
    for (int64_t c = 0; c < seen->labels.channels; c++) {
        double *const most = &s->most[root_of(s, &seen->labels, c)];
        *most              = fmin(*most, room(&whole, &seen->ends[c]));
    }
}

/* Half the way, in the exponent, up to the tensor's range: activations get finer, weights that read them uneven. */
static void scale_activations(solving *s)
{
    double *const bounded = s->up; /* limits from bounds count in full */
    memcpy(bounded, s->most, s->ties.label_count * sizeof *bounded);
    for (size_t l = 0; l < s->ties.label_count; l++) s->most[l] = INFINITY;
    for (size_t i = 0; i < s->seen_count; i++) limit_by_room(s, &s->seen[i]);
    for (size_t l = 1; l < s->ties.label_count; l++)
        if (s->most[l] < INFINITY) s->factor[l] = fmin(sqrt(fmin(s->most[l], most_room)), fmax(bounded[l], 1));
}

/* ---- balancing ---- */

static void weigh_layer(solving *s, const octet_layer *layer, const layer_roots *roots)
{
    const int64_t grouped = layer->inputs / layer->group;
    double        most    = 0;
    memset(roots->row, 0, (size_t)layer->outputs * sizeof *roots->row);
    memset(roots->column, 0, (size_t)layer->inputs * sizeof *roots->column);
    for (int64_t o = 0; o < layer->outputs; o++) {
        const double out = s->factor[roots->outputs[o]];
        for (int64_t i = 0; i < grouped; i++) {
            const int64_t c = octet_layer_input(layer, o, i);
            const double  w = roots->reach[o * grouped + i] * out / s->factor[roots->inputs[c]];
            raise_to(&roots->row[o], w);
            raise_to(&roots->column[c], w);
        }
        raise_to(&most, roots->row[o]);
    }
    for (int64_t o = 0; most > 0 && s->kind->makers && o < layer->outputs; o++)
        raise_to(&s->up[roots->outputs[o]], roots->row[o] / most);
    for (int64_t c = 0; most > 0 && c < layer->inputs; c++)
        raise_to(&s->down[roots->inputs[c]], roots->column[c] / most);
}

static double reach_of(const solving *s, const octet_seen_channels *seen, int64_t c)
{
    const octet_range *const range = &seen->ranges[c];
    return range->seen ? fmax(fabs(range->min), fabs(range->max)) * s->factor[root_of(s, &seen->labels, c)] : 0;
}

static void weigh_activations(solving *s, const octet_seen_channels *seen)
{
    double most = 0;
    for (int64_t c = 0; c < seen->labels.channels; c++) raise_to(&most, reach_of(s, seen, c));
    for (int64_t c = 0; most > 0 && c < seen->labels.channels; c++)
        raise_to(&s->up[root_of(s, &seen->labels, c)], reach_of(s, seen, c) / most);
}

/* All factors move at once, so their order does not show. Dead channels keep theirs. */
static double balance_round(solving *s)
{
    double moved = 0;
    memset(s->up, 0, s->ties.label_count * sizeof *s->up);
    memset(s->down, 0, s->ties.label_count * sizeof *s->down);
    for (size_t l = 0; l < s->ties.layer_count; l++) weigh_layer(s, &s->ties.layers[l], &s->layers[l]);
    for (size_t i = 0; s->kind->activations && i < s->seen_count; i++) weigh_activations(s, &s->seen[i]);
    for (size_t l = 1; l < s->ties.label_count; l++) {
        if (!(s->up[l] > 0) || !(s->down[l] > 0)) continue;
        const double to = fmin(fmax(s->factor[l] * sqrt(s->down[l] / s->up[l]), s->least[l]), s->most[l]);
        moved           = fmax(moved, fabs(to / s->factor[l] - 1));
        s->factor[l]    = to;
    }
    return moved;
}

static void balance(solving *s)
{
    for (int round = 0; round < MOST_ROUNDS && balance_round(s) > still;) round++;
}

/* ---- bounds ---- */

/* Factors of bounded channels stay where the least of the scaled bounds clips nothing that was seen: it will be the
   bound of all (octet_pass_merge_bounds). Without data, 1 is the only one. */
static void limit_by_bound(solving *s, const octet_bound *bound)
{
    const octet_value *const  value  = bound->node->outputs[0];
    const octet_labels *const labels = &s->ties.values[value->index];
    const octet_seen_channels         *seen   = NULL;
    for (size_t i = 0; i < s->seen_count; i++)
        if (s->seen[i].value == value) seen = &s->seen[i];
    for (int64_t c = 0; c < labels->channels; c++) {
        const int   root = root_of(s, labels, c);
        const float hi   = seen && seen->samples ? seen->ranges[c].max : bound->hi;
        s->least[root]   = 1;
        if (hi > 0) s->most[root] = fmax(fmin(s->most[root], (double)bound->hi / hi), 1);
    }
}

/* ---- setting up ---- */

static octet_status root_labels(int **roots, const solving *s, const int *labels, int64_t count, octet_error *err)
{
    OCTET_TRY(octet_arena_get(roots, s->arena, (size_t)count, sizeof **roots, err));
    for (int64_t c = 0; c < count; c++) (*roots)[c] = octet_ties_root(&s->ties, labels[c]);
    return OCTET_OK;
}

static octet_status set_up_layer(solving *s, size_t index, octet_error *err)
{
    const octet_layer *const layer   = &s->ties.layers[index];
    layer_roots *const       roots   = &s->layers[index];
    const int64_t            grouped = layer->inputs / layer->group;
    const float *const       w       = layer->node->inputs[1]->constant->data;
    roots->weights                   = layer->node->inputs[1];
    OCTET_TRY(root_labels(&roots->inputs, s, s->ties.inputs[index], layer->inputs, err));
    OCTET_TRY(root_labels(&roots->outputs, s, s->ties.outputs[index], layer->outputs, err));
    OCTET_TRY(octet_arena_get(&roots->row, s->arena, (size_t)layer->outputs, sizeof *roots->row, err));
    OCTET_TRY(octet_arena_get(&roots->column, s->arena, (size_t)layer->inputs, sizeof *roots->column, err));
    OCTET_TRY(octet_arena_get(&roots->reach, s->arena, (size_t)(layer->outputs * grouped), sizeof *roots->reach, err));
    for (int64_t o = 0; o < layer->outputs; o++)
        for (int64_t i = 0; i < grouped; i++)
            for (int64_t t = 0; t < layer->taps; t++) {
                float *const reach = &roots->reach[o * grouped + i];
                *reach             = fmaxf(*reach, fabsf(w[octet_layer_at(layer, o, i) + t]));
            }
    return OCTET_OK;
}

static octet_status set_up(solving *s, octet_error *err)
{
    const size_t   labels  = s->ties.label_count;
    double **const sides[] = { &s->factor, &s->least, &s->most, &s->up, &s->down };
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        OCTET_TRY(octet_arena_get(sides[i], s->arena, labels, sizeof **sides[i], err));
    for (size_t l = 0; l < labels; l++) {
        s->factor[l] = 1;
        s->most[l]   = INFINITY;
    }
    OCTET_TRY(octet_arena_get(&s->layers, s->arena, s->ties.layer_count, sizeof *s->layers, err));
    for (size_t l = 0; l < s->ties.layer_count; l++) OCTET_TRY(set_up_layer(s, l, err));
    for (size_t b = 0; b < s->ties.bound_count; b++) limit_by_bound(s, &s->ties.bounds[b]);
    return OCTET_OK;
}

/* ---- applying ---- */

static bool gather(float *factors, const solving *s, const int *roots, int64_t count, bool inverse)
{
    bool any = false;
    for (int64_t c = 0; c < count; c++) {
        const float factor = (float)s->factor[roots[c]];
        factors[c]         = inverse ? 1 / factor : factor;
        any |= factor != 1;
    }
    return any;
}

/* An earlier layer of the same weights, which are scaled alike. */
static const octet_layer *twin_of(const solving *s, size_t index)
{
    for (size_t l = 0; l < index; l++)
        if (s->layers[l].weights == s->layers[index].weights) return &s->ties.layers[l];
    return NULL;
}

static octet_status apply_to_layer(solving *s, size_t index, bool *changed, octet_error *err)
{
    octet_layer *const layer = &s->ties.layers[index];
    float             *output, *input;
    OCTET_TRY(octet_arena_get(&output, s->arena, (size_t)layer->outputs, sizeof *output, err));
    OCTET_TRY(octet_arena_get(&input, s->arena, (size_t)layer->inputs, sizeof *input, err));
    const bool made = gather(output, s, s->layers[index].outputs, layer->outputs, false);
    const bool read = gather(input, s, s->layers[index].inputs, layer->inputs, true);
    if (!made && !read) return OCTET_OK;
    *changed = true;
    OCTET_TRY(octet_layer_load(layer, s->arena, err));
    octet_layer_scale(layer, output, input);
    return octet_layer_store(s->graph, layer, twin_of(s, index), err);
}

static octet_status apply(solving *s, octet_error *err)
{
    bool changed = false;
    for (size_t l = 0; l < s->ties.layer_count; l++) OCTET_TRY(apply_to_layer(s, l, &changed, err));
    if (!changed) return OCTET_OK;
    for (size_t b = 0; b < s->ties.bound_count; b++)
        OCTET_TRY(octet_bound_scale(&s->ties, &s->ties.bounds[b], s->factor, err));
    OCTET_TRY(octet_graph_set_metadata(s->graph, OCTET_EQUALIZED, s->kind->name, err));
    octet_graph_sweep(s->graph);
    return octet_graph_check(s->graph, err);
}

/* ---- the whole ---- */

static octet_status equalize(solving *s, octet_dataset *data, const octet_calibrate_options *options, octet_error *err)
{
    struct kind kind = *s->kind;
    OCTET_TRY(octet_check_bound(s->graph, "equalization", err));
    kind.makers |= !data; /* the weights that make a channel stand for its range */
    OCTET_TRY(octet_ties_find(&s->ties, s->graph, s->arena, err));
    OCTET_TRY(octet_ties_see(&s->seen, &s->seen_count, &s->ties, data, options, err));
    OCTET_TRY(set_up(s, err));
    s->kind = &kind;
    if (kind.halfway) scale_activations(s);
    else balance(s);
    return apply(s, err);
}

octet_status octet_equalize(octet_graph *graph, octet_equalization how, octet_dataset *data,
                            const octet_calibrate_options *options, octet_error *err)
{
    solving s = { .graph = graph, .kind = &kinds[how] };
    if (graph->stage != OCTET_STAGE_FUSED)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "only a fused float network can be equalized");
    if (s.kind->halfway && !data) return octet_fail(err, OCTET_ERR_ARGUMENT, "activations are scaled by data only");
    OCTET_TRY(octet_pass_fold_batch_norm(graph, err));
    s.arena = octet_arena_new();
    if (!s.arena) return octet_fail_memory(err);
    const octet_status status = equalize(&s, data, options, err);
    octet_arena_free(s.arena);
    return status;
}
