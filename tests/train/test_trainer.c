/* SPDX-License-Identifier: Apache-2.0 */
/* A trainer on a small network: it learns; what it learns depends on data and options alone, not on threads, stops and
   starts; a step that fails has not been; and what it ships is what it computed. Whole states are compared as the bytes
   of their checkpoints. */
#include "training.h"

#include "base/hash.h"
#include "train/trainer.h"

static char folder[400], paths[3][440];

static int setup(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    for (int i = 0; i < 3; i++) snprintf(paths[i], sizeof paths[i], "%s/%d", folder, i);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) unlink(paths[i]);
    return rmdir(folder);
}

/* From which step on observers and batch norms rest. */
typedef struct phases {
    uint64_t observers, batch_norm;
} phases;

static const phases early = { 5, 9 }, late = { 150, 200 };

/* Steps first .. last; returns the last one's result. */
static octet_train_result run(octet_trainer *trainer, uint64_t first, uint64_t last, phases rest)
{
    data               d;
    octet_train_result result = { 0 };
    for (uint64_t step = first; step <= last; step++) {
        if (step == rest.observers) octet_trainer_freeze_observers(trainer, true);
        if (step == rest.batch_norm) octet_trainer_freeze_batch_norm(trainer, true);
        draw(&d, step);
        MUST(octet_trainer_step(trainer, &d.batch, &result, &err));
        assert_int_equal(result.step, step);
    }
    return result;
}

static const shape_of_net nets[] = {
    { .seed = 1 },
    { .seed = 2, .norm = true },
    { .seed = 3, .norm = true, .prepare = true },
    { .seed = 4, .prepare = true, .softmax = true },
    { .seed = 5, .prepare = true, .norm = true, .qconfig = "octet_lsq" },
    { .seed = 6, .prepare = true, .norm = true, .qconfig = "symmetric_qnnpack_qat" },
};
enum { NETS = sizeof nets / sizeof *nets };

static octet_train_options options_of(int optimizer)
{
    return (octet_train_options){ .batch = BATCH, .threads = 1, .optimizer = (octet_optimizer)optimizer,
                                  .learning_rate = optimizer ? 0.01 : 0.1, .momentum = optimizer ? 0 : 0.9,
                                  .scale_rate = optimizer ? 1 : 0.01 }; /* scales are small beside weights */
}

/* ---- tests ---- */

static void test_learns(void **state)
{
    (void)state;
    for (int n = 0; n < NETS; n++)
        for (int optimizer = 0; optimizer < OCTET_OPTIMIZER_COUNT; optimizer++) {
            octet_graph              *graph = make(&nets[n]);
            octet_trainer            *trainer;
            const octet_train_options options = options_of(optimizer);
            MUST(octet_trainer_create(&trainer, graph, &options, &err));
            const double             first = run(trainer, 1, 1, late).loss;
            const octet_train_result last = run(trainer, 2, 240, late);
            if (!(last.loss < 0.3 * first)) fail_msg("net %d, optimizer %d: %g to %g", n, optimizer, first, last.loss);
            assert_true(last.top1 > 0.8);
            assert_int_equal(last.integer, nets[n].prepare);
            octet_trainer_free(trainer);
            octet_graph_free(graph);
        }
}

static void test_threads(void **state)
{
    (void)state;
    for (int n = 0; n < NETS; n++)
        for (int threads = 1; threads <= 3; threads++) {
            octet_graph        *graph = make(&nets[n]);
            octet_trainer      *trainer;
            octet_train_options options = options_of(1);
            options.threads             = threads;
            MUST(octet_trainer_create(&trainer, graph, &options, &err));
            run(trainer, 1, 12, early);
            MUST(octet_trainer_save(trainer, paths[threads == 1 ? 0 : 1], &err));
            if (threads > 1) same_files(paths[0], paths[1]);
            octet_trainer_free(trainer);
            octet_graph_free(graph);
        }
}

