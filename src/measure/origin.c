/* SPDX-License-Identifier: Apache-2.0 */
/* Where a layer's own error comes from. It runs with its weights rounded and nothing else, with its inputs rounded and
   nothing else, with its inputs cut to their ranges and not rounded; the rest is the rounding and cutting of its
   output. */
#include "measure/compare.h"

#include "base/channels.h"
#include "ops/levels.h"
#include "ops/mode.h"

#include <math.h>

enum { ROW = 512 };

/* ---- sums ---- */

const octet_value *octet_origin_value(const octet_pairing *p, size_t index)
{
    return index < p->layer_count ? p->layers[index].value : p->quantized->inputs[index - p->layer_count];
}

static octet_tensor shape_of(const octet_pairing *p, size_t index)
{
    return octet_plan_shape(p->quantized_plan, octet_origin_value(p, index));
}

/* Channels lie along dimension 1. */
static octet_channel_shape channels_of(const octet_tensor *shape)
{
    if (shape->rank < 2) return octet_channels_of(shape, 1, 0);
    return octet_channels_along(shape, 1);
}

octet_status octet_origins_make(octet_origins *o, const octet_pairing *pairing, size_t layer, octet_arena *arena,
                                octet_error *err)
{
    const octet_tensor shape = shape_of(pairing, layer);
    *o                       = (octet_origins){ .channels = channels_of(&shape).channels };
    OCTET_TRY(octet_arena_get(&o->lo, arena, o->channels, sizeof *o->lo, err));
    OCTET_TRY(octet_arena_get(&o->hi, arena, o->channels, sizeof *o->hi, err));
    OCTET_TRY(octet_arena_get(&o->shift, arena, o->channels, sizeof *o->shift, err));
    return octet_arena_get(&o->squares, arena, o->channels, sizeof *o->squares, err);
}

void octet_origins_take(octet_origins *into, octet_origins *from)
{
    if (!from->seen) return;
    into->weights += from->weights, into->inputs += from->inputs, into->cut += from->cut;
    into->rounded += from->rounded, into->clipped += from->clipped, into->total += from->total;
    into->beyond += from->beyond, into->count += from->count;
    for (size_t k = 0; k < from->channels; k++) {
        into->lo[k] = into->seen ? fminf(into->lo[k], from->lo[k]) : from->lo[k];
        into->hi[k] = into->seen ? fmaxf(into->hi[k], from->hi[k]) : from->hi[k];
        into->shift[k] += from->shift[k];
        into->squares[k] += from->squares[k];
        from->shift[k] = from->squares[k] = 0;
    }
    into->seen    = true;
    from->weights = from->inputs = from->cut = from->rounded = from->clipped = from->total = 0;
    from->beyond = from->count = 0;
    from->seen                 = false;
}

/* ---- one value ---- */

/* x cut to the range of q, and rounded to its levels unless only_cut. */
static void through_levels(float *to, const float *x, size_t count, const octet_qparams *q, bool only_cut)
{
    const float            lo = octet_level_real(q, q->qmin), hi = octet_level_real(q, q->qmax);
    const octet_level_rule rule = { q->scale[0], q->zero_point[0], q->qmin, q->qmax };
    int32_t                level[ROW];
    for (size_t i = 0; i < count; i += ROW) {
        const size_t n = count - i < ROW ? count - i : ROW;
        if (!only_cut) octet_profile_octet.quantize(level, x + i, n, &rule);
        for (size_t k = 0; k < n; k++) {
            const float cut = x[i + k] < lo ? lo : x[i + k] > hi ? hi : x[i + k];
            to[i + k] = only_cut ? cut : (float)(level[k] - rule.zero_point) * rule.scale;
        }
    }
}

/* Rounding and cutting of the value itself: rounded is what its levels make of it. */
static void add_rounding(octet_origins *o, const float *x, const float *rounded, size_t count, const octet_qparams *q)
{
    const float half = 0.5f * q->scale[0];
    const float lo = octet_level_real(q, q->qmin) - half, hi = octet_level_real(q, q->qmax) + half;
    for (size_t i = 0; i < count; i++) {
        const double d = (double)x[i] - (double)rounded[i];
        const bool   beyond = x[i] < lo || x[i] > hi;
        o->beyond += beyond;
        if (beyond) o->clipped += d * d;
        else o->rounded += d * d;
    }
}

