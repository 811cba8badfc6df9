/* SPDX-License-Identifier: Apache-2.0 */
/* The table of upgrades. Most are of one kind: an attribute of old became an input. */
#include "onnx/onnx.pb-c.h"
#include "onnx/upgrade.h"

#include "ops/check.h"

#include <float.h>
#include <string.h>

enum {
    TYPE_FLOAT = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT,
    TYPE_INT = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT,
    TYPE_FLOATS = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS,
    TYPE_INTS = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS,
};

static octet_status missing(const char *field, octet_error *err)
{
    return octet_fail_field(err, OCTET_ERR_FORMAT, field, "required attribute is missing");
}

/* Attribute name, a list of integers, becomes input slot. */
static octet_status ints_to_input(octet_reader *reader, octet_raw_node *raw, const char *name, int slot, bool required,
                                  octet_error *err)
{
    const Onnx__AttributeProto *at;
    OCTET_TRY(octet_raw_take(&at, raw, name, TYPE_INTS, err));
    if (!at) return required ? missing(name, err) : OCTET_OK;
    const octet_tensor tensor = {.dtype = OCTET_I64, .rank = 1, .dims = {(int64_t)at->n_ints}, .data = at->ints};
    int64_t            none = 0;
    octet_tensor       filled = tensor;
    if (!filled.data) filled.data = &none;
    return octet_raw_give_tensor(reader, raw, slot, name, &filled, err);
}

/* Attribute name, a number, becomes input slot unless it is neutral, which is what leaving the input out means. */
static octet_status float_to_input(octet_reader *reader, octet_raw_node *raw, const char *name, int slot, float neutral,
                                   octet_error *err)
{
    const Onnx__AttributeProto *at;
    OCTET_TRY(octet_raw_take(&at, raw, name, TYPE_FLOAT, err));
    if (!at || at->f == neutral) return OCTET_OK;
    float              value = at->f;
    const octet_tensor tensor = {.dtype = OCTET_F32, .data = &value};
    return octet_raw_give_tensor(reader, raw, slot, name, &tensor, err);
}

static octet_status clip(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    OCTET_TRY(float_to_input(reader, raw, "min", 1, -FLT_MAX, err));
    return float_to_input(reader, raw, "max", 2, FLT_MAX, err);
}

static octet_status slice(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    OCTET_TRY(ints_to_input(reader, raw, "starts", 1, true, err));
    OCTET_TRY(ints_to_input(reader, raw, "ends", 2, true, err));
    return ints_to_input(reader, raw, "axes", 3, false, err);
}

/* Opset 1 called them paddings. */
static octet_status pad(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    OCTET_TRY(ints_to_input(reader, raw, reader->opset < 2 ? "paddings" : "pads", 1, true, err));
    return float_to_input(reader, raw, "value", 2, 0.0f, err);
}

static octet_status optional_axes(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    return ints_to_input(reader, raw, "axes", 1, false, err);
}

static octet_status required_axes(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    return ints_to_input(reader, raw, "axes", 1, true, err);
}

static octet_status reshape(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    return ints_to_input(reader, raw, "shape", 1, true, err);
}

/* Opset 1 named the type. */
static octet_status cast_by_name(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    static const char *const names[] = {[1] = "FLOAT",   [2] = "UINT8",   [3] = "INT8",    [4] = "UINT16",
                                        [5] = "INT16",   [6] = "INT32",   [7] = "INT64",   [8] = "STRING",
                                        [9] = "BOOL",    [10] = "FLOAT16", [11] = "DOUBLE", [12] = "UINT32",
                                        [13] = "UINT64"};
    const Onnx__AttributeProto *to;
    OCTET_TRY(octet_raw_take(&to, raw, "to", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING, err));
    if (!to) return missing("to", err);
    for (int i = 1; i < (int)(sizeof names / sizeof *names); i++)
        if (to->s.len == strlen(names[i]) && memcmp(to->s.data, names[i], to->s.len) == 0)
            return octet_raw_give_int(reader, raw, "to", i, err);
    return octet_fail_field(err, OCTET_ERR_FORMAT, "to", "'%.*s' is not a type", (int)(to->s.len & 63), to->s.data);
}

