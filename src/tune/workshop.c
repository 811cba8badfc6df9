/* SPDX-License-Identifier: Apache-2.0 */
/* From a configuration to its network. Equalization and calibration do not depend on which layers stay float or on what
   is done to weights and biases afterwards, so their result is kept for the trials that follow. */
#include "tune/tune.h"

#include "graph/copy.h"
#include "quantize/calibration.h"

#include <string.h>

bool octet_tune_config_same(const octet_tune_config *a, const octet_tune_config *b)
{
    if (a->method != b->method || a->percentile != b->percentile || a->equalize != b->equalize ||
        a->rounding != b->rounding || a->bias_correction != b->bias_correction || a->float_count != b->float_count)
        return false;
    for (size_t i = 0; i < a->float_count; i++)
        if (strcmp(a->floats[i], b->floats[i]) != 0) return false;
    return true;
}

static void drop_base(octet_tune_base *base)
{
    octet_graph_free(base->calibrated);
    octet_graph_free(base->fused);
    *base = (octet_tune_base){ 0 };
}

void octet_workshop_free(octet_workshop *w)
{
    for (size_t i = 0; i < OCTET_TUNE_KEPT; i++) drop_base(&w->bases[i]);
}

/* The user's qconfig with config's ranges, and one rule more for each layer that stays float. Which layers 8 bits ruin
   is for the search to find: conversion gives none of them 16. */
static octet_status qconfig_of(octet_qconfig *qconfig, const octet_workshop *w, const octet_tune_config *config,
                               octet_arena *arena, octet_error *err)
{
    octet_layer_rule *rules;
    *qconfig                       = w->qconfig;
    qconfig->activation.method     = config->method;
    qconfig->activation.percentile = config->percentile;
    if (!qconfig->activation.dtype) qconfig->activation.dtype = OCTET_U8;
    OCTET_TRY(octet_arena_get(&rules, arena, w->qconfig.layer_count + config->float_count, sizeof *rules, err));
    if (w->qconfig.layer_count) memcpy(rules, w->qconfig.layers, w->qconfig.layer_count * sizeof *rules);
    for (size_t i = 0; i < config->float_count; i++)
        rules[qconfig->layer_count++] = (octet_layer_rule){ .match = config->floats[i], .keep_float = true };
    qconfig->layers = rules;
    return OCTET_OK;
}

static octet_status prepare(octet_graph *graph, const octet_workshop *w, const octet_tune_config *config,
                            octet_error *err)
{
    octet_qconfig      qconfig;
    octet_arena *const arena  = octet_arena_new();
    octet_status       status = arena ? qconfig_of(&qconfig, w, config, arena, err) : octet_fail_memory(err);
    if (status == OCTET_OK) status = octet_prepare(graph, &qconfig, err);
    octet_arena_free(arena);
    return status;
}

/* ---- bases ---- */

static octet_status make_base(octet_tune_base *base, octet_workshop *w, const octet_tune_config *config,
                              octet_error *err)
{
    const octet_calibrate_options *const options = &w->options->calibrate;
    octet_tune_config                    plain   = *config;
    plain.float_count                            = 0;
    *base = (octet_tune_base){ .method = config->method, .percentile = config->percentile,
                               .equalize = config->equalize };
    OCTET_TRY(octet_graph_copy(&base->fused, w->graph, err));
    if (config->equalize)
        OCTET_TRY(octet_equalize(base->fused, (octet_equalization)(config->equalize - 1), w->data, options, err));
    OCTET_TRY(octet_graph_copy(&base->calibrated, base->fused, err));
    OCTET_TRY(prepare(base->calibrated, w, &plain, err));
    return octet_calibrate(base->calibrated, w->data, options, err);
}

static bool is_of(const octet_tune_base *base, const octet_tune_config *config)
{
    return base->calibrated && config && base->method == config->method && base->percentile == config->percentile &&
           base->equalize == config->equalize;
}

static octet_status find_base(octet_tune_base **base, octet_workshop *w, const octet_tune_config *config,
                              octet_error *err)
{
    octet_tune_base *oldest = NULL;
    for (size_t i = 0; i < OCTET_TUNE_KEPT; i++) {
        octet_tune_base *const b = &w->bases[i];
        if (!is_of(b, w->pinned) && (!oldest || b->used < oldest->used)) oldest = b;
        if (!is_of(b, config)) continue;
        b->used = ++w->clock;
        *base   = b;
        return OCTET_OK;
    }
    drop_base(oldest);
    const octet_status status = make_base(oldest, w, config, err);
    if (status != OCTET_OK) drop_base(oldest);
    oldest->used = ++w->clock;
    *base        = oldest;
    return status;
}

/* ---- the network ---- */

static octet_status calibrated_with(octet_graph **graph, octet_workshop *w, const octet_tune_config *config,
                                    const octet_tune_base *base, octet_error *err)
{
    if (config->float_count == 0) return octet_graph_copy(graph, base->calibrated, err);
    OCTET_TRY(octet_graph_copy(graph, base->fused, err));
    OCTET_TRY(prepare(*graph, w, config, err));
    return octet_calibrate_like(*graph, base->calibrated, w->data, &w->options->calibrate, err);
}

static octet_status finish(octet_graph *graph, octet_workshop *w, const octet_tune_config *config, octet_error *err)
{
    const octet_calibrate_options *const options = &w->options->calibrate;
    if (config->rounding == OCTET_ROUND_FEEDBACK) OCTET_TRY(octet_round_weights(graph, w->data, options, err));
    if (config->bias_correction != OCTET_BIAS_MEAN)
        OCTET_TRY(octet_correct_biases(graph, config->bias_correction, w->data, options, err));
    OCTET_TRY(octet_convert(graph, err));
    return octet_graph_own(graph, err); /* its base goes before it does */
}

octet_status octet_workshop_make(octet_graph **quantized, octet_workshop *w, const octet_tune_config *config,
                                 octet_error *err)
{
    octet_tune_base *base;
    octet_graph     *graph = NULL;
    *quantized             = NULL;
    OCTET_TRY(find_base(&base, w, config, err));
    octet_status status = calibrated_with(&graph, w, config, base, err);
    if (status == OCTET_OK) status = finish(graph, w, config, err);
    if (status == OCTET_OK) *quantized = graph;
    else octet_graph_free(graph);
    return status;
}

octet_status octet_workshop_fused(octet_graph **fused, octet_workshop *w, const octet_tune_config *config,
                                  octet_error *err)
{
    octet_tune_base *base;
    OCTET_TRY(find_base(&base, w, config, err));
    *fused = base->fused;
    return OCTET_OK;
}
