/* SPDX-License-Identifier: Apache-2.0 */
/* Named choices: qconfigs, targets, methods. */
#include "quantize/calibration.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sides that PyTorch's qconfigs are made of; WEIGHT ones are also per channel. Its default weight FakeQuantize is
   documented as memoryless, but averages like all others. */
#define TORCH_ACTIVATION .method = OCTET_METHOD_MOVING_AVERAGE, .formula = OCTET_FORMULA_TORCH, .qmax = 255
#define TORCH_SIGNED     .method = OCTET_METHOD_MOVING_AVERAGE, .formula = OCTET_FORMULA_TORCH, .dtype = OCTET_I8
#define TORCH_WEIGHT     TORCH_SIGNED, .qmin = -128, .qmax = 127, .symmetric = true
#define TORCH_NARROW     TORCH_SIGNED, .qmin = -127, .qmax = 127, .symmetric = true, .eps = 0x1p-12f
#define FUSED            .fake = OCTET_FAKE_FUSED
#define MINMAX_ACTIVATION .method = OCTET_METHOD_MINMAX, .formula = OCTET_FORMULA_TORCH, .qmax = 127
#define MINMAX_WEIGHT    .method = OCTET_METHOD_MINMAX, .formula = OCTET_FORMULA_TORCH, .qmin = -128, .qmax = 127, \
                         .symmetric = true
#define MINMAX_NARROW    .method = OCTET_METHOD_MINMAX, .formula = OCTET_FORMULA_TORCH, .qmin = -127, .qmax = 127, \
                         .symmetric = true, .eps = 0x1p-12f
#define HISTOGRAM        .method = OCTET_METHOD_HISTOGRAM, .formula = OCTET_FORMULA_TORCH
#define UNSEEN           .observing = OCTET_OBSERVE_NOTHING

/* Weights of embeddings: one scale and one real zero point per row. */
#define ROWS(highest)    .formula = OCTET_FORMULA_TORCH_FLOAT, .dtype = OCTET_U8, .qmax = highest, .per_channel = true

/* Activations whose parameters are made while the network runs: ChooseQuantizationParams of all 256 levels. */
#define DYNAMIC          .method = OCTET_METHOD_MINMAX, .formula = OCTET_FORMULA_TORCH, .qmax = 255, \
                         .dynamic = OCTET_DYNAMIC_TENSOR, UNSEEN
#define HALF             .dtype = OCTET_F16, UNSEEN

/* octet's weights beside real activations: the lowest level counts, too. */
#define WEIGHT_ALONE     .method = OCTET_METHOD_MSE, .symmetric = true, .per_channel = true, .dtype = OCTET_I8, \
                         .qmin = -128, .qmax = 127

/* Both versions of PyTorch's qconfig of one backend. */
#define TORCH_QAT(backend, reduces, channels)                                                    \
    { .name       = backend "_qat",                                                              \
      .activation = { TORCH_ACTIVATION, .reduce_range = reduces },                               \
      .weight     = { TORCH_WEIGHT, .per_channel = channels } },                                 \
    { .name       = backend "_qat_v1",                                                           \
      .activation = { TORCH_ACTIVATION, .reduce_range = reduces, FUSED },                        \
      .weight     = { TORCH_WEIGHT, .per_channel = channels, FUSED } }

