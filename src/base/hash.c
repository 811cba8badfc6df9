/* SPDX-License-Identifier: Apache-2.0 */
/* The one use of xxHash in the library. Its state has a place of its own, so that nothing is allocated. */
#define XXH_STATIC_LINKING_ONLY
#include "base/hash.h"

#include <xxhash.h>

_Static_assert(sizeof(XXH3_state_t) <= sizeof(octet_hash), "xxHash's state has grown");

void octet_hash_begin(octet_hash *hash)
{
    XXH3_INITSTATE((XXH3_state_t *)hash);
    XXH3_64bits_reset((XXH3_state_t *)hash);
}

void octet_hash_add(octet_hash *hash, const void *bytes, size_t size)
{
    XXH3_64bits_update((XXH3_state_t *)hash, bytes, size);
}

uint64_t octet_hash_value(const octet_hash *hash) { return XXH3_64bits_digest((const XXH3_state_t *)hash); }
