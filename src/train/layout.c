/* SPDX-License-Identifier: Apache-2.0 */
/* Which values of a tape lie in pixels. Fast convolutions read and write pixels; steps that work element by element
   take either order; whatever else reads pixels gets planes, in memory that all such steps share. */
#include "ops/check.h"
#include "train/pixels.h"
#include "train/steps.h"

#include <string.h>

bool octet_tape_is_conv(const octet_tape_step *step) { return strcmp(step->node->op->name, "Conv") == 0; }

/* ---- who lies how ---- */

/* Every operand lies in pixels, is one number, or is a setting. */
static bool takes_pixels(const octet_tape_step *step)
{
    const octet_op *const op = step->node->op;
    if (!(op->flags & OCTET_OP_ELEMENTWISE)) return false;
    for (int i = 0; i < step->call.in_count; i++) {
        const octet_tape_slot *const in = step->in[i];
        if (!in || op->fixed_inputs >> i & 1 || octet_tensor_count(&in->real) == 1) continue;
        if (!in->pixels || !octet_same_dims(&in->real, &step->z)) return false;
    }
    return step->in[0] && step->in[0]->pixels;
}

static void place_input(octet_tape *tape, octet_tape_slot *in)
{
    const octet_value *const value = in->value;
    in->pixels = !in->known && octet_turns(&in->real) && value->use_count > 0;
    for (size_t i = 0; in->pixels && i < value->use_count; i++) {
        const octet_tape_step *step = NULL;
        for (size_t k = 0; k < tape->step_count; k++)
            if (tape->steps[k].node == value->uses[i].node) step = &tape->steps[k];
        if (!step || !step->fast || !octet_tape_is_conv(step)) in->pixels = false;
    }
}

static octet_status plan_step(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    const bool conv = step->fast && octet_tape_is_conv(step), either = !step->fast && takes_pixels(step);
    if (step->out[0]) step->out[0]->pixels = (conv || either) && octet_turns(&step->z);
    OCTET_TRY(octet_arena_get(&step->turn, tape->arena, (size_t)step->call.in_count, sizeof *step->turn, err));
    for (int i = 0; !either && i < step->call.in_count; i++) {
        const octet_tape_slot *const in = step->in[i];
        if (!in || !octet_turns(&in->real) || in->pixels == conv) continue;
        step->turn[i].on    = true;
        step->turn[i].real  = in->real;
        step->in_tensors[i] = &step->turn[i].real;
    }
    if (!conv) return OCTET_OK;
    step->shape.outer *= step->shape.inner;
    step->shape.inner = 1;
    return OCTET_OK;
}

octet_status octet_layout_plan(octet_tape *tape, octet_error *err)
{
    for (size_t i = 0; i < tape->step_count; i++) OCTET_TRY(octet_fast_new(tape, &tape->steps[i], err));
    for (size_t i = 0; i < tape->graph->input_count; i++)
        place_input(tape, &tape->values[tape->graph->inputs[i]->index]);
    for (size_t i = 0; i < tape->step_count; i++) OCTET_TRY(plan_step(tape, &tape->steps[i], err));
    return OCTET_OK;
}

/* ---- memory ---- */

/* Bytes that a step's turned inputs need; sets where they lie behind base, if that is given. */
static size_t place_turned(octet_tape_step *step, char *base)
{
    size_t at = 0;
    for (int i = 0; i < step->call.in_count; i++) {
        octet_tape_turn *const t = &step->turn[i];
        if (!t->on) continue;
        const size_t bytes = octet_aligned((size_t)octet_tensor_bytes(&t->real));
        t->real.data       = base ? base + at : NULL;
        at += bytes;
        if (!step->wanted || !step->in[i]->gradient.data) continue;
        t->gradient      = t->real;
        t->gradient.data = base ? base + at : NULL;
        at += bytes;
    }
    return at;
}

octet_status octet_layout_place(octet_tape *tape, octet_error *err)
{
    size_t most = 0;
    for (size_t i = 0; i < tape->step_count; i++) {
        const size_t bytes = place_turned(&tape->steps[i], NULL);
        if (bytes > most) most = bytes;
    }
    OCTET_TRY(octet_arena_get(&tape->turned, tape->arena, most, 1, err));
    for (size_t i = 0; i < tape->step_count; i++) place_turned(&tape->steps[i], tape->turned);
    return octet_fast_place(tape, err);
}

/* ---- turning ---- */

static octet_turn_to wanted(const octet_tape_slot *from) { return from->pixels ? OCTET_TO_PLANES : OCTET_TO_PIXELS; }
static octet_turn_to back(const octet_tape_slot *from) { return from->pixels ? OCTET_TO_PIXELS : OCTET_TO_PLANES; }

void octet_turn_inputs(octet_tape *tape, octet_tape_step *step)
{
    for (int i = 0; i < step->call.in_count; i++) {
        const octet_tape_slot *const in = step->in[i];
        const octet_tape_turn *const t  = &step->turn[i];
        if (t->on) octet_turn(t->real.data, in->real.data, &in->real, wanted(in), tape->options.threads);
    }
}

const octet_tensor *octet_turn_input(octet_tape *tape, octet_tape_step *step, int i, const octet_tensor *tensor)
{
    octet_tape_turn *const t = &step->turn[i];
    if (!t->on) return tensor;
    t->other      = *tensor;
    t->other.data = t->real.data;
    octet_turn(t->other.data, tensor->data, tensor, wanted(step->in[i]), tape->options.threads);
    return &t->other;
}

octet_tensor *octet_tape_input_gradient(octet_tape_step *step, int i)
{
    return step->turn[i].on ? &step->turn[i].gradient : &step->in[i]->gradient;
}

void octet_turn_gradients_begin(octet_tape_step *step)
{
    for (int i = 0; i < step->call.in_count; i++) {
        const octet_tensor *const d = &step->turn[i].gradient;
        if (step->turn[i].on && d->data) memset(d->data, 0, (size_t)octet_tensor_bytes(d));
    }
}

void octet_turn_gradients_end(octet_tape *tape, octet_tape_step *step)
{
    for (int i = 0; i < step->call.in_count; i++) {
        const octet_tensor *const d = &step->turn[i].gradient;
        if (step->turn[i].on && d->data)
            octet_turn_add(step->in[i]->gradient.data, d->data, d, back(step->in[i]), tape->options.threads);
    }
}
