/* SPDX-License-Identifier: Apache-2.0 */
/* From an image to the values a network wants: colour, resize, crop, recipe. */
#ifndef OCTET_DATA_PIXELS_H
#define OCTET_DATA_PIXELS_H

#include "data/data.h"
#include "data/image.h"

/* The size and channels that an image of this shape will have. */
octet_status octet_pixels_shape(octet_image *shape, const octet_dataset *data, octet_error *err);

/* Fills values (data's port). */
octet_status octet_pixels_to_values(float *values, octet_image *image, const octet_dataset *data, octet_arena *arena,
                                    octet_error *err);

/* values = (values * scale - mean) / std of one channel; nothing without a recipe. */
void octet_recipe_apply(const octet_recipe *recipe, float *values, int64_t count, int64_t channel);

/* Values of one sample. */
int64_t octet_port_count(const octet_port *port);

#endif
