/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution as a matrix product: rows are output pixels, columns are output channels.

   Columns are cut into panels of 1 to 4 vectors, as equally as possible: 9 vectors are 3 + 3 + 3. A panel's packed
   form, for V vectors of L lanes:

       weights: for each tap, each step of 4 bytes over the depth, each of V vectors: 4 * L weights
       all panels' weights | bias, one per column | multiplier, one per column

   The bias holds everything that does not depend on the input: -input_zero * sum of the weights, and what flipping
   the input's top bit changes. Wanted rows are gathered into a strip of pointers, which leaves out the border and
   runs on from one image to the next; then every panel meets the strip, tile by tile. A short strip is "rows outer":
   all weights stay in first-level cache and the input is read once. A long strip is "columns outer": a panel stays,
   and while it is used the next one is fetched. */
#include OCTET_SIMD

#include "kernels/finish.h"

#include <stdio.h>

enum {
    MOST_VECTORS = 4,        /* of a panel */
    MOST_ROWS = 16,          /* more than any tile has */
    STEP = 4,                /* input bytes of a product */
    VECTOR = STEP * V_LANES, /* weights of a step and vector */
    LINE = 64,               /* bytes of a cache line */
    MOST_STRIP = 240,        /* divides into tiles of 6, 8 and 12 rows */
    SHORT_STRIP = 48,
    NEAR_BYTES = 24 << 10, /* weights that stay in first-level cache beside a strip's rows */
    MOST_SUMS = 24 * MOST_VECTORS * V_LANES,
    FEW_STEPS = 32, /* tiles of fewer steps are so short that several are finished at once */
};

/* Where things lie in a shape's packed weights. */
typedef struct conv_layout {
    size_t vectors, panels, steps; /* steps of a column: taps * steps of a tap */
} conv_layout;

typedef struct conv_panel {
    size_t first, vectors; /* in vectors */
} conv_panel;

static conv_layout layout_of(const octet_conv_shape *shape)
{
    const size_t vectors = (shape->columns + V_LANES - 1) / V_LANES;
    return (conv_layout){ vectors, (vectors + MOST_VECTORS - 1) / MOST_VECTORS,
                          shape->taps * ((shape->depth + STEP - 1) / STEP) };
}

static conv_panel panel_of(const conv_layout *layout, size_t number)
{
    const size_t each = layout->vectors / layout->panels, more = layout->vectors % layout->panels;
    return (conv_panel){ number * each + (number < more ? number : more), each + (number < more) };
}

/* ---- tiles ---- */

typedef struct conv_product {
    const size_t   *tap;
    size_t          taps, steps; /* steps of a tap */
    const v_weight *weights;
    const uint8_t  *ahead; /* memory that will be read soon: large tiles fetch 64 bytes of it each step */
    const int32_t  *bias;
} conv_product;

/* One step: what is used most often stays in registers, the inputs of few rows or the weights of few vectors. */
V_INLINE void step(v_int sum[][MOST_VECTORS], const uint8_t *const *x, size_t i, const v_weight *w, const int rows,
                   const int vectors)
{
    v_input four[MOST_ROWS];
    V_UNROLL
    for (int r = 0; r < rows; r++) {
        four[r] = v_spread(x[r] + i);
        V_UNROLL
        for (int v = 0; v < vectors && rows >= vectors; v++) sum[r][v] = v_dot4(sum[r][v], four[r], w + v * VECTOR);
    }
    V_UNROLL
    for (int v = 0; v < vectors && rows < vectors; v++) {
        V_UNROLL
        for (int r = 0; r < rows; r++) sum[r][v] = v_dot4(sum[r][v], four[r], w + v * VECTOR);
    }
}

/* sums[r][v] = bias[v] + the products of row r's bytes with the panel's weights. */
V_INLINE void tile(int32_t *sums, const conv_row *row, const conv_product *product, const int rows, const int vectors)
{
    v_int          sum[MOST_ROWS][MOST_VECTORS];
    const uint8_t *x[MOST_ROWS];
    V_UNROLL
    for (int r = 0; r < rows; r++) {
        x[r] = row[r].input;
        V_UNROLL
        for (int v = 0; v < vectors; v++) sum[r][v] = v_load(product->bias + v * V_LANES);
    }
    const v_weight *w = product->weights;
    const uint8_t  *ahead = product->ahead;
    for (size_t t = 0; t < product->taps; t++) {
        const size_t begin = product->tap[t], end = begin + product->steps * STEP;
        for (size_t i = begin; i < end; i += STEP, w += vectors * VECTOR) {
            if (rows >= 2 && vectors >= 3) {
                __builtin_prefetch(ahead, 0, 2); /* into second-level cache */
                ahead += LINE;
            }
            step(sum, x, i, w, rows, vectors);
        }
    }
    V_UNROLL
    for (int r = 0; r < rows; r++) {
        V_UNROLL
        for (int v = 0; v < vectors; v++) v_store(sums + (r * vectors + v) * V_LANES, sum[r][v]);
    }
}

typedef void tile_function(int32_t *sums, const conv_row *row, const conv_product *product);

