/* SPDX-License-Identifier: Apache-2.0 */
/* What the file is decides its first bytes; everything else is npy.c's and npz.c's. */
#include "data/recording.h"

#include <string.h>

static octet_status read_npy(octet_recording *recording, octet_error *err)
{
    const octet_source *const source = &recording->source;
    size_t                    total, offset;
    const uint8_t            *bytes;
    OCTET_TRY(octet_arena_get(&recording->arrays, recording->arena, 1, sizeof *recording->arrays, err));
    octet_array *const array = &recording->arrays[0].array;
    OCTET_TRY(octet_npy_parse(array, source->head, source->head_size, &total, &offset, err));
    OCTET_TRY(octet_source_all(&bytes, source, recording->arena, total, recording->max_memory, err));
    recording->arrays[0].name = "";
    recording->count          = 1;
    array->bytes              = bytes + offset;
    return OCTET_OK;
}

octet_status octet_recording_open(octet_recording *recording, const char *path, size_t max_memory, octet_error *err)
{
    *recording = (octet_recording){ .arena = octet_arena_new(), .max_memory = max_memory };
    if (!recording->arena) return octet_fail_memory(err);
    OCTET_TRY(octet_source_open(&recording->source, recording->arena, path, err));
    if (recording->source.folder) return octet_fail(err, OCTET_ERR_FORMAT, "is a folder (need an npz or npy file)");
    const bool zip = octet_format_npz.accepts(&recording->source, path);
    return zip ? octet_npz_read_all(recording, err) : read_npy(recording, err);
}

void octet_recording_close(octet_recording *recording)
{
    if (!recording->arena) return;
    octet_source_close(&recording->source);
    octet_arena_free(recording->arena);
    *recording = (octet_recording){ 0 };
}

size_t octet_recorded_count(const octet_array *array)
{
    size_t count = 1;
    for (int i = 0; i < array->rank; i++) count *= (size_t)array->dims[i];
    return count;
}

void octet_recorded_read(float *to, const octet_array *array, size_t sample)
{
    if (octet_recorded_count(array)) octet_array_copy(to, array, array->bytes + array->pitch * (int64_t)sample);
}
