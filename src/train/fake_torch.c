/* SPDX-License-Identifier: Apache-2.0 */
/* Forward and gradient as PyTorch has them, and of real zero points. Rounding is the profile's; the learnable forms'
   backward is their own: it adds the zero point before rounding, in a fused multiply-add, and per tensor it rounds the
   zero point another way. */
#include "ops/levels.h"
#include "train/fake_torch.h"

#include <math.h>

enum { CHUNK = 256 };

/* n elements of one channel. */
typedef struct stretch {
    float               *to; /* y or dx */
    int32_t             *levels;
    const float         *x, *dy;
    size_t               channel, n;
    const octet_trained *trained;
    octet_trained_sums   sums;
} stretch;

static octet_level_rule rule_of(const stretch *s)
{
    return (octet_level_rule){ .scale      = s->trained->scale[s->channel],
                               .zero_point = octet_trained_zero_point(s->trained, (int64_t)s->channel),
                               .qmin       = s->trained->qmin,
                               .qmax       = s->trained->qmax };
}

static void forward(const stretch *s)
{
    const octet_level_rule to = rule_of(s);
    int32_t                level[CHUNK];
    s->trained->profile->quantize(level, s->x, s->n, &to);
    for (size_t i = 0; i < s->n; i++) s->to[i] = (float)(level[i] - to.zero_point) * to.scale;
    for (size_t i = 0; s->levels && i < s->n; i++) s->levels[i] = level[i];
}

/* A level more at each end shows what was clipped. */
static void straight(const stretch *s)
{
    octet_level_rule wider = rule_of(s);
    int32_t          level[CHUNK];
    wider.qmin--;
    wider.qmax++;
    s->trained->profile->quantize(level, s->x, s->n, &wider);
    for (size_t i = 0; i < s->n; i++) s->to[i] = level[i] > wider.qmin && level[i] < wider.qmax ? s->dy[i] : 0;
}

/* The level of x before it is clamped, where the zero point is real. */
static float real_level(const stretch *s, float x)
{
    const float inverse = 1.0f / s->trained->scale[s->channel], product = x * inverse;
    return rintf(product + s->trained->zero_point[s->channel]);
}

static void forward_real(const stretch *s)
{
    const float lo = (float)s->trained->qmin, hi = (float)s->trained->qmax;
    for (size_t i = 0; i < s->n; i++) {
        const float level = real_level(s, s->x[i]), raised = level > lo ? level : lo;
        const float clamped = raised < hi ? raised : hi, offset = clamped - s->trained->zero_point[s->channel];
        s->to[i] = offset * s->trained->scale[s->channel];
        if (s->levels) s->levels[i] = (int32_t)clamped;
    }
}

static void straight_real(const stretch *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const float level = real_level(s, s->x[i]);
        s->to[i] = level >= (float)s->trained->qmin && level <= (float)s->trained->qmax ? s->dy[i] : 0;
    }
}

/* Per tensor trunc(zero point + 0.5), which is one too many where that is negative and not whole. */
static float backward_zero_point(const stretch *s)
{
    const float qmin = (float)s->trained->qmin, qmax = (float)s->trained->qmax;
    if (s->trained->channels > 1) return (float)octet_trained_zero_point(s->trained, (int64_t)s->channel);
    const float raised = s->trained->zero_point[s->channel] + 0.5f;
    return truncf(!(raised > qmin) ? qmin : raised < qmax ? raised : qmax);
}

static void learning(const stretch *s)
{
    const float scale = s->trained->scale[s->channel], inverse = 1.0f / scale, zero_point = backward_zero_point(s);
    const float lo = (float)s->trained->qmin, hi = (float)s->trained->qmax;
    for (size_t i = 0; i < s->n; i++) {
        const float x = s->x[i], g = s->dy[i], level = rintf(fmaf(x, inverse, zero_point));
        const bool  inside = level >= lo && level <= hi;
        const bool  above = level > hi && level < 0x1p63f; /* what fits no int64 becomes the lowest */
        const float rounded = (level - zero_point) * scale, bound = (above ? hi : lo) - zero_point;
        s->sums.scale[s->channel] += (double)(inside ? g * ((rounded - x) * inverse) : g * bound);
        s->sums.zero_point[s->channel] += inside ? 0 : (double)(g * -scale);
        s->to[i] = inside ? g : 0;
    }
}

/* each stretch of all, in order. */
static void walk(const stretch *all, const octet_channel_shape *shape, void (*each)(const stretch *s))
{
    for (size_t row = 0; row < shape->outer * shape->channels; row++)
        for (size_t done = 0; done < shape->inner; done += CHUNK) {
            const size_t at = row * shape->inner + done, left = shape->inner - done;
            stretch      s  = *all;
            s.channel       = row % shape->channels;
            s.n             = left < CHUNK ? left : CHUNK;
            s.to += at;
            s.x += at;
            if (s.levels) s.levels += at;
            if (s.dy) s.dy += at;
            each(&s);
        }
}

void octet_trained_forward_torch(float *y, int32_t *levels, const float *x, const octet_trained *trained,
                                 const octet_channel_shape *shape)
{
    const stretch all = { .to = y, .levels = levels, .x = x, .trained = trained };
    walk(&all, shape, octet_trained_is_real(trained) ? forward_real : forward);
}

void octet_trained_backward_torch(float *dx, const octet_trained_sums *sums, const float *dy, const float *x,
                                  const octet_trained *trained, const octet_channel_shape *shape)
{
    stretch all = { .to = dx, .x = x, .dy = dy, .trained = trained };
    if (sums) all.sums = *sums;
    walk(&all, shape, octet_trained_is_real(trained) ? straight_real : sums ? learning : straight);
}