/* Stopped after any of the steps, in each phase, and taken up by a new trainer of a new graph. */
static void test_resumes(void **state)
{
    (void)state;
    for (int n = 0; n < NETS; n++) {
        octet_trainer            *whole, *part;
        octet_graph              *graph = make(&nets[n]);
        const octet_train_options options = options_of(n % OCTET_OPTIMIZER_COUNT);
        MUST(octet_trainer_create(&whole, graph, &options, &err));
        for (uint64_t stop = 1; stop <= 12; stop += 2) {
            run(whole, stop, stop + 1, early);
            MUST(octet_trainer_save(whole, paths[0], &err));
            octet_graph *other = make(&nets[n]);
            MUST(octet_trainer_create(&part, other, &options, &err));
            if (stop > 1) MUST(octet_trainer_load(part, paths[2], &err));
            run(part, stop, stop + 1, early);
            MUST(octet_trainer_save(part, paths[1], &err));
            same_files(paths[0], paths[1]);
            MUST(octet_trainer_save(part, paths[2], &err));
            octet_trainer_free(part);
            octet_graph_free(other);
        }
        octet_trainer_free(whole);
        octet_graph_free(graph);
    }
}

/* With a plan, rate and phases follow from the step: 4 epochs of 2 steps, observers rest from step 4, batch norm from
   step 6 on; and a checkpoint carries bytes of its owner's. */
static void test_plan(void **state)
{
    (void)state;
    octet_graph        *graph = make(&nets[2]);
    octet_trainer      *trainer, *other;
    octet_train_options options = options_of(0);
    octet_train_result  result;
    data                d;
    char                own[6] = "mine.", back[6] = "";
    options.epochs = 4;
    MUST(octet_trainer_create(&trainer, graph, &options, &err));
    MUST(octet_trainer_plan(trainer, 2 * BATCH + 3, &err));
    for (uint64_t step = 0; step < 8; step++) {
        draw(&d, step);
        MUST(octet_trainer_step(trainer, &d.batch, &result, &err));
        assert_true(result.epoch == (double)(step + 1) / 2);
        assert_true(fabs(result.learning_rate - 0.05 * (1 + cos(3.14159265358979 * (double)step / 8))) < 1e-12);
        assert_int_equal(result.integer, step >= 6);
        assert_int_equal(trainer->trained[0]->observing, step < 4);
    }
    MUST(octet_trainer_save_with(trainer, paths[0], own, sizeof own, &err));
    MUST(octet_trainer_create(&other, graph, &options, &err));
    MUST(octet_trainer_load_with(other, paths[0], back, sizeof back, &err));
    assert_string_equal(back, own);
    assert_int_equal(octet_trainer_steps(other), 8);
    octet_error refusal = { 0 };
    assert_int_equal(octet_trainer_load(other, paths[0], &refusal), OCTET_ERR_FORMAT);
    octet_trainer_free(other);

    /* the best state so far, and back to it */
    void *const best = malloc(octet_trainer_state_size(trainer));
    octet_trainer_state_get(best, trainer);
    MUST(octet_trainer_step(trainer, &d.batch, &result, &err));
    octet_trainer_state_set(trainer, best);
    octet_graph *quantized[2];
    MUST(octet_trainer_quantized(&quantized[0], trainer, &err));
    MUST(octet_trainer_create(&other, graph, &options, &err));
    MUST(octet_trainer_load_with(other, paths[0], back, sizeof back, &err));
    MUST(octet_trainer_quantized(&quantized[1], other, &err));
    for (int i = 0; i < 2; i++) {
        MUST(octet_graph_save(quantized[i], paths[1 + i], &err));
        octet_graph_free(quantized[i]);
    }
    same_files(paths[1], paths[2]);
    free(best);
    octet_trainer_free(other);
    octet_trainer_free(trainer);

    /* without a batch of the user's, few samples are one batch */
    options.batch = 0;
    MUST(octet_trainer_create(&trainer, graph, &options, &err));
    assert_int_equal(octet_trainer_settings(trainer)->batch, 32);
    MUST(octet_trainer_plan(trainer, BATCH, &err));
    assert_int_equal(octet_trainer_settings(trainer)->batch, BATCH);
    assert_int_equal(octet_trainer_plan(trainer, 0, &refusal), OCTET_ERR_ARGUMENT);
    octet_trainer_free(trainer);
    octet_graph_free(graph);
}

