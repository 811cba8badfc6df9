/* SPDX-License-Identifier: Apache-2.0 */
/* Layer by layer, the quantized network against the float one it came from. Samples run beside each other; each is
   summed alone, and the sums are added in the order of samples. Effects on the output need a run per layer: they are
   measured on a few samples, evenly spaced. */
#include "measure/compare.h"

#include "base/parallel.h"
#include "measure/remedy.h"
#include "measure/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORKERS = 4 };

typedef struct team {
    octet_pairing   pairing;
    octet_dataset  *data;
    size_t          total, effects, first; /* the first worker's sample */
    octet_comparing workers[MOST_WORKERS];
    size_t          count;
    octet_compared  sums;
} team;

struct owned {
    octet_comparison comparison; /* first: the caller's pointer is the owner's */
    octet_arena     *arena;
};

/* ---- sums ---- */

octet_status octet_compared_make(octet_compared *c, const octet_pairing *pairing, octet_arena *arena,
                                 octet_error *err)
{
    const size_t layer_count = pairing->layer_count, outputs = pairing->output_count ? pairing->output_count : 1;
    *c = (octet_compared){ .layer_count = layer_count, .output_count = pairing->output_count };
    OCTET_TRY(octet_arena_get(&c->layers, arena, layer_count, sizeof *c->layers, err));
    OCTET_TRY(octet_arena_get(&c->origins, arena, layer_count + 1, sizeof *c->origins, err));
    for (size_t i = 0; i <= layer_count; i++)
        OCTET_TRY(octet_origins_make(&c->origins[i], pairing, i, arena, err));
    OCTET_TRY(octet_arena_get(&c->signal, arena, outputs, sizeof *c->signal, err));
    OCTET_TRY(octet_arena_get(&c->noise, arena, outputs, sizeof *c->noise, err));
    for (size_t i = 0; i < layer_count; i++) {
        OCTET_TRY(octet_arena_get(&c->layers[i].only, arena, outputs, sizeof(double), err));
        OCTET_TRY(octet_arena_get(&c->layers[i].without, arena, outputs, sizeof(double), err));
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
    take_doubles(into->signal, from->signal, from->output_count);
    take_doubles(into->noise, from->noise, from->output_count);
    for (size_t i = 0; i <= from->layer_count; i++) octet_origins_take(&into->origins[i], &from->origins[i]);
    for (size_t i = 0; i < from->layer_count; i++) {
        octet_layer_sums *const a = &into->layers[i], *const b = &from->layers[i];
        take_sqnr(&a->local, &b->local);
        take_sqnr(&a->accumulated, &b->accumulated);
        take_doubles(a->only, b->only, from->output_count);
        take_doubles(a->without, b->without, from->output_count);
        a->only_count += b->only_count;
        a->without_count += b->without_count;
        b->only_count = b->without_count = 0;
    }
}

/* ---- samples ---- */

/* Whether sample i is one of n of total, evenly spaced. */
static bool is_chosen(size_t i, size_t n, size_t total) { return (i + 1) * n / total > i * n / total; }

static void run_worker(void *context, size_t i)
{
    team *const            t     = context;
    octet_comparing *const c     = &t->workers[i];
    const size_t           index = t->first + i;
    c->effects                   = is_chosen(index, t->effects, t->total);
    c->status                    = octet_dataset_read(t->data, index, c->input.data, NULL, &c->error);
    if (c->status == OCTET_OK) c->status = octet_compare_sample(c, &c->error);
}

static octet_status compare_samples(team *t, octet_error *err)
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

/* A run per layer and sample: few for large networks. */
static size_t effect_samples(const octet_graph *graph, const octet_evaluate_options *options, size_t total)
{
    int64_t macs = 0;
    for (size_t i = 0; i < octet_graph_node_count(graph); i++) {
        const int64_t m = octet_graph_node(graph, i).macs;
        macs += m > 0 ? m : 0;
    }
    size_t count = macs > 100000000 ? 4 : macs > 20000000 ? 8 : 16;
    if (options->effects) count = options->effects;
    if (options->no_effects) count = 0;
    return count < total ? count : total;
}

static octet_status make_worker(octet_comparing *c, const team *t, octet_arena *arena, octet_error *err)
{
    const octet_port port = octet_dataset_port(t->data);
    c->input              = (octet_tensor){ .dtype = OCTET_F32, .rank = port.rank };
    memcpy(c->input.dims, port.dims, sizeof port.dims);
    OCTET_TRY(octet_arena_get(&c->input.data, arena, (size_t)octet_tensor_count(&c->input), sizeof(float), err));
    return octet_comparing_make(c, &t->pairing, arena, err);
}

static octet_status make_team(team *t, octet_graph *graphs[2], const octet_evaluate_options *options,
                              octet_arena *arena, octet_error *err)
{
    const int              asked   = options->plan.threads;
    const size_t           threads = (size_t)(asked > 0 ? asked : octet_default_threads());
    octet_evaluate_options how     = *options;
    t->total                       = octet_dataset_count(t->data);
    t->count                       = threads < MOST_WORKERS ? threads : MOST_WORKERS;
    if (t->count > t->total) t->count = t->total ? t->total : 1;
    t->effects       = effect_samples(graphs[0], options, t->total);
    how.plan.threads = how.baseline_plan.threads = (int)(threads / t->count);
    OCTET_TRY(octet_pairing_make(&t->pairing, graphs[0], graphs[1], &how, arena, err));
    for (size_t i = 0; i < t->count; i++) OCTET_TRY(make_worker(&t->workers[i], t, arena, err));
    return octet_compared_make(&t->sums, &t->pairing, arena, err);
}

static octet_status run_all(team *t, octet_graph *graphs[2], const octet_evaluate_options *options, octet_arena *arena,
                            octet_error *err)
{
    OCTET_TRY(make_team(t, graphs, options, arena, err));
    while (t->first < t->total) {
        OCTET_TRY(compare_samples(t, err));
        const octet_progress progress = { "compare", t->first, t->total };
        if (options->progress && options->progress(options->progress_context, &progress))
            return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
    }
    return OCTET_OK;
}

static void disband(team *t)
{
    for (size_t w = 0; w < t->count; w++) octet_comparing_release(&t->workers[w]);
    octet_pairing_release(&t->pairing);
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

/* SQNR of the outputs: each one's noise relative to its own energy, the mean of all. */
static double outputs_db(const octet_compared *c, const double *noise)
{
    double sum = 0;
    size_t count = 0;
    for (size_t o = 0; o < c->output_count; o++) {
        if (!(c->signal[o] > 0)) continue;
        sum += noise[o] / c->signal[o];
        count++;
    }
    if (!count) return NAN;
    return sum > 0 ? -10 * log10(sum / (double)count) : INFINITY;
}

/* What the output gains from before to after; equal: 0. */
static double gain_of(double after, double before) { return after == before ? 0 : after - before; }

static octet_status fill_layer(octet_layer_error *to, const team *t, size_t i, octet_arena *arena, octet_error *err)
{
    const octet_layer_sums *const s = &t->sums.layers[i];
    const octet_layer *const      l = &t->pairing.layers[i];
    *to = (octet_layer_error){
        .name = octet_arena_copy(arena, l->node->name), .op = octet_arena_copy(arena, l->node->op->name),
        .merged = octet_arena_copy(arena, l->node->merged ? l->node->merged : ""),
        .local_db = octet_sqnr_db(&s->local), .accumulated_db = octet_sqnr_db(&s->accumulated),
        .cosine = octet_sqnr_cosine(&s->accumulated), .max_abs = s->accumulated.max_abs,
        .output_db = s->only_count ? outputs_db(&t->sums, s->only) : NAN,
        .gain_db = s->without_count ? gain_of(outputs_db(&t->sums, s->without), outputs_db(&t->sums, t->sums.noise))
                                    : NAN,
        .weights_db = octet_weights_db(&t->pairing, i), .why = "", .remedy = "", .remedy_db = NAN,
    };
    if (!to->name || !to->op || !to->merged) return octet_fail_memory(err);
    return octet_find_cause(to, &t->pairing, &t->sums, i, arena, err);
}

static octet_status find_remedies(octet_layer_error *layers, team *t, const octet_evaluate_options *options,
                                  octet_arena *arena, octet_error *err)
{
    size_t *chosen;
    OCTET_TRY(octet_arena_get(&chosen, arena, t->effects, sizeof *chosen, err));
    octet_remedies r = { .pairing = &t->pairing, .sums = &t->sums, .worker = &t->workers[0], .data = t->data,
                         .samples = chosen, .options = options, .layers = layers, .arena = arena };
    for (size_t i = 0; i < t->total; i++)
        if (is_chosen(i, t->effects, t->total)) chosen[r.sample_count++] = i;
    return octet_find_remedies(&r, err);
}

static octet_status fill_result(octet_comparison *result, team *t, const octet_evaluate_options *options,
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
                                  .effect_samples = t->effects, .layer_count = t->pairing.layer_count,
                                  .layers = layers };
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
    team                t      = { .data = data };
    octet_status        status = owned ? OCTET_OK : octet_fail_memory(err);
    if (status == OCTET_OK) status = run_all(&t, graphs, options, arena, err);
    if (status == OCTET_OK) status = fill_result(&owned->comparison, &t, options, arena, err);
    disband(&t);
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
