/* SPDX-License-Identifier: Apache-2.0 */
/* What ONNX Runtime's optimizer and quantizer write in their own domain, com.microsoft, as the operators of ONNX that
   it means. */
#include "onnx/onnx.pb-c.h"
#include "onnx/upgrade.h"
#include "ops/check.h"

#include <string.h>

enum {
    TYPE_FLOAT = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT,
    TYPE_FLOATS = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS,
    TYPE_INT = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT,
    TYPE_STRING = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING,
};

static octet_status take_float(float *value, octet_raw_node *raw, const char *name, octet_error *err)
{
    const Onnx__AttributeProto *at;
    OCTET_TRY(octet_raw_take(&at, raw, name, TYPE_FLOAT, err));
    if (at) *value = at->f;
    return OCTET_OK;
}

/* ---- fused activations ---- */

/* An activation as the attributes of a fused operator name it: its parameters, in their order. */
static const struct {
    const char *op, *parameters[2];
    bool        inputs; /* parameters are inputs, as Clip's bounds are */
} activations[] = {
    {"Relu", {NULL}, false},
    {"Tanh", {NULL}, false},
    {"Sigmoid", {NULL}, false},
    {"Elu", {"alpha"}, false},
    {"LeakyRelu", {"alpha"}, false},
    {"Clip", {"min", "max"}, true},
    {"HardSigmoid", {"alpha", "beta"}, false},
};
enum { ACTIVATIONS = sizeof activations / sizeof *activations };

/* name stands behind raw, with those parameters. */
static octet_status activate(octet_reader *reader, octet_raw_node *raw, const char *name, const float *parameters,
                             size_t count, octet_error *err)
{
    size_t at = 0;
    while (at < ACTIVATIONS && strcmp(activations[at].op, name) != 0) at++;
    if (at == ACTIVATIONS)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "activation", "%.40s is not supported", name);
    octet_raw_node node;
    OCTET_TRY(octet_raw_behind(&node, reader, raw, activations[at].op, err));
    for (size_t i = 0; i < 2 && i < count && activations[at].parameters[i]; i++) {
        float              value = parameters[i];
        const octet_tensor tensor = {.dtype = OCTET_F32, .data = &value};
        const char *const  word = activations[at].parameters[i];
        OCTET_TRY(activations[at].inputs ? octet_raw_give_tensor(reader, &node, 1 + (int)i, word, &tensor, err)
                                         : octet_raw_give_float(reader, &node, word, value, err));
    }
    return octet_read_emit(NULL, reader, &node, err);
}

static octet_status take_activation(const char **name, octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    const Onnx__AttributeProto *at;
    OCTET_TRY(octet_raw_take(&at, raw, "activation", TYPE_STRING, err));
    *name = NULL;
    if (!at || at->s.len == 0) return OCTET_OK;
    *name = octet_arena_format(reader->arena, "%.*s", (int)(at->s.len < 64 ? at->s.len : 64), (const char *)at->s.data);
    return *name ? OCTET_OK : octet_fail_memory(err);
}

/* X, W, B, Z: Conv, then what is added, then the activation. Nodes are made from the last to the first. */
static octet_status fused_conv(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    const Onnx__AttributeProto *parameters;
    const char                 *name;
    octet_value                *added = octet_raw_input(raw, 3);
    OCTET_TRY(take_activation(&name, reader, raw, err));
    OCTET_TRY(octet_raw_take(&parameters, raw, "activation_params", TYPE_FLOATS, err));
    if (name)
        OCTET_TRY(activate(reader, raw, name, parameters ? parameters->floats : NULL,
                           parameters ? parameters->n_floats : 0, err));
    if (added) {
        octet_raw_node sum;
        OCTET_TRY(octet_raw_behind(&sum, reader, raw, "Add", err));
        octet_raw_set_input(&sum, 1, added);
        OCTET_TRY(octet_read_emit(NULL, reader, &sum, err));
        raw->input_count = 3;
    }
    raw->op = "Conv";
    return OCTET_OK;
}

static octet_status fused_gemm(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    static const char *const names[] = {"activation_alpha", "activation_beta", "activation_gamma"};
    const char              *name;
    float                    values[3];
    size_t                   count = 0;
    OCTET_TRY(take_activation(&name, reader, raw, err));
    for (size_t i = 0; i < 3; i++) {
        const Onnx__AttributeProto *at;
        OCTET_TRY(octet_raw_take(&at, raw, names[i], TYPE_FLOAT, err));
        if (at) values[count++] = at->f;
    }
    if (name) OCTET_TRY(activate(reader, raw, name, values, count, err));
    raw->op = "Gemm";
    return OCTET_OK;
}

static octet_status take_flag(bool *on, octet_raw_node *raw, const char *name, octet_error *err)
{
    const Onnx__AttributeProto *at;
    OCTET_TRY(octet_raw_take(&at, raw, name, TYPE_INT, err));
    *on = at && at->i;
    return OCTET_OK;
}

/* alpha * (A x B). Each operand may have its last two dimensions turned, and its rows in front of all others
   (transBatch); how many there are nobody knows yet. */
