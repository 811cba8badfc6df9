/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution. The sets multiply four bytes of a lane at once, so taps come in fours: the bytes of a channel
   in four input rows become one dword, a "quad", by interleaving bytes.

   - A row of quads is made once, into first-level cache, and serves every column of the window.
   - Often the same quads serve two output rows: with 3 x 3 taps the weights of the first are (w0, w1, w2, 0), of the
     second (0, w0, w1, w2).
   - Weights, bias and multipliers are packed in the order that interleaving gives (kernels/simd/quads.h).
   - A kernel of one row has its quads along the row.
   - Where channels fill less than half a vector, the pixel after goes into the rest ("folding"). */
#include "kernels/simd/quads.h"

enum {
    BLOCK = 4 * V_LANES, /* channels */
    SLOTS = 64,          /* pixels times groups of which quads are held: 16 kB at most */
    TALL = 2,            /* output rows from the same quads, at most */
    LONE = V_QUAD_PIXELS, PAIRED = V_QUAD_PIXELS > 1 ? V_QUAD_PIXELS / 2 : 1, /* pixels of a tile, by its rows */
};

/* How taps are grouped; a matter of the shape alone. */
typedef struct cut {
    size_t outputs; /* output rows that come from the same quads: 1 or TALL */
    size_t groups;  /* quads of a pixel, one below the other */
    size_t columns; /* quads of a window in a row */
    size_t fold;    /* pixels in a vector */
    bool   flat;    /* quads are of four taps in a row */
} cut;

typedef struct block_head {
    int32_t bias[BLOCK];
    float   multiplier[BLOCK];
} block_head; /* weights[column][group][output row][4] follow */

static cut cut_of(const octet_depthwise_shape *shape)
{
    const size_t height = (size_t)shape->kernel_height, width = (size_t)shape->kernel_width;
    const size_t paired = height + (size_t)shape->stride_height; /* input rows of two output rows */
    const bool   flat = height == 1 && width > 1;
    cut          c = { .outputs = 1, .groups = (height + 3) / 4, .columns = width, .fold = 1, .flat = flat };
    if (flat) c.columns = (width + 3) / 4;
    if (!flat && shape->dilation_height == 1 && (paired + 3) / 4 == c.groups) c.outputs = TALL;
    if (shape->stride_width == 1 && shape->channels * 2 <= BLOCK) c.fold = BLOCK / shape->channels;
    return c;
}

/* ---- packing ---- */

static size_t block_size(const cut *c)
{
    return sizeof(block_head) + c->columns * c->groups * c->outputs * 4 * sizeof(v_quad_weights);
}

static size_t packed_size(const octet_depthwise_shape *shape)
{
    const cut c = cut_of(shape);
    return (shape->channels + BLOCK - 1) / BLOCK * block_size(&c);
}

/* The tap that byte k of a quad meets, or -1. */
static int tap_of(const octet_depthwise_shape *shape, const cut *c, const size_t at[3], int k)
{
    const int column = (int)at[0], group = (int)at[1], output = (int)at[2];
    if (c->flat) return 4 * column + k < shape->kernel_width ? 4 * column + k : -1;
    const int row = 4 * group + k - output * shape->stride_height;
    return row >= 0 && row < shape->kernel_height ? row * shape->kernel_width + column : -1;
}

/* place: of the channel among the block's, in order of channels. */
static void pack_channel(uint8_t *block, size_t place, size_t channel, const octet_depthwise_shape *shape,
                         const octet_conv_weights *weights)
{
    const cut             c = cut_of(shape);
    const size_t          vector = place % 16 / 4, lane = place / 16 * 4 + place % 4;
    const int8_t *const   from = weights->at + channel * weights->column;
    block_head *const     head = (block_head *)(void *)block;
    v_quad_weights       *to = (v_quad_weights *)(void *)(head + 1);
    const size_t          taps = (size_t)shape->kernel_height * (size_t)shape->kernel_width;
    uint32_t              sum = 0;
    for (size_t j = 0; j < c.columns; j++)
        for (size_t g = 0; g < c.groups; g++)
            for (size_t r = 0; r < c.outputs; r++, to += 4)
                for (int k = 0; k < 4; k++) {
                    const int tap = tap_of(shape, &c, (const size_t[]){ j, g, r }, k);
                    if (tap >= 0) v_quad_put(to + vector, lane, (size_t)k, from[(size_t)tap * weights->tap]);
                }
    for (size_t t = 0; t < taps; t++) {
        const int32_t w = from[t * weights->tap];
        sum += (uint32_t)w;
    }
    const uint32_t zero = (uint32_t)(weights->input_zero - V_WEIGHT_SHIFT);
    head->bias[vector * V_LANES + lane] = (int32_t)((uint32_t)weights->bias[channel] - zero * sum);
    head->multiplier[vector * V_LANES + lane] = weights->multiplier[channel];
}

