/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a file that are read from front to back and may end anywhere. */
#ifndef OCTET_BASE_TAKER_H
#define OCTET_BASE_TAKER_H

#include <stddef.h>
#include <stdint.h>

typedef struct octet_taker {
    const uint8_t *at;
    size_t         left;
} octet_taker;

/* The next size bytes, NULL where there are fewer. */
static inline const uint8_t *octet_take(octet_taker *taker, uint64_t size)
{
    if (size > taker->left) return NULL;
    const uint8_t *const bytes = taker->at;
    taker->at += size;
    taker->left -= (size_t)size;
    return bytes;
}

#endif
