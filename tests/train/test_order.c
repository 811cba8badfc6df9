/* SPDX-License-Identifier: Apache-2.0 */
/* The order of samples: every sample once an epoch, by seed and epoch alone, without a favourite place. */
#include "support.h"

#include "train/order.h"

enum { COUNT = 97 };

static void test_once(void **state)
{
    (void)state;
    for (size_t count = 0; count <= COUNT; count++) {
        size_t order[COUNT];
        bool   seen[COUNT] = { false };
        octet_train_order(order, count, 5, count);
        for (size_t i = 0; i < count; i++) {
            assert_true(order[i] < count && !seen[order[i]]);
            seen[order[i]] = true;
        }
    }
}

static void test_decided(void **state)
{
    (void)state;
    size_t a[COUNT], b[COUNT];
    octet_train_order(a, COUNT, 7, 3);
    octet_train_order(b, COUNT, 7, 3);
    assert_memory_equal(a, b, sizeof a);
    octet_train_order(b, COUNT, 7, 4);
    assert_memory_not_equal(a, b, sizeof a);
    octet_train_order(b, COUNT, 8, 3);
    assert_memory_not_equal(a, b, sizeof a);
}

/* Recorded: a checkpoint of one machine goes on at another. */
static void test_recorded(void **state)
{
    (void)state;
    static const size_t want[8] = { 3, 2, 4, 5, 1, 7, 0, 6 };
    size_t              order[8];
    octet_train_order(order, 8, 1, 2);
    assert_memory_equal(order, want, sizeof want);
}

/* Over 4000 epochs, sample 0 of 8 comes first about 500 times, and so for every pair of sample and place: the bound is
   six standard deviations of 21. */
static void test_even(void **state)
{
    (void)state;
    size_t times[8][8] = { { 0 } };
    for (size_t epoch = 0; epoch < 4000; epoch++) {
        size_t order[8];
        octet_train_order(order, 8, 11, epoch);
        for (size_t i = 0; i < 8; i++) times[i][order[i]]++;
    }
    for (size_t i = 0; i < 64; i++) assert_in_range(times[i / 8][i % 8], 374, 626);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_once), cmocka_unit_test(test_decided),
                                        cmocka_unit_test(test_recorded), cmocka_unit_test(test_even) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
