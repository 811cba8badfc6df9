/* SPDX-License-Identifier: Apache-2.0 */
/* Operators on levels (QLinearConv, ...) mean: dequantize, compute, quantize. They are read as exactly that, and the
   pairs collapse with all others. */
#include "onnx/onnx.pb-c.h"
#include "onnx/upgrade.h"
#include "ops/check.h"

#include <string.h>

typedef struct layout {
    const char *op, *plain;
    int         data[2]; /* slots of the operands, each followed by scale and zero point; -1: none */
    int         bias;    /* slot of an int32 bias in units of both scales; -1: none */
    int         result;  /* slot of the result's scale */
} layout;

static const layout layouts[] = {
    {"QGemm", "Gemm", {0, 3}, 6, 7},
    {"QLinearAdd", "Add", {0, 3}, -1, 6},
    {"QLinearAveragePool", "AveragePool", {0, -1}, -1, 3},
    {"QLinearConcat", "Concat", {-1, -1}, -1, 0},
    {"QLinearConv", "Conv", {0, 3}, 8, 6},
    {"QLinearGlobalAveragePool", "GlobalAveragePool", {0, -1}, -1, 3},
    {"QLinearLeakyRelu", "LeakyRelu", {0, -1}, -1, 3},
    {"QLinearMatMul", "MatMul", {0, 3}, -1, 6},
    {"QLinearMul", "Mul", {0, 3}, -1, 6},
    {"QLinearSigmoid", "Sigmoid", {0, -1}, -1, 3},
    {"QLinearSoftmax", "Softmax", {0, -1}, -1, 3},
};

static octet_value *operand(const octet_raw_node *raw, int slot)
{
    return slot >= 0 && slot < raw->input_count ? raw->inputs[slot] : NULL;
}

/* The axis along which a weight's scales lie. */
static octet_status weight_axis(int64_t *axis, const octet_raw_node *raw, const octet_value *weight, octet_error *err)
{
    *axis = 0;
    if (strcmp(raw->op, "QLinearConv") == 0) return OCTET_OK;
    for (size_t i = 0; i < raw->attribute_count; i++)
        if (raw->attributes[i]->name && strcmp(raw->attributes[i]->name, "transB") == 0 && raw->attributes[i]->i)
            return OCTET_OK;
    if (!weight->constant || weight->rank < 1)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "a scale for each channel of what is no constant");
    *axis = weight->rank - 1;
    return OCTET_OK;
}

/* A DequantizeLinear of inputs; *result is its output. */
static octet_status dequantize(octet_value **result, octet_reader *reader, const octet_raw_node *raw,
                               octet_value *const inputs[3], int64_t axis, octet_error *err)
{
    octet_raw_node node;
    const char    *name = octet_arena_format(reader->arena, "%s_dq", inputs[0]->name);
    if (!name) return octet_fail_memory(err);
    OCTET_TRY(octet_raw_new(&node, reader, raw, "DequantizeLinear", err));
    for (int i = 0; i < 3; i++)
        if (inputs[i]) octet_raw_set_input(&node, i, inputs[i]);
    OCTET_TRY(octet_value_new_near(&node.outputs[0], reader->graph, name, err));
    node.output_count = 1;
    OCTET_TRY(octet_raw_give_int(reader, &node, "axis", axis, err));
    *result = node.outputs[0];
    return octet_read_emit(NULL, reader, &node, err);
}

static octet_status dequantize_operand(octet_value **result, octet_reader *reader, const octet_raw_node *raw, int slot,
                                       octet_error *err)
{
    octet_value *inputs[3] = {operand(raw, slot), operand(raw, slot + 1), operand(raw, slot + 2)};
    int64_t      axis = 0;
    if (!inputs[0] || !inputs[1]) return octet_fail(err, OCTET_ERR_FORMAT, "%s: input %d is required", raw->op, slot);
    const octet_tensor *scale = inputs[1]->constant;
    if (scale && octet_tensor_count(scale) > 1) OCTET_TRY(weight_axis(&axis, raw, inputs[0], err));
    return dequantize(result, reader, raw, inputs, axis, err);
}

