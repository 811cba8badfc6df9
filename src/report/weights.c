/* SPDX-License-Identifier: Apache-2.0 */
/* Weights of one layer: the float network's, batch norm folded in, divided by the scales that the quantized network has
   for them, so that all channels share one axis and one range whatever their scales. */
#include "base/entries.h"
#include "graph/op.h"
#include "measure/sqnr.h"
#include "ops/levels.h"
#include "ops/mode.h"
#include "passes/pass.h"
#include "report/gather.h"

/* Rounding alone leaves more than this even of weights of two bits; what has less was rescaled or trained since. */
#define LEAST_DB 3.0

typedef struct weighing {
    const octet_tensor *levels; /* the quantized network's constant */
    octet_channel_shape shape;
    float              *real;   /* what is shown */
    float              *own;    /* what the quantized network computes with */
} weighing;

static bool same_dims(const octet_tensor *a, const octet_tensor *b)
{
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++) same = a->dims[i] == b->dims[i];
    return same;
}

/* The float layer that makes the value of node's name, where its weights have the same shape; NULL: none. */
static const octet_node *float_twin(const octet_graph *reference, const octet_node *node)
{
    const octet_value *const value = octet_graph_find_value(reference, node->outputs[0]->name);
    const octet_node *const  twin  = value ? value->producer : NULL;
    if (!twin || twin->op != node->op || twin->input_count < 2 || !twin->inputs[1]) return NULL;
    if (!octet_constant_floats(twin->inputs[1])) return NULL;
    return same_dims(twin->inputs[1]->constant, node->inputs[1]->constant) ? twin : NULL;
}

static octet_status read_weights(weighing *w, octet_weight_statistics *s, const octet_node *twin, octet_arena *arena,
                                 octet_error *err)
{
    const size_t count      = octet_channels_count(&w->shape);
    octet_sqnr   difference = { 0 };
    OCTET_TRY(octet_arena_get(&w->real, arena, count, sizeof *w->real, err));
    OCTET_TRY(octet_arena_get(&w->own, arena, count, sizeof *w->own, err));
    if (w->levels->qparams) octet_levels_real_any(w->own, w->levels, 0, count);
    else
        for (size_t i = 0; i < count; i++) w->own[i] = ((const float *)w->levels->data)[i];
    s->own = !twin;
    if (!twin) {
        w->real = w->own;
        return OCTET_OK;
    }
    for (size_t i = 0; i < count; i++) w->real[i] = octet_constant_floats(twin->inputs[1])[i];
    if (twin->batch_norm) octet_fold_weight(w->real, twin);
    octet_sqnr_add(&difference, w->real, w->own, count);
    s->own = octet_sqnr_db(&difference) < LEAST_DB;
    if (s->own) w->real = w->own;
    return OCTET_OK;
}

/* x in place of the real weights: w / scale + zero point of their channels or blocks. */
static void to_levels(float *x, const weighing *w)
{
    const octet_qparams *const q       = w->levels->qparams;
    const octet_entries        entries = octet_entries_of(w->levels, q);
    for (size_t i = 0; i < octet_channels_count(&w->shape); i++) {
        const int64_t e = octet_entries_stretch(&entries, i).entry;
        x[i]            = w->real[i] / q->scale[e] + (float)q->zero_point[e];
    }
}

octet_status octet_gather_weights(octet_weight_statistics *statistics, const octet_report_source *source,
                                  const octet_node *node, octet_arena *arena, octet_error *err)
{
    *statistics = (octet_weight_statistics){ 0 };
    if (node->op->quant != OCTET_QUANT_MAC || node->input_count < 2 || !octet_value_is_constant(node->inputs[1]))
        return OCTET_OK;
    const octet_tensor *const  constant = node->inputs[1]->constant;
    const octet_qparams *const q        = constant->qparams;
    if (!constant->rank || (!q && constant->dtype != OCTET_F32)) return OCTET_OK;
    weighing     w      = { .levels = constant, .shape = octet_channels_along(constant, octet_weight_axis(node)) };
    float       *x;
    octet_range  chosen = { 0 };
    const size_t count  = octet_channels_count(&w.shape);
    OCTET_TRY(read_weights(&w, statistics, float_twin(source->reference, node), arena, err));
    OCTET_TRY(octet_arena_get(&x, arena, count, sizeof *x, err));
    if (q) chosen = (octet_range){ true, (float)q->qmin, (float)q->qmax };
    OCTET_TRY(octet_distribution_make(&statistics->of, arena, &chosen, 1, w.shape.channels, err));
    octet_range_observe_channels(statistics->of.channel, w.real, w.shape.outer, w.shape.channels, w.shape.inner);
    octet_range *const channel = statistics->of.channel;
    statistics->of.channel     = NULL; /* they stay real */
    if (q) to_levels(x, &w);
    octet_distribution_add(&statistics->of, q ? x : w.real, w.shape);
    statistics->of.channel = channel;
    statistics->levels     = q != NULL;
    statistics->scales     = q ? (size_t)q->count : 0;
    for (int32_t span = q ? q->qmax - q->qmin : 0; span; span >>= 1) statistics->bits++;
    return OCTET_OK;
}
