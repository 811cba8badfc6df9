/* SPDX-License-Identifier: Apache-2.0 */
/* Weights onto their grids by second moments: samples run once through the float network (more often where moments
   would take more than ROOM bytes), every layer's inputs are rounded as they will be, then every layer is rounded by
   itself. Biases take the mean of what is left, so the error is measured about its mean. */
#include <octet/improve.h>

#include "engine/plan.h"
#include "graph/copy.h"
#include "ops/attrs.h"
#include "ops/mode.h"
#include "passes/integerize.h"
#include "passes/pass.h"
#include "quantize/calibration.h"
#include "quantize/round_layer.h"
#include "quantize/samples.h"

#include <string.h>

static const size_t ROOM = (size_t)256 << 20;

/* Nodes that share their weights follow each other. */
typedef struct layer {
    octet_value *weights;
    size_t       first, count; /* of nodes, in moments */
    size_t       round;        /* of the samples */
} layer;

typedef struct rounding {
    octet_graph                   *graph, *before; /* before: as graph was, and what runs */
    octet_dataset                 *data;
    const octet_calibrate_options *options;
    octet_arena                   *arena, *passing; /* passing: for one round */
    octet_samples                  samples;
    layer                         *layers;
    octet_moments                 *moments; /* nodes are those of before */
    size_t                        *round_of; /* by moments */
    size_t                         layer_count, moment_count, round, rounds;
    octet_moment_room             *rooms; /* one per worker */
} rounding;

/* ---- which layers ---- */

static bool can_round(const octet_node *node)
{
    const bool levels = octet_sums_integers(node) && octet_constant_floats(node->inputs[1]);
    if (!levels || node->inputs[0]->constant) return false;
    return octet_node_is(node, "Conv") || node->inputs[1]->constant->rank == 2;
}

/* Whether two nodes mean the same by the weights they share. */
static bool reads_alike(const octet_node *a, const octet_node *b)
{
    const octet_layer_weights x = octet_layer_weights_of(a), y = octet_layer_weights_of(b);
    if (a->op != b->op || x.channels != y.channels || x.inner != y.inner) return false;
    if (!octet_node_is(a, "Conv")) return true;
    return ((const octet_window_attrs *)a->attrs)->group == ((const octet_window_attrs *)b->attrs)->group;
}

/* The layer of weights, if a node before `end` has not made it already. Weights that are read in several ways stay. */
static void add_layer(rounding *r, const octet_node *end)
{
    octet_value *const weights = end->inputs[1];
    layer              l       = { .weights = weights, .first = r->moment_count };
    const octet_node  *twin    = r->before->first;
    bool               passed  = false;
    for (const octet_node *n = r->graph->first; n; n = n->next, twin = twin->next) {
        passed = passed || n == end;
        if (!can_round(n) || n->inputs[1] != weights) continue;
        if (!passed || !reads_alike(n, end)) return;
        r->moments[l.first + l.count++].node = twin;
    }
    r->moment_count += l.count;
    r->layers[r->layer_count++] = l;
}

static octet_status list_layers(rounding *r, octet_error *err)
{
    const size_t nodes = (size_t)r->graph->node_count;
    OCTET_TRY(octet_arena_get(&r->layers, r->arena, nodes, sizeof *r->layers, err));
    OCTET_TRY(octet_arena_get(&r->moments, r->arena, nodes, sizeof *r->moments, err));
    OCTET_TRY(octet_arena_get(&r->round_of, r->arena, nodes, sizeof *r->round_of, err));
    for (const octet_node *n = r->graph->first; n; n = n->next)
        if (can_round(n)) add_layer(r, n);
    return OCTET_OK;
}

