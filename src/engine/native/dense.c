/* SPDX-License-Identifier: Apache-2.0 */
/* Gemm and MatMul whose input 0 becomes bytes when they run: real numbers that are quantized dynamically, and levels of
   16 bits, each of which is two bytes. A few rows at a time are turned into bytes and multiplied; their sums S are
   finished here (ops/dynamic.c and ops/mac.c are the definitions):

     dynamic   acc = S - zero * (sum of the column's weights), in int32
     16 bits   acc = 256 * S(high bytes) + S(low bytes) - zero * (sum of the column's weights), in int64 */
#include "engine/native/native.h"

#include "base/checked.h"
#include "ops/attrs.h"
#include "ops/dynamic.h"
#include "ops/levels.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 64 }; /* rows at once */

/* Memory of one part. */
typedef struct room {
    uint8_t     *bytes;
    int32_t     *sums, *term;
    float       *multiplier;
    octet_range *range;
} room;

typedef struct dense_step dense_step;
typedef void (*bytes_function)(const dense_step *s, const octet_call *call, const room *at, octet_share rows);

struct dense_step {
    octet_native_run     run;
    const octet_kernels *kernels;
    octet_conv_shape     shape;
    octet_conv_tiling    tiling;
    octet_conv_call      call;
    octet_native_sums    sums;  /* 16 bits; dynamic: the weights alone */
    octet_level_rule     to;    /* 16 bits: levels of the output */
    const octet_qparams *weights;
    const int32_t       *column_sum;
    size_t               rows, depth, columns, planes; /* planes: bytes of an element */
    int32_t              zero;                         /* of 16 bits, as an unsigned level */
    uint16_t             flip;
    size_t               room_bytes, sums_at, term_at, multiplier_at, range_at;
    bytes_function       block;
};

static room room_of(const dense_step *s, const octet_call *call, int part)
{
    uint8_t *const at = (uint8_t *)call->scratch + (size_t)part * s->room_bytes;
    return (room){ .bytes = at, .sums = (int32_t *)(void *)(at + s->sums_at),
                   .term = (int32_t *)(void *)(at + s->term_at),
                   .multiplier = (float *)(void *)(at + s->multiplier_at),
                   .range = (octet_range *)(void *)(at + s->range_at) };
}

static void multiply(const dense_step *s, const room *at, size_t rows)
{
    octet_conv_shape shape = s->shape;
    octet_conv_call  c = s->call;
    shape.rows = rows * s->planes;
    c.shape    = &shape;
    c.tiling   = &s->tiling;
    c.input    = at->bytes;
    c.output   = at->sums;
    s->kernels->conv->run(&c, 0, 1);
}

/* ---- dynamic ---- */

static const float *real_row(const dense_step *s, const octet_call *call, size_t row)
{
    return (const float *)call->in[0]->data + row * s->depth;
}

/* What an affine means for the sums of every column. */
static void prepare_columns(const dense_step *s, const room *at, octet_affine affine)
{
    for (size_t c = 0; c < s->columns; c++) {
        const double scale = (double)s->weights->scale[s->weights->count > 1 ? c : 0];
        at->multiplier[c] = (float)((double)affine.scale * scale);
        at->term[c]       = (int32_t)(0u - (uint32_t)affine.zero_point * (uint32_t)s->column_sum[c]);
    }
}

static void quantize_row(const dense_step *s, const octet_call *call, const room *at, size_t row, size_t place,
                         octet_affine affine)
{
    const octet_planes      size = { .pixels = s->depth, .channels = 1, .plane = s->depth, .pixel = 1 };
    const octet_real_levels rule = { .scale = affine.scale,
                                     .to = { affine.zero_point, 0, octet_dynamic_highest(call) } };
    s->kernels->planes->quantize(at->bytes + place * s->depth, real_row(s, call, row), &size, &rule);
}

static void finish_real(const dense_step *s, const octet_call *call, const room *at, size_t row, size_t place)
{
    const octet_sums_rule rule = { .multiplier = at->multiplier, .real_lo = -INFINITY, .real_hi = INFINITY };
    const float *const bias = call->in_count > 2 && call->in[2] ? call->in[2]->data : NULL;
    const size_t       biases = bias && octet_tensor_count(call->in[2]) > 1 ? 1 : 0;
    int32_t *const     sums = at->sums + place * s->columns;
    float *const       y = (float *)call->out[0]->data + row * s->columns;
    for (size_t c = 0; c < s->columns; c++) sums[c] = (int32_t)((uint32_t)sums[c] + (uint32_t)at->term[c]);
    s->kernels->lines->finish_real(y, sums, s->columns, &rule);
    for (size_t c = 0; bias && c < s->columns; c++) y[c] += bias[c * biases];
    octet_activation_apply(y, s->columns, &call->node->activation);
}

