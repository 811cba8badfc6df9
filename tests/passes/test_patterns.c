/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that exporters spell out: each form becomes one node and outputs stay; near misses stay as they are. */
#include "support.h"

#include "graph/graph.h"
#include "passes/pass.h"

enum { ROWS = 3, WIDTH = 8, COUNT = 2 * WIDTH * WIDTH };

/* x is [batch, 3, 8]; nodes are made by name, "" ends a list of inputs. */
static octet_graph *new_graph(random_state *r)
{
    octet_graph *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, ROWS, WIDTH }, 3, &err));
    add_random(graph, r, "gain", (const int64_t[]){ WIDTH }, 1, between(0.5f, 2));
    add_random(graph, r, "shift", (const int64_t[]){ WIDTH }, 1, between(-1, 1));
    return graph;
}

static void number(octet_graph *graph, const char *name, double value)
{
    float              copy = (float)value;
    const octet_tensor tensor = { .dtype = OCTET_F32, .data = &copy };
    MUST(octet_graph_add_constant(graph, name, &tensor, &err));
}

static void mean(octet_graph *graph, const char *out, const char *in, int64_t axis)
{
    char name[32];
    snprintf(name, sizeof name, "%s_axes", out);
    add_ints(graph, name, &axis, 1);
    add_node(graph, "ReduceMean", out, NULL, INPUTS(in, name));
}

static int count_of(const octet_graph *graph, const char *op)
{
    int count = 0;
    for (const octet_node *n = graph->first; n; n = n->next) count += octet_node_is(n, op);
    return count;
}

/* Fuses graph, whose output is y; runs it before and after. */
static void fuse(octet_graph *graph, random_state *r)
{
    static float data[COUNT], before[COUNT], after[COUNT];
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_verify(graph, &err));
    octet_tensor x = octet_value_tensor(graph->inputs[0], 2);
    x.data = data;
    random_fill(r, data, COUNT, -4, 4);
    const octet_plan_options plain = { .engines = "reference" };
    const size_t             n = run_graph(graph, &x, before, COUNT, &plain);
    MUST(octet_fuse(graph, &err));
    MUST(octet_graph_check(graph, &err));
    assert_int_equal(run_graph(graph, &x, after, COUNT, &plain), n);
    assert_true(sqnr_db(before, after, n) > 110);
}

static void becomes(octet_graph *graph, random_state *r, const char *op)
{
    fuse(graph, r);
    if (graph->node_count != 1 || strcmp(graph->first->op->name, op) != 0)
        fail_msg("%d nodes, the first %s, not one %s", graph->node_count, graph->first->op->name, op);
    octet_graph_free(graph);
}

static void stays(octet_graph *graph, random_state *r, const char *op)
{
    fuse(graph, r);
    assert_int_equal(count_of(graph, op), 0);
    octet_graph_free(graph);
}

/* ---- LayerNormalization ---- */

typedef struct norm_form {
    int64_t axis, second_axis;
    bool    centred, twice, by_reciprocal, by_one, shifted;
} norm_form;

static octet_graph *norm_graph(random_state *r, const norm_form *f)
{
    octet_graph *const graph = new_graph(r);
    const char        *d = "x", *again = "x";
    number(graph, "epsilon", 1e-3);
    number(graph, "one", 1);
    if (f->centred) {
        mean(graph, "m", "x", f->axis);
        add_node(graph, "Sub", "d", NULL, INPUTS("x", "m"));
        d = again = "d";
        if (f->twice) add_node(graph, "Sub", again = "again", NULL, INPUTS("x", "m"));
    }
    add_node(graph, "Mul", "square", NULL, INPUTS(d, d));
    mean(graph, "v", "square", f->second_axis);
    add_node(graph, "Add", "ve", NULL, INPUTS("epsilon", "v"));
    add_node(graph, "Sqrt", "root", NULL, INPUTS("ve"));
    if (f->by_reciprocal) add_node(graph, "Reciprocal", "inverse", NULL, INPUTS("root"));
    if (f->by_one) add_node(graph, "Div", "inverse", NULL, INPUTS("one", "root"));
    if (f->by_reciprocal || f->by_one) add_node(graph, "Mul", "normal", NULL, INPUTS("inverse", again));
    else add_node(graph, "Div", "normal", NULL, INPUTS(again, "root"));
    add_node(graph, "Mul", f->shifted ? "scaled" : "y", NULL, INPUTS("gain", "normal"));
    if (f->shifted) add_node(graph, "Add", "y", NULL, INPUTS("scaled", "shift"));
    return graph;
}

