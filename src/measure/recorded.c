/* SPDX-License-Identifier: Apache-2.0 */
/* The network runs sample by sample with every value kept; each recorded array waits for its value. */
#include <octet/diff.h>

#include "data/recording.h"
#include "engine/put.h"
#include "graph/op.h"
#include "measure/differ.h"
#include "measure/inputs.h"
#include "ops/levels.h"

#include <string.h>

enum { MOST_OUTPUTS = 64 };

/* One array and its value. */
typedef struct match {
    const octet_named_array *array;
    const octet_value       *value;
    octet_tensor             shape; /* of the value, as planned */
    octet_differ             differ;
} match;

typedef struct recorded {
    const octet_diff_side    *side;
    const octet_diff_options *options;
    octet_arena              *arena; /* of the result */
    octet_recording           recording;
    octet_plan               *plan;
    octet_workspace          *workspace;
    octet_inputs              source;
    octet_tensor             *inputs;
    match                    *matches;
    size_t                    count, samples;
    struct octet_unmatched   *unmatched;
    size_t                    unmatched_count;
    float                    *room;
    void                     *levels;
} recorded;

struct owned {
    octet_diff   diff; /* first: octet_diff_free's */
    octet_arena *arena;
};

/* ---- which is which ---- */

static const octet_value *find_value(const octet_graph *graph, const char *name)
{
    if (!name[0]) return graph->output_count ? graph->outputs[0] : NULL;
    const octet_value *const value = octet_graph_find_value(graph, name);
    if (value) return value;
    const octet_node *const node = octet_graph_find_node(graph, name);
    return node && node->output_count ? node->outputs[0] : NULL;
}

/* Whether dims are those of the value for `samples` samples: the first times as many. */
static bool dims_fit(const octet_array *array, const octet_tensor *shape, size_t samples)
{
    if (array->rank + 1 != shape->rank || (int64_t)array->count != (int64_t)samples * shape->dims[0]) return false;
    for (int i = 1; i < shape->rank; i++)
        if (array->dims[i - 1] != shape->dims[i]) return false;
    return true;
}

static octet_status refuse(recorded *r, const char *name, const char *why, octet_error *err)
{
    struct octet_unmatched *const u = &r->unmatched[r->unmatched_count++];
    u->name = octet_arena_copy(r->arena, name);
    u->why  = why;
    return u->name && why ? OCTET_OK : octet_fail_memory(err);
}

static const char *shape_why(recorded *r, const octet_array *array, const octet_tensor *shape)
{
    char    need[96], got[96];
    int64_t dims[OCTET_MAX_RANK] = { (int64_t)array->count };
    const int rank = array->rank + 1 < OCTET_MAX_RANK ? array->rank + 1 : OCTET_MAX_RANK;
    memcpy(dims + 1, array->dims, sizeof *dims * (size_t)(rank - 1));
    return octet_arena_format(r->arena, "its shape does not fit (got %s, need %s for each of %zu samples)",
                              octet_shape_text(got, sizeof got, dims, rank),
                              octet_shape_text(need, sizeof need, shape->dims, shape->rank), r->samples);
}

static octet_status match_array(recorded *r, const octet_named_array *array, octet_error *err)
{
    const octet_value *const value = find_value(r->side->graph, array->name);
    if (!value) return refuse(r, array->name, "no value or node of the network is called so", err);
    const octet_tensor shape = octet_plan_shape(r->plan, value);
    const octet_tensor raw   = octet_workspace_raw(r->workspace, value);
    if (value->constant || !raw.data || (!raw.qparams && raw.dtype != OCTET_F32))
        return refuse(r, array->name, "the network computes no real numbers or levels under this name", err);
    if (!dims_fit(&array->array, &shape, r->samples) && !dims_fit(&array->array, &shape, 1))
        return refuse(r, array->name, shape_why(r, &array->array, &shape), err);
    r->matches[r->count++] = (match){ .array = array, .value = value, .shape = shape };
    return OCTET_OK;
}

static octet_status match_all(recorded *r, octet_error *err)
{
    const size_t count = r->recording.count;
    size_t       most  = 1;
    OCTET_TRY(octet_arena_get(&r->matches, r->recording.arena, count, sizeof *r->matches, err));
    OCTET_TRY(octet_arena_get(&r->unmatched, r->arena, count, sizeof *r->unmatched, err));
    for (size_t i = 0; i < count; i++) OCTET_TRY(match_array(r, &r->recording.arrays[i], err));
    if (!r->count && count)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "nothing can be compared; array '%.60s': %s", r->unmatched[0].name,
                          r->unmatched[0].why);
    if (!r->count) return octet_fail(err, OCTET_ERR_ARGUMENT, "there are no arrays");
    for (size_t i = 0; i < r->count; i++) {
        const size_t elements = (size_t)octet_tensor_count(&r->matches[i].shape);
        if (elements > most) most = elements;
    }
    OCTET_TRY(octet_arena_get(&r->levels, r->recording.arena, most, sizeof(int32_t), err));
    return octet_arena_get(&r->room, r->recording.arena, most, sizeof *r->room, err);
}

/* ---- samples ---- */

