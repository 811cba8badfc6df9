/* SPDX-License-Identifier: Apache-2.0 */
/* Both sides run every sample twice: as deployed, for the outputs, and with every value kept, for the values. Where
   both run one graph, side 0 then runs it once more, and each value it makes is counted and replaced by the reference's
   before anybody reads it: so every node is fed what the reference computed. */
#include <octet/diff.h>

#include "engine/put.h"
#include "measure/differ.h"
#include "measure/inputs.h"
#include "measure/steps.h"

#include <math.h>
#include <string.h>

enum { DEPLOYED, KEPT, PLANS };
enum { SAMPLES = 16 };

typedef struct side {
    octet_graph     *graph;
    const char      *engines;
    octet_plan      *plans[PLANS];
    octet_workspace *workspaces[PLANS];
    octet_tensor    *outputs[PLANS];
    size_t           unlike_deployed;
    const char     **engine_of; /* by node->index; NULL: none */
} side;

typedef struct row {
    const octet_value *values[2];
    octet_differ       accumulated, local;
    bool               not_fed;
} row;

typedef struct diffing {
    const octet_diff_options *options;
    octet_arena              *arena;
    side                      sides[2];
    octet_inputs              source;
    octet_tensor             *set, *shapes;
    row                      *rows, *outputs;
    row                     **row_of; /* by index of side 0's values */
    size_t                    row_count, output_count, only[2], samples;
} diffing;

struct owned {
    octet_diff   diff; /* first: the caller's pointer is the owner's */
    octet_arena *arena;
};

/* ---- what is compared ---- */

static void add_row(diffing *d, octet_value *value)
{
    octet_value *const twin = octet_graph_find_value(d->sides[1].graph, value->name);
    if (value->constant || (twin && twin->constant)) return;
    if (!twin) {
        d->only[0]++;
        return;
    }
    row *const r             = &d->rows[d->row_count++];
    r->values[0]             = value;
    r->values[1]             = twin;
    d->row_of[value->index] = r;
}

static octet_status list_rows(diffing *d, octet_error *err)
{
    const octet_graph *const a = d->sides[0].graph, *const b = d->sides[1].graph;
    OCTET_TRY(octet_arena_get(&d->rows, d->arena, (size_t)a->value_count, sizeof *d->rows, err));
    OCTET_TRY(octet_arena_get(&d->row_of, d->arena, (size_t)a->value_count, sizeof *d->row_of, err));
    for (size_t i = 0; i < a->input_count; i++) add_row(d, a->inputs[i]);
    for (const octet_node *n = a->first; n; n = n->next)
        for (int i = 0; i < n->output_count; i++)
            if (n->outputs[i]) add_row(d, n->outputs[i]);
    for (const octet_node *n = b->first; n; n = n->next)
        for (int i = 0; i < n->output_count; i++)
            if (n->outputs[i] && !octet_graph_find_value(a, n->outputs[i]->name)) d->only[1]++;
    return OCTET_OK;
}

/* The reference's output of that name, else the one at that place; -1: none. */
static int output_twin(const diffing *d, size_t index)
{
    const octet_graph *const a = d->sides[0].graph, *const b = d->sides[1].graph;
    for (size_t i = 0; i < b->output_count; i++)
        if (!strcmp(a->outputs[index]->name, b->outputs[i]->name)) return (int)i;
    return a->output_count == b->output_count ? (int)index : -1;
}

/* ---- making ---- */

static octet_status list_engines(side *s, octet_arena *arena, octet_error *err)
{
    OCTET_TRY(octet_arena_get(&s->engine_of, arena, (size_t)s->graph->node_count, sizeof *s->engine_of, err));
    for (size_t i = 0; i < octet_plan_step_count(s->plans[KEPT]); i++) {
        const octet_step_info  step  = octet_plan_step(s->plans[KEPT], i);
        const octet_step_nodes nodes = octet_step_nodes_of(s->graph, &step);
        if (nodes.node) s->engine_of[nodes.node->index] = octet_arena_copy(arena, step.engine);
        if (nodes.add) s->engine_of[nodes.add->index] = octet_arena_copy(arena, step.engine);
    }
    return OCTET_OK;
}

static octet_status make_side(side *s, const diffing *d, octet_error *err)
{
    octet_plan_options how = d->options->plan;
    how.inputs = d->shapes, how.engines = s->engines, how.reals = true;
    for (int i = 0; i < PLANS; i++) {
        how.keep_values = i == KEPT;
        OCTET_TRY(octet_plan_create(&s->plans[i], s->graph, &how, err));
        OCTET_TRY(octet_workspace_create(&s->workspaces[i], s->plans[i], err));
    }
    for (int i = 0; i < PLANS; i++)
        OCTET_TRY(octet_arena_get(&s->outputs[i], d->arena, s->graph->output_count, sizeof *s->outputs[i], err));
    return list_engines(s, d->arena, err);
}

