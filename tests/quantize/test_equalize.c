/* SPDX-License-Identifier: Apache-2.0 */
/* Equalization leaves every network what it is, on inputs far beyond the samples; what cannot be scaled is not touched;
   what can is balanced. */
#include "quantize/equalize_case.h"

#include "graph/copy.h"

enum { EQ_SAMPLES = 6 };
static char folder[256], data_path[300];

static int make_data(void **state)
{
    (void)state;
    static float       x[EQ_SAMPLES * EQ_INPUT];
    random_state       r      = { 3 };
    const octet_tensor tensor = { .dtype = OCTET_F32, .rank = 4, .dims = { EQ_SAMPLES, 3, EQ_SIDE, EQ_SIDE },
                                  .data = x };
    random_fill(&r, x, EQ_SAMPLES * EQ_INPUT, -1, 1);
    make_folder(folder, sizeof folder);
    snprintf(data_path, sizeof data_path, "%s/x.npy", folder);
    write_npy(data_path, &tensor);
    return 0;
}

static int remove_data(void **state)
{
    (void)state;
    unlink(data_path);
    return rmdir(folder);
}

static octet_dataset *open_data(const octet_graph *graph)
{
    octet_dataset *data;
    MUST(octet_dataset_open(&data, data_path, &(octet_dataset_options){ .graph = graph }, &err));
    return data;
}

static const struct {
    const char *what, *text, *tap;
    int         least; /* layers that change */
} cases[] = {
    { "chain", "conv a x 3 8;Relu b a;conv y b", NULL, 2 },
    { "without bias", "bare a x 3 8;Relu b a;bare y b 8 8", NULL, 2 },
    { "depthwise", "conv a x 3 8;Relu b a;dw c b;Relu d c;conv y d", NULL, 3 },
    { "grouped", "conv a x 3 8;Relu b a;grouped c b;Relu d c;conv y d", NULL, 3 },
    { "relu6", "conv a x 3 8;relu6 b a;dw c b;relu6 d c;conv y d", NULL, 3 },
    { "clip that is not absorbed", "conv a x 3 8;MaxPool p a;relu6 b p;conv y b", NULL, 2 },
    { "leaky", "conv a x 3 8;LeakyRelu b a;conv y b", NULL, 2 },
    { "diamond", "conv a x 3 8;Relu b a;conv c b;Add d b c;Relu e d;conv y e", NULL, 3 },
    { "two adds", "conv a x 3 8;conv b a;Add c a b;conv d c;Add e c d;Relu f e;conv y f", NULL, 4 },
    { "difference", "conv a x 3 8;conv b x 3 8;Sub c a b;conv y c", NULL, 3 },
    { "concat", "conv a x 3 8;Relu r a;conv b x 3 8;Concat c r b;conv y c 16 4", NULL, 3 },
    { "read twice", "conv a x 3 8;Relu b a;conv c b;conv d b;Add y c d", NULL, 3 },
    { "pools", "conv a x 3 8;Relu b a;MaxPool c b;AveragePool d c;conv e d;GlobalAveragePool f e;Flatten g f;"
               "gemm y g 8 5", NULL, 3 },
    { "largest of all", "conv a x 3 8;GlobalMaxPool b a;Flatten c b;gemm y c 8 5", NULL, 2 },
    { "flatten", "conv a x 3 8;Relu b a;Flatten c b;gemm y c 512 5", NULL, 2 },
    { "two gemms", "Flatten f x;gemm a f 192 8;Relu b a;gemm y b 8 5", NULL, 2 },
    { "zeros around", "conv a x 3 8;Relu b a;pad0 c b;conv y c", NULL, 2 },
    { "times a constant", "conv a x 3 8;times b a;conv y b", NULL, 2 },
    { "shuffle", "conv a x 3 8;Relu b a;groups c b;swap d c;ungroup e d;dw f e;conv y f", NULL, 3 },
    { "shared weights", "conv a x 3 8;Relu b a;conv c b;Relu d c;again e d c;Relu f e;conv y f", NULL, 4 },
    { "one of two branches ends", "conv a x 3 8;Relu b a;conv c b;Relu d c;conv y d", "b", 2 },
    { "output is read", "conv a x 3 8;Relu b a;conv y b", "b", 0 },
    { "group with the output", "conv a x 3 8;conv b a;Add c a b;conv d c;Add y c d", NULL, 0 },
    { "group with the input", "conv a x 3 3;Add b a x;conv y b 3 4", NULL, 0 },
    { "sigmoid", "conv a x 3 8;Sigmoid b a;conv y b", NULL, 0 },
    { "hard sigmoid", "conv a x 3 8;HardSigmoid b a;conv y b", NULL, 0 },
    { "softmax", "conv a x 3 8;Softmax b a;conv y b", NULL, 0 },
    { "clip from below", "conv a x 3 8;clip b a;conv y b", NULL, 0 },
    { "ones around", "conv a x 3 8;pad1 b a;conv y b", NULL, 0 },
    { "plus a constant", "conv a x 3 8;plus b a;conv y b", NULL, 0 },
    { "product", "conv a x 3 8;conv b x 3 8;Mul c a b;conv y c", NULL, 0 },
    { "group with a sigmoid", "conv a x 3 8;conv b a;Sigmoid s b;Add c a s;conv y c", NULL, 0 },
};
enum { CASES = sizeof cases / sizeof *cases };

