/* SPDX-License-Identifier: Apache-2.0 */
/* FakeQuantize while a network trains: parameters that follow a moving range or are learned, the forward rounding, and
   its gradient (docs/arithmetic.md, "Training"; PyTorch's fake_quantize.py and _learnable_fake_quantize.py). */
#ifndef OCTET_TRAIN_FAKE_QUANTIZE_H
#define OCTET_TRAIN_FAKE_QUANTIZE_H

#include <octet/quantize.h>

#include "base/arena.h"
#include "base/channels.h"
#include "observe/range.h"
#include "ops/profile.h"

/* Parameters of one FakeQuantize; one channel, or one per channel of a tensor [outer, channels, inner]. */
typedef struct octet_trained {
    /* settings: the caller's */
    octet_quantizer      quantizer;
    bool                 weight;   /* quantizer is the weights' side of a qconfig */
    int64_t              channels; /* 0: 1 */
    int                  axis;     /* of the channels, where there are several */
    const octet_profile *profile;  /* NULL: octet's rounding, a true division; else PyTorch's */
    /* what follows from them */
    octet_dtype dtype;
    int32_t     qmin, qmax; /* in force while training */
    /* state: all of it belongs into a checkpoint */
    bool         enabled, observing, learning;
    octet_range *range;      /* moving, one per channel */
    float       *scale;      /* one per channel */
    float       *zero_point; /* one per channel; whole numbers unless learned, or octet_trained_is_real */
    /* of OCTET_FAKE_LEARNED, one per channel: what an optimizer reads. The owner fills them, from octet_trained_sums */
    float *scale_gradient, *zero_point_gradient;
    bool         in_logs; /* between octet_trained_to_logs and octet_trained_settle */
    octet_range *batch; /* room for octet_trained_observe */
} octet_trained;

/* Whether it rounds as octet does. */
static inline bool octet_trained_is_own(const octet_trained *trained)
{
    return !trained->profile || trained->profile == &octet_profile_octet;
}

/* Whether its zero points are real numbers, as those of PyTorch's embeddings: added before rounding, in any profile. */
static inline bool octet_trained_is_real(const octet_trained *trained)
{
    return trained->quantizer.formula == OCTET_FORMULA_TORCH_FLOAT;
}

/* A FakeQuantize with the settings of another, with nothing seen (scale 1, zero point the level nearest 0 or the
   middle), enabled and observing. Learned ones observe until octet_trained_learn; fixed ones never. */
octet_status octet_trained_new(octet_trained **trained, octet_arena *arena, const octet_trained *settings,
                               octet_error *err);

/* Where observing: moves the ranges towards those of x and sets scale and zero point from them. The fused form sets
   them whenever it is enabled, observing or not, and not where it is not, as PyTorch's does. */
void octet_trained_observe(octet_trained *trained, const float *x, const octet_channel_shape *shape);

/* The same for a batch whose ranges, one per channel, are known: slices observed apart, or a calibration. */
void octet_trained_move(octet_trained *trained, const octet_range *batch);

/* From ranges in which scale and zero point stand still, to ones that are trained from where they are. */
void octet_trained_learn(octet_trained *trained);

/* Before an update: octet's own learned scales move by factors, not by differences, so scale and its gradient become
   those of log(scale), and octet_trained_settle turns them back. A weight of a network that is fed bytes has a scale of
   1e-4, its input one of 1: no rate for differences suits both (docs/decisions.md). */
void octet_trained_to_logs(octet_trained *trained);

/* After an update: learned scales stay normal, positive, and not under PyTorch's eps where its formulas count; zero
   points stay within the levels, and in the middle where symmetric. */
void octet_trained_settle(octet_trained *trained);

/* The whole zero point in force. */
int32_t octet_trained_zero_point(const octet_trained *trained, int64_t channel);

/* y = x quantized and dequantized (x itself where not enabled); levels (may be NULL) are the integers, set where
   enabled. y may be x. */
void octet_trained_forward(float *y, int32_t *levels, const float *x, const octet_trained *trained,
                           const octet_channel_shape *shape);

/* What backward adds to while learning, one per channel: sums of double in a fixed order, without LSQ's factor.
   gradient = (float)(sum * octet_trained_factor()). */
typedef struct octet_trained_sums {
    double *scale, *zero_point;
} octet_trained_sums;

/* dx = dy where x was within the levels, 0 elsewhere and where x is NaN (dy itself where not enabled); dx may be dy.
   sums: NULL, or added to where enabled. x may be a slice of a batch: sums of slices add up. */
void octet_trained_backward(float *dx, const octet_trained_sums *sums, const float *dy, const float *x,
                            const octet_trained *trained, const octet_channel_shape *shape);

/* LSQ's factor 1/sqrt(n * qmax) in torch's profiles, 1 in octet's own, whose logs need none. n: elements per
   channel of the whole batch; PyTorch counts those of all channels. */
double octet_trained_factor(const octet_trained *trained, size_t n);

#endif
