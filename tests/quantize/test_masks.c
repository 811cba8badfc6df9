/* SPDX-License-Identifier: Apache-2.0 */
/* Attention whose scores are hidden by a constant: what the mask touches stays real and says so, products around it do
   not, and the result stays close. */
#include "../residual.h"

#include "graph/graph.h"
#include "graph/op.h"

#include <math.h>

enum { LENGTH = 6, WIDTH = 8, VALUES = SAMPLES * LENGTH * WIDTH };

typedef struct way {
    const char *op; /* that puts the mask on */
    float       low;
    bool        real; /* expected of it */
} way;

static const way ways[] = {
    { "Add", -INFINITY, true },  { "Where", -INFINITY, true }, { "Add", -3.4e38f, true },
    { "Where", -1e9f, true },    { "Add", -1e4f, true },       { "Add", -100.0f, false },
};

static void add_mask(octet_graph *graph, const way *w)
{
    static float low[LENGTH * LENGTH];
    static bool  hidden[LENGTH * LENGTH];
    octet_tensor tensor = { .dtype = OCTET_F32, .rank = 2, .dims = { LENGTH, LENGTH }, .data = low };
    for (int i = 0; i < LENGTH * LENGTH; i++) {
        hidden[i] = i % LENGTH > i / LENGTH;
        low[i] = hidden[i] ? w->low : 0;
    }
    if (!strcmp(w->op, "Add")) {
        MUST(octet_graph_add_constant(graph, "mask", &tensor, &err));
        add_node(graph, "Add", "masked", NULL, INPUTS("scores", "mask"));
        return;
    }
    const octet_tensor one = { .dtype = OCTET_F32, .data = (void *)(uintptr_t)&w->low };
    tensor.dtype = OCTET_BOOL, tensor.data = hidden;
    MUST(octet_graph_add_constant(graph, "hidden", &tensor, &err));
    MUST(octet_graph_add_constant(graph, "low", &one, &err));
    add_node(graph, "Where", "masked", NULL, INPUTS("hidden", "low", "scores"));
}

static octet_graph *attention(const way *w)
{
    random_state          r = { 5 };
    octet_graph          *graph;
    const int64_t         dims[] = { OCTET_DIM_FREE, LENGTH, WIDTH }, square[] = { WIDTH, WIDTH };
    const octet_attribute turn[] = { { .name = "perm", .ints = (const int64_t[]){ 0, 2, 1 }, .count = 3 }, { 0 } };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 3, &err));
    for (int i = 0; i < 4; i++) {
        static const char *const weights[] = { "wq", "wk", "wv", "wo" };
        add_random(graph, &r, weights[i], square, 2, between(-0.6f, 0.6f));
    }
    add_node(graph, "MatMul", "q", NULL, INPUTS("x", "wq"));
    add_node(graph, "MatMul", "k", NULL, INPUTS("x", "wk"));
    add_node(graph, "MatMul", "v", NULL, INPUTS("x", "wv"));
    add_node(graph, "Transpose", "turned", turn, INPUTS("k"));
    add_node(graph, "MatMul", "scores", NULL, INPUTS("q", "turned"));
    add_mask(graph, w);
    add_node(graph, "Softmax", "shares", NULL, INPUTS("masked"));
    add_node(graph, "MatMul", "seen", NULL, INPUTS("shares", "v"));
    add_node(graph, "MatMul", "y", NULL, INPUTS("seen", "wo"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

static const char *why_float(const octet_graph *graph, const char *node)
{
    for (size_t i = 0; i < graph->decision_count; i++)
        if (!strcmp(graph->decisions[i].what, "float") && !strcmp(graph->decisions[i].node, node))
            return graph->decisions[i].why;
    return NULL;
}

static float x[VALUES];

static octet_tensor sequences(void)
{
    return (octet_tensor){ .dtype = OCTET_F32, .rank = 3, .dims = { SAMPLES, LENGTH, WIDTH }, .data = x };
}

/* The file that make_data of residual.h makes holds these instead. */
static int make_sequences(void **state)
{
    const octet_tensor tensor = sequences();
    random_state       r = { 6 };
    random_fill(&r, x, VALUES, -2, 2);
    if (make_data(state)) return -1;
    write_npy(data_path, &tensor);
    return 0;
}

static octet_graph *read_again(const octet_graph *graph)
{
    octet_graph *again;
    char         path[320];
    snprintf(path, sizeof path, "%s/masked.onnx", folder);
    MUST(octet_graph_save(graph, path, &err));
    MUST(octet_graph_load(&again, path, &err));
    unlink(path);
    return again;
}

static void masked_stays_real(void **state)
{
    static float       expected[VALUES], got[VALUES];
    const octet_tensor in = sequences();
    octet_dataset     *data;
    (void)state;
    MUST(octet_dataset_open(&data, data_path, NULL, &err));
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        octet_graph *const plain = attention(&ways[i]);
        octet_graph       *graph;
        MUST(octet_quantize(&graph, plain, data, NULL, NULL, &err));
        const char *const mask = why_float(graph, "masked"), *const softmax = why_float(graph, "shares");
        assert_true(!!softmax == ways[i].real);
        if (ways[i].real) {
            assert_non_null(strstr(softmax, "mask"));
            assert_non_null(mask);
        }
        for (const octet_node *n = graph->first; n; n = n->next)
            if (!strcmp(n->op->name, "MatMul"))
                assert_int_not_equal(octet_node_compute_mode(graph, n), OCTET_MODE_REAL);
        const size_t n = run_graph(plain, &in, expected, VALUES, NULL);
        assert_int_equal(run_graph(graph, &in, got, VALUES, NULL), n);
        const double db = sqnr_db(expected, got, n);
        if (!(db > 25)) fail_msg("%s of %g: %.1f dB", ways[i].op, (double)ways[i].low, db);
        octet_graph_free(plain);
        octet_graph_free(read_again(graph));
        octet_graph_free(graph);
    }
    octet_dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(masked_stays_real) };
    return cmocka_run_group_tests(tests, make_sequences, remove_data);
}
