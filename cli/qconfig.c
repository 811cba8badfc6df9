/* SPDX-License-Identifier: Apache-2.0 */
/* From options to a qconfig, for the verbs that quantize. */
#include "cli.h"

#include <string.h>

const char *cli_method_word(size_t index)
{
    return index < OCTET_METHOD_COUNT ? octet_method_name((octet_method)index) : NULL;
}

static octet_status apply_range(octet_qconfig *config, const cli_args *args, octet_error *err)
{
    const char *method = args->method;
    if (args->percentile != 0) {
        if (!method) method = octet_method_name(OCTET_METHOD_PERCENTILE);
        if (strcmp(method, octet_method_name(OCTET_METHOD_PERCENTILE)) != 0)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "--percentile needs --method percentile (got %s)", method);
        config->activation.percentile = args->percentile;
    }
    if (method) config->activation.method = (octet_method)cli_word_index(method, cli_method_word);
    return OCTET_OK;
}

static octet_status apply_types(octet_qconfig *config, const cli_args *args, octet_error *err)
{
    const bool        chosen      = args->activations || config->activation.dtype; /* else --symmetric decides */
    const char *const activations = args->symmetric && !chosen ? octet_dtype_name(OCTET_I8) : args->activations;
    OCTET_TRY(octet_qconfig_bits(config, args->weights, activations, err));
    if (config->activation.off && config->weight.off)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "--weights f32 --activations f32 leave nothing to quantize");
    if (args->symmetric) {
        if (config->activation.dtype != OCTET_I8 && config->activation.dtype != OCTET_I16)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "--symmetric needs signed --activations");
        config->activation.symmetric = true;
    }
    if (args->per_channel) config->weight.per_channel = true;
    if (args->per_tensor) config->weight.per_channel = false;
    return OCTET_OK;
}

/* Weights alone: how their ranges are found, how many share a scale, what embeddings do. */
static octet_status apply_weights(octet_qconfig *config, const cli_args *args, octet_error *err)
{
    const bool alone = config->activation.off && !config->activation.dynamic;
    if (args->weight_only) OCTET_TRY(octet_qconfig_bits(config, args->weight_only, "f32", err));
    if (alone && args->method) config->weight.method = config->activation.method;
    if (alone && config->weight.method != OCTET_METHOD_MINMAX && config->weight.method != OCTET_METHOD_MSE)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "--method %s is for activations; weights know minmax and mse",
                          args->method);
    if (args->group && !alone)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "--group needs --weight-only: activations must stay real");
    if (args->group && args->per_tensor)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "--group and --per-tensor exclude each other");
    if (args->group) config->weight.group = (int64_t)args->group;
    return args->embeddings ? octet_qconfig_embeddings(config, args->embeddings, err) : OCTET_OK;
}

static const char *default_qconfig(const cli_args *args)
{
    return args->dynamic ? "octet_dynamic" : args->weight_only ? "octet_weight_only" : "octet";
}

octet_status cli_qconfig(octet_qconfig *config, const cli_args *args, octet_error *err)
{
    const octet_qconfig *const row = octet_qconfig_find(args->qconfig ? args->qconfig : default_qconfig(args));
    if (args->weight_only && (args->dynamic || args->weights || args->activations))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "--weight-only and --%s exclude each other",
                          args->dynamic ? "dynamic" : args->weights ? "weights" : "activations");
    if (!row)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "--qconfig: unknown name '%.60s' (--help lists all)", args->qconfig);
    *config = *row;
    if (args->dynamic && !config->activation.dynamic) config->activation.dynamic = OCTET_DYNAMIC_TENSOR;
    OCTET_TRY(apply_range(config, args, err));
    OCTET_TRY(apply_types(config, args, err));
    OCTET_TRY(apply_weights(config, args, err));
    if (args->target) config->target = args->target;
    config->layers      = args->layers;
    config->layer_count = args->layer_count;
    return OCTET_OK;
}

