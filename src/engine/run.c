/* SPDX-License-Identifier: Apache-2.0 */
/* Running a plan. A workspace is one piece of memory: the buffers and, prepared once, the call of every step. */
#include "engine/run.h"

#include "base/clock.h"
#include "base/parallel.h"
#include "engine/plan.h"

#include <assert.h>
#include <string.h>

struct octet_workspace {
    const octet_plan    *plan;
    octet_arena         *arena;
    uint8_t             *memory;  /* the buffers */
    octet_tensor        *tensors; /* one per form, as it lies in memory */
    octet_call          *calls;   /* one per step */
    void               **bound;   /* one per step: what its engine made for this workspace */
    const octet_tensor **in;      /* of all calls */
    octet_tensor       **out;
    uint8_t             *dirty; /* one per form, while rerunning */
    float               *dense; /* room for the largest blocked value in dense order; NULL until somebody looks */
    octet_value_hook     hook;
    void                *hook_context;
    bool                 raw;
    uint64_t             nodes_run;
    double              *seconds; /* per step; NULL: not timed */
};

/* ---- making ---- */

static void *take(size_t *at, uint8_t *base, size_t count, size_t size)
{
    enum { ALIGNMENT = 64 };
    void *const place = base ? base + *at : NULL;
    *at += (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return place;
}

static size_t dense_bytes(const octet_plan *plan)
{
    size_t most = 0;
    for (size_t i = 0; i < plan->form_count; i++) {
        const octet_form *const form = &plan->forms[i];
        if (!form->shown || form->layout == OCTET_LAYOUT_DENSE) continue;
        const size_t bytes = (size_t)octet_tensor_bytes(&form->logical);
        if (bytes > most) most = bytes;
    }
    return most;
}

/* Places every part; base NULL: only counts. */
static size_t carve(octet_workspace *ws, uint8_t *base, const octet_plan *plan)
{
    size_t at = 0, in = 0, out = 0;
    for (size_t i = 0; i < plan->step_count; i++) {
        in += (size_t)plan->steps[i].in_count;
        out += (size_t)plan->steps[i].out_count;
    }
    ws->memory  = take(&at, base, plan->buffer_bytes, 1);
    ws->tensors = take(&at, base, plan->form_count, sizeof *ws->tensors);
    ws->calls   = take(&at, base, plan->step_count, sizeof *ws->calls);
    ws->bound   = take(&at, base, plan->step_count, sizeof *ws->bound);
    ws->in      = take(&at, base, in, sizeof *ws->in);
    ws->out     = take(&at, base, out, sizeof *ws->out);
    ws->dirty   = take(&at, base, plan->form_count, 1);
    if (plan->keep_values) ws->dense = take(&at, base, dense_bytes(plan), 1);
    return at;
}

const octet_plan *octet_workspace_plan(const octet_workspace *workspace) { return workspace->plan; }

uint64_t octet_workspace_nodes_run(const octet_workspace *workspace) { return workspace->nodes_run; }

octet_tensor octet_plan_shape(const octet_plan *plan, const octet_value *value) { return plan->shapes[value->index]; }

size_t octet_workspace_bytes(const octet_plan *plan)
{
    octet_workspace counted;
    return carve(&counted, NULL, plan);
}

static void *own_place(const octet_workspace *ws, int form)
{
    const octet_form *const f = &ws->plan->forms[form];
    return f->buffer < 0 ? f->stored.data : ws->memory + ws->plan->buffers[f->buffer].offset;
}

static void make_call(octet_workspace *ws, size_t index, const octet_tensor **in, octet_tensor **out)
{
    const octet_plan *const plan = ws->plan;
    const octet_step *const step = &plan->steps[index];
    for (int i = 0; i < step->in_count; i++) in[i] = step->in[i] < 0 ? NULL : &ws->tensors[step->in[i]];
    for (int i = 0; i < step->out_count; i++) out[i] = step->out[i] < 0 ? NULL : &ws->tensors[step->out[i]];
    ws->calls[index] = (octet_call){
        .node = step->node, .attrs = step->node ? step->node->attrs : NULL, .in = in, .out = out,
        .in_count = step->in_count, .out_count = step->out_count, .threads = plan->threads, .profile = plan->profile,
        .scratch = step->scratch < 0 ? NULL : ws->memory + plan->buffers[step->scratch].offset,
        .real_unit = step->real_unit,
    };
}

static octet_status fill(octet_workspace *ws, octet_error *err)
{
    const octet_plan *const plan = ws->plan;
    const octet_tensor    **in   = ws->in;
    octet_tensor          **out  = ws->out;
    for (size_t i = 0; i < plan->form_count; i++) {
        ws->tensors[i]      = plan->forms[i].stored;
        ws->tensors[i].data = own_place(ws, (int)i);
    }
    for (size_t i = 0; i < plan->step_count; i++) {
        const octet_step *const step = &plan->steps[i];
        make_call(ws, i, in, out);
        in += step->in_count;
        out += step->out_count;
        if (!step->view && step->engine->bind) OCTET_TRY(step->engine->bind(&ws->bound[i], step, err));
    }
    return OCTET_OK;
}

octet_status octet_workspace_create(octet_workspace **workspace, const octet_plan *plan, octet_error *err)
{
    *workspace               = NULL;
    octet_arena *const arena = octet_arena_new_streamed();
    octet_workspace   *ws    = arena ? octet_arena_alloc(arena, 1, sizeof *ws) : NULL;
    uint8_t *const     base  = ws ? octet_arena_alloc(arena, plan->workspace_bytes, 1) : NULL;
    if (!base) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    ws->plan  = plan;
    ws->arena = arena;
    carve(ws, base, plan);
    const octet_status status = fill(ws, err);
    if (status == OCTET_OK) *workspace = ws;
    else octet_workspace_free(ws);
    return status;
}

void octet_workspace_free(octet_workspace *workspace)
{
    if (!workspace) return;
    for (size_t i = 0; i < workspace->plan->step_count; i++)
        if (workspace->bound[i]) workspace->plan->steps[i].engine->unbind(workspace->bound[i]);
    octet_arena_free(workspace->arena);
}

/* ---- hooks ---- */

static octet_status make_dense_room(octet_workspace *ws, octet_error *err)
{
    const size_t bytes = ws->dense || !ws->hook ? 0 : dense_bytes(ws->plan);
    return bytes ? octet_arena_get(&ws->dense, ws->arena, bytes, 1, err) : OCTET_OK;
}

static void set_hook(octet_workspace *ws, octet_value_hook hook, void *context, bool raw)
{
    ws->hook         = hook;
    ws->hook_context = context;
    ws->raw          = raw;
    make_dense_room(ws, NULL); /* tried again, and reported, by the next run */
}

void octet_workspace_set_hook(octet_workspace *workspace, octet_value_hook hook, void *context)
{
    set_hook(workspace, hook, context, false);
}

void octet_workspace_set_raw_hook(octet_workspace *workspace, octet_value_hook hook, void *context)
{
    set_hook(workspace, hook, context, true);
}

/* Whether a raw hook sees the form as it lies, in blocks. */
static bool shows_blocks(const octet_form *form)
{
    return form->layout == OCTET_LAYOUT_BLOCKED &&
           octet_tensor_count(&form->stored) == octet_tensor_count(&form->logical);
}

/* A form as a tensor of the value's own shape, in logical order unless any order will do. */
static octet_tensor present(octet_workspace *ws, int form, bool any_order)
{
    const octet_form *const f      = &ws->plan->forms[form];
    octet_tensor            tensor = f->logical;
    tensor.data                    = ws->tensors[form].data;
    if (f->layout == OCTET_LAYOUT_DENSE) return tensor;
    if (any_order && shows_blocks(f)) return tensor;
    if (octet_layout_has_area(f->layout)) octet_pixels_to_dense(ws->plan, ws->dense, f, tensor.data);
    else octet_convert_to_dense(ws->dense, f, tensor.data);
    tensor.data = ws->dense;
    return tensor;
}

static octet_status show(octet_workspace *ws, int form, octet_error *err)
{
    if (form < 0 || !ws->hook || !ws->plan->forms[form].shown) return OCTET_OK;
    const octet_tensor tensor = present(ws, form, ws->raw);
    return ws->hook(ws->hook_context, ws->plan->forms[form].value->name, &tensor, err);
}

/* ---- running ---- */

void octet_workspace_set_times(octet_workspace *workspace, double *seconds) { workspace->seconds = seconds; }

/* Steps that are cut into parts: one member of a team goes through all of them, doing its own parts. */
typedef struct stretch {
    octet_workspace *ws;
    size_t           first, last;
} stretch;

static bool in_parts(const octet_step *step) { return step->view || step->phases > 0; }

/* Whether all must be done before what comes next: not where the first member does both. */
static bool must_meet(const stretch *s, size_t index, int phase)
{
    const octet_step *const step = &s->ws->plan->steps[index];
    if (step->parts > 1) return true;
    if (phase + 1 < step->phases) return false;
    for (size_t next = index + 1; next < s->last; next++)
        if (!s->ws->plan->steps[next].view) return s->ws->plan->steps[next].parts > 1;
    return false;
}

/* A part alone is the first member's, so that it need not meet the others before the next. */
static void run_phase(octet_workspace *ws, size_t index, int phase, octet_member *member)
{
    const octet_step *const step = &ws->plan->steps[index];
    int                     part = 0;
    if (step->parts == 1 && member->index == 0) step->engine->run_part(step, &ws->calls[index], phase, 0);
    while (step->parts > 1 && octet_member_take(&part, member, step->parts))
        step->engine->run_part(step, &ws->calls[index], phase, part);
}

static void run_stretch(void *context, octet_member *member)
{
    const stretch *const   s  = context;
    octet_workspace *const ws = s->ws;
    const bool             timed = ws->seconds && member->index == 0;
    double                 began = timed ? octet_clock() : 0;
    for (size_t i = s->first; i < s->last; i++) {
        const octet_step *const step = &ws->plan->steps[i];
        for (int phase = 0; !step->view && phase < step->phases; phase++) {
            run_phase(ws, i, phase, member);
            if (must_meet(s, i, phase)) octet_member_wait(member);
        }
        if (!timed) continue;
        const double now = octet_clock();
        ws->seconds[i] += now - began;
        began = now;
    }
}

static octet_status run_whole(octet_workspace *ws, size_t index, octet_error *err)
{
    const octet_step *const step   = &ws->plan->steps[index];
    const double            began  = ws->seconds ? octet_clock() : 0;
    const octet_status      status = step->engine->run(step, &ws->calls[index], ws->bound[index], err);
    if (ws->seconds) ws->seconds[index] += octet_clock() - began;
    if (status != OCTET_OK) octet_error_node(err, step->name);
    return status;
}

/* Runs steps from `first` on: as many as one team can do, or one. Returns the next through *first. */
static octet_status run_steps(octet_workspace *ws, size_t *first, bool one, octet_error *err)
{
    const octet_plan *const plan = ws->plan;
    stretch                 s    = { .ws = ws, .first = *first, .last = *first };
    int                     most = 1;
    while (s.last < plan->step_count && in_parts(&plan->steps[s.last]) && (!one || s.last == s.first)) {
        const octet_step *const step = &plan->steps[s.last++];
        if (step->view) ws->tensors[step->out[0]].data = ws->tensors[step->in[0]].data;
        if (step->parts > most) most = step->parts;
    }
    for (size_t i = s.first; i < s.last; i++) ws->nodes_run += plan->steps[i].node && !plan->steps[i].view;
    if (s.last == s.first) {
        ws->nodes_run += plan->steps[s.first].node != NULL;
        return run_whole(ws, (*first)++, err);
    }
    octet_team_run(most < plan->threads ? most : plan->threads, run_stretch, &s);
    *first = s.last;
    return OCTET_OK;
}

static octet_status check_input(const octet_tensor *input, const octet_tensor *want, const char *name, octet_error *err)
{
    char wanted[96], got[96];
    bool fits = input->dtype == want->dtype && input->rank == want->rank;
    for (int i = 0; fits && i < want->rank; i++) fits = input->dims[i] == want->dims[i];
    if (!fits) {
        const int rank = input->rank < 0 || input->rank > OCTET_MAX_RANK ? 0 : input->rank;
        return octet_fail(err, OCTET_ERR_ARGUMENT, "input '%s' is %s %s, the plan is for %s %s", name,
                          octet_dtype_name(input->dtype), octet_shape_text(got, sizeof got, input->dims, rank),
                          octet_dtype_name(want->dtype),
                          octet_shape_text(wanted, sizeof wanted, want->dims, want->rank));
    }
    if (!input->data && octet_tensor_count(want) > 0)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "input '%s' has no data", name);
    return OCTET_OK;
}

