/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges to the parameters of a FakeQuantize, by the formula that its qconfig names. */
#include "quantize/calibration.h"

#include "passes/pass.h"

#include <math.h>

/* u8 without given levels has its own middle in PyTorch, 128: of 0..255 given by hand it is 127. */
static octet_affine by_torch(float *zero_point, const octet_quantizer *quantizer, const octet_levels_range *levels,
                             octet_range range)
{
    const bool                  real  = quantizer->formula == OCTET_FORMULA_TORCH_FLOAT;
    const octet_torch_quantizer torch = {
        .scheme    = real ? OCTET_TORCH_FLOAT_QPARAMS : quantizer->symmetric ? OCTET_TORCH_SYMMETRIC
                                                                             : OCTET_TORCH_AFFINE,
        .is_signed = levels->dtype == OCTET_I8 || levels->dtype == OCTET_I16,
        .custom    = levels->dtype != OCTET_U8 || quantizer->qmin || quantizer->qmax || quantizer->reduce_range,
        .qmin      = levels->qmin,
        .qmax      = levels->qmax,
        .eps       = quantizer->eps,
    };
    return octet_qparams_torch(zero_point, &torch, range);
}

/* At least so wide; nothing seen stays nothing. */
static octet_range widened(octet_range range, double width)
{
    const double lo = fmin(range.min, 0);
    if (range.seen && fmax(range.max, 0) - lo < width) range.max = (float)(lo + width);
    return range;
}

octet_affine octet_quantizer_affine(const octet_quantizer *quantizer, bool weight, octet_range range)
{
    const octet_levels_range levels = octet_quantizer_levels(quantizer, weight);
    octet_affine             affine = { quantizer->fixed_scale, quantizer->fixed_zero_point };
    if (quantizer->fake == OCTET_FAKE_FIXED) return affine;
    if (quantizer->formula != OCTET_FORMULA_OCTET) return by_torch(NULL, quantizer, &levels, range);
    if (quantizer->eps > 0) range = widened(range, (double)quantizer->eps * (levels.qmax - levels.qmin));
    octet_qparams_from_range(&affine, range, levels.qmin, levels.qmax, quantizer->symmetric);
    return affine;
}

octet_affine octet_quantizer_real_affine(float *zero_point, const octet_quantizer *quantizer, octet_range range)
{
    const octet_levels_range levels = octet_quantizer_levels(quantizer, true);
    return by_torch(zero_point, quantizer, &levels, range);
}

octet_levels_range octet_stored_levels(const octet_calibration *calibration, octet_levels_range seen, bool weight)
{
    const octet_quantizer whole = { .dtype = seen.dtype };
    return calibration->target->profile && !weight ? octet_quantizer_levels(&whole, weight) : seen;
}

/* What torch gives the results of these functions: the parameters that their range suggests. */
static const struct {
    const char *op;
    float       scale;
    int32_t     zero_point;
} fixed[] = { { "HardSigmoid", 0x1p-8f, 0 },
              { "Sigmoid", 0x1p-8f, 0 },
              { "Softmax", 0x1p-8f, 0 },
              { "Tanh", 0x1p-7f, 128 } };

octet_quantizer octet_group_quantizer(const octet_calibration *calibration, const octet_group *group)
{
    const octet_node *const producer = group->representative->producer;
    for (size_t i = 0; producer && calibration->target->profile && i < sizeof fixed / sizeof *fixed; i++)
        if (octet_node_is(producer, fixed[i].op))
            return (octet_quantizer){ .dtype = OCTET_U8, .fake = OCTET_FAKE_FIXED, .fixed_scale = fixed[i].scale,
                                      .fixed_zero_point = fixed[i].zero_point };
    octet_quantizer quantizer = calibration->qconfig.activation;
    if (group->rule && group->rule->dtype) {
        quantizer.dtype = group->rule->dtype;
        quantizer.qmin = quantizer.qmax = 0;
    }
    if (group->tensor) octet_tensor_rule_quantizer(&quantizer, group->tensor);
    return quantizer;
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
        const octet_affine affine = octet_quantizer_affine(quantizer, weight, ranges[i]);
        scale[i]                  = affine.scale;
        zero_point[i]             = affine.zero_point;
    }
    const octet_levels_range stored = octet_stored_levels(graph->calibration, levels, weight);
    fq->qparams.scale      = scale;
    fq->qparams.zero_point = zero_point;
    fq->qparams.count      = count;
    fq->qparams.dtype      = levels.dtype;
    fq->qparams.qmin       = stored.qmin;
    fq->qparams.qmax       = stored.qmax;
    return OCTET_OK;
}
