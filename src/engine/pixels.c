/* SPDX-License-Identifier: Apache-2.0 */
/* Values in pixels: what border each gets, which of them are parts of a Concat's result, and the steps that lead from
   dense numbers to pixels and back. A value has one form in pixels, made for all its readers. */
#include "engine/native/native.h"

#include "ops/attrs.h"
#include "ops/levels.h"
#include "ops/rescale.h"

#include <string.h>

/* ---- borders ---- */

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static void widen(octet_border *border, const octet_border *by)
{
    border->top    = larger(border->top, by->top);
    border->left   = larger(border->left, by->left);
    border->bottom = larger(border->bottom, by->bottom);
    border->right  = larger(border->right, by->right);
}

/* What the windows of value's readers touch. */
static octet_border border_of(const octet_plan *plan, const octet_value *value)
{
    octet_border border = { 0 };
    for (size_t i = 0; !plan->tight && i < value->use_count; i++) {
        const octet_node *const reader = value->uses[i].node;
        octet_window2           window;
        if (strcmp(reader->op->name, "Conv") != 0 || value->uses[i].slot != 0 ||
            octet_node_compute_mode(plan->graph, reader) == OCTET_MODE_REAL ||
            !octet_window2_of(&window, plan, reader) || octet_window2_is_far(&window))
            continue;
        widen(&border, &window.reach);
    }
    return border;
}

/* ---- parts of a Concat ---- */

/* Whether node joins channels of levels. */
static bool joins_channels(const octet_plan *plan, const octet_node *node)
{
    if (node->op->quant != OCTET_QUANT_CONCAT || octet_node_compute_mode(plan->graph, node) != OCTET_MODE_INTEGER)
        return false;
    const int64_t axis = ((const octet_axis_attrs *)node->attrs)->axis;
    const int     rank = plan->shapes[node->outputs[0]->index].rank;
    return rank >= 2 && rank <= 4 && (axis == 1 || axis + rank == 1);
}

static int slot_of(const octet_node *node, const octet_value *value, int from)
{
    for (int i = from; i < node->input_count; i++)
        if (node->inputs[i] == value) return i;
    return -1;
}

/* The Concat whose result value can be written into: the first that copies its levels unchanged. */
static const octet_node *concat_of(const octet_plan *plan, const octet_value *value)
{
    const octet_qparams *const q = octet_value_levels(plan->graph, value);
    if (plan->keep_values || plan->tight || !value->producer || value->is_output) return NULL;
    for (size_t i = 0; i < value->use_count; i++) {
        const octet_node *const node = value->uses[i].node;
        const int               slot = slot_of(node, value, 0);
        if (joins_channels(plan, node) && octet_qparams_equal(q, octet_value_levels(plan->graph, node->outputs[0])) &&
            slot_of(node, value, slot + 1) < 0)
            return node;
    }
    return NULL;
}

/* ---- forms ---- */

/* A Concat's result has the borders of all parts that may lie in it. */
octet_area octet_plan_area(const octet_plan *plan, const octet_value *value)
{
    octet_tensor            tensor = plan->shapes[value->index];
    octet_border            border = border_of(plan, value);
    const octet_node *const node   = value->producer;
    octet_area              area;
    octet_fold              fold;
    size_t                  extent[2];
    for (int i = 0; node && joins_channels(plan, node) && i < node->input_count; i++) {
        const octet_border other = border_of(plan, node->inputs[i]);
        widen(&border, &other);
    }
    tensor.qparams = octet_value_levels(plan->graph, value);
    octet_area_make(&area, &tensor, &border, plan->tight);
    if (octet_window2_folds(&fold, extent, plan, value)) octet_area_fold(&area, &fold, extent[0], extent[1]);
    return area;
}

octet_area octet_plan_rows(const octet_plan *plan, const octet_value *value)
{
    octet_tensor tensor = plan->shapes[value->index];
    octet_area   area;
    tensor.qparams = octet_value_levels(plan->graph, value);
    octet_area_make_rows(&area, &tensor);
    return area;
}

static octet_form pixels_like(const octet_plan *plan, const octet_value *value)
{
    return (octet_form){ .value = value, .kind = OCTET_FORM_LEVELS, .layout = OCTET_LAYOUT_PIXELS, .buffer = -1,
                         .area = octet_plan_area(plan, value) };
}

