/* SPDX-License-Identifier: Apache-2.0 */
/* ConvTranspose, and convolutions in three dimensions of space. The input is copied into volumes of pixels, channels
   last, with the border that windows touch; from there every output row is a product whose taps are pixels at fixed
   distances.

   A ConvTranspose of stride s is s convolutions of stride 1 for each axis: output number p + s * j (phase p) reads
   input j + (p + pad - k * dilation) / s for every k where that is whole. Each phase has its own weights and writes
   every s-th output. */
#include "engine/native/native.h"

#include "base/checked.h"
#include "ops/window.h"

#include <string.h>

enum { AXES = 3, MOST_KERNEL = 32, MOST_PHASES = 64, NO_WEIGHT = -1 };

/* The window positions of one phase of an axis, in ascending order of what they read. */
typedef struct tap_list {
    int     count;
    int64_t kernel[MOST_KERNEL]; /* number of the weight, or NO_WEIGHT */
    int64_t offset[MOST_KERNEL]; /* elements from the one that output 0 of the phase stands on */
} tap_list;

typedef struct tap_axis {
    int64_t in, out, kernel, step; /* step: elements of the input from an output of a phase to the next */
    int64_t phases, front, back;   /* the border */
    int64_t pad, stride, dilation;
} tap_axis;

typedef struct tap_product {
    octet_conv_shape  shape;
    octet_conv_tiling tiling;
    octet_conv_call   call;
    size_t            from, to, depth_outputs; /* bytes from a volume's begin; outputs along the first axis */
    size_t            from_step, to_step;      /* from one of these to the next */
} tap_product;

typedef struct taps_step {
    octet_native_run     run;
    const octet_kernels *kernels;
    octet_native_sums    sums;
    tap_axis             axis[AXES];
    tap_product         *products;
    size_t               product_count, jobs; /* jobs: outputs along the first axis of all images and products */
    size_t               images, channels, columns, element; /* element: bytes of one result */
    octet_area           in, out;              /* of pixels */
    bool                 pixels, transposed;   /* values lie in pixels, else in rows (of planes) */
    bool                 turns;                /* results become planes in a phase of their own */
    size_t               row, plane, volume;   /* bytes of the padded input */
    size_t               out_pixel, out_row, out_plane, out_volume, out_offset;
    size_t               results_at;           /* in scratch */
} taps_step;

/* ---- geometry ---- */

static void list_taps(tap_list *list, const taps_step *s, int axis, int64_t phase)
{
    const tap_axis *const a = &s->axis[axis];
    list->count = 0;
    for (int64_t i = 0; i < a->kernel; i++) {
        const int64_t k = s->transposed ? a->kernel - 1 - i : i;
        const int64_t at = s->transposed ? phase + a->pad - k * a->dilation : k * a->dilation - a->pad;
        if (s->transposed && at % a->stride != 0) continue;
        list->kernel[list->count]   = k;
        list->offset[list->count++] = s->transposed ? at / a->stride : at;
    }
    if (list->count) return;
    *list = (tap_list){ .count = 1, .kernel = { NO_WEIGHT } }; /* the bias alone */
}

static int64_t outputs_of(const tap_axis *a, int64_t phase) { return (a->out - phase + a->phases - 1) / a->phases; }

static void find_border(taps_step *s, int axis)
{
    tap_axis *const a = &s->axis[axis];
    for (int64_t phase = 0; phase < a->phases; phase++) {
        tap_list list;
        list_taps(&list, s, axis, phase);
        const int64_t first = list.offset[0], last = (outputs_of(a, phase) - 1) * a->step + list.offset[list.count - 1];
        if (-first > a->front) a->front = -first;
        if (last - (a->in - 1) > a->back) a->back = last - (a->in - 1);
    }
}

static bool find_window(octet_window *window, const octet_plan *plan, const octet_node *node)
{
    const octet_tensor *const x = &plan->shapes[node->inputs[0]->index];
    const octet_tensor *const w = &plan->shapes[node->inputs[1]->index];
    const octet_call call = { .node = node, .attrs = node->attrs, .in = &x, .in_count = 1 };
    const bool       transposed = strcmp(node->op->name, "Conv") != 0;
    return (transposed ? octet_window_make_transposed : octet_window_make)(window, &call, w->dims + 2, NULL) ==
               OCTET_OK && window->rank <= AXES;
}

