/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution by tiles: blocks of 2 x 2 tiles of sums, over all taps and pieces of the depth.

   Time goes to three things that can overlap: products, loading tiles, and what happens to finished sums. Finished
   sums leave the tiles only in the first step of the next block, each just before its tile is needed again (a store
   right after its product would wait for it), and their way to levels is spread over the steps that follow. So two
   buffers of sums exist: the one that is filled in a first step, and the one before, whose last rows are finished in
   that same step. */
#include "kernels/amx/layout.h"

#ifdef OCTET_AMX_MODEL
#include "kernels/simd/amx_model.h"
#define CONV octet_conv_amx_model
#else
#include "kernels/simd/amx.h"
#define CONV octet_conv_amx
#endif

#include "kernels/amx/finish.h"

/* One part of a call. */
typedef struct walk {
    const octet_conv_call *call;
    t_tiles                tiles;
    size_t                 tile_rows, row_blocks; /* rows of a tile, row blocks of a group */
    size_t                 steps, tile, block;    /* of a block; bytes of a tile of weights, of a column block */
    size_t                 fetch_ahead;           /* bytes from the weights in use to those fetched */
    finish                 finish[2];
    int                    last;                  /* of them, the block whose sums are still in the tiles */
} walk;

/* One block. */
typedef struct position {
    const uint8_t *input;
    const int8_t  *weights;
    size_t         fetch, fetch_end; /* lines of each step's weights to fetch */
} position;

typedef struct range {
    size_t first, end;
} range;

static inline range part_of(size_t count, int part, int parts)
{
    const size_t p = (size_t)part, n = (size_t)parts;
    return (range){ count * p / n, count * (p + 1) / n };
}

V_INLINE void store(walk *w, int m, int n)
{
    t_store(&w->tiles, m, n, &w->finish[w->last].sums, m * (int)w->tile_rows);
}

V_INLINE void multiply(walk *w, int m, int n, bool first)
{
    if (first) store(w, m, n);
    if (first) t_zero(&w->tiles, m, n);
    t_multiply(&w->tiles, m, n);
}

/* Sums of the block before that a first step of a smaller block has left. */
V_INLINE void store_rest(walk *w, int m, int n)
{
    if (!n && w->finish[w->last].wide) store(w, 0, 1);
    if (!m && w->finish[w->last].rows > w->tile_rows) store(w, 1, 0);
    if (!(m && n) && w->finish[w->last].wide && w->finish[w->last].rows > w->tile_rows) store(w, 1, 1);
}

/* One step of a block whose last tiles are number m and n each way. */
V_INLINE void step(walk *w, const uint8_t *input, const int8_t *weights, int shape, bool first)
{
    const int    m = shape >> 1, n = shape & 1;
    const size_t pixel = w->call->shape->pixel;
    t_load_inputs(&w->tiles, 0, input, pixel);
    t_load_weights(&w->tiles, 0, weights);
    multiply(w, 0, 0, first);
    if (n) t_load_weights(&w->tiles, 1, weights + w->tile);
    if (n) multiply(w, 0, 1, first);
    if (m) t_load_inputs(&w->tiles, 1, input + w->tile_rows * pixel, pixel);
    if (m) multiply(w, 1, 0, first);
    if (m && n) multiply(w, 1, 1, first);
    if (first) store_rest(w, m, n);
}

V_INLINE void fetch(const walk *w, const int8_t *weights, const position *at)
{
    for (size_t line = at->fetch; line < at->fetch_end; line++) t_fetch(weights + w->fetch_ahead + 64 * line);
}

V_INLINE void compute(walk *w, const position *at, int kind, int shape)
{
    const octet_conv_call *const call = w->call;
    const size_t  taps = call->shape->taps, pieces = (size_t)call->tiling->steps, depth = (size_t)call->tiling->depth;
    const size_t  weights_step = w->tile * (size_t)((shape & 1) + 1);
    finish *const last = &w->finish[w->last], *const before = &w->finish[!w->last];
    const int8_t *weights = at->weights;
    size_t        piece = 1;
    step(w, at->input + call->tap[0], weights, shape, true);
    fetch(w, weights, at);
    finish_rows(before, SIZE_MAX, kind);
    for (size_t t = 0; t < taps; t++) {
        const uint8_t *input = at->input + call->tap[t] + piece * depth;
        for (; piece < pieces; piece++, input += depth) {
            weights += weights_step;
            step(w, input, weights, shape, false);
            fetch(w, weights, at);
            finish_rows(last, last->share, kind);
        }
        piece = 0;
    }
}

/* The block that will be the last after the one that is computed now. */
static inline void begin_finish(const walk *w, finish *f, size_t row_block, size_t column_block)
{
    const octet_conv_call *const  call = w->call;
    const octet_conv_shape *const shape = call->shape;
    const size_t group = row_block / w->row_blocks, row = row_block % w->row_blocks * (size_t)call->tiling->rows;
    const size_t column = column_block * AMX_COLUMNS, left = shape->columns - column, rows = shape->rows - row;
    f->wide = left > AMX_LANES;
    f->mask = left < AMX_COLUMNS ? (1u << left) - 1 : ~0u;
    f->constants = (const octet_amx_constants *)(const void *)((const char *)call->weights + column_block * w->block +
                                                               w->steps * w->tile * (f->wide ? 2 : 1));
    f->output = (uint8_t *)call->output + group * call->output_group + column * (call->real ? sizeof(float) : 1);
    f->place = call->place + row;
    if (call->residual) {
        f->residual = call->residual + group * call->residual_group + column;
        f->residual_place = call->residual_place + row;
    }
    f->row = 0;
    f->rows = rows < (size_t)call->tiling->rows ? rows : (size_t)call->tiling->rows;
    f->share = 2 * octet_amx_ceil(octet_amx_ceil(f->rows, 2), w->steps);
}

