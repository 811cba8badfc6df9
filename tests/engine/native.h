/* SPDX-License-Identifier: Apache-2.0 */
/* The promise of the native engine, checked on one network: the bytes of the reference engine, on every kernel set of
   this CPU, with any number of threads. */
#ifndef OCTET_TESTS_ENGINE_NATIVE_H
#define OCTET_TESTS_ENGINE_NATIVE_H

#include "quantized.h"

#include "base/cpu.h"
#include "engine/plan.h"
#include "engine/run.h"

/* Fewer combinations, for emulators and valgrind. */
static inline bool is_quick(void) { return getenv("OCTET_TEST_QUICK") != NULL; }

/* ---- kernel sets ---- */

enum { MOST_SETS = 8 };

typedef struct set_list {
    const char *name[MOST_SETS];
    int         count;
} set_list;

/* What this CPU (as far as OCTET_CPU lets it) can run. */
UNUSED static set_list usable_sets(void)
{
    set_list       sets = { .count = 0 };
    const unsigned cpu  = octet_cpu_sets();
    for (size_t i = 0; octet_kernel_sets[i]; i++)
        if (!(octet_kernel_sets[i]->needs & ~cpu)) sets.name[sets.count++] = octet_kernel_sets[i]->name;
    return sets;
}

/* A plan of the default engines with this set's kernels. */
UNUSED static void begin_with_set(session *s, const char *set, const octet_graph *graph,
                                  const octet_plan_options *options)
{
    const char *const before  = getenv("OCTET_CPU");
    char *const       restore = before ? strdup(before) : NULL;
    setenv("OCTET_CPU", set, 1);
    session_begin(s, graph, options);
    if (restore) setenv("OCTET_CPU", restore, 1);
    else unsetenv("OCTET_CPU");
    free(restore);
    assert_string_equal(s->plan->kernels->name, set);
}

/* ---- inputs ---- */

enum { INPUT_RANDOM = 0, INPUT_LOWEST, INPUT_HIGHEST, INPUT_ALTERNATING, INPUT_KINDS };

UNUSED static void fill_input(float *x, size_t count, int kind, uint64_t seed)
{
    static const float odd[] = { NAN, INFINITY, -INFINITY, 3e38f, -3e38f, -0.0f };
    random_state       r     = { seed };
    random_fill(&r, x, count, -1.3f, 1.3f);
    for (size_t i = 0; i < count && kind != INPUT_RANDOM; i++)
        x[i] = kind == INPUT_LOWEST || (kind == INPUT_ALTERNATING && random_bits(&r) % 2) ? -1e4f : 1e4f;
    for (size_t i = 0; i < sizeof odd / sizeof *odd && kind == INPUT_RANDOM && count > 20; i++)
        x[(size_t)random_bits(&r) % count] = odd[i];
}

/* ---- one network on every set ---- */

/* How a plan was made, for messages, and what was found. */
typedef struct trial {
    const char *text, *style, *set;
    int         threads;
    bool        keeps;
    session     s;
} trial;

typedef struct trial_count {
    int64_t runs, values, shared_steps, failures; /* shared: by more than one thread */
} trial_count;

/* All networks are tried, and the first failure of each is told. */
static inline void fail_trial(const trial *t, trial_count *counts, int kind, const char *what)
{
    static char last[4096];
    counts->failures++;
    if (strcmp(last, t->text) == 0) return;
    snprintf(last, sizeof last, "%s", t->text);
    print_error("%s\n  in: %s\n  levels %s, kernels %s, %d threads%s, input %d\n", what, t->text, t->style, t->set,
                t->threads, t->keeps ? ", values kept" : "", kind);
}

static inline bool same_bytes(const octet_tensor *a, const octet_tensor *b)
{
    const size_t bytes = (size_t)octet_tensor_bytes(a);
    return a->dtype == b->dtype && bytes == (size_t)octet_tensor_bytes(b) && memcmp(a->data, b->data, bytes) == 0;
}

static inline void compare_trial(trial *t, session *reference, const octet_graph *graph, int kind, trial_count *counts)
{
    char what[96];
    for (const octet_value *v = graph->values; t->keeps && v; v = v->next) {
        if (v->constant) continue;
        const octet_tensor x = octet_workspace_value(reference->workspace, v),
                           y = octet_workspace_value(t->s.workspace, v);
        if (!x.data || !y.data) continue;
        snprintf(what, sizeof what, "value '%.60s' differs", v->name);
        if (!same_bytes(&x, &y)) fail_trial(t, counts, kind, what);
        counts->values++;
    }
    for (size_t i = 0; i < graph->output_count; i++) {
        snprintf(what, sizeof what, "output '%.60s' differs", graph->outputs[i]->name);
        if (!same_bytes(&reference->outputs[i], &t->s.outputs[i])) fail_trial(t, counts, kind, what);
    }
    counts->runs++;
}