octet_status octet_plan_add_bytes(int *form, octet_plan *plan, const octet_value *value, octet_layout layout,
                                  octet_error *err)
{
    octet_form              like   = pixels_like(plan, value);
    const octet_node *const concat = layout == OCTET_LAYOUT_PIXELS ? concat_of(plan, value) : NULL;
    *form = octet_plan_form(plan, value, OCTET_FORM_LEVELS, layout);
    if (*form >= 0) return OCTET_OK;
    like.layout = layout;
    if (layout == OCTET_LAYOUT_ROWS) like.area = octet_plan_rows(plan, value);
    if (!concat || (value->producer && joins_channels(plan, value->producer)))
        return octet_plan_add_form(form, plan, like, err);
    int whole = octet_plan_form(plan, concat->outputs[0], OCTET_FORM_LEVELS, OCTET_LAYOUT_PIXELS);
    if (whole < 0) OCTET_TRY(octet_plan_add_form(&whole, plan, pixels_like(plan, concat->outputs[0]), err));
    size_t before = 0;
    for (int i = 0; concat->inputs[i] != value; i++)
        before += (size_t)plan->shapes[concat->inputs[i]->index].dims[1];
    const size_t channels = like.area.channels;
    like.area             = plan->forms[whole].area;
    like.area.channels    = channels;
    like.area.offset += before;
    like.area.shared = true;
    like.buffer = plan->forms[whole].buffer;
    return octet_plan_add_form(form, plan, like, err);
}

/* ---- conversions ---- */

typedef struct pixels_step {
    const octet_planes_kernel *planes;
    octet_area                 area;
    bool                       to_pixels, real, rows; /* rows: the area's memory is dense */
    octet_real_levels          rule;
} pixels_step;

static void convert(const pixels_step *s, float *reals, uint8_t *bytes, uint8_t *levels, const octet_planes *size)
{
    if (s->real && s->to_pixels) s->planes->quantize(levels, reals, size, &s->rule);
    else if (s->real) s->planes->dequantize(reals, levels, size, &s->rule);
    else if (s->to_pixels) s->planes->to_pixels(levels, bytes, size, s->area.flip);
    else s->planes->to_planes(bytes, levels, size, s->area.flip);
}

/* One image row of all channels: of planes in the order of the graph, and of pixels. */
static void convert_row(const pixels_step *s, size_t row, void *planes, uint8_t *pixels)
{
    const octet_area *const a    = &s->area;
    const size_t            n    = row / a->height, y = row % a->height, plane = a->height * a->width;
    const octet_planes      size = { .pixels = a->width, .channels = a->channels, .plane = plane,
                                     .pixel = a->steps.pixel };
    const size_t            at = n * a->channels * plane + y * a->width;
    convert(s, (float *)planes + at, (uint8_t *)planes + at,
            pixels + a->offset + n * a->steps.image + y * a->steps.row, &size);
}

/* Rows that lie one after the other on both sides are one row. */
static void convert_rows(const pixels_step *s, octet_share share, void *planes, uint8_t *pixels)
{
    const size_t       at = share.first * s->area.channels, n = (share.last - share.first) * s->area.channels;
    const octet_planes size = { .pixels = n, .channels = 1, .plane = n, .pixel = 1 };
    convert(s, (float *)planes + at, (uint8_t *)planes + at, pixels + at, &size);
}

/* Pairs of pixels to every second place of their size. */
static void copy_pairs(uint8_t *restrict to, const uint8_t *restrict from, size_t n, size_t pair)
{
    if (pair == 8)
        for (size_t x = 0; x < n; x++) memcpy(to + x * 16, from + x * 8, 8);
    else
        for (size_t x = 0; x < n; x++) memcpy(to + x * 2 * pair, from + x * pair, pair);
}

/* A row of folded pixels: each half comes from one source row, two source pixels at a time. */
static void fold_row(const pixels_step *s, size_t row, void *planes, uint8_t *pixels)
{
    enum { MOST = 4 * 2048 }; /* octet_window2_folds sees to it */
    const octet_area *const a = &s->area;
    const octet_fold *const f = &a->fold;
    const size_t            n = row / a->height, y = row % a->height, plane = f->height * f->width, pair = 2 * f->unit;
    const octet_planes size = { .pixels = f->width, .channels = f->channels, .plane = plane, .pixel = f->unit };
    const size_t       used = a->width * pair;
    uint8_t            source[MOST], *to = pixels + a->offset + n * a->steps.image + y * a->steps.row;
    for (size_t half = 0; half < 2; half++, to += pair) {
        const size_t at = 2 * y + half, from = n * f->channels * plane + (at - f->top) * f->width;
        const bool   inside = at >= f->top && at < f->top + f->height;
        const size_t before = inside ? f->left * f->unit : used, after = inside ? before + f->width * f->unit : used;
        memset(source, a->zero, before);
        if (used > after) memset(source + after, a->zero, used - after);
        if (inside && s->real)
            s->planes->quantize(source + before, (const float *)planes + from, &size, &s->rule);
        else if (inside)
            s->planes->to_pixels(source + before, (const uint8_t *)planes + from, &size, a->flip);
        copy_pairs(to, source, a->width, pair);
    }
}

static void run_part(const octet_step *step, const octet_call *call, int phase, int part)
{
    (void)phase;
    const pixels_step *const s      = step->state;
    void *const              planes = s->to_pixels ? call->in[0]->data : call->out[0]->data;
    uint8_t *const           pixels = s->to_pixels ? call->out[0]->data : call->in[0]->data;
    const octet_share        share = octet_native_share(s->area.images * s->area.height, part, step->parts);
    if (s->rows) {
        convert_rows(s, share, planes, pixels);
        return;
    }
    if (s->to_pixels && part == 0) octet_area_fill_border(&s->area, pixels);
    for (size_t r = share.first; r < share.last; r++)
        (s->area.fold.unit ? fold_row : convert_row)(s, r, planes, pixels);
}