/* All rows have one range: that of all parts' shares. */
static void tensor_block(const dense_step *s, const octet_call *call, const room *at, octet_share rows)
{
    for (size_t r = rows.first; r < rows.last; r++)
        quantize_row(s, call, at, r, r - rows.first, octet_dynamic_input(call, *at->range));
    multiply(s, at, rows.last - rows.first);
    for (size_t r = rows.first; r < rows.last; r++) finish_real(s, call, at, r, r - rows.first);
}

static void row_block(const dense_step *s, const octet_call *call, const room *at, octet_share rows)
{
    octet_affine affine[BLOCK];
    for (size_t r = rows.first; r < rows.last; r++) {
        octet_range range = { 0 };
        octet_range_observe(&range, real_row(s, call, r), s->depth);
        affine[r - rows.first] = octet_dynamic_input(call, range);
        quantize_row(s, call, at, r, r - rows.first, affine[r - rows.first]);
    }
    multiply(s, at, rows.last - rows.first);
    for (size_t r = rows.first; r < rows.last; r++) {
        prepare_columns(s, at, affine[r - rows.first]);
        finish_real(s, call, at, r, r - rows.first);
    }
}

/* ---- 16 bits ---- */

static void split_row(const dense_step *s, uint8_t *to, const uint16_t *x)
{
    for (size_t k = 0; k < s->depth; k++) {
        const uint16_t level = x[k] ^ s->flip;
        to[k]            = (uint8_t)(level >> 8);
        to[s->depth + k] = (uint8_t)level;
    }
}

/* 1.5 * 2^23: adding it rounds to an integer, ties to even, in the last bits. */
#define RAISED 12582912.0f

/* clamp(rne(t) + zero_point), levels of at most 16 bits: clamping first changes nothing. */
static void round_levels(int32_t *level, const float *t, size_t n, const octet_level_rule *to)
{
    const float   lo = (float)(to->qmin - to->zero_point), hi = (float)(to->qmax - to->zero_point);
    const int32_t shift = to->zero_point - 0x4b400000;
    for (size_t i = 0; i < n; i++) {
        const float up = t[i] > lo ? t[i] : lo, sum = (up < hi ? up : hi) + RAISED;
        int32_t     bits;
        memcpy(&bits, &sum, sizeof bits);
        level[i] = bits + shift;
    }
}

/* t of columns from c on. */
static void scale_wide(float *t, const dense_step *s, const int32_t *sums, size_t c, size_t n)
{
    for (size_t i = c; i < c + n; i++) {
        const int64_t acc = 256 * (int64_t)sums[i] + sums[s->columns + i] - (int64_t)s->zero * s->column_sum[i];
        t[i - c] = (float)(acc + s->sums.bias[i]) * s->sums.multiplier[i];
    }
}

static void finish_wide(const dense_step *s, const octet_call *call, const int32_t *sums, size_t row)
{
    enum { CHUNK = 256 };
    const octet_tensor *const y     = call->out[0];
    const size_t              first = row * s->columns;
    for (size_t c = 0; c < s->columns; c += CHUNK) {
        const size_t n = s->columns - c < CHUNK ? s->columns - c : CHUNK;
        float        t[CHUNK];
        int32_t      level[CHUNK];
        if (s->sums.real) {
            scale_wide((float *)y->data + first + c, s, sums, c, n);
            continue;
        }
        scale_wide(t, s, sums, c, n);
        round_levels(level, t, n, &s->to);
        octet_levels_store(y->data, y->dtype, first + c, level, n);
    }
    if (s->sums.real) octet_activation_apply((float *)y->data + first, s->columns, &call->node->activation);
}

