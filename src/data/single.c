/* SPDX-License-Identifier: Apache-2.0 */
/* One image: a data set of one sample. A name that promises an image is believed, so that a file that is none is
   refused as an image. */
#include "data/data.h"
#include "data/image.h"

static bool accepts(const octet_source *source, const char *path)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (octet_ends_in(path, endings[i])) return true;
    return octet_is_png(source->head, source->head_size) || octet_is_jpeg(source->head, source->head_size);
}

static octet_status open_single(octet_dataset *data, const char *path, octet_error *err)
{
    octet_table table = {.count = 1};
    OCTET_TRY(octet_arena_get(&table.files, data->arena, 1, sizeof *table.files, err));
    table.files[0] = octet_arena_copy(data->arena, path);
    if (!table.files[0]) return octet_fail_memory(err);
    OCTET_TRY(octet_table_use(data, &table, NULL, err));
    return octet_images_plan(data, err);
}

const octet_format octet_format_image = {"image", accepts, open_single, octet_images_read, octet_images_shape};
