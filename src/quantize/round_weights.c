/* SPDX-License-Identifier: Apache-2.0 */
/* Weights onto their grids by second moments: samples run once through the float network (more often where moments
   would take more than ROOM bytes), every layer's inputs are rounded as they will be, then every layer is rounded by
   itself. Biases take the mean of what is left, so the error is measured about its mean. */
#include "quantize/moments.h"

#include <octet/improve.h>

#include "engine/plan.h"
#include "graph/copy.h"
#include "ops/levels.h"
#include "ops/mode.h"
#include "passes/integerize.h"
#include "passes/pass.h"
#include "quantize/calibration.h"
#include "quantize/round_row.h"
#include "quantize/samples.h"

#include <string.h>

static const size_t ROOM = (size_t)256 << 20;

/* One node; those that share their weights follow each other, the first is rounded for all. */
typedef struct layer {
    octet_node   *node, *source; /* source: its twin in the network that is run */
    octet_moments moments;
    size_t        round;         /* of the samples */
    bool          first;         /* of those that share its weights */
} layer;

typedef struct rounding {
    octet_graph                   *graph, *source;
    octet_dataset                 *data;
    const octet_calibrate_options *options;
    octet_arena                   *arena, *passing; /* passing: for one round */
    octet_samples                  samples;
    layer                         *layers;
    size_t                         count, round, rounds;
    octet_moment_room             *rooms; /* one per worker */
} rounding;

/* ---- which layers ---- */

static bool can_round(const octet_node *node)
{
    const bool levels = octet_sums_integers(node) && octet_constant_floats(node->inputs[1]);
    if (!levels || node->inputs[0]->constant) return false;
    return octet_node_is(node, "Conv") || node->inputs[1]->constant->rank == 2;
}

/* All nodes that read weights, in order. */
static void add_layers(rounding *r, const octet_value *weights)
{
    const octet_node *s    = r->source->first;
    bool              first = true;
    for (octet_node *n = r->graph->first; n; n = n->next, s = s->next) {
        if (!can_round(n) || n->inputs[1] != weights) continue;
        r->layers[r->count++] = (layer){ .node = n, .source = (octet_node *)(uintptr_t)s, .moments.node = s,
                                         .first = first };
        first = false;
    }
}

static octet_status list_layers(rounding *r, octet_error *err)
{
    OCTET_TRY(octet_arena_get(&r->layers, r->arena, (size_t)r->graph->node_count, sizeof *r->layers, err));
    for (octet_node *n = r->graph->first; n; n = n->next) {
        if (!can_round(n)) continue;
        bool listed = false;
        for (size_t i = 0; i < r->count && !listed; i++) listed = r->layers[i].node == n;
        if (!listed) add_layers(r, n->inputs[1]);
    }
    return OCTET_OK;
}

/* Layers by rounds, as many in each as moments have room. */
static octet_status plan_layers(rounding *r, octet_error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < r->count; i++) {
        layer *const       l = &r->layers[i];
        const octet_tensor x = r->samples.plan->shapes[l->source->inputs[0]->index];
        OCTET_TRY(octet_moments_plan(&l->moments, &x, r->samples.total, r->arena, err));
        if (l->first && bytes + l->moments.bytes > ROOM && bytes) {
            bytes = 0;
            r->rounds++;
        }
        bytes += l->moments.bytes;
        l->round = r->rounds;
    }
    r->rounds++;
    return OCTET_OK;
}

/* ---- seeing ---- */

static octet_status see(void *context, const octet_seen *seen, octet_error *err)
{
    rounding *const                r     = context;
    const octet_moment_room *const room  = &r->rooms[seen->worker];
    octet_tensor                   levels = { 0 };
    (void)err;
    for (size_t i = 0; i < r->count; i++) {
        layer *const l = &r->layers[i];
        if (l->source->inputs[0] != seen->value || l->round != r->round) continue;
        if (!levels.data) levels = octet_moment_levels(room, seen->tensor, octet_future_levels(l->node->inputs[0]));
        octet_moments_add(&l->moments, room, &levels, seen->sample);
    }
    return OCTET_OK;
}

static octet_status make_rooms(rounding *r, octet_error *err)
{
    octet_moments *all;
    OCTET_TRY(octet_arena_get(&all, r->arena, r->count, sizeof *all, err));
    OCTET_TRY(octet_arena_get(&r->rooms, r->arena, (size_t)r->samples.workers, sizeof *r->rooms, err));
    for (size_t i = 0; i < r->count; i++) all[i] = r->layers[i].moments;
    for (int i = 0; i < r->samples.workers; i++)
        OCTET_TRY(octet_moment_room_make(&r->rooms[i], all, r->count, r->arena, err));
    return OCTET_OK;
}