/* Layers by rounds: as many in each as moments have room. */
static octet_status plan_layers(rounding *r, octet_error *err)
{
    size_t held = 0;
    for (size_t i = 0; i < r->layer_count; i++) {
        layer *const l     = &r->layers[i];
        size_t       bytes = 0;
        for (size_t m = l->first; m < l->first + l->count; m++) {
            const octet_tensor x = r->samples.plan->shapes[r->moments[m].node->inputs[0]->index];
            OCTET_TRY(octet_moments_plan(&r->moments[m], &x, r->samples.total, r->arena, err));
            bytes += r->moments[m].bytes;
        }
        if (held && held + bytes > ROOM) {
            r->rounds++;
            held = 0;
        }
        held += bytes;
        l->round = r->rounds;
        for (size_t m = l->first; m < l->first + l->count; m++) r->round_of[m] = l->round;
    }
    r->rounds++;
    r->samples.options.rounds = r->rounds;
    return OCTET_OK;
}

/* ---- seeing ---- */

static octet_status see(void *context, const octet_seen *seen, octet_error *err)
{
    rounding *const                r      = context;
    const octet_moment_room *const room   = &r->rooms[seen->worker];
    octet_tensor                   levels = { 0 };
    (void)err;
    for (size_t i = 0; i < r->moment_count; i++) {
        octet_moments *const m = &r->moments[i];
        if (m->node->inputs[0] != seen->value || r->round_of[i] != r->round) continue;
        if (!octet_moments_want(m, seen->sample)) continue;
        if (!levels.data) levels = octet_moment_levels(room, seen->tensor, octet_future_levels(seen->value));
        octet_moments_add(m, room, &levels, seen->sample);
    }
    return OCTET_OK;
}

static octet_status make_rooms(rounding *r, octet_error *err)
{
    OCTET_TRY(octet_arena_get(&r->rooms, r->arena, (size_t)r->samples.workers, sizeof *r->rooms, err));
    for (int i = 0; i < r->samples.workers; i++)
        OCTET_TRY(octet_moment_room_make(&r->rooms[i], r->moments, r->moment_count, r->arena, err));
    return OCTET_OK;
}

/* ---- one layer ---- */

static bool corrects_biases(const octet_calibration *c)
{
    return !c->qconfig.no_bias_correction && !c->target->real_bias;
}

/* Fewer than 8 bits: at 8 a smaller scale gains as often as it loses. */
static bool has_few_levels(const octet_qparams *q) { return q->qmax - q->qmin < 250; }

/* One scale per channel to begin with, and the least that its bias allows. */
static octet_status begin_scales(octet_round_layer *l, const rounding *r, size_t channels, octet_error *err)
{
    const octet_qparams *const q = octet_future_levels(l->moments[0].node->inputs[1]);
    float                     *least;
    OCTET_TRY(octet_arena_get(&l->scale, r->graph->arena, channels, sizeof *l->scale, err));
    OCTET_TRY(octet_arena_get(&least, r->passing, channels, sizeof *least, err));
    for (size_t c = 0; c < channels; c++) {
        l->scale[c] = q->scale[q->count > 1 ? c : 0];
        for (size_t n = 0; n < l->count && !r->graph->calibration->target->real_bias; n++) {
            const float scale = octet_least_weight_scale(l->moments[n].node, (int64_t)c);
            if (scale > least[c]) least[c] = scale;
        }
    }
    l->least  = least;
    l->few_levels = has_few_levels(q);
    l->search     = q->count > 1 && l->few_levels;
    return OCTET_OK;
}

static octet_status round_one(const rounding *r, const layer *at, octet_error *err)
{
    const octet_calibration *const c     = r->graph->calibration;
    octet_moments *const           first = &r->moments[at->first];
    const octet_node *const        node  = first->node;
    octet_tensor                   constant = *node->inputs[1]->constant;
    octet_round_layer l = { .moments = first, .count = at->count, .weights = constant.data,
                            .threads = octet_calibrate_threads(r->options) };
    l.centred = corrects_biases(c) && octet_node_takes_bias(node) && c->watches[node->inputs[0]->index].mean;
    OCTET_TRY(begin_scales(&l, r, octet_layer_weights_of(node).channels, err));
    OCTET_TRY(octet_arena_get(&l.rounded, r->passing, (size_t)octet_tensor_count(&constant), sizeof(float), err));
    OCTET_TRY(octet_round_layer_run(&l, r->passing, err));
    if (l.search) at->weights->fake_quantize->qparams.scale = l.scale;
    constant.data = l.rounded;
    return octet_value_set_constant(r->graph, at->weights, &constant, err);
}