static void wide_block(const dense_step *s, const octet_call *call, const room *at, octet_share rows)
{
    for (size_t r = rows.first; r < rows.last; r++)
        split_row(s, at->bytes + (r - rows.first) * 2 * s->depth,
                  (const uint16_t *)call->in[0]->data + r * s->depth);
    multiply(s, at, rows.last - rows.first);
    for (size_t r = rows.first; r < rows.last; r++)
        finish_wide(s, call, at->sums + (r - rows.first) * 2 * s->columns, r);
}

/* ---- running ---- */

/* The range of a part's rows; then, of all parts. */
static void find_range(const dense_step *s, const octet_call *call, const room *at, octet_share share)
{
    *at->range = (octet_range){ 0 };
    octet_range_observe(at->range, real_row(s, call, share.first), (share.last - share.first) * s->depth);
}

static octet_range all_ranges(const dense_step *s, const octet_call *call, int parts)
{
    octet_range range = { 0 };
    for (int i = 0; i < parts; i++) range = octet_range_union(range, *room_of(s, call, i).range);
    return range;
}

static void run(const octet_step *step, const octet_call *call, int phase, int part)
{
    const dense_step *const s     = step->state;
    const octet_share       share = octet_native_share(s->rows, part, step->parts);
    room                    at = room_of(s, call, part);
    octet_range             all;
    if (step->phases > 1 && phase == 0) {
        find_range(s, call, &at, share);
        return;
    }
    if (step->phases > 1) {
        all      = all_ranges(s, call, step->parts);
        at.range = &all;
        prepare_columns(s, &at, octet_dynamic_input(call, all));
    }
    for (size_t r = share.first; r < share.last; r += BLOCK)
        s->block(s, call, &at, (octet_share){ r, r + BLOCK < share.last ? r + BLOCK : share.last });
}

/* ---- preparing ---- */

bool octet_native_is_wide(const octet_plan *plan, const octet_node *node)
{
    const octet_qparams *const x = octet_value_levels(plan->graph, node->inputs[0]);
    return x && (x->dtype == OCTET_U16 || x->dtype == OCTET_I16);
}

bool octet_native_accepts_dense(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    enum { MOST_DEPTH = 1 << 15, MOST_SCALE = 100 }; /* sums fit int32; multipliers are finite */
    const octet_node *const   node = step->node;
    const octet_tensor *const x = &plan->shapes[node->inputs[0]->index], *const w = node->inputs[1]->constant;
    const octet_tensor *const y = &plan->shapes[node->outputs[0]->index];
    if (!octet_native_weights_fit(plan, node, why)) return false;
    if (step->add || step->real_unit != 0) return octet_native_decline(why, "summed in an Add");
    if (x->rank < 2 || w->rank != 2 || octet_tensor_count(x) < 1 || octet_tensor_count(y) < 1)
        return octet_native_decline(why, "not a product with a matrix");
    if (x->dims[x->rank - 1] > MOST_DEPTH) return octet_native_decline(why, "sums of more than 2^15 products");
    if (octet_plan_known(plan, node->inputs[0])) return octet_native_decline(why, "input is constant");
    if (strcmp(node->op->name, "Gemm") == 0 && ((const octet_gemm_attrs *)node->attrs)->trans_a)
        return octet_native_decline(why, "first matrix is transposed");
    for (int64_t i = 0; i < w->qparams->count; i++)
        if (w->qparams->scale[i] > MOST_SCALE) return octet_native_decline(why, "a weight's scale is large");
    return true;
}

/* Weights without anything around them: what they add to the zero point is subtracted afterwards. */
static octet_status pack(dense_step *s, const octet_plan *plan, octet_error *err)
{
    const octet_conv_kernel *const kernel = s->kernels->conv;
    int32_t *sum, *none;
    float   *one;
    void    *packed;
    OCTET_TRY(octet_arena_get(&sum, plan->arena, s->columns, sizeof *sum, err));
    OCTET_TRY(octet_arena_get(&none, plan->arena, s->columns, sizeof *none, err));
    OCTET_TRY(octet_arena_get(&one, plan->arena, s->columns, sizeof *one, err));
    OCTET_TRY(octet_arena_get(&packed, plan->weights, kernel->packed_size(&s->shape, &s->tiling), 1, err));
    for (size_t c = 0; c < s->columns; c++)
        for (size_t k = 0; k < s->depth; k++) sum[c] += s->sums.weights[c * s->depth + k];
    kernel->pack(packed, &s->shape, &s->tiling,
                 &(octet_conv_weights){ .at = s->sums.weights, .column = s->depth, .tap = s->depth, .depth = 1,
                                        .bias = none, .multiplier = one });
    s->column_sum   = sum;
    s->call.weights = packed;
    return OCTET_OK;
}

