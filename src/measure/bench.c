/* SPDX-License-Identifier: Apache-2.0 */
/* Engines and a baseline take turns, and the turn's first moves on every round: what disturbs the machine disturbs
   all of them, and none always runs behind the same other one. Layers are timed in rounds of their own kind, because
   looking at the clock costs time too. */
#include <octet/bench.h>

#include "base/clock.h"
#include "engine/run.h"
#include "measure/inputs.h"
#include "measure/steps.h"
#include "measure/timing.h"

#include <math.h>
#include <string.h>

enum { MOST_ENGINES = 16, INPUT_SETS = 8, LEAST_RUNS = 3, MOST_RUNS = 100000, LAYER_RUNS = 200, LAYER_CELLS = 1 << 22 };

/* What is run: of the model its levels, where they cross the border; the baseline gets real numbers. */
typedef struct feed {
    octet_inputs  source;
    octet_tensor *sets[INPUT_SETS];
    octet_tensor *shapes; /* of one set, without data */
} feed;

/* One engine asked first, or the baseline. */
typedef struct runner {
    octet_bench_engine result;
    octet_graph       *graph;
    const feed        *feed;
    octet_plan        *plan;
    octet_workspace   *workspace;
    octet_tensor      *outputs;
    double            *seconds; /* of every run */
    uint64_t          *hashes;  /* of the outputs, by input; 0: not run yet */
    double            *steps;   /* of layer runs: a row of step times for each */
} runner;

typedef struct benching {
    const octet_bench_options *options;
    octet_arena               *arena;
    feed                       feeds[2]; /* the model's, the baseline's */
    size_t                     set_count;
    const char                *names[MOST_ENGINES]; /* engines to ask first */
    size_t                     name_count;
    runner                     runners[MOST_ENGINES + 1]; /* the baseline is the last */
    size_t                     count;
    bool                       has_baseline;
    const char                *left_out;
    size_t                     runs, layer_runs;
} benching;

struct owned {
    octet_bench  bench; /* first: the caller's pointer is the owner's */
    octet_arena *arena;
};

/* ---- which engines ---- */

static octet_status list_engines(benching *b, octet_error *err)
{
    const char *names = b->options->plan.engines, *name;
    while (names && *names) {
        const size_t length = strcspn(names, ",");
        if (b->name_count == MOST_ENGINES)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "more than %d engines", (int)MOST_ENGINES);
        name = octet_arena_format(b->arena, "%.*s", (int)length, names);
        if (!name) return octet_fail_memory(err);
        b->names[b->name_count++] = name;
        names += length + (names[length] == ',');
    }
    for (size_t i = 0; !b->options->plan.engines && (name = octet_engine_name(i, NULL)) && i < MOST_ENGINES; i++)
        b->names[b->name_count++] = name;
    return b->name_count ? OCTET_OK : octet_fail(err, OCTET_ERR_ARGUMENT, "the list of engines is empty");
}

/* "first, and then the others as they stand". NULL: memory is out. */
static const char *engines_from(const benching *b, size_t first)
{
    const char *text = b->names[first];
    for (size_t i = 0; i < b->name_count && text; i++)
        if (i != first) text = octet_arena_format(b->arena, "%s,%s", text, b->names[i]);
    return text;
}

static bool runs_a_node(const runner *r, const char *engine)
{
    for (size_t i = 0; i < octet_plan_step_count(r->plan); i++) {
        const octet_step_info step = octet_plan_step(r->plan, i);
        if (!strcmp(step.engine, engine) && octet_step_nodes_of(r->graph, &step).node) return true;
    }
    return false;
}

static bool same_steps(const octet_plan *a, const octet_plan *b)
{
    const size_t count = octet_plan_step_count(a);
    if (count != octet_plan_step_count(b)) return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(octet_plan_step(a, i).engine, octet_plan_step(b, i).engine) != 0) return false;
    return true;
}

/* Why there is nothing to time, or NULL. */
static const char *idle_reason(const benching *b, const runner *r)
{
    if (!runs_a_node(r, r->result.name)) return "runs no node of this network";
    for (size_t i = 0; i < b->count; i++)
        if (same_steps(r->plan, b->runners[i].plan))
            return octet_arena_format(b->arena, "the plan is that of %s", b->runners[i].result.name);
    return NULL;
}

