/* SPDX-License-Identifier: Apache-2.0 */
/* Text of strangers: cleaning, numbers, patterns, "did you mean". */
#include "support.h"

#include "base/text.h"

#include <locale.h>
#include <time.h>

static void test_clean(void **state)
{
    (void)state;
    static const struct { const char *text, *wanted; } cases[] = {
        { "", "" },
        { "plain", "plain" },
        { "a\tb\r\nc\x7f", "a?b??c?" },
        { "\x1b[31m", "?[31m" },
        { "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
        { "\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80" },
        { "\xc3", "?" },                     /* cut off */
        { "\xc3(", "?(" },
        { "\xbf\xc0\xaf", "???" },           /* a continuation alone; overlong '/' */
        { "\xe0\x80\xaf", "???" },
        { "\xc2\x9b" "31m", "??31m" },        /* C1: the other escape */
        { "\xf5\x80\x80\x80", "????" },     /* beyond Unicode */
    };
    char out[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        octet_text_clean(out, sizeof out, cases[i].text);
        assert_string_equal(out, cases[i].wanted);
    }
    octet_text_clean(out, 4, "abcdef");
    assert_string_equal(out, "abc");
    octet_text_clean(out, 4, "ab\xc3\xbc"); /* the character does not fit, so none of it is there */
    assert_string_equal(out, "ab");
    octet_text_clean(out, 1, "abc");
    assert_string_equal(out, "");
}

static void test_numbers(void **state)
{
    (void)state;
    static const char *const no[] = { "", " 1", "1 ", "1,5", "0x10", "nan", "inf", "-inf", "1e999", "1e", "--1", "e",
                                      "1.2.3" };
    static const char *const no_int[] = { "", "-", "+", " 1", "1 ", "1.0", "1e3", "0x1", "9223372036854775808",
                                          "-9223372036854775809", "--1" };
    double  x;
    int64_t n;
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (octet_parse_double(&x, no[i])) fail_msg("'%s' was taken for %g", no[i], x);
    for (size_t i = 0; i < sizeof no_int / sizeof *no_int; i++)
        if (octet_parse_int(&n, no_int[i])) fail_msg("'%s' was taken for %lld", no_int[i], (long long)n);
    setlocale(LC_ALL, "de_DE.UTF-8"); /* its decimal point is a comma; where it is not installed nothing changes */
    assert_true(octet_parse_double(&x, "-1.5e-3"));
    setlocale(LC_ALL, "C");
    assert_true(x == -1.5e-3);
    assert_true(octet_parse_int(&n, "-9223372036854775808"));
    assert_true(n == INT64_MIN);
    assert_true(octet_parse_int(&n, "+007"));
    assert_true(n == 7);
}

static void test_glob(void **state)
{
    (void)state;
    static const struct { const char *pattern, *name; bool fits; } cases[] = {
        { "", "", true },           { "", "a", false },       { "*", "", true },          { "?", "", false },
        { "a?c", "abc", true },     { "a?c", "ac", false },   { "*.c", "l1.c", true },
        { "*.c", "l1.c2", false },  { "a*b*c", "aXbYbZc", true }, { "a*b*c", "aXcYb", false }, { "**a", "bca", true },
        { "[a]", "a", false },      { "[a]", "[a]", true },   { "/x/*", "/x/y/z", true }, { "*ab", "aab", true },
        { "*?", "", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (octet_glob_match(cases[i].pattern, cases[i].name) != cases[i].fits)
            fail_msg("'%s' against '%s'", cases[i].pattern, cases[i].name);
}

/* What a backtracking matcher would try 2^n times. */
static void test_glob_is_quick(void **state)
{
    (void)state;
    enum { LONG = 4000 };
    static char pattern[2 * LONG + 2], name[LONG + 1];
    for (size_t i = 0; i < LONG; i++) memcpy(pattern + 2 * i, "a*", 2);
    pattern[2 * LONG] = 'b';
    memset(name, 'a', LONG);
    const clock_t begin = clock();
    assert_false(octet_glob_match(pattern, name));
    assert_true(clock() - begin < 5 * CLOCKS_PER_SEC);
}

static void test_distance(void **state)
{
    (void)state;
    static const struct { const char *a, *b; size_t edits; } cases[] = {
        { "", "", 0 }, { "", "abc", 3 }, { "kitten", "sitting", 3 }, { "--outptu", "--output", 2 },
        { "flaw", "lawn", 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(octet_edit_distance(cases[i].a, cases[i].b), cases[i].edits);
        assert_int_equal(octet_edit_distance(cases[i].b, cases[i].a), cases[i].edits);
    }
    char endless[200];
    memset(endless, 'x', sizeof endless);
    endless[199] = 0;
    assert_int_equal(octet_edit_distance(endless, "x"), 63); /* far, and no buffer overrun */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_clean), cmocka_unit_test(test_numbers),
                                        cmocka_unit_test(test_glob), cmocka_unit_test(test_glob_is_quick),
                                        cmocka_unit_test(test_distance) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
