/* SPDX-License-Identifier: Apache-2.0 */
/* Files as octet reads and writes them: bounded reading of regular files, atomic writing. For programs that keep
   their own results beside a network. */
#ifndef OCTET_FILE_H
#define OCTET_FILE_H

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
OCTET_API octet_status octet_file_read(octet_file *file, const char *path, size_t limit, octet_error *err);
OCTET_API void         octet_file_close(octet_file *file);

/* Whether path could be written: folder exists and is writable, path is no folder, and is absent unless replace. A
   device or pipe is written directly. To be called before long work. */
OCTET_API octet_status octet_output_check(const char *path, bool replace, octet_error *err);

/* Writes size bytes to path, all or nothing: through a temporary file in its folder, renamed over it. */
OCTET_API octet_status octet_file_write(const char *path, const void *bytes, size_t size, bool replace,
                                        octet_error *err);

/* Both paths exist and are the same file, be it by a link. */
OCTET_API bool octet_file_same(const char *a, const char *b);

/* Removes the temporary files of writes under way. For signal handlers that end the process right after: it calls
   nothing but unlink. Later writes fail. */
OCTET_API void octet_temporary_remove_all(void);

#endif
