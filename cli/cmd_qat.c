/* SPDX-License-Identifier: Apache-2.0 */
/* octet qat: a float or quantized network in, a better quantized one out. The checkpoint lies beside the output and
   goes when the output is there; until then the same command goes on where it stopped. */
#include "qat.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* The three networks that the result compares: before quantization, after it, after training. */
enum { FLOAT, START, TRAINED, NETWORKS };

typedef struct job {
    octet_qconfig       config;
    octet_train_options train;
    octet_metric        metric;
    octet_graph        *graph; /* in training */
    octet_graph        *networks[NETWORKS]; /* FLOAT is NULL where MODEL is quantized and no --baseline was given */
    octet_dataset      *data, *init, *validation, *test;
    octet_trainer      *trainer;
    octet_scores        scores[2][NETWORKS]; /* on validation, on test */
    const char         *checkpoint;
    qat_log             log;
    bool                quantized; /* MODEL was */
    double              began;
} job;

static void job_free(job *j)
{
    octet_trainer_free(j->trainer);
    octet_dataset_free(j->test);
    octet_dataset_free(j->validation);
    octet_dataset_free(j->init);
    octet_dataset_free(j->data);
    for (int i = 0; i < NETWORKS; i++) octet_graph_free(j->networks[i]);
    octet_graph_free(j->graph);
}

/* ---- inputs ---- */

static octet_dataset_options data_options(const job *j, const cli_call *call)
{
    octet_dataset_options options = call->args.data;
    options.graph                 = j->graph;
    options.limits                = call->args.limits;
    options.keep_labels           = j->train.loss == OCTET_LOSS_CROSS_ENTROPY;
    return options;
}

/* The first ranges come from samples all over the data: in a sorted folder the first ones are one class. */
static octet_status open_init(job *j, cli_call *call, octet_error *err)
{
    octet_dataset_options options = data_options(j, call);
    const size_t          wanted  = call->args.init_calibrate ? call->args.init_calibrate : 512;
    const size_t          step    = octet_dataset_count(j->data) / wanted;
    options.reference             = NULL;
    if (step > 1 && !options.every && !options.skip_every && !options.shuffle) {
        options.every = step;
        options.skip  = (options.skip + step - 1) / step;
    }
    options.limit = octet_dataset_count(j->data) < wanted ? octet_dataset_count(j->data) : wanted;
    return cli_open(&j->init, call->args.data_path, options, err);
}

static octet_status open_data(job *j, cli_call *call, octet_error *err)
{
    const octet_dataset_options options = data_options(j, call);
    OCTET_TRY(cli_open(&j->data, call->args.data_path, options, err));
    cli_warn(call, octet_dataset_warnings(j->data));
    OCTET_TRY(open_init(j, call, err));
    OCTET_TRY(cli_open_other(&j->validation, call, j->graph, &call->args.validation, err));
    return cli_open_other(&j->test, call, j->graph, &call->args.test, err);
}

static octet_status load_fused(octet_graph **graph, cli_call *call, const char *path, octet_error *err)
{
    OCTET_TRY(cli_load(graph, call, path, err));
    return octet_fuse(*graph, err);
}

static octet_status load_float(job *j, cli_call *call, octet_error *err)
{
    const char *const path = call->args.baseline ? call->args.baseline : j->quantized ? NULL : call->args.operands[0];
    if (!path && j->train.loss == OCTET_LOSS_DISTILL)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "--distill from a quantized network needs --baseline FLOAT");
    if (!path) return OCTET_OK;
    OCTET_TRY(load_fused(&j->networks[FLOAT], call, path, err));
    if (octet_graph_stage(j->networks[FLOAT]) != OCTET_STAGE_QUANTIZED) return OCTET_OK;
    octet_error_file(err, path);
    return octet_fail(err, OCTET_ERR_ARGUMENT, "--baseline is quantized (need the float network)");
}

/* By what the best state is chosen: the metric asked for, else what the validation data allows. */
static void choose_metric(job *j, const cli_call *call)
{
    j->metric = (octet_metric)cli_word_index(call->args.metric, cli_metric_word);
    const octet_dataset *const judge = j->validation ? j->validation : j->test;
    if (call->args.metric || !judge || octet_dataset_has_labels(judge)) return;
    const bool apart = j->networks[FLOAT] && j->train.loss != OCTET_LOSS_MSE;
    j->metric        = apart ? OCTET_METRIC_SQNR : OCTET_METRIC_MSE;
}

static octet_status open_inputs(job *j, cli_call *call, octet_error *err)
{
    const char *const path = call->args.operands[0];
    OCTET_TRY(load_fused(&j->graph, call, path, err));
    j->quantized = octet_graph_stage(j->graph) == OCTET_STAGE_QUANTIZED;
    OCTET_TRY(load_float(j, call, err));
    OCTET_TRY(open_data(j, call, err));
    choose_metric(j, call);
    j->log.metric = j->metric;
    return OCTET_OK;
}