static void pack(void *packed, const octet_depthwise_shape *shape, const octet_conv_weights *weights)
{
    const cut c = cut_of(shape);
    for (size_t i = 0; i < c.fold * shape->channels; i++)
        pack_channel((uint8_t *)packed + i / BLOCK * block_size(&c), i % BLOCK, i % shape->channels, shape, weights);
}

/* ---- running ---- */

/* What a call means in pixels and bytes, decided once. A unit is what one vector yields: `fold` pixels. */
typedef struct job {
    const octet_depthwise_call *call;
    cut                         cut;
    size_t                      unit;   /* input pixels from a unit to the next */
    size_t                      column; /* input pixels from a quad of a window to the next */
    size_t                      span;   /* input pixels of which a unit's window needs quads */
    size_t                      reach;  /* input pixels from a unit's first to its last tap */
    size_t                      chunk;  /* units whose quads are made together; 0: made for each tap anew */
} job;

/* Units of one or two output rows, and a block of channels. */
typedef struct strip {
    const uint8_t    *input;
    const uint8_t    *residual[TALL];
    uint8_t          *output[TALL];
    const block_head *packed;
    size_t            rows;
    v_part            part; /* bytes of a unit */
} strip;

static bool is_dense(const octet_depthwise_call *call)
{
    const size_t channels = call->shape->channels;
    return call->input_steps.pixel == channels && call->output_steps.pixel == channels &&
           (!call->residual || call->residual_steps.pixel == channels);
}

static job job_of(const octet_depthwise_call *call)
{
    const octet_depthwise_shape *const shape = call->shape;
    const size_t                       dilation = (size_t)shape->dilation_width;
    job                                j = { .call = call, .cut = cut_of(shape) };
    if (!is_dense(call)) j.cut.fold = 1;
    j.unit = j.cut.fold * (size_t)shape->stride_width;
    j.column = j.cut.flat ? 4 * dilation : dilation;
    j.span = (j.cut.columns - 1) * j.column + 1;
    j.reach = (size_t)(shape->kernel_width - 1) * dilation;
    const size_t room = SLOTS / j.cut.groups;
    if (room >= j.span) j.chunk = (room - j.span) / j.unit + 1;
    if ((j.chunk - 1) * j.unit + j.span > j.chunk * j.cut.columns) j.chunk = 0;
    return j;
}

V_INLINE void make_quads(v_quads to[4], const uint8_t *const row[4], size_t at, v_part part)
{
    v_int bytes[4];
    v_interleave(bytes, v_part_load(row[0] + at, part), v_part_load(row[1] + at, part), v_part_load(row[2] + at, part),
                 v_part_load(row[3] + at, part));
    V_UNROLL
    for (int v = 0; v < 4; v++) to[v] = v_quads_of(bytes[v]);
}

/* The four input rows of a group. Rows beyond the last tap meet no weight, so the last one stands in. */
V_INLINE void rows_of(const uint8_t *row[4], const job *j, const strip *s, size_t group)
{
    const octet_depthwise_shape *const shape = j->call->shape;
    const size_t last = (size_t)(shape->kernel_height - 1) + (s->rows - 1) * (size_t)shape->stride_height;
    const size_t step = (size_t)shape->dilation_height * j->call->input_steps.row;
    for (size_t k = 0; k < 4; k++) row[k] = s->input + (4 * group + k < last ? 4 * group + k : last) * step;
}

/* The same along a row, from pixel `at` on; `last` is the last pixel with a tap. */
V_INLINE void pixels_of(const uint8_t *row[4], const job *j, const strip *s, size_t at, size_t last)
{
    const size_t dilation = (size_t)j->call->shape->dilation_width, pixel = j->call->input_steps.pixel;
    for (size_t k = 0; k < 4; k++) row[k] = s->input + (at + k * dilation <= last ? k * dilation : 0) * pixel;
}

