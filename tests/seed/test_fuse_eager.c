/* SPDX-License-Identifier: Apache-2.0 */
/* PyTorch's test_fuse_eager.py for Conv and ConvTranspose in 1 to 3 dimensions and Linear. Evaluation: a fused network
   computes what the unfused one does, and consists of fewer nodes. Training (test_fuse_module_train,
   test_fusion_sequential_model_train): fused nodes keep their batch norm and get FakeQuantize, compute in evaluation
   what the unfused network does as long as that is off, and convert to integers. Tolerance: torch.testing's for
   float32. */
#include "torch_seed.h"

#include "graph/graph.h"
#include "ops/mode.h"
#include "train/quantized.h"
#include "train/tape.h"

typedef struct layer {
    const char *op;
    int         spatial; /* 0: Linear */
    bool        bias, norm, relu, depthwise;
} layer;

static void add_layer(octet_graph *graph, random_state *r, const layer *l, int index, const char *in, char *out)
{
    enum { CHANNELS = 4 };
    char names[6][24], raw[24], normed[24];
    static const char *const parts[] = { "w", "b", "gamma", "beta", "mean", "var" };
    const int64_t dims[] = { CHANNELS, l->depthwise ? 1 : CHANNELS, 3, 3, 3 }, one[] = { CHANNELS };
    const octet_attribute conv[] = { { .name = "group", .i = l->depthwise ? CHANNELS : 1 }, { 0 } };
    const octet_attribute gemm[] = { { .name = "transB", .i = 1 }, { 0 } };
    const octet_attribute norm[] = { { .name = "epsilon", .f = index % 2 ? 1e-3f : 1e-5f }, { 0 } };
    for (int i = 0; i < 6; i++) snprintf(names[i], sizeof names[i], "%s%d", parts[i], index);
    snprintf(raw, sizeof raw, "raw%d", index);
    snprintf(normed, sizeof normed, "normed%d", index);
    const float bound = 1 / sqrtf((float)dims[1] * powf(3, (float)l->spatial)); /* as layers are initialised */
    add_random(graph, r, names[0], dims, 2 + l->spatial, between(-bound, bound));
    if (l->bias) add_random(graph, r, names[1], one, 1, between(-1, 1));
    add_node(graph, l->op, raw, l->spatial ? conv : gemm, INPUTS(in, names[0], l->bias ? names[1] : NULL));
    snprintf(out, 24, "%s", raw);
    if (l->norm) {
        add_random(graph, r, names[2], one, 1, between(-2, 2));
        add_random(graph, r, names[3], one, 1, between(-1, 1));
        add_random(graph, r, names[4], one, 1, between(-1, 1));
        add_random(graph, r, names[5], one, 1, between(0.1f, 3));
        add_node(graph, "BatchNormalization", normed, norm, INPUTS(raw, names[2], names[3], names[4], names[5]));
        snprintf(out, 24, "%s", normed);
    }
    if (!l->relu) return;
    snprintf(normed, sizeof normed, "relu%d", index);
    add_node(graph, "Relu", normed, NULL, INPUTS(out));
    snprintf(out, 24, "%s", normed);
}

static octet_graph *build(const layer *layers, int count, uint64_t seed)
{
    octet_graph *graph;
    random_state r = { seed };
    const int64_t dims[] = { 2, 4, 12, 12, 12 };
    char name[24] = "x", next[24];
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 2 + layers[0].spatial, &err));
    for (int i = 0; i < count; i++) {
        add_layer(graph, &r, &layers[i], i, name, next);
        snprintf(name, sizeof name, "%s", next);
    }
    MUST(octet_graph_set_output(graph, name, &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

enum { ROOM = 1 << 15 };

static void assert_close(const float *got, const float *want, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(got[i] - want[i]) <= 1e-5f + 1.3e-6f * fabsf(want[i])))
            fail_msg("output %zu: %.9g fused, %.9g unfused", i, (double)got[i], (double)want[i]);
}

/* Every layer is one node, whose batch norm lives on. */
static void check_training_nodes(const octet_graph *graph, const layer *layers)
{
    for (const octet_node *n = graph->first; n; n = n->next, layers++) {
        assert_string_equal(n->op->name, layers->op);
        assert_int_equal(n->batch_norm != NULL, layers->norm);
        assert_int_equal(n->activation.on, layers->relu);
        octet_trained *const weight = n->inputs[1]->fake_quantize->trained;
        octet_trained *const in = n->inputs[0]->fake_quantize->trained;
        assert_true(weight && in);
        weight->enabled = in->enabled = false;
    }
}

