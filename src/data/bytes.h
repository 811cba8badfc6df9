/* SPDX-License-Identifier: Apache-2.0 */
/* A file that may be gzip-packed. Its first bytes are unpacked on opening, the rest only once a header has said how
   much there must be. */
#ifndef OCTET_DATA_BYTES_H
#define OCTET_DATA_BYTES_H

#include "base/arena.h"
#include "base/file.h"

enum { OCTET_HEAD_SIZE = (1 << 16) + 64 }; /* the longest header of any format and then some */

typedef struct octet_source {
    octet_file     file;
    bool           folder; /* path is a folder: nothing is loaded */
    bool           packed;
    const uint8_t *head; /* first unpacked bytes */
    size_t         head_size;
} octet_source;

/* Opens path; head lives in arena. Close in any case. */
octet_status octet_source_open(octet_source *source, octet_arena *arena, const char *path, octet_error *err);
void         octet_source_close(octet_source *source);

/* All unpacked bytes, of which there must be exactly total. Packed ones are written into arena, unless a size that
   no packing reaches, or more than max_memory bytes (0: three quarters of what is available), is asked for. */
octet_status octet_source_all(const uint8_t **bytes, const octet_source *source, octet_arena *arena, size_t total,
                              size_t max_memory, octet_error *err);

/* Counts the unpacked bytes without keeping them. */
octet_status octet_source_size(size_t *size, const octet_source *source, octet_error *err);

/* Refuses sizes above max_memory (0: three quarters of what is available memory). */
octet_status octet_check_memory(size_t bytes, size_t max_memory, octet_error *err);

/* name ends in ending, upper or lower case. */
bool octet_ends_in(const char *name, const char *ending);

#endif
