/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of float networks: engines agree, hooks see every value once and in logical order, wrong inputs are refused,
   memory is as announced. */
#include "network.h"

#include "engine/plan.h"

static const char *const all_engines = NULL;

/* ---- engines against the definition ---- */

static void engines_agree(int64_t batch, uint64_t seed)
{
    octet_graph *const graph = new_classifier(seed);
    image_batch        images;
    session            reference, best;
    fill_images(&images, batch, seed + 1);
    session_begin(&reference, graph, &(octet_plan_options){ .engines = "reference", .batch = batch });
    session_begin(&best, graph, &(octet_plan_options){ .engines = all_engines, .batch = batch });
    session_run(&reference, &images.tensor);
    session_run(&best, &images.tensor);
    for (int i = 0; i < 2; i++) assert_true(distance(&reference.outputs[i], &best.outputs[i]) < 1e-5);
    session_end(&reference);
    session_end(&best);
    octet_graph_free(graph);
}

static void test_engines_agree(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) engines_agree((int64_t)seed % 3 + 1, seed);
}

/* ---- attached batch normalization ---- */

static void add_norm(octet_graph *graph, random_state *r, const char *output, const char *input, int64_t channels)
{
    static const char *const parts[] = { "gamma", "beta", "mean", "variance" };
    char                     names[4][64];
    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof names[i], "%s.%s", output, parts[i]);
        add_random(graph, r, names[i], &channels, 1, between(i == 3 ? 0.5f : -1.0f, 2.0f));
    }
    add_node(graph, "BatchNormalization", output, NULL, INPUTS(input, names[0], names[1], names[2], names[3]));
}

static void test_attached_batch_normalization(void **state)
{
    (void)state;
    const int64_t         dims[] = {1, 3, 19, 17}, pooled[] = {1, 24}, heads[] = {24, 7, 5};
    const octet_attribute transposed[] = {{.name = "transB", .i = 1}, {0}};
    const octet_attribute plain[] = {{.name = "alpha", .f = 1.0f}, {0}};
    random_state          r = {77};
    octet_graph          *graph;
    session               before, after;
    image_batch           images;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "image", OCTET_F32, dims, 4, &err));
    add_conv(graph, &r, "stem", "image", CONV(3, 24, 3, 2, 1));
    add_norm(graph, &r, "stem_n", "stem", 24);
    add_node(graph, "Relu", "stem_r", NULL, INPUTS("stem_n"));
    add_conv(graph, &r, "deep", "stem_r", CONV(24, 24, 3, 1, 24));
    add_norm(graph, &r, "deep_n", "deep", 24);
    add_node(graph, "GlobalAveragePool", "pool", NULL, INPUTS("deep_n"));
    add_ints(graph, "shape", pooled, 2);
    add_node(graph, "Reshape", "flat", NULL, INPUTS("pool", "shape"));
    add_random(graph, &r, "w1", (const int64_t[]){heads[1], heads[0]}, 2, between(-1, 1));
    add_random(graph, &r, "w2", heads + 1, 2, between(-1, 1));
    add_node(graph, "Gemm", "h1", transposed, INPUTS("flat", "w1"));
    add_norm(graph, &r, "h1_n", "h1", heads[1]);
    add_node(graph, "Gemm", "h2", plain, INPUTS("h1_n", "w2"));
    add_norm(graph, &r, "h2_n", "h2", heads[2]);
    MUST(octet_graph_set_output(graph, "h2_n", &err));
    MUST(octet_graph_verify(graph, &err));
    fill_images(&images, 1, 5);
    session_begin(&before, graph, &(octet_plan_options){.engines = "reference"});
    session_run(&before, &images.tensor);
    float              wanted[5];
    const octet_tensor reference = {
        .dtype = OCTET_F32, .rank = 2, .dims = {1, 5}, .data = memcpy(wanted, before.outputs[0].data, sizeof wanted)};
    session_end(&before);
    MUST(octet_fuse(graph, &err));
    assert_int_equal(octet_graph_node_count(graph), 6);
    session_begin(&after, graph, NULL);
    session_run(&after, &images.tensor);
    assert_true(distance(&reference, &after.outputs[0]) < 1e-5);
    session_end(&after);
    octet_graph_free(graph);
}

