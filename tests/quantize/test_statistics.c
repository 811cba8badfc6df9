/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics do not depend on how samples were cut, ordered or interrupted; they say what plain loops say; calibrating
   from them is calibrating; and files that are torn, foreign or forged are refused. */
#include "../residual.h"

#include "base/hash.h"
#include "quantize/statistics_file.h"

typedef struct bytes {
    uint8_t at[1 << 18];
    size_t  size;
} bytes;

static char file[320];

static octet_graph *prepared(octet_method method, float bias_scale)
{
    octet_qconfig qconfig     = *octet_qconfig_find("octet");
    octet_graph  *graph       = network(bias_scale);
    qconfig.activation.method = method;
    MUST(octet_fuse(graph, &err));
    MUST(octet_prepare(graph, &qconfig, &err));
    return graph;
}

/* The caller frees it. */
static octet_statistics *gathered(octet_dataset_options subset, octet_gather_options how, float bias_scale)
{
    octet_graph *const graph = prepared(OCTET_METHOD_MINMAX, bias_scale);
    octet_dataset     *data;
    octet_statistics  *s;
    subset.graph = graph;
    MUST(octet_dataset_open(&data, data_path, &subset, &err));
    MUST(octet_statistics_gather(&s, NULL, graph, data, &how, &err));
    octet_dataset_free(data);
    octet_graph_free(graph);
    return s;
}

static octet_statistics *all(int threads)
{
    return gathered((octet_dataset_options){ 0 }, (octet_gather_options){ .calibrate = { .threads = threads } }, 1);
}

static void file_of(bytes *b, const octet_statistics *s)
{
    octet_file read;
    MUST(octet_statistics_write(s, file, true, &err));
    MUST(octet_file_read(&read, file, 0, &err));
    assert_true(read.size <= sizeof b->at);
    memcpy(b->at, read.data, read.size);
    b->size = read.size;
    octet_file_close(&read);
    unlink(file);
}

static void assert_same(const bytes *a, const bytes *b, const char *what)
{
    if (a->size != b->size || memcmp(a->at, b->at, a->size) != 0) fail_msg("%s: other bytes", what);
}

static void cuts_and_orders_give_the_same_bytes(void **state)
{
    static bytes whole, other;
    (void)state;
    octet_statistics *s = all(1);
    file_of(&whole, s);
    octet_statistics_free(s);
    s = all(3);
    file_of(&other, s);
    assert_same(&whole, &other, "3 threads");
    octet_statistics_free(s);
    for (int turned = 0; turned < 2; turned++) {
        const octet_dataset_options cut[] = { { .every = 5 }, { .skip_every = 5, .shuffle = true, .seed = 9 } };
        octet_statistics *const     a     = gathered(cut[turned], (octet_gather_options){ .calibrate.threads = 2 }, 1);
        octet_statistics *const     b     = gathered(cut[!turned], (octet_gather_options){ 0 }, 1);
        size_t                      shared = 99;
        MUST(octet_statistics_merge(a, &shared, b, &err));
        assert_int_equal(shared, 0);
        assert_int_equal(octet_statistics_count(a), SAMPLES);
        file_of(&other, a);
        assert_same(&whole, &other, turned ? "the other one first" : "two parts");
        MUST(octet_statistics_merge(a, &shared, b, &err));
        assert_int_equal(shared, octet_statistics_count(b));
        octet_statistics_free(a);
        octet_statistics_free(b);
    }
}

