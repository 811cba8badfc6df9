/* SPDX-License-Identifier: Apache-2.0 */
/* Making a plan: shapes first, then every node in order gets an engine and the forms it reads and writes, then memory
   is laid out. All thinking is done here; running decides nothing. */
#include "engine/plan.h"

#include "base/cpu.h"
#include "base/parallel.h"
#include "engine/run.h"
#include "ops/profile.h"
#include "ops/shape.h"

#include <string.h>

/* ---- options ---- */

/* One name of a comma-separated list. */
static const octet_engine *engine_named(const char *name, size_t length)
{
    for (size_t i = 0; octet_engines[i]; i++)
        if (strlen(octet_engines[i]->name) == length && memcmp(octet_engines[i]->name, name, length) == 0)
            return octet_engines[i];
    return NULL;
}

static octet_status choose_engines(octet_plan *plan, const char *names, octet_error *err)
{
    enum { MOST = 16 };
    const octet_engine **list;
    size_t               count = 0;
    OCTET_TRY(octet_arena_get(&list, plan->arena, MOST + 2, sizeof *list, err));
    plan->engines = list;
    for (size_t i = 0; !names && octet_engines[i]; i++)
        if (!octet_engines[i]->by_name) list[count++] = octet_engines[i];
    while (names && *names) {
        const size_t              length = strcspn(names, ",");
        const octet_engine *const engine = engine_named(names, length);
        if (!engine)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "engine '%.*s' is not in this build (octet doctor lists them)",
                              (int)length, names);
        if (count == MOST) return octet_fail(err, OCTET_ERR_ARGUMENT, "more than %d engines", (int)MOST);
        list[count++] = engine;
        names += length + (names[length] == ',');
    }
    list[count] = &octet_engine_reference; /* a second time at most */
    return OCTET_OK;
}

static octet_status choose_profile(octet_plan *plan, const char *name, octet_error *err)
{
    static const octet_engine *const reference_only[] = { &octet_engine_reference, NULL };
    const octet_profile *const       profile          = octet_profile_find(name);
    if (!profile) return octet_fail(err, OCTET_ERR_ARGUMENT, "there is no rounding profile '%s'", name);
    plan->profile = profile;
    if (profile != &octet_profile_octet) plan->engines = reference_only;
    return OCTET_OK;
}

static octet_status choose(octet_plan *plan, const octet_plan_options *options, octet_error *err)
{
    plan->threads = options->threads > 0 ? options->threads : octet_threads_available();
    plan->keep_values = options->keep_values;
    plan->reals       = options->reals;
    plan->max_memory  = octet_memory_allowed(options->limits.max_memory);
    OCTET_TRY(choose_engines(plan, options->engines, err));
    OCTET_TRY(choose_profile(plan, options->profile, err));
    plan->kernels = octet_kernels_select(octet_cpu_sets());
    for (size_t i = 0; plan->engines[i]; i++) {
        if (plan->engines[i]->block) plan->block = plan->engines[i]->block();
        if (plan->engines[i] == &octet_engine_native) plan->uses_native = true;
        if (plan->engines[i]->tight && !plan->uses_native) plan->tight = true;
    }
    return OCTET_OK;
}

/* ---- shapes ---- */

static octet_status bind_free(octet_tensor *shape, const octet_value *value, int64_t batch, octet_error *err)
{
    shape->dtype = value->dtype;
    shape->rank  = value->rank;
    for (int i = 0; i < value->rank; i++) {
        shape->dims[i] = value->dims[i] == OCTET_DIM_FREE && i == 0 ? batch : value->dims[i];
        if (shape->dims[i] < 0)
            return octet_fail(err, OCTET_ERR_ARGUMENT,
                              "input '%s' leaves dimension %d open: give the shapes of all inputs", value->name, i);
    }
    return OCTET_OK;
}