static const octet_qconfig qconfigs[] = {
    { .name = "octet", .weight = { .method = OCTET_METHOD_MINMAX, .symmetric = true, .per_channel = true } },
    /* default_qconfig: MinMaxObserver(0..127), default_weight_observer; default_per_channel_qconfig */
    { .name = "default", .activation = { MINMAX_ACTIVATION }, .weight = { MINMAX_WEIGHT } },
    { .name       = "per_channel",
      .activation = { MINMAX_ACTIVATION },
      .weight     = { MINMAX_WEIGHT, .per_channel = true } },

    /* get_default_qconfig of a backend */
    { .name       = "fbgemm",
      .activation = { HISTOGRAM, .reduce_range = true },
      .weight     = { MINMAX_WEIGHT, .per_channel = true } },
    { .name       = "x86",
      .activation = { HISTOGRAM, .reduce_range = true },
      .weight     = { MINMAX_WEIGHT, .per_channel = true } },
    { .name = "qnnpack", .activation = { HISTOGRAM }, .weight = { MINMAX_WEIGHT } },
    { .name = "onednn", .activation = { HISTOGRAM }, .weight = { MINMAX_WEIGHT, .per_channel = true } },

    /* default_*_qconfig; activations of the symmetric ones are affine in spite of the name */
    { .name       = "symmetric_qnnpack",
      .activation = { HISTOGRAM, .dtype = OCTET_I8, .eps = 0x1p-12f },
      .weight     = { MINMAX_NARROW } },
    { .name       = "per_channel_symmetric_qnnpack",
      .activation = { HISTOGRAM, .dtype = OCTET_I8, .eps = 0x1p-12f },
      .weight     = { MINMAX_NARROW, .per_channel = true } },
    { .name       = "default_debug",
      .activation = { MINMAX_ACTIVATION, .observing = OCTET_OBSERVE_RECORD },
      .weight     = { MINMAX_WEIGHT } },
    { .name       = "default_reuse_input",
      .activation = { .observing = OCTET_OBSERVE_INPUT },
      .weight     = { UNSEEN, .off = true } },

    /* dynamic, and embeddings */
    { .name = "default_dynamic", .activation = { DYNAMIC }, .weight = { MINMAX_WEIGHT } },
    { .name = "per_channel_dynamic", .activation = { DYNAMIC }, .weight = { MINMAX_WEIGHT, .per_channel = true } },
    { .name = "float16_dynamic", .activation = { HALF, .dynamic = OCTET_DYNAMIC_TENSOR }, .weight = { HALF } },
    { .name = "float16_static", .activation = { HALF }, .weight = { HALF } },
    { .name       = "float_qparams_weight_only",
      .activation = { UNSEEN, .off = true },
      .weight     = { .method = OCTET_METHOD_MINMAX, ROWS(255) } },
    { .name       = "float_qparams_weight_only_4bit",
      .activation = { UNSEEN, .off = true },
      .weight     = { .method = OCTET_METHOD_MINMAX, ROWS(15) } },
    { .name       = "default_dynamic_qat",
      .activation = { TORCH_ACTIVATION, .averaging = 1, .dynamic = OCTET_DYNAMIC_TENSOR },
      .weight     = { TORCH_WEIGHT } },
    { .name       = "default_embedding_qat",
      .activation = { UNSEEN, .off = true },
      .weight     = { .method = OCTET_METHOD_MOVING_AVERAGE, .averaging = 1, ROWS(255) } },
    { .name       = "default_embedding_qat_4bit",
      .activation = { UNSEEN, .off = true },
      .weight     = { .method = OCTET_METHOD_MOVING_AVERAGE, .averaging = 1, ROWS(15) } },

    { .name       = "octet_dynamic",
      .activation = { .dynamic = OCTET_DYNAMIC_TENSOR },
      .weight     = { .method = OCTET_METHOD_MINMAX, .symmetric = true, .per_channel = true } },
    { .name       = "octet_per_token",
      .activation = { .dynamic = OCTET_DYNAMIC_ROW },
      .weight     = { .method = OCTET_METHOD_MINMAX, .symmetric = true, .per_channel = true } },
    { .name       = "octet_weight_only",
      .activation = { .off = true },
      .weight     = { WEIGHT_ALONE } },

    /* octet's own for training: weights' ranges are those of the moment */
    { .name   = "octet_qat",
      .weight = { .method = OCTET_METHOD_MINMAX, .symmetric = true, .per_channel = true, .averaging = 1 } },
    { .name       = "octet_lsq",
      .activation = { .fake = OCTET_FAKE_LEARNED },
      .weight     = { .method = OCTET_METHOD_MINMAX, .symmetric = true, .per_channel = true, .averaging = 1,
                      .fake = OCTET_FAKE_LEARNED } },

    /* for training */
    { .name       = "default_qat",
      .activation = { TORCH_ACTIVATION, .reduce_range = true },
      .weight     = { TORCH_WEIGHT } },
    { .name = "default_qat_v2", .activation = { TORCH_ACTIVATION, FUSED }, .weight = { TORCH_WEIGHT, FUSED } },
    { .name = "default_weight_only", .activation = { .off = true }, .weight = { TORCH_WEIGHT } },
    { .name       = "default_activation_only",
      .activation = { TORCH_ACTIVATION, .reduce_range = true },
      .weight     = { .off = true } },
    { .name       = "symmetric_qnnpack_qat",
      .activation = { TORCH_SIGNED, .qmin = -128, .qmax = 127, .eps = 0x1p-12f, FUSED },
      .weight     = { TORCH_NARROW, FUSED } },
    { .name       = "per_channel_symmetric_qnnpack_qat",
      .activation = { TORCH_SIGNED, .qmin = -128, .qmax = 127, .eps = 0x1p-12f, FUSED },
      .weight     = { TORCH_NARROW, .per_channel = true, FUSED } },
    TORCH_QAT("fbgemm", true, true),
    TORCH_QAT("x86", true, true),
    TORCH_QAT("qnnpack", false, false),
    TORCH_QAT("onednn", false, true),
};

