/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacking within limits known beforehand: what a header claims is compared with what the packed bytes can hold
   before any memory is asked for. */
#include "data/bytes.h"

#include "base/cpu.h"

#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <zlib.h>

enum { DEFLATE_RATIO = 1032 }; /* deflate's largest: 258 bytes from two bits */

bool octet_ends_in(const char *name, const char *ending)
{
    const size_t n = strlen(name), m = strlen(ending);
    return n >= m && strcasecmp(name + n - m, ending) == 0;
}

octet_status octet_check_memory(size_t bytes, size_t max_memory, octet_error *err)
{
    if (max_memory == 0) max_memory = octet_memory_available() / 4 * 3;
    if (max_memory == 0) return OCTET_OK; /* the system does not say */
    if (bytes <= max_memory) return OCTET_OK;
    octet_fail(err, OCTET_ERR_LIMIT, "data too large (got %zu bytes, limit %zu)", bytes, max_memory);
    octet_error_field(err, "max-memory");
    return OCTET_ERR_LIMIT;
}

static octet_status zlib_fail(int code, octet_error *err)
{
    if (code == Z_MEM_ERROR) return octet_fail_memory(err);
    if (code == Z_BUF_ERROR) return octet_fail(err, OCTET_ERR_FORMAT, "gzip data truncated");
    return octet_fail(err, OCTET_ERR_FORMAT, "gzip data damaged");
}

/* Unpacking under way: out of size bytes is filled; where wrap is set it is a scrap buffer, written again and again. */
typedef struct unpacking {
    uint8_t *out;
    size_t   size;
    bool     wrap;
    size_t   done;  /* bytes unpacked */
    bool     ended; /* the packed bytes are used up, exactly */
} unpacking;

static size_t at_most(size_t n) { return n < 1u << 30 ? n : 1u << 30; }

/* Unpacks member after member until the end, or until out is full. */
static octet_status unpack(unpacking *u, const octet_file *file, octet_error *err)
{
    z_stream stream = {0};
    if (inflateInit2(&stream, 15 + 16) != Z_OK) return octet_fail_memory(err);
    size_t in = 0, at = 0;
    int    code = Z_OK;
    while (!u->ended && (u->wrap || at < u->size)) {
        if (at == u->size) at = 0;
        const size_t take = at_most(file->size - in), room = at_most(u->size - at);
        stream.next_in = (Bytef *)(uintptr_t)(file->data + in);
        stream.avail_in = (uInt)take;
        stream.next_out = u->out + at;
        stream.avail_out = (uInt)room;
        code = inflate(&stream, Z_NO_FLUSH);
        in += take - stream.avail_in;
        at += room - stream.avail_out;
        u->done += room - stream.avail_out;
        if (code == Z_STREAM_END) {
            u->ended = in == file->size;
            if (!u->ended && inflateReset(&stream) != Z_OK) break;
        } else if (code != Z_OK) {
            break;
        }
    }
    inflateEnd(&stream);
    return code == Z_OK || code == Z_STREAM_END ? OCTET_OK : zlib_fail(code, err);
}

static octet_status open_head(octet_source *source, octet_arena *arena, octet_error *err)
{
    const octet_file *const file = &source->file;
    source->packed = file->size >= 2 && file->data[0] == 0x1f && file->data[1] == 0x8b;
    if (!source->packed) {
        source->head = file->data;
        source->head_size = file->size < OCTET_HEAD_SIZE ? file->size : OCTET_HEAD_SIZE;
        return OCTET_OK;
    }
    unpacking u = {.size = OCTET_HEAD_SIZE};
    OCTET_TRY(octet_arena_get(&u.out, arena, u.size, 1, err));
    const octet_status status = unpack(&u, file, err);
    source->head = u.out;
    source->head_size = u.done;
    return status;
}

octet_status octet_source_open(octet_source *source, octet_arena *arena, const char *path, octet_error *err)
{
    *source = (octet_source){0};
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        source->folder = true;
        return OCTET_OK;
    }
    OCTET_TRY(octet_file_read(&source->file, path, 0, err));
    if (source->file.size == 0) return octet_fail(err, OCTET_ERR_FORMAT, "file is empty");
    return open_head(source, arena, err);
}

void octet_source_close(octet_source *source) { octet_file_close(&source->file); }

static octet_status wrong_size(size_t got, size_t need, octet_error *err)
{
    return octet_fail(err, OCTET_ERR_FORMAT, "%s: the header's shape and type need %zu bytes, the file has %zu",
                      got < need ? "data truncated" : "data too long", need, got);
}

octet_status octet_source_all(const uint8_t **bytes, const octet_source *source, octet_arena *arena, size_t total,
                              size_t max_memory, octet_error *err)
{
    const octet_file *const file = &source->file;
    *bytes = file->data;
    if (!source->packed) return file->size == total ? OCTET_OK : wrong_size(file->size, total, err);
    if (total / DEFLATE_RATIO > file->size)
        return octet_fail(err, OCTET_ERR_FORMAT,
                          "data truncated: the header's shape and type need %zu bytes, more than "
                          "%zu packed bytes can hold",
                          total, file->size);
    OCTET_TRY(octet_check_memory(total, max_memory, err));
    unpacking u = {.size = total + 1}; /* one more byte shows that there is too much */
    OCTET_TRY(octet_arena_get(&u.out, arena, u.size, 1, err));
    OCTET_TRY(unpack(&u, file, err));
    *bytes = u.out;
    return u.done == total && u.ended ? OCTET_OK : wrong_size(u.done, total, err);
}

octet_status octet_source_size(size_t *size, const octet_source *source, octet_error *err)
{
    *size = source->file.size;
    if (!source->packed) return OCTET_OK;
    uint8_t            scrap[1 << 15];
    unpacking          u = {.out = scrap, .size = sizeof scrap, .wrap = true};
    const octet_status status = unpack(&u, &source->file, err);
    *size = u.done;
    return status;
}
