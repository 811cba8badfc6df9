/* SPDX-License-Identifier: Apache-2.0 */
/* octet compare: where an int8 network differs from the float one it came from, layer by layer. */
#include "cli.h"

#include <string.h>

enum { FEW_SAMPLES = 32 };

static void set_document(cli_call *call, const octet_comparison *c)
{
    json_t *const output = cli_json_object(), *const layers = cli_json_array();
    cli_json_set(output, "sqnr_db", cli_json_number(c->output_sqnr_db));
    cli_json_set(output, "cosine", cli_json_number(c->output_cosine));
    cli_json_set(output, "max_abs", cli_json_number(c->output_max_abs));
    for (size_t i = 0; i < c->layer_count; i++) {
        json_t *const row = cli_json_object();
        cli_json_set(row, "name", cli_json_text(c->layers[i].name));
        cli_json_set(row, "op", cli_json_text(c->layers[i].op));
        cli_json_set(row, "local_db", cli_json_number(c->layers[i].local_db));
        cli_json_set(row, "accumulated_db", cli_json_number(c->layers[i].accumulated_db));
        cli_json_add(layers, row);
    }
    cli_json_set(call->document, "float", cli_json_text(call->args.operands[0]));
    cli_json_set(call->document, "quantized", cli_json_text(call->args.operands[1]));
    cli_json_set(call->document, "samples", cli_json_count(c->samples));
    cli_json_set(call->document, "output", output);
    cli_json_set(call->document, "layers", layers);
}

static void print(cli_call *call, const octet_comparison *c)
{
    char         clean[96], text[2][32];
    const size_t most = call->args.top ? call->args.top : 10;
    cli_say(call, "output: SQNR %s, cosine %.6f, largest difference %.4g, on %zu samples\n",
            cli_decibel(text[0], c->output_sqnr_db), c->output_cosine, c->output_max_abs, c->samples);
    cli_say(call, "\n%-40s %-20s %12s %12s\n", "layer, worst first", "operator", "local", "accumulated");
    for (size_t i = 0; i < c->layer_count && i < most; i++)
        cli_say(call, "%-40s %-20s %12s %12s\n", cli_clean(clean, c->layers[i].name), c->layers[i].op,
                cli_decibel(text[0], c->layers[i].local_db), cli_decibel(text[1], c->layers[i].accumulated_db));
    if (c->layer_count > most)
        cli_say(call, "(%zu of %zu layers; --top N shows more)\n", most, c->layer_count);
}

typedef struct pair {
    octet_graph      *real, *quantized;
    octet_dataset    *data;
    octet_comparison *comparison;
} pair;

static octet_status work(pair *p, cli_call *call, octet_error *err)
{
    const octet_evaluate_options options = cli_evaluate_options(call);
    OCTET_TRY(cli_load(&p->real, call, call->args.operands[0], err));
    OCTET_TRY(cli_load(&p->quantized, call, call->args.operands[1], err));
    OCTET_TRY(octet_fuse(p->quantized, err));
    if (octet_graph_stage(p->quantized) != OCTET_STAGE_QUANTIZED) {
        octet_error_file(err, call->args.operands[1]);
        return octet_fail(err, OCTET_ERR_ARGUMENT, "second network is not quantized (need FLOAT QUANTIZED)");
    }
    OCTET_TRY(cli_open_data(&p->data, call, p->quantized, call->args.data.limit ? 0 : FEW_SAMPLES, err));
    cli_warn(call, octet_dataset_warnings(p->data));
    OCTET_TRY(octet_compare(&p->comparison, p->real, p->quantized, p->data, &options, err));
    set_document(call, p->comparison);
    print(call, p->comparison);
    return OCTET_OK;
}

octet_status cli_compare(cli_call *call, octet_error *err)
{
    pair p = { 0 };
    OCTET_TRY(cli_check_outputs(call, err));
    const octet_status status = work(&p, call, err);
    if (status != OCTET_OK && status != OCTET_ERR_ARGUMENT) octet_error_file(err, call->args.operands[1]);
    octet_comparison_free(p.comparison);
    octet_dataset_free(p.data);
    octet_graph_free(p.quantized);
    octet_graph_free(p.real);
    return status;
}

static const cli_option compare_options[] = {
    { "top", 0, CLI_COUNT, "N", offsetof(cli_args, top), "10", "layers to print (JSON has all)", NULL, 1, 1e9 },
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
