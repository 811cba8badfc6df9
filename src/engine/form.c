/* SPDX-License-Identifier: Apache-2.0 */
/* The forms in which values exist, and how one comes from another: from levels to real numbers first, then from one
   layout to the other. Constants are converted while planning, everything else by steps. */
#include "engine/plan.h"

#include "base/checked.h"

octet_form_kind octet_plan_kind(const octet_plan *plan, const octet_value *value)
{
    return octet_value_levels(plan->graph, value) ? OCTET_FORM_LEVELS : OCTET_FORM_REAL;
}

bool octet_plan_can_block(const octet_plan *plan, const octet_value *value)
{
    const octet_tensor *const shape = &plan->shapes[value->index];
    return plan->block && shape->dtype == OCTET_F32 && shape->rank >= 3 && shape->rank < OCTET_MAX_RANK &&
           octet_tensor_count(shape) > 0;
}

static octet_tensor logical_of(const octet_plan *plan, const octet_value *value, octet_form_kind kind)
{
    octet_tensor tensor = plan->shapes[value->index];
    tensor.data         = NULL;
    tensor.qparams      = NULL;
    if (kind == OCTET_FORM_LEVELS) {
        tensor.qparams = octet_value_levels(plan->graph, value);
        tensor.dtype   = tensor.qparams->dtype;
    } else if (octet_plan_kind(plan, value) == OCTET_FORM_LEVELS) {
        tensor.dtype = OCTET_F32;
    }
    return tensor;
}

static octet_tensor stored_of(const octet_plan *plan, const octet_tensor *logical, const octet_form *like)
{
    octet_tensor tensor = *logical;
    if (octet_layout_has_area(like->layout)) {
        tensor.rank    = 1;
        tensor.dims[0] = like->area.bytes ? (int64_t)like->area.bytes : -1;
    }
    if (like->layout == OCTET_LAYOUT_BLOCKED) {
        tensor.dims[1]             = (logical->dims[1] + plan->block - 1) / plan->block;
        tensor.dims[tensor.rank++] = plan->block;
    }
    return tensor;
}

/* Of one value: what no network needs, and a file may ask for. */
static const size_t MOST_BYTES = (size_t)8 << 30;

static octet_status add_buffer(int *buffer, octet_plan *plan, const octet_tensor *stored, octet_error *err)
{
    const int64_t bytes = octet_tensor_bytes(stored);
    const size_t  limit = plan->max_memory < MOST_BYTES ? plan->max_memory : MOST_BYTES;
    if (bytes < 0 || (size_t)bytes > limit)
        return octet_fail(err, OCTET_ERR_LIMIT, "a value of %lld bytes is larger than the limit of %zu%s",
                          (long long)bytes, limit, limit < MOST_BYTES ? " (--max-memory)" : "");
    if (!octet_arena_grow(plan->arena, &plan->buffers, plan->buffer_count, &plan->buffer_capacity,
                          sizeof *plan->buffers))
        return octet_fail_memory(err);
    plan->buffers[plan->buffer_count] = (octet_buffer){ .bytes = (size_t)bytes };
    *buffer                           = (int)plan->buffer_count++;
    return OCTET_OK;
}

/* A form of that kind, whatever its layout; -1: none. */
static int any_layout(const octet_plan *plan, const octet_value *value, octet_form_kind kind)
{
    for (int layout = 0; layout < OCTET_LAYOUTS; layout++) {
        const int found = octet_plan_form(plan, value, kind, (octet_layout)layout);
        if (found >= 0) return found;
    }
    return -1;
}

static octet_status new_form(int *form, octet_plan *plan, const octet_form *like, octet_error *err)
{
    if (!octet_arena_grow(plan->arena, &plan->forms, plan->form_count, &plan->form_capacity, sizeof *plan->forms))
        return octet_fail_memory(err);
    octet_form *const new = &plan->forms[plan->form_count];
    *new                  = *like;
    new->shown = like->buffer >= 0 && like->kind == octet_plan_kind(plan, like->value) &&
                 any_layout(plan, like->value, like->kind) < 0;
    *form      = (int)plan->form_count++;
    plan->form_of[like->value->index][like->kind][like->layout] = *form + 1;
    return OCTET_OK;
}

