/* SPDX-License-Identifier: Apache-2.0 */
/* What one layer does to the output, by running again what depends on it: the float network with that layer quantized,
   and the quantized network with that layer in float. In the latter the layer reads its inputs as they were before they
   were rounded, which the unrounded network tells, except where they are levels anyhow; and its result is rounded where
   readers want levels. */
#include "measure/compare.h"

#include "ops/mode.h"

/* Adds the squared errors of every output to `squares`. which: 0 the float network's outputs, 1 the quantized one's. */
static void add_squares(octet_comparing *c, double *squares, octet_workspace *workspace, int which)
{
    const octet_pairing *const p = c->pairing;
    for (size_t o = 0; o < p->output_count; o++) {
        octet_sqnr         sum      = { 0 };
        const float *const measured = octet_workspace_reals(workspace, p->outputs[o][which], c->rooms[2]);
        if (!measured || !c->outputs[o]) continue;
        octet_sqnr_add(&sum, c->outputs[o], measured, octet_compared_count(p->real_plan, p->outputs[o][0]));
        squares[o] += sum.noise;
    }
}

octet_status octet_effect_only(octet_comparing *c, const octet_layer *layer, const float *numbers, octet_error *err)
{
    octet_layer_sums *const sums = &c->sums.layers[layer - c->pairing->layers];
    OCTET_TRY(octet_workspace_rerun_reals(c->real_again, c->real, layer->reference, numbers, err));
    add_squares(c, sums->only, c->real_again, 0);
    sums->only_count++;
    return OCTET_OK;
}

/* ---- one layer in float ---- */

/* Whether node's result is levels whoever reads it (quantize/place.c decides so). */
static bool always_rounds(const octet_node *node)
{
    return node->op->quant == OCTET_QUANT_RESCALE && !(node->op->flags & OCTET_OP_FUNCTION);
}

/* Whether node is in float as soon as nobody wants its levels: what was rounded is then rounded further up. */
static bool hands_on(const octet_node *node)
{
    return node->op->quant != OCTET_QUANT_MAC && node->op->quant != OCTET_QUANT_CONCAT;
}

/* Whether value is real numbers that somebody computes. */
static bool is_computed(const octet_value *value) { return value && !value->constant && value->dtype == OCTET_F32; }

static bool stays_in_sum(const octet_pairing *p, const octet_value *value, const octet_node *reader)
{
    return value->producer && octet_node_fused_add(p->quantized, value->producer) == reader;
}

/* Whether value is levels also without this reader. */
static bool others_want_levels(const octet_pairing *p, const octet_value *value, const octet_node *reader)
{
    for (size_t i = 0; i < value->use_count; i++) {
        const octet_node *const node = value->uses[i].node;
        const octet_node_mode   mode = octet_node_compute_mode(p->quantized, node);
        if (node != reader && mode != OCTET_MODE_REAL && mode != OCTET_MODE_DYNAMIC) return true;
    }
    return false;
}

/* What a run's value is, put elsewhere. */
static bool move(octet_workspace *to, const octet_value *as, const octet_workspace *from, const octet_value *value,
                 float *room)
{
    const float *const x = octet_workspace_reals(from, value, room);
    return x && octet_workspace_put_reals(to, as, x);
}

static bool unround(octet_comparing *c, const octet_value *value, const octet_node *reader, octet_error *err);

/* Gives node of the unrounded network what the quantized network's run gives it. Chains of nodes that hand on are
   short: the depth of this recursion is theirs. */
static bool put_inputs(octet_comparing *c, const octet_node *node, const octet_node *twin, octet_error *err)
{
    const octet_pairing *const p = c->pairing;
    for (int i = 0; i < node->input_count; i++) {
        const octet_value *const in = node->inputs[i];
        if (!is_computed(in)) continue;
        const bool further = hands_on(node) || stays_in_sum(p, in, node);
        if (!(further ? unround(c, in, node, err) : move(c->unrounded, twin->inputs[i], c->quantized, in, c->rooms[2])))
            return false;
    }
    return true;
}

/* Makes the unrounded network hold value (one of the quantized network) as reader would read it if it were in float:
   before its rounding, unless that is for others too. False: that cannot be told. */
static bool unround(octet_comparing *c, const octet_value *value, const octet_node *reader, octet_error *err)
{
    const octet_pairing *const p    = c->pairing;
    const octet_value *const   to   = octet_graph_find_value(p->unrounded, value->name);
    const octet_node *const    node = value->producer, *const twin = to ? to->producer : NULL;
    if (!to) return false;
    if (others_want_levels(p, value, reader) || (node && always_rounds(node)))
        return move(c->unrounded, to, c->quantized, value, c->rooms[2]);
    if (value->is_input)
        return octet_workspace_put_reals(c->unrounded, to, c->inputs[octet_compared_input(p->quantized, value)].data);
    if (!node || !twin) return false;
    if (!put_inputs(c, node, twin, err)) return false;
    return octet_workspace_run_node(c->unrounded, twin, err) == OCTET_OK;
}

/* The float layer on unrounded inputs, in real_again. */
static bool run_float(octet_comparing *c, const octet_layer *layer, octet_error *err)
{
    const octet_node *const twin = layer->reference->producer;
    for (int i = 0; i < layer->node->input_count; i++) {
        const octet_value *const in = layer->node->inputs[i];
        if (!is_computed(in)) continue;
        if (i >= twin->input_count || !unround(c, in, layer->node, err) ||
            !move(c->real_again, twin->inputs[i], c->unrounded,
                  octet_graph_find_value(c->pairing->unrounded, in->name), c->rooms[2]))
            return false;
    }
    return octet_workspace_run_node(c->real_again, twin, err) == OCTET_OK;
}

/* The Add that the float layer's result is summed in: with its other input as it is. */
static bool run_add(octet_comparing *c, const octet_layer *layer, const octet_layer *sum, octet_error *err)
{
    const int                slot  = layer->add->inputs[0] == layer->value;
    const octet_value *const other = layer->add->inputs[slot];
    const octet_value *const in    = octet_graph_find_value(c->pairing->real, other->name);
    return in && move(c->real_again, in, c->quantized, other, c->rooms[2]) &&
           octet_workspace_run_node(c->real_again, sum->reference->producer, err) == OCTET_OK;
}

static octet_status measure_without(octet_comparing *c, const octet_layer *layer, octet_error *err)
{
    const octet_pairing *const p    = c->pairing;
    const octet_layer *const   made = layer->add ? p->by_value[layer->add->outputs[0]->index] : layer;
    octet_layer_sums *const    sums = &c->sums.layers[layer - p->layers];
    octet_error                why  = { 0 };
    const bool ran = made && run_float(c, layer, &why) && (!layer->add || run_add(c, layer, made, &why));
    if (why.status != OCTET_OK) {
        if (err) *err = why;
        return why.status;
    }
    const float *const numbers = ran ? octet_workspace_reals(c->real_again, made->reference, c->rooms[0]) : NULL;
    if (!numbers) return OCTET_OK;
    OCTET_TRY(octet_workspace_rerun_reals(c->quantized_again, c->quantized, made->value, numbers, err));
    add_squares(c, sums->without, c->quantized_again, 1);
    sums->without_count++;
    return OCTET_OK;
}

octet_status octet_effects_without(octet_comparing *c, octet_error *err)
{
    for (size_t i = 0; i < c->pairing->layer_count; i++)
        if (c->pairing->layers[i].rounds) OCTET_TRY(measure_without(c, &c->pairing->layers[i], err));
    return OCTET_OK;
}
