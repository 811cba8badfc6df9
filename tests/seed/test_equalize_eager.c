/* SPDX-License-Identifier: Apache-2.0 */
/* PyTorch's test_equalize_eager.py: channels reach equally far afterwards, the output is unchanged. Weights are
   initialised as PyTorch's layers; tolerance: torch.testing's for float32. */
#include "torch_seed.h"

#include "graph/graph.h"
#include "quantize/equalize.h"

#include <float.h>

enum { ROOM = 256, SEEDS = 5 };

static void assert_close(const float *got, const float *want, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(got[i] - want[i]) <= 1e-5f + 1.3e-6f * fabsf(want[i])))
            fail_msg("%s %zu: %.9g, not %.9g", what, i, (double)got[i], (double)want[i]);
}

/* max - min of every output (or input) channel of a plain matrix or convolution. */
static size_t channel_ranges(float *reach, const octet_graph *graph, const char *name, bool inputs)
{
    const octet_tensor *const w = octet_graph_find_node(graph, name)->inputs[1]->constant;
    const int64_t outer = w->dims[0], inner = w->dims[1], taps = octet_tensor_count(w) / outer / inner;
    const int64_t count = inputs ? inner : outer;
    const float *const data = w->data;
    for (int64_t c = 0; c < count; c++) {
        float lo = FLT_MAX, hi = -FLT_MAX;
        for (int64_t i = 0; i < octet_tensor_count(w); i++) {
            if ((inputs ? i / taps % inner : i / taps / inner) != c) continue;
            lo = fminf(lo, data[i]);
            hi = fmaxf(hi, data[i]);
        }
        reach[c] = hi - lo;
    }
    return (size_t)count;
}

static void check_channels_equalized(const octet_graph *graph, const char *first, const char *second)
{
    float made[ROOM], read[ROOM];
    const size_t count = channel_ranges(made, graph, first, false);
    assert_int_equal(channel_ranges(read, graph, second, true), count);
    assert_close(made, read, count, "range of channel");
}

static void add_layer(octet_graph *graph, torch_generator *g, const char *name, const char *in, const int64_t *dims,
                      int rank)
{
    char names[2][32];
    float data[ROOM];
    int fan_in = 1;
    octet_tensor tensor = { .dtype = OCTET_F32, .rank = rank, .data = data };
    const octet_attribute gemm[] = { { .name = "transB", .i = 1 }, { 0 } };
    for (int i = 0; i < rank; i++) tensor.dims[i] = dims[i];
    for (int i = 1; i < rank; i++) fan_in *= (int)dims[i];
    snprintf(names[0], sizeof names[0], "%s.weight", name);
    snprintf(names[1], sizeof names[1], "%s.bias", name);
    torch_kaiming(g, data, (size_t)octet_tensor_count(&tensor), fan_in);
    MUST(octet_graph_add_constant(graph, names[0], &tensor, &err));
    tensor.rank = 1;
    torch_uniform(g, data, (size_t)dims[0], 1 / sqrt(fan_in));
    MUST(octet_graph_add_constant(graph, names[1], &tensor, &err));
    add_node(graph, rank == 2 ? "Gemm" : "Conv", name, rank == 2 ? gemm : NULL, INPUTS(in, names[0], names[1]));
}

/* Conv2d(3, 4, 2) and Linear(4, 4). */
static void test_cross_layer_equalization(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        octet_graph *graph;
        torch_generator g;
        const octet_pair pair = { "module1", "module2" };
        torch_manual_seed(&g, seed);
        MUST(octet_graph_new(&graph, &err));
        MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ 1, 3, 2, 2 }, 4, &err));
        add_layer(graph, &g, "module1", "x", (const int64_t[]){ 4, 3, 2, 2 }, 4);
        add_node(graph, "Flatten", "flat", NULL, INPUTS("module1"));
        add_layer(graph, &g, "module2", "flat", (const int64_t[]){ 4, 4 }, 2);
        MUST(octet_graph_set_output(graph, "module2", &err));
        MUST(octet_fuse(graph, &err));
        MUST(octet_equalize_pairs(graph, &pair, 1, 1e-4, NULL, &err));
        check_channels_equalized(graph, "module1", "module2");
        octet_graph_free(graph);
    }
}