/* Quads of `pixels` pixels from `first` on, of which the last `beyond` have no tap of their own. */
static void fill(v_quads *slots, const job *j, const strip *s, size_t first, size_t units)
{
    const size_t   pixels = (units - 1) * j->unit + j->span, last = first + (units - 1) * j->unit + j->reach;
    const size_t   pixel = j->call->input_steps.pixel, groups = j->cut.groups;
    const v_part   part = s->part;
    const uint8_t *row[4];
    for (size_t g = 0; g < groups; g++) {
        rows_of(row, j, s, g);
        for (size_t p = 0; p < pixels; p++) {
            if (j->cut.flat) pixels_of(row, j, s, first + p, last);
            make_quads(slots + 4 * (p * groups + g), row, (first + p) * pixel, part);
        }
    }
}

/* What turns sums into levels. A copy of its own, since stores of bytes could change the call's as far as C knows. */
typedef struct ending {
    v_bounds      bounds;
    float         lo, hi; /* less the zero point */
    bool          tame, residual;
    float         residual_multiplier, residual_shift;
    const float  *multiplier;
    size_t        output_unit, residual_unit; /* bytes from a unit to the next */
} ending;

V_INLINE ending ending_of(const job *j, const strip *s)
{
    const octet_depthwise_call *const call = j->call;
    const octet_to_levels *const      to = &call->to;
    return (ending){
        .bounds = v_bounds_of(to),
        .lo = (float)(to->lo - to->zero_point),
        .hi = (float)(to->hi - to->zero_point),
        .tame = call->tame,
        .residual = call->residual,
        .residual_multiplier = call->residual_multiplier,
        .residual_shift = -(float)call->residual_zero,
        .multiplier = s->packed->multiplier,
        .output_unit = j->cut.fold * call->output_steps.pixel,
        .residual_unit = j->cut.fold * call->residual_steps.pixel,
    };
}

V_INLINE void finish(const strip *s, const ending *end, const v_int sum[4], size_t row, size_t unit)
{
    v_float t[4];
    v_int   q[4];
    V_UNROLL
    for (int v = 0; v < 4; v++) t[v] = v_mul(v_to_float(sum[v]), v_load_float(end->multiplier + v * V_LANES));
    if (end->residual) {
        const v_bytes none = v_zero_bytes();
        v_interleave(q, v_part_load(s->residual[row] + unit * end->residual_unit, s->part), none, none, none);
        V_UNROLL
        for (int v = 0; v < 4; v++) { /* adding -zero is subtracting it, exactly */
            const v_float r = v_add(v_to_float(q[v]), v_set(end->residual_shift));
            t[v] = v_add(t[v], v_mul(r, v_set(end->residual_multiplier)));
        }
    }
    if (!end->tame) {
        V_UNROLL
        for (int v = 0; v < 4; v++) t[v] = v_clamp(t[v], end->lo, end->hi);
    }
    V_UNROLL
    for (int v = 0; v < 4; v++) q[v] = v_round(t[v]);
    v_part_store(s->output[row] + unit * end->output_unit, v_quad_narrow(q, &end->bounds), s->part);
}

/* The quads of one step of one unit where none are held. */
static void make_lone(v_quads to[4], const job *j, const strip *s, size_t unit, size_t step)
{
    const size_t   first = unit * j->unit, at = first + step / j->cut.groups * j->column;
    const uint8_t *row[4];
    if (j->cut.flat)
        pixels_of(row, j, s, at, first + j->reach);
    else
        rows_of(row, j, s, step % j->cut.groups);
    make_quads(to, row, at * j->call->input_steps.pixel, s->part);
}

typedef struct place {
    size_t         unit;
    const v_quads *quads; /* from its first pixel on; NULL: none are held */
} place;

/* `units` units from a place on in `rows` rows. */
V_INLINE void tile(const job *j, const strip *s, const ending *end, place at, const int rows, const int units)
{
    const size_t          groups = j->cut.groups, next = 4 * groups * j->unit, steps = j->cut.columns * groups;
    const size_t          skip = 4 * groups * (j->column - 1); /* from a column's last group to the next column */
    const v_quad_weights *w = (const v_quad_weights *)(const void *)(s->packed + 1);
    const v_quads        *x = at.quads;
    const bool            held = x != NULL;
    v_int                 sum[TALL][V_QUAD_PIXELS][4];
    v_quads               made[4];
    V_UNROLL
    for (int v = 0; v < 4; v++)
        V_UNROLL
        for (int i = 0; i < rows * units; i++) sum[i / units][i % units][v] = v_load(s->packed->bias + v * V_LANES);
    size_t left = groups;
    for (size_t step = 0; step < steps; step++, w += 4 * j->cut.outputs) {
        if (!held) make_lone(made, j, s, at.unit, step);
        const v_quads *const from = held ? x : made;
        V_UNROLL
        for (int v = 0; v < 4; v++)
            V_UNROLL
            for (int u = 0; u < units; u++) {
                const v_quads q = from[(size_t)u * next + (size_t)v];
                V_UNROLL
                for (int r = 0; r < rows; r++) sum[r][u][v] = v_quad_dot(sum[r][u][v], q, w + 4 * r + v);
            }
        const bool last = --left == 0;
        if (held) x += last ? 4 + skip : 4;
        left = last ? groups : left;
    }
    V_UNROLL
    for (int i = 0; i < rows * units; i++)
        finish(s, end, sum[i / units][i % units], (size_t)(i / units), at.unit + (size_t)(i % units));
}

