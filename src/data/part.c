/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a data set: the same file and recipe, fewer of the samples. */
#include "data/data.h"

#include <string.h>

/* The samples of whole that list names, in that order. */
static octet_status take(octet_dataset *part, const octet_dataset *whole, const size_t *list, size_t count,
                         octet_error *err)
{
    const size_t each = whole->references ? (size_t)octet_tensor_count(&whole->reference) : 0;
    OCTET_TRY(octet_arena_get(&part->order, part->arena, count, sizeof *part->order, err));
    if (each) OCTET_TRY(octet_arena_get(&part->references, part->arena, count, each * sizeof(float), err));
    for (size_t i = 0; i < count; i++) {
        if (each) memcpy(part->references + i * each, whole->references + list[i] * each, each * sizeof(float));
        part->order[i] = whole->order[list[i]];
    }
    part->count = count;
    return octet_dataset_name_all(part, err);
}

static octet_status new_part(octet_dataset **part, const octet_dataset *whole, octet_error *err)
{
    octet_arena *const arena = octet_arena_new();
    *part                    = arena ? octet_arena_alloc(arena, 1, sizeof **part) : NULL;
    if (!*part) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    **part          = *whole;
    (*part)->arena  = arena;
    (*part)->whole  = whole;
    return OCTET_OK;
}

static octet_status finish(octet_dataset **part, octet_status status)
{
    if (status == OCTET_OK) return OCTET_OK;
    octet_dataset_free(*part);
    *part = NULL;
    return status;
}

/* ---- one in so many ---- */

static octet_status take_some(octet_dataset *part, const octet_dataset *whole, size_t every, bool others,
                              octet_error *err)
{
    size_t *list, count = 0;
    OCTET_TRY(octet_arena_get(&list, part->arena, whole->count, sizeof *list, err));
    for (size_t i = 0; i < whole->count; i++)
        if ((i % every == 0) != others) list[count++] = i;
    if (!count)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "%zu samples leave none of a part of one in %zu", whole->count,
                          every);
    return take(part, whole, list, count, err);
}

octet_status octet_dataset_part(octet_dataset **part, const octet_dataset *whole, size_t every, bool others,
                                octet_error *err)
{
    OCTET_TRY(new_part(part, whole, err));
    return finish(part, take_some(*part, whole, every, others, err));
}

/* ---- one shape ---- */

enum { MOST_SEEN = 512 }; /* shapes are compared each with each */

/* Numbers that tell shapes apart: all dimensions of all inputs. */
static octet_status shape_of(int64_t *row, const octet_dataset *data, size_t index, octet_error *err)
{
    for (size_t k = 0; k < octet_dataset_input_count(data); k++) {
        octet_tensor tensor = { 0 };
        OCTET_TRY(octet_dataset_input_at(&tensor, data, k, index, err));
        memcpy(row + k * OCTET_MAX_RANK, tensor.dims, (size_t)tensor.rank * sizeof *row);
    }
    return OCTET_OK;
}

/* All samples are of this shape from now on, for the first input and the others. */
static octet_status fix_shape(octet_dataset *part, const octet_dataset *whole, const int64_t *row, octet_error *err)
{
    part->varies = false;
    memcpy(part->port.dims, row, (size_t)part->port.rank * sizeof *row);
    OCTET_TRY(octet_arena_get(&part->others, part->arena, whole->other_count, sizeof *part->others, err));
    for (size_t k = 0; k < whole->other_count; k++) {
        octet_dataset *const other = octet_arena_copy_bytes(part->arena, whole->others[k], sizeof *other);
        if (!other) return octet_fail_memory(err);
        other->varies = false;
        memcpy(other->port.dims, row + (k + 1) * OCTET_MAX_RANK, (size_t)other->port.rank * sizeof *row);
        part->others[k] = other;
    }
    return OCTET_OK;
}

static octet_status take_alike(octet_dataset *part, const octet_dataset *whole, octet_error *err)
{
    const size_t seen = whole->count < MOST_SEEN ? whole->count : MOST_SEEN;
    const size_t width = octet_dataset_input_count(whole) * OCTET_MAX_RANK;
    size_t      *list, count = 0, best = 0, best_count = 0;
    int64_t     *rows;
    OCTET_TRY(octet_arena_get(&rows, part->arena, seen * width, sizeof *rows, err));
    OCTET_TRY(octet_arena_get(&list, part->arena, seen, sizeof *list, err));
    for (size_t i = 0; i < seen; i++) OCTET_TRY(shape_of(rows + i * width, whole, i * whole->count / seen, err));
    for (size_t i = 0; i < seen; i++) {
        size_t like = 0;
        for (size_t k = 0; k < seen; k++) like += !memcmp(rows + i * width, rows + k * width, width * sizeof *rows);
        if (like > best_count) best = i, best_count = like;
    }
    for (size_t i = 0; i < seen; i++)
        if (!memcmp(rows + i * width, rows + best * width, width * sizeof *rows))
            list[count++] = i * whole->count / seen;
    OCTET_TRY(fix_shape(part, whole, rows + best * width, err));
    return take(part, whole, list, count, err);
}

octet_status octet_dataset_alike(octet_dataset **part, const octet_dataset *whole, octet_error *err)
{
    OCTET_TRY(new_part(part, whole, err));
    return finish(part, take_alike(*part, whole, err));
}
