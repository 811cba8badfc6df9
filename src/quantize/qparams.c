/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges to the parameters of a FakeQuantize, by the formula that its qconfig names. */
#include "observe/qparams.h"

#include "quantize/calibration.h"

static octet_affine by_torch(const octet_quantizer *quantizer, const octet_levels_range *levels, octet_range range)
{
    const octet_torch_quantizer torch = {
        .scheme    = quantizer->symmetric ? OCTET_TORCH_SYMMETRIC : OCTET_TORCH_AFFINE,
        .is_signed = levels->dtype == OCTET_I8,
        .custom    = true,
        .qmin      = levels->qmin,
        .qmax      = levels->qmax,
    };
    return octet_qparams_torch(NULL, &torch, range);
}

octet_status octet_set_qparams(octet_graph *graph, octet_fake_quantize *fq, const octet_quantizer *quantizer,
                               const octet_range *ranges, int64_t count, octet_error *err)
{
    const bool               weight = quantizer == &graph->calibration->qconfig.weight;
    const octet_levels_range levels = octet_quantizer_levels(quantizer, weight);
    float                   *scale;
    int32_t                 *zero_point;
    OCTET_TRY(octet_arena_get(&scale, graph->arena, (size_t)count, sizeof *scale, err));
    OCTET_TRY(octet_arena_get(&zero_point, graph->arena, (size_t)count, sizeof *zero_point, err));
    for (int64_t i = 0; i < count; i++) {
        octet_affine affine;
        if (quantizer->formula == OCTET_FORMULA_TORCH) affine = by_torch(quantizer, &levels, ranges[i]);
        else octet_qparams_from_range(&affine, ranges[i], levels.qmin, levels.qmax, quantizer->symmetric);
        scale[i]      = affine.scale;
        zero_point[i] = affine.zero_point;
    }
    /* torch forgets the observed range's levels: what lies beyond takes the rest of the type */
    const octet_quantizer    whole   = { .dtype = levels.dtype };
    const bool               forgets = graph->calibration->target->profile && !weight;
    const octet_levels_range stored  = forgets ? octet_quantizer_levels(&whole, weight) : levels;
    fq->qparams.scale      = scale;
    fq->qparams.zero_point = zero_point;
    fq->qparams.count      = count;
    fq->qparams.dtype      = levels.dtype;
    fq->qparams.qmin       = stored.qmin;
    fq->qparams.qmax       = stored.qmax;
    return OCTET_OK;
}