/* What is known of the network's input from the samples themselves. */
static void counts_are_those_of_plain_loops(void **state)
{
    octet_statistics *const         s     = all(0);
    const octet_seen_values *const  v     = &s->values[0];
    const octet_seen_sums *const    m     = &s->sums[0];
    float                           lo = samples[0], hi = samples[0];
    uint64_t                        total = 0, negative = 0, seen_negative = 0;
    (void)state;
    assert_string_equal(v->name, "x");
    assert_string_equal(m->name, "x");
    for (size_t i = 0; i < SAMPLES * PIXELS; i++) {
        lo = fminf(lo, samples[i]);
        hi = fmaxf(hi, samples[i]);
        negative += samples[i] < 0;
    }
    for (size_t i = 0; i < v->bin_count; i++) {
        total += v->bins[i].count;
        if (v->bins[i].bin >= OCTET_HISTOGRAM_BINS / 2) seen_negative += v->bins[i].count;
    }
    assert_true(v->range.min == lo && v->range.max == hi);
    assert_int_equal(v->count, SAMPLES * PIXELS);
    assert_int_equal(total, SAMPLES * PIXELS);
    assert_int_equal(seen_negative, negative);
    assert_int_equal(m->count, PIXELS);
    for (size_t p = 0; p < PIXELS; p++) {
        double sum = 0;
        for (size_t i = 0; i < SAMPLES; i++) sum += samples[i * PIXELS + p];
        assert_true(fabs((double)m->sum[p] + (double)m->fine[p] * OCTET_MEAN_FINE - sum) <= SAMPLES * OCTET_MEAN_FINE);
    }
    octet_statistics_free(s);
}

/* The network of that method, from samples or from statistics. */
static void quantized_file(bytes *b, octet_method method, octet_dataset *data, const octet_statistics *s)
{
    octet_graph *const            graph   = prepared(method, 1);
    const octet_calibrate_options options = { .statistics = s };
    octet_file                    read;
    MUST(octet_calibrate(graph, data, &options, &err));
    MUST(octet_convert(graph, &err));
    MUST(octet_graph_save(graph, file, &err));
    MUST(octet_file_read(&read, file, 0, &err));
    memcpy(b->at, read.data, read.size);
    b->size = read.size;
    octet_file_close(&read);
    octet_graph_free(graph);
    unlink(file);
}

static void calibrating_from_statistics_is_calibrating(void **state)
{
    static const octet_method methods[] = { OCTET_METHOD_MINMAX, OCTET_METHOD_MSE, OCTET_METHOD_PERCENTILE,
                                            OCTET_METHOD_OUTPUT };
    static bytes              direct, from;
    octet_statistics *const   s = all(0);
    octet_graph *const        graph = network(1);
    octet_dataset            *data;
    (void)state;
    MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = graph }, &err));
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        quantized_file(&direct, methods[i], data, NULL);
        quantized_file(&from, methods[i], methods[i] == OCTET_METHOD_OUTPUT ? data : NULL, s);
        assert_same(&direct, &from, octet_method_name(methods[i]));
    }
    octet_dataset_free(data);
    octet_graph_free(graph);
    octet_statistics_free(s);
}

static void refuse(octet_method method, float bias_scale, const octet_statistics *s, const char *text)
{
    octet_graph *const            graph   = prepared(method, bias_scale);
    const octet_calibrate_options options = { .statistics = s };
    octet_error                   err     = { 0 };
    assert_int_equal(octet_calibrate(graph, NULL, &options, &err), OCTET_ERR_ARGUMENT);
    if (!strstr(err.text, text)) fail_msg("'%s' does not say '%s'", err.text, text);
    octet_graph_free(graph);
}

static void what_statistics_cannot_do_is_said(void **state)
{
    octet_statistics *const s     = all(0);
    octet_statistics *const other = gathered((octet_dataset_options){ 0 }, (octet_gather_options){ 0 }, 2);
    octet_error             err   = { 0 };
    (void)state;
    refuse(OCTET_METHOD_OUTPUT, 1, s, "needs samples");
    refuse(OCTET_METHOD_MOVING_AVERAGE, 1, s, "needs samples");
    refuse(OCTET_METHOD_MINMAX, 2, s, "weights differ");
    assert_int_equal(octet_statistics_merge(s, NULL, other, &err), OCTET_ERR_ARGUMENT);
    assert_int_equal(octet_statistics_count(s), SAMPLES);
    octet_statistics_free(other);
    octet_statistics_free(s);
}

/* ---- files of others ---- */

static void sign(bytes *b)
{
    octet_hash hash;
    octet_hash_begin(&hash);
    octet_hash_add(&hash, b->at, b->size - 8);
    const uint64_t value = octet_hash_value(&hash);
    memcpy(b->at + b->size - 8, &value, 8);
}

