/* SPDX-License-Identifier: Apache-2.0 */
/* What PyTorch's test_quantize_eager_qat.py checks besides the numbers of batch norm (test_qat_conv_bn.c): where
   FakeQuantize goes and what conversion leaves of it, functions with fixed parameters, freezing, saving and loading.
   Each test names the upstream ones it stands for. Octet has no hooks (test_forward_hooks_preserved) and no
   add_scalar, which leaves levels as they are: an Add of a constant has the range of its result. Embeddings and
   dynamic quantization come with those operators. */
#include "../train/training.h"

#include "graph/graph.h"
#include "ops/mode.h"
#include "train/quantized.h"
#include "train/tape.h"

/* ---- looking ---- */

static octet_trained *trained_of(const octet_value *value)
{
    return value->fake_quantize ? value->fake_quantize->trained : NULL;
}

static const octet_value *value_of(const octet_graph *graph, const char *name)
{
    const octet_value *const value = octet_graph_find_value(graph, name);
    assert_non_null(value);
    return value;
}

/* Products: weights and inputs are quantized while training, batch norms alive. Returns how many there are. */
static int check_prepared(const octet_graph *graph)
{
    int products = 0;
    for (const octet_node *n = graph->first; n; n = n->next) {
        if (n->op->quant != OCTET_QUANT_MAC) continue;
        assert_non_null(trained_of(n->inputs[1]));
        assert_non_null(trained_of(n->inputs[0]));
        products++;
    }
    return products;
}

static int norms_of(const octet_graph *graph)
{
    int norms = 0;
    for (const octet_node *n = graph->first; n; n = n->next) norms += n->batch_norm != NULL;
    return norms;
}

/* Nothing of training is left, and every node computes on levels. */
static void check_shipped(const octet_graph *graph)
{
    assert_int_equal(graph->stage, OCTET_STAGE_QUANTIZED);
    assert_int_equal(norms_of(graph), 0);
    for (const octet_node *n = graph->first; n; n = n->next)
        assert_int_not_equal(octet_node_compute_mode(graph, n), OCTET_MODE_REAL);
    for (const octet_value *v = graph->values; v; v = v->next) assert_null(trained_of(v));
}

/* ---- test_manual, test_conv_linear: prepared, trained, converted ---- */

static void products_are_prepared_and_converted(void **unused)
{
    (void)unused;
    static data d;
    for (int norm = 0; norm < 2; norm++) {
        octet_trainer *trainer;
        octet_graph *quantized;
        octet_train_result result;
        octet_graph *const graph = make(&(shape_of_net){ .norm = norm, .prepare = true, .seed = 3 });
        assert_int_equal(check_prepared(graph), 3);
        assert_int_equal(norms_of(graph), norm ? 2 : 0);
        MUST(octet_trainer_create(&trainer, graph, &(octet_train_options){ .batch = BATCH, .threads = 1 }, &err));
        for (uint64_t i = 0; i < 3; i++) {
            draw(&d, i);
            MUST(octet_trainer_step(trainer, &d.batch, &result, &err));
        }
        MUST(octet_trainer_quantized(&quantized, trainer, &err));
        check_shipped(quantized);
        assert_int_equal(check_prepared(graph), 3); /* the trained network is as it was */
        octet_graph_free(quantized);
        octet_trainer_free(trainer);
        octet_graph_free(graph);
    }
}

/* ---- small networks of functions ---- */

enum { FEW = 3 * 2 * 4 };

/* x -> ops[0] -> ops[1] ... ; values are called after their operators, those with an alpha have this one. The last is
   the output, unless there is none. */
static octet_graph *chain(const char *const *ops, float alpha)
{
    octet_graph *graph;
    const char *in = "x";
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, 3, 2, 4 }, 4, &err));
    const octet_attribute attributes[] = { { .name = "alpha", .f = alpha }, { 0 } };
    for (; *ops; in = *ops++) {
        const bool has_alpha = !strcmp(*ops, "HardSigmoid") || !strcmp(*ops, "LeakyRelu");
        add_node(graph, *ops, *ops, has_alpha ? attributes : NULL, INPUTS(in));
    }
    if (strcmp(in, "x")) MUST(octet_graph_set_output(graph, in, &err));
    return graph;
}

