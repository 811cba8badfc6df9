/* SPDX-License-Identifier: Apache-2.0 */
/* From a bare result to the value that readers see, and back. */
#include "train/steps.h"

#include "base/parallel.h"

#include <math.h>
#include <string.h>

/* ---- FakeQuantize of a whole tensor ---- */

typedef struct fake_work {
    const octet_tape          *tape;
    octet_trained             *trained;
    float                     *x;
    const float               *before;
    const octet_channel_shape *shape;
    double                    *scale_sums, *zero_point_sums; /* per slice; NULL: not learning */
} fake_work;

/* Slice s of a tensor of one channel; else the tensor is one piece. */
static bool part_of(octet_channel_shape *part, size_t *first, const octet_channel_shape *whole, size_t slice)
{
    *part  = *whole;
    *first = 0;
    if (whole->channels > 1) return slice == 0;
    const size_t count = whole->outer * whole->inner;
    *first             = octet_slice_begin(count, slice);
    *part = (octet_channel_shape){ .outer = 1, .channels = 1, .inner = octet_slice_begin(count, slice + 1) - *first };
    return part->inner > 0;
}

static void fake_slice(void *context, size_t slice)
{
    const fake_work *const w = context;
    octet_channel_shape    part;
    size_t                 first;
    if (part_of(&part, &first, w->shape, slice))
        octet_trained_forward(w->x + first, NULL, w->x + first, w->trained, &part);
}

static void fake_gradient_slice(void *context, size_t slice)
{
    const fake_work *const   w = context;
    octet_channel_shape      part;
    size_t                   first;
    const size_t             at = slice * w->shape->channels;
    const octet_trained_sums sums = {.scale = w->scale_sums + at, .zero_point = w->zero_point_sums + at};
    if (part_of(&part, &first, w->shape, slice))
        octet_trained_backward(w->x + first, w->trained->learning ? &sums : NULL, w->x + first, w->before + first,
                               w->trained, &part);
}

/* One scale for all takes a tensor as one row. */
static octet_channel_shape shape_for(const octet_trained *trained, const octet_channel_shape *shape)
{
    if (trained->channels > 1) return *shape;
    return (octet_channel_shape){ .outer = 1, .channels = 1, .inner = octet_channels_count(shape) };
}

/* FakeQuantize works on floats: a tape of doubles lends it some. */
static float *floats_of(octet_tape *tape, int which, const void *x, size_t count)
{
    if (tape->dtype != OCTET_F64) return (float *)x;
    for (size_t i = 0; i < count; i++) tape->narrow[which][i] = (float)((const double *)x)[i];
    return tape->narrow[which];
}

static void doubles_of(octet_tape *tape, void *x, size_t count)
{
    if (tape->dtype == OCTET_F64)
        for (size_t i = 0; i < count; i++) ((double *)x)[i] = (double)tape->narrow[0][i];
}

void octet_fake_quantize_tensor(octet_tape *tape, octet_trained *trained, void *x, const octet_channel_shape *whole)
{
    const bool                observes = tape->training && trained->observing;
    const octet_channel_shape shape    = shape_for(trained, whole);
    if (!observes && !trained->enabled) return;
    const size_t count = octet_channels_count(whole);
    fake_work    work  = { .tape = tape, .trained = trained, .x = floats_of(tape, 0, x, count), .shape = &shape };
    if (observes || trained->quantizer.fake == OCTET_FAKE_FUSED) octet_trained_observe(trained, work.x, &shape);
    if (!trained->enabled) return;
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, fake_slice, &work);
    doubles_of(tape, x, count);
}

void octet_fake_quantize_gradient(octet_tape *tape, octet_trained *trained, void *d, const void *before,
                                  const octet_channel_shape *whole)
{
    const octet_channel_shape shape = shape_for(trained, whole);
    const size_t              count = octet_channels_count(whole), channels = shape.channels;
    if (!trained->enabled) return;
    fake_work work = { .tape = tape, .trained = trained, .shape = &shape };
    work.x         = floats_of(tape, 0, d, count);
    work.before    = floats_of(tape, 1, before, count);
    work.scale_sums      = tape->sums;
    work.zero_point_sums = tape->sums + OCTET_TAPE_SLICES * channels;
    memset(tape->sums, 0, 2 * OCTET_TAPE_SLICES * channels * sizeof *tape->sums);
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, fake_gradient_slice, &work);
    doubles_of(tape, d, count);
    if (!trained->learning) return;
    const double factor = octet_trained_factor(trained, count / channels);
    for (size_t c = 0; c < channels; c++) {
        double scale = 0, zero_point = 0;
        for (size_t s = 0; s < OCTET_TAPE_SLICES; s++) {
            scale += work.scale_sums[s * channels + c];
            zero_point += work.zero_point_sums[s * channels + c];
        }
        trained->scale_gradient[c] += (float)(scale * factor);
        trained->zero_point_gradient[c] += (float)(zero_point * factor);
    }
}

/* ---- the epilogue ---- */

typedef struct affine_work {
    const octet_tape      *tape;
    const octet_tape_step *step;
    void                  *to;
} affine_work;

static void affine_slice(void *context, size_t slice)
{
    const affine_work *const w     = context;
    const size_t             outer = w->step->shape.outer;
    octet_tape_numbers_of(w->tape)->affine(w->to, w->step, octet_slice_begin(outer, slice),
                                           octet_slice_begin(outer, slice + 1));
}

static void clamp_slice(void *context, size_t slice)
{
    const affine_work *const w     = context;
    const size_t             outer = w->step->shape.outer;
    octet_tape_numbers_of(w->tape)->clamp_gradient(w->to, w->step, octet_slice_begin(outer, slice),
                                                   octet_slice_begin(outer, slice + 1));
}

void octet_epilogue_affine(octet_tape *tape, octet_tape_step *step, void *to)
{
    if (step->rows) {
        octet_rows_affine(tape, step, to);
        return;
    }
    affine_work work = { .tape = tape, .step = step, .to = to };
    octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, affine_slice, &work);
}

void octet_epilogue_forward(octet_tape *tape, octet_tape_step *step)
{
    octet_tape_slot *const out = step->out[0];
    if (step->rows) {
        octet_rows_forward(tape, step);
        return;
    }
    octet_epilogue_affine(tape, step, out->real.data);
    if (out->trained) octet_fake_quantize_tensor(tape, out->trained, out->real.data, &step->shape);
}

void octet_epilogue_backward(octet_tape *tape, octet_tape_step *step)
{
    octet_tape_slot *const out  = step->out[0];
    affine_work            work = { .tape = tape, .step = step, .to = out->gradient.data };
    if (step->rows) {
        octet_rows_backward(tape, step);
        return;
    }
    if (out->trained && out->trained->enabled) {
        octet_epilogue_affine(tape, step, tape->before);
        octet_fake_quantize_gradient(tape, out->trained, out->gradient.data, tape->before, &step->shape);
    }
    if (step->node->activation.on) octet_parallel(OCTET_TAPE_SLICES, tape->options.threads, clamp_slice, &work);
}
