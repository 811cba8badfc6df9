/* SPDX-License-Identifier: Apache-2.0 */
/* octet quantize: load, fuse, prepare, calibrate, convert, check, save. The check runs the new network beside the float
   one on a few calibration samples, before anything is written. */
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the way from float to int8 ---- */

/* What a run has in hand. */
typedef struct job {
    octet_qconfig     config;
    cli_overrides     overrides;
    octet_graph      *real, *quantized;
    octet_dataset    *data, *sample, *alike; /* alike: a part of sample, of one shape; NULL: all are */
    octet_statistics *statistics; /* NULL: none */
    octet_scores      scores[2];
    octet_comparison *comparison;
    octet_step_gains  gains;
    size_t            count; /* samples of the calibration */
    double            began;
} job;

static void job_free(job *j)
{
    cli_overrides_free(&j->overrides);
    octet_comparison_free(j->comparison);
    octet_statistics_free(j->statistics);
    octet_dataset_free(j->alike);
    octet_dataset_free(j->sample);
    octet_dataset_free(j->data);
    octet_graph_free(j->quantized);
    octet_graph_free(j->real);
}

/* Whether data are needed: ranges of activations are found before the network runs. */
static bool calibrates(const octet_qconfig *config) { return !config->activation.off && !config->activation.dynamic; }

/* Statistics without samples serve only methods that look at one value at a time. */
static octet_status choose_method(job *j, cli_call *call, octet_error *err)
{
    const cli_args *const a = &call->args;
    if (a->data_path || !calibrates(&j->config) || j->config.activation.method != OCTET_METHOD_OUTPUT) return OCTET_OK;
    if (a->method)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "--method output needs samples: --data beside --calib, or another "
                                                   "method (minmax, percentile, mse)");
    j->config.activation.method = OCTET_METHOD_MSE;
    cli_warn(call, "statistics alone: ranges by method mse (output, the default, needs --data beside --calib)");
    return OCTET_OK;
}

static octet_status open_inputs(job *j, cli_call *call, octet_error *err)
{
    const cli_args *const a = &call->args;
    if (!a->data_path && !a->statistics && calibrates(&j->config))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "option '--data PATH' is missing (or --calib FILE)");
    OCTET_TRY(choose_method(j, call, err));
    OCTET_TRY(cli_load_float(&j->real, call, err));
    if (a->statistics) OCTET_TRY(octet_statistics_read(&j->statistics, a->statistics, err));
    if (j->statistics) j->count = octet_statistics_count(j->statistics);
    if (!a->data_path) return OCTET_OK;
    OCTET_TRY(cli_open_data(&j->data, call, j->real, 0, err));
    cli_warn(call, octet_dataset_warnings(j->data));
    if (!j->statistics) j->count = octet_dataset_count(j->data);
    return OCTET_OK;
}

static octet_bias_correction bias_correction(const char *word)
{
    return !word ? OCTET_BIAS_MEAN : strcmp(word, "analytic") ? OCTET_BIAS_SEQUENTIAL : OCTET_BIAS_ANALYTIC;
}

static octet_status quantize(job *j, cli_call *call, octet_error *err)
{
    const cli_args *const        a       = &call->args;
    const octet_quantize_options options = {
        .qconfig         = &j->config,
        .calibrate       = { .threads = a->threads, .batch = a->batch, .limits = a->limits,
                             .progress = cli_progress_step, .progress_context = call,
                             .statistics = j->statistics },
        .equalize        = a->equalize,
        .bias_correction = bias_correction(a->bias_correct),
        .rounding        = a->rounding && !strcmp(a->rounding, "feedback") ? OCTET_ROUND_FEEDBACK : OCTET_ROUND_NEAREST,
        .held_back       = a->held_back,
    };
    const octet_status status = octet_quantize(&j->quantized, j->real, j->data, &options, &j->gains, err);
    if (status != OCTET_OK && err->text[0] && strstr(err->text, "statistics")) octet_error_file(err, a->statistics);
    return status;
}