/* Units first..end of a strip. */
static void run_chunk(const job *j, const strip *s, size_t first, size_t end)
{
    _Alignas(64) v_quads slots[4 * SLOTS];
    const ending         how = ending_of(j, s);
    const size_t         next = 4 * j->cut.groups * j->unit;
    place                at = { first, slots };
    const size_t         some = s->rows == TALL ? PAIRED : LONE;
    fill(slots, j, s, first * j->unit, end - first);
    for (; at.unit + some <= end; at.unit += some, at.quads += some * next) {
        if (s->rows == TALL)
            tile(j, s, &how, at, TALL, PAIRED);
        else
            tile(j, s, &how, at, 1, LONE);
    }
    for (; at.unit < end; at.unit++, at.quads += next) {
        if (s->rows == TALL)
            tile(j, s, &how, at, TALL, 1);
        else
            tile(j, s, &how, at, 1, 1);
    }
}

/* The same, each tap on its own. */
static void run_alone(const job *j, const strip *s, size_t first, size_t end)
{
    const ending how = ending_of(j, s);
    for (place at = { first, NULL }; at.unit < end; at.unit++) {
        if (s->rows == TALL)
            tile(j, s, &how, at, TALL, 1);
        else
            tile(j, s, &how, at, 1, 1);
    }
}

static void run_units(const job *j, const strip *s, size_t first, size_t end)
{
    if (j->chunk == 0) {
        run_alone(j, s, first, end);
        return;
    }
    for (size_t unit = first; unit < end; unit += j->chunk)
        run_chunk(j, s, unit, end - unit < j->chunk ? end : unit + j->chunk);
}

static void run_strip(const job *j, size_t image, size_t y, size_t rows, size_t block)
{
    const octet_depthwise_call *const call = j->call;
    const octet_steps *const in = &call->input_steps, *const out = &call->output_steps;
    const octet_steps *const res = &call->residual_steps;
    const size_t             width = call->shape->width, fold = j->cut.fold, first = block * BLOCK;
    const size_t             left = (call->shape->channels - first) * fold;
    strip s = { .packed = (const void *)((const uint8_t *)call->weights + block * block_size(&j->cut)), .rows = rows };
    s.input = call->input + image * in->image + y * (size_t)call->shape->stride_height * in->row + first;
    for (size_t r = 0; r < rows; r++) {
        s.output[r] = (uint8_t *)call->output + image * out->image + (y + r) * out->row + first;
        if (call->residual) s.residual[r] = call->residual + image * res->image + (y + r) * res->row + first;
    }
    s.part = v_part_of(left < BLOCK ? left : BLOCK);
    run_units(j, &s, 0, width / fold);
    if (width % fold == 0) return;
    s.part = v_part_of(width % fold * call->shape->channels); /* the last unit of a row has less than `fold` pixels */
    run_units(j, &s, width / fold, width / fold + 1);
}

static void run(const octet_depthwise_call *call, int part, int parts)
{
    const job    j = job_of(call);
    const size_t height = call->shape->height, rows = call->shape->images * height;
    const size_t blocks = (call->shape->channels + BLOCK - 1) / BLOCK;
    const size_t end = rows * ((size_t)part + 1) / (size_t)parts;
    size_t       row = rows * (size_t)part / (size_t)parts;
    while (row < end) {
        const size_t y = row % height;
        const bool   pair = j.cut.outputs == TALL && row + 1 < end && y + 1 < height;
        for (size_t b = 0; b < blocks; b++) run_strip(&j, row / height, y, pair ? TALL : 1, b);
        row += pair ? TALL : 1;
    }
}

extern const octet_depthwise_kernel V_NAME(octet_depthwise);
const octet_depthwise_kernel        V_NAME(octet_depthwise) = { .packed_size = packed_size, .pack = pack, .run = run };
