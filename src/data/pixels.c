/* SPDX-License-Identifier: Apache-2.0 */
/* The order is fixed: colour, resize, crop, then (byte * scale - mean) / std in double, rounded once to float. */
#include "data/pixels.h"

#include <string.h>

int64_t octet_port_count(const octet_port *port)
{
    int64_t count = 1;
    for (int i = 0; i < port->rank; i++) count *= port->dims[i];
    return count;
}

static float apply(const octet_recipe *recipe, double value, int64_t channel)
{
    const int64_t c = channel < recipe->channels ? channel : 0;
    return (float)((value * recipe->scale - recipe->mean[c]) / recipe->std[c]);
}

void octet_recipe_apply(const octet_recipe *recipe, float *values, int64_t count, int64_t channel)
{
    if (!recipe->given) return;
    for (int64_t i = 0; i < count; i++) values[i] = apply(recipe, values[i], channel);
}

/* Width and height that the network wants; 0 where free or unknown. */
static void needed_size(int need[2], const octet_dataset *data)
{
    const octet_target *const t = &data->target;
    need[0] = need[1] = 0;
    if (!t->known || t->rank != 3) return;
    const int64_t height = t->dims[t->channels_last ? 0 : 1], width = t->dims[t->channels_last ? 1 : 2];
    if (height < 1 || width < 1 || height > OCTET_IMAGE_MAX_SIDE || width > OCTET_IMAGE_MAX_SIDE) return;
    need[0] = (int)width;
    need[1] = (int)height;
}

static bool is_gray(const octet_recipe *recipe) { return recipe->given && !strcmp(recipe->color, "gray"); }

octet_status octet_pixels_shape(octet_image *shape, const octet_dataset *data, octet_error *err)
{
    octet_geometry            g;
    int                       need[2];
    const octet_target *const t = &data->target;
    needed_size(need, data);
    OCTET_TRY(octet_recipe_geometry(&g, &data->recipe, (int[2]){shape->width, shape->height}, need, err));
    const int64_t channels = t->known && t->rank == 3 ? t->dims[t->channels_last ? 2 : 0] : OCTET_DIM_FREE;
    if (channels == 1 || channels == 3)
        shape->channels = (int)channels;
    else if (is_gray(&data->recipe))
        shape->channels = 1;
    shape->width = g.crop_width;
    shape->height = g.crop_height;
    return OCTET_OK;
}

static octet_status recolor(octet_image *image, const octet_recipe *recipe, int channels, octet_arena *arena,
                            octet_error *err)
{
    if (is_gray(recipe) || channels == 1) OCTET_TRY(octet_image_to_gray(image, arena, err));
    return channels == 3 ? octet_image_to_color(image, arena, err) : OCTET_OK;
}

static octet_status reshape(octet_image *image, const octet_dataset *data, octet_arena *arena, octet_error *err)
{
    octet_geometry g;
    int            need[2];
    needed_size(need, data);
    OCTET_TRY(octet_recipe_geometry(&g, &data->recipe, (int[2]){image->width, image->height}, need, err));
    OCTET_TRY(octet_image_check_size((unsigned long)g.width, (unsigned long)g.height, data->limits.max_pixels, err));
    const char *const filter = data->recipe.given ? data->recipe.filter : "bilinear";
    OCTET_TRY(octet_image_resize(image, arena, (int[2]){g.width, g.height}, filter, err));
    image->pixels += (size_t)g.crop_y * image->stride + (size_t)g.crop_x * (size_t)image->channels;
    image->width = g.crop_width;
    image->height = g.crop_height;
    return OCTET_OK;
}

/* Channel c of the values is channel c of the image, or the opposite one for bgr. */
static void store(float *values, const octet_image *image, const octet_dataset *data)
{
    const octet_recipe *const r = &data->recipe;
    const bool                last = data->target.channels_last;
    const size_t              channels = (size_t)image->channels, width = (size_t)image->width;
    const size_t              plane = width * (size_t)image->height;
    const bool                swap = r->given && !strcmp(r->color, "bgr") && channels == 3;
    for (size_t c = 0; c < channels; c++) {
        float table[256];
        for (int i = 0; i < 256; i++) table[i] = r->given ? apply(r, i, (int64_t)c) : (float)i;
        for (size_t y = 0; y < (size_t)image->height; y++) {
            const uint8_t *const from = image->pixels + y * image->stride + (swap ? 2 - c : c);
            float *const         to = last ? values + y * width * channels + c : values + c * plane + y * width;
            for (size_t x = 0; x < width; x++) to[x * (last ? channels : 1)] = table[from[x * channels]];
        }
    }
}

octet_status octet_pixels_to_values(float *values, octet_image *image, const octet_dataset *data, octet_arena *arena,
                                    octet_error *err)
{
    const int     last = data->target.channels_last ? 3 : 1;
    const int64_t channels = data->port.dims[last];
    const int     y = last == 3 ? 1 : 2;
    OCTET_TRY(recolor(image, &data->recipe, (int)channels, arena, err));
    OCTET_TRY(reshape(image, data, arena, err));
    if (image->height != data->port.dims[y] || image->width != data->port.dims[y + 1])
        return octet_fail(err, OCTET_ERR_SHAPE, "wrong size of image (got %dx%d, need %lldx%lld like the first)",
                          image->width, image->height, (long long)data->port.dims[y + 1],
                          (long long)data->port.dims[y]);
    store(values, image, data);
    return OCTET_OK;
}