static const octet_target targets[] = {
    { .name = "native" },
    { .name = "portable", .quantize_every_value = true },
    /* ONNX Runtime's CPU provider computes a Conv, an Add, ... in integers only where QuantizeLinear follows: also at
       the network's end, and between a Conv and its residual Add. */
    { .name = "onnxruntime", .quantize_every_value = true, .convs_give_levels = true },
    /* OpenVINO wants levels where products are summed and leaves results real, as native does: it fuses the residual
       Add into the Conv, which a quantizer between them would prevent. */
    { .name = "openvino" },
    /* TensorRT knows s8 with zero point 0 alone, and biases that are real. It fuses as OpenVINO does. */
    { .name = "tensorrt", .symmetric = true, .files_real_bias = true, .bytes_only = true },
    { .name = "torch-1.13", .quantize_every_value = true, .quantize_outputs = true, .quantize_sums = true,
      .pools_share = true, .concat_joins = true, .observe_before_activation = true, .share_by_weight = true,
      .truncating_histogram = true, .bytes_only = true, .real_bias = true, .profile = "torch-qnnpack" },
};

enum { QCONFIGS = sizeof qconfigs / sizeof *qconfigs, TARGETS = sizeof targets / sizeof *targets };

static const octet_qconfig *find_row(const char *name)
{
    for (size_t i = 0; i < QCONFIGS; i++)
        if (!strcmp(qconfigs[i].name, name)) return &qconfigs[i];
    return NULL;
}

const octet_qconfig *octet_qconfig_find(const char *name)
{
    static const char  whole[] = "_qconfig", start[] = "default_";
    char               text[64];
    const char *const  at = name ? strstr(name, whole) : NULL;
    if (!name || strlen(name) >= sizeof text) return NULL;
    if (!at) return find_row(name);
    snprintf(text, sizeof text, "%.*s%s", (int)(at - name), name, at + sizeof whole - 1);
    const octet_qconfig *const row = find_row(text);
    return row || strncmp(text, start, sizeof start - 1) ? row : find_row(text + sizeof start - 1);
}

const char *octet_qconfig_name(size_t index) { return index < QCONFIGS ? qconfigs[index].name : NULL; }
const char *octet_target_name(size_t index) { return index < TARGETS ? targets[index].name : NULL; }

static const char *const backends[] = { "fbgemm", "x86", "qnnpack", "onednn" };

const octet_qconfig *octet_default_qconfig_find(const char *backend, int version)
{
    if (version != 0) return NULL;
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        if (!strcmp(backend ? backend : "fbgemm", backends[i])) return find_row(backends[i]);
    return find_row("default");
}

const octet_qconfig *octet_qat_qconfig_find(const char *backend, int version)
{
    static const char *const others[] = { "default_qat", "default_qat_v2" };
    char                     name[32];
    if (version < 0 || version > 1) return NULL;
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        snprintf(name, sizeof name, "%s_qat%s", backends[i], version ? "_v1" : "");
        if (!strcmp(backend ? backend : "fbgemm", backends[i])) return octet_qconfig_find(name);
    }
    return octet_qconfig_find(others[version]);
}

const octet_target *octet_target_find(const char *name)
{
    for (size_t i = 0; i < TARGETS; i++)
        if (!strcmp(targets[i].name, name ? name : "native")) return &targets[i];
    return NULL;
}

