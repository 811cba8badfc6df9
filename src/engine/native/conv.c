/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution and matrix product. All of them are one product of rows and columns (kernels.h); they differ in what a
   row is:

     direct   row r is the image's pixel number r, those in the border (which nobody wants) included
     flat     a 1x1 convolution or Gemm without borders: all images' pixels are one group
     by row   every output row is a group; its pixels are `stride` input pixels apart
     packed   rows are copies of whole windows, made in a phase of its own

   Channels of neighbouring pixels lie together, so where depth would leave a kernel's step half empty, the taps of one
   window row are one tap of more depth (padding bytes meet weights of zero). */
#include "engine/native/native.h"

#include "ops/attrs.h"

#include <string.h>

typedef struct conv_step {
    octet_native_run         run;
    const octet_kernels     *kernels;
    octet_conv_shape         shape;
    octet_conv_tiling        tiling;
    octet_conv_call          call; /* without pointers into a workspace */
    octet_native_sums        sums;
    octet_area               in, out, residual;
    octet_window2            window, source; /* over the input's pixels; the graph's, where those are folded */
    octet_conv_way           way;
    size_t                   conv_groups, image_calls; /* products that are computed one after the other */
    const void             **packed;                   /* one per group of channels */
    ptrdiff_t                first_tap;                /* bytes from the input's pixel (0, 0) */
    size_t                   columns, window_bytes;    /* of all groups; of one packed row */
    bool                     flat;                     /* all images' pixels are one group, none in a border */
    bool                     has_border;               /* that windows need */
    bool                     transposes;               /* real numbers with space: pixels to planes afterwards */
} conv_step;

/* ---- rows and taps ---- */

static size_t row_pixels(const octet_area *area) { return area->steps.row / area->steps.pixel; }

/* Bytes that a tap of window coordinates (y, x) lies behind the first one. */
static size_t tap_at(const conv_step *s, int64_t y, int64_t x)
{
    return (size_t)(y * s->window.y.dilation) * s->in.steps.row +
           (size_t)(x * s->window.x.dilation) * s->in.steps.pixel;
}

static bool merges_taps(const conv_step *s)
{
    return s->conv_groups == 1 && s->window.x.kernel > 1 && s->window.x.dilation == 1 &&
           s->in.steps.pixel % s->kernels->conv->step != 0;
}

/* Rows of the product; taps and depth as they come before merging. */
static void shape_rows(conv_step *s)
{
    octet_conv_shape *const shape = &s->shape;
    const size_t            height = s->out.height, width = s->out.width, row = row_pixels(&s->in);
    const octet_border *const reach = &s->window.reach;
    const bool one_pixel = s->window.y.kernel * s->window.x.kernel == 1 &&
                           !(reach->top | reach->left | reach->bottom | reach->right);
    s->flat        = s->way == OCTET_CONV_DIRECT && one_pixel && octet_area_flat(&s->in);
    s->image_calls = 1;
    shape->pixel   = s->in.steps.pixel;
    if (s->way == OCTET_CONV_PACKED) {
        shape->groups = 1;
        shape->rows   = s->out.images * height * width;
        shape->pixel  = s->window_bytes;
    } else if (s->way == OCTET_CONV_BY_ROW) {
        s->image_calls = s->out.images;
        shape->groups  = height;
        shape->rows    = width;
        shape->pixel   = (size_t)s->window.x.stride * s->in.steps.pixel;
    } else if (s->flat) {
        shape->groups = 1;
        shape->rows   = octet_area_flat(&s->in);
    } else {
        shape->groups = s->out.images;
        shape->rows   = (height - 1) * row + width;
    }
}

