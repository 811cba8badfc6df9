/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting a call's scratch memory into pieces; without memory, counting what is needed. */
#ifndef OCTET_OPS_SCRATCH_H
#define OCTET_OPS_SCRATCH_H

#include "base/checked.h"

typedef struct octet_scratch {
    char  *data;  /* NULL: only count */
    size_t bytes; /* taken so far */
    bool   too_large;
} octet_scratch;

/* Room for count elements of size bytes, 64-byte aligned; NULL while counting. */
static inline void *octet_scratch_take(octet_scratch *scratch, size_t count, size_t size)
{
    size_t      bytes = 0;
    char *const at = scratch->data ? scratch->data + scratch->bytes : NULL;
    if (!octet_mul(&bytes, count, size) || !octet_add(&bytes, bytes, 63) ||
        !octet_add(&scratch->bytes, scratch->bytes, bytes & ~(size_t)63))
        scratch->too_large = true;
    return at;
}

#endif
