/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the operator's attribute rows: no operator has parsing code of its own. */
#include "graph/attrs.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/read.h"
#include "ops/check.h"

#include <math.h>
#include <string.h>

static const char *type_name(int type)
{
    static const char *const names[] = {
        "UNDEFINED", "FLOAT",   "INT",    "STRING",        "TENSOR",         "GRAPH",      "FLOATS",     "INTS",
        "STRINGS",   "TENSORS", "GRAPHS", "SPARSE_TENSOR", "SPARSE_TENSORS", "TYPE_PROTO", "TYPE_PROTOS"};
    return type >= 0 && type < (int)(sizeof names / sizeof *names) ? names[type] : "?";
}

/* Which of its fields an attribute carries, as bits of type numbers. */
static unsigned carried(const Onnx__AttributeProto *a)
{
    const bool given[] = {
        false,           a->has_f,     a->has_i,     a->has_s,    a->t != NULL,     a->g != NULL,        a->n_floats,
        a->n_ints,       a->n_strings, a->n_tensors, a->n_graphs, a->sparse_tensor, a->n_sparse_tensors, a->tp,
        a->n_type_protos};
    unsigned bits = 0;
    for (unsigned i = 0; i < sizeof given / sizeof *given; i++) bits |= (unsigned)given[i] << i;
    return bits;
}

octet_status octet_attribute_type(int *type, const Onnx__AttributeProto *attribute, octet_error *err)
{
    const char *name = attribute->name ? attribute->name : "";
    *type = attribute->has_type ? (int)attribute->type : 0;
    if (attribute->ref_attr_name && attribute->ref_attr_name[0])
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, name, "refers to an attribute of a function");
    if (*type < 1 || *type > ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTOS)
        return octet_fail_field(err, OCTET_ERR_FORMAT, name, "attribute has no valid type (got %d)", *type);
    if (carried(attribute) & ~(1u << *type))
        return octet_fail_field(err, OCTET_ERR_FORMAT, name, "attribute says %s but carries something else",
                                type_name(*type));
    return OCTET_OK;
}

static int expected_type(octet_attr_kind kind)
{
    static const int types[] = {
        [OCTET_ATTR_INT] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT,
        [OCTET_ATTR_FLOAT] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT,
        [OCTET_ATTR_INTS] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS,
        [OCTET_ATTR_FLOATS] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS,
        [OCTET_ATTR_STRING] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING,
        [OCTET_ATTR_STRINGS] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS,
        [OCTET_ATTR_TENSOR] = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR,
    };
    return types[kind];
}

static octet_status store_ints(octet_ints *to, const Onnx__AttributeProto *a, octet_error *err)
{
    if (a->n_ints > OCTET_INTS_MAX)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "%zu entries, need at most %d", a->n_ints, OCTET_INTS_MAX);
    to->count = (int)a->n_ints;
    for (size_t i = 0; i < a->n_ints; i++) to->at[i] = a->ints[i];
    return OCTET_OK;
}

static octet_status store_floats(octet_floats *to, const Onnx__AttributeProto *a, octet_arena *arena, octet_error *err)
{
    for (size_t i = 0; i < a->n_floats; i++)
        if (!isfinite(a->floats[i])) return octet_fail(err, OCTET_ERR_FORMAT, "entry %zu is not finite", i);
    to->count = a->n_floats;
    to->at = octet_arena_copy_bytes(arena, a->floats, a->n_floats * sizeof *a->floats);
    return to->at ? OCTET_OK : octet_fail_memory(err);
}

static octet_status store_string(const char **to, const ProtobufCBinaryData *text, octet_arena *arena,
                                 octet_error *err)
{
    if (text->len && memchr(text->data, 0, text->len))
        return octet_fail(err, OCTET_ERR_FORMAT, "text holds a NUL byte");
    char *copy;
    OCTET_TRY(octet_arena_get(&copy, arena, text->len + 1, 1, err));
    if (text->len) memcpy(copy, text->data, text->len);
    *to = copy;
    return OCTET_OK;
}