/* Whether a caller's memory can serve as the form's: nobody looks at it after the run. Kernels may read past the end of
   levels. */
static bool can_borrow(const octet_plan *plan, int form, const octet_tensor *input)
{
    bool needed = plan->forms[form].kind == OCTET_FORM_LEVELS;
    for (size_t i = 0; i < plan->graph->output_count; i++)
        if (plan->forms[plan->output_forms[i]].buffer == plan->forms[form].buffer) needed = true;
    return !plan->keep_values && !needed && (uintptr_t)input->data % octet_dtype_size(input->dtype) == 0;
}

static octet_status put_input(octet_workspace *ws, size_t index, const octet_tensor *input, octet_error *err)
{
    const octet_plan *const  plan  = ws->plan;
    const octet_value *const value = plan->graph->inputs[index];
    const octet_tensor      *want  = &plan->shapes[value->index];
    const int                form  = plan->input_forms[index];
    if (form >= 0) want = &plan->forms[form].logical;
    OCTET_TRY(check_input(input, want, value->name, err));
    const size_t bytes = (size_t)octet_tensor_bytes(want);
    if (form < 0) {
        if (!bytes || memcmp(input->data, want->data, bytes) == 0) return OCTET_OK;
        return octet_fail(err, OCTET_ERR_ARGUMENT, "input '%s' differs from the value that the plan was made for",
                          value->name);
    }
    octet_tensor *const tensor = &ws->tensors[form];
    tensor->data               = own_place(ws, form);
    if (can_borrow(plan, form, input)) tensor->data = input->data;
    else if (bytes) memcpy(tensor->data, input->data, bytes);
    return show(ws, form, err);
}