static void take_window(taps_step *s, const octet_window *w)
{
    for (int i = 0; i < AXES; i++) {
        const int       at = i - (AXES - w->rank);
        tap_axis *const a  = &s->axis[i];
        *a = (tap_axis){ .in = 1, .out = 1, .kernel = 1, .step = 1, .phases = 1, .stride = 1, .dilation = 1 };
        if (at >= 0)
            *a = (tap_axis){ .in = s->transposed ? w->out[at] : w->in[at],
                             .out = s->transposed ? w->in[at] : w->out[at], .kernel = w->kernel[at],
                             .step = s->transposed ? 1 : w->stride[at],
                             .phases = s->transposed ? w->stride[at] : 1, .pad = w->pad[at], .stride = w->stride[at],
                             .dilation = w->dilation[at] };
        find_border(s, i);
    }
}

/* ---- running ---- */

static size_t padded(const tap_axis *a) { return (size_t)(a->front + a->in + a->back); }

/* A row of the padded input: number y of plane d. */
static void copy_row(const taps_step *s, uint8_t *to, const uint8_t *input, size_t n, const int64_t at[2])
{
    const tap_axis *const depth = &s->axis[0], *const height = &s->axis[1], *const width = &s->axis[2];
    const bool     inside = at[0] >= 0 && at[0] < depth->in && at[1] >= 0 && at[1] < height->in;
    const size_t   channels = s->channels, before = (size_t)width->front * channels, pixels = (size_t)width->in;
    const size_t   plane = (size_t)(height->in * width->in), volume = (size_t)depth->in * plane;
    if (!inside || width->front || width->back) memset(to, s->in.zero, s->row);
    if (!inside) return;
    to += before;
    if (!s->pixels) {
        const octet_planes size = { .pixels = pixels, .channels = channels, .plane = volume, .pixel = channels };
        input += n * channels * volume + (size_t)at[0] * plane + (size_t)(at[1] * width->in);
        s->kernels->planes->to_pixels(to, input, &size, 0);
        return;
    }
    input += s->in.offset + n * s->in.steps.image + (size_t)at[1] * s->in.steps.row;
    if (s->in.steps.pixel == channels) memcpy(to, input, pixels * channels);
    for (size_t x = 0; s->in.steps.pixel != channels && x < pixels; x++)
        memcpy(to + x * channels, input + x * s->in.steps.pixel, channels);
}

static void copy_input(const taps_step *s, const octet_call *call, int part, int parts)
{
    const size_t      planes = padded(&s->axis[0]), rows = padded(&s->axis[1]);
    const octet_share share = octet_native_share(s->images * planes * rows, part, parts);
    for (size_t r = share.first; r < share.last; r++) {
        const int64_t at[2] = { (int64_t)(r / rows % planes) - s->axis[0].front,
                                (int64_t)(r % rows) - s->axis[1].front };
        copy_row(s, (uint8_t *)call->scratch + r * s->row, call->in[0]->data, r / rows / planes, at);
    }
}

/* One output of the first axis, of one image and one phase. */
static void multiply(const taps_step *s, const octet_call *call, size_t job, int part, int parts)
{
    const tap_product *p = s->products;
    for (; job >= p->depth_outputs * s->images; p++) job -= p->depth_outputs * s->images;
    const size_t    n = job / p->depth_outputs, d = job % p->depth_outputs;
    uint8_t *const  scratch = call->scratch;
    uint8_t *const  output = s->turns ? scratch + s->results_at : (uint8_t *)call->out[0]->data + s->out_offset;
    octet_conv_call c = p->call;
    c.shape  = &p->shape;
    c.tiling = &p->tiling;
    c.input  = scratch + n * s->volume + p->from + d * p->from_step;
    c.output = output + n * s->out_volume + p->to + d * p->to_step;
    s->kernels->conv->run(&c, part, parts);
}

/* Whole jobs are shared where there are enough of them; else every job is. */
static void multiply_all(const taps_step *s, const octet_call *call, int part, int parts)
{
    const bool        each  = s->jobs < 2 * (size_t)parts;
    const octet_share share = each ? (octet_share){ 0, s->jobs } : octet_native_share(s->jobs, part, parts);
    for (size_t job = share.first; job < share.last; job++) multiply(s, call, job, each ? part : 0, each ? parts : 1);
}

