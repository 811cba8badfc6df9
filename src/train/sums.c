/* SPDX-License-Identifier: Apache-2.0 */
/* Integer products with real results (sums.h). A matrix is read where it lies. Images get a border in scratch memory,
   some at a time, and are then read in place by the kernel of convolutions, which takes windows as rows of a product:
   at stride 1 all pixels of an image are rows one after the other, otherwise each output row is a group of its own. */
#include "train/sums.h"

#include <math.h>
#include <string.h>

enum {
    MOST_ROWS    = 4096,      /* of a matrix at a time */
    NEAR_END     = 2 * OCTET_OVERREAD, /* rows at a matrix's end that are copied, as kernels read past them */
    IMAGES_BYTES = 128 << 10, /* of bordered images at a time: they stay in second-level cache */
    MOST_BORDER  = 16,        /* times an image's size, beside MOST_BYTES */
    MOST_BYTES   = 1 << 20,
};

typedef enum sums_way {
    WAY_MATRIX,   /* rows are pixels */
    WAY_SLIDE,    /* rows are the pixels of a bordered image, a group is an image */
    WAY_BY_ROW,   /* a group is an output row */
    WAY_DEPTHWISE /* as by row */
} sums_way;

struct octet_sums {
    octet_bare           bare;
    const octet_kernels *kernels;
    sums_way             way;
    octet_conv_shape     shape;
    octet_conv_tiling    tiling;
    octet_conv_call      call;          /* without input and output */
    size_t              *tap;
    int8_t              *spread;        /* weights in the order of the product */
    void               **packed;        /* per group of channels */
    int32_t             *bias;          /* of a graph that has none: zeros; depthwise: with the zero point taken out */
    float               *wide;          /* depthwise: weights [tap][channel] */
    float               *multiplier;
    uint8_t              zero;          /* of the border */
    size_t               height, width; /* of a bordered image */
    size_t               images;        /* bordered at a time */
};

/* ---- description ---- */

static size_t in_of(const octet_sums *s) { return s->bare.in_channels / s->bare.groups; }
static size_t taps_of(const octet_bare *bare) { return (size_t)(bare->y.kernel * bare->x.kernel); }
static size_t pixels_in(const octet_bare *bare) { return (size_t)(bare->y.in * bare->x.in); }
static size_t pixels_out(const octet_bare *bare) { return (size_t)(bare->y.out * bare->x.out); }
static size_t bordered(const octet_sums *s) { return s->height * s->width * s->bare.in_channels; }

static sums_way way_of(const octet_bare *bare)
{
    if (octet_bare_is_matrix(bare) && bare->groups == 1) return WAY_MATRIX;
    if (bare->groups > 1 && bare->groups == bare->in_channels && bare->groups == bare->out_channels &&
        taps_of(bare) <= OCTET_MOST_TAPS)
        return WAY_DEPTHWISE;
    return bare->y.stride == 1 && bare->x.stride == 1 ? WAY_SLIDE : WAY_BY_ROW;
}

static size_t with_border(const octet_axis_window *w)
{
    const int64_t past = octet_axis_overhang(w);
    return (size_t)(w->in + w->pad + (past > 0 ? past : 0));
}

/* Channels of neighbouring pixels lie together, so where they would leave a kernel's step half empty, the taps of a
   window row are one tap of more depth. */
static bool merges_taps(const octet_sums *s)
{
    return s->way != WAY_MATRIX && s->bare.groups == 1 && s->bare.x.kernel > 1 && s->bare.x.dilation == 1 &&
           s->bare.in_channels % s->kernels->conv->step != 0;
}

