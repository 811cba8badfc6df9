/* SPDX-License-Identifier: Apache-2.0 */
/* Moving between planes and pixels, in every kernel set, against the definition: numbers of channels and pixels around
   the sizes of blocks, values on and beside rounding ties, nothing touched beyond. */
#include "fence.h"

#include <float.h>

enum { GUARD = 0xa5 };

static const size_t channel_counts[] = { 1, 2, 3, 4, 5, 7, 8, 10, 16, 17, 31, 32, 33, 64, 65, 100 };
static const size_t pixel_counts[] = { 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 129, 224 };

/* Planes lie up to a fence, pixels too; the last pixel holds `channels` bytes unless pixels may be written whole. */
typedef struct planes_case {
    octet_planes size;
    size_t       planes_size, pixels_size; /* in elements */
} planes_case;

static planes_case random_case(random_state *r, size_t channels, size_t pixels)
{
    planes_case c = { .size = { .pixels = pixels, .channels = channels } };
    c.size.plane = pixels + (size_t)random_int(r, 0, 3);
    c.size.pixel = channels <= 4 && random_bits(r) & 1 ? 4 : channels + (size_t)random_int(r, 0, 3);
    c.planes_size = (channels - 1) * c.size.plane + pixels;
    c.pixels_size = c.size.pixel <= 4 ? pixels * c.size.pixel : (pixels - 1) * c.size.pixel + channels;
    return c;
}

/* The padding of a pixel of at most 4 bytes may hold anything. */
static void ignore_padding(uint8_t *levels, const uint8_t *expected, const octet_planes *size)
{
    for (size_t p = 0; size->pixel <= 4 && p < size->pixels; p++)
        for (size_t c = size->channels; c < size->pixel; c++)
            levels[p * size->pixel + c] = expected[p * size->pixel + c];
}

static void check_levels(const planes_case *c, const octet_kernels *set, uint8_t *found, const uint8_t *expected,
                         const char *what)
{
    char text[160];
    snprintf(text, sizeof text, "%s, %s, %zu channels, %zu pixels of %zu", set->name, what, c->size.channels,
             c->size.pixels, c->size.pixel);
    ignore_padding(found, expected, &c->size);
    same_bytes(found, expected, c->pixels_size, text);
}

typedef enum numbers { SMOOTH, TIES, NEAR_TIES, WILD, NUMBER_FILLS } numbers;

static void fill_numbers(random_state *r, float *x, size_t count, numbers how, float scale)
{
    static const float wild[] = { 0.0f, -0.0f, NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, FLT_MIN, 1e-45f, -1e-40f };
    for (size_t i = 0; i < count; i++) {
        const float half = (float)random_int(r, -600, 600) * 0.5f * scale;
        x[i] = random_float(r, -300, 300) * scale;
        if (how == TIES) x[i] = half;
        if (how == NEAR_TIES) x[i] = nextafterf(half, random_bits(r) & 1 ? INFINITY : -INFINITY);
        if (how == WILD && random_bits(r) & 1) x[i] = wild[random_bits(r) % (sizeof wild / sizeof *wild)];
    }
}

static float random_scale(random_state *r)
{
    static const float scales[] = { 1.0f,  0.5f,  1.0f / 255, 0.0186584480106f, 3e-39f * 4, 1e-30f,
                                    1e35f, 3.0f,  0.1f,       FLT_MIN,          FLT_MAX };
    const size_t       which = random_bits(r) % 16;
    return which < sizeof scales / sizeof *scales ? scales[which] : random_float(r, 0.001f, 4.0f);
}

static void check_quantize(random_state *r, const planes_case *c, numbers how)
{
    const octet_real_levels rule = { .scale = random_scale(r), .to = random_target(r) };
    fenced                  planes = fenced_make(c->planes_size * sizeof(float)), levels = fenced_make(c->pixels_size);
    fenced                  expected = fenced_make(c->pixels_size);
    float *const            x = (float *)(void *)planes.bytes;
    fill_numbers(r, x, c->planes_size, how, rule.scale);
    memset(expected.bytes, GUARD, expected.size);
    for (size_t channel = 0; channel < c->size.channels; channel++)
        for (size_t p = 0; p < c->size.pixels; p++) {
            const float real = x[channel * c->size.plane + p] / rule.scale;
            expected.bytes[p * c->size.pixel + channel] = level_of(isnan(real) ? 0.0f : real, &rule.to);
        }
    const octet_kernels *set;
    for (size_t at = 0; (set = next_set(&at));) {
        memset(levels.bytes, GUARD, levels.size);
        set->planes->quantize(levels.bytes, x, &c->size, &rule);
        check_levels(c, set, levels.bytes, expected.bytes, "quantize");
    }
    fenced_free(&planes);
    fenced_free(&levels);
    fenced_free(&expected);
}

