/* SPDX-License-Identifier: Apache-2.0 */
/* Equalized on three samples, the networks of the shared pack compute what they did, also on noise four times as large
   as anything in the samples. */
#include "models.h"

#include "graph/graph.h"
#include "passes/pass.h"

/* Layers whose weights are not what they were. */
static int changed_layers(const octet_graph *now, const octet_graph *before)
{
    int changed = 0;
    for (const octet_node *n = before->first; n; n = n->next) {
        if (!octet_constant_floats(n->op->quant == OCTET_QUANT_MAC ? n->inputs[1] : NULL)) continue;
        const octet_node *const twin = octet_graph_find_node(now, n->name);
        const size_t            bytes = (size_t)octet_tensor_bytes(n->inputs[1]->constant);
        changed += memcmp(octet_constant_floats(n->inputs[1]), octet_constant_floats(twin->inputs[1]), bytes) != 0;
    }
    return changed;
}

/* The sample, or noise of four times its size in its place. */
static void make_input(octet_tensor *input, bool noise)
{
    random_state r    = { 6 };
    float        most = 0, *const x = input->data;
    const size_t count = (size_t)octet_tensor_count(input);
    for (size_t i = 0; i < count; i++) most = fmaxf(most, fabsf(x[i]));
    if (noise) random_fill(&r, x, count, -4 * most, 4 * most);
}

static double relative_error(const octet_graph *a, const octet_graph *b, const octet_tensor *input)
{
    enum { OUTPUTS = 1 << 20 };
    float *const y = malloc(2 * OUTPUTS * sizeof *y);
    double       most = 0, off = 0;
    const size_t count = run_graph(a, input, y, OUTPUTS, NULL);
    assert_int_equal(run_graph(b, input, y + OUTPUTS, OUTPUTS, NULL), count);
    for (size_t i = 0; i < count; i++) {
        assert_true(isfinite(y[i]));
        most = fmax(most, fabs((double)y[i]));
        off  = fmax(off, fabs((double)y[i] - y[OUTPUTS + i]));
    }
    free(y);
    return off / most;
}

static octet_graph *fused(const char *path)
{
    octet_graph *graph;
    MUST(octet_graph_load(&graph, path, &err));
    MUST(octet_fuse(graph, &err));
    return graph;
}

/* What a last Softmax is fed: its own results are 0 and 1 on noise. */
static void end_before_functions(octet_graph *graph)
{
    octet_value **const out = &graph->outputs[0];
    while ((*out)->producer->op->flags & OCTET_OP_FUNCTION) *out = (*out)->producer->inputs[0];
    (*out)->is_output = true;
}

static void check_model(const shared_model *model, octet_equalization how, const char *path, const char *recorded)
{
    octet_graph *const plain = fused(path), *const graph = fused(path);
    octet_dataset     *data;
    double             error[2];
    MUST(octet_pass_fold_batch_norm(plain, &err));
    MUST(octet_dataset_open(&data, recorded, &(octet_dataset_options){ .graph = graph, .limit = 3 }, &err));
    MUST(octet_equalize(graph, how, data, NULL, &err));
    octet_tensor input   = first_sample(data);
    const int    changed = changed_layers(graph, plain);
    end_before_functions(plain);
    end_before_functions(graph);
    for (int noise = 0; noise < 2; noise++) {
        make_input(&input, noise);
        error[noise] = relative_error(plain, graph, &input);
    }
    print_message("%-26s %d: %2d layers scaled, off by %.1e of a sample's output, %.1e of noise's\n", model->name, how,
                  changed, error[0], error[1]);
    assert_true(changed > 1);
    assert_true(error[0] < 1e-4 && error[1] < 1e-4); /* float32 through up to 75 layers: 2e-5 */
    free(input.data);
    octet_dataset_free(data);
    octet_graph_free(graph);
    octet_graph_free(plain);
}

static void real_networks_compute_what_they_did(void **state)
{
    (void)state;
    for (int i = 0; i < SHARED_MODELS; i++) {
        const shared_model *const model = &shared_models[i];
        char                      name[200], path[1024], recorded[1300];
        snprintf(name, sizeof name, "models/%s.onnx", model->name);
        if (!shared_path(path, sizeof path, name)) continue;
        snprintf(recorded, sizeof recorded, "%.*s/vectors/%s.npy", (int)(strrchr(path, '/') - path), path,
                 model->vectors);
        if (access(recorded, R_OK) != 0) strcat(recorded, ".gz");
        check_model(model, (octet_equalization)(i % OCTET_EQUALIZATIONS), path, recorded);
        if (strstr(model->name, "mobilenetv2")) /* the one with residual groups and Relu6 gets all */
            for (int how = 0; how < OCTET_EQUALIZATIONS; how++)
                check_model(model, (octet_equalization)how, path, recorded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(real_networks_compute_what_they_did) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