/* ---- making runners ---- */

static octet_status plan_runner(runner *r, const benching *b, const char *engines, octet_error *err)
{
    octet_plan_options how   = b->options->plan;
    const double       began = octet_clock();
    how.engines = engines, how.inputs = r->feed->shapes, how.keep_values = false, how.reals = !r->feed->source.levels;
    OCTET_TRY(octet_plan_create(&r->plan, r->graph, &how, err));
    OCTET_TRY(octet_workspace_create(&r->workspace, r->plan, err));
    r->result.plan_seconds    = octet_clock() - began;
    r->result.workspace_bytes = octet_plan_memory(r->plan);
    return OCTET_OK;
}

static octet_status make_room(runner *r, const benching *b, octet_error *err)
{
    const size_t steps = octet_plan_step_count(r->plan);
    OCTET_TRY(octet_arena_get(&r->outputs, b->arena, octet_graph_output_count(r->graph), sizeof *r->outputs, err));
    OCTET_TRY(octet_arena_get(&r->hashes, b->arena, b->set_count, sizeof *r->hashes, err));
    OCTET_TRY(octet_arena_get(&r->seconds, b->arena, b->runs, sizeof *r->seconds, err));
    return b->options->layers ? octet_arena_get(&r->steps, b->arena, b->layer_runs * steps, sizeof *r->steps, err)
                              : OCTET_OK;
}

static void drop(runner *r)
{
    octet_workspace_free(r->workspace);
    octet_plan_free(r->plan);
    r->workspace = NULL, r->plan = NULL;
}

/* The definition is slow: it is timed where somebody asks for it or nobody else runs anything. */
static bool wanted(const benching *b, size_t index)
{
    return b->options->plan.engines || b->count == 0 || strcmp(b->names[index], "reference") != 0;
}

static octet_status leave_out(benching *b, const char *name, const char *why, octet_error *err)
{
    b->left_out = octet_arena_format(b->arena, "%s%s%s: %s", b->left_out, *b->left_out ? "; " : "", name, why);
    return b->left_out ? OCTET_OK : octet_fail_memory(err);
}

static octet_status add_engine(benching *b, octet_graph *model, size_t index, octet_error *err)
{
    runner *const     r       = &b->runners[b->count];
    const char *const engines = engines_from(b, index);
    if (!engines) return octet_fail_memory(err);
    *r                        = (runner){ .graph = model, .feed = &b->feeds[0], .result.name = b->names[index] };
    octet_status      status  = plan_runner(r, b, engines, err);
    const char *const idle    = status == OCTET_OK ? idle_reason(b, r) : NULL;
    if (status == OCTET_OK && idle) {
        status = leave_out(b, b->names[index], idle, err);
        drop(r);
        return status;
    }
    b->count++; /* from here on it is freed with the others */
    return status;
}

/* The name that stands for a plan of the default choice: the first engine that runs a node. */
static const char *leading_engine(const runner *r)
{
    const char *name;
    for (size_t i = 0; (name = octet_engine_name(i, NULL)); i++)
        if (runs_a_node(r, name)) return name;
    return "reference";
}

static octet_status add_default(benching *b, octet_graph *graph, const feed *fed, octet_error *err)
{
    runner *const     r       = &b->runners[b->count++];
    const char *const engines = fed == &b->feeds[0] ? b->options->plan.engines : NULL;
    *r                        = (runner){ .graph = graph, .feed = fed };
    OCTET_TRY(plan_runner(r, b, engines, err));
    r->result.name = leading_engine(r);
    return OCTET_OK;
}

static size_t most_steps(const benching *b)
{
    size_t most = 1;
    for (size_t i = 0; i < b->count; i++) {
        const size_t steps = octet_plan_step_count(b->runners[i].plan);
        if (steps > most) most = steps;
    }
    return most;
}

