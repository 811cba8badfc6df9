/* SPDX-License-Identifier: Apache-2.0 */
/* The table of presets, fields that override them, and the arithmetic of sizes (torchvision's: the long side is
   truncated, the centre rounds half to even). */
#include "data/recipe.h"

#include <octet/text.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#define RESIZE_256_CROP_224 \
    .resize = true, .resize_width = 256, .crop = true, .crop_width = 224, .crop_height = 224

static const octet_recipe presets[] = {
    {.name = "none", .color = "rgb", .scale = 1, .channels = 1, .mean = {0}, .std = {1}},
    {.name = "unit", .color = "rgb", .scale = 1.0 / 255, .channels = 1, .mean = {0}, .std = {1}},
    {.name = "imagenet",
     RESIZE_256_CROP_224,
     .color = "rgb",
     .scale = 1.0 / 255,
     .channels = 3,
     .mean = {0.485, 0.456, 0.406},
     .std = {0.229, 0.224, 0.225}},
    {.name = "tf",
     RESIZE_256_CROP_224,
     .color = "rgb",
     .scale = 1.0 / 127.5,
     .channels = 1,
     .mean = {1},
     .std = {1}},
    {.name = "caffe",
     RESIZE_256_CROP_224,
     .color = "bgr",
     .scale = 1,
     .channels = 3,
     .mean = {104, 117, 123},
     .std = {1, 1, 1}},
    {.name = "mnist", .color = "gray", .scale = 1.0 / 255, .channels = 1, .mean = {0.1307}, .std = {0.3081}},
};
enum { PRESETS = sizeof presets / sizeof *presets };

static octet_status find_preset(octet_recipe *recipe, const char *name, octet_error *err)
{
    size_t nearest = 0, least = SIZE_MAX;
    for (size_t i = 0; i < PRESETS; i++) {
        const size_t distance = octet_edit_distance(name, presets[i].name);
        if (distance < least) {
            least = distance;
            nearest = i;
        }
    }
    if (least) {
        octet_fail(err, OCTET_ERR_ARGUMENT,
                   "unknown preset '%s' (nearest: '%s'; need none, unit, imagenet, tf, caffe or mnist)", name,
                   presets[nearest].name);
        octet_error_field(err, "preprocess");
        return OCTET_ERR_ARGUMENT;
    }
    *recipe = presets[nearest];
    return OCTET_OK;
}

static octet_status refuse(const char *field, const char *text, const char *need, octet_error *err)
{
    octet_fail(err, OCTET_ERR_ARGUMENT, "got '%s', need %s", text, need);
    octet_error_field(err, field);
    return OCTET_ERR_ARGUMENT;
}

/* "256" gives 256 and 0, "320x240" both. */
static bool parse_size(int *width, int *height, const char *text)
{
    char              first[16];
    const char *const x = strpbrk(text, "xX");
    const size_t      length = x ? (size_t)(x - text) : strlen(text);
    int64_t           w, h = 0;
    if (length >= sizeof first) return false;
    memcpy(first, text, length);
    first[length] = '\0';
    if (!octet_parse_int(&w, first) || (x && !octet_parse_int(&h, x + 1))) return false;
    if (w < 1 || w > OCTET_SIDE_MAX || h < (x ? 1 : 0) || h > OCTET_SIDE_MAX) return false;
    *width = (int)w;
    *height = (int)h;
    return true;
}

/* "0.5" or "1/255". */
static bool parse_number(double *out, const char *text)
{
    char              part[64];
    const char *const slash = strchr(text, '/');
    const size_t      length = slash ? (size_t)(slash - text) : strlen(text);
    double            below;
    if (length >= sizeof part) return false;
    memcpy(part, text, length);
    part[length] = '\0';
    if (!octet_parse_double(out, part)) return false;
    if (!slash) return true;
    if (!octet_parse_double(&below, slash + 1) || below == 0) return false;
    *out /= below;
    return isfinite(*out);
}