octet_status octet_plan_add_form(int *form, octet_plan *plan, octet_form like, octet_error *err)
{
    like.logical = logical_of(plan, like.value, like.kind);
    like.stored  = stored_of(plan, &like.logical, &like);
    const octet_status status = like.buffer < 0 ? add_buffer(&like.buffer, plan, &like.stored, err) : OCTET_OK;
    if (status != OCTET_OK) {
        octet_error_node(err, like.value->producer ? like.value->producer->name : like.value->name);
        return status;
    }
    return new_form(form, plan, &like, err);
}

octet_status octet_plan_call(octet_call *call, const octet_plan *plan, const octet_step *step, octet_arena *arena,
                             octet_error *err)
{
    const octet_tensor **in;
    octet_tensor       **out;
    OCTET_TRY(octet_arena_get(&in, arena, (size_t)step->in_count, sizeof *in, err));
    OCTET_TRY(octet_arena_get(&out, arena, (size_t)step->out_count, sizeof *out, err));
    for (int i = 0; i < step->in_count; i++) in[i] = step->in[i] < 0 ? NULL : &plan->forms[step->in[i]].stored;
    for (int i = 0; i < step->out_count; i++) out[i] = step->out[i] < 0 ? NULL : &plan->forms[step->out[i]].stored;
    *call = (octet_call){ .node = step->node, .attrs = step->node->attrs, .in = in, .out = out,
                          .in_count = step->in_count, .out_count = step->out_count, .threads = plan->threads,
                          .profile = plan->profile, .real_unit = step->real_unit };
    return OCTET_OK;
}

octet_status octet_plan_new_step(octet_step *step, const octet_plan *plan, int in_count, int out_count,
                                 octet_error *err)
{
    *step = (octet_step){ .in_count = in_count, .out_count = out_count, .scratch = -1, .declined = "", .algorithm = "",
                           .parts = 1 };
    OCTET_TRY(octet_arena_get(&step->in, plan->arena, (size_t)in_count, sizeof *step->in, err));
    OCTET_TRY(octet_arena_get(&step->out, plan->arena, (size_t)out_count, sizeof *step->out, err));
    OCTET_TRY(octet_arena_get(&step->in_layout, plan->arena, (size_t)in_count, sizeof *step->in_layout, err));
    for (int i = 0; i < in_count; i++) step->in[i] = -1;
    for (int i = 0; i < out_count; i++) step->out[i] = -1;
    return OCTET_OK;
}

octet_status octet_plan_add_step(octet_step **place, octet_plan *plan, const octet_step *step, octet_error *err)
{
    if (!octet_arena_grow(plan->arena, &plan->steps, plan->step_count, &plan->step_capacity, sizeof *plan->steps))
        return octet_fail_memory(err);
    *place  = &plan->steps[plan->step_count++];
    **place = *step;
    return OCTET_OK;
}

/* ---- conversions ---- */

/* A constant of the plan in another form. */
static octet_status convert_constant(int *form, octet_plan *plan, int from, octet_form like, octet_error *err)
{
    like.logical = logical_of(plan, like.value, like.kind);
    like.stored  = stored_of(plan, &like.logical, &like);
    like.buffer  = -1;
    const int64_t bytes = octet_tensor_bytes(&like.stored);
    if (bytes < 0) return octet_fail(err, OCTET_ERR_LIMIT, "constant '%s' is too large", like.value->name);
    OCTET_TRY(octet_arena_get(&like.stored.data, plan->arena, (size_t)bytes, 1, err));
    octet_conversion_run(octet_conversion(&plan->forms[from], &like), &like.stored, &plan->forms[from].stored,
                         plan->profile, plan->threads);
    return new_form(form, plan, &like, err);
}

/* Blocks of one pixel are dense when no channel is missing. */
static bool same_bytes(const octet_plan *plan, int from, const octet_form *to)
{
    const octet_form *const source = &plan->forms[from];
    if (source->layout == to->layout || source->kind != to->kind) return false;
    int64_t pixels = 1;
    for (int i = 2; i < source->logical.rank; i++) pixels *= source->logical.dims[i];
    return pixels == 1 && source->logical.dims[1] % plan->block == 0;
}