void octet_workspace_own(octet_workspace *workspace)
{
    for (size_t i = 0; i < workspace->plan->form_count; i++)
        workspace->tensors[i].data = own_place(workspace, (int)i);
}

octet_status octet_run(octet_workspace *workspace, const octet_tensor *inputs, octet_tensor *outputs, octet_error *err)
{
    const octet_plan *const plan = workspace->plan;
    OCTET_TRY(make_dense_room(workspace, err));
    octet_workspace_own(workspace);
    for (size_t i = 0; i < plan->graph->input_count; i++) OCTET_TRY(put_input(workspace, i, &inputs[i], err));
    for (size_t i = 0; i < plan->step_count;) {
        const octet_step *const step = &plan->steps[i];
        OCTET_TRY(run_steps(workspace, &i, workspace->hook != NULL, err));
        for (int o = 0; workspace->hook && o < step->out_count; o++) OCTET_TRY(show(workspace, step->out[o], err));
    }
    for (size_t i = 0; i < plan->graph->output_count; i++) outputs[i] = workspace->tensors[plan->output_forms[i]];
    return OCTET_OK;
}

/* ---- looking at kept values, and running a part ---- */

void octet_workspace_order_sums(const octet_workspace *workspace, const octet_value *value, int64_t *sums,
                                int64_t *room)
{
    const int form = octet_plan_shown_form(workspace->plan, value);
    if (form < 0 || !shows_blocks(&workspace->plan->forms[form])) return;
    const size_t bytes = (size_t)octet_tensor_count(&workspace->plan->forms[form].logical) * sizeof *sums;
    memcpy(room, sums, bytes);
    octet_convert_sums_to_dense(sums, &workspace->plan->forms[form], room);
}

