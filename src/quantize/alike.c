/* SPDX-License-Identifier: Apache-2.0 */
/* Of samples that vary in shape, those that have the commonest one: for searches that run one plan over and over. */
#include "quantize/calibration.h"

#include <string.h>

enum { MOST_SEEN = 512 };

/* Numbers that tell shapes apart: all dimensions of all inputs. */
static octet_status shape_of(int64_t *row, size_t width, const octet_dataset *data, size_t index, octet_error *err)
{
    for (size_t k = 0; k < width / OCTET_MAX_RANK; k++) {
        octet_tensor tensor = { 0 };
        OCTET_TRY(octet_dataset_input_at(&tensor, data, k, index, err));
        memcpy(row + k * OCTET_MAX_RANK, tensor.dims, (size_t)tensor.rank * sizeof *row);
    }
    return OCTET_OK;
}

octet_status octet_choose_alike(size_t **index, size_t *count, const octet_dataset *data, octet_arena *arena,
                                octet_error *err)
{
    const size_t all = octet_dataset_count(data), seen = all < MOST_SEEN ? all : MOST_SEEN;
    const size_t width = octet_dataset_input_count(data) * OCTET_MAX_RANK, most = *count;
    int64_t     *rows;
    size_t       best = 0, best_count = 0;
    OCTET_TRY(octet_arena_get(&rows, arena, seen * width, sizeof *rows, err));
    OCTET_TRY(octet_arena_get(index, arena, seen ? seen : 1, sizeof **index, err));
    for (size_t i = 0; i < seen; i++) OCTET_TRY(shape_of(rows + i * width, width, data, i * all / seen, err));
    for (size_t i = 0; i < seen; i++) {
        size_t like = 0;
        for (size_t k = 0; k < seen; k++) like += !memcmp(rows + i * width, rows + k * width, width * sizeof *rows);
        if (like > best_count) best = i, best_count = like;
    }
    *count = 0;
    for (size_t i = 0; i < seen && *count < most; i++)
        if (!memcmp(rows + i * width, rows + best * width, width * sizeof *rows)) (*index)[(*count)++] = i * all / seen;
    return OCTET_OK;
}