static octet_status check_given(const octet_tensor *given, const octet_value *value, octet_error *err)
{
    char want[96], got[96];
    const octet_qparams *const levels = octet_border_levels(value);
    bool fits = given->rank == value->rank &&
                (given->dtype == value->dtype || (levels && given->dtype == levels->dtype && !given->data));
    for (int i = 0; fits && i < value->rank; i++)
        fits = given->dims[i] >= 0 && (value->dims[i] == OCTET_DIM_FREE || value->dims[i] == given->dims[i]);
    if (fits) return OCTET_OK;
    const int rank = given->rank < 0 || given->rank > OCTET_MAX_RANK ? 0 : given->rank;
    return octet_fail(err, OCTET_ERR_ARGUMENT, "input '%s' is %s %s, not %s %s", value->name,
                      octet_dtype_name(value->dtype), octet_shape_text(want, sizeof want, value->dims, value->rank),
                      octet_dtype_name(given->dtype), octet_shape_text(got, sizeof got, given->dims, rank));
}

/* A value given now may be gone when the plan runs. */
static octet_status keep_given(octet_tensor *shape, const octet_tensor *given, const octet_value *value,
                               octet_plan *plan, octet_error *err)
{
    *shape       = *given;
    shape->dtype = value->dtype;
    const int64_t bytes = octet_tensor_bytes(given);
    if (!given->data) return OCTET_OK;
    if (bytes < 0) return octet_fail(err, OCTET_ERR_ARGUMENT, "an input is larger than an address can count");
    shape->data = octet_arena_copy_bytes(plan->arena, given->data, (size_t)bytes);
    return shape->data ? OCTET_OK : octet_fail_memory(err);
}

static octet_status find_shapes(octet_plan *plan, const octet_plan_options *options, octet_error *err)
{
    const octet_graph *const graph = plan->graph;
    octet_tensor            *inputs;
    OCTET_TRY(octet_arena_get(&inputs, plan->arena, graph->input_count, sizeof *inputs, err));
    OCTET_TRY(octet_arena_get(&plan->shapes, plan->arena, (size_t)graph->value_count, sizeof *plan->shapes, err));
    OCTET_TRY(octet_arena_get(&plan->form_of, plan->arena, (size_t)graph->value_count, sizeof *plan->form_of, err));
    OCTET_TRY(octet_arena_get(&plan->waiting, plan->arena, (size_t)graph->node_count, sizeof *plan->waiting, err));
    OCTET_TRY(octet_plan_begin_moves(plan, err));
    for (size_t i = 0; i < graph->input_count; i++) {
        if (options->inputs) {
            OCTET_TRY(check_given(&options->inputs[i], graph->inputs[i], err));
            OCTET_TRY(keep_given(&inputs[i], &options->inputs[i], graph->inputs[i], plan, err));
        } else {
            OCTET_TRY(bind_free(&inputs[i], graph->inputs[i], options->batch > 0 ? options->batch : 1, err));
        }
    }
    return octet_infer_shapes(plan->shapes, graph, inputs, plan->arena, err);
}

/* ---- steps ---- */

static octet_status choose_engine(octet_plan *plan, octet_step *step, octet_error *err)
{
    for (size_t i = 0;; i++) {
        const octet_engine *const engine = plan->engines[i];
        octet_reason              why    = { "" };
        step->engine                     = engine;
        if (engine->accepts(plan, step, &why)) return OCTET_OK;
        step->declined = octet_arena_format(plan->arena, "%s%s%s: %s", step->declined, *step->declined ? "; " : "",
                                            engine->name, why.text);
        if (!step->declined) return octet_fail_memory(err);
    }
}

/* The node whose outputs the step writes. */
static const octet_node *last_node(const octet_step *step) { return step->add ? step->add : step->node; }

static float real_unit_of(const octet_graph *graph, const octet_node *node)
{
    const octet_node *const    add    = octet_node_fused_add(graph, node);
    const octet_qparams *const levels = add ? octet_value_levels(graph, add->outputs[0]) : NULL;
    return levels ? levels->scale[0] : 0.0f;
}

/* Fills in from and makes the conversions before it; they come first in the plan. */
static octet_status find_inputs(octet_plan *plan, octet_step *step, octet_error *err)
{
    const octet_node *const node = step->node, *const add = step->add;
    for (int i = 0; i < step->in_count; i++) {
        octet_form want = { .layout = step->in_layout[i] };
        want.value      = i < node->input_count ? node->inputs[i] : add->inputs[add->inputs[0] == node->outputs[0]];
        if (!want.value) continue;
        const bool levels = step->mode == OCTET_MODE_DYNAMIC ? node->op->dynamic_weights >> i & 1
                                                             : step->mode != OCTET_MODE_REAL;
        if (levels) want.kind = octet_plan_kind(plan, want.value);
        OCTET_TRY(octet_plan_want_form(&step->in[i], plan, want, err));
    }
    return OCTET_OK;
}