static void check_training(octet_graph *graph, const layer *layers, const octet_tensor *x, const float *plain)
{
    octet_tape *tape;
    octet_graph *quantized;
    MUST(octet_prepare_qat(graph, NULL, NULL, NULL, &err));
    check_training_nodes(graph, layers);
    MUST(octet_tape_create(&tape, graph, &(octet_tape_options){ .batch = x->dims[0], .threads = 1 }, &err));
    MUST(octet_tape_forward(tape, x, false, &err));
    const octet_tensor y = octet_tape_value(tape, graph->outputs[0]);
    assert_close(y.data, plain, (size_t)octet_tensor_count(&y));
    MUST(octet_tape_forward(tape, x, true, &err)); /* observes */
    MUST(octet_tape_store(tape, graph, &err));
    MUST(octet_train_quantized(&quantized, graph, &err));
    for (const octet_node *n = quantized->first; n; n = n->next) {
        assert_null(n->batch_norm);
        assert_int_not_equal(octet_node_compute_mode(quantized, n), OCTET_MODE_REAL);
    }
    octet_graph_free(quantized);
    octet_tape_free(tape);
}

static void check(const layer *layers, int count)
{
    static float data[2 * 4 * 12 * 12 * 12], plain[ROOM], fused[ROOM];
    octet_tensor x = { .dtype = OCTET_F32, .rank = 2 + layers[0].spatial, .dims = { 2, 4, 12, 12, 12 }, .data = data };
    for (uint64_t seed = 1; seed < 6; seed++) {
        random_state r = { 100 + seed };
        octet_graph *const graph = build(layers, count, seed);
        random_fill(&r, data, sizeof data / sizeof *data, -1, 1);
        const size_t before = octet_graph_node_count(graph), outputs = run_graph(graph, &x, plain, ROOM, NULL);
        MUST(octet_fuse(graph, &err));
        assert_int_equal(octet_graph_stage(graph), OCTET_STAGE_FUSED);
        assert_int_equal(octet_graph_node_count(graph), count);
        assert_true(before >= (size_t)count);
        assert_int_equal(run_graph(graph, &x, fused, ROOM, NULL), outputs);
        assert_close(fused, plain, outputs);
        check_training(graph, layers, &x, plain);
        octet_graph_free(graph);
    }
}

/* ModelForFusion's layers, family by family. */
static void conv2d(void **unused)
{
    (void)unused;
    check((const layer[]){ { "Conv", 2, false, true, true, false }, { "Conv", 2, true, true, false, false },
                           { "Conv", 2, true, false, true, false }, { "Conv", 2, false, true, true, true } }, 4);
}

static void conv1d(void **unused)
{
    (void)unused;
    check((const layer[]){ { "Conv", 1, true, true, true, false }, { "Conv", 1, false, true, false, true },
                           { "Conv", 1, true, false, true, false } }, 3);
}

static void conv3d(void **unused)
{
    (void)unused;
    check((const layer[]){ { "Conv", 3, true, true, true, false }, { "Conv", 3, false, true, false, true },
                           { "Conv", 3, true, false, true, false } }, 3);
}

/* test_fusion_convtranspose_bn_eval, and what upstream does not fuse in training. */
static void transposed(void **unused)
{
    (void)unused;
    check((const layer[]){ { "ConvTranspose", 1, true, true, true, false },
                           { "ConvTranspose", 1, false, true, false, true } }, 2);
    check((const layer[]){ { "ConvTranspose", 2, false, true, true, false },
                           { "ConvTranspose", 2, true, true, false, true },
                           { "ConvTranspose", 2, true, false, true, false } }, 3);
    check((const layer[]){ { "ConvTranspose", 3, true, true, false, false } }, 1);
}

static void linear(void **unused)
{
    (void)unused;
    check((const layer[]){ { "Gemm", 0, true, true, false, false }, { "Gemm", 0, true, false, true, false },
                           { "Gemm", 0, false, true, false, false } }, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(conv2d), cmocka_unit_test(conv1d), cmocka_unit_test(conv3d),
                                        cmocka_unit_test(transposed), cmocka_unit_test(linear) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