V_INLINE void meet(walk *w, size_t row_block, size_t column_block, position *at, int kind)
{
    const octet_conv_call *const call = w->call;
    const size_t group = row_block / w->row_blocks, row = row_block % w->row_blocks * (size_t)call->tiling->rows;
    at->input = call->input + group * call->input_group + row * call->shape->pixel;
    at->weights = (const int8_t *)call->weights + column_block * w->block;
    const bool wide = octet_amx_tiles(call->shape, column_block * AMX_COLUMNS) == 2;
    const bool high = call->shape->rows - row > w->tile_rows;
    if (high && wide)
        compute(w, at, kind, 3);
    else if (high)
        compute(w, at, kind, 2);
    else if (wide)
        compute(w, at, kind, 1);
    else
        compute(w, at, kind, 0);
    w->last = !w->last;
    begin_finish(w, &w->finish[w->last], row_block, column_block);
}

/* Lines of each step's weights that row block number i of n fetches. */
static inline void choose_fetch(position *at, const walk *w, size_t i, size_t n)
{
    const size_t lines = 2 * w->tile / 64;
    if (w->call->tiling->columns_outer) {
        at->fetch = lines * i / n;
        at->fetch_end = lines * (i + 1) / n;
    } else {
        at->fetch = 0;
        at->fetch_end = i == 0 ? lines : 0;
    }
}

V_INLINE void run_kind(walk *w, range rows, range columns, int kind)
{
    position     at = { 0 };
    const bool   by_columns = w->call->tiling->columns_outer;
    const range  outer = by_columns ? columns : rows, inner = by_columns ? rows : columns;
    const size_t n = rows.end - rows.first;
    for (size_t i = outer.first; i < outer.end; i++)
        for (size_t k = inner.first; k < inner.end; k++) {
            const size_t row_block = by_columns ? k : i, column_block = by_columns ? i : k;
            choose_fetch(&at, w, row_block - rows.first, n);
            meet(w, row_block, column_block, &at, kind);
        }
    for (int m = 0; m < 2; m++)
        for (int k = 0; k < 2; k++) store(w, m, k);
    finish_rows(&w->finish[!w->last], SIZE_MAX, kind);
    finish_rows(&w->finish[w->last], SIZE_MAX, kind);
}

static int kind_of(const octet_conv_call *call)
{
    const octet_to_levels *const to = &call->to;
    const int residual = call->residual ? FINISH_RESIDUAL : 0;
    if (call->real) return FINISH_REAL | residual;
    if (!call->tame) return FINISH_CLAMP | FINISH_SHIFT | residual;
    return (to->zero_point != 0 || to->lo > 0 || to->hi < UINT8_MAX ? FINISH_SHIFT : 0) | residual;
}

static void run_chosen(walk *w, range rows, range columns)
{
    switch (kind_of(w->call)) {
    case 0: run_kind(w, rows, columns, 0); break;
    case FINISH_RESIDUAL: run_kind(w, rows, columns, FINISH_RESIDUAL); break;
    case FINISH_SHIFT: run_kind(w, rows, columns, FINISH_SHIFT); break;
    case FINISH_SHIFT | FINISH_RESIDUAL: run_kind(w, rows, columns, FINISH_SHIFT | FINISH_RESIDUAL); break;
    case FINISH_SHIFT | FINISH_CLAMP: run_kind(w, rows, columns, FINISH_SHIFT | FINISH_CLAMP); break;
    case FINISH_SHIFT | FINISH_CLAMP | FINISH_RESIDUAL:
        run_kind(w, rows, columns, FINISH_SHIFT | FINISH_CLAMP | FINISH_RESIDUAL);
        break;
    case FINISH_REAL: run_kind(w, rows, columns, FINISH_REAL); break;
    default: run_kind(w, rows, columns, FINISH_REAL | FINISH_RESIDUAL); break;
    }
}

static void run(const octet_conv_call *call, int part, int parts)
{
    const octet_conv_shape *const  shape = call->shape;
    const octet_conv_tiling *const tiling = call->tiling;
    _Alignas(64) walk w;
    w.call = call;
    w.tile_rows = (size_t)(tiling->rows <= AMX_LANES ? tiling->rows : tiling->rows / 2);
    w.row_blocks = octet_amx_ceil(shape->rows, (size_t)tiling->rows);
    w.steps = shape->taps * (size_t)tiling->steps;
    w.tile = octet_amx_tile(tiling);
    w.block = octet_amx_block(shape, tiling);
    w.fetch_ahead = octet_amx_ceil(65536, w.block) * w.block;
    w.last = 0;
    for (int i = 0; i < 2; i++) w.finish[i] = (finish){ .call = call };
    const range all_rows = { 0, shape->groups * w.row_blocks };
    const range all_columns = { 0, octet_amx_ceil(shape->columns, AMX_COLUMNS) };
    const range rows = tiling->split_columns ? all_rows : part_of(all_rows.end, part, parts);
    const range columns = tiling->split_columns ? part_of(all_columns.end, part, parts) : all_columns;
    if (rows.first == rows.end || columns.first == columns.end) return;
    t_begin(&w.tiles, (int)w.tile_rows, tiling->depth);
    run_chosen(&w, rows, columns);
    t_end(&w.tiles);
}

const octet_conv_kernel CONV = { octet_amx_choose, octet_amx_packed_size, octet_amx_pack, run };