octet_tensor octet_workspace_value(octet_workspace *workspace, const octet_value *value)
{
    assert(workspace->plan->keep_values);
    const int form = octet_plan_shown_form(workspace->plan, value);
    return form < 0 ? (octet_tensor){ 0 } : present(workspace, form, false);
}

octet_tensor octet_workspace_raw(const octet_workspace *workspace, const octet_value *value)
{
    const int form = octet_plan_shown_form(workspace->plan, value);
    return form < 0 ? (octet_tensor){ 0 } : workspace->tensors[form];
}

void *octet_workspace_place(octet_workspace *to, const octet_value *value)
{
    const int form = octet_plan_shown_form(to->plan, value);
    return form < 0 ? NULL : own_place(to, form);
}

/* Whether a step reads something new; its outputs then are new too. */
static bool spread(octet_workspace *ws, const octet_step *step)
{
    bool reads = false;
    for (int i = 0; i < step->in_count; i++)
        if (step->in[i] >= 0 && ws->dirty[step->in[i]]) reads = true;
    for (int i = 0; reads && i < step->out_count; i++) {
        if (step->out[i] < 0) continue;
        ws->dirty[step->out[i]]        = 1;
        ws->tensors[step->out[i]].data = own_place(ws, step->out[i]);
    }
    return reads;
}