#define TILE(rows, vectors)                                                                                            \
    static void tile_##rows##x##vectors(int32_t *sums, const conv_row *row, const conv_product *product)               \
    {                                                                                                                  \
        tile(sums, row, product, rows, vectors);                                                                       \
    }
V_TILES(TILE)

/* By vectors and rows; NULL where there is none of that size: the next larger one does. */
#define ENTRY(rows, vectors) [vectors][rows] = tile_##rows##x##vectors,
static tile_function *const tiles[MOST_VECTORS + 1][MOST_ROWS] = { V_TILES(ENTRY) };

static size_t most_rows(size_t vectors)
{
    size_t rows = MOST_ROWS - 1;
    while (!tiles[vectors][rows]) rows--;
    return rows;
}

/* ---- choosing and packing ---- */

/* Work of a part in products of a vector. Every part reads all the weights of its columns, which takes as long as
   the products of some 16 rows; so few rows are split by columns. Where it hardly matters rows are better: the part
   that wrote some rows mostly reads them in the next layer. */
static size_t part_cost(size_t rows, size_t vectors) { return (rows + 16) * vectors; }

static bool columns_split_better(const octet_conv_shape *shape, const conv_layout *layout, int parts)
{
    const size_t rows = shape->groups * shape->rows, count = (size_t)parts;
    const size_t vectors = (layout->panels + count - 1) / count * panel_of(layout, 0).vectors;
    return 10 * part_cost(rows, vectors) < 9 * part_cost((rows + count - 1) / count, layout->vectors);
}

static void choose(octet_conv_tiling *tiling, const octet_conv_shape *shape, int parts)
{
    const conv_layout layout = layout_of(shape);
    const size_t      vectors = panel_of(&layout, 0).vectors;
    const bool        columns_outer = layout.vectors * VECTOR * layout.steps * sizeof(v_weight) > NEAR_BYTES;
    *tiling = (octet_conv_tiling){ .rows = columns_outer ? MOST_STRIP : SHORT_STRIP,
                                   .columns = (int)(vectors * V_LANES),
                                   .depth = STEP,
                                   .steps = (int)((shape->depth + STEP - 1) / STEP),
                                   .columns_outer = columns_outer,
                                   .split_columns = parts > 1 && columns_split_better(shape, &layout, parts) };
    snprintf(tiling->text, sizeof tiling->text, "%dx%d, %s outer", (int)most_rows(vectors), tiling->columns,
             columns_outer ? "columns" : "rows");
}

static size_t packed_size(const octet_conv_shape *shape, const octet_conv_tiling *tiling)
{
    (void)tiling;
    const conv_layout layout = layout_of(shape);
    return layout.vectors * V_LANES * (layout.steps * STEP * sizeof(v_weight) + sizeof(int32_t) + sizeof(float));
}

static int32_t *bias_of(const void *packed, const conv_layout *layout)
{
    return (int32_t *)(uintptr_t)((const v_weight *)packed + layout->vectors * layout->steps * VECTOR);
}

/* One column's weights, `lane` of the vector whose first step is at `to`, `step` weights from a step to the next;
   returns their sum. */
static int64_t pack_column(v_weight *to, int lane, size_t step, const octet_conv_shape *shape,
                           const octet_conv_weights *from, size_t column)
{
    int64_t sum = 0;
    for (size_t t = 0; t < shape->taps; t++) {
        const int8_t *const w = from->at + column * from->column + t * from->tap;
        for (size_t d = 0; d < shape->depth; d += STEP, to += step)
            for (size_t k = 0; k < STEP && d + k < shape->depth; k++) {
                const int8_t weight = w[(d + k) * from->depth];
                to[v_weight_index(lane, (int)k)] = weight;
                sum += weight;
            }
    }
    return sum;
}

static void pack(void *packed, const octet_conv_shape *shape, const octet_conv_tiling *tiling,
                 const octet_conv_weights *weights)
{
    (void)tiling;
    const conv_layout layout = layout_of(shape);
    int32_t *const    bias = bias_of(packed, &layout);
    float *const      multiplier = (float *)(bias + layout.vectors * V_LANES);
    v_weight *const   at = packed;
    for (size_t p = 0; p < layout.panels; p++) {
        const conv_panel panel = panel_of(&layout, p);
        const size_t     begin = panel.first * V_LANES, end = begin + panel.vectors * V_LANES;
        for (size_t c = begin; c < end && c < shape->columns; c++) {
            v_weight *const to = at + (panel.first * layout.steps + (c - begin) / V_LANES) * VECTOR;
            const int64_t   sum = pack_column(to, (int)(c % V_LANES), panel.vectors * VECTOR, shape, weights, c);
            bias[c] = (int32_t)(uint32_t)(weights->bias[c] + (V_WEIGHT_SHIFT - weights->input_zero) * sum);
            multiplier[c] = weights->multiplier[c];
        }
    }
}

/* ---- running ---- */

/* Rows of all groups, one after the other. */
typedef struct cursor {
    size_t group, row, left; /* left: how many are to come */
} cursor;

