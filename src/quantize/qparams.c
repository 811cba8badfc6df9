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