static void to_planes(const taps_step *s, const octet_call *call, int part, int parts)
{
    const size_t       rows = (size_t)(s->axis[0].out * s->axis[1].out), width = (size_t)s->axis[2].out;
    const octet_planes size = { .pixels = width, .channels = s->columns, .plane = rows * width, .pixel = s->columns };
    const octet_share  share = octet_native_share(s->images * rows, part, parts);
    for (size_t r = share.first; r < share.last; r++) {
        const size_t      to = r / rows * s->columns * size.plane + r % rows * width;
        const void *const from = (const uint8_t *)call->scratch + s->results_at + r * s->out_row;
        if (s->sums.real) s->kernels->planes->real_to_planes((float *)call->out[0]->data + to, from, &size);
        else s->kernels->planes->to_planes((uint8_t *)call->out[0]->data + to, from, &size, 0);
    }
}

static void run(const octet_step *step, const octet_call *call, int phase, int part)
{
    const taps_step *const s = step->state;
    if (phase == 0) copy_input(s, call, part, step->parts);
    if (phase == 1 && part == 0 && !s->turns) octet_area_fill_border(&s->out, call->out[0]->data);
    if (phase == 1) multiply_all(s, call, part, step->parts);
    if (phase == 2) to_planes(s, call, part, step->parts);
}

/* ---- weights ---- */

static size_t weight_at(const taps_step *s, size_t column, size_t channel, const int64_t k[AXES])
{
    const size_t pair = s->transposed ? channel * s->columns + column : column * s->channels + channel;
    return ((pair * (size_t)s->axis[0].kernel + (size_t)k[0]) * (size_t)s->axis[1].kernel + (size_t)k[1]) *
               (size_t)s->axis[2].kernel + (size_t)k[2];
}

/* Weights [column][tap][channel] of one phase. */
static void spread_weights(int8_t *to, const taps_step *s, const tap_list lists[AXES])
{
    for (size_t column = 0; column < s->columns; column++)
        for (int d = 0; d < lists[0].count; d++)
            for (int y = 0; y < lists[1].count; y++)
                for (int x = 0; x < lists[2].count; x++, to += s->channels) {
                    const int64_t k[AXES] = { lists[0].kernel[d], lists[1].kernel[y], lists[2].kernel[x] };
                    const bool    none = k[0] == NO_WEIGHT || k[1] == NO_WEIGHT || k[2] == NO_WEIGHT;
                    for (size_t c = 0; !none && c < s->channels; c++)
                        to[c] = s->sums.weights[weight_at(s, column, c, k)];
                }
}

static octet_status pack(const taps_step *s, tap_product *p, const octet_plan *plan, const tap_list lists[AXES],
                         octet_error *err)
{
    const octet_conv_kernel *const kernel = s->kernels->conv;
    const size_t                   column = p->shape.taps * p->shape.depth;
    octet_arena *const             temporary = octet_arena_new();
    int8_t                        *spread = NULL;
    void                          *packed = NULL;
    octet_status status = temporary ? octet_arena_get(&spread, temporary, s->columns * column, 1, err)
                                    : octet_fail_memory(err);
    if (status == OCTET_OK)
        status = octet_arena_get(&packed, plan->weights, kernel->packed_size(&p->shape, &p->tiling), 1, err);
    if (status == OCTET_OK) {
        spread_weights(spread, s, lists);
        kernel->pack(packed, &p->shape, &p->tiling,
                     &(octet_conv_weights){ .at = spread, .column = column, .tap = p->shape.depth, .depth = 1,
                                            .bias = s->sums.bias, .multiplier = s->sums.multiplier,
                                            .input_zero = s->in.zero });
        p->call.weights = packed;
    }
    octet_arena_free(temporary);
    return status;
}

/* ---- preparing ---- */