/* Wanted rows of one group, from at->row on, no more than `room`; returns how many, and moves at past them. */
V_INLINE size_t gather_group(conv_row *strip, size_t room, cursor *at, const octet_conv_call *call, bool residual)
{
    const size_t         pixel = call->shape->pixel, left = call->shape->rows - at->row;
    const int32_t *const place = call->place + at->row;
    const int32_t *const other = residual ? call->residual_place + at->row : NULL;
    const uint8_t       *x = call->input + at->group * call->input_group + at->row * pixel;
    const uint8_t *const q = residual ? call->residual + at->group * call->residual_group : NULL;
    uint8_t *const       y = (uint8_t *)call->output + at->group * call->output_group;
    const size_t         end = at->left < left ? at->left : left;
    conv_row            *to = strip;
    size_t               row = 0;
    for (; row < end && to < strip + room; row++, x += pixel) {
        if (place[row] < 0) continue;
        to->input = x;
        to->output = y + place[row];
        if (residual) to->residual = q + other[row];
        to++;
    }
    at->left -= row;
    at->row += row;
    return (size_t)(to - strip);
}

/* The next wanted rows, no more than `room`; returns how many: none at the end. */
static size_t gather(conv_row *strip, size_t room, cursor *at, const octet_conv_call *call)
{
    size_t n = 0;
    while (n < room && at->left) {
        n += call->residual ? gather_group(strip + n, room - n, at, call, true)
                            : gather_group(strip + n, room - n, at, call, false);
        if (at->row < call->shape->rows) continue;
        at->row = 0;
        at->group++;
    }
    return n;
}

/* A panel meets a strip of n rows. Tiles are as equal as possible: 49 rows are 4 x 6 + 5 x 5. */
static void run_panel(const octet_conv_call *call, const conv_panel *panel, conv_row *strip, size_t n)
{
    const conv_layout     layout = layout_of(call->shape);
    const int32_t *const  bias = bias_of(call->weights, &layout);
    const size_t          first = panel->first * V_LANES, vectors = panel->vectors;
    const size_t          wanted = call->shape->columns - first, most = most_rows(vectors);
    const v_weight *const weights = (const v_weight *)call->weights + panel->first * layout.steps * VECTOR;
    conv_product product = { call->tap, call->shape->taps, (size_t)call->tiling->steps, weights, NULL, bias + first };
    int32_t      sum[MOST_SUMS] __attribute__((aligned(64)));
    conv_sums    sums = { .at = sum,
                          .pitch = vectors * V_LANES,
                          .multiplier = (const float *)(bias + layout.vectors * V_LANES) + first,
                          .first = first,
                          .columns = wanted < vectors * V_LANES ? wanted : vectors * V_LANES,
                          .row = strip };
    const size_t together = layout.steps > FEW_STEPS ? 1 : MOST_SUMS / (most * vectors * V_LANES);
    finish_function *const finish = finish_for(call, vectors, sums.columns);
    const uint8_t *const   end = (const uint8_t *)(weights + vectors * layout.steps * VECTOR);
    const size_t           fetches = vectors * VECTOR * sizeof(v_weight) / LINE; /* tiles that fetch the next panel */
    size_t                 number = 0;
    for (size_t left = (n + most - 1) / most; left;) {
        sums.rows = 0;
        for (size_t i = 0; i < together && left; i++, left--) {
            const size_t wanted_rows = (n + left - 1) / left;
            size_t       rows = wanted_rows;
            while (!tiles[vectors][rows]) rows++;
            product.ahead = number < fetches ? end + number * layout.steps * LINE : (const uint8_t *)weights;
            number++;
            tiles[vectors][rows](sum + sums.rows * sums.pitch, sums.row + sums.rows, &product);
            sums.rows += wanted_rows;
            n -= wanted_rows;
        }
        finish(call, &sums);
        sums.row += sums.rows;
    }
}

static void run(const octet_conv_call *call, int part, int parts)
{
    const conv_layout layout = layout_of(call->shape);
    const size_t      number = (size_t)part, count = (size_t)parts;
    const size_t      rows = call->shape->groups * call->shape->rows;
    size_t            row = 0, row_end = rows, column = 0, column_end = layout.panels;
    if (call->tiling->split_columns) {
        column = layout.panels * number / count;
        column_end = layout.panels * (number + 1) / count;
    } else {
        row = rows * number / count;
        row_end = rows * (number + 1) / count;
    }
    conv_row strip[MOST_STRIP + MOST_ROWS];
    cursor   at = { row / call->shape->rows, row % call->shape->rows, row_end - row };
    for (size_t n; (n = gather(strip, (size_t)call->tiling->rows, &at, call)) > 0;) {
        /* a tile larger than the rows that are left reads the last one again */
        for (size_t i = 0; i < MOST_ROWS; i++) strip[n + i] = strip[n - 1];
        for (size_t p = column; p < column_end; p++) {
            const conv_panel panel = panel_of(&layout, p);
            run_panel(call, &panel, strip, n);
        }
    }
}

extern const octet_conv_kernel V_NAME(octet_conv);
const octet_conv_kernel V_NAME(octet_conv) = { 4, choose, packed_size, pack, run };
