/* SPDX-License-Identifier: Apache-2.0 */
/* The demo's pictures must be the ones its network was trained on, on every machine: recorded hashes of what
   tools/train_demo.py has read (gcc and clang, with and without optimisation, agree on them). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "demo.h"

#include <xxhash.h>

#define TRAIN_HASH 0x953fe0ba721ffbc4u
#define TEST_HASH  0x75b2648508dae76eu

static XXH64_hash_t hash_series(uint64_t seed, uint64_t count, int classes[DEMO_CLASSES])
{
    uint8_t              pixels[DEMO_PIXELS];
    XXH64_state_t *const state = XXH64_createState();
    assert_non_null(state);
    XXH64_reset(state, 0);
    for (uint64_t i = 0; i < count; i++) {
        const int     class = demo_draw(pixels, seed, i);
        const uint8_t byte  = (uint8_t)class;
        assert_in_range(class, 0, DEMO_CLASSES - 1);
        classes[class]++;
        XXH64_update(state, &byte, 1);
        XXH64_update(state, pixels, sizeof pixels);
    }
    const XXH64_hash_t hash = XXH64_digest(state);
    XXH64_freeState(state);
    return hash;
}

static void pictures_are_those_of_the_training(void **state)
{
    (void)state;
    int classes[DEMO_CLASSES] = { 0 };
    assert_true(hash_series(1, DEMO_TRAIN, classes) == TRAIN_HASH);
    assert_true(hash_series(2, DEMO_TEST, classes) == TEST_HASH);
    for (int i = 0; i < DEMO_CLASSES; i++) assert_in_range(classes[i], 1100, 1300);
}

static void pictures_do_not_depend_on_order(void **state)
{
    (void)state;
    uint8_t   first[DEMO_PIXELS], again[DEMO_PIXELS];
    const int class = demo_draw(first, 2, 77);
    demo_draw(again, 2, 78);
    assert_memory_not_equal(first, again, DEMO_PIXELS);
    assert_int_equal(demo_draw(again, 2, 77), class);
    assert_memory_equal(first, again, DEMO_PIXELS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_are_those_of_the_training),
        cmocka_unit_test(pictures_do_not_depend_on_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
