/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that only move levels: Reshape, Transpose, Gather, Slice, Split, Flatten, DepthToSpace, nearest Resize,
   Pad.

   A plan does not run them one by one. Each is applied, while planning, to a tensor of element numbers by its own
   definition; so the result of a whole chain is known as "element i is element index[i] of value base". Only where a
   reader wants the result is there a step, the cheapest that index allows: none at all (the same bytes in another
   shape), whole pixels, the same channels of every pixel (a channel shuffle), or any elements. An element that Pad
   adds is number NOTHING: the zero point. */
#include "engine/native/native.h"

#include "ops/attrs.h"
#include "ops/rescale.h"

#include <string.h>

typedef struct octet_moved octet_moved;
enum { NOTHING = -1 };

struct octet_moved {
    const octet_value *base;  /* lies in memory; NULL: the value is not moved */
    octet_tensor       index; /* int32, of the value's shape: which element of base each is */
};

/* Channels that lie together, before and after. */
typedef struct channel_run {
    int32_t to, from, count; /* from NOTHING: zero points */
} channel_run;

typedef struct move_step {
    octet_native_run            run;
    const octet_element_kernel *kernel;
    octet_area                  in, out;
    const int32_t              *channels; /* per channel; NULL: all of a pixel, or runs */
    const channel_run          *runs;     /* in place of channels where there are few; NULL otherwise */
    int                         run_count;
    const int32_t              *pixels;   /* byte where output pixel's input pixel begins; NULL: the same pixel */
    const int32_t              *bytes;    /* per element: where its byte lies; NULL: pixels or channels say it */
    bool                        rescales; /* the result has a scale of its own (nearest Resize of foreign files) */
    octet_rescale_levels        rule;
} move_step;

/* ---- following ---- */

octet_status octet_plan_begin_moves(octet_plan *plan, octet_error *err)
{
    plan->temporary = octet_arena_new();
    if (!plan->temporary) return octet_fail_memory(err);
    return octet_arena_get(&plan->moved, plan->temporary, (size_t)plan->graph->value_count, sizeof *plan->moved, err);
}

/* Whether what Pad adds is zero. */
static bool pads_zero(const octet_plan *plan, const octet_node *node)
{
    const octet_value *const value = node->input_count > 2 ? node->inputs[2] : NULL;
    if (!value) return true;
    const octet_tensor *const pad = &plan->shapes[value->index];
    return pad->data && pad->dtype == OCTET_F32 && !pad->qparams &&
           *(const float *)pad->data == 0.0f;
}

/* A crop may invent elements. */
static bool copies_nearest(const octet_resize_attrs *attrs)
{
    return !strcmp(attrs->mode, "nearest") && strcmp(attrs->coordinate_transformation_mode, "tf_crop_and_resize") != 0;
}

static bool only_moves(const octet_plan *plan, const octet_node *node)
{
    static const char *const names[] = { "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND",
                                         "Identity", "Pad", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze",
                                         "Tile", "Transpose", "Unsqueeze" };
    bool known = !strcmp(node->op->name, "Resize") && copies_nearest(node->attrs);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) known = known || !strcmp(names[i], node->op->name);
    if (!known || node->activation.on || !node->op->forward) return false;
    for (int i = 1; i < node->input_count; i++)
        if (node->inputs[i] && !octet_plan_known(plan, node->inputs[i])) return false;
    return strcmp(node->op->name, "Pad") != 0 || pads_zero(plan, node);
}

/* Element numbers of the value itself. */
static octet_status number_elements(octet_tensor *index, const octet_plan *plan, const octet_value *value,
                                    octet_error *err)
{
    *index             = plan->shapes[value->index];
    index->dtype       = OCTET_I32;
    index->qparams     = NULL;
    const size_t count = (size_t)octet_tensor_count(index);
    OCTET_TRY(octet_arena_get(&index->data, plan->temporary, count, sizeof(int32_t), err));
    for (size_t i = 0; i < count; i++) ((int32_t *)index->data)[i] = (int32_t)i;
    return OCTET_OK;
}

