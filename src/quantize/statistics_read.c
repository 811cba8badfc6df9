/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics from a file that anybody may have written: the hash finds accidents, everything behind it is checked
   again. Nothing is allocated by a number that the file's own bytes do not back. */
#include "quantize/statistics_file.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/taker.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { DIGITS = 16 };

static bool take_number(uint64_t *value, octet_taker *r)
{
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const uint8_t *const byte = octet_take(r, 1);
        if (!byte || (shift == 63 && *byte > 1)) return false;
        *value |= (uint64_t)(*byte & 127) << shift;
        if (*byte < 128) return true;
    }
    return false;
}

static bool take_signed(int64_t *value, octet_taker *r)
{
    uint64_t bits;
    if (!take_number(&bits, r)) return false;
    *value = (int64_t)(bits >> 1 ^ (bits & 1 ? UINT64_MAX : 0));
    return true;
}

static bool take_float(float *value, octet_taker *r)
{
    const uint8_t *const bytes = octet_take(r, sizeof *value);
    if (bytes) memcpy(value, bytes, sizeof *value);
    return bytes && isfinite(*value);
}

/* A count of things of which each takes at least size bytes. */
static bool take_count(size_t *count, octet_taker *r, size_t size)
{
    uint64_t number;
    if (!take_number(&number, r) || number > r->left / size) return false;
    *count = (size_t)number;
    return true;
}

static octet_status damaged(const char *what, const char *name, octet_error *err)
{
    octet_error_node(err, name);
    return octet_fail(err, OCTET_ERR_FORMAT, "statistics are not valid: %s", what);
}

/* ---- the parts ---- */

static octet_status read_bins(octet_seen_values *v, octet_taker *r, octet_arena *arena, octet_error *err)
{
    uint64_t bin = 0;
    OCTET_TRY(octet_arena_get(&v->bins, arena, v->bin_count, sizeof *v->bins, err));
    for (size_t i = 0; i < v->bin_count; i++) {
        uint64_t step;
        if (!take_number(&step, r) || !take_number(&v->bins[i].count, r)) return damaged("cut off", v->name, err);
        if (step >= OCTET_HISTOGRAM_BINS || (i && !step) || (bin += step) >= OCTET_HISTOGRAM_BINS)
            return damaged("a bin does not exist", v->name, err);
        v->bins[i].bin = (uint32_t)bin;
    }
    return OCTET_OK;
}

static octet_status read_values(octet_seen_values *v, octet_taker *r, octet_arena *arena, octet_error *err)
{
    uint64_t seen;
    if (!take_number(&v->count, r) || !take_number(&v->rejected, r) || !take_number(&seen, r) ||
        !take_float(&v->range.min, r) || !take_float(&v->range.max, r) || !take_count(&v->bin_count, r, 2))
        return damaged("cut off, or a range is not finite", v->name, err);
    v->range.seen = seen != 0;
    if (seen > 1 || v->range.min > v->range.max || v->rejected > v->count)
        return damaged("a range is upside down", v->name, err);
    return read_bins(v, r, arena, err);
}

static octet_status read_sums(octet_seen_sums *m, octet_taker *r, octet_arena *arena, octet_error *err)
{
    if (!take_count(&m->count, r, 2)) return damaged("cut off", m->name, err);
    OCTET_TRY(octet_arena_get(&m->sum, arena, m->count, sizeof *m->sum, err));
    OCTET_TRY(octet_arena_get(&m->fine, arena, m->count, sizeof *m->fine, err));
    for (size_t i = 0; i < m->count; i++)
        if (!take_signed(&m->sum[i], r) || !take_signed(&m->fine[i], r)) return damaged("cut off", m->name, err);
    return OCTET_OK;
}

static octet_status read_samples(octet_statistics *s, octet_taker *r, octet_error *err)
{
    const uint8_t *const bytes = s->sample_count <= r->left / 8 ? octet_take(r, 8 * s->sample_count) : NULL;
    if (!bytes) return damaged("cut off", "samples", err);
    OCTET_TRY(octet_arena_get(&s->samples, s->arena, s->sample_count, sizeof *s->samples, err));
    if (s->sample_count) memcpy(s->samples, bytes, 8 * s->sample_count);
    for (size_t i = 1; i < s->sample_count; i++)
        if (s->samples[i] < s->samples[i - 1]) return damaged("samples are not in order", "samples", err);
    return OCTET_OK;
}

/* ---- the header ---- */

static const char *member(const json_t *object, const char *key, octet_arena *arena)
{
    return octet_arena_copy(arena, json_string_value(json_object_get(object, key)));
}

static bool is_hash(const char *text) { return text && strlen(text) == DIGITS; }

static octet_status read_names(octet_statistics *s, const json_t *root, octet_error *err)
{
    const json_t *const values = json_object_get(root, "values"), *const sums = json_object_get(root, "means");
    if (!json_is_array(values) || !json_is_array(sums)) return damaged("header has no lists of names", NULL, err);
    OCTET_TRY(octet_arena_get(&s->values, s->arena, json_array_size(values), sizeof *s->values, err));
    OCTET_TRY(octet_arena_get(&s->sums, s->arena, json_array_size(sums), sizeof *s->sums, err));
    for (size_t i = 0; i < json_array_size(values); i++) {
        s->values[i].name = octet_arena_copy(s->arena, json_string_value(json_array_get(values, i)));
        if (!s->values[i].name) return damaged("a name is no text", NULL, err);
    }
    for (size_t i = 0; i < json_array_size(sums); i++) {
        s->sums[i].name = octet_arena_copy(s->arena, json_string_value(json_array_get(sums, i)));
        if (!s->sums[i].name) return damaged("a name is no text", NULL, err);
    }
    s->value_count = json_array_size(values);
    s->sum_count   = json_array_size(sums);
    return OCTET_OK;
}

