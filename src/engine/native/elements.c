/* SPDX-License-Identifier: Apache-2.0 */
/* Operators on each element alone: Add, Sub and Mul of two values, any function of one (a table of 256 bytes), and
   what clamps levels. Rows of pixels are computed at once; channels that fill up a pixel are computed like others where
   all values are filled up alike. */
#include "engine/native/native.h"

#include "base/checked.h"
#include "ops/rescale.h"

#include <string.h>

typedef struct element_step element_step;

typedef void (*apply)(const element_step *s, uint8_t *y, const uint8_t *a, const uint8_t *b, size_t n);

struct element_step {
    octet_native_run            run;
    const octet_element_kernel *kernel;
    apply                       apply;
    octet_area                  out, in[2];
    int                         slot; /* of a table's input */
    size_t                      run_bytes; /* computed at once; runs of a row */
    size_t                      runs;
    bool                        one_pixel; /* input 1 is one pixel an image */
    octet_add_levels            add;
    octet_mul_levels            mul;
    uint8_t                     table[256];
};

static void apply_table(const element_step *s, uint8_t *y, const uint8_t *a, const uint8_t *b, size_t n)
{
    (void)b;
    s->kernel->look_up(y, a, n, s->table);
}

static void run(const octet_step *step, const octet_call *call, int phase, int part)
{
    (void)phase;
    const element_step *const s      = step->state;
    uint8_t *const            output = call->out[0]->data;
    const uint8_t *const a = call->in[s->slot]->data, *const b = s->apply == apply_table ? a : call->in[1]->data;
    const octet_share         share = octet_native_share(s->out.images * s->out.height, part, step->parts);
    if (part == 0) octet_area_fill_border(&s->out, output);
    for (size_t r = share.first; r < share.last; r++) {
        uint8_t       *y  = output + octet_native_row_at(&s->out, r);
        const uint8_t *pa = a + octet_native_row_at(&s->in[0], r);
        const uint8_t *pb = b + (s->one_pixel ? s->in[1].offset + r / s->out.height * s->in[1].steps.image
                                              : octet_native_row_at(&s->in[1], r));
        for (size_t i = 0; i < s->runs; i++) {
            s->apply(s, y, pa, pb, s->run_bytes);
            y += s->out.steps.pixel;
            pa += s->in[0].steps.pixel;
            if (!s->one_pixel) pb += s->in[1].steps.pixel;
        }
    }
}

/* A row at once where its pixels lie alike in all values and nothing of others lies between. */
static void choose_runs(element_step *s)
{
    const size_t pixel = s->out.steps.pixel, filling = pixel - s->out.channels;
    const bool   whole = !s->one_pixel && !s->out.shared && s->in[0].steps.pixel == pixel &&
                       s->in[1].steps.pixel == pixel;
    s->runs      = whole ? 1 : s->out.width;
    s->run_bytes = whole ? s->out.width * pixel - filling : s->out.channels;
}

static octet_status finish(element_step *s, const octet_plan *plan, octet_step *step)
{
    s->run    = run;
    s->kernel = plan->kernels->element;
    choose_runs(s);
    step->state     = s;
    step->phases    = 1;
    step->algorithm = "by element";
    step->parts     = octet_native_parts(plan, (double)s->out.bytes / 10000);
    return OCTET_OK;
}

/* ---- two values ---- */

static void apply_add(const element_step *s, uint8_t *y, const uint8_t *a, const uint8_t *b, size_t n)
{
    s->kernel->add(y, a, b, n, &s->add);
}

static void apply_mul(const element_step *s, uint8_t *y, const uint8_t *a, const uint8_t *b, size_t n)
{
    s->kernel->mul(y, a, b, n, &s->mul);
}