/* Taps of the product in units of memory: merged, packed, or one per window position. */
static octet_status shape_taps(conv_step *s, octet_arena *arena, octet_error *err)
{
    const int64_t height = s->window.y.kernel, width = s->window.x.kernel;
    const bool    merged = merges_taps(s);
    size_t       *tap;
    s->shape.depth = s->in.channels / s->conv_groups;
    s->shape.taps  = (size_t)(height * width);
    if (merged) {
        s->shape.depth = (size_t)width * s->in.steps.pixel;
        s->shape.taps  = (size_t)height;
    }
    if (s->way == OCTET_CONV_PACKED) {
        s->shape.depth = s->window_bytes;
        s->shape.taps  = 1;
    }
    OCTET_TRY(octet_arena_get(&tap, arena, s->shape.taps, sizeof *tap, err));
    for (size_t t = 0; t < s->shape.taps && s->way != OCTET_CONV_PACKED; t++)
        tap[t] = merged ? tap_at(s, (int64_t)t, 0) : tap_at(s, (int64_t)t / width, (int64_t)t % width);
    s->call.tap  = tap;
    s->first_tap =
        -(ptrdiff_t)((size_t)s->window.y.pad * s->in.steps.row + (size_t)s->window.x.pad * s->in.steps.pixel);
    return OCTET_OK;
}

/* ---- places ---- */

/* Row r of a group as image, y and x of the output; false: nobody wants it. */
static bool pixel_of(size_t at[3], const conv_step *s, size_t r)
{
    const size_t height = s->out.height, width = s->out.width;
    const size_t row    = s->way == OCTET_CONV_DIRECT && !s->flat ? row_pixels(&s->in) : width;
    at[0] = s->way == OCTET_CONV_BY_ROW ? 0 : r / row / height;
    at[1] = s->way == OCTET_CONV_BY_ROW ? 0 : r / row % height;
    at[2] = r % row;
    return at[2] < width;
}

/* Where each row of a group begins in an area, relative to the group. steps of an output of floats are bytes, too. */
static octet_status make_place(const int32_t **place, const conv_step *s, const octet_steps *steps, octet_arena *arena,
                               octet_error *err)
{
    int32_t *made;
    OCTET_TRY(octet_arena_get(&made, arena, s->shape.rows, sizeof *made, err));
    for (size_t r = 0; r < s->shape.rows; r++) {
        size_t at[3];
        made[r] = -1;
        if (pixel_of(at, s, r))
            made[r] = (int32_t)(at[0] * steps->image + at[1] * steps->row + at[2] * steps->pixel);
    }
    *place = made;
    return OCTET_OK;
}

/* From a group to the next: an output row, or an image. */
static size_t group_step(const conv_step *s, const octet_steps *steps)
{
    return s->way == OCTET_CONV_BY_ROW ? steps->row : steps->image;
}

/* Steps of an output of real numbers: pixels of `columns` floats, one after the other. */
static octet_steps real_steps(const conv_step *s)
{
    const size_t pixel = s->columns * sizeof(float);
    return (octet_steps){ .pixel = pixel, .row = s->out.width * pixel, .image = s->out.height * s->out.width * pixel };
}

static octet_status make_places(conv_step *s, const octet_step *step, octet_arena *arena, octet_error *err)
{
    if (s->sums.real) s->out.steps = real_steps(s);
    if (s->out.images * s->out.steps.image > INT32_MAX || s->residual.images * s->residual.steps.image > INT32_MAX)
        return octet_fail(err, OCTET_ERR_LIMIT, "the output has more than 2^31 bytes");
    OCTET_TRY(make_place(&s->call.place, s, &s->out.steps, arena, err));
    s->call.output_group = group_step(s, &s->out.steps);
    s->call.input_group =
        s->way == OCTET_CONV_BY_ROW ? (size_t)s->window.y.stride * s->in.steps.row : s->in.steps.image;
    if (!step->add) return OCTET_OK;
    s->call.residual_group = group_step(s, &s->residual.steps);
    return make_place(&s->call.residual_place, s, &s->residual.steps, arena, err);
}

/* ---- weights ---- */

