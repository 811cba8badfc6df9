/* SPDX-License-Identifier: Apache-2.0 */
/* One sample through both networks, and then every layer of the quantized one alone: fed what the float network
   computed, rounded to the layer's inputs. */
#include "measure/compare.h"

/* ---- one layer ---- */

/* own: what the layer made of the float network's values. */
static octet_status look_closer(octet_comparing *c, const octet_layer *layer, const float *reference, const float *own,
                                octet_error *err)
{
    if (c->look) OCTET_TRY(c->look(c->context, layer, reference, own, err));
    if (c->wanted & OCTET_WANT_ORIGINS) OCTET_TRY(octet_origins_gather(c, layer, reference, own, err));
    return c->wanted & OCTET_WANT_ONLY ? octet_effect_only(c, layer, own, err) : OCTET_OK;
}

/* Sums that stay in an Add's accumulator are not rounded: their own error shows in the unrounded network, fed rounded
   values. fed holds these. */
static octet_status compare_summed(octet_comparing *c, const octet_layer *layer, octet_error *err)
{
    const octet_pairing *const p    = c->pairing;
    octet_layer_sums *const    sums = &c->sums.layers[layer - p->layers];
    for (int i = 0; i < layer->node->input_count; i++) {
        const octet_value *const in = layer->node->inputs[i];
        if (!in || in->constant) continue;
        const float *const x = octet_workspace_reals(c->fed, in, c->rooms[0]);
        if (!x || !octet_workspace_put_reals(c->unrounded, layer->unrounded->inputs[i], x)) return OCTET_OK;
    }
    OCTET_TRY(octet_workspace_run_node(c->unrounded, layer->unrounded, err));
    const float *const reference = octet_workspace_reals(c->real, layer->reference, c->rooms[0]);
    const float *const own = octet_workspace_reals(c->unrounded, layer->unrounded->outputs[0], c->rooms[1]);
    if (!reference || !own) return OCTET_OK;
    octet_sqnr_add(&sums->local, reference, own, octet_compared_count(p->quantized_plan, layer->value));
    return look_closer(c, layer, reference, own, err);
}

/* A layer, and what only it reads and the float network does not know: the sum before an activation. */
static octet_status run_fed(octet_comparing *c, const octet_layer *layer, octet_error *err)
{
    const octet_pairing *const p     = c->pairing;
    const octet_node *const    first = layer->node->input_count ? layer->node->inputs[0]->producer : NULL;
    if (first && !octet_graph_find_value(p->real, first->outputs[0]->name))
        OCTET_TRY(octet_workspace_run_node(c->fed, first, err));
    return octet_workspace_run_node(c->fed, layer->node, err);
}

static octet_status compare_layer(octet_comparing *c, const octet_layer *layer, octet_error *err)
{
    const octet_pairing *const p    = c->pairing;
    octet_layer_sums *const    sums = &c->sums.layers[layer - p->layers];
    if (!octet_workspace_raw(c->real, layer->reference).data) return OCTET_OK;
    OCTET_TRY(run_fed(c, layer, err));
    const bool closer = layer->rounds && (c->wanted || c->look);
    if (!closer && octet_compare_blocks(c, layer)) return OCTET_OK;
    const float *const reference = octet_workspace_reals(c->real, layer->reference, c->rooms[0]);
    const float *const own       = octet_workspace_reals(c->fed, layer->value, c->rooms[1]);
    const float *const whole     = octet_workspace_reals(c->quantized, layer->value, c->rooms[2]);
    if (!reference || !own || !whole) return OCTET_OK;
    const size_t count = octet_compared_count(p->quantized_plan, layer->value);
    octet_sqnr_add(&sums->accumulated, reference, whole, count);
    octet_sqnr_add(&sums->local, reference, own, count);
    if (closer) OCTET_TRY(look_closer(c, layer, reference, own, err));
    octet_workspace_put_reals(c->fed, layer->value, reference);
    return OCTET_OK;
}