static octet_status read_members(octet_statistics *s, const json_t *root, octet_error *err)
{
    const json_t *const model = json_object_get(root, "model"), *const qconfig = json_object_get(root, "qconfig");
    const json_t *const samples = json_object_get(root, "samples"), *const recipe = json_object_get(root, "preprocess");
    const char *const   format = json_string_value(json_object_get(root, "format"));
    octet_recipe        parsed;
    if (!format || strcmp(format, OCTET_STATISTICS_FORMAT) != 0)
        return damaged("header is not one of octet-calibration", NULL, err);
    s->structure = member(model, "structure", s->arena);
    s->weights   = member(model, "weights", s->arena);
    s->observed  = member(qconfig, "observed", s->arena);
    s->qconfig   = member(qconfig, "name", s->arena);
    s->target    = member(qconfig, "target", s->arena);
    if (!is_hash(s->structure) || !is_hash(s->weights) || !is_hash(s->observed) || !s->qconfig || !s->target)
        return damaged("header lacks the hashes of model and qconfig", NULL, err);
    if (json_is_string(recipe)) {
        s->recipe = octet_arena_copy(s->arena, json_string_value(recipe));
        if (!s->recipe) return octet_fail_memory(err);
        OCTET_TRY(octet_recipe_parse(&parsed, s->recipe, err));
    } else if (!json_is_null(recipe)) return damaged("header's recipe is no text", NULL, err);
    if (!json_is_integer(samples) || json_integer_value(samples) < 0)
        return damaged("header has no number of samples", NULL, err);
    s->sample_count = (size_t)json_integer_value(samples);
    return read_names(s, root, err);
}

static octet_status read_header(octet_statistics *s, octet_taker *r, octet_error *err)
{
    octet_statistics_head head;
    json_error_t          why;
    memcpy(&head, r->at, sizeof head); /* the hash was there: the head is */
    octet_take(r, sizeof head);
    if (head.version != OCTET_STATISTICS_VERSION)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "statistics of version %u (need %d)", head.version,
                          (int)OCTET_STATISTICS_VERSION);
    const uint8_t *const text = octet_take(r, head.header);
    if (!text) return damaged("cut off in its header", NULL, err);
    json_t *const root = json_loadb((const char *)text, head.header, JSON_REJECT_DUPLICATES, &why);
    if (!root) return octet_fail(err, OCTET_ERR_FORMAT, "header: %d:%d: %.150s", why.line, why.column, why.text);
    const octet_status status = read_members(s, root, err);
    json_decref(root);
    return status;
}

/* ---- the whole ---- */

static octet_status check_hash(octet_taker *r, octet_error *err)
{
    static const uint8_t magic[] = OCTET_STATISTICS_MAGIC;
    octet_hash           hash;
    uint64_t             stored;
    if (r->left < sizeof(octet_statistics_head) + sizeof stored || memcmp(r->at, magic, sizeof magic) != 0)
        return octet_fail(err, OCTET_ERR_FORMAT, "not statistics of octet calibrate");
    r->left -= sizeof stored;
    memcpy(&stored, r->at + r->left, sizeof stored);
    octet_hash_begin(&hash);
    octet_hash_add(&hash, r->at, r->left);
    if (octet_hash_value(&hash) == stored) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_FORMAT, "statistics are damaged or cut off (hash differs)");
}

static octet_status read_all(octet_statistics *s, octet_taker *r, octet_error *err)
{
    OCTET_TRY(check_hash(r, err));
    OCTET_TRY(read_header(s, r, err));
    OCTET_TRY(read_samples(s, r, err));
    for (size_t i = 0; i < s->value_count; i++) OCTET_TRY(read_values(&s->values[i], r, s->arena, err));
    for (size_t i = 0; i < s->sum_count; i++) OCTET_TRY(read_sums(&s->sums[i], r, s->arena, err));
    return r->left ? damaged("bytes after the last sum", NULL, err) : OCTET_OK;
}

octet_status octet_statistics_parse(octet_statistics **statistics, const uint8_t *bytes, size_t size, octet_error *err)
{
    octet_statistics  *s     = NULL;
    octet_arena *const arena = octet_arena_new();
    octet_taker        r     = { bytes, size };
    *statistics              = NULL;
    if (!arena) return octet_fail_memory(err);
    octet_status status = octet_arena_get(&s, arena, 1, sizeof *s, err);
    if (status == OCTET_OK) {
        s->arena = arena;
        status   = read_all(s, &r, err);
    }
    if (status == OCTET_OK) *statistics = s;
    else octet_arena_free(arena);
    return status;
}

octet_status octet_statistics_read(octet_statistics **statistics, const char *path, octet_error *err)
{
    octet_file file;
    *statistics = NULL;
    OCTET_TRY(octet_file_read(&file, path, 0, err));
    const octet_status status = octet_statistics_parse(statistics, file.data, file.size, err);
    octet_file_close(&file);
    if (status != OCTET_OK) octet_error_file(err, path);
    return status;
}
