/* SPDX-License-Identifier: Apache-2.0 */
/* Masked attention in int8: what a mask forbids neither stretches the levels of the rest nor gets weight again.
   Products run on levels, what is masked stays real, and that is said. */
#include "attention.h"

#include "graph/graph.h"
#include "graph/op.h"

#include <octet/octet.h>

enum { SAMPLES = 48, COUNT = SAMPLES * WORDS * WIDE };

static char  folder[200], samples[300];
static float data[COUNT];

static int set_up(void **state)
{
    (void)state;
    random_state r = { 11 };
    random_fill(&r, data, COUNT, -2, 2);
    make_folder(folder, sizeof folder);
    snprintf(samples, sizeof samples, "%s/x.npy", folder);
    const octet_tensor x = { .dtype = OCTET_F32, .rank = 3, .dims = { SAMPLES, WORDS, WIDE }, .data = data };
    write_npy(samples, &x);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(samples);
    return rmdir(folder);
}

static bool decided(const octet_graph *graph, const char *node, const char *why)
{
    for (size_t i = 0; i < octet_graph_decision_count(graph); i++) {
        const octet_decision d = octet_graph_decision(graph, i);
        if (strcmp(d.node, node) == 0 && strcmp(d.what, "float") == 0 && strstr(d.why, why)) return true;
    }
    return false;
}

/* dB of the quantized graph's output, whose nodes are then checked to be levels or not. */
static double quantized(octet_graph *graph, const octet_tensor *x)
{
    static float   before[COUNT], after[COUNT];
    octet_dataset *set;
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_verify(graph, &err));
    assert_int_equal(run_graph(graph, x, before, COUNT, NULL), COUNT);
    MUST(octet_fuse(graph, &err));
    MUST(octet_dataset_open(&set, samples, &(octet_dataset_options){ .graph = graph }, &err));
    MUST(octet_prepare(graph, NULL, &err));
    MUST(octet_calibrate(graph, set, NULL, &err));
    MUST(octet_convert(graph, &err));
    octet_dataset_free(set);
    assert_int_equal(run_graph(graph, x, after, COUNT, NULL), COUNT);
    return sqnr_db(before, after, COUNT);
}

static void test_masks(void **state)
{
    (void)state;
    static float        mask[WORDS * WORDS];
    static const struct {
        double lowest;
        bool   chosen;
    } rows[] = { { -1e4, false }, { -3.4028234e38, false }, { (double)-INFINITY, false }, { -1, true } };
    const octet_tensor x = { .dtype = OCTET_F32, .rank = 3, .dims = { SAMPLES, WORDS, WIDE }, .data = data };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        random_state r = { 21 };
        for (int k = 0; k < WORDS * WORDS; k++) mask[k] = k % WORDS > k / WORDS ? (float)rows[i].lowest : 0;
        octet_graph *const graph =
            attention_graph(&r, &(attention_form){ .of_scores = "Mul", .mask = mask, .chosen = rows[i].chosen });
        const double db = quantized(graph, &x);
        if (db < 30) fail_msg("row %zu: %.1f dB", i, db);
        for (const octet_node *n = graph->first; n; n = n->next)
            if (strcmp(n->op->name, "MatMul") == 0 &&
                (octet_node_compute_mode(graph, n) == OCTET_MODE_REAL || !octet_value_levels(graph, n->inputs[1])))
                fail_msg("row %zu: %s is not of levels", i, n->name);
        assert_true(decided(graph, "weights", "masked"));
        if (!rows[i].chosen) assert_true(decided(graph, "masked", "mask"));
        octet_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_masks) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
