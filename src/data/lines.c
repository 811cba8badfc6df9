/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of untrusted text. */
#include "data/lines.h"

#include <octet/text.h>

#include <string.h>

void octet_lines_start(octet_lines *lines, const octet_file *file)
{
    const char *at = (const char *)file->data, *end = at + file->size;
    if (file->size >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) at += 3;
    while (end > at && (end[-1] == '\n' || end[-1] == '\r')) end--;
    lines->at = at;
    lines->end = end;
    lines->number = 0;
}

octet_status octet_lines_next(bool *more, octet_lines *lines, octet_error *err)
{
    *more = lines->at < lines->end;
    if (!*more) return OCTET_OK;
    lines->number++;
    const char *const newline = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    const char *const end = newline ? newline : lines->end;
    size_t            length = (size_t)(end - lines->at);
    if (length >= OCTET_LINE_MAX)
        return octet_fail(err, OCTET_ERR_FORMAT, "line %zu: longer than %d bytes", lines->number, OCTET_LINE_MAX - 1);
    if (memchr(lines->at, '\0', length))
        return octet_fail(err, OCTET_ERR_FORMAT, "line %zu: NUL byte (need text in UTF-8)", lines->number);
    memcpy(lines->line, lines->at, length);
    if (length && lines->line[length - 1] == '\r') length--;
    lines->line[length] = '\0';
    lines->at = newline ? newline + 1 : lines->end;
    if (length == 0) return octet_fail(err, OCTET_ERR_FORMAT, "line %zu: empty", lines->number);
    return OCTET_OK;
}

octet_status octet_parse_class(int64_t *label, const char *text, size_t line, octet_error *err)
{
    const bool digits = *text && !text[strspn(text, "0123456789")];
    if (digits && octet_parse_int(label, text) && *label <= INT32_MAX) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_FORMAT, "line %zu: '%s' is no class (need a whole number from 0)", line, text);
}
