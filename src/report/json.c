/* SPDX-License-Identifier: Apache-2.0 */
/* A document is written from front to back, so the only state is whether a comma is due. */
#include "report/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NOT_A_CHARACTER = 0xfffd };

void octet_json_raw(octet_json *json, const void *bytes, size_t size)
{
    if (json->failed || !size) return;
    if (size > json->capacity - json->length) {
        const size_t capacity = 2 * (json->length + size) + 4096;
        char *const  text     = octet_arena_alloc(json->arena, capacity, 1);
        if (!text) {
            json->failed = true;
            return;
        }
        if (json->length) memcpy(text, json->text, json->length);
        json->text     = text;
        json->capacity = capacity;
    }
    memcpy(json->text + json->length, bytes, size);
    json->length += size;
}

/* ---- text ---- */

/* The character at s, at least one byte that is not NUL. Returns how many bytes it takes; what is not UTF-8 (also
   surrogates, overlong forms and what Unicode does not reach) takes one. */
static size_t read_character(uint32_t *character, const unsigned char *s)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    *character = s[0];
    if (s[0] < 0x80) return 1;
    const size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    *character          = NOT_A_CHARACTER;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 1;
    uint32_t code = s[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 1; /* a terminator, too */
        code = code << 6 | (s[i] & 0x3fu);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 1;
    *character = code;
    return length;
}

static void put_escaped(octet_json *json, uint32_t code)
{
    char text[16];
    int  length;
    if (code < 0x10000) length = snprintf(text, sizeof text, "\\u%04x", (unsigned)code);
    else
        length = snprintf(text, sizeof text, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((code - 0x10000) >> 10)),
                          (unsigned)(0xdc00 + (code & 0x3ff)));
    octet_json_raw(json, text, (size_t)length);
}

static bool is_plain(uint32_t code) { return code >= 0x20 && code < 0x7f && !strchr("\"\\<>&'`", (int)code); }

static void put_text(octet_json *json, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    octet_json_raw(json, "\"", 1);
    while (*s) {
        uint32_t     code;
        const size_t length = read_character(&code, s);
        if (is_plain(code)) octet_json_raw(json, s, 1);
        else put_escaped(json, code);
        s += length;
    }
    octet_json_raw(json, "\"", 1);
}

/* ---- members ---- */

static void begin_member(octet_json *json, const char *key)
{
    if (json->inside) octet_json_raw(json, ",", 1);
    json->inside = true;
    if (!key) return;
    put_text(json, key);
    octet_json_raw(json, ":", 1);
}

void octet_json_open(octet_json *json, const char *key, char bracket)
{
    begin_member(json, key);
    octet_json_raw(json, &bracket, 1);
    json->inside = false;
}

void octet_json_close(octet_json *json, char bracket)
{
    octet_json_raw(json, &bracket, 1);
    json->inside = true;
}

static void put_number(octet_json *json, const char *key, double value, int digits)
{
    char text[40];
    if (!isfinite(value)) {
        octet_json_null(json, key);
        return;
    }
    begin_member(json, key);
    octet_json_raw(json, text, (size_t)snprintf(text, sizeof text, "%.*g", digits, value));
}

void octet_json_number(octet_json *json, const char *key, double value) { put_number(json, key, value, 15); }

void octet_json_short(octet_json *json, const char *key, double value) { put_number(json, key, value, 4); }

void octet_json_integer(octet_json *json, const char *key, int64_t value)
{
    char text[24];
    begin_member(json, key);
    octet_json_raw(json, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value));
}

void octet_json_flag(octet_json *json, const char *key, bool value)
{
    begin_member(json, key);
    octet_json_raw(json, value ? "true" : "false", value ? 4 : 5);
}

void octet_json_null(octet_json *json, const char *key)
{
    begin_member(json, key);
    octet_json_raw(json, "null", 4);
}

void octet_json_text(octet_json *json, const char *key, const char *text)
{
    if (!text) {
        octet_json_null(json, key);
        return;
    }
    begin_member(json, key);
    put_text(json, text);
}
