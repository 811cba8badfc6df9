/* SPDX-License-Identifier: Apache-2.0 */
/* How a training run is going. Every line of the log is one write, so that a process killed at any moment leaves whole
   lines. */
#include "qat.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the file ---- */

static octet_status check_is_log(FILE *file, const char *path, octet_error *err)
{
    static const char begin[] = "{\"event\":";
    char              text[sizeof begin] = "";
    rewind(file);
    const size_t n = fread(text, 1, sizeof begin - 1, file);
    if (n == 0 || !strcmp(text, begin)) return OCTET_OK;
    octet_error_file(err, path);
    return octet_fail(err, OCTET_ERR_FILE, "exists and is no log of octet (need another file)");
}

/* What a killed process may have left of a last line is closed. */
static void end_line(FILE *file)
{
    if (fseek(file, -1, SEEK_END) == 0 && fgetc(file) != '\n') fputc('\n', file);
    fseek(file, 0, SEEK_END);
}

octet_status qat_log_open(qat_log *log, cli_call *call, octet_error *err)
{
    const char *const path = call->args.log;
    *log                   = (qat_log){ .call = call };
    if (!path) return OCTET_OK;
    log->file = fopen(path, "a+");
    if (!log->file) {
        octet_error_file(err, path);
        return octet_fail(err, OCTET_ERR_FILE, "cannot open: %s", strerror(errno));
    }
    OCTET_TRY(check_is_log(log->file, path, err));
    end_line(log->file);
    return OCTET_OK;
}

json_t *qat_log_record(const char *event)
{
    json_t *const record = cli_json_object();
    cli_json_set(record, "event", cli_json_text(event));
    return record;
}

