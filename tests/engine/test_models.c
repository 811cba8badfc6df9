/* SPDX-License-Identifier: Apache-2.0 */
/* Real networks against the recorded outputs of another implementation: within 1e-4 of the largest output. */
#include "network.h"

#include <zlib.h>

typedef struct model_case {
    const char *model;
    const char *vectors; /* files begin with this name */
    const char *input, *output; /* between ".in." or ".out." and ".npy" */
} model_case;

static const model_case models[] = {
    { "ad01_autoencoder", NULL, "input", "output" },
    { "fastestdet_coco", NULL, "input.1", "758" },
    { "kws_dscnn", NULL, "input", "output" },
    { "lenet_mnist", NULL, "input", "output" },
    { "mobilenetv1_0.75_224", NULL, "input", "output" },
    { "mobilenetv2_1.0_224", NULL, "input", "output" },
    { "resnet20_cifar10", NULL, "input", "output" },
    { "resnet20_cifar10_jpegft", NULL, "input", "output" },
    { "resnet20_cifar10_natural", "resnet20_cifar10", "input", "output" },
    { "resnet8_cifar10", NULL, "input", "output" },
    { "resnet8_cifar10_nhwc", NULL, "input", "output" },
    { "super_resolution_x3", NULL, "input", "output" },
    { "sww_dscnn1d", NULL, "input", "output" },
    { "vww_mobilenetv1", NULL, "input", "output" },
};

/* Reads a float32 .npy, plain or gzipped; the caller frees data. */
static octet_tensor read_npy(const char *path)
{
    octet_tensor  tensor = { .dtype = OCTET_F32 };
    char          head[10], text[4096] = "";
    uint16_t      length;
    const gzFile  file = gzopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(gzread(file, head, 10), 10);
    memcpy(&length, head + 8, sizeof length);
    assert_true(length < sizeof text);
    assert_int_equal(gzread(file, text, length), length);
    assert_non_null(strstr(text, "'<f4'"));
    assert_null(strstr(text, "True"));
    for (char *at = strchr(text, '(') + 1; *at != ')';) {
        char         *end;
        const int64_t dim = strtoll(at, &end, 10);
        if (end == at) break;
        tensor.dims[tensor.rank++] = dim;
        at                         = end + strspn(end, ", ");
    }
    const int bytes = (int)octet_tensor_bytes(&tensor);
    tensor.data     = malloc((size_t)bytes);
    assert_int_equal(gzread(file, tensor.data, (unsigned)bytes), bytes);
    gzclose(file);
    return tensor;
}

/* "vectors/<name>.<side>.<port>.npy", gzipped or not, beside the model. */
static octet_tensor read_vector(const char *model, const char *name, const char *side, const char *port)
{
    char      path[2048];
    const int folder = (int)(strrchr(model, '/') - model);
    snprintf(path, sizeof path, "%.*s/vectors/%s.%s.%s.npy", folder, model, name, side, port);
    if (access(path, R_OK) != 0) strcat(path, ".gz");
    return read_npy(path);
}

static double run_model(const char *path, const octet_tensor *input, const octet_tensor *wanted, const char *engines)
{
    octet_graph *graph;
    session      s;
    MUST(octet_graph_load(&graph, path, &err));
    session_begin(&s, graph, &(octet_plan_options){ .engines = engines, .batch = input->dims[0] });
    session_run(&s, input);
    const double far = distance(wanted, &s.outputs[0]);
    session_end(&s);
    octet_graph_free(graph);
    return far;
}

static void test_models(void **state)
{
    (void)state;
    int compared = 0;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        const model_case *const m       = &models[i];
        const char *const       vectors = m->vectors ? m->vectors : m->model;
        char                    file[256], path[1024];
        snprintf(file, sizeof file, "models/%s.onnx", m->model);
        if (!shared_path(path, sizeof path, file)) continue;
        const octet_tensor input = read_vector(path, vectors, "in", m->input),
                           wanted = read_vector(path, vectors, "out", m->output);
        const double best  = run_model(path, &input, &wanted, NULL);
        const double plain = run_model(path, &input, &wanted, "reference");
        print_message("%-26s %.2g of the largest output (reference engine %.2g)\n", m->model, best, plain);
        assert_true(best < 1e-4);
        assert_true(plain < 1e-4);
        free(input.data);
        free(wanted.data);
        compared++;
    }
    if (!compared) skip();
    assert_int_equal(compared, 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_models) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
