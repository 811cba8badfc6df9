/* SPDX-License-Identifier: Apache-2.0 */
/* octet tune: the fastest int8 network within an accuracy budget. The journal lies beside the output and stays: the
   same command goes on where it stopped, and another budget begins with all that is known. */
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct job {
    octet_qconfig      config;
    octet_tune_options options;
    octet_graph       *graph, *result;
    octet_dataset     *data[2]; /* to calibrate, to judge */
    octet_tuning      *tuning;
    cli_call          *call;
    size_t             done; /* trials */
    double             began;
} job;

static void job_free(job *j)
{
    octet_tuning_free(j->tuning);
    octet_dataset_free(j->data[1]);
    octet_dataset_free(j->data[0]);
    octet_graph_free(j->result);
    octet_graph_free(j->graph);
}

/* ---- the budget ---- */

/* The metric asked for, else what the data allows: without labels and true outputs, whether the classes stay. */
static octet_metric choose_metric(const cli_args *args, const octet_dataset *validation)
{
    if (args->metric) return (octet_metric)cli_word_index(args->metric, cli_metric_word);
    if (args->min_sqnr > 0) return OCTET_METRIC_SQNR;
    if (args->validation.reference) return OCTET_METRIC_PSNR;
    return octet_dataset_has_labels(validation) ? OCTET_METRIC_TOP1 : OCTET_METRIC_AGREEMENT;
}

static octet_status read_budget(job *j, const cli_args *args, octet_error *err)
{
    octet_tune_options *const o = &j->options;
    o->metric                   = choose_metric(args, j->data[1]);
    o->min_sqnr_db              = args->min_sqnr;
    if ((o->metric == OCTET_METRIC_SQNR) != (args->min_sqnr > 0))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "--metric sqnr and --min-sqnr DB belong together");
    if (!args->max_drop) return OCTET_OK;
    return cli_parse_loss(&o->max_drop, &o->max_drop_share, args->max_drop, o->metric, err);
}

/* What can be said before anything is read. */
static octet_status check_words(const cli_args *args, octet_error *err)
{
    double loss;
    bool   share;
    if (!args->output && !args->dry_run)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "option '--output FILE' is missing");
    if (!args->validation.path) return octet_fail(err, OCTET_ERR_ARGUMENT, "option '--val PATH' is missing");
    if (!args->max_drop && !(args->min_sqnr > 0))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "a budget is missing ('--max-drop X' or '--min-sqnr DB')");
    if (args->max_drop && args->min_sqnr > 0)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "'--max-drop' and '--min-sqnr' contradict each other");
    return args->max_drop ? cli_parse_loss(&loss, &share, args->max_drop, OCTET_METRIC_TOP1, err) : OCTET_OK;
}

/* ---- the search ---- */

static int on_progress(void *context, const octet_progress *progress)
{
    job *const     j = context;
    char           phase[32];
    octet_progress shown = *progress;
    snprintf(phase, sizeof phase, "trial %zu: %.20s", j->done + 1, progress->phase);
    shown.phase = phase;
    return cli_progress_step(j->call, &shown) || cli_signals_pending();
}

static int on_trial(void *context, const octet_tune_trial *trial)
{
    job *const j = context;
    (void)trial;
    j->done++;
    return cli_signals_pending();
}

static void set_options(job *j, const cli_args *args)
{
    octet_tune_options *const o = &j->options;
    o->qconfig         = &j->config;
    o->methods         = args->method ? 1u << cli_word_index(args->method, cli_method_word) : 0;
    o->ranges_only     = args->ranges_only;
    o->explore         = args->explore;
    o->trials          = args->trials;
    o->seconds         = args->seconds_at_most;
    o->bench_seconds   = args->seconds;
    o->journal         = args->journal;
    o->restart         = args->restart;
    o->evaluate        = cli_evaluate_options(j->call);
    o->evaluate.progress = NULL;
    o->calibrate = (octet_calibrate_options){ .threads = args->threads, .limits = args->limits,
                                              .progress = on_progress, .progress_context = j };
    o->on_trial         = on_trial;
    o->on_trial_context = j;
}