/* Weights [column][window y][window x][channel, filled up to the product's depth]. */
static void spread_weights(int8_t *to, const conv_step *s, size_t channels)
{
    const size_t  height = (size_t)s->window.y.kernel, width = (size_t)s->window.x.kernel, taps = height * width;
    const size_t  pixel = s->shape.depth * s->shape.taps / taps;
    const int8_t *from  = s->sums.weights;
    for (size_t n = 0; n < s->columns; n++, to += taps * pixel, from += channels * taps)
        for (size_t t = 0; t < taps; t++)
            for (size_t c = 0; c < channels; c++) to[t * pixel + c] = from[c * taps + t];
}

/* The same for folded pixels: a window of half the extent over 2 x 2 source pixels each. */
static void fold_weights(int8_t *to, const conv_step *s)
{
    const octet_axis_window *const wy = &s->source.y, *const wx = &s->source.x;
    const octet_fold *const        fold = &s->in.fold;
    const int8_t                  *from = s->sums.weights;
    for (size_t n = 0; n < s->columns; n++, to += s->shape.taps * s->shape.depth)
        for (size_t c = 0; c < fold->channels; c++)
            for (int64_t i = 0; i < wy->kernel; i++)
                for (int64_t j = 0; j < wx->kernel; j++) {
                    const size_t pixel = (size_t)(i / 2 * s->window.x.kernel + j / 2);
                    to[pixel * s->in.channels + (size_t)(i % 2 * 2 + j % 2) * fold->unit + c] = *from++;
                }
}

/* Packs one group of channels from weights in the order [column][tap][depth] of the product. */
static octet_status pack_group(conv_step *s, const octet_plan *plan, size_t group, const int8_t *from, octet_error *err)
{
    const octet_conv_kernel *const kernel = s->kernels->conv;
    const size_t first = group * s->shape.columns, column = s->shape.taps * s->shape.depth;
    const octet_conv_weights weights = { .at = from + first * column, .column = column, .tap = s->shape.depth,
                                         .depth = 1, .bias = s->sums.bias + first,
                                         .multiplier = s->sums.multiplier + first,
                                         .input_zero = octet_native_zero(&s->in) };
    void *packed;
    OCTET_TRY(octet_arena_get(&packed, plan->weights, kernel->packed_size(&s->shape, &s->tiling), 1, err));
    kernel->pack(packed, &s->shape, &s->tiling, &weights);
    s->packed[group] = packed;
    return OCTET_OK;
}

static octet_status pack_groups(conv_step *s, const octet_plan *plan, const int8_t *from, octet_error *err)
{
    for (size_t g = 0; g < s->conv_groups; g++) OCTET_TRY(pack_group(s, plan, g, from, err));
    return OCTET_OK;
}

/* Weights of one pixel are in that order already. */
static octet_status pack_weights(conv_step *s, const octet_plan *plan, octet_arena *arena, octet_error *err)
{
    const bool spreads = s->window.y.kernel * s->window.x.kernel > 1 || s->way == OCTET_CONV_PACKED || s->in.fold.unit;
    OCTET_TRY(octet_arena_get(&s->packed, arena, s->conv_groups, sizeof *s->packed, err));
    if (!spreads) return pack_groups(s, plan, s->sums.weights, err);
    octet_arena *const temporary = octet_arena_new();
    int8_t            *spread    = NULL;
    octet_status       status    = temporary ? OCTET_OK : octet_fail_memory(err);
    const size_t       bytes     = s->columns * s->shape.taps * s->shape.depth;
    if (status == OCTET_OK) status = octet_arena_get(&spread, temporary, bytes, 1, err);
    if (status == OCTET_OK) {
        if (s->in.fold.unit) fold_weights(spread, s);
        else spread_weights(spread, s, s->in.channels / s->conv_groups);
        status = pack_groups(s, plan, spread, err);
    }
    octet_arena_free(temporary);
    return status;
}

/* ---- running ---- */