/* Layers whose weights are not what they were. */
static int count_changed(const octet_graph *now, const octet_graph *before)
{
    int changed = 0;
    for (const octet_node *n = before->first; n; n = n->next) {
        if (n->op->quant != OCTET_QUANT_MAC) continue;
        const octet_node *const twin = octet_graph_find_node(now, n->name);
        const size_t bytes = (size_t)octet_tensor_bytes(n->inputs[1]->constant);
        changed += memcmp(octet_constant_floats(n->inputs[1]), octet_constant_floats(twin->inputs[1]), bytes) != 0;
    }
    return changed;
}

static void check_case(int i, octet_equalization how, bool with_data)
{
    octet_graph *const   plain = build_text(cases[i].text, cases[i].tap);
    octet_graph *const   graph = build_text(cases[i].text, cases[i].tap);
    octet_dataset *const data  = with_data ? open_data(graph) : NULL;
    char                 what[120];
    snprintf(what, sizeof what, "%s, %d%s", cases[i].what, how, with_data ? "" : " without data");
    MUST(octet_equalize(graph, how, data, NULL, &err));
    const int changed = count_changed(graph, plain);
    if (cases[i].least ? changed < cases[i].least && (with_data || !strstr(cases[i].text, "relu6")) : changed > 0)
        fail_msg("%s: %d layers changed", what, changed);
    assert_int_equal(octet_graph_metadata(graph, OCTET_EQUALIZED) != NULL, changed > 0);
    assert_int_equal(octet_graph_stage(graph), OCTET_STAGE_FUSED);
    assert_same_function(plain, graph, 1, what);
    assert_same_function(plain, graph, 1000, what);
    octet_dataset_free(data);
    octet_graph_free(plain);
    octet_graph_free(graph);
}

static void functions_stay_and_what_cannot_be_scaled_is_left_alone(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++)
        for (int how = 0; how < OCTET_EQUALIZATIONS; how++) {
            check_case(i, (octet_equalization)how, true);
            if (how != OCTET_EQUALIZE_SCALE) check_case(i, (octet_equalization)how, false);
        }
}

static void set_row(octet_graph *graph, const char *node, int64_t row, float value, float bias)
{
    const octet_tensor *const w = octet_graph_find_node(graph, node)->inputs[1]->constant;
    const int64_t             n = octet_tensor_count(w) / w->dims[0];
    for (int64_t i = 0; i < n; i++) ((float *)w->data)[row * n + i] = value;
    ((float *)octet_graph_find_node(graph, node)->inputs[2]->constant->data)[row] = bias;
}

