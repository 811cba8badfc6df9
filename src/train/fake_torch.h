/* SPDX-License-Identifier: Apache-2.0 */
/* Forward and gradient of a profile that is not octet's, and of real zero points. */
#ifndef OCTET_TRAIN_FAKE_TORCH_H
#define OCTET_TRAIN_FAKE_TORCH_H

#include "train/fake_quantize.h"

/* Of octet_trained_forward and octet_trained_backward, where enabled. */
void octet_trained_forward_torch(float *y, int32_t *levels, const float *x, const octet_trained *trained,
                                 const octet_channel_shape *shape);
void octet_trained_backward_torch(float *dx, const octet_trained_sums *sums, const float *dy, const float *x,
                                  const octet_trained *trained, const octet_channel_shape *shape);

#endif