/* Copies one window whose first tap is at (y, x), pixel by pixel. */
static void pack_pixels(uint8_t *to, const conv_step *s, const uint8_t *image, int64_t y, int64_t x)
{
    const octet_axis_window *const wy = &s->window.y, *const wx = &s->window.x;
    const size_t                   pixel = s->in.steps.pixel;
    for (int64_t i = 0; i < wy->kernel; i++) {
        const int64_t at_y = y + i * wy->dilation;
        for (int64_t j = 0; j < wx->kernel; j++, to += pixel) {
            const int64_t at_x   = x + j * wx->dilation;
            const bool    inside = at_y >= 0 && at_y < wy->in && at_x >= 0 && at_x < wx->in;
            if (inside) memcpy(to, image + at_y * (int64_t)s->in.steps.row + at_x * (int64_t)pixel, s->in.channels);
            else memset(to, s->in.zero, s->in.channels);
        }
    }
}

/* The same where the border holds what lies outside and the pixels of a window row lie together. */
static void pack_window_rows(uint8_t *to, const conv_step *s, const uint8_t *image, int64_t y, int64_t x)
{
    const size_t   bytes = (size_t)s->window.x.kernel * s->in.steps.pixel;
    const uint8_t *from  = image + y * (int64_t)s->in.steps.row + x * (int64_t)s->in.steps.pixel;
    for (int64_t i = 0; i < s->window.y.kernel; i++, to += bytes)
        memcpy(to, from + (size_t)(i * s->window.y.dilation) * s->in.steps.row, bytes);
}

static void pack_rows(const conv_step *s, uint8_t *scratch, const uint8_t *input, octet_share share)
{
    for (size_t r = share.first; r < share.last; r++) {
        const size_t n = r / s->out.width / s->out.height, y = r / s->out.width % s->out.height, x = r % s->out.width;
        const uint8_t *const image = input + s->in.offset + n * s->in.steps.image;
        const int64_t at_y = (int64_t)y * s->window.y.stride - s->window.y.pad;
        const int64_t at_x = (int64_t)x * s->window.x.stride - s->window.x.pad;
        (s->has_border && s->window.x.dilation == 1 ? pack_window_rows : pack_pixels)
            (scratch + r * s->window_bytes, s, image, at_y, at_x);
    }
}

/* Bytes of scratch before the real numbers that become planes. */
static size_t window_scratch(const conv_step *s)
{
    return s->way == OCTET_CONV_PACKED ? octet_aligned(s->shape.rows * s->window_bytes) : 0;
}

static void multiply(const conv_step *s, const octet_step *step, const octet_call *call, int part)
{
    octet_conv_call       c     = s->call;
    const octet_area *const in = &s->in;
    const uint8_t *const    input =
        s->way == OCTET_CONV_PACKED ? call->scratch : (uint8_t *)call->in[0]->data + in->offset + s->first_tap;
    uint8_t *const output = s->transposes ? (uint8_t *)call->scratch + window_scratch(s) : call->out[0]->data;
    const size_t   element = s->sums.real ? sizeof(float) : 1, columns = s->shape.columns;
    const uint8_t *residual = step->add ? call->in[step->in_count - 1]->data : NULL;
    c.shape  = &s->shape;
    c.tiling = &s->tiling;
    for (size_t n = 0; n < s->image_calls; n++)
        for (size_t g = 0; g < s->conv_groups; g++) {
            c.weights = s->packed[g];
            c.input   = input + n * in->steps.image + g * (in->channels / s->conv_groups);
            if (s->way == OCTET_CONV_PACKED) c.input = input + g * (in->channels / s->conv_groups);
            c.output  = output + (s->sums.real ? 0 : s->out.offset) + n * s->out.steps.image + g * columns * element;
            if (residual) c.residual = residual + s->residual.offset + n * s->residual.steps.image + g * columns;
            s->kernels->conv->run(&c, part, step->parts);
        }
}