/* Taps that lie side by side are one of more depth where a kernel's step would stay half empty. */
static octet_status list_offsets(const taps_step *s, tap_product *p, const tap_list lists[AXES], octet_arena *arena,
                                 octet_error *err)
{
    const tap_list *const x = &lists[2];
    const bool together = x->count > 1 && x->offset[1] - x->offset[0] == 1 && s->channels % s->kernels->conv->step != 0;
    const int  columns = together ? 1 : x->count;
    size_t    *tap;
    p->shape.taps  = (size_t)(lists[0].count * lists[1].count * columns);
    p->shape.depth = s->channels * (together ? (size_t)x->count : 1);
    OCTET_TRY(octet_arena_get(&tap, arena, p->shape.taps, sizeof *tap, err));
    p->call.tap = tap;
    for (int d = 0; d < lists[0].count; d++)
        for (int y = 0; y < lists[1].count; y++)
            for (int i = 0; i < columns; i++)
                *tap++ = (size_t)(lists[0].offset[d] - lists[0].offset[0]) * s->plane +
                         (size_t)(lists[1].offset[y] - lists[1].offset[0]) * s->row +
                         (size_t)(x->offset[i] - x->offset[0]) * s->channels;
    return OCTET_OK;
}

static void fill_call(taps_step *s, tap_product *p, const int64_t phase[AXES], const tap_list lists[AXES])
{
    const tap_axis *const a = s->axis;
    const size_t          unit[AXES] = { s->plane, s->row, s->channels }, out[AXES] = { s->out_plane, s->out_row,
                                                                                       s->out_pixel };
    for (int i = 0; i < AXES; i++) {
        p->from += (size_t)(a[i].front + lists[i].offset[0]) * unit[i];
        p->to += (size_t)phase[i] * out[i];
    }
    p->depth_outputs     = (size_t)outputs_of(&a[0], phase[0]);
    p->from_step         = (size_t)a[0].step * s->plane;
    p->to_step           = (size_t)a[0].phases * s->out_plane;
    p->call.input_group  = (size_t)a[1].step * s->row;
    p->call.output_group = (size_t)a[1].phases * s->out_row;
    p->call.to           = s->sums.to;
    p->call.real         = s->sums.real;
    p->call.tame         = s->sums.tame;
    p->call.real_lo      = s->sums.real_lo;
    p->call.real_hi      = s->sums.real_hi;
    p->shape.groups      = (size_t)outputs_of(&a[1], phase[1]);
    p->shape.rows        = (size_t)outputs_of(&a[2], phase[2]);
    p->shape.columns     = s->columns;
    p->shape.pixel       = (size_t)a[2].step * s->channels;
}

static octet_status make_product(taps_step *s, tap_product *p, const octet_plan *plan, octet_step *step,
                                 const int64_t phase[AXES], octet_error *err)
{
    tap_list lists[AXES];
    int32_t *place;
    for (int i = 0; i < AXES; i++) list_taps(&lists[i], s, i, phase[i]);
    fill_call(s, p, phase, lists);
    OCTET_TRY(list_offsets(s, p, lists, plan->arena, err));
    OCTET_TRY(octet_arena_get(&place, plan->arena, p->shape.rows, sizeof *place, err));
    for (size_t r = 0; r < p->shape.rows; r++) place[r] = (int32_t)(r * (size_t)s->axis[2].phases * s->out_pixel);
    p->call.place = place;
    s->kernels->conv->choose(&p->tiling, &p->shape, step->parts);
    s->jobs += p->depth_outputs * s->images;
    const size_t overread = OCTET_OVERREAD * (p->shape.pixel + 1);
    if (overread > step->overread) step->overread = overread;
    return pack(s, p, plan, lists, err);
}

static octet_status make_products(taps_step *s, const octet_plan *plan, octet_step *step, octet_error *err)
{
    const tap_axis *const a = s->axis;
    const size_t          most = (size_t)(a[0].phases * a[1].phases * a[2].phases);
    OCTET_TRY(octet_arena_get(&s->products, plan->arena, most, sizeof *s->products, err));
    int64_t phase[AXES];
    for (phase[0] = 0; phase[0] < a[0].phases && phase[0] < a[0].out; phase[0]++)
        for (phase[1] = 0; phase[1] < a[1].phases && phase[1] < a[1].out; phase[1]++)
            for (phase[2] = 0; phase[2] < a[2].phases && phase[2] < a[2].out; phase[2]++)
                OCTET_TRY(make_product(s, &s->products[s->product_count++], plan, step, phase, err));
    return OCTET_OK;
}