static void shape_rows(octet_sums *s)
{
    const octet_bare *const b   = &s->bare;
    const size_t            out = (size_t)b->x.out, pixel = b->in_channels;
    s->shape = (octet_conv_shape){ .groups = (size_t)b->y.out, .rows = out, .columns = b->out_channels / b->groups,
                                   .taps = taps_of(b), .depth = in_of(s), .pixel = (size_t)b->x.stride * pixel };
    s->call.input_group  = (size_t)b->y.stride * s->width * pixel;
    s->call.output_group = out * b->out_channels * sizeof(float);
    if (s->way == WAY_MATRIX) {
        const size_t rows = b->images * pixels_in(b);
        s->shape.groups   = 1;
        s->shape.rows     = rows < MOST_ROWS ? rows : MOST_ROWS;
    } else if (s->way == WAY_SLIDE) {
        s->shape.groups      = s->images;
        s->shape.rows        = ((size_t)b->y.out - 1) * s->width + out;
        s->call.input_group  = bordered(s);
        s->call.output_group = pixels_out(b) * b->out_channels * sizeof(float);
    }
    if (!merges_taps(s)) return;
    s->shape.depth *= (size_t)b->x.kernel;
    s->shape.taps = (size_t)b->y.kernel;
}

static octet_status make_taps(octet_sums *s, octet_arena *arena, octet_error *err)
{
    const octet_bare *const b     = &s->bare;
    const size_t            width = s->shape.taps / (size_t)b->y.kernel;
    OCTET_TRY(octet_arena_get(&s->tap, arena, s->shape.taps, sizeof *s->tap, err));
    for (size_t t = 0; t < s->shape.taps; t++)
        s->tap[t] = (t / width * (size_t)b->y.dilation * s->width + t % width * (size_t)b->x.dilation) * b->in_channels;
    s->call.tap = s->tap;
    return OCTET_OK;
}

/* Where each row's columns go: rows of a sliding window that lie in the border go nowhere. */
static octet_status make_place(octet_sums *s, octet_arena *arena, octet_error *err)
{
    const size_t out = (size_t)s->bare.x.out, pixel = s->bare.out_channels * sizeof(float);
    const size_t row = s->way == WAY_SLIDE ? s->width : s->shape.rows, wanted = s->way == WAY_SLIDE ? out : row;
    int32_t     *place;
    OCTET_TRY(octet_arena_get(&place, arena, s->shape.rows, sizeof *place, err));
    for (size_t r = 0; r < s->shape.rows; r++)
        place[r] = r % row < wanted ? (int32_t)((r / row * wanted + r % row) * pixel) : -1;
    s->call.place = place;
    return OCTET_OK;
}

/* Whether places fit int32, and borders are no more than a reasonable part of the work. */
static bool fits(const octet_sums *s)
{
    const octet_bare *const b    = &s->bare;
    const size_t            rows = s->way == WAY_MATRIX ? MOST_ROWS : pixels_out(b);
    if (b->y.pad < 0 || b->x.pad < 0 || b->out_channels * sizeof(float) > INT32_MAX / rows) return false;
    return s->way == WAY_MATRIX || bordered(s) <= MOST_BORDER * pixels_in(b) * b->in_channels + MOST_BYTES;
}

/* ---- making ---- */

static octet_status weights_memory(octet_sums *s, octet_arena *arena, octet_error *err)
{
    const octet_bare *const b = &s->bare;
    const size_t            count = octet_bare_weights(b);
    OCTET_TRY(octet_arena_get(&s->bias, arena, b->out_channels, sizeof *s->bias, err));
    if (s->way == WAY_DEPTHWISE) {
        OCTET_TRY(octet_arena_get(&s->multiplier, arena, b->out_channels, sizeof *s->multiplier, err));
        return octet_arena_get(&s->wide, arena, count, sizeof *s->wide, err);
    }
    OCTET_TRY(octet_arena_get(&s->spread, arena, count, 1, err));
    OCTET_TRY(octet_arena_get(&s->packed, arena, b->groups, sizeof *s->packed, err));
    const size_t bytes = s->kernels->conv->packed_size(&s->shape, &s->tiling);
    for (size_t g = 0; g < b->groups; g++) OCTET_TRY(octet_arena_get(&s->packed[g], arena, bytes, 1, err));
    return OCTET_OK;
}

