/* SPDX-License-Identifier: Apache-2.0 */
/* One convolution with made-up data, its definition, and the comparison of a kernel with it. */
#ifndef OCTET_TESTS_KERNELS_CONV_AMX_CASE_H
#define OCTET_TESTS_KERNELS_CONV_AMX_CASE_H

#include "support.h"

#include "kernels/kernels.h"

typedef enum conv_fill { FILL_RANDOM, FILL_LOWEST, FILL_HIGHEST, FILL_EXTREMES, FILL_COUNT } conv_fill;

typedef struct conv_case {
    octet_conv_shape shape;
    conv_fill        fill;
    bool             residual, real, tame, holes, sums;
    octet_to_levels  to;
} conv_case;

enum { CONV_GUARD = 0xa5 };

typedef struct conv_data {
    octet_conv_call    call;
    octet_conv_weights weights;
    octet_conv_tiling  tiling;
    size_t             output_size;
    uint8_t           *expected; /* output as the definition makes it, holes and guards included */
    void              *owned[16];
    int                owned_count;
} conv_data;

static inline void *conv_new(conv_data *data, size_t size)
{
    void *const memory = aligned_alloc(64, (size + 127) / 64 * 64);
    assert_non_null(memory);
    data->owned[data->owned_count++] = memory;
    return memory;
}

static inline void conv_free(conv_data *data)
{
    for (int i = 0; i < data->owned_count; i++) free(data->owned[i]);
}

/* Bytes 0..255; as weights they are -128..127 (the top bit flipped). */
static inline uint8_t conv_byte(random_state *r, conv_fill fill)
{
    switch (fill) {
    case FILL_LOWEST: return 0;
    case FILL_HIGHEST: return 255;
    case FILL_EXTREMES: return random_bits(r) & 1 ? 255 : 0;
    default: return (uint8_t)random_bits(r);
    }
}

static inline uint8_t *conv_bytes(conv_data *data, random_state *r, size_t size, conv_fill fill)
{
    uint8_t *const bytes = conv_new(data, size);
    for (size_t i = 0; i < size; i++) bytes[i] = conv_byte(r, fill);
    return bytes;
}

static inline void conv_fill_weights(conv_data *data, const conv_case *c, random_state *r)
{
    const octet_conv_shape *const shape = &c->shape;
    const size_t                  sum = shape->taps * shape->depth, count = shape->columns * sum;
    const conv_fill               opposite = c->fill == FILL_HIGHEST ? FILL_LOWEST : c->fill;
    uint8_t *const                bytes = conv_bytes(data, r, count, opposite);
    int32_t *const                bias = conv_new(data, shape->columns * sizeof *bias);
    float *const                  multiplier = conv_new(data, shape->columns * sizeof *multiplier);
    for (size_t i = 0; i < count; i++) bytes[i] ^= 0x80;
    for (size_t i = 0; i < shape->columns; i++) {
        bias[i] = (int32_t)random_int(r, -5000, 5000);
        multiplier[i] = random_float(r, 0.5f, 1) * (c->tame ? 1.0f : 1e9f) / (40 * sqrtf((float)sum));
    }
    data->weights = (octet_conv_weights){ .at = (const int8_t *)bytes, .column = sum, .tap = 1, .depth = shape->taps,
                                          .bias = bias, .multiplier = multiplier,
                                          .input_zero = (int32_t)random_int(r, 0, 255) };
}

/* Places of rows in a random order of pixels `columns` elements and a gap apart, with holes. */
static inline int32_t *conv_places(conv_data *data, const conv_case *c, random_state *r, size_t pixel)
{
    int32_t *const place = conv_new(data, c->shape.rows * sizeof *place);
    for (size_t i = 0; i < c->shape.rows; i++)
        place[i] = c->holes && random_int(r, 0, 3) == 0 ? -1 : (int32_t)((c->shape.rows - 1 - i) * pixel);
    return place;
}

