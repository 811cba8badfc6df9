/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

static const uint64_t STRIDE = 0x9e3779b97f4a7c15u;

uint64_t octet_random_bits(uint64_t *state)
{
    uint64_t z = (*state += STRIDE);
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

double octet_random_unit(uint64_t *state) { return (double)(octet_random_bits(state) >> 11) * 0x1p-53; }

uint64_t octet_random_below(uint64_t *state, uint64_t n)
{
    const uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    uint64_t       r     = octet_random_bits(state);
    while (r >= limit) r = octet_random_bits(state);
    return r % n;
}

/* The seed is mixed before the index comes in: otherwise streams of neighbouring pairs would be parts of one. */
uint64_t octet_random_stream(uint64_t seed, uint64_t index)
{
    uint64_t state = octet_random_bits(&seed) ^ index * 0xd1b54a32d192ed03u;
    return octet_random_bits(&state);
}

void octet_random_shuffle(size_t *order, size_t count, uint64_t *state)
{
    for (size_t i = count; i > 1; i--) {
        const size_t j = (size_t)octet_random_below(state, i), kept = order[i - 1];
        order[i - 1] = order[j];
        order[j]     = kept;
    }
}
