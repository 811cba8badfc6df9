/* SPDX-License-Identifier: Apache-2.0 */
/* octet bench: how long a network takes on every engine of this build, beside its float baseline, layer by layer. */
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A layer loses to float when it is slower by more than what a quiet machine's medians differ by from run to run, and
   by more than what two looks at the clock do. */
#define LOSES_SHARE   1.05
#define LOSES_SECONDS 0.5e-6

enum { FEW_RUNS = 10 };

typedef struct benching {
    octet_graph   *model, *baseline;
    octet_dataset *data, *all, *alike; /* data: one of the others */
    octet_bench   *bench;
    double         load_seconds;
    json_t        *warnings;
} benching;

/* ---- warnings about the machine ---- */

static void warn(benching *b, const cli_call *call, const char *text)
{
    cli_warn(call, text);
    cli_json_add(b->warnings, cli_json_text(text));
}

/* One line of a small file without its end; false where there is no such file. */
static bool read_line(char *line, int size, const char *path)
{
    FILE *const file = fopen(path, "re");
    if (!file) return false;
    const bool read = fgets(line, size, file) != NULL;
    fclose(file);
    if (read) line[strcspn(line, "\n")] = '\0';
    return read;
}

static void warn_of_frequency(benching *b, const cli_call *call)
{
    char path[96], governor[32], other[32] = "", text[160];
    int  count = 0;
    for (int cpu = 0; cpu < 4096; cpu++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", cpu);
        if (!read_line(governor, sizeof governor, path)) break;
        if (!strcmp(governor, "performance")) continue;
        memcpy(other, governor, sizeof other);
        count++;
    }
    if (!count) return;
    snprintf(text, sizeof text, "%d processors change their frequency (governor '%s'): figures depend on load and heat",
             count, other);
    warn(b, call, text);
}

static void warn_of_engine(benching *b, const cli_call *call, const octet_bench_engine *e, const char *whose)
{
    const octet_timing *const t = &e->time;
    char                      text[240];
    if (t->p99 > 2 * t->median || t->mad > 0.05 * t->median) {
        snprintf(text, sizeof text,
                 "the machine is busy: %s%s, %zu of %zu runs took more than twice the median, MAD is %.1f %% of it",
                 e->name, whose, t->outliers, t->runs, 100 * t->mad / t->median);
        warn(b, call, text);
    }
    if (!e->not_finite) return;
    snprintf(text, sizeof text, "%s%s: %zu numbers in the outputs are not finite", e->name, whose, e->not_finite);
    warn(b, call, text);
}

static void warn_of_all(benching *b, const cli_call *call)
{
    const octet_bench *const r = b->bench;
    if (!call->args.runs && r->engines[0].time.runs < FEW_RUNS)
        warn(b, call, "few runs: --seconds or --runs gives more, and steadier figures");
    warn_of_frequency(b, call);
    for (size_t i = 0; i < r->engine_count; i++) warn_of_engine(b, call, &r->engines[i], "");
    if (r->baseline) warn_of_engine(b, call, r->baseline, " (baseline)");
}

/* ---- JSON ---- */

static void set_timing(json_t *object, const octet_bench_engine *e)
{
    json_t *const ms = cli_json_object();
    cli_json_set(ms, "min", cli_json_number(1e3 * e->time.min));
    cli_json_set(ms, "median", cli_json_number(1e3 * e->time.median));
    cli_json_set(ms, "p99", cli_json_number(1e3 * e->time.p99));
    cli_json_set(ms, "mad", cli_json_number(1e3 * e->time.mad));
    cli_json_set(object, "engine", cli_json_text(e->name));
    cli_json_set(object, "ms", ms);
    cli_json_set(object, "images_per_second", cli_json_number(e->images_per_second));
    cli_json_set(object, "runs", cli_json_count(e->time.runs));
    cli_json_set(object, "outliers", cli_json_count(e->time.outliers));
    cli_json_set(object, "plan_ms", cli_json_number(1e3 * e->plan_seconds));
    cli_json_set(object, "workspace_bytes", cli_json_count(e->workspace_bytes));
}

