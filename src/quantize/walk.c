/* SPDX-License-Identifier: Apache-2.0 */
/* A segment runs as a small network of its own, on an engine's usual plan, one sample a thread. Levels go in and out as
   the real numbers they stand for, which give the same levels again. */
#include "quantize/walk.h"

#include "base/parallel.h"
#include "engine/run.h"
#include "ops/levels.h"
#include "quantize/samples.h"

#include <string.h>

enum { MOST_WORKERS = 4, MOST_SAMPLES = 4096 };

/* ---- kept values ---- */

static octet_tensor form_of(const octet_graph *quantized, const octet_value *value)
{
    octet_tensor form = octet_value_tensor(value, 1);
    form.qparams      = octet_value_levels(quantized, value);
    if (form.qparams) form.dtype = form.qparams->dtype;
    return form;
}

static octet_status keep(octet_walk *w, const octet_value *value, octet_error *err)
{
    octet_kept *const k = &w->kept[value->index];
    k->arena            = octet_arena_new();
    if (!k->arena) return octet_fail_memory(err);
    k->form            = form_of(w->networks[OCTET_WALK_QUANTIZED], value);
    k->count           = (size_t)octet_tensor_count(&k->form);
    const size_t bytes = (size_t)octet_tensor_bytes(&k->form);
    OCTET_TRY(octet_arena_get(&k->stored, k->arena, bytes * w->samples, 1, err));
    return octet_arena_get(&k->real, k->arena, k->count * w->samples, sizeof *k->real, err);
}

static void forget(octet_walk *w, const octet_value *value)
{
    octet_arena_free(w->kept[value->index].arena);
    w->kept[value->index].arena = NULL;
}

static uint8_t *stored_at(const octet_kept *k, size_t sample)
{
    return k->stored + sample * k->count * octet_dtype_size(k->form.dtype);
}

static void store(const octet_kept *k, size_t sample, const float *x, int32_t *row)
{
    const octet_qparams *const q = k->form.qparams;
    if (!q) {
        memcpy(stored_at(k, sample), x, k->count * sizeof *x);
        return;
    }
    const octet_level_rule to = { q->scale[0], q->zero_point[0], q->qmin, q->qmax };
    octet_profile_octet.quantize(row, x, k->count, &to);
    octet_levels_store(stored_at(k, sample), k->form.dtype, 0, row, k->count);
}

/* A kept sample as real numbers; room where it is levels. */
static float *load(const octet_kept *k, size_t sample, float *room)
{
    octet_tensor levels = k->form;
    levels.data         = stored_at(k, sample);
    if (!levels.qparams) return levels.data;
    octet_levels_real(room, &levels, 0, k->count, 0);
    return room;
}

/* ---- one segment over all samples ---- */

/* What a worker has for itself. */
typedef struct hand {
    octet_workspace *workspace;
    octet_tensor    *inputs, *outputs;
    float          **rooms; /* one per input */
    int32_t         *row;
    octet_error      error;
} hand;

typedef struct passing {
    octet_walk            *walk;
    const octet_walk_pass *as;
    const octet_segment   *segment;
    octet_graph           *cut;
    octet_plan            *plan;
    hand                   hands[MOST_WORKERS];
    size_t                 next;
} passing;

static octet_status keep_output(const passing *p, const hand *h, size_t sample, size_t output, octet_error *err)
{
    const octet_kept *const k   = &p->walk->kept[p->segment->outputs[output]->index];
    const octet_tensor      got = h->outputs[output];
    if ((size_t)octet_tensor_count(&got) != k->count || got.dtype != OCTET_F32)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "'%.80s' has no fixed shape", p->segment->outputs[output]->name);
    if (p->as->bare) return OCTET_OK;
    if (p->as->network == OCTET_WALK_FLOAT) memcpy(k->real + sample * k->count, got.data, k->count * sizeof *k->real);
    else store(k, sample, got.data, h->row);
    return OCTET_OK;
}