/* One number or three, comma-separated. */
static bool parse_list(double out[4], int *count, const char *text)
{
    char rest[256], *state = NULL;
    if (strlen(text) >= sizeof rest || strstr(text, ",,")) return false;
    strcpy(rest, text);
    *count = 0;
    for (char *part = strtok_r(rest, ",", &state); part; part = strtok_r(NULL, ",", &state))
        if (*count == 3 || !parse_number(&out[(*count)++], part)) return false;
    return *count == 1 || *count == 3;
}

static bool one_of(const char *text, const char *a, const char *b, const char *c)
{
    return !strcmp(text, a) || !strcmp(text, b) || !strcmp(text, c);
}

static octet_status set_geometry(octet_recipe *recipe, const octet_dataset_options *options, octet_error *err)
{
    if (options->size) {
        recipe->resize = true;
        if (!parse_size(&recipe->resize_width, &recipe->resize_height, options->size))
            return refuse("size", options->size, "N or WxH in pixels", err);
        if (recipe->resize_height && !options->crop) recipe->crop = false; /* an exact size replaces a preset's crop */
    }
    if (options->crop) {
        recipe->crop = true;
        if (!parse_size(&recipe->crop_width, &recipe->crop_height, options->crop))
            return refuse("crop", options->crop, "N or WxH in pixels", err);
        if (!recipe->crop_height) recipe->crop_height = recipe->crop_width;
    }
    if (options->filter) {
        if (!one_of(options->filter, "bilinear", "bicubic", "nearest"))
            return refuse("resize", options->filter, "bilinear, bicubic or nearest", err);
        snprintf(recipe->filter, sizeof recipe->filter, "%s", options->filter);
    }
    return OCTET_OK;
}

/* A list of one beside a list of three is repeated. */
static void widen(double list[4], int *count, int channels)
{
    for (; *count < channels; (*count)++) list[*count] = list[0];
}

static octet_status set_values(octet_recipe *recipe, const octet_dataset_options *options, octet_error *err)
{
    int means = recipe->channels, stds = recipe->channels;
    if (options->scale && (!parse_number(&recipe->scale, options->scale) || recipe->scale == 0))
        return refuse("scale", options->scale, "a number like 1/255", err);
    if (options->mean && !parse_list(recipe->mean, &means, options->mean))
        return refuse("mean", options->mean, "1 or 3 numbers, comma-separated", err);
    if (options->std && !parse_list(recipe->std, &stds, options->std))
        return refuse("std", options->std, "1 or 3 numbers, comma-separated", err);
    recipe->channels = means > stds ? means : stds;
    widen(recipe->mean, &means, recipe->channels);
    widen(recipe->std, &stds, recipe->channels);
    for (int c = 0; c < recipe->channels; c++)
        if (!(recipe->std[c] > 0)) return refuse("std", options->std, "numbers above 0", err);
    if (options->color) {
        if (!one_of(options->color, "rgb", "bgr", "gray"))
            return refuse("color", options->color, "rgb, bgr or gray", err);
        snprintf(recipe->color, sizeof recipe->color, "%s", options->color);
    }
    return OCTET_OK;
}

octet_status octet_recipe_from_options(octet_recipe *recipe, const octet_dataset_options *options, octet_error *err)
{
    const octet_dataset_options *const o = options;
    const bool overrides = o->size || o->crop || o->scale || o->mean || o->std || o->color || o->filter;
    *recipe = (octet_recipe){0};
    if (!o->preprocess && !overrides) return OCTET_OK;
    OCTET_TRY(find_preset(recipe, o->preprocess ? o->preprocess : "none", err));
    strcpy(recipe->filter, "bilinear");
    OCTET_TRY(set_geometry(recipe, options, err));
    OCTET_TRY(set_values(recipe, options, err));
    if (overrides) strcpy(recipe->name, "custom");
    recipe->given = true;
    return OCTET_OK;
}