/* The share of the baseline's time that an engine takes; NAN without one. */
static double share_of_baseline(const octet_bench *r, const octet_bench_engine *e)
{
    return r->baseline ? e->time.median / r->baseline->time.median : NAN;
}

static json_t *engine_json(const octet_bench *r, const octet_bench_engine *e)
{
    json_t *const row = cli_json_object();
    set_timing(row, e);
    cli_json_set(row, "baseline", json_boolean(e == r->baseline));
    cli_json_set(row, "ratio", cli_json_number(share_of_baseline(r, e)));
    return row;
}

static bool loses(const octet_layer_time *l)
{
    return l->seconds > LOSES_SHARE * l->baseline_seconds && l->seconds - l->baseline_seconds > LOSES_SECONDS;
}

static double gops(const octet_layer_time *l) { return l->macs > 0 ? 2e-9 * (double)l->macs / l->seconds : NAN; }

static double sum_of(const octet_bench *r)
{
    double sum = 0;
    for (size_t i = 0; i < r->layer_count; i++) sum += r->layers[i].seconds;
    return sum;
}

static json_t *layer_json(const octet_layer_time *l, double sum)
{
    json_t *const row = cli_json_object();
    cli_json_set(row, "name", cli_json_text(l->name));
    cli_json_set(row, "op", cli_json_text(l->op));
    cli_json_set(row, "engine", cli_json_text(l->engine));
    cli_json_set(row, "algorithm", cli_json_text(l->algorithm));
    cli_json_set(row, "conversion", json_boolean(l->conversion));
    cli_json_set(row, "threads", json_integer(l->threads));
    cli_json_set(row, "us", cli_json_number(1e6 * l->seconds));
    cli_json_set(row, "share", cli_json_number(l->seconds / sum));
    cli_json_set(row, "macs", json_integer((json_int_t)l->macs));
    cli_json_set(row, "gops", cli_json_number(gops(l)));
    cli_json_set(row, "baseline_us", cli_json_number(1e6 * l->baseline_seconds));
    cli_json_set(row, "slower_than_float", json_boolean(loses(l)));
    return row;
}

static void set_layers(json_t *document, const octet_bench *r)
{
    json_t *const layers = cli_json_array();
    const double  sum    = sum_of(r);
    for (size_t i = 0; i < r->layer_count; i++) cli_json_add(layers, layer_json(&r->layers[i], sum));
    cli_json_set(document, "layers", layers);
    if (!r->baseline) return;
    cli_json_set(document, "baseline_unmatched_us", cli_json_number(1e6 * r->baseline_unmatched));
    cli_json_set(document, "baseline_unmatched", cli_json_count(r->baseline_unmatched_count));
}

static void set_document(benching *b, cli_call *call)
{
    const octet_bench *const r = b->bench;
    json_t *const            d = call->document, *const engines = cli_json_array();
    cli_json_set(d, "model", cli_json_text(call->args.operands[0]));
    set_timing(d, &r->engines[0]);
    cli_json_set(d, "threads", json_integer(r->threads));
    cli_json_set(d, "batch", json_integer((json_int_t)r->batch));
    cli_json_set(d, "inputs", cli_json_count(r->inputs));
    cli_json_set(d, "load_ms", cli_json_number(1e3 * b->load_seconds));
    cli_json_set(d, "cpu", cli_json_text(octet_cpu_features()));
    for (size_t i = 0; i < r->engine_count; i++) cli_json_add(engines, engine_json(r, &r->engines[i]));
    if (r->baseline) {
        cli_json_add(engines, engine_json(r, r->baseline));
        cli_json_set(d, "baseline", engine_json(r, r->baseline));
        cli_json_set(d, "ratio", cli_json_number(share_of_baseline(r, &r->engines[0])));
    }
    cli_json_set(d, "engines", engines);
    cli_json_set(d, "left_out", cli_json_text(r->left_out));
    cli_json_set(d, "warnings", json_incref(b->warnings));
    if (call->args.layer_times) set_layers(d, r);
}

/* ---- text ---- */

