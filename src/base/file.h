/* SPDX-License-Identifier: Apache-2.0 */
/* Files: what <octet/file.h> has, and writing in pieces. */
#ifndef OCTET_BASE_FILE_H
#define OCTET_BASE_FILE_H

#include <octet/file.h>

/* octet_file_read for a file named inside another file: name is relative, stays beneath folder, crosses no symbolic
   link. */
octet_status octet_file_read_beneath(octet_file *file, const char *folder, const char *name, octet_error *err);

/* Writing: a temporary file in the destination's folder, renamed over it by commit. Until then the destination is as
   it was. Exactly one of commit and discard ends it; commit discards on failure. */
typedef struct octet_output {
    int  descriptor; /* -1 when closed */
    char path[4096], temporary[4096];
} octet_output;

octet_status octet_output_begin(octet_output *output, const char *path, bool replace, octet_error *err);
octet_status octet_output_write(octet_output *output, const void *bytes, size_t size, octet_error *err);
octet_status octet_output_commit(octet_output *output, octet_error *err);
void         octet_output_discard(octet_output *output);

#endif