/* Until 7 a list of slopes stood for the channels, now for the last dimension. */
static octet_status prelu(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    (void)reader;
    const octet_value *const slope = raw->input_count > 1 ? raw->inputs[1] : NULL;
    if (!slope || (slope->constant && octet_tensor_count(slope->constant) == 1)) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "slope", "a slope for each channel, as before opset 7");
}

/* Opset 1 repeated one axis, named by an input, as often as another input says. */
static octet_status tile(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    (void)reader;
    if (raw->input_count != 3) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_UNSUPPORTED, "Tile of one axis (opset 1) is not supported");
}

static octet_status split(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    return ints_to_input(reader, raw, "split", 1, false, err);
}

static octet_status top_k(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    const Onnx__AttributeProto *at;
    OCTET_TRY(octet_raw_take(&at, raw, "k", TYPE_INT, err));
    if (!at) return missing("k", err);
    int64_t            k = at->i;
    const octet_tensor tensor = {.dtype = OCTET_I64, .rank = 1, .dims = {1}, .data = &k};
    return octet_raw_give_tensor(reader, raw, 1, "k", &tensor, err);
}

static octet_status dft_axis(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    const Onnx__AttributeProto *at;
    OCTET_TRY(octet_raw_take(&at, raw, "axis", TYPE_INT, err));
    int64_t            axis = at ? at->i : 1;
    const octet_tensor tensor = {.dtype = OCTET_I64, .data = &axis};
    return octet_raw_give_tensor(reader, raw, 2, "axis", &tensor, err);
}

static octet_status upsample_scales(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    const Onnx__AttributeProto *at;
    OCTET_TRY(octet_raw_take(&at, raw, "scales", TYPE_FLOATS, err));
    if (!at || at->n_floats == 0) return missing("scales", err);
    const octet_tensor tensor = {.dtype = OCTET_F32, .rank = 1, .dims = {(int64_t)at->n_floats}, .data = at->floats};
    return octet_raw_give_tensor(reader, raw, 1, "scales", &tensor, err);
}

/* Octet's own has a bias; ONNX knows none. */
static octet_status no_bias(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    (void)reader;
    if (raw->input_count < 3) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_FORMAT, "got %d inputs, need 2", raw->input_count);
}

static octet_status upsample(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    (void)reader, (void)err;
    raw->op = "Resize";
    return OCTET_OK;
}

/* Resize-10 and Upsample: (X, scales), and the coordinates that later opsets call asymmetric. */
static octet_status resize_asymmetric(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    if (raw->input_count != 2) return octet_fail(err, OCTET_ERR_FORMAT, "got %d inputs, need 2", raw->input_count);
    octet_value *scales = raw->inputs[1];
    octet_raw_set_input(raw, 1, NULL);
    octet_raw_set_input(raw, 2, scales);
    OCTET_TRY(octet_raw_give_string(reader, raw, "coordinate_transformation_mode", "asymmetric", err));
    return octet_raw_give_string(reader, raw, "nearest_mode", "floor", err);
}

/* Opset 11 wrote "not given" as an empty tensor. */
static octet_status resize_empty(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    (void)reader, (void)err;
    for (int slot = 1; slot < raw->input_count && slot < 4; slot++) {
        const octet_value *value = raw->inputs[slot];
        if (value && value->constant && octet_tensor_count(value->constant) == 0) raw->inputs[slot] = NULL;
    }
    return OCTET_OK;
}

static octet_status roi_align(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    return octet_raw_give_string(reader, raw, "coordinate_transformation_mode", "output_half_pixel", err);
}

static octet_status dropout(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    (void)reader;
    const Onnx__AttributeProto *ratio;
    return octet_raw_take(&ratio, raw, "ratio", TYPE_FLOAT, err); /* means nothing when not training */
}

static octet_status batch_norm_spatial(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    (void)reader;
    const Onnx__AttributeProto *spatial;
    OCTET_TRY(octet_raw_take(&spatial, raw, "spatial", TYPE_INT, err));
    if (!spatial || spatial->i == 1) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "spatial", "only 1 is supported, not %lld",
                            (long long)spatial->i);
}