static void torn_and_forged_files_are_refused(void **state)
{
    static bytes      whole, forged;
    octet_statistics *s     = all(0), *again;
    random_state      r     = { 3 };
    int               wrong = 0;
    (void)state;
    file_of(&whole, s);
    octet_statistics_free(s);
    for (size_t size = 0; size < whole.size; size++) {
        octet_error err = { 0 };
        assert_int_equal(octet_statistics_parse(&again, whole.at, size, &err), OCTET_ERR_FORMAT);
        assert_true(err.text[0] && !again);
    }
    for (int i = 0; i < 4000; i++) { /* the hash fits, the content does not */
        octet_error err = { 0 };
        forged          = whole;
        forged.at[random_int(&r, 8, (int64_t)whole.size - 9)] ^= (uint8_t)random_int(&r, 1, 255);
        sign(&forged);
        const octet_status status = octet_statistics_parse(&again, forged.at, forged.size, &err);
        assert_true(status == OCTET_OK || err.text[0]);
        wrong += status != OCTET_OK;
        octet_statistics_free(again);
    }
    assert_in_range(wrong, 100, 3999);
    MUST(octet_statistics_parse(&again, whole.at, whole.size, &err));
    octet_statistics_free(again);
}

/* ---- interrupted ---- */

typedef struct watching {
    int      asked, stop_at;
    uint64_t identities[2 * SAMPLES];
    size_t   count;
} watching;

static int stop(void *context, const octet_progress *progress)
{
    watching *const w = context;
    (void)progress;
    return ++w->asked == w->stop_at;
}

static void note(void *context, const char *name, uint64_t identity)
{
    watching *const w = context;
    (void)name;
    assert_true(w->count < 2 * SAMPLES);
    w->identities[w->count++] = identity;
}

static void an_interrupted_run_goes_on(void **state)
{
    static bytes      whole, resumed_bytes;
    octet_statistics *s = all(0);
    char              partial[330];
    (void)state;
    file_of(&whole, s);
    octet_statistics_free(s);
    snprintf(partial, sizeof partial, "%s/partial", folder);
    for (int stop_at = 1; stop_at < SAMPLES; stop_at += 5) {
        octet_graph *const   graph   = prepared(OCTET_METHOD_MINMAX, 1);
        watching             w       = { .stop_at = stop_at };
        octet_gather_options options = { .calibrate = { .threads = 1, .progress = stop, .progress_context = &w },
                                         .partial = partial, .sample = note, .sample_context = &w };
        octet_dataset *data;
        octet_error    why = { 0 };
        size_t         resumed;
        MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = graph }, &err));
        assert_int_equal(octet_statistics_gather(&s, NULL, graph, data, &options, &why), OCTET_ERR_ARGUMENT);
        octet_graph_free(graph);
        octet_graph *const again = prepared(OCTET_METHOD_MINMAX, 1);
        const size_t       safe  = w.count;
        MUST(octet_statistics_gather(&s, &resumed, again, data, &options, &err));
        assert_int_equal(resumed, safe);
        assert_int_equal(w.count, SAMPLES);
        octet_sort_identities(w.identities, w.count);
        for (size_t i = 1; i < w.count; i++) assert_true(w.identities[i] != w.identities[i - 1]);
        file_of(&resumed_bytes, s);
        assert_same(&whole, &resumed_bytes, "interrupted");
        octet_statistics_free(s);
        octet_graph_free(again);
        octet_dataset_free(data);
        unlink(partial);
    }
}

static int begin(void **state)
{
    make_data(state);
    snprintf(file, sizeof file, "%s/file", folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_and_orders_give_the_same_bytes),
        cmocka_unit_test(counts_are_those_of_plain_loops),
        cmocka_unit_test(calibrating_from_statistics_is_calibrating),
        cmocka_unit_test(what_statistics_cannot_do_is_said),
        cmocka_unit_test(torn_and_forged_files_are_refused),
        cmocka_unit_test(an_interrupted_run_goes_on),
    };
    return cmocka_run_group_tests(tests, begin, remove_data);
}