static octet_status compare_layers(octet_comparing *c, octet_error *err)
{
    const octet_pairing *const p = c->pairing;
    octet_tensor               outputs[OCTET_COMPARED_OUTPUTS];
    octet_workspace *const     fed[] = { c->fed, c->unrounded, c->real_again };
    for (size_t i = 0; p->has_integers && i < sizeof fed / sizeof *fed; i++)
        OCTET_TRY(octet_run(fed[i], c->inputs, outputs, err));
    for (size_t i = 0; i < p->quantized->input_count; i++)
        if (c->inputs[i].dtype == OCTET_F32)
            octet_workspace_put_reals(c->fed, p->quantized->inputs[i], c->inputs[i].data);
    if (c->wanted & OCTET_WANT_ORIGINS) octet_origins_gather_inputs(c);
    for (size_t i = 0; i < p->layer_count; i++)
        OCTET_TRY((p->layers[i].add ? compare_summed : compare_layer)(c, &p->layers[i], err));
    return OCTET_OK;
}

/* ---- a sample ---- */

/* What the networks give. */
static void compare_first(octet_comparing *c)
{
    const octet_pairing *const p = c->pairing;
    if (!p->first[0]) return;
    const float *const real     = octet_workspace_reals(c->real, p->first[0], c->rooms[0]);
    const float *const measured = octet_workspace_reals(c->quantized, p->first[1], c->rooms[1]);
    if (real && measured)
        octet_sqnr_add(&c->sums.output, real, measured, octet_compared_count(p->real_plan, p->first[0]));
}

/* What effects are judged by. */
static void compare_outputs(octet_comparing *c)
{
    const octet_pairing *const p = c->pairing;
    for (size_t o = 0; o < p->output_count; o++) {
        octet_sqnr sum = { 0 };
        c->outputs[o]  = octet_workspace_reals(c->real, p->outputs[o][0], c->output_rooms[o]);
        const float *const measured = octet_workspace_reals(c->quantized, p->outputs[o][1], c->rooms[0]);
        if (!c->outputs[o] || !measured) continue;
        octet_sqnr_add(&sum, c->outputs[o], measured, octet_compared_count(p->real_plan, p->outputs[o][0]));
        c->sums.signal[o] += sum.signal;
        c->sums.noise[o] += sum.noise;
    }
}

octet_status octet_compare_sample(octet_comparing *c, octet_error *err)
{
    octet_tensor outputs[OCTET_COMPARED_OUTPUTS];
    OCTET_TRY(octet_run(c->real, c->inputs, outputs, err));
    OCTET_TRY(octet_run(c->quantized, c->inputs, outputs, err));
    compare_first(c);
    if (!c->layers) return OCTET_OK;
    if (c->wanted) compare_outputs(c);
    OCTET_TRY(compare_layers(c, err));
    c->sums.samples++;
    return c->wanted & OCTET_WANT_WITHOUT ? octet_effects_without(c, err) : OCTET_OK;
}

/* ---- making ---- */

octet_status octet_comparing_make(octet_comparing *c, const octet_pairing *pairing, octet_arena *arena,
                                  octet_error *err)
{
    c->pairing = pairing;
    OCTET_TRY(octet_workspace_create(&c->real, pairing->real_plan, err));
    OCTET_TRY(octet_workspace_create(&c->quantized, pairing->quantized_plan, err));
    OCTET_TRY(octet_workspace_create(&c->fed, pairing->quantized_plan, err));
    OCTET_TRY(octet_workspace_create(&c->real_again, pairing->real_plan, err));
    OCTET_TRY(octet_workspace_create(&c->quantized_again, pairing->quantized_plan, err));
    OCTET_TRY(octet_workspace_create(&c->unrounded, pairing->unrounded_plan, err));
    for (size_t i = 0; i < sizeof c->rooms / sizeof *c->rooms; i++)
        OCTET_TRY(octet_arena_get(&c->rooms[i], arena, pairing->most, sizeof(float), err));
    for (size_t o = 0; o < pairing->output_count; o++)
        OCTET_TRY(octet_arena_get(&c->output_rooms[o], arena,
                                  octet_compared_count(pairing->real_plan, pairing->outputs[o][0]), sizeof(float),
                                  err));
    return octet_compared_make(&c->sums, pairing, arena, err);
}

void octet_comparing_release(octet_comparing *c)
{
    octet_workspace_free(c->real);
    octet_workspace_free(c->quantized);
    octet_workspace_free(c->fed);
    octet_workspace_free(c->real_again);
    octet_workspace_free(c->quantized_again);
    octet_workspace_free(c->unrounded);
}
