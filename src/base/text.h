/* SPDX-License-Identifier: Apache-2.0 */
/* Text that does not depend on the locale. */
#ifndef OCTET_BASE_TEXT_H
#define OCTET_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies text with control bytes and invalid UTF-8 replaced by '?', cut to size - 1 bytes at a character border. */
void octet_text_clean(char *out, size_t size, const char *text);

/* The whole of text is one number in C's notation ('.' always). False otherwise; NaN and infinity are refused. */
bool octet_parse_double(double *out, const char *text);
bool octet_parse_int(int64_t *out, const char *text);

/* Whether name matches a pattern of literal characters, '*' and '?', in time linear in their product. */
bool octet_glob_match(const char *pattern, const char *name);

/* How many edits turn a into b: for "did you mean". */
size_t octet_edit_distance(const char *a, const char *b);

#endif