static void layer_norms(void **state)
{
    (void)state;
    const norm_form forms[] = {
        { -1, -1, true, false, false, false, true }, { 2, -1, true, true, false, false, true },
        { -1, 2, true, false, true, false, true },   { -1, -1, true, false, false, true, false },
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        random_state r = { i + 1 };
        becomes(norm_graph(&r, &forms[i]), &r, "LayerNormalization");
    }
}

static void rms_norms(void **state)
{
    (void)state;
    const norm_form forms[] = { { 0, -1, false, false, false, false, false },
                                { 0, 2, false, false, true, false, false } };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        random_state r = { i + 10 };
        becomes(norm_graph(&r, &forms[i]), &r, "RMSNormalization");
    }
}

/* A shift behind an RMS form stays an Add of its own. */
static void a_shifted_rms_norm_keeps_its_add(void **state)
{
    (void)state;
    random_state       r = { 20 };
    octet_graph *const graph = norm_graph(&r, &(norm_form){ 0, -1, false, false, false, false, true });
    fuse(graph, &r);
    assert_int_equal(graph->node_count, 2);
    assert_int_equal(count_of(graph, "RMSNormalization"), 1);
    octet_graph_free(graph);
}

static void means_of_other_axes_stay(void **state)
{
    (void)state;
    random_state    r = { 21 };
    const norm_form inner = { 1, 1, true, false, false, false, true }, two = { 1, -1, true, false, false, false, true };
    stays(norm_graph(&r, &inner), &r, "LayerNormalization");
    random_state       s = { 22 };
    octet_graph *const graph = norm_graph(&s, &two); /* the variance is not about the mean of its axis: an RMS of d */
    fuse(graph, &s);
    assert_int_equal(count_of(graph, "LayerNormalization"), 0);
    assert_int_equal(count_of(graph, "RMSNormalization"), 1);
    octet_graph_free(graph);
}

/* ---- gates ---- */

/* 0.5 * x * (1 + gate): the three ways in which exporters multiply. */
static void half_product(octet_graph *graph, int way)
{
    number(graph, "half", 0.5);
    number(graph, "two", 2);
    if (way == 0) {
        add_node(graph, "Mul", "gx", NULL, INPUTS("x", "gate"));
        add_node(graph, "Mul", "y", NULL, INPUTS("gx", "half"));
    } else if (way == 1) {
        add_node(graph, "Mul", "hx", NULL, INPUTS("half", "x"));
        add_node(graph, "Mul", "y", NULL, INPUTS("hx", "gate"));
    } else {
        add_node(graph, "Div", "hg", NULL, INPUTS("gate", "two"));
        add_node(graph, "Mul", "y", NULL, INPUTS("hg", "x"));
    }
}

static octet_graph *erf_graph(random_state *r, double root, double one)
{
    octet_graph *const graph = new_graph(r);
    number(graph, "root", root);
    number(graph, "one", one);
    add_node(graph, "Div", "q", NULL, INPUTS("x", "root"));
    add_node(graph, "Erf", "e", NULL, INPUTS("q"));
    add_node(graph, "Add", "gate", NULL, INPUTS("one", "e"));
    return graph;
}

static void gelu_by_erf(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        random_state       r = { (uint64_t)way + 30 };
        octet_graph *const graph = erf_graph(&r, sqrt(2), 1);
        half_product(graph, way);
        becomes(graph, &r, "Gelu");
    }
}