static octet_qconfig torch_qat(void)
{
    octet_qconfig qconfig = *octet_qconfig_find("default_qat");
    qconfig.target = "torch-1.13";
    return qconfig;
}

/* One pass in training over data, then once more without: the simulated output, and that of the converted network in
   torch's profile. */
static void fake_and_true(octet_graph *graph, float fake[FEW], float converted[FEW])
{
    octet_tape *tape;
    octet_graph *quantized;
    float x[FEW];
    random_state r = { 11 };
    const octet_tensor input = { .dtype = OCTET_F32, .rank = 4, .dims = { 1, 3, 2, 4 }, .data = x };
    const octet_tape_options options = { .batch = 1, .threads = 1, .profile = &octet_profile_torch_qnnpack };
    random_fill(&r, x, FEW, -3, 3);
    MUST(octet_tape_create(&tape, graph, &options, &err));
    MUST(octet_tape_forward(tape, &input, true, &err));
    MUST(octet_tape_forward(tape, &input, false, &err));
    memcpy(fake, octet_tape_value(tape, graph->outputs[0]).data, FEW * sizeof *fake);
    MUST(octet_train_quantized(&quantized, graph, &err));
    check_shipped(quantized);
    run_graph(quantized, &input, converted, FEW, &(octet_plan_options){ .profile = "torch-qnnpack" });
    octet_graph_free(quantized);
    octet_tape_free(tape);
}

/* ---- test_fixed_qparam_ops ---- */

static void functions_with_fixed_parameters(void **unused)
{
    (void)unused;
    static const char *const ops[] = { "Sigmoid", "HardSigmoid", "Tanh", NULL };
    static const float scale[] = { 0x1p-8f, 0x1p-8f, 0x1p-7f };
    static const int zero_point[] = { 0, 0, 128 };
    const octet_qconfig qconfig = torch_qat();
    float fake[FEW], converted[FEW];
    octet_graph *const graph = chain(ops, 1.0f / 6); /* torch's hardsigmoid */
    MUST(octet_prepare_qat(graph, &qconfig, NULL, NULL, &err));
    for (int i = 0; i < 3; i++) {
        const octet_trained *const t = trained_of(value_of(graph, ops[i]));
        assert_int_equal(t->quantizer.fake, OCTET_FAKE_FIXED);
        assert_true(t->scale[0] == scale[i] && octet_trained_zero_point(t, 0) == zero_point[i]);
    }
    fake_and_true(graph, fake, converted);
    assert_memory_equal(fake, converted, sizeof fake);
    octet_graph_free(graph);
}

/* ---- test_leaky_relu, test_relu ---- */

static void leaky_relu_is_observed(void **unused)
{
    (void)unused;
    const octet_qconfig qconfig = torch_qat();
    float fake[FEW], converted[FEW];
    octet_graph *const graph = chain((const char *const[]){ "LeakyRelu", NULL }, 0.3f);
    MUST(octet_prepare_qat(graph, &qconfig, NULL, NULL, &err));
    assert_int_equal(trained_of(value_of(graph, "LeakyRelu"))->quantizer.fake, OCTET_FAKE_OBSERVED);
    fake_and_true(graph, fake, converted);
    assert_memory_equal(fake, converted, sizeof fake);
    octet_graph_free(graph);
}

static void relu_has_its_inputs(void **unused)
{
    (void)unused;
    const octet_qconfig qconfig = torch_qat();
    float fake[FEW], converted[FEW];
    octet_graph *const graph = chain((const char *const[]){ "Relu", NULL }, 0);
    MUST(octet_prepare_qat(graph, &qconfig, NULL, NULL, &err));
    assert_non_null(trained_of(value_of(graph, "x")));
    assert_ptr_equal(trained_of(value_of(graph, "Relu")), trained_of(value_of(graph, "x")));
    fake_and_true(graph, fake, converted);
    assert_memory_equal(fake, converted, sizeof fake);
    octet_graph_free(graph);
}

