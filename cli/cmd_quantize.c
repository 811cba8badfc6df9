/* SPDX-License-Identifier: Apache-2.0 */
/* octet quantize: load, fuse, prepare, calibrate, convert, check, save. The check runs the new network beside the float
   one on a few calibration samples, before anything is written. */
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <xxhash.h>

static const char *method_word(size_t index)
{
    return index < OCTET_METHOD_COUNT ? octet_method_name((octet_method)index) : NULL;
}

/* ---- options to qconfig ---- */

static octet_status apply_range(octet_qconfig *config, const cli_args *args, octet_error *err)
{
    const char *method = args->method;
    if (args->percentile != 0) {
        if (!method) method = octet_method_name(OCTET_METHOD_PERCENTILE);
        if (strcmp(method, octet_method_name(OCTET_METHOD_PERCENTILE)) != 0)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "--percentile needs --method percentile (got %s)", method);
        config->activation.percentile = args->percentile;
    }
    for (size_t i = 0; method && method_word(i); i++)
        if (!strcmp(method_word(i), method)) config->activation.method = (octet_method)i;
    return OCTET_OK;
}

static octet_status apply_types(octet_qconfig *config, const cli_args *args, octet_error *err)
{
    octet_quantizer *const activation = &config->activation;
    if (args->activations) {
        activation->dtype = !strcmp(args->activations, "s8") ? OCTET_I8 : OCTET_U8;
        activation->qmin = activation->qmax = 0;
    }
    if (args->weights) config->weight.dtype = OCTET_I8;
    if (args->symmetric) {
        if (activation->dtype != OCTET_I8)
            return octet_fail(err, OCTET_ERR_ARGUMENT, "--symmetric needs --activations s8");
        activation->symmetric = true;
    }
    if (args->per_channel) config->weight.per_channel = true;
    if (args->per_tensor) config->weight.per_channel = false;
    return OCTET_OK;
}

static octet_status resolve(octet_qconfig *config, const cli_args *args, octet_error *err)
{
    const octet_qconfig *const row = octet_qconfig_find(args->qconfig ? args->qconfig : "octet");
    if (!row) return octet_fail(err, OCTET_ERR_ARGUMENT, "--qconfig: unknown name '%s'", args->qconfig);
    *config = *row;
    OCTET_TRY(apply_range(config, args, err));
    OCTET_TRY(apply_types(config, args, err));
    if (args->target) config->target = args->target;
    config->layers      = args->layers;
    config->layer_count = args->layer_count;
    return OCTET_OK;
}

/* ---- the way from float to int8 ---- */

/* What a run has in hand. */
typedef struct job {
    octet_qconfig     config;
    octet_graph      *graph, *reference; /* reference: the float network, read again for the check */
    octet_dataset    *data, *sample;
    octet_scores      scores[2];
    octet_comparison *comparison;
    size_t            count; /* samples of the calibration */
    double            began;
} job;

static void job_free(job *j)
{
    octet_comparison_free(j->comparison);
    octet_dataset_free(j->sample);
    octet_dataset_free(j->data);
    octet_graph_free(j->reference);
    octet_graph_free(j->graph);
}

static octet_status open_inputs(job *j, cli_call *call, octet_error *err)
{
    const char *const path = call->args.operands[0];
    OCTET_TRY(cli_load(&j->graph, call, path, err));
    OCTET_TRY(octet_fuse(j->graph, err));
    if (octet_graph_stage(j->graph) == OCTET_STAGE_QUANTIZED) {
        octet_error_file(err, path);
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "network is quantized already (need a float one)");
    }
    OCTET_TRY(cli_open_data(&j->data, call, j->graph, 0, err));
    j->count = octet_dataset_count(j->data);
    cli_warn(call, octet_dataset_warnings(j->data));
    return OCTET_OK;
}

static octet_status calibrate(job *j, cli_call *call, octet_error *err)
{
    const octet_calibrate_options options = { .threads          = call->args.threads,
                                              .limits           = call->args.limits,
                                              .progress         = cli_progress_step,
                                              .progress_context = call };
    OCTET_TRY(octet_calibrate(j->graph, j->data, &options, err));
    return octet_convert(j->graph, err);
}

/* How many samples cost that many multiply-accumulates, within low..high: enough for a figure, few enough that the
   check stays a fraction of the work. */
static size_t affordable(const octet_graph *graph, double macs, double low, double high)
{
    return (size_t)fmin(fmax(macs / fmax(cli_macs(graph), 1), low), high);
}