/* Rows of zeros, columns of zeros, all of a layer, channels that never leave zero, equal weights. */
static void dead_and_constant_channels_stay_finite(void **state)
{
    (void)state;
    for (int how = 0; how < OCTET_EQUALIZATIONS; how++)
        for (int all = 0; all < 2; all++) {
            octet_graph *const graph = build_text("conv a x 3 8;Relu b a;conv c b;Relu d c;conv y d", NULL);
            octet_graph       *plain;
            set_row(graph, "a", 1, 0, 0);
            set_row(graph, "a", 2, 0, -5);
            set_row(graph, "a", 3, 0, 5);
            set_row(graph, "a", 4, 0.25f, 0);
            for (int o = 0; o < (all ? 8 : 1); o++) set_row(graph, "c", o, 0, 0);
            float *const w = (float *)(uintptr_t)weights_of(graph, "c", 1);
            for (int o = 0; o < 8; o++) memset(w + (o * 8 + 5) * 9, 0, 9 * sizeof *w);
            MUST(octet_graph_copy(&plain, graph, &err));
            MUST(octet_graph_own(plain, &err));
            octet_dataset *const data = open_data(graph);
            MUST(octet_equalize(graph, (octet_equalization)how, data, NULL, &err));
            assert_same_function(plain, graph, 1000, all ? "a dead layer" : "dead channels");
            for (int i = 0; i < 8 * 8 * 9; i++) assert_true(isfinite(weights_of(graph, "c", 1)[i]));
            for (int i = 0; i < 8 * 3 * 9; i++) assert_true(isfinite(weights_of(graph, "a", 1)[i]));
            octet_dataset_free(data);
            octet_graph_free(plain);
            octet_graph_free(graph);
        }
}

/* ---- what came of it ---- */

/* Largest |w| of input column c (all taps), and of output row c, of 8 x 8 x 9 weights. */
static float column_reach(const float *w, int c)
{
    float most = 0;
    for (int o = 0; o < 8; o++)
        for (int t = 0; t < 9; t++) most = fmaxf(most, fabsf(w[(o * 8 + c) * 9 + t]));
    return most;
}

static float row_reach(const float *w, int o, int length)
{
    float most = 0;
    for (int i = 0; i < length; i++) most = fmaxf(most, fabsf(w[o * length + i]));
    return most;
}

/* Largest value of each channel of b over the samples. */
static void channel_reach(float reach[8], const octet_graph *from)
{
    octet_graph         *graph;
    static float         x[EQ_INPUT], y[8 * EQ_SIDE * EQ_SIDE];
    const octet_tensor   input = { .dtype = OCTET_F32, .rank = 4, .dims = { 1, 3, EQ_SIDE, EQ_SIDE }, .data = x };
    octet_dataset *const data  = open_data(from);
    MUST(octet_graph_copy(&graph, from, &err));
    graph->outputs[0] = octet_graph_find_value(graph, "b");
    graph->outputs[0]->is_output = true;
    memset(reach, 0, 8 * sizeof *reach);
    for (size_t i = 0; i < octet_dataset_count(data); i++) {
        MUST(octet_dataset_read(data, i, x, NULL, &err));
        run_graph(graph, &input, y, 8 * EQ_SIDE * EQ_SIDE, NULL);
        for (int e = 0; e < 8 * EQ_SIDE * EQ_SIDE; e++)
            reach[e / (EQ_SIDE * EQ_SIDE)] = fmaxf(reach[e / (EQ_SIDE * EQ_SIDE)], y[e]);
    }
    octet_dataset_free(data);
    octet_graph_free(graph);
}

static float most_of(const float *x)
{
    float most = 0;
    for (int c = 0; c < 8; c++) most = fmaxf(most, x[c]);
    return most;
}

