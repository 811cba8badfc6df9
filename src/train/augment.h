/* SPDX-License-Identifier: Apache-2.0 */
/* Images as training sees them: mirrored, moved. */
#ifndef OCTET_TRAIN_AUGMENT_H
#define OCTET_TRAIN_AUGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One sample as [planes, height, width, pixel]: [C, H, W] has C planes and pixels of 1 number, [H, W, C] has 1 plane
   and pixels of C. */
typedef struct octet_image_shape {
    size_t planes, height, width, pixel;
} octet_image_shape;

typedef struct octet_augment {
    bool     flip; /* half of the samples are mirrored, left to right */
    int      crop; /* >= 0: padded by so many pixels of 0 on every side, and cut back to its size somewhere */
    uint64_t seed;
} octet_augment;

/* out = x augmented for one epoch; seed, epoch and sample alone decide how, so neither threads nor a new start show.
   out is not x. */
void octet_augment_sample(float *out, const float *x, const octet_image_shape *shape, const octet_augment *augment,
                          size_t epoch, size_t sample);

#endif
