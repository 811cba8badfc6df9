/* SPDX-License-Identifier: Apache-2.0 */
/* Pillow's Image.resize, bit for bit. A filter as wide as the reduction (antialiasing) is sampled in double, made to
   sum to 1, rounded to 22 fractional bits, and applied along rows, then along columns, with 8-bit pixels between. */
#include "data/image.h"

#include <math.h>
#include <string.h>

enum { PRECISION = 32 - 8 - 2 };

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

typedef struct filter {
    double (*weight)(double x);
    double support;
} filter;

/* For each output place: the first input, how many, and their weights (size of them reserved). */
typedef struct taps {
    const filter *filter;
    int           in_size, out_size, size;
    double        ratio, scale; /* input places per output place; the same, but at least 1 */
    int          *first, *count;
    int32_t      *weights;
} taps;

static int32_t to_fixed(double weight)
{
    const double scaled = weight * (1 << PRECISION);
    return (int32_t)(weight < 0 ? scaled - 0.5 : scaled + 0.5);
}

/* The weights of one output place. */
static void fill_tap(taps *t, int index, double *sampled)
{
    const double centre = (index + 0.5) * t->ratio, support = t->filter->support * t->scale, inverse = 1.0 / t->scale;
    int          first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
    double       sum = 0;
    if (first < 0) first = 0;
    if (end > t->in_size) end = t->in_size;
    for (int i = first; i < end; i++) {
        sampled[i - first] = t->filter->weight((i - centre + 0.5) * inverse);
        sum += sampled[i - first];
    }
    t->first[index] = first;
    t->count[index] = end - first;
    for (int i = 0; i < end - first; i++)
        t->weights[(size_t)index * (size_t)t->size + (size_t)i] = to_fixed(sum != 0 ? sampled[i] / sum : sampled[i]);
}

static octet_status make_taps(taps *t, octet_arena *arena, int in_size, int out_size, const filter *f, octet_error *err)
{
    const double ratio = (double)in_size / out_size, scale = ratio < 1 ? 1 : ratio;
    double      *sampled;
    *t = (taps){.filter = f, .in_size = in_size, .out_size = out_size, .ratio = ratio, .scale = scale};
    t->size = (int)ceil(f->support * scale) * 2 + 1;
    const size_t count = (size_t)out_size;
    OCTET_TRY(octet_arena_get(&t->first, arena, count, sizeof *t->first, err));
    OCTET_TRY(octet_arena_get(&t->count, arena, count, sizeof *t->count, err));
    OCTET_TRY(octet_arena_get(&t->weights, arena, count, sizeof *t->weights * (size_t)t->size, err));
    OCTET_TRY(octet_arena_get(&sampled, arena, (size_t)t->size, sizeof *sampled, err));
    for (int i = 0; i < out_size; i++) fill_tap(t, i, sampled);
    return OCTET_OK;
}

static uint8_t clip(int32_t sum)
{
    const int32_t level = sum >> PRECISION;
    return (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
}

static void resize_row(uint8_t *to, const uint8_t *from, const taps *t, int channels)
{
    for (int x = 0; x < t->out_size; x++) {
        const int32_t *const weights = t->weights + (size_t)x * (size_t)t->size;
        const uint8_t *const start = from + (size_t)t->first[x] * (size_t)channels;
        for (int c = 0; c < channels; c++) {
            int32_t sum = 1 << (PRECISION - 1);
            for (int i = 0; i < t->count[x]; i++) sum += start[i * channels + c] * weights[i];
            *to++ = clip(sum);
        }
    }
}

static octet_status resize_rows(octet_image *image, octet_arena *arena, int width, const filter *f, octet_error *err)
{
    if (width == image->width) return OCTET_OK;
    taps        t;
    octet_image out;
    OCTET_TRY(make_taps(&t, arena, image->width, width, f, err));
    OCTET_TRY(octet_image_new(&out, arena, width, image->height, image->channels, err));
    for (int y = 0; y < image->height; y++)
        resize_row(out.pixels + (size_t)y * out.stride, image->pixels + (size_t)y * image->stride, &t, image->channels);
    *image = out;
    return OCTET_OK;
}

/* One output row: sums of whole input rows, so that the inner loop runs along memory. */
static void resize_column_row(uint8_t *to, int32_t *sums, const octet_image *image, const taps *t, int y)
{
    const size_t         length = (size_t)image->width * (size_t)image->channels;
    const int32_t *const weights = t->weights + (size_t)y * (size_t)t->size;
    for (size_t x = 0; x < length; x++) sums[x] = 1 << (PRECISION - 1);
    for (int i = 0; i < t->count[y]; i++) {
        const uint8_t *const from = image->pixels + (size_t)(t->first[y] + i) * image->stride;
        const int32_t        weight = weights[i];
        for (size_t x = 0; x < length; x++) sums[x] += from[x] * weight;
    }
    for (size_t x = 0; x < length; x++) to[x] = clip(sums[x]);
}

static octet_status resize_columns(octet_image *image, octet_arena *arena, int height, const filter *f,
                                   octet_error *err)
{
    if (height == image->height) return OCTET_OK;
    taps        t;
    octet_image out;
    int32_t    *sums;
    OCTET_TRY(make_taps(&t, arena, image->height, height, f, err));
    OCTET_TRY(octet_image_new(&out, arena, image->width, height, image->channels, err));
    OCTET_TRY(octet_arena_get(&sums, arena, out.stride, sizeof *sums, err));
    for (int y = 0; y < height; y++) resize_column_row(out.pixels + (size_t)y * out.stride, sums, image, &t, y);
    *image = out;
    return OCTET_OK;
}

/* Input places of the nearest filter. Pillow adds the step up instead of multiplying, and so the rounding differs. */
static octet_status nearest_places(int **places, octet_arena *arena, int in_size, int out_size, octet_error *err)
{
    OCTET_TRY(octet_arena_get(places, arena, (size_t)out_size, sizeof **places, err));
    const double step = (double)in_size / out_size;
    double       at = step * 0.5;
    for (int i = 0; i < out_size; i++, at += step) (*places)[i] = at < in_size ? (int)at : in_size - 1;
    return OCTET_OK;
}

static octet_status resize_nearest(octet_image *image, octet_arena *arena, const int size[2], octet_error *err)
{
    int         *columns, *rows;
    octet_image  out;
    const size_t pixel = (size_t)image->channels;
    OCTET_TRY(nearest_places(&columns, arena, image->width, size[0], err));
    OCTET_TRY(nearest_places(&rows, arena, image->height, size[1], err));
    OCTET_TRY(octet_image_new(&out, arena, size[0], size[1], image->channels, err));
    for (int y = 0; y < size[1]; y++) {
        const uint8_t *const from = image->pixels + (size_t)rows[y] * image->stride;
        uint8_t *const       to = out.pixels + (size_t)y * out.stride;
        for (int x = 0; x < size[0]; x++) memcpy(to + (size_t)x * pixel, from + (size_t)columns[x] * pixel, pixel);
    }
    *image = out;
    return OCTET_OK;
}

octet_status octet_image_resize(octet_image *image, octet_arena *arena, const int size[2], const char *filter_name,
                                octet_error *err)
{
    if (size[0] == image->width && size[1] == image->height) return OCTET_OK;
    if (!strcmp(filter_name, "nearest")) return resize_nearest(image, arena, size, err);
    const filter f = strcmp(filter_name, "bicubic") == 0 ? (filter){bicubic, 2} : (filter){bilinear, 1};
    OCTET_TRY(resize_rows(image, arena, size[0], &f, err));
    return resize_columns(image, arena, size[1], &f, err);
}
