/* SPDX-License-Identifier: Apache-2.0 */
/* Forward and gradient where rounding is not octet's: one row at a time through the rules of a profile. */
#ifndef OCTET_TRAIN_FAKE_ROUND_H
#define OCTET_TRAIN_FAKE_ROUND_H

#include "train/fake_quantize.h"

/* Of octet_trained_forward and octet_trained_backward, where enabled. */
void octet_trained_forward_by(float *y, int32_t *levels, const float *x, const octet_trained *trained,
                              const octet_trained_shape *shape, const octet_profile *profile);
void octet_trained_backward_by(float *dx, const octet_trained_sums *sums, const float *dy, const float *x,
                               const octet_trained *trained, const octet_trained_shape *shape,
                               const octet_profile *profile);

#endif