static void to_planes(const conv_step *s, const octet_step *step, const octet_call *call, int part)
{
    const size_t       pixels = s->out.height * s->out.width, all = s->columns * pixels;
    const octet_planes size   = { .pixels = pixels, .channels = s->columns, .plane = pixels, .pixel = s->columns };
    const float *const from   = (const float *)(const void *)((uint8_t *)call->scratch + window_scratch(s));
    const octet_share  share  = octet_native_share(s->out.images, part, step->parts);
    for (size_t n = share.first; n < share.last; n++)
        s->kernels->planes->real_to_planes((float *)call->out[0]->data + n * all, from + n * all, &size);
}

static void run(const octet_step *step, const octet_call *call, int phase, int part)
{
    const conv_step *const s = step->state;
    if (s->way == OCTET_CONV_PACKED && phase-- == 0) {
        pack_rows(s, call->scratch, call->in[0]->data, octet_native_share(s->shape.rows, part, step->parts));
        return;
    }
    if (phase == 1) {
        to_planes(s, step, call, part);
        return;
    }
    if (!s->sums.real && part == 0) octet_area_fill_border(&s->out, call->out[0]->data);
    multiply(s, step, call, part);
}

/* ---- preparing ---- */

static void fill_call(conv_step *s, const octet_step *step)
{
    s->call.residual_multiplier = s->sums.residual_multiplier;
    s->call.residual_zero       = step->add ? octet_native_zero(&s->residual) : 0;
    s->call.to                  = s->sums.to;
    s->call.real                = s->sums.real;
    s->call.tame                = s->sums.tame;
    s->call.real_lo             = s->sums.real_lo;
    s->call.real_hi             = s->sums.real_hi;
}

static double microseconds(const octet_step *step, const octet_area *out)
{
    enum { MACS = 200000, BYTES = 20000 }; /* of a microsecond, roughly */
    return (double)step->macs / MACS + (double)out->bytes / BYTES;
}

static octet_status finish(conv_step *s, const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    static const char *const ways[] = { "direct", "by row", "packed", "depthwise" };
    const char *const        way    = s->in.fold.unit ? "folded" : ways[s->way];
    step->parts = octet_native_parts(plan, microseconds(step, &s->out));
    s->window_bytes =
        (size_t)(s->window.y.kernel * s->window.x.kernel) * s->in.steps.pixel;
    s->shape.columns = s->columns / s->conv_groups;
    shape_rows(s);
    OCTET_TRY(shape_taps(s, arena, err));
    s->kernels->conv->choose(&s->tiling, &s->shape, step->parts);
    OCTET_TRY(make_places(s, step, arena, err));
    OCTET_TRY(pack_weights(s, plan, arena, err));
    fill_call(s, step);
    s->run         = run;
    s->transposes  = s->sums.real && s->out.height * s->out.width > 1;
    step->state    = s;
    step->phases   = 1 + (s->way == OCTET_CONV_PACKED) + s->transposes;
    step->scratch_bytes = window_scratch(s);
    if (s->transposes) step->scratch_bytes += s->out.images * s->out.steps.image;
    step->overread = OCTET_OVERREAD * (s->shape.pixel + 1);
    step->algorithm = octet_arena_format(arena, "%s %s", way, s->tiling.text);
    return step->algorithm ? OCTET_OK : octet_fail_memory(err);
}

/* Everything that does not depend on the window. */
static octet_status begin(conv_step **made, const octet_plan *plan, octet_step *step, octet_error *err)
{
    conv_step *s;
    OCTET_TRY(octet_arena_get(&s, plan->arena, 1, sizeof *s, err));
    OCTET_TRY(octet_native_sums_make(&s->sums, plan, step, plan->arena, err));
    s->kernels = plan->kernels;
    s->in      = *octet_native_in(plan, step, 0);
    if (step->add) s->residual = *octet_native_in(plan, step, step->in_count - 1);
    const octet_tensor *const shape = &plan->shapes[step->node->outputs[0]->index];
    if (!s->sums.real) s->out = *octet_native_out(plan, step);
    else if (step->in_layout[0] == OCTET_LAYOUT_ROWS) s->out = octet_native_dense_rows(shape);
    else s->out = octet_native_dense_area(shape);
    s->columns = s->out.channels;
    *made      = s;
    return OCTET_OK;
}

