/* SPDX-License-Identifier: Apache-2.0 */
/* octet diff: value by value, how far apart the levels of two models are, or of two engines that run one model. */
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FEW_SAMPLES = 32 };

static const char *const class_names[OCTET_DIFF_CLASSES] = { "0", "1", "2", "3-4", "5+" };

typedef struct diffing {
    octet_graph    *graphs[2]; /* as on the command line; the second NULL where two engines run one model */
    octet_dataset  *data, *all, *alike; /* data: one of the others */
    octet_diff     *diff;
    octet_diff_side sides[2]; /* measured, reference */
} diffing;

/* On two engines. */
static bool is_one_model(const cli_call *call) { return call->args.operand_count == 1 && !call->args.recorded; }

/* ---- JSON ---- */

static json_t *counts_json(const octet_level_counts *counts)
{
    json_t *const object = cli_json_object();
    for (int i = 0; i < OCTET_DIFF_CLASSES; i++)
        cli_json_set(object, class_names[i], cli_json_count(counts->classes[i]));
    return object;
}

static json_t *tensor_json(const octet_tensor_diff *t)
{
    json_t *const object = cli_json_object();
    if (!t->count) {
        json_decref(object);
        return json_null();
    }
    cli_json_set(object, "count", cli_json_count(t->count));
    cli_json_set(object, "differing", cli_json_count(t->differing));
    cli_json_set(object, "levels", json_boolean(t->levels));
    if (t->levels) {
        cli_json_set(object, "histogram", counts_json(&t->level));
        cli_json_set(object, "max", json_integer((json_int_t)t->level.max));
    } else {
        cli_json_set(object, "max_abs", cli_json_number(t->max_abs));
        cli_json_set(object, "sqnr_db", cli_json_number(t->sqnr_db));
    }
    return object;
}

static json_t *values_json(const octet_value_diff *values, size_t count, const octet_diff_side sides[2])
{
    json_t *const array = cli_json_array();
    for (size_t i = 0; i < count; i++) {
        const octet_value_diff *const v   = &values[i];
        json_t *const                 row = cli_json_object();
        cli_json_set(row, "name", cli_json_text(v->name));
        cli_json_set(row, "node", cli_json_text(v->node));
        cli_json_set(row, "op", cli_json_text(v->op));
        cli_json_set(row, "engine", cli_json_text(v->engines[0]));
        cli_json_set(row, "against", cli_json_text(v->engines[1]));
        cli_json_set(row, "output", json_boolean(v->is_output));
        cli_json_set(row, "accumulated", tensor_json(&v->accumulated));
        if (sides[0].graph == sides[1].graph) cli_json_set(row, "local", tensor_json(&v->local));
        cli_json_add(array, row);
    }
    return array;
}

static json_t *unmatched_json(const octet_diff *r)
{
    json_t *const array = cli_json_array();
    for (size_t i = 0; i < r->unmatched_count; i++) {
        json_t *const row = cli_json_object();
        cli_json_set(row, "name", cli_json_text(r->unmatched[i].name));
        cli_json_set(row, "why", cli_json_text(r->unmatched[i].why));
        cli_json_add(array, row);
    }
    return array;
}

static json_t *total_json(const octet_diff *r, const octet_level_counts *counts, size_t worst)
{
    json_t *const object = cli_json_object();
    cli_json_set(object, "histogram", counts_json(counts));
    cli_json_set(object, "max", json_integer((json_int_t)counts->max));
    cli_json_set(object, "worst", worst < r->value_count ? cli_json_text(r->values[worst].name) : json_null());
    return object;
}

