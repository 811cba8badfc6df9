/* SPDX-License-Identifier: Apache-2.0 */
/* Layer by layer, the quantized network against the float one it came from. Values are matched by name. Accumulated: as
   it stands. Local: the layer's own integer rule fed the float network's values, rounded to the layer's inputs. Samples
   run beside each other; each is summed alone, and the sums are added in the order of samples. */
#include <octet/report.h>

#include "base/parallel.h"
#include "engine/run.h"
#include "graph/op.h"
#include "measure/sqnr.h"
#include "ops/levels.h"
#include "ops/mode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUTS = 64, MOST_INPUTS = 64, MOST_WORKERS = 4 };

typedef struct layer {
    const octet_node  *node;
    const octet_value *reference; /* in the float graph */
    octet_sqnr         local, accumulated;
} layer;

/* One worker and its sample. */
typedef struct comparing {
    octet_graph     *graphs[2]; /* float, quantized */
    octet_workspace *workspaces[2];
    octet_arena     *arena; /* of one layer's local run */
    float           *values;
    layer           *layers;
    size_t           layer_count;
    octet_sqnr       output;
    int              threads;
    octet_status     status;
    octet_error      error;
} comparing;

typedef struct team {
    octet_graph   *graphs[2];
    octet_plan    *plans[2];
    octet_dataset *data;
    size_t         first; /* the first worker's sample */
    comparing      workers[MOST_WORKERS];
    size_t         count;
    int            threads; /* of one worker */
    layer         *layers;  /* sums of all samples */
    size_t         layer_count;
    octet_sqnr     output;
} team;

struct owned {
    octet_comparison comparison; /* first: the caller's pointer is the owner's */
    octet_arena     *arena;
};

/* ---- values as real numbers ---- */

/* A tensor of levels as float32, in new memory; a float32 one as it is. */
static octet_status as_real(const float **real, const octet_tensor *tensor, octet_arena *arena, octet_error *err)
{
    const size_t count = (size_t)octet_tensor_count(tensor);
    float       *copy;
    *real = tensor->data;
    if (!tensor->qparams) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&copy, arena, count, sizeof *copy, err));
    octet_levels_real(copy, tensor, 0, count, 0);
    *real = copy;
    return OCTET_OK;
}

static octet_status to_levels(octet_tensor *levels, const float *real, const octet_qparams *q, octet_arena *arena,
                              octet_error *err)
{
    const size_t           count = (size_t)octet_tensor_count(levels);
    const octet_level_rule to    = { q->scale[0], q->zero_point[0], q->qmin, q->qmax };
    int32_t               *row;
    OCTET_TRY(octet_arena_get(&row, arena, count, sizeof *row, err));
    OCTET_TRY(octet_arena_get(&levels->data, arena, count, octet_dtype_size(q->dtype), err));
    octet_profile_octet.quantize(row, real, count, &to);
    octet_levels_store(levels->data, q->dtype, 0, row, count);
    levels->dtype   = q->dtype;
    levels->qparams = q;
    return OCTET_OK;
}

/* ---- one layer, locally ---- */

/* Input i of the layer: its constant, or the float network's value in the form that the layer reads. */
static octet_status local_input(comparing *c, octet_tensor *in, const octet_node *node, int i, octet_error *err)
{
    const octet_value *const v = node->inputs[i];
    if (v->constant) {
        *in = *v->constant;
        return OCTET_OK;
    }
    const octet_value *const twin = octet_graph_find_value(c->graphs[0], v->name);
    if (!twin) return OCTET_ERR_ARGUMENT;
    *in = octet_workspace_value(c->workspaces[0], twin);
    const octet_qparams *const q = octet_value_levels(c->graphs[1], v);
    if (!in->data || in->dtype != OCTET_F32) return OCTET_ERR_ARGUMENT;
    if (q) return to_levels(in, in->data, q, c->arena, err);
    const octet_qparams *const out   = octet_value_levels(c->graphs[1], node->outputs[0]);
    const size_t               count = (size_t)octet_tensor_count(in);
    float                     *unit; /* sums that flow into an Add come in units of its scale */
    OCTET_TRY(octet_arena_get(&unit, c->arena, count, sizeof *unit, err));
    for (size_t k = 0; k < count; k++) unit[k] = ((const float *)in->data)[k] / (out ? out->scale[0] : 1.0f);
    in->data = unit;
    return OCTET_OK;
}

