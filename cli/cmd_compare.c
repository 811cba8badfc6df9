/* SPDX-License-Identifier: Apache-2.0 */
/* octet compare: where an int8 network differs from the float one it came from, layer by layer. */
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FEW_CAUSES = 3 };

static void set_layer(json_t *row, const octet_layer_error *l)
{
    cli_json_set(row, "merged", cli_json_text(l->merged));
    cli_json_set(row, "local_db", cli_json_number(l->local_db));
    cli_json_set(row, "accumulated_db", cli_json_number(l->accumulated_db));
    cli_json_set(row, "cosine", cli_json_number(l->cosine));
    cli_json_set(row, "max_abs", cli_json_number(l->max_abs));
    cli_json_set(row, "weights_db", cli_json_number(l->weights_db));
    cli_json_set(row, "output_db", cli_json_number(l->output_db));
    cli_json_set(row, "gain_db", cli_json_number(l->gain_db));
    cli_json_set(row, "cause", cli_json_text(octet_cause_name(l->cause)));
    cli_json_set(row, "why", cli_json_text(l->why));
    cli_json_set(row, "remedy", cli_json_text(l->remedy));
    cli_json_set(row, "remedy_db", cli_json_number(l->remedy_db));
}

static void set_document(cli_call *call, const octet_comparison *c)
{
    json_t *const layers = cli_json_array();
    for (size_t i = 0; i < c->layer_count; i++) {
        json_t *const row = cli_json_object();
        cli_json_set(row, "name", cli_json_text(c->layers[i].name));
        cli_json_set(row, "op", cli_json_text(c->layers[i].op));
        set_layer(row, &c->layers[i]);
        cli_json_add(layers, row);
    }
    cli_pair_describe(call, c, "output");
    cli_json_set(call->document, "layer_samples", cli_json_count(c->layer_samples));
    cli_json_set(call->document, "effect_samples", cli_json_count(c->effect_samples));
    cli_json_set(call->document, "layers", layers);
}

/* The end of a long name tells more than its beginning. */
static const char *shorten(char text[96], const char *name, size_t width)
{
    const size_t length = strlen(cli_clean(text, name));
    if (length <= width) return text;
    char *const at = text + length - width;
    memcpy(at, "..", 2);
    return at;
}

static const char *decibel(char text[32], double value)
{
    if (isnan(value)) return "-";
    if (isinf(value)) return "equal";
    snprintf(text, 32, "%.2f", value);
    return text;
}

static void print_layer(cli_call *call, const octet_layer_error *l)
{
    char clean[96], text[6][32];
    cli_say(call, "%-36s %-9.9s %7s %7s %7s %8s %7s  %s\n", shorten(clean, l->name, 36), l->op,
            decibel(text[0], l->local_db), decibel(text[1], l->accumulated_db), decibel(text[2], l->weights_db),
            decibel(text[3], l->output_db), decibel(text[4], l->gain_db),
            l->cause ? octet_cause_name(l->cause) : "");
}

static void print_remedy(cli_call *call, const octet_layer_error *l)
{
    char clean[96], text[32];
    cli_say(call, "\n%s: %s\n", cli_clean(clean, l->name), octet_cause_name(l->cause));
    cli_say(call, "  %s\n", l->why);
    if (l->remedy[0]) cli_say(call, "  %s gives the output %s dB\n", l->remedy, decibel(text, l->remedy_db));
}

static void print(cli_call *call, const octet_comparison *c)
{
    char         text[32];
    const size_t most = call->args.top ? call->args.top : 10;
    cli_say(call, "output: SQNR %s, cosine %.6f, largest difference %.4g, on %zu samples\n",
            cli_decibel(text, c->output_sqnr_db), c->output_cosine, c->output_max_abs, c->samples);
    cli_say(call, "\n%-36s %-9s %7s %7s %7s %8s %7s  %s\n", "layer, worst first; all in dB", "operator", "local",
            "accum.", "weights", "output", "gain", "cause");
    for (size_t i = 0; i < c->layer_count && i < most; i++) print_layer(call, &c->layers[i]);
    if (c->layer_count > most)
        cli_say(call, "(%zu of %zu layers; --top N shows more)\n", most, c->layer_count);
    if (c->layer_samples < c->samples)
        cli_say(call, "local, accum.: on %zu samples (--layer-samples N)\n", c->layer_samples);
    if (c->effect_samples)
        cli_say(call, "output: its SQNR with only this layer quantized; gain: its change with only this layer in float "
                      "(on %zu samples)\n", c->effect_samples);
    for (size_t i = 0; i < c->layer_count; i++)
        if (c->layers[i].remedy[0] || (i < FEW_CAUSES && c->layers[i].why[0])) print_remedy(call, &c->layers[i]);
}

static octet_status work(cli_pair *pair, octet_comparison **comparison, cli_call *call, octet_error *err)
{
    octet_evaluate_options options = cli_evaluate_options(call);
    options.layer_samples = call->args.layer_samples;
    options.effects       = call->args.effects;
    options.no_effects    = call->args.no_effects;
    OCTET_TRY(cli_pair_load(pair, call, err));
    OCTET_TRY(octet_compare(comparison, pair->real, pair->quantized, pair->data, &options, err));
    set_document(call, *comparison);
    print(call, *comparison);
    return OCTET_OK;
}

octet_status cli_compare(cli_call *call, octet_error *err)
{
    cli_pair          pair       = { 0 };
    octet_comparison *comparison = NULL;
    OCTET_TRY(cli_check_outputs(call, err));
    const octet_status status = work(&pair, &comparison, call, err);
    if (status != OCTET_OK && status != OCTET_ERR_ARGUMENT) octet_error_file(err, call->args.operands[1]);
    octet_comparison_free(comparison);
    cli_pair_free(&pair);
    return status;
}

static const cli_option compare_options[] = {
    { "top", 0, CLI_COUNT, "N", offsetof(cli_args, top), "10", "layers to print (JSON has all)", NULL, 1, 1e9 },
    { "layer-samples", 0, CLI_COUNT, "N", offsetof(cli_args, layer_samples), "32",
      "samples on which every layer's own error is measured", NULL, 1, 1e9 },
    { "effects", 0, CLI_COUNT, "N", offsetof(cli_args, effects), NULL,
      "samples on which every layer's effect on the output is measured (otherwise 2 to 16, by the network's size)",
      NULL, 1, 1e9 },
    { "no-effects", 0, CLI_FLAG, NULL, offsetof(cli_args, no_effects), NULL,
      "leave out effects on the output, causes and remedies: half of the time", .opposite = "effects" },
    { NULL },
};
static const cli_group compare_groups[] = {
    { "input (32 samples unless --limit says otherwise)", cli_data_options },
    { "result", compare_options },
    { "preparing samples", cli_preprocess_options },
    { "which samples", cli_subset_options },
    { "engines", cli_engine_options },
    { "common options", cli_common_options },
    { "limits", cli_limit_options },
    { NULL },
};
static const cli_example compare_examples[] = {
    { "compare net.onnx net.int8.onnx --data photos/", "the ten layers that are furthest from float" },
    { "compare net.onnx net.int8.onnx --data calib.npy --limit 8 --json", "every layer, as JSON" },
    { NULL },
};
const cli_syntax cli_compare_syntax = { "FLOAT QUANTIZED", 2, 2, compare_groups, compare_examples };
