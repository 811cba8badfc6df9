/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays by name, as another program wrote them: all members of an npz, or one npy. */
#ifndef OCTET_DATA_RECORDING_H
#define OCTET_DATA_RECORDING_H

#include "data/data.h"

typedef struct octet_named_array {
    const char *name; /* "" for an npy */
    octet_array array; /* its first dimension as samples */
} octet_named_array;

/* Lives in an arena of its own. */
typedef struct octet_recording {
    octet_arena       *arena;
    octet_source       source;
    size_t             max_memory; /* of one array; 0: three quarters of what is available */
    octet_named_array *arrays;
    size_t             count;
} octet_recording;

/* The caller releases recording in any case. */
octet_status octet_recording_open(octet_recording *recording, const char *path, size_t max_memory, octet_error *err);
void         octet_recording_close(octet_recording *recording);

/* Elements of one of the array's samples. */
size_t octet_recorded_count(const octet_array *array);

/* They, as real numbers in logical order. */
void octet_recorded_read(float *to, const octet_array *array, size_t sample);

/* All members of recording->source, an npz archive (npz.c). */
octet_status octet_npz_read_all(octet_recording *recording, octet_error *err);

#endif
