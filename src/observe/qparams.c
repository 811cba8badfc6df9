/* SPDX-License-Identifier: Apache-2.0 */
/* Range to scale and zero point. Octet divides once, in double: with a rounded scale in between, lo = -hi would fall
   on either side of a tie by chance. */
#include "observe/qparams.h"

#include <float.h>
#include <math.h>

static int32_t clamp_level(double level, int32_t qmin, int32_t qmax)
{
    return (int32_t)fmin(fmax(level, qmin), qmax);
}

bool octet_qparams_from_range(octet_affine *affine, octet_range range, int32_t qmin, int32_t qmax, bool symmetric)
{
    const double lo = range.seen ? fmin(range.min, 0) : 0, hi = range.seen ? fmax(range.max, 0) : 0;
    const int32_t middle = (int32_t)(((int64_t)qmin + qmax + 1) >> 1);
    const double steps = symmetric ? fmin((double)middle - qmin, (double)qmax - middle) : (double)qmax - qmin;
    const double width = symmetric ? fmax(-lo, hi) : hi - lo;
    const float scale = (float)(width / steps);
    if (!(scale >= FLT_MIN) || !isfinite(scale)) {
        *affine = (octet_affine){ .scale = 1, .zero_point = clamp_level(symmetric ? middle : 0, qmin, qmax) };
        return false;
    }
    const double zero = symmetric ? middle : rint(qmin - lo * steps / width);
    *affine = (octet_affine){ .scale = scale, .zero_point = clamp_level(zero, qmin, qmax) };
    return true;
}

void octet_torch_levels(int32_t *qmin, int32_t *qmax, const octet_torch_quantizer *quantizer)
{
    *qmin = quantizer->custom ? quantizer->qmin : quantizer->is_signed ? -128 : 0;
    *qmax = quantizer->custom ? quantizer->qmax : quantizer->is_signed ? 127 : 255;
    if (quantizer->reduce_range) {
        *qmin = (int32_t)floor(*qmin / 2.0);
        *qmax = (int32_t)floor(*qmax / 2.0);
    }
}

octet_affine octet_qparams_torch(float *real_zero_point, const octet_torch_quantizer *quantizer, octet_range range)
{
    if (real_zero_point) *real_zero_point = 0;
    if (!range.seen) return (octet_affine){ .scale = 1 };
    int32_t qmin, qmax;
    octet_torch_levels(&qmin, &qmax, quantizer);
    const float eps = quantizer->eps > 0 ? quantizer->eps : FLT_EPSILON;
    const float negative = range.min < 0 ? range.min : 0, positive = range.max > 0 ? range.max : 0;
    if (quantizer->scheme == OCTET_TORCH_SYMMETRIC) {
        const float widest = -negative > positive ? -negative : positive;
        const float scale = widest / (float)((qmax - qmin) / 2.0);
        const int32_t middle = quantizer->custom ? (int32_t)floor((qmin + qmax) / 2.0) : 128;
        return (octet_affine){ .scale = scale > eps ? scale : eps,
                               .zero_point = quantizer->is_signed ? 0 : middle };
    }
    if (quantizer->scheme == OCTET_TORCH_FLOAT_QPARAMS) {
        const float width = range.max - range.min, raw = width / (float)(qmax - qmin), scale = raw > eps ? raw : 1;
        if (real_zero_point) *real_zero_point = -range.min / scale;
        return (octet_affine){ .scale = scale };
    }
    const float width = positive - negative, raw = width / (float)(qmax - qmin), scale = raw > eps ? raw : eps;
    const float steps = negative / scale;
    return (octet_affine){ .scale = scale, .zero_point = clamp_level(qmin - (double)rintf(steps), qmin, qmax) };
}
