/* SPDX-License-Identifier: Apache-2.0 */
/* How octet reports failure: a status as the return value, and the reason in a caller's octet_error. */
#ifndef OCTET_ERROR_H
#define OCTET_ERROR_H

#include <stddef.h>

#define OCTET_API __attribute__((visibility("default")))

typedef enum octet_status {
    OCTET_OK = 0,
    OCTET_ERR_MEMORY,      /* an allocation failed */
    OCTET_ERR_FILE,        /* the operating system refused to open, read or write */
    OCTET_ERR_FORMAT,      /* the bytes are not what the format promises */
    OCTET_ERR_UNSUPPORTED, /* valid, but outside what this build implements */
    OCTET_ERR_SHAPE,       /* shapes or types of a node do not fit together */
    OCTET_ERR_ARGUMENT,    /* the caller passed a value outside its documented range */
    OCTET_ERR_LIMIT,       /* valid, but larger than a limit the caller can raise */
    OCTET_ERR_BACKEND,     /* oneDNN or XNNPACK reported a failure */
} octet_status;

/* Zeroed = no error. Every string is one line, terminated, free of control bytes; longer ones are cut
   (a path at its front, so that the file's name stays). */
typedef struct octet_error {
    octet_status status;
    char file[192]; /* path of the file concerned, or "" */
    char node[96];  /* node, tensor or line concerned, or "" */
    char field[48]; /* attribute or field, or "" */
    char text[256]; /* why: what was found and what is needed */
} octet_error;

/* Records the first failure in err (which may be NULL: nothing is recorded) and returns status. The text is
   printf-formatted; strings from files go in as "%s" arguments only. A failure already recorded stays. */
OCTET_API octet_status octet_fail(octet_error *err, octet_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Where it happened. Each fills its part only if it is still empty, so that the innermost caller, who knows
   best, wins. err and the names may be NULL. They return nothing: a status kept in err is lost where err is NULL. */
OCTET_API void octet_error_file(octet_error *err, const char *path);
OCTET_API void octet_error_node(octet_error *err, const char *name);
OCTET_API void octet_error_field(octet_error *err, const char *field);

/* Writes "FILE: node 'N': field: why" (parts not known are left out), cut to size - 1 bytes. */
OCTET_API void octet_error_line(char *line, size_t size, const octet_error *err);

/* "out of memory", "file", "format", ...: for programs that store errors. */
OCTET_API const char *octet_status_name(octet_status status);

#define OCTET_TRY(call)                                \
    do {                                               \
        const octet_status octet_try_ = (call);        \
        if (octet_try_ != OCTET_OK) return octet_try_; \
    } while (0)

#endif