static float spread(const float *x)
{
    float least = INFINITY;
    for (int c = 0; c < 8; c++) least = fminf(least, x[c]);
    return most_of(x) / least;
}

static octet_graph *equalized(const char *text, octet_equalization how, bool with_data)
{
    octet_graph *const   graph = build_text(text, NULL);
    octet_dataset *const data  = with_data ? open_data(graph) : NULL;
    MUST(octet_equalize(graph, how, data, NULL, &err));
    octet_dataset_free(data);
    return graph;
}

static const char chain[] = "conv a x 3 8;Relu b a;conv y b";

/* Half the way in the exponent. */
static void scaling_takes_the_root_of_the_spread(void **state)
{
    (void)state;
    float before[8], after[8];
    octet_graph *const plain = build_text(chain, NULL), *const graph = equalized(chain, OCTET_EQUALIZE_SCALE, true);
    channel_reach(before, plain);
    channel_reach(after, graph);
    print_message("spread of activations %.1f, scaled %.1f\n", spread(before), spread(after));
    assert_true(spread(before) > 20);
    assert_true(spread(after) < 1.5f * sqrtf(spread(before)) && spread(after) > sqrtf(spread(before)) / 1.5f);
    assert_true(fabsf(most_of(after) / most_of(before) - 1) < 0.2f); /* the tensor's range stays */
    octet_graph_free(plain);
    octet_graph_free(graph);
}

/* A channel's share of the activations' range is its share of the weights that read it. */
static void balancing_makes_shares_equal(void **state)
{
    (void)state;
    float reach[8], column[8];
    octet_graph *const graph = equalized(chain, OCTET_EQUALIZE_BALANCE, true);
    channel_reach(reach, graph);
    for (int c = 0; c < 8; c++) column[c] = column_reach(weights_of(graph, "y", 1), c);
    for (int c = 0; c < 8; c++) {
        const float activation = reach[c] / most_of(reach), weight = column[c] / most_of(column);
        if (fabsf(activation / weight - 1) > 0.02f) fail_msg("channel %d: %g and %g", c, activation, weight);
    }
    octet_graph_free(graph);
}

/* Without data: rows of the first layer and columns of the second, through a depthwise layer. */
static void weights_alone_are_balanced(void **state)
{
    (void)state;
    static const char text[] = "conv a x 3 8;Relu b a;dw c b;Relu d c;conv y d";
    float made[8], middle[8], read[8];
    octet_graph *const graph = equalized(text, OCTET_EQUALIZE_BALANCE_TENSOR, false);
    for (int c = 0; c < 8; c++) {
        made[c]   = row_reach(weights_of(graph, "a", 1), c, 27);
        middle[c] = row_reach(weights_of(graph, "c", 1), c, 9);
        read[c]   = column_reach(weights_of(graph, "y", 1), c);
    }
    for (int c = 0; c < 8; c++) {
        const float first = made[c] / most_of(made), second = middle[c] / most_of(middle);
        const float third = read[c] / most_of(read);
        if (fabsf(first / second - 1) > 0.05f || fabsf(second / third - 1) > 0.05f)
            fail_msg("channel %d: %g, %g, %g", c, first, second, third);
    }
    octet_graph_free(graph);
}

