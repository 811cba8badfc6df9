/* SPDX-License-Identifier: Apache-2.0 */
/* octet calibrate: statistics of samples as a file. A run that was ended goes on from OUTPUT.part; --merge makes one
   file of several, and no model is needed for that. */
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct job {
    octet_qconfig     config;
    octet_graph      *graph;
    octet_dataset    *data;
    octet_statistics *statistics;
    const char       *partial;
    size_t            resumed;
} job;

static void job_free(job *j)
{
    octet_statistics_free(j->statistics);
    octet_dataset_free(j->data);
    octet_graph_free(j->graph);
}

/* ---- samples through a network ---- */

/* The log: a sample is named once, in the run that made it safe. */
static void name_sample(void *context, const char *name, uint64_t identity)
{
    cli_call *const call = context;
    char            clean[96];
    if (call->args.verbose)
        cli_say(call, "sample        %s %016llx\n", cli_clean(clean, name), (unsigned long long)identity);
}

static octet_status gather(job *j, cli_call *call, octet_error *err)
{
    const cli_args *const      a       = &call->args;
    const octet_gather_options options = {
        .calibrate      = { .threads = a->threads, .limits = a->limits, .progress = cli_progress_step,
                            .progress_context = call },
        .partial        = j->partial,
        .restart        = a->restart,
        .sample         = name_sample,
        .sample_context = call,
    };
    const octet_status status = octet_statistics_gather(&j->statistics, &j->resumed, j->graph, j->data, &options, err);
    const bool partial = status != OCTET_OK && !strcmp(err->file, j->partial);
    call->writing      = partial && status == OCTET_ERR_FILE;
    if (partial && !call->writing) snprintf(call->hint, sizeof call->hint, "--restart begins anew");
    return status;
}

static octet_status calibrate(job *j, cli_call *call, octet_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.part", call->args.output);
    j->partial = cli_args_keep(&call->args, path);
    OCTET_TRY(cli_qconfig(&j->config, &call->args, err));
    OCTET_TRY(cli_load_float(&j->graph, call, err));
    OCTET_TRY(cli_open_data(&j->data, call, j->graph, 0, err));
    cli_warn(call, octet_dataset_warnings(j->data));
    OCTET_TRY(cli_prepared(octet_prepare(j->graph, &j->config, err), &call->args, err));
    return gather(j, call, err);
}

/* ---- several files as one ---- */

static octet_status merge_file(job *j, cli_call *call, const char *path, octet_error *err)
{
    octet_statistics *other;
    size_t            shared = 0;
    char              text[512];
    OCTET_TRY(octet_statistics_read(&other, path, err));
    const octet_status status = octet_statistics_merge(j->statistics, &shared, other, err);
    octet_statistics_free(other);
    if (status != OCTET_OK) octet_error_file(err, path);
    if (status != OCTET_OK || !shared) return status;
    snprintf(text, sizeof text, "%zu samples of %.200s are in the files before it, too, and count twice", shared, path);
    cli_warn(call, text);
    return OCTET_OK;
}

static octet_status merge(job *j, cli_call *call, octet_error *err)
{
    const cli_args *const a = &call->args;
    if (a->data_path) return octet_fail(err, OCTET_ERR_ARGUMENT, "--merge reads statistics (got --data, too)");
    OCTET_TRY(octet_statistics_read(&j->statistics, a->operands[0], err));
    for (int i = 1; i < a->operand_count; i++) OCTET_TRY(merge_file(j, call, a->operands[i], err));
    return OCTET_OK;
}

/* ---- the verb ---- */

static octet_status check_words(const cli_args *a, octet_error *err)
{
    if (!a->output) return octet_fail(err, OCTET_ERR_ARGUMENT, "option '--output FILE' is missing");
    if (a->merge) return OCTET_OK;
    if (a->operand_count > 1)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "unexpected operand '%s' (need MODEL, or --merge FILE...)",
                          a->operands[1]);
    if (!a->data_path) return octet_fail(err, OCTET_ERR_ARGUMENT, "option '--data PATH' is missing");
    return OCTET_OK;
}

static octet_status work(job *j, cli_call *call, octet_error *err)
{
    const cli_args *const a     = &call->args;
    const double          began = cli_now();
    OCTET_TRY(a->merge ? merge(j, call, err) : calibrate(j, call, err));
    const size_t count = octet_statistics_count(j->statistics);
    call->writing      = true;
    OCTET_TRY(octet_statistics_write(j->statistics, a->output, a->force, err));
    if (j->partial) unlink(j->partial);
    cli_say(call, "%-14s%zu samples", "statistics", count);
    if (j->resumed) cli_say(call, ", %zu of them from an earlier run", j->resumed);
    cli_say(call, "\n");
    cli_json_set(call->document, "samples", cli_json_count(count));
    cli_json_set(call->document, "resumed", cli_json_count(j->resumed));
    cli_report_cost(call, began);
    return cli_report_file(call, err);
}

octet_status cli_calibrate(cli_call *call, octet_error *err)
{
    job j = { 0 };
    if (call->args.print_config) return cli_print_config(call);
    OCTET_TRY(check_words(&call->args, err));
    OCTET_TRY(cli_check_outputs(call, err));
    const octet_status status = work(&j, call, err);
    if (status != OCTET_OK && status != OCTET_ERR_ARGUMENT) octet_error_file(err, call->args.operands[0]);
    job_free(&j);
    return status;
}

#define AT(member) offsetof(cli_args, member)

static const cli_option calibrate_options[] = {
    { "merge", 0, CLI_FLAG, NULL, AT(merge), NULL, "make one file of several that this command wrote" },
    { "restart", 0, CLI_FLAG, NULL, AT(restart), NULL, "forget what an interrupted run left in FILE.part" },
    { NULL },
};
static const cli_group calibrate_groups[] = {
    { "input and output", cli_optional_data_options },
    { "result", cli_output_options },
    { "statistics", calibrate_options },
    { "types", cli_type_options },
    { "quantization", cli_qconfig_options },
    { "preparing samples", cli_preprocess_options },
    { "which samples", cli_subset_options },
    { "common options", cli_common_options },
    { "limits", cli_limit_options },
    { NULL },
};
static const cli_example calibrate_examples[] = {
    { "calibrate net.onnx --data photos/ --preprocess imagenet -o net.calib",
      "the same command goes on where an interrupted one ended" },
    { "calibrate net.onnx --data photos/ --limit 500 -o a.calib", "the first 500, perhaps on another machine" },
    { "calibrate --merge a.calib b.calib -o net.calib", "to the byte what one run over all samples gives" },
    { "quantize net.onnx --calib net.calib --method minmax -o net.int8.onnx", "what it is good for" },
    { NULL },
};
const cli_syntax cli_calibrate_syntax = { "MODEL | --merge FILE...", 1, 0, calibrate_groups, calibrate_examples };