/* Ranges of channels, and how the layer's own result differs in them (own may be NULL). */
static void add_channels(octet_origins *o, const octet_tensor *shape, const float *x, const float *own)
{
    const octet_channel_shape s  = channels_of(shape);
    size_t                    at = 0;
    for (size_t n = 0; n < s.outer; n++)
        for (size_t c = 0; c < s.channels; c++) {
            float  lo = o->seen || n ? o->lo[c] : x[at], hi = o->seen || n ? o->hi[c] : x[at];
            double shift = 0, squares = 0;
            for (size_t i = 0; i < s.inner; i++, at++) {
                const double d = own ? (double)own[at] - (double)x[at] : 0;
                lo = x[at] < lo ? x[at] : lo, hi = x[at] > hi ? x[at] : hi;
                shift += d;
                squares += d * d;
            }
            o->lo[c] = lo, o->hi[c] = hi;
            o->shift[c] += shift;
            o->squares[c] += squares;
            o->total += squares;
        }
}

static void add_value(octet_comparing *c, size_t origin, const octet_value *value, const float *x, const float *own)
{
    octet_origins *const       o     = &c->sums.origins[origin];
    const octet_tensor         shape = shape_of(c->pairing, origin);
    const octet_qparams *const q     = octet_value_levels(c->pairing->quantized, value);
    const size_t               count = (size_t)octet_tensor_count(&shape);
    if (!count) return;
    if (q && q->count == 1) {
        through_levels(c->rooms[2], x, count, q, false);
        add_rounding(o, x, c->rooms[2], count, q);
    }
    add_channels(o, &shape, x, own);
    o->count += count;
    o->seen = true;
}

void octet_origins_gather_inputs(octet_comparing *c)
{
    const octet_pairing *const p = c->pairing;
    for (size_t i = 0; i < p->quantized->input_count; i++)
        if (c->inputs[i].dtype == OCTET_F32)
            add_value(c, p->layer_count + i, p->quantized->inputs[i], c->inputs[i].data, NULL);
}

/* ---- the layer with one thing rounded ---- */

typedef enum what { WEIGHTS, INPUTS, CUT } what;

/* The squared error of the layer's output with one of its origins alone; 0 where it has none. */
static octet_status error_with(double *squares, octet_comparing *c, const octet_layer *layer, const float *reference,
                               what origin, octet_error *err)
{
    const octet_pairing *const p    = c->pairing;
    octet_workspace *const     ws   = origin == WEIGHTS ? c->unrounded : c->real_again;
    const octet_node *const    node = origin == WEIGHTS ? layer->unrounded : layer->reference->producer;
    octet_sqnr                 sum  = { 0 };
    for (int i = 0; i < layer->node->input_count; i++) {
        const octet_value *const in   = layer->node->inputs[i];
        const octet_value *const twin = in ? octet_graph_find_value(p->real, in->name) : NULL;
        if (!in || in->constant || in->dtype != OCTET_F32) continue;
        const float *const         x = twin ? octet_workspace_reals(c->real, twin, c->rooms[2]) : NULL;
        const octet_qparams *const q = octet_value_levels(p->quantized, in);
        if (!x || i >= node->input_count) return OCTET_OK;
        const bool round = origin != WEIGHTS && q && q->count == 1;
        if (round) through_levels(c->rooms[3], x, octet_compared_count(p->quantized_plan, in), q, origin == CUT);
        if (!octet_workspace_put_reals(ws, node->inputs[i], round ? c->rooms[3] : x)) return OCTET_OK;
    }
    OCTET_TRY(octet_workspace_run_node(ws, node, err));
    const float *const measured = octet_workspace_reals(ws, node->outputs[0], c->rooms[2]);
    if (!measured) return OCTET_OK;
    octet_sqnr_add(&sum, reference, measured, octet_compared_count(p->quantized_plan, layer->value));
    *squares += sum.noise;
    return OCTET_OK;
}

octet_status octet_origins_gather(octet_comparing *c, const octet_layer *layer, const float *reference,
                                  const float *own, octet_error *err)
{
    const size_t         index = (size_t)(layer - c->pairing->layers);
    octet_origins *const o     = &c->sums.origins[index];
    add_value(c, index, layer->value, reference, own);
    if (layer->unrounded->op->quant == OCTET_QUANT_MAC)
        OCTET_TRY(error_with(&o->weights, c, layer, reference, WEIGHTS, err));
    OCTET_TRY(error_with(&o->inputs, c, layer, reference, INPUTS, err));
    return error_with(&o->cut, c, layer, reference, CUT, err);
}
