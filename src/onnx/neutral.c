/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of opsets old and new that octet's operators do not have. With the value listed here they say what is so
   anyway; with another one the node is refused by the attribute's name. An operator that learns an attribute gets a row
   of its own, which goes first. */
#include "onnx/onnx.pb-c.h"
#include "onnx/read.h"
#include "ops/check.h"

#include <string.h>

enum { ANY_OPSET = 1 << 20 };

/* An integer, or a list of integers that are all neutral. op NULL: of every operator. */
typedef struct neutral_row {
    const char *op, *name;
    int         below, from; /* opsets of the file: from <= opset < below */
    int64_t     neutral;
    bool        any;  /* whatever it is, it says nothing */
    const char *text; /* what a string must be; NULL: it is none */
} neutral_row;

static const neutral_row neutral_rows[] = {
    {NULL, "consumed_inputs", 6, 1, .any = true}, /* which inputs may be overwritten */
    {NULL, "broadcast", 7, 1, .any = true},       /* without axis: the last dimensions, as now */
    {NULL, "axis", 7, 1, .neutral = INT64_MIN},   /* of a broadcast: other dimensions than the last */
    {"AveragePool", "dilations", ANY_OPSET, 19, .neutral = 1},
    {"Cast", "saturate", ANY_OPSET, 19, .any = true},   /* of floats of 8 bits only */
    {"Cast", "round_mode", ANY_OPSET, 24, .any = true}, /* likewise */
    {"CastLike", "saturate", ANY_OPSET, 19, .any = true},
    {"CastLike", "round_mode", ANY_OPSET, 24, .any = true},
    {"DequantizeLinear", "output_dtype", ANY_OPSET, 23, .neutral = 0},
    {"Dropout", "is_test", 7, 1, .neutral = 1},
    {"QuantizeLinear", "output_dtype", ANY_OPSET, 21, .neutral = 0},
    {"QuantizeLinear", "precision", ANY_OPSET, 23, .neutral = 0},
    {"QuantizeLinear", "saturate", ANY_OPSET, 19, .any = true}, /* of floats of 8 bits only */
    {"Resize", "antialias", ANY_OPSET, 18, .neutral = 0},
    {"Resize", "axes", ANY_OPSET, 18, .neutral = INT64_MIN},
    {"Resize", "keep_aspect_ratio_policy", ANY_OPSET, 18, .neutral = INT64_MIN, .text = "stretch"},
};

static bool is_row(const neutral_row *row, const octet_reader *reader, const octet_op *op,
                   const Onnx__AttributeProto *attribute)
{
    return (!row->op || strcmp(row->op, op->name) == 0) && strcmp(row->name, attribute->name) == 0 &&
           reader->opset >= row->from && reader->opset < row->below;
}

static bool is_neutral(const neutral_row *row, int type, const Onnx__AttributeProto *attribute)
{
    bool all = type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    if (row->any) return true;
    if (row->text && type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING)
        return attribute->s.len == strlen(row->text) && memcmp(attribute->s.data, row->text, attribute->s.len) == 0;
    for (size_t i = 0; i < attribute->n_ints; i++) all = all && attribute->ints[i] == row->neutral;
    return all || (type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT && attribute->i == row->neutral);
}

octet_status octet_attribute_neutral(const octet_reader *reader, const octet_op *op,
                                     const Onnx__AttributeProto *attribute, octet_error *err)
{
    int type;
    for (size_t i = 0; i < sizeof neutral_rows / sizeof *neutral_rows; i++) {
        if (!is_row(&neutral_rows[i], reader, op, attribute)) continue;
        OCTET_TRY(octet_attribute_type(&type, attribute, err));
        if (is_neutral(&neutral_rows[i], type, attribute)) return OCTET_OK;
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, attribute->name, "%s with this attribute is not supported",
                                op->name);
    }
    return octet_fail_field(err, OCTET_ERR_FORMAT, attribute->name, "not an attribute of %s", op->name);
}