/* ---- test_dropout: nothing of it is left, and nothing is quantized for it ---- */

static void dropout_is_gone(void **unused)
{
    (void)unused;
    const octet_qconfig qconfig = torch_qat();
    octet_graph *const graph = chain((const char *const[]){ "Dropout", "Relu", NULL }, 0);
    MUST(octet_prepare_qat(graph, &qconfig, NULL, NULL, &err));
    assert_int_equal(graph->node_count, 1);
    assert_string_equal(graph->first->op->name, "Relu");
    octet_graph_free(graph);
}

/* ---- test_mul_scalar_uses_input_qparams: twice the numbers, twice the scale ---- */

static void twice_the_numbers_twice_the_scale(void **unused)
{
    (void)unused;
    const float two = 2;
    const octet_qconfig qconfig = torch_qat();
    const octet_tensor scalar = { .dtype = OCTET_F32, .data = (void *)(uintptr_t)&two };
    float fake[FEW], converted[FEW];
    octet_graph *const graph = chain((const char *const[]){ NULL }, 0);
    MUST(octet_graph_add_constant(graph, "two", &scalar, &err));
    add_node(graph, "Mul", "y", NULL, INPUTS("x", "two"));
    MUST(octet_graph_set_output(graph, "y", &err));
    MUST(octet_prepare_qat(graph, &qconfig, NULL, NULL, &err));
    fake_and_true(graph, fake, converted);
    const float in = trained_of(value_of(graph, "x"))->scale[0], out = trained_of(value_of(graph, "y"))->scale[0];
    assert_true(fabsf(out - 2 * in) < 1e-5f);
    octet_graph_free(graph);
}

/* ---- a trainer: test_eval_only_fake_quant, freezing, test_train_save_load_eval ---- */

typedef struct session {
    octet_graph   *graph;
    octet_trainer *trainer;
} session;

static session begin(void)
{
    session s = { .graph = make(&(shape_of_net){ .norm = true, .prepare = true, .seed = 5 }) };
    const octet_train_options options = { .batch = BATCH, .threads = 1, .learning_rate = 0.01 };
    MUST(octet_trainer_create(&s.trainer, s.graph, &options, &err));
    return s;
}

static void end(const session *s)
{
    octet_trainer_free(s->trainer);
    octet_graph_free(s->graph);
}

static void train(const session *s, uint64_t first, uint64_t count)
{
    static data d;
    octet_train_result result;
    for (uint64_t i = first; i < first + count; i++) {
        draw(&d, i);
        MUST(octet_trainer_step(s->trainer, &d.batch, &result, &err));
    }
}

static void evaluate(const session *s, float y[BATCH * CLASSES])
{
    static data d;
    octet_tensor output;
    draw(&d, 100);
    MUST(octet_trainer_forward(s->trainer, &d.input, &output, &err));
    memcpy(y, output.data, BATCH * CLASSES * sizeof *y);
}

/* What ships now, stored back and looked at: bytes of its file. */
static void ship(const session *s, const char *path)
{
    octet_graph *quantized;
    MUST(octet_trainer_quantized(&quantized, s->trainer, &err));
    MUST(octet_graph_save(quantized, path, &err));
    octet_graph_free(quantized);
}

static void evaluation_alone_runs_and_moves_nothing(void **unused)
{
    (void)unused;
    static data d;
    float once[BATCH * CLASSES], again[BATCH * CLASSES], real[BATCH * CLASSES];
    const session s = begin();
    octet_graph *const plain = make(&(shape_of_net){ .norm = true, .seed = 5 });
    evaluate(&s, once);
    evaluate(&s, again);
    for (int i = 0; i < BATCH * CLASSES; i++) assert_true(isfinite(once[i]));
    assert_memory_equal(once, again, sizeof once);
    octet_trainer_fake_quantize(s.trainer, false); /* disable_fake_quant: the float network */
    evaluate(&s, once);
    draw(&d, 100);
    run_graph(plain, &d.input, real, BATCH * CLASSES, NULL);
    for (int i = 0; i < BATCH * CLASSES; i++) assert_true(fabsf(once[i] - real[i]) < 1e-5f);
    octet_graph_free(plain);
    end(&s);
}

