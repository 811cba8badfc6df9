/* SPDX-License-Identifier: Apache-2.0 */
/* Between the graph's order of an image, planes [channels][height, width], and pixels [height, width][channels]. */
#ifndef OCTET_TRAIN_PIXELS_H
#define OCTET_TRAIN_PIXELS_H

#include <octet/tensor.h>

typedef enum octet_turn_to {
    OCTET_TO_PLANES = 0,
    OCTET_TO_PIXELS,
} octet_turn_to;

/* Whether the two orders differ: more than one channel, and more than one pixel. */
bool octet_turns(const octet_tensor *shape);

/* All images of shape [images, channels, ...], in the graph's words. */
void octet_turn(void *to, const void *from, const octet_tensor *shape, octet_turn_to how, int threads);

/* The same, floats, added. */
void octet_turn_add(float *to, const float *from, const octet_tensor *shape, octet_turn_to how, int threads);

#endif