/* ---- rounding one layer ---- */

/* The weights of one layer while parts of them are rounded. */
typedef struct task {
    const rounding      *rounding;
    const layer         *layers; /* that share the weights */
    size_t               layer_count;
    const octet_qparams *q;
    octet_layer_weights  shape;
    const float         *from;
    float               *to;
    size_t               slices, longest;
    char                *room; /* room_bytes for each slice */
    size_t               room_bytes;
    double              *factors; /* longest * longest for each slice that factors */
    octet_quadratic      h;    /* of the part whose rows are shared out */
    const octet_moment  *part;
} task;

static bool is_centred(const task *t)
{
    const octet_calibration *const c = t->rounding->graph->calibration;
    const octet_node *const        n = t->layers[0].node;
    return !c->qconfig.no_bias_correction && !c->target->real_bias && !octet_node_is(n, "MatMul") &&
           c->watches[n->inputs[0]->index].mean;
}

/* The first layer's products become H: the sum over layers, in units of their scales. */
static octet_quadratic combine(const task *t, size_t part)
{
    const octet_moment *const first   = &t->layers[0].moments.parts[part];
    const size_t              n       = first->terms;
    const bool                centred = is_centred(t);
    for (size_t l = 0; l < t->layer_count; l++) {
        const octet_moment *const m    = &t->layers[l].moments.parts[part];
        const double scale = octet_future_levels(t->layers[l].node->inputs[0])->scale[0], unit = scale * scale;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                const double product = m->products[i * n + j];
                const double own     = centred && m->count > 0 ? product - m->sums[i] * m->sums[j] / m->count : product;
                first->products[i * n + j] = own * unit + (l ? first->products[i * n + j] : 0);
            }
    }
    return (octet_quadratic){ .terms = n, .products = first->products };
}

static size_t place_of(const task *t, size_t channel, size_t term)
{
    return (term / t->shape.inner * t->shape.channels + channel) * t->shape.inner + term % t->shape.inner;
}

static void round_channel(const task *t, const octet_moment *part, const octet_quadratic *h, size_t channel, char *room)
{
    const octet_qparams *const q     = t->q;
    const int64_t              entry = octet_qparams_index(q, (int64_t)channel);
    const octet_level_rule     to    = { q->scale[entry], q->zero_point[entry], q->qmin, q->qmax };
    const size_t               n     = part->terms;
    double *const              target = (double *)(void *)room;
    int32_t *const             level  = (int32_t *)(void *)(target + (OCTET_ROW_ROOM + 1) * n);
    float *const               real   = (float *)(void *)(level + n);
    for (size_t k = 0; k < n; k++) real[k] = t->from[place_of(t, channel, part->first_term + k)];
    for (size_t k = 0; k < n; k++) target[k] = (double)real[k] / (double)to.scale + to.zero_point;
    octet_profile_octet.quantize(level, real, n, &to);
    const octet_row row = { target, to.qmin, to.qmax, level, target + n };
    octet_round_row(&row, h);
    for (size_t k = 0; k < n; k++)
        t->to[place_of(t, channel, part->first_term + k)] = (float)(level[k] - to.zero_point) * to.scale;
}

/* Every slices-th channel of one part. */
static void round_channels(void *context, size_t slice)
{
    const task *const t = context;
    for (size_t c = slice; c < t->part->channels; c += t->slices)
        round_channel(t, t->part, &t->h, t->part->first_channel + c, t->room + slice * t->room_bytes);
}

/* Every slices-th part, all channels. */
static void round_parts(void *context, size_t slice)
{
    const task *const t = context;
    for (size_t p = slice; p < t->layers[0].moments.part_count; p += t->slices) {
        const octet_moment *const part = &t->layers[0].moments.parts[p];
        octet_quadratic           h = combine(t, p);
        h.factor = t->factors + slice * t->longest * t->longest;
        octet_quadratic_factor(&h, 1);
        for (size_t c = 0; c < part->channels; c++)
            round_channel(t, part, &h, part->first_channel + c, t->room + slice * t->room_bytes);
    }
}

static void round_all(task *t, int threads)
{
    enum { SHORT = 64 }; /* parts of so few terms are many */
    const octet_moments *const m = &t->layers[0].moments;
    if (t->longest <= SHORT && m->part_count > 1) {
        octet_parallel(t->slices, threads, round_parts, t);
        return;
    }
    for (size_t p = 0; p < m->part_count; p++) {
        t->part     = &m->parts[p];
        t->h        = combine(t, p);
        t->h.factor = t->factors;
        octet_quadratic_factor(&t->h, threads);
        octet_parallel(t->slices, threads, round_channels, t);
    }
}

