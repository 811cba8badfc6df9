/* SPDX-License-Identifier: Apache-2.0 */
/* MatMul of two activations, any number of matrices: input 1 is packed when it runs, as weights b' = byte - 128. What
   its zero point zb then lacks depends on the row alone:

     sum (a - za) * (b - zb) = sum (a - za) * b' - (zb - 128) * (sum of a's row - depth * za)

   so the sums leave the kernel as they are and are finished row by row, unless zb is 128. */
#include "engine/native/native.h"

#include "base/checked.h"
#include "ops/product.h"

#include <string.h>

enum { MIDDLE = 128 };

typedef struct matmul_step {
    octet_native_run     run;
    const octet_kernels *kernels;
    octet_product_shape  shape;
    octet_conv_shape     product; /* of most rows at once */
    octet_conv_tiling    tiling;
    octet_conv_call      call;
    octet_native_sums    sums;
    int32_t              a_zero, b_zero;
    size_t               packed_bytes, packed_count, chunks; /* chunks of a matrix's rows */
    size_t               turned_at, sums_at;                 /* in scratch: of the first part */
    size_t               turned_bytes, sums_bytes;           /* of a part */
} matmul_step;

/* ---- packing ---- */

static void pack(const matmul_step *s, const octet_call *call, size_t matrix, uint8_t *turned)
{
    const size_t             depth = s->shape.depth, columns = s->shape.columns;
    uint8_t *const           packed = (uint8_t *)call->scratch + matrix * s->packed_bytes;
    const octet_planes       size = { .pixels = columns, .channels = depth, .plane = columns, .pixel = depth };
    const octet_conv_weights weights = { .at = (const int8_t *)turned, .column = depth, .tap = depth, .depth = 1,
                                         .bias = s->sums.bias, .multiplier = s->sums.multiplier,
                                         .input_zero = s->a_zero };
    s->kernels->planes->to_pixels(turned, (const uint8_t *)call->in[1]->data + matrix * depth * columns, &size, MIDDLE);
    memset(packed, 0, s->packed_bytes);
    s->kernels->conv->pack(packed, &s->product, &s->tiling, &weights);
}

/* ---- multiplying ---- */

/* Elements before the matrices of a and b that number `matrix` of the result is made of. */
static void find_matrices(size_t at[2], const octet_product_shape *shape, size_t matrix)
{
    at[0] = at[1] = 0;
    for (int i = shape->batch_rank - 1; i >= 0; i--) {
        const size_t digit = matrix % (size_t)shape->batch_dims[i];
        matrix /= (size_t)shape->batch_dims[i];
        at[0] += digit * (size_t)shape->a_step[i];
        at[1] += digit * (size_t)shape->b_step[i];
    }
}

/* What lacks in every sum of a row. */
static int32_t term_of(const matmul_step *s, const uint8_t *row)
{
    const int64_t depth = (int64_t)s->shape.depth, sum = s->kernels->lines->sum(row, s->shape.depth);
    return (int32_t)(uint32_t)(uint64_t)((int64_t)(MIDDLE - s->b_zero) * (sum - depth * s->a_zero));
}

static void finish_rows(const matmul_step *s, void *output, const int32_t *sums, const uint8_t *a, size_t rows)
{
    const size_t    columns = s->shape.columns;
    octet_sums_rule rule = { .multiplier = s->sums.multiplier, .to = s->sums.to, .real_lo = s->sums.real_lo,
                             .real_hi = s->sums.real_hi };
    for (size_t r = 0; r < rows; r++, a += s->shape.depth, sums += columns) {
        rule.term = term_of(s, a);
        if (s->sums.real) s->kernels->lines->finish_real((float *)output + r * columns, sums, columns, &rule);
        else s->kernels->lines->finish((uint8_t *)output + r * columns, sums, columns, &rule);
    }
}

static void multiply(const matmul_step *s, const octet_call *call, size_t unit, int32_t *sums)
{
    const size_t      matrix = unit / s->chunks;
    const octet_share rows   = octet_native_share(s->shape.rows, (int)(unit % s->chunks), (int)s->chunks);
    const size_t      depth = s->shape.depth, columns = s->shape.columns, first = matrix * s->shape.rows + rows.first;
    octet_conv_shape  product = s->product;
    octet_conv_call   c = s->call;
    size_t            at[2];
    find_matrices(at, &s->shape, matrix);
    product.rows = rows.last - rows.first;
    if (!product.rows) return;
    uint8_t *const output = (uint8_t *)call->out[0]->data + first * columns * (s->sums.real ? sizeof(float) : 1);
    c.shape   = &product;
    c.tiling  = &s->tiling;
    c.weights = (const uint8_t *)call->scratch + at[1] / (depth * columns) * s->packed_bytes;
    c.input   = (const uint8_t *)call->in[0]->data + at[0] + rows.first * depth;
    c.output  = c.sums ? (uint8_t *)sums : output;
    s->kernels->conv->run(&c, 0, 1);
    if (c.sums) finish_rows(s, output, sums, c.input, product.rows);
}

static void run(const octet_step *step, const octet_call *call, int phase, int part)
{
    const matmul_step *const s       = step->state;
    uint8_t *const           scratch = call->scratch;
    const size_t             units   = phase == 0 ? s->packed_count : s->shape.batch * s->chunks;
    const octet_share        share   = octet_native_share(units, part, step->parts);
    for (size_t i = share.first; i < share.last; i++) {
        if (phase == 0) pack(s, call, i, scratch + s->turned_at + (size_t)part * s->turned_bytes);
        else multiply(s, call, i, (int32_t *)(void *)(scratch + s->sums_at + (size_t)part * s->sums_bytes));
    }
}

