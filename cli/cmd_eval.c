/* SPDX-License-Identifier: Apache-2.0 */
/* octet eval: what a network scores on data, beside its float baseline; with --max-drop the answer is the exit code. */
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The metric asked for, else the one that the data allows. */
static octet_metric choose_metric(const cli_call *call, const octet_dataset *data, const octet_scores *scores)
{
    if (call->args.metric) return (octet_metric)cli_word_index(call->args.metric, cli_metric_word);
    if (octet_dataset_has_labels(data)) return OCTET_METRIC_TOP1;
    if (call->args.data.reference) return OCTET_METRIC_PSNR;
    return isnan(scores->mse) ? OCTET_METRIC_SQNR : OCTET_METRIC_MSE;
}

static void print_share(cli_call *call, const char *title, double a, double b, bool both)
{
    if (isnan(a)) return;
    cli_say(call, "%-12s%10.2f %%", title, 100 * a);
    if (both && !isnan(b)) cli_say(call, "%10.2f %%%+10.2f", 100 * b, 100 * (a - b));
    cli_say(call, "\n");
}

static void print_value(cli_call *call, const char *title, double a, double b, bool both)
{
    if (isnan(a)) return;
    cli_say(call, "%-12s%12.5g", title, a);
    if (both && !isnan(b)) cli_say(call, "%12.5g%+10.2g", b, a - b);
    cli_say(call, "\n");
}

/* Half the width of the 95 % interval of a share measured on count samples. */
static double confidence(double share, size_t count)
{
    return count ? 1.96 * sqrt(share * (1 - share) / (double)count) : 0;
}

static void print_scores(cli_call *call, const octet_scores s[2], bool both)
{
    char text[32];
    cli_say(call, "%-12s%12s%s\n", "", "model", both ? "    baseline    change" : "");
    print_share(call, "top-1", s[0].top1, s[1].top1, both);
    print_share(call, "top-5", s[0].top5, s[1].top5, both);
    print_value(call, "MSE", s[0].mse, s[1].mse, both);
    print_value(call, "PSNR dB", s[0].psnr_db, s[1].psnr_db, both);
    if (both && !isnan(s[0].agreement))
        cli_say(call, "%-12s%10.2f %%  of the samples have the baseline's top class\n", "agreement",
                100 * s[0].agreement);
    if (both)
        cli_say(call, "%-12s%12s  of the %s output against the baseline's\n", "SQNR",
                cli_decibel(text, s[0].sqnr_db), call->args.output_name ? "scored" : "first");
    cli_say(call, "%-12s%12zu", "samples", s[0].count);
    if (!isnan(s[0].top1))
        cli_say(call, "  (top-1 is certain within %.2f points, 95 %%)", 100 * confidence(s[0].top1, s[0].count));
    cli_say(call, "\n%-12s%10.2f s", "engine", s[0].seconds);
    if (both) cli_say(call, "%10.2f s", s[1].seconds);
    cli_say(call, "\n");
}

static octet_status judge(cli_call *call, const octet_scores scores[2], octet_metric metric, octet_error *err)
{
    const char *const name = octet_metric_name(metric);
    const double      drop = octet_score_drop(scores, metric);
    cli_json_set(call->document, "drop", cli_json_number(drop));
    if (!call->args.max_drop) return OCTET_OK;
    double gate;
    bool   share;
    OCTET_TRY(cli_parse_loss(&gate, &share, call->args.max_drop, metric, err));
    if (share) gate *= fabs(octet_score(&scores[1], metric)) / 100;
    if (isnan(drop)) {
        octet_error_field(err, "--max-drop");
        return octet_fail(err, OCTET_ERR_ARGUMENT, "no %s on this data to judge by (need labels or --reference)", name);
    }
    const bool passed = drop <= gate;
    cli_say(call, "%-12s%12s  %s lost %.4g, allowed %.4g\n", "gate", passed ? "met" : "NOT MET", name, drop, gate);
    cli_json_set(call->document, "max_drop", cli_json_number(gate));
    cli_json_set(call->document, "passed", json_boolean(passed));
    if (!passed) call->exit_code = CLI_GATE;
    return OCTET_OK;
}

typedef struct evaluation {
    octet_graph   *model, *baseline;
    octet_dataset *data;
    octet_scores   scores[2];
    double        *outputs_db; /* one for each output of the model */
} evaluation;

/* How far all outputs are from the baseline's, where there are several. */
static void report_outputs(const evaluation *e, cli_call *call)
{
    const size_t  count = octet_graph_output_count(e->model);
    json_t *const list  = cli_json_array();
    char          clean[96], text[32];
    for (size_t i = 0; i < count; i++) {
        const char *const name = octet_graph_output(e->model, i).name;
        json_t *const     row  = cli_json_object();
        cli_json_set(row, "name", cli_json_text(name));
        cli_json_set(row, "sqnr_db", cli_json_number(e->outputs_db[i]));
        cli_json_add(list, row);
        if (count > 1)
            cli_say(call, "%-12s%12s  of output %s\n", i ? "" : "SQNR of all", cli_decibel(text, e->outputs_db[i]),
                    cli_clean(clean, name));
    }
    cli_json_set(call->document, "outputs", list);
}