static octet_status open_inputs(job *j, cli_call *call, octet_error *err)
{
    const cli_args *const args = &call->args;
    OCTET_TRY(cli_qconfig(&j->config, args, err));
    OCTET_TRY(cli_load(&j->graph, call, args->operands[0], err));
    OCTET_TRY(octet_fuse(j->graph, err));
    OCTET_TRY(cli_open_data(&j->data[0], call, j->graph, 0, err));
    cli_warn(call, octet_dataset_warnings(j->data[0]));
    OCTET_TRY(cli_open_other(&j->data[1], call, j->graph, &args->validation, err));
    set_options(j, args);
    return read_budget(j, args, err);
}

static octet_status search(job *j, cli_call *call, octet_error *err)
{
    octet_error why = { 0 };
    cli_signals_defer(true);
    const octet_status status = cli_prepared(
        octet_tune(&j->result, &j->tuning, j->graph, j->data, &j->options, &why), &call->args, &why);
    cli_progress_end(call);
    if (status != OCTET_OK) {
        const bool journal = call->args.journal && !strcmp(why.file, call->args.journal);
        if (journal && status == OCTET_ERR_FILE) call->writing = true; /* it is an output */
        if (journal && status == OCTET_ERR_FORMAT)
            snprintf(call->hint, sizeof call->hint, "--restart begins anew, --journal FILE keeps another one");
        if (cli_signals_pending())
            snprintf(call->hint, sizeof call->hint, "the same command goes on after %zu trials", j->done);
        if (err) *err = why;
        return status;
    }
    cli_signals_defer(false);
    return OCTET_OK;
}

/* ---- the report ---- */

static void print_trial(const job *j, size_t index)
{
    const octet_tune_trial *const t = &j->tuning->trials[index];
    char                          text[160], decibel[32], score[32];
    octet_tune_config_print(text, sizeof text, &t->config);
    if (octet_metric_is_share(j->tuning->metric)) snprintf(score, sizeof score, "%.2f %%", 100 * t->score);
    else snprintf(score, sizeof score, "%.5g", t->score);
    cli_say(j->call, "%4zu %c%c %-40s", index + 1, t == j->tuning->best ? '>' : ' ', t->frontier ? '*' : ' ', text);
    if (t->failed) cli_say(j->call, "  not possible: %s\n", t->failed);
    else
        cli_say(j->call, "%10s%+9.2f%11s%8.3f%9.3f%8.1f\n", score, t->drop, cli_decibel(decibel, t->sqnr_db),
                t->latency, t->predicted, t->seconds);
}

static void print_trials(const job *j)
{
    const octet_tuning *const t = j->tuning;
    cli_say(j->call, "%4s    %-40s%10s%9s%11s%8s%9s%8s\n", "", "configuration", octet_metric_name(t->metric),
            t->metric == OCTET_METRIC_SQNR ? "missing" : "lost",
            "SQNR", "time", "by sum", "took s");
    for (size_t i = 0; i < t->trial_count; i++) print_trial(j, i);
    cli_say(j->call, "> the result, * the frontier; time: of a run, by that without float layers");
    if (isfinite(t->float_latency)) cli_say(j->call, " (float: %.2f)", t->float_latency);
    cli_say(j->call, "\n");
}

static json_t *trial_object(const octet_tune_trial *t)
{
    json_t *const object = cli_json_object(), *const floats = cli_json_array();
    for (size_t i = 0; i < t->config.float_count; i++) cli_json_add(floats, cli_json_text(t->config.floats[i]));
    cli_json_set(object, "method", cli_json_text(octet_method_name(t->config.method)));
    cli_json_set(object, "percentile", cli_json_number(t->config.percentile));
    cli_json_set(object, "equalize", cli_json_count((uint64_t)t->config.equalize));
    cli_json_set(object, "round_feedback", json_boolean(t->config.rounding == OCTET_ROUND_FEEDBACK));
    cli_json_set(object, "bias_correction", cli_json_count(t->config.bias_correction));
    cli_json_set(object, "float_layers", floats);
    cli_json_set(object, "score", cli_json_number(t->score));
    cli_json_set(object, "drop", cli_json_number(t->drop));
    cli_json_set(object, "sqnr_db", cli_json_number(t->sqnr_db));
    cli_json_set(object, "agreement", cli_json_number(t->agreement));
    cli_json_set(object, "latency", cli_json_number(t->latency));
    cli_json_set(object, "predicted_latency", cli_json_number(t->predicted));
    cli_json_set(object, "seconds", cli_json_number(t->seconds));
    cli_json_set(object, "meets", json_boolean(t->meets));
    cli_json_set(object, "frontier", json_boolean(t->frontier));
    cli_json_set(object, "resumed", json_boolean(t->resumed));
    if (t->failed) cli_json_set(object, "failed", cli_json_text(t->failed));
    return object;
}

