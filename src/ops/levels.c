/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and storing rows of levels: the one place that looks at their storage type. */
#include "ops/levels.h"

#include "base/entries.h"

#include <assert.h>
#include <math.h>

bool octet_levels_bounds(int32_t *low, int32_t *high, octet_dtype dtype)
{
    static const struct {
        int32_t low, high;
    } bounds[OCTET_DTYPE_COUNT] = {
        [OCTET_I8] = {INT8_MIN, INT8_MAX},    [OCTET_U8] = {0, UINT8_MAX},
        [OCTET_I16] = {INT16_MIN, INT16_MAX}, [OCTET_U16] = {0, UINT16_MAX},
        [OCTET_I32] = {INT32_MIN, INT32_MAX},
    };
    *low = bounds[dtype].low;
    *high = bounds[dtype].high;
    return *high > 0;
}

void octet_levels_load(int32_t *level, const void *data, octet_dtype dtype, size_t first, size_t n, int32_t subtract)
{
    switch (dtype) {
    case OCTET_U8:
        for (size_t i = 0; i < n; i++) level[i] = ((const uint8_t *)data)[first + i] - subtract;
        break;
    case OCTET_I8:
        for (size_t i = 0; i < n; i++) level[i] = ((const int8_t *)data)[first + i] - subtract;
        break;
    case OCTET_U16:
        for (size_t i = 0; i < n; i++) level[i] = ((const uint16_t *)data)[first + i] - subtract;
        break;
    case OCTET_I16:
        for (size_t i = 0; i < n; i++) level[i] = ((const int16_t *)data)[first + i] - subtract;
        break;
    case OCTET_I32:
        for (size_t i = 0; i < n; i++)
            level[i] = (int32_t)((uint32_t)((const int32_t *)data)[first + i] - (uint32_t)subtract);
        break;
    default: assert(false && "a type of levels");
    }
}

void octet_levels_store_strided(void *data, octet_dtype dtype, size_t first, size_t step, const int32_t *level,
                                size_t n)
{
    switch (dtype) {
    case OCTET_U8:
        for (size_t i = 0; i < n; i++) ((uint8_t *)data)[first + i * step] = (uint8_t)level[i];
        break;
    case OCTET_I8:
        for (size_t i = 0; i < n; i++) ((int8_t *)data)[first + i * step] = (int8_t)level[i];
        break;
    case OCTET_U16:
        for (size_t i = 0; i < n; i++) ((uint16_t *)data)[first + i * step] = (uint16_t)level[i];
        break;
    case OCTET_I16:
        for (size_t i = 0; i < n; i++) ((int16_t *)data)[first + i * step] = (int16_t)level[i];
        break;
    case OCTET_I32:
        for (size_t i = 0; i < n; i++) ((int32_t *)data)[first + i * step] = level[i];
        break;
    default: assert(false && "a type of levels");
    }
}

/* A stretch of int8 without zero point: weights, of which there are many. */
static int32_t magnitude_s8(const int8_t *level, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += level[i] < 0 ? -level[i] : level[i];
    return sum;
}

static int64_t magnitude_any(const octet_tensor *levels, size_t first, size_t n, int32_t subtract)
{
    int32_t level[512];
    int64_t sum = 0;
    octet_levels_load(level, levels->data, levels->dtype, first, n, subtract);
    for (size_t i = 0; i < n; i++) sum += level[i] < 0 ? -(int64_t)level[i] : level[i];
    return sum;
}

int64_t octet_levels_magnitude(const octet_tensor *levels, size_t first, size_t n, int32_t subtract)
{
    enum { STRETCH = 512 };
    const bool plain = levels->dtype == OCTET_I8 && subtract == 0;
    int64_t    sum = 0;
    for (size_t i = 0; i < n; i += STRETCH) {
        const size_t count = n - i < STRETCH ? n - i : STRETCH;
        sum += plain ? magnitude_s8((const int8_t *)levels->data + first + i, count)
                     : magnitude_any(levels, first + i, count, subtract);
    }
    return sum;
}

void octet_levels_store(void *data, octet_dtype dtype, size_t first, const int32_t *level, size_t n)
{
    switch (dtype) { /* the two that a compiler should vectorise */
    case OCTET_U8:
        for (size_t i = 0; i < n; i++) ((uint8_t *)data)[first + i] = (uint8_t)level[i];
        break;
    case OCTET_I8:
        for (size_t i = 0; i < n; i++) ((int8_t *)data)[first + i] = (int8_t)level[i];
        break;
    default: octet_levels_store_strided(data, dtype, first, 1, level, n);
    }
}

/* clamp(rne(bound / scale) + zero_point) to qmin..qmax; infinities end at the limits. */
static int32_t bound_level(float bound, const octet_level_rule *rule)
{
    const double level = rint((double)(bound / rule->scale)) + rule->zero_point;
    if (!(level > rule->qmin)) return rule->qmin;
    return level < rule->qmax ? (int32_t)level : rule->qmax;
}