static octet_status run_local(comparing *c, octet_tensor *out, const octet_node *node, octet_error *err)
{
    octet_tensor        tensors[MOST_INPUTS];
    const octet_tensor *in[MOST_INPUTS] = { 0 };
    octet_tensor       *outs[]          = { out };
    if (node->input_count > MOST_INPUTS || node->output_count != 1) return OCTET_ERR_ARGUMENT;
    for (int i = 0; i < node->input_count; i++) {
        if (!node->inputs[i]) continue;
        OCTET_TRY(local_input(c, &tensors[i], node, i, err));
        in[i] = &tensors[i];
    }
    out->qparams = octet_value_levels(c->graphs[1], node->outputs[0]);
    out->dtype   = out->qparams ? out->qparams->dtype : OCTET_F32;
    OCTET_TRY(
        octet_arena_get(&out->data, c->arena, (size_t)octet_tensor_count(out), octet_dtype_size(out->dtype), err));
    octet_call call = { .node = node, .attrs = node->attrs, .in = in, .out = outs, .in_count = node->input_count,
                        .out_count = 1, .arena = c->arena, .threads = c->threads, .profile = &octet_profile_octet };
    const size_t scratch = node->op->scratch_size ? node->op->scratch_size(&call, true) : 0;
    OCTET_TRY(octet_arena_get(&call.scratch, c->arena, scratch, 1, err));
    return node->op->forward_integer(&call, err);
}

static octet_status add_local(comparing *c, layer *l, const octet_tensor *reference, octet_error *err)
{
    if (octet_node_compute_mode(c->graphs[1], l->node) == OCTET_MODE_REAL) return OCTET_OK;
    octet_tensor       out    = *reference;
    const octet_status status = run_local(c, &out, l->node, err);
    if (status == OCTET_ERR_ARGUMENT) return OCTET_OK; /* not comparable */
    OCTET_TRY(status);
    const float *real;
    OCTET_TRY(as_real(&real, &out, c->arena, err));
    octet_sqnr_add(&l->local, reference->data, real, (size_t)octet_tensor_count(reference));
    return OCTET_OK;
}

/* Sums that stay in an accumulator have no value of their own to compare. */
static octet_status add_accumulated(comparing *c, layer *l, const octet_tensor *reference, octet_error *err)
{
    const octet_tensor measured = octet_workspace_value(c->workspaces[1], l->node->outputs[0]);
    if (!measured.data || octet_node_fused_add(c->graphs[1], l->node)) return OCTET_OK;
    if (octet_tensor_count(&measured) != octet_tensor_count(reference)) return OCTET_OK;
    if (!measured.qparams && measured.dtype != OCTET_F32) return OCTET_OK;
    const float *real;
    OCTET_TRY(as_real(&real, &measured, c->arena, err));
    octet_sqnr_add(&l->accumulated, reference->data, real, (size_t)octet_tensor_count(reference));
    return OCTET_OK;
}

static octet_status compare_layer(comparing *c, layer *l, octet_error *err)
{
    c->arena = octet_arena_new();
    if (!c->arena) return octet_fail_memory(err);
    const octet_tensor reference = octet_workspace_value(c->workspaces[0], l->reference);
    octet_status       status    = OCTET_OK;
    if (reference.data && reference.dtype == OCTET_F32) {
        octet_tensor kept = reference; /* the view is valid until the next look: keep its numbers */
        kept.data = octet_arena_copy_bytes(c->arena, reference.data, (size_t)octet_tensor_bytes(&reference));
        status    = kept.data ? add_accumulated(c, l, &kept, err) : octet_fail_memory(err);
        if (status == OCTET_OK) status = add_local(c, l, &kept, err);
    }
    octet_arena_free(c->arena);
    c->arena = NULL;
    return status;
}

/* ---- samples ---- */

