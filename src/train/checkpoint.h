/* SPDX-License-Identifier: Apache-2.0 */
/* The state of training in one file. All integers are little-endian:

     "octetckp", version u32, sections u32, bytes of identity u64, identity
     per section: bytes of name u32, type u32 (octet_dtype), count u64, name, data
     XXH3 (64 bits) of everything before u64 */
#ifndef OCTET_TRAIN_CHECKPOINT_H
#define OCTET_TRAIN_CHECKPOINT_H

#include <octet/tensor.h>

/* One array. Sections are written and read in one order, which writer and reader agree on. */
typedef struct octet_section {
    const char *name;
    octet_dtype dtype; /* OCTET_U8 for plain bytes */
    void       *data;
    size_t      count;
} octet_section;

typedef struct octet_checkpoint {
    const char    *identity; /* what the state belongs to: lines "name value" */
    octet_section *sections;
    size_t         count;
} octet_checkpoint;

/* All or nothing: a file that was there stays until the new one is complete. */
octet_status octet_checkpoint_write(const char *path, const octet_checkpoint *checkpoint, octet_error *err);

/* Fills every section, or none. A file that is damaged, cut off or no checkpoint is OCTET_ERR_FORMAT, one of another
   version OCTET_ERR_UNSUPPORTED, and one of another identity OCTET_ERR_ARGUMENT naming the first line that differs. */
octet_status octet_checkpoint_read(const char *path, const octet_checkpoint *checkpoint, octet_error *err);

#endif
