/* SPDX-License-Identifier: Apache-2.0 */
/* WebDataset: a plain tar whose members KEY.jpg (.jpeg, .png) and KEY.cls (a class as text) or KEY.json (with "label"
   or "cls") make one sample. Read where it lies, never extracted; names serve messages alone, order is the file's. */
#include "data/data.h"

#include "base/text.h"

#include <jansson.h>
#include <string.h>

enum { BLOCK = 512, KEY_MOST = 256, LABEL_MOST = 64 << 10 };

typedef struct member {
    char           name[KEY_MOST];
    char           type;
    const uint8_t *data;
    size_t         size;
} member;

/* Octal, with blanks around it; or, from GNU, big-endian with the first bit set. */
static bool number(uint64_t *value, const uint8_t *field, size_t size)
{
    size_t i = 0;
    *value   = 0;
    if (field[0] & 0x80) {
        for (i = 1; i < size; i++) {
            if (*value >> 56) return false;
            *value = *value << 8 | field[i];
        }
        return field[0] == 0x80;
    }
    while (i < size && field[i] == ' ') i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) *value = *value << 3 | (uint64_t)(field[i] - '0');
    return i == size || field[i] == ' ' || field[i] == 0;
}

static bool is_header(const uint8_t *block)
{
    uint64_t want, sum = 0;
    for (size_t i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? ' ' : block[i];
    return number(&want, block + 148, 8) && want == sum;
}

static bool accepts(const octet_source *source, const char *path)
{
    return octet_ends_in(path, ".tar") || (source->head_size >= BLOCK && !memcmp(source->head + 257, "ustar", 5) &&
                                           is_header(source->head));
}

static octet_status damaged(size_t at, const char *what, octet_error *err)
{
    return octet_fail(err, OCTET_ERR_FORMAT, "tar archive: %s at byte %zu", what, at);
}

/* The member at *at, and the place behind it. *more is false at the end. */
static octet_status next(member *m, bool *more, size_t *at, const octet_file *file, octet_error *err)
{
    const uint8_t *const block = file->data + *at;
    uint64_t             size;
    *more = *at < file->size;
    if (!*more) return OCTET_OK;
    if (file->size - *at < BLOCK) return damaged(*at, "truncated header", err);
    static const uint8_t zeros[BLOCK];
    *more = memcmp(block, zeros, BLOCK) != 0;
    if (!*more) return OCTET_OK;
    if (!is_header(block)) return damaged(*at, "a header's checksum differs", err);
    if (!number(&size, block + 124, 12) || size > file->size - *at - BLOCK)
        return damaged(*at, "a member is longer than the file", err);
    memcpy(m->name, block, 100);
    m->name[100] = '\0';
    m->type      = (char)block[156];
    m->data      = block + BLOCK;
    m->size      = (size_t)size;
    const size_t padded = (m->size + BLOCK - 1) / BLOCK * BLOCK, left = file->size - *at - BLOCK;
    *at += BLOCK + (padded < left ? padded : left);
    return OCTET_OK;
}

/* ---- samples ---- */

/* What stands before the first dot of the last part: two members with the same belong together. */
static size_t key_length(const char *name)
{
    const char *const slash = strrchr(name, '/'), *const base = slash ? slash + 1 : name;
    const char *const dot = strchr(base, '.');
    return dot ? (size_t)(dot - name) : strlen(name);
}

static bool read_class(int64_t *label, const member *m)
{
    char text[32];
    if (m->size == 0 || m->size >= sizeof text) return false;
    memcpy(text, m->data, m->size);
    text[m->size] = '\0';
    text[strcspn(text, " \t\r\n")] = '\0';
    return octet_parse_int(label, text) && *label >= 0;
}

static bool read_json(int64_t *label, const member *m)
{
    json_t *const root = m->size <= LABEL_MOST
                             ? json_loadb((const char *)m->data, m->size, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *value = json_object_get(root, "label");
    if (!value) value = json_object_get(root, "cls");
    const bool good = json_is_integer(value) && json_integer_value(value) >= 0;
    if (good) *label = json_integer_value(value);
    json_decref(root);
    return good;
}

typedef struct archive {
    octet_dataset *data;
    octet_table    table;
    octet_blob    *blobs;
    size_t         blob_capacity, labelled, key; /* key: length of the last image's */
    int64_t        waiting; /* a class that stood before its image, -1: none */
    char           waiting_key[KEY_MOST];
} archive;

static octet_status add_image(archive *a, const member *m, octet_error *err)
{
    octet_arena *const arena = a->data->arena;
    octet_table *const t     = &a->table;
    a->key                   = key_length(m->name);
    if (!octet_arena_grow(arena, &t->files, t->count, &t->capacity, sizeof *t->files) ||
        !octet_arena_grow(arena, &t->labels, t->count, &t->label_capacity, sizeof *t->labels) ||
        !octet_arena_grow(arena, &a->blobs, t->count, &a->blob_capacity, sizeof *a->blobs))
        return octet_fail_memory(err);
    const bool same     = strlen(a->waiting_key) == a->key && !memcmp(a->waiting_key, m->name, a->key);
    const bool mine     = a->waiting >= 0 && same;
    t->labels[t->count] = mine ? a->waiting : -1;
    a->labelled += mine;
    a->waiting         = -1;
    a->blobs[t->count] = (octet_blob){ m->data, m->size };
    t->files[t->count] = octet_arena_copy(arena, m->name);
    return t->files[t->count++] ? OCTET_OK : octet_fail_memory(err);
}

static octet_status add_label(archive *a, const member *m, bool is_class, octet_error *err)
{
    const octet_table *const t   = &a->table;
    const size_t             key = key_length(m->name);
    int64_t                  label;
    if (!(is_class ? read_class(&label, m) : read_json(&label, m))) {
        octet_error_node(err, m->name);
        return octet_fail(err, OCTET_ERR_FORMAT, is_class ? "not a class (need one number, 0 or more)"
                                                          : "no \"label\" or \"cls\" of 0 or more in this JSON");
    }
    if (t->count && key == a->key && !strncmp(t->files[t->count - 1], m->name, key)) {
        a->labelled += t->labels[t->count - 1] < 0;
        t->labels[t->count - 1] = label;
        return OCTET_OK;
    }
    a->waiting = label;
    memcpy(a->waiting_key, m->name, key);
    a->waiting_key[key] = '\0';
    return OCTET_OK;
}

static octet_status add_member(archive *a, const member *m, octet_error *err)
{
    if (m->type != '0' && m->type != 0) return OCTET_OK; /* folders, links, extensions */
    if (octet_ends_in(m->name, ".jpg") || octet_ends_in(m->name, ".jpeg") || octet_ends_in(m->name, ".png"))
        return add_image(a, m, err);
    if (octet_ends_in(m->name, ".cls")) return add_label(a, m, true, err);
    return octet_ends_in(m->name, ".json") ? add_label(a, m, false, err) : OCTET_OK;
}

static octet_status open_tar(octet_dataset *data, const char *path, octet_error *err)
{
    archive a    = { .data = data, .waiting = -1 };
    member  m    = { .type = 0 };
    size_t  at   = 0;
    bool    more = true;
    (void)path;
    if (data->source.packed)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "packed tar archives are not read (need a plain .tar)");
    while (more) {
        OCTET_TRY(next(&m, &more, &at, &data->source.file, err));
        if (more) OCTET_TRY(add_member(&a, &m, err));
    }
    if (!a.table.count)
        return octet_fail(err, OCTET_ERR_FORMAT, "tar archive holds no image (need KEY.jpg, .jpeg or .png)");
    if (a.labelled && a.labelled < a.table.count)
        return octet_fail(err, OCTET_ERR_FORMAT, "%zu of %zu images in the tar archive have a class",
                          a.labelled, a.table.count);
    a.table.has_labels = a.labelled > 0;
    data->blobs        = a.blobs;
    OCTET_TRY(octet_table_use(data, &a.table, NULL, err));
    return octet_images_plan(data, err);
}

const octet_format octet_format_tar = { "tar", accepts, open_tar, octet_images_read, octet_images_shape };
