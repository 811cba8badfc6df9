/* SPDX-License-Identifier: Apache-2.0 */
/* Text files line by line: '\n' or '\r\n', a byte-order mark skipped, empty lines at the end dropped, NUL bytes and
   lines over 4 kB refused with their number. */
#ifndef OCTET_DATA_LINES_H
#define OCTET_DATA_LINES_H

#include "base/file.h"

#include <stdbool.h>

enum { OCTET_LINE_MAX = 4096 };

typedef struct octet_lines {
    const char *at, *end;
    size_t      number;               /* of the current line, from 1 */
    char        line[OCTET_LINE_MAX]; /* terminated */
} octet_lines;

void octet_lines_start(octet_lines *lines, const octet_file *file);

/* Advances; *more is false past the last line. An empty line is an error. */
octet_status octet_lines_next(bool *more, octet_lines *lines, octet_error *err);

/* A class: digits only. */
octet_status octet_parse_class(int64_t *label, const char *text, size_t line, octet_error *err);

#endif
