/* SPDX-License-Identifier: Apache-2.0 */
/* The profiles `torch-qnnpack` and `torch-onednn`: what PyTorch 1.13's eager quantized operators compute on either
   engine, and `torch-fbgemm` and `torch-x86`: 2.8's, bit for bit. They differ in how a bias is kept, whether the zero
   point is added before or after rounding, and in Add. Each float operation is one IEEE rounding, in torch's order.
   Convolutions return channels last, which is what pools find here; `torch-planes` is torch-fbgemm with pools of values
   that lie plane by plane. Not copied: sums that saturate in FBGEMM's depthwise kernel. */
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

/* FBGEMM: the bias stays real. Of one weight scale it is added with one rounding, of several with two. */
static bool mac_prepare_fbgemm(octet_mac_rule *rule)
{
    if (rule->real) return mac_prepare_real(rule);
    const float unit = rule->input_scale * rule->weight_scale;
    rule->multiplier = unit / rule->to.scale;
    rule->offset = rule->per_channel ? rule->bias / unit : 1.0f / unit;
    return isfinite(rule->multiplier) && isfinite(rule->offset);
}

static void mac_levels_fbgemm(int32_t *level, const int32_t *sum, size_t n, const octet_mac_rule *rule)
{
    for (size_t i = 0; i < n; i++) {
        const float acc = mac_sum(sum[i], rule);
        const float biased = rule->per_channel ? acc + rule->offset : fmaf(rule->bias, rule->offset, acc);
        const float t = biased * rule->multiplier;
        level[i] = clamp_level((double)rintf(t) + rule->to.zero_point, &rule->to);
    }
}

static void mac_real_fbgemm(float *real, const int32_t *sum, size_t n, const octet_mac_rule *rule)
{
    for (size_t i = 0; i < n; i++) real[i] = fmaf(mac_sum(sum[i], rule), rule->multiplier, rule->offset);
}

/* oneDNN 3: real numbers first, then levels. */
static bool mac_prepare_x86(octet_mac_rule *rule)
{
    if (rule->real || !rule->convolves) return mac_prepare_fbgemm(rule);
    rule->multiplier = rule->input_scale * rule->weight_scale;
    rule->offset = rule->bias;
    return isfinite(rule->multiplier) && isfinite(1.0f / rule->to.scale);
}

static void mac_levels_x86(int32_t *level, const int32_t *sum, size_t n, const octet_mac_rule *rule)
{
    const float inverse = 1.0f / rule->to.scale, zero_point = (float)rule->to.zero_point;
    if (!rule->convolves) {
        mac_levels_fbgemm(level, sum, n, rule);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const float scaled = mac_sum(sum[i], rule) * rule->multiplier, real = scaled + rule->offset;
        const float t = real * inverse, shifted = t + zero_point;
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

/* Where x is not below zero its slope is 1, as a level of the slope's own: one of quint8, which may not reach it. */
static void prelu(int32_t *level, const int32_t *a, const int32_t *b, size_t n, const octet_add_rule *rule)
{
    const octet_level_rule slope = { .scale = rule->b_scale, .zero_point = rule->b_zero_point, .qmax = 255 };
    const float            product = rule->a_scale * rule->b_scale, m = product * (1.0f / rule->to.scale);
    const int32_t          one = quantize_one(1.0f, 1.0f / slope.scale, &slope) - slope.zero_point;
    for (size_t i = 0; i < n; i++) {
        const float t = (float)((int64_t)a[i] * (a[i] < 0 ? b[i] : one)) * m;
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
        const float mean = rule->divides ? (float)sum[i] / (float)divisor[i] : (float)sum[i] * inverse;
        const float t = mean * change;
        level[i] = clamp_level((double)rintf(t) + rule->to.zero_point, &rule->to);
    }
}

/* Of values that lie plane by plane, of one scale before and after: the zero point takes part in rounding. */
static void average_planes(int32_t *level, const int32_t *sum, const int32_t *divisor, size_t n,
                           const octet_average_rule *rule)
{
    const int32_t zero_point = rule->to.zero_point;
    const float   down = rule->height > 0 ? 1.0f / (float)rule->height : 0, whole = down / (float)rule->width;
    for (size_t i = 0; i < n; i++) {
        const float all = (float)(sum[i] + divisor[i] * zero_point), inverse = 1.0f / (float)divisor[i];
        const float part = (float)sum[i] * inverse;
        const float mean = rule->divides      ? all / (float)divisor[i]
                           : rule->height > 0 ? all * whole
                                              : part + (float)zero_point;
        level[i] = clamp_level((double)rintf(mean), &rule->to);
    }
}

static void norm(float affine[2], const octet_norm_rule *rule)
{
    const float spread = rule->variance + rule->epsilon, inverse = 1.0f / sqrtf(spread);
    const float k = inverse * rule->gamma, change = rule->scale / rule->to.scale;
    const float centre = rule->mean * inverse, moved = centre * rule->gamma, shift = rule->beta - moved;
    affine[0] = k * change;
    affine[1] = shift / rule->to.scale;
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

/* FBGEMM: the zero point takes part in the rounding, in one operation. */
static void dynamic_levels_fbgemm(int32_t *level, const float *x, size_t n, const octet_level_rule *to)
{
    const float inverse = 1.0f / to->scale, zero_point = (float)to->zero_point;
    for (size_t i = 0; i < n; i++) level[i] = clamp_level((double)rintf(fmaf(x[i], inverse, zero_point)), to);
}

const octet_profile octet_profile_torch_qnnpack = {
    .name = "torch-qnnpack",
    .dynamic = dynamic,
    .dynamic_levels = quantize,
    .dynamic_is_full = true,
    .quantize = quantize,
    .mac_prepare = mac_prepare_qnnpack,
    .mac_levels = mac_levels_qnnpack,
    .mac_real = mac_real,
    .add = add_qnnpack,
    .multiply = multiply,
    .prelu = prelu,
    .table = table_qnnpack,
    .table_block = VECTORS,
    .max_pool_nearest = true,
    .average = average,
    .norm = norm,
    .resize_single = true,
    .average_full_window = true,
    .rescale = rescale,
};

const octet_profile octet_profile_torch_onednn = {
    .name = "torch-onednn",
    .dynamic = dynamic,
    .dynamic_levels = quantize,
    .quantize = quantize,
    .mac_prepare = mac_prepare_onednn,
    .mac_levels = mac_levels_onednn,
    .mac_real = mac_real,
    .add = add_native,
    .multiply = multiply,
    .prelu = prelu,
    .table = table,
    .table_block = VECTORS,
    .average = average,
    .norm = norm,
    .resize_single = true,
    .rescale = rescale,
};

#define TORCH_2_8(profile, prepare, levels, averages)                                                             \
    const octet_profile octet_profile_torch_##profile = {                                                         \
        .name = "torch-" #profile, .dynamic = dynamic, .dynamic_levels = dynamic_levels_fbgemm,                   \
        .quantize = quantize, .mac_prepare = prepare,                                                             \
        .mac_levels = levels, .mac_real = mac_real_fbgemm, .add = add_native, .multiply = multiply,               \
        .prelu = prelu, .table = table,                                                                           \
        .table_block = VECTORS, .average = averages, .norm = norm, .resize_single = true, .rescale = rescale,     \
    };
TORCH_2_8(fbgemm, mac_prepare_fbgemm, mac_levels_fbgemm, average)
TORCH_2_8(x86, mac_prepare_x86, mac_levels_x86, average)
TORCH_2_8(planes, mac_prepare_fbgemm, mac_levels_fbgemm, average_planes)