static void choose_images(octet_sums *s)
{
    const size_t fit = IMAGES_BYTES / bordered(s);
    s->images        = s->way != WAY_SLIDE || fit == 0 ? 1 : fit < s->bare.images ? fit : s->bare.images;
}

octet_status octet_sums_new(octet_sums **sums, octet_arena *arena, const octet_bare *bare, const octet_kernels *kernels,
                            octet_error *err)
{
    octet_sums *s;
    *sums = NULL;
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    *s = (octet_sums){ .bare = *bare, .kernels = kernels, .way = way_of(bare), .height = with_border(&bare->y),
                       .width = with_border(&bare->x), .images = 1 };
    if (!fits(s)) return OCTET_OK;
    choose_images(s);
    shape_rows(s);
    s->call.real    = true;
    s->call.real_lo = -INFINITY;
    s->call.real_hi = INFINITY;
    s->call.shape   = &s->shape;
    s->call.tiling  = &s->tiling;
    kernels->conv->choose(&s->tiling, &s->shape, 1);
    OCTET_TRY(make_taps(s, arena, err));
    OCTET_TRY(make_place(s, arena, err));
    OCTET_TRY(weights_memory(s, arena, err));
    *sums = s;
    return OCTET_OK;
}

/* ---- weights ---- */

/* [column][tap][depth] from [column][depth][tap], or from [depth][column]. */
static void spread_weights(octet_sums *s, const int8_t *from)
{
    const size_t taps = taps_of(&s->bare), in = in_of(s), out = s->bare.out_channels;
    const size_t column = s->bare.turned ? 1 : in * taps, depth = s->bare.turned ? out : taps;
    int8_t      *to = s->spread;
    for (size_t o = 0; o < out; o++, from += column)
        for (size_t t = 0; t < taps; t++)
            for (size_t i = 0; i < in; i++) *to++ = from[i * depth + t];
}

static void set_depthwise(octet_sums *s, const octet_sums_weights *weights)
{
    const size_t taps = s->shape.taps, channels = s->bare.out_channels;
    for (size_t c = 0; c < channels; c++) {
        int32_t sum = 0;
        for (size_t t = 0; t < taps; t++) {
            const int8_t w            = weights->weights[c * taps + t];
            s->wide[t * channels + c] = w;
            sum += w;
        }
        s->bias[c] = (int32_t)((uint32_t)(weights->bias ? weights->bias[c] : 0) -
                               (uint32_t)weights->input_zero * (uint32_t)sum);
    }
    memcpy(s->multiplier, weights->multiplier, channels * sizeof *s->multiplier);
}

void octet_sums_set(octet_sums *s, const octet_sums_weights *weights)
{
    const size_t columns = s->shape.columns, column = s->shape.taps * s->shape.depth;
    s->zero              = (uint8_t)weights->input_zero;
    if (s->way == WAY_DEPTHWISE) {
        set_depthwise(s, weights);
        return;
    }
    spread_weights(s, weights->weights);
    for (size_t g = 0; g < s->bare.groups; g++) {
        const int32_t *const     bias = weights->bias ? weights->bias : s->bias;
        const octet_conv_weights part = { .at = s->spread + g * columns * column, .column = column,
                                          .tap = s->shape.depth, .depth = 1, .bias = bias + g * columns,
                                          .multiplier = weights->multiplier + g * columns,
                                          .input_zero = weights->input_zero };
        s->kernels->conv->pack(s->packed[g], &s->shape, &s->tiling, &part);
    }
}

/* ---- running ---- */

size_t octet_sums_scratch(const octet_sums *s)
{
    const size_t past = OCTET_OVERREAD * s->shape.pixel + OCTET_OVERREAD;
    if (s->way == WAY_MATRIX) return NEAR_END * s->bare.in_channels + past;
    return s->images * bordered(s) + past;
}