static octet_status check(job *j, cli_call *call, octet_error *err)
{
    const octet_evaluate_options options = cli_evaluate_options(call);
    OCTET_TRY(cli_load(&j->reference, call, call->args.operands[0], err));
    OCTET_TRY(cli_open_data(&j->sample, call, j->graph, affordable(j->graph, 4e9, 4, 64), err));
    OCTET_TRY(octet_evaluate(j->scores, j->graph, j->reference, j->sample, &options, err));
    octet_dataset_free(j->sample);
    j->sample = NULL;
    OCTET_TRY(cli_open_data(&j->sample, call, j->graph, affordable(j->graph, 5e8, 1, 4), err));
    return octet_compare(&j->comparison, j->reference, j->graph, j->sample, &options, err);
}

static octet_status describe(job *j, cli_call *call, octet_error *err)
{
    char               text[1024];
    const octet_recipe recipe = octet_dataset_recipe(j->data);
    if (recipe.given) {
        OCTET_TRY(octet_recipe_print(text, sizeof text, &recipe, err));
        OCTET_TRY(octet_graph_set_metadata(j->graph, "octet.preprocess", text, err));
    }
    OCTET_TRY(octet_graph_set_metadata(j->graph, "octet.version", octet_version(), err));
    json_t *const document = cli_config_document(&call->args, call->command->syntax);
    char *const   options  = json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(document);
    if (!options) cli_out_of_memory();
    const octet_status status = octet_graph_set_metadata(j->graph, "octet.options", options, err);
    free(options);
    return status;
}

static octet_status save(job *j, cli_call *call, octet_error *err)
{
    const octet_save_options options = { .replace = call->args.force };
    call->writing                    = true;
    return octet_graph_save_as(j->graph, call->args.output, &options, err);
}

/* ---- the report ---- */

static const char *why_float(const octet_graph *graph, const char *node)
{
    const char *why = "";
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++) {
        const octet_decision decision = octet_graph_decision(graph, i);
        if (!strcmp(decision.what, "float") && !strcmp(decision.node, node)) why = decision.why;
    }
    return why;
}

static void report_nodes(cli_call *call, const octet_graph *graph)
{
    size_t        integer = 0, real = 0;
    double        macs = 0;
    json_t *const rows = json_array(), *const nodes = json_object();
    if (!rows || !nodes) cli_out_of_memory();
    for (size_t i = 0; i < octet_graph_node_count(graph); i++) {
        const octet_node_info node = octet_graph_node(graph, i);
        if (node.mode != OCTET_MODE_REAL) {
            integer++;
            if (node.macs > 0) macs += (double)node.macs;
            continue;
        }
        json_t *const row = json_object();
        if (!row) cli_out_of_memory();
        real++;
        cli_json_set(row, "name", cli_json_text(node.name));
        cli_json_set(row, "op", cli_json_text(node.op));
        cli_json_set(row, "why", cli_json_text(why_float(graph, node.name)));
        cli_json_add(rows, row);
    }
    const double all = cli_macs(graph), share = all > 0 ? macs / all : 1;
    cli_say(call, "%-14s%zu int8, %zu float; %.1f %% of the multiply-accumulates are int8\n", "nodes", integer, real,
            100 * share);
    cli_json_set(nodes, "int8", cli_json_count(integer));
    cli_json_set(nodes, "float", cli_json_count(real));
    cli_json_set(call->document, "nodes", nodes);
    cli_json_set(call->document, "float_nodes", rows);
    cli_json_set(call->document, "macs_int8", cli_json_number(share));
}

static void print_float_nodes(cli_call *call, const octet_graph *graph)
{
    char clean[2][96];
    for (size_t i = 0; i < octet_graph_node_count(graph); i++) {
        const octet_node_info node = octet_graph_node(graph, i);
        if (node.mode != OCTET_MODE_REAL) continue;
        cli_say(call, "  float: %s (%s) %s\n", cli_clean(clean[0], node.name), node.op,
                cli_clean(clean[1], why_float(graph, node.name)));
    }
}

static void print_decisions(cli_call *call, const octet_graph *graph)
{
    char clean[3][96];
    if (!call->args.verbose) return;
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++) {
        const octet_decision d = octet_graph_decision(graph, i);
        cli_say(call, "  %s: %s: %s\n", cli_clean(clean[0], d.node), cli_clean(clean[1], d.what),
                cli_clean(clean[2], d.why));
    }
}

static int by_local(const void *a, const void *b)
{
    const octet_layer_error *const x = a, *const y = b;
    const double p = isnan(x->local_db) ? INFINITY : x->local_db, q = isnan(y->local_db) ? INFINITY : y->local_db;
    return p < q ? -1 : p > q;
}

