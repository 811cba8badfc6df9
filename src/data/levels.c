/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs that are levels. Samples are real numbers first, whatever they come from, and are rounded as the network's own
   QuantizeLinear would have done it; samples that are levels already are multiplied out and come back exactly, as
   |level - zero_point| has at most 16 bits. */
#include "data/data.h"
#include "data/pixels.h"
#include "ops/levels.h"

#include <math.h>

static octet_level_rule rule_of(const octet_dataset *data)
{
    return (octet_level_rule){ data->level_scale, data->level_zero, data->levels.qmin, data->levels.qmax };
}

void octet_levels_take(octet_dataset *data, const octet_qparams *levels)
{
    data->levels = *levels;
    if (levels->count != 1) return;
    data->level_scale       = levels->scale[0];
    data->level_zero        = levels->zero_point[0];
    data->levels.scale      = &data->level_scale;
    data->levels.zero_point = &data->level_zero;
}

/* Whether a recipe changes no byte. */
static bool leaves_bytes(const octet_recipe *recipe)
{
    bool same = !recipe->given || recipe->scale == 1;
    for (int c = 0; same && recipe->given && c < recipe->channels; c++)
        same = recipe->mean[c] == 0 && recipe->std[c] == 1;
    return same;
}

void octet_levels_settle(octet_dataset *data)
{
    const octet_dtype type = data->array.dtype ? data->array.dtype : OCTET_U8; /* images are bytes */
    data->straight         = data->levels.count == 1 && type == data->levels.dtype && leaves_bytes(&data->recipe);
}

octet_status octet_levels_to_reals(const octet_dataset *data, float *values, size_t count, octet_error *err)
{
    for (size_t i = 0; data->straight && i < count; i++) {
        if (!(values[i] >= (float)data->levels.qmin && values[i] <= (float)data->levels.qmax))
            return octet_fail(err, OCTET_ERR_FORMAT, "element %zu is %g (need a level within %d..%d)", i,
                              (double)values[i], data->levels.qmin, data->levels.qmax);
        values[i] = (rintf(values[i]) - (float)data->level_zero) * data->level_scale;
    }
    return OCTET_OK;
}

void octet_levels_of_reals(const octet_dataset *data, void *levels, const float *values, size_t count)
{
    const octet_level_rule rule = rule_of(data);
    int32_t                row[256];
    for (size_t at = 0; at < count; at += sizeof row / sizeof *row) {
        const size_t n = count - at < sizeof row / sizeof *row ? count - at : sizeof row / sizeof *row;
        octet_profile_octet.quantize(row, values + at, n, &rule);
        octet_levels_store(levels, data->dtype, at, row, n);
    }
}

/* ---- bytes that are levels ---- */

/* Whether every byte that the recipe makes a real number of becomes that byte again. */
static bool gives_bytes_back(const octet_recipe *recipe, float scale, int32_t zero_point)
{
    const octet_level_rule rule = { scale, zero_point, 0, UINT8_MAX };
    for (int64_t c = 0; c < recipe->channels; c++)
        for (int byte = 0; byte <= UINT8_MAX; byte++) {
            float   x = (float)byte;
            int32_t level;
            octet_recipe_apply(recipe, &x, 1, c);
            octet_profile_octet.quantize(&level, &x, 1, &rule);
            if (level != byte) return false;
        }
    return true;
}

bool octet_recipe_levels(float *scale, int32_t *zero_point, const octet_recipe *recipe)
{
    if (!recipe->given || recipe->channels < 1) return false;
    const double zero = rint(recipe->mean[0] / recipe->scale);
    *scale            = (float)(recipe->scale / recipe->std[0]);
    if (!(isnormal(*scale) && *scale > 0 && zero >= 0 && zero <= UINT8_MAX)) return false;
    *zero_point = (int32_t)zero;
    return gives_bytes_back(recipe, *scale, *zero_point);
}