static octet_status move_numbers(octet_plan *plan, const octet_node *node, const octet_moved *from, octet_error *err)
{
    enum { PAD_INPUTS = 3 };
    static int32_t       nothing = NOTHING;
    const octet_tensor   added   = { .dtype = OCTET_I32, .data = &nothing };
    const octet_tensor **in;
    octet_tensor       **out;
    octet_call           call = { .node = node, .attrs = node->attrs, .in_count = node->input_count,
                                  .out_count = node->output_count, .threads = 1, .profile = plan->profile };
    OCTET_TRY(octet_arena_get(&in, plan->temporary, (size_t)node->input_count + PAD_INPUTS, sizeof *in, err));
    OCTET_TRY(octet_arena_get(&out, plan->temporary, (size_t)node->output_count, sizeof *out, err));
    for (int i = 1; i < node->input_count; i++) in[i] = node->inputs[i] ? &plan->shapes[node->inputs[i]->index] : NULL;
    if (!strcmp(node->op->name, "Pad")) {
        in[2]         = &added;
        call.in_count = node->input_count > PAD_INPUTS ? node->input_count : PAD_INPUTS;
    }
    in[0] = &from->index;
    for (int i = 0; i < node->output_count; i++) {
        if (!node->outputs[i]) continue;
        octet_moved *const to = &plan->moved[node->outputs[i]->index];
        to->base              = from->base;
        OCTET_TRY(number_elements(&to->index, plan, node->outputs[i], err));
        out[i] = &to->index;
    }
    call.in  = in;
    call.out = out;
    if (node->op->scratch_size) {
        const size_t bytes = node->op->scratch_size(&call, false);
        OCTET_TRY(octet_arena_get(&call.scratch, plan->temporary, bytes, 1, err));
    }
    return node->op->forward(&call, err);
}

/* Whether the plan can say where the outputs' elements are: nothing but places changes. */
static bool can_follow(const octet_plan *plan, const octet_node *node)
{
    enum { MOST = 1 << 22 }; /* elements worth numbering */
    const octet_value *const x = node->inputs[0];
    bool fits = !plan->keep_values && plan->uses_native && only_moves(plan, node) &&
                octet_node_compute_mode(plan->graph, node) == OCTET_MODE_INTEGER && octet_native_pixels(plan, x) &&
                octet_tensor_count(&plan->shapes[x->index]) <= MOST;
    for (int i = 0; fits && i < node->output_count; i++)
        if (node->outputs[i])
            fits = octet_native_pixels(plan, node->outputs[i]) &&
                   octet_tensor_count(&plan->shapes[node->outputs[i]->index]) <= MOST;
    return fits;
}

octet_status octet_plan_follow_move(bool *followed, octet_plan *plan, const octet_node *node, octet_error *err)
{
    const octet_value *const x = node->inputs[0];
    *followed                  = can_follow(plan, node);
    if (!*followed) return OCTET_OK;
    octet_moved from = plan->moved[x->index];
    if (!from.base) {
        from.base = x;
        OCTET_TRY(number_elements(&from.index, plan, x, err));
    }
    OCTET_TRY(move_numbers(plan, node, &from, err));
    for (int i = 0; i < node->output_count; i++) /* another scale: nobody can follow further */
        if (node->outputs[i] && !octet_qparams_equal(octet_value_levels(plan->graph, x),
                                                     octet_value_levels(plan->graph, node->outputs[i])))
            OCTET_TRY(octet_plan_settle_move(plan, node->outputs[i], OCTET_LAYOUT_PIXELS, err));
    return OCTET_OK;
}

/* ---- what an index says ---- */

/* Element number of a value's channel c of pixel p of image n. */
static size_t element_at(const octet_area *a, size_t n, size_t c, size_t p)
{
    return (n * a->channels + c) * a->height * a->width + p;
}

static size_t byte_at(const octet_area *a, size_t element)
{
    const size_t pixels = a->height * a->width, p = element % pixels, c = element / pixels % a->channels;
    const size_t n = element / pixels / a->channels;
    return a->offset + n * a->steps.image + p / a->width * a->steps.row + p % a->width * a->steps.pixel + c;
}

/* Which channel a pixel's channel is taken from; NOTHING where it is added. The first number that says so decides. */
static void find_channels(int32_t *channels, const move_step *s, const int32_t *index)
{
    const size_t from = s->in.height * s->in.width, to = s->out.height * s->out.width;
    for (size_t c = 0; c < s->out.channels; c++)
        channels[c] = index[c * to] == NOTHING ? NOTHING : (int32_t)((size_t)index[c * to] / from % s->in.channels);
}

/* Whether index is base's channel channels[c] of base's pixel pixels[n * pixels + p], for every element. */
static bool factors(const move_step *s, const int32_t *index, int32_t *channels, int32_t *pixels)
{
    const octet_area *const in = &s->in, *const out = &s->out;
    const size_t            from = in->height * in->width, to = out->height * out->width;
    size_t                  known = 0;
    find_channels(channels, s, index);
    while (known < out->channels && channels[known] == NOTHING) known++;
    if (known == out->channels) return false;
    for (size_t n = 0; n < out->images; n++)
        for (size_t p = 0; p < to; p++) {
            const int32_t first = index[element_at(out, n, known, p)];
            const size_t  image = (size_t)first / from / in->channels, pixel = (size_t)first % from;
            if (first == NOTHING) return false;
            pixels[n * to + p] = (int32_t)(image * from + pixel);
            for (size_t c = 0; c < out->channels; c++) {
                const int32_t wanted = channels[c] == NOTHING
                                           ? NOTHING : (int32_t)element_at(in, image, (size_t)channels[c], pixel);
                if (index[element_at(out, n, c, p)] != wanted) return false;
            }
        }
    return true;
}