static octet_status pass_sample(passing *p, hand *h, size_t sample, octet_error *err)
{
    const octet_segment *const s       = p->segment;
    const bool                 is_real = p->as->network == OCTET_WALK_FLOAT;
    for (size_t i = 0; i < s->input_count; i++) {
        const octet_kept *const k = &p->walk->kept[s->inputs[i]->index];
        h->inputs[i]              = octet_value_tensor(s->inputs[i], 1);
        h->inputs[i].data         = is_real ? k->real + sample * k->count : load(k, sample, h->rooms[i]);
    }
    OCTET_TRY(octet_run(h->workspace, h->inputs, h->outputs, err));
    for (size_t i = 0; i < s->output_count; i++) OCTET_TRY(keep_output(p, h, sample, i, err));
    if (p->as->look) p->as->look(p->as->context, sample, h->outputs);
    return OCTET_OK;
}

static void run_worker(void *context, size_t worker)
{
    passing *const p = context;
    hand *const    h = &p->hands[worker];
    for (;;) {
        const size_t sample = __atomic_fetch_add(&p->next, 1, __ATOMIC_RELAXED);
        if (sample >= p->walk->samples) return;
        if (pass_sample(p, h, sample, &h->error) == OCTET_OK) continue;
        __atomic_store_n(&p->next, p->walk->samples, __ATOMIC_RELAXED);
        return;
    }
}

static octet_status make_hand(hand *h, const passing *p, octet_arena *arena, octet_error *err)
{
    const octet_segment *const s    = p->segment;
    size_t                     most = 0;
    OCTET_TRY(octet_workspace_create(&h->workspace, p->plan, err));
    OCTET_TRY(octet_arena_get(&h->inputs, arena, s->input_count, sizeof *h->inputs, err));
    OCTET_TRY(octet_arena_get(&h->outputs, arena, s->output_count, sizeof *h->outputs, err));
    OCTET_TRY(octet_arena_get(&h->rooms, arena, s->input_count, sizeof *h->rooms, err));
    for (size_t i = 0; i < s->input_count; i++) {
        const octet_kept *const k     = &p->walk->kept[s->inputs[i]->index];
        const size_t            count = k->form.qparams && p->as->network == OCTET_WALK_QUANTIZED ? k->count : 0;
        OCTET_TRY(octet_arena_get(&h->rooms[i], arena, count, sizeof **h->rooms, err));
    }
    for (size_t i = 0; i < s->output_count; i++)
        if (p->walk->kept[s->outputs[i]->index].count > most) most = p->walk->kept[s->outputs[i]->index].count;
    return octet_arena_get(&h->row, arena, p->as->network == OCTET_WALK_QUANTIZED ? most : 0, sizeof *h->row, err);
}

static octet_status pass_all(passing *p, octet_arena *arena, octet_error *err)
{
    const int                workers = p->walk->workers;
    const octet_plan_options options = { .threads = 1, .batch = 1, .reals = true,
                                         .profile = p->as->network == OCTET_WALK_QUANTIZED ? p->walk->profile : NULL };
    OCTET_TRY(octet_segment_cut(&p->cut, p->walk->networks[p->as->network], p->segment, p->as->bare, err));
    OCTET_TRY(octet_plan_create(&p->plan, p->cut, &options, err));
    for (int i = 0; i < workers; i++) OCTET_TRY(make_hand(&p->hands[i], p, arena, err));
    octet_parallel((size_t)workers, workers, run_worker, p);
    for (int i = 0; i < workers; i++)
        if (p->hands[i].error.status != OCTET_OK) {
            if (err) *err = p->hands[i].error;
            return p->hands[i].error.status;
        }
    p->walk->runs += p->segment->nodes * p->walk->samples;
    return OCTET_OK;
}

octet_status octet_walk_run(octet_walk *walk, const octet_walk_pass *pass, octet_error *err)
{
    passing            p     = { .walk = walk, .as = pass, .segment = &walk->segments.at[pass->segment] };
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    const octet_status status = pass_all(&p, arena, err);
    for (int i = 0; i < walk->workers; i++) octet_workspace_free(p.hands[i].workspace);
    octet_plan_free(p.plan);
    octet_graph_free(p.cut);
    octet_arena_free(arena);
    return status;
}

octet_status octet_walk_enter(octet_walk *walk, size_t segment, octet_error *err)
{
    const octet_segment *const s = &walk->segments.at[segment];
    for (size_t i = 0; i < s->output_count; i++) OCTET_TRY(keep(walk, s->outputs[i], err));
    return OCTET_OK;
}

