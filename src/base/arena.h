/* SPDX-License-Identifier: Apache-2.0 */
/* Memory. The only place that calls malloc. An arena belongs to exactly one graph, plan, workspace or call, and
   everything in it dies with it. */
#ifndef OCTET_BASE_ARENA_H
#define OCTET_BASE_ARENA_H

#include <octet/error.h>
#include <stdint.h>

typedef struct octet_arena octet_arena;

/* NULL when memory is out. */
octet_arena *octet_arena_new(void);
void         octet_arena_free(octet_arena *arena);

/* An arena whose requests follow each other without gaps, on large pages of the system from some megabytes on: for
   memory that is read from one end to the other again and again, where looking up small pages takes a third of the
   time. */
octet_arena *octet_arena_new_streamed(void);

/* count * size bytes, zeroed, 64-byte aligned, followed by 64 readable bytes. NULL when memory is out or the product
   overflows. A count of 0 gives a valid pointer. */
void *octet_arena_alloc(octet_arena *arena, size_t count, size_t size);

/* The same, as an error that can be returned: OCTET_TRY(octet_arena_get(&p, arena, n, sizeof *p, err)).
   out is the address of a pointer of any type. */
octet_status octet_arena_get(void *out, octet_arena *arena, size_t count, size_t size, octet_error *err);

/* Bytes rounded up to the alignment of arenas: where the next piece of shared memory may begin. */
static inline size_t octet_aligned(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

/* A copy of text that lives in the arena; NULL when memory is out or text is NULL. */
const char *octet_arena_copy(octet_arena *arena, const char *text);
void       *octet_arena_copy_bytes(octet_arena *arena, const void *bytes, size_t size);

/* printf into the arena; NULL when memory is out. */
const char *octet_arena_format(octet_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes room for one more item in an array of capacity items (0 and NULL at first) that lives in the arena:
   doubles it when count == *capacity. items is the address of the array pointer. False when memory is out. */
_Bool octet_arena_grow(octet_arena *arena, void *items, size_t count, size_t *capacity, size_t size);

size_t octet_arena_bytes(const octet_arena *arena);

/* OCTET_ERR_MEMORY with octet's one wording. */
octet_status octet_fail_memory(octet_error *err);

#endif