static void check_reals(random_state *r, const planes_case *c)
{
    const octet_real_levels rule = { .scale = random_scale(r), .to = random_target(r) };
    fenced                  planes = fenced_make(c->planes_size * sizeof(float)), levels = fenced_make(c->pixels_size);
    fenced                  expected = fenced_make(planes.size), pixels = fenced_make(c->pixels_size * sizeof(float));
    float *const            to = (float *)(void *)planes.bytes, *const wanted = (float *)(void *)expected.bytes;
    float *const            from = (float *)(void *)pixels.bytes;
    const octet_kernels    *set;
    fill_bytes(r, levels.bytes, levels.size, FILL_RANDOM, 0);
    for (size_t i = 0; i < c->pixels_size; i++) from[i] = (float)i;
    for (int real = 0; real < 2; real++) {
        memset(wanted, GUARD, expected.size);
        for (size_t channel = 0; channel < c->size.channels; channel++)
            for (size_t p = 0; p < c->size.pixels; p++) {
                const size_t i = p * c->size.pixel + channel;
                const float  number = (float)(levels.bytes[i] - rule.to.zero_point) * rule.scale;
                wanted[channel * c->size.plane + p] = real ? from[i] : number;
            }
        for (size_t at = 0; (set = next_set(&at));) {
            memset(to, GUARD, planes.size);
            if (real) set->planes->real_to_planes(to, from, &c->size);
            else set->planes->dequantize(to, levels.bytes, &c->size, &rule);
            same_bytes(planes.bytes, expected.bytes, expected.size, real ? "real_to_planes" : "dequantize");
        }
    }
    fenced_free(&planes);
    fenced_free(&levels);
    fenced_free(&expected);
    fenced_free(&pixels);
}

static void check_moves(random_state *r, const planes_case *c)
{
    const uint8_t        flip = random_bits(r) & 1 ? 0x80 : 0;
    fenced               planes = fenced_make(c->planes_size), levels = fenced_make(c->pixels_size);
    fenced               found = fenced_make(c->pixels_size), back = fenced_make(c->planes_size);
    const octet_kernels *set;
    fill_bytes(r, planes.bytes, planes.size, FILL_RANDOM, 0);
    for (size_t p = 0; p < c->planes_size; p++) /* what no pixel fills stays as it was */
        if (p % c->size.plane >= c->size.pixels) planes.bytes[p] = GUARD;
    memset(levels.bytes, GUARD, levels.size);
    for (size_t channel = 0; channel < c->size.channels; channel++)
        for (size_t p = 0; p < c->size.pixels; p++)
            levels.bytes[p * c->size.pixel + channel] = planes.bytes[channel * c->size.plane + p] ^ flip;
    for (size_t at = 0; (set = next_set(&at));) {
        memset(found.bytes, GUARD, found.size);
        set->planes->to_pixels(found.bytes, planes.bytes, &c->size, flip);
        check_levels(c, set, found.bytes, levels.bytes, "to_pixels");
        memset(back.bytes, GUARD, back.size);
        set->planes->to_planes(back.bytes, levels.bytes, &c->size, flip);
        same_bytes(back.bytes, planes.bytes, planes.size, "to_planes");
    }
    fenced_free(&planes);
    fenced_free(&levels);
    fenced_free(&found);
    fenced_free(&back);
}

static void test_all(void **state)
{
    (void)state;
    random_state r = { 8 };
    for (size_t i = 0; i < sizeof channel_counts / sizeof *channel_counts; i++)
        for (size_t j = 0; j < sizeof pixel_counts / sizeof *pixel_counts; j++)
            for (int round = 0; round < 2 * NUMBER_FILLS; round++) {
                const planes_case c = random_case(&r, channel_counts[i], pixel_counts[j]);
                check_quantize(&r, &c, (numbers)(round % NUMBER_FILLS));
                check_reals(&r, &c);
                check_moves(&r, &c);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_all) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
