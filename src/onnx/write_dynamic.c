/* SPDX-License-Identifier: Apache-2.0 */
/* A layer whose input becomes levels when it runs, in ONNX's operators:

     x -> DynamicQuantizeLinear -> MatMulInteger | ConvInteger -> Cast -> Mul(x's scale * w's scale) [-> Add(bias)]

   A transposed weight is a Transpose of the initializer. What these operators cannot say (a range for each row, 7 bits,
   recurrent states) is written as the float operator of dequantized weights, with metadata that says it. */
#include "onnx/dynamic.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/tensor_proto.h"
#include "onnx/write.h"
#include "ops/attrs.h"
#include "ops/mode.h"

#include <string.h>

bool octet_write_is_dynamic(const octet_writer *writer, const octet_node *node)
{
    return node->dynamic == OCTET_DYNAMIC_TENSOR && node->op->quant == OCTET_QUANT_MAC &&
           octet_node_is_dynamic(writer->graph, node);
}

static bool is_op(const octet_node *node, const char *op) { return !strcmp(node->op->name, op); }

static octet_status value_name(const char **name, octet_writer *writer, const char *near, const char *ending)
{
    const char *text = octet_arena_format(writer->arena, "%s%s", near, ending);
    return text ? octet_write_name(name, writer, writer->value_names, text) : octet_fail_memory(writer->err);
}

/* A node called as its one output is. */
static octet_status write(Onnx__NodeProto **node, octet_writer *writer, const char *op, const char *const *inputs,
                          int count, const char *output)
{
    return octet_write_node(node, writer, &(octet_write_spec){op, output, inputs, count, &output, 1});
}

/* Levels, scale and zero point of node's input. */
static octet_status write_input(const char **names, octet_writer *writer, const octet_value *x)
{
    static const char *const endings[3] = {"_quantized", "_dynamic_scale", "_dynamic_zp"};
    octet_written           *written = &writer->written[x->index];
    const char              *real;
    Onnx__NodeProto         *node;
    if (!written->dynamic[0]) {
        OCTET_TRY(octet_write_dequantize(&real, writer, x, NULL));
        for (int i = 0; i < 3; i++) OCTET_TRY(value_name(&written->dynamic[i], writer, x->name, endings[i]));
        OCTET_TRY(octet_write_node(&node, writer,
                                   &(octet_write_spec){"DynamicQuantizeLinear", written->dynamic[0], &real, 1,
                                                       written->dynamic, 3}));
    }
    memcpy(names, written->dynamic, sizeof written->dynamic);
    return OCTET_OK;
}

/* The bias as a constant of a shape that Add stretches along channels. */
static octet_status write_bias(const char **name, octet_writer *writer, const octet_node *node)
{
    const octet_value *const bias = node->inputs[2];
    octet_written *const     written = &writer->written[bias->index];
    octet_tensor             tensor = *bias->constant;
    if (!is_op(node, "Conv")) return octet_write_dequantize(name, writer, bias, NULL);
    *name = bias->name;
    if (written->initializer) OCTET_TRY(value_name(name, writer, bias->name, "_row"));
    written->initializer = true;
    tensor.rank = node->inputs[1]->rank - 1;
    for (int i = 1; i < tensor.rank; i++) tensor.dims[i] = 1;
    return octet_write_initializer(writer, *name, &tensor);
}

/* The weight's scale stretches along channels, too: for Conv [C, 1, 1]. */
static octet_status write_weight(const char **names, octet_writer *writer, const octet_node *node)
{
    const octet_value *const   w = node->inputs[1];
    octet_written *const       written = &writer->written[w->index];
    const octet_qparams *const q = w->constant->qparams;
    OCTET_TRY(octet_write_quantize(writer, w, w->name));
    names[0] = written->levels;
    names[1] = written->scale;
    names[2] = written->zero_point;
    if (is_op(node, "Conv") && q->count > 1) {
        octet_tensor scale = {.dtype = OCTET_F32, .rank = w->rank - 1, .dims = {q->count},
                              .data = (void *)(uintptr_t)q->scale};
        for (int i = 1; i < scale.rank; i++) scale.dims[i] = 1;
        OCTET_TRY(value_name(&names[1], writer, w->name, "_scale_channels"));
        return octet_write_initializer(writer, names[1], &scale);
    }
    if (!is_op(node, "Gemm") || !((const octet_gemm_attrs *)node->attrs)->trans_b) return OCTET_OK;
    const char      *turned;
    Onnx__NodeProto *transpose;
    OCTET_TRY(value_name(&turned, writer, w->name, "_transposed"));
    OCTET_TRY(write(&transpose, writer, "Transpose", names, 1, turned));
    names[0] = turned;
    return OCTET_OK;
}

octet_status octet_write_dynamic(Onnx__NodeProto **last, octet_writer *writer, const octet_node *node,
                                 const char *result)
{
    const octet_value *const y = node->outputs[0];
    const bool               conv = is_op(node, "Conv"), bias = node->input_count > 2 && node->inputs[2];
    const char              *x[3], *w[3], *b = NULL, *sums, *cast, *scale, *product = result;
    Onnx__NodeProto         *proto;
    OCTET_TRY(write_input(x, writer, node->inputs[0]));
    OCTET_TRY(write_weight(w, writer, node));
    if (bias) OCTET_TRY(write_bias(&b, writer, node));
    OCTET_TRY(value_name(&sums, writer, y->name, "_sums"));
    OCTET_TRY(value_name(&cast, writer, y->name, "_cast"));
    OCTET_TRY(value_name(&scale, writer, y->name, "_unit"));
    if (bias) OCTET_TRY(value_name(&product, writer, y->name, "_product"));
    /* Runtimes know one zero point for all of a ConvInteger's weights; ours are 0, which is what none means. */
    const int         count = conv && node->inputs[1]->constant->qparams->count > 1 ? 3 : 4;
    const char *const factors[4] = {x[0], w[0], x[2], w[2]}, *const units[2] = {x[1], w[1]};
    const char *const scaled[2] = {cast, scale}, *const summands[2] = {product, b};
    const char *const op = conv ? "ConvInteger" : "MatMulInteger";
    OCTET_TRY(octet_write_node(&proto, writer, &(octet_write_spec){op, node->name, factors, count, &sums, 1}));
    if (conv) OCTET_TRY(octet_write_attributes(writer, proto, node));
    OCTET_TRY(write(&proto, writer, "Cast", &sums, 1, cast));
    OCTET_TRY(octet_write_int(writer, proto, "to", octet_dtype_to_onnx(OCTET_F32)));
    OCTET_TRY(write(&proto, writer, "Mul", units, 2, scale));
    OCTET_TRY(write(last, writer, "Mul", scaled, 2, product));
    writer->quantized = true;
    return bias ? write(last, writer, "Add", summands, 2, result) : OCTET_OK;
}
