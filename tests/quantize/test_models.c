/* SPDX-License-Identifier: Apache-2.0 */
/* Every real network, quantized for every target: all sums are integers, and the file that is written computes, when it
   is read back, the same bytes for every value, on any number of threads. */
#include "models.h"

#include "engine/run.h"
#include "graph/graph.h"
#include "graph/op.h"

typedef struct trial {
    octet_graph     *graph;
    octet_plan      *plan;
    octet_workspace *workspace;
    octet_tensor     outputs[16];
} trial;

static void start(trial *t, octet_graph *graph, int threads, octet_tensor *input)
{
    const octet_plan_options options = { .threads = threads, .keep_values = true };
    t->graph                         = graph;
    MUST(octet_plan_create(&t->plan, graph, &options, &err));
    MUST(octet_workspace_create(&t->workspace, t->plan, &err));
    MUST(octet_run(t->workspace, input, t->outputs, &err));
}

static void stop(trial *t)
{
    octet_workspace_free(t->workspace);
    octet_plan_free(t->plan);
}

/* Every value that both networks have, and every output, byte by byte. Returns how many were compared. */
static int assert_same_values(trial *a, trial *b)
{
    int compared = 0;
    for (octet_value *v = a->graph->values; v; v = v->next) {
        octet_value *const w = octet_graph_find_value(b->graph, v->name);
        if (v->constant || !w || w->constant) continue;
        const octet_tensor x = octet_workspace_value(a->workspace, v), y = octet_workspace_value(b->workspace, w);
        if (!x.data || !y.data) continue;
        assert_int_equal(x.dtype, y.dtype);
        assert_int_equal(octet_tensor_bytes(&x), octet_tensor_bytes(&y));
        if (memcmp(x.data, y.data, (size_t)octet_tensor_bytes(&x))) {
            print_error("value '%s' differs\n", v->name);
            fail();
        }
        compared++;
    }
    return compared;
}

/* Nothing that multiplies, adds, concatenates or pools may hide in float. */
static void assert_all_integer(const octet_graph *graph)
{
    static const char *const watched[] = { "Conv", "Gemm", "MatMul", "Add", "Mul", "Concat", "MaxPool", "AveragePool",
                                           "GlobalAveragePool" };
    for (const octet_node *n = graph->first; n; n = n->next)
        for (size_t i = 0; i < sizeof watched / sizeof *watched; i++)
            if (!strcmp(n->op->name, watched[i]) && octet_node_compute_mode(graph, n) == OCTET_MODE_REAL) {
                print_error("%s '%s' computes in float\n", n->op->name, n->name);
                fail();
            }
}

static void round_trip(const shared_model *model, const char *target)
{
    octet_dataset *data;
    octet_graph   *graph = quantize_shared(model, &data, target, OCTET_METHOD_MSE), *again;
    char           folder[256], file[300];
    if (!graph) return;
    make_folder(folder, sizeof folder);
    snprintf(file, sizeof file, "%s/q.onnx", folder);
    MUST(octet_graph_save(graph, file, &err));
    MUST(octet_graph_load(&again, file, &err));
    MUST(octet_fuse(again, &err));
    assert_int_equal(octet_graph_stage(again), OCTET_STAGE_QUANTIZED);
    assert_all_integer(graph);
    assert_all_integer(again);

    octet_tensor input = first_sample(data);
    trial one, other;
    start(&one, graph, 1, &input);
    start(&other, again, 3, &input);
    const int compared = assert_same_values(&one, &other);
    print_message("%-8s %3d values equal: %s\n", target, compared, model->name);
    assert_true(compared > 4);
    stop(&one);
    stop(&other);
    free(input.data);
    octet_dataset_free(data);
    octet_graph_free(graph);
    octet_graph_free(again);
    unlink(file);
    rmdir(folder);
}

static void files_compute_what_was_simulated(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHARED_MODELS; i++) {
        round_trip(&shared_models[i], "native");
        round_trip(&shared_models[i], "portable");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(files_compute_what_was_simulated) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