static octet_status make_runners(benching *b, octet_graph *model, octet_graph *baseline, octet_error *err)
{
    if (b->options->default_only) OCTET_TRY(add_default(b, model, &b->feeds[0], err));
    else OCTET_TRY(list_engines(b, err));
    for (size_t i = 0; i < b->name_count; i++)
        if (wanted(b, i)) OCTET_TRY(add_engine(b, model, i, err));
    if (!b->count) return octet_fail(err, OCTET_ERR_UNSUPPORTED, "no engine to time: %s", b->left_out);
    if (baseline) OCTET_TRY(add_default(b, baseline, &b->feeds[1], err));
    b->has_baseline = baseline != NULL;
    b->runs       = b->options->runs ? b->options->runs : MOST_RUNS;
    b->layer_runs = LAYER_CELLS / most_steps(b);
    if (b->layer_runs > LAYER_RUNS) b->layer_runs = LAYER_RUNS;
    if (b->layer_runs > b->runs) b->layer_runs = b->runs;
    if (b->layer_runs < 1) b->layer_runs = 1;
    for (size_t i = 0; i < b->count; i++) OCTET_TRY(make_room(&b->runners[i], b, err));
    return OCTET_OK;
}

static octet_status make_feed(feed *f, benching *b, octet_error *err)
{
    const size_t most = octet_inputs_count(&f->source);
    b->set_count      = most < INPUT_SETS ? most : INPUT_SETS;
    for (size_t i = 0; i < b->set_count; i++) {
        OCTET_TRY(octet_inputs_make(&f->sets[i], &f->source, b->arena, err));
        OCTET_TRY(octet_inputs_fill(f->sets[i], &f->source, i, err));
    }
    return octet_inputs_shapes(&f->shapes, &f->source, b->arena, err);
}

/* ---- one run ---- */

/* Mixes all bytes of the outputs into one number, never 0. */
static uint64_t hash_outputs(const runner *r)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t o = 0; o < octet_graph_output_count(r->graph); o++) {
        const uint8_t *const bytes = r->outputs[o].data;
        const size_t         size  = (size_t)octet_tensor_bytes(&r->outputs[o]);
        for (size_t i = 0; i < size; i += 8) {
            uint64_t word = 0;
            memcpy(&word, bytes + i, size - i < 8 ? size - i : 8);
            hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
            hash ^= hash >> 29;
        }
    }
    return hash | 1;
}

static size_t count_not_finite(const runner *r)
{
    size_t count = 0;
    for (size_t o = 0; o < octet_graph_output_count(r->graph); o++) {
        const octet_tensor *const out = &r->outputs[o];
        if (out->dtype != OCTET_F32) continue;
        for (int64_t i = 0; i < octet_tensor_count(out); i++) count += isfinite(((const float *)out->data)[i]) ? 0 : 1;
    }
    return count;
}

static octet_status check_outputs(runner *r, size_t set, octet_error *err)
{
    const uint64_t hash = hash_outputs(r);
    if (!r->hashes[set]) {
        r->hashes[set] = hash;
        r->result.not_finite += count_not_finite(r);
    }
    if (r->hashes[set] == hash) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_BACKEND, "engine '%s' gave other bytes when it ran the same input again",
                      r->result.name);
}

static octet_status run_once(double *seconds, runner *r, size_t set, octet_error *err)
{
    const double began = octet_clock();
    OCTET_TRY(octet_run(r->workspace, r->feed->sets[set], r->outputs, err));
    *seconds = octet_clock() - began;
    return check_outputs(r, set, err);
}

static octet_status run_layers(runner *r, const benching *b, size_t round, octet_error *err)
{
    double unused;
    octet_workspace_set_times(r->workspace, r->steps + round * octet_plan_step_count(r->plan));
    const octet_status status = run_once(&unused, r, round % b->set_count, err);
    octet_workspace_set_times(r->workspace, NULL);
    return status;
}

/* ---- all runs ---- */

/* Once at least; then until all inputs have been seen or a fifth of a second is over. */
static octet_status warm_up(benching *b, octet_error *err)
{
    for (size_t i = 0; i < b->count; i++) {
        double seconds, total = 0;
        for (size_t set = 0; set < b->set_count && total < 0.2; set++) {
            OCTET_TRY(run_once(&seconds, &b->runners[i], set, err));
            total += seconds;
        }
    }
    return OCTET_OK;
}

