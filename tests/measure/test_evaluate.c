/* SPDX-License-Identifier: Apache-2.0 */
/* Whole evaluations of networks small enough to work out by hand: every output is the input times a vector. */
#include "support.h"

static char folder[256];

static int start(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    return 0;
}

static int stop(void **state)
{
    static const char *const names[] = {"x.npy", "r.npy", "y.txt", "i.npy"};
    char                     path[300];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static const char *write_tensor(char path[300], const char *name, float *data, const int64_t *dims, int rank)
{
    octet_tensor tensor = {.dtype = OCTET_F32, .rank = rank, .data = data};
    memcpy(tensor.dims, dims, sizeof *dims * (size_t)rank);
    snprintf(path, 300, "%s/%s", folder, name);
    write_npy(path, &tensor);
    return path;
}

static octet_graph *scaler(const int64_t *dims, int rank, float *weights, int64_t count)
{
    octet_graph       *graph;
    const octet_tensor w = {.dtype = OCTET_F32, .rank = 1, .dims = {count}, .data = weights};
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, rank, &err));
    MUST(octet_graph_add_constant(graph, "w", &w, &err));
    add_node(graph, "Mul", "y", NULL, INPUTS("x", "w"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

static float samples[12] = {1, 2, 3, 3, 3, 1, 0, -1, -2, 1, 1, 5};

typedef struct setup {
    octet_graph   *model, *baseline;
    octet_dataset *data;
} setup;

/* Four samples of three classes; labels 2, 0, 1, 0. */
static setup make_setup(void)
{
    setup         s;
    char          path[300], labels[300];
    const int64_t border[] = {OCTET_DIM_FREE, 3};
    s.model = scaler(border, 2, (float[]){1, 1, 1}, 3);
    s.baseline = scaler(border, 2, (float[]){1, 1, -1}, 3);
    snprintf(labels, sizeof labels, "%s/y.txt", folder);
    FILE *const file = fopen(labels, "w");
    fputs("2\n0\n1\n0\n", file);
    fclose(file);
    write_tensor(path, "x.npy", samples, (const int64_t[]){4, 3}, 2);
    MUST(octet_dataset_open(&s.data, path, &(octet_dataset_options){.graph = s.model, .labels = labels}, &err));
    return s;
}

static void drop_setup(setup *s)
{
    octet_dataset_free(s->data);
    octet_graph_free(s->model);
    octet_graph_free(s->baseline);
}

static void expect_both(const octet_scores scores[2])
{
    assert_int_equal(scores[0].count, 4);
    assert_true(scores[0].top1 == 0.5); /* classes 2, 0, 0, 2 */
    assert_true(scores[1].top1 == 0.5); /* classes 1, 0, 2, 0 */
    assert_true(scores[0].agreement == 0.25);
    assert_true(isnan(scores[0].top5)); /* three classes */
    assert_true(fabs(scores[0].sqnr_db - (10 * log10(65.0 / 156.0))) <= 1e-12);
    assert_true(scores[0].mse == 0);
    assert_true(isnan(scores[0].psnr_db));            /* the truth leaves 0..1 */
    assert_true(fabs(scores[1].mse - (13)) <= 1e-12); /* (12 + 4/3 + 16/3 + 100/3) / 4 */
    assert_true(isnan(scores[1].agreement) && isnan(scores[1].sqnr_db));
    assert_true(scores[0].seconds > 0);
}

static void test_classes(void **state)
{
    setup        s = make_setup();
    octet_scores scores[2];
    (void)state;
    MUST(octet_evaluate(scores, s.model, s.baseline, s.data, NULL, &err));
    expect_both(scores);
    for (int64_t batch = 2; batch <= 5; batch++) { /* 3 and 5 leave a batch half full */
        octet_evaluate_options options = {.plan = {.batch = batch, .threads = 2}, .baseline_plan = {.batch = 3}};
        MUST(octet_evaluate(scores, s.model, s.baseline, s.data, &options, &err));
        expect_both(scores);
    }
    MUST(octet_evaluate(scores, s.model, NULL, s.data, NULL, &err));
    assert_true(scores[0].top1 == 0.5 && isnan(scores[0].agreement) && isnan(scores[0].sqnr_db));
    drop_setup(&s);
}

static void test_references(void **state)
{
    float          image[32], truth[32];
    char           path[300], reference[300];
    octet_dataset *data;
    octet_scores   scores[2];
    (void)state;
    for (int i = 0; i < 32; i++) {
        const int place = i % 16, inside = place == 5 || place == 6 || place == 9 || place == 10;
        image[i] = (float)place / 32;
        truth[i] = image[i] + (inside ? (i < 16 ? 0.125f : 0.25f) : 5);
    }
    octet_graph *const graph = scaler((const int64_t[]){OCTET_DIM_FREE, 1, 4, 4}, 4, (float[]){1}, 1);
    write_tensor(path, "i.npy", image, (const int64_t[]){2, 4, 4}, 3);
    write_tensor(reference, "r.npy", truth, (const int64_t[]){2, 4, 4}, 3);
    MUST(octet_dataset_open(&data, path, &(octet_dataset_options){.graph = graph, .reference = reference}, &err));
    MUST(octet_evaluate(scores, graph, NULL, data, &(octet_evaluate_options){.border = 1}, &err));
    assert_true(fabs(scores[0].mse - ((0.015625 + 0.0625) / 2)) <= 1e-15);
    assert_true(fabs(scores[0].psnr_db - (-5 * (log10(0.015625) + log10(0.0625)))) <=
                1e-12); /* the mean over samples */
    assert_true(isnan(scores[0].top1) && isnan(scores[0].agreement));
    octet_error why = {0};
    assert_int_equal(octet_evaluate(scores, graph, NULL, data, &(octet_evaluate_options){.border = 2}, &why),
                     OCTET_ERR_ARGUMENT);
    assert_int_equal(octet_evaluate(scores, graph, NULL, data, &(octet_evaluate_options){.border = -1}, NULL),
                     OCTET_ERR_ARGUMENT);
    octet_dataset_free(data);
    octet_graph_free(graph);
}

static int count_calls(void *context, const octet_progress *progress)
{
    int *const calls = context;
    assert_string_equal(progress->phase, "evaluate");
    assert_int_equal(progress->total, 4);
    return ++*calls == 1;
}

static void test_interrupted(void **state)
{
    setup        s = make_setup();
    int          calls = 0;
    octet_scores scores[2];
    octet_error  why = {0};
    (void)state;
    assert_int_equal(octet_evaluate(scores, s.model, NULL, s.data,
                                    &(octet_evaluate_options){.progress = count_calls, .progress_context = &calls},
                                    &why),
                     OCTET_ERR_ARGUMENT);
    assert_string_equal(why.text, "interrupted");
    assert_int_equal(calls, 1);
    drop_setup(&s);
}

/* A sample that cannot be used stops the run and is named, whichever thread met it. */
static void test_bad_sample(void **state)
{
    float          numbers[12];
    char           path[300];
    octet_dataset *data;
    octet_scores   scores[2];
    octet_error    why = {0};
    (void)state;
    octet_graph *const graph = scaler((const int64_t[]){OCTET_DIM_FREE, 3}, 2, (float[]){1, 1, 1}, 3);
    memcpy(numbers, samples, sizeof numbers);
    numbers[7] = numbers[10] = NAN;
    write_tensor(path, "x.npy", numbers, (const int64_t[]){4, 3}, 2);
    MUST(octet_dataset_open(&data, path, &(octet_dataset_options){.graph = graph}, &err));
    assert_int_equal(octet_evaluate(scores, graph, NULL, data, NULL, &why), OCTET_ERR_FORMAT);
    assert_non_null(strstr(why.text, "sample #2: element 1 is nan"));
    octet_dataset_free(data);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_classes), cmocka_unit_test(test_references),
                                       cmocka_unit_test(test_interrupted), cmocka_unit_test(test_bad_sample)};
    return cmocka_run_group_tests(tests, start, stop);
}