static void set_document(const diffing *d, cli_call *call)
{
    const octet_diff *const r = d->diff;
    json_t *const           c = call->document;
    cli_json_set(c, "a", cli_json_text(call->args.operands[0]));
    cli_json_set(c, "b", cli_json_text(call->args.operands[call->args.operand_count - 1]));
    cli_json_set(c, "engine", cli_json_text(call->args.engine));
    cli_json_set(c, "against", cli_json_text(call->args.recorded ? "recorded" : d->sides[is_one_model(call)].engines));
    if (call->args.recorded) cli_json_set(c, "recorded", cli_json_text(call->args.recorded));
    cli_json_set(c, "samples", cli_json_count(r->samples));
    cli_json_set(c, "as_deployed", json_boolean(!r->unlike_deployed[0] && !r->unlike_deployed[1]));
    cli_json_set(c, "accumulated", total_json(r, &r->accumulated, r->worst_accumulated));
    if (is_one_model(call)) {
        cli_json_set(c, "local", total_json(r, &r->local, r->worst_local));
        cli_json_set(c, "not_fed", cli_json_count(r->not_fed));
    }
    if (call->args.recorded) cli_json_set(c, "unmatched", unmatched_json(r));
    cli_json_set(c, "values", values_json(r->values, r->value_count, d->sides));
    cli_json_set(c, "outputs", values_json(r->outputs, r->output_count, d->sides));
}

/* ---- text ---- */

static void print_counts(cli_call *call, const octet_level_counts *counts)
{
    for (int i = 1; i < OCTET_DIFF_CLASSES; i++)
        cli_say(call, " %9llu", (unsigned long long)counts->classes[i]);
    cli_say(call, " %6lld", (long long)counts->max);
}

static void print_tensor(cli_call *call, const octet_tensor_diff *t)
{
    char text[32];
    if (!t->count) cli_say(call, " not comparable");
    else if (t->levels) print_counts(call, &t->level);
    else cli_say(call, " real: largest %.4g, SQNR %s", t->max_abs, cli_decibel(text, t->sqnr_db));
}

static void print_heading(cli_call *call, const char *title)
{
    cli_say(call, "\n%-36s %-18s", title, "operator");
    for (int i = 1; i < OCTET_DIFF_CLASSES; i++) cli_say(call, " %9s", class_names[i]);
    cli_say(call, " %6s\n", "max");
}

static void print_total(cli_call *call, const octet_diff *r, bool local)
{
    const octet_level_counts *const total = local ? &r->local : &r->accumulated;
    const size_t                    worst = local ? r->worst_local : r->worst_accumulated;
    char                            clean[96];
    if (worst == r->value_count) {
        cli_say(call, "no value is kept as levels of one scale by both\n");
        return;
    }
    cli_say(call, "%-36s %-18s", "all", "");
    print_counts(call, total);
    if (total->max > 0) cli_say(call, "\nfurthest apart: %s", cli_clean(clean, r->values[worst].name));
    cli_say(call, "\n");
}

/* The table of one of the two ways to compare. */
static void print_values(cli_call *call, const octet_diff *r, bool local)
{
    char   clean[96];
    size_t hidden = 0;
    print_heading(call, local ? "levels apart when fed the same" : "levels apart");
    for (size_t i = 0; i < r->value_count; i++) {
        const octet_value_diff *const  v = &r->values[i];
        const octet_tensor_diff *const t = local ? &v->local : &v->accumulated;
        if (!call->args.all_values && !t->differing) {
            hidden++;
            continue;
        }
        cli_say(call, "%-36.36s %-18.18s", cli_clean(clean, v->name), v->op);
        print_tensor(call, t);
        cli_say(call, "\n");
    }
    print_total(call, r, local);
    if (hidden) cli_say(call, "%zu of %zu values are equal or not comparable (--all)\n", hidden, r->value_count);
}

static void print_outputs(cli_call *call, const octet_diff *r)
{
    char clean[96], text[32];
    cli_say(call, "\noutputs\n");
    for (size_t i = 0; i < r->output_count; i++) {
        const octet_tensor_diff *const t = &r->outputs[i].accumulated;
        cli_say(call, "%-36.36s ", cli_clean(clean, r->outputs[i].name));
        if (!t->count) cli_say(call, "not comparable\n");
        else if (!t->differing) cli_say(call, "equal, %llu numbers\n", (unsigned long long)t->count);
        else
            cli_say(call, "%llu of %llu numbers differ, largest difference %.4g, SQNR %s\n",
                    (unsigned long long)t->differing, (unsigned long long)t->count, t->max_abs,
                    cli_decibel(text, t->sqnr_db));
    }
}