/* Expects the next step to fail without a trace. */
static void fails(octet_trainer *trainer, const octet_train_batch *batch, const char *node, const char *text)
{
    octet_error        refusal = { 0 };
    octet_train_result result;
    MUST(octet_trainer_save(trainer, paths[0], &err));
    assert_int_equal(octet_trainer_step(trainer, batch, &result, &refusal), OCTET_ERR_ARGUMENT);
    if (!strstr(refusal.text, text)) fail_msg("'%s' lacks '%s'", refusal.text, text);
    assert_string_equal(refusal.node, node);
    MUST(octet_trainer_save(trainer, paths[1], &err));
    same_files(paths[0], paths[1]);
}

static void test_stops(void **state)
{
    (void)state;
    for (int n = 0; n < NETS; n++) {
        data                d;
        octet_trainer      *trainer;
        octet_graph        *graph = make(&nets[n]);
        octet_train_options options = options_of(0);
        MUST(octet_trainer_create(&trainer, graph, &options, &err));
        run(trainer, 1, 3, early);
        draw(&d, 4);
        d.labels[5] = CLASSES;
        fails(trainer, &d.batch, "", "sample 5 of the batch has label 3 (need 0 to 2)");
        d.labels[5] = 0;
        d.x[11]     = INFINITY;
        if (!nets[n].prepare) fails(trainer, &d.batch, "x", "step 4: input is inf at element 11");
        octet_trainer_set_learning_rate(trainer, 1e38); /* the step itself is fine, what it makes is not */
        draw(&d, 4);
        MUST(octet_trainer_step(trainer, &d.batch, NULL, &err));
        for (int step = 5; step < 9; step++) { /* a step goes well, or says that it was the one */
            char        own[16];
            octet_error refusal = { 0 };
            snprintf(own, sizeof own, "step %d: ", step);
            if (octet_trainer_step(trainer, &d.batch, NULL, &refusal) == OCTET_OK) continue;
            if (!strstr(refusal.text, own)) fail_msg("%s", refusal.text);
            break;
        }
        octet_trainer_free(trainer);
        octet_graph_free(graph);
    }
}

/* The forward pass, the network that would ship, and a stored and converted graph are one function. */
static void test_ships(void **state)
{
    (void)state;
    for (int n = 2; n < NETS; n++) {
        data            d;
        octet_tensor    seen;
        octet_trainer  *trainer;
        octet_graph    *graph = make(&nets[n]), *quantized;
        float           out[BATCH * CLASSES];
        const octet_train_options options = options_of(1);
        MUST(octet_trainer_create(&trainer, graph, &options, &err));
        run(trainer, 1, 12, early);
        draw(&d, 99);
        MUST(octet_trainer_quantized(&quantized, trainer, &err));
        MUST(octet_trainer_forward(trainer, &d.input, &seen, &err));
        assert_int_equal(run_graph(quantized, &d.input, out, BATCH * CLASSES, NULL), BATCH * CLASSES);
        assert_memory_equal(seen.data, out, sizeof out);
        run(trainer, 13, 14, early); /* it goes on */
        octet_graph_free(quantized);
        MUST(octet_trainer_quantized(&quantized, trainer, &err));
        MUST(octet_trainer_store(trainer, &err));
        octet_trainer_free(trainer);
        MUST(octet_convert(graph, &err));
        MUST(octet_graph_save(quantized, paths[0], &err));
        MUST(octet_graph_save(graph, paths[1], &err));
        same_files(paths[0], paths[1]);
        octet_graph_free(quantized);
        octet_graph_free(graph);
    }
}

