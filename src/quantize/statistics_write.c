/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics to a file: a head that people can read, then numbers of variable length (7 bits a byte, lowest first). */
#include "quantize/statistics_file.h"

#include "base/file.h"
#include "base/hash.h"

#include <jansson.h>
#include <string.h>

enum { ROOM = 1 << 16, MOST = 16 }; /* bytes that are written at once, and that one number may take */

typedef struct writer {
    octet_output output;
    octet_hash   hash;
    octet_status status; /* of the first write that failed; the others do nothing */
    octet_error *err;
    size_t       used;
    uint8_t      room[ROOM + MOST];
} writer;

static void flush(writer *w)
{
    octet_hash_add(&w->hash, w->room, w->used);
    if (w->status == OCTET_OK) w->status = octet_output_write(&w->output, w->room, w->used, w->err);
    w->used = 0;
}

static void put(writer *w, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size) {
        const size_t piece = size < MOST ? size : MOST;
        memcpy(w->room + w->used, at, piece);
        w->used += piece;
        at += piece;
        size -= piece;
        if (w->used >= ROOM) flush(w);
    }
}

static void put_number(writer *w, uint64_t value)
{
    uint8_t bytes[10];
    size_t  n = 0;
    for (; value >= 128; value >>= 7) bytes[n++] = (uint8_t)(value | 128);
    bytes[n++] = (uint8_t)value;
    put(w, bytes, n);
}

/* Small ones of both signs are short. */
static void put_signed(writer *w, int64_t value)
{
    put_number(w, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

/* -0 and 0 are equal, and which of them came first is order. */
static void put_float(writer *w, float value)
{
    value += 0.0f;
    put(w, &value, sizeof value);
}

static void put_values(writer *w, const octet_seen_values *v)
{
    uint32_t before = 0;
    put_number(w, v->count);
    put_number(w, v->rejected);
    put_number(w, v->range.seen);
    put_float(w, v->range.seen ? v->range.min : 0);
    put_float(w, v->range.seen ? v->range.max : 0);
    put_number(w, v->bin_count);
    for (size_t i = 0; i < v->bin_count; i++) {
        put_number(w, v->bins[i].bin - before);
        put_number(w, v->bins[i].count);
        before = v->bins[i].bin;
    }
}

static void put_sums(writer *w, const octet_seen_sums *m)
{
    put_number(w, m->count);
    for (size_t i = 0; i < m->count; i++) {
        put_signed(w, m->sum[i]);
        put_signed(w, m->fine[i]);
    }
}

static void put_all(writer *w, const octet_statistics *s, const char *header)
{
    const octet_statistics_head head = { .magic = OCTET_STATISTICS_MAGIC, .version = OCTET_STATISTICS_VERSION,
                                         .header = (uint32_t)strlen(header) };
    put(w, &head, sizeof head);
    put(w, header, head.header);
    put(w, s->samples, s->sample_count * sizeof *s->samples);
    for (size_t i = 0; i < s->value_count; i++) put_values(w, &s->values[i]);
    for (size_t i = 0; i < s->sum_count; i++) put_sums(w, &s->sums[i]);
    flush(w);
    const uint64_t hash = octet_hash_value(&w->hash);
    put(w, &hash, sizeof hash);
    flush(w);
}

/* ---- the header ---- */

static json_t *text_or_null(const char *text) { return text ? json_string(text) : json_null(); }

static json_t *header_object(const octet_statistics *s, const char *samples)
{
    json_t *const values = json_array(), *const sums = json_array();
    for (size_t i = 0; values && i < s->value_count; i++) json_array_append_new(values, json_string(s->values[i].name));
    for (size_t i = 0; sums && i < s->sum_count; i++) json_array_append_new(sums, json_string(s->sums[i].name));
    return json_pack("{s:s, s:i, s:{s:s, s:s}, s:{s:s, s:s, s:s}, s:o, s:I, s:s, s:o, s:o}", "format",
                     OCTET_STATISTICS_FORMAT, "version", OCTET_STATISTICS_VERSION, "model", "structure", s->structure,
                     "weights", s->weights, "qconfig", "name", s->qconfig, "target", s->target, "observed", s->observed,
                     "preprocess", text_or_null(s->recipe), "samples", (json_int_t)s->sample_count, "identities",
                     samples, "values", values, "means", sums);
}

/* NULL: a name is no UTF-8, or memory is out. */
static const char *header_text(const octet_statistics *s, octet_arena *arena)
{
    octet_hash hash;
    char       samples[17];
    octet_hash_begin(&hash);
    octet_hash_add(&hash, s->samples, s->sample_count * sizeof *s->samples);
    const uint64_t value = octet_hash_value(&hash);
    for (int i = 0; i < 16; i++) samples[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    samples[16]              = 0;
    json_t *const     object = header_object(s, samples);
    const size_t      size   = object ? json_dumpb(object, NULL, 0, JSON_COMPACT) : 0;
    char *const       text   = size ? octet_arena_alloc(arena, size + 1, 1) : NULL;
    const bool        all    = object && json_array_size(json_object_get(object, "values")) == s->value_count &&
                     json_array_size(json_object_get(object, "means")) == s->sum_count;
    if (text) json_dumpb(object, text, size, JSON_COMPACT);
    json_decref(object);
    return all ? text : NULL;
}

octet_status octet_statistics_write(const octet_statistics *s, const char *path, bool replace, octet_error *err)
{
    octet_arena *const arena  = octet_arena_new();
    writer *const      w      = arena ? octet_arena_alloc(arena, 1, sizeof *w) : NULL;
    const char *const  header = w ? header_text(s, arena) : NULL;
    octet_status       status = OCTET_OK;
    if (!w) status = octet_fail_memory(err);
    else if (!header) status = octet_fail(err, OCTET_ERR_UNSUPPORTED, "a name in the network is not UTF-8");
    if (status == OCTET_OK) status = octet_output_begin(&w->output, path, replace, err);
    if (status == OCTET_OK) {
        octet_hash_begin(&w->hash);
        w->err = err;
        put_all(w, s, header);
        status = w->status;
        if (status == OCTET_OK) status = octet_output_commit(&w->output, err);
        else octet_output_discard(&w->output);
    }
    octet_arena_free(arena);
    return status;
}