/* Kept values that no later segment reads. */
void octet_walk_leave(octet_walk *walk, size_t segment)
{
    const octet_segment *const s = &walk->segments.at[segment];
    for (size_t i = 0; i < s->input_count; i++)
        if (walk->segments.last[s->inputs[i]->index] <= (int)segment) forget(walk, s->inputs[i]);
    for (size_t i = 0; i < s->output_count; i++)
        if (walk->segments.last[s->outputs[i]->index] <= (int)segment) forget(walk, s->outputs[i]);
}

/* ---- from the beginning ---- */

static size_t bytes_of(const octet_walk *w, const octet_value *value)
{
    const octet_tensor form = form_of(w->networks[OCTET_WALK_QUANTIZED], value);
    return (size_t)octet_tensor_count(&form) * (octet_dtype_size(form.dtype) + sizeof(float));
}

/* The most bytes that are kept of one sample at a time. */
static size_t bytes_per_sample(const octet_walk *w)
{
    const octet_graph *const g     = w->networks[OCTET_WALK_QUANTIZED];
    size_t                   bytes = 0, most;
    for (size_t i = 0; i < g->input_count; i++) bytes += bytes_of(w, g->inputs[i]);
    most = bytes;
    for (size_t k = 0; k < w->segments.count; k++) {
        const octet_segment *const s = &w->segments.at[k];
        for (size_t i = 0; i < s->output_count; i++) bytes += bytes_of(w, s->outputs[i]);
        if (bytes > most) most = bytes;
        for (size_t i = 0; i < s->input_count; i++)
            if (w->segments.last[s->inputs[i]->index] <= (int)k) bytes -= bytes_of(w, s->inputs[i]);
        for (size_t i = 0; i < s->output_count; i++)
            if (w->segments.last[s->outputs[i]->index] <= (int)k) bytes -= bytes_of(w, s->outputs[i]);
    }
    return most ? most : 1;
}

static octet_status read_samples(octet_walk *w, octet_dataset *data, octet_arena *arena, octet_error *err)
{
    const octet_value *const input = w->networks[OCTET_WALK_QUANTIZED]->inputs[0];
    octet_kept *const        k     = &w->kept[input->index];
    int32_t                 *row;
    OCTET_TRY(keep(w, input, err));
    OCTET_TRY(octet_arena_get(&row, arena, k->count, sizeof *row, err));
    for (size_t i = 0; i < w->samples; i++) {
        float *const x = k->real + i * k->count;
        OCTET_TRY(octet_dataset_read(data, i * w->total / w->samples, x, NULL, err));
        store(k, i, x, row);
    }
    return OCTET_OK;
}

octet_status octet_walk_begin(octet_walk *walk, const octet_walk_start *start, octet_arena *arena, octet_error *err)
{
    *walk = (octet_walk){ .networks = { start->real, start->quantized }, .total = octet_dataset_count(start->data),
                          .profile = start->profile };
    if (start->quantized->input_count != 1 || start->quantized->inputs[0]->dtype != OCTET_F32)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "network has %zu inputs (need one, of float32)",
                          start->quantized->input_count);
    OCTET_TRY(octet_check_bound(start->quantized, "bias correction", err));
    if (!walk->total) return octet_fail(err, OCTET_ERR_ARGUMENT, "there are no samples");
    const size_t values = (size_t)start->quantized->value_count;
    OCTET_TRY(octet_segments_find(&walk->segments, start->quantized, arena, err));
    OCTET_TRY(octet_arena_get(&walk->kept, arena, values, sizeof *walk->kept, err));
    walk->kept_count = values;
    const size_t fit = start->memory / bytes_per_sample(walk);
    walk->samples    = fit < 1 ? 1 : fit < MOST_SAMPLES ? fit : MOST_SAMPLES;
    if (walk->samples > walk->total) walk->samples = walk->total;
    walk->workers = start->threads < MOST_WORKERS ? start->threads : MOST_WORKERS;
    if ((size_t)walk->workers > walk->samples) walk->workers = (int)walk->samples;
    return read_samples(walk, start->data, arena, err);
}

void octet_walk_end(octet_walk *walk)
{
    for (size_t i = 0; walk->kept && i < walk->kept_count; i++) octet_arena_free(walk->kept[i].arena);
}