/* ---- before training ---- */

static octet_calibrate_options calibrate_options(cli_call *call)
{
    return (octet_calibrate_options){ .threads          = call->args.threads,
                                      .limits           = call->args.limits,
                                      .progress         = cli_progress_step,
                                      .progress_context = call };
}

static octet_status start_training(job *j, cli_call *call, octet_error *err)
{
    const octet_calibrate_options options = calibrate_options(call);
    octet_dataset *const          init    = call->args.dry_run ? NULL : j->init;
    OCTET_TRY(cli_prepared(octet_prepare_qat(j->graph, &j->config, init, &options, err), &call->args, err));
    j->train.teacher = j->train.loss == OCTET_LOSS_DISTILL ? j->networks[FLOAT] : NULL;
    return octet_trainer_create(&j->trainer, j->graph, &j->train, err);
}

/* What quantization alone gives, to see what training adds. */
static octet_status make_start(job *j, cli_call *call, octet_error *err)
{
    const octet_calibrate_options options = calibrate_options(call);
    octet_graph                 **graph   = &j->networks[START];
    OCTET_TRY(load_fused(graph, call, call->args.operands[0], err));
    if (j->quantized) return OCTET_OK;
    OCTET_TRY(octet_prepare(*graph, &j->config, err));
    OCTET_TRY(octet_calibrate(*graph, j->init, &options, err));
    return octet_convert(*graph, err);
}

/* Scores of networks first..last - 1, those after FLOAT beside it where the metric asks for that. */
static octet_status score(octet_scores scores[NETWORKS], job *j, cli_call *call, octet_dataset *data, octet_error *err)
{
    const octet_evaluate_options options = cli_evaluate_options(call);
    for (int i = 0; i < NETWORKS; i++) {
        octet_scores       both[2];
        octet_graph *const beside = i != FLOAT && octet_metric_compares(j->metric) ? j->networks[FLOAT] : NULL;
        if (!j->networks[i] || scores[i].count) continue;
        OCTET_TRY(octet_evaluate(both, j->networks[i], beside, data, &options, err));
        scores[i] = both[0];
    }
    return OCTET_OK;
}

/* ---- the plan ---- */

static octet_fit_options fit_options(job *j, const cli_call *call)
{
    return (octet_fit_options){
        .validation       = j->validation,
        .baseline         = j->networks[FLOAT],
        .metric           = j->metric,
        .patience         = call->args.patience,
        .checkpoint       = j->checkpoint,
        .restart          = call->args.restart,
        .checkpoint_steps = call->args.checkpoint_steps,
        .progress         = qat_log_progress,
        .progress_context = &j->log,
    };
}

static const char *phase_text(char text[48], int epoch, const char *standard)
{
    if (epoch == OCTET_EPOCH_NEVER) snprintf(text, 48, "never");
    else if (epoch) snprintf(text, 48, "from epoch %d on", epoch == OCTET_EPOCH_FIRST ? 0 : epoch);
    else snprintf(text, 48, "from %s of the epochs on", standard);
    return text;
}

static int keep_plan(void *context, const octet_fit_progress *progress)
{
    *(octet_fit_progress *)context = *progress;
    return 1; /* that is all */
}

static void report_plan(job *j, cli_call *call, const octet_fit_progress *plan)
{
    const size_t count = octet_dataset_count(j->data);
    const double parameters = cli_parameters(j->graph), memory = (double)octet_trainer_memory(j->trainer);
    char         text[48], bytes[32];
    cli_say(call, "%-14s%.0f parameters, %.3g multiply-accumulates a sample\n", "network", parameters,
            octet_graph_macs(j->graph));
    cli_say(call, "%-14s%zu samples, %zu epochs, batches of %zu: %zu steps\n", "plan", count, plan->epochs,
            plan->batch, plan->steps);
    cli_say(call, "%-14srest %s\n", "ranges", phase_text(text, j->train.freeze_observers, "half"));
    cli_say(call, "%-14srest %s\n", "batch norms", phase_text(text, j->train.freeze_batch_norm, "three quarters"));
    cli_say(call, "%-14s%s\n", "memory", cli_bytes(bytes, memory));
    cli_say(call, "nothing was trained or written\n");
    cli_print_decisions(call, j->graph);
    cli_json_set(call->document, "dry_run", json_true());
    cli_json_set(call->document, "samples", cli_json_count(count));
    cli_json_set(call->document, "epochs", cli_json_count(plan->epochs));
    cli_json_set(call->document, "steps", cli_json_count(plan->steps));
    cli_json_set(call->document, "batch", cli_json_count(plan->batch));
    cli_json_set(call->document, "parameters", cli_json_count((uint64_t)parameters));
    cli_json_set(call->document, "memory_bytes", cli_json_count(octet_trainer_memory(j->trainer)));
}

