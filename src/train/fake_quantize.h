/* SPDX-License-Identifier: Apache-2.0 */
/* FakeQuantize while a network trains: parameters that follow a moving range or are learned, the forward rounding, and
   its gradient (docs/arithmetic.md section 5; PyTorch's fake_quantize.py and _learnable_fake_quantize.py). */
#ifndef OCTET_TRAIN_FAKE_QUANTIZE_H
#define OCTET_TRAIN_FAKE_QUANTIZE_H

#include <octet/quantize.h>

#include "base/arena.h"
#include "observe/range.h"
#include "ops/profile.h"

/* Parameters of one FakeQuantize; one channel, or one per channel of a tensor [outer, channels, inner]. */
typedef struct octet_trained {
    /* settings */
    octet_fake    fake;
    octet_formula formula;
    octet_dtype   dtype;
    int32_t       qmin, qmax; /* in force while training */
    bool          symmetric, reduce_range;
    float         averaging, eps; /* 0: 0.01; 0: 2^-23 */
    int64_t       channels;
    int           axis; /* of the channels, where there are several */
    /* state: all of it belongs into a checkpoint */
    bool         enabled, observing, learning;
    octet_range *range;      /* moving, one per channel */
    float       *scale;      /* one per channel */
    float       *zero_point; /* one per channel; whole numbers unless learned */
    /* while learning: what backward adds to, one per channel */
    float *scale_gradient, *zero_point_gradient;
} octet_trained;

/* Elements of a tensor as FakeQuantize sees them: element [o][c][i] has channel c. */
typedef struct octet_trained_shape {
    size_t outer, channels, inner;
} octet_trained_shape;

/* A FakeQuantize as quantizer asks for it, with nothing seen (scale 1, zero point 0), enabled and observing. Learned
   ones observe until octet_trained_learn. */
octet_status octet_trained_new(octet_trained **trained, octet_arena *arena, const octet_quantizer *quantizer,
                               bool weight, int64_t channels, int axis, octet_error *err);

/* Where observing: moves the ranges towards those of x and sets scale and zero point from them. The fused form sets
   them whenever it is enabled, observing or not, as PyTorch's does. shape->channels is trained->channels. */
void octet_trained_observe(octet_trained *trained, const float *x, const octet_trained_shape *shape);

/* From ranges in which scale and zero point stand still, to ones that are trained from where they are. */
void octet_trained_learn(octet_trained *trained);

/* After an update: learned scales stay normal and positive, zero points within the levels. */
void octet_trained_settle(octet_trained *trained);

/* The whole zero point in force. */
int32_t octet_trained_zero_point(const octet_trained *trained, int64_t channel);

/* y = x quantized and dequantized (x itself where not enabled); levels (may be NULL) are the integers. profile NULL:
   octet's rounding, a true division; else PyTorch's reciprocal. y may be x. */
void octet_trained_forward(float *y, int32_t *levels, const float *x, const octet_trained *trained,
                           const octet_trained_shape *shape, const octet_profile *profile);

/* dx = dy where x was within the levels, 0 elsewhere (dy itself where not enabled); dx may be dy. While learning, adds
   to the gradients of scale and zero point, times `factor` (1/sqrt(n * qmax) in LSQ, n elements per channel of the
   whole batch: the caller's, as x may be a slice). Sums are in double, in order. */
typedef struct octet_trained_sums {
    double *scale, *zero_point; /* one per channel, added to; NULL: not learning */
} octet_trained_sums;
void octet_trained_backward(float *dx, const octet_trained_sums *sums, const float *dy, const float *x,
                            const octet_trained *trained, const octet_trained_shape *shape,
                            const octet_profile *profile);

/* LSQ's factor for n elements per channel. */
double octet_trained_factor(const octet_trained *trained, size_t n);

#endif
