/* SPDX-License-Identifier: Apache-2.0 */
/* The embedding tests of PyTorch's test_quantize_eager_ptq.py, in meaning: which tables become levels, by which
   formula, what a lookup gives, what stays float, what a file gives back. Upstream checks types only. An EmbeddingBag
   is what PyTorch's exporter makes of it: Gather, Mul by the samples' weights, ReduceSum or ReduceMean. */
#include "ptq_flow.h"

#include "quantize/calibration.h"

#include <unistd.h>

enum { WORDS = 10, DIM = 12, PICKED = 32, BAG = 4, BAGS = PICKED / BAG, LINEAR = 5 };

/* The indices of test_embedding_linear_dynamic. */
static int64_t indices[PICKED] = { 9, 6, 5, 7, 8, 8, 9, 2, 8, 6, 6, 9, 1, 6, 8, 8,
                                   3, 2, 3, 6, 3, 6, 5, 7, 0, 8, 4, 6, 5, 8, 2, 3 };

typedef struct bag {
    const char *op;       /* NULL: a plain Embedding */
    bool        weighted; /* per_sample_weights */
    bool        linear;   /* a Linear behind it */
} bag;

static octet_graph *embedding(const bag *b)
{
    random_state  r     = { 5 };
    const int64_t dims[] = { BAGS, BAG }, axis = 1;
    const char   *last  = "emb";
    octet_graph  *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_I64, dims, 2, &err));
    add_random(graph, &r, "table", (const int64_t[]){ WORDS, DIM }, 2, between(-2, 3));
    add_node(graph, "Gather", "emb", NULL, INPUTS("table", "x"));
    if (b->weighted) {
        add_random(graph, &r, "psw", (const int64_t[]){ BAGS, BAG, 1 }, 3, between(0.5f, 1.5f));
        add_node(graph, "Mul", "weighted", NULL, INPUTS(last, "psw"));
        last = "weighted";
    }
    if (b->op) {
        const octet_attribute drop[] = { { .name = "keepdims", .i = 0 }, { 0 } };
        add_ints(graph, "axis", &axis, 1);
        add_node(graph, b->op, "bag", drop, INPUTS(last, "axis"));
        last = "bag";
    }
    if (b->linear) {
        add_random(graph, &r, "w", (const int64_t[]){ DIM, LINEAR }, 2, between(-0.5f, 0.5f));
        add_node(graph, "MatMul", "fc", NULL, INPUTS(last, "w"));
        last = "fc";
    }
    MUST(octet_graph_set_output(graph, last, &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

static octet_tensor words(void)
{
    return (octet_tensor){ .dtype = OCTET_I64, .rank = 2, .dims = { BAGS, BAG }, .data = indices };
}

static octet_graph *converted(const bag *b, const octet_qconfig *q)
{
    octet_graph *const graph = embedding(b);
    MUST(octet_prepare(graph, q, &err));
    MUST(octet_calibrate(graph, NULL, NULL, &err));
    MUST(octet_convert(graph, &err));
    return graph;
}

static const octet_tensor *table_of(const octet_graph *graph)
{
    return octet_graph_find_value(graph, "table")->constant;
}

/* PerChannelMinMaxObserver with per_channel_affine_float_qparams, quantize_per_channel, and the lookup: from the
   float table to the numbers that a row then means. */
static void torch_rows(float *real, const float *table, int highest)
{
    for (int row = 0; row < WORDS; row++) {
        const float *const x = table + row * DIM;
        float              lo = x[0], hi = x[0];
        for (int i = 1; i < DIM; i++) lo = fminf(lo, x[i]), hi = fmaxf(hi, x[i]);
        const float width = hi - lo, scale = width / (float)highest, zero = -lo / scale, inverse = 1.0f / scale;
        for (int i = 0; i < DIM; i++) {
            const float product = x[i] * inverse, sum = product + zero;
            const float level   = fminf(fmaxf(rintf(sum), 0), (float)highest), offset = level - zero;
            real[row * DIM + i] = offset * scale;
        }
    }
}

static const struct {
    const char *name;
    int         highest;
} configs[] = { { "float_qparams_weight_only_qconfig", 255 }, { "float_qparams_weight_only_qconfig_4bit", 15 } };

static const bag plain = { 0 };

static octet_graph *saved_and_loaded(const octet_graph *graph)
{
    char         folder[256], file[300];
    octet_graph *again;
    make_folder(folder, sizeof folder);
    snprintf(file, sizeof file, "%s/e.onnx", folder);
    MUST(octet_graph_save(graph, file, &err));
    MUST(octet_graph_load(&again, file, &err));
    MUST(octet_fuse(again, &err));
    unlink(file);
    rmdir(folder);
    return again;
}

/* test_quantized_embedding. */
static void an_embedding_is_looked_up_by_rows(void **unused)
{
    static float want[WORDS * DIM], got[PICKED * DIM], back[PICKED * DIM];
    const octet_tensor x = words();
    (void)unused;
    for (size_t c = 0; c < 2; c++) {
        octet_graph *const real  = embedding(&plain);
        octet_graph *const graph = converted(&plain, octet_qconfig_find(configs[c].name));
        torch_rows(want, table_of(real)->data, configs[c].highest);
        assert_int_equal(table_of(graph)->dtype, OCTET_U8);
        assert_non_null(table_of(graph)->qparams->real_zero_point);
        assert_int_equal(mode_of(graph, "emb"), OCTET_MODE_INTEGER_REAL);
        assert_int_equal(run_graph(graph, &x, got, PICKED * DIM, NULL), PICKED * DIM);
        for (int i = 0; i < PICKED; i++)
            assert_memory_equal(got + i * DIM, want + indices[i] * DIM, DIM * sizeof *got);
        octet_graph *const again = saved_and_loaded(graph);
        run_graph(again, &x, back, PICKED * DIM, NULL);
        assert_memory_equal(got, back, sizeof got);
        assert_int_equal(table_of(again)->dtype, OCTET_U8);
        octet_graph_free(again);
        octet_graph_free(graph);
        octet_graph_free(real);
    }
}

/* test_quantized_embedding_bag and test_embedding_bag: sum and mean, with weights and without, 8 and 4 bits. */
static void a_bag_sums_rows(void **unused)
{
    static const bag bags[] = { { "ReduceSum", false, false }, { "ReduceSum", true, false },
                                { "ReduceMean", false, false } };
    static float     rows[WORDS * DIM], want[BAGS * DIM], got[BAGS * DIM], near[BAGS * DIM];
    const octet_tensor x = words();
    (void)unused;
    for (size_t k = 0; k < 6; k++) {
        const bag *const   b    = &bags[k / 2];
        octet_graph *const real = embedding(b), *const graph = converted(b, octet_qconfig_find(configs[k % 2].name));
        torch_rows(rows, table_of(real)->data, configs[k % 2].highest);
        run_graph(real, &x, near, BAGS * DIM, NULL);
        float *const table = (float *)table_of(real)->data;
        memcpy(table, rows, sizeof rows);
        run_graph(real, &x, want, BAGS * DIM, NULL);
        assert_int_equal(run_graph(graph, &x, got, BAGS * DIM, NULL), BAGS * DIM);
        assert_memory_equal(want, got, sizeof got);
        const double db = sqnr_db(near, got, BAGS * DIM);
        print_message("%s%s %d levels: %.1f dB\n", b->op, b->weighted ? ", weighted" : "", configs[k % 2].highest + 1,
                      db);
        assert_true(k % 2 ? db > 20 && db < 40 : db > 45 && db < 65);
        octet_graph_free(graph);
        octet_graph_free(real);
    }
}

/* test_embedding_linear_dynamic: { Embedding: float_qparams_weight_only, Linear: default_dynamic }. */
static void embeddings_go_with_a_dynamic_linear(void **unused)
{
    static const bag   with_linear = { NULL, false, true };
    static float       want[PICKED * LINEAR], got[PICKED * LINEAR];
    const octet_tensor x = words();
    octet_qconfig      q = *octet_qconfig_find("default_dynamic_qconfig");
    (void)unused;
    MUST(octet_qconfig_embeddings(&q, "float_qparams", &err));
    octet_graph *const real = embedding(&with_linear), *const graph = converted(&with_linear, &q);
    assert_int_equal(mode_of(graph, "emb"), OCTET_MODE_INTEGER_REAL);
    assert_int_equal(mode_of(graph, "fc"), OCTET_MODE_DYNAMIC);
    assert_non_null(table_of(graph)->qparams->real_zero_point);
    const octet_qparams *const w = octet_graph_find_value(graph, "w")->constant->qparams;
    assert_true(w->dtype == OCTET_I8 && !w->real_zero_point && w->count == 1);
    const size_t n = run_graph(real, &x, want, PICKED * LINEAR, NULL);
    assert_int_equal(run_graph(graph, &x, got, PICKED * LINEAR, NULL), n);
    print_message("embedding, dynamic linear: %.1f dB\n", sqnr_db(want, got, n));
    assert_true(sqnr_db(want, got, n) > 35 && sqnr_db(want, got, n) < 60);
    octet_graph_free(graph);
    octet_graph_free(real);
}

/* EmbeddingWithStaticLinear, prepared: rows have parameters already, the Linear's input is observed. */
static void embeddings_go_with_a_static_linear(void **unused)
{
    static const bag with_linear = { "ReduceSum", false, true };
    octet_qconfig    q           = *octet_qconfig_find("default_qconfig");
    (void)unused;
    q.target = "torch-1.13";
    MUST(octet_qconfig_embeddings(&q, "float_qparams", &err));
    octet_graph *const graph = embedding(&with_linear);
    MUST(octet_prepare(graph, &q, &err));
    const octet_qparams *const rows = &octet_graph_find_value(graph, "table")->fake_quantize->qparams;
    const octet_qparams *const w    = &octet_graph_find_value(graph, "w")->fake_quantize->qparams;
    assert_true(rows->count == WORDS && rows->real_zero_point && rows->qmax == 255);
    assert_true(w->count == 1 && !w->real_zero_point && w->zero_point[0] == 0);
    assert_non_null(graph->calibration->watches[octet_graph_find_value(graph, "bag")->index].group);
    octet_graph_free(graph);
}

static bool stays_float(const octet_graph *graph, const char *node, const char *why)
{
    for (size_t i = 0; i < graph->decision_count; i++)
        if (!strcmp(graph->decisions[i].node, node) && !strcmp(graph->decisions[i].what, "float"))
            return strstr(graph->decisions[i].why, why) != NULL;
    return false;
}

/* test_embedding_ops_dynamic: an Embedding takes no qconfig but those of real zero points, upstream by a ValueError;
   and a Linear none of these. */
static void what_does_not_fit_stays_float(void **unused)
{
    static const bag with_linear = { NULL, false, true };
    octet_graph     *graph       = converted(&with_linear, octet_qconfig_find("default_dynamic_qconfig"));
    (void)unused;
    assert_null(table_of(graph)->qparams);
    assert_true(stays_float(graph, "emb", "table"));
    octet_graph_free(graph);
    graph = converted(&with_linear, octet_qconfig_find("float_qparams_weight_only"));
    assert_non_null(table_of(graph)->qparams);
    assert_null(octet_graph_find_value(graph, "w")->constant->qparams);
    assert_true(stays_float(graph, "fc", "real"));
    octet_graph_free(graph);
}

/* test_embedding_qat_qconfig_equal: asked for twice it is the same, and not the other one. */
static void qconfigs_of_embeddings_are_rows(void **unused)
{
    (void)unused;
    const octet_qconfig *const eight = octet_qconfig_find("default_embedding_qat_qconfig");
    const octet_qconfig *const four  = octet_qconfig_find("default_embedding_qat_qconfig_4bit");
    assert_non_null(eight);
    assert_ptr_equal(eight, octet_qconfig_find("default_embedding_qat_qconfig"));
    assert_true(eight->weight.averaging == 1 && eight->weight.formula == OCTET_FORMULA_TORCH_FLOAT);
    assert_true(eight->weight.qmax == 255 && four && four->weight.qmax == 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_embedding_is_looked_up_by_rows),    cmocka_unit_test(a_bag_sums_rows),
        cmocka_unit_test(embeddings_go_with_a_dynamic_linear),  cmocka_unit_test(embeddings_go_with_a_static_linear),
        cmocka_unit_test(what_does_not_fit_stays_float),        cmocka_unit_test(qconfigs_of_embeddings_are_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