static void fill_document(job *j, cli_call *call)
{
    const octet_tuning *const t = j->tuning;
    json_t *const             d = call->document, *const trials = cli_json_array();
    for (size_t i = 0; i < t->trial_count; i++) cli_json_add(trials, trial_object(&t->trials[i]));
    cli_json_set(d, "model", cli_json_text(call->args.operands[0]));
    cli_json_set(d, "metric", cli_json_text(octet_metric_name(t->metric)));
    cli_json_set(d, "max_drop", cli_json_number(t->max_drop));
    if (t->metric == OCTET_METRIC_SQNR) cli_json_set(d, "min_sqnr_db", cli_json_number(j->options.min_sqnr_db));
    cli_json_set(d, "float_score", cli_json_number(t->float_score));
    cli_json_set(d, "float_latency", cli_json_number(t->float_latency));
    cli_json_set(d, "trials", trials);
    cli_json_set(d, "resumed", cli_json_count(t->resumed));
    cli_json_set(d, "stopped", json_boolean(t->stopped));
    cli_json_set(d, "passed", json_boolean(t->best != NULL));
    cli_json_set(d, "journal", cli_json_text(call->args.journal));
    cli_json_set(d, "best", t->best ? cli_json_count((uint64_t)(t->best - t->trials) + 1) : json_null());
}

static void print_best(const job *j)
{
    const octet_tuning *const     t    = j->tuning;
    const octet_tune_trial *const best = t->best ? t->best : t->closest;
    const char *const             name = octet_metric_name(t->metric);
    char                          clean[96], text[160] = "none";
    if (best) octet_tune_config_print(text, sizeof text, &best->config);
    if (t->metric == OCTET_METRIC_SQNR)
        cli_say(j->call, "%-14s%s: SQNR %.2f dB, need %.2f\n", t->best ? "budget met" : "budget NOT MET", text,
                best ? best->sqnr_db : NAN, j->options.min_sqnr_db);
    else
        cli_say(j->call, "%-14s%s: %s lost %.4g, allowed %.4g\n", t->best ? "budget met" : "budget NOT MET", text, name,
                best ? best->drop : NAN, t->max_drop);
    for (size_t i = 0; best && i < best->config.float_count; i++)
        cli_say(j->call, "%-14s%s\n", i ? "" : "float layers", cli_clean(clean, best->config.floats[i]));
    cli_say(j->call, "%-14s%zu, of these %zu from the journal%s\n", "trials", t->trial_count, t->resumed,
            t->stopped ? "; the search was stopped before its end" : "");
}

static octet_status write_frontier(job *j, cli_call *call, octet_error *err)
{
    const char *svg;
    const char *path = call->args.operands[0], *const slash = strrchr(path, '/');
    if (!call->args.frontier) return OCTET_OK;
    OCTET_TRY(octet_tuning_svg(&svg, j->tuning, slash ? slash + 1 : path, err));
    call->writing = true;
    return octet_file_write(call->args.frontier, svg, strlen(svg), call->args.force, err);
}

static octet_status dry_run(job *j, cli_call *call, octet_error *err)
{
    OCTET_TRY(cli_prepared(octet_prepare(j->graph, &j->config, err), &call->args, err));
    cli_say(call, "would calibrate on %zu samples and judge by %s on %zu; nothing was run or written\n",
            octet_dataset_count(j->data[0]), octet_metric_name(j->options.metric), octet_dataset_count(j->data[1]));
    cli_json_set(call->document, "dry_run", json_true());
    return OCTET_OK;
}

static octet_status work(job *j, cli_call *call, octet_error *err)
{
    OCTET_TRY(open_inputs(j, call, err));
    if (call->args.dry_run) return dry_run(j, call, err);
    OCTET_TRY(search(j, call, err));
    if (j->result) OCTET_TRY(cli_describe(j->result, j->data[0], NULL, call, err));
    if (j->result) OCTET_TRY(cli_save(j->result, call, err));
    OCTET_TRY(write_frontier(j, call, err));
    print_trials(j);
    print_best(j);
    fill_document(j, call);
    if (j->result) cli_report_nodes(call, j->result);
    cli_report_cost(call, j->began);
    if (j->result) return cli_report_file(call, err);
    cli_say(call, "%-14snothing\n", "written");
    call->exit_code = CLI_GATE;
    return OCTET_OK;
}

