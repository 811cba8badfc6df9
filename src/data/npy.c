/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's npy, versions 1 to 3. The header is a Python dict of exactly three keys; a strict reader of just that
   language stands here, and every size is checked before data is looked at. */
#include "data/data.h"

#include "base/checked.h"

#include <string.h>

enum { HEADER_MAX = 1 << 16 };

typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_spaces(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t')) c->at++;
}

static bool take(cursor *c, char wanted)
{
    skip_spaces(c);
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word)
{
    const size_t length = strlen(word);
    skip_spaces(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0) return false;
    c->at += length;
    return true;
}

static bool take_string(char *out, size_t size, cursor *c)
{
    skip_spaces(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return false;
    const char quote = *c->at++;
    size_t     n = 0;
    while (c->at < c->end && *c->at != quote && *c->at && n + 1 < size) out[n++] = *c->at++;
    out[n] = '\0';
    return take(c, quote);
}

static octet_status bad_header(const char *why, octet_error *err)
{
    return octet_fail(err, OCTET_ERR_FORMAT, "npy header: %s", why);
}

/* One dimension, an integer without sign or exponent; negative ones are told apart for the message. */
static octet_status take_dimension(int64_t *out, cursor *c, octet_error *err)
{
    skip_spaces(c);
    if (c->at < c->end && *c->at == '-') return bad_header("shape has a negative dimension", err);
    const char *const start = c->at;
    *out = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (!octet_mul64(out, *out, 10) || !octet_add64(out, *out, *c->at - '0'))
            return bad_header("shape has a dimension too large", err);
    return c->at > start ? OCTET_OK : bad_header("shape is not a tuple of whole numbers", err);
}

/* "(8, 3, 8, 8)" into dims, samples first. */
static octet_status take_shape(int64_t *dims, int *rank, cursor *c, octet_error *err)
{
    int64_t dimension = 0;
    *rank = 0;
    if (!take(c, '(')) return bad_header("shape is not a tuple", err);
    while (!take(c, ')')) {
        OCTET_TRY(take_dimension(&dimension, c, err));
        if (*rank < OCTET_MAX_RANK) dims[*rank] = dimension;
        ++*rank;
        if (!take(c, ',')) {
            if (!take(c, ')')) return bad_header("shape is not a tuple of whole numbers", err);
            break;
        }
    }
    if (*rank >= 1 && *rank <= OCTET_MAX_RANK) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_FORMAT, "npy header: shape has rank %d (need 1 to %d)", *rank, OCTET_MAX_RANK);
}

/* "<f4" and the like. */
static octet_status read_type(octet_array *array, const char *text, octet_error *err)
{
    static const struct {
        char        name[3];
        octet_dtype dtype;
    } types[] = {{"f2", OCTET_F16}, {"f4", OCTET_F32}, {"f8", OCTET_F64}, {"i1", OCTET_I8},
                 {"i2", OCTET_I16}, {"i4", OCTET_I32}, {"i8", OCTET_I64}, {"u1", OCTET_U8},
                 {"u2", OCTET_U16}, {"u4", OCTET_U32}, {"u8", OCTET_U64}};
    const bool order = *text && strchr("<>|=", *text);
    array->swapped = *text == '>';
    for (size_t i = 0; order && i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, text + 1)) {
            array->dtype = types[i].dtype;
            return OCTET_OK;
        }
    return octet_fail(err, OCTET_ERR_UNSUPPORTED,
                      "npy header: dtype '%s' is not supported (need f2 f4 f8, i1 to i8, "
                      "u1 to u8)",
                      text);
}

typedef struct fields {
    bool    type, fortran, shape; /* seen */
    bool    is_fortran;
    int     rank;
    int64_t dims[OCTET_MAX_RANK];
} fields;