octet_status octet_target_apply(octet_qconfig *qconfig, const octet_target *target, octet_error *err)
{
    octet_quantizer *const a = &qconfig->activation, *const w = &qconfig->weight;
    /* Its kernels want normal multipliers below 256 and biases of 32 bits, which dead channels would not give. */
    if (target->profile && a->eps <= 0) a->eps = FLT_EPSILON;
    if (target->profile && w->eps <= 0) w->eps = FLT_EPSILON;
    if (!target->symmetric) return OCTET_OK;
    const char *why = NULL;
    if (!a->off && a->dtype != OCTET_I8 && (a->dtype || a->qmin || a->qmax)) why = "activations of s8";
    if (!w->off && !(octet_quantizer_levels(w, true).dtype == OCTET_I8 && w->symmetric)) why = "symmetric s8 weights";
    if (why)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "target %s reads %s only (qconfig %.40s)", target->name, why,
                          qconfig->name ? qconfig->name : "");
    a->dtype     = OCTET_I8;
    a->symmetric = true;
    /* No range uses the lowest level, but bounds that leave it out would be Clip nodes in the file. */
    if (!a->qmin && !a->qmax) a->qmin = -128, a->qmax = 127;
    if (w->qmin == -128) w->qmin = -127;
    return OCTET_OK;
}

const char *octet_method_name(octet_method method)
{
    static const char *const names[OCTET_METHOD_COUNT] = { "output", "minmax", "moving_average", "percentile", "mse",
                                                           "entropy", "histogram", "histogram_1.13" };
    return (unsigned)method < OCTET_METHOD_COUNT ? names[method] : NULL;
}

static octet_levels_range whole_type(octet_dtype dtype)
{
    switch (dtype) {
    case OCTET_I16: return (octet_levels_range){ dtype, -32768, 32767 };
    case OCTET_U16: return (octet_levels_range){ dtype, 0, 65535 };
    case OCTET_I8: return (octet_levels_range){ dtype, -128, 127 };
    default: return (octet_levels_range){ dtype, 0, 255 };
    }
}

octet_levels_range octet_quantizer_levels(const octet_quantizer *quantizer, bool weight)
{
    octet_levels_range range = { quantizer->dtype, quantizer->qmin, quantizer->qmax };
    if (range.dtype == OCTET_NONE) range.dtype = weight ? OCTET_I8 : OCTET_U8;
    if (!range.qmin && !range.qmax) range = whole_type(range.dtype);
    const bool given = quantizer->qmin || quantizer->qmax || quantizer->formula == OCTET_FORMULA_TORCH;
    if (!given && quantizer->symmetric && range.qmin < 0) range.qmin = -range.qmax; /* q and -q both exist */
    if (quantizer->reduce_range) {
        range.qmin = octet_floor_half(range.qmin);
        range.qmax = octet_floor_half(range.qmax);
    }
    return range;
}

/* ---- bits ---- */

static bool activations_real(const octet_qconfig *qconfig)
{
    return qconfig->activation.off && !qconfig->activation.dynamic;
}

/* Whole types of 2 to 8 bits: "s4", "u8". */
static bool parse_type(octet_quantizer *quantizer, const char *text)
{
    const bool is_signed = text[0] == 's';
    if ((!is_signed && text[0] != 'u') || text[1] < '2' || text[1] > '8' || text[2]) return false;
    const int bits   = text[1] - '0';
    quantizer->dtype = is_signed ? OCTET_I8 : OCTET_U8;
    quantizer->qmin  = is_signed ? -(1 << (bits - 1)) : 0;
    quantizer->qmax  = quantizer->qmin + (1 << bits) - 1;
    return true;
}

/* Of eight bits the type's own levels, else all that the bits give; but weights hold both q and -q. */
static octet_status set_bits(octet_quantizer *quantizer, const char *text, bool weight, octet_error *err)
{
    if (!text) return OCTET_OK;
    quantizer->off = strcmp(text, "f32") == 0;
    if (quantizer->off) return OCTET_OK;
    if (!weight && (!strcmp(text, "s16") || !strcmp(text, "u16"))) {
        quantizer->dtype = *text == 's' ? OCTET_I16 : OCTET_U16;
        quantizer->qmin = quantizer->qmax = 0;
        return OCTET_OK;
    }
    if (!parse_type(quantizer, text) || (weight && *text == 'u'))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "%s of '%.20s', need %s", weight ? "weights" : "activations", text,
                          weight ? "s2 to s8 or f32 (u2 to u8 where activations are real)"
                                 : "u2 to u8, s2 to s8, u16, s16 or f32");
    if (text[1] == '8') quantizer->qmin = quantizer->qmax = 0;
    else if (weight) quantizer->qmin = -quantizer->qmax;
    return OCTET_OK;
}

octet_status octet_weight_type(octet_quantizer *weight, const octet_qconfig *qconfig, const char *text,
                               octet_error *err)
{
    if (!text || !activations_real(qconfig) || !parse_type(weight, text)) return set_bits(weight, text, true, err);
    weight->off       = false;
    weight->symmetric = *text == 's';
    return OCTET_OK;
}

