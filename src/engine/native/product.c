/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of products on levels: parameters of the tensors turned into what the kernels take. */
#include "engine/native/native.h"

#include "base/channels.h"
#include "ops/attrs.h"
#include "ops/levels.h"

#include <math.h>
#include <string.h>

enum { U8_SHIFT = 128 };

static const octet_tensor *weights_of(const octet_plan *plan, const octet_node *node)
{
    const octet_value *const value = node->inputs[1];
    const octet_tensor *const w    = value->constant;
    (void)plan;
    return w && w->qparams && w->data ? w : NULL;
}

bool octet_native_weights_fit(const octet_plan *plan, const octet_node *node, octet_reason *why)
{
    const octet_tensor *const w = weights_of(plan, node);
    if (!w) return octet_native_decline(why, "weights are not constant levels");
    if (w->dtype != OCTET_I8 && w->dtype != OCTET_U8)
        return octet_native_decline(why, "weights are %s", octet_dtype_name(w->dtype));
    const int32_t zero = w->dtype == OCTET_U8 ? U8_SHIFT : 0;
    for (int64_t i = 0; i < w->qparams->count; i++)
        if (w->qparams->zero_point[i] != zero)
            return octet_native_decline(why, "weights have zero point %d", (int)w->qparams->zero_point[i]);
    for (int i = 2; i < node->input_count; i++)
        if (node->inputs[i] && !octet_plan_known(plan, node->inputs[i]) && !node->inputs[i]->constant)
            return octet_native_decline(why, "bias is not constant");
    return true;
}

static const octet_tensor *bias_of(const octet_plan *plan, const octet_node *node)
{
    const octet_value *const bias = node->input_count > 2 ? node->inputs[2] : NULL;
    if (!bias) return NULL;
    return bias->constant ? bias->constant : &plan->shapes[bias->index];
}

static octet_mac_terms terms_of(const octet_plan *plan, const octet_node *node)
{
    octet_mac_terms terms = { .factor = 1.0f, .bias = bias_of(plan, node), .bias_factor = 1.0f };
    if (strcmp(node->op->name, "Conv") == 0) return terms;
    terms.weight_axis = 1;
    if (strcmp(node->op->name, "Gemm") != 0) return terms;
    const octet_gemm_attrs *const attrs = node->attrs;
    terms.weight_axis = attrs->trans_b ? 0 : 1;
    terms.factor      = attrs->alpha;
    terms.bias_factor = attrs->beta;
    return terms;
}

/* A matrix [depth][column] as [column][depth]. */
static octet_status turn(const int8_t **weights, const octet_tensor *w, octet_arena *arena, octet_error *err)
{
    const size_t depth = (size_t)w->dims[0], columns = (size_t)w->dims[1];
    int8_t      *turned;
    OCTET_TRY(octet_arena_get(&turned, arena, depth * columns, 1, err));
    for (size_t k = 0; k < depth; k++)
        for (size_t n = 0; n < columns; n++) turned[n * depth + k] = (*weights)[k * columns + n];
    *weights = turned;
    return OCTET_OK;
}

/* u8 weights with zero point 128 as s8. */
static octet_status signed_weights(const int8_t **to, const octet_tensor *w, octet_arena *arena, octet_error *err)
{
    const size_t         count = (size_t)octet_tensor_count(w);
    const uint8_t *const from  = w->data;
    int8_t              *copy;
    *to = w->data;
    if (w->dtype == OCTET_I8) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&copy, arena, count, 1, err));
    for (size_t i = 0; i < count; i++) copy[i] = (int8_t)(from[i] - U8_SHIFT);
    *to = copy;
    return OCTET_OK;
}

/* Sum of |w| of every column. */
static void sum_magnitudes(double *sum, const octet_tensor *w, int axis)
{
    const octet_channel_shape s    = octet_channels_along(w, axis);
    const int32_t             zero = w->qparams->zero_point[0];
    for (size_t o = 0; o < s.outer; o++)
        for (size_t c = 0; c < s.channels; c++)
            sum[c] += (double)octet_levels_magnitude(w, (o * s.channels + c) * s.inner, s.inner, zero);
}

/* Whether every |t| stays below 2^30, whatever the input's levels are. */
static bool is_tame(const octet_native_sums *sums, const double *magnitude, size_t columns, const octet_qparams *x)
{
    const int32_t above = x->qmax - x->zero_point[0], below = x->zero_point[0] - x->qmin;
    const double  most = above > below ? above : below, limit = 1 << 30;
    for (size_t c = 0; c < columns; c++) {
        const double sum = magnitude[c] * most + fabs((double)sums->bias[c]);
        if (!(sum * fabs((double)sums->multiplier[c]) * 1.001 + 256.0 * fabs((double)sums->residual_multiplier) <
              limit))
            return false;
    }
    return true;
}