/* Whether output 0 can be input 0's memory. */
static bool is_view(const octet_plan *plan, const octet_step *step, const octet_form *out)
{
    if (!(last_node(step)->op->flags & OCTET_OP_VIEW) || step->in[0] < 0 || out->layout != OCTET_LAYOUT_DENSE)
        return false;
    const octet_form *const    in   = &plan->forms[step->in[0]];
    const octet_qparams *const from = in->stored.qparams;
    const octet_qparams *const to =
        out->kind == OCTET_FORM_LEVELS ? octet_value_levels(plan->graph, out->value) : NULL;
    const bool same_levels =
        from == to ||
        (from && to && from->dtype == to->dtype && from->count == 1 && to->count == 1 && *from->scale == *to->scale &&
         *from->zero_point == *to->zero_point && from->qmin >= to->qmin && from->qmax <= to->qmax);
    const octet_tensor *const shape = &plan->shapes[out->value->index];
    return in->buffer >= 0 && in->layout == OCTET_LAYOUT_DENSE && same_levels &&
           (to || in->stored.dtype == shape->dtype) && octet_tensor_count(&in->stored) == octet_tensor_count(shape);
}

static octet_status find_outputs(octet_plan *plan, octet_step *step, octet_error *err)
{
    const octet_node *const node = last_node(step);
    for (int i = 0; i < node->output_count; i++) {
        octet_form like = { .value = node->outputs[i], .layout = step->out_layout, .buffer = -1 };
        if (!like.value) continue;
        const bool levels = octet_plan_kind(plan, like.value) == OCTET_FORM_LEVELS;
        if (levels) like.kind = step->mode == OCTET_MODE_INTEGER ? OCTET_FORM_LEVELS : OCTET_FORM_RAW;
        if (i == 0 && is_view(plan, step, &like)) {
            step->view  = true;
            like.buffer = plan->forms[step->in[0]].buffer;
        }
        if (like.kind == OCTET_FORM_LEVELS && octet_layout_has_area(like.layout))
            OCTET_TRY(octet_plan_add_bytes(&step->out[i], plan, like.value, like.layout, err));
        else OCTET_TRY(octet_plan_add_form(&step->out[i], plan, like, err));
        if (step->real_unit != 0 && !step->add)
            plan->forms[step->out[i]].shown = false; /* not the value that the graph means */
    }
    return OCTET_OK;
}

/* Real outputs that are kept as levels are quantized at once. */
static octet_status quantize_outputs(octet_plan *plan, const octet_node *node, octet_error *err)
{
    for (int i = 0; i < node->output_count; i++) {
        const octet_form want = { .value = node->outputs[i], .kind = OCTET_FORM_LEVELS };
        int              unused;
        if (!want.value || octet_plan_kind(plan, want.value) != OCTET_FORM_LEVELS ||
            octet_plan_form(plan, want.value, OCTET_FORM_LEVELS, OCTET_LAYOUT_PIXELS) >= 0 ||
            octet_plan_form(plan, want.value, OCTET_FORM_LEVELS, OCTET_LAYOUT_ROWS) >= 0)
            continue;
        OCTET_TRY(octet_plan_want_form(&unused, plan, want, err));
    }
    return OCTET_OK;
}

static octet_status add_scratch(octet_plan *plan, octet_step *step, octet_error *err)
{
    if (!step->scratch_bytes) return OCTET_OK;
    if (step->scratch_bytes > plan->max_memory)
        return octet_fail(err, OCTET_ERR_LIMIT,
                          "scratch memory of %zu bytes is larger than the limit of %zu (--max-memory)",
                          step->scratch_bytes, plan->max_memory);
    if (!octet_arena_grow(plan->arena, &plan->buffers, plan->buffer_count, &plan->buffer_capacity,
                          sizeof *plan->buffers))
        return octet_fail_memory(err);
    plan->buffers[plan->buffer_count] = (octet_buffer){ .bytes = step->scratch_bytes };
    step->scratch                     = (int)plan->buffer_count++;
    return OCTET_OK;
}