octet_status octet_workspace_rerun(octet_workspace *to, const octet_workspace *from, const octet_value *changed,
                                   const void *raw, octet_error *err)
{
    const octet_plan *const plan = to->plan;
    assert(plan->keep_values && plan == from->plan && to != from);
    const int form = octet_plan_shown_form(plan, changed);
    if (form < 0) return octet_fail(err, OCTET_ERR_ARGUMENT, "the plan does not form value '%s'", changed->name);
    for (size_t i = 0; i < plan->form_count; i++) to->tensors[i].data = from->tensors[i].data;
    if (plan->form_count) memset(to->dirty, 0, plan->form_count);
    to->dirty[form]        = 1;
    to->tensors[form].data = own_place(to, form);
    if (raw) memcpy(to->tensors[form].data, raw, (size_t)octet_tensor_bytes(&to->tensors[form]));
    for (size_t i = 0; i < plan->step_count; i++) {
        size_t index = i;
        if (spread(to, &plan->steps[i])) OCTET_TRY(run_steps(to, &index, true, err));
    }
    return OCTET_OK;
}

static void mark_inputs(octet_workspace *workspace, const octet_node *node)
{
    for (int i = 0; i < node->input_count; i++) {
        const int form = node->inputs[i] ? octet_plan_shown_form(workspace->plan, node->inputs[i]) : -1;
        if (form >= 0) workspace->dirty[form] = 1;
    }
}

/* The Conv that is summed into node, an Add, in a step of its own (else there is one step for both). */
static const octet_node *summed_into(const octet_plan *plan, const octet_node *node)
{
    for (int i = 0; i < node->input_count; i++) {
        const octet_node *const producer = node->inputs[i] ? node->inputs[i]->producer : NULL;
        if (producer && octet_node_fused_add(plan->graph, producer) == node) return producer;
    }
    return NULL;
}

/* Conversions of the inputs come before the step, as it is their reader; those of its outputs behind it. */
octet_status octet_workspace_run_node(octet_workspace *workspace, const octet_node *node, octet_error *err)
{
    const octet_plan *const plan = workspace->plan;
    bool                    ran  = false;
    assert(plan->keep_values);
    octet_workspace_own(workspace);
    if (plan->form_count) memset(workspace->dirty, 0, plan->form_count);
    const octet_node *const summed = summed_into(plan, node);
    mark_inputs(workspace, node);
    if (summed) mark_inputs(workspace, summed);
    for (size_t i = 0; i < plan->step_count; i++) {
        const octet_step *const step  = &plan->steps[i];
        const bool              is_it = step->node == node || (step->add && step->add == node);
        const bool              part  = !step->node || (step->node == summed && !step->add);
        size_t                  index = i;
        if ((is_it || part) && spread(workspace, step)) OCTET_TRY(run_steps(workspace, &index, true, err));
        ran = ran || is_it;
    }
    if (ran) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_ARGUMENT, "the plan has no step for node '%s'", node->name);
}
