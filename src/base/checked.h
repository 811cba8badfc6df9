/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes that come from files are multiplied and added here only. Each returns false on overflow. */
#ifndef OCTET_BASE_CHECKED_H
#define OCTET_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool octet_mul(size_t *out, size_t a, size_t b) { return !__builtin_mul_overflow(a, b, out); }
static inline bool octet_add(size_t *out, size_t a, size_t b) { return !__builtin_add_overflow(a, b, out); }
static inline bool octet_mul64(int64_t *out, int64_t a, int64_t b) { return !__builtin_mul_overflow(a, b, out); }
static inline bool octet_add64(int64_t *out, int64_t a, int64_t b) { return !__builtin_add_overflow(a, b, out); }

#endif
