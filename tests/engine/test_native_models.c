/* SPDX-License-Identifier: Apache-2.0 */
/* Real networks on the native engine: every step is its own, the bytes are those of the definition on every kernel set
   with any number of threads, many run at once, and a run allocates nothing. */
#include "native.h"

#include "../models.h"

#include <pthread.h>

static void assert_all_native(const octet_plan *plan, const char *model)
{
    for (size_t i = 0; i < octet_plan_step_count(plan); i++) {
        const octet_step_info info = octet_plan_step(plan, i);
        if (strcmp(info.engine, "native") == 0) continue;
        print_error("%s: %s '%s' is computed by %s: %s\n", model, info.op, info.node, info.engine, info.declined);
        fail();
    }
}

static void assert_same_outputs(const session *reference, const session *s, const char *what)
{
    for (size_t i = 0; i < s->plan->graph->output_count; i++) {
        if (same_bytes(&reference->outputs[i], &s->outputs[i])) continue;
        print_error("output %zu differs: %s with kernels %s, %d threads\n", i, what, s->plan->kernels->name,
                    s->plan->threads);
        fail();
    }
}

/* ---- every network ---- */

/* The plain set is slow and does nothing else with threads. */
static int largest_team(const char *set, bool is_last) { return is_last && set ? 1 : 8; }

static void check_model(const shared_model *model, const char *target)
{
    static const int threads[] = { 1, 2, 3, 8 };
    const set_list   sets      = usable_sets();
    octet_dataset   *data;
    session          reference, s;
    int              runs = 0;
    octet_graph     *graph = quantize_shared(model, &data, target, OCTET_METHOD_MINMAX);
    if (!graph) return;
    octet_tensor input = first_sample(data);
    session_begin(&reference, graph, &(octet_plan_options){ .engines = "reference" });
    session_run(&reference, &input);
    for (int set = 0; set < sets.count; set++)
        for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
            if (threads[i] > largest_team(sets.name[set], set + 1 == sets.count)) continue;
            begin_with_set(&s, sets.name[set], graph, &(octet_plan_options){ .threads = threads[i] });
            assert_all_native(s.plan, model->name);
            for (int again = 0; again < 2; again++) { /* the second run finds what the first has left */
                session_run(&s, &input);
                assert_same_outputs(&reference, &s, model->name);
                runs++;
            }
            session_end(&s);
        }
    print_message("%-8s %3d runs equal: %s\n", target, runs, model->name);
    session_end(&reference);
    free(input.data);
    octet_dataset_free(data);
    octet_graph_free(graph);
}

static void test_every_network_on_every_set(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHARED_MODELS; i += is_quick() ? 3 : 1) {
        check_model(&shared_models[i], "native");
        check_model(&shared_models[i], "portable");
    }
}

/* ---- many at once ---- */

enum { PLANS = 3, WORKERS = 8, TIMES = 20, MOST_OUTPUT = 4096 };

typedef struct job {
    const octet_plan   *plan;
    const octet_tensor *input;
    const octet_tensor *wanted; /* outputs, as bytes */
    int                 differences, failures;
} job;

static void *work(void *context)
{
    job *const       j = context;
    octet_workspace *ws;
    octet_tensor     outputs[4];
    if (octet_workspace_create(&ws, j->plan, NULL) != OCTET_OK) {
        j->failures++;
        return NULL;
    }
    for (int i = 0; i < TIMES; i++) {
        if (octet_run(ws, j->input, outputs, NULL) != OCTET_OK) j->failures++;
        else j->differences += !same_bytes(&outputs[0], j->wanted);
    }
    octet_workspace_free(ws);
    return NULL;
}

static void run_at_once(session *plans, const octet_tensor *inputs)
{
    job       jobs[WORKERS];
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        session *const s = &plans[i % PLANS];
        jobs[i] = (job){ .plan = s->plan, .input = &inputs[i % PLANS], .wanted = &s->outputs[0] };
        assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < WORKERS; i++) assert_int_equal(jobs[i].failures + jobs[i].differences, 0);
}

/* Workspaces of several plans, some sharing one, each on its own thread and with teams of its own. */
static void test_many_at_once(void **state)
{
    (void)state;
    static const char *const names[PLANS] = { "resnet8_cifar10", "kws_dscnn", "sww_dscnn1d" };
    static const int         threads[PLANS] = { 1, 2, 3 };
    octet_graph             *graphs[PLANS];
    octet_dataset           *data[PLANS];
    octet_tensor             inputs[PLANS];
    session                  plans[PLANS];
    for (int i = 0; i < PLANS; i++) {
        const shared_model *model = shared_models;
        while (strcmp(model->name, names[i]) != 0) model++;
        graphs[i] = quantize_shared(model, &data[i], "native", OCTET_METHOD_MINMAX);
        if (!graphs[i]) skip();
        inputs[i] = first_sample(data[i]);
        session_begin(&plans[i], graphs[i], &(octet_plan_options){ .threads = threads[i] });
        session_run(&plans[i], &inputs[i]);
    }
    run_at_once(plans, inputs);
    for (int i = 0; i < PLANS; i++) {
        session_end(&plans[i]);
        free(inputs[i].data);
        octet_dataset_free(data[i]);
        octet_graph_free(graphs[i]);
    }
}

/* ---- memory ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_CALLS 0
#elif defined(__has_feature)
#define COUNTS_CALLS !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define COUNTS_CALLS 1
#endif

#if COUNTS_CALLS /* in place of the C library's functions, which sanitizers replace, too */
static _Atomic int64_t calls;

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);

static void *counted(void *made)
{
    calls++;
    return made;
}

void *malloc(size_t size) { return counted(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { return counted(__libc_calloc(count, size)); }
void *realloc(void *at, size_t size) { return counted(__libc_realloc(at, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }

static void test_a_run_allocates_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        octet_dataset *data;
        session        s;
        octet_graph   *graph = quantize_shared(&shared_models[i], &data, "native", OCTET_METHOD_MINMAX);
        if (!graph) skip();
        octet_tensor input = first_sample(data);
        session_begin(&s, graph, &(octet_plan_options){ .threads = 1 });
        const int64_t before = calls;
        for (int again = 0; again < 10; again++) session_run(&s, &input);
        assert_true(before > 100); /* the counter works */
        assert_int_equal(calls - before, 0);
        session_end(&s);
        free(input.data);
        octet_dataset_free(data);
        octet_graph_free(graph);
    }
}
#else
static void test_a_run_allocates_nothing(void **state)
{
    (void)state;
    skip();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_network_on_every_set),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_a_run_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
