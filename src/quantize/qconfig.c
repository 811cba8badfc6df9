/* SPDX-License-Identifier: Apache-2.0 */
/* Named choices: qconfigs, targets, methods. */
#include "quantize/calibration.h"

#include <string.h>

static const octet_qconfig qconfigs[] = {
    { .name = "octet", .weight = { .method = OCTET_METHOD_MINMAX, .symmetric = true, .per_channel = true } },
    /* torch.ao.quantization.default_qconfig: MinMaxObserver(0..127), default_weight_observer */
    { .name       = "default",
      .activation = { .method = OCTET_METHOD_MINMAX, .qmax = 127, .formula = OCTET_FORMULA_TORCH },
      .weight     = { .method = OCTET_METHOD_MINMAX, .qmin = -128, .qmax = 127, .symmetric = true,
                      .formula = OCTET_FORMULA_TORCH } },
    /* default_per_channel_qconfig */
    { .name       = "per_channel",
      .activation = { .method = OCTET_METHOD_MINMAX, .qmax = 127, .formula = OCTET_FORMULA_TORCH },
      .weight     = { .method = OCTET_METHOD_MINMAX, .qmin = -128, .qmax = 127, .symmetric = true, .per_channel = true,
                      .formula = OCTET_FORMULA_TORCH } },
};

static const octet_target targets[] = {
    { .name = "native" },
    { .name = "portable", .quantize_every_value = true },
    { .name = "torch-1.13", .quantize_every_value = true, .quantize_outputs = true, .pools_share = true,
      .concat_joins = true,
      .observe_before_activation = true, .share_by_weight = true, .real_bias = true, .profile = "torch-qnnpack" },
};

enum { QCONFIGS = sizeof qconfigs / sizeof *qconfigs, TARGETS = sizeof targets / sizeof *targets };

const octet_qconfig *octet_qconfig_find(const char *name)
{
    for (size_t i = 0; name && i < QCONFIGS; i++)
        if (!strcmp(qconfigs[i].name, name)) return &qconfigs[i];
    return NULL;
}

const char *octet_qconfig_name(size_t index) { return index < QCONFIGS ? qconfigs[index].name : NULL; }
const char *octet_target_name(size_t index) { return index < TARGETS ? targets[index].name : NULL; }

const octet_target *octet_target_find(const char *name)
{
    for (size_t i = 0; i < TARGETS; i++)
        if (!strcmp(targets[i].name, name ? name : "native")) return &targets[i];
    return NULL;
}

const char *octet_method_name(octet_method method)
{
    static const char *const names[OCTET_METHOD_COUNT] = { "output", "minmax", "moving_average", "percentile", "mse" };
    return (unsigned)method < OCTET_METHOD_COUNT ? names[method] : NULL;
}

octet_levels_range octet_quantizer_levels(const octet_quantizer *quantizer, bool weight)
{
    octet_levels_range range = { quantizer->dtype, quantizer->qmin, quantizer->qmax };
    if (range.dtype == OCTET_NONE) range.dtype = weight ? OCTET_I8 : OCTET_U8;
    if (range.qmin || range.qmax) return range;
    switch (range.dtype) {
    case OCTET_I16: range.qmin = -32768, range.qmax = 32767; break;
    case OCTET_U16: range.qmax = 65535; break;
    case OCTET_I8: range.qmin = -128, range.qmax = 127; break;
    default: range.qmax = 255; break;
    }
    if (quantizer->symmetric && range.qmin < 0) range.qmin = -range.qmax; /* q and -q both exist */
    return range;
}

/* ---- bits ---- */

static octet_status set_bits(octet_quantizer *quantizer, const char *text, bool weight, octet_error *err)
{
    if (!text) return OCTET_OK;
    quantizer->off = strcmp(text, "f32") == 0;
    if (quantizer->off) return OCTET_OK;
    const bool is_signed = text[0] == 's', known = is_signed || (text[0] == 'u' && !weight);
    if (!known || text[1] < '2' || text[1] > '8' || text[2])
        return octet_fail(err, OCTET_ERR_ARGUMENT, "%s of '%.20s', need %s", weight ? "weights" : "activations", text,
                          weight ? "s2 to s8 or f32" : "u2 to u8, s2 to s8 or f32");
    const int levels = 1 << (text[1] - '0');
    quantizer->dtype = is_signed ? OCTET_I8 : OCTET_U8;
    quantizer->qmin  = is_signed ? -levels / 2 : 0;
    quantizer->qmax  = quantizer->qmin + levels - 1;
    if (weight && quantizer->formula == OCTET_FORMULA_OCTET) quantizer->qmin = -quantizer->qmax; /* q and -q both exist */
    return OCTET_OK;
}

octet_status octet_qconfig_bits(octet_qconfig *qconfig, const char *weights, const char *activations, octet_error *err)
{
    OCTET_TRY(set_bits(&qconfig->weight, weights, true, err));
    return set_bits(&qconfig->activation, activations, false, err);
}