static octet_status read_field(octet_array *array, fields *f, cursor *c, octet_error *err)
{
    char key[32], text[64];
    if (!take_string(key, sizeof key, c) || !take(c, ':'))
        return bad_header("not a dict of descr, fortran_order, shape", err);
    if (!strcmp(key, "descr") && !f->type) {
        f->type = true;
        if (!take_string(text, sizeof text, c)) return bad_header("dtype (descr) is not one short text", err);
        return read_type(array, text, err);
    }
    if (!strcmp(key, "fortran_order") && !f->fortran) {
        f->fortran = true;
        f->is_fortran = take_word(c, "True");
        return f->is_fortran || take_word(c, "False") ? OCTET_OK
                                                      : bad_header("fortran_order is not True or False", err);
    }
    if (!strcmp(key, "shape") && !f->shape) {
        f->shape = true;
        return take_shape(f->dims, &f->rank, c, err);
    }
    return octet_fail(err, OCTET_ERR_FORMAT, "npy header: unexpected key '%s'", key);
}

static octet_status read_dict(octet_array *array, fields *f, cursor *c, octet_error *err)
{
    if (!take(c, '{')) return bad_header("not a dict of descr, fortran_order, shape", err);
    while (!take(c, '}')) {
        OCTET_TRY(read_field(array, f, c, err));
        if (!take(c, ',')) {
            if (!take(c, '}')) return bad_header("not a dict of descr, fortran_order, shape", err);
            break;
        }
    }
    skip_spaces(c);
    if (c->at != c->end) return bad_header("something follows the dict", err);
    if (!f->type) return bad_header("dtype (descr) is missing", err);
    if (!f->fortran) return bad_header("fortran_order is missing", err);
    return f->shape ? OCTET_OK : bad_header("shape is missing", err);
}

/* Finds the header's text and the offset of the data behind it. */
static octet_status find_header(cursor *c, size_t *offset, const uint8_t *head, size_t size, octet_error *err)
{
    if (size < 10 || memcmp(head, "\x93NUMPY", 6) != 0)
        return octet_fail(err, OCTET_ERR_FORMAT, "not an npy file (wrong magic)");
    const bool   first = head[6] == 1;
    const size_t start = first ? 10 : 12;
    size_t       length = (size_t)head[8] | (size_t)head[9] << 8;
    if (head[6] < 1 || head[6] > 3 || size < start)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "npy version %d.%d (need 1.0 to 3.0)", head[6], head[7]);
    if (!first) length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    if (length > HEADER_MAX || length > size - start)
        return octet_fail(err, OCTET_ERR_FORMAT, "npy header: length %zu exceeds the file or %d", length, HEADER_MAX);
    *c = (cursor){(const char *)head + start, (const char *)head + start + length};
    *offset = start + length;
    return OCTET_OK;
}

octet_status octet_npy_parse(octet_array *array, const uint8_t *head, size_t size, size_t *total, size_t *offset,
                             octet_error *err)
{
    cursor c = {0};
    fields f = {0};
    char   shape[160];
    size_t bytes;
    *array = (octet_array){0};
    OCTET_TRY(find_header(&c, offset, head, size, err));
    OCTET_TRY(read_dict(array, &f, &c, err));
    for (int i = 0; i < f.rank; i++)
        if (f.dims[i] == 0)
            return octet_fail(err, OCTET_ERR_FORMAT, "shape %s is empty: no samples",
                              octet_shape_text(shape, sizeof shape, f.dims, f.rank));
    array->count = (size_t)f.dims[0];
    array->rank = f.rank - 1;
    memcpy(array->dims, f.dims + 1, sizeof *f.dims * (size_t)array->rank);
    if (!octet_array_strides(array, f.is_fortran, &bytes) || !octet_add(total, bytes, *offset))
        return octet_fail(err, OCTET_ERR_FORMAT, "npy header: the size of shape %s overflows",
                          octet_shape_text(shape, sizeof shape, f.dims, f.rank));
    return OCTET_OK;
}

static bool accepts(const octet_source *source, const char *path)
{
    return (source->head_size >= 6 && memcmp(source->head, "\x93NUMPY", 6) == 0) || octet_ends_in(path, ".npy") ||
           octet_ends_in(path, ".npy.gz");
}

static octet_status open_npy(octet_dataset *data, const char *path, octet_error *err)
{
    size_t total, offset;
    (void)path;
    OCTET_TRY(octet_npy_parse(&data->array, data->source.head, data->source.head_size, &total, &offset, err));
    OCTET_TRY(octet_array_plan(data, err));
    return octet_array_load(data, total, offset, err);
}

const octet_format octet_format_npy = {"npy", accepts, open_npy, octet_array_read};