/* How many samples cost that many multiply-accumulates, within low..high: enough for a figure, few enough that the
   check stays a fraction of the work. */
static size_t affordable(const octet_graph *graph, double macs, double low, double high)
{
    return (size_t)fmin(fmax(macs / fmax(octet_graph_macs(graph), 1), low), high);
}

static octet_status check(job *j, cli_call *call, octet_error *err)
{
    if (!j->data) return OCTET_OK; /* there is nothing to compare on */
    octet_evaluate_options options = cli_evaluate_options(call);
    options.no_effects             = true; /* layers' own errors are all that is told */
    OCTET_TRY(cli_open_data(&j->sample, call, j->real, affordable(j->real, 4e9, 4, 64), err));
    OCTET_TRY(octet_evaluate(j->scores, j->quantized, j->real, j->sample, &options, err));
    octet_dataset_free(j->sample);
    j->sample = NULL;
    OCTET_TRY(cli_open_data(&j->sample, call, j->real, affordable(j->real, 5e8, 1, 4), err));
    if (octet_dataset_varies(j->sample)) OCTET_TRY(octet_dataset_alike(&j->alike, j->sample, err));
    return octet_compare(&j->comparison, j->real, j->quantized, j->alike ? j->alike : j->sample, &options, err);
}

/* ---- the report ---- */

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
    json_t *const            list  = cli_json_array();
    char                     clean[96], text[2][32];
    if (count) memcpy(rows, comparison->layers, count * sizeof *rows);
    qsort(rows, count, sizeof *rows, by_local);
    for (size_t i = 0; i < count && i < 3 && isfinite(rows[i].local_db); i++) {
        json_t *const row = cli_json_object();
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

static void report_steps(const job *j, cli_call *call)
{
    json_t *const list = cli_json_array();
    char          text[2][32];
    for (size_t i = 0; i < j->gains.count; i++) {
        const octet_step_gain *const g   = &j->gains.at[i];
        json_t *const                row = cli_json_object();
        cli_json_set(row, "step", cli_json_text(g->step));
        cli_json_set(row, "before_db", cli_json_number(g->before_db));
        cli_json_set(row, "after_db", cli_json_number(g->after_db));
        cli_json_set(row, "gain_db", cli_json_number(g->gain_db));
        cli_json_set(row, "kept", json_boolean(g->kept));
        cli_json_add(list, row);
        cli_say(call, "%-14s%s: gains %.2f dB on samples held back (%s without, %s with it)\n", g->step,
                g->kept ? "kept" : "left out", g->gain_db, cli_decibel(text[0], g->before_db),
                cli_decibel(text[1], g->after_db));
    }
    cli_json_set(call->document, "steps", list);
}

/* What was found without a range of activations in mind. */
static void report_uncalibrated(const job *j, cli_call *call, const char *target)
{
    const bool        halves = j->config.weight.dtype == OCTET_F16;
    const char *const dynamic = halves ? NULL : octet_dynamic_name(j->config.activation.dynamic);
    cli_say(call, "%-14s%s%s%s, target %s\n", "ranges",
            dynamic ? "of inputs are found when layers run, for each " : "of weights alone", dynamic ? dynamic : "",
            dynamic ? "" : "; activations stay real", target);
    cli_json_set(call->document, "dynamic", dynamic ? cli_json_text(dynamic) : json_null());
}

/* Weights alone: what was gained, and what it cost. */
static octet_status report_weights(const job *j, cli_call *call, octet_error *err)
{
    octet_weight_sizes sizes;
    json_t *const      weights = cli_json_object();
    char               text[3][32];
    struct stat        before;
    OCTET_TRY(octet_weigh(&sizes, j->real, j->quantized, err));
    if (!stat(call->args.operands[0], &before))
        cli_say(call, "%-14s%s\n", "file was", cli_bytes(text[0], (double)before.st_size));
    cli_say(call, "%-14s%s became %s, %.2f bits each; %s stay as they are\n", "weights",
            cli_bytes(text[0], (double)sizes.before), cli_bytes(text[1], (double)sizes.after), sizes.bits,
            cli_bytes(text[2], (double)sizes.kept));
    cli_say(call, "%-14s%s\n", "weights' SQNR", cli_decibel(text[0], sizes.sqnr_db));
    cli_json_set(weights, "count", cli_json_count(sizes.count));
    cli_json_set(weights, "bytes_before", cli_json_count(sizes.before));
    cli_json_set(weights, "bytes_after", cli_json_count(sizes.after));
    cli_json_set(weights, "bytes_kept", cli_json_count(sizes.kept));
    cli_json_set(weights, "bits", cli_json_number(sizes.bits));
    cli_json_set(weights, "sqnr_db", cli_json_number(sizes.sqnr_db));
    cli_json_set(call->document, "weights", weights);
    return OCTET_OK;
}

static void report_measured(const job *j, cli_call *call)
{
    char text[32];
    report_steps(j, call);
    cli_json_set(call->document, "output_sqnr_db", cli_json_number(j->comparison ? j->scores[0].sqnr_db : NAN));
    cli_json_set(call->document, "output_sqnr_samples", cli_json_count(j->scores[0].count));
    if (!j->comparison) {
        cli_say(call, "%-14snot measured%s\n", "output SQNR", j->data ? "" : " (no --data)");
        return;
    }
    cli_say(call, "%-14s%s on %zu samples of the calibration data\n", "output SQNR",
            cli_decibel(text, j->scores[0].sqnr_db), j->scores[0].count);
    report_layers(call, j->comparison);
}

static octet_status report(job *j, cli_call *call, octet_error *err)
{
    json_t *const document = call->document;
    const char   *method   = octet_method_name(j->config.activation.method);
    const char   *target   = j->config.target ? j->config.target : octet_target_name(0);
    if (!calibrates(&j->config)) report_uncalibrated(j, call, target);
    else cli_say(call, "%-14smethod %s on %zu samples, target %s\n", "ranges", method, j->count, target);
    const bool alone = j->config.activation.off && !j->config.activation.dynamic;
    if (alone) OCTET_TRY(report_weights(j, call, err));
    report_measured(j, call);
    if (!alone || call->args.verbose) cli_report_nodes(call, j->quantized); /* alone, none is of levels */
    cli_report_cost(call, j->began);
    cli_json_set(document, "model", cli_json_text(call->args.operands[0]));
    cli_json_set(document, "qconfig", cli_json_text(j->config.name));
    cli_json_set(document, "method", cli_json_text(method));
    cli_json_set(document, "target", cli_json_text(target));
    cli_json_set(document, "samples", cli_json_count(j->count));
    return OCTET_OK;
}

/* Said once, whatever -v says. */
static void warn_of_input(const job *j, cli_call *call)
{
    char text[400];
    for (size_t i = 0; i < octet_graph_decision_count(j->quantized); i++) {
        const octet_decision d = octet_graph_decision(j->quantized, i);
        if (strcmp(d.what, OCTET_INPUT_UNUSUAL) != 0) continue;
        snprintf(text, sizeof text, "input '%s' looks as if it were not prepared as in training: %s", d.node, d.why);
        cli_warn(call, text);
        return;
    }
}

static octet_status work(job *j, cli_call *call, octet_error *err)
{
    OCTET_TRY(cli_qconfig(&j->config, &call->args, err));
    OCTET_TRY(cli_overrides_read(&j->overrides, &call->args, err));
    j->config.tensors      = j->overrides.rules;
    j->config.tensor_count = j->overrides.count;
    cli_border_ask(&j->config, &call->args);
    OCTET_TRY(open_inputs(j, call, err));
    cli_border_fold(&j->config, &call->args, j->real, j->data);
    if (call->args.dry_run) {
        OCTET_TRY(cli_prepared(octet_prepare(j->real, &j->config, err), &call->args, err));
        cli_say(call, "would calibrate on %zu samples; nothing was run or written\n", j->count);
        cli_report_nodes(call, j->real);
        cli_json_set(call->document, "dry_run", json_true());
        cli_json_set(call->document, "samples", cli_json_count(j->count));
        return OCTET_OK;
    }
    const char *const recipe = j->statistics ? octet_statistics_recipe(j->statistics) : NULL;
    OCTET_TRY(cli_prepared(quantize(j, call, err), &call->args, err));
    warn_of_input(j, call);
    OCTET_TRY(cli_describe(j->quantized, j->data, recipe, call, err));
    OCTET_TRY(cli_border_expose(j->quantized, &j->config, j->data, call, err));
    OCTET_TRY(check(j, call, err));
    OCTET_TRY(cli_save(j->quantized, call, err));
    OCTET_TRY(report(j, call, err));
    return cli_report_file(call, err);
}

octet_status cli_quantize(cli_call *call, octet_error *err)
{
    job j = { .began = cli_now() };
    if (call->args.print_config) return cli_print_config(call);
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

/* What --bias-correct means where nothing follows comes first. */
static const char *bias_word(size_t index)
{
    static const char *const words[] = { "sequential", "analytic" };
    return index < sizeof words / sizeof *words ? words[index] : NULL;
}

static const cli_option step_options[] = {
    { "equalize", 0, CLI_FLAG, NULL, AT(equalize), NULL, "balance channels across layers", .section = "quantize" },
    { "round", 0, CLI_WORD, "nearest|feedback", AT(rounding), "nearest",
      "feedback: round weights so that each layer's output error is least", .section = "quantize" },
    { "batch", 0, CLI_COUNT, "N", AT(batch), "1",
      "samples that moving_average and histogram observe at once, like a batch of PyTorch", .section = "calibration",
      .low = 1, .high = 1e6 },
    { "bias-correct", 0, CLI_OPTIONAL, "HOW", AT(bias_correct), NULL,
      "take back every layer's mean error, measured in the quantized network or found without data from batch norms",
      .section = "quantize", .word = bias_word },
    { "held-back", 0, CLI_COUNT, "N", AT(held_back), "4", "one sample in N judges these steps and is unknown to them",
      .section = "quantize", .low = 2, .high = 1e9 },
    { NULL },
};
static const cli_option statistics_options[] = {
    { "calib", 0, CLI_TEXT, "FILE", AT(statistics), NULL,
      "what 'octet calibrate' has seen, in place of --data, or beside it for --method output and for steps" },
    { NULL },
};
static const cli_group quantize_groups[] = {
    { "input and output", cli_optional_data_options },
    { "statistics", statistics_options },
    { "result", cli_output_options },
    { "types", cli_type_options },
    { "weights alone, and embeddings", cli_weight_options },
    { "inputs and outputs of the network", cli_border_options },
    { "quantization", cli_qconfig_options },
    { "single tensors", cli_override_options },
    { "losing less (a step stays only where it measures better)", step_options },
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
    { "quantize net.onnx --data photos/ --equalize --round feedback --bias-correct -o net.int8.onnx",
      "everything that may help; what does not is left out" },
    { "quantize net.onnx --dynamic -o net.int8.onnx", "without data: inputs of layers become levels when these run" },
    { "quantize net.onnx --weight-only s4 --group 32 -o net.s4.onnx",
      "4-bit weights, one scale for each 32 input channels; no data, activations stay float" },
    { "quantize net.onnx --data calib.npz --target portable --json=report.json -o net.int8.onnx",
      "for other runtimes, with a machine-readable report" },
    { "quantize net.onnx --data photos/ --preprocess unit --input-type u8 --output-type u8 -o net.int8.onnx",
      "bytes in, bytes out: no float at the border" },
    { "quantize net.onnx --calib net.calib --method percentile -o net.int8.onnx",
      "from statistics that 'octet calibrate' has gathered" },
    { NULL },
};

const cli_syntax cli_quantize_syntax = { "MODEL", 1, 1, quantize_groups, quantize_examples };
