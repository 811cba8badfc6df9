/* SPDX-License-Identifier: Apache-2.0 */
/* A list file: names of images, or of .npy files, a sample each, beneath its own folder, one a line, each with a class
   where the list is tsv or csv. */
#include "data/data.h"

#include <string.h>

static bool accepts(const octet_source *source, const char *path)
{
    (void)source;
    return octet_ends_in(path, ".txt") || octet_ends_in(path, ".lst") || octet_ends_in(path, ".list") ||
           octet_table_names(path);
}

static octet_status open_list(octet_dataset *data, const char *path, octet_error *err)
{
    octet_table       table;
    const char *const slash = strrchr(path, '/');
    char *const       folder = octet_arena_copy_bytes(data->arena, path, strlen(path) + 1);
    if (!folder) return octet_fail_memory(err);
    if (slash)
        folder[slash - path + (slash == path)] = '\0';
    else
        strcpy(folder, ".");
    OCTET_TRY(octet_table_read(&table, data->arena, path, err));
    OCTET_TRY(octet_table_use(data, &table, folder, err));
    return octet_images_plan(data, err);
}

const octet_format octet_format_list = {"list", accepts, open_list, octet_images_read, octet_images_shape};
