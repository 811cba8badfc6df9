/* SPDX-License-Identifier: Apache-2.0 */
/* A file of lines that only grows: each line is whole and on the disk when append returns, or is not there. */
#ifndef OCTET_BASE_APPEND_H
#define OCTET_BASE_APPEND_H

#include <octet/file.h>

/* Zeroed: closed. */
typedef struct octet_appender {
    int         file; /* descriptor + 1 */
    size_t      size; /* bytes of whole lines; what stands behind them was never finished */
    const char *path; /* the caller's */
} octet_appender;

/* Opens path (made where it is absent) for this process alone: OCTET_ERR_FILE where another one has it open so. Changes
   nothing yet: whether the file is the caller's is for the caller to see. */
octet_status octet_appender_open(octet_appender *appender, const char *path, octet_error *err);

/* Cuts the file to its whole lines, or to nothing. To be called before the first line is added. */
octet_status octet_appender_cut(octet_appender *appender, bool everything, octet_error *err);

/* line ends with a newline, the only one in it. */
octet_status octet_appender_add(octet_appender *appender, const char *line, octet_error *err);
void         octet_appender_close(octet_appender *appender);

#endif