static octet_status make_inputs(diffing *d, octet_error *err)
{
    const octet_diff_options *const o = d->options;
    d->source  = (octet_inputs){ .graph = d->sides[0].graph, .data = o->data, .seed = o->seed,
                                 .batch = o->plan.batch > 0 ? o->plan.batch : 1,
                                 .port_count = d->sides[0].graph->input_count };
    d->samples = o->data ? octet_inputs_count(&d->source) : o->samples ? o->samples : SAMPLES;
    OCTET_TRY(octet_inputs_make(&d->set, &d->source, d->arena, err));
    OCTET_TRY(octet_inputs_shapes(&d->shapes, &d->source, d->arena, err));
    return OCTET_OK;
}

static octet_status prepare(diffing *d, octet_error *err)
{
    for (int i = 0; i < 2; i++) OCTET_TRY(octet_fuse(d->sides[i].graph, err));
    if (d->sides[0].graph->input_count != d->sides[1].graph->input_count)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "networks have different inputs (got %zu, need %zu)",
                          d->sides[1].graph->input_count, d->sides[0].graph->input_count);
    OCTET_TRY(make_inputs(d, err));
    for (int i = 0; i < 2; i++) OCTET_TRY(make_side(&d->sides[i], d, err));
    d->output_count = d->sides[0].graph->output_count;
    OCTET_TRY(octet_arena_get(&d->outputs, d->arena, d->output_count, sizeof *d->outputs, err));
    return list_rows(d, err);
}

/* ---- one sample ---- */

static octet_status compare_outputs(diffing *d, octet_error *err)
{
    for (int i = 0; i < 2; i++)
        OCTET_TRY(octet_run(d->sides[i].workspaces[DEPLOYED], d->set, d->sides[i].outputs[DEPLOYED], err));
    for (size_t i = 0; i < d->output_count; i++) {
        const int twin = output_twin(d, i);
        if (twin >= 0)
            octet_differ_add(&d->outputs[i].accumulated, &d->sides[0].outputs[DEPLOYED][i],
                             &d->sides[1].outputs[DEPLOYED][twin]);
    }
    return OCTET_OK;
}

/* Keeping values is to change nothing; whether it does is for the caller to see. */
static bool is_as_deployed(const side *s)
{
    for (size_t i = 0; i < s->graph->output_count; i++) {
        const octet_tensor *const a = &s->outputs[DEPLOYED][i], *const b = &s->outputs[KEPT][i];
        const int64_t             bytes = octet_tensor_bytes(a);
        if (bytes != octet_tensor_bytes(b) || (bytes && memcmp(a->data, b->data, (size_t)bytes) != 0)) return false;
    }
    return true;
}

static octet_status compare_values(diffing *d, octet_error *err)
{
    for (int i = 0; i < 2; i++) {
        side *const s = &d->sides[i];
        OCTET_TRY(octet_run(s->workspaces[KEPT], d->set, s->outputs[KEPT], err));
        s->unlike_deployed += is_as_deployed(s) ? 0 : 1;
    }
    for (size_t i = 0; i < d->row_count; i++) {
        octet_tensor tensors[2];
        for (int k = 0; k < 2; k++)
            tensors[k] = octet_workspace_value(d->sides[k].workspaces[KEPT], d->rows[i].values[k]);
        octet_differ_add(&d->rows[i].accumulated, &tensors[0], &tensors[1]);
    }
    return OCTET_OK;
}

/* Hook of side 0: counts what was just made, and puts the reference's numbers in its place. */
static octet_status take_value(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    diffing *const           d     = context;
    const octet_value *const value = octet_graph_find_value(d->sides[0].graph, name);
    row *const               r     = value ? d->row_of[value->index] : NULL;
    if (!r) return OCTET_OK;
    (void)err;
    const octet_tensor reference = octet_workspace_value(d->sides[1].workspaces[KEPT], value);
    if (!reference.data) return OCTET_OK;
    octet_differ_add(&r->local, tensor, &reference);
    if (!octet_workspace_put(d->sides[0].workspaces[KEPT], d->sides[0].plans[KEPT], value, &reference))
        r->not_fed = true;
    return OCTET_OK;
}

static octet_status compare_nodes(diffing *d, octet_error *err)
{
    octet_workspace *const workspace = d->sides[0].workspaces[KEPT];
    octet_workspace_set_hook(workspace, take_value, d);
    const octet_status status = octet_run(workspace, d->set, d->sides[0].outputs[KEPT], err);
    octet_workspace_set_hook(workspace, NULL, NULL);
    return status;
}

static octet_status run_all(diffing *d, octet_error *err)
{
    const octet_diff_options *const o = d->options;
    OCTET_TRY(prepare(d, err));
    for (size_t i = 0; i < d->samples; i++) {
        const octet_progress progress = { "diff", i, d->samples };
        if (o->progress && o->progress(o->progress_context, &progress))
            return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
        OCTET_TRY(octet_inputs_fill(d->set, &d->source, i, err));
        OCTET_TRY(compare_outputs(d, err));
        OCTET_TRY(compare_values(d, err));
        if (d->sides[0].graph == d->sides[1].graph) OCTET_TRY(compare_nodes(d, err));
    }
    return OCTET_OK;
}

