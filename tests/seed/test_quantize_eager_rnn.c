/* SPDX-License-Identifier: Apache-2.0 */
/* PyTorch's test_quantized_rnn and test_quantized_rnn_cell, in meaning and with numbers: LSTM and GRU in both
   directions with sequences of different length, and one step of LSTM, GRU, RNN with tanh and relu, as cells are.
   Which become dynamic, with which weights, kept float by a rule, saved and loaded. */
#include "ptq_flow.h"

enum { STEPS = 6, SEQUENCES = 3, WIDTH = 5, UNITS = 4, VALUES = STEPS * SEQUENCES * WIDTH };

typedef struct module {
    const char *name, *op;
    int         gates, ways, steps;
    const char *activation; /* NULL: the operator's own */
} module;

static const module modules[] = {
    { "LSTM", "LSTM", 4, 2, STEPS, NULL },      { "GRU", "GRU", 3, 2, STEPS, NULL },
    { "LSTMCell", "LSTM", 4, 1, 1, NULL },      { "GRUCell", "GRU", 3, 1, 1, NULL },
    { "RNNTanhCell", "RNN", 1, 1, 1, "Tanh" },  { "RNNReluCell", "RNN", 1, 1, 1, "Relu" },
};
enum { MODULES = sizeof modules / sizeof *modules };

/* What is dynamic by which qconfig: its scales of R, one or one a row, and how near the output stays. */
static const struct {
    const char *name;
    bool        rows;
    double      least_db;
} ways[] = { { "default_dynamic_qconfig", false, 28 }, { "per_channel_dynamic_qconfig", true, 30 } };

/* x -> module -> y; sequences of a whole module are 6, 4 and 1 steps long. */
static octet_graph *network(const module *m)
{
    octet_graph          *graph;
    random_state          r = { 5 };
    const int64_t         way = m->ways, gates = m->gates;
    int32_t               lengths[SEQUENCES] = { STEPS, 4, 1 };
    const char *const     names[] = { m->activation };
    const octet_tensor    given = { .dtype = OCTET_I32, .rank = 1, .dims = { SEQUENCES }, .data = lengths };
    const octet_attribute both = { .name = "direction", .s = "bidirectional" };
    const octet_attribute named = { .name = "activations", .strings = names, .count = 1 };
    const octet_attribute none = { 0 }, own = m->activation ? named : none;
    const octet_attribute attributes[] = { m->ways == 2 ? both : own, { 0 } };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ m->steps, SEQUENCES, WIDTH }, 3, &err));
    MUST(octet_graph_add_constant(graph, "lengths", &given, &err));
    add_random(graph, &r, "w", (const int64_t[]){ way, gates * UNITS, WIDTH }, 3, between(-0.5f, 0.5f));
    add_random(graph, &r, "r", (const int64_t[]){ way, gates * UNITS, UNITS }, 3, between(-0.5f, 0.5f));
    add_random(graph, &r, "b", (const int64_t[]){ way, 2 * gates * UNITS }, 2, between(-0.5f, 0.5f));
    add_node(graph, m->op, "y", attributes, INPUTS("x", "w", "r", "b", m->steps > 1 ? "lengths" : NULL));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

static octet_tensor sequences(const module *m)
{
    static float x[VALUES];
    random_state r = { 9 };
    random_fill(&r, x, VALUES, -2, 2);
    return (octet_tensor){ .dtype = OCTET_F32, .rank = 3, .dims = { m->steps, SEQUENCES, WIDTH }, .data = x };
}

static octet_graph *dynamic(const module *m, const char *name, const octet_layer_rule *rule)
{
    octet_qconfig      qconfig = *octet_qconfig_find(name);
    octet_graph *const graph   = network(m);
    qconfig.layers = rule, qconfig.layer_count = rule != NULL;
    MUST(octet_prepare(graph, &qconfig, &err));
    MUST(octet_calibrate(graph, NULL, NULL, &err));
    MUST(octet_convert(graph, &err));
    return graph;
}

/* PyTorch's symmetric scale of n weights. */
static float scale_of(const float *w, int64_t n)
{
    float most = 0;
    for (int64_t i = 0; i < n; i++) most = fmaxf(most, fabsf(w[i]));
    return most / 127.5f;
}

/* Both matrices are int8 of PyTorch's scales. */
static void assert_weights(const octet_graph *graph, const module *m, bool rows)
{
    octet_graph *const plain = network(m);
    for (int slot = 1; slot <= 2; slot++) {
        const octet_value *const   value = octet_graph_find_node(graph, "y")->inputs[slot];
        const float *const         w = octet_graph_find_node(plain, "y")->inputs[slot]->constant->data;
        const octet_qparams *const q = octet_value_levels(graph, value);
        assert_non_null(q);
        assert_int_equal(q->dtype, OCTET_I8);
        assert_int_equal(q->count, rows ? m->gates * UNITS : 1);
        const int64_t inner = value->constant->dims[2], all = octet_tensor_count(value->constant);
        for (int64_t c = 0; c < q->count && m->ways == 1; c++)
            assert_true(q->scale[c] == scale_of(w + c * inner, rows ? inner : all));
    }
    octet_graph_free(plain);
}

