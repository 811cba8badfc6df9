/* SPDX-License-Identifier: Apache-2.0 */
/* The profile `octet`: rounding as docs/arithmetic.md says. Each float operation below is one IEEE rounding, in the
   order written there. */
#include "ops/levels.h"

#include <math.h>
#include <string.h>

/* clamp(rne(t) + zero_point): t is clamped first, which changes nothing and keeps the conversion in range. Adding
   1.5 * 2^23 rounds to an integer, ties to even, in the last bits of the sum. */
static inline int32_t round_narrow(float t, float lo, float hi, int32_t zero_point)
{
    const float raised = t > lo ? t : lo;
    const float sum = (raised < hi ? raised : hi) + 12582912.0f;
    int32_t     bits;
    memcpy(&bits, &sum, sizeof bits);
    return bits - 0x4b400000 + zero_point;
}

/* Whether every level less zero point stays below 2^22, so that round_narrow is exact. */
static bool is_narrow(const octet_level_rule *to)
{
    const int64_t lo = (int64_t)to->qmin - to->zero_point, hi = (int64_t)to->qmax - to->zero_point;
    return lo >= -(1 << 22) && lo <= 1 << 22 && hi >= -(1 << 22) && hi <= 1 << 22;
}

/* level[i] = round(value), where value is an expression in i: one loop for levels of up to 16 bits, which a compiler
   vectorises, and one for 32-bit levels. */
#define ROUND_EACH(value)                                                                              \
    do {                                                                                               \
        if (is_narrow(to)) {                                                                           \
            const float   lo = (float)(to->qmin - to->zero_point), hi = (float)(to->qmax - to->zero_point); \
            const int32_t zero_point = to->zero_point;                                                 \
            for (size_t i = 0; i < n; i++) level[i] = round_narrow((value), lo, hi, zero_point);       \
        } else {                                                                                       \
            for (size_t i = 0; i < n; i++) level[i] = octet_level_round((value), to);                         \
        }                                                                                              \
    } while (0)

static inline float number_or_zero(float t) { return t == t ? t : 0.0f; }

static void quantize(int32_t *level, const float *x, size_t n, const octet_level_rule *to)
{
    const float scale = to->scale;
    ROUND_EACH(number_or_zero(x[i] / scale));
}

static bool mac_prepare(octet_mac_rule *rule)
{
    const double unit = (double)rule->input_scale * rule->weight_scale;
    if (rule->bias != 0) {
        const double bias = rint(rule->bias / unit) + rule->bias_level;
        if (!(fabs(bias) <= 2147483647.0)) return false;
        rule->bias_level = (int32_t)bias;
    }
    rule->multiplier = (float)(unit / rule->to.scale);
    return isnormal(rule->multiplier);
}

static inline float mac_sum(int32_t sum, const octet_mac_rule *rule)
{
    return (float)(int32_t)((uint32_t)sum + (uint32_t)rule->bias_level) * rule->multiplier;
}

static void mac_levels(int32_t *level, const int32_t *sum, size_t n, const octet_mac_rule *rule)
{
    const octet_mac_rule    local = *rule;
    const octet_level_rule *to = &local.to;
    ROUND_EACH(mac_sum(sum[i], &local));
}

static void mac_real(float *real, const int32_t *sum, size_t n, const octet_mac_rule *rule)
{
    const octet_mac_rule local = *rule;
    for (size_t i = 0; i < n; i++) real[i] = mac_sum(sum[i], &local);
}

static bool add(int32_t *level, const int32_t *a, const int32_t *b, size_t n, const octet_add_rule *rule)
{
    const octet_level_rule *to = &rule->to;
    const float             ma = (float)((double)rule->a_scale / to->scale);
    const float             mb = (float)rule->sign * (float)((double)rule->b_scale / to->scale);
    ROUND_EACH((float)a[i] * ma + (float)b[i] * mb);
    return true;
}

static void multiply(int32_t *level, const int32_t *a, const int32_t *b, size_t n, const octet_add_rule *rule)
{
    const octet_level_rule *to = &rule->to;
    const float             m  = (float)((double)rule->a_scale * rule->b_scale / to->scale);
    ROUND_EACH((float)((int64_t)a[i] * b[i]) * m);
}

static void prelu(int32_t *level, const int32_t *a, const int32_t *b, size_t n, const octet_add_rule *rule)
{
    const octet_level_rule *to = &rule->to;
    const float             m  = (float)((double)rule->a_scale / to->scale);
    const float             mb = (float)((double)rule->a_scale * rule->b_scale / to->scale);
    ROUND_EACH(a[i] < 0 ? (float)((int64_t)a[i] * b[i]) * mb : (float)a[i] * m);
}

static void table(int32_t *level, size_t n, const octet_table_rule *rule)
{
    for (size_t i = 0; i < n; i++) {
        const float x = (float)(rule->first + (int32_t)i - rule->from.zero_point) * rule->from.scale;
        const float y = (float)rule->value((double)x, rule->attrs);
        quantize(&level[i], &y, 1, &rule->to);
    }
}

static void average(int32_t *level, const int32_t *sum, const int32_t *divisor, size_t n,
                    const octet_average_rule *rule)
{
    const octet_level_rule *to = &rule->to;
    const double            from = rule->scale, unit = to->scale;
    ROUND_EACH((float)sum[i] * (float)(from / (divisor[i] * unit)));
}

static void norm(float affine[2], const octet_norm_rule *rule)
{
    const double k = (double)rule->gamma / sqrt((double)rule->variance + (double)rule->epsilon);
    affine[0] = (float)(k * (double)rule->scale / (double)rule->to.scale);
    affine[1] = (float)(((double)rule->beta - (double)rule->mean * k) / (double)rule->to.scale);
}

static void rescale(int32_t *level, const int32_t *offset_level, float scale, size_t n, const octet_level_rule *to)
{
    const float m = (float)((double)scale / to->scale);
    ROUND_EACH((float)offset_level[i] * m);
}

static octet_affine dynamic(octet_range range, int32_t qmax)
{
    octet_affine affine;
    octet_qparams_from_range(&affine, range, 0, qmax, false);
    return affine;
}

const octet_profile octet_profile_octet = {
    .name = "octet",
    .dynamic = dynamic,
    .dynamic_levels = quantize,
    .quantize = quantize,
    .mac_prepare = mac_prepare,
    .mac_levels = mac_levels,
    .mac_real = mac_real,
    .add = add,
    .multiply = multiply,
    .prelu = prelu,
    .table = table,
    .average = average,
    .norm = norm,
    .rescale = rescale,
};

const octet_profile *octet_profile_find(const char *name)
{
    static const octet_profile *const profiles[] = { &octet_profile_octet, &octet_profile_torch_qnnpack,
                                                    &octet_profile_torch_onednn, &octet_profile_torch_fbgemm,
                                                    &octet_profile_torch_x86,    &octet_profile_torch_planes };
    if (!name) return &octet_profile_octet;
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++)
        if (strcmp(profiles[i]->name, name) == 0) return profiles[i];
    return NULL;
}
