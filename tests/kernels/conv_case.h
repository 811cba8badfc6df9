/* SPDX-License-Identifier: Apache-2.0 */
/* A convolution problem for the kernels, filled with numbers, and what its results must be by the naive definition.
   Shared by the test, the benchmark and the program for other machines; so it needs the C library alone. */
#ifndef OCTET_TESTS_CONV_CASE_H
#define OCTET_TESTS_CONV_CASE_H

#include "kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum conv_fill { FILL_RANDOM, FILL_LOWEST, FILL_HIGHEST, FILL_EXTREMES, FILLS } conv_fill;

typedef struct conv_options {
    conv_fill fill;
    bool      real, residual, wild, holes, narrow; /* wild: results far outside the levels; narrow: bounds inside */
    bool      sums;                                /* the sums themselves are the results */
} conv_options;

enum { CONV_GUARD = 0xa5, CONV_MARGIN = 128 };

/* Memory with CONV_MARGIN guard bytes around it. */
typedef struct conv_buffer {
    uint8_t *all;
    size_t   size;
} conv_buffer;

typedef struct conv_case {
    octet_conv_shape   shape;
    octet_conv_weights weights;
    octet_conv_call    call;
    conv_options       options;
    int8_t            *weight;
    int32_t           *bias, *place, *residual_place;
    float             *multiplier;
    size_t            *tap;
    conv_buffer        input, residual, output;
    uint8_t           *expected; /* as output.all */
} conv_case;