/* Few stretches of channels in place of every single one. Many, or added ones among many: false. */
static octet_status join_runs(move_step *s, const int32_t *channels, octet_plan *plan, octet_error *err)
{
    enum { FEW = 8 };
    channel_run *runs;
    int          count = 0;
    OCTET_TRY(octet_arena_get(&runs, plan->arena, FEW, sizeof *runs, err));
    for (size_t c = 0; c < s->out.channels; c++) {
        channel_run *const last = count ? &runs[count - 1] : NULL;
        const bool follows = last && (last->from == NOTHING ? channels[c] == NOTHING
                                                            : channels[c] == last->from + last->count);
        if (follows) {
            last->count++;
            continue;
        }
        if (count == FEW) return OCTET_OK;
        runs[count++] = (channel_run){ .to = (int32_t)c, .from = channels[c], .count = 1 };
    }
    s->runs      = runs;
    s->run_count = count;
    return OCTET_OK;
}

static bool is_identity(const int32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((size_t)numbers[i] != i) return false;
    return true;
}

/* ---- steps ---- */

static void move_runs(const move_step *s, uint8_t *y, const uint8_t *x)
{
    for (int i = 0; i < s->run_count; i++) {
        const channel_run *const r = &s->runs[i];
        if (r->from == NOTHING) memset(y + r->to, s->in.zero, (size_t)r->count);
        else memcpy(y + r->to, x + r->from, (size_t)r->count);
    }
}

static void move_bytes(const move_step *s, uint8_t *y, const uint8_t *input, const int32_t *bytes)
{
    for (size_t c = 0; c < s->out.channels; c++) y[c] = bytes[c] == NOTHING ? s->in.zero : input[bytes[c]];
}

static void move_row(const move_step *s, uint8_t *y, const uint8_t *input, size_t row)
{
    const uint8_t *x = input + octet_native_row_at(&s->in, s->pixels || s->bytes ? 0 : row);
    if (!s->bytes && !s->pixels && s->channels) {
        s->kernel->select(y, x, &(octet_select){ .pixels = s->out.width, .y_pixel = s->out.steps.pixel,
                                                 .q_pixel = s->in.steps.pixel, .n = s->out.channels,
                                                 .from = s->channels });
        return;
    }
    const octet_select one = { .pixels = 1, .n = s->out.channels, .from = s->channels };
    for (size_t i = row * s->out.width; i < (row + 1) * s->out.width; i++, y += s->out.steps.pixel) {
        const uint8_t *const from = s->pixels ? input + s->pixels[i] : x;
        if (s->bytes) move_bytes(s, y, input, s->bytes + i * s->out.channels);
        else if (s->runs) move_runs(s, y, from);
        else if (s->channels) s->kernel->select(y, from, &one);
        else memcpy(y, from, s->out.channels);
        x += s->in.steps.pixel;
    }
}

static void run(const octet_step *step, const octet_call *call, int phase, int part)
{
    (void)phase;
    const move_step *const s      = step->state;
    uint8_t *const         output = call->out[0]->data;
    const octet_share      share  = octet_native_share(s->out.images * s->out.height, part, step->parts);
    if (part == 0) octet_area_fill_border(&s->out, output);
    for (size_t r = share.first; r < share.last; r++) {
        uint8_t *y = output + octet_native_row_at(&s->out, r);
        move_row(s, y, call->in[0]->data, r);
        for (size_t x = 0; s->rescales && x < s->out.width; x++, y += s->out.steps.pixel)
            s->kernel->rescale(y, y, s->out.channels, &s->rule);
    }
}

/* Bytes of every element, where neither pixels nor channels stay together. */
static octet_status list_bytes(move_step *s, const int32_t *index, octet_plan *plan, octet_error *err)
{
    const size_t space = s->out.height * s->out.width, channels = s->out.channels, pixels = s->out.images * space;
    int32_t     *bytes;
    OCTET_TRY(octet_arena_get(&bytes, plan->arena, pixels * channels, sizeof *bytes, err));
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < channels; c++) {
            const int32_t number    = index[element_at(&s->out, i / space, c, i % space)];
            bytes[i * channels + c] = number == NOTHING ? NOTHING : (int32_t)byte_at(&s->in, (size_t)number);
        }
    s->bytes = bytes;
    return OCTET_OK;
}

