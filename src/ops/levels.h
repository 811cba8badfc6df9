/* SPDX-License-Identifier: Apache-2.0 */
/* Levels of any storage type as rows of int32, and where a result's levels may go: the two things that every integer
   rule needs at its edges. */
#ifndef OCTET_OPS_LEVELS_H
#define OCTET_OPS_LEVELS_H

#include "ops/profile.h"

#include <math.h>

/* clamp(rne(t) + zero_point), for any range of levels; NaN gives the lowest. */
static inline int32_t octet_level_round(float t, const octet_level_rule *to)
{
    const double level = rint((double)t) + to->zero_point;
    if (!(level > to->qmin)) return to->qmin;
    return level < to->qmax ? (int32_t)level : to->qmax;
}

/* The least and greatest level of a type; false: dtype has no levels. */
bool octet_levels_bounds(int32_t *low, int32_t *high, octet_dtype dtype);

/* level[i] = element first + i of data, minus subtract. dtype: u8, s8, u16, s16 or s32. */
void octet_levels_load(int32_t *level, const void *data, octet_dtype dtype, size_t first, size_t n, int32_t subtract);

/* Sum of |level - subtract| over n elements from first on. */
int64_t octet_levels_magnitude(const octet_tensor *levels, size_t first, size_t n, int32_t subtract);

/* The reverse. Levels must lie in dtype's range, as qmin..qmax sees to. */
void octet_levels_store(void *data, octet_dtype dtype, size_t first, const int32_t *level, size_t n);

/* The same for elements first, first + step, first + 2 step, ... */
void octet_levels_store_strided(void *data, octet_dtype dtype, size_t first, size_t step, const int32_t *level,
                                size_t n);

/* Where levels with these parameters go: those of one channel (0 where per tensor), with qmin..qmax narrowed by an
   absorbed activation (NULL or off: none): each bound becomes rne(bound / scale) + zero_point. */
octet_level_rule octet_level_rule_of(const octet_qparams *qparams, int64_t channel,
                                     const octet_activation *activation);

/* x[i] = clamp(x[i], lo, hi) where the activation is on; NaN stays. */
void octet_activation_apply(float *x, size_t n, const octet_activation *activation);

/* Scale and zero point of one channel; per tensor, any channel gives the one. */
static inline int64_t octet_qparams_index(const octet_qparams *qparams, int64_t channel)
{
    return qparams->count > 1 ? channel : 0;
}

/* Dequantizes n elements from first on that share one channel: f32(f32(level - zero_point) * scale). */
void octet_levels_real(float *real, const octet_tensor *tensor, size_t first, size_t n, int64_t channel);

/* The same for any n elements, whatever shares their scales; real zero points, too. */
void octet_levels_real_any(float *real, const octet_tensor *tensor, size_t first, size_t n);

/* Quantizes x, number i of which becomes element first + i of to, as profile rounds; with a real zero point as PyTorch
   does: clamp(rne(f32(f32(x * f32(1 / scale)) + zero_point))). */
void octet_levels_from_real(octet_tensor *to, const float *x, size_t first, size_t n, const octet_profile *profile);

/* Whether scales and zero points are such as integer rules know: whole zero points, no blocks. */
static inline bool octet_qparams_plain(const octet_qparams *qparams)
{
    return !qparams->block && !qparams->real_zero_point;
}

#endif
