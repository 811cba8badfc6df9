/* SPDX-License-Identifier: Apache-2.0 */
/* From calibrated to quantized: weights and biases become integers, nothing observes any more. */
#include "quantize/calibration.h"

#include "ops/mode.h"
#include "ops/profile.h"
#include "passes/integerize.h"
#include "passes/pass.h"

/* Batch norms end, and what was trained is what FakeQuantize hold. */
static octet_status end_training(octet_graph *graph, octet_error *err)
{
    for (octet_value *v = graph->values; v; v = v->next) {
        if (!v->fake_quantize) continue;
        if (!v->fake_quantize->qparams.count)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "'%.80s' has no trained parameters: octet_trainer_store first",
                              v->name);
        v->fake_quantize->trained = NULL;
    }
    graph->training = false;
    graph->stage    = OCTET_STAGE_CALIBRATED;
    return octet_pass_fold_batch_norm(graph, err);
}

/* A file has levels of eight bits only. */
static octet_status note_bits(octet_graph *graph, octet_error *err)
{
    const octet_quantizer *const weight = &graph->calibration->qconfig.weight;
    const octet_levels_range     levels = octet_quantizer_levels(weight, true);
    int                          bits   = 2;
    while (bits < 8 && (1 << (bits - 1)) - 1 < levels.qmax) bits++;
    if (weight->off || levels.dtype != OCTET_I8 || bits == 8) return OCTET_OK;
    const char *const text = octet_arena_format(graph->arena, "s%d", bits);
    return text ? octet_graph_set_metadata(graph, OCTET_WEIGHT_BITS, text, err) : octet_fail_memory(err);
}

octet_status octet_convert(octet_graph *graph, octet_error *err)
{
    const octet_calibration *const c = graph->calibration;
    if (graph->training && c) OCTET_TRY(end_training(graph, err));
    if (graph->stage != OCTET_STAGE_CALIBRATED || !c)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "only a calibrated or trained network can be converted");
    if (c->qconfig.activation.observing == OCTET_OBSERVE_RECORD)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "recording observers find no parameters: nothing can be converted");
    const bool integer_bias = !c->target->real_bias;
    OCTET_TRY(octet_convert_dynamic(graph, err));
    OCTET_TRY(octet_correct_means(graph, err));
    OCTET_TRY(octet_integerize_constants(graph, octet_profile_find(c->target->profile), err));
    if (integer_bias) OCTET_TRY(octet_integerize_biases(graph, err));
    for (octet_value *v = graph->values; v; v = v->next)
        if (v->fake_quantize) v->fake_quantize->observer = NULL;
    OCTET_TRY(note_bits(graph, err));
    if (c->target->files_real_bias) OCTET_TRY(octet_graph_set_metadata(graph, OCTET_WRITE_BIASES, "f32", err));
    graph->stage       = OCTET_STAGE_QUANTIZED;
    graph->calibration = NULL;
    return octet_graph_check(graph, err);
}
