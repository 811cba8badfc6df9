/* SPDX-License-Identifier: Apache-2.0 */
/* The embedding tests of PyTorch's test_quantize_eager_qat.py, in meaning: test_embedding_bag_linear,
   test_defused_embedding_bag_linear, test_qat_embedding_bag_errors. Upstream checks types; here the table's gradient is
   compared with its definition, training moves it, and what is converted computes what was trained. */
#include "support.h"

#include "graph/graph.h"
#include "graph/op.h"
#include "train/fake_quantize.h"
#include "train/tape.h"

#include <octet/train.h>

enum { WORDS = 10, DIM = 12, BAG = 4, BATCH = 16, CLASSES = 2, STEPS = 600 };

/* Mean of a bag's rows, then Linear. */
static octet_graph *bag_linear(void)
{
    random_state          r      = { 8 };
    const int64_t         axis   = 1;
    const octet_attribute drop[] = { { .name = "keepdims", .i = 0 }, { 0 } };
    octet_graph          *graph;
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_I64, (const int64_t[]){ OCTET_DIM_FREE, BAG }, 2, &err));
    add_random(graph, &r, "table", (const int64_t[]){ WORDS, DIM }, 2, between(-0.3f, 0.3f));
    add_node(graph, "Gather", "emb", NULL, INPUTS("table", "x"));
    add_ints(graph, "axis", &axis, 1);
    add_node(graph, "ReduceMean", "bag", drop, INPUTS("emb", "axis"));
    add_random(graph, &r, "w", (const int64_t[]){ DIM, CLASSES }, 2, between(-0.5f, 0.5f));
    add_random(graph, &r, "b", (const int64_t[]){ CLASSES }, 1, between(-0.1f, 0.1f));
    add_node(graph, "Gemm", "fc", NULL, INPUTS("bag", "w", "b"));
    MUST(octet_graph_set_output(graph, "fc", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

static const octet_value *value(const octet_graph *graph, const char *name)
{
    return octet_graph_find_value(graph, name);
}

/* Bags of words, and whether most of them are among the first half. */
static void draw(int64_t *words, int64_t *labels, uint64_t seed)
{
    random_state r = { seed };
    for (int i = 0; i < BATCH; i++) {
        int low = 0;
        for (int k = 0; k < BAG; k++) {
            words[i * BAG + k] = random_int(&r, 0, WORDS - 1);
            low += words[i * BAG + k] < WORDS / 2;
        }
        labels[i] = low > BAG / 2;
    }
}

static octet_tensor input_of(int64_t *words)
{
    return (octet_tensor){ .dtype = OCTET_I64, .rank = 2, .dims = { BATCH, BAG }, .data = words };
}

static octet_graph *prepared(const char *name, const char *embeddings)
{
    octet_graph *const graph = bag_linear();
    octet_qconfig      q     = *octet_qconfig_find(name);
    if (embeddings) MUST(octet_qconfig_embeddings(&q, embeddings, &err));
    MUST(octet_prepare_qat(graph, &q, NULL, NULL, &err));
    return graph;
}

/* test_defused_embedding_bag_linear: zero points of the table are real, those of the Linear whole. */
static void a_table_has_real_zero_points(void **unused)
{
    (void)unused;
    octet_graph *const         graph = prepared("default_qat_qconfig", "float_qparams");
    const octet_trained *const table = value(graph, "table")->fake_quantize->trained;
    const octet_trained *const w     = value(graph, "w")->fake_quantize->trained;
    assert_true(octet_trained_is_real(table) && table->channels == WORDS && table->qmax == 255);
    assert_false(octet_trained_is_real(w));
    assert_non_null(value(graph, "bag")->fake_quantize);
    bool whole = true;
    for (int i = 0; i < WORDS; i++) whole = whole && table->zero_point[i] == rintf(table->zero_point[i]);
    assert_false(whole);
    octet_graph_free(graph);
}

/* The gradient of the table by its definition: each pick of a row adds W g / BAG. */
static void rows_get_the_gradient_of_their_picks(void **unused)
{
    static int64_t words[BATCH * BAG], labels[BATCH];
    static double  want[WORDS * DIM];
    float          g[BATCH * CLASSES];
    random_state   r = { 4 };
    (void)unused;
    octet_graph *const       graph   = prepared("default_embedding_qat_qconfig", NULL);
    const float *const       w       = value(graph, "w")->constant->data;
    const octet_tape_options options = { .batch = BATCH, .threads = 2 };
    octet_tape              *tape;
    size_t                   count, found = 0;
    draw(words, labels, 3);
    random_fill(&r, g, BATCH * CLASSES, -1, 1);
    for (int i = 0; i < BATCH; i++)
        for (int k = 0; k < BAG; k++)
            for (int d = 0; d < DIM; d++)
                for (int c = 0; c < CLASSES; c++)
                    want[words[i * BAG + k] * DIM + d] += (double)w[d * CLASSES + c] * g[i * CLASSES + c] / BAG;
    const octet_tensor x = input_of(words);
    MUST(octet_tape_create(&tape, graph, &options, &err));
    for (int again = 0; again < 2; again++) { /* gradients are set, not added to */
        MUST(octet_tape_forward(tape, &x, true, &err));
        MUST(octet_tape_backward(tape, graph->outputs[0], g, &err));
    }
    const octet_parameter *const parameters = octet_tape_parameters(tape, &count);
    for (size_t p = 0; p < count; p++) {
        if (strcmp(parameters[p].name, "table") != 0) continue;
        found++;
        for (int i = 0; i < WORDS * DIM; i++)
            assert_true(fabs((double)((const float *)parameters[p].gradient)[i] - want[i]) < 1e-5);
    }
    assert_int_equal(found, 1);
    octet_tape_free(tape);
    octet_graph_free(graph);
}

/* Rounding and gradient of numbers within the range that was seen and beyond it. */
static void beyond_the_levels_nothing_passes(void **unused)
{
    (void)unused;
    enum { N = 64 };
    float              seen[2 * N], x[2 * N], y[2 * N], dy[2 * N], dx[2 * N];
    random_state       r     = { 6 };
    octet_arena *const arena = octet_arena_new();
    octet_trained     *t;
    octet_trained      settings = { .weight = true, .channels = 2,
                                    .quantizer = octet_qconfig_find("default_embedding_qat_4bit")->weight };
    const octet_channel_shape shape = { 1, 2, N };
    MUST(octet_trained_new(&t, arena, &settings, &err));
    random_fill(&r, seen, N, -1, 2);
    random_fill(&r, seen + N, N, 0.5f, 0.75f); /* zero is far outside */
    octet_trained_observe(t, seen, &shape);
    for (int i = 0; i < 2 * N; i++) x[i] = seen[i] * 1.5f - 0.25f, dy[i] = (float)i + 1;
    octet_trained_forward(y, NULL, x, t, &shape);
    octet_trained_backward(dx, NULL, dy, x, t, &shape);
    int clipped = 0;
    for (int i = 0; i < 2 * N; i++) {
        float       lo = seen[i / N * N], hi = lo;
        for (int k = 1; k < N; k++) lo = fminf(lo, seen[i / N * N + k]), hi = fmaxf(hi, seen[i / N * N + k]);
        const float width = hi - lo, scale = width / 15.0f, zero = -lo / scale, inverse = 1.0f / scale;
        const float product = x[i] * inverse, level = rintf(product + zero), kept = fminf(fmaxf(level, 0), 15);
        const float offset = kept - zero, means = offset * scale;
        assert_true(y[i] == means);
        assert_true(dx[i] == (level == kept ? dy[i] : 0));
        clipped += level != kept;
    }
    assert_true(clipped > 10 && clipped < 100);
    settings.quantizer.fake = OCTET_FAKE_LEARNED;
    assert_int_equal(octet_trained_new(&t, arena, &settings, NULL), OCTET_ERR_ARGUMENT);
    octet_arena_free(arena);
}

/* test_embedding_bag_linear: trained, converted, and the same numbers. */
static void what_was_trained_is_what_ships(void **unused)
{
    static const struct {
        const char *qconfig, *embeddings;
    } cases[] = { { "default_qat_qconfig", "float_qparams" }, { "default_qat_qconfig", "float_qparams_4bit" },
                  { "default_embedding_qat_qconfig", NULL },  { "default_embedding_qat_qconfig_4bit", NULL },
                  { "octet_qat", "s8" } };
    static int64_t words[BATCH * BAG], labels[BATCH];
    static float   first[WORDS * DIM], got[BATCH * CLASSES];
    (void)unused;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        octet_graph *const        graph   = prepared(cases[c].qconfig, cases[c].embeddings), *shipped;
        const octet_train_options options = { .batch = BATCH, .learning_rate = 0.5, .threads = 2 };
        const octet_tensor        x       = input_of(words);
        octet_train_result        result  = { 0 };
        octet_trainer            *trainer;
        octet_tensor              out;
        double                    before = 0;
        memcpy(first, value(graph, "table")->constant->data, sizeof first);
        MUST(octet_trainer_create(&trainer, graph, &options, &err));
        for (uint64_t step = 0; step < STEPS; step++) {
            draw(words, labels, step + 1);
            if (step == STEPS - 20) octet_trainer_freeze_observers(trainer, true);
            MUST(octet_trainer_step(trainer, &(octet_train_batch){ .inputs = &x, .labels = labels }, &result, &err));
            if (!step) before = result.loss;
        }
        print_message("%s %s: loss %.3f to %.3f\n", cases[c].qconfig, cases[c].embeddings ? cases[c].embeddings : "",
                      before, result.loss);
        assert_true(result.loss < 0.6 * before);
        MUST(octet_trainer_quantized(&shipped, trainer, &err));
        const octet_qparams *const rows = value(shipped, "table")->constant->qparams;
        assert_true(rows && rows->count == WORDS && (rows->real_zero_point != NULL) == (c < 4));
        assert_true(octet_node_compute_mode(shipped, octet_graph_find_node(shipped, "emb")) != OCTET_MODE_REAL);
        assert_true(result.integer);
        MUST(octet_trainer_forward(trainer, &x, &out, &err));
        run_graph(shipped, &x, got, BATCH * CLASSES, &(octet_plan_options){ .engines = "reference" });
        for (int i = 0; i < BATCH * CLASSES; i++) assert_true(fabsf(got[i] - ((const float *)out.data)[i]) < 1e-5f);
        MUST(octet_trainer_store(trainer, &err));
        assert_memory_not_equal(first, value(graph, "table")->constant->data, sizeof first);
        octet_graph_free(shipped);
        octet_trainer_free(trainer);
        octet_graph_free(graph);
    }
}

/* test_qat_embedding_bag_errors: what a table cannot have. */
static void tables_refuse_other_fakes(void **unused)
{
    (void)unused;
    octet_graph  *graph = bag_linear();
    octet_qconfig q     = *octet_qconfig_find("octet_weight_only");
    q.weight.group      = 4;
    assert_int_equal(octet_prepare_qat(graph, &q, NULL, NULL, NULL), OCTET_ERR_UNSUPPORTED);
    octet_graph_free(graph);
    graph = bag_linear();
    q     = *octet_qconfig_find("default_embedding_qat_qconfig");
    q.weight.fake = OCTET_FAKE_FUSED;
    assert_int_equal(octet_prepare_qat(graph, &q, NULL, NULL, NULL), OCTET_ERR_ARGUMENT);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_has_real_zero_points),     cmocka_unit_test(rows_get_the_gradient_of_their_picks),
        cmocka_unit_test(beyond_the_levels_nothing_passes), cmocka_unit_test(what_was_trained_is_what_ships),
        cmocka_unit_test(tables_refuse_other_fakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
