/* SPDX-License-Identifier: Apache-2.0 */
/* Recipes: named presets, the fields that options override, and what a recipe means for one image's size. */
#ifndef OCTET_DATA_RECIPE_H
#define OCTET_DATA_RECIPE_H

#include <octet/dataset.h>

/* The recipe that options ask for (given == false where they ask for none). */
octet_status octet_recipe_from_options(octet_recipe *recipe, const octet_dataset_options *options, octet_error *err);

/* Adapts a recipe to a network's input: a preset's 256 and 224 keep their ratio for other sizes, crops to the model's
   size get numbers, one channel makes the colour gray unless color_given. Sizes 0: not known. */
octet_status octet_recipe_fit(octet_recipe *recipe, int channels, int width, int height,
                              const octet_dataset_options *options, octet_error *err);

/* Sizes of one image after resizing, and the rectangle that is cut out of that. */
typedef struct octet_geometry {
    int width, height;
    int crop_x, crop_y, crop_width, crop_height;
} octet_geometry;

/* need sizes 0: not known. */
octet_status octet_recipe_geometry(octet_geometry *geometry, const octet_recipe *recipe, const int size[2],
                                   const int need[2], octet_error *err);

enum { OCTET_SIDE_MAX = 65535 };

#endif