static octet_status round_layer(rounding *r, const layer *layers, size_t layer_count, octet_error *err)
{
    const int                  threads  = octet_calibrate_threads(r->options);
    octet_tensor               constant = *layers[0].source->inputs[1]->constant;
    const octet_moments *const m        = &layers[0].moments;
    task t = { .rounding = r, .layers = layers, .layer_count = layer_count, .from = constant.data,
               .q = &layers[0].node->inputs[1]->fake_quantize->qparams, .shape = octet_layer_weights_of(layers[0].node),
               .slices = (size_t)threads * 4 };
    for (size_t p = 0; p < m->part_count; p++)
        if (m->parts[p].terms > t.longest) t.longest = m->parts[p].terms;
    t.room_bytes = octet_aligned(t.longest * ((OCTET_ROW_ROOM + 1) * sizeof(double) + sizeof(int32_t) + sizeof(float)));
    const size_t factors = t.longest <= 64 ? t.slices : 1;
    OCTET_TRY(octet_arena_get(&t.factors, r->passing, factors * t.longest * t.longest, sizeof(double), err));
    OCTET_TRY(octet_arena_get(&t.room, r->passing, t.slices, t.room_bytes, err));
    OCTET_TRY(octet_arena_get(&t.to, r->passing, (size_t)octet_tensor_count(&constant), sizeof(float), err));
    round_all(&t, threads);
    constant.data = t.to;
    return octet_value_set_constant(r->graph, layers[0].node->inputs[1], &constant, err);
}

/* ---- the whole ---- */

static octet_status report(const rounding *r, size_t done, octet_error *err)
{
    if (!r->options || !r->options->progress) return OCTET_OK;
    const octet_progress progress = { "round weights", done, r->count };
    if (!r->options->progress(r->options->progress_context, &progress)) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
}

static octet_status run_round(rounding *r, octet_error *err)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->layers[i].round == r->round) OCTET_TRY(octet_moments_begin(&r->layers[i].moments, r->passing, err));
    OCTET_TRY(octet_samples_run(&r->samples, see, r, err));
    for (size_t i = 0, next; i < r->count; i = next) {
        for (next = i + 1; next < r->count && !r->layers[next].first;) next++;
        if (r->layers[i].round != r->round) continue;
        for (size_t l = i; l < next; l++) octet_moments_end(&r->layers[l].moments);
        OCTET_TRY(round_layer(r, &r->layers[i], next - i, err));
        OCTET_TRY(report(r, next, err));
    }
    return OCTET_OK;
}

static octet_status run_rounds(rounding *r, octet_error *err)
{
    const octet_samples_options how = { .calibrate = r->options, .phase = "second moments" };
    OCTET_TRY(list_layers(r, err));
    if (r->count == 0) return OCTET_OK;
    OCTET_TRY(octet_samples_open(&r->samples, r->source, r->data, &how, err));
    OCTET_TRY(plan_layers(r, err));
    r->samples.options.rounds = r->rounds;
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

/* As octet_convert would, but for what the weights were before. */
static octet_status correct_biases(rounding *r, octet_error *err)
{
    const octet_calibration *const c = r->graph->calibration;
    const octet_node              *s = r->source->first;
    for (octet_node *n = r->graph->first; n; n = n->next, s = s->next) {
        if (c->target->real_bias || c->qconfig.no_bias_correction || !octet_sums_integers(n)) continue;
        OCTET_TRY(octet_correct_bias(r->graph, n, octet_constant_floats(s->inputs[1]), err));
    }
    r->graph->biases_corrected = true;
    return OCTET_OK;
}

static octet_status round_graph(rounding *r, octet_error *err)
{
    OCTET_TRY(raise_scales(r->graph, err));
    OCTET_TRY(octet_graph_copy(&r->source, r->graph, err));
    OCTET_TRY(run_rounds(r, err));
    return correct_biases(r, err);
}

octet_status octet_round_weights(octet_graph *graph, octet_dataset *data, const octet_calibrate_options *options,
                                 octet_error *err)
{
    if (graph->stage != OCTET_STAGE_CALIBRATED || graph->training || !graph->calibration)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "only the weights of a calibrated network can be rounded");
    if (!data) return octet_fail(err, OCTET_ERR_ARGUMENT, "no data to round weights with");
    rounding r = { .graph = graph, .data = data, .options = options, .arena = octet_arena_new() };
    if (!r.arena) return octet_fail_memory(err);
    const octet_status status = round_graph(&r, err);
    octet_samples_free(&r.samples);
    octet_graph_free(r.source);
    octet_arena_free(r.arena);
    return status;
}
