/* SPDX-License-Identifier: Apache-2.0 */
/* LSTM, GRU and RNN with dynamic levels: the walk over time is the definition's (ops/recurrent_dynamic.c); what it
   multiplies with is packed for the kernels. */
#include "engine/native/native.h"

#include "ops/recurrent.h"

enum { MOST_PARTS = 6 }; /* of each direction: W, then R, whole or the last gate apart */

/* One matrix, or some of its gates. */
typedef struct gate_matrix {
    octet_recurrent_part part;
    octet_conv_shape     shape;
    octet_conv_tiling    tiling;
    octet_conv_call      call;
    const int32_t       *row_sum; /* of the weights of each row */
} gate_matrix;

typedef struct gates_step {
    octet_recurrent_products products; /* first */
    const octet_kernels     *kernels;
    gate_matrix              matrix[MOST_PARTS];
    int                      count;
} gates_step;

static void make_sums(const octet_recurrent_products *products, int32_t *sums, const octet_recurrent_part *part,
                      const uint8_t *levels, int32_t zero_point)
{
    const gates_step *const s = (const gates_step *)(const void *)products;
    const gate_matrix      *m = s->matrix;
    while (m->part.slot != part->slot || m->part.direction != part->direction || m->part.first != part->first) m++;
    octet_conv_call c = m->call;
    c.shape  = &m->shape;
    c.tiling = &m->tiling;
    c.input  = levels;
    c.output = sums;
    s->kernels->conv->run(&c, 0, 1);
    for (size_t i = 0; i < m->shape.columns; i++)
        sums[i] = (int32_t)((uint32_t)sums[i] - (uint32_t)zero_point * (uint32_t)m->row_sum[i]);
}

static octet_status run(const octet_step *step, const octet_call *call, void *bound, octet_error *err)
{
    (void)bound;
    return octet_recurrent_dynamic_by(call, step->state, err);
}

/* A step of it calls the definition, which shares its work among threads by itself. */
static const octet_engine gates_engine = { .name = "native", .version = octet_version, .run = run };

/* ---- preparing ---- */

static octet_status add_matrix(gates_step *s, const octet_plan *plan, const octet_tensor *weights,
                               octet_recurrent_part part, octet_error *err)
{
    static const size_t            tap = 0;
    static const int32_t           place = 0;
    const octet_conv_kernel *const kernel = s->kernels->conv;
    gate_matrix *const             m = &s->matrix[s->count++];
    const size_t                   depth = (size_t)weights->dims[2], rows = (size_t)part.count;
    const int64_t                  first = part.direction * weights->dims[1] + part.first;
    const int8_t *const            at = (const int8_t *)weights->data + (size_t)first * depth;
    int32_t *sum, *none;
    float   *one;
    void    *packed;
    OCTET_TRY(octet_arena_get(&sum, plan->arena, rows, sizeof *sum, err));
    OCTET_TRY(octet_arena_get(&none, plan->arena, rows, sizeof *none, err));
    OCTET_TRY(octet_arena_get(&one, plan->arena, rows, sizeof *one, err));
    m->part  = part;
    m->shape = (octet_conv_shape){ .groups = 1, .rows = 1, .columns = rows, .taps = 1, .depth = depth, .pixel = depth };
    kernel->choose(&m->tiling, &m->shape, 1);
    OCTET_TRY(octet_arena_get(&packed, plan->weights, kernel->packed_size(&m->shape, &m->tiling), 1, err));
    kernel->pack(packed, &m->shape, &m->tiling,
                 &(octet_conv_weights){ .at = at, .column = depth, .tap = depth, .depth = 1, .bias = none,
                                        .multiplier = one });
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < depth; k++) sum[r] += at[r * depth + k];
    m->row_sum = sum;
    m->call    = (octet_conv_call){ .weights = packed, .tap = &tap, .place = &place, .sums = true };
    return OCTET_OK;
}

static bool fits(const octet_plan *plan, const octet_node *node, int slot, octet_reason *why)
{
    const octet_tensor *const w = node->inputs[slot]->constant;
    (void)plan;
    if (!w || !w->qparams || !w->data || w->dtype != OCTET_I8 || (w->qparams->count > 1 && w->qparams->axis != 1))
        return octet_native_decline(why, "weights are no constant levels of s8");
    if (w->rank != 3 || w->dims[2] > 1 << 15) return octet_native_decline(why, "sums of more than 2^15 products");
    for (int64_t i = 0; i < w->qparams->count; i++)
        if (w->qparams->zero_point[i] != 0) return octet_native_decline(why, "weights have zero points");
    return true;
}

bool octet_native_accepts_gates(const octet_plan *plan, octet_step *step, octet_reason *why)
{
    return fits(plan, step->node, OCTET_RECURRENT_W, why) && fits(plan, step->node, OCTET_RECURRENT_R, why);
}

/* R is whole, or has its last gate apart. */
static octet_status add_matrices(gates_step *s, const octet_plan *plan, const octet_recurrent *r, octet_error *err)
{
    const octet_tensor *const *const in  = r->call->in;
    const int64_t                    all = r->cell->gates * r->hidden, last = all - r->hidden;
    for (int d = 0; d < r->directions; d++) {
        const octet_recurrent_part parts[] = { { OCTET_RECURRENT_W, d, 0, all },
                                               { OCTET_RECURRENT_R, d, 0, r->second_product ? last : all },
                                               { OCTET_RECURRENT_R, d, last, r->hidden } };
        for (int i = 0; i < (r->second_product ? 3 : 2); i++)
            OCTET_TRY(add_matrix(s, plan, in[parts[i].slot], parts[i], err));
    }
    return OCTET_OK;
}

octet_status octet_native_prepare_gates(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err)
{
    octet_call      call;
    octet_recurrent r;
    gates_step     *s;
    OCTET_TRY(octet_plan_call(&call, plan, step, arena, err));
    OCTET_TRY(octet_recurrent_make(&r, &call, err));
    OCTET_TRY(octet_arena_get(&s, arena, 1, sizeof *s, err));
    s->products.sums = make_sums;
    s->kernels       = plan->kernels;
    OCTET_TRY(add_matrices(s, plan, &r, err));
    step->scratch_bytes = octet_recurrent_dynamic_scratch(&call);
    step->state         = s;
    step->engine        = &gates_engine;
    step->algorithm     = "definition with packed weights";
    step->overread      = OCTET_OVERREAD * (size_t)((r.width > r.hidden ? r.width : r.hidden) + 1);
    return OCTET_OK;
}