/* Multiply-accumulates of a node with the plan's shapes; 0 where memory is short. */
static int64_t macs_of(const octet_plan *plan, const octet_node *node)
{
    const octet_tensor **in;
    octet_tensor       **out;
    if (!node->op->macs || octet_arena_get(&in, plan->arena, (size_t)node->input_count, sizeof *in, NULL) != OCTET_OK ||
        octet_arena_get(&out, plan->arena, (size_t)node->output_count, sizeof *out, NULL) != OCTET_OK)
        return 0;
    for (int i = 0; i < node->input_count; i++) in[i] = node->inputs[i] ? &plan->shapes[node->inputs[i]->index] : NULL;
    for (int i = 0; i < node->output_count; i++)
        out[i] = node->outputs[i] ? &plan->shapes[node->outputs[i]->index] : NULL;
    return node->op->macs(&(octet_call){ .node = node, .attrs = node->attrs, .in = in, .out = out,
                                         .in_count = node->input_count, .out_count = node->output_count });
}

/* Whether anything is left to do for node when its plan runs. */
static bool is_needed(const octet_plan *plan, const octet_node *node)
{
    bool needed = false;
    for (int i = 0; i < node->output_count; i++)
        if (node->outputs[i] && !octet_plan_known(plan, node->outputs[i])) needed = true;
    return needed;
}

/* A node that its engine computes together with an Add waits for the Add's turn: by then the other input is there. */
static octet_status join_add(octet_step *joined, octet_plan *plan, const octet_step *step, octet_error *err)
{
    OCTET_TRY(octet_plan_new_step(joined, plan, step->in_count + 1, step->add->output_count, err));
    memcpy(joined->in_layout, step->in_layout, (size_t)step->in_count * sizeof *step->in_layout);
    joined->in_layout[step->in_count] = step->out_layout;
    joined->node       = step->node;
    joined->add        = step->add;
    joined->engine     = step->engine;
    joined->declined   = step->declined;
    joined->mode       = step->mode;
    joined->real_unit  = step->real_unit;
    joined->macs       = step->macs;
    joined->out_layout = step->out_layout;
    joined->op         = octet_arena_format(plan->arena, "%s+%s", step->op, step->add->op->name);
    joined->name       = step->name;
    return joined->op ? OCTET_OK : octet_fail_memory(err);
}

static octet_status finish_step(octet_plan *plan, octet_step *new, octet_error *err)
{
    octet_step *step;
    OCTET_TRY(find_inputs(plan, new, err));
    OCTET_TRY(octet_plan_add_step(&step, plan, new, err));
    OCTET_TRY(find_outputs(plan, step, err));
    if (!step->view && step->engine->prepare) OCTET_TRY(step->engine->prepare(plan, step, plan->arena, err));
    OCTET_TRY(add_scratch(plan, step, err));
    return quantize_outputs(plan, last_node(step), err);
}

static octet_status plan_node(octet_plan *plan, const octet_node *node, octet_error *err)
{
    octet_step              new, joined;
    bool                    followed;
    const octet_node *const with = plan->waiting[node->index];
    OCTET_TRY(octet_plan_follow_move(&followed, plan, node, err));
    if (followed) return OCTET_OK;
    if (with) node = with;
    OCTET_TRY(octet_plan_new_step(&new, plan, node->input_count, node->output_count, err));
    new.name      = node->name;
    new.op        = node->op->name;
    new.node      = node;
    new.mode      = octet_node_compute_mode(plan->graph, node);
    new.real_unit = real_unit_of(plan->graph, node);
    new.macs      = macs_of(plan, node);
    OCTET_TRY(choose_engine(plan, &new, err));
    if (!new.add) return finish_step(plan, &new, err);
    plan->waiting[new.add->index] = node;
    if (!with) return OCTET_OK;
    OCTET_TRY(join_add(&joined, plan, &new, err));
    return finish_step(plan, &joined, err);
}

/* What crosses the border at a value that is kept as levels: these, or the real numbers before or behind them. */
static octet_form_kind border_kind(const octet_plan *plan, const octet_value *value, octet_form_kind otherwise)
{
    return octet_border_levels(value) && !plan->reals ? OCTET_FORM_LEVELS : otherwise;
}

