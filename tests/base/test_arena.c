/* SPDX-License-Identifier: Apache-2.0 */
/* The arena's promises: aligned, zeroed, 64 readable bytes behind, nothing moves, sizes that overflow are refused. */
#include "support.h"

#include "base/arena.h"

enum { SLACK = 64 };

typedef struct piece {
    uint8_t *at;
    size_t   size;
} piece;

/* Pieces of all sizes, filled, do not touch each other; each is zero before it is filled. */
static void test_pieces(void **state)
{
    (void)state;
    static piece       pieces[400];
    random_state       r     = { 3 };
    octet_arena *const arena = octet_arena_new();
    assert_non_null(arena);
    size_t total = 0;
    for (size_t i = 0; i < 400; i++) {
        const size_t size = (size_t)random_int(&r, 0, i % 40 == 0 ? 300000 : 700);
        uint8_t     *at   = octet_arena_alloc(arena, size, 1);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % 64, 0);
        for (size_t k = 0; k < size + SLACK; k++) assert_int_equal(at[k], 0);
        memset(at, (int)(i % 255) + 1, size);
        pieces[i] = (piece){ at, size };
        total += size;
    }
    for (size_t i = 0; i < 400; i++)
        for (size_t k = 0; k < pieces[i].size; k++) assert_int_equal(pieces[i].at[k], (int)(i % 255) + 1);
    assert_true(octet_arena_bytes(arena) >= total);
    assert_true(octet_arena_bytes(arena) < 2 * total);
    octet_arena_free(arena);
}

static void test_refusals(void **state)
{
    (void)state;
    octet_arena *const arena = octet_arena_new();
    octet_error        err   = { 0 };
    void              *p     = &err;
    assert_null(octet_arena_alloc(arena, SIZE_MAX / 4, 5));
    assert_null(octet_arena_alloc(arena, SIZE_MAX, 1));
    assert_int_equal(octet_arena_get(&p, arena, SIZE_MAX, SIZE_MAX, &err), OCTET_ERR_MEMORY);
    assert_null(p);
    assert_string_equal(err.text, "out of memory");
    assert_int_equal(octet_arena_get(&p, arena, SIZE_MAX, SIZE_MAX, NULL), OCTET_ERR_MEMORY);
    assert_non_null(octet_arena_alloc(arena, 0, SIZE_MAX));
    assert_null(octet_arena_copy(arena, NULL));
    octet_arena_free(arena);
    octet_arena_free(NULL);
    assert_int_equal(octet_arena_bytes(NULL), 0);
}

static void test_growth(void **state)
{
    (void)state;
    octet_arena *const arena    = octet_arena_new();
    int               *items    = NULL;
    size_t             capacity = 0, moves = 0;
    for (int i = 0; i < 5000; i++) {
        const int *const before = items;
        assert_true(octet_arena_grow(arena, &items, (size_t)i, &capacity, sizeof *items));
        moves += items != before;
        items[i] = i;
    }
    for (int i = 0; i < 5000; i++) assert_int_equal(items[i], i);
    assert_int_equal(moves, 11); /* 8, 16, ... 8192 */
    capacity = SIZE_MAX / 2;
    assert_false(octet_arena_grow(arena, &items, capacity, &capacity, sizeof *items));
    octet_arena_free(arena);
}

static void test_text(void **state)
{
    (void)state;
    octet_arena *const arena = octet_arena_new();
    char               word[] = "word";
    const char *const  copy = octet_arena_copy(arena, word), *const made = octet_arena_format(arena, "%s-%d", word, 7);
    word[0] = 'l';
    assert_string_equal(copy, "word");
    assert_string_equal(made, "word-7");
    octet_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_pieces), cmocka_unit_test(test_refusals),
                                        cmocka_unit_test(test_growth), cmocka_unit_test(test_text) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