/* Hooks see levels that the reference has, too. */
typedef struct hook_check {
    trial       *t;
    session     *reference;
    int          kind;
    trial_count *counts;
} hook_check;

static inline octet_status check_seen(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    hook_check *const  check = context;
    char               what[96];
    const octet_tensor x = octet_workspace_value(check->reference->workspace,
                                                 octet_graph_find_value(check->reference->plan->graph, name));
    (void)err;
    snprintf(what, sizeof what, "value '%.60s' is seen wrong by a hook", name);
    if (!x.data || !same_bytes(&x, tensor)) fail_trial(check->t, check->counts, check->kind, what);
    return OCTET_OK;
}

static inline void assert_native(const trial *t, trial_count *counts)
{
    for (size_t i = 0; i < octet_plan_step_count(t->s.plan); i++) {
        const octet_step_info info = octet_plan_step(t->s.plan, i);
        char                  what[300];
        snprintf(what, sizeof what, "step '%.60s' (%.40s) is computed by %.20s: %.120s", info.node, info.op,
                 info.engine, info.declined);
        if (strcmp(info.engine, "native") != 0) fail_trial(t, counts, 0, what);
        counts->shared_steps += info.threads > 1;
    }
}

enum { MOST_TRIALS = MOST_SETS * 6 };

/* Every set with 1, 2, 3 and 8 threads, and with all values kept. */
static inline int begin_trials(trial *trials, const small_net *net, const char *text, int64_t batch, bool few)
{
    static const int threads[] = { 1, 2, 3, 8 };
    const set_list   sets      = usable_sets();
    const int        most      = few ? 2 : 4;
    int              count     = 0;
    for (int set = 0; set < sets.count; set++)
        for (int i = 0; i <= most; i++) {
            trial *const t = &trials[count++];
            *t = (trial){ .text = text, .style = net->style->name, .set = sets.name[set], .keeps = i == most,
                          .threads = i == most ? 1 : threads[i] };
            begin_with_set(&t->s, t->set, net->graph,
                           &(octet_plan_options){ .threads = t->threads, .batch = batch, .keep_values = t->keeps });
        }
    return count;
}

/* elsewhere: steps of other engines are expected. */
UNUSED static void check_net(const small_net *net, const char *text, int64_t batch, bool elsewhere, trial_count *counts)
{
    static trial trials[MOST_TRIALS];
    octet_tensor input = { .dtype = OCTET_F32, .rank = net->rank };
    session      reference;
    const int    count = begin_trials(trials, net, text, batch, is_quick());
    memcpy(input.dims, net->dims, sizeof net->dims);
    input.dims[0]         = batch;
    const size_t elements = (size_t)octet_tensor_count(&input);
    input.data            = malloc(elements * sizeof(float));
    session_begin(&reference, net->graph,
                  &(octet_plan_options){ .engines = "reference", .batch = batch, .threads = 1, .keep_values = true });
    for (int i = 0; i < count; i++)
        if (!elsewhere && !trials[i].keeps) assert_native(&trials[i], counts);
    for (int kind = 0; kind < INPUT_KINDS; kind++) {
        fill_input(input.data, elements, kind, (uint64_t)kind + 1);
        session_run(&reference, &input);
        for (int i = 0; i < count; i++) {
            trial *const t     = &trials[i];
            hook_check   check = { .t = t, .reference = &reference, .kind = kind,
                                   .counts = counts };
            if (kind != INPUT_RANDOM && t->threads > 2) continue;
            session_run(&t->s, &input);
            compare_trial(t, &reference, net->graph, kind, counts);
            if (kind != INPUT_ALTERNATING || t->threads > 1) continue;
            octet_workspace_set_hook(t->s.workspace, check_seen, &check);
            session_run(&t->s, &input);
            compare_trial(t, &reference, net->graph, kind, counts);
            octet_workspace_set_hook(t->s.workspace, NULL, NULL);
        }
    }
    for (int i = 0; i < count; i++) session_end(&trials[i].s);
    session_end(&reference);
    free(input.data);
}

#endif