static void report_layers(cli_call *call, const octet_comparison *comparison)
{
    const size_t             count = comparison->layer_count;
    octet_layer_error *const rows  = cli_alloc(count, sizeof *rows);
    json_t *const            list  = json_array();
    char                     clean[96], text[2][32];
    if (!list) cli_out_of_memory();
    if (count) memcpy(rows, comparison->layers, count * sizeof *rows);
    qsort(rows, count, sizeof *rows, by_local);
    for (size_t i = 0; i < count && i < 3 && isfinite(rows[i].local_db); i++) {
        json_t *const row = json_object();
        if (!row) cli_out_of_memory();
        cli_json_set(row, "name", cli_json_text(rows[i].name));
        cli_json_set(row, "op", cli_json_text(rows[i].op));
        cli_json_set(row, "local_db", cli_json_number(rows[i].local_db));
        cli_json_set(row, "accumulated_db", cli_json_number(rows[i].accumulated_db));
        cli_json_add(list, row);
        cli_say(call, "%-14s%s (%s): %s of its own, %s accumulated\n", i ? "" : "costliest",
                cli_clean(clean, rows[i].name), rows[i].op, cli_decibel(text[0], rows[i].local_db),
                cli_decibel(text[1], rows[i].accumulated_db));
    }
    cli_json_set(call->document, "costliest_layers", list);
    free(rows);
}

static octet_status report_file(cli_call *call, octet_error *err)
{
    char        hash[33], text[32];
    octet_file  file;
    OCTET_TRY(octet_file_read(&file, call->args.output, 0, err));
    const XXH128_hash_t value = XXH3_128bits(file.data, file.size);
    snprintf(hash, sizeof hash, "%016llx%016llx", (unsigned long long)value.high64, (unsigned long long)value.low64);
    char clean[96];
    cli_say(call, "%-14s%s, %s, xxh3 %s\n", "written", cli_clean(clean, call->args.output),
            cli_bytes(text, (double)file.size), hash);
    cli_json_set(call->document, "output", cli_json_text(call->args.output));
    cli_json_set(call->document, "file_bytes", cli_json_count(file.size));
    cli_json_set(call->document, "xxh3_128", cli_json_text(hash));
    octet_file_close(&file);
    return OCTET_OK;
}

static void report(job *j, cli_call *call)
{
    struct rusage usage;
    char          text[32], memory[32];
    json_t *const document = call->document;
    const char   *method   = octet_method_name(j->config.activation.method);
    const char   *target   = j->config.target ? j->config.target : octet_target_name(0);
    getrusage(RUSAGE_SELF, &usage);
    const double seconds = cli_now() - j->began, peak = 1024.0 * (double)usage.ru_maxrss;
    cli_say(call, "%-14smethod %s on %zu samples, target %s\n", "ranges", method, j->count, target);
    cli_say(call, "%-14s%s on %zu samples of the calibration data\n", "output SQNR",
            cli_decibel(text, j->scores[0].sqnr_db), j->scores[0].count);
    report_layers(call, j->comparison);
    report_nodes(call, j->graph);
    print_float_nodes(call, j->graph);
    print_decisions(call, j->graph);
    cli_say(call, "%-14s%.2f s, peak memory %s\n", "took", seconds, cli_bytes(memory, peak));
    cli_json_set(document, "model", cli_json_text(call->args.operands[0]));
    cli_json_set(document, "qconfig", cli_json_text(j->config.name));
    cli_json_set(document, "method", cli_json_text(method));
    cli_json_set(document, "target", cli_json_text(target));
    cli_json_set(document, "samples", cli_json_count(j->count));
    cli_json_set(document, "output_sqnr_db", cli_json_number(j->scores[0].sqnr_db));
    cli_json_set(document, "output_sqnr_samples", cli_json_count(j->scores[0].count));
    cli_json_set(document, "seconds", cli_json_number(seconds));
    cli_json_set(document, "peak_rss_bytes", cli_json_number(peak));
}

