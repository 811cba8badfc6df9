/* SPDX-License-Identifier: Apache-2.0 */
/* Error values: fixed buffers, so that reporting "out of memory" cannot itself fail. Text is cleaned here, once:
   names from files are data. */
#include <octet/error.h>

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

octet_status octet_fail(octet_error *err, octet_status status, const char *format, ...)
{
    if (!err || err->status != OCTET_OK) return status;
    char    text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    err->status = status;
    octet_text_clean(err->text, sizeof err->text, text);
    return status;
}

void octet_error_file(octet_error *err, const char *path)
{
    if (!err || !path || err->file[0]) return;
    const size_t length = strlen(path), room = sizeof err->file - 1;
    if (length <= room) {
        octet_text_clean(err->file, sizeof err->file, path);
    } else {
        octet_text_clean(err->file + 3, sizeof err->file - 3, path + length - (room - 3));
        memcpy(err->file, "...", 3);
    }
}

void octet_error_node(octet_error *err, const char *name)
{
    if (err && name && !err->node[0]) octet_text_clean(err->node, sizeof err->node, name);
}

void octet_error_field(octet_error *err, const char *field)
{
    if (err && field && !err->field[0]) octet_text_clean(err->field, sizeof err->field, field);
}

void octet_error_line(char *line, size_t size, const octet_error *err)
{
    char node[sizeof err->node + 16] = "", field[sizeof err->field + 8] = "";
    if (err->node[0]) snprintf(node, sizeof node, "node '%s': ", err->node);
    if (err->field[0]) snprintf(field, sizeof field, "%s: ", err->field);
    snprintf(line, size, "%s%s%s%s%s", err->file, err->file[0] ? ": " : "", node, field, err->text);
}

const char *octet_status_name(octet_status status)
{
    static const char *const names[] = { "ok",    "out of memory", "file",  "format", "unsupported",
                                         "shape", "argument",      "limit", "backend" };
    return (size_t)status < sizeof names / sizeof *names ? names[status] : "unknown";
}
