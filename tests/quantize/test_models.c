/* SPDX-License-Identifier: Apache-2.0 */
/* Every real network, quantized for every target: all sums are integers, and the file that is written computes, when it
   is read back, the same bytes for every value, on any number of threads. */
#include "support.h"

#include "engine/run.h"
#include "graph/graph.h"
#include "graph/op.h"

static const struct {
    const char *model, *vectors; /* samples: vectors/<vectors>.npy or .npy.gz */
} models[] = {
    { "ad01_autoencoder", "ad01_autoencoder.in.input" },
    { "fastestdet_coco", "fastestdet_coco.in.input.1" },
    { "kws_dscnn", "kws_dscnn.in.input" },
    { "lenet_mnist", "lenet_mnist.in.input" },
    { "mobilenetv1_0.75_224", "mobilenetv1_0.75_224.in.input" },
    { "mobilenetv2_1.0_224", "mobilenetv2_1.0_224.in.input" },
    { "resnet20_cifar10", "resnet20_cifar10.in.input" },
    { "resnet20_cifar10_natural", "resnet20_cifar10.in.input" },
    { "resnet8_cifar10_nhwc", "resnet8_cifar10_nhwc.in.input" },
    { "super_resolution_x3", "super_resolution_x3.in.input" },
    { "sww_dscnn1d", "sww_dscnn1d.in.input" },
    { "vww_mobilenetv1", "vww_mobilenetv1.in.input" },
};

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

static octet_graph *quantize(const char *path, octet_dataset **data, const char *samples, const char *target)
{
    octet_graph  *graph;
    octet_qconfig qconfig     = *octet_qconfig_find("octet");
    qconfig.target            = target;
    qconfig.activation.method = OCTET_METHOD_MSE;
    MUST(octet_graph_load(&graph, path, &err));
    MUST(octet_fuse(graph, &err));
    MUST(octet_dataset_open(data, samples, &(octet_dataset_options){ .graph = graph, .limit = 3 }, &err));
    MUST(octet_prepare(graph, &qconfig, &err));
    MUST(octet_calibrate(graph, *data, NULL, &err));
    MUST(octet_convert(graph, &err));
    return graph;
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

static void round_trip(const char *path, const char *samples, const char *target)
{
    octet_dataset *data;
    octet_graph   *graph = quantize(path, &data, samples, target), *again;
    char           folder[256], file[300];
    make_folder(folder, sizeof folder);
    snprintf(file, sizeof file, "%s/q.onnx", folder);
    MUST(octet_graph_save(graph, file, &err));
    MUST(octet_graph_load(&again, file, &err));
    MUST(octet_fuse(again, &err));
    assert_int_equal(octet_graph_stage(again), OCTET_STAGE_QUANTIZED);
    assert_all_integer(graph);
    assert_all_integer(again);

    const octet_port port  = octet_dataset_port(data);
    octet_tensor     input = { .dtype = OCTET_F32, .rank = port.rank };
    memcpy(input.dims, port.dims, sizeof input.dims);
    input.data = malloc((size_t)octet_tensor_bytes(&input));
    MUST(octet_dataset_read(data, 0, input.data, NULL, &err));
    trial one, other;
    start(&one, graph, 1, &input);
    start(&other, again, 3, &input);
    const int compared = assert_same_values(&one, &other);
    print_message("%-8s %3d values equal: %s\n", target, compared, strrchr(path, '/') + 1);
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
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char name[200], path[1024], samples[1024];
        snprintf(name, sizeof name, "models/%s.onnx", models[i].model);
        if (!shared_path(path, sizeof path, name)) continue;
        snprintf(samples, sizeof samples, "%.*s/vectors/%s.npy", (int)(strrchr(path, '/') - path), path,
                 models[i].vectors);
        if (access(samples, R_OK) != 0) strcat(samples, ".gz");
        round_trip(path, samples, "native");
        round_trip(path, samples, "portable");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(files_compute_what_was_simulated) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