static octet_status compare_sample(comparing *c, octet_dataset *data, size_t index, octet_error *err)
{
    const octet_port port  = octet_dataset_port(data);
    octet_tensor     input = { .dtype = OCTET_F32, .rank = port.rank, .data = c->values };
    octet_tensor     outputs[2][OUTPUTS];
    memcpy(input.dims, port.dims, sizeof input.dims);
    OCTET_TRY(octet_dataset_read(data, index, c->values, NULL, err));
    for (int i = 0; i < 2; i++) OCTET_TRY(octet_run(c->workspaces[i], &input, outputs[i], err));
    octet_sqnr_add(&c->output, outputs[0][0].data, outputs[1][0].data, (size_t)octet_tensor_count(&outputs[0][0]));
    for (size_t i = 0; i < c->layer_count; i++) OCTET_TRY(compare_layer(c, &c->layers[i], err));
    return OCTET_OK;
}

static void run_worker(void *context, size_t i)
{
    team *const      t = context;
    comparing *const c = &t->workers[i];
    c->status          = compare_sample(c, t->data, t->first + i, &c->error);
}

/* Adds a worker's sums and clears them. */
static void gather(team *t, comparing *c)
{
    octet_sqnr_merge(&t->output, &c->output);
    c->output = (octet_sqnr){ 0 };
    for (size_t i = 0; i < t->layer_count; i++) {
        octet_sqnr_merge(&t->layers[i].local, &c->layers[i].local);
        octet_sqnr_merge(&t->layers[i].accumulated, &c->layers[i].accumulated);
        c->layers[i].local = c->layers[i].accumulated = (octet_sqnr){ 0 };
    }
}

static octet_status compare_samples(team *t, size_t total, octet_error *err)
{
    const size_t left = total - t->first, count = left < t->count ? left : t->count;
    octet_parallel(count, (int)count, run_worker, t);
    for (size_t i = 0; i < count; i++) {
        if (t->workers[i].status != OCTET_OK) {
            if (err) *err = t->workers[i].error;
            return t->workers[i].status;
        }
        gather(t, &t->workers[i]);
    }
    t->first += count;
    return OCTET_OK;
}

static octet_status list_layers(team *t, octet_arena *arena, octet_error *err)
{
    OCTET_TRY(octet_arena_get(&t->layers, arena, (size_t)t->graphs[1]->node_count, sizeof *t->layers, err));
    for (const octet_node *n = t->graphs[1]->first; n; n = n->next) {
        const octet_value *const out  = n->output_count ? n->outputs[0] : NULL;
        const octet_value *const twin = out ? octet_graph_find_value(t->graphs[0], out->name) : NULL;
        if (twin && out->dtype == OCTET_F32) t->layers[t->layer_count++] = (layer){ .node = n, .reference = twin };
    }
    return OCTET_OK;
}

static octet_status make_worker(comparing *c, const team *t, octet_arena *arena, octet_error *err)
{
    const octet_port port  = octet_dataset_port(t->data);
    octet_tensor     shape = { .dtype = OCTET_F32, .rank = port.rank };
    memcpy(shape.dims, port.dims, sizeof shape.dims);
    *c = (comparing){ .graphs = { t->graphs[0], t->graphs[1] }, .layer_count = t->layer_count, .threads = t->threads };
    OCTET_TRY(octet_arena_get(&c->values, arena, (size_t)octet_tensor_count(&shape), sizeof *c->values, err));
    OCTET_TRY(octet_arena_get(&c->layers, arena, t->layer_count, sizeof *c->layers, err));
    if (t->layer_count) memcpy(c->layers, t->layers, t->layer_count * sizeof *c->layers);
    for (int i = 0; i < 2; i++) OCTET_TRY(octet_workspace_create(&c->workspaces[i], t->plans[i], err));
    return OCTET_OK;
}