/* A convolution in the test's own words: [1, 2, 3, 3] with a kernel of ones sums what lies around each pixel. */
static void test_convolution_by_hand(void **state)
{
    (void)state;
    const int64_t dims[] = { 1, 1, 3, 3 }, kernel[] = { 1, 1, 3, 3 }, pads[] = { 1, 1, 1, 1 };
    float         ones[9], image[9];
    octet_graph  *graph;
    session       s;
    const octet_attribute attributes[] = { { .name = "pads", .ints = pads, .count = 4 }, { 0 } };
    for (int i = 0; i < 9; i++) ones[i] = 1, image[i] = (float)(1 << i);
    octet_tensor weights = { .dtype = OCTET_F32, .rank = 4, .data = ones }, input = weights;
    memcpy(weights.dims, kernel, sizeof kernel);
    memcpy(input.dims, dims, sizeof dims);
    input.data = image;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 4, &err));
    MUST(octet_graph_add_constant(graph, "w", &weights, &err));
    add_node(graph, "Conv", "y", attributes, INPUTS("x", "w"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_verify(graph, &err));
    session_begin(&s, graph, NULL);
    session_run(&s, &input);
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 3; x++) {
            float sum = 0;
            for (int i = 0; i < 9; i++)
                if (abs(i / 3 - y) <= 1 && abs(i % 3 - x) <= 1) sum += image[i];
            assert_true(((const float *)s.outputs[0].data)[y * 3 + x] == sum);
        }
    session_end(&s);
    octet_graph_free(graph);
}

/* ---- hooks ---- */

typedef struct seen_value {
    char   name[32];
    int    times;
    double sum;    /* of all elements */
    double moment; /* of element times position: tells their order */
} seen_value;

typedef struct seen_list {
    seen_value at[64];
    int        count, stop_after;
} seen_list;

static octet_status look(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    seen_list *const seen = context;
    int              i    = 0;
    while (i < seen->count && strcmp(seen->at[i].name, name) != 0) i++;
    if (i == seen->count) seen->count++;
    seen_value *const value = &seen->at[i];
    snprintf(value->name, sizeof value->name, "%s", name);
    value->times++;
    for (int64_t e = 0; e < octet_tensor_count(tensor); e++) {
        value->sum += ((const float *)tensor->data)[e];
        value->moment += ((const float *)tensor->data)[e] * (double)(e % 97);
    }
    if (seen->stop_after && seen->count == seen->stop_after)
        return octet_fail(err, OCTET_ERR_ARGUMENT, "enough");
    return OCTET_OK;
}

static const seen_value *seen_of(const seen_list *seen, const char *name)
{
    for (int i = 0; i < seen->count; i++)
        if (strcmp(seen->at[i].name, name) == 0) return &seen->at[i];
    fail_msg("value %s was not seen", name);
    return NULL;
}

static void watch(seen_list *seen, const octet_graph *graph, const image_batch *images,
                  const octet_plan_options *options)
{
    session s;
    session_begin(&s, graph, options);
    octet_workspace_set_hook(s.workspace, look, seen);
    session_run(&s, &images->tensor);
    session_end(&s);
}

static void test_hooks(void **state)
{
    (void)state;
    octet_graph *const graph = new_classifier(9);
    image_batch        images;
    fill_images(&images, 2, 3);
    for (int keep = 0; keep < 2; keep++) {
        seen_list plain = { 0 }, best = { 0 };
        watch(&plain, graph, &images, &(octet_plan_options){ .engines = "reference", .batch = 2 });
        watch(&best, graph, &images, &(octet_plan_options){ .batch = 2, .keep_values = keep });
        assert_int_equal(plain.count, (int)octet_graph_node_count(graph) + 1); /* every node's value, and the input */
        for (int i = 0; i < plain.count; i++) {
            const seen_value *const a = &plain.at[i], *const b = seen_of(&best, a->name);
            assert_int_equal(a->times, 1);
            assert_int_equal(b->times, 1);
            assert_true(fabs(a->sum - b->sum) < 1e-3 * (1 + fabs(a->sum)));
            assert_true(fabs(a->moment - b->moment) < 1e-3 * (100 + fabs(a->moment)));
        }
    }
    octet_graph_free(graph);
}