/* Integers of the type that the value is kept in are its levels. */
static void add_match(recorded *r, match *m, size_t sample)
{
    const octet_array *const a = &m->array->array;
    const size_t   rows = (size_t)m->shape.dims[0], length = octet_recorded_count(a);
    octet_tensor   measured = octet_workspace_value(r->workspace, m->value), reference = measured;
    if (sample * rows >= a->count) return; /* the first sample alone */
    for (size_t i = 0; i < rows; i++) octet_recorded_read(r->room + i * length, a, sample * rows + i);
    reference.data = r->room, reference.qparams = NULL, reference.dtype = OCTET_F32;
    if (measured.qparams && a->dtype == measured.dtype) {
        for (size_t i = 0; i < rows * length; i++) {
            const int32_t level = (int32_t)r->room[i];
            octet_levels_store(r->levels, a->dtype, i, &level, 1);
        }
        reference = measured, reference.data = r->levels;
    }
    octet_differ_add(&m->differ, &measured, &reference);
}

static octet_status run_samples(recorded *r, octet_error *err)
{
    const octet_diff_options *const o = r->options;
    octet_tensor                    outputs[MOST_OUTPUTS];
    for (size_t i = 0; i < r->samples; i++) {
        const octet_progress progress = { "diff", i, r->samples };
        if (o->progress && o->progress(o->progress_context, &progress))
            return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
        OCTET_TRY(octet_inputs_read(r->inputs, &r->source, 0, i, err));
        OCTET_TRY(octet_run(r->workspace, r->inputs, outputs, err));
        for (size_t k = 0; k < r->count; k++) add_match(r, &r->matches[k], i);
    }
    return OCTET_OK;
}

static octet_status prepare(recorded *r, const char *path, octet_error *err)
{
    octet_plan_options how = r->options->plan;
    octet_tensor      *shapes;
    how.engines = r->side->engines, how.batch = 1, how.keep_values = true;
    if (!r->options->data)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "recorded arrays need the data they were made of");
    OCTET_TRY(octet_fuse(r->side->graph, err));
    if (r->side->graph->output_count > MOST_OUTPUTS)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "network has %zu outputs (need at most %d)",
                          r->side->graph->output_count, MOST_OUTPUTS);
    r->samples = octet_dataset_count(r->options->data);
    r->source  = (octet_inputs){ .graph = r->side->graph, .data = r->options->data, .batch = 1,
                                 .port_count = r->side->graph->input_count };
    OCTET_TRY(octet_inputs_make(&r->inputs, &r->source, r->arena, err));
    OCTET_TRY(octet_inputs_shapes(&shapes, &r->source, r->arena, err));
    how.inputs = shapes, how.reals = true;
    OCTET_TRY(octet_plan_create(&r->plan, r->side->graph, &how, err));
    OCTET_TRY(octet_workspace_create(&r->workspace, r->plan, err));
    const octet_status status = octet_recording_open(&r->recording, path, r->options->plan.limits.max_memory, err);
    if (status != OCTET_OK) octet_error_file(err, path);
    return status;
}

/* ---- the result ---- */

static octet_status fill_value(octet_value_diff *to, const recorded *r, const match *m, octet_error *err)
{
    const octet_node *const node = m->value->producer;
    *to = (octet_value_diff){
        .name = octet_arena_copy(r->arena, m->value->name), .node = octet_arena_copy(r->arena, node ? node->name : ""),
        .op = octet_arena_copy(r->arena, node ? node->op->name : ""), .engines = { "", "recorded" },
        .is_output = m->value->is_output, .accumulated = octet_differ_result(&m->differ),
    };
    return to->name && to->node && to->op ? OCTET_OK : octet_fail_memory(err);
}

static octet_status fill_result(octet_diff *diff, const recorded *r, octet_error *err)
{
    octet_value_diff *values;
    OCTET_TRY(octet_arena_get(&values, r->arena, r->count, sizeof *values, err));
    diff->worst_accumulated = diff->worst_local = r->count;
    for (size_t i = 0; i < r->count; i++) {
        OCTET_TRY(fill_value(&values[i], r, &r->matches[i], err));
        octet_level_counts_merge(&diff->accumulated, &values[i].accumulated.level);
        const size_t worst = diff->worst_accumulated;
        if (values[i].accumulated.levels &&
            (worst == r->count || values[i].accumulated.level.max > values[worst].accumulated.level.max))
            diff->worst_accumulated = i;
    }
    diff->samples         = r->samples;
    diff->values          = values;
    diff->value_count     = r->count;
    diff->unmatched       = r->unmatched;
    diff->unmatched_count = r->unmatched_count;
    return OCTET_OK;
}

static octet_status run_all(recorded *r, octet_diff *diff, const char *path, octet_error *err)
{
    OCTET_TRY(prepare(r, path, err));
    const octet_status status = match_all(r, err);
    if (status != OCTET_OK) {
        octet_error_file(err, path);
        return status;
    }
    OCTET_TRY(run_samples(r, err));
    return fill_result(diff, r, err);
}

octet_status octet_diff_recorded(octet_diff **diff, const octet_diff_side *side, const char *path,
                                 const octet_diff_options *options, octet_error *err)
{
    octet_arena *const  arena  = octet_arena_new();
    struct owned *const owned  = arena ? octet_arena_alloc(arena, 1, sizeof *owned) : NULL;
    recorded            r      = { .side = side, .options = options, .arena = arena };
    *diff                      = NULL;
    const octet_status  status = owned ? run_all(&r, &owned->diff, path, err) : octet_fail_memory(err);
    octet_workspace_free(r.workspace);
    octet_plan_free(r.plan);
    octet_recording_close(&r.recording);
    if (status != OCTET_OK) {
        octet_arena_free(arena);
        return status;
    }
    owned->arena = arena;
    *diff        = &owned->diff;
    return OCTET_OK;
}