/* ---- the result ---- */

static const char *engine_of(const side *s, const octet_value *value)
{
    const octet_node *const node = value ? value->producer : NULL;
    return node && s->engine_of[node->index] ? s->engine_of[node->index] : "";
}

static octet_status fill_value(octet_value_diff *to, const diffing *d, const row *r, octet_error *err)
{
    const octet_node *const node = r->values[0]->producer;
    *to = (octet_value_diff){
        .name        = octet_arena_copy(d->arena, r->values[0]->name),
        .node        = octet_arena_copy(d->arena, node ? node->name : ""),
        .op          = octet_arena_copy(d->arena, node ? node->op->name : ""),
        .engines     = { engine_of(&d->sides[0], r->values[0]), engine_of(&d->sides[1], r->values[1]) },
        .is_output   = r->values[0]->is_output,
        .accumulated = octet_differ_result(&r->accumulated),
        .local       = octet_differ_result(&r->local),
    };
    return to->name && to->node && to->op ? OCTET_OK : octet_fail_memory(err);
}

static size_t worse(const octet_value_diff *values, size_t worst, size_t index, bool local, size_t none)
{
    const octet_tensor_diff *const now = local ? &values[index].local : &values[index].accumulated;
    if (!now->levels) return worst;
    if (worst == none) return index;
    const octet_tensor_diff *const before = local ? &values[worst].local : &values[worst].accumulated;
    return now->level.max > before->level.max ? index : worst;
}

static octet_status fill_values(octet_diff *diff, const diffing *d, octet_error *err)
{
    octet_value_diff *values;
    OCTET_TRY(octet_arena_get(&values, d->arena, d->row_count, sizeof *values, err));
    diff->worst_accumulated = diff->worst_local = d->row_count;
    for (size_t i = 0; i < d->row_count; i++) {
        OCTET_TRY(fill_value(&values[i], d, &d->rows[i], err));
        octet_level_counts_merge(&diff->accumulated, &values[i].accumulated.level);
        octet_level_counts_merge(&diff->local, &values[i].local.level);
        diff->worst_accumulated = worse(values, diff->worst_accumulated, i, false, d->row_count);
        diff->worst_local       = worse(values, diff->worst_local, i, true, d->row_count);
        diff->not_fed += d->rows[i].not_fed;
    }
    diff->values      = values;
    diff->value_count = d->row_count;
    return OCTET_OK;
}

static octet_status fill_result(octet_diff *diff, diffing *d, octet_error *err)
{
    octet_value_diff *outputs;
    OCTET_TRY(fill_values(diff, d, err));
    OCTET_TRY(octet_arena_get(&outputs, d->arena, d->output_count, sizeof *outputs, err));
    for (size_t i = 0; i < d->output_count; i++) {
        const int twin          = output_twin(d, i);
        d->outputs[i].values[0] = d->sides[0].graph->outputs[i];
        d->outputs[i].values[1] = twin < 0 ? NULL : d->sides[1].graph->outputs[twin];
        OCTET_TRY(fill_value(&outputs[i], d, &d->outputs[i], err));
    }
    diff->outputs      = outputs;
    diff->output_count = d->output_count;
    diff->samples      = d->samples;
    memcpy(diff->only, d->only, sizeof diff->only);
    for (int i = 0; i < 2; i++) diff->unlike_deployed[i] = d->sides[i].unlike_deployed;
    return OCTET_OK;
}

static void release(diffing *d)
{
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < PLANS; k++) {
            octet_workspace_free(d->sides[i].workspaces[k]);
            octet_plan_free(d->sides[i].plans[k]);
        }
}

octet_status octet_diff_run(octet_diff **diff, const octet_diff_side sides[2], const octet_diff_options *options,
                            octet_error *err)
{
    const octet_diff_options defaults = { 0 };
    octet_arena *const       arena    = octet_arena_new();
    struct owned *const      owned    = arena ? octet_arena_alloc(arena, 1, sizeof *owned) : NULL;
    diffing                  d        = { .options = options ? options : &defaults, .arena = arena };
    *diff                             = NULL;
    for (int i = 0; i < 2; i++) d.sides[i] = (side){ .graph = sides[i].graph, .engines = sides[i].engines };
    octet_status status = owned ? run_all(&d, err) : octet_fail_memory(err);
    if (status == OCTET_OK) status = fill_result(&owned->diff, &d, err);
    release(&d);
    if (status != OCTET_OK) {
        octet_arena_free(arena);
        return status;
    }
    owned->arena = arena;
    *diff        = &owned->diff;
    return OCTET_OK;
}

void octet_diff_free(octet_diff *diff)
{
    if (diff) octet_arena_free(((struct owned *)(void *)diff)->arena);
}
