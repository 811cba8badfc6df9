/* SPDX-License-Identifier: Apache-2.0 */
/* The best engine of the build against the operators' definitions: one node at a time, geometry at random. Whatever
   is declined runs on the reference engine and agrees trivially, so each sweep also counts what was taken. */
#include "network.h"

enum { MOST_ELEMENTS = 1 << 16, CASES = 120 };

typedef struct one_node {
    octet_graph *graph;
    octet_tensor input;
    float        data[MOST_ELEMENTS];
} one_node;

static void begin(one_node *n, random_state *r, const int64_t *dims, int rank)
{
    n->input = (octet_tensor){ .dtype = OCTET_F32, .rank = rank, .data = n->data };
    memcpy(n->input.dims, dims, (size_t)rank * sizeof *dims);
    const int64_t count = octet_tensor_count(&n->input);
    assert_in_range(count, 1, MOST_ELEMENTS);
    random_fill(r, n->data, (size_t)count, -2, 2);
    MUST(octet_graph_new(&n->graph, &err));
    MUST(octet_graph_add_input(n->graph, "x", OCTET_F32, dims, rank, &err));
}

/* Runs to "y" on both engines; whether oneDNN took the node, whose operator begins the description. */
static bool compare(one_node *n, const char *what)
{
    session plain, best;
    bool    taken = false;
    MUST(octet_graph_set_output(n->graph, "y", &err));
    MUST(octet_graph_verify(n->graph, &err));
    MUST(octet_fuse(n->graph, &err));
    session_begin(&plain, n->graph, &(octet_plan_options){ .engines = "reference" });
    session_begin(&best, n->graph, &(octet_plan_options){ .threads = 2 });
    session_run(&plain, &n->input);
    session_run(&best, &n->input);
    const double far = distance(&plain.outputs[0], &best.outputs[0]);
    if (!(far < 1e-5)) fail_msg("%s: %g", what, far);
    for (size_t i = 0; i < octet_plan_step_count(best.plan); i++) {
        const octet_step_info info = octet_plan_step(best.plan, i);
        if (strncmp(info.op, what, strlen(info.op)) == 0) taken |= strcmp(info.engine, "onednn") == 0;
    }
    session_end(&plain);
    session_end(&best);
    octet_graph_free(n->graph);
    return taken;
}

/* Something that blocks the input's channels: pools are taken only behind it. */
static const char *add_blocker(one_node *n, random_state *r)
{
    const int64_t channels = n->input.dims[1], rank = n->input.rank;
    int64_t       dims[OCTET_MAX_RANK] = { channels, channels };
    for (int i = 2; i < rank; i++) dims[i] = 1;
    add_random(n->graph, r, "blocker", dims, (int)rank, between(-1, 1));
    add_node(n->graph, "Conv", "blocked", NULL, INPUTS("x", "blocker"));
    return "blocked";
}

/* ---- Conv ---- */

typedef struct geometry {
    int     rank; /* spatial */
    int64_t kernel[3], stride[3], dilation[3], pads[6], padding[3]; /* padding: output_padding */
} geometry;

static geometry random_geometry(random_state *r, int rank)
{
    geometry g = { .rank = rank };
    for (int i = 0; i < rank; i++) {
        g.kernel[i]   = random_int(r, 1, 4);
        g.stride[i]   = random_int(r, 1, 3);
        g.dilation[i] = random_int(r, 1, 2);
        g.pads[i]     = random_int(r, 0, g.kernel[i] - 1);
        g.pads[rank + i] = random_int(r, 0, g.kernel[i] - 1);
        g.padding[i]     = random_int(r, 0, g.stride[i] - 1);
    }
    return g;
}

static void conv_case(one_node *n, random_state *r, const char *op, char *text, size_t size)
{
    static const int64_t shapes[][3] = { { 3, 16, 1 }, { 1, 5, 1 },   { 24, 40, 1 }, { 32, 32, 32 }, { 7, 7, 7 },
                                         { 24, 32, 2 }, { 64, 32, 2 }, { 6, 12, 3 },  { 16, 48, 16 }, { 17, 3, 1 } };
    const int64_t *const shape = shapes[random_int(r, 0, 9)];
    const bool           turned = strcmp(op, "ConvTranspose") == 0;
    const geometry       made = random_geometry(r, (int)random_int(r, 1, 3)), *const g = &made;
    int64_t dims[5] = { random_int(r, 1, 2), shape[0] }, weights[5] = { shape[1], shape[0] / shape[2] };
    if (turned) weights[0] = shape[0], weights[1] = shape[1] / shape[2];
    for (int i = 0; i < g->rank; i++) {
        dims[2 + i]    = random_int(r, 7, g->rank == 1 ? 40 : g->rank == 2 ? 12 : 7);
        weights[2 + i] = g->kernel[i];
    }
    begin(n, r, dims, g->rank + 2);
    add_random(n->graph, r, "w", weights, g->rank + 2, between(-0.5f, 0.5f));
    add_random(n->graph, r, "b", shape + 1, 1, between(-0.5f, 0.5f));
    const octet_attribute attributes[] = { { .name = "strides", .ints = g->stride, .count = (size_t)g->rank },
                                           { .name = "dilations", .ints = g->dilation, .count = (size_t)g->rank },
                                           { .name = "pads", .ints = g->pads, .count = (size_t)g->rank * 2 },
                                           { .name = "group", .i = shape[2] },
                                           { .name = turned ? "output_padding" : NULL, .ints = g->padding,
                                             .count = (size_t)g->rank },
                                           { 0 } };
    const bool bias = random_int(r, 0, 1), relu = random_int(r, 0, 1);
    add_node(n->graph, op, relu ? "inner" : "y", attributes,
             bias ? INPUTS("x", "w", "b") : INPUTS("x", "w"));
    if (relu) add_node(n->graph, "Relu", "y", NULL, INPUTS("inner"));
    snprintf(text, size, "%s %dd %d->%d group %d kernel %d stride %d dilation %d pads %d %d", op, g->rank,
             (int)shape[0], (int)shape[1], (int)shape[2], (int)g->kernel[0], (int)g->stride[0], (int)g->dilation[0],
             (int)g->pads[0], (int)g->pads[g->rank]);
}

