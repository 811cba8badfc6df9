/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that may stand inside a page: everything beyond plain ASCII, and every character that markup knows, is written
   as \uXXXX. Numbers that are none become null. */
#ifndef OCTET_REPORT_JSON_H
#define OCTET_REPORT_JSON_H

#include "base/arena.h"

#include <stdbool.h>

/* Zeroed but for arena = an empty document. Text grows in the arena. */
typedef struct octet_json {
    octet_arena *arena;
    char        *text; /* not terminated */
    size_t       length, capacity;
    bool         failed; /* memory is out: nothing more is written */
    bool         inside; /* the object or array at hand has a member already */
} octet_json;

/* key: of an object's member; NULL in an array and at the top. bracket: '{' or '[', closed by '}' or ']'. */
void octet_json_open(octet_json *json, const char *key, char bracket);
void octet_json_close(octet_json *json, char bracket);
void octet_json_number(octet_json *json, const char *key, double value);
/* With fewer digits, where it is only drawn. */
void octet_json_short(octet_json *json, const char *key, double value);
void octet_json_integer(octet_json *json, const char *key, int64_t value);
void octet_json_flag(octet_json *json, const char *key, bool value);
void octet_json_null(octet_json *json, const char *key);
/* text NULL: null. Bytes that are not UTF-8 become U+FFFD, one each. */
void octet_json_text(octet_json *json, const char *key, const char *text);

/* Appends bytes as they are. */
void octet_json_raw(octet_json *json, const void *bytes, size_t size);

#endif