/* Unless told otherwise, it trained below opset 7. */
static octet_status batch_norm_test(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    (void)reader;
    const Onnx__AttributeProto *test;
    OCTET_TRY(octet_raw_take(&test, raw, "is_test", TYPE_INT, err));
    if (test && test->i) return OCTET_OK;
    return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "is_test",
                            "got 0, need 1: below opset 7 BatchNormalization is for training unless told otherwise");
}

/* Without an axis: the second dimension. */
static octet_status default_axis(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    for (size_t i = 0; i < raw->attribute_count; i++)
        if (raw->attributes[i]->name && strcmp(raw->attributes[i]->name, "axis") == 0) return OCTET_OK;
    return octet_raw_give_int(reader, raw, "axis", 1, err);
}

static octet_status scatter(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    (void)reader, (void)err;
    raw->op = "ScatterElements";
    return OCTET_OK;
}

/* ONNX Runtime writes these in its own domain too, with the same meaning. */
static octet_status default_domain(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    (void)reader, (void)err;
    raw->domain = NULL;
    return OCTET_OK;
}

enum { ALWAYS = 1 << 20 };

/* Applied from top to bottom, so that an upgrade may lead to another. */
const octet_upgrade_row octet_upgrade_rows[] = {
    {"BatchNormalization", 7, batch_norm_test},
    {"BatchNormalization", 9, batch_norm_spatial},
    {"Cast", 6, cast_by_name},
    {"Clip", 11, clip},
    {"Concat", 4, default_axis},
    {"DFT", 20, dft_axis},
    {"Dropout", 12, dropout},
    {"Hardmax", 13, default_axis},
    {"LogSoftmax", 13, default_axis},
    {"MatMul", ALWAYS, no_bias},
    {"PRelu", 7, prelu},
    {"Pad", 11, pad},
    {"QGemm", ALWAYS, octet_upgrade_qlinear},
    {"QLinearAdd", ALWAYS, octet_upgrade_qlinear},
    {"QLinearAveragePool", ALWAYS, octet_upgrade_qlinear},
    {"QLinearConcat", ALWAYS, octet_upgrade_qlinear},
    {"QLinearConv", ALWAYS, octet_upgrade_qlinear},
    {"QLinearGlobalAveragePool", ALWAYS, octet_upgrade_qlinear},
    {"QLinearLeakyRelu", ALWAYS, octet_upgrade_qlinear},
    {"QLinearMatMul", ALWAYS, octet_upgrade_qlinear},
    {"QLinearMul", ALWAYS, octet_upgrade_qlinear},
    {"QLinearSigmoid", ALWAYS, octet_upgrade_qlinear},
    {"QLinearSoftmax", ALWAYS, octet_upgrade_qlinear},
    {"DequantizeLinear", ALWAYS, default_domain},
    {"QuantizeLinear", ALWAYS, default_domain},
    {"ReduceL1", 18, optional_axes},
    {"ReduceL2", 18, optional_axes},
    {"ReduceLogSum", 18, optional_axes},
    {"ReduceLogSumExp", 18, optional_axes},
    {"ReduceMax", 18, optional_axes},
    {"ReduceMean", 18, optional_axes},
    {"ReduceMin", 18, optional_axes},
    {"ReduceProd", 18, optional_axes},
    {"ReduceSum", 13, optional_axes},
    {"ReduceSumSquare", 18, optional_axes},
    {"Reshape", 5, reshape},
    {"RoiAlign", 16, roi_align},
    {"Scatter", ALWAYS, scatter},
    {"Slice", 10, slice},
    {"Softmax", 13, default_axis},
    {"Split", 13, split},
    {"Squeeze", 13, optional_axes},
    {"Tile", 6, tile},
    {"TopK", 10, top_k},
    {"Unsqueeze", 13, required_axes},
    {"Upsample", 9, upsample_scales},
    {"Upsample", 10, upsample},
    {"Resize", 11, resize_asymmetric},
    {"Resize", ALWAYS, resize_empty},
    {NULL, 0, NULL},
};