static void convolutions(const char *op)
{
    static one_node n;
    random_state    r     = { 2024 };
    int             taken = 0;
    for (int i = 0; i < CASES; i++) {
        char text[200];
        conv_case(&n, &r, op, text, sizeof text);
        taken += compare(&n, text);
    }
    print_message("%d of %d %s taken\n", taken, CASES, op);
    if (strcmp(octet_engine_name(0, NULL), "onednn") == 0) assert_true(taken > CASES * 3 / 4);
}

static void test_convolutions(void **state)
{
    (void)state;
    convolutions("Conv");
}

static void test_transposed(void **state)
{
    (void)state;
    convolutions("ConvTranspose");
}

/* ---- pools ---- */

static void pool_case(one_node *n, random_state *r, const char *op, char *text, size_t size)
{
    geometry      g       = random_geometry(r, (int)random_int(r, 1, 2));
    const int64_t dims[4] = { random_int(r, 1, 2), random_int(r, 1, 40), random_int(r, 5, 13), random_int(r, 5, 13) };
    const bool    max     = strcmp(op, "MaxPool") == 0;
    begin(n, r, dims, g.rank + 2);
    const octet_attribute attributes[] = { { .name = "kernel_shape", .ints = g.kernel, .count = (size_t)g.rank },
                                           { .name = "strides", .ints = g.stride, .count = (size_t)g.rank },
                                           { .name = "pads", .ints = g.pads, .count = (size_t)g.rank * 2 },
                                           { .name = "ceil_mode", .i = random_int(r, 0, 1) },
                                           { .name = max ? "storage_order" : "count_include_pad",
                                             .i = max ? 0 : random_int(r, 0, 1) },
                                           { 0 } };
    add_node(n->graph, op, "y", attributes, INPUTS(add_blocker(n, r)));
    snprintf(text, size, "%s %dd channels %d kernel %d stride %d pads %d %d ceil %d", op, g.rank, (int)dims[1],
             (int)g.kernel[0], (int)g.stride[0], (int)g.pads[0], (int)g.pads[g.rank], (int)attributes[3].i);
}

static void test_pools(void **state)
{
    (void)state;
    static one_node n;
    random_state    r     = { 2025 };
    int             taken = 0;
    for (int i = 0; i < CASES; i++) {
        char text[200];
        pool_case(&n, &r, i % 2 ? "MaxPool" : "AveragePool", text, sizeof text);
        taken += compare(&n, text);
    }
    print_message("%d of %d pools taken\n", taken, CASES);
    if (strcmp(octet_engine_name(0, NULL), "onednn") == 0) assert_true(taken > CASES / 2);
}

/* ---- products ---- */

static void product_case(one_node *n, random_state *r, char *text, size_t size)
{
    const int64_t m = random_int(r, 1, 9), k = random_int(r, 1, 70), width = random_int(r, 1, 50);
    const bool    gemm = random_int(r, 0, 1), transposed = gemm && random_int(r, 0, 1);
    const int64_t dims[] = { random_int(r, 1, 3), m, k }, bias_rank = random_int(r, 1, 2);
    const int64_t weights[] = { transposed ? width : k, transposed ? k : width };
    const int64_t bias[]    = { bias_rank == 2 ? 1 : random_int(r, 0, 1) ? width : 1, width };
    begin(n, r, gemm ? dims + 1 : dims, gemm ? 2 : 3);
    add_random(n->graph, r, "w", weights, 2, between(-1, 1));
    add_random(n->graph, r, "b", bias, (int)bias_rank, between(-1, 1));
    const octet_attribute attributes[] = { { .name = "transB", .i = transposed },
                                           { .name = "alpha", .f = random_float(r, -1, 2) },
                                           { .name = "beta", .f = random_float(r, -1, 2) },
                                           { 0 } };
    if (!gemm) add_node(n->graph, "MatMul", "y", NULL, INPUTS("x", "w"));
    else add_node(n->graph, "Gemm", "y", attributes, random_int(r, 0, 1) ? INPUTS("x", "w", "b") : INPUTS("x", "w"));
    snprintf(text, size, "%s %dx%dx%d transposed %d bias %d,%d", gemm ? "Gemm" : "MatMul", (int)m, (int)k, (int)width,
             transposed, (int)bias_rank, (int)bias[0]);
}

static void test_products(void **state)
{
    (void)state;
    static one_node n;
    random_state    r     = { 2026 };
    int             taken = 0;
    for (int i = 0; i < CASES; i++) {
        char text[200];
        product_case(&n, &r, text, sizeof text);
        taken += compare(&n, text);
    }
    if (strcmp(octet_engine_name(0, NULL), "onednn") == 0) assert_int_equal(taken, CASES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolutions), cmocka_unit_test(test_transposed),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
