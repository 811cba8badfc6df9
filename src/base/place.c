/* SPDX-License-Identifier: Apache-2.0 */
/* Largest first, each at the lowest place that no buffer alive at the same time occupies. Very many buffers are placed
   in the order of their lives instead, and where very many live at once, on top of all others: the time stays near
   linear. */
#include "base/place.h"

#include "base/checked.h"

#include <stdbool.h>
#include <stdlib.h>

enum { ALIGNMENT = 64, SEARCH = 4096 };

static int by_size(const void *a, const void *b)
{
    const octet_buffer *const x = *(octet_buffer *const *)a, *const y = *(octet_buffer *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : 1;
}

static int by_birth(const void *a, const void *b)
{
    const octet_buffer *const x = *(octet_buffer *const *)a, *const y = *(octet_buffer *const *)b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x < y ? -1 : 1;
}

/* Buffers that have their place, by offset. */
typedef struct placed_list {
    octet_buffer **at;
    size_t         count;
} placed_list;

static void forget_dead(placed_list *placed, int step)
{
    size_t kept = 0;
    for (size_t i = 0; i < placed->count; i++)
        if (placed->at[i]->last >= step) placed->at[kept++] = placed->at[i];
    placed->count = kept;
}

/* The lowest place that is free throughout the buffer's life. */
static size_t lowest_place(const octet_buffer *buffer, const placed_list *placed)
{
    size_t end = 0;
    for (size_t i = 0; i < placed->count; i++) {
        const octet_buffer *const other = placed->at[i];
        if (other->last < buffer->first || other->first > buffer->last) continue;
        if (other->offset >= end && other->offset - end >= buffer->bytes) break;
        if (other->offset + other->bytes > end) end = other->offset + other->bytes;
    }
    return end;
}

static bool place(octet_buffer *buffer, placed_list *placed, size_t *top)
{
    size_t after;
    buffer->offset = placed->count > SEARCH ? *top : lowest_place(buffer, placed);
    if (!octet_add(&after, buffer->offset, buffer->bytes)) return false;
    size_t slot = placed->count++;
    for (; slot > 0 && placed->at[slot - 1]->offset > buffer->offset; slot--) placed->at[slot] = placed->at[slot - 1];
    placed->at[slot] = buffer;
    if (after > *top) *top = after;
    return true;
}

static octet_status fail_size(octet_error *err)
{
    return octet_fail(err, OCTET_ERR_LIMIT, "the plan needs more memory than an address can count");
}

octet_status octet_place(size_t *bytes, octet_buffer *buffers, size_t count, octet_arena *arena, octet_error *err)
{
    const bool     search = count <= SEARCH;
    octet_buffer **order;
    placed_list    placed = { 0 };
    *bytes                = 0;
    OCTET_TRY(octet_arena_get(&order, arena, count, sizeof(octet_buffer *), err));
    OCTET_TRY(octet_arena_get(&placed.at, arena, count, sizeof(octet_buffer *), err));
    for (size_t i = 0; i < count; i++) {
        order[i] = &buffers[i];
        if (!octet_add(&order[i]->bytes, order[i]->bytes, ALIGNMENT - 1)) return fail_size(err);
        order[i]->bytes -= order[i]->bytes % ALIGNMENT;
    }
    if (count) qsort(order, count, sizeof *order, search ? by_size : by_birth);
    size_t full = SEARCH;
    for (size_t i = 0; i < count; i++) {
        if (order[i]->first < 0) continue;
        if (!search && placed.count > full) {
            forget_dead(&placed, order[i]->first);
            full = SEARCH + 2 * placed.count;
        }
        if (!place(order[i], &placed, bytes)) return fail_size(err);
    }
    return OCTET_OK;
}