static void test_a_hook_ends_the_run(void **state)
{
    (void)state;
    octet_graph *const graph = new_classifier(9);
    image_batch        images;
    session            s;
    octet_error        err  = { 0 };
    seen_list          seen = { .stop_after = 3 };
    fill_images(&images, 1, 3);
    session_begin(&s, graph, NULL);
    octet_workspace_set_hook(s.workspace, look, &seen);
    assert_int_equal(octet_run(s.workspace, &images.tensor, s.outputs, &err), OCTET_ERR_ARGUMENT);
    assert_string_equal(err.text, "enough");
    assert_int_equal(seen.count, 3);
    session_end(&s);
    octet_graph_free(graph);
}

/* ---- inputs ---- */

/* What comes out stays when the caller's memory changes, even where it is the input itself. */
static void test_outputs_do_not_borrow(void **state)
{
    (void)state;
    const int64_t dims[] = { 2, 3 }, turned[] = { 3, 2 };
    float         data[6] = { 1, -2, 3, -4, 5, -6 };
    octet_tensor  input   = { .dtype = OCTET_F32, .rank = 2, .dims = { 2, 3 }, .data = data };
    octet_graph  *graph;
    session       s;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 2, &err));
    add_ints(graph, "shape", turned, 2);
    add_node(graph, "Reshape", "y", NULL, INPUTS("x", "shape"));
    add_node(graph, "Relu", "z", NULL, INPUTS("y"));
    MUST(octet_graph_set_output(graph, "x", &err));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_graph_set_output(graph, "z", &err));
    MUST(octet_graph_verify(graph, &err));
    session_begin(&s, graph, NULL);
    session_run(&s, &input);
    memset(data, 0, sizeof data);
    assert_int_equal(s.outputs[1].dims[0], 3);
    for (int i = 0; i < 6; i++) {
        const float x = (float)(i % 2 ? -i - 1 : i + 1);
        assert_true(((const float *)s.outputs[0].data)[i] == x);
        assert_true(((const float *)s.outputs[1].data)[i] == x);
        assert_true(((const float *)s.outputs[2].data)[i] == (x > 0 ? x : 0));
    }
    session_end(&s);
    octet_graph_free(graph);
}

/* A shape that comes as an input must be known when the plan is made, and then be what it was. */
static void test_an_input_known_beforehand(void **state)
{
    (void)state;
    const int64_t dims[] = { 2, 3 }, two = 2;
    int64_t       shape[2] = { 3, 2 };
    float         data[6]  = { 0, 1, 2, 3, 4, 5 };
    octet_tensor  inputs[] = { { .dtype = OCTET_F32, .rank = 2, .dims = { 2, 3 } },
                               { .dtype = OCTET_I64, .rank = 1, .dims = { 2 }, .data = shape } };
    octet_error   refusal  = { 0 };
    octet_graph  *graph;
    octet_plan   *plan = NULL;
    session       s;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, dims, 2, &err));
    MUST(octet_graph_add_input(graph, "shape", OCTET_I64, &two, 1, &err));
    add_node(graph, "Reshape", "y", NULL, INPUTS("x", "shape"));
    MUST(octet_graph_set_output(graph, "y", &err));
    assert_int_not_equal(octet_plan_create(&plan, graph, NULL, &refusal), OCTET_OK);
    assert_null(plan);
    session_begin(&s, graph, &(octet_plan_options){ .inputs = inputs });
    inputs[0].data = data;
    session_run(&s, inputs);
    assert_int_equal(s.outputs[0].dims[0], 3);
    assert_memory_equal(s.outputs[0].data, data, sizeof data);
    shape[0] = 6, shape[1] = 1;
    refusal = (octet_error){ 0 };
    assert_int_equal(octet_run(s.workspace, inputs, s.outputs, &refusal), OCTET_ERR_ARGUMENT);
    assert_non_null(strstr(refusal.text, "'shape'"));
    session_end(&s);
    octet_graph_free(graph);
}

/* ---- refusals ---- */

static void refuse_input(session *s, octet_tensor input, const char *part)
{
    octet_error err = { 0 };
    assert_int_equal(octet_run(s->workspace, &input, s->outputs, &err), OCTET_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, part));
}

static void test_wrong_inputs(void **state)
{
    (void)state;
    octet_graph *const graph = new_classifier(5);
    image_batch        images;
    session            s;
    fill_images(&images, 2, 3);
    session_begin(&s, graph, &(octet_plan_options){ .batch = 2 });
    octet_tensor wrong = images.tensor;
    wrong.dims[0]      = 1;
    refuse_input(&s, wrong, "[1, 3, 19, 17], the plan is for f32 [2, 3, 19, 17]");
    wrong       = images.tensor;
    wrong.dtype = OCTET_F64;
    refuse_input(&s, wrong, "f64");
    wrong      = images.tensor;
    wrong.rank = 99;
    refuse_input(&s, wrong, "image");
    wrong      = images.tensor;
    wrong.data = NULL;
    refuse_input(&s, wrong, "no data");
    session_end(&s);
    octet_graph_free(graph);
}

