/* SPDX-License-Identifier: Apache-2.0 */
/* What is written must read back as what was given (jansson reads it), and hold nothing that markup knows. */
#include "../support.h"

#include <jansson.h>

#include "report/json.h"

#define LETTERS "\xc3\xa9 \xe2\x80\xa8\xe2\x80\xa9 \xe2\x80\xae \xf0\x9f\x90\x99"
/* Either side of the surrogates, the last of two bytes, the first and the last beyond. */
#define BORDERS "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"

typedef struct fixture {
    octet_json json;
    json_t    *read;
} fixture;

static void begin(fixture *f) { *f = (fixture){ .json = { .arena = octet_arena_new() } }; }

static void read_back(fixture *f)
{
    json_error_t error;
    assert_false(f->json.failed);
    f->read = json_loadb(f->json.text, f->json.length, JSON_DECODE_ANY, &error);
    if (!f->read) print_error("%s\n%.*s\n", error.text, (int)f->json.length, f->json.text);
    assert_non_null(f->read);
    for (size_t i = 0; i < f->json.length; i++) {
        assert_null(strchr("<>&'`", f->json.text[i]));
        assert_in_range((unsigned char)f->json.text[i], 0x20, 0x7e);
    }
}

static void end(fixture *f)
{
    json_decref(f->read);
    octet_arena_free(f->json.arena);
}

static void texts_come_back(void **unused)
{
    (void)unused;
    static const struct {
        const char *given, *read;
    } cases[] = {
        { "", "" },
        { "plain /text/ 0", "plain /text/ 0" },
        { "\"\\\n\r\t\x01\x1f\x7f", "\"\\\n\r\t\x01\x1f\x7f" },
        { "</script><!-- &amp; '`", "</script><!-- &amp; '`" },
        { LETTERS, LETTERS },
        { BORDERS, BORDERS },
        { "\xff", "\xef\xbf\xbd" },                                     /* no UTF-8 at all */
        { "a\xc3", "a\xef\xbf\xbd" },                                   /* cut */
        { "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },                     /* overlong */
        { "\xe0\x80\xbc", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },     /* overlong < */
        { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },     /* half of a surrogate pair */
        { "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* beyond Unicode */
        { "\xe2\x80<", "\xef\xbf\xbd\xef\xbf\xbd<" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f;
        begin(&f);
        octet_json_text(&f.json, NULL, cases[i].given);
        read_back(&f);
        assert_string_equal(json_string_value(f.read), cases[i].read);
        end(&f);
    }
}

static void numbers_come_back(void **unused)
{
    (void)unused;
    const double given[] = { 0, -1.5, 0.1, 1e300, -4.9e-324, 123456789012345, NAN, INFINITY, -INFINITY };
    fixture      f;
    begin(&f);
    octet_json_open(&f.json, NULL, '[');
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) octet_json_number(&f.json, NULL, given[i]);
    octet_json_integer(&f.json, NULL, INT64_MIN);
    octet_json_short(&f.json, NULL, 1.0 / 3);
    octet_json_close(&f.json, ']');
    read_back(&f);
    for (size_t i = 0; i < 6; i++)
        assert_true(fabs(json_number_value(json_array_get(f.read, i)) - given[i]) <= 1e-14 * fabs(given[i]));
    for (size_t i = 6; i < 9; i++) assert_true(json_is_null(json_array_get(f.read, i)));
    assert_true(json_integer_value(json_array_get(f.read, 9)) == INT64_MIN);
    assert_true(json_number_value(json_array_get(f.read, 10)) == 0.3333);
    end(&f);
}

/* Commas, nesting, and a text longer than any first buffer. */
static void structure_comes_back(void **unused)
{
    (void)unused;
    static char longest[100001];
    memset(longest, 'x', sizeof longest - 1);
    fixture f;
    begin(&f);
    octet_json_open(&f.json, NULL, '{');
    octet_json_open(&f.json, "empty", '[');
    octet_json_close(&f.json, ']');
    octet_json_open(&f.json, "o", '{');
    octet_json_flag(&f.json, "yes", true);
    octet_json_flag(&f.json, "no", false);
    octet_json_close(&f.json, '}');
    octet_json_text(&f.json, "<key>", longest);
    octet_json_text(&f.json, "none", NULL);
    octet_json_close(&f.json, '}');
    read_back(&f);
    assert_int_equal(json_object_size(f.read), 4);
    assert_int_equal(json_array_size(json_object_get(f.read, "empty")), 0);
    assert_true(json_is_true(json_object_get(json_object_get(f.read, "o"), "yes")));
    assert_true(json_is_false(json_object_get(json_object_get(f.read, "o"), "no")));
    assert_string_equal(json_string_value(json_object_get(f.read, "<key>")), longest);
    assert_true(json_is_null(json_object_get(f.read, "none")));
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_back),
        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(structure_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
