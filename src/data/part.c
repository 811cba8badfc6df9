/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a data set: the same file, recipe and samples, fewer of them. */
#include "data/data.h"

#include <string.h>

static octet_status choose(octet_dataset *part, const octet_dataset *whole, size_t every, bool others, octet_error *err)
{
    const size_t each = whole->references ? (size_t)octet_tensor_count(&whole->reference) : 0;
    part->count       = 0;
    OCTET_TRY(octet_arena_get(&part->order, part->arena, whole->count, sizeof *part->order, err));
    if (each) OCTET_TRY(octet_arena_get(&part->references, part->arena, whole->count, each * sizeof(float), err));
    for (size_t i = 0; i < whole->count; i++) {
        if ((i % every == 0) == others) continue;
        if (each) memcpy(part->references + part->count * each, whole->references + i * each, each * sizeof(float));
        part->order[part->count++] = whole->order[i];
    }
    if (!part->count)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "%zu samples leave none of a part of one in %zu", whole->count,
                          every);
    return octet_dataset_name_all(part, err);
}

octet_status octet_dataset_part(octet_dataset **part, const octet_dataset *whole, size_t every, bool others,
                                octet_error *err)
{
    *part                      = NULL;
    octet_arena *const   arena = octet_arena_new();
    octet_dataset *const d     = arena ? octet_arena_alloc(arena, 1, sizeof *d) : NULL;
    if (!d) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    *d       = *whole;
    d->arena = arena;
    d->whole = whole;
    if (choose(d, whole, every, others, err) == OCTET_OK) {
        *part = d;
        return OCTET_OK;
    }
    octet_dataset_free(d);
    return err ? err->status : OCTET_ERR_ARGUMENT;
}