/* Chooses how to move; nothing to do: all lists stay NULL. */
static octet_status choose_move(move_step *s, const int32_t *index, octet_plan *plan, octet_error *err)
{
    const size_t channels = s->out.channels, pixels = s->out.images * s->out.height * s->out.width;
    const size_t from = s->in.height * s->in.width;
    int32_t     *channel, *pixel;
    OCTET_TRY(octet_arena_get(&channel, plan->arena, channels, sizeof *channel, err));
    OCTET_TRY(octet_arena_get(&pixel, plan->arena, pixels, sizeof *pixel, err));
    if (!factors(s, index, channel, pixel)) return list_bytes(s, index, plan, err);
    if (!is_identity(channel, channels) || s->in.channels != channels) {
        OCTET_TRY(join_runs(s, channel, plan, err));
        if (!s->runs) s->channels = channel;
        for (size_t c = 0; s->channels && c < channels; c++)
            if (channel[c] == NOTHING) {
                s->channels = NULL;
                return list_bytes(s, index, plan, err);
            }
    }
    const bool same_space = s->in.images == s->out.images && s->in.height == s->out.height &&
                            s->in.width == s->out.width;
    if (same_space && is_identity(pixel, pixels)) return OCTET_OK;
    s->pixels = pixel;
    for (size_t i = 0; i < pixels; i++) {
        const size_t number = (size_t)pixel[i];
        pixel[i]            = (int32_t)byte_at(&s->in, number / from * s->in.channels * from + number % from);
    }
    return OCTET_OK;
}

static bool moves_nothing(const move_step *s)
{
    return !s->channels && !s->runs && !s->pixels && !s->bytes && !s->rescales;
}

static void choose_scale(move_step *s, const octet_qparams *from, const octet_qparams *to)
{
    s->rescales = !octet_qparams_equal(from, to);
    s->rule     = (octet_rescale_levels){ .zero = octet_native_zero(&s->in), .to = octet_native_to(to, NULL),
                                          .multiplier = (float)((double)from->scale[0] / to->scale[0]) };
}

static const octet_engine moves_engine = { .name = "native", .run_part = octet_native_run_part };

static octet_status add_step(octet_plan *plan, move_step *s, const octet_value *value, const int forms[2],
                             octet_error *err)
{
    octet_step new, *step;
    OCTET_TRY(octet_plan_new_step(&new, plan, 1, 1, err));
    s->run        = run;
    s->kernel     = plan->kernels->element;
    new.name      = value->producer->name;
    new.op        = value->producer->op->name;
    new.mode      = OCTET_MODE_INTEGER;
    new.engine    = &moves_engine;
    new.state     = s;
    new.view      = moves_nothing(s);
    new.phases    = !new.view;
    new.parts     = octet_native_parts(plan, (double)s->out.bytes / 4000);
    new.algorithm = new.view ? "the same bytes" : s->bytes ? "any bytes" : s->pixels ? "whole pixels" : "channels";
    new.in[0]     = forms[0];
    new.out[0]    = forms[1];
    return octet_plan_add_step(&step, plan, &new, err);
}

static octet_status copy_all(move_step *s, octet_plan *plan, octet_error *err)
{
    channel_run *all;
    OCTET_TRY(octet_arena_get(&all, plan->arena, 1, sizeof *all, err));
    *all         = (channel_run){ .count = (int32_t)s->out.channels };
    s->runs      = all;
    s->run_count = 1;
    return OCTET_OK;
}

/* The form of base that is nearest to what is wanted. */
static octet_layout source_layout(const octet_plan *plan, const octet_value *base, octet_layout wanted)
{
    const bool rows   = octet_plan_form(plan, base, OCTET_FORM_LEVELS, OCTET_LAYOUT_ROWS) >= 0;
    const bool pixels = octet_plan_form(plan, base, OCTET_FORM_LEVELS, OCTET_LAYOUT_PIXELS) >= 0;
    const bool dense  = octet_plan_form(plan, base, OCTET_FORM_LEVELS, OCTET_LAYOUT_DENSE) >= 0;
    if (rows && (!pixels || wanted == OCTET_LAYOUT_ROWS)) return OCTET_LAYOUT_ROWS;
    return !pixels && dense && wanted == OCTET_LAYOUT_ROWS ? OCTET_LAYOUT_ROWS : OCTET_LAYOUT_PIXELS;
}