/* The caller's graph is what it was until octet_trainer_store: a trainer made of it begins where the first one did. */
static void test_leaves_graph(void **state)
{
    (void)state;
    for (int n = 0; n < NETS; n++) {
        octet_trainer            *first, *second;
        octet_graph              *graph = make(&nets[n]);
        const octet_train_options options = options_of(0);
        MUST(octet_trainer_create(&first, graph, &options, &err));
        MUST(octet_trainer_save(first, paths[0], &err));
        run(first, 1, 12, early);
        MUST(octet_trainer_create(&second, graph, &options, &err));
        MUST(octet_trainer_save(second, paths[1], &err));
        same_files(paths[0], paths[1]);
        octet_trainer_free(second);
        octet_trainer_free(first);
        octet_graph_free(graph);
    }
}

/* A teacher of its own, and the same teacher's outputs as targets. */
static void test_distills(void **state)
{
    (void)state;
    for (int softmax = 0; softmax < 2; softmax++) {
        const shape_of_net  student = { .seed = 5, .prepare = true, .softmax = softmax != 0 };
        const shape_of_net  teacher = { .seed = 6, .softmax = softmax != 0 };
        octet_graph        *graphs[2] = { make(&student), make(&student) }, *teaching = make(&teacher);
        octet_trainer      *trainers[2];
        octet_train_options options = options_of(1);
        data                d;
        octet_train_result  results[2];
        double              first = 0;
        options.loss        = OCTET_LOSS_DISTILL;
        options.temperature = 2;
        MUST(octet_trainer_create(&trainers[0], graphs[0], &options, &err));
        options.teacher = teaching;
        MUST(octet_trainer_create(&trainers[1], graphs[1], &options, &err));
        for (uint64_t step = 1; step <= 60; step++) {
            float        out[BATCH * CLASSES];
            octet_tensor target = { .dtype = OCTET_F32, .rank = 2, .dims = { BATCH, CLASSES }, .data = out };
            draw(&d, step);
            run_graph(teaching, &d.input, out, BATCH * CLASSES, NULL);
            d.batch.labels = NULL;
            MUST(octet_trainer_step(trainers[1], &d.batch, &results[1], &err));
            d.batch.targets = &target;
            MUST(octet_trainer_step(trainers[0], &d.batch, &results[0], &err));
            assert_true(results[0].loss == results[1].loss && isnan(results[0].top1));
            if (step == 1) first = results[0].loss;
        }
        assert_true(results[0].loss < 0.2 * first);
        for (int i = 0; i < 2; i++) {
            octet_trainer_free(trainers[i]);
            octet_graph_free(graphs[i]);
        }
        octet_graph_free(teaching);
    }
}

/* Scales of activations are no parameters before their ranges rest; those of weights are from the first step on. */
static void test_learned(void **state)
{
    (void)state;
    octet_graph              *graph = make(&nets[4]);
    octet_trainer            *trainer;
    const octet_train_options options = options_of(OCTET_OPTIMIZER_ADAM);
    MUST(octet_trainer_create(&trainer, graph, &options, &err));
    const octet_trainer_layout *const l = &trainer->layout;
    for (uint64_t last = 4; last <= 6; last += 2) {
        size_t resting = 0, moving = 0;
        run(trainer, last == 4 ? 1 : 5, last, early);
        for (size_t i = 0; i < l->parameter_count; i++) {
            if (!l->learned[i]) continue;
            const size_t steps = (size_t)l->mover->moments[i].steps;
            assert_true(l->learned[i]->weight ? steps == last : steps == last - 4);
            resting += steps == 0;
            moving += steps > 0;
        }
        assert_true(moving > 0 && (resting > 0) == (last == 4));
    }
    octet_trainer_free(trainer);
    octet_graph_free(graph);
}

static void load_refused(const shape_of_net *net, const octet_train_options *options, octet_status status,
                         const char *text)
{
    octet_error    refusal = { 0 };
    octet_trainer *trainer;
    octet_graph   *graph = make(net);
    MUST(octet_trainer_create(&trainer, graph, options, &err));
    MUST(octet_trainer_save(trainer, paths[1], &err));
    assert_int_equal(octet_trainer_load(trainer, paths[0], &refusal), status);
    if (!strstr(refusal.text, text)) fail_msg("'%s' lacks '%s'", refusal.text, text);
    assert_string_equal(refusal.file, paths[0]);
    MUST(octet_trainer_save(trainer, paths[2], &err));
    same_files(paths[1], paths[2]);
    octet_trainer_free(trainer);
    octet_graph_free(graph);
}

