/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and folders of npy files, one sample in each: the way to samples of differing shapes. Each file is a data set
   of its own, of one sample, under the same options; so layouts, recipes and types mean what they mean elsewhere. */
#include "data/data.h"

#include <string.h>

bool octet_files_are_arrays(const octet_dataset *data)
{
    return !data->blobs && data->raw_count && (octet_ends_in(data->files[0], ".npy") ||
                                               octet_ends_in(data->files[0], ".npy.gz"));
}

/* A file without the leading 1 is one sample all the same. */
static void take_whole(octet_array *array, const octet_target *target)
{
    if (!target->known || target->rank != array->rank + 1 || array->rank + 1 >= OCTET_MAX_RANK) return;
    memmove(array->dims + 1, array->dims, (size_t)array->rank * sizeof *array->dims);
    memmove(array->strides + 1, array->strides, (size_t)array->rank * sizeof *array->strides);
    array->dims[0]    = (int64_t)array->count;
    array->strides[0] = array->pitch;
    array->count      = 1;
    array->rank++;
}

static octet_status load(octet_dataset *one, const char *path, octet_error *err)
{
    size_t total, offset;
    OCTET_TRY(octet_source_open(&one->source, one->arena, path, err));
    OCTET_TRY(octet_npy_parse(&one->array, one->source.head, one->source.head_size, &total, &offset, err));
    take_whole(&one->array, &one->target);
    if (one->array.count != 1)
        return octet_fail(err, OCTET_ERR_SHAPE, "file holds %zu samples (need one, as its name stands in a list or "
                                                "folder)", one->array.count);
    OCTET_TRY(octet_array_plan(one, err));
    return octet_array_load(one, total, offset, err);
}

static octet_status open_one(octet_dataset **one, const octet_dataset *data, size_t raw_index, octet_error *err)
{
    octet_arena *const   arena = octet_arena_new();
    octet_dataset *const d     = arena ? octet_arena_alloc(arena, 1, sizeof *d) : NULL;
    const char *const    name  = data->files[raw_index];
    const char *const    path  = d && data->folder ? octet_arena_format(arena, "%s/%s", data->folder, name) : name;
    if (!d || !path) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    *d = (octet_dataset){ .arena = arena, .limits = data->limits, .target = data->target, .recipe = data->recipe,
                          .own_recipe = data->own_recipe, .levels = data->levels,
                          .port = { .dtype = OCTET_F32, .rank = 1, .dims = { 1 } } };
    d->options.layout         = data->options.layout;
    const octet_status status = load(d, path, err);
    if (status == OCTET_OK) {
        *one = d;
        return OCTET_OK;
    }
    octet_error_file(err, path);
    octet_dataset_free(d);
    return status;
}

static octet_status read_file(const octet_dataset *data, size_t raw_index, float *values, octet_error *err)
{
    octet_dataset *one = NULL;
    char           got[160], need[160];
    OCTET_TRY(open_one(&one, data, raw_index, err));
    const octet_port *const p    = &one->port;
    octet_status            status;
    const bool              same = p->rank == data->port.rank &&
                      !memcmp(p->dims, data->port.dims, sizeof *p->dims * (size_t)p->rank);
    if (same) status = octet_array_read(one, 0, values, err);
    else status = octet_fail(err, OCTET_ERR_SHAPE, "wrong shape of sample %s (got %s, need %s like the first)",
                             data->files[raw_index], octet_shape_text(got, sizeof got, p->dims, p->rank),
                             octet_shape_text(need, sizeof need, data->port.dims, data->port.rank));
    octet_dataset_free(one);
    return status;
}

static octet_status shape_of(octet_port *port, const octet_dataset *data, size_t raw_index, octet_error *err)
{
    octet_dataset *one = NULL;
    OCTET_TRY(open_one(&one, data, raw_index, err));
    port->rank = one->port.rank;
    memcpy(port->dims, one->port.dims, sizeof port->dims);
    octet_dataset_free(one);
    return OCTET_OK;
}

octet_status octet_files_plan(octet_dataset *data, octet_error *err)
{
    octet_dataset *first = NULL;
    data->format = &octet_format_files;
    if (data->options.layout && !(data->options.layout = octet_arena_copy(data->arena, data->options.layout)))
        return octet_fail_memory(err);
    OCTET_TRY(open_one(&first, data, 0, err));
    data->array.dtype = first->array.dtype;
    data->recipe      = first->recipe;
    data->port.rank   = first->port.rank;
    memcpy(data->port.dims, first->port.dims, sizeof data->port.dims);
    data->varies = true;
    octet_status status = OCTET_OK;
    if (first->warnings) status = octet_dataset_warn(data, err, "%s", first->warnings);
    octet_dataset_free(first);
    return status;
}

static bool accepts(const octet_source *source, const char *path)
{
    (void)source, (void)path;
    return false; /* by the list or folder that names them */
}

const octet_format octet_format_files = { "npy files", accepts, NULL, read_file, shape_of };