/* The bias is in units of input scale times weight scale. */
static octet_status dequantize_bias(octet_value **result, octet_reader *reader, octet_raw_node *raw, const layout *at,
                                    octet_error *err)
{
    octet_value        *bias = operand(raw, at->bias);
    const octet_tensor *x = operand(raw, at->data[0] + 1)->constant, *w = operand(raw, at->data[1] + 1)->constant;
    *result = NULL;
    if (!bias) return OCTET_OK;
    if (!x || !w || x->dtype != OCTET_F32 || w->dtype != OCTET_F32 || octet_tensor_count(x) != 1)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "scale", "need constant f32 scales, one for the input");
    octet_tensor scale = *w;
    float       *sums;
    OCTET_TRY(octet_arena_get(&sums, reader->graph->arena, (size_t)octet_tensor_count(w), sizeof *sums, err));
    for (int64_t i = 0; i < octet_tensor_count(w); i++) sums[i] = *(const float *)x->data * ((const float *)w->data)[i];
    scale.data = sums;
    octet_raw_node holder;
    OCTET_TRY(octet_raw_new(&holder, reader, raw, "DequantizeLinear", err));
    OCTET_TRY(octet_raw_give_tensor(reader, &holder, 1, "bias_scale", &scale, err));
    octet_value *inputs[3] = {bias, holder.inputs[1], NULL};
    return dequantize(result, reader, raw, inputs, 0, err);
}

/* The result gets a name of its own; a QuantizeLinear makes the levels of it that raw made. */
static octet_status quantize_result(octet_reader *reader, octet_raw_node *raw, const layout *at, octet_error *err)
{
    octet_raw_node node;
    octet_value   *scale = operand(raw, at->result), *zero = operand(raw, at->result + 1), *real;
    if (raw->output_count < 1 || !raw->outputs[0]) return octet_fail(err, OCTET_ERR_FORMAT, "has no output");
    if (!scale) {
        if (strcmp(raw->op, "QGemm") == 0) return OCTET_OK; /* its result may stay real */
        return octet_fail_field(err, OCTET_ERR_FORMAT, "scale", "the result has none");
    }
    const char *name = octet_arena_format(reader->arena, "%s_real", raw->outputs[0]->name);
    if (!name) return octet_fail_memory(err);
    OCTET_TRY(octet_value_new_near(&real, reader->graph, name, err));
    OCTET_TRY(octet_raw_new(&node, reader, raw, "QuantizeLinear", err));
    octet_raw_set_input(&node, 0, real);
    octet_raw_set_input(&node, 1, scale);
    if (zero) octet_raw_set_input(&node, 2, zero);
    node.outputs[0] = raw->outputs[0];
    node.output_count = 1;
    raw->outputs[0] = real;
    return octet_read_emit(NULL, reader, &node, err);
}

/* Attributes that only say how the operator on levels is meant. */
static octet_status take_attributes(octet_raw_node *raw, octet_error *err)
{
    const int                   type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
    const Onnx__AttributeProto *channels_last, *opset;
    OCTET_TRY(octet_raw_take(&channels_last, raw, "channels_last", type, err));
    if (channels_last && channels_last->i)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "channels_last", "only 0 is supported");
    return octet_raw_take(&opset, raw, "opset", type, err); /* of the file, as for any Softmax */
}

/* The real operands of raw, in the plain operator's order. QLinearConcat has the result's parameters first, then any
   number of operands. */
static octet_status dequantize_all(octet_value **plain, octet_reader *reader, octet_raw_node *raw, const layout *at,
                                   octet_error *err)
{
    const bool concat = at->result == 0;
    for (int i = 0; concat && 2 + 3 * i < raw->input_count; i++)
        OCTET_TRY(dequantize_operand(&plain[i], reader, raw, 2 + 3 * i, err));
    for (int i = 0; i < 2; i++)
        if (at->data[i] >= 0) OCTET_TRY(dequantize_operand(&plain[i], reader, raw, at->data[i], err));
    return at->bias >= 0 ? dequantize_bias(&plain[2], reader, raw, at, err) : OCTET_OK;
}

octet_status octet_upgrade_qlinear(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    const layout *at = layouts;
    octet_value **plain;
    const int     count = raw->input_count;
    while (strcmp(at->op, raw->op) != 0) at++;
    OCTET_TRY(octet_arena_get(&plain, reader->arena, (size_t)count + 3, sizeof *plain, err));
    OCTET_TRY(take_attributes(raw, err));
    OCTET_TRY(dequantize_all(plain, reader, raw, at, err));
    OCTET_TRY(quantize_result(reader, raw, at, err));
    memset(raw->inputs, 0, (size_t)count * sizeof *raw->inputs);
    raw->input_count = 0;
    for (int i = 0; i < 3 + count / 3; i++)
        if (plain[i]) octet_raw_set_input(raw, i, plain[i]);
    raw->op = at->plain;
    raw->domain = NULL;
    return OCTET_OK;
}