void qat_log_write(qat_log *log, json_t *record)
{
    if (log->file && !log->file_error) {
        char *const text = json_dumps(record, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
        if (!text) cli_out_of_memory();
        if (fprintf(log->file, "%s\n", text) < 0 || fflush(log->file) != 0) log->file_error = errno;
        free(text);
    }
    json_decref(record);
}

octet_status qat_log_close(qat_log *log, octet_error *err)
{
    if (!log->file) return OCTET_OK;
    if (fclose(log->file) != 0 && !log->file_error) log->file_error = errno;
    log->file = NULL;
    if (!log->file_error) return OCTET_OK;
    octet_error_file(err, log->call->args.log);
    return octet_fail(err, OCTET_ERR_FILE, "log is not complete: cannot write: %s", strerror(log->file_error));
}

/* ---- records ---- */

static void log_step(qat_log *log, const octet_fit_progress *p)
{
    const size_t each = log->call->args.log_steps;
    if (!log->file || (each > 1 && p->last.step % each != 0)) return;
    json_t *const record = qat_log_record("step");
    cli_json_set(record, "step", cli_json_count(p->last.step));
    cli_json_set(record, "epoch", cli_json_number(p->last.epoch));
    cli_json_set(record, "loss", cli_json_number(p->last.loss));
    cli_json_set(record, "top1", cli_json_number(p->last.top1));
    cli_json_set(record, "lr", cli_json_number(p->last.learning_rate));
    cli_json_set(record, "integer", json_boolean(p->last.integer));
    qat_log_write(log, record);
}

static void log_start(qat_log *log, const octet_fit_progress *p)
{
    json_t *const record = qat_log_record("start");
    cli_json_set(record, "octet", cli_json_text(octet_version()));
    cli_json_set(record, "model", cli_json_text(log->call->args.operands[0]));
    cli_json_set(record, "steps", cli_json_count(p->steps));
    cli_json_set(record, "epochs", cli_json_count(p->epochs));
    cli_json_set(record, "batch", cli_json_count(p->batch));
    cli_json_set(record, "resumed", cli_json_count(p->resumed));
    cli_json_set(record, "options", cli_config_document(&log->call->args, log->call->command->syntax));
    qat_log_write(log, record);
}

static void log_epoch(qat_log *log, const octet_fit_progress *p)
{
    json_t *const record = qat_log_record("epoch");
    cli_json_set(record, "epoch", cli_json_count(p->epoch));
    cli_json_set(record, "step", cli_json_count(p->last.step));
    cli_json_set(record, "loss", cli_json_number(p->mean_loss));
    cli_json_set(record, "top1", cli_json_number(p->mean_top1));
    cli_json_set(record, "seconds", cli_json_number(p->seconds));
    if (p->scores) {
        json_t *const scores = cli_json_object();
        cli_json_scores(scores, p->scores);
        cli_json_set(record, "validation", scores);
        cli_json_set(record, "best", json_boolean(p->best));
    }
    qat_log_write(log, record);
}

/* ---- lines for people ---- */

static void share_text(char text[32], const char *title, double share)
{
    if (isnan(share)) *text = '\0';
    else snprintf(text, 32, ", %s %.2f %%", title, 100 * share);
}

static void show_step(qat_log *log, const octet_fit_progress *p)
{
    cli_call *const call = log->call;
    const bool      validating = p->event == OCTET_FIT_VALIDATE;
    char            text[240], top1[32], eta[32];
    if (!cli_progress_due(call, validating ? "validate" : "train", p->last.step == p->steps)) return;
    const double rate = (double)(p->last.step - p->resumed) * (double)p->batch / p->seconds;
    if (call->progress.mode == 2) {
        fprintf(stderr, "{\"phase\": \"%s\", \"done\": %zu, \"total\": %zu, \"loss\": ", call->progress.phase,
                p->last.step, p->steps);
        if (isfinite(p->mean_loss)) fprintf(stderr, "%.6g, \"eta_seconds\": ", p->mean_loss);
        else fprintf(stderr, "null, \"eta_seconds\": ");
        if (p->remaining >= 0) fprintf(stderr, "%.1f}\n", p->remaining);
        else fprintf(stderr, "null}\n");
        return;
    }
    if (validating) snprintf(text, sizeof text, "validate %zu/%zu", p->validated, p->to_validate);
    else {
        share_text(top1, "top-1", p->mean_top1);
        cli_time(eta, p->remaining);
        snprintf(text, sizeof text, "epoch %zu/%zu, step %zu/%zu: loss %.4g%s, lr %.2e, %.0f samples/s%s%s",
                 p->epoch + (p->epoch < p->epochs), p->epochs, p->last.step, p->steps, p->mean_loss, top1,
                 p->last.learning_rate, rate, *eta ? ", ready in " : "", eta);
    }
    cli_progress_line(call, text);
}

static void show_epoch(qat_log *log, const octet_fit_progress *p)
{
    const bool   share = log->metric <= OCTET_METRIC_TOP5;
    const double score = p->scores ? octet_score(p->scores, log->metric) : NAN;
    char         loss[32] = "the start", top1[32];
    share_text(top1, "top-1", p->mean_top1);
    if (p->epoch) snprintf(loss, sizeof loss, "loss %.4g", p->mean_loss);
    cli_say(log->call, "%-14s%zu: %s%s", "epoch", p->epoch, loss, top1);
    if (p->scores)
        cli_say(log->call, "; validation %s %.*f%s%s", octet_metric_name(log->metric), share ? 2 : 4,
                share ? 100 * score : score, share ? " %" : "", p->best ? ", the best so far" : "");
    cli_say(log->call, "\n");
    fflush(stdout);
}

int qat_log_progress(void *context, const octet_fit_progress *p)
{
    qat_log *const log = context;
    log->last          = *p;
    log->last.scores   = NULL; /* valid during the call only */
    switch (p->event) {
    case OCTET_FIT_START:
        log_start(log, p);
        if (p->resumed) cli_say(log->call, "%-14sat step %zu of %zu\n", "resumed", p->resumed, p->steps);
        break;
    case OCTET_FIT_STEP:
        log_step(log, p);
        show_step(log, p);
        break;
    case OCTET_FIT_VALIDATE:
        show_step(log, p);
        break;
    case OCTET_FIT_EPOCH:
        log_epoch(log, p);
        show_epoch(log, p);
        break;
    }
    return cli_signals_pending();
}
