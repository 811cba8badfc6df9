/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax on levels, along channels or a dimension of space: exp of a difference is an entry of a table
   (ops/softmax.c is the definition). */
#include "engine/native/native.h"

#include "base/math.h"
#include "ops/attrs.h"

#include <math.h>
#include <string.h>

typedef struct softmax_step {
    octet_native_run run;
    octet_area       in, out;
    int              axis; /* 1: channels, 2: rows, 3: pixels of a row */
    size_t           length, in_step, out_step;
    float            unit; /* scale of the output */
    octet_to_levels  to;
    int32_t          table[256]; /* rne(exp(-d * scale) * 2^23) */
} softmax_step;

/* 1.5 * 2^23: adding it rounds to an integer, ties to even, in the last bits. */
#define RAISED 12582912.0f

enum { FEW = 256 };

/* Entries of a row: what each level's distance from the largest says. Returns their sum. */
static int64_t look_up(const softmax_step *s, int32_t *entries, const uint8_t *x, uint8_t most, size_t n)
{
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        entries[i] = s->table[most - x[i * s->in_step]];
        sum += entries[i];
    }
    return sum;
}

static void write(const softmax_step *s, uint8_t *y, const int32_t *entries, float m, size_t n)
{
    const float   lo = (float)(s->to.lo - s->to.zero_point), hi = (float)(s->to.hi - s->to.zero_point);
    const int32_t shift = s->to.zero_point - 0x4b400000;
    uint8_t       levels[FEW];
    for (size_t i = 0; i < n; i++) {
        const float t = (float)entries[i] * m, up = t > lo ? t : lo, sum = (up < hi ? up : hi) + RAISED;
        int32_t     bits;
        memcpy(&bits, &sum, sizeof bits);
        levels[i] = (uint8_t)(bits + shift);
    }
    for (size_t i = 0; i < n; i++) y[i * s->out_step] = levels[i];
}

/* One row along the axis; a long one is looked up twice. */
static void soften(const softmax_step *s, uint8_t *y, const uint8_t *x)
{
    int32_t entries[FEW];
    uint8_t most = 0;
    int64_t sum  = 0;
    for (size_t i = 0; i < s->length; i++) most = x[i * s->in_step] > most ? x[i * s->in_step] : most;
    for (size_t i = 0; i < s->length; i += FEW)
        sum += look_up(s, entries, x + i * s->in_step, most, s->length - i < FEW ? s->length - i : FEW);
    const float m = (float)(1.0 / ((double)sum * (double)s->unit));
    for (size_t i = 0; i < s->length; i += FEW) {
        const size_t n = s->length - i < FEW ? s->length - i : FEW;
        if (s->length > FEW) look_up(s, entries, x + i * s->in_step, most, n);
        write(s, y + i * s->out_step, entries, m, n);
    }
}

static void run(const octet_step *step, const octet_call *call, int phase, int part)
{
    (void)phase;
    const softmax_step *const s      = step->state;
    uint8_t *const            output = call->out[0]->data;
    const octet_area *const   a      = &s->out;
    const size_t              height = s->axis == 2 ? 1 : a->height, width = s->axis == 3 ? 1 : a->width;
    const size_t              channels = s->axis == 1 ? 1 : a->channels;
    const octet_share         share    = octet_native_share(a->images * height, part, step->parts);
    if (part == 0) octet_area_fill_border(a, output);
    for (size_t r = share.first; r < share.last; r++) {
        const size_t         row = r / height * a->height + r % height;
        const uint8_t *const x   = (const uint8_t *)call->in[0]->data + octet_native_row_at(&s->in, row);
        uint8_t *const       y   = output + octet_native_row_at(a, row);
        for (size_t p = 0; p < width; p++)
            for (size_t c = 0; c < channels; c++) soften(s, y + p * a->steps.pixel + c, x + p * s->in.steps.pixel + c);
    }
}

/* The axis as channels, rows or pixels; 0: neither (images, or one of several dimensions that are channels). */
static int place_of_axis(const octet_tensor *x, int64_t axis)
{
    if (axis < 0) axis += x->rank;
    const int space = x->rank > 3 ? 2 : x->rank - 2;
    if (axis >= x->rank - space) return axis == x->rank - 1 ? 3 : 2;
    return axis == 1 && x->rank - space == 2 ? 1 : 0;
}

bool octet_native_accepts_softmax(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_node *const node = step->node;
    if (!octet_native_take(plan, step, 1, why)) return false;
    if (!octet_value_levels(plan->graph, node->outputs[0])) return octet_native_decline(why, "output is real");
    const octet_tensor *const x    = &plan->shapes[node->inputs[0]->index];
    const int64_t             axis = ((const octet_softmax_attrs *)node->attrs)->axis;
    if ((axis == -1 || axis == x->rank - 1) && octet_native_layout(plan, node->inputs[0]) == OCTET_LAYOUT_ROWS) {
        octet_native_use_rows(step);
        return true;
    }
    return place_of_axis(x, axis) || octet_native_decline(why, "not along channels or space");
}

octet_status octet_native_prepare_softmax(const octet_plan *plan, octet_step *step, octet_arena *arena,
                                          octet_error *err)
{
    const octet_node *const    node = step->node;
    const octet_qparams *const x    = octet_value_levels(plan->graph, node->inputs[0]);
    const octet_qparams *const y    = octet_value_levels(plan->graph, node->outputs[0]);
    softmax_step              *s;
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    s->run  = run;
    s->in   = *octet_native_in(plan, step, 0);
    s->out  = *octet_native_out(plan, step);
    s->unit = y->scale[0];
    s->to   = octet_native_to(y, NULL);
    s->axis = 1;
    if (step->in_layout[0] == OCTET_LAYOUT_PIXELS)
        s->axis =
            place_of_axis(&plan->shapes[node->inputs[0]->index], ((const octet_softmax_attrs *)node->attrs)->axis);
    s->length   = s->axis == 1 ? s->in.channels : s->axis == 2 ? s->in.height : s->in.width;
    s->in_step  = s->axis == 1 ? 1 : s->axis == 2 ? s->in.steps.row : s->in.steps.pixel;
    s->out_step = s->axis == 1 ? 1 : s->axis == 2 ? s->out.steps.row : s->out.steps.pixel;
    for (int d = 0; d < 256; d++)
        s->table[d] = (int32_t)rint(octet_exp(-(double)d * (double)x->scale[0]) * 8388608.0);
    step->state     = s;
    step->phases    = 1;
    step->algorithm = "table of exp";
    step->parts     = octet_native_parts(plan, (double)s->out.bytes / 400);
    return OCTET_OK;
}