/* Output of graph, and of what its file says; they are equal. Returns how many numbers. */
static size_t run_and_reload(const octet_graph *graph, const module *m, float *y)
{
    static float       again[ROOM];
    char               folder[512], path[600];
    octet_graph       *loaded;
    const octet_tensor x = sequences(m);
    const size_t       n = run_graph(graph, &x, y, ROOM, NULL);
    make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    MUST(octet_graph_save(graph, path, &err));
    MUST(octet_graph_load(&loaded, path, &err));
    MUST(octet_fuse(loaded, &err));
    assert_int_equal(run_graph(loaded, &x, again, ROOM, NULL), n);
    assert_memory_equal(y, again, n * sizeof *y);
    octet_graph_free(loaded);
    unlink(path);
    rmdir(folder);
    return n;
}

/* What lies behind the end of a sequence is 0: [steps][ways][sequences][units]. */
static void assert_padding(const module *m, const float *y)
{
    const int lengths[SEQUENCES] = { STEPS, 4, 1 };
    for (int t = 0; t < m->steps && m->steps > 1; t++)
        for (int w = 0; w < m->ways; w++)
            for (int s = 0; s < SEQUENCES; s++)
                for (int u = 0; u < UNITS; u++)
                    if (t >= lengths[s]) assert_true(y[((t * m->ways + w) * SEQUENCES + s) * UNITS + u] == 0);
}

static void modules_become_dynamic(void **unused)
{
    (void)unused;
    static float want[ROOM], got[ROOM];
    for (int i = 0; i < MODULES; i++)
        for (int k = 0; k < 2; k++) {
            const module *const m = &modules[i];
            octet_graph *const  plain = network(m), *const graph = dynamic(m, ways[k].name, NULL);
            const octet_tensor  x = sequences(m);
            assert_int_equal(mode_of(graph, "y"), OCTET_MODE_DYNAMIC);
            assert_weights(graph, m, ways[k].rows);
            const size_t n = run_graph(plain, &x, want, ROOM, NULL);
            assert_int_equal(run_and_reload(graph, m, got), n);
            assert_padding(m, got);
            const double db = sqnr_db(want, got, n);
            print_message("%-12s %-28s %.1f dB\n", m->name, ways[k].name, db);
            assert_true(db > ways[k].least_db && db < 70);
            octet_graph_free(plain);
            octet_graph_free(graph);
        }
}

/* float16: computed in float, with weights that are halves. */
static void halves(void **unused)
{
    (void)unused;
    static float want[ROOM], got[ROOM];
    for (int i = 0; i < MODULES; i++) {
        octet_graph *const plain = network(&modules[i]), *const graph = dynamic(&modules[i], "float16_dynamic_qconfig",
                                                                                 NULL);
        const octet_tensor x = sequences(&modules[i]);
        assert_int_equal(mode_of(graph, "y"), OCTET_MODE_REAL);
        for (int slot = 1; slot <= 2; slot++) assert_true(octet_graph_find_node(graph, "y")->inputs[slot]->half);
        const size_t n = run_graph(plain, &x, want, ROOM, NULL);
        assert_int_equal(run_and_reload(graph, &modules[i], got), n);
        const double db = sqnr_db(want, got, n);
        assert_true(db > 60 && db < 120);
        octet_graph_free(plain);
        octet_graph_free(graph);
    }
}

/* None by a rule; the static qconfigs of PyTorch leave recurrent modules float. */
static void what_stays_float(void **unused)
{
    (void)unused;
    const octet_layer_rule rule = { .match = "y", .keep_float = true };
    static float           want[ROOM], got[ROOM];
    for (int i = 0; i < MODULES; i++) {
        octet_graph *const plain = network(&modules[i]), *const graph = dynamic(&modules[i], ways[0].name, &rule);
        const octet_tensor x = sequences(&modules[i]);
        assert_int_equal(mode_of(graph, "y"), OCTET_MODE_REAL);
        const size_t n = run_graph(plain, &x, want, ROOM, NULL);
        assert_int_equal(run_graph(graph, &x, got, ROOM, NULL), n);
        assert_memory_equal(want, got, n * sizeof *want);
        octet_graph_free(plain);
        octet_graph_free(graph);
    }
    octet_graph  *graph = network(&modules[0]);
    octet_qconfig qconfig = torch_default(NULL, 0);
    MUST(octet_prepare(graph, &qconfig, &err));
    assert_int_equal(octet_graph_find_node(graph, "y")->dynamic, OCTET_DYNAMIC_OFF);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules_become_dynamic),
        cmocka_unit_test(halves),
        cmocka_unit_test(what_stays_float),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