octet_status octet_qconfig_bits(octet_qconfig *qconfig, const char *weights, const char *activations, octet_error *err)
{
    OCTET_TRY(set_bits(&qconfig->activation, activations, false, err));
    return octet_weight_type(&qconfig->weight, qconfig, weights, err);
}

octet_status octet_qconfig_embeddings(octet_qconfig *qconfig, const char *how, octet_error *err)
{
    static const char      torch[] = "float_qparams";
    const octet_quantizer  alone   = { WEIGHT_ALONE, .group = qconfig->weight.group };
    const size_t           length  = sizeof torch - 1;
    qconfig->embeddings            = true;
    qconfig->embedding             = alone;
    qconfig->embedding.off         = !strcmp(how, "float");
    if (qconfig->embedding.off) return OCTET_OK;
    if (!strncmp(how, torch, length) && (!how[length] || !strcmp(how + length, "_4bit"))) {
        qconfig->embedding = (octet_quantizer){ .method = OCTET_METHOD_MINMAX, ROWS(255) };
        if (how[length]) qconfig->embedding.qmax = 15;
        return OCTET_OK;
    }
    qconfig->embedding.symmetric = *how == 's';
    if (parse_type(&qconfig->embedding, how)) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_ARGUMENT,
                      "embeddings of '%.40s', need s2 to s8, u2 to u8, float_qparams, float_qparams_4bit or float",
                      how);
}

const octet_quantizer *octet_table_quantizer(const octet_qconfig *qconfig)
{
    const octet_quantizer *const w = &qconfig->weight;
    if (qconfig->embeddings) return qconfig->embedding.off ? NULL : &qconfig->embedding;
    const bool alone = activations_real(qconfig) && !w->off;
    return alone && (w->formula == OCTET_FORMULA_TORCH_FLOAT || w->formula == OCTET_FORMULA_OCTET) ? w : NULL;
}

/* ---- layers ---- */

octet_status octet_layer_rule_parse(octet_layer_rule *rule, const char *text, octet_error *err)
{
    static const octet_method allowed[] = { OCTET_METHOD_MINMAX, OCTET_METHOD_MSE, OCTET_METHOD_PERCENTILE };
    const char *const         colon     = strchr(text, ':');
    const size_t              length    = colon ? (size_t)(colon - text) : strlen(text);
    char                     *end       = NULL;
    *rule = (octet_layer_rule){ .match = rule->match, .keep_float = !strcmp(text, "float") };
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        const char *const name = octet_method_name(allowed[i]);
        if (strncmp(name, text, length) != 0 || name[length]) continue;
        rule->ranges = true;
        rule->method = allowed[i];
    }
    if (!strcmp(text, "s16") || !strcmp(text, "u16"))
        *rule = (octet_layer_rule){ .match = rule->match, .ranges = true, .method = OCTET_METHOD_MINMAX,
                                    .dtype = *text == 's' ? OCTET_I16 : OCTET_U16 };
    octet_quantizer type;
    const bool      weights = !colon && parse_type(&type, text);
    if (weights) memcpy(rule->weights, text, length + 1);
    if (colon && rule->ranges) rule->percentile = strtod(colon + 1, &end);
    const bool number = !colon || (rule->method == OCTET_METHOD_PERCENTILE && end != colon + 1 && !*end &&
                                   rule->percentile > 50 && rule->percentile <= 100);
    if ((rule->keep_float || rule->ranges || weights) && number) return OCTET_OK;
    return octet_fail(err, OCTET_ERR_ARGUMENT,
                      "got '%.60s', need float, minmax, mse, percentile, percentile:99.9, s16, u16, s2 to s8 or u2 to "
                      "u8", text);
}

void octet_layer_rule_print(char *text, size_t size, const octet_layer_rule *rule)
{
    const char *const name = rule->keep_float ? "float" : rule->ranges ? octet_method_name(rule->method) : "";
    if (rule->dtype) snprintf(text, size, "%s", rule->dtype == OCTET_I16 ? "s16" : "u16");
    else if (rule->weights[0]) snprintf(text, size, "%s", rule->weights);
    else if (rule->ranges && rule->percentile > 0) snprintf(text, size, "%s:%.10g", name, rule->percentile);
    else snprintf(text, size, "%s", name);
}
