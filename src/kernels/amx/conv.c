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

#include "kernels/amx/finish_template.h"

/* One part of a call. */
typedef struct walk {
    const octet_conv_call *call;
    size_t                 tile_rows, row_blocks; /* rows of a tile, row blocks of a group */
    size_t                 steps, tile, block;    /* of a block; bytes of a tile of weights, of a column block */
    size_t                 fetch_ahead;           /* bytes from the weights in use to those fetched */
    t_tiles                tiles;
    int                    last;   /* of the following two, the block whose sums are still in the tiles */
    size_t                 before; /* rows of the other that are finished */
    finish                 finish[2];
} walk;

/* One block. */
typedef struct position {
    const uint8_t *input;
    const int8_t  *weights;
    bool           high, wide;       /* two tiles of rows, of columns */
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

V_INLINE void store(walk *w, finish *to, int m, int n)
{
    t_store(&w->tiles, m, n, &to->sums, m * (int)w->tile_rows);
}

/* Rows of the block before that are finished between the products of a first step. */
typedef struct pending {
    finish_state  state;
    const finish *of;
    finish       *last; /* whose sums are in the tiles */
    size_t        row, share;
} pending;

V_INLINE pending begin_pending(walk *w, int kind)
{
    finish *const f = &w->finish[!w->last];
    return (pending){ .state = finish_begin(f, w->call, kind), .of = f, .last = &w->finish[w->last],
                      .row = w->before, .share = 2 * octet_amx_ceil(f->rows - w->before, 8) };
}

/* With a residual it is quicker behind all products. */
V_INLINE void finish_piece(pending *rest, int kind)
{
    if (rest && !(kind & FINISH_RESIDUAL))
        rest->row = finish_more(&rest->state, rest->of, rest->row, rest->row + rest->share, kind);
}

/* Sums of the block before that a first step of a smaller block has left. */
V_INLINE void store_rest(walk *w, finish *last, bool high, bool wide)
{
    const bool was_high = last->rows > w->tile_rows, was_wide = last->wide;
    if (!wide && was_wide) store(w, last, 0, 1);
    if (!high && was_high) store(w, last, 1, 0);
    if (!(high && wide) && was_high && was_wide) store(w, last, 1, 1);
}

V_INLINE void multiply(walk *w, int m, int n, const pending *rest)
{
    if (rest) store(w, rest->last, m, n);
    if (rest) t_zero(&w->tiles, m, n);
    t_multiply(&w->tiles, m, n);
}

/* One step of a block, the first if rows of the block before are pending. */
V_INLINE void step(walk *w, const position *at, const uint8_t *input, const int8_t *weights, pending *rest, int kind)
{
    const size_t pixel = w->call->shape->pixel;
    t_load_inputs(&w->tiles, 0, input, pixel);
    t_load_weights(&w->tiles, 0, weights);
    multiply(w, 0, 0, rest);
    finish_piece(rest, kind);
    if (at->wide) {
        t_load_weights(&w->tiles, 1, weights + w->tile);
        multiply(w, 0, 1, rest);
        finish_piece(rest, kind);
    }
    if (at->high) {
        t_load_inputs(&w->tiles, 1, input + w->tile_rows * pixel, pixel);
        multiply(w, 1, 0, rest);
        finish_piece(rest, kind);
        if (at->wide) multiply(w, 1, 1, rest);
    }
    if (rest) store_rest(w, rest->last, at->high, at->wide);
    for (size_t line = at->fetch; line < at->fetch_end; line++) t_fetch(weights + w->fetch_ahead + 64 * line);
}

V_INLINE void compute(walk *w, const position *at, int kind)
{
    const octet_conv_call *const call = w->call;
    const size_t  taps = call->shape->taps;
    const size_t  pieces = (size_t)call->tiling->steps, depth = (size_t)call->tiling->depth;
    const size_t  weights_step = w->tile * (at->wide ? 2 : 1);
    finish *const last = &w->finish[w->last];
    const size_t  share = last->share;
    const int8_t *weights = at->weights;
    size_t        piece = 1, row = 0;
    pending       rest = begin_pending(w, kind);
    step(w, at, at->input + call->tap[0], weights, &rest, kind);
    finish_more(&rest.state, rest.of, rest.row, SIZE_MAX, kind);
    for (size_t t = 0; t < taps; t++) {
        const uint8_t *input = at->input + call->tap[t] + piece * depth;
        for (; piece < pieces; piece++, input += depth) {
            weights += weights_step;
            step(w, at, input, weights, NULL, kind);
            row = finish_rows(last, call, row, row + share, kind);
        }
        piece = 0;
    }
    w->before = row;
}

static inline bool all_wanted(const int32_t *place, size_t rows)
{
    int32_t signs = 0;
    for (size_t r = 0; r < rows; r++) signs |= place[r];
    return signs >= 0;
}

/* Residuals are wanted when the block after this one is computed: by then they should be near. */
static inline void fetch_residual(const finish *f)
{
    for (size_t r = 0; r < f->rows; r++)
        if (f->place[r] >= 0) t_fetch_near(f->residual + f->residual_place[r]);
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
    f->output = (uint8_t *)call->output + group * call->output_group + column * (call->real || call->sums ? 4 : 1);
    f->place = call->place + row;
    if (call->residual) {
        f->residual = call->residual + group * call->residual_group + column;
        f->residual_place = call->residual_place + row;
    }
    f->rows = rows < (size_t)call->tiling->rows ? rows : (size_t)call->tiling->rows;
    f->full = left >= AMX_COLUMNS && f->rows % 2 == 0 && all_wanted(f->place, f->rows);
    f->share = 2 * octet_amx_ceil(octet_amx_ceil(f->rows, 2), w->steps);
    if (call->residual) fetch_residual(f);
}

V_INLINE void meet(walk *w, size_t row_block, size_t column_block, position *at, int kind)
{
    const octet_conv_call *const call = w->call;
    const size_t group = row_block / w->row_blocks, row = row_block % w->row_blocks * (size_t)call->tiling->rows;
    at->input = call->input + group * call->input_group + row * call->shape->pixel;
    at->weights = (const int8_t *)call->weights + column_block * w->block;
    at->wide = octet_amx_tiles(call->shape, column_block * AMX_COLUMNS) == 2;
    at->high = call->shape->rows - row > w->tile_rows;
    compute(w, at, kind);
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
    const size_t all = rows.end - rows.first;
    for (size_t i = outer.first; i < outer.end; i++)
        for (size_t k = inner.first; k < inner.end; k++) {
            const size_t row_block = by_columns ? k : i, column_block = by_columns ? i : k;
            choose_fetch(&at, w, row_block - rows.first, all);
            meet(w, row_block, column_block, &at, kind);
        }
    for (int m = 0; m < 2; m++)
        for (int n = 0; n < 2; n++) store(w, &w->finish[w->last], m, n);
    finish_rows(&w->finish[!w->last], w->call, w->before, SIZE_MAX, kind);
    finish_rows(&w->finish[w->last], w->call, 0, SIZE_MAX, kind);
}

static int kind_of(const octet_conv_call *call)
{
    const octet_to_levels *const to = &call->to;
    const int residual = call->residual ? FINISH_RESIDUAL : 0;
    if (call->sums) return FINISH_SUMS;
    if (call->real) return FINISH_REAL | residual;
    if (!call->tame) return FINISH_CLAMP | FINISH_SHIFT | residual;
    return (to->zero_point != 0 || to->lo > 0 || to->hi < UINT8_MAX ? FINISH_SHIFT : 0) | residual;
}

/* A function for each kind, so that a compiler allots registers to one at a time. */
#define RUN(name, kind) \
    static __attribute__((noinline)) void name(walk *w, range rows, range columns) { run_kind(w, rows, columns, kind); }

RUN(run_plain, 0)
RUN(run_plain_residual, FINISH_RESIDUAL)
RUN(run_shift, FINISH_SHIFT)
RUN(run_shift_residual, FINISH_SHIFT | FINISH_RESIDUAL)
RUN(run_clamp, FINISH_SHIFT | FINISH_CLAMP)
RUN(run_clamp_residual, FINISH_SHIFT | FINISH_CLAMP | FINISH_RESIDUAL)
RUN(run_real, FINISH_REAL)
RUN(run_sums, FINISH_SUMS)
RUN(run_real_residual, FINISH_REAL | FINISH_RESIDUAL)

static void run_chosen(walk *w, range rows, range columns)
{
    switch (kind_of(w->call)) {
    case 0: run_plain(w, rows, columns); break;
    case FINISH_RESIDUAL: run_plain_residual(w, rows, columns); break;
    case FINISH_SHIFT: run_shift(w, rows, columns); break;
    case FINISH_SHIFT | FINISH_RESIDUAL: run_shift_residual(w, rows, columns); break;
    case FINISH_SHIFT | FINISH_CLAMP: run_clamp(w, rows, columns); break;
    case FINISH_SHIFT | FINISH_CLAMP | FINISH_RESIDUAL: run_clamp_residual(w, rows, columns); break;
    case FINISH_REAL: run_real(w, rows, columns); break;
    case FINISH_SUMS: run_sums(w, rows, columns); break;
    default: run_real_residual(w, rows, columns); break;
    }
}

static void run(const octet_conv_call *call, int part, int parts)
{
    const octet_conv_shape *const  shape = call->shape;
    const octet_conv_tiling *const tiling = call->tiling;
    walk w;
    w.call = call;
    w.tile_rows = (size_t)(tiling->rows <= AMX_LANES ? tiling->rows : tiling->rows / 2);
    w.row_blocks = octet_amx_ceil(shape->rows, (size_t)tiling->rows);
    w.steps = shape->taps * (size_t)tiling->steps;
    w.tile = octet_amx_tile(tiling);
    w.block = octet_amx_block(shape, tiling);
    w.fetch_ahead = octet_amx_ceil(65536, w.block) * w.block;
    w.last = 0;
    w.before = 0;
    /* Nothing to finish yet, but constants that can be read. */
    for (int i = 0; i < 2; i++) w.finish[i] = (finish){ .constants = call->weights };
    const range all_rows = { 0, shape->groups * w.row_blocks };
    const range all_columns = { 0, octet_amx_ceil(shape->columns, AMX_COLUMNS) };
    const range rows = tiling->split_columns ? all_rows : part_of(all_rows.end, part, parts);
    const range columns = tiling->split_columns ? part_of(all_columns.end, part, parts) : all_columns;
    if (rows.first == rows.end || columns.first == columns.end) return;
    t_begin(&w.tiles, (int)w.tile_rows, tiling->depth);
    run_chosen(&w, rows, columns);
    t_end(&w.tiles);
}

const octet_conv_kernel CONV = { 64, octet_choose_amx, octet_packed_size_amx, octet_pack_amx, run };