static octet_status fused_matmul(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    static const char *const flags[] = {"transA", "transB", "transBatchA", "transBatchB"};
    static const char *const a[] = {"...mk", "...km", "m...k", "k...m"};
    static const char *const b[] = {"...kn", "...nk", "k...n", "n...k"};
    float                    alpha = 1;
    bool                     on[4];
    OCTET_TRY(take_float(&alpha, raw, "alpha", err));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) OCTET_TRY(take_flag(&on[i], raw, flags[i], err));
    const bool turned = on[0] || on[1] || on[2] || on[3];
    raw->op = turned ? "Einsum" : "MatMul";
    if (turned) {
        const char *const equation =
            octet_arena_format(reader->arena, "%s,%s->...mn", a[on[0] + 2 * on[2]], b[on[1] + 2 * on[3]]);
        if (!equation) return octet_fail_memory(err);
        OCTET_TRY(octet_raw_give_string(reader, raw, "equation", equation, err));
    }
    if (alpha == 1) return OCTET_OK;
    octet_raw_node     scaled;
    const octet_tensor factor = {.dtype = OCTET_F32, .data = &alpha};
    OCTET_TRY(octet_raw_behind(&scaled, reader, raw, "Mul", err));
    OCTET_TRY(octet_raw_give_tensor(reader, &scaled, 1, "alpha", &factor, err));
    return octet_read_emit(NULL, reader, &scaled, err);
}

/* ---- transformers' functions ---- */

/* raw's input slot is added to its first, and taken away. */
static octet_status add_input(octet_reader *reader, octet_raw_node *raw, int slot, octet_error *err)
{
    octet_value *const added = octet_raw_input(raw, slot);
    octet_value       *sum;
    if (!added) return OCTET_OK;
    OCTET_TRY(octet_raw_in_front(&sum, reader, raw, "Add", (octet_value *const[3]){raw->inputs[0], added, NULL}, err));
    raw->inputs[0] = sum;
    raw->inputs[slot] = NULL;
    return OCTET_OK;
}

/* Gelu, BiasGelu: X and, added to it, B. */
static octet_status gelu(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    OCTET_TRY(octet_raw_need(raw, 1, err));
    OCTET_TRY(add_input(reader, raw, 1, err));
    raw->op = "Gelu";
    return OCTET_OK;
}

static octet_status fast_gelu(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    OCTET_TRY(gelu(reader, raw, err));
    return octet_raw_give_string(reader, raw, "approximate", "tanh", err);
}

/* x * sigmoid(alpha * x) */
static octet_status quick_gelu(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    float alpha = 1.702f;
    OCTET_TRY(take_float(&alpha, raw, "alpha", err));
    raw->op = "Swish";
    return octet_raw_give_float(reader, raw, "alpha", alpha, err);
}

/* input, skip, then gamma, beta and bias (or gamma and bias): the three are summed, the sum is normalized, and it is
   the fourth output. */
static octet_status skip_norm(octet_reader *reader, octet_raw_node *raw, const char *op, int bias, octet_error *err)
{
    OCTET_TRY(octet_raw_need(raw, 3, err));
    OCTET_TRY(add_input(reader, raw, bias, err));
    OCTET_TRY(add_input(reader, raw, 1, err));
    if (raw->output_count > 3 && raw->outputs[3]) {
        octet_raw_node copy;
        OCTET_TRY(octet_raw_new(&copy, reader, raw, "Identity", err));
        octet_raw_set_input(&copy, 0, raw->inputs[0]);
        copy.outputs[0] = raw->outputs[3];
        copy.output_count = 1;
        OCTET_TRY(octet_read_emit(NULL, reader, &copy, err));
        raw->outputs[3] = NULL;
    }
    for (int i = 1; i + 1 < raw->input_count; i++) raw->inputs[i] = raw->inputs[i + 1];
    raw->inputs[--raw->input_count] = NULL;
    raw->op = op;
    return OCTET_OK;
}

static octet_status skip_layer_norm(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    float epsilon = 1e-12f;
    OCTET_TRY(take_float(&epsilon, raw, "epsilon", err));
    OCTET_TRY(skip_norm(reader, raw, "LayerNormalization", 4, err));
    return octet_raw_give_float(reader, raw, "epsilon", epsilon, err);
}

static octet_status skip_rms_norm(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    float epsilon = 1e-12f;
    OCTET_TRY(take_float(&epsilon, raw, "epsilon", err));
    OCTET_TRY(skip_norm(reader, raw, "RMSNormalization", 3, err));
    return octet_raw_give_float(reader, raw, "epsilon", epsilon, err);
}

static const struct {
    const char            *op;
    octet_upgrade_function apply;
} rows[] = {
    {"BiasGelu", gelu},
    {"DynamicQuantizeMatMul", octet_microsoft_dynamic_product},
    {"FastGelu", fast_gelu},
    {"FusedConv", fused_conv},
    {"FusedGemm", fused_gemm},
    {"FusedMatMul", fused_matmul},
    {"Gelu", gelu},
    {"MatMulIntegerToFloat", octet_microsoft_integer_product},
    {"MatMulNBits", octet_microsoft_narrow_product},
    {"QuickGelu", quick_gelu},
    {"SkipLayerNormalization", skip_layer_norm},
    {"SkipSimplifiedLayerNormalization", skip_rms_norm},
};

octet_status octet_upgrade_microsoft(octet_reader *reader, octet_raw_node *raw, octet_error *err)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].op, raw->op) != 0) continue;
        raw->domain = NULL;
        return rows[i].apply(reader, raw, err);
    }
    return OCTET_OK;
}