static inline conv_data conv_make(const conv_case *c, uint64_t seed)
{
    conv_data                     data = { 0 };
    random_state                  r = { seed };
    const octet_conv_shape *const shape = &c->shape;
    octet_conv_call *const        call = &data.call;
    size_t *const                 tap = conv_new(&data, shape->taps * sizeof *tap);
    for (size_t t = 0; t < shape->taps; t++) tap[t] = t / 3 * 7 * shape->pixel + t % 3 * shape->pixel;
    const size_t group = (shape->rows + shape->taps * 3 + 8) * shape->pixel + shape->depth;
    const size_t element = c->real || c->sums ? 4 : 1;
    const size_t output_pixel = (shape->columns + 3) * element, output_group = shape->rows * output_pixel;
    const size_t residual_pixel = shape->columns + 5, residual_group = shape->rows * residual_pixel;
    conv_fill_weights(&data, c, &r);
    *call = (octet_conv_call){ .tap = tap, .input_group = group, .output_group = output_group,
                               .residual_group = residual_group, .to = c->to, .real = c->real, .sums = c->sums,
                               .tame = c->tame, .real_lo = -4, .real_hi = 6,
                               .residual_multiplier = c->tame ? 0.37f : 3.7e8f, .residual_zero = 131 };
    call->input = conv_bytes(&data, &r, shape->groups * group + OCTET_OVERREAD * (shape->pixel + 1), c->fill);
    data.output_size = 64 + shape->groups * output_group;
    data.expected = conv_new(&data, data.output_size);
    call->output = conv_new(&data, data.output_size);
    call->place = conv_places(&data, c, &r, output_pixel);
    if (c->residual) {
        call->residual = conv_bytes(&data, &r, shape->groups * residual_group, c->fill);
        int32_t *const place = conv_new(&data, shape->rows * sizeof *place);
        for (size_t i = 0; i < shape->rows; i++) place[i] = (int32_t)(i * residual_pixel);
        call->residual_place = place;
    }
    return data;
}

/* acc of the definition. */
static inline int32_t conv_sum(const conv_data *data, const octet_conv_shape *shape, const uint8_t *input,
                               size_t column)
{
    const octet_conv_weights *const w = &data->weights;
    int64_t                         sum = w->bias[column];
    for (size_t t = 0; t < shape->taps; t++)
        for (size_t d = 0; d < shape->depth; d++)
            sum += (input[data->call.tap[t] + d] - w->input_zero) *
                   w->at[column * w->column + t * w->tap + d * w->depth];
    return (int32_t)sum;
}

static inline void conv_define_one(const conv_data *data, const conv_case *c, size_t group, size_t row, size_t column)
{
    const octet_conv_call *const call = &data->call;
    const uint8_t *const         input = call->input + group * call->input_group + row * c->shape.pixel;
    const int32_t                sum = conv_sum(data, &c->shape, input, column);
    float                        t = (float)sum * data->weights.multiplier[column];
    uint8_t *const output = data->expected + group * call->output_group + (size_t)call->place[row];
    if (c->sums) {
        memcpy(output + column * sizeof sum, &sum, sizeof sum);
        return;
    }
    if (c->residual) {
        const uint8_t *const from = call->residual + group * call->residual_group + call->residual_place[row];
        const float          other = (float)(from[column] - call->residual_zero) * call->residual_multiplier;
        t = t + other;
    }
    const float lo = c->real ? call->real_lo : (float)(c->to.lo - c->to.zero_point);
    const float hi = c->real ? call->real_hi : (float)(c->to.hi - c->to.zero_point);
    t = t > lo ? t : lo;
    t = t < hi ? t : hi;
    if (c->real)
        memcpy(output + column * sizeof t, &t, sizeof t);
    else
        output[column] = (uint8_t)((int32_t)rintf(t) + c->to.zero_point);
}

static inline void conv_define(const conv_data *data, const conv_case *c)
{
    memset(data->expected, CONV_GUARD, data->output_size);
    for (size_t g = 0; g < c->shape.groups; g++)
        for (size_t r = 0; r < c->shape.rows; r++)
            for (size_t k = 0; k < c->shape.columns; k++)
                if (data->call.place[r] >= 0) conv_define_one(data, c, g, r, k);
}

/* Whether the kernel agrees with the definition in every byte, cut into `parts`. */
static inline bool conv_agrees(conv_data *data, const conv_case *c, const octet_conv_kernel *kernel, int parts)
{
    kernel->choose(&data->tiling, &c->shape, parts);
    const size_t size = (kernel->packed_size(&c->shape, &data->tiling) + 63) / 64 * 64;
    void *const  packed = aligned_alloc(64, size);
    assert_non_null(packed);
    memset(packed, 0, size);
    kernel->pack(packed, &c->shape, &data->tiling, &data->weights);
    data->call.shape = &c->shape;
    data->call.tiling = &data->tiling;
    data->call.weights = packed;
    memset(data->call.output, CONV_GUARD, data->output_size);
    for (int p = 0; p < parts; p++) kernel->run(&data->call, p, parts);
    free(packed);
    const uint8_t *const got = data->call.output;
    size_t               i = 0;
    while (i < data->output_size && got[i] == data->expected[i]) i++;
    if (i == data->output_size) return true;
    print_error("%zux%zux%zux%zu, %zu groups, fill %d, residual %d, real %d, tame %d, parts %d: byte %zu is %u, "
                "not %u\n",
                c->shape.rows, c->shape.columns, c->shape.taps, c->shape.depth, c->shape.groups, (int)c->fill,
                c->residual, c->real, c->tame, parts, i, got[i], data->expected[i]);
    return false;
}

#endif