/* What is balanced stays so; threads do not show. */
static void a_fixed_point_whatever_the_threads(void **state)
{
    (void)state;
    static const char text[] = "conv a x 3 8;Relu b a;dw c b;relu6 d c;conv e d;conv f e;Add g e f;Relu h g;conv y h";
    for (int how = 0; how < OCTET_EQUALIZATIONS; how++) {
        octet_graph *graphs[2];
        for (int i = 0; i < 2; i++) {
            graphs[i]                             = build_text(text, NULL);
            octet_dataset *const          data    = open_data(graphs[i]);
            const octet_calibrate_options threads = { .threads = 1 + 2 * i };
            MUST(octet_equalize(graphs[i], (octet_equalization)how, data, &threads, &err));
            if (i == 1) assert_int_equal(count_changed(graphs[1], graphs[0]), 0);
            octet_dataset_free(data);
        }
        octet_dataset *const data = open_data(graphs[1]);
        MUST(octet_equalize(graphs[1], (octet_equalization)how, data, NULL, &err));
        for (int i = 0; how != OCTET_EQUALIZE_SCALE && i < 8 * 8 * 9; i++) {
            const float now = weights_of(graphs[1], "y", 1)[i], before = weights_of(graphs[0], "y", 1)[i];
            assert_true(fabsf(now - before) <= 0.05f * fabsf(before));
        }
        octet_dataset_free(data);
        octet_graph_free(graphs[0]);
        octet_graph_free(graphs[1]);
    }
}

static int count_op(const octet_graph *graph, const char *op)
{
    int count = 0;
    for (const octet_node *n = graph->first; n; n = n->next) count += octet_node_is(n, op);
    return count;
}

/* ---- bounds ---- */

static const char bounded[] = "conv a x 3 8;relu6 b a;dw c b;relu6 d c;conv y d";

/* bounded, with values so large that some channels reach 6 on the samples, and weights that read the others as if these
   were the larger ones. */
static octet_graph *equalized_bounded(octet_equalization how)
{
    octet_graph *const   graph = build_text(bounded, NULL);
    octet_dataset *const data  = open_data(graph);
    float *const         w     = (float *)(uintptr_t)weights_of(graph, "a", 1);
    float *const         v     = (float *)(uintptr_t)weights_of(graph, "c", 1);
    float *const         y     = (float *)(uintptr_t)weights_of(graph, "y", 1);
    for (int i = 0; i < 8 * 27; i++) w[i] *= 20;
    for (int i = 0; i < 8 * 9; i++) v[i] *= i / 9 % 2 ? 1 : 50;
    for (int i = 0; i < 8 * 8 * 9; i++) y[i] *= i / 9 % 2 ? 1000 : 1;
    MUST(octet_equalize(graph, how, data, NULL, &err));
    octet_dataset_free(data);
    return graph;
}

static void assert_same_on_samples(const octet_graph *a, const octet_graph *b)
{
    static float         x[EQ_INPUT], y[2][EQ_ROOM];
    const octet_tensor   input = { .dtype = OCTET_F32, .rank = 4, .dims = { 1, 3, EQ_SIDE, EQ_SIDE }, .data = x };
    octet_dataset *const data  = open_data(a);
    for (size_t i = 0; i < octet_dataset_count(data); i++) {
        float most = 0;
        MUST(octet_dataset_read(data, i, x, NULL, &err));
        const size_t count = run_graph(a, &input, y[0], EQ_ROOM, NULL);
        assert_int_equal(run_graph(b, &input, y[1], EQ_ROOM, NULL), count);
        for (size_t e = 0; e < count; e++) most = fmaxf(most, fabsf(y[0][e]));
        for (size_t e = 0; e < count; e++) assert_true(fabsf(y[0][e] - y[1][e]) <= 1e-5f * most);
    }
    octet_dataset_free(data);
}

/* A bound per channel in the float network; one for all where levels end, which nothing that was seen exceeds. */
static void one_bound_clips_nothing_that_was_seen(void **state)
{
    (void)state;
    for (int how = 0; how < OCTET_EQUALIZATIONS; how++) {
        octet_graph *const graph = equalized_bounded((octet_equalization)how);
        octet_graph       *merged;
        assert_int_equal(count_op(graph, "Min"), 2);
        MUST(octet_graph_copy(&merged, graph, &err));
        MUST(octet_prepare(merged, NULL, &err));
        assert_int_equal(count_op(merged, "Min"), 0);
        assert_same_on_samples(graph, merged);
        octet_graph_free(merged);
        octet_graph_free(graph);
    }
}

