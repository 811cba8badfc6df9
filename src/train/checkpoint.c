/* SPDX-License-Identifier: Apache-2.0 */
/* The reader knows what it expects: names, types and counts come from the running network, the file only has to agree.
   So nothing is allocated by a number from a file. */
#include "train/checkpoint.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/taker.h"

#include <string.h>

static const char MAGIC[8] = { 'o', 'c', 't', 'e', 't', 'c', 'k', 'p' };
enum { VERSION = 1 };

typedef struct head {
    char     magic[8];
    uint32_t version, sections;
    uint64_t identity;
} head;

typedef struct section_head {
    uint32_t name, dtype;
    uint64_t count;
} section_head;

/* ---- writing ---- */

typedef struct writer {
    octet_output output;
    octet_hash   hash;
    octet_status status; /* of the first write that failed; the others do nothing */
} writer;

static void put(writer *w, const void *bytes, size_t size, octet_error *err)
{
    if (w->status != OCTET_OK) return;
    octet_hash_add(&w->hash, bytes, size);
    w->status = octet_output_write(&w->output, bytes, size, err);
}

static void put_all(writer *w, const octet_checkpoint *c, octet_error *err)
{
    head first = { .version = VERSION, .sections = (uint32_t)c->count, .identity = strlen(c->identity) };
    memcpy(first.magic, MAGIC, sizeof MAGIC);
    put(w, &first, sizeof first, err);
    put(w, c->identity, (size_t)first.identity, err);
    for (size_t i = 0; i < c->count; i++) {
        const octet_section *const s  = &c->sections[i];
        const section_head         at = { (uint32_t)strlen(s->name), (uint32_t)s->dtype, s->count };
        put(w, &at, sizeof at, err);
        put(w, s->name, at.name, err);
        put(w, s->data, s->count * octet_dtype_size(s->dtype), err);
    }
    const uint64_t hash = octet_hash_value(&w->hash);
    put(w, &hash, sizeof hash, err);
}

octet_status octet_checkpoint_write(const char *path, const octet_checkpoint *checkpoint, octet_error *err)
{
    writer w = { .status = OCTET_OK };
    OCTET_TRY(octet_output_begin(&w.output, path, true, err));
    octet_hash_begin(&w.hash);
    put_all(&w, checkpoint, err);
    if (w.status == OCTET_OK) return octet_output_commit(&w.output, err);
    octet_output_discard(&w.output);
    return w.status;
}

/* ---- reading ---- */

/* Copied out: nothing in the file is aligned. */
static bool take_into(octet_taker *r, void *to, size_t size)
{
    const uint8_t *const bytes = octet_take(r, size);
    if (bytes) memcpy(to, bytes, size);
    return bytes;
}

static octet_status fail_format(octet_error *err, const char *why)
{
    return octet_fail(err, OCTET_ERR_FORMAT, "%s", why);
}

/* Leaves out the hash at the end. */
static octet_status check_hash(octet_taker *r, octet_error *err)
{
    octet_hash hash;
    uint64_t   stored;
    if (r->left < sizeof(head) + sizeof stored || memcmp(r->at, MAGIC, sizeof MAGIC) != 0)
        return fail_format(err, "not a checkpoint of octet");
    r->left -= sizeof stored;
    memcpy(&stored, r->at + r->left, sizeof stored);
    octet_hash_begin(&hash);
    octet_hash_add(&hash, r->at, r->left);
    if (octet_hash_value(&hash) != stored) return fail_format(err, "checkpoint is damaged or cut off (hash differs)");
    return OCTET_OK;
}

static size_t line_length(const char *text, size_t left)
{
    const char *const end = memchr(text, '\n', left);
    return end ? (size_t)(end - text) : left;
}

/* The first line that is not the same on both sides is what the user has to know. */
static octet_status check_identity(const char *theirs, size_t left, const char *ours, octet_error *err)
{
    size_t ours_left = strlen(ours);
    if (left == ours_left && !memcmp(theirs, ours, left)) return OCTET_OK;
    for (;;) {
        const size_t a = line_length(theirs, left), b = line_length(ours, ours_left);
        if (a != b || memcmp(theirs, ours, a) != 0 || a == left || b == ours_left)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "checkpoint was made with '%.*s' (here '%.*s')",
                              (int)(a < 100 ? a : 100), theirs, (int)(b < 100 ? b : 100), ours);
        theirs += a + 1, left -= a + 1;
        ours += b + 1, ours_left -= b + 1;
    }
}

static octet_status check_head(octet_taker *r, const octet_checkpoint *c, octet_error *err)
{
    head first;
    if (!take_into(r, &first, sizeof first)) return fail_format(err, "checkpoint is cut off");
    if (first.version != VERSION)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "checkpoint has version %u (need %d)", first.version, VERSION);
    const uint8_t *const identity = octet_take(r, first.identity);
    if (!identity) return fail_format(err, "checkpoint is cut off in its identity");
    OCTET_TRY(check_identity((const char *)identity, (size_t)first.identity, c->identity, err));
    if (first.sections == c->count) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_FORMAT, "checkpoint has %u sections (need %zu)", first.sections, c->count);
}

/* Finds the bytes of one section. */
static octet_status next_section(const uint8_t **data, octet_taker *r, const octet_section *s, octet_error *err)
{
    section_head         at;
    const bool           whole = take_into(r, &at, sizeof at);
    const uint8_t *const name  = whole ? octet_take(r, at.name) : NULL;
    if (!name) return octet_fail(err, OCTET_ERR_FORMAT, "checkpoint is cut off before '%s'", s->name);
    if (at.name != strlen(s->name) || memcmp(name, s->name, at.name) != 0 || at.dtype != (uint32_t)s->dtype)
        return octet_fail(err, OCTET_ERR_FORMAT, "checkpoint has another section where '%s' belongs", s->name);
    if (at.count != s->count)
        return octet_fail(err, OCTET_ERR_FORMAT, "'%s' has %llu entries (need %zu)", s->name,
                          (unsigned long long)at.count, s->count);
    *data = octet_take(r, s->count * octet_dtype_size(s->dtype));
    return *data ? OCTET_OK : octet_fail(err, OCTET_ERR_FORMAT, "checkpoint is cut off in '%s'", s->name);
}

/* Walks all sections; copies them where asked to. */
static octet_status walk(octet_taker r, const octet_checkpoint *c, bool copy, octet_error *err)
{
    for (size_t i = 0; i < c->count; i++) {
        const octet_section *const s = &c->sections[i];
        const uint8_t             *data;
        OCTET_TRY(next_section(&data, &r, s, err));
        if (copy && s->count) memcpy(s->data, data, s->count * octet_dtype_size(s->dtype));
    }
    return r.left == 0 ? OCTET_OK : fail_format(err, "checkpoint has bytes after its last section");
}

static octet_status read_bytes(const octet_file *file, const octet_checkpoint *c, octet_error *err)
{
    octet_taker r = { file->data, file->size };
    OCTET_TRY(check_hash(&r, err));
    OCTET_TRY(check_head(&r, c, err));
    OCTET_TRY(walk(r, c, false, err));
    return walk(r, c, true, err);
}

octet_status octet_checkpoint_read(const char *path, const octet_checkpoint *checkpoint, octet_error *err)
{
    octet_file file;
    OCTET_TRY(octet_file_read(&file, path, 0, err));
    const octet_status status = read_bytes(&file, checkpoint, err);
    octet_file_close(&file);
    if (status != OCTET_OK) octet_error_file(err, path);
    return status;
}