static uint64_t conv_random(void)
{
    static uint64_t at = 42;
    uint64_t        z = (at += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void *conv_zeroed(size_t size)
{
    void *const memory = aligned_alloc(64, (size + 127) / 64 * 64);
    if (!memory) abort();
    return memset(memory, 0, (size + 127) / 64 * 64);
}

static conv_buffer conv_buffer_new(size_t size)
{
    conv_buffer buffer = { conv_zeroed(size + 2 * CONV_MARGIN), size };
    memset(buffer.all, CONV_GUARD, size + 2 * CONV_MARGIN);
    return buffer;
}

static uint8_t *conv_first(const conv_buffer *buffer) { return buffer->all + CONV_MARGIN; }

/* Bytes, as activations (0..255) or weights (-128..127). */
static void conv_fill_bytes(uint8_t *to, size_t size, conv_fill fill, bool is_signed)
{
    const uint8_t low = is_signed ? 0x80 : 0, high = is_signed ? 0x7f : 0xff;
    for (size_t i = 0; i < size; i++) {
        const uint64_t bits = conv_random();
        const uint8_t  pick[FILLS] = { (uint8_t)bits, low, high, bits & 256 ? low : high };
        to[i] = pick[fill];
    }
}

/* ---- the definition ---- */

static int32_t conv_sum(const conv_case *c, size_t group, size_t row, size_t column)
{
    const octet_conv_shape *const s = &c->shape;
    const uint8_t *const          x = c->call.input + group * c->call.input_group + row * s->pixel;
    int64_t                       sum = c->bias[column];
    for (size_t t = 0; t < s->taps; t++)
        for (size_t d = 0; d < s->depth; d++) {
            const octet_conv_weights *const w = &c->weights;
            sum += (x[c->tap[t] + d] - w->input_zero) * w->at[column * w->column + t * w->tap + d * w->depth];
        }
    return (int32_t)(uint32_t)(uint64_t)sum;
}

static void conv_write(const conv_case *c, uint8_t *to, size_t column, float t)
{
    const octet_conv_call *const call = &c->call;
    if (call->real) {
        t = t > call->real_lo ? t : call->real_lo;
        t = t < call->real_hi ? t : call->real_hi;
        memcpy(to + column * sizeof t, &t, sizeof t);
        return;
    }
    const double y = rint((double)t) + call->to.zero_point;
    to[column] = (uint8_t)(y < call->to.lo ? call->to.lo : y > call->to.hi ? call->to.hi : y);
}

static void conv_expect(const conv_case *c)
{
    const octet_conv_call *const call = &c->call;
    for (size_t g = 0; g < c->shape.groups; g++)
        for (size_t r = 0; r < c->shape.rows; r++) {
            if (c->place[r] < 0) continue;
            uint8_t *const to = c->expected + CONV_MARGIN + g * call->output_group + c->place[r];
            for (size_t n = 0; n < c->shape.columns; n++) {
                const int32_t sum = conv_sum(c, g, r, n);
                if (call->sums) {
                    memcpy(to + n * sizeof sum, &sum, sizeof sum);
                    continue;
                }
                float t = (float)sum * c->multiplier[n];
                if (call->residual) {
                    const uint8_t q = call->residual[g * call->residual_group + (size_t)c->residual_place[r] + n];
                    const float   other = (float)(q - call->residual_zero) * call->residual_multiplier;
                    t = t + other;
                }
                conv_write(c, to, n, t);
            }
        }
}

/* ---- making one ---- */

static void conv_fill_weights(conv_case *c)
{
    const octet_conv_shape *const s = &c->shape;
    const size_t                  count = s->columns * s->taps * s->depth;
    c->weight = conv_zeroed(count);
    c->bias = conv_zeroed(s->columns * sizeof *c->bias);
    c->multiplier = conv_zeroed(s->columns * sizeof *c->multiplier);
    conv_fill_bytes((uint8_t *)c->weight, count, c->options.fill, true);
    const float usual = 40.0f / (5000.0f * sqrtf((float)(s->taps * s->depth)));
    for (size_t n = 0; n < s->columns; n++) {
        c->bias[n] = (int32_t)(conv_random() % 20001) - 10000;
        c->multiplier[n] = usual * (1.0f + (float)(conv_random() % 1000) * 1e-3f) * (c->options.wild ? 1e9f : 1.0f);
    }
    c->weights = (octet_conv_weights){ .at = c->weight,
                                       .column = s->taps * s->depth,
                                       .tap = s->depth,
                                       .depth = 1,
                                       .bias = c->bias,
                                       .multiplier = c->multiplier,
                                       .input_zero = (int32_t)(conv_random() % 256) };
}

/* Rows land in order, some nowhere, a little apart. */
static void conv_fill_places(conv_case *c, size_t pitch, size_t residual_pitch)
{
    c->place = conv_zeroed(c->shape.rows * sizeof *c->place);
    c->residual_place = conv_zeroed(c->shape.rows * sizeof *c->residual_place);
    for (size_t r = 0; r < c->shape.rows; r++) {
        const bool hole = c->options.holes && (r % 9 >= 7 || conv_random() % 16 == 0);
        c->place[r] = hole ? -1 : (int32_t)(r * pitch);
        c->residual_place[r] = hole ? INT32_MIN : (int32_t)((c->shape.rows - 1 - r) * residual_pitch);
    }
}

static void conv_case_make(conv_case *c, const octet_conv_shape *shape, conv_options options)
{
    const size_t unit = options.real || options.sums ? sizeof(float) : 1, gap = options.holes ? 7 * unit : 0;
    const size_t pitch = shape->columns * unit + gap, residual_pitch = shape->columns + (options.holes ? 3 : 0);
    *c = (conv_case){ .shape = *shape, .options = options };
    conv_fill_weights(c);
    conv_fill_places(c, pitch, residual_pitch);
    c->tap = conv_zeroed(shape->taps * sizeof *c->tap);
    size_t farthest = 0;
    for (size_t t = 0; t < shape->taps; t++) {
        c->tap[t] = t % 3 * shape->pixel + t / 3 * 9 * shape->pixel;
        farthest = c->tap[t] > farthest ? c->tap[t] : farthest;
    }
    const size_t image = shape->rows * shape->pixel + farthest + shape->depth;
    c->input = conv_buffer_new(shape->groups * image + OCTET_OVERREAD);
    c->residual = conv_buffer_new(shape->groups * shape->rows * residual_pitch);
    c->output = conv_buffer_new(shape->groups * shape->rows * pitch);
    conv_fill_bytes(conv_first(&c->input), c->input.size, options.fill, false);
    conv_fill_bytes(conv_first(&c->residual), c->residual.size, options.fill, false);
    c->call = (octet_conv_call){
        .shape = &c->shape,
        .tap = c->tap,
        .input = conv_first(&c->input),
        .input_group = image,
        .output = conv_first(&c->output),
        .output_group = shape->rows * pitch,
        .place = c->place,
        .residual = options.residual && !options.sums ? conv_first(&c->residual) : NULL,
        .residual_group = shape->rows * residual_pitch,
        .residual_place = c->residual_place,
        .residual_multiplier = 0.37f,
        .residual_zero = 131,
        .to = { 117, options.narrow ? 100 : 0, options.narrow ? 201 : 255 },
        .real = options.real && !options.sums,
        .sums = options.sums,
        .tame = !options.wild && !options.real,
        .real_lo = options.narrow ? 0 : -INFINITY,
        .real_hi = options.narrow ? 6 : INFINITY,
    };
    const size_t all = c->output.size + 2 * CONV_MARGIN;
    c->expected = conv_zeroed(all);
    memset(c->expected, CONV_GUARD, all);
}

/* Packs and runs all parts; returns whether every byte, those around the results included, is as expected. The
   tiling's text is left in tiling. */
static bool conv_case_check(conv_case *c, const octet_conv_kernel *kernel, int parts, octet_conv_tiling *tiling)
{
    kernel->choose(tiling, &c->shape, parts);
    void *const packed = conv_zeroed(kernel->packed_size(&c->shape, tiling));
    kernel->pack(packed, &c->shape, tiling, &c->weights);
    c->call.tiling = tiling;
    c->call.weights = packed;
    const size_t all = c->output.size + 2 * CONV_MARGIN;
    memset(c->output.all, CONV_GUARD, all);
    for (int part = 0; part < parts; part++) kernel->run(&c->call, part, parts);
    free(packed);
    return memcmp(c->output.all, c->expected, all) == 0;
}

static void conv_case_free(conv_case *c)
{
    void *const all[] = { c->weight, c->bias,      c->multiplier,   c->place,      c->residual_place,
                          c->tap,    c->input.all, c->residual.all, c->output.all, c->expected };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

#endif
