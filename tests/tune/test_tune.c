/* SPDX-License-Identifier: Apache-2.0 */
/* Whole searches on a network of which it is known what the answer must be. */
#include "ruinous.h"

static char folder[256], journal[300];

static int start(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    snprintf(journal, sizeof journal, "%s/j.jsonl", folder);
    return 0;
}

static int stop(void **state)
{
    static const char *const names[] = { "calibrate.npy", "judge.npy" };
    char                     path[400];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static int clean(void **state)
{
    (void)state;
    unlink(journal);
    return 0;
}

typedef struct run {
    octet_graph   *graph, *result;
    octet_dataset *data[2];
    octet_tuning  *tuning;
} run;

static run begin(float scale)
{
    run r       = { .graph = ruinous_network(scale) };
    r.data[0] = ruinous_data(folder, "calibrate.npy", 11, r.graph);
    r.data[1] = ruinous_data(folder, "judge.npy", 12, r.graph);
    return r;
}

static void end(run *r)
{
    octet_tuning_free(r->tuning);
    octet_graph_free(r->result);
    octet_dataset_free(r->data[1]);
    octet_dataset_free(r->data[0]);
    octet_graph_free(r->graph);
}

/* Ranges alone: what equalization would mend is what the search has to find. */
static octet_tune_options by_sqnr(double min_db)
{
    return (octet_tune_options){ .metric = OCTET_METRIC_SQNR, .min_sqnr_db = min_db, .ranges_only = true,
                                 .bench_seconds = 0.02 };
}

static run tuned(float scale, const octet_tune_options *options)
{
    run r = begin(scale);
    MUST(octet_tune(&r.result, &r.tuning, r.graph, r.data, options, &err));
    return r;
}

static size_t float_nodes(const octet_graph *graph, const char **name)
{
    size_t count = 0;
    for (size_t i = 0; i < octet_graph_node_count(graph); i++) {
        if (octet_graph_node(graph, i).mode != OCTET_MODE_REAL) continue;
        *name = octet_graph_node(graph, i).name;
        count++;
    }
    return count;
}

static double result_db(const run *r)
{
    octet_scores scores[2];
    MUST(octet_evaluate(scores, r->result, r->graph, r->data[1], NULL, &err));
    return scores[0].sqnr_db;
}

static void without_need_nothing_stays_float(void **state)
{
    (void)state;
    const octet_tune_options options = by_sqnr(25);
    run                      r       = tuned(1, &options);
    const char              *name;
    assert_non_null(r.tuning->best);
    assert_int_equal(float_nodes(r.result, &name), 0);
    assert_int_equal(r.tuning->trial_count, 4); /* the methods */
    for (size_t i = 0; i < 4; i++) assert_true(r.tuning->trials[i].sqnr_db <= r.tuning->best->sqnr_db);
    assert_true(fabs(result_db(&r) - r.tuning->best->sqnr_db) < 1e-9);
    end(&r);
}

static void the_one_ruinous_layer_stays_float(void **state)
{
    (void)state;
    const octet_tune_options options = by_sqnr(25);
    run                      r       = tuned(1000, &options);
    const char              *name    = "";
    assert_non_null(r.tuning->best);
    assert_true(r.tuning->trials[0].sqnr_db < 15); /* ruined without */
    assert_int_equal(r.tuning->best->config.float_count, 1);
    assert_string_equal(r.tuning->best->config.floats[0], "fc2");
    assert_int_equal(float_nodes(r.result, &name), 1);
    assert_string_equal(name, "fc2");
    assert_true(result_db(&r) >= 25);
    assert_true(r.tuning->trial_count <= 6); /* the first guess was right */
    assert_string_equal(octet_graph_metadata(r.result, "octet.tune"), "output, 1 float");
    end(&r);
}

static void what_equalization_mends_needs_no_float_layer(void **state)
{
    (void)state;
    octet_tune_options options = by_sqnr(25);
    const char        *name;
    options.ranges_only = false;
    run r               = tuned(1000, &options);
    assert_non_null(r.tuning->best);
    assert_int_not_equal(r.tuning->best->config.equalize, 0);
    assert_int_equal(r.tuning->best->config.float_count, 0);
    assert_int_equal(float_nodes(r.result, &name), 0);
    assert_true(result_db(&r) >= 25);
    assert_int_equal(r.tuning->trial_count, 8); /* four methods, two equalizations, rounding, biases */
    end(&r);
}

static void nothing_is_given_where_nothing_meets_the_budget(void **state)
{
    (void)state;
    const octet_tune_options options = { .metric = OCTET_METRIC_AGREEMENT, .max_drop = -1, .ranges_only = true,
                                         .bench_seconds = 0.02 };
    run                      r       = tuned(1000, &options);
    assert_null(r.tuning->best);
    assert_null(r.result);
    assert_non_null(r.tuning->closest);
    assert_true(r.tuning->closest->drop == 0); /* all layers in float */
    assert_false(r.tuning->stopped);
    end(&r);
}

static void limits_stop_the_search(void **state)
{
    (void)state;
    octet_tune_options options = by_sqnr(25);
    options.trials             = 2;
    run r                      = tuned(1000, &options);
    assert_int_equal(r.tuning->trial_count, 2);
    assert_true(r.tuning->stopped);
    assert_null(r.tuning->best);
    end(&r);
}

static void agreement_needs_no_labels_and_top1_does(void **state)
{
    (void)state;
    octet_tune_options options = { .metric = OCTET_METRIC_AGREEMENT, .max_drop = 5, .ranges_only = true,
                                   .bench_seconds = 0.02 };
    octet_error        why     = { 0 };
    run                r       = tuned(1000, &options);
    assert_non_null(r.tuning->best);
    assert_true(r.tuning->best->drop <= 5 && fabs(r.tuning->best->drop - 100 * (1 - r.tuning->best->agreement)) < 1e-9);
    octet_tuning_free(r.tuning);
    octet_graph_free(r.result);
    options.metric = OCTET_METRIC_TOP1;
    assert_int_equal(octet_tune(&r.result, &r.tuning, r.graph, r.data, &options, &why), OCTET_ERR_ARGUMENT);
    assert_non_null(strstr(why.text, "labels"));
    assert_null(r.result);
    end(&r);
}

/* Every < of the text opens what the chart draws; names of files are text. */
static void the_chart_takes_any_title(void **state)
{
    (void)state;
    const octet_tune_options options = by_sqnr(25);
    run                      r       = tuned(1000, &options);
    const char              *svg, *again;
    size_t                   circles = 0;
    MUST(octet_tuning_svg(&svg, r.tuning, "<script>alert('1')</script>\"\x01&", &err));
    assert_null(strstr(svg, "<script"));
    assert_non_null(strstr(svg, "<title>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;?&amp;</title>"));
    assert_non_null(strstr(svg, "1 float: SQNR"));
    assert_non_null(strstr(svg, ">budget<"));
    for (const char *at = svg; (at = strstr(at, "<circle")); at++) circles++;
    assert_int_equal(circles, r.tuning->trial_count + 1); /* one more around the result */
    assert_null(strstr(svg, "nan"));
    assert_null(strstr(svg, "inf"));
    assert_memory_equal(svg + strlen(svg) - 7, "</svg>\n", 7);
    MUST(octet_tuning_svg(&again, r.tuning, "<script>alert('1')</script>\"\x01&", &err));
    assert_string_equal(svg, again);
    end(&r);
}

/* ---- going on ---- */

typedef struct killer {
    size_t left, seen, told;
} killer;

static int kill_after(void *context, const octet_tune_trial *trial)
{
    killer *const k = context;
    k->seen += !trial->resumed;
    k->told++;
    return !trial->resumed && k->left-- == 0;
}

static void save(char path[400], const run *r, const char *name)
{
    snprintf(path, 400, "%s/%s", folder, name);
    MUST(octet_graph_save(r->result, path, &err));
}

static bool same_files(const char *a, const char *b)
{
    octet_file x, y;
    MUST(octet_file_read(&x, a, 0, &err));
    MUST(octet_file_read(&y, b, 0, &err));
    const bool same = x.size == y.size && !memcmp(x.data, y.data, x.size);
    octet_file_close(&y);
    octet_file_close(&x);
    return same;
}

/* Interrupted after every single trial, the search makes each trial once and ends with the same network. */
static void interrupted_again_and_again(void **state)
{
    (void)state;
    octet_tune_options options = by_sqnr(25);
    char               plain[400], resumed[400];
    run                r     = tuned(1000, &options);
    const size_t       total = r.tuning->trial_count;
    save(plain, &r, "plain.onnx");
    end(&r);
    killer k                 = { 0 };
    options.journal          = journal;
    options.on_trial         = kill_after;
    options.on_trial_context = &k;
    for (size_t lives = 0; lives < 20; lives++) {
        octet_error why = { 0 };
        k.left = k.told = 0;
        r               = begin(1000);
        const octet_status status = octet_tune(&r.result, &r.tuning, r.graph, r.data, &options, &why);
        if (status == OCTET_OK) break;
        assert_int_equal(status, OCTET_ERR_ARGUMENT);
        assert_string_equal(why.text, "interrupted");
        end(&r);
    }
    assert_non_null(r.tuning);
    assert_int_equal(r.tuning->trial_count, total);
    assert_int_equal(r.tuning->resumed, total);
    assert_int_equal(k.seen, total);
    assert_int_equal(k.told, total); /* by the last life alone */
    save(resumed, &r, "resumed.onnx");
    assert_true(same_files(plain, resumed));
    end(&r);
    unlink(plain);
    unlink(resumed);
}

static void another_budget_begins_with_what_is_known(void **state)
{
    (void)state;
    octet_tune_options options = by_sqnr(400);
    options.journal            = journal;
    run          r             = tuned(1000, &options);
    const size_t total         = r.tuning->trial_count;
    end(&r);
    options.min_sqnr_db = 25;
    r                   = tuned(1000, &options);
    assert_int_equal(r.tuning->trial_count, total); /* nothing new was needed */
    for (size_t i = 0; i < total; i++) /* of all that is known, the fastest */
        if (r.tuning->trials[i].meets) assert_true(r.tuning->best->predicted <= r.tuning->trials[i].predicted);
    assert_true(r.tuning->best->sqnr_db >= 25);
    end(&r);
}

static void refused(octet_tune_options options, run *r, const char *what)
{
    octet_error why = { 0 };
    options.journal = journal;
    assert_int_equal(octet_tune(&r->result, &r->tuning, r->graph, r->data, &options, &why), OCTET_ERR_FORMAT);
    if (!strstr(why.text, what)) fail_msg("'%s' does not say '%s'", why.text, what);
}

static void a_journal_of_something_else_is_refused(void **state)
{
    (void)state;
    octet_tune_options options = by_sqnr(25);
    octet_qconfig      other   = *octet_qconfig_find("octet");
    options.journal            = journal;
    run r                      = tuned(1, &options);
    end(&r);
    r = begin(2); /* one weight more or less */
    refused(options, &r, "journal of another model");
    end(&r);
    r = begin(1);
    octet_dataset *const judge = r.data[1];
    r.data[1]                  = r.data[0];
    refused(options, &r, "journal of another validation");
    r.data[0] = judge;
    refused(options, &r, "journal of another data");
    r.data[0] = r.data[1];
    r.data[1] = judge;
    options.metric = OCTET_METRIC_AGREEMENT;
    refused(options, &r, "journal of another options");
    options              = by_sqnr(25);
    other.weight.per_channel = !other.weight.per_channel;
    options.qconfig      = &other;
    refused(options, &r, "journal of another options");
    options         = by_sqnr(25);
    options.journal = journal;
    MUST(octet_tune(&r.result, &r.tuning, r.graph, r.data, &options, &err));
    assert_int_equal(r.tuning->resumed, r.tuning->trial_count);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_need_nothing_stays_float),
        cmocka_unit_test(the_one_ruinous_layer_stays_float),
        cmocka_unit_test(what_equalization_mends_needs_no_float_layer),
        cmocka_unit_test(nothing_is_given_where_nothing_meets_the_budget),
        cmocka_unit_test(limits_stop_the_search),
        cmocka_unit_test(the_chart_takes_any_title),
        cmocka_unit_test(agreement_needs_no_labels_and_top1_does),
        cmocka_unit_test_teardown(interrupted_again_and_again, clean),
        cmocka_unit_test_teardown(another_budget_begins_with_what_is_known, clean),
        cmocka_unit_test_teardown(a_journal_of_something_else_is_refused, clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
