/* SPDX-License-Identifier: Apache-2.0 */
/* Linear steps over levels, while integers are used: by this CPU's kernels (sums.h) where levels are bytes and weights
   s8 around 0, otherwise by the operator's own rule. */
#include "base/cpu.h"
#include "base/parallel.h"
#include "ops/mac.h"
#include "train/fast.h"
#include "train/pixels.h"

#include <string.h>

octet_status octet_fast_sums_new(octet_tape *tape, octet_tape_fast *f, octet_error *err)
{
    const octet_kernels *const kernels  = octet_kernels_select(octet_cpu_sets());
    const size_t               channels = f->bare.out_channels;
    OCTET_TRY(octet_arena_get(&f->rules, tape->arena, channels, sizeof *f->rules, err));
    OCTET_TRY(octet_arena_get(&f->multiplier, tape->arena, channels, sizeof *f->multiplier, err));
    OCTET_TRY(octet_arena_get(&f->bias, tape->arena, channels, sizeof *f->bias, err));
    return octet_sums_new(&f->sums, tape->arena, &f->bare, kernels, err);
}

/* ---- weights ---- */

static bool fits(const octet_tensor *x, const octet_tensor *w)
{
    if (!x->qparams || !w->qparams || w->dtype != OCTET_I8) return false;
    if (x->dtype != OCTET_U8 && x->dtype != OCTET_I8) return false;
    for (int64_t i = 0; i < w->qparams->count; i++)
        if (w->qparams->zero_point[i] != 0) return false;
    return x->qparams->count == 1;
}

static octet_status take_weights(octet_tape *tape, octet_tape_fast *f, const octet_tensor *x, const octet_tensor *w,
                                 octet_error *err)
{
    const int32_t shift = x->dtype == OCTET_I8 ? 0x80 : 0;
    if (shift && !f->flipped) OCTET_TRY(octet_arena_get(&f->flipped, tape->arena, octet_bare_in(&f->bare), 1, err));
    for (size_t c = 0; c < f->bare.out_channels; c++) {
        f->multiplier[c] = f->rules[c].multiplier;
        f->bias[c]       = f->rules[c].bias_level;
    }
    const octet_sums_weights weights = { .weights = w->data, .bias = f->bias, .multiplier = f->multiplier,
                                         .input_zero = x->qparams->zero_point[0] + shift };
    octet_sums_set(f->sums, &weights);
    return OCTET_OK;
}

octet_status octet_fast_use(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    octet_tape_fast *const    f = step->fast;
    const octet_node *const   q = step->quantized;
    const octet_tensor *const x = &step->in[0]->levels, *const w = q->inputs[1]->constant;
    f->takes = f->sums && step->mode == OCTET_MODE_INTEGER && fits(x, w);
    if (!f->takes) return OCTET_OK;
    octet_tensor               out     = step->z;
    const octet_tensor *const  in[]    = { x, w };
    octet_tensor *const        outs[]  = { &out };
    const octet_value *const   bias    = q->input_count > 2 ? q->inputs[2] : NULL;
    const octet_mac_terms      terms   = { .weight_axis = step->linear->weight_axis, .factor = 1, .bias_factor = 1,
                                           .bias = bias ? bias->constant : NULL };
    const octet_call           call    = { .node = &step->integer, .attrs = q->attrs, .in = in, .out = outs,
                                           .in_count = 2, .out_count = 1, .profile = &octet_profile_octet,
                                           .real_unit = step->unit };
    out.qparams = NULL;
    OCTET_TRY(octet_mac_rules(f->rules, (int64_t)f->bare.out_channels, &call, &terms, err));
    for (size_t c = 0; c < f->bare.out_channels; c++)
        if (f->rules[c].bias != 0) f->takes = false; /* a real one, of a foreign graph */
    return f->takes ? take_weights(tape, f, x, w, err) : OCTET_OK;
}

/* ---- running ---- */

static void flip(uint8_t *restrict to, const uint8_t *restrict from, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] = from[i] ^ 0x80;
}

/* Kernels take s8 levels as bytes with the top bit flipped. */
static octet_status sums_piece(const octet_fast_work *w, const octet_fast_piece *piece, octet_error *err)
{
    const octet_tape_fast *const f     = w->fast;
    const size_t                 image = octet_bare_in(&f->bare) / f->bare.images;
    const uint8_t               *x     = w->levels;
    (void)err;
    if (f->flipped) {
        flip(f->flipped + piece->first * image, x + piece->first * image, piece->images * image);
        x = f->flipped;
    }
    octet_sums_run(f->sums, w->z, x, piece->first, piece->first + piece->images, piece->at.scratch);
    return OCTET_OK;
}

bool octet_fast_takes(const octet_tape_step *step) { return step->fast && step->fast->takes; }

octet_status octet_fast_rule(octet_tape *tape, octet_tape_step *step, const octet_tensor *x, octet_error *err)
{
    octet_fast_work w = { .tape = tape, .fast = step->fast, .z = step->z.data, .levels = x->data,
                          .piece = sums_piece };
    return octet_fast_run(&w, err);
}

/* ---- the operator's own rule reads and writes planes ---- */

static octet_status room_for_planes(octet_tensor *planes, octet_tape *tape, const octet_tensor *like, octet_error *err)
{
    void *const before = planes->data;
    const bool  room   = before && planes->dtype == like->dtype;
    *planes            = *like;
    planes->data       = before;
    return room ? OCTET_OK : octet_arena_get(&planes->data, tape->arena, (size_t)octet_tensor_bytes(like), 1, err);
}

octet_status octet_fast_planes(octet_tape *tape, octet_tape_step *step, octet_error *err)
{
    const octet_tensor **const in = step->integer_in;
    octet_tensor *const x = &step->fast->planes[0], *const z = &step->fast->planes[1];
    if (step->in[0]->real.rank < 3 || !octet_tape_is_conv(step)) return OCTET_OK;
    OCTET_TRY(room_for_planes(x, tape, in[0], err));
    OCTET_TRY(room_for_planes(z, tape, &step->z, err));
    if (octet_turns(x)) octet_turn(x->data, in[0]->data, x, OCTET_TO_PLANES, tape->options.threads);
    else memcpy(x->data, in[0]->data, (size_t)octet_tensor_bytes(x));
    in[0]                = x;
    step->integer_out[0] = z;
    return OCTET_OK;
}

void octet_fast_pixels(octet_tape *tape, octet_tape_step *step)
{
    const octet_tensor *const z = step->integer_out[0];
    if (z == &step->z) return;
    if (octet_turns(z)) octet_turn(step->z.data, z->data, z, OCTET_TO_PIXELS, tape->options.threads);
    else memcpy(step->z.data, z->data, (size_t)octet_tensor_bytes(z));
}