static octet_status make_team(team *t, const octet_evaluate_options *options, octet_arena *arena, octet_error *err)
{
    const int    asked   = options->plan.threads;
    const size_t threads = (size_t)(asked > 0 ? asked : octet_default_threads()), total = octet_dataset_count(t->data);
    t->count             = threads < MOST_WORKERS ? threads : MOST_WORKERS;
    if (t->count > total) t->count = total ? total : 1;
    t->threads = (int)(threads / t->count);
    for (int i = 0; i < 2; i++) {
        octet_plan_options how = i ? options->plan : options->baseline_plan;
        how.batch = 1, how.keep_values = true, how.threads = t->threads;
        OCTET_TRY(octet_plan_create(&t->plans[i], t->graphs[i], &how, err));
    }
    OCTET_TRY(list_layers(t, arena, err));
    for (size_t i = 0; i < t->count; i++) OCTET_TRY(make_worker(&t->workers[i], t, arena, err));
    return OCTET_OK;
}

static octet_status run_all(team *t, const octet_evaluate_options *options, octet_arena *arena, octet_error *err)
{
    const size_t total = octet_dataset_count(t->data);
    OCTET_TRY(make_team(t, options, arena, err));
    while (t->first < total) {
        OCTET_TRY(compare_samples(t, total, err));
        const octet_progress progress = { "compare", t->first, total };
        if (options->progress && options->progress(options->progress_context, &progress))
            return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
    }
    return OCTET_OK;
}

static void disband(team *t)
{
    for (int i = 0; i < 2; i++) {
        for (size_t w = 0; w < t->count; w++) octet_workspace_free(t->workers[w].workspaces[i]);
        octet_plan_free(t->plans[i]);
    }
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

static octet_status fill_result(octet_comparison *result, const team *t, octet_arena *arena, octet_error *err)
{
    octet_layer_error *layers;
    OCTET_TRY(octet_arena_get(&layers, arena, t->layer_count, sizeof *layers, err));
    for (size_t i = 0; i < t->layer_count; i++) {
        const layer *const l = &t->layers[i];
        layers[i] = (octet_layer_error){
            .name = octet_arena_copy(arena, l->node->name), .op = octet_arena_copy(arena, l->node->op->name),
            .merged = octet_arena_copy(arena, l->node->merged ? l->node->merged : ""),
            .local_db = octet_sqnr_db(&l->local), .accumulated_db = octet_sqnr_db(&l->accumulated),
            .cosine = octet_sqnr_cosine(&l->accumulated), .max_abs = l->accumulated.max_abs, .weights_db = NAN,
            .output_db = NAN, .gain_db = NAN, .why = "", .remedy = "", .remedy_db = NAN,
        };
        if (!layers[i].name || !layers[i].op || !layers[i].merged) return octet_fail_memory(err);
    }
    qsort(layers, t->layer_count, sizeof *layers, worst_first);
    result->output_sqnr_db = octet_sqnr_db(&t->output);
    result->output_cosine  = octet_sqnr_cosine(&t->output);
    result->output_max_abs = t->output.max_abs;
    result->layer_count    = t->layer_count;
    result->layers         = layers;
    return OCTET_OK;
}

octet_status octet_compare(octet_comparison **comparison, octet_graph *reference, octet_graph *quantized,
                           octet_dataset *data, const octet_evaluate_options *options, octet_error *err)
{
    const octet_evaluate_options defaults = { 0 };
    *comparison                           = NULL;
    OCTET_TRY(octet_fuse(reference, err));
    OCTET_TRY(octet_fuse(quantized, err));
    octet_arena *const  arena = octet_arena_new();
    struct owned *const owned = arena ? octet_arena_alloc(arena, 1, sizeof *owned) : NULL;
    team                t     = { .graphs = { reference, quantized }, .data = data };
    octet_status        status = owned ? OCTET_OK : octet_fail_memory(err);
    if (status == OCTET_OK) status = run_all(&t, options ? options : &defaults, arena, err);
    if (status == OCTET_OK) status = fill_result(&owned->comparison, &t, arena, err);
    disband(&t);
    if (status != OCTET_OK) {
        octet_arena_free(arena);
        return status;
    }
    owned->arena              = arena;
    owned->comparison.samples = octet_dataset_count(data);
    *comparison               = &owned->comparison;
    return OCTET_OK;
}

void octet_comparison_free(octet_comparison *comparison)
{
    if (comparison) octet_arena_free(((struct owned *)(void *)comparison)->arena);
}
