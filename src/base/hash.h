/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3, 64 bits: of bytes that come in pieces. Guards against accidents, not against intent. */
#ifndef OCTET_BASE_HASH_H
#define OCTET_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct octet_hash {
    _Alignas(64) uint8_t state[576];
} octet_hash;

void     octet_hash_begin(octet_hash *hash);
void     octet_hash_add(octet_hash *hash, const void *bytes, size_t size);
uint64_t octet_hash_value(const octet_hash *hash); /* of everything added so far */

#endif