octet_level_rule octet_level_rule_of(const octet_qparams *qparams, int64_t channel, const octet_activation *activation)
{
    const int64_t    at = octet_qparams_index(qparams, channel);
    octet_level_rule rule = { .scale = qparams->scale[at],
                              .zero_point = qparams->zero_point[at],
                              .qmin = qparams->qmin,
                              .qmax = qparams->qmax };
    if (activation && activation->on) {
        const int32_t lo = bound_level(activation->lo, &rule), hi = bound_level(activation->hi, &rule);
        rule.qmin = lo < hi ? lo : hi;
        rule.qmax = hi;
    }
    return rule;
}

void octet_activation_apply(float *x, size_t n, const octet_activation *activation)
{
    if (!activation->on) return;
    const float lo = activation->lo, hi = activation->hi;
    for (size_t i = 0; i < n; i++) {
        const float raised = x[i] < lo ? lo : x[i];
        x[i] = raised > hi ? hi : raised;
    }
}

void octet_levels_real(float *real, const octet_tensor *tensor, size_t first, size_t n, int64_t channel)
{
    enum { CHUNK = 256 };
    const int64_t at = octet_qparams_index(tensor->qparams, channel);
    const float   scale = tensor->qparams->scale[at];
    for (size_t done = 0; done < n; done += CHUNK) {
        int32_t      level[CHUNK];
        const size_t count = n - done < CHUNK ? n - done : CHUNK;
        octet_levels_load(level, tensor->data, tensor->dtype, first + done, count, tensor->qparams->zero_point[at]);
        for (size_t i = 0; i < count; i++) real[done + i] = (float)level[i] * scale;
    }
}

/* ---- any elements ---- */

static void stretch_real(float *real, const octet_tensor *t, size_t at, const octet_stretch *s)
{
    const octet_qparams *const q = t->qparams;
    if (!s->step && !q->real_zero_point) {
        octet_levels_real(real, t, at, s->n, s->entry);
        return;
    }
    for (size_t i = 0; i < s->n; i++) {
        const int64_t e     = s->entry + (int64_t)(i * s->step);
        int32_t       level = 0;
        octet_levels_load(&level, t->data, t->dtype, at + i, 1, q->zero_point[e]);
        real[i] = (q->real_zero_point ? (float)level - q->real_zero_point[e] : (float)level) * q->scale[e];
    }
}

void octet_levels_real_any(float *real, const octet_tensor *tensor, size_t first, size_t n)
{
    const octet_entries entries = octet_entries_of(tensor, tensor->qparams);
    for (size_t done = 0; done < n;) {
        octet_stretch s = octet_entries_stretch(&entries, first + done);
        if (s.n > n - done) s.n = n - done;
        stretch_real(real + done, tensor, first + done, &s);
        done += s.n;
    }
}

/* PyTorch's quantize_val_float_qparams. */
static int32_t with_real_zero(float x, float scale, float zero, const octet_qparams *q)
{
    const float inverse = 1.0f / scale, product = x * inverse, sum = product + zero;
    const float level = rintf(sum);
    if (!(level > (float)q->qmin)) return q->qmin;
    return level < (float)q->qmax ? (int32_t)level : q->qmax;
}

/* n elements of one entry. */
static void entry_levels(octet_tensor *to, const float *x, size_t at, size_t n, int64_t entry,
                         const octet_profile *profile)
{
    enum { CHUNK = 256 };
    const octet_qparams *const q    = to->qparams;
    const octet_level_rule     rule = { q->scale[entry], q->zero_point[entry], q->qmin, q->qmax };
    for (size_t done = 0; done < n; done += CHUNK) {
        int32_t      level[CHUNK];
        const size_t count = n - done < CHUNK ? n - done : CHUNK;
        for (size_t i = 0; q->real_zero_point && i < count; i++)
            level[i] = with_real_zero(x[done + i], rule.scale, q->real_zero_point[entry], q);
        if (!q->real_zero_point) profile->quantize(level, x + done, count, &rule);
        octet_levels_store(to->data, to->dtype, at + done, level, count);
    }
}

void octet_levels_from_real(octet_tensor *to, const float *x, size_t first, size_t n, const octet_profile *profile)
{
    const octet_entries entries = octet_entries_of(to, to->qparams);
    for (size_t done = 0; done < n;) {
        octet_stretch s = octet_entries_stretch(&entries, first + done);
        if (s.n > n - done) s.n = n - done;
        if (!s.step) entry_levels(to, x + done, first + done, s.n, s.entry, profile);
        for (size_t i = 0; s.step && i < s.n; i++)
            entry_levels(to, x + done + i, first + done + i, 1, s.entry + (int64_t)i, profile);
        done += s.n;
    }
}
