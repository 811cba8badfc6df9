/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and nothing else: what they are and how many make a sample, only the user knows: "3,32,32", "u8:3,32,32". */
#include "data/data.h"

#include "base/checked.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static octet_status refuse(const char *text, octet_error *err)
{
    octet_error_field(err, "--shape");
    return octet_fail(err, OCTET_ERR_ARGUMENT, "not the shape of a sample (got '%.60s', need for example 3,32,32 or "
                                               "u8:3,32,32; types f32, f16, f64, u8, i8)", text);
}

/* "u8:" in front, f32 where nothing is. */
static octet_status read_type(octet_dtype *dtype, const char **dims, const char *text, octet_error *err)
{
    static const octet_dtype types[] = { OCTET_F32, OCTET_F16, OCTET_F64, OCTET_U8, OCTET_I8 };
    const char *const        colon   = strchr(text, ':');
    *dtype                           = OCTET_F32;
    *dims                            = colon ? colon + 1 : text;
    if (!colon) return OCTET_OK;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const char *const name = octet_dtype_name(types[i]);
        if (strlen(name) != (size_t)(colon - text) || memcmp(name, text, strlen(name)) != 0) continue;
        *dtype = types[i];
        return OCTET_OK;
    }
    return refuse(text, err);
}

static octet_status read_shape(octet_array *array, const char *text, octet_error *err)
{
    const char *at;
    OCTET_TRY(read_type(&array->dtype, &at, text, err));
    for (;; at++) {
        char         part[24];
        const size_t length = strcspn(at, ",");
        if (length >= sizeof part || array->rank == OCTET_MAX_RANK - 1) return refuse(text, err);
        snprintf(part, sizeof part, "%.*s", (int)length, at);
        if (!octet_parse_int(&array->dims[array->rank], part) || array->dims[array->rank] < 1) return refuse(text, err);
        array->rank++;
        at += length;
        if (!*at) return OCTET_OK;
    }
}

static bool accepts(const octet_source *source, const char *path)
{
    (void)source, (void)path;
    return false; /* by --shape alone */
}

static octet_status open_raw(octet_dataset *data, const char *path, octet_error *err)
{
    octet_array *const a = &data->array;
    size_t             size, each;
    (void)path;
    OCTET_TRY(read_shape(a, data->options.shape, err));
    if (data->source.folder) return octet_fail(err, OCTET_ERR_FORMAT, "a folder is no file of numbers (--shape)");
    OCTET_TRY(octet_source_size(&size, &data->source, err));
    a->count = 1;
    if (!octet_array_strides(a, false, &each)) return refuse(data->options.shape, err);
    if (size % each || !size)
        return octet_fail(err, OCTET_ERR_FORMAT,
                          "%zu bytes are no whole number of samples of %zu bytes (--shape %.60s)", size, each,
                          data->options.shape);
    a->count = size / each;
    OCTET_TRY(octet_array_plan(data, err));
    return octet_array_load(data, size, 0, err);
}

const octet_format octet_format_raw = { "raw", accepts, open_raw, octet_array_read };