/* Mean of conv1's batch norm and scale of the input's FakeQuantize, as they would be stored. */
typedef struct moving {
    float mean, scale;
} moving;

static moving look(const session *s)
{
    MUST(octet_trainer_store(s->trainer, &err));
    return (moving){ .mean = value_of(s->graph, "conv1.w")->uses[0].node->batch_norm->mean[0],
                     .scale = trained_of(s->graph->inputs[0])->scale[0] };
}

/* Freezing lasts through training until it is taken back; each of the two rests alone. */
static void frozen_rests(void **unused)
{
    (void)unused;
    const session s = begin();
    train(&s, 0, 2);
    const moving first = look(&s);
    octet_trainer_freeze_batch_norm(s.trainer, true);
    train(&s, 2, 2);
    const moving second = look(&s);
    assert_true(second.mean == first.mean && second.scale != first.scale);
    octet_trainer_freeze_batch_norm(s.trainer, false);
    octet_trainer_freeze_observers(s.trainer, true);
    train(&s, 4, 2);
    const moving third = look(&s);
    assert_true(third.mean != second.mean && third.scale == second.scale);
    octet_trainer_freeze_observers(s.trainer, false);
    train(&s, 6, 1);
    assert_true(look(&s).scale != third.scale);
    end(&s);
}

static void a_reloaded_network_is_the_same(void **unused)
{
    (void)unused;
    char folder[512], state[600], a[600], b[600];
    float before[BATCH * CLASSES], after[BATCH * CLASSES], loaded[BATCH * CLASSES];
    static data d;
    octet_graph *graph;
    make_folder(folder, sizeof folder);
    snprintf(state, sizeof state, "%s/state", folder);
    snprintf(a, sizeof a, "%s/a.onnx", folder);
    snprintf(b, sizeof b, "%s/b.onnx", folder);
    const session trained = begin(), fresh = begin();
    train(&trained, 0, 4);
    octet_trainer_freeze_batch_norm(trained.trainer, true);
    octet_trainer_freeze_observers(trained.trainer, true);
    train(&trained, 4, 2);
    evaluate(&trained, before);
    evaluate(&fresh, after);
    assert_memory_not_equal(before, after, sizeof before);
    MUST(octet_trainer_save(trained.trainer, state, &err));
    MUST(octet_trainer_load(fresh.trainer, state, &err));
    evaluate(&fresh, after);
    assert_memory_equal(before, after, sizeof before);
    ship(&trained, a);
    ship(&fresh, b);
    same_files(a, b);
    MUST(octet_graph_load(&graph, a, &err)); /* the third way: the file. It computes what was evaluated */
    MUST(octet_fuse(graph, &err));
    draw(&d, 100);
    run_graph(graph, &d.input, loaded, BATCH * CLASSES, NULL);
    assert_memory_equal(before, loaded, sizeof before);
    train(&trained, 6, 2);
    train(&fresh, 6, 2);
    evaluate(&trained, before);
    evaluate(&fresh, after);
    assert_memory_equal(before, after, sizeof before);
    octet_graph_free(graph);
    end(&trained);
    end(&fresh);
    unlink(state), unlink(a), unlink(b), rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_prepared_and_converted),
        cmocka_unit_test(functions_with_fixed_parameters),
        cmocka_unit_test(leaky_relu_is_observed),
        cmocka_unit_test(relu_has_its_inputs),
        cmocka_unit_test(dropout_is_gone),
        cmocka_unit_test(twice_the_numbers_twice_the_scale),
        cmocka_unit_test(evaluation_alone_runs_and_moves_nothing),
        cmocka_unit_test(frozen_rests),
        cmocka_unit_test(a_reloaded_network_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
