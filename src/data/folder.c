/* SPDX-License-Identifier: Apache-2.0 */
/* Image folders: labels.tsv where there is one, else images in the folder itself, else one sub-folder a class. Names
   are sorted by byte; what is hidden or is no image by its name does not exist. A folder without images may hold
   .npy files, a sample each. */
#include "data/data.h"

#include "base/checked.h"
#include "data/image.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct names {
    const char **at;
    size_t       count, capacity;
} names;

static bool is_image_name(const char *name)
{
    return octet_ends_in(name, ".jpg") || octet_ends_in(name, ".jpeg") || octet_ends_in(name, ".png");
}

static bool is_array_name(const char *name) { return octet_ends_in(name, ".npy") || octet_ends_in(name, ".npy.gz"); }

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static int compare_names(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static octet_status add(names *list, octet_arena *arena, const char *name, octet_error *err)
{
    if (!name || !octet_arena_grow(arena, &list->at, list->count, &list->capacity, sizeof *list->at))
        return octet_fail_memory(err);
    list->at[list->count++] = name;
    return OCTET_OK;
}

typedef enum kind { IMAGES, ARRAYS, FOLDERS } kind;

/* Entries of path of one kind, sorted. */
static octet_status scan(names *list, octet_arena *arena, const char *path, kind wanted, octet_error *err)
{
    *list = (names){0};
    DIR *const dir = opendir(path);
    if (!dir) {
        octet_fail(err, OCTET_ERR_FILE, "cannot open folder: %s", strerror(errno));
        octet_error_file(err, path);
        return OCTET_ERR_FILE;
    }
    octet_status status = OCTET_OK;
    for (struct dirent *entry; status == OCTET_OK && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        if ((wanted == IMAGES && is_image_name(entry->d_name)) || (wanted == ARRAYS && is_array_name(entry->d_name))) {
            status = add(list, arena, octet_arena_copy(arena, entry->d_name), err);
        } else if (wanted == FOLDERS) {
            const char *const whole = octet_arena_format(arena, "%s/%s", path, entry->d_name);
            if (!whole)
                status = octet_fail_memory(err);
            else if (is_folder(whole))
                status = add(list, arena, octet_arena_copy(arena, entry->d_name), err);
        }
    }
    closedir(dir);
    if (list->count) qsort(list->at, list->count, sizeof *list->at, compare_names);
    return status;
}

/* Sub-folders in the order of classes.txt, which must name ones that exist. */
static octet_status read_classes(names *classes, octet_arena *arena, const char *path, const char *file,
                                 octet_error *err)
{
    octet_table table;
    OCTET_TRY(octet_table_read(&table, arena, file, err));
    *classes = (names){table.files, table.count, table.capacity};
    for (size_t i = 0; i < classes->count; i++) {
        const char *const whole = octet_arena_format(arena, "%s/%s", path, classes->at[i]);
        if (!whole) return octet_fail_memory(err);
        if (!is_folder(whole)) {
            octet_fail(err, OCTET_ERR_FORMAT, "line %zu: no sub-folder '%s'", i + 1, classes->at[i]);
            octet_error_file(err, file);
            return OCTET_ERR_FORMAT;
        }
    }
    return OCTET_OK;
}

static octet_status add_class(octet_table *table, octet_arena *arena, const char *path, const char *name, int64_t label,
                              octet_error *err)
{
    names             images;
    const char *const folder = octet_arena_format(arena, "%s/%s", path, name);
    if (!folder) return octet_fail_memory(err);
    OCTET_TRY(scan(&images, arena, folder, IMAGES, err));
    if (images.count == 0) {
        octet_fail(err, OCTET_ERR_FORMAT, "no image in the sub-folder of a class (need .jpg, .jpeg or .png)");
        octet_error_file(err, folder);
        return OCTET_ERR_FORMAT;
    }
    for (size_t i = 0; i < images.count; i++) {
        if (!octet_arena_grow(arena, &table->files, table->count, &table->capacity, sizeof *table->files) ||
            !octet_arena_grow(arena, &table->labels, table->count, &table->label_capacity, sizeof *table->labels))
            return octet_fail_memory(err);
        table->labels[table->count] = label;
        table->files[table->count++] = octet_arena_format(arena, "%s/%s", name, images.at[i]);
        if (!table->files[table->count - 1]) return octet_fail_memory(err);
    }
    return OCTET_OK;
}

static octet_status add_classes(octet_table *table, octet_dataset *data, const char *path, octet_error *err)
{
    names             classes;
    const char *const file = octet_arena_format(data->arena, "%s/classes.txt", path);
    if (!file) return octet_fail_memory(err);
    if (access(file, F_OK) == 0)
        OCTET_TRY(read_classes(&classes, data->arena, path, file, err));
    else
        OCTET_TRY(scan(&classes, data->arena, path, FOLDERS, err));
    for (size_t i = 0; i < classes.count; i++)
        OCTET_TRY(add_class(table, data->arena, path, classes.at[i], (int64_t)i, err));
    table->has_labels = true;
    return OCTET_OK;
}

static octet_status scan_tree(octet_table *table, octet_dataset *data, const char *path, octet_error *err)
{
    names images;
    OCTET_TRY(scan(&images, data->arena, path, IMAGES, err));
    if (images.count == 0) OCTET_TRY(scan(&images, data->arena, path, ARRAYS, err));
    *table = (octet_table){.files = images.at, .count = images.count, .capacity = images.capacity};
    if (images.count == 0) OCTET_TRY(add_classes(table, data, path, err));
    if (table->count) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_FORMAT,
                      "folder contains no image (need .jpg, .jpeg or .png; or .npy, a sample each)");
}

static bool accepts(const octet_source *source, const char *path)
{
    (void)path;
    return source->folder;
}

static octet_status open_folder(octet_dataset *data, const char *path, octet_error *err)
{
    octet_table       table;
    const char *const given = data->options.labels, *const own = octet_arena_format(data->arena, "%s/labels.tsv", path);
    if (!own) return octet_fail_memory(err);
    if (given && octet_table_names(given))
        OCTET_TRY(octet_table_read(&table, data->arena, given, err));
    else if (access(own, F_OK) == 0)
        OCTET_TRY(octet_table_read(&table, data->arena, own, err));
    else
        OCTET_TRY(scan_tree(&table, data, path, err));
    OCTET_TRY(octet_table_use(data, &table, path, err));
    return octet_images_plan(data, err);
}

const octet_format octet_format_folder = {"image folder", accepts, open_folder, octet_images_read, octet_images_shape};