/* Where the padded input and the results lie. */
static octet_status lay_out(taps_step *s, octet_step *step, octet_error *err)
{
    const size_t width = (size_t)s->axis[2].out, height = (size_t)s->axis[1].out, depth = (size_t)s->axis[0].out;
    size_t       bytes, results;
    bool         fits = octet_mul(&s->row, padded(&s->axis[2]), s->channels) &&
                octet_mul(&s->plane, padded(&s->axis[1]), s->row) &&
                octet_mul(&s->volume, padded(&s->axis[0]), s->plane) && octet_mul(&bytes, s->images, s->volume);
    s->out_pixel  = s->columns * s->element;
    s->out_row    = width * s->out_pixel;
    s->out_plane  = height * s->out_row;
    s->out_volume = depth * s->out_plane;
    fits          = fits && octet_mul(&results, s->images, s->out_volume);
    if (fits && s->turns) {
        s->results_at = octet_aligned(bytes);
        fits          = octet_add(&step->scratch_bytes, s->results_at, results);
    } else if (fits) {
        step->scratch_bytes = bytes;
        s->out_pixel        = s->out.steps.pixel;
        s->out_row          = s->out.steps.row;
        s->out_volume       = s->out.steps.image;
        s->out_offset       = s->out.offset;
    }
    return fits && s->out_row <= INT32_MAX
               ? OCTET_OK : octet_fail(err, OCTET_ERR_LIMIT, "windows need more memory than an address can count");
}

bool octet_native_accepts_taps(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_node *const node = step->node;
    octet_window            window;
    if (!octet_native_take(plan, step, 1, why) || !octet_native_weights_fit(plan, node, why)) return false;
    if (step->add) return octet_native_decline(why, "summed in an Add");
    if (((const octet_window_attrs *)node->attrs)->group != 1) return octet_native_decline(why, "of groups");
    if (!find_window(&window, plan, node)) return octet_native_decline(why, "more than three dimensions of space");
    int64_t phases = 1;
    for (int i = 0; i < window.rank; i++) {
        if (window.kernel[i] > MOST_KERNEL) return octet_native_decline(why, "windows of more than 32 taps a side");
        if (strcmp(node->op->name, "Conv") != 0 && phases <= MOST_PHASES)
            phases *= window.stride[i] < MOST_PHASES ? window.stride[i] : MOST_PHASES;
    }
    if (phases > MOST_PHASES) return octet_native_decline(why, "strides of more than 64 phases");
    if (window.rank == AXES) octet_native_use_rows(step);
    return true;
}

octet_status octet_native_prepare_taps(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    enum { MACS = 200000 }; /* of a microsecond, roughly */
    const octet_node *const   node = step->node;
    const octet_tensor *const x    = &plan->shapes[node->inputs[0]->index];
    const octet_tensor *const y    = &plan->shapes[node->outputs[0]->index];
    octet_window              window;
    taps_step                *s;
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    OCTET_TRY(octet_native_sums_make(&s->sums, plan, step, arena, err));
    s->run        = run;
    s->kernels    = plan->kernels;
    s->transposed = strcmp(node->op->name, "Conv") != 0;
    s->pixels     = step->in_layout[0] == OCTET_LAYOUT_PIXELS;
    s->turns      = s->sums.real || !s->pixels;
    s->in         = *octet_native_in(plan, step, 0);
    if (!s->turns) s->out = *octet_native_out(plan, step);
    s->images   = (size_t)x->dims[0];
    s->channels = (size_t)x->dims[1];
    s->columns  = (size_t)y->dims[1];
    s->element  = s->sums.real ? sizeof(float) : 1;
    find_window(&window, plan, node);
    take_window(s, &window);
    step->parts = octet_native_parts(plan, (double)step->macs / MACS);
    OCTET_TRY(lay_out(s, step, err));
    OCTET_TRY(make_products(s, plan, step, err));
    step->state     = s;
    step->phases    = s->turns ? 3 : 2;
    step->algorithm = octet_arena_format(arena, "%zu products %s", s->product_count, s->products[0].tiling.text);
    return step->algorithm ? OCTET_OK : octet_fail_memory(err);
}