/* Begins the loop, to be told its plan or why there can be none, and goes no further. */
static octet_status dry_run(job *j, cli_call *call, octet_error *err)
{
    octet_fit_progress plan = { 0 };
    octet_error        why  = { 0 };
    octet_graph       *none = NULL;
    octet_fit_options options = fit_options(j, call);
    options.checkpoint        = NULL;
    options.progress          = keep_plan;
    options.progress_context  = &plan;
    const octet_status status = octet_fit(&none, NULL, j->trainer, j->data, &options, &why);
    if (plan.steps) {
        report_plan(j, call, &plan);
        return OCTET_OK;
    }
    *err = why;
    return status;
}

/* ---- training ---- */

/* What an end before the plan's leaves behind, for the reader of the log and for the user. */
static void note_stop(job *j, cli_call *call, const octet_error *err)
{
    json_t *const record = qat_log_record("stop");
    cli_json_set(record, "step", cli_json_count(j->log.last.last.step));
    cli_json_set(record, "why", cli_json_text(err ? err->text : ""));
    qat_log_write(&j->log, record);
    if (err && err->status == OCTET_ERR_ARGUMENT && j->log.last.event != OCTET_FIT_START)
        call->exit_code = CLI_FAILED; /* the command line was good enough to train by */
    if (access(j->checkpoint, F_OK) != 0) return;
    if (err && !strcmp(err->file, j->checkpoint))
        snprintf(call->hint, sizeof call->hint, "--restart ignores the checkpoint");
    else if (cli_signals_pending())
        snprintf(call->hint, sizeof call->hint, "the same command goes on at step %zu of %zu", j->log.last.last.step,
                 j->log.last.steps);
    else if (call->exit_code == CLI_FAILED)
        snprintf(call->hint, sizeof call->hint,
                 "the last good checkpoint is kept beside the output; another --lr needs --restart");
}

static octet_status train(job *j, cli_call *call, octet_error *err)
{
    const octet_fit_options options = fit_options(j, call);
    cli_signals_defer(true);
    const octet_status status =
        octet_fit(&j->networks[TRAINED], &j->scores[0][TRAINED], j->trainer, j->data, &options, err);
    cli_progress_end(call);
    if (status == OCTET_OK) cli_signals_defer(false);
    else note_stop(j, call, err);
    call->writing = status == OCTET_ERR_FILE && err && !strcmp(err->file, j->checkpoint);
    return status;
}

/* ---- the result ---- */

static void print_score(cli_call *call, const octet_scores *scores, octet_metric metric)
{
    const double value = scores->count ? octet_score(scores, metric) : NAN;
    if (isnan(value)) cli_say(call, "%14s", "-");
    else if (octet_metric_is_share(metric)) cli_say(call, "%12.2f %%", 100 * value);
    else cli_say(call, "%14.6g", value);
}

static void report_scores(job *j, cli_call *call)
{
    static const char *const sets[] = { "validation", "test" };
    static const char *const keys[] = { "float", "start", "trained" };
    const char *const        titles[] = { "float", j->quantized ? "as given" : "quantized", "trained" };
    octet_dataset *const     data[]   = { j->validation, j->test };
    if (!j->validation && !j->test) return;
    cli_say(call, "%-14s", octet_metric_name(j->metric));
    for (int s = 0; s < 2; s++) {
        if (!data[s]) continue;
        cli_say(call, "%14s", sets[s]);
        json_t *const object = cli_json_object();
        for (int i = 0; i < NETWORKS; i++) {
            if (!j->scores[s][i].count) continue;
            json_t *const scores = cli_json_object();
            cli_json_scores(scores, &j->scores[s][i]);
            cli_json_set(object, keys[i], scores);
        }
        cli_json_set(call->document, sets[s], object);
    }
    for (int i = 0; i < NETWORKS; i++) {
        cli_say(call, "\n%-14s", titles[i]);
        for (int s = 0; s < 2; s++)
            if (data[s]) print_score(call, &j->scores[s][i], j->metric);
    }
    cli_say(call, "\n");
}

static void warn_if_worse(const job *j, const cli_call *call)
{
    const octet_scores pair[2] = { j->scores[0][TRAINED], j->scores[0][START] };
    if (pair[0].count && pair[1].count && octet_score_drop(pair, j->metric) > 0)
        cli_warn(call, "quantization alone scores better on validation (try another --lr, or more epochs)");
}

