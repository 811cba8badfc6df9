/* SPDX-License-Identifier: Apache-2.0 */
/* One entry per name. Pairs come in the same order for every sample, so the next one is where the last search ended. */
#include <octet/suite.h>

#include "base/arena.h"
#include "measure/sqnr.h"

#include <math.h>
#include <string.h>

typedef struct entry {
    octet_suite_entry names; /* numbers unset */
    octet_sqnr        sum;
    uint64_t          count;
} entry;

struct octet_suite {
    octet_arena *arena;
    entry       *entries;
    size_t       count, capacity, next;
};

octet_status octet_suite_create(octet_suite **suite, octet_error *err)
{
    octet_arena *const arena = octet_arena_new();
    *suite                   = arena ? octet_arena_alloc(arena, 1, sizeof **suite) : NULL;
    if (!*suite) {
        octet_arena_free(arena);
        return octet_fail_memory(err);
    }
    (*suite)->arena = arena;
    return OCTET_OK;
}

void octet_suite_free(octet_suite *suite)
{
    if (suite) octet_arena_free(suite->arena);
}

static entry *find(octet_suite *s, const char *name)
{
    for (size_t k = 0; k < s->count; k++) {
        entry *const e = &s->entries[(s->next + k) % s->count];
        if (strcmp(e->names.name, name) != 0) continue;
        s->next = (s->next + k + 1) % s->count;
        return e;
    }
    return NULL;
}

static octet_status add_entry(entry **made, octet_suite *s, const octet_matched *pair, octet_error *err)
{
    if (!octet_arena_grow(s->arena, &s->entries, s->count, &s->capacity, sizeof *s->entries))
        return octet_fail_memory(err);
    *made  = &s->entries[s->count];
    **made = (entry){ .names = { .name = octet_arena_copy(s->arena, pair->name),
                                 .node = octet_arena_copy(s->arena, pair->node),
                                 .op = octet_arena_copy(s->arena, pair->op),
                                 .merged = octet_arena_copy(s->arena, pair->merged) } };
    const octet_suite_entry *const n = &(*made)->names;
    if (!n->name || !n->node || !n->op || !n->merged) return octet_fail_memory(err);
    s->count++;
    return OCTET_OK;
}

octet_status octet_suite_log(void *suite, size_t sample, const octet_matched *pair, octet_error *err)
{
    octet_suite *const s = suite;
    entry             *e = find(s, pair->name);
    (void)sample;
    if (!e) OCTET_TRY(add_entry(&e, s, pair, err));
    octet_sqnr_add_tensor(&e->sum, pair->real.data, &pair->quantized);
    e->count += (uint64_t)octet_tensor_count(&pair->quantized);
    return OCTET_OK;
}

size_t octet_suite_count(const octet_suite *suite) { return suite->count; }

octet_suite_entry octet_suite_at(const octet_suite *suite, size_t index)
{
    const entry *const e   = &suite->entries[index];
    octet_suite_entry  all = e->names;
    all.count   = e->count;
    all.sqnr_db = octet_sqnr_db(&e->sum);
    all.l2      = e->sum.signal > 0 ? sqrt(e->sum.noise / e->sum.signal) : NAN;
    all.cosine  = octet_sqnr_cosine(&e->sum);
    all.max_abs = e->sum.max_abs;
    return all;
}
