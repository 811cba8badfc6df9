/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution: every output channel is a sum over the taps of its own input channel. */
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#include OCTET_SIMD

enum { BLOCK = 32 }; /* channels of which sums are held at a time */

static size_t taps_of(const octet_depthwise_shape *shape)
{
    return (size_t)shape->kernel_height * (size_t)shape->kernel_width;
}

/* Per block of channels: bias, multipliers, weights [tap][channel]. */
static size_t block_size(const octet_depthwise_shape *shape) { return BLOCK * (8 + taps_of(shape)); }

static size_t packed_size(const octet_depthwise_shape *shape)
{
    return (shape->channels + BLOCK - 1) / BLOCK * block_size(shape);
}

static void pack_channel(uint8_t *block, const octet_depthwise_shape *shape, const octet_conv_weights *weights,
                         size_t channel)
{
    const int8_t *const from = weights->at + channel * weights->column;
    const size_t        taps = taps_of(shape), lane = channel % BLOCK;
    int8_t *const       to = (int8_t *)block + (size_t)BLOCK * 8;
    uint32_t            sum = 0;
    for (size_t t = 0; t < taps; t++) {
        const int32_t w = from[t * weights->tap];
        to[t * BLOCK + lane] = (int8_t)w;
        sum += (uint32_t)w;
    }
    const uint32_t bias = (uint32_t)weights->bias[channel] - (uint32_t)weights->input_zero * sum;
    memcpy(block + 4 * lane, &bias, sizeof bias);
    memcpy(block + 4 * (BLOCK + lane), &weights->multiplier[channel], sizeof(float));
}

static void pack(void *packed, const octet_depthwise_shape *shape, const octet_conv_weights *weights)
{
    for (size_t c = 0; c < shape->channels; c++)
        pack_channel((uint8_t *)packed + c / BLOCK * block_size(shape), shape, weights, c);
}

static void store_pixel(uint8_t *y, const uint32_t sum[BLOCK], const float multiplier[BLOCK], const uint8_t *r, size_t n,
                        const octet_depthwise_call *call)
{
    const float lo = (float)(call->to.lo - call->to.zero_point), hi = (float)(call->to.hi - call->to.zero_point);
    for (size_t c = 0; c < n; c++) {
        float t = (float)(int32_t)sum[c] * multiplier[c];
        if (r) t += (float)(r[c] - call->residual_zero) * call->residual_multiplier;
        t = t > lo ? t : lo;
        t = t < hi ? t : hi;
        y[c] = (uint8_t)((int32_t)rintf(t) + call->to.zero_point);
    }
}

typedef struct pixel_pointers {
    const uint8_t *input, *residual;
    uint8_t       *output;
} pixel_pointers;

static void run_block(const octet_depthwise_call *call, pixel_pointers at, size_t block, size_t n)
{
    const octet_depthwise_shape *const shape = call->shape;
    const uint8_t *const               packed = (const uint8_t *)call->weights + block * block_size(shape);
    const int8_t                      *w = (const int8_t *)packed + (size_t)BLOCK * 8;
    uint32_t                           sum[BLOCK]; /* wraps: only the whole sum is known to fit */
    memcpy(sum, packed, sizeof sum);
    for (int i = 0; i < shape->kernel_height; i++)
        for (int j = 0; j < shape->kernel_width; j++, w += BLOCK) {
            const uint8_t *const x = at.input + (size_t)(i * shape->dilation_height) * call->input_steps.row +
                                     (size_t)(j * shape->dilation_width) * call->input_steps.pixel;
            for (size_t c = 0; c < n; c++) sum[c] += (uint32_t)(x[c] * w[c]);
        }
    store_pixel(at.output, sum, (const float *)(packed + (size_t)BLOCK * 4), at.residual, n, call);
}

static pixel_pointers pixel_at(const octet_depthwise_call *call, size_t image, size_t y, size_t x)
{
    const octet_steps *const in = &call->input_steps, *const out = &call->output_steps, *const res = &call->residual_steps;
    const size_t             down = y * (size_t)call->shape->stride_height, right = x * (size_t)call->shape->stride_width;
    return (pixel_pointers){
        .input = call->input + image * in->image + down * in->row + right * in->pixel,
        .residual = call->residual ? call->residual + image * res->image + y * res->row + x * res->pixel : NULL,
        .output = (uint8_t *)call->output + image * out->image + y * out->row + x * out->pixel,
    };
}

static void run_row(const octet_depthwise_call *call, size_t image, size_t y)
{
    const size_t channels = call->shape->channels;
    for (size_t c = 0; c < channels; c += BLOCK)
        for (size_t x = 0; x < call->shape->width; x++) {
            pixel_pointers at = pixel_at(call, image, y, x);
            at.input += c;
            at.output += c;
            if (at.residual) at.residual += c;
            run_block(call, at, c / BLOCK, channels - c < BLOCK ? channels - c : BLOCK);
        }
}

static void run(const octet_depthwise_call *call, int part, int parts)
{
    const size_t rows = call->shape->images * call->shape->height;
    const size_t first = rows * (size_t)part / (size_t)parts, end = rows * ((size_t)part + 1) / (size_t)parts;
    for (size_t row = first; row < end; row++) run_row(call, row / call->shape->height, row % call->shape->height);
}

extern const octet_depthwise_kernel V_NAME(octet_depthwise);
const octet_depthwise_kernel        V_NAME(octet_depthwise) = { .packed_size = packed_size, .pack = pack, .run = run };
