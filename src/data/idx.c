/* SPDX-License-Identifier: Apache-2.0 */
/* idx, the format of MNIST: a magic number with type and rank, big-endian sizes, data. The label file has the same
   name with images and idx3 replaced by labels and idx1. */
#include "data/data.h"

#include "base/checked.h"

#include <string.h>
#include <unistd.h>

static octet_dtype type_of(uint8_t code)
{
    switch (code) {
    case 0x08:
        return OCTET_U8;
    case 0x09:
        return OCTET_I8;
    case 0x0b:
        return OCTET_I16;
    case 0x0c:
        return OCTET_I32;
    case 0x0d:
        return OCTET_F32;
    case 0x0e:
        return OCTET_F64;
    default:
        return OCTET_NONE;
    }
}

octet_status octet_idx_parse(octet_array *array, const uint8_t *head, size_t size, size_t *total, size_t *offset,
                             octet_error *err)
{
    size_t bytes;
    *array = (octet_array){.swapped = true};
    if (size < 4 || head[0] || head[1]) return octet_fail(err, OCTET_ERR_FORMAT, "not an idx file (wrong magic)");
    const int rank = head[3];
    array->dtype = type_of(head[2]);
    *offset = 4 + 4 * (size_t)rank;
    if (array->dtype == OCTET_NONE)
        return octet_fail(err, OCTET_ERR_FORMAT, "idx header: unknown element type 0x%02x", head[2]);
    if (rank < 1 || rank > OCTET_MAX_RANK)
        return octet_fail(err, OCTET_ERR_FORMAT, "idx header: %d dimensions (need 1 to %d)", rank, OCTET_MAX_RANK);
    if (size < *offset) return octet_fail(err, OCTET_ERR_FORMAT, "idx header: truncated after %zu bytes", size);
    for (int i = 0; i < rank; i++) {
        const uint8_t *const b = head + 4 + 4 * i;
        const int64_t        d = (int64_t)b[0] << 24 | (int64_t)b[1] << 16 | (int64_t)b[2] << 8 | (int64_t)b[3];
        if (d == 0) return octet_fail(err, OCTET_ERR_FORMAT, "idx header: dimension %d is 0: no samples", i);
        if (i == 0)
            array->count = (size_t)d;
        else
            array->dims[i - 1] = d;
    }
    array->rank = rank - 1;
    if (!octet_array_strides(array, false, &bytes) || !octet_add(total, bytes, *offset))
        return octet_fail(err, OCTET_ERR_FORMAT, "idx header: the size of its shape overflows");
    return OCTET_OK;
}

static bool accepts(const octet_source *source, const char *path)
{
    const char *const slash = strrchr(path, '/'), *const name = slash ? slash + 1 : path;
    const uint8_t *const head = source->head;
    return strstr(name, "idx") != NULL || (source->head_size >= 4 && !head[0] && !head[1] && head[3] &&
                                           head[3] <= OCTET_MAX_RANK && type_of(head[2]) != OCTET_NONE);
}

/* Replaces the last occurrence of from (no shorter than to, or of equal length) in text. */
static bool replace_last(char *text, const char *from, const char *to)
{
    char *found = NULL;
    for (char *at = strstr(text, from); at; at = strstr(at + 1, from)) found = at;
    if (!found || strchr(found, '/')) return false;
    memcpy(found, to, strlen(to));
    return true;
}

/* Takes the labels from the file beside, if there is one. */
static octet_status find_labels(octet_dataset *data, const char *path, octet_error *err)
{
    char *const beside = octet_arena_copy_bytes(data->arena, path, strlen(path) + 1);
    if (!beside) return octet_fail_memory(err);
    const bool named = replace_last(beside, "images", "labels") && replace_last(beside, "idx3", "idx1");
    if (!named || data->options.labels || access(beside, R_OK) != 0) return OCTET_OK;
    return octet_labels_read(&data->labels, data, beside, err);
}

static octet_status open_idx(octet_dataset *data, const char *path, octet_error *err)
{
    size_t total = 0, offset = 0;
    OCTET_TRY(octet_idx_parse(&data->array, data->source.head, data->source.head_size, &total, &offset, err));
    OCTET_TRY(octet_array_plan(data, err));
    OCTET_TRY(octet_array_load(data, total, offset, err));
    return find_labels(data, path, err);
}

const octet_format octet_format_idx = {"idx", accepts, open_idx, octet_array_read};