static void print_engine(cli_call *call, const octet_bench *r, const octet_bench_engine *e)
{
    char name[48];
    snprintf(name, sizeof name, e == r->baseline ? "baseline (%s)" : "%s", e->name);
    cli_say(call, "%-22s %10.3f %10.3f %10.3f %10.4f %11.1f", name, 1e3 * e->time.min, 1e3 * e->time.median,
            1e3 * e->time.p99, 1e3 * e->time.mad, e->images_per_second);
    if (r->baseline && e != r->baseline) cli_say(call, " %10.3f", share_of_baseline(r, e));
    cli_say(call, "\n");
}

static void print_engines(cli_call *call, const benching *b)
{
    const octet_bench *const        r = b->bench;
    const octet_bench_engine *const e = &r->engines[0];
    char                            text[32], clean[96];
    cli_say(call, "threads %d, batch %lld, %zu runs each, %zu inputs in turns, %s\n", r->threads, (long long)r->batch,
            e->time.runs, r->inputs, octet_cpu_features());
    cli_say(call, "%s: loaded in %.1f ms, planned in %.1f ms, workspace %s\n\n",
            cli_clean(clean, call->args.operands[0]), 1e3 * b->load_seconds, 1e3 * e->plan_seconds,
            cli_bytes(text, (double)e->workspace_bytes));
    cli_say(call, "%-22s %10s %10s %10s %10s %11s%s\n", "engine", "min ms", "median ms", "p99 ms", "MAD ms", "images/s",
            r->baseline ? "  of float" : "");
    for (size_t i = 0; i < r->engine_count; i++) print_engine(call, r, &r->engines[i]);
    if (r->baseline) print_engine(call, r, r->baseline);
    if (*r->left_out) cli_say(call, "not timed: %s\n", r->left_out);
}

static void print_layer(cli_call *call, const octet_layer_time *l, double sum, bool baseline)
{
    char clean[96], number[2][24] = { "", "" };
    if (l->macs > 0) snprintf(number[0], sizeof number[0], "%.2f", 1e-6 * (double)l->macs);
    if (l->macs > 0) snprintf(number[1], sizeof number[1], "%.1f", gops(l));
    cli_say(call, "%-32.32s %-18.18s %-10.10s %-28.28s %3d %9.1f %6.1f %9s %8s", cli_clean(clean, l->name), l->op,
            l->engine, l->algorithm, l->threads, 1e6 * l->seconds, 100 * l->seconds / sum, number[0], number[1]);
    if (baseline && !isnan(l->baseline_seconds)) cli_say(call, " %9.1f", 1e6 * l->baseline_seconds);
    if (loses(l)) cli_say(call, "  slower than float");
    cli_say(call, "\n");
}

static void print_layers(cli_call *call, const octet_bench *r)
{
    const double sum = sum_of(r);
    size_t       slower = 0, conversions = 0;
    double       converting = 0;
    cli_say(call, "\n%-32s %-18s %-10s %-28s %3s %9s %6s %9s %8s%s\n", "layer", "operator", "engine", "algorithm",
            "thr", "us", "%", "M MACs", "Gop/s", r->baseline ? "  float us" : "");
    for (size_t i = 0; i < r->layer_count; i++) {
        const octet_layer_time *const l = &r->layers[i];
        print_layer(call, l, sum, r->baseline != NULL);
        slower += loses(l);
        conversions += l->conversion;
        converting += l->conversion ? l->seconds : 0;
    }
    cli_say(call, "all %zu layers %.1f us, of these %zu conversions %.1f us\n", r->layer_count, 1e6 * sum, conversions,
            1e6 * converting);
    if (!r->baseline) return;
    cli_say(call, "slower than float: %zu layers; steps of the baseline without a partner here: %zu, %.1f us\n", slower,
            r->baseline_unmatched_count, 1e6 * r->baseline_unmatched);
}

/* ---- the verb ---- */