octet_status cli_tune(cli_call *call, octet_error *err)
{
    char path[4096];
    job  j = { .began = cli_now(), .call = call };
    if (call->args.print_config) return cli_print_config(call);
    OCTET_TRY(check_words(&call->args, err));
    if (!call->args.journal && call->args.output) {
        snprintf(path, sizeof path, "%.*s.tune.jsonl", (int)sizeof path - 16, call->args.output);
        call->args.journal = path;
    }
    OCTET_TRY(cli_check_outputs(call, err));
    const octet_status status = work(&j, call, err);
    if (status != OCTET_OK && status != OCTET_ERR_ARGUMENT) octet_error_file(err, call->args.operands[0]);
    job_free(&j);
    return status;
}

/* ---- what can be typed ---- */

#define AT(member) offsetof(cli_args, member)

static const cli_option tune_data_options[] = {
    CLI_OTHER_DATA("val", validation, "data that trials are judged by; needed"),
    { NULL },
};
static const cli_option tune_options[] = {
    { "max-drop", 0, CLI_TEXT, "X[%]", AT(max_drop), NULL,
      "the budget: loss against float, in points for top1, top5 and agreement, else the metric's unit; exit 4 if "
      "nothing meets it" },
    { "min-sqnr", 0, CLI_NUMBER, "DB", AT(min_sqnr), NULL, "the budget by --metric sqnr", NULL, 0.1, 1000 },
    { "metric", 0, CLI_WORD, "NAME", AT(metric), "what the data allows", "which score counts",
      .word = cli_metric_word },
    { "border", 0, CLI_INTEGER, "N", AT(border), "0", "pixels at each side that mse and psnr leave out", NULL, 0, 1e6 },
    { "trials", 0, CLI_COUNT, "N", AT(trials), "as many as it takes", "end the search after so many", NULL, 1, 1e9 },
    { "time", 0, CLI_NUMBER, "SECONDS", AT(seconds_at_most), "as long as it takes",
      "begin no trial after that time", NULL, 0.001, 1e9 },
    { "bench-time", 0, CLI_NUMBER, "SECONDS", AT(seconds), "2", "for which each network is timed", NULL, 0.001, 1e6 },
    { "explore", 0, CLI_FLAG, NULL, AT(explore), NULL,
      "go on after the budget is met: what more float layers would give" },
    { "ranges-only", 0, CLI_FLAG, NULL, AT(ranges_only), NULL, "try no equalization, rounding or bias correction" },
    { NULL },
};
static const cli_option tune_output_options[] = {
    { "output", 'o', CLI_TEXT, "FILE", AT(output), NULL, "where the result goes, if one meets the budget" },
    { "journal", 0, CLI_TEXT, "FILE", AT(journal), "OUTPUT.tune.jsonl",
      "trials, one a line; an existing one is gone on with" },
    { "restart", 0, CLI_FLAG, NULL, AT(restart), NULL, "empty the journal and begin anew" },
    { "frontier", 0, CLI_TEXT, "FILE.svg", AT(frontier), NULL, "draw accuracy against time of all trials" },
    { NULL },
};
static const cli_group tune_groups[] = {
    { "calibration data", cli_data_options },
    { "which samples", cli_subset_options },
    { "validation data", tune_data_options },
    { "search", tune_options },
    { "result", tune_output_options },
    { "types", cli_type_options },
    { "quantization", cli_qconfig_options },
    { "preparing samples", cli_preprocess_options },
    { "engines", cli_engine_options },
    { "common options", cli_common_options },
    { "limits", cli_limit_options },
    { NULL },
};
static const cli_example tune_examples[] = {
    { "tune net.onnx --data photos/ --every 4 --val photos/ --val-skip-every 4 --max-drop 0.3% -o net.int8.onnx",
      "every 4th photo calibrates, the others judge. The same command resumes" },
    { "tune net.onnx --data calib.npy --val other.npy --min-sqnr 30 -o net.int8.onnx --frontier net.svg",
      "without labels: outputs 30 dB above the error; a chart of all trials" },
    { "tune net.onnx --data a/ --val b/ --max-drop 1 --time 600 --explore -o net.int8.onnx",
      "ten minutes; also what more float layers would give" },
    { NULL },
};
const cli_syntax cli_tune_syntax = { "MODEL", 1, 1, tune_groups, tune_examples };
