/* SPDX-License-Identifier: Apache-2.0 */
/* What compare does layer by layer, told tensor by tensor. Everything runs on one worker, sample by sample. */
#include <octet/suite.h>

#include "measure/compare.h"
#include "measure/weights.h"
#include "ops/mode.h"

#include <math.h>
#include <string.h>

typedef struct logging {
    octet_pairing   pairing;
    octet_comparing worker;
    octet_arena    *arena;
    octet_dataset  *data;
    octet_logger    logger;
    void           *context;
} logging;

/* ---- pairs ---- */

static octet_matched pair_of(const octet_node *node, const char *name)
{
    return (octet_matched){ .name = name, .node = node ? node->name : "", .op = node ? node->op->name : "",
                            .merged = node && node->merged ? node->merged : "" };
}

/* A value of the quantized network's run, and these numbers beside it. */
static octet_status log_value(logging *l, size_t sample, const octet_value *value, const float *real, octet_error *err)
{
    octet_matched pair = pair_of(value->producer, value->name);
    pair.quantized     = octet_workspace_value(l->worker.quantized, value);
    if (!real || !pair.quantized.data) return OCTET_OK;
    if (!pair.quantized.qparams && pair.quantized.dtype != OCTET_F32) return OCTET_OK;
    pair.real         = pair.quantized;
    pair.real.dtype   = OCTET_F32;
    pair.real.qparams = NULL;
    pair.real.data    = (float *)real;
    return l->logger(l->context, sample, &pair, err);
}

/* ---- weights ---- */

static octet_status log_weights_at(logging *l, size_t layer, int slot, octet_error *err)
{
    const octet_tensor     *w[2];
    const octet_node *const node = l->pairing.layers[layer].node;
    if (!octet_layer_weights(w, &l->pairing, layer, slot)) return OCTET_OK;
    /* The float network's own name: folding gave the quantized one's another. */
    octet_matched pair = pair_of(node, l->pairing.layers[layer].reference->producer->inputs[slot]->name);
    pair.real          = *w[0];
    pair.quantized     = *node->inputs[slot]->constant;
    return l->logger(l->context, 0, &pair, err);
}

static octet_status log_weights(logging *l, octet_error *err)
{
    for (size_t i = 0; i < l->pairing.layer_count; i++)
        for (int slot = 1; slot <= 2; slot++) OCTET_TRY(log_weights_at(l, i, slot, err));
    return OCTET_OK;
}

/* ---- outputs ---- */

static octet_status log_outputs(logging *l, size_t sample, octet_error *err)
{
    const octet_pairing *const p = &l->pairing;
    for (size_t i = 0; i < p->quantized->input_count; i++)
        if (l->worker.inputs[i].dtype == OCTET_F32)
            OCTET_TRY(log_value(l, sample, p->quantized->inputs[i], l->worker.inputs[i].data, err));
    for (size_t i = 0; i < p->layer_count; i++) {
        const float *const real = octet_workspace_reals(l->worker.real, p->layers[i].reference, l->worker.rooms[0]);
        if (!p->layers[i].add) OCTET_TRY(log_value(l, sample, p->layers[i].value, real, err));
    }
    return OCTET_OK;
}

/* ---- shadows ---- */

/* Runs the float node on what the quantized network feeds its own, in real_again. False: that cannot be. */
static bool run_shadow(logging *l, const octet_layer *layer, octet_error *err)
{
    octet_comparing *const  c    = &l->worker;
    const octet_node *const twin = layer->reference->producer;
    for (int i = 0; i < layer->node->input_count; i++) {
        const octet_value *const in = layer->node->inputs[i];
        if (!in || in->constant || in->dtype != OCTET_F32) continue;
        const octet_layer *const maker = l->pairing.by_value[in->index];
        if (maker && maker->add == layer->node) continue; /* its shadow stands there already */
        const float *const x = octet_workspace_reals(c->quantized, in, c->rooms[0]);
        if (i >= twin->input_count || !x || !octet_workspace_put_reals(c->real_again, twin->inputs[i], x)) return false;
    }
    return octet_workspace_run_node(c->real_again, twin, err) == OCTET_OK;
}

static octet_status log_shadows(logging *l, size_t sample, octet_error *err)
{
    for (size_t i = 0; i < l->pairing.layer_count; i++) {
        const octet_layer *const layer = &l->pairing.layers[i];
        octet_error              why   = { 0 };
        if (!layer->rounds || octet_node_compute_mode(l->pairing.quantized, layer->node) == OCTET_MODE_REAL) continue;
        const bool ran = run_shadow(l, layer, &why);
        if (why.status != OCTET_OK) {
            if (err) *err = why;
            return why.status;
        }
        if (!ran || layer->add) continue;
        const float *const shadow = octet_workspace_reals(l->worker.real_again, layer->reference, l->worker.rooms[0]);
        OCTET_TRY(log_value(l, sample, layer->value, shadow, err));
    }
    return OCTET_OK;
}

/* ---- the three ---- */

static octet_status run_samples(logging *l, octet_status (*each)(logging *l, size_t sample, octet_error *err),
                                octet_error *err)
{
    octet_tensor outputs[OCTET_COMPARED_OUTPUTS];
    OCTET_TRY(octet_inputs_make(&l->worker.inputs, &l->pairing.source, l->arena, err));
    OCTET_TRY(octet_comparing_make(&l->worker, &l->pairing, l->arena, err));
    for (size_t i = 0; i < octet_dataset_count(l->data); i++) {
        OCTET_TRY(octet_inputs_read(l->worker.inputs, &l->pairing.source, 0, i, err));
        OCTET_TRY(octet_run(l->worker.real, l->worker.inputs, outputs, err));
        OCTET_TRY(octet_run(l->worker.quantized, l->worker.inputs, outputs, err));
        OCTET_TRY(each(l, i, err));
    }
    return OCTET_OK;
}

/* each NULL: weights. */
static octet_status run(logging *l, octet_graph *reference, octet_graph *quantized,
                        octet_status (*each)(logging *l, size_t sample, octet_error *err), octet_error *err)
{
    const octet_evaluate_options options = { 0 };
    OCTET_TRY(octet_fuse(reference, err));
    OCTET_TRY(octet_fuse(quantized, err));
    l->arena = octet_arena_new();
    if (!l->arena) return octet_fail_memory(err);
    l->pairing.source.data = l->data;
    octet_status status = octet_pairing_make(&l->pairing, reference, quantized, &options, l->arena, err);
    if (status == OCTET_OK) status = each ? run_samples(l, each, err) : log_weights(l, err);
    octet_comparing_release(&l->worker);
    octet_pairing_release(&l->pairing);
    octet_arena_free(l->arena);
    return status;
}

octet_status octet_compare_weights(octet_graph *reference, octet_graph *quantized, octet_logger logger, void *context,
                                   octet_error *err)
{
    logging l = { .logger = logger, .context = context };
    return run(&l, reference, quantized, NULL, err);
}

octet_status octet_compare_outputs(octet_graph *reference, octet_graph *quantized, octet_dataset *data,
                                   octet_logger logger, void *context, octet_error *err)
{
    logging l = { .data = data, .logger = logger, .context = context };
    return run(&l, reference, quantized, log_outputs, err);
}

octet_status octet_compare_shadow(octet_graph *reference, octet_graph *quantized, octet_dataset *data,
                                  octet_logger logger, void *context, octet_error *err)
{
    logging l = { .data = data, .logger = logger, .context = context };
    return run(&l, reference, quantized, log_shadows, err);
}
