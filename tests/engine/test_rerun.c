/* SPDX-License-Identifier: Apache-2.0 */
/* Running only what depends on one value. What it must equal is a full run of a network in which that value is an
   input of its own. */
#include "network.h"

#include "engine/run.h"

/* The output as a full run computes it when "sum" is scaled: the same network with a Mul in its place. */
static octet_graph *new_scaled(uint64_t seed, float factor)
{
    const int64_t dims[] = { OCTET_DIM_FREE, 3, 19, 17 };
    octet_tensor  scalar = { .dtype = OCTET_F32, .data = &factor };
    random_state  r      = { seed };
    octet_graph  *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "image", OCTET_F32, dims, 4, &err));
    MUST(octet_graph_add_constant(graph, "factor", &scalar, &err));
    add_conv(graph, &r, "stem", "image", CONV(3, 24, 3, 2, 1));
    add_node(graph, "Relu", "stem_r", NULL, INPUTS("stem"));
    add_node(graph, "Mul", "scaled", NULL, INPUTS("stem_r", "factor"));
    add_conv(graph, &r, "left", "scaled", CONV(24, 32, 3, 1, 2));
    add_conv(graph, &r, "right", "scaled", CONV(24, 16, 5, 1, 1));
    add_conv(graph, &r, "beside", "stem_r", CONV(24, 48, 1, 1, 1));
    add_node(graph, "Concat", "both", (const octet_attribute[]){ { .name = "axis", .i = 1 }, { 0 } },
             INPUTS("left", "right"));
    add_node(graph, "Add", "end", NULL, INPUTS("both", "beside"));
    add_node(graph, "GlobalAveragePool", "pool", NULL, INPUTS("end"));
    add_node(graph, "Flatten", "flat", NULL, INPUTS("pool"));
    MUST(octet_graph_set_output(graph, "flat", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

/* Scales "scaled" of a run with factor 1 by hand, in whatever order it lies in memory. */
static void put_scaled(octet_workspace *to, const octet_workspace *from, const octet_value *value, float factor)
{
    const octet_tensor raw   = octet_workspace_raw(from, value);
    float *const       place = octet_workspace_place(to, value);
    assert_non_null(raw.data);
    assert_non_null(place);
    for (int64_t i = 0; i < octet_tensor_count(&raw); i++) place[i] = ((const float *)raw.data)[i] * factor;
}

static void check(const char *engines)
{
    static const float       factors[] = { 0.5f, 3.0f, -1.25f, 0.0f };
    octet_graph *const       graph     = new_scaled(30, 1.0f);
    const octet_value *const scaled    = octet_graph_find_value(graph, "scaled");
    const octet_value *const flat      = octet_graph_find_value(graph, "flat");
    const octet_value *const beside    = octet_graph_find_value(graph, "beside");
    octet_workspace         *to;
    session                  base;
    image_batch              images;
    fill_images(&images, 2, 5);
    session_begin(&base, graph, &(octet_plan_options){ .engines = engines, .keep_values = true, .batch = 2 });
    session_run(&base, &images.tensor);
    MUST(octet_workspace_create(&to, base.plan, &err));
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        octet_graph *const other = new_scaled(30, factors[i]);
        session            full;
        session_begin(&full, other, &(octet_plan_options){ .engines = engines, .batch = 2 });
        session_run(&full, &images.tensor);
        put_scaled(to, base.workspace, scaled, factors[i]);
        MUST(octet_workspace_rerun(to, base.workspace, scaled, NULL, &err));
        const octet_tensor again = octet_workspace_value(to, flat);
        assert_same_bytes(&again, &full.outputs[0]);
        const octet_tensor kept = octet_workspace_raw(to, beside),
                           original = octet_workspace_raw(base.workspace, beside);
        assert_ptr_equal(kept.data, original.data); /* read where it was computed, not computed again */
        session_end(&full);
        octet_graph_free(other);
    }
    session_run(&base, &images.tensor);
    octet_tensor outputs[1];
    MUST(octet_run(to, &images.tensor, outputs, &err)); /* a full run forgets what was borrowed */
    assert_same_bytes(&outputs[0], &base.outputs[0]);
    octet_workspace_free(to);
    session_end(&base);
    octet_graph_free(graph);
}

static void test_rerun_equals_a_full_run(void **state)
{
    (void)state;
    check(NULL);
    check("reference");
}

static void test_kept_values_read_in_logical_order(void **state)
{
    (void)state;
    octet_graph *const graph = new_scaled(31, 2.0f);
    image_batch        images;
    session            best, plain;
    fill_images(&images, 2, 6);
    session_begin(&best, graph, &(octet_plan_options){ .keep_values = true, .batch = 2 });
    session_begin(&plain, graph, &(octet_plan_options){ .engines = "reference", .keep_values = true, .batch = 2 });
    session_run(&best, &images.tensor);
    session_run(&plain, &images.tensor);
    static const char *const names[] = { "image", "stem", "scaled", "both", "end", "pool", "flat" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const octet_value *const value = octet_graph_find_value(graph, names[i]);
        const octet_tensor       a     = octet_workspace_value(best.workspace, value);
        const octet_tensor       b     = octet_workspace_value(plain.workspace, value);
        assert_int_equal(a.rank, b.rank);
        assert_memory_equal(a.dims, b.dims, sizeof *a.dims * (size_t)a.rank);
        assert_true(distance(&b, &a) < 1e-5);
    }
    session_end(&best);
    session_end(&plain);
    octet_graph_free(graph);
}

static void test_a_constant_cannot_change(void **state)
{
    (void)state;
    octet_graph *const graph = new_scaled(32, 2.0f);
    octet_workspace   *to;
    session            s;
    image_batch        images;
    octet_error        refusal = { 0 };
    fill_images(&images, 1, 6);
    session_begin(&s, graph, &(octet_plan_options){ .keep_values = true });
    session_run(&s, &images.tensor);
    MUST(octet_workspace_create(&to, s.plan, &err));
    const octet_value *const factor = octet_graph_find_value(graph, "factor");
    assert_int_equal(octet_workspace_rerun(to, s.workspace, factor, NULL, &refusal), OCTET_ERR_ARGUMENT);
    octet_workspace_free(to);
    session_end(&s);
    octet_graph_free(graph);
}

/* ---- raw hooks ---- */

typedef struct taken {
    octet_workspace   *workspace;
    const octet_graph *graph;
    int64_t            sums[16384], room[16384];
    int                seen, out_of_order;
} taken;

/* Sums that are the values themselves must end up where the values are. */
static octet_status take_sums(void *context, const char *name, const octet_tensor *raw, octet_error *err)
{
    taken *const             t       = context;
    const octet_value *const value   = octet_graph_find_value(t->graph, name);
    const size_t             count   = (size_t)octet_tensor_count(raw);
    size_t                   differs = 0;
    (void)err;
    assert_true(count <= sizeof t->room / sizeof *t->room);
    for (size_t i = 0; i < count; i++) t->sums[i] = (int64_t)(((const float *)raw->data)[i] * 0x1p32f);
    octet_workspace_order_sums(t->workspace, value, t->sums, t->room);
    const octet_tensor logical = octet_workspace_value(t->workspace, value);
    assert_int_equal(octet_tensor_count(&logical), count);
    for (size_t i = 0; i < count; i++) {
        const float x = ((const float *)logical.data)[i];
        assert_int_equal(t->sums[i], (int64_t)(x * 0x1p32f));
        if (((const float *)raw->data)[i] != x) differs++;
    }
    t->seen++;
    if (differs) t->out_of_order++;
    return OCTET_OK;
}

static void test_sums_of_raw_values_are_ordered(void **state)
{
    (void)state;
    static taken       t;
    octet_graph *const graph = new_classifier(8);
    session            s;
    image_batch        images;
    fill_images(&images, 2, 9);
    session_begin(&s, graph, &(octet_plan_options){ .keep_values = true, .batch = 2 });
    t = (taken){ .workspace = s.workspace, .graph = graph };
    octet_workspace_set_raw_hook(s.workspace, take_sums, &t);
    session_run(&s, &images.tensor);
    assert_true(t.seen > 10);
#ifdef OCTET_HAVE_ONEDNN
    assert_true(t.out_of_order > 3);
#endif
    session_end(&s);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rerun_equals_a_full_run),
        cmocka_unit_test(test_kept_values_read_in_logical_order),
        cmocka_unit_test(test_a_constant_cannot_change),
        cmocka_unit_test(test_sums_of_raw_values_are_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