static octet_status convert(int *form, octet_plan *plan, int from, octet_form like, octet_error *err)
{
    octet_step new, *step;
    if (octet_layout_has_area(like.layout) || octet_layout_has_area(plan->forms[from].layout))
        return octet_plan_convert_pixels(form, plan, from, like, err);
    if (plan->forms[from].buffer < 0) return convert_constant(form, plan, from, like, err);
    OCTET_TRY(octet_plan_new_step(&new, plan, 1, 1, err));
    new.view    = same_bytes(plan, from, &like);
    like.buffer = new.view ? plan->forms[from].buffer : -1;
    OCTET_TRY(octet_plan_add_form(form, plan, like, err));
    new.name       = like.value->name;
    new.engine     = &octet_engine_convert;
    new.conversion = octet_conversion(&plan->forms[from], &plan->forms[*form]);
    new.op         = octet_conversion_name(new.conversion);
    new.in[0]      = from;
    new.out[0]     = *form;
    return octet_plan_add_step(&step, plan, &new, err);
}

/* The form that a known value starts from. */
static octet_status constant_form(int *form, octet_plan *plan, const octet_value *value, octet_error *err)
{
    const octet_tensor *const known  = value->constant ? value->constant : &plan->shapes[value->index];
    const octet_qparams *const levels = octet_value_levels(plan->graph, value);
    const bool is_levels = levels && known->qparams;
    octet_form like = { .value = value, .buffer = -1, .logical = *known, .stored = *known };
    like.kind       = is_levels ? OCTET_FORM_LEVELS : levels ? OCTET_FORM_RAW : OCTET_FORM_REAL;
    like.logical.qparams = like.stored.qparams = is_levels ? levels : NULL;
    return new_form(form, plan, &like, err);
}

int octet_plan_shown_form(const octet_plan *plan, const octet_value *value)
{
    for (int layout = 0; layout < OCTET_LAYOUTS; layout++) {
        const int form = octet_plan_form(plan, value, octet_plan_kind(plan, value), (octet_layout)layout);
        if (form >= 0 && plan->forms[form].shown) return form;
    }
    return -1;
}

static int first_form(const octet_plan *plan, const octet_value *value)
{
    static const octet_form_kind order[] = { OCTET_FORM_LEVELS, OCTET_FORM_REAL, OCTET_FORM_RAW };
    int                          found   = -1;
    for (size_t k = 0; found < 0 && k < sizeof order / sizeof *order; k++) found = any_layout(plan, value, order[k]);
    return found;
}

/* The next form on the way. Levels and real numbers meet in dense form only; pixels and rows come from dense forms of
   either. */
static octet_form next_form(const octet_form *source, const octet_form *want)
{
    octet_form next = { .value = want->value, .kind = source->kind };
    if (octet_layout_has_area(source->layout))
        next.kind = want->kind;
    else if (octet_layout_has_area(want->layout) && source->layout == OCTET_LAYOUT_DENSE)
        next = *want;
    else if (source->kind == want->kind && !octet_layout_has_area(want->layout))
        next.layout = want->layout;
    else if (source->layout == OCTET_LAYOUT_DENSE)
        next.kind = source->kind == OCTET_FORM_RAW ? OCTET_FORM_LEVELS : want->kind;
    return next;
}

octet_status octet_plan_want_form(int *form, octet_plan *plan, octet_form want, octet_error *err)
{
    *form = octet_plan_form(plan, want.value, want.kind, want.layout);
    if (*form >= 0) return OCTET_OK;
    OCTET_TRY(octet_plan_settle_move(plan, want.value, want.layout, err));
    *form = octet_plan_form(plan, want.value, want.kind, want.layout);
    if (*form >= 0) return OCTET_OK;
    int from = any_layout(plan, want.value, want.kind);
    if (from < 0) from = first_form(plan, want.value);
    if (from < 0) OCTET_TRY(constant_form(&from, plan, want.value, err));
    while (plan->forms[from].kind != want.kind || plan->forms[from].layout != want.layout) {
        const octet_form source = plan->forms[from];
        OCTET_TRY(convert(&from, plan, from, next_form(&source, &want), err));
    }
    *form = from;
    return OCTET_OK;
}
