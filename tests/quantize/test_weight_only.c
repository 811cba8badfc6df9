/* SPDX-License-Identifier: Apache-2.0 */
/* Weights alone: which numbers share a scale, that the search finds better scales than the range gives, that a network
   of levels is the float network with the numbers that they mean, and that a file says the same. */
#include "../residual.h"

#include "graph/graph.h"
#include "graph/op.h"
#include "quantize/calibration.h"

enum { BATCH = 4, TOKENS = 6, WORDS = 23, WIDTH = 12, MIDDLE = 10, FILTERS = 8, CLASSES_OUT = 5, HIDDEN = 6 };

static int64_t words[BATCH * TOKENS];

/* An embedding, a product, convolutions across words, a recurrent operator, and Gemm of transposed weights. */
static octet_graph *reader(void)
{
    random_state          r = { 77 };
    const octet_attribute turn[]  = { { .name = "perm", .ints = (const int64_t[]){ 0, 2, 1 }, .count = 3 }, { 0 } };
    const octet_attribute steps[] = { { .name = "perm", .ints = (const int64_t[]){ 2, 0, 1 }, .count = 3 }, { 0 } };
    const octet_attribute turned[] = { { .name = "transB", .i = 1 }, { 0 } };
    octet_graph          *graph;
    for (int i = 0; i < BATCH * TOKENS; i++) words[i] = random_int(&r, -WORDS, WORDS - 1);
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_I64, (const int64_t[]){ OCTET_DIM_FREE, TOKENS }, 2, &err));
    add_random(graph, &r, "table", (const int64_t[]){ WORDS, WIDTH }, 2, between(-1, 2));
    add_node(graph, "Gather", "embedded", NULL, INPUTS("table", "x"));
    add_random(graph, &r, "mw", (const int64_t[]){ WIDTH, MIDDLE }, 2, between(-0.5f, 0.5f));
    add_node(graph, "MatMul", "product", NULL, INPUTS("embedded", "mw"));
    add_node(graph, "Transpose", "across", turn, INPUTS("product"));
    add_random(graph, &r, "cw", (const int64_t[]){ FILTERS, MIDDLE, 3 }, 3, between(-0.4f, 0.4f));
    add_node(graph, "Conv", "conv", NULL, INPUTS("across", "cw"));
    add_random(graph, &r, "tw", (const int64_t[]){ FILTERS, 9, 2 }, 3, between(-0.4f, 0.4f));
    add_node(graph, "ConvTranspose", "back", NULL, INPUTS("conv", "tw"));
    add_node(graph, "Transpose", "steps", steps, INPUTS("back"));
    add_random(graph, &r, "lw", (const int64_t[]){ 1, 4 * HIDDEN, 9 }, 3, between(-0.5f, 0.5f));
    add_random(graph, &r, "lr", (const int64_t[]){ 1, 4 * HIDDEN, HIDDEN }, 3, between(-0.4f, 0.6f));
    const octet_attribute hidden[] = { { .name = "hidden_size", .i = HIDDEN }, { 0 } };
    add_node(graph, "LSTM", "lstm", hidden, INPUTS("steps", "lw", "lr"));
    const int64_t axes[] = { 0, 1 };
    add_ints(graph, "axes", axes, 2);
    const octet_attribute drop[] = { { .name = "keepdims", .i = 0 }, { 0 } };
    add_node(graph, "ReduceMean", "mean", drop, INPUTS("lstm", "axes"));
    add_random(graph, &r, "gw", (const int64_t[]){ CLASSES_OUT, HIDDEN }, 2, between(-1, 1));
    add_node(graph, "Gemm", "y", turned, INPUTS("mean", "gw"));
    MUST(octet_graph_set_output(graph, "y", &err));
    return graph;
}

static octet_tensor sentences(void)
{
    return (octet_tensor){ .dtype = OCTET_I64, .rank = 2, .dims = { BATCH, TOKENS }, .data = words };
}

typedef struct form {
    const char *type;
    int64_t     group;
    const char *embeddings; /* NULL: as weights */
    double      least_db, most_db;
    int         opset; /* that the file must state at least */
} form;

