/* SPDX-License-Identifier: Apache-2.0 */
/* A list of blocks. Small requests share a block, large ones get their own (fresh zero pages from the system, so a
   large array costs only what is touched). */
#include "base/arena.h"

#include "base/checked.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, SLACK = 64, BLOCK = 1 << 16, FIRST = 4096 };

typedef struct block {
    struct block *next;
    size_t        used, size; /* of the bytes after the header */
    void         *map;        /* from the system, NULL: from malloc */
    size_t        map_size;
} block;

struct octet_arena {
    block *blocks;
    size_t bytes;
    bool   streamed;
};

/* Bytes before the first aligned address after the header. */
static uint8_t *block_start(block *b)
{
    const uintptr_t at = (uintptr_t)(b + 1);
    return (uint8_t *)b + sizeof *b + ((ALIGNMENT - at % ALIGNMENT) % ALIGNMENT);
}

static block *block_new(octet_arena *arena, size_t size)
{
    size_t total;
    if (!octet_add(&total, size, sizeof(block) + ALIGNMENT + SLACK)) return NULL;
    block *const b = calloc(1, total);
    if (!b) return NULL;
    b->size = size;
    arena->bytes += total;
    return b;
}

octet_arena *octet_arena_new(void) { return calloc(1, sizeof(octet_arena)); }

/* ---- streamed ---- */

enum { LARGE_PAGE = 2 << 20, FEW = 1 << 20, LARGEST = 32 << 20 };

octet_arena *octet_arena_new_streamed(void)
{
    octet_arena *const arena = octet_arena_new();
    if (arena) arena->streamed = true;
    return arena;
}

/* As much again as there is, in whole large pages; pages that nobody touches cost nothing. */
static block *block_map(octet_arena *arena, size_t need)
{
    size_t want = arena->bytes < LARGEST ? arena->bytes : LARGEST, total, padded;
    if (want < need) want = need;
    if (!octet_add(&total, want, sizeof(block) + ALIGNMENT + SLACK + LARGE_PAGE - 1)) return NULL;
    total -= total % LARGE_PAGE;
    if (!octet_add(&padded, total, LARGE_PAGE)) return NULL;
    uint8_t *const map = mmap(NULL, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return NULL;
    block *const b = (block *)(void *)(map + (LARGE_PAGE - (uintptr_t)map % LARGE_PAGE) % LARGE_PAGE);
    madvise(b, total, MADV_HUGEPAGE); /* a wish */
    *b = (block){ .size = total - sizeof(block) - ALIGNMENT - SLACK, .map = map, .map_size = padded };
    arena->bytes += total;
    return b;
}

static void *streamed_alloc(octet_arena *arena, size_t need)
{
    block *b = arena->blocks;
    if (!b || b->size - b->used < need) {
        const size_t share = need < BLOCK ? BLOCK : need;
        b = arena->bytes + need < FEW ? block_new(arena, share) : block_map(arena, need);
        if (!b) return NULL;
        b->next       = arena->blocks;
        arena->blocks = b;
    }
    b->used += need;
    return block_start(b) + b->used - need;
}

void octet_arena_free(octet_arena *arena)
{
    if (!arena) return;
    for (block *b = arena->blocks, *next; b; b = next) {
        next = b->next;
        if (b->map) munmap(b->map, b->map_size);
        else free(b);
    }
    free(arena);
}

void *octet_arena_alloc(octet_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!octet_mul(&bytes, count, size) || bytes > SIZE_MAX / 2) return NULL;
    const size_t need = (bytes + SLACK + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (arena->streamed) return streamed_alloc(arena, need);
    block *top = arena->blocks;
    if (top && top->size - top->used >= need) {
        top->used += need;
        return block_start(top) + top->used - need;
    }
    const size_t share = top ? BLOCK : FIRST;
    const bool   alone = need > share / 4;
    block *const b     = block_new(arena, alone ? need : share);
    if (!b) return NULL;
    b->used = need;
    if (alone && top) { /* keep filling the block on top */
        b->next   = top->next;
        top->next = b;
    } else {
        b->next       = top;
        arena->blocks = b;
    }
    return block_start(b);
}

octet_status octet_arena_get(void *out, octet_arena *arena, size_t count, size_t size, octet_error *err)
{
    void *const memory = octet_arena_alloc(arena, count, size);
    memcpy(out, &memory, sizeof memory);
    return memory ? OCTET_OK : octet_fail_memory(err);
}

void *octet_arena_copy_bytes(octet_arena *arena, const void *bytes, size_t size)
{
    void *const copy = octet_arena_alloc(arena, size, 1);
    if (copy && size) memcpy(copy, bytes, size);
    return copy;
}

const char *octet_arena_copy(octet_arena *arena, const char *text)
{
    return text ? octet_arena_copy_bytes(arena, text, strlen(text) + 1) : NULL;
}

const char *octet_arena_format(octet_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int length = vsnprintf(NULL, 0, format, args);
    char     *text   = length < 0 ? NULL : octet_arena_alloc(arena, (size_t)length + 1, 1);
    if (text) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

_Bool octet_arena_grow(octet_arena *arena, void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) return 1;
    void *old;
    memcpy(&old, items, sizeof old);
    const size_t more = *capacity ? *capacity * 2 : 8;
    void *const  new  = octet_arena_alloc(arena, more, size);
    if (!new) return 0;
    if (count) memcpy(new, old, count * size);
    memcpy(items, &new, sizeof new);
    *capacity = more;
    return 1;
}

size_t octet_arena_bytes(const octet_arena *arena) { return arena ? arena->bytes : 0; }

octet_status octet_fail_memory(octet_error *err) { return octet_fail(err, OCTET_ERR_MEMORY, "out of memory"); }
