/* SPDX-License-Identifier: Apache-2.0 */
/* A journal keeps what it was told through kills, and nothing else is ever taken for one. */
#include "support.h"

#include "tune/journal.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <signal.h>

static char folder[256], path[300];

static const octet_tune_identity ours[]   = { { "model", "'net', 3 nodes" }, { "data", "5 samples" }, { 0 } };
static const octet_tune_identity theirs[] = { { "model", "'net', 3 nodes" }, { "data", "6 samples" }, { 0 } };

static int start(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/j.jsonl", folder);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int clean(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static const char *const names[] = { "conv \"1\"\n", "c\xc3\xb6nv|2" };

static octet_tune_trial some_trial(int i)
{
    return (octet_tune_trial){
        .config = { .method = OCTET_METHOD_PERCENTILE, .percentile = 99.9, .equalize = i & 1,
                    .rounding = OCTET_ROUND_FEEDBACK, .bias_correction = OCTET_BIAS_ANALYTIC, .floats = names,
                    .float_count = (size_t)i % 3 },
        .score = 1.0 / (3 + i), .float_score = 0.7, .drop = -0.1 * i, .sqnr_db = i == 2 ? INFINITY : 20.0 / 3,
        .agreement = NAN, .latency = 1.0625, .predicted = 1 + 1e-9 * i, .seconds = 0.1 * i,
        .failed = i == 4 ? "why" : NULL,
    };
}

static void same(double a, double b)
{
    if (memcmp(&a, &b, sizeof a) != 0 && !(isnan(a) && isnan(b))) fail_msg("%.17g is not %.17g", a, b);
}

static void open_journal(octet_journal *journal) { MUST(octet_journal_open(journal, path, ours, false, &err)); }

/* A journal of count trials, a gain and times. */
static void write_journal(int count)
{
    octet_journal           journal;
    const octet_tune_trial  base     = some_trial(1);
    octet_tune_layer        layers[] = { { "a", 0.1, 0.3 }, { "b", 1e-6, 2e-6 } };
    const octet_tune_times  times    = { 0.5, 0.75, 1e-9, layers, 2 };
    octet_tune_gain         rows[]   = { { "a", 30.125 }, { "b", NAN } };
    const octet_tune_gains  gains    = { base.config, rows, 2 };
    open_journal(&journal);
    MUST(octet_journal_set_times(&journal, &times, &err));
    MUST(octet_journal_add_gains(&journal, &gains, &err));
    for (int i = 0; i < count; i++) {
        const octet_tune_trial trial = some_trial(i);
        MUST(octet_journal_add(&journal, &trial, &err));
    }
    octet_journal_close(&journal);
}

static void everything_comes_back(void **state)
{
    (void)state;
    octet_journal journal;
    write_journal(5);
    open_journal(&journal);
    assert_int_equal(journal.trial_count, 5);
    assert_int_equal(journal.resumed, 5);
    for (int i = 0; i < 5; i++) {
        const octet_tune_trial        want = some_trial(i);
        const octet_tune_trial *const got  = octet_journal_find(&journal, &want.config);
        assert_non_null(got);
        same(got->score, want.score), same(got->float_score, want.float_score), same(got->drop, want.drop);
        same(got->sqnr_db, want.sqnr_db), same(got->agreement, want.agreement), same(got->latency, want.latency);
        same(got->predicted, want.predicted), same(got->seconds, want.seconds);
        assert_true(got->resumed);
        if (want.failed) assert_string_equal(got->failed, want.failed);
        else assert_null(got->failed);
    }
    octet_tune_config other = some_trial(1).config;
    const octet_tune_gains *const gains = octet_journal_find_gains(&journal, &other);
    assert_non_null(gains);
    assert_int_equal(gains->layer_count, 2);
    assert_string_equal(gains->layers[1].layer, "b");
    same(gains->layers[0].db, 30.125), same(gains->layers[1].db, NAN);
    other.percentile = 99;
    assert_null(octet_journal_find_gains(&journal, &other));
    assert_null(octet_journal_find(&journal, &other));
    assert_int_equal(journal.times.layer_count, 2);
    assert_string_equal(journal.times.layers[1].name, "b");
    same(journal.times.layers[1].float_seconds, 2e-6), same(journal.times.conversion, 1e-9);
    octet_journal_close(&journal);
}

static size_t read_bytes(char *bytes, size_t room)
{
    FILE *const  file = fopen(path, "rb");
    const size_t size = fread(bytes, 1, room, file);
    fclose(file);
    return size;
}

