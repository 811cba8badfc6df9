/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion takes the scales that training used: new ones, from the folded weights, would be another function than the
   one that was trained. */
#include "train/quantized.h"

#include "graph/copy.h"
#include "ops/mode.h"
#include "quantize/calibration.h"
#include "train/fake_quantize.h"

static octet_status settle(octet_graph *graph, octet_fake_quantize *fq, bool weight, octet_error *err)
{
    const octet_trained *const t      = fq->trained;
    const octet_levels_range   seen   = { t->dtype, t->qmin, t->qmax };
    const octet_levels_range   stored = octet_stored_levels(graph->calibration, seen, weight);
    float                     *scale;
    int32_t                   *zero_point;
    OCTET_TRY(octet_arena_get(&scale, graph->arena, (size_t)t->channels, sizeof *scale, err));
    OCTET_TRY(octet_arena_get(&zero_point, graph->arena, (size_t)t->channels, sizeof *zero_point, err));
    for (int64_t c = 0; c < t->channels; c++) {
        scale[c]      = t->scale[c];
        zero_point[c] = octet_trained_is_real(t) ? 0 : octet_trained_zero_point(t, c);
    }
    const float *real = NULL;
    if (octet_trained_is_real(t)) {
        real = octet_arena_copy_bytes(graph->arena, t->zero_point, (size_t)t->channels * sizeof *real);
        if (!real) return octet_fail_memory(err);
    }
    fq->qparams = (octet_qparams){ .scale = scale, .zero_point = zero_point, .count = t->channels, .axis = t->axis,
                                   .dtype = stored.dtype, .qmin = stored.qmin, .qmax = stored.qmax,
                                   .real_zero_point = real };
    return OCTET_OK;
}

octet_status octet_train_settle(octet_graph *training, octet_error *err)
{
    if (!training->training || !training->calibration)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "only a network prepared for training can be settled");
    for (octet_value *v = training->values; v; v = v->next)
        if (v->fake_quantize)
            OCTET_TRY(settle(training, v->fake_quantize, octet_value_is_weight(v) || v->fake_quantize->trained->weight,
                             err));
    return OCTET_OK;
}

octet_status octet_train_finish(octet_graph *copy, octet_error *err)
{
    if (copy->training) {
        OCTET_TRY(octet_train_settle(copy, err));
        OCTET_TRY(octet_convert(copy, err));
    }
    return octet_graph_own(copy, err);
}

octet_status octet_train_quantized(octet_graph **quantized, const octet_graph *training, octet_error *err)
{
    return octet_graph_changed_copy(quantized, training, octet_train_finish, err);
}
