/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of kernels share: the sets to test, fills that reach extremes, and memory that ends at a page nobody may
   touch, so that reading one byte too far ends the test. */
#ifndef OCTET_TESTS_FENCE_H
#define OCTET_TESTS_FENCE_H

#include "support.h"

#include "base/cpu.h"
#include "kernels/kernels.h"

#include <sys/mman.h>

/* The next set after *at that this machine can run, or NULL. */
UNUSED static const octet_kernels *next_set(size_t *at)
{
    while (octet_kernel_sets[*at] && octet_kernel_sets[*at]->needs & ~octet_cpu_sets()) (*at)++;
    return octet_kernel_sets[*at] ? octet_kernel_sets[(*at)++] : NULL;
}

typedef struct fenced {
    uint8_t *bytes; /* size of them, up to the fence */
    size_t   size, mapped;
} fenced;

static inline fenced fenced_make(size_t size)
{
    const size_t   page = (size_t)sysconf(_SC_PAGESIZE), inner = (size + page - 1) / page * page;
    uint8_t *const at = mmap(NULL, inner + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(at != MAP_FAILED);
    assert_int_equal(mprotect(at + inner, page, PROT_NONE), 0);
    return (fenced){ .bytes = at + inner - size, .size = size, .mapped = inner + page };
}

static inline void fenced_free(fenced *memory)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    munmap(memory->bytes + memory->size + page - memory->mapped, memory->mapped);
    *memory = (fenced){ 0 };
}

typedef enum fill { FILL_RANDOM, FILL_LOWEST, FILL_HIGHEST, FILL_EXTREMES, FILLS } fill;

/* Bytes as u8 with offset 0, as s8 with offset 0x80. */
static inline void fill_bytes(random_state *r, void *bytes, size_t count, fill how, uint8_t offset)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t value = (uint8_t)random_bits(r);
        if (how == FILL_LOWEST) value = 0;
        if (how == FILL_HIGHEST) value = 255;
        if (how == FILL_EXTREMES) value = value & 1 ? 255 : 0;
        ((uint8_t *)bytes)[i] = value ^ offset;
    }
}

/* clamp(rne(t) + zero_point) in double, NaN as the lowest. */
static inline uint8_t level_of(float t, const octet_to_levels *to)
{
    const double y = rint((double)t) + to->zero_point;
    if (!(y > to->lo)) return (uint8_t)to->lo;
    return (uint8_t)(y < to->hi ? (int)y : to->hi);
}

static inline octet_to_levels random_target(random_state *r)
{
    octet_to_levels to = { .zero_point = (int32_t)random_int(r, 0, 255), .lo = 0, .hi = 255 };
    if (random_bits(r) & 1) {
        to.lo = (int32_t)random_int(r, 0, 200);
        to.hi = (int32_t)random_int(r, to.lo, 255);
        to.zero_point = (int32_t)random_int(r, to.lo, to.hi);
    }
    return to;
}

/* Says where two areas differ first. */
static inline void same_bytes(const uint8_t *found, const uint8_t *expected, size_t count, const char *what)
{
    if (memcmp(found, expected, count) == 0) return;
    size_t i = 0;
    while (found[i] == expected[i]) i++;
    fail_msg("%s: byte %zu of %zu is %d, should be %d", what, i, count, found[i], expected[i]);
}

#endif
