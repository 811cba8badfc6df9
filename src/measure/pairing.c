/* SPDX-License-Identifier: Apache-2.0 */
/* Which node of the quantized network is which of the float one: by the names of their values. */
#include "measure/compare.h"

#include "graph/copy.h"
#include "ops/check.h"
#include "ops/mode.h"
#include "passes/integerize.h"
#include "passes/pass.h"

#include <string.h>

/* ---- the unrounded network ---- */

static octet_status strip(octet_graph *graph, octet_error *err)
{
    OCTET_TRY(octet_real_constants(graph, err));
    for (octet_value *v = graph->values; v; v = v->next) v->fake_quantize = NULL;
    graph->stage = OCTET_STAGE_FUSED;
    return octet_graph_check(graph, err);
}

octet_status octet_unrounded(octet_graph **unrounded, const octet_graph *quantized, octet_error *err)
{
    return octet_graph_changed_copy(unrounded, quantized, strip, err);
}

/* ---- whether they match ---- */

static octet_status differs(const octet_node *node, const char *why, octet_error *err)
{
    octet_fail(err, OCTET_ERR_SHAPE, "%s", why);
    octet_error_node(err, node->name);
    return OCTET_ERR_SHAPE;
}

/* What a file may add to a network without being another one. */
static bool is_extra(const octet_node *node)
{
    static const char *const names[] = { "QuantizeLinear", "DequantizeLinear", "Cast", "Identity" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(node->op->name, names[i])) return true;
    return false;
}

/* Whether b's node computes a's operator and the activation behind it, which the quantized network (PyTorch's targets)
   keeps apart. */
static bool absorbs(const octet_value *b, const octet_node *a)
{
    return b && b->producer && a && b->producer->op == a->op && b->producer->activation.on;
}

/* Such an operator, and such an activation. */
static bool is_part(const octet_node *node, const octet_value *twin, const octet_graph *real)
{
    const octet_value *const out = node->outputs[0];
    if (twin) return node->input_count && absorbs(twin, node->inputs[0]->producer);
    const octet_value *const next = out->use_count == 1 ? out->uses[0].node->outputs[0] : NULL;
    return next && absorbs(octet_graph_find_value(real, next->name), node);
}

static octet_status check_twin(const octet_node *node, const octet_graph *real, octet_error *err)
{
    const octet_value *const out  = node->output_count ? node->outputs[0] : NULL;
    const octet_value *const twin = out ? octet_graph_find_value(real, out->name) : NULL;
    if (!out || is_extra(node) || is_part(node, twin, real)) return OCTET_OK;
    if (!twin || !twin->producer)
        return differs(node, "the networks do not match: the float network has no value of this node's name (this is "
                             "the first node that differs)", err);
    if (twin->producer->op != node->op)
        return differs(node, "the networks do not match: the float network has another operator here (this is the "
                             "first node that differs)", err);
    if (node->op->quant != OCTET_QUANT_MAC || node->input_count < 2) return OCTET_OK;
    const octet_tensor *const a = node->inputs[1]->constant, *const b = twin->producer->inputs[1]->constant;
    if (a && b && !octet_same_dims(a, b))
        return differs(node, "the networks do not match: the float network has weights of another shape here (this is "
                             "the first node that differs)", err);
    return OCTET_OK;
}

/* A product that the quantized network lacks: it is another network. */
static octet_status check_missing(const octet_node *node, const octet_graph *quantized, octet_error *err)
{
    if (node->op->quant != OCTET_QUANT_MAC || octet_graph_find_value(quantized, node->outputs[0]->name))
        return OCTET_OK;
    return differs(node, "the networks do not match: the quantized network has no value of this node's name (this is "
                         "the first node that differs)", err);
}

static octet_status check_match(const octet_pairing *p, octet_error *err)
{
    if (p->real->input_count != p->quantized->input_count || !p->real->input_count)
        return octet_fail(err, OCTET_ERR_SHAPE, "the networks do not match: they have %zu and %zu inputs",
                          p->real->input_count, p->quantized->input_count);
    for (const octet_node *n = p->quantized->first; n; n = n->next) OCTET_TRY(check_twin(n, p->real, err));
    for (const octet_node *n = p->real->first; n; n = n->next) OCTET_TRY(check_missing(n, p->quantized, err));
    return OCTET_OK;
}

/* ---- layers ---- */

static bool reads_levels(const octet_graph *graph, const octet_node *node)
{
    for (int i = 0; i < node->input_count; i++)
        if (octet_value_levels(graph, node->inputs[i])) return true;
    return false;
}

size_t octet_compared_count(const octet_plan *plan, const octet_value *value)
{
    const octet_tensor shape = octet_plan_shape(plan, value);
    return (size_t)octet_tensor_count(&shape);
}

static void add_layer(octet_pairing *p, const octet_node *node)
{
    const octet_value *const out  = node->output_count ? node->outputs[0] : NULL;
    const octet_value *const twin = out ? octet_graph_find_value(p->real, out->name) : NULL;
    if (!twin || !twin->producer || out->dtype != OCTET_F32 || twin->dtype != OCTET_F32) return;
    octet_layer *const layer = &p->layers[p->layer_count++];
    *layer = (octet_layer){
        .node = node, .value = out, .reference = twin, .add = octet_node_fused_add(p->quantized, node),
        .unrounded = octet_graph_find_node(p->unrounded, node->name),
        .rounds    = !(node->op->flags & OCTET_OP_VIEW) && reads_levels(p->quantized, node) &&
                  twin->producer->op == node->op,
    };
    p->by_value[out->index] = layer;
}

