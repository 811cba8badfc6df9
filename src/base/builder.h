/* SPDX-License-Identifier: Apache-2.0 */
/* A text that grows in an arena. Zeroed but for arena = empty. */
#ifndef OCTET_BASE_BUILDER_H
#define OCTET_BASE_BUILDER_H

#include "base/arena.h"

#include <stdbool.h>

typedef struct octet_builder {
    octet_arena *arena;
    char        *text; /* NULL while empty */
    size_t       used, size;
    bool         failed; /* memory is out: what follows is dropped */
} octet_builder;

void octet_build(octet_builder *builder, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