static octet_status run_round(benching *b, size_t round, octet_error *err)
{
    for (size_t i = 0; i < b->count; i++) {
        runner *const r = &b->runners[(round + i) % b->count];
        OCTET_TRY(run_once(&r->seconds[round], r, round % b->set_count, err));
        r->result.time.runs = round + 1;
    }
    const bool layers = b->options->layers && round < b->layer_runs;
    if (layers) OCTET_TRY(run_layers(&b->runners[0], b, round, err));
    if (layers && b->has_baseline) OCTET_TRY(run_layers(&b->runners[b->count - 1], b, round, err));
    return OCTET_OK;
}

static octet_status run_all(benching *b, octet_error *err)
{
    const octet_bench_options *const o      = b->options;
    const double                     budget = o->seconds > 0 ? o->seconds : 5;
    OCTET_TRY(warm_up(b, err));
    const double start = octet_clock();
    for (size_t round = 0; round < b->runs; round++) {
        const double spent = octet_clock() - start;
        if (!o->runs && round >= LEAST_RUNS && spent >= budget) break;
        const octet_progress progress = { "bench", o->runs ? round : (size_t)(1000 * fmin(spent / budget, 1)),
                                          o->runs ? o->runs : 1000 };
        if (o->progress && o->progress(o->progress_context, &progress))
            return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
        OCTET_TRY(run_round(b, round, err));
    }
    return OCTET_OK;
}

/* ---- the result ---- */

static void sum_up(runner *r, const benching *b)
{
    const size_t runs           = r->result.time.runs;
    r->result.time              = octet_timing_of(r->seconds, runs);
    r->result.images_per_second = (double)b->feeds[0].source.batch / r->result.time.median;
}

static double step_median(const runner *r, size_t step, size_t runs, double *room)
{
    const size_t steps = octet_plan_step_count(r->plan);
    for (size_t i = 0; i < runs; i++) room[i] = r->steps[i * steps + step];
    return octet_timing_of(room, runs).median;
}

/* Where the baseline's node is found in the model: by its name, else by that of what it makes. */
static const octet_node *partner_of(const octet_graph *model, const octet_node *node)
{
    const octet_node *const same = node ? octet_graph_find_node(model, node->name) : NULL;
    if (same || !node) return same;
    const octet_value *const value = octet_graph_find_value(model, node->outputs[0]->name);
    return value ? value->producer : NULL;
}

static void match_baseline(octet_bench *bench, octet_layer_time **row_of, const benching *b, double *room)
{
    const runner *const r    = &b->runners[b->count - 1];
    const size_t        runs = b->layer_runs < r->result.time.runs ? b->layer_runs : r->result.time.runs;
    for (size_t i = 0; i < octet_plan_step_count(r->plan); i++) {
        const octet_step_info   step    = octet_plan_step(r->plan, i);
        const octet_node *const node    = octet_step_nodes_of(r->graph, &step).node;
        const octet_node *const partner = partner_of(b->runners[0].graph, node);
        const double            seconds = step_median(r, i, runs, room);
        octet_layer_time *const row     = partner ? row_of[partner->index] : NULL;
        if (row) {
            row->baseline_seconds = isnan(row->baseline_seconds) ? seconds : row->baseline_seconds + seconds;
        } else {
            bench->baseline_unmatched += seconds;
            bench->baseline_unmatched_count++;
        }
    }
}