static const form forms[] = {
    { "s8", 0, NULL, 30, 60, 13 },   { "u8", 0, NULL, 30, 60, 13 },  { "s4", 0, NULL, 6, 32, 21 },
    { "s4", 4, NULL, 6, 36, 21 },   { "u4", 4, NULL, 8, 40, 21 },  { "s8", 5, NULL, 30, 64, 21 },
    { "s3", 4, NULL, 2, 30, 21 },    { "s8", 0, "float_qparams", 30, 60, 13 },
    { "s4", 4, "float_qparams_4bit", 6, 36, 21 },                   { "s8", 0, "float", 30, 60, 13 },
};
enum { FORMS = sizeof forms / sizeof *forms };

static octet_qconfig config_of(const form *f)
{
    octet_qconfig q = *octet_qconfig_find("octet_weight_only");
    MUST(octet_qconfig_bits(&q, f->type, NULL, &err));
    q.weight.group = f->group;
    if (f->embeddings) MUST(octet_qconfig_embeddings(&q, f->embeddings, &err));
    return q;
}

static octet_graph *with(const octet_qconfig *q)
{
    octet_graph *const graph = reader();
    MUST(octet_prepare(graph, q, &err));
    MUST(octet_calibrate(graph, NULL, NULL, &err));
    MUST(octet_convert(graph, &err));
    return graph;
}

static octet_graph *quantized(const form *f)
{
    const octet_qconfig q = config_of(f);
    return with(&q);
}

/* ---- which numbers share a scale, written out for every constant ---- */

/* The entry of element at of a constant of these dimensions: channels along axis, or blocks along inner. */
static int64_t entry_of(const octet_tensor *t, int axis, int inner, int64_t group, int64_t at)
{
    int64_t index[3] = { 0 }, rest = at;
    for (int i = t->rank - 1; i >= 0; i--) {
        index[i] = rest % t->dims[i];
        rest /= t->dims[i];
    }
    if (!group || t->dims[inner] < group) return index[axis];
    int64_t entry = 0;
    for (int i = 0; i < t->rank; i++) {
        const int64_t dim = i == inner ? (t->dims[i] + group - 1) / group : t->dims[i];
        entry = entry * dim + (i == inner ? index[i] / group : index[i]);
    }
    return entry;
}

static const struct {
    const char *name;
    int         axis, inner;
} constants[] = { { "mw", 1, 0 }, { "cw", 0, 1 }, { "tw", 1, 0 }, { "lw", 1, 2 }, { "lr", 1, 2 }, { "gw", 0, 1 },
                  { "table", 0, 1 } };
enum { CONSTANTS = sizeof constants / sizeof *constants };