/* One call for shape (NULL: the whole one) of every group of channels. */
static void multiply(const octet_sums *s, float *t, const uint8_t *x, const octet_conv_shape *shape)
{
    octet_conv_call call = s->call;
    call.shape           = shape;
    for (size_t g = 0; g < s->bare.groups; g++) {
        call.weights = s->packed[g];
        call.input   = x + g * in_of(s);
        call.output  = t + g * s->shape.columns;
        s->kernels->conv->run(&call, 0, 1);
    }
}

/* Kernels read past the last row: near the end of x the rows are copied first. */
static void run_matrix(const octet_sums *s, float *t, const uint8_t *x, size_t first, size_t last, uint8_t *scratch)
{
    const size_t     in = s->bare.in_channels, out = s->bare.out_channels, all = s->bare.images * pixels_in(&s->bare);
    const size_t     safe = all > NEAR_END ? all - NEAR_END : 0;
    octet_conv_shape shape = s->shape;
    for (size_t row = first; row < last; row += shape.rows) {
        const size_t   room = row < safe ? MOST_ROWS : NEAR_END, end = row < safe && last > safe ? safe : last;
        const uint8_t *from = x + row * in;
        shape.rows          = end - row < room ? end - row : room;
        if (row >= safe) from = memcpy(scratch, from, shape.rows * in);
        multiply(s, t + row * out, from, &shape);
    }
}

/* An image with its border. */
static void copy_bordered(const octet_sums *s, uint8_t *to, const uint8_t *image)
{
    const octet_bare *const b   = &s->bare;
    const size_t            row = (size_t)b->x.in * b->in_channels, wide = s->width * b->in_channels;
    const size_t            left = (size_t)b->x.pad * b->in_channels, top = (size_t)b->y.pad * wide;
    memset(to, s->zero, top);
    to += top;
    for (int64_t y = 0; y < b->y.in; y++, to += wide, image += row) {
        memset(to, s->zero, left);
        memcpy(to + left, image, row);
        memset(to + left + row, s->zero, wide - left - row);
    }
    memset(to, s->zero, (s->height - (size_t)(b->y.in + b->y.pad)) * wide);
}

static void run_depthwise(const octet_sums *s, float *t, const uint8_t *x)
{
    const octet_depthwise_sums how = { .pixels = s->shape.rows, .channels = s->bare.out_channels,
                                       .pixel = s->shape.pixel, .taps = s->shape.taps, .tap = s->tap,
                                       .weights = s->wide, .bias = s->bias, .multiplier = s->multiplier };
    for (size_t y = 0; y < s->shape.groups; y++)
        s->kernels->train->depthwise(t + y * s->shape.rows * how.channels, x + y * s->call.input_group, &how);
}

static void run_images(const octet_sums *s, float *t, const uint8_t *x, size_t first, size_t last, uint8_t *scratch)
{
    const size_t     in = pixels_in(&s->bare) * s->bare.in_channels, out = pixels_out(&s->bare) * s->bare.out_channels;
    octet_conv_shape shape = s->shape;
    for (size_t n = first, count; n < last; n += count) {
        count = last - n < s->images ? last - n : s->images;
        for (size_t i = 0; i < count; i++) copy_bordered(s, scratch + i * bordered(s), x + (n + i) * in);
        if (s->way == WAY_SLIDE) shape.groups = count;
        if (s->way == WAY_DEPTHWISE) run_depthwise(s, t + n * out, scratch);
        else multiply(s, t + n * out, scratch, &shape);
    }
}

void octet_sums_run(const octet_sums *s, float *t, const uint8_t *x, size_t first, size_t last, void *scratch)
{
    const size_t rows = pixels_in(&s->bare);
    if (s->way == WAY_MATRIX) run_matrix(s, t, x, first * rows, last * rows, scratch);
    else run_images(s, t, x, first, last, scratch);
}
