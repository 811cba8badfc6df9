/* SPDX-License-Identifier: Apache-2.0 */
/* The profiles `torch-qnnpack` and `torch-onednn`: what PyTorch 1.13's eager quantized operators compute on either
   engine, bit for bit. The two differ in how a bias is kept, whether the zero point is added before or after rounding,
   and in Add. Each float operation is one IEEE rounding, in torch's order. */
#include "ops/profile.h"

#include <math.h>
#include <string.h>

static inline int32_t clamp_level(double level, const octet_level_rule *to)
{
    if (!(level > to->qmin)) return to->qmin;
    return level < to->qmax ? (int32_t)level : to->qmax;
}

/* torch converts to int64 on x86, where NaN, infinities and anything too large become the lowest integer: +infinity is
   quantized to the lowest level. */
static int32_t quantize_one(float x, float inverse, const octet_level_rule *to)
{
    const float scaled = x * inverse;
    const float level = (float)to->zero_point + rintf(scaled);
    return fabsf(level) < 0x1p63f ? clamp_level((double)level, to) : to->qmin;
}

static void quantize(int32_t *level, const float *x, size_t n, const octet_level_rule *to)
{
    const float inverse = 1.0f / to->scale;
    for (size_t i = 0; i < n; i++) level[i] = quantize_one(x[i], inverse, to);
}

/* ---- sums ---- */

static inline float mac_sum(int32_t sum, const octet_mac_rule *rule)
{
    return (float)(int32_t)((uint32_t)sum + (uint32_t)rule->bias_level);
}

/* Dynamic Linear: the sum in real units, then the real bias. */
static bool mac_prepare_real(octet_mac_rule *rule)
{
    rule->multiplier = rule->weight_scale * rule->input_scale;
    rule->offset = rule->bias;
    return isfinite(rule->multiplier);
}

static void mac_real(float *real, const int32_t *sum, size_t n, const octet_mac_rule *rule)
{
    for (size_t i = 0; i < n; i++) {
        const float scaled = mac_sum(sum[i], rule) * rule->multiplier;
        real[i] = scaled + rule->offset;
    }
}

static bool mac_prepare_qnnpack(octet_mac_rule *rule)
{
    if (rule->real) return mac_prepare_real(rule);
    const float unit = rule->weight_scale * rule->input_scale, inverse = 1.0f / unit;
    const float bias = rule->bias * inverse, to_inverse = 1.0f / rule->to.scale;
    const double level = rint((double)bias) + rule->bias_level;
    rule->multiplier = unit * to_inverse;
    if (!(fabs(level) <= 2147483647.0)) return false;
    rule->bias_level = (int32_t)level;
    return isfinite(rule->multiplier);
}

static void mac_levels_qnnpack(int32_t *level, const int32_t *sum, size_t n, const octet_mac_rule *rule)
{
    for (size_t i = 0; i < n; i++) {
        const float t = mac_sum(sum[i], rule) * rule->multiplier;
        level[i] = clamp_level((double)rintf(t) + rule->to.zero_point, &rule->to);
    }
}

static bool mac_prepare_onednn(octet_mac_rule *rule)
{
    if (rule->real) return mac_prepare_real(rule);
    const float input = 1.0f / rule->input_scale, weight = 1.0f / rule->weight_scale, unit = input * weight;
    const float to_inverse = 1.0f / rule->to.scale;
    rule->offset = rule->bias * unit;
    rule->multiplier = to_inverse / unit;
    return isfinite(rule->multiplier) && isfinite(rule->offset);
}

static void mac_levels_onednn(int32_t *level, const int32_t *sum, size_t n, const octet_mac_rule *rule)
{
    const float zero_point = (float)rule->to.zero_point;
    for (size_t i = 0; i < n; i++) {
        const float biased = mac_sum(sum[i], rule) + rule->offset, t = biased * rule->multiplier;
        const float shifted = t + zero_point;
        level[i] = clamp_level((double)rintf(shifted), &rule->to);
    }
}

/* ---- Add ---- */

/* Fixed point: the larger of the two multipliers gets 22 bits; ties go away from zero. */
static bool add_qnnpack(int32_t *level, const int32_t *a, const int32_t *b, size_t n, const octet_add_rule *rule)
{
    const float ra = rule->a_scale / rule->to.scale, rb = rule->b_scale / rule->to.scale;
    const float most = ra > rb ? ra : rb, least = ra > rb ? rb : ra;
    if (!(least >= 0x1p-14f) || !(most < 0x1p8f)) return false;
    const int shift = 21 - ilogbf(most);
    const int64_t ka = (int64_t)rintf(ldexpf(ra, shift)), kb = rule->sign * (int64_t)rintf(ldexpf(rb, shift));
    const int64_t mask = ((int64_t)1 << shift) - 1;
    for (size_t i = 0; i < n; i++) {
        const int64_t sum = ka * a[i] + kb * b[i], low = sum & mask;
        const int64_t whole = (sum - low) / (mask + 1) + (low - (sum < 0) > (mask >> 1));
        level[i] = clamp_level((double)(whole + rule->to.zero_point), &rule->to);
    }
    return true;
}

enum { VECTORS = 64 }; /* elements that a vector loop takes at a time */

