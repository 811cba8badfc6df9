/* SPDX-License-Identifier: Apache-2.0 */
/* Text from users and files, treated as data and independent of the locale. */
#ifndef OCTET_TEXT_H
#define OCTET_TEXT_H

#include <octet/error.h>

#include <stdbool.h>
#include <stdint.h>

/* Copies text with control bytes and invalid UTF-8 replaced by '?', cut to size - 1 bytes at a character border. */
OCTET_API void octet_text_clean(char *out, size_t size, const char *text);

/* The whole of text is one number in C's notation ('.' always). False otherwise; NaN and infinity are refused. */
OCTET_API bool octet_parse_double(double *out, const char *text);
OCTET_API bool octet_parse_int(int64_t *out, const char *text);

/* How many edits turn a into b: for "did you mean". */
OCTET_API size_t octet_edit_distance(const char *a, const char *b);

#endif
