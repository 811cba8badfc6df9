/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's npz: a zip archive of npy members, read by name into memory, never extracted. A member's own header says how
   large it is before more than that header is inflated. */
#include "data/recording.h"

#include "base/checked.h"

#include <stdio.h>
#include <string.h>
#include <zip.h>

enum { MEMBERS_MAX = 10000, RATIO_MAX = 1100 };

static bool accepts(const octet_source *source, const char *path)
{
    return (source->head_size >= 4 && memcmp(source->head, "PK\3\4", 4) == 0) || octet_ends_in(path, ".npz");
}

static octet_status zip_fail(zip_error_t *why, octet_error *err)
{
    if (zip_error_code_zip(why) == ZIP_ER_MEMORY) return octet_fail_memory(err);
    return octet_fail(err, OCTET_ERR_FORMAT, "npz archive: %s", zip_error_strerror(why));
}

/* The member named as the network's input; without a network, or where nothing else is there, the only one. */
static octet_status find_member(zip_int64_t *index, zip_t *zip, const octet_dataset *data, octet_error *err)
{
    const zip_int64_t count = zip_get_num_entries(zip, 0);
    char              wanted[sizeof data->input_name + 8];
    if (count > MEMBERS_MAX)
        return octet_fail(err, OCTET_ERR_LIMIT, "npz archive has %lld members (limit %d)", (long long)count,
                          MEMBERS_MAX);
    snprintf(wanted, sizeof wanted, "%s.npy", data->input_name);
    *index = data->target.known ? zip_name_locate(zip, wanted, ZIP_FL_ENC_RAW) : -1;
    if (*index >= 0) return OCTET_OK;
    *index = 0;
    if (count == 1) return OCTET_OK;
    const char *const first = count > 0 ? zip_get_name(zip, 0, ZIP_FL_ENC_RAW) : NULL;
    return octet_fail(err, OCTET_ERR_FORMAT, "npz archive: no member named '%s' (got %lld members, first '%s')", wanted,
                      (long long)count, first ? first : "");
}

static octet_status read_exactly(zip_file_t *member, uint8_t *out, size_t size, size_t *done, octet_error *err)
{
    *done = 0;
    while (*done < size) {
        const zip_int64_t n = zip_fread(member, out + *done, size - *done);
        if (n < 0) return zip_fail(zip_file_get_error(member), err);
        if (n == 0) break;
        *done += (size_t)n;
    }
    return OCTET_OK;
}

/* Where a member goes. */
typedef struct member_target {
    octet_array   *array;
    octet_arena   *arena;
    size_t         max_memory;
    octet_dataset *plan; /* that refuses shapes before the rest is read; NULL: any shape */
} member_target;

/* Reads the header of an open member, lets the plan refuse its shape, and only then the rest. */
static octet_status read_member(const member_target *to, zip_file_t *member, const zip_stat_t *info, octet_error *err)
{
    uint8_t *head, *all;
    size_t   head_size, total, offset, done;
    OCTET_TRY(octet_arena_get(&head, to->arena, OCTET_HEAD_SIZE, 1, err));
    const size_t first = info->size < OCTET_HEAD_SIZE ? (size_t)info->size : OCTET_HEAD_SIZE;
    OCTET_TRY(read_exactly(member, head, first, &head_size, err));
    OCTET_TRY(octet_npy_parse(to->array, head, head_size, &total, &offset, err));
    if (to->plan) OCTET_TRY(octet_array_plan(to->plan, err));
    if (info->size != total)
        return octet_fail(err, OCTET_ERR_FORMAT, "npz member '%s': its shape and type need %zu bytes, it has %llu",
                          info->name, total, (unsigned long long)info->size);
    OCTET_TRY(octet_check_memory(total, to->max_memory, err));
    OCTET_TRY(octet_arena_get(&all, to->arena, total + 1, 1, err));
    memcpy(all, head, head_size);
    OCTET_TRY(
        read_exactly(member, all + head_size, total + 1 - head_size, &done, err)); /* +1: the checksum is looked at */
    if (head_size + done != total)
        return octet_fail(err, OCTET_ERR_FORMAT, "npz member '%s': data truncated", info->name);
    to->array->bytes = all + offset;
    return OCTET_OK;
}

