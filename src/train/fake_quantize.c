/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a FakeQuantize: where they come from, and what keeps them valid. */
#include "train/fake_quantize.h"

#include "quantize/calibration.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- making one ---- */

static octet_status check_levels(const octet_quantizer *quantizer, bool weight, octet_error *err)
{
    const octet_levels_range levels = octet_quantizer_levels(quantizer, weight);
    const octet_levels_range whole  = octet_quantizer_levels(&(octet_quantizer){ .dtype = levels.dtype }, weight);
    const bool narrow = levels.dtype >= OCTET_I8 && levels.dtype <= OCTET_U16;
    if (!narrow)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "FakeQuantize: levels are %s (need u8, s8, u16 or s16)",
                          octet_dtype_name(levels.dtype));
    if (levels.qmin >= levels.qmax || levels.qmin < whole.qmin || levels.qmax > whole.qmax)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "FakeQuantize: levels %d..%d are no range of %s",
                          levels.qmin, levels.qmax, octet_dtype_name(levels.dtype));
    return OCTET_OK;
}

static octet_status check_numbers(const octet_quantizer *quantizer, bool weight, octet_error *err)
{
    const octet_levels_range levels = octet_quantizer_levels(quantizer, weight);
    if (!(quantizer->averaging >= 0 && quantizer->averaging <= 1))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "FakeQuantize: averaging is %g (need 0 to 1)",
                          (double)quantizer->averaging);
    if (quantizer->formula == OCTET_FORMULA_TORCH_FLOAT && quantizer->fake != OCTET_FAKE_OBSERVED)
        return octet_fail(err, OCTET_ERR_ARGUMENT,
                          "FakeQuantize: real zero points are neither fused, learned nor fixed");
    if (quantizer->fake != OCTET_FAKE_FIXED) return OCTET_OK;
    if (!isnormal(quantizer->fixed_scale) || quantizer->fixed_scale < 0)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "FakeQuantize: fixed scale is %g (need a normal, positive number)",
                          (double)quantizer->fixed_scale);
    if (quantizer->fixed_zero_point < levels.qmin || quantizer->fixed_zero_point > levels.qmax)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "FakeQuantize: fixed zero point %d is outside %d..%d",
                          quantizer->fixed_zero_point, levels.qmin, levels.qmax);
    return OCTET_OK;
}

static octet_status allocate(octet_trained *t, octet_arena *arena, octet_error *err)
{
    const size_t count = (size_t)t->channels;
    OCTET_TRY(octet_arena_get(&t->range, arena, count, sizeof *t->range, err));
    OCTET_TRY(octet_arena_get(&t->batch, arena, count, sizeof *t->batch, err));
    OCTET_TRY(octet_arena_get(&t->scale, arena, count, sizeof *t->scale, err));
    OCTET_TRY(octet_arena_get(&t->zero_point, arena, count, sizeof *t->zero_point, err));
    if (t->quantizer.fake != OCTET_FAKE_LEARNED) return OCTET_OK;
    OCTET_TRY(octet_arena_get(&t->scale_gradient, arena, count, sizeof *t->scale_gradient, err));
    return octet_arena_get(&t->zero_point_gradient, arena, count, sizeof *t->zero_point_gradient, err);
}

static void set_one(octet_trained *t, int64_t channel, octet_affine affine)
{
    t->scale[channel]      = affine.scale;
    t->zero_point[channel] = (float)affine.zero_point;
}

/* What a FakeQuantize that saw nothing has. */
static octet_affine unseen(const octet_trained *t)
{
    return octet_quantizer_affine(&t->quantizer, t->weight, (octet_range){ .seen = false });
}

octet_status octet_trained_new(octet_trained **trained, octet_arena *arena, const octet_trained *settings,
                               octet_error *err)
{
    const octet_quantizer *const quantizer = &settings->quantizer;
    octet_trained               *t;
    OCTET_TRY(check_levels(quantizer, settings->weight, err));
    OCTET_TRY(check_numbers(quantizer, settings->weight, err));
    OCTET_TRY(octet_arena_get(&t, arena, 1, sizeof *t, err));
    const octet_levels_range levels = octet_quantizer_levels(quantizer, settings->weight);
    *t = (octet_trained){ .quantizer = *quantizer,
                          .weight    = settings->weight,
                          .channels  = settings->channels > 0 ? settings->channels : 1,
                          .axis      = settings->channels > 1 ? settings->axis : 0,
                          .profile   = settings->profile,
                          .dtype     = levels.dtype,
                          .qmin      = levels.qmin,
                          .qmax      = levels.qmax,
                          .enabled   = true,
                          .observing = quantizer->fake != OCTET_FAKE_FIXED };
    OCTET_TRY(allocate(t, arena, err));
    for (int64_t i = 0; i < t->channels; i++) set_one(t, i, unseen(t));
    *trained = t;
    return OCTET_OK;
}