static octet_status load(benching *b, cli_call *call, octet_error *err)
{
    const double began = cli_now();
    OCTET_TRY(cli_load(&b->model, call, call->args.operands[0], err));
    OCTET_TRY(octet_fuse(b->model, err));
    b->load_seconds = cli_now() - began;
    if (call->args.baseline) OCTET_TRY(cli_load(&b->baseline, call, call->args.baseline, err));
    if (!call->args.data_path) return OCTET_OK;
    OCTET_TRY(cli_open_data(&b->all, call, b->model, 0, err));
    cli_warn(call, octet_dataset_warnings(b->all));
    OCTET_TRY(cli_take_alike(&b->alike, call, b->all, err));
    b->data = b->alike ? b->alike : b->all;
    return OCTET_OK;
}

static octet_status work(benching *b, cli_call *call, octet_error *err)
{
    OCTET_TRY(load(b, call, err));
    const octet_bench_options options = {
        .plan = { .engines = call->args.engine, .threads = call->args.threads, .batch = (int64_t)call->args.batch,
                  .limits = call->args.limits },
        .data = b->data, .seed = call->args.data.seed, .runs = call->args.runs, .seconds = call->args.seconds,
        .layers = call->args.layer_times, .progress = cli_progress_step, .progress_context = call,
    };
    OCTET_TRY(octet_bench_run(&b->bench, b->model, b->baseline, &options, err));
    cli_progress_end(call);
    print_engines(call, b);
    if (call->args.layer_times) print_layers(call, b->bench);
    warn_of_all(b, call);
    set_document(b, call);
    return OCTET_OK;
}

octet_status cli_bench(cli_call *call, octet_error *err)
{
    benching b = { .warnings = cli_json_array() };
    octet_status status = cli_check_outputs(call, err);
    if (status == OCTET_OK) {
        status = work(&b, call, err);
        if (status != OCTET_OK && status != OCTET_ERR_ARGUMENT) octet_error_file(err, call->args.operands[0]);
    }
    json_decref(b.warnings);
    octet_bench_free(b.bench);
    octet_dataset_free(b.alike);
    octet_dataset_free(b.all);
    octet_graph_free(b.baseline);
    octet_graph_free(b.model);
    return status;
}

#define AT(member) offsetof(cli_args, member)

static const cli_option bench_options[] = {
    { "baseline", 0, CLI_TEXT, "MODEL", AT(baseline), NULL, "the float network to time beside it" },
    { "data", 0, CLI_TEXT, "PATH", AT(data_path), "random numbers in the range of the model's inputs",
      "samples to run, as for eval; the first 8 batches are used in turns" },
    { "engine", 0, CLI_TEXT, "LIST", AT(engine), "all that run a node of the model; reference if no other does",
      "engines to time, parted by commas: each is asked first for every node, the others of the list behind it" },
    { "batch", 0, CLI_COUNT, "N", AT(batch), "1", "samples in one run", NULL, 1, 1e6 },
    { "runs", 0, CLI_COUNT, "N", AT(runs), "as many as fit in --seconds", "runs of every engine", NULL, 1, 1e6,
      .opposite = "seconds" },
    { "seconds", 0, CLI_NUMBER, "S", AT(seconds), "5", "time for all engines together, after warming up", NULL, 0.001,
      1e6, .opposite = "runs" },
    { "layers", 0, CLI_FLAG, NULL, AT(layer_times), NULL,
      "time every layer of the default engine, beside the baseline's layer of the same name" },
    { NULL },
};
static const cli_group bench_groups[] = {
    { "measuring", bench_options },
    { "preparing samples", cli_preprocess_options },
    { "which samples", cli_subset_options },
    { "common options", cli_common_options },
    { "limits", cli_limit_options },
    { NULL },
};
static const cli_example bench_examples[] = {
    { "bench net.int8.onnx --baseline net.onnx", "every engine beside float: min, median, p99, MAD, images a second" },
    { "bench net.int8.onnx --baseline net.onnx --layers -j 1", "each layer on one thread, and where int8 loses" },
    { "bench net.onnx --engine onednn,reference --batch 8 --runs 100 --json", "two engines, as JSON" },
    { NULL },
};
const cli_syntax cli_bench_syntax = { "MODEL", 1, 1, bench_groups, bench_examples };