static octet_status report(job *j, cli_call *call, octet_error *err)
{
    report_scores(j, call);
    warn_if_worse(j, call);
    cli_report_nodes(call, j->networks[TRAINED]);
    cli_report_cost(call, j->began);
    cli_json_set(call->document, "model", cli_json_text(call->args.operands[0]));
    cli_json_set(call->document, "qconfig", cli_json_text(j->config.name));
    cli_json_set(call->document, "metric", cli_json_text(octet_metric_name(j->metric)));
    cli_json_set(call->document, "steps", cli_json_count(j->log.last.last.step));
    cli_json_set(call->document, "resumed", cli_json_count(j->log.last.resumed));
    OCTET_TRY(cli_report_file(call, err));
    json_t *const record = qat_log_record("end");
    cli_json_set(record, "step", cli_json_count(j->log.last.last.step));
    for (int i = 0; i < 3; i++) {
        static const char *const keys[] = { "validation", "test", "xxh3_128" };
        json_t *const            value  = json_object_get(call->document, keys[i]);
        if (value) cli_json_set(record, keys[i], json_incref(value));
    }
    qat_log_write(&j->log, record);
    return OCTET_OK;
}

static octet_status work(job *j, cli_call *call, octet_error *err)
{
    OCTET_TRY(open_inputs(j, call, err));
    OCTET_TRY(start_training(j, call, err));
    if (call->args.dry_run) return dry_run(j, call, err);
    if (j->validation || j->test) OCTET_TRY(make_start(j, call, err));
    if (j->validation) OCTET_TRY(score(j->scores[0], j, call, j->validation, err));
    OCTET_TRY(train(j, call, err));
    OCTET_TRY(cli_describe(j->networks[TRAINED], j->data, NULL, call, err));
    OCTET_TRY(cli_save(j->networks[TRAINED], call, err));
    unlink(j->checkpoint);
    if (j->test) OCTET_TRY(score(j->scores[1], j, call, j->test, err));
    return report(j, call, err);
}

static octet_status begin(job *j, cli_call *call, octet_error *err)
{
    OCTET_TRY(cli_qconfig(&j->config, &call->args, err));
    OCTET_TRY(qat_options(&j->train, &call->args, err));
    if (call->args.lsq) j->config.weight.fake = j->config.activation.fake = OCTET_FAKE_LEARNED;
    if (call->args.patience && !call->args.validation.path)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "--patience needs --val");
    if (!call->args.output && !call->args.dry_run)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "option '--output FILE' is missing");
    OCTET_TRY(cli_check_outputs(call, err));
    const octet_status opened = qat_log_open(&j->log, call, err);
    call->writing             = opened != OCTET_OK;
    return opened;
}

octet_status cli_qat(cli_call *call, octet_error *err)
{
    char path[4096] = "";
    job  j          = { .began = cli_now(), .checkpoint = path };
    if (call->args.print_config) return cli_print_config(call);
    if (call->args.output) snprintf(path, sizeof path, "%s.ckpt", call->args.output);
    octet_status status = begin(&j, call, err);
    if (status == OCTET_OK) status = work(&j, call, err);
    if (status != OCTET_OK && status != OCTET_ERR_ARGUMENT) octet_error_file(err, call->args.operands[0]);
    const octet_status logged = qat_log_close(&j.log, status == OCTET_OK ? err : NULL);
    job_free(&j);
    if (status == OCTET_OK && logged != OCTET_OK) call->writing = true;
    return status == OCTET_OK ? logged : status;
}

/* ---- what can be typed ---- */

static const cli_group qat_groups[] = {
    { "training data", cli_data_options },
    { "which samples", cli_subset_options },
    { "other data", qat_data_options },
    { "result", qat_run_options },
    { "training", qat_train_options },
    { "types", cli_type_options },
    { "learned parameters", qat_learn_options },
    { "quantization", cli_qconfig_options },
    { "preparing samples", cli_preprocess_options },
    { "engines", cli_engine_options },
    { "common options", cli_common_options },
    { "limits", cli_limit_options },
    { NULL },
};
static const cli_example qat_examples[] = {
    { "qat net.onnx --data train/ --val validation/ --epochs 3 --lr 1e-3 -o net.int8.onnx --log net.jsonl",
      "three epochs; the best state on validation is saved. The same command resumes" },
    { "qat net.onnx --data batch.bin.gz --limit 4000 --val batch.bin.gz --val-skip 4000 --weights s4 -o net.s4.onnx",
      "4-bit weights; the last images of one file validate" },
    { "qat net.onnx --data photos/ --distill --dry-run", "what learning from the float network would take" },
    { NULL },
};
const cli_syntax cli_qat_syntax = { "MODEL", 1, 1, qat_groups, qat_examples };