static octet_status plan_inputs(octet_plan *plan, octet_error *err)
{
    const octet_graph *const graph = plan->graph;
    OCTET_TRY(octet_arena_get(&plan->input_forms, plan->arena, graph->input_count, sizeof *plan->input_forms, err));
    for (size_t i = 0; i < graph->input_count; i++) {
        octet_form like      = { .value = graph->inputs[i], .buffer = -1 };
        plan->input_forms[i] = -1;
        if (octet_plan_known(plan, like.value)) continue;
        const bool levels = octet_plan_kind(plan, like.value) == OCTET_FORM_LEVELS;
        like.kind         = border_kind(plan, like.value, levels ? OCTET_FORM_RAW : OCTET_FORM_REAL);
        OCTET_TRY(octet_plan_add_form(&plan->input_forms[i], plan, like, err));
    }
    return OCTET_OK;
}

static octet_status plan_outputs(octet_plan *plan, octet_error *err)
{
    const octet_graph *const graph = plan->graph;
    OCTET_TRY(octet_arena_get(&plan->output_forms, plan->arena, graph->output_count, sizeof *plan->output_forms, err));
    for (size_t i = 0; i < graph->output_count; i++) {
        octet_form want = { .value = graph->outputs[i] };
        want.kind       = border_kind(plan, want.value, OCTET_FORM_REAL);
        OCTET_TRY(octet_plan_want_form(&plan->output_forms[i], plan, want, err));
    }
    return OCTET_OK;
}

static octet_status build(octet_plan *plan, const octet_plan_options *options, octet_error *err)
{
    plan->weights = octet_arena_new_streamed();
    if (!plan->weights) return octet_fail_memory(err);
    OCTET_TRY(choose(plan, options, err));
    OCTET_TRY(find_shapes(plan, options, err));
    OCTET_TRY(plan_inputs(plan, err));
    for (const octet_node *node = plan->graph->first; node; node = node->next) {
        if (!is_needed(plan, node)) continue;
        const octet_status status = plan_node(plan, node, err);
        if (status != OCTET_OK) {
            octet_error_node(err, node->name);
            return status;
        }
    }
    OCTET_TRY(plan_outputs(plan, err));
    OCTET_TRY(octet_plan_place(plan, err));
    plan->workspace_bytes = octet_workspace_bytes(plan);
    if (plan->workspace_bytes > plan->max_memory)
        return octet_fail(err, OCTET_ERR_LIMIT, "the plan needs %zu bytes for each workspace, limit %zu (--max-memory)",
                          plan->workspace_bytes, plan->max_memory);
    return OCTET_OK;
}

octet_status octet_plan_create(octet_plan **plan, const octet_graph *graph, const octet_plan_options *options,
                               octet_error *err)
{
    static const octet_plan_options defaults = { 0 };
    *plan                                    = NULL;
    octet_arena *const arena                 = octet_arena_new();
    octet_plan *const  new                   = arena ? octet_arena_alloc(arena, 1, sizeof *new) : NULL;
    if (!new) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    new->arena                = arena;
    new->graph                = graph;
    const octet_status status = build(new, options ? options : &defaults, err);
    octet_arena_free(new->temporary);
    new->temporary = NULL;
    if (status == OCTET_OK) *plan = new;
    else octet_plan_free(new);
    return status;
}

void octet_plan_free(octet_plan *plan)
{
    if (!plan) return;
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].engine && plan->steps[i].engine->release) plan->steps[i].engine->release(&plan->steps[i]);
    octet_arena_free(plan->temporary);
    octet_arena_free(plan->weights);
    octet_arena_free(plan->arena);
}

/* ---- looking ---- */

size_t octet_plan_memory(const octet_plan *plan) { return plan->workspace_bytes; }
size_t octet_plan_step_count(const octet_plan *plan) { return plan->step_count; }

octet_step_info octet_plan_step(const octet_plan *plan, size_t index)
{
    const octet_step *const step = &plan->steps[index];
    return (octet_step_info){.node = step->name,
                             .op = step->op,
                             .engine = step->engine->name,
                             .declined = step->declined,
                             .mode = step->mode,
                             .algorithm = step->algorithm,
                             .threads = step->parts < plan->threads ? step->parts : plan->threads,
                             .macs = step->macs};
}

const char *octet_engine_name(size_t index, const char **version)
{
    size_t count = 0;
    while (octet_engines[count]) count++;
    if (index >= count) return NULL;
    if (version) *version = octet_engines[index]->version();
    return octet_engines[index]->name;
}