static octet_status store_strings(octet_strings *to, const Onnx__AttributeProto *a, octet_arena *arena,
                                  octet_error *err)
{
    const char **list;
    OCTET_TRY(octet_arena_get(&list, arena, a->n_strings, sizeof *list, err));
    for (size_t i = 0; i < a->n_strings; i++) OCTET_TRY(store_string(&list[i], &a->strings[i], arena, err));
    *to = (octet_strings){ a->n_strings, list };
    return OCTET_OK;
}

static octet_status store_tensor(const octet_tensor **to, octet_reader *reader, const Onnx__AttributeProto *a,
                                 octet_error *err)
{
    octet_tensor *tensor;
    if (!a->t) return octet_fail(err, OCTET_ERR_FORMAT, "attribute holds no tensor");
    OCTET_TRY(octet_arena_get(&tensor, reader->graph->arena, 1, sizeof *tensor, err));
    *to = tensor;
    return octet_read_tensor(tensor, reader, a->t, err);
}

static octet_status store(octet_reader *reader, octet_node *node, const octet_attr *row, const Onnx__AttributeProto *a,
                          octet_error *err)
{
    void        *at = octet_attr_at(node->attrs, row);
    octet_arena *arena = reader->graph->arena;
    switch (row->kind) {
    case OCTET_ATTR_INT:
        memcpy(at, &a->i, sizeof a->i);
        break;
    case OCTET_ATTR_FLOAT:
        if (!isfinite(a->f)) return octet_fail(err, OCTET_ERR_FORMAT, "got %g, need a finite number", (double)a->f);
        memcpy(at, &a->f, sizeof a->f);
        break;
    case OCTET_ATTR_INTS:
        OCTET_TRY(store_ints(at, a, err));
        break;
    case OCTET_ATTR_FLOATS:
        return store_floats(at, a, arena, err);
    case OCTET_ATTR_STRING:
        return store_string(at, &a->s, arena, err);
    case OCTET_ATTR_STRINGS:
        return store_strings(at, a, arena, err);
    case OCTET_ATTR_TENSOR:
        return store_tensor(at, reader, a, err);
    case OCTET_ATTR_END:
        break;
    }
    return octet_attr_check(node->attrs, row, err);
}

static octet_status read_one(octet_reader *reader, octet_node *node, const Onnx__AttributeProto *a, uint64_t *seen,
                             octet_error *err)
{
    if (!a->name || !a->name[0]) return octet_fail(err, OCTET_ERR_FORMAT, "an attribute has no name");
    const octet_attr *row = octet_attr_find(node->op, a->name);
    if (!row) return octet_attribute_neutral(reader, node->op, a, err);
    const uint64_t bit = (uint64_t)1 << (row - node->op->attrs);
    if (*seen & bit) return octet_fail_field(err, OCTET_ERR_FORMAT, a->name, "attribute is given twice");
    *seen |= bit;
    int type;
    OCTET_TRY(octet_attribute_type(&type, a, err));
    if (type != expected_type(row->kind))
        return octet_fail_field(err, OCTET_ERR_FORMAT, a->name, "attribute is %s, need %s", type_name(type),
                                type_name(expected_type(row->kind)));
    const octet_status status = store(reader, node, row, a, err);
    if (status != OCTET_OK) octet_error_field(err, a->name);
    return status;
}

octet_status octet_attributes_read(octet_reader *reader, octet_node *node, const octet_raw_node *raw, octet_error *err)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < raw->attribute_count; i++) OCTET_TRY(read_one(reader, node, raw->attributes[i], &seen, err));
    for (const octet_attr *row = node->op->attrs; row && row->kind != OCTET_ATTR_END; row++)
        if (row->required && !(seen & (uint64_t)1 << (row - node->op->attrs)))
            return octet_fail_field(err, OCTET_ERR_FORMAT, row->name, "required attribute is missing");
    return OCTET_OK;
}