static octet_status check_member(const zip_stat_t *info, octet_error *err)
{
    const zip_uint64_t wanted = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if ((info->valid & wanted) != wanted) return octet_fail(err, OCTET_ERR_FORMAT, "npz archive: member without sizes");
    if (info->comp_method != ZIP_CM_STORE && info->comp_method != ZIP_CM_DEFLATE)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED,
                          "npz member '%s': compression method %d (need stored or deflated)", info->name,
                          info->comp_method);
    if (info->size / RATIO_MAX > info->comp_size)
        return octet_fail(err, OCTET_ERR_LIMIT, "npz member '%s': size %llu from %llu packed bytes (limit %d to 1)",
                          info->name, (unsigned long long)info->size, (unsigned long long)info->comp_size, RATIO_MAX);
    return OCTET_OK;
}

static octet_status open_member(const member_target *to, zip_t *zip, zip_int64_t index, octet_error *err)
{
    zip_stat_t info;
    if (zip_stat_index(zip, (zip_uint64_t)index, 0, &info) != 0) return zip_fail(zip_get_error(zip), err);
    OCTET_TRY(check_member(&info, err));
    zip_file_t *const member = zip_fopen_index(zip, (zip_uint64_t)index, 0);
    if (!member) return zip_fail(zip_get_error(zip), err);
    const octet_status status = read_member(to, member, &info, err);
    zip_fclose(member);
    return status;
}

/* NULL: err says why. The caller discards it. */
static zip_t *open_archive(const octet_source *source, octet_error *err)
{
    zip_error_t why;
    zip_error_init(&why);
    zip_source_t *const from = zip_source_buffer_create(source->file.data, source->file.size, 0, &why);
    zip_t *const        zip  = from ? zip_open_from_source(from, ZIP_RDONLY, &why) : NULL;
    if (!zip) {
        zip_fail(&why, err);
        zip_source_free(from);
    }
    zip_error_fini(&why);
    return zip;
}

static octet_status open_npz(octet_dataset *data, const char *path, octet_error *err)
{
    const member_target to = { &data->array, data->arena, data->limits.max_memory, data };
    zip_t *const        zip = open_archive(&data->source, err);
    zip_int64_t         index;
    (void)path;
    if (!zip) return err ? err->status : OCTET_ERR_FORMAT;
    octet_status status = find_member(&index, zip, data, err);
    if (status == OCTET_OK) status = open_member(&to, zip, index, err);
    zip_discard(zip);
    return status;
}

/* ---- all members ---- */

static octet_status read_named(octet_named_array *to, zip_t *zip, zip_int64_t index, octet_recording *recording,
                               octet_error *err)
{
    const char *const name   = zip_get_name(zip, (zip_uint64_t)index, ZIP_FL_ENC_RAW);
    const size_t      length = name ? strlen(name) : 0, cut = name && octet_ends_in(name, ".npy") ? 4 : 0;
    char *const       text   = name ? octet_arena_copy_bytes(recording->arena, name, length + 1) : NULL;
    const member_target target = { &to->array, recording->arena, recording->max_memory, NULL };
    if (!text) return octet_fail_memory(err);
    text[length - cut] = '\0';
    to->name           = text;
    return open_member(&target, zip, index, err);
}

static octet_status read_all(octet_recording *recording, zip_t *zip, octet_error *err)
{
    const zip_int64_t count = zip_get_num_entries(zip, 0);
    if (count > MEMBERS_MAX)
        return octet_fail(err, OCTET_ERR_LIMIT, "npz archive has %lld members (limit %d)", (long long)count,
                          MEMBERS_MAX);
    OCTET_TRY(octet_arena_get(&recording->arrays, recording->arena, (size_t)count, sizeof *recording->arrays, err));
    for (zip_int64_t i = 0; i < count; i++, recording->count++)
        OCTET_TRY(read_named(&recording->arrays[i], zip, i, recording, err));
    return OCTET_OK;
}

octet_status octet_npz_read_all(octet_recording *recording, octet_error *err)
{
    zip_t *const zip = open_archive(&recording->source, err);
    if (!zip) return err ? err->status : OCTET_ERR_FORMAT;
    const octet_status status = read_all(recording, zip, err);
    zip_discard(zip);
    return status;
}

const octet_format octet_format_npz = {"npz", accepts, open_npz, octet_array_read};