static void print_recorded(const diffing *d, cli_call *call)
{
    const octet_diff *const r = d->diff;
    char                    clean[96];
    cli_say(call, "%zu samples, %zu recorded arrays compared, %zu not\n", r->samples, r->value_count,
            r->unmatched_count);
    for (size_t i = 0; i < r->unmatched_count; i++)
        cli_say(call, "%-36.36s %s\n", cli_clean(clean, r->unmatched[i].name), r->unmatched[i].why);
    print_values(call, r, false);
}

static void print(const diffing *d, cli_call *call)
{
    const octet_diff *const r = d->diff;
    if (call->args.recorded) {
        print_recorded(d, call);
        return;
    }
    cli_say(call, "%zu %s", r->samples, d->data ? "samples" : "inputs of random numbers");
    if (is_one_model(call))
        cli_say(call, ", engines %s against %s\n", d->sides[0].engines ? d->sides[0].engines : "as the build prefers",
                d->sides[1].engines);
    else
        cli_say(call, ", %zu values of both, %zu of the first only, %zu of the second only\n", r->value_count,
                r->only[1], r->only[0]);
    print_values(call, r, false);
    if (is_one_model(call)) print_values(call, r, true);
    print_outputs(call, r);
}

/* ---- gates ---- */

typedef struct gate {
    const char *option, *key;
    size_t      most;
    bool        doubtful; /* what is judged is not what is deployed */
} gate;

static bool is_given(const cli_call *call, const char *option)
{
    return cli_option_given(&call->args, cli_option_find(call->command->syntax, option));
}

static uint64_t count_all(const octet_level_counts *counts)
{
    uint64_t count = 0;
    for (int i = 0; i < OCTET_DIFF_CLASSES; i++) count += counts->classes[i];
    return count;
}

/* Judges the largest distance where the gate was asked for. */
static octet_status judge(cli_call *call, const gate *g, const octet_level_counts *counts, octet_error *err)
{
    if (!is_given(call, g->option)) return OCTET_OK;
    if (!count_all(counts)) {
        char field[48];
        snprintf(field, sizeof field, "--%s", g->option);
        octet_error_field(err, field);
        return octet_fail(err, OCTET_ERR_ARGUMENT, "no value that both keep as levels of one scale to judge by");
    }
    const bool passed = (uint64_t)counts->max <= g->most && !g->doubtful;
    const bool before = !json_is_false(json_object_get(call->document, "passed"));
    cli_say(call, "%s %s: %lld apart, allowed %zu\n", g->option, passed ? "met" : "NOT MET", (long long)counts->max,
            g->most);
    cli_json_set(call->document, g->key, cli_json_count(g->most));
    cli_json_set(call->document, "passed", json_boolean(passed && before));
    if (!passed) call->exit_code = CLI_GATE;
    return OCTET_OK;
}

/* ---- the verb ---- */

static octet_status load(diffing *d, cli_call *call, octet_error *err)
{
    const cli_args *const a = &call->args;
    for (int i = 0; i < a->operand_count; i++) {
        OCTET_TRY(cli_load(&d->graphs[i], call, a->operands[i], err));
        OCTET_TRY(octet_fuse(d->graphs[i], err));
    }
    const octet_diff_side first = { d->graphs[0], a->engine };
    if (call->args.recorded) {
        d->sides[0] = first;
    } else if (is_one_model(call)) {
        d->sides[0] = first;
        d->sides[1] = (octet_diff_side){ d->graphs[0], a->against ? a->against : "reference" };
    } else {
        d->sides[0] = (octet_diff_side){ d->graphs[1], a->against };
        d->sides[1] = first;
    }
    if (!a->data_path) return OCTET_OK;
    OCTET_TRY(cli_open_data(&d->all, call, d->sides[0].graph, a->data.limit ? 0 : FEW_SAMPLES, err));
    cli_warn(call, octet_dataset_warnings(d->all));
    OCTET_TRY(cli_take_alike(&d->alike, call, d->all, err));
    d->data = d->alike ? d->alike : d->all;
    return OCTET_OK;
}