/* A scale of 0 in a file whose hash is right. */
static void damage(const char *path)
{
    static uint8_t bytes[1 << 18];
    octet_hash     hash;
    const float    scale = 0;
    FILE          *file = fopen(path, "rb");
    const size_t   size = fread(bytes, 1, sizeof bytes, file);
    uint8_t *const name = memmem(bytes, size, "FakeQuantize", 12);
    fclose(file);
    assert_true(name && size < sizeof bytes);
    memcpy(name + 12 + 6 * sizeof scale, &scale, sizeof scale);
    octet_hash_begin(&hash);
    octet_hash_add(&hash, bytes, size - 8);
    const uint64_t value = octet_hash_value(&hash);
    memcpy(bytes + size - 8, &value, 8);
    file = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void test_other_checkpoints(void **state)
{
    (void)state;
    octet_train_options options = options_of(1);
    octet_trainer      *trainer;
    octet_graph        *graph = make(&nets[2]);
    MUST(octet_trainer_create(&trainer, graph, &options, &err));
    run(trainer, 1, 2, early);
    MUST(octet_trainer_save(trainer, paths[0], &err));
    octet_trainer_free(trainer);
    octet_graph_free(graph);
    load_refused(&nets[3], &options, OCTET_ERR_ARGUMENT, "made with 'network '");
    shape_of_net net = nets[2];
    net.seed         = 77;
    load_refused(&net, &options, OCTET_ERR_ARGUMENT, "made with 'network weights ");
    options.learning_rate = 0.02;
    load_refused(&nets[2], &options, OCTET_ERR_ARGUMENT, "'learning_rate 0.01' (here 'learning_rate 0.02')");
    options.learning_rate = 0.01;
    damage(paths[0]);
    load_refused(&nets[2], &options, OCTET_ERR_FORMAT,
                 "FakeQuantize 0 has a scale, zero point or range that cannot be");
}

static void create_refused(octet_graph *graph, const octet_train_options *options, const char *text)
{
    octet_error    refusal = { 0 };
    octet_trainer *trainer;
    assert_int_not_equal(octet_trainer_create(&trainer, graph, options, &refusal), OCTET_OK);
    assert_null(trainer);
    if (!strstr(refusal.text, text)) fail_msg("'%s' lacks '%s'", refusal.text, text);
}

static void test_refusals(void **state)
{
    (void)state;
    octet_graph *graph = make(&nets[0]), *soft = make(&nets[3]), *bare;
    create_refused(graph, &(octet_train_options){ .teacher = soft }, "needs the loss 'distill'");
    create_refused(graph, &(octet_train_options){ .label_smoothing = 2 }, "got 2 (need 0 <= value < 1)");
    create_refused(graph, &(octet_train_options){ .limits.max_memory = 1000 }, "");
    MUST(octet_graph_new(&bare, &err));
    create_refused(bare, NULL, "no input or no output");
    MUST(octet_graph_add_input(bare, "x", OCTET_F32, (const int64_t[]){ 4, 2 }, 2, &err));
    add_node(bare, "Relu", "y", NULL, INPUTS("x"));
    MUST(octet_graph_set_output(bare, "y", &err));
    create_refused(bare, NULL, "must be prepared first");
    MUST(octet_fuse(bare, &err));
    create_refused(bare, &(octet_train_options){ .batch = 5 }, "batch is 5 (the network's own is fixed to 4)");
    octet_graph_free(bare);
    octet_graph_free(soft);
    octet_graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_ships),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_resumes),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_leaves_graph),
        cmocka_unit_test(test_distills),
        cmocka_unit_test(test_learned),
        cmocka_unit_test(test_other_checkpoints),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
