/* SPDX-License-Identifier: Apache-2.0 */
/* Differences of tensors written by hand, and of one network on two engines. */
#include "support.h"

#include "measure/differ.h"

static const float   one = 0.5f, other = 0.25f;
static const int32_t zero = 0, shifted = 128;

static octet_tensor levels(void *data, int64_t count, octet_dtype dtype, const octet_qparams *q)
{
    return (octet_tensor){ .dtype = dtype, .rank = 1, .dims = { count }, .data = data, .qparams = q };
}

static void levels_by_their_distance(void **state)
{
    (void)state;
    const octet_qparams s8 = { &one, &zero, 1, 0, OCTET_I8, -128, 127 };
    const octet_qparams u8 = { &one, &shifted, 1, 0, OCTET_U8, 0, 255 };
    int8_t              a[] = { 0, 1, -2, 3, 4, 5, 127, 7 };
    uint8_t             b[] = { 128, 128, 128, 128, 128, 128, 0, 135 }; /* the reference's zero point is 128 */
    const octet_tensor  x = levels(a, 8, OCTET_I8, &s8), y = levels(b, 8, OCTET_U8, &u8);
    octet_differ        d = { 0 };
    octet_differ_add(&d, &x, &y);
    const octet_tensor_diff r = octet_differ_result(&d);
    assert_true(r.levels && isnan(r.sqnr_db));
    assert_int_equal(r.count, 8);
    assert_int_equal(r.differing, 6);
    static const uint64_t want[OCTET_DIFF_CLASSES] = { 2, 1, 1, 2, 2 };
    for (int i = 0; i < OCTET_DIFF_CLASSES; i++) assert_int_equal(r.level.classes[i], want[i]);
    assert_int_equal(r.level.max, 255);
}

/* More than one row of elements. */
static void long_tensors(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static int8_t       a[COUNT], b[COUNT];
    const octet_qparams q = { &one, &zero, 1, 0, OCTET_I8, -128, 127 };
    const octet_tensor  x = levels(a, COUNT, OCTET_I8, &q), y = levels(b, COUNT, OCTET_I8, &q);
    octet_differ        d = { 0 };
    for (int i = 0; i < COUNT; i += 10) a[i] = 1;
    octet_differ_add(&d, &x, &y);
    assert_int_equal(d.level.classes[1], 100);
    assert_int_equal(d.level.classes[0], 900);
}

static void other_scales_are_real_numbers(void **state)
{
    (void)state;
    const octet_qparams p = { &one, &zero, 1, 0, OCTET_I8, -128, 127 };
    const octet_qparams q = { &other, &zero, 1, 0, OCTET_I8, -128, 127 };
    int8_t              a[] = { 1, 2 }, b[] = { 2, 5 }; /* 0.5 1 against 0.5 1.25 */
    float               c[] = { 0.5f, 1.25f };
    const octet_tensor  x = levels(a, 2, OCTET_I8, &p), y = levels(b, 2, OCTET_I8, &q);
    const octet_tensor  z = levels(c, 2, OCTET_F32, NULL);
    octet_differ        d = { 0 }, e = { 0 };
    octet_differ_add(&d, &x, &y);
    octet_differ_add(&e, &x, &z);
    const octet_tensor_diff r = octet_differ_result(&d), s = octet_differ_result(&e);
    assert_false(r.levels);
    assert_int_equal(r.differing, 1);
    assert_true(r.max_abs == 0.25);
    assert_true(fabs(r.sqnr_db - 10 * log10((0.25 + 1.5625) / 0.0625)) < 1e-12);
    assert_true(s.max_abs == r.max_abs && s.sqnr_db == r.sqnr_db);
}

static void nothing_to_compare(void **state)
{
    (void)state;
    float              a[2] = { 1, 2 };
    int64_t            b[2] = { 1, 2 };
    octet_differ       d = { 0 };
    const octet_tensor x = levels(a, 2, OCTET_F32, NULL), shorter = levels(a, 1, OCTET_F32, NULL);
    const octet_tensor ints = levels(b, 2, OCTET_I64, NULL), none = levels(NULL, 2, OCTET_F32, NULL);
    octet_differ_add(&d, &x, &shorter);
    octet_differ_add(&d, &x, &ints);
    octet_differ_add(&d, &x, &none);
    assert_int_equal(octet_differ_result(&d).count, 0);
}

/* ---- one network on two engines ---- */

static octet_graph *make_net(void)
{
    octet_graph *graph;
    random_state r = { 5 };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, 5, 9, 9 }, 4, &err));
    add_random(graph, &r, "v", (const int64_t[]){ 20, 5, 3, 3 }, 4, between(-1, 1));
    add_random(graph, &r, "w", (const int64_t[]){ 7, 20, 3, 3 }, 4, between(-1, 1));
    add_node(graph, "Conv", "c", NULL, INPUTS("x", "v"));
    add_node(graph, "Sigmoid", "s", NULL, INPUTS("c"));
    add_node(graph, "Conv", "d", NULL, INPUTS("s", "w"));
    add_node(graph, "Tanh", "y", NULL, INPUTS("d"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

/* A node that both run on one engine makes no difference when it is fed the same: the replaced values, in whatever
   layout, are those of the reference. */
static void nodes_fed_the_same(void **state)
{
    (void)state;
    octet_graph *const graph = make_net();
    octet_diff        *d;
    MUST(octet_diff_run(&d, (const octet_diff_side[]){ { graph, NULL }, { graph, "reference" } },
                        &(octet_diff_options){ .samples = 3, .seed = 9, .plan.threads = 1 }, &err));
    assert_int_equal(d->samples, 3);
    assert_int_equal(d->value_count, 5);
    assert_int_equal(d->not_fed, 0);
    assert_int_equal(d->worst_local, d->value_count); /* no levels */
    for (size_t i = 0; i < d->value_count; i++) {
        const octet_value_diff *const v = &d->values[i];
        assert_true(v->local.count > 0 && v->local.count == v->accumulated.count);
        assert_true(v->local.max_abs <= 1e-4 && v->accumulated.max_abs <= 1e-4);
        if (!strcmp(v->op, "Sigmoid") || !strcmp(v->op, "Tanh")) assert_true(v->local.max_abs == 0);
    }
    assert_int_equal(d->output_count, 1);
    assert_int_equal(d->outputs[0].accumulated.count, 3 * 7 * 25);
    octet_diff_free(d);
    octet_graph_free(graph);
}

static void same_engine_is_equal(void **state)
{
    (void)state;
    octet_graph *const graphs[2] = { make_net(), make_net() };
    octet_diff        *d;
    MUST(octet_diff_run(&d, (const octet_diff_side[]){ { graphs[0], NULL }, { graphs[1], NULL } }, NULL, &err));
    assert_int_equal(d->samples, 16);
    assert_int_equal(d->only[0] + d->only[1], 0);
    assert_int_equal(d->unlike_deployed[0] + d->unlike_deployed[1], 0);
    for (size_t i = 0; i < d->value_count; i++) {
        assert_int_equal(d->values[i].accumulated.differing, 0);
        assert_int_equal(d->values[i].local.count, 0); /* two graphs */
    }
    octet_diff_free(d);
    for (int i = 0; i < 2; i++) octet_graph_free(graphs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_by_their_distance),
        cmocka_unit_test(long_tensors),
        cmocka_unit_test(other_scales_are_real_numbers),
        cmocka_unit_test(nothing_to_compare),
        cmocka_unit_test(nodes_fed_the_same),
        cmocka_unit_test(same_engine_is_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
