/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of image files, whatever named them: a folder, a table or a single path. */
#include "data/data.h"
#include "data/pixels.h"

#include <string.h>

static octet_status load_image(octet_image *image, octet_file *file, const octet_dataset *data, size_t raw_index,
                               octet_arena *arena, octet_error *err)
{
    const char             *path = data->files[raw_index];
    const octet_blob *const blob = data->blobs ? &data->blobs[raw_index] : NULL;
    if (blob) {
        const octet_status decoded =
            octet_image_decode(image, arena, blob->data, blob->size, data->limits.max_pixels, err);
        if (decoded != OCTET_OK) octet_error_node(err, path);
        return decoded;
    }
    if (data->folder) path = octet_arena_format(arena, "%s/%s", data->folder, path);
    if (!path) return octet_fail_memory(err);
    octet_status status = octet_file_read(file, path, data->limits.max_file, err);
    if (status == OCTET_OK)
        status = octet_image_decode(image, arena, file->data, file->size, data->limits.max_pixels, err);
    if (status != OCTET_OK) octet_error_file(err, path);
    octet_file_close(file);
    return status;
}

/* What the recipe makes of an image. */
static octet_status find_shape(octet_image *shape, const octet_dataset *data, size_t raw_index, octet_error *err)
{
    octet_file         file = {0};
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    octet_status status = load_image(shape, &file, data, raw_index, arena, err);
    if (status == OCTET_OK) status = octet_pixels_shape(shape, data, err);
    octet_arena_free(arena);
    return status;
}

static void dims_of(int64_t dims[3], const octet_dataset *data, const octet_image *shape)
{
    const bool last = data->target.channels_last;
    dims[0] = last ? shape->height : shape->channels;
    dims[1] = last ? shape->width : shape->height;
    dims[2] = last ? shape->channels : shape->width;
}

octet_status octet_images_shape(octet_port *port, const octet_dataset *data, size_t raw_index, octet_error *err)
{
    octet_image shape = {0};
    OCTET_TRY(find_shape(&shape, data, raw_index, err));
    port->rank = 4;
    port->dims[0] = 1;
    dims_of(port->dims + 1, data, &shape);
    return OCTET_OK;
}

/* Whether the recipe makes one size of all images. */
static bool has_size(const octet_recipe *recipe)
{
    const bool cropped = recipe->crop && recipe->crop_width && recipe->crop_height;
    return recipe->given && (cropped || (!recipe->crop && recipe->resize && recipe->resize_height));
}

octet_status octet_images_plan(octet_dataset *data, octet_error *err)
{
    if (octet_files_are_arrays(data)) return octet_files_plan(data, err);
    const octet_target *const t = &data->target;
    const bool                last = t->channels_last;
    octet_image               shape = {0};
    if (t->known && t->rank != 3) return octet_refuse_shape(data, NULL, 3, ": samples are images", err);
    const int64_t channels = t->known ? t->dims[last ? 2 : 0] : OCTET_DIM_FREE;
    const bool    fixed = t->known && t->dims[0] > 0 && t->dims[1] > 0 && t->dims[2] > 0;
    if (channels != OCTET_DIM_FREE && channels != 1 && channels != 3)
        return octet_fail(err, OCTET_ERR_SHAPE, "images have 1 or 3 channels, the network's input '%s' has %lld",
                          t->name, (long long)channels);
    data->port.rank = 4;
    if (fixed) {
        memcpy(data->port.dims + 1, t->dims, 3 * sizeof *t->dims);
    } else {
        OCTET_TRY(find_shape(&shape, data, 0, err)); /* the first image says what a sample is */
        dims_of(data->port.dims + 1, data, &shape);
        data->varies = !has_size(&data->recipe);
    }
    if (data->recipe.given || data->levels.count) return OCTET_OK;
    return octet_dataset_warn(data, err, "no recipe: bytes 0..255 are used as they are%s",
                              fixed ? ", images of other sizes are resized (bilinear) to the network's input" : "");
}

octet_status octet_images_read(const octet_dataset *data, size_t raw_index, float *values, octet_error *err)
{
    octet_image        image;
    octet_file         file = {0};
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    octet_status status = load_image(&image, &file, data, raw_index, arena, err);
    if (status == OCTET_OK) status = octet_pixels_to_values(values, &image, data, arena, err);
    octet_arena_free(arena);
    return status;
}
