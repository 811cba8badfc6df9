/* SPDX-License-Identifier: Apache-2.0 */
/* Linear probing; removed entries keep their slot with a NULL object, so that probes go on past them. */
#include "graph/names.h"

#include <stdint.h>
#include <string.h>

typedef struct entry {
    const char *name;
    void       *object;
    size_t      tries; /* highest suffix handed out for this name */
} entry;

struct octet_names {
    octet_arena *arena;
    entry       *entries;
    size_t       used, size; /* size is a power of two */
};

static uint64_t hash(const char *name)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (; *name; name++) h = (h ^ (uint8_t)*name) * 1099511628211u;
    return h;
}

static entry *slot(const octet_names *names, const char *name)
{
    size_t i = hash(name) & (names->size - 1);
    while (names->entries[i].name && strcmp(names->entries[i].name, name) != 0) i = (i + 1) & (names->size - 1);
    return &names->entries[i];
}

octet_names *octet_names_new(octet_arena *arena)
{
    octet_names *const names = octet_arena_alloc(arena, 1, sizeof *names);
    if (!names) return NULL;
    names->arena   = arena;
    names->size    = 64;
    names->entries = octet_arena_alloc(arena, names->size, sizeof(entry));
    return names->entries ? names : NULL;
}

octet_names *octet_names_copy(const octet_names *names, octet_arena *arena)
{
    octet_names *const copy = octet_arena_copy_bytes(arena, names, sizeof *names);
    if (!copy) return NULL;
    copy->arena   = arena;
    copy->entries = octet_arena_alloc(arena, names->size, sizeof(entry));
    if (!copy->entries) return NULL;
    for (size_t i = 0; i < names->size; i++) {
        if (!names->entries[i].name) continue;
        copy->entries[i] = (entry){ .name = octet_arena_copy(arena, names->entries[i].name),
                                    .tries = names->entries[i].tries };
        if (!copy->entries[i].name) return NULL;
    }
    return copy;
}

void *octet_names_find(const octet_names *names, const char *name) { return slot(names, name)->object; }

static bool grow(octet_names *names)
{
    octet_names bigger = *names;
    bigger.size        = names->size * 4;
    bigger.entries     = octet_arena_alloc(names->arena, bigger.size, sizeof(entry));
    if (!bigger.entries) return false;
    for (size_t i = 0; i < names->size; i++)
        if (names->entries[i].name) *slot(&bigger, names->entries[i].name) = names->entries[i];
    *names = bigger;
    return true;
}

bool octet_names_add(octet_names *names, const char *name, void *object)
{
    if (names->used * 2 >= names->size && !grow(names)) return false;
    entry *const e = slot(names, name);
    if (!e->name) names->used++;
    e->name   = name;
    e->object = object;
    return true;
}

void octet_names_remove(octet_names *names, const char *name) { slot(names, name)->object = NULL; }

const char *octet_names_free(octet_names *names, const char *near)
{
    if (!octet_names_find(names, near)) return octet_arena_copy(names->arena, near);
    for (;;) {
        entry *const      e    = slot(names, near);
        const char *const name = octet_arena_format(names->arena, "%s_%zu", near, ++e->tries);
        if (!name || !octet_names_find(names, name)) return name;
    }
}
