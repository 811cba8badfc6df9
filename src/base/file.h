/* SPDX-License-Identifier: Apache-2.0 */
/* Files: bounded reading, atomic writing. */
#ifndef OCTET_BASE_FILE_H
#define OCTET_BASE_FILE_H

#include <octet/error.h>
#include <stdbool.h>
#include <stdint.h>

/* A whole regular file, read (up to 64 MB) or mapped. Zeroed = nothing. */
typedef struct octet_file {
    const uint8_t *data;
    size_t         size;
    bool           mapped;
} octet_file;

/* Refuses what is not a regular file, and more than limit bytes (0: no limit; OCTET_ERR_LIMIT). err names path. */
octet_status octet_file_read(octet_file *file, const char *path, size_t limit, octet_error *err);
void         octet_file_close(octet_file *file);

/* The same for a file named inside another file: name is relative, stays beneath folder, crosses no symbolic link. */
octet_status octet_file_read_beneath(octet_file *file, const char *folder, const char *name, octet_error *err);

/* Writing: a temporary file in the destination's folder, renamed over it by commit. Until then the destination is as
   it was. Exactly one of commit and discard ends it; commit discards on failure. */
typedef struct octet_output {
    int  descriptor; /* -1 when closed */
    char path[4096], temporary[4096];
} octet_output;

/* Whether path could be written: folder exists and is writable, path is no folder, and is absent unless replace.
   To be called before long work. */
octet_status octet_output_check(const char *path, bool replace, octet_error *err);
octet_status octet_output_begin(octet_output *output, const char *path, bool replace, octet_error *err);
octet_status octet_output_write(octet_output *output, const void *bytes, size_t size, octet_error *err);
octet_status octet_output_commit(octet_output *output, octet_error *err);
void         octet_output_discard(octet_output *output);

/* Both paths exist and are the same file. */
bool octet_file_same(const char *a, const char *b);

#endif
