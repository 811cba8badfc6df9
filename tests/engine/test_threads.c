/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers do not depend on threads: of one run, or of many runs of one plan at once. */
#include "network.h"

#include <pthread.h>

static void test_any_number_of_threads_gives_the_same_bytes(void **state)
{
    (void)state;
    static const int   counts[] = { 2, 3, 8 };
    octet_graph *const graph    = new_classifier(21);
    image_batch        images;
    session            one, many;
    fill_images(&images, 3, 8);
    for (int keep = 0; keep < 2; keep++) {
        session_begin(&one, graph, &(octet_plan_options){ .threads = 1, .batch = 3 });
        session_run(&one, &images.tensor);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            session_begin(&many, graph, &(octet_plan_options){ .threads = counts[i], .batch = 3, .keep_values = keep });
            session_run(&many, &images.tensor);
            for (int o = 0; o < 2; o++) assert_same_bytes(&one.outputs[o], &many.outputs[o]);
            session_end(&many);
        }
        session_end(&one);
    }
    octet_graph_free(graph);
}

/* A classifier of 1280 inputs: oneDNN would share out its sums. */
static void run_real(octet_tensor *output, float *copy, const octet_graph *graph, int threads)
{
    static float image[3 * 224 * 224];
    random_state r = { 3 };
    session      s;
    random_fill(&r, image, sizeof image / sizeof *image, -2, 2);
    const octet_tensor input = { .dtype = OCTET_F32, .rank = 4, .dims = { 1, 3, 224, 224 }, .data = image };
    session_begin(&s, graph, &(octet_plan_options){ .threads = threads });
    session_run(&s, &input);
    assert_int_equal(octet_tensor_count(&s.outputs[0]), 1000);
    *output      = s.outputs[0];
    output->data = memcpy(copy, s.outputs[0].data, 1000 * sizeof *copy);
    session_end(&s);
}

static void test_a_real_network(void **state)
{
    (void)state;
    char         path[1024];
    float        first[1000], other[1000];
    octet_tensor one, many;
    octet_graph *graph;
    if (!shared_path(path, sizeof path, "models/mobilenetv2_1.0_224.onnx")) skip();
    MUST(octet_graph_load(&graph, path, &err));
    run_real(&one, first, graph, 1);
    for (int threads = 2; threads <= 4; threads++) {
        run_real(&many, other, graph, threads);
        assert_same_bytes(&one, &many);
    }
    octet_graph_free(graph);
}

typedef struct job {
    const octet_plan *plan;
    uint64_t          seed;
    float             map[MAP], scores[SCORES];
    bool              failed;
} job;

static void *work(void *context)
{
    job *const       j = context;
    octet_workspace *ws;
    octet_tensor     outputs[2];
    image_batch      images;
    if (octet_workspace_create(&ws, j->plan, NULL) != OCTET_OK) {
        j->failed = true;
        return NULL;
    }
    for (int again = 0; again < 20; again++) { /* the last one counts; other images come between */
        fill_images(&images, 1, again == 19 ? j->seed : j->seed + 1000 + (uint64_t)again);
        if (octet_run(ws, &images.tensor, outputs, NULL) != OCTET_OK) j->failed = true;
    }
    memcpy(j->map, outputs[0].data, sizeof j->map);
    memcpy(j->scores, outputs[1].data, sizeof j->scores);
    octet_workspace_free(ws);
    return NULL;
}

static void test_workspaces_of_one_plan_run_at_once(void **state)
{
    (void)state;
    enum { WORKERS = 6 };
    octet_graph *const graph = new_classifier(22);
    octet_plan        *plan;
    static job         together[WORKERS], alone;
    pthread_t          threads[WORKERS];
    MUST(octet_plan_create(&plan, graph, &(octet_plan_options){ .threads = 1 }, &err));
    for (uint64_t i = 0; i < WORKERS; i++) {
        together[i] = (job){ .plan = plan, .seed = i };
        assert_int_equal(pthread_create(&threads[i], NULL, work, &together[i]), 0);
    }
    for (size_t i = 0; i < WORKERS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (uint64_t i = 0; i < WORKERS; i++) {
        alone = (job){ .plan = plan, .seed = i };
        work(&alone);
        assert_false(alone.failed || together[i].failed);
        assert_memory_equal(alone.map, together[i].map, sizeof alone.map);
        assert_memory_equal(alone.scores, together[i].scores, sizeof alone.scores);
    }
    octet_plan_free(plan);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_number_of_threads_gives_the_same_bytes),
        cmocka_unit_test(test_a_real_network),
        cmocka_unit_test(test_workspaces_of_one_plan_run_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
