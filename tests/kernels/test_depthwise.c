/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution of every kernel set against the definition: shapes around the widths of vectors and the fast
   paths for three rows, fills that reach the extremes, any number of parts, gaps between pixels left alone. */
#include "fence.h"

typedef octet_depthwise_shape shape;

static const shape shapes[] = {
    { 1, 6, 7, 32, 3, 3, 1, 1, 1, 1 },   { 1, 5, 8, 96, 3, 3, 2, 2, 1, 1 },  { 2, 3, 5, 24, 3, 3, 1, 1, 1, 1 },
    { 1, 3, 3, 10, 3, 3, 1, 1, 1, 1 },   { 2, 2, 3, 5, 3, 3, 2, 2, 1, 1 },   { 1, 1, 1, 1, 3, 3, 1, 1, 1, 1 },
    { 1, 7, 7, 64, 5, 5, 1, 1, 1, 1 },   { 1, 4, 5, 65, 5, 5, 2, 2, 1, 1 },  { 1, 6, 4, 63, 3, 1, 1, 1, 1, 1 },
    { 3, 1, 9, 40, 1, 3, 1, 1, 1, 1 },   { 1, 1, 20, 16, 1, 9, 1, 2, 1, 2 }, { 1, 4, 6, 144, 3, 3, 1, 1, 2, 2 },
    { 1, 5, 4, 130, 3, 3, 1, 1, 2, 1 },  { 1, 3, 4, 17, 2, 2, 1, 1, 1, 1 },  { 1, 4, 4, 33, 4, 4, 2, 1, 1, 1 },
    { 2, 4, 3, 15, 7, 7, 1, 1, 1, 1 },   { 1, 5, 5, 128, 3, 3, 1, 2, 1, 1 }, { 1, 5, 5, 100, 3, 3, 2, 1, 1, 3 },
    { 1, 3, 2, 255, 1, 1, 1, 1, 1, 1 },  { 1, 9, 2, 48, 3, 5, 1, 1, 1, 1 },  { 1, 3, 4, 80, 5, 3, 1, 1, 1, 1 },
    { 3, 3, 1, 127, 3, 3, 1, 1, 1, 1 },  { 1, 2, 11, 8, 3, 3, 1, 1, 1, 1 },  { 1, 2, 6, 7, 3, 3, 2, 2, 1, 1 },
    { 1, 25, 5, 64, 3, 3, 1, 1, 1, 1 },  { 1, 1, 3, 12, 9, 1, 1, 1, 1, 1 },  { 1, 4, 5, 160, 3, 3, 3, 3, 1, 1 },
    { 1, 3, 17, 192, 3, 3, 1, 1, 1, 1 },
};

enum { MOST_CHANNELS = 256, GAP_VALUE = 0xa5 };

typedef struct depthwise_case {
    const shape          *shape;
    fenced                input, output, expected, residual;
    octet_steps           input_steps, output_steps, residual_steps;
    int8_t               *weights; /* [channel][tap] */
    int32_t               bias[MOST_CHANNELS];
    float                 multiplier[MOST_CHANNELS];
    int32_t               input_zero, residual_zero;
    float                 residual_multiplier;
    bool                  has_residual, tame;
    octet_to_levels       to;
} depthwise_case;

static void steps_over(octet_steps *steps, size_t channels, size_t height, size_t width, size_t gap)
{
    steps->pixel = channels + gap;
    steps->row = width * steps->pixel + 3 * gap;
    steps->image = height * steps->row + 5 * gap;
}

/* Bytes from the first to one past the last. */
static size_t extent(const octet_steps *steps, const shape *s, size_t height, size_t width)
{
    return (s->images - 1) * steps->image + (height - 1) * steps->row + (width - 1) * steps->pixel + s->channels;
}

static void make_memory(depthwise_case *c, random_state *r, fill how)
{
    const shape *const s = c->shape;
    const size_t       height = (s->height - 1) * (size_t)s->stride_height +
                          (size_t)((s->kernel_height - 1) * s->dilation_height) + 1;
    const size_t width = (s->width - 1) * (size_t)s->stride_width +
                         (size_t)((s->kernel_width - 1) * s->dilation_width) + 1;
    steps_over(&c->input_steps, s->channels, height, width, (size_t)random_int(r, 0, 3));
    steps_over(&c->output_steps, s->channels, s->height, s->width, (size_t)random_int(r, 0, 3));
    steps_over(&c->residual_steps, s->channels, s->height, s->width, (size_t)random_int(r, 0, 3));
    c->input = fenced_make(extent(&c->input_steps, s, height, width));
    c->output = fenced_make(extent(&c->output_steps, s, s->height, s->width));
    c->expected = fenced_make(c->output.size);
    c->residual = fenced_make(extent(&c->residual_steps, s, s->height, s->width));
    fill_bytes(r, c->input.bytes, c->input.size, how, 0);
    fill_bytes(r, c->residual.bytes, c->residual.size, how, 0);
    memset(c->expected.bytes, GAP_VALUE, c->expected.size);
}

