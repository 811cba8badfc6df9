/* SPDX-License-Identifier: Apache-2.0 */
/* Models of others: those of the shared pack, and the test models of the onnx package. Facts about the former were
   taken with the Python package onnx (nodes without Constant nodes; the graph's input). */
#include "graph/graph.h"
#include "onnx/prescan.h"
#include "proto.h"

#include <dirent.h>

#ifndef ONNX_TESTDATA
#define ONNX_TESTDATA "/usr/share/libonnx-testdata/data"
#endif

typedef struct fact {
    const char *file;
    int         nodes, opset;
    int64_t     input[4];
    int         rank;
} fact;

static const fact facts[] = {
    { "ad01_autoencoder", 28, 13, { -1, 640 }, 2 },
    { "fastestdet_coco", 211, 11, { 1, 3, 352, 352 }, 4 },
    { "kws_dscnn", 31, 13, { -1, 1, 49, 10 }, 4 },
    { "lenet_mnist", 11, 13, { -1, 1, 28, 28 }, 4 },
    { "mobilenetv1_0.75_224", 89, 13, { -1, 3, 224, 224 }, 4 },
    { "mobilenetv2_1.0_224", 100, 13, { -1, 3, 224, 224 }, 4 },
    { "resnet20_cifar10", 75, 13, { -1, 3, 32, 32 }, 4 },
    { "resnet20_cifar10_jpegft", 75, 13, { -1, 3, 32, 32 }, 4 },
    { "resnet20_cifar10_natural", 75, 13, { -1, 3, 32, 32 }, 4 },
    { "resnet8_cifar10", 30, 13, { -1, 3, 32, 32 }, 4 },
    { "resnet8_cifar10_nhwc", 31, 13, { -1, 32, 32, 3 }, 4 },
    { "super_resolution_x3", 8, 13, { -1, 1, 224, 224 }, 4 },
    { "sww_dscnn1d", 19, 13, { -1, 40, 30, 1 }, 4 },
    { "vit_mnist", 201, 13, { -1, 1, 28, 28 }, 4 },
    { "vww_mobilenetv1", 85, 13, { -1, 3, 96, 96 }, 4 },
};

static void expect_facts(const char *path, const fact *f)
{
    octet_graph *graph;
    MUST(octet_graph_load(&graph, path, &err));
    if (graph->node_count != f->nodes) print_error("%s has %d nodes\n", path, graph->node_count);
    assert_int_equal(graph->node_count, f->nodes);
    assert_int_equal(graph->opset, f->opset);
    assert_int_equal(graph->input_count, 1);
    const octet_port port = octet_graph_input(graph, 0);
    assert_int_equal(port.rank, f->rank);
    assert_memory_equal(port.dims, f->input, (size_t)port.rank * sizeof *port.dims);
    for (const octet_value *v = graph->values; v; v = v->next) assert_true(v->has_shape);
    octet_graph_free(graph);
}

static void test_shared_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        char name[64], path[512];
        snprintf(name, sizeof name, "models/%s.onnx", facts[i].file);
        if (!shared_path(path, sizeof path, name)) skip();
        expect_facts(path, &facts[i]);
    }
}

typedef struct tally {
    int files, scanned, loaded, refused;
} tally;

/* Every model passes the pre-scan; then it loads, or is refused for what it needs, never for what it is. */
static void sweep_one(tally *t, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return;
    static uint8_t bytes[1 << 24];
    const size_t   size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    t->files++;
    octet_error        scan = { 0 }, err = { 0 };
    octet_graph       *graph;
    if (octet_prescan(bytes, size, &onnx__model_proto__descriptor, NULL, &scan) == OCTET_OK) t->scanned++;
    const octet_status status = octet_graph_load(&graph, path, &err);
    t->loaded += status == OCTET_OK;
    t->refused += status == OCTET_ERR_UNSUPPORTED && err.text[0] && err.file[0];
    if (status != OCTET_OK && (status != OCTET_ERR_UNSUPPORTED || getenv("OCTET_SWEEP"))) {
        char line[512];
        octet_error_line(line, sizeof line, &err);
        print_error("%s: %s\n", octet_status_name(status), line);
    }
    octet_graph_free(graph);
}

static void test_testdata(void **state)
{
    (void)state;
    static const char *const folders[] = { "node", "pytorch-converted", "pytorch-operator", "simple" };
    tally                    t = { 0 };
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", ONNX_TESTDATA, folders[i]);
        DIR *folder = opendir(path);
        for (struct dirent *e = folder ? readdir(folder) : NULL; e; e = readdir(folder)) {
            if (e->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "%s/%s/%s/model.onnx", ONNX_TESTDATA, folders[i], e->d_name);
            sweep_one(&t, path);
        }
        if (folder) closedir(folder);
    }
    print_message("%d models: %d load, %d are refused by name\n", t.files, t.loaded, t.refused);
    if (t.files == 0) {
        print_message("[ SKIPPED  ] onnx's test models are absent (package libonnx-testdata)\n");
        skip();
    }
    assert_int_equal(t.scanned, t.files);
    assert_int_equal(t.loaded + t.refused, t.files);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_shared_models), cmocka_unit_test(test_testdata) };
    return cmocka_run_group_tests(tests, NULL, proto_teardown);
}