static octet_status make_call(dense_step *s, const octet_plan *plan, octet_error *err)
{
    const size_t rows = BLOCK * s->planes;
    size_t      *tap;
    int32_t     *place;
    if (s->columns > INT32_MAX / sizeof(int32_t) / rows)
        return octet_fail(err, OCTET_ERR_LIMIT, "a row has too many columns");
    OCTET_TRY(octet_arena_get(&tap, plan->arena, 1, sizeof *tap, err));
    OCTET_TRY(octet_arena_get(&place, plan->arena, rows, sizeof *place, err));
    for (size_t r = 0; r < rows; r++) place[r] = (int32_t)(r * s->columns * sizeof(int32_t));
    s->call = (octet_conv_call){ .tap = tap, .place = place, .sums = true };
    return OCTET_OK;
}

static octet_status lay_out(dense_step *s, octet_step *step, octet_error *err)
{
    const size_t rows = BLOCK * s->planes, line = octet_aligned(s->columns * sizeof(int32_t));
    s->sums_at       = octet_aligned(rows * s->depth);
    s->term_at       = s->sums_at + rows * line;
    s->multiplier_at = s->term_at + line;
    s->range_at      = s->multiplier_at + line;
    s->room_bytes    = octet_aligned(s->range_at + sizeof(octet_range));
    step->overread   = OCTET_OVERREAD * (s->depth + 1);
    if (octet_mul(&step->scratch_bytes, (size_t)step->parts, s->room_bytes)) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_LIMIT, "rows need more memory than an address can count");
}

static octet_status choose_kind(dense_step *s, const octet_plan *plan, const octet_step *step, octet_error *err)
{
    const octet_node *const    node = step->node;
    const octet_qparams *const x    = octet_value_levels(plan->graph, node->inputs[0]);
    const octet_qparams *const y    = octet_value_levels(plan->graph, node->outputs[0]);
    if (step->mode == OCTET_MODE_DYNAMIC) {
        s->planes = 1;
        s->block  = node->dynamic == OCTET_DYNAMIC_ROW ? row_block : tensor_block;
        return octet_native_weights_of(&s->sums.weights, plan, node, plan->arena, err);
    }
    s->planes = 2;
    s->block  = wide_block;
    s->flip   = x->dtype == OCTET_I16 ? 0x8000 : 0;
    s->zero   = x->zero_point[0] + s->flip;
    if (y) s->to = octet_level_rule_of(y, 0, &node->activation);
    return octet_native_sums_make(&s->sums, plan, step, plan->arena, err);
}

octet_status octet_native_prepare_dense(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    enum { MACS = 100000 }; /* of a microsecond, roughly */
    const octet_node *const   node = step->node;
    const octet_tensor *const x    = &plan->shapes[node->inputs[0]->index];
    const octet_tensor *const y    = &plan->shapes[node->outputs[0]->index];
    dense_step               *s;
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    s->run     = run;
    s->kernels = plan->kernels;
    s->depth   = (size_t)x->dims[x->rank - 1];
    s->columns = (size_t)y->dims[y->rank - 1];
    s->rows    = (size_t)octet_tensor_count(x) / s->depth;
    s->weights = node->inputs[1]->constant->qparams;
    OCTET_TRY(choose_kind(s, plan, step, err));
    step->parts = octet_native_parts(plan, (double)step->macs * (double)s->planes / MACS);
    s->shape    = (octet_conv_shape){ .groups = 1, .rows = (s->rows < BLOCK ? s->rows : BLOCK) * s->planes,
                                      .columns = s->columns, .taps = 1, .depth = s->depth, .pixel = s->depth };
    s->kernels->conv->choose(&s->tiling, &s->shape, 1);
    OCTET_TRY(make_call(s, plan, err));
    OCTET_TRY(lay_out(s, step, err));
    OCTET_TRY(pack(s, plan, err));
    step->state     = s;
    step->phases    = s->block == tensor_block ? 2 : 1;
    step->algorithm = octet_arena_format(arena, "%s %s", s->planes > 1 ? "two bytes" : "dynamic", s->tiling.text);
    return step->algorithm ? OCTET_OK : octet_fail_memory(err);
}