static void gelu_by_tanh(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        random_state       r = { (uint64_t)way + 40 };
        octet_graph *const graph = new_graph(&r);
        number(graph, "k", sqrt(2 / 3.14159265358979323846));
        number(graph, "c", 0.044715);
        number(graph, "one", 1);
        add_node(graph, "Mul", "xx", NULL, INPUTS("x", "x"));
        add_node(graph, "Mul", "xxx", NULL, INPUTS("xx", "x"));
        add_node(graph, "Mul", "cube", NULL, INPUTS("xxx", "c"));
        add_node(graph, "Add", "inner", NULL, INPUTS("x", "cube"));
        add_node(graph, "Mul", "scaled", NULL, INPUTS("k", "inner"));
        add_node(graph, "Tanh", "t", NULL, INPUTS("scaled"));
        add_node(graph, "Add", "gate", NULL, INPUTS("t", "one"));
        half_product(graph, way);
        becomes(graph, &r, "Gelu");
    }
}

static void what_is_nearly_gelu_stays(void **state)
{
    (void)state;
    random_state r = { 50 };
    octet_graph *graph = erf_graph(&r, 1.5, 1);
    half_product(graph, 0);
    stays(graph, &r, "Gelu");
    graph = erf_graph(&r, sqrt(2), 0.99);
    half_product(graph, 0);
    stays(graph, &r, "Gelu");
    graph = erf_graph(&r, sqrt(2), 1); /* the gate is an output, too */
    half_product(graph, 0);
    MUST(octet_graph_set_output(graph, "gate", &err));
    stays(graph, &r, "Gelu");
}

static void swish(void **state)
{
    (void)state;
    random_state r = { 60 };
    octet_graph *graph = new_graph(&r);
    add_node(graph, "Sigmoid", "s", NULL, INPUTS("x"));
    add_node(graph, "Mul", "y", NULL, INPUTS("s", "x"));
    becomes(graph, &r, "Swish");
    graph = new_graph(&r);
    number(graph, "alpha", 1.702);
    add_node(graph, "Mul", "ax", NULL, INPUTS("alpha", "x"));
    add_node(graph, "Sigmoid", "s", NULL, INPUTS("ax"));
    add_node(graph, "Mul", "y", NULL, INPUTS("x", "s"));
    becomes(graph, &r, "Swish");
    graph = new_graph(&r);
    add_node(graph, "Sigmoid", "s", NULL, INPUTS("x"));
    add_node(graph, "Mul", "y", NULL, INPUTS("s", "gain"));
    stays(graph, &r, "Swish");
}

static void mish(void **state)
{
    (void)state;
    random_state       r = { 70 };
    octet_graph *const graph = new_graph(&r);
    add_node(graph, "Softplus", "p", NULL, INPUTS("x"));
    add_node(graph, "Tanh", "t", NULL, INPUTS("p"));
    add_node(graph, "Mul", "y", NULL, INPUTS("x", "t"));
    becomes(graph, &r, "Mish");
}

static octet_graph *clip_graph(random_state *r, double hi)
{
    octet_graph *const graph = new_graph(r);
    number(graph, "three", 3);
    number(graph, "zero", 0);
    number(graph, "hi", hi);
    number(graph, "six", 6);
    add_node(graph, "Add", "a", NULL, INPUTS("x", "three"));
    add_node(graph, "Clip", "c", NULL, INPUTS("a", "zero", "hi"));
    return graph;
}

static void hard_swish(void **state)
{
    (void)state;
    random_state r = { 80 };
    octet_graph *graph = clip_graph(&r, 6);
    add_node(graph, "Mul", "xc", NULL, INPUTS("x", "c"));
    add_node(graph, "Div", "y", NULL, INPUTS("xc", "six"));
    becomes(graph, &r, "HardSwish");
    graph = clip_graph(&r, 6);
    add_node(graph, "Div", "d", NULL, INPUTS("c", "six"));
    add_node(graph, "Mul", "y", NULL, INPUTS("d", "x"));
    becomes(graph, &r, "HardSwish");
    graph = clip_graph(&r, 5);
    add_node(graph, "Mul", "xc", NULL, INPUTS("x", "c"));
    add_node(graph, "Div", "y", NULL, INPUTS("xc", "six"));
    stays(graph, &r, "HardSwish");
    graph = new_graph(&r);
    const octet_attribute sixth[] = { { .name = "alpha", .f = 1.0f / 6.0f }, { 0 } };
    add_node(graph, "HardSigmoid", "h", sixth, INPUTS("x"));
    add_node(graph, "Mul", "y", NULL, INPUTS("h", "x"));
    becomes(graph, &r, "HardSwish");
    graph = new_graph(&r);
    add_node(graph, "HardSigmoid", "h", NULL, INPUTS("x")); /* alpha 0.2 */
    add_node(graph, "Mul", "y", NULL, INPUTS("h", "x"));
    stays(graph, &r, "HardSwish");
}