static void write_bytes(const char *bytes, size_t size)
{
    FILE *const file = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* Cut here and there: whole lines stay, the torn one goes, and the next trial follows as if nothing had been. */
static void a_torn_line_never_was(void **state)
{
    static char whole[1 << 16], after[1 << 16];
    (void)state;
    write_journal(3);
    const size_t size = read_bytes(whole, sizeof whole);
    for (size_t cut = 0; cut <= size; cut += cut % 16 && cut < size ? 5 : 1) {
        octet_journal          journal;
        size_t                 lines = 0, kept = 0;
        const octet_tune_trial extra = some_trial(4);
        write_bytes(whole, cut);
        for (size_t i = 0; i < cut; i++)
            if (whole[i] == '\n') lines++, kept = i + 1;
        open_journal(&journal);
        assert_int_equal(journal.trial_count, lines > 3 ? lines - 3 : 0);
        MUST(octet_journal_add(&journal, &extra, &err));
        octet_journal_close(&journal);
        const size_t now = read_bytes(after, sizeof after);
        assert_memory_equal(after, whole, kept);
        assert_int_equal(after[now - 1], '\n');
        open_journal(&journal);
        assert_int_equal(journal.trial_count, (lines > 3 ? lines - 3 : 0) + 1);
        octet_journal_close(&journal);
    }
}

static void refuse_file(const octet_tune_identity *identity, bool restart, const char *what)
{
    static char   before[1 << 16], after[1 << 16];
    octet_journal journal;
    octet_error   why  = { 0 };
    const size_t  size = read_bytes(before, sizeof before);
    assert_int_equal(octet_journal_open(&journal, path, identity, restart, &why), OCTET_ERR_FORMAT);
    octet_journal_close(&journal);
    if (!strstr(why.text, what)) fail_msg("'%s' does not say '%s'", why.text, what);
    assert_string_equal(why.file, path);
    assert_int_equal(read_bytes(after, sizeof after), size); /* as it was */
    assert_memory_equal(before, after, size);
}

static void a_foreign_journal_is_refused_and_kept(void **state)
{
    (void)state;
    octet_journal journal;
    write_journal(2);
    refuse_file(theirs, false, "another data (it has '5 samples', here it is '6 samples')");
    MUST(octet_journal_open(&journal, path, theirs, true, &err)); /* --restart means it */
    assert_int_equal(journal.trial_count, 0);
    octet_journal_close(&journal);
    refuse_file(ours, false, "another data");
}

static void other_files_are_refused_and_kept(void **state)
{
    static const char *const texts[] = { "precious", "precious\n", "{}\n", "[1]\nmore", "{\"kind\":\"trial\"}\n" };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (int restart = 0; restart < 2; restart++) {
            write_bytes(texts[i], strlen(texts[i]));
            refuse_file(ours, restart, "journal");
        }
}

static void a_damaged_line_is_named(void **state)
{
    static char bytes[1 << 16];
    (void)state;
    write_journal(2);
    const size_t size   = read_bytes(bytes, sizeof bytes);
    char *const  second = (char *)memchr(bytes, '\n', size) + 1;
    second[1]           = '!';
    write_bytes(bytes, size);
    octet_journal journal;
    octet_error   why = { 0 };
    assert_int_equal(octet_journal_open(&journal, path, ours, false, &why), OCTET_ERR_FORMAT);
    assert_string_equal(why.field, "line 2");
    octet_journal_close(&journal);
}

static void two_at_once_are_one_too_many(void **state)
{
    (void)state;
    octet_journal first, second;
    octet_error   why = { 0 };
    open_journal(&first);
    assert_int_equal(octet_journal_open(&second, path, ours, false, &why), OCTET_ERR_FILE);
    assert_non_null(strstr(why.text, "in use"));
    octet_journal_close(&second);
    octet_journal_close(&first);
}

/* Under a limit of the file's size, as on a full disk: the line that does not fit leaves no trace. */
static void a_full_disk_costs_one_line(void **state)
{
    (void)state;
    octet_journal          journal;
    octet_error            why   = { 0 };
    const octet_tune_trial trial = some_trial(3);
    struct rlimit          before;
    static char            bytes[1 << 16], after[1 << 16];
    write_journal(2);
    const size_t size = read_bytes(bytes, sizeof bytes);
    open_journal(&journal);
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit tight = { size + 50, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    const octet_status status = octet_journal_add(&journal, &trial, &why);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, OCTET_ERR_FILE);
    assert_int_equal(read_bytes(after, sizeof after), size);
    assert_memory_equal(after, bytes, size);
    MUST(octet_journal_add(&journal, &trial, &err));
    octet_journal_close(&journal);
    open_journal(&journal);
    assert_int_equal(journal.trial_count, 3);
    octet_journal_close(&journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(everything_comes_back, clean),
        cmocka_unit_test_teardown(a_torn_line_never_was, clean),
        cmocka_unit_test_teardown(a_foreign_journal_is_refused_and_kept, clean),
        cmocka_unit_test_teardown(other_files_are_refused_and_kept, clean),
        cmocka_unit_test_teardown(a_damaged_line_is_named, clean),
        cmocka_unit_test_teardown(two_at_once_are_one_too_many, clean),
        cmocka_unit_test_teardown(a_full_disk_costs_one_line, clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