static void make_rules(depthwise_case *c, random_state *r, fill how)
{
    const size_t taps = (size_t)(c->shape->kernel_height * c->shape->kernel_width);
    c->weights = malloc(c->shape->channels * taps);
    fill_bytes(r, c->weights, c->shape->channels * taps, how, 0x80);
    c->input_zero = (int32_t)random_int(r, 0, 255);
    c->residual_zero = (int32_t)random_int(r, 0, 255);
    c->has_residual = random_bits(r) & 1;
    c->tame = random_bits(r) & 1;
    c->to = random_target(r);
    const float spread = c->tame ? 1.0f : 1e30f;
    c->residual_multiplier = random_float(r, 0.1f, 2.0f) * spread;
    for (size_t i = 0; i < c->shape->channels; i++) {
        c->bias[i] = (int32_t)random_int(r, -20000, 20000);
        c->multiplier[i] = random_float(r, 0.0005f, 0.02f) * spread;
    }
}

static uint8_t pixel_level(const depthwise_case *c, size_t channel, const uint8_t *window, const uint8_t *residual)
{
    const shape *const  s = c->shape;
    const int8_t *const w = c->weights + channel * (size_t)(s->kernel_height * s->kernel_width);
    int32_t             sum = c->bias[channel];
    for (int i = 0; i < s->kernel_height; i++)
        for (int j = 0; j < s->kernel_width; j++) {
            const size_t at = (size_t)(i * s->dilation_height) * c->input_steps.row +
                              (size_t)(j * s->dilation_width) * c->input_steps.pixel;
            sum += (window[at + channel] - c->input_zero) * w[i * s->kernel_width + j];
        }
    float t = (float)sum * c->multiplier[channel];
    if (c->has_residual) {
        const float other = (float)(residual[channel] - c->residual_zero) * c->residual_multiplier;
        t = t + other;
    }
    return level_of(t, &c->to);
}

static void define(depthwise_case *c)
{
    const shape *const       s = c->shape;
    const octet_steps *const in = &c->input_steps, *const out = &c->output_steps, *const res = &c->residual_steps;
    for (size_t n = 0; n < s->images; n++)
        for (size_t y = 0; y < s->height; y++)
            for (size_t x = 0; x < s->width; x++) {
                const uint8_t *const window = c->input.bytes + n * in->image +
                                              y * (size_t)s->stride_height * in->row +
                                              x * (size_t)s->stride_width * in->pixel;
                const uint8_t *const residual = c->residual.bytes + n * res->image + y * res->row + x * res->pixel;
                uint8_t *const       to = c->expected.bytes + n * out->image + y * out->row + x * out->pixel;
                for (size_t i = 0; i < s->channels; i++) to[i] = pixel_level(c, i, window, residual);
            }
}

/* Runs part by part into fresh memory; no byte may come from two parts. (One that equals the gap's value tells
   nothing, which the other bytes of its row make up for.) */
static void check_parts(depthwise_case *c, const octet_kernels *set, const octet_depthwise_call *call, int parts)
{
    uint8_t *const whole = malloc(c->output.size);
    char           what[160];
    snprintf(what, sizeof what, "%s, shape %td, %d parts, tame %d, residual %d", set->name, c->shape - shapes, parts,
             c->tame, c->has_residual);
    memset(whole, GAP_VALUE, c->output.size);
    for (int part = 0; part < parts; part++) {
        memset(c->output.bytes, GAP_VALUE, c->output.size);
        set->depthwise->run(call, part, parts);
        for (size_t i = 0; i < c->output.size; i++) {
            if (c->output.bytes[i] == GAP_VALUE) continue;
            if (whole[i] != GAP_VALUE) fail_msg("%s: two parts write byte %zu", what, i);
            whole[i] = c->output.bytes[i];
        }
    }
    same_bytes(whole, c->expected.bytes, c->output.size, what);
    free(whole);
}

static void check_set(depthwise_case *c, const octet_kernels *set)
{
    const size_t             taps = (size_t)(c->shape->kernel_height * c->shape->kernel_width);
    const octet_conv_weights weights = { .at = c->weights, .column = taps, .tap = 1, .bias = c->bias,
                                         .multiplier = c->multiplier, .input_zero = c->input_zero };
    const size_t             packed_size = (set->depthwise->packed_size(c->shape) + 63) / 64 * 64;
    void *const              packed = aligned_alloc(64, packed_size);
    memset(packed, 0, packed_size);
    set->depthwise->pack(packed, c->shape, &weights);
    const octet_depthwise_call call = {
        .shape = c->shape, .weights = packed, .input = c->input.bytes,
        .residual = c->has_residual ? c->residual.bytes : NULL, .output = c->output.bytes,
        .input_steps = c->input_steps, .output_steps = c->output_steps, .residual_steps = c->residual_steps,
        .residual_multiplier = c->residual_multiplier, .residual_zero = c->residual_zero, .to = c->to, .tame = c->tame,
    };
    static const int parts[] = { 1, 2, 3, 8 };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) check_parts(c, set, &call, parts[i]);
    free(packed);
}

static void test_definition(void **state)
{
    (void)state;
    random_state r = { 11 };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int round = 0; round < 4 * FILLS; round++) {
            depthwise_case c = { .shape = &shapes[i] };
            make_memory(&c, &r, (fill)(round % FILLS));
            make_rules(&c, &r, (fill)(round % FILLS));
            define(&c);
            size_t               at = 0;
            const octet_kernels *set;
            while ((set = next_set(&at))) check_set(&c, set);
            fenced_free(&c.input);
            fenced_free(&c.output);
            fenced_free(&c.expected);
            fenced_free(&c.residual);
            free(c.weights);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_definition) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
