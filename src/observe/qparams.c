/* SPDX-License-Identifier: Apache-2.0 */
/* Range to scale and zero point. Octet divides once, in double: with a rounded scale in between, lo = -hi would fall
   on either side of a tie by chance. */
#include "observe/qparams.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

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
        *qmin = octet_floor_half(*qmin);
        *qmax = octet_floor_half(*qmax);
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
        const int32_t middle = quantizer->custom ? octet_floor_half(qmin + qmax) : 128;
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

/* The range that the levels -n-1..n (n = steps / 2) cover when neither end is cut. */
static octet_range around_zero(octet_range range, int32_t steps)
{
    const float lowest = (float)-(steps / 2 + 1), highest = (float)(steps / 2);
    const float by_min = fabsf(range.min / lowest), by_max = fabsf(range.max / highest);
    const float scale = by_min > by_max ? by_min : by_max;
    return (octet_range){ true, scale * lowest, scale * highest };
}

octet_affine octet_qparams_choose(octet_range range, int32_t qmin, int32_t qmax, bool symmetric)
{
    const float least = 6.1e-5f;
    const int32_t steps = qmax - qmin;
    if (!range.seen) range.min = range.max = 0;
    if (symmetric && range.min < 0 && range.max > 0) range = around_zero(range, steps);
    range.min = range.min < 0 ? range.min : 0;
    range.max = range.max > 0 ? range.max : 0;
    double scale = ((double)range.max - range.min) / steps;
    if ((float)scale == 0 || isinf(1 / (float)scale)) scale = 0.1;
    if (scale < (double)least) {
        const float times = least / (float)scale;
        range.min *= times;
        range.max *= times;
        scale = least;
    }
    const double below = range.min / scale, above = range.max / scale;
    const bool from_min = abs(qmin) - fabs(below) < abs(qmax) - fabs(above);
    double zero = from_min ? qmin - below : qmax - above;
    if (symmetric && range.min < 0 && range.max > 0) zero = (qmin + qmax) / 2.0;
    return (octet_affine){ .scale = (float)scale, .zero_point = clamp_level(rint(zero), qmin, qmax) };
}

bool octet_qparams_add_scalar(octet_affine *sum, octet_affine x, double scalar, int32_t qmin, int32_t qmax)
{
    const double zero_point = x.zero_point - rint(scalar / (double)x.scale);
    if (!(zero_point >= qmin && zero_point <= qmax)) return false;
    *sum = (octet_affine){ .scale = x.scale, .zero_point = (int32_t)zero_point };
    return true;
}

octet_affine octet_qparams_mul_scalar(octet_affine x, double scalar, int32_t qmin, int32_t qmax)
{
    if (scalar == 0) return (octet_affine){ .scale = 1.0f };
    return (octet_affine){ .scale = (float)(fabs(scalar) * (double)x.scale),
                           .zero_point = scalar > 0 ? x.zero_point : qmax - (x.zero_point - qmin) };
}