static bool same_shape(const octet_tensor *a, const octet_tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

/* A function of input slot alone. */
static bool take_table(const octet_plan *plan, octet_step *step, int slot, octet_reason *why)
{
    const octet_node *const node = step->node;
    if (!octet_native_take(plan, step, 0, why)) return false;
    if (!octet_value_levels(plan->graph, node->outputs[0])) return octet_native_decline(why, "output is real");
    step->in_layout[slot] = octet_native_layout(plan, node->inputs[slot]);
    step->out_layout      = step->in_layout[slot];
    return true;
}

/* [N, C, 1, 1] beside [N, C, H, W]. */
static bool is_one_pixel(const octet_tensor *b, const octet_tensor *out)
{
    bool one = b->rank == out->rank && b->rank > 2 && b->dims[0] == out->dims[0] && b->dims[1] == out->dims[1];
    for (int i = 2; one && i < b->rank; i++) one = b->dims[i] == 1;
    return one;
}

/* Rows where neither input lies in pixels. */
static bool in_rows(const octet_plan *plan, const octet_node *node)
{
    bool rows = false;
    for (int i = 0; i < 2; i++) {
        rows = rows || octet_native_layout(plan, node->inputs[i]) == OCTET_LAYOUT_ROWS;
        if (octet_plan_form(plan, node->inputs[i], OCTET_FORM_LEVELS, OCTET_LAYOUT_PIXELS) >= 0) return false;
    }
    return rows;
}

/* The input beside one constant number, of which the result is then a function; -1: there is none. */
static int table_slot(const octet_plan *plan, const octet_node *node)
{
    const octet_tensor *const out = &plan->shapes[node->outputs[0]->index];
    for (int i = 0; i < 2; i++) {
        const octet_value *const value = node->inputs[i], *const number = node->inputs[!i];
        const bool known = number->constant || octet_plan_known(plan, number);
        if (known && octet_tensor_count(&plan->shapes[number->index]) == 1 && octet_native_pixels(plan, value) &&
            same_shape(&plan->shapes[value->index], out))
            return i;
    }
    return -1;
}

bool octet_native_accepts_binary(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_node *const   node = step->node;
    const octet_tensor *const out  = &plan->shapes[node->outputs[0]->index];
    const int                 slot = table_slot(plan, node);
    if (slot >= 0) return take_table(plan, step, slot, why);
    if (!octet_native_take(plan, step, 2, why)) return false;
    if (!octet_value_levels(plan->graph, node->outputs[0])) return octet_native_decline(why, "output is real");
    if (!same_shape(&plan->shapes[node->inputs[0]->index], out))
        return octet_native_decline(why, "the first input is broadcast");
    const octet_tensor *const b = &plan->shapes[node->inputs[1]->index];
    if (same_shape(b, out)) {
        if (in_rows(plan, node)) octet_native_use_rows(step);
        return true;
    }
    return is_one_pixel(b, out) || octet_native_decline(why, "the second input is broadcast");
}

octet_status octet_native_prepare_binary(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    const octet_node *const    node = step->node;
    const octet_qparams *const a = octet_value_levels(plan->graph, node->inputs[0]),
                        *const b = octet_value_levels(plan->graph, node->inputs[1]),
                        *const y = octet_value_levels(plan->graph, node->outputs[0]);
    element_step *s;
    if (table_slot(plan, node) >= 0) return octet_native_prepare_table(plan, step, arena, err);
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    s->out       = *octet_native_out(plan, step);
    s->in[0]     = *octet_native_in(plan, step, 0);
    s->in[1]     = *octet_native_in(plan, step, 1);
    s->one_pixel = s->in[1].height * s->in[1].width == 1 && s->out.height * s->out.width > 1;
    const double unit = y->scale[0];
    s->add = (octet_add_levels){ .a_zero = octet_native_zero(&s->in[0]), .b_zero = octet_native_zero(&s->in[1]),
                                 .a_multiplier = (float)((double)a->scale[0] / unit),
                                 .b_multiplier = (float)((double)b->scale[0] / unit),
                                 .to = octet_native_to(y, &node->activation) };
    s->mul = (octet_mul_levels){ .a_zero = s->add.a_zero, .b_zero = s->add.b_zero, .to = s->add.to,
                                 .multiplier = (float)((double)a->scale[0] * b->scale[0] / unit) };
    if (strcmp(node->op->name, "Sub") == 0) s->add.b_multiplier = -s->add.b_multiplier;
    s->apply = strcmp(node->op->name, "Mul") == 0 ? apply_mul : apply_add;
    return finish(s, plan, step);
}

/* ---- one value ---- */

/* Whether the operator's result depends on each element alone. */
bool octet_native_accepts_table(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_node *const node = step->node;
    if (node->op->quant == OCTET_QUANT_SAME && !(node->op->flags & OCTET_OP_ELEMENTWISE))
        return octet_native_decline(why, "no int8 kernel for this operator");
    return octet_native_take(plan, step, 1, why) && take_table(plan, step, 0, why);
}

/* Any other input of a table's node is known; a single number of any rank does not stretch the row of levels. */
static const octet_tensor *known_input(octet_tensor *room, const octet_plan *plan, const octet_step *step, int slot)
{
    const int form = step->in[slot];
    if (form < 0) return NULL;
    *room = plan->forms[form].stored;
    if (octet_tensor_count(room) == 1) room->rank = 0;
    return room;
}

/* The definition, run on every byte. */
static octet_status fill_table(element_step *s, const octet_plan *plan, const octet_step *step, octet_error *err)
{
    const octet_node *const node = step->node;
    uint8_t                 levels[256];
    octet_tensor            x = { .rank = 2, .dims = { 1, 256 }, .data = levels }, y = x;
    octet_tensor            known[OCTET_MAX_RANK];
    const octet_tensor     *in[OCTET_MAX_RANK];
    octet_tensor           *out[] = { &y };
    x.qparams = octet_value_levels(plan->graph, node->inputs[s->slot]);
    y.qparams = octet_value_levels(plan->graph, node->outputs[0]);
    x.dtype   = x.qparams->dtype;
    y.dtype   = y.qparams->dtype;
    y.data    = s->table;
    for (int i = 0; i < 256; i++) levels[i] = (uint8_t)i ^ s->in[0].flip;
    for (int i = 0; i < node->input_count && i < OCTET_MAX_RANK; i++)
        in[i] = i == s->slot ? &x : known_input(&known[i], plan, step, i);
    const octet_call call = { .node = node, .attrs = node->attrs, .in = in, .out = out, .in_count = node->input_count,
                              .out_count = 1, .threads = 1, .profile = plan->profile };
    OCTET_TRY(node->op->forward_integer(&call, err));
    for (int i = 0; i < 256; i++) s->table[i] ^= s->out.flip;
    return OCTET_OK;
}

octet_status octet_native_prepare_table(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    element_step *s;
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    if (step->node->op->quant != OCTET_QUANT_TABLE && step->node->op->quant != OCTET_QUANT_SAME)
        s->slot = table_slot(plan, step->node);
    s->out   = *octet_native_out(plan, step);
    s->in[0] = s->in[1] = *octet_native_in(plan, step, s->slot);
    s->apply            = apply_table;
    OCTET_TRY(fill_table(s, plan, step, err));
    return finish(s, plan, step);
}