bool octet_native_accepts_conv(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    octet_window2 window;
    if (plan->shapes[step->node->inputs[0]->index].rank == 5) return octet_native_accepts_taps(plan, step, why);
    if (!octet_native_take(plan, step, 1, why) || !octet_native_weights_fit(plan, step->node, why)) return false;
    return octet_window2_of(&window, plan, step->node) ||
           octet_native_decline(why, "more than two dimensions of space");
}

static void fold_window(conv_step *s)
{
    octet_axis_window *const axes[] = { &s->window.y, &s->window.x };
    s->source       = s->window;
    s->window.reach = (octet_border){ 0 };
    s->way          = OCTET_CONV_DIRECT;
    for (int i = 0; i < 2; i++)
        *axes[i] = (octet_axis_window){ .in = (axes[i]->kernel + 1) / 2 + axes[i]->out - 1, .out = axes[i]->out,
                                        .kernel = (axes[i]->kernel + 1) / 2, .stride = 1, .dilation = 1 };
}

octet_status octet_native_prepare_conv(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    conv_step *s;
    if (plan->shapes[step->node->inputs[0]->index].rank == 5) return octet_native_prepare_taps(plan, step, arena, err);
    OCTET_TRY(begin(&s, plan, step, err));
    octet_window2_of(&s->window, plan, step->node);
    s->way         = octet_conv_way_of(plan, step->node, &s->window);
    if (s->in.fold.unit) fold_window(s);
    s->conv_groups = s->in.fold.unit ? 1 : s->in.channels / (size_t)plan->shapes[step->node->inputs[1]->index].dims[1];
    s->has_border = octet_border_holds(&s->in.border, &s->window.reach);
    if (!s->has_border) s->way = OCTET_CONV_PACKED;
    if (s->way == OCTET_CONV_DIRECT && s->out.width > row_pixels(&s->in)) s->way = OCTET_CONV_BY_ROW;
    if (s->way == OCTET_CONV_DEPTHWISE && !s->sums.real)
        return octet_native_prepare_depthwise(plan, step, &s->sums, arena, err);
    if (s->way == OCTET_CONV_DEPTHWISE) s->way = OCTET_CONV_PACKED;
    return finish(s, plan, step, arena, err);
}

/* ---- matrix product with constant weights ---- */

bool octet_native_accepts_gemm(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_node *const node = step->node;
    if (octet_native_is_wide(plan, node)) return octet_native_accepts_dense(plan, step, why);
    if (!octet_native_take(plan, step, 1, why) || !octet_native_weights_fit(plan, node, why)) return false;
    if (plan->shapes[node->inputs[0]->index].rank < 2 || plan->shapes[node->inputs[1]->index].rank != 2)
        return octet_native_decline(why, "not a product with a matrix");
    if (plan->shapes[node->inputs[0]->index].rank > 2) octet_native_use_rows(step);
    if (strcmp(node->op->name, "Gemm") == 0 && ((const octet_gemm_attrs *)node->attrs)->trans_a)
        return octet_native_decline(why, "first matrix is transposed");
    return true;
}

octet_status octet_native_prepare_gemm(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    conv_step              *s;
    const octet_axis_window one = { 1, 1, 1, 1, 1, 0, 0 };
    if (octet_native_is_wide(plan, step->node)) return octet_native_prepare_dense(plan, step, arena, err);
    OCTET_TRY(begin(&s, plan, step, err));
    s->window      = (octet_window2){ .y = one, .x = one };
    s->way         = OCTET_CONV_DIRECT;
    s->conv_groups = 1;
    return finish(s, plan, step, arena, err);
}