/* A node summed in an Add gives real numbers in units of the Add's scale to the residual's rule. */
static void take_output(octet_native_sums *sums, const octet_plan *plan, const octet_step *step)
{
    const octet_node *const    last = step->add ? step->add : step->node;
    const octet_qparams *const y    = octet_value_levels(plan->graph, last->outputs[0]);
    sums->real                      = !y;
    sums->real_lo                   = -INFINITY;
    sums->real_hi                   = INFINITY;
    if (y) sums->to = octet_native_to(y, &last->activation);
    else if (last->activation.on) {
        sums->real_lo = last->activation.lo;
        sums->real_hi = last->activation.hi;
    }
    if (!step->add) return;
    const octet_value *const other = step->add->inputs[step->add->inputs[0] == step->node->outputs[0]];
    sums->residual_multiplier = (float)((double)octet_value_levels(plan->graph, other)->scale[0] / y->scale[0]);
}

octet_status octet_native_weights_of(const int8_t **weights, const octet_plan *plan, const octet_node *node,
                                     octet_arena *arena, octet_error *err)
{
    const octet_tensor *const w = weights_of(plan, node);
    OCTET_TRY(signed_weights(weights, w, arena, err));
    return terms_of(plan, node).weight_axis == 1 && w->rank == 2 ? turn(weights, w, arena, err) : OCTET_OK;
}

octet_status octet_native_sums_make(octet_native_sums *sums, const octet_plan *plan, const octet_step *step,
                                    octet_arena *arena, octet_error *err)
{
    const octet_node *const   node = step->node;
    const octet_tensor *const w    = weights_of(plan, node);
    const octet_mac_terms     terms   = terms_of(plan, node);
    const size_t              columns = (size_t)w->dims[terms.weight_axis];
    octet_tensor              x = plan->shapes[node->inputs[0]->index], out = plan->shapes[node->outputs[0]->index];
    const octet_tensor *const in[]  = { &x, w };
    octet_tensor *const       outs[] = { &out };
    octet_mac_rule           *rules;
    double                   *magnitude;
    x.qparams   = octet_value_levels(plan->graph, node->inputs[0]);
    out.qparams = step->add ? NULL : octet_value_levels(plan->graph, node->outputs[0]);
    const octet_call call = { .node = node, .attrs = node->attrs, .in = in, .out = outs, .in_count = 2, .out_count = 1,
                              .profile = plan->profile, .real_unit = step->real_unit };
    OCTET_TRY(octet_arena_get(&rules, arena, columns, sizeof *rules, err));
    OCTET_TRY(octet_arena_get(&magnitude, arena, columns, sizeof *magnitude, err));
    OCTET_TRY(octet_arena_get(&sums->multiplier, arena, columns, sizeof *sums->multiplier, err));
    OCTET_TRY(octet_arena_get(&sums->bias, arena, columns, sizeof *sums->bias, err));
    OCTET_TRY(octet_mac_rules(rules, (int64_t)columns, &call, &terms, err));
    OCTET_TRY(octet_native_weights_of(&sums->weights, plan, node, arena, err));
    sum_magnitudes(magnitude, w, terms.weight_axis);
    take_output(sums, plan, step);
    for (size_t c = 0; c < columns; c++) {
        sums->multiplier[c] = rules[c].multiplier;
        sums->bias[c]       = rules[c].bias_level;
    }
    sums->tame = is_tame(sums, magnitude, columns, x.qparams);
    return OCTET_OK;
}

octet_status octet_native_sums_of_two(octet_native_sums *sums, const octet_plan *plan, const octet_step *step,
                                      size_t columns, octet_error *err)
{
    enum { LARGEST = 255 * 255 };
    const octet_node *const   node = step->node;
    octet_tensor              a = plan->shapes[node->inputs[0]->index], b = plan->shapes[node->inputs[1]->index];
    octet_tensor              out = plan->shapes[node->outputs[0]->index];
    const octet_tensor *const in[] = { &a, &b };
    octet_tensor *const       outs[] = { &out };
    octet_mac_rule            rule;
    a.qparams   = octet_value_levels(plan->graph, node->inputs[0]);
    b.qparams   = octet_value_levels(plan->graph, node->inputs[1]);
    out.qparams = octet_value_levels(plan->graph, node->outputs[0]);
    const octet_call call = { .node = node, .attrs = node->attrs, .in = in, .out = outs, .in_count = 2, .out_count = 1,
                              .profile = plan->profile };
    const octet_mac_terms terms = { .factor = 1.0f, .bias_factor = 1.0f };
    OCTET_TRY(octet_mac_rules(&rule, 1, &call, &terms, err));
    OCTET_TRY(octet_arena_get(&sums->multiplier, plan->arena, columns, sizeof *sums->multiplier, err));
    OCTET_TRY(octet_arena_get(&sums->bias, plan->arena, columns, sizeof *sums->bias, err));
    take_output(sums, plan, step);
    for (size_t c = 0; c < columns; c++) sums->multiplier[c] = rule.multiplier;
    sums->tame = (double)a.dims[a.rank - 1] * LARGEST * fabs((double)rule.multiplier) < 1 << 30;
    return OCTET_OK;
}