/* ---- following ranges ---- */

static void set_all(octet_trained *t)
{
    const octet_quantizer *const q     = &t->quantizer;
    const bool                   fused = q->fake == OCTET_FAKE_FUSED;
    for (int64_t i = 0; octet_trained_is_real(t) && i < t->channels; i++)
        t->scale[i] = octet_quantizer_real_affine(&t->zero_point[i], q, t->range[i]).scale;
    for (int64_t i = 0; !octet_trained_is_real(t) && i < t->channels; i++)
        set_one(t, i, fused ? octet_qparams_choose(t->range[i], t->qmin, t->qmax, q->symmetric)
                            : octet_quantizer_affine(q, t->weight, t->range[i]));
}

void octet_trained_move(octet_trained *trained, const octet_range *batch)
{
    const octet_quantizer *const quantizer = &trained->quantizer;
    const float                  averaging = quantizer->averaging > 0 ? quantizer->averaging : 0.01f;
    if (trained->learning) return;
    for (int64_t i = 0; trained->observing && i < trained->channels; i++)
        octet_range_move(&trained->range[i], batch[i], averaging);
    if (quantizer->fake == OCTET_FAKE_FUSED ? trained->enabled : trained->observing) set_all(trained);
}

void octet_trained_observe(octet_trained *trained, const float *x, const octet_channel_shape *shape)
{
    if (trained->observing) {
        memset(trained->batch, 0, shape->channels * sizeof *trained->batch);
        octet_range_observe_channels(trained->batch, x, shape->outer, shape->channels, shape->inner);
    }
    octet_trained_move(trained, trained->batch);
}

/* ---- being learned ---- */

void octet_trained_learn(octet_trained *trained)
{
    trained->observing = false;
    trained->learning  = trained->quantizer.fake == OCTET_FAKE_LEARNED;
    octet_trained_settle(trained);
}

static float least_scale(const octet_quantizer *quantizer)
{
    if (quantizer->formula == OCTET_FORMULA_OCTET) return FLT_MIN;
    return quantizer->eps > 0 ? quantizer->eps : FLT_EPSILON;
}

void octet_trained_to_logs(octet_trained *trained)
{
    for (int64_t i = 0; trained->learning && octet_trained_is_own(trained) && i < trained->channels; i++) {
        trained->scale_gradient[i] *= trained->scale[i];
        trained->scale[i] = logf(trained->scale[i]);
        trained->in_logs  = true;
    }
}

void octet_trained_settle(octet_trained *trained)
{
    for (int64_t i = 0; trained->in_logs && i < trained->channels; i++) trained->scale[i] = expf(trained->scale[i]);
    trained->in_logs = false;
    const float least = least_scale(&trained->quantizer), qmin = (float)trained->qmin, qmax = (float)trained->qmax;
    for (int64_t i = 0; trained->learning && i < trained->channels; i++) {
        float *const scale = &trained->scale[i], *const zero_point = &trained->zero_point[i];
        *scale      = !(*scale > least) ? least : *scale < FLT_MAX ? *scale : FLT_MAX;
        *zero_point = !(*zero_point > qmin) ? qmin : *zero_point < qmax ? *zero_point : qmax;
        if (trained->quantizer.symmetric) *zero_point = (float)unseen(trained).zero_point;
    }
}

int32_t octet_trained_zero_point(const octet_trained *trained, int64_t channel)
{
    const float rounded = rintf(trained->zero_point[channel]);
    if (!(rounded > (float)trained->qmin)) return trained->qmin;
    return rounded < (float)trained->qmax ? (int32_t)rounded : trained->qmax;
}

double octet_trained_factor(const octet_trained *trained, size_t n)
{
    if (octet_trained_is_own(trained)) return 1;
    const double levels = trained->qmax > 0 ? trained->qmax : (double)trained->qmax - trained->qmin;
    return n > 0 ? 1 / sqrt((double)n * levels) : 1;
}