octet_status cli_prepared(octet_status prepared, const cli_args *args, octet_error *err)
{
    const bool overridden = prepared == OCTET_ERR_ARGUMENT && args->overrides && !strncmp(err->text, "override", 8);
    if (overridden) octet_error_file(err, args->overrides);
    else if (prepared == OCTET_ERR_ARGUMENT && args->config)
        octet_error_file(err, args->config); /* a layer rule that matches nothing */
    return prepared;
}

#define AT(member) offsetof(cli_args, member)

const cli_option cli_type_options[] = {
    { "weights", 0, CLI_WORD, "s8|s7|s6|s5|s4|s3|s2|f32", AT(weights), "as qconfig says",
      "type of weights", .section = "quantize" },
    { "activations", 0, CLI_WORD, "u8|u7|u6|u5|u4|u3|u2|s8|s7|s6|s5|s4|s3|s2|u16|s16|f32", AT(activations),
      "as qconfig says", "type of activations", .section = "quantize" },
    { NULL },
};

const cli_option cli_weight_options[] = {
    { "weight-only", 0, CLI_WORD, "s8|s7|s6|s5|s4|s3|s2|u8|u7|u6|u5|u4|u3|u2", AT(weight_only), NULL,
      "weights alone become levels of that type, activations stay real; no data are needed (without --qconfig: "
      "octet_weight_only)", .section = "quantize" },
    { "group", 0, CLI_COUNT, "N", AT(group), "one scale per output channel",
      "with --weight-only: one scale for each N input channels of an output channel", .section = "quantize", .low = 2,
      .high = 1e6 },
    { "embeddings", 0, CLI_WORD, "s8|s7|s6|s5|s4|s3|s2|u8|u7|u6|u5|u4|u3|u2|float_qparams|float_qparams_4bit|float",
      AT(embeddings), "as weights where these alone are quantized, else float",
      "tables of Gather become levels of that type, row by row; float_qparams: as PyTorch's, with real zero points",
      .section = "quantize" },
    { NULL },
};

const cli_option cli_qconfig_options[] = {
    { "qconfig", 0, CLI_TEXT, "NAME", AT(qconfig), "octet", "named settings", .section = "quantize",
      .word = octet_qconfig_name },
    { "dynamic", 0, CLI_FLAG, NULL, AT(dynamic), NULL,
      "no calibration: inputs of layers become levels when these run (without --qconfig: octet_dynamic)",
      .section = "quantize" },
    { "target", 0, CLI_WORD, "NAME", AT(target), "native", "who will run the result", .section = "quantize",
      .word = octet_target_name },
    { "per-channel", 0, CLI_FLAG, NULL, AT(per_channel), NULL, "one scale per output channel of a weight",
      .section = "quantize", .opposite = "per-tensor" },
    { "per-tensor", 0, CLI_FLAG, NULL, AT(per_tensor), NULL, "one scale per weight", .opposite = "per-channel" },
    { "symmetric", 0, CLI_FLAG, NULL, AT(symmetric), NULL,
      "zero point of activations fixed at 0 (s8 unless --activations says otherwise)",
      .section = "quantize" },
    { "method", 0, CLI_WORD, "NAME", AT(method), "as qconfig says", "how ranges are found", .section = "calibration",
      .word = cli_method_word },
    { "percentile", 0, CLI_NUMBER, "P", AT(percentile), "99.99", "share of values inside the range, in percent",
      .section = "calibration", .low = 50, .high = 100 },
    { "layer", 0, CLI_LAYER, "GLOB=HOW", AT(layers), NULL,
      "float: matching layers stay in float; minmax, mse, percentile:99.9: how their results' ranges are found; s16, "
      "u16: their results have 16 bits; s2 to s8: their weights have so many (u2 to u8, too, where activations are "
      "real); may be repeated, the last match wins" },
    { "config", 0, CLI_TEXT, "FILE.json", AT(config), NULL, "read options from a file; the command line wins" },
    { "print-config", 0, CLI_FLAG, NULL, AT(print_config), NULL, "print the options in force as such a file and stop" },
    { "dry-run", 'n', CLI_FLAG, NULL, AT(dry_run), NULL, "check everything, calculate and write nothing" },
    { NULL },
};