/* One operand of the native Add, by its vector code (a fused multiply-add of the level itself) or its scalar code. */
static inline float operand(int32_t offset_level, float scale, int32_t zero_point, bool vector)
{
    if (!vector) return (float)offset_level * scale;
    const float start = scale * (float)-zero_point;
    return fmaf((float)(offset_level + zero_point), scale, start);
}

static bool add_native(int32_t *level, const int32_t *a, const int32_t *b, size_t n, const octet_add_rule *rule)
{
    const float inverse = 1.0f / rule->to.scale;
    const size_t vectors = rule->total / VECTORS * VECTORS;
    for (size_t i = 0; i < n; i++) {
        const bool vector = rule->first + i < vectors;
        const float x = operand(a[i], rule->a_scale, rule->a_zero_point, vector);
        const float y = operand(b[i], rule->b_scale, rule->b_zero_point, vector);
        level[i] = quantize_one(x + (float)rule->sign * y, inverse, &rule->to);
    }
    return true;
}

static void multiply(int32_t *level, const int32_t *a, const int32_t *b, size_t n, const octet_add_rule *rule)
{
    const float product = rule->a_scale * rule->b_scale, inverse = 1.0f / rule->to.scale, m = product * inverse;
    for (size_t i = 0; i < n; i++) {
        const float t = (float)((int64_t)a[i] * b[i]) * m;
        level[i] = clamp_level((double)rintf(t) + rule->to.zero_point, &rule->to);
    }
}

/* ---- functions of one number ---- */

static inline float six(float x)
{
    const float raised = x + 3.0f;
    return raised < 0 ? 0 : raised > 6 ? 6 : raised;
}

/* In torch's steps where it takes them in float32; the others are as good as exact before they are rounded. */
static float function_at(float x, const octet_table_rule *rule)
{
    if (strcmp(rule->op, "HardSwish") == 0) {
        const float product = x * six(x);
        return product / 6.0f;
    }
    return (float)rule->value((double)x, rule->attrs);
}

static void table(int32_t *level, size_t n, const octet_table_rule *rule)
{
    const float inverse = 1.0f / rule->to.scale;
    for (size_t i = 0; i < n; i++) {
        const int32_t away = rule->first + (int32_t)i - rule->from.zero_point;
        const float   x    = operand(away, rule->from.scale, rule->from.zero_point, !rule->tail);
        level[i]           = quantize_one(function_at(x, rule), inverse, &rule->to);
    }
}

/* QNNPACK's own HardSwish adds the zero point before it rounds. */
static void table_qnnpack(int32_t *level, size_t n, const octet_table_rule *rule)
{
    const float inverse = 1.0f / rule->to.scale, zero_point = (float)rule->to.zero_point;
    if (strcmp(rule->op, "HardSwish") != 0) {
        table(level, n, rule);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const float x = operand(rule->first + (int32_t)i - rule->from.zero_point, rule->from.scale, 0, false);
        const float t = inverse * function_at(x, rule), shifted = t + zero_point;
        level[i]      = clamp_level((double)rintf(shifted), &rule->to);
    }
}

/* ---- pooling and Concat ---- */

/* torch's pooling keeps its input's parameters; scale / to->scale is 1 there. */
static void average(int32_t *level, const int32_t *sum, const int32_t *divisor, size_t n,
                    const octet_average_rule *rule)
{
    const float change = rule->scale / rule->to.scale;
    const float down = rule->height > 0 ? 1.0f / (float)rule->height : 0, whole = down / (float)rule->width;
    for (size_t i = 0; i < n; i++) {
        const float inverse = rule->height > 0 ? whole : 1.0f / (float)divisor[i];
        const float mean = (float)sum[i] * inverse, t = mean * change;
        level[i] = clamp_level((double)rintf(t) + rule->to.zero_point, &rule->to);
    }
}

static void rescale(int32_t *level, const int32_t *offset_level, float scale, size_t n, const octet_level_rule *to)
{
    const float inverse = 1.0f / to->scale;
    for (size_t i = 0; i < n; i++) {
        const float x = (float)offset_level[i] * scale;
        level[i] = quantize_one(x, inverse, to);
    }
}

/* ---- dynamic ---- */

static octet_affine dynamic(octet_range range, int32_t qmax) { return octet_qparams_choose(range, 0, qmax, false); }

const octet_profile octet_profile_torch_qnnpack = {
    .name = "torch-qnnpack",
    .dynamic = dynamic,
    .dynamic_is_full = true,
    .quantize = quantize,
    .mac_prepare = mac_prepare_qnnpack,
    .mac_levels = mac_levels_qnnpack,
    .mac_real = mac_real,
    .add = add_qnnpack,
    .multiply = multiply,
    .table = table_qnnpack,
    .table_block = VECTORS,
    .max_pool_nearest = true,
    .average = average,
    .average_full_window = true,
    .rescale = rescale,
};

const octet_profile octet_profile_torch_onednn = {
    .name = "torch-onednn",
    .dynamic = dynamic,
    .quantize = quantize,
    .mac_prepare = mac_prepare_onednn,
    .mac_levels = mac_levels_onednn,
    .mac_real = mac_real,
    .add = add_native,
    .multiply = multiply,
    .table = table,
    .table_block = VECTORS,
    .average = average,
    .rescale = rescale,
};