/* Both sides of an output, or of what it is judged by, where both have that. */
static void pair_output(octet_pairing *p, const octet_value *real, const octet_value *quantized)
{
    if (real->dtype != OCTET_F32 || quantized->dtype != OCTET_F32) return;
    const octet_value *const judged = octet_judged_value(quantized);
    const octet_value *const twin   = octet_graph_find_value(p->real, judged->name);
    const bool               both   = judged != quantized && twin && twin->dtype == OCTET_F32;
    if (!p->first[0]) p->first[0] = real, p->first[1] = quantized;
    p->outputs[p->output_count][0]   = both ? twin : real;
    p->outputs[p->output_count++][1] = both ? judged : quantized;
}

static void pair_outputs(octet_pairing *p)
{
    for (size_t i = 0; i < p->quantized->output_count && p->output_count < OCTET_COMPARED_OUTPUTS; i++) {
        const octet_value *const out   = p->quantized->outputs[i];
        const octet_value       *twin  = octet_graph_find_value(p->real, out->name);
        const bool               alike = p->real->output_count == p->quantized->output_count;
        if (!twin && alike) twin = p->real->outputs[i];
        if (twin) pair_output(p, twin, out);
    }
}

static octet_status list_layers(octet_pairing *p, octet_arena *arena, octet_error *err)
{
    const octet_graph *const q = p->quantized;
    OCTET_TRY(octet_arena_get(&p->layers, arena, (size_t)q->node_count, sizeof *p->layers, err));
    OCTET_TRY(octet_arena_get(&p->by_value, arena, (size_t)q->value_count, sizeof(octet_layer *), err));
    for (const octet_node *n = q->first; n; n = n->next) add_layer(p, n);
    pair_outputs(p);
    return OCTET_OK;
}

/* The shapes of all samples: those of the first. */
static octet_status find_shapes(octet_pairing *p, octet_arena *arena, octet_error *err)
{
    const octet_dataset *const data = p->source.data;
    p->source = (octet_inputs){ .graph = p->real, .data = data, .batch = 1, .port_count = p->real->input_count };
    return data ? octet_inputs_shapes(&p->shapes, &p->source, arena, err) : OCTET_OK;
}

static octet_status make_plan(octet_plan **plan, const octet_pairing *p, const octet_graph *graph,
                              const octet_plan_options *options, octet_error *err)
{
    octet_plan_options how = *options;
    how.inputs = p->shapes;
    how.batch = 1, how.keep_values = how.reals = true;
    return octet_plan_create(plan, graph, &how, err);
}

static void take_count(octet_pairing *p, const octet_value *value)
{
    const size_t count = octet_compared_count(p->quantized_plan, value);
    if (count > p->most) p->most = count;
}

/* Room for any value, and the same shapes on both sides. */
static octet_status measure_values(octet_pairing *p, octet_error *err)
{
    p->most = 1;
    for (size_t i = 0; i < p->layer_count; i++) {
        const octet_node *const node  = p->layers[i].node;
        const octet_tensor      shape = octet_plan_shape(p->quantized_plan, p->layers[i].value);
        const octet_tensor      twin  = octet_plan_shape(p->real_plan, p->layers[i].reference);
        if (!octet_same_dims(&shape, &twin))
            return differs(node, "the networks do not match: the float network's output has another shape here (this "
                                 "is the first node that differs)", err);
        for (int k = 0; k < node->input_count; k++)
            if (node->inputs[k]) take_count(p, node->inputs[k]);
        take_count(p, p->layers[i].value);
    }
    for (const octet_value *v = p->quantized->values; v; v = v->next)
        if ((v->producer || v->is_input) && v->dtype != OCTET_F32 && !octet_plan_shape(p->quantized_plan, v).data)
            p->has_integers = true;
    return OCTET_OK;
}

octet_status octet_pairing_make(octet_pairing *pairing, octet_graph *real, octet_graph *quantized,
                                const octet_evaluate_options *options, octet_arena *arena, octet_error *err)
{
    pairing->real      = real;
    pairing->quantized = quantized;
    OCTET_TRY(check_match(pairing, err));
    OCTET_TRY(octet_unrounded(&pairing->unrounded, quantized, err));
    OCTET_TRY(octet_graph_copy(&pairing->folded, real, err));
    OCTET_TRY(octet_pass_fold_batch_norm(pairing->folded, err));
    OCTET_TRY(list_layers(pairing, arena, err));
    OCTET_TRY(find_shapes(pairing, arena, err));
    OCTET_TRY(make_plan(&pairing->real_plan, pairing, real, &options->baseline_plan, err));
    OCTET_TRY(make_plan(&pairing->quantized_plan, pairing, quantized, &options->plan, err));
    OCTET_TRY(make_plan(&pairing->unrounded_plan, pairing, pairing->unrounded, &options->baseline_plan, err));
    return measure_values(pairing, err);
}

void octet_pairing_release(octet_pairing *pairing)
{
    octet_plan_free(pairing->real_plan);
    octet_plan_free(pairing->quantized_plan);
    octet_plan_free(pairing->unrounded_plan);
    octet_graph_free(pairing->unrounded);
    octet_graph_free(pairing->folded);
}