/* ---- the whole ---- */

static octet_status report(const rounding *r, size_t done, octet_error *err)
{
    if (!r->options || !r->options->progress) return OCTET_OK;
    const octet_progress progress = { "round weights", done, r->layer_count };
    if (!r->options->progress(r->options->progress_context, &progress)) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
}

static octet_status run_round(rounding *r, octet_error *err)
{
    for (size_t i = 0; i < r->moment_count; i++)
        if (r->round_of[i] == r->round) OCTET_TRY(octet_moments_begin(&r->moments[i], r->passing, err));
    OCTET_TRY(octet_samples_run(&r->samples, see, r, err));
    for (size_t i = 0; i < r->layer_count; i++) {
        if (r->layers[i].round != r->round) continue;
        OCTET_TRY(round_one(r, &r->layers[i], err));
        OCTET_TRY(report(r, i + 1, err));
    }
    return OCTET_OK;
}

static octet_status run_rounds(rounding *r, octet_error *err)
{
    const octet_samples_options how = { .calibrate = r->options, .phase = "second moments" };
    OCTET_TRY(list_layers(r, err));
    if (r->layer_count == 0) return OCTET_OK;
    if (!r->data) return octet_fail(err, OCTET_ERR_ARGUMENT, "no data to round weights with");
    OCTET_TRY(octet_check_bound(r->before, "rounding by feedback", err));
    OCTET_TRY(octet_samples_open(&r->samples, r->before, r->data, &how, err));
    OCTET_TRY(plan_layers(r, err));
    OCTET_TRY(make_rooms(r, err));
    for (r->round = 0; r->round < r->rounds; r->round++) {
        r->passing = octet_arena_new();
        const octet_status status = r->passing ? run_round(r, err) : octet_fail_memory(err);
        octet_arena_free(r->passing);
        OCTET_TRY(status);
    }
    return OCTET_OK;
}

static octet_status raise_scales(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first; n && !graph->calibration->target->real_bias; n = n->next)
        if (octet_sums_integers(n)) OCTET_TRY(octet_raise_weight_scales(graph, n, err));
    return OCTET_OK;
}

/* As octet_convert would, but by what the weights were before. */
static octet_status correct_biases(rounding *r, octet_error *err)
{
    const octet_node *twin = r->before->first;
    for (octet_node *n = r->graph->first; n; n = n->next, twin = twin->next) {
        if (!corrects_biases(r->graph->calibration) || !octet_sums_integers(n)) continue;
        OCTET_TRY(octet_correct_bias(r->graph, n, octet_constant_floats(twin->inputs[1]), NULL, err));
    }
    r->graph->biases_corrected = true;
    return OCTET_OK;
}

static octet_status round_graph(rounding *r, octet_error *err)
{
    OCTET_TRY(raise_scales(r->graph, err));
    OCTET_TRY(octet_graph_copy(&r->before, r->graph, err));
    OCTET_TRY(run_rounds(r, err));
    return correct_biases(r, err);
}

octet_status octet_round_weights(octet_graph *graph, octet_dataset *data, const octet_calibrate_options *options,
                                 octet_error *err)
{
    if (graph->stage != OCTET_STAGE_CALIBRATED || graph->training || !graph->calibration)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "only the weights of a calibrated network can be rounded");
    rounding r = { .graph = graph, .data = data, .options = options, .arena = octet_arena_new() };
    if (!r.arena) return octet_fail_memory(err);
    const octet_status status = round_graph(&r, err);
    octet_samples_free(&r.samples);
    octet_graph_free(r.before);
    octet_arena_free(r.arena);
    return status;
}
