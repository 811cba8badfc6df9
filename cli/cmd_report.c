/* SPDX-License-Identifier: Apache-2.0 */
/* octet report: one page about an int8 network beside the float one it came from. */
#include "cli.h"

#include <math.h>
#include <string.h>

#define TIMING_SECONDS 2

typedef struct reporting {
    cli_pair          pair;
    octet_comparison *comparison;
    octet_bench      *bench;
} reporting;

static octet_status measure_time(reporting *r, cli_call *call, octet_error *err)
{
    const octet_bench_options options = {
        .plan = { .engines = call->args.engine, .threads = call->args.threads, .limits = call->args.limits },
        .data = r->pair.data, .seconds = call->args.seconds > 0 ? call->args.seconds : TIMING_SECONDS, .layers = true,
        .progress = cli_progress_step, .progress_context = call,
    };
    return octet_bench_run(&r->bench, r->pair.quantized, r->pair.real, &options, err);
}

static octet_status write_page(const reporting *r, cli_call *call, octet_error *err)
{
    const octet_report_source  source  = { r->pair.real, r->pair.quantized, r->pair.data, r->comparison, r->bench };
    const octet_report_options options = {
        .evaluate = cli_evaluate_options(call), .title = call->args.title,
        .reference_name = call->args.operands[0], .quantized_name = call->args.operands[1],
        .data_name = call->args.data_path, .replace = call->args.force,
    };
    return octet_report_write(call->args.output, &source, &options, err);
}

static void summarize(const reporting *r, cli_call *call)
{
    const octet_comparison *const c = r->comparison;
    char                          text[32];
    double                        ratio = NAN;
    if (r->bench && r->bench->baseline)
        ratio = r->bench->engines[0].time.min / r->bench->baseline->time.min;
    cli_pair_describe(call, c, "comparison");
    cli_json_set(call->document, "layers", cli_json_count(c->layer_count));
    cli_json_set(call->document, "time_ratio", cli_json_number(ratio));
    cli_say(call, "%-14sSQNR %s, cosine %.6f, on %zu samples\n", "output", cli_decibel(text, c->output_sqnr_db),
            c->output_cosine, c->samples);
    if (isnan(ratio)) return;
    cli_say(call, "%-14s%.3f of float (fastest of %zu runs each, in turns)\n", "time", ratio,
            r->bench->engines[0].time.runs);
}

static octet_status work(reporting *r, cli_call *call, octet_error *err)
{
    const octet_evaluate_options options = cli_evaluate_options(call);
    OCTET_TRY(cli_pair_load(&r->pair, call, err));
    OCTET_TRY(octet_compare(&r->comparison, r->pair.real, r->pair.quantized, r->pair.data, &options, err));
    if (!call->args.untimed) OCTET_TRY(measure_time(r, call, err));
    OCTET_TRY(write_page(r, call, err));
    cli_progress_end(call);
    summarize(r, call);
    return cli_report_file(call, err);
}

octet_status cli_report_page(cli_call *call, octet_error *err)
{
    reporting r = { 0 };
    if (!call->args.output) return octet_fail(err, OCTET_ERR_ARGUMENT, "option '--output FILE' is missing");
    OCTET_TRY(cli_check_outputs(call, err));
    const octet_status status = work(&r, call, err);
    if (status != OCTET_OK && status != OCTET_ERR_ARGUMENT) octet_error_file(err, call->args.operands[1]);
    octet_bench_free(r.bench);
    octet_comparison_free(r.comparison);
    cli_pair_free(&r.pair);
    return status;
}

#define AT(member) offsetof(cli_args, member)

static const cli_option report_options[] = {
    { "title", 0, CLI_TEXT, "TEXT", AT(title), "the quantized network's name", "the page's headline" },
    { "seconds", 0, CLI_NUMBER, "S", AT(seconds), "2", "time for measuring times", NULL, 0.001, 1e6,
      .opposite = "untimed" },
    { "untimed", 0, CLI_FLAG, NULL, AT(untimed), NULL, "measure no times", .opposite = "seconds" },
    { NULL },
};
static const cli_group report_groups[] = {
    { "input (32 samples unless --limit says otherwise)", cli_data_options },
    { "output", cli_output_options },
    { "the page", report_options },
    { "preparing samples", cli_preprocess_options },
    { "which samples", cli_subset_options },
    { "engines", cli_engine_options },
    { "common options", cli_common_options },
    { "limits", cli_limit_options },
    { NULL },
};
static const cli_example report_examples[] = {
    { "report net.onnx net.int8.onnx --data photos/ -o net.html", "errors, ranges and times of every layer on a page" },
    { "report net.onnx net.int8.onnx --data calib.npy --untimed -f -o net.html", "the same without times" },
    { NULL },
};
const cli_syntax cli_report_syntax = { "FLOAT QUANTIZED", 2, 2, report_groups, report_examples };