static size_t common(size_t a, size_t b)
{
    while (b) {
        const size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Dense memory may be seen as shorter rows. */
static void cut_rows(octet_area *area, size_t channels)
{
    area->images *= area->channels / channels;
    area->channels    = channels;
    area->steps.pixel = area->steps.row = area->steps.image = channels;
}

static bool keeps_pieces(const octet_tensor *index, size_t piece)
{
    const int32_t *const at = index->data;
    const size_t         count = (size_t)octet_tensor_count(index);
    for (size_t i = 0; i < count; i++) {
        const size_t within = i % piece, first = (size_t)at[i - within];
        if (at[i] == NOTHING || first % piece != 0 || (size_t)at[i] != first + within) return false;
    }
    return true;
}

/* What only takes rows apart moves whole pieces of them: a head of attention. */
static void see_pieces(move_step *s, const octet_tensor *index)
{
    enum { WORTH = 4 };
    const size_t piece = common(s->in.channels, s->out.channels);
    if (piece < WORTH || !keeps_pieces(index, piece)) return;
    cut_rows(&s->in, piece);
    cut_rows(&s->out, piece);
}

/* Whether an area's memory is what rows of the same elements are. */
static bool is_dense(const octet_area *area)
{
    return area->steps.pixel == area->channels && octet_area_flat(area) && area->offset == 0 && !area->shared;
}

bool octet_plan_moves_rows(const octet_plan *plan, const octet_value *value)
{
    const octet_moved *const moved = &plan->moved[value->index];
    if (!moved->base) return false;
    const int32_t *const index  = moved->index.data;
    const octet_layout   layout = source_layout(plan, moved->base, OCTET_LAYOUT_ROWS);
    const int64_t        row    = moved->index.dims[moved->index.rank - 1];
    if (row < 2 || index[0] == NOTHING || index[1] == NOTHING) return false;
    const int form = octet_plan_form(plan, moved->base, OCTET_FORM_LEVELS, layout);
    if (form < 0 || plan->forms[form].area.fold.unit) return layout == OCTET_LAYOUT_ROWS && index[1] == index[0] + 1;
    const octet_area *const area = &plan->forms[form].area;
    return area->channels > 1 && byte_at(area, (size_t)index[1]) == byte_at(area, (size_t)index[0]) + 1;
}

octet_status octet_plan_settle_move(octet_plan *plan, const octet_value *value, octet_layout layout, octet_error *err)
{
    octet_moved *const moved = &plan->moved[value->index];
    move_step         *s;
    int                forms[2];
    if (!moved->base) return OCTET_OK;
    const octet_layout to   = layout == OCTET_LAYOUT_ROWS ? layout : OCTET_LAYOUT_PIXELS;
    octet_form         want = { .value = moved->base, .kind = OCTET_FORM_LEVELS };
    want.layout             = source_layout(plan, moved->base, to);
    OCTET_TRY(octet_plan_want_form(&forms[0], plan, want, err));
    OCTET_TRY(octet_arena_get(&s, plan->arena, 1, sizeof *s, err));
    s->in            = plan->forms[forms[0]].area;
    octet_form  like = { .value = value, .kind = OCTET_FORM_LEVELS, .layout = to, .buffer = -1 };
    const octet_area own = to == OCTET_LAYOUT_ROWS ? octet_plan_rows(plan, value) : octet_plan_area(plan, value);
    s->out               = own;
    if (want.layout == OCTET_LAYOUT_ROWS && to == OCTET_LAYOUT_ROWS) see_pieces(s, &moved->index);
    OCTET_TRY(choose_move(s, moved->index.data, plan, err));
    choose_scale(s, octet_value_levels(plan->graph, moved->base), octet_value_levels(plan->graph, value));
    const bool same = moves_nothing(s);
    moved->base     = NULL;
    if (same && octet_border_holds(&s->in.border, &s->out.border) &&
        (to == OCTET_LAYOUT_PIXELS || is_dense(&s->in))) {
        like.area = own;
        if (to == OCTET_LAYOUT_PIXELS) {
            like.area          = s->in;
            like.area.channels = s->out.channels;
        }
        like.buffer          = plan->forms[forms[0]].buffer;
        OCTET_TRY(octet_plan_add_form(&forms[1], plan, like, err));
    } else {
        if (same) OCTET_TRY(copy_all(s, plan, err)); /* the border is missing, or rows are without room */
        OCTET_TRY(octet_plan_add_bytes(&forms[1], plan, value, to, err));
        if (to == OCTET_LAYOUT_PIXELS) s->out = plan->forms[forms[1]].area;
    }
    return add_step(plan, s, value, forms, err);
}