/* ---- preparing ---- */

static octet_product_shape shape_of(const octet_plan *plan, const octet_node *node)
{
    const octet_tensor *const in[] = { &plan->shapes[node->inputs[0]->index], &plan->shapes[node->inputs[1]->index] };
    return octet_matmul_shape(&(octet_call){ .node = node, .attrs = node->attrs, .in = in, .in_count = 2 });
}

bool octet_native_accepts_matmul(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    const octet_node *const node = step->node;
    if (node->inputs[1]->constant) return octet_native_accepts_gemm(plan, step, why);
    if (!octet_native_take(plan, step, 2, why)) return false;
    if (step->add || (node->input_count > 2 && node->inputs[2]))
        return octet_native_decline(why, "more than a product of two computed matrices");
    octet_native_use_rows(step);
    return true;
}

static octet_status make_call(matmul_step *s, octet_arena *arena, octet_error *err)
{
    const size_t element = s->call.sums || s->sums.real ? sizeof(float) : 1;
    size_t      *tap;
    int32_t     *place;
    if (s->shape.rows * s->shape.columns * element > INT32_MAX)
        return octet_fail(err, OCTET_ERR_LIMIT, "the output has more than 2^31 bytes");
    OCTET_TRY(octet_arena_get(&tap, arena, 1, sizeof *tap, err));
    OCTET_TRY(octet_arena_get(&place, arena, s->shape.rows, sizeof *place, err));
    for (size_t r = 0; r < s->shape.rows; r++) place[r] = (int32_t)(r * s->shape.columns * element);
    s->call.tap     = tap;
    s->call.place   = place;
    s->call.to      = s->sums.to;
    s->call.real    = s->sums.real && !s->call.sums;
    s->call.tame    = s->sums.tame;
    s->call.real_lo = s->sums.real_lo;
    s->call.real_hi = s->sums.real_hi;
    return OCTET_OK;
}

/* Rows of a matrix are shared by parts where there are few matrices. */
static size_t chunks_of(const octet_product_shape *shape, int parts)
{
    enum { LEAST = 16 };
    const size_t wanted = ((size_t)parts + shape->batch - 1) / shape->batch, most = (shape->rows + LEAST - 1) / LEAST;
    return wanted < most ? wanted : most;
}

static octet_status lay_out(matmul_step *s, octet_step *step, octet_error *err)
{
    const size_t parts = (size_t)step->parts, rows = (s->shape.rows + s->chunks - 1) / s->chunks;
    size_t       packed, turned, sums;
    s->turned_bytes = octet_aligned(s->shape.depth * s->shape.columns);
    s->sums_bytes   = s->call.sums ? octet_aligned(rows * s->shape.columns * sizeof(int32_t)) : 0;
    if (!octet_mul(&packed, s->packed_count, s->packed_bytes) || !octet_mul(&turned, parts, s->turned_bytes) ||
        !octet_mul(&sums, parts, s->sums_bytes) || !octet_add(&s->sums_at, packed, turned) ||
        !octet_add(&step->scratch_bytes, s->sums_at, sums))
        return octet_fail(err, OCTET_ERR_LIMIT, "matrices need more memory than an address can count");
    s->turned_at = packed;
    return OCTET_OK;
}

octet_status octet_native_prepare_matmul(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    enum { MACS = 100000 }; /* of a microsecond, roughly */
    const octet_node *const node = step->node;
    matmul_step            *s;
    if (node->inputs[1]->constant) return octet_native_prepare_gemm(plan, step, arena, err);
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    s->run     = run;
    s->kernels = plan->kernels;
    s->shape   = shape_of(plan, node);
    s->a_zero  = octet_native_zero(octet_native_in(plan, step, 0));
    s->b_zero  = octet_native_zero(octet_native_in(plan, step, 1));
    OCTET_TRY(octet_native_sums_of_two(&s->sums, plan, step, s->shape.columns, err));
    step->parts  = octet_native_parts(plan, (double)step->macs / MACS);
    s->chunks    = chunks_of(&s->shape, step->parts);
    s->call.sums = s->b_zero != MIDDLE;
    s->product   = (octet_conv_shape){ .groups = 1, .rows = (s->shape.rows + s->chunks - 1) / s->chunks,
                                       .columns = s->shape.columns, .taps = 1, .depth = s->shape.depth,
                                       .pixel = s->shape.depth };
    s->kernels->conv->choose(&s->tiling, &s->product, 1);
    OCTET_TRY(make_call(s, arena, err));
    s->packed_bytes = octet_aligned(s->kernels->conv->packed_size(&s->product, &s->tiling));
    s->packed_count =
        (size_t)octet_tensor_count(&plan->shapes[node->inputs[1]->index]) / (s->shape.depth * s->shape.columns);
    OCTET_TRY(lay_out(s, step, err));
    step->state     = s;
    step->phases    = 2;
    step->overread  = OCTET_OVERREAD * (s->product.pixel + 1);
    step->algorithm = octet_arena_format(arena, "two activations %s", s->tiling.text);
    return step->algorithm ? OCTET_OK : octet_fail_memory(err);
}
