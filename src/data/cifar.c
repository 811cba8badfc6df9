/* SPDX-License-Identifier: Apache-2.0 */
/* CIFAR binary: records of one label byte (CIFAR-100: a coarse and a fine one) and 3 x 32 x 32 bytes. */
#include "data/data.h"

enum { PIXELS = 3 * 32 * 32 };

static bool accepts(const octet_source *source, const char *path)
{
    (void)source;
    return octet_ends_in(path, ".bin") || octet_ends_in(path, ".bin.gz");
}

static octet_status open_cifar(octet_dataset *data, const char *path, octet_error *err)
{
    size_t size;
    (void)path;
    OCTET_TRY(octet_source_size(&size, &data->source, err));
    const size_t labels = size % (PIXELS + 1) == 0 ? 1 : 2, record = PIXELS + labels;
    if (size == 0 || size % record)
        return octet_fail(err, OCTET_ERR_FORMAT, "%zu bytes are no whole number of CIFAR records (%d or %d bytes)",
                          size, PIXELS + 1, PIXELS + 2);
    data->array = (octet_array){.dtype = OCTET_U8,
                                .count = size / record,
                                .rank = 3,
                                .dims = {3, 32, 32},
                                .strides = {1024, 32, 1},
                                .pitch = (int64_t)record};
    OCTET_TRY(octet_array_plan(data, err));
    OCTET_TRY(octet_array_load(data, size, labels, err));
    OCTET_TRY(octet_arena_get(&data->labels, data->arena, data->array.count, sizeof *data->labels, err));
    for (size_t i = 0; i < data->array.count; i++) data->labels[i] = *(data->array.bytes + i * record - 1);
    return OCTET_OK;
}

const octet_format octet_format_cifar = {"cifar", accepts, open_cifar, octet_array_read};
