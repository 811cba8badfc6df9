/* SPDX-License-Identifier: Apache-2.0 */
/* Recipes as JSON, the form that quantized models carry: numbers with 17 digits, so that reading gives the same bits.
 */
#include "base/arena.h"
#include "data/recipe.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static json_t *numbers(const double *list, int count)
{
    json_t *const array = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(array, json_real(list[i]));
    return array;
}

static json_t *sizes(int width, int height) { return json_pack("[i, i]", width, height); }

octet_status octet_recipe_print(char *text, size_t size, const octet_recipe *recipe, octet_error *err)
{
    json_t *const root = json_object();
    json_object_set_new(root, "version", json_integer(1));
    json_object_set_new(root, "name", json_string(recipe->name));
    if (recipe->resize) json_object_set_new(root, "resize", sizes(recipe->resize_width, recipe->resize_height));
    if (recipe->crop) json_object_set_new(root, "crop", sizes(recipe->crop_width, recipe->crop_height));
    json_object_set_new(root, "filter", json_string(recipe->filter[0] ? recipe->filter : "bilinear"));
    json_object_set_new(root, "color", json_string(recipe->color));
    json_object_set_new(root, "scale", json_real(recipe->scale));
    json_object_set_new(root, "mean", numbers(recipe->mean, recipe->channels));
    json_object_set_new(root, "std", numbers(recipe->std, recipe->channels));
    const size_t length = root ? json_dumpb(root, text, size, JSON_COMPACT | JSON_REAL_PRECISION(17)) : 0;
    json_decref(root);
    if (length == 0) return octet_fail_memory(err);
    if (length >= size) return octet_fail(err, OCTET_ERR_ARGUMENT, "recipe needs %zu bytes, got %zu", length + 1, size);
    text[length] = '\0';
    return OCTET_OK;
}

static octet_status refuse(const char *field, const char *need, octet_error *err)
{
    octet_fail(err, OCTET_ERR_FORMAT, "recipe: '%s' is not %s", field, need);
    octet_error_field(err, field);
    return OCTET_ERR_FORMAT;
}

static bool read_sizes(bool *given, int *width, int *height, const json_t *root, const char *key)
{
    const json_t *const pair = json_object_get(root, key);
    *given = pair != NULL;
    if (!pair) return true;
    const json_t *const w = json_array_get(pair, 0), *const h = json_array_get(pair, 1);
    if (json_array_size(pair) != 2 || !json_is_integer(w) || !json_is_integer(h)) return false;
    const json_int_t a = json_integer_value(w), b = json_integer_value(h);
    if (a < 0 || a > OCTET_SIDE_MAX || b < 0 || b > OCTET_SIDE_MAX) return false;
    *width = (int)a;
    *height = (int)b;
    return true;
}

static bool read_numbers(double out[4], int *count, const json_t *root, const char *key)
{
    const json_t *const array = json_object_get(root, key);
    const size_t        n = json_array_size(array);
    if (n != 1 && n != 3) return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *const item = json_array_get(array, i);
        out[i] = json_number_value(item);
        if (!json_is_number(item) || !isfinite(out[i])) return false;
    }
    *count = (int)n;
    return true;
}

static bool read_word(char *out, size_t size, const json_t *root, const char *key, const char *const *words)
{
    const char *const text = json_string_value(json_object_get(root, key));
    if (!text || strlen(text) >= size) return false;
    strcpy(out, text);
    while (words && *words)
        if (!strcmp(*words++, text)) return true;
    return !words;
}

static octet_status read_keys(const json_t *root, octet_error *err)
{
    static const char *const known[] = {"version", "name", "resize", "crop", "filter", "color", "scale", "mean", "std"};
    const char              *key;
    json_t                  *value;
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && strcmp(known[i], key) != 0) i++;
        if (i == sizeof known / sizeof *known)
            return octet_fail(err, OCTET_ERR_FORMAT, "recipe: unknown key '%s'", key);
    }
    return OCTET_OK;
}

static octet_status read_recipe(octet_recipe *recipe, const json_t *root, octet_error *err)
{
    static const char *const filters[] = {"bilinear", "bicubic", "nearest", NULL};
    static const char *const colors[] = {"rgb", "bgr", "gray", NULL};
    octet_recipe *const      r = recipe;
    int                      stds;
    OCTET_TRY(read_keys(root, err));
    if (json_integer_value(json_object_get(root, "version")) != 1) return refuse("version", "1", err);
    if (!read_word(r->name, sizeof r->name, root, "name", NULL)) return refuse("name", "a short text", err);
    if (!read_sizes(&r->resize, &r->resize_width, &r->resize_height, root, "resize"))
        return refuse("resize", "two sizes", err);
    if (!read_sizes(&r->crop, &r->crop_width, &r->crop_height, root, "crop")) return refuse("crop", "two sizes", err);
    if (!read_word(r->filter, sizeof r->filter, root, "filter", filters))
        return refuse("filter", "bilinear, bicubic or nearest", err);
    if (!read_word(r->color, sizeof r->color, root, "color", colors)) return refuse("color", "rgb, bgr or gray", err);
    r->scale = json_number_value(json_object_get(root, "scale"));
    if (!isfinite(r->scale) || r->scale == 0) return refuse("scale", "a number other than 0", err);
    if (!read_numbers(r->mean, &r->channels, root, "mean")) return refuse("mean", "1 or 3 numbers", err);
    if (!read_numbers(r->std, &stds, root, "std") || stds != r->channels)
        return refuse("std", "as many numbers as mean", err);
    for (int c = 0; c < stds; c++)
        if (!(r->std[c] > 0)) return refuse("std", "above 0", err);
    r->given = true;
    return OCTET_OK;
}

octet_status octet_recipe_parse(octet_recipe *recipe, const char *json, octet_error *err)
{
    *recipe = (octet_recipe){0};
    json_error_t  why;
    json_t *const root = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    if (!root) return octet_fail(err, OCTET_ERR_FORMAT, "recipe: %d:%d: %s", why.line, why.column, why.text);
    const octet_status status =
        json_is_object(root) ? read_recipe(recipe, root, err) : refuse("recipe", "an object", err);
    json_decref(root);
    if (status != OCTET_OK) recipe->given = false;
    return status;
}