/* ---- a product of anything but a matrix takes its row ---- */

static void matmul_of_many_rows_takes_its_bias(void **state)
{
    (void)state;
    random_state       r = { 90 };
    octet_graph *const graph = new_graph(&r);
    add_random(graph, &r, "w", (const int64_t[]){ WIDTH, WIDTH }, 2, between(-1, 1));
    add_node(graph, "MatMul", "m", NULL, INPUTS("x", "w"));
    add_node(graph, "Add", "y", NULL, INPUTS("shift", "m"));
    fuse(graph, &r);
    assert_int_equal(graph->node_count, 1);
    assert_int_equal(graph->first->input_count, 3);
    assert_string_equal(graph->first->merged, "m + y");
    octet_graph_free(graph);
}

/* ---- Einsum ---- */

/* Equations over x [batch, 3, 8] and itself, or a constant [2, 8, 5] or [2, 5, 8]. */
static const struct {
    const char *equation, *second;
    int         matmuls, transposes;
} einsums[] = {
    { "bid,bjd->bij", "x", 1, 1 },        { "bij,bkj->bki", "x", 1, 1 },       { "bid, bde -> bie", "wide", 1, 0 },
    { "bid,bed->bei", "tall", 1, 1 },     { "...mk,...nk->...mn", "x", 1, 1 }, { "...km,...kn->...mn", "x", 1, 1 },
    { "bid,bde->bei", "wide", 1, 2 },     { "bid,bid->bid", "x", 0, 0 },       { "bij,bkj->bik", "x", 1, 1 },
    { "bid,bjd->bi", "x", 0, 0 },         { "bid,bjd->ijb", "x", 0, 0 },       { "bid,cjd->ij", "x", 0, 0 },
};

static void products_by_einsum(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof einsums / sizeof *einsums; i++) {
        random_state          r = { 40 + (uint64_t)i };
        octet_graph *const    graph = new_graph(&r);
        const octet_attribute how[] = { { .name = "equation", .s = einsums[i].equation }, { 0 } };
        add_random(graph, &r, "wide", (const int64_t[]){ 2, WIDTH, 5 }, 3, between(-1, 1));
        add_random(graph, &r, "tall", (const int64_t[]){ 2, 5, WIDTH }, 3, between(-1, 1));
        add_node(graph, "Einsum", "product", how, INPUTS("x", einsums[i].second));
        const int64_t all[] = { -1 };
        add_ints(graph, "all", all, 1);
        add_node(graph, "Reshape", "y", NULL, INPUTS("product", "all"));
        fuse(graph, &r);
        if (count_of(graph, "MatMul") != einsums[i].matmuls || count_of(graph, "Einsum") == einsums[i].matmuls ||
            (einsums[i].second[0] == 'x' && count_of(graph, "Transpose") != einsums[i].transposes))
            fail_msg("%s: %d MatMul, %d Transpose", einsums[i].equation, count_of(graph, "MatMul"),
                     count_of(graph, "Transpose"));
        octet_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_by_einsum),
        cmocka_unit_test(layer_norms),
        cmocka_unit_test(rms_norms),
        cmocka_unit_test(a_shifted_rms_norm_keeps_its_add),
        cmocka_unit_test(means_of_other_axes_stay),
        cmocka_unit_test(gelu_by_erf),
        cmocka_unit_test(gelu_by_tanh),
        cmocka_unit_test(what_is_nearly_gelu_stays),
        cmocka_unit_test(swish),
        cmocka_unit_test(mish),
        cmocka_unit_test(hard_swish),
        cmocka_unit_test(matmul_of_many_rows_takes_its_bias),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