static octet_real_levels real_rule(const octet_qparams *q)
{
    return (octet_real_levels){ .scale = q->scale[0], .to = octet_native_to(q, NULL) };
}

static bool accepts(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    (void)plan, (void)step, (void)why;
    return false; /* conversions only, which nobody asks for */
}

static const octet_engine pixels_engine = { .name = "native", .accepts = accepts, .run_part = run_part };

static octet_status make_state(octet_step *step, octet_plan *plan, octet_error *err)
{
    const octet_form *const from = &plan->forms[step->in[0]], *const to = &plan->forms[step->out[0]];
    const bool              to_pixels = octet_layout_has_area(to->layout);
    const octet_form *const pixels    = to_pixels ? to : from;
    pixels_step            *s;
    OCTET_TRY(octet_arena_get(&s, plan->arena, 1, sizeof *s, err));
    *s = (pixels_step){ .planes = plan->kernels->planes, .area = pixels->area, .to_pixels = to_pixels,
                        .real = from->kind != to->kind, .rows = pixels->layout == OCTET_LAYOUT_ROWS,
                        .rule = real_rule(pixels->logical.qparams) };
    step->state = s;
    step->op    = !s->real ? "Reorder" : to_pixels ? "Quantize" : "Dequantize";
    return OCTET_OK;
}

/* Levels of u8 in rows are dense levels. */
static bool is_same_memory(const octet_plan *plan, int from, const octet_form *like)
{
    const octet_form *const source = &plan->forms[from];
    const bool              rows = source->layout == OCTET_LAYOUT_ROWS || like->layout == OCTET_LAYOUT_ROWS;
    return rows && source->kind == like->kind && source->buffer >= 0 && source->logical.dtype == OCTET_U8;
}

octet_status octet_plan_convert_pixels(int *form, octet_plan *plan, int from, octet_form like, octet_error *err)
{
    enum { ELEMENTS = 2000 }; /* of a microsecond, roughly */
    octet_step new, *step;
    OCTET_TRY(octet_plan_new_step(&new, plan, 1, 1, err));
    new.view = is_same_memory(plan, from, &like);
    if (new.view || !octet_layout_has_area(like.layout)) {
        like.buffer = new.view ? plan->forms[from].buffer : -1;
        if (like.layout == OCTET_LAYOUT_ROWS) like.area = octet_plan_rows(plan, like.value);
        OCTET_TRY(octet_plan_add_form(form, plan, like, err));
    } else OCTET_TRY(octet_plan_add_bytes(form, plan, like.value, like.layout, err));
    if (plan->forms[*form].area.fold.unit) plan->forms[*form].shown = false; /* for its one reader's eyes */
    new.name   = like.value->name;
    new.engine = &pixels_engine;
    new.phases = !new.view;
    new.parts  = octet_native_parts(plan, (double)octet_tensor_count(&plan->shapes[like.value->index]) / ELEMENTS);
    new.in[0]  = from;
    new.out[0] = *form;
    OCTET_TRY(make_state(&new, plan, err));
    return octet_plan_add_step(&step, plan, &new, err);
}

/* s->real: the dense side holds real numbers, else levels. */
static void move_rows(pixels_step *s, const octet_plan *plan, void *dense, const octet_form *form, void *pixels)
{
    const size_t rows = form->area.images * form->area.height;
    s->planes         = plan->kernels->planes;
    s->area           = form->area;
    if (s->real) s->rule = real_rule(form->logical.qparams);
    if (form->layout == OCTET_LAYOUT_ROWS) {
        convert_rows(s, (octet_share){ 0, rows }, dense, pixels);
        return;
    }
    if (s->to_pixels) octet_area_fill_border(&s->area, pixels);
    for (size_t r = 0; r < rows; r++) convert_row(s, r, dense, pixels);
}

void octet_pixels_to_dense(const octet_plan *plan, void *dense, const octet_form *form, void *pixels)
{
    move_rows(&(pixels_step){ 0 }, plan, dense, form, pixels);
}

void octet_pixels_from_dense(const octet_plan *plan, void *pixels, const octet_form *form, void *dense)
{
    move_rows(&(pixels_step){ .to_pixels = true }, plan, dense, form, pixels);
}

void octet_pixels_to_reals(const octet_plan *plan, float *reals, const octet_form *form, void *pixels)
{
    move_rows(&(pixels_step){ .real = true }, plan, reals, form, pixels);
}

void octet_pixels_from_reals(const octet_plan *plan, void *pixels, const octet_form *form, float *reals)
{
    move_rows(&(pixels_step){ .real = true, .to_pixels = true }, plan, reals, form, pixels);
}