static octet_status work(job *j, cli_call *call, octet_error *err)
{
    OCTET_TRY(resolve(&j->config, &call->args, err));
    OCTET_TRY(open_inputs(j, call, err));
    const octet_status prepared = octet_prepare(j->graph, &j->config, err);
    if (prepared == OCTET_ERR_ARGUMENT && call->args.config)
        octet_error_file(err, call->args.config); /* a layer rule that matches nothing */
    OCTET_TRY(prepared);
    if (call->args.dry_run) {
        cli_say(call, "would quantize %zu nodes on %zu samples; nothing was run or written\n",
                octet_graph_node_count(j->graph), j->count);
        print_decisions(call, j->graph);
        cli_json_set(call->document, "dry_run", json_true());
        cli_json_set(call->document, "samples", cli_json_count(j->count));
        return OCTET_OK;
    }
    OCTET_TRY(calibrate(j, call, err));
    OCTET_TRY(describe(j, call, err));
    OCTET_TRY(check(j, call, err));
    OCTET_TRY(save(j, call, err));
    report(j, call);
    return report_file(call, err);
}

static octet_status print_config(cli_call *call)
{
    json_t *const document = cli_config_document(&call->args, call->command->syntax);
    char *const   text     = json_dumps(document, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    json_decref(document);
    if (!text) cli_out_of_memory();
    puts(text);
    free(text);
    call->args.json = NULL;
    return OCTET_OK;
}

octet_status cli_quantize(cli_call *call, octet_error *err)
{
    job j = { .began = cli_now() };
    if (call->args.print_config) return print_config(call);
    if (!call->args.output && !call->args.dry_run)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "option '--output FILE' is missing");
    OCTET_TRY(cli_check_outputs(call, err));
    const octet_status status = work(&j, call, err);
    if (status != OCTET_OK && status != OCTET_ERR_ARGUMENT) octet_error_file(err, call->args.operands[0]);
    job_free(&j);
    return status;
}

/* ---- what can be typed ---- */

#define AT(member) offsetof(cli_args, member)

static const cli_option quantize_options[] = {
    { "qconfig", 0, CLI_WORD, "NAME", AT(qconfig), "octet", "named settings", .section = "quantize",
      .word = octet_qconfig_name },
    { "target", 0, CLI_WORD, "NAME", AT(target), "native", "who will run the result", .section = "quantize",
      .word = octet_target_name },
    { "activations", 0, CLI_WORD, "u8|s8", AT(activations), "as qconfig says", "type of activations",
      .section = "quantize" },
    { "weights", 0, CLI_WORD, "s8", AT(weights), "s8", "type of weights", .section = "quantize" },
    { "per-channel", 0, CLI_FLAG, NULL, AT(per_channel), NULL, "one scale per output channel of a weight",
      .section = "quantize", .opposite = "per-tensor" },
    { "per-tensor", 0, CLI_FLAG, NULL, AT(per_tensor), NULL, "one scale per weight", .opposite = "per-channel" },
    { "symmetric", 0, CLI_FLAG, NULL, AT(symmetric), NULL, "zero point of activations fixed (s8 only)",
      .section = "quantize" },
    { "method", 0, CLI_WORD, "NAME", AT(method), "as qconfig says", "how ranges are found", .section = "calibration",
      .word = method_word },
    { "percentile", 0, CLI_NUMBER, "P", AT(percentile), "99.99", "share of values inside the range, in percent",
      .section = "calibration", .low = 50, .high = 100 },
    { "layer", 0, CLI_LAYER, "GLOB=float", AT(layers), NULL,
      "keep matching layers in float; may be repeated, the last match wins" },
    { "config", 0, CLI_TEXT, "FILE.json", AT(config), NULL, "read options from a file; the command line wins" },
    { "print-config", 0, CLI_FLAG, NULL, AT(print_config), NULL, "print the options in force as such a file and stop" },
    { "dry-run", 'n', CLI_FLAG, NULL, AT(dry_run), NULL, "check everything, calibrate and write nothing" },
    { NULL },
};
static const cli_group quantize_groups[] = {
    { "input and output", cli_data_options },
    { "result", cli_output_options },
    { "quantization", quantize_options },
    { "preparing samples", cli_preprocess_options },
    { "which samples", cli_subset_options },
    { "common options", cli_common_options },
    { "limits", cli_limit_options },
    { NULL },
};
static const cli_example quantize_examples[] = {
    { "quantize resnet.onnx --data photos/ --preprocess imagenet --limit 512 -o resnet.int8.onnx",
      "calibrate on 512 images" },
    { "quantize net.onnx --data calib.npy --method mse --layer 'fc*=float' -o net.int8.onnx",
      "another range method; layers named fc... stay float" },
    { "quantize net.onnx --data calib.npz --target portable --json=report.json -o net.int8.onnx",
      "for other runtimes, with a machine-readable report" },
    { NULL },
};
const cli_syntax cli_quantize_syntax = { "MODEL", 1, 1, quantize_groups, quantize_examples };