static octet_status work(diffing *d, cli_call *call, octet_error *err)
{
    OCTET_TRY(load(d, call, err));
    const octet_diff_options options = {
        .plan = { .threads = call->args.threads, .limits = call->args.limits }, .data = d->data,
        .samples = call->args.data.limit, .seed = call->args.data.seed, .progress = cli_progress_step,
        .progress_context = call,
    };
    if (call->args.recorded)
        OCTET_TRY(octet_diff_recorded(&d->diff, d->sides, call->args.recorded, &options, err));
    else
        OCTET_TRY(octet_diff_run(&d->diff, d->sides, &options, err));
    cli_progress_end(call);
    set_document(d, call);
    print(d, call);
    if (d->diff->not_fed)
        cli_warn(call, "values of a layout that cannot be replaced: 'when fed the same' includes what came before");
    const bool doubtful = d->diff->unlike_deployed[0] || d->diff->unlike_deployed[1];
    if (doubtful) cli_warn(call, "outputs change when every value is kept: the values are not those that are deployed");
    const gate all = { "max-levels", "max_levels", call->args.max_levels, doubtful };
    const gate one = { "max-local", "max_local", call->args.max_local, doubtful };
    OCTET_TRY(judge(call, &all, &d->diff->accumulated, err));
    return judge(call, &one, &d->diff->local, err);
}

octet_status cli_diff(cli_call *call, octet_error *err)
{
    diffing d = { 0 };
    OCTET_TRY(cli_check_outputs(call, err));
    if (!is_one_model(call) && is_given(call, "max-local"))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "--max-local needs one MODEL and two engines");
    if (call->args.recorded && (call->args.operand_count != 1 || call->args.against || !call->args.data_path))
        return octet_fail(err, OCTET_ERR_ARGUMENT, "--recorded needs one MODEL and --data, and takes no --against");
    const octet_status status = work(&d, call, err);
    if (status != OCTET_OK && status != OCTET_ERR_ARGUMENT) octet_error_file(err, call->args.operands[0]);
    octet_diff_free(d.diff);
    octet_dataset_free(d.alike);
    octet_dataset_free(d.all);
    for (int i = 0; i < 2; i++) octet_graph_free(d.graphs[i]);
    return status;
}

#define AT(member) offsetof(cli_args, member)

static const cli_option diff_options[] = {
    { "data", 0, CLI_TEXT, "PATH", AT(data_path), "16 inputs of random numbers; --limit and --seed change that",
      "samples to run, as for eval (32 unless --limit says otherwise)" },
    { "engine", 0, CLI_TEXT, "LIST", AT(engine), "the best of this build",
      "engines of the first model, parted by commas" },
    { "against", 0, CLI_TEXT, "LIST", AT(against), "reference; the best of this build for a second model",
      "the engines to compare with" },
    { "recorded", 0, CLI_TEXT, "FILE", AT(recorded), NULL,
      "compare with what another program recorded: an npz with arrays by value name, or an npy of the first output" },
    { "all", 0, CLI_FLAG, NULL, AT(all_values), NULL, "print equal values too" },
    { "max-levels", 0, CLI_COUNT, "N", AT(max_levels), NULL, "exit 4 if any value is further apart", NULL, 0, 1e9 },
    { "max-local", 0, CLI_COUNT, "N", AT(max_local), NULL,
      "exit 4 if any value is further apart where both engines are fed the same", NULL, 0, 1e9 },
    { NULL },
};
static const cli_group diff_groups[] = {
    { "comparing", diff_options },
    { "preparing samples", cli_preprocess_options },
    { "which samples", cli_subset_options },
    { "common options", cli_common_options },
    { "limits", cli_limit_options },
    { NULL },
};
static const cli_example diff_examples[] = {
    { "diff net.int8.onnx --engine native --max-levels 0", "exit 4 unless the engine gives the definition's bits" },
    { "diff net.int8.onnx --engine onednn --against native --data photos/",
      "two engines: what each node adds, and in sum" },
    { "diff net.onnx --recorded theirs.npz --data x.npy", "another runtime's values, array by array" },
    { "diff a.int8.onnx b.int8.onnx --data calib.npy --json", "two models, by the names of their values" },
    { NULL },
};
const cli_syntax cli_diff_syntax = { "MODEL [OTHER]", 1, 2, diff_groups, diff_examples };