static void refuse_plan(const octet_graph *graph, octet_plan_options options, octet_status status, const char *part)
{
    octet_error err  = { 0 };
    octet_plan *plan = NULL;
    assert_int_equal(octet_plan_create(&plan, graph, &options, &err), status);
    assert_null(plan);
    if (!strstr(err.text, part)) fail_msg("'%s' is not in '%s'", part, err.text);
}

static void test_wrong_options(void **state)
{
    (void)state;
    octet_graph *const graph = new_classifier(5);
    const octet_tensor narrow = { .dtype = OCTET_F32, .rank = 4, .dims = { 1, 4, 19, 17 } };
    refuse_plan(graph, (octet_plan_options){ .engines = "reference,warp" }, OCTET_ERR_ARGUMENT, "'warp'");
    refuse_plan(graph, (octet_plan_options){ .profile = "hexagon" }, OCTET_ERR_ARGUMENT, "'hexagon'");
    refuse_plan(graph, (octet_plan_options){ .inputs = &narrow }, OCTET_ERR_ARGUMENT, "f32 [N, 3, 19, 17]");
    refuse_plan(graph, (octet_plan_options){ .limits.max_memory = 20000 }, OCTET_ERR_LIMIT, "20000");
    refuse_plan(graph, (octet_plan_options){ .batch = INT64_C(1) << 40 }, OCTET_ERR_LIMIT, "limit");
    octet_graph_free(graph);
}

/* ---- what a plan says ---- */

static void test_steps_name_their_engine(void **state)
{
    (void)state;
    octet_graph *const graph = new_classifier(5);
    session            s;
    size_t             conv = 0, other = 0;
    session_begin(&s, graph, NULL);
    const char *const best = octet_engine_name(1, NULL); /* number 0 is native, which leaves real numbers to others */
    for (size_t i = 0; i < octet_plan_step_count(s.plan); i++) {
        const octet_step_info info = octet_plan_step(s.plan, i);
        if (strcmp(info.op, "Conv") == 0 || strcmp(info.op, "Gemm") == 0) {
            assert_string_equal(info.engine, best);
            assert_string_equal(info.declined, "native: real numbers");
            conv++;
        } else if (strcmp(info.op, "Relu") == 0 && strcmp(best, "reference") != 0) {
            assert_string_equal(info.engine, "reference");
            assert_non_null(strstr(info.declined, best));
            other++;
        }
    }
    assert_int_equal(conv, 8);
    assert_int_equal(other, strcmp(best, "reference") != 0);
    assert_int_equal(octet_plan_memory(s.plan), s.plan->workspace_bytes);
    session_end(&s);
    octet_graph_free(graph);
}

/* Blocked and dense values meet only at the image and at the ends: no conversion in between. */
static void test_few_conversions(void **state)
{
    (void)state;
    octet_graph *const graph = new_classifier(5);
    session            s;
    int                conversions = 0;
    session_begin(&s, graph, NULL);
    for (size_t i = 0; i < octet_plan_step_count(s.plan); i++)
        conversions += strcmp(octet_plan_step(s.plan, i).engine, "octet") == 0 && !s.plan->steps[i].view;
    /* "odd" is concatenated of 24 + 48 channels, no whole blocks: two inputs unblocked, its result blocked for "map",
       and "map" itself is an output. */
    assert_in_range(conversions, 0, 4);
    session_end(&s);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engines_agree),     cmocka_unit_test(test_attached_batch_normalization),
        cmocka_unit_test(test_convolution_by_hand),
        cmocka_unit_test(test_hooks),             cmocka_unit_test(test_a_hook_ends_the_run),
        cmocka_unit_test(test_outputs_do_not_borrow), cmocka_unit_test(test_an_input_known_beforehand),
        cmocka_unit_test(test_wrong_inputs),      cmocka_unit_test(test_wrong_options),
        cmocka_unit_test(test_few_conversions),   cmocka_unit_test(test_steps_name_their_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