/* A file keeps bounds per channel; what is made of it computes on levels alone. */
static void bounds_go_along(void **state)
{
    (void)state;
    char path[320];
    octet_graph *const graph = equalized_bounded(OCTET_EQUALIZE_BALANCE_TENSOR);
    octet_graph       *again;
    snprintf(path, sizeof path, "%s/equalized.onnx", folder);
    MUST(octet_graph_save(graph, path, &err));
    MUST(octet_graph_load(&again, path, &err));
    MUST(octet_fuse(again, &err));
    assert_same_function(graph, again, 1000, "as a file");
    octet_dataset *const data = open_data(again);
    MUST(octet_prepare(again, NULL, &err));
    assert_int_equal(count_op(again, "Min"), 0);
    const octet_activation a = octet_graph_find_node(again, "a")->activation;
    assert_true(a.on && a.lo == 0 && a.hi >= 6 && a.hi < INFINITY);
    MUST(octet_calibrate(again, data, NULL, &err));
    MUST(octet_convert(again, &err));
    for (const octet_node *n = again->first; n; n = n->next)
        assert_int_not_equal(octet_node_compute_mode(again, n), OCTET_MODE_REAL);
    unlink(path);
    octet_dataset_free(data);
    octet_graph_free(again);
    octet_graph_free(graph);
}

/* A Min of somebody else's is no bound that may be changed. */
static void other_people_s_bounds_stay(void **state)
{
    (void)state;
    octet_graph *const graph = build_text("conv a x 3 8;Relu b a", NULL);
    random_state       r     = { 9 };
    octet_graph       *whole;
    octet_graph_free(graph);
    const int64_t dims[] = { OCTET_DIM_FREE, 3, EQ_SIDE, EQ_SIDE };
    MUST(octet_graph_new(&whole, &err));
    MUST(octet_graph_add_input(whole, "x", OCTET_F32, dims, 4, &err));
    add_uneven(whole, &r, "w", (const int64_t[]){ 8, 3, 3, 3 }, 4);
    add_random(whole, &r, "least", (const int64_t[]){ 8, 1, 1 }, 3, between(0.1f, 10));
    add_node(whole, "Conv", "a", NULL, INPUTS("x", "w"));
    add_node(whole, "Relu", "b", NULL, INPUTS("a"));
    add_node(whole, "Min", "c", NULL, INPUTS("b", "least"));
    MUST(octet_graph_set_output(whole, "c", &err));
    MUST(octet_fuse(whole, &err));
    MUST(octet_prepare(whole, NULL, &err));
    assert_int_equal(count_op(whole, "Min"), 1);
    octet_graph_free(whole);
}

static void wrong_stages_and_missing_data_are_refused(void **state)
{
    (void)state;
    octet_graph *const graph = build_text(chain, NULL);
    assert_int_equal(octet_equalize(graph, OCTET_EQUALIZE_SCALE, NULL, NULL, NULL), OCTET_ERR_ARGUMENT);
    MUST(octet_prepare(graph, NULL, &err));
    assert_int_equal(octet_equalize(graph, OCTET_EQUALIZE_BALANCE, NULL, NULL, NULL), OCTET_ERR_ARGUMENT);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_stay_and_what_cannot_be_scaled_is_left_alone),
        cmocka_unit_test(dead_and_constant_channels_stay_finite),
        cmocka_unit_test(scaling_takes_the_root_of_the_spread),
        cmocka_unit_test(balancing_makes_shares_equal),
        cmocka_unit_test(weights_alone_are_balanced),
        cmocka_unit_test(a_fixed_point_whatever_the_threads),
        cmocka_unit_test(one_bound_clips_nothing_that_was_seen),
        cmocka_unit_test(bounds_go_along),
        cmocka_unit_test(other_people_s_bounds_stay),
        cmocka_unit_test(wrong_stages_and_missing_data_are_refused),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