octet_status octet_recipe_fit(octet_recipe *recipe, int channels, int width, int height,
                              const octet_dataset_options *options, octet_error *err)
{
    if (!recipe->given) return OCTET_OK;
    const bool from_preset = options->preprocess && recipe->crop && !options->crop;
    if (from_preset && width > 0 && height > 0) {
        const int shorter = width < height ? width : height;
        if (!options->size) recipe->resize_width = (shorter * recipe->resize_width + 112) / 224;
        recipe->crop_width = width;
        recipe->crop_height = height;
    }
    if (channels == 1 && !options->color) strcpy(recipe->color, "gray");
    if (recipe->channels == 3 && channels > 0 && channels != 3) {
        octet_fail(err, OCTET_ERR_ARGUMENT, "the recipe has 3 channels, the network's input %d", channels);
        octet_error_field(err, "mean");
        return OCTET_ERR_ARGUMENT;
    }
    return OCTET_OK;
}

static octet_status check_side(int64_t side, octet_error *err)
{
    if (side >= 1 && side <= OCTET_SIDE_MAX) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_LIMIT, "a side of %lld pixels after resizing (need 1 to %d)", (long long)side,
                      OCTET_SIDE_MAX);
}

static octet_status resized(int *out_width, int *out_height, const octet_recipe *recipe, const int size[2],
                            const int need[2], octet_error *err)
{
    int64_t width = size[0], height = size[1];
    if (recipe->resize && recipe->resize_height) {
        width = recipe->resize_width;
        height = recipe->resize_height;
    } else if (recipe->resize && recipe->resize_width) {
        const int64_t side = recipe->resize_width, shorter = width < height ? width : height;
        width = width == shorter ? side : side * width / shorter;
        height = size[1] == shorter ? side : side * height / shorter;
    } else if ((recipe->resize || !recipe->given) && need[0] > 0) {
        width = need[0];
        height = need[1];
    }
    OCTET_TRY(check_side(width, err));
    OCTET_TRY(check_side(height, err));
    *out_width = (int)width;
    *out_height = (int)height;
    return OCTET_OK;
}

/* Half of difference, ties to even: where Python's round puts a centre crop. */
static int half_even(int difference)
{
    const int half = difference / 2;
    return half + (difference % 2 && half % 2);
}

octet_status octet_recipe_geometry(octet_geometry *geometry, const octet_recipe *recipe, const int size[2],
                                   const int need[2], octet_error *err)
{
    octet_geometry *const g = geometry;
    *g = (octet_geometry){.width = size[0], .height = size[1], .crop_width = size[0], .crop_height = size[1]};
    if (need[0] == size[0] && need[1] == size[1]) return OCTET_OK;
    OCTET_TRY(resized(&g->width, &g->height, recipe, size, need, err));
    g->crop_width = g->width;
    g->crop_height = g->height;
    if (recipe->given && recipe->crop) {
        g->crop_width = recipe->crop_width ? recipe->crop_width : need[0];
        g->crop_height = recipe->crop_height ? recipe->crop_height : need[1];
        if (g->crop_width > g->width || g->crop_height > g->height)
            return octet_fail(err, OCTET_ERR_SHAPE, "image of %dx%d is smaller than the crop of %dx%d", g->width,
                              g->height, g->crop_width, g->crop_height);
        g->crop_x = half_even(g->width - g->crop_width);
        g->crop_y = half_even(g->height - g->crop_height);
    }
    if (need[0] > 0 && (g->crop_width != need[0] || g->crop_height != need[1]))
        return octet_fail(err, OCTET_ERR_SHAPE,
                          "wrong size of image (got %dx%d, need %dx%d): the recipe has no fitting size or crop",
                          g->crop_width, g->crop_height, need[0], need[1]);
    return OCTET_OK;
}
