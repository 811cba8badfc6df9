/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of memory that share addresses where they are not in use at the same time. */
#ifndef OCTET_BASE_PLACE_H
#define OCTET_BASE_PLACE_H

#include "base/arena.h"

/* In use from step first to step last, both included; first < 0: never. */
typedef struct octet_buffer {
    size_t bytes, offset;
    int    first, last;
} octet_buffer;

/* Rounds every size up to 64 bytes and sets every offset; *bytes: of all together. */
octet_status octet_place(size_t *bytes, octet_buffer *buffers, size_t count, octet_arena *arena, octet_error *err);

#endif