static octet_status report(evaluation *e, cli_call *call, octet_error *err)
{
    const octet_metric metric = choose_metric(call, e->data, e->scores);
    const double       score  = octet_score(e->scores, metric);
    if (call->args.metric && isnan(score)) {
        octet_error_field(err, "--metric");
        return octet_fail(err, OCTET_ERR_ARGUMENT, "no %s on this data (need %s)", call->args.metric,
                          metric <= OCTET_METRIC_TOP5      ? "--labels"
                          : octet_metric_compares(metric) ? "--baseline"
                                                        : "--reference");
    }
    print_scores(call, e->scores, e->baseline != NULL);
    cli_json_set(call->document, "model", cli_json_text(call->args.operands[0]));
    cli_json_set(call->document, "metric", cli_json_text(octet_metric_name(metric)));
    cli_json_set(call->document, "score", cli_json_number(score));
    cli_json_scores(call->document, &e->scores[0]);
    if (!e->baseline) return OCTET_OK;
    json_t *const baseline = cli_json_object();
    cli_json_scores(baseline, &e->scores[1]);
    cli_json_set(call->document, "baseline", baseline);
    report_outputs(e, call);
    return judge(call, e->scores, metric, err);
}

static octet_status work(evaluation *e, cli_call *call, octet_error *err)
{
    octet_evaluate_options options = cli_evaluate_options(call);
    double                 ignored;
    bool                   share;
    if (call->args.max_drop)
        OCTET_TRY(cli_parse_loss(&ignored, &share, call->args.max_drop, OCTET_METRIC_TOP1, err)); /* before the work */
    OCTET_TRY(cli_load(&e->model, call, call->args.operands[0], err));
    if (call->args.baseline) OCTET_TRY(cli_load(&e->baseline, call, call->args.baseline, err));
    OCTET_TRY(cli_open_data(&e->data, call, e->model, 0, err));
    cli_warn(call, octet_dataset_warnings(e->data));
    e->outputs_db      = cli_alloc(octet_graph_output_count(e->model), sizeof *e->outputs_db);
    options.output     = call->args.output_name;
    options.outputs_db = e->outputs_db;
    OCTET_TRY(octet_evaluate(e->scores, e->model, e->baseline, e->data, &options, err));
    return report(e, call, err);
}

octet_status cli_eval(cli_call *call, octet_error *err)
{
    evaluation e = { 0 };
    if (call->args.max_drop && !call->args.baseline)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "--max-drop needs --baseline FLOAT");
    OCTET_TRY(cli_check_outputs(call, err));
    const octet_status status = work(&e, call, err);
    if (status != OCTET_OK && status != OCTET_ERR_ARGUMENT) octet_error_file(err, call->args.operands[0]);
    free(e.outputs_db);
    octet_dataset_free(e.data);
    octet_graph_free(e.baseline);
    octet_graph_free(e.model);
    return status;
}

#define AT(member) offsetof(cli_args, member)

static const cli_option eval_options[] = {
    { "baseline", 0, CLI_TEXT, "MODEL", AT(baseline), NULL, "the float network to compare with" },
    { "max-drop", 0, CLI_TEXT, "X[%]", AT(max_drop), NULL,
      "exit 4 if the baseline's score is missed by more: points for top1, top5 and agreement, else the metric's unit" },
    { "metric", 0, CLI_WORD, "NAME", AT(metric), "what the data allows", "which score counts",
      .word = cli_metric_word },
    { "output-name", 0, CLI_TEXT, "NAME", AT(output_name), "the first", "the output that is scored" },
    { "reference", 0, CLI_TEXT, "FILE.npy", AT(data.reference), NULL,
      "true outputs, for mse and psnr (bytes mean byte/255)" },
    { "border", 0, CLI_INTEGER, "N", AT(border), "0", "pixels at each side that mse and psnr leave out", NULL, 0, 1e6 },
    { NULL },
};
static const cli_group eval_groups[] = {
    { "input", cli_data_options },
    { "scores", eval_options },
    { "preparing samples", cli_preprocess_options },
    { "which samples", cli_subset_options },
    { "engines", cli_engine_options },
    { "common options", cli_common_options },
    { "limits", cli_limit_options },
    { NULL },
};
static const cli_example eval_examples[] = {
    { "eval net.int8.onnx --data validation/ --baseline net.onnx --max-drop 1%",
      "accuracy of both; exit 4 if int8 loses more than one point" },
    { "eval net.onnx --data test_batch.bin.gz --preprocess imagenet --json", "a JSON document, CIFAR data" },
    { "eval sr.int8.onnx --data low.npy --reference high.npy --border 6 --metric psnr", "a network that makes images" },
    { NULL },
};
const cli_syntax cli_eval_syntax = { "MODEL", 1, 1, eval_groups, eval_examples };