/* The distance that decides: identical weights, ones against zeros, at 1e-6. */
static void test_converged(void **state)
{
    (void)state;
    float ones[9], zeros[9] = { 0 };
    for (int i = 0; i < 9; i++) ones[i] = 1;
    assert_true(octet_distance(ones, ones, 9) < 1e-6);
    assert_false(octet_distance(ones, zeros, 9) < 1e-6);
    assert_true(octet_distance(ones, zeros, 9) == 3);
}

typedef struct chain {
    const char *prefix; /* of the layers' names */
    int64_t     widths[4];
    bool        relu, conv;
} chain;

static octet_graph *build_chain(const chain *how, uint32_t seed)
{
    octet_graph *graph;
    torch_generator g;
    char name[3][32], relu[32], from[32] = "x";
    const int64_t input[] = { how->conv ? 3 : 20, how->widths[0], 1, 1 };
    torch_manual_seed(&g, seed);
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, input, how->conv ? 4 : 2, &err));
    for (int i = 0; i < 3; i++) {
        const int64_t dims[] = { how->widths[i + 1], how->widths[i], 1, 1 };
        snprintf(name[i], sizeof name[i], "%s%d", how->prefix, i + 1);
        add_layer(graph, &g, name[i], from, dims, how->conv ? 4 : 2);
        snprintf(relu, sizeof relu, "relu%d", i + 1);
        if (how->relu) add_node(graph, "Relu", relu, NULL, INPUTS(name[i]));
        snprintf(from, sizeof from, "%s", how->relu ? relu : name[i]);
    }
    MUST(octet_graph_set_output(graph, from, &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

/* Equalized, fused and unfused networks give the same; all pairs are equalized. */
static void check_chain(const chain *how)
{
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        float data[20 * 3], plain[ROOM], fused[ROOM], equalized[ROOM];
        octet_graph *const graph = build_chain(how, seed);
        octet_tensor x = { .dtype = OCTET_F32, .rank = how->conv ? 4 : 2, .data = data };
        random_state r = { seed };
        char names[3][32];
        size_t steps = 0;
        memcpy(x.dims, (const int64_t[]){ how->conv ? 3 : 20, 3, 1, 1 }, 4 * sizeof *x.dims);
        random_fill(&r, data, (size_t)octet_tensor_count(&x), -3, 3);
        for (int i = 0; i < 3; i++) snprintf(names[i], sizeof names[i], "%s%d", how->prefix, i + 1);
        const octet_pair pairs[] = { { names[0], names[1] }, { names[1], names[2] } };
        const size_t count = run_graph(graph, &x, plain, ROOM, NULL);
        MUST(octet_fuse(graph, &err));
        assert_int_equal(run_graph(graph, &x, fused, ROOM, NULL), count);
        MUST(octet_equalize_pairs(graph, pairs, 2, 1e-6, &steps, &err));
        assert_int_equal(run_graph(graph, &x, equalized, ROOM, NULL), count);
        assert_true(steps > 2 && steps < 2000); /* it had something to do, and came to an end */
        check_channels_equalized(graph, names[0], names[1]);
        check_channels_equalized(graph, names[1], names[2]);
        assert_close(equalized, fused, count, "equalized and fused, output");
        assert_close(equalized, plain, count, "equalized and plain, output");
        octet_graph_free(graph);
    }
}

static void test_equalize(void **state)
{
    (void)state;
    check_chain(&(chain){ "linear", { 3, 4, 5, 6 }, false, false });
}

static void test_equalize_fused_convrelu(void **state)
{
    (void)state;
    check_chain(&(chain){ "conv", { 3, 3, 3, 3 }, true, true });
}

static void test_equalize_fused_linearrelu(void **state)
{
    (void)state;
    check_chain(&(chain){ "linear", { 3, 4, 5, 6 }, true, false });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cross_layer_equalization), cmocka_unit_test(test_converged),
        cmocka_unit_test(test_equalize),                 cmocka_unit_test(test_equalize_fused_convrelu),
        cmocka_unit_test(test_equalize_fused_linearrelu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