static octet_status list_layers(octet_bench *bench, const benching *b, octet_error *err)
{
    const runner *const r    = &b->runners[0];
    const size_t        runs = b->layer_runs < r->result.time.runs ? b->layer_runs : r->result.time.runs;
    octet_layer_time   *rows, **row_of;
    double             *room;
    bench->layer_count = octet_plan_step_count(r->plan);
    OCTET_TRY(octet_arena_get(&room, b->arena, b->layer_runs, sizeof *room, err));
    OCTET_TRY(octet_arena_get(&rows, b->arena, bench->layer_count, sizeof *rows, err));
    OCTET_TRY(octet_arena_get(&row_of, b->arena, (size_t)r->graph->node_count, sizeof *row_of, err));
    for (size_t i = 0; i < bench->layer_count; i++) {
        const octet_step_info  step  = octet_plan_step(r->plan, i);
        const octet_step_nodes nodes = octet_step_nodes_of(r->graph, &step);
        rows[i] = (octet_layer_time){
            .name = octet_arena_copy(b->arena, step.node), .op = octet_arena_copy(b->arena, step.op),
            .engine = octet_arena_copy(b->arena, step.engine), .algorithm = octet_arena_copy(b->arena, step.algorithm),
            .conversion = !nodes.node, .threads = step.threads, .macs = step.macs,
            .seconds = step_median(r, i, runs, room), .baseline_seconds = NAN,
        };
        if (!rows[i].name || !rows[i].op || !rows[i].engine || !rows[i].algorithm) return octet_fail_memory(err);
        if (nodes.node) row_of[nodes.node->index] = &rows[i];
        if (nodes.add) row_of[nodes.add->index] = &rows[i];
    }
    bench->layers = rows;
    if (b->has_baseline) match_baseline(bench, row_of, b, room);
    return OCTET_OK;
}

static octet_status fill_result(octet_bench *bench, benching *b, octet_error *err)
{
    const octet_plan_options *const how = &b->options->plan;
    octet_bench_engine             *engines;
    OCTET_TRY(octet_arena_get(&engines, b->arena, b->count, sizeof *engines, err));
    if (b->options->layers) OCTET_TRY(list_layers(bench, b, err));
    for (size_t i = 0; i < b->count; i++) {
        sum_up(&b->runners[i], b);
        engines[i] = b->runners[i].result;
    }
    bench->threads      = how->threads > 0 ? how->threads : octet_default_threads();
    bench->batch        = b->feeds[0].source.batch;
    bench->inputs       = b->set_count;
    bench->engines      = engines;
    bench->engine_count = b->count - b->has_baseline;
    bench->baseline     = b->has_baseline ? &engines[b->count - 1] : NULL;
    bench->left_out     = b->left_out;
    return OCTET_OK;
}

static octet_status measure(benching *b, octet_graph *model, octet_graph *baseline, octet_error *err)
{
    OCTET_TRY(octet_fuse(model, err));
    if (baseline) OCTET_TRY(octet_fuse(baseline, err));
    octet_inputs source = { .graph = model, .data = b->options->data, .seed = b->options->seed,
                            .batch = b->options->plan.batch > 0 ? b->options->plan.batch : 1,
                            .port_count = octet_graph_input_count(model) };
    b->feeds[1].source = source;
    source.levels      = true;
    b->feeds[0].source = source;
    for (size_t i = 0; i < (baseline ? 2 : 1); i++) OCTET_TRY(make_feed(&b->feeds[i], b, err));
    OCTET_TRY(make_runners(b, model, baseline, err));
    return run_all(b, err);
}

octet_status octet_bench_run(octet_bench **bench, octet_graph *model, octet_graph *baseline,
                             const octet_bench_options *options, octet_error *err)
{
    const octet_bench_options defaults = { 0 };
    octet_arena *const        arena    = octet_arena_new();
    struct owned *const       owned    = arena ? octet_arena_alloc(arena, 1, sizeof *owned) : NULL;
    benching                  b        = { .options = options ? options : &defaults, .arena = arena, .left_out = "" };
    *bench                             = NULL;
    octet_status status                = owned ? measure(&b, model, baseline, err) : octet_fail_memory(err);
    if (status == OCTET_OK) status = fill_result(&owned->bench, &b, err);
    for (size_t i = 0; i < b.count; i++) drop(&b.runners[i]);
    if (status != OCTET_OK) {
        octet_arena_free(arena);
        return status;
    }
    owned->arena = arena;
    *bench       = &owned->bench;
    return OCTET_OK;
}

void octet_bench_free(octet_bench *bench)
{
    if (bench) octet_arena_free(((struct owned *)(void *)bench)->arena);
}
