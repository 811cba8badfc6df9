/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers that a seed decides, the same everywhere (splitmix64: full period, any state is a good one). */
#ifndef OCTET_BASE_RANDOM_H
#define OCTET_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* The next 64 bits of the stream at *state. */
uint64_t octet_random_bits(uint64_t *state);

/* Uniform in [0, 1), 53 bits. */
double octet_random_unit(uint64_t *state);

/* Uniform in [0, n), n > 0; draws that would favour low numbers are thrown away. */
uint64_t octet_random_below(uint64_t *state, uint64_t n);

/* The start of a stream of its own for every pair (seed, index). */
uint64_t octet_random_stream(uint64_t seed, uint64_t index);

/* Shuffles order (Fisher-Yates). */
void octet_random_shuffle(size_t *order, size_t count, uint64_t *state);

#endif