static int32_t level_at(const octet_tensor *t, int64_t i)
{
    return t->dtype == OCTET_I8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

/* What element i means, by the definition; *level: what octet's or PyTorch's rounding makes of x. */
static float meaning(const octet_qparams *q, int64_t e, int32_t level, float x, int32_t *rounded)
{
    const float scale = q->scale[e];
    double      want  = rint((double)(x / scale)) + q->zero_point[e];
    if (q->real_zero_point) {
        const float inverse = 1.0f / scale, product = x * inverse, sum = product + q->real_zero_point[e];
        want = rint((double)sum);
    }
    *rounded = (int32_t)fmin(fmax(want, q->qmin), q->qmax);
    const float zero   = q->real_zero_point ? q->real_zero_point[e] : (float)q->zero_point[e];
    const float offset = (float)level - zero;
    return offset * scale;
}

/* Levels, and in the float network the numbers that they mean. */
static void assert_constant(const octet_graph *graph, octet_graph *plain, size_t c, const form *f)
{
    const octet_tensor *const levels = octet_graph_find_value(graph, constants[c].name)->constant;
    const octet_tensor *const real   = octet_graph_find_value(plain, constants[c].name)->constant;
    const bool                table  = c == CONSTANTS - 1, torch = table && f->embeddings;
    if (torch && !strcmp(f->embeddings, "float")) {
        assert_null(levels->qparams);
        return;
    }
    assert_non_null(levels->qparams);
    const octet_qparams *const q = levels->qparams;
    assert_int_equal(q->real_zero_point != NULL, torch);
    const int64_t count = octet_tensor_count(levels), group = torch ? 0 : f->group;
    for (int64_t i = 0; i < count; i++) {
        float *const  x     = (float *)real->data + i;
        const int64_t entry = entry_of(levels, constants[c].axis, constants[c].inner, group, i);
        int32_t       level;
        assert_true(entry < q->count);
        const float means = meaning(q, entry, level_at(levels, i), *x, &level);
        if (level_at(levels, i) != level) fail_msg("%s: element %d", constants[c].name, (int)i);
        *x = means;
    }
}

static void levels_mean_what_the_network_computes(void **unused)
{
    static float want[ROOM], got[ROOM], near[ROOM];
    const octet_tensor x = sentences();
    (void)unused;
    for (size_t i = 0; i < FORMS; i++) {
        octet_graph *const graph = quantized(&forms[i]), *const plain = reader(), *const original = reader();
        MUST(octet_graph_verify(plain, &err));
        MUST(octet_graph_verify(original, &err));
        for (size_t c = 0; c < CONSTANTS; c++) assert_constant(graph, plain, c, &forms[i]);
        const octet_plan_options slow = { .engines = "reference" };
        const size_t             n    = run_graph(plain, &x, want, ROOM, &slow);
        assert_int_equal(run_graph(graph, &x, got, ROOM, &slow), n);
        assert_memory_equal(want, got, n * sizeof *got);
        run_graph(original, &x, near, ROOM, &slow);
        const double db = sqnr_db(near, got, n);
        print_message("%s group %d embeddings %s: %.1f dB\n", forms[i].type, (int)forms[i].group,
                      forms[i].embeddings ? forms[i].embeddings : "-", db);
        assert_true(db > forms[i].least_db && db < forms[i].most_db);
        octet_graph_free(original);
        octet_graph_free(plain);
        octet_graph_free(graph);
    }
}

static void files_say_the_same(void **unused)
{
    static float want[ROOM], got[ROOM];
    const octet_tensor x = sentences();
    (void)unused;
    for (size_t i = 0; i < FORMS; i++) {
        octet_graph *const graph = quantized(&forms[i]), *const again = saved_and_loaded(graph);
        assert_int_equal(octet_graph_stage(again), OCTET_STAGE_QUANTIZED);
        assert_true(again->opset >= forms[i].opset && (forms[i].opset > 20 || again->opset < 21));
        for (size_t e = 0; octet_engine_name(e, NULL); e++) {
            const octet_plan_options on = { .engines = octet_engine_name(e, NULL) };
            const size_t             n  = run_graph(graph, &x, want, ROOM, &on);
            assert_int_equal(run_graph(again, &x, got, ROOM, &on), n);
            assert_memory_equal(want, got, n * sizeof *got);
        }
        const octet_tensor *const a = octet_graph_find_value(graph, "table")->constant;
        const octet_tensor *const b = octet_graph_find_value(again, "table")->constant;
        assert_int_equal(a->dtype, b->dtype);
        assert_memory_equal(a->data, b->data, (size_t)octet_tensor_bytes(a));
        assert_int_equal(octet_node_compute_mode(again, octet_graph_find_node(again, "embedded")),
                         a->qparams ? OCTET_MODE_INTEGER_REAL : OCTET_MODE_REAL);
        octet_graph_free(again);
        octet_graph_free(graph);
    }
}

/* ---- the search ---- */

static double squared_error(const octet_graph *graph, const octet_graph *plain, const char *name)
{
    const octet_tensor *const t = octet_graph_find_value(graph, name)->constant;
    const float *const        x = octet_graph_find_value(plain, name)->constant->data;
    double                    sum = 0;
    for (int64_t i = 0; i < octet_tensor_count(t); i++) {
        const int64_t e = entry_of(t, 1, 0, t->qparams->block, i);
        const double  d = (double)x[i] - (double)(level_at(t, i) - t->qparams->zero_point[e]) * t->qparams->scale[e];
        sum += d * d;
    }
    return sum;
}

static void the_search_pays(void **unused)
{
    (void)unused;
    octet_graph *const plain = reader();
    for (size_t i = 2; i < 7; i++) {
        octet_qconfig q = config_of(&forms[i]);
        octet_graph *const best = with(&q);
        q.weight.method = OCTET_METHOD_MINMAX;
        octet_graph *const whole = with(&q);
        const double       gain = squared_error(whole, plain, "mw") / squared_error(best, plain, "mw");
        print_message("%s group %d: %.2f times less\n", forms[i].type, (int)forms[i].group, gain);
        assert_true(gain > (forms[i].type[1] == '8' ? 1.0 : 1.05));
        octet_graph_free(whole);
        octet_graph_free(best);
    }
    octet_graph_free(plain);
}

/* ---- rules and refusals ---- */

static const octet_qparams *levels_of(const octet_graph *graph, const char *name)
{
    return octet_graph_find_value(graph, name)->constant->qparams;
}

static void layers_have_types_of_their_own(void **unused)
{
    (void)unused;
    octet_layer_rule rules[] = { { .match = "conv" }, { .match = "product" }, { .match = "embedded" } };
    MUST(octet_layer_rule_parse(&rules[0], "s8", &err));
    MUST(octet_layer_rule_parse(&rules[1], "float", &err));
    MUST(octet_layer_rule_parse(&rules[2], "u3", &err));
    octet_qconfig q = config_of(&forms[2]);
    q.layers        = rules;
    q.layer_count   = 3;
    octet_graph *const graph = with(&q);
    assert_null(levels_of(graph, "mw"));
    assert_int_equal(levels_of(graph, "cw")->qmax, 127);
    assert_int_equal(levels_of(graph, "tw")->qmax, 7);
    assert_int_equal(levels_of(graph, "table")->qmax, 7);
    assert_int_equal(levels_of(graph, "table")->dtype, OCTET_U8);
    char text[16];
    octet_layer_rule_print(text, sizeof text, &rules[2]);
    assert_string_equal(text, "u3");
    octet_graph_free(graph);
}

static void what_cannot_be_is_refused(void **unused)
{
    (void)unused;
    octet_graph     *graph = reader();
    octet_qconfig    q     = *octet_qconfig_find("octet");
    octet_layer_rule rule  = { .match = "conv" };
    octet_error      why   = { 0 };
    q.weight.group         = 4;
    assert_int_equal(octet_prepare(graph, &q, &why), OCTET_ERR_UNSUPPORTED);
    assert_non_null(strstr(why.text, "groups"));
    octet_graph_free(graph);
    graph = reader();
    q     = *octet_qconfig_find("octet");
    MUST(octet_layer_rule_parse(&rule, "u4", &err)); /* beside activations of levels weights are symmetric */
    q.layers      = &rule;
    q.layer_count = 1;
    assert_int_equal(octet_prepare(graph, &q, NULL), OCTET_ERR_ARGUMENT);
    octet_graph_free(graph);
    q = *octet_qconfig_find("octet_weight_only");
    assert_int_equal(octet_qconfig_embeddings(&q, "s9", NULL), OCTET_ERR_ARGUMENT);
    assert_int_equal(octet_qconfig_embeddings(&q, "float_qparams_2bit", NULL), OCTET_ERR_ARGUMENT);
    assert_int_equal(octet_layer_rule_parse(&rule, "s1", NULL), OCTET_ERR_ARGUMENT);
}

/* Beside activations of levels a network's tables may be quantized, too. */
static void tables_go_with_dynamic_layers(void **unused)
{
    static float want[ROOM], got[ROOM];
    (void)unused;
    octet_qconfig q = *octet_qconfig_find("octet_dynamic");
    MUST(octet_qconfig_embeddings(&q, "float_qparams", &err));
    octet_graph *const graph = with(&q), *const again = saved_and_loaded(graph);
    const octet_tensor x = sentences();
    assert_non_null(levels_of(graph, "table")->real_zero_point);
    assert_int_equal(octet_node_compute_mode(graph, octet_graph_find_node(graph, "product")), OCTET_MODE_DYNAMIC);
    const size_t n = run_graph(graph, &x, want, ROOM, NULL);
    assert_int_equal(run_graph(again, &x, got, ROOM, NULL), n);
    assert_memory_equal(want, got, n * sizeof *got);
    octet_graph_free(again);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_mean_what_the_network_computes),
        cmocka_unit_test(files_say_the_same),
        cmocka_unit_test(the_search_pays),
        cmocka_unit_test(layers_have_types_of_their_own),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(tables_go_with_dynamic_layers),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
