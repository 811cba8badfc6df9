/* SPDX-License-Identifier: Apache-2.0 */
/* The whole loop: what it gives is what the engine scored best; a run stopped anywhere and taken up again gives the
   same bytes; what cannot be learned from is refused before the first step. */
#include "training.h"

#include "train/trainer.h"

enum { SAMPLES = 20, STEPS = SAMPLES / BATCH, EPOCHS = 4 };

static char folder[400], images[440], labels[440], checkpoint[440], results[2][440];

static void write_labels(const int64_t *classes, size_t count)
{
    FILE *const file = fopen(labels, "w");
    assert_non_null(file);
    for (size_t i = 0; i < count; i++) fprintf(file, "%lld\n", (long long)classes[i]);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    static float x[SAMPLES * PIXELS];
    int64_t      classes[SAMPLES];
    (void)state;
    make_folder(folder, sizeof folder);
    snprintf(images, sizeof images, "%s/x.npy", folder);
    snprintf(labels, sizeof labels, "%s/labels.txt", folder);
    snprintf(checkpoint, sizeof checkpoint, "%s/ckpt", folder);
    for (int i = 0; i < 2; i++) snprintf(results[i], sizeof results[i], "%s/%d.onnx", folder, i);
    draw_samples(x, classes, SAMPLES, 1);
    const octet_tensor tensor = { .dtype = OCTET_F32, .rank = 4, .dims = { SAMPLES, 2, SIDE, SIDE }, .data = x };
    write_npy(images, &tensor);
    write_labels(classes, SAMPLES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    const char *const files[] = { images, labels, checkpoint, results[0], results[1] };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) unlink(files[i]);
    return rmdir(folder); /* fails if a temporary file was left */
}

/* A run: its own network, trainer and data, as in a process of its own. */
typedef struct run {
    octet_graph        *graph, *quantized;
    octet_trainer      *trainer;
    octet_dataset      *data, *validation;
    octet_train_options train;
    octet_fit_options   fit;
    octet_scores        scores;
    const char         *labels;
    size_t              calls, stop_at; /* 0: at none */
    size_t              steps, epochs, resumed;
    double              best, last, mean; /* scores and the loss seen last */
} run;

static int watch(void *context, const octet_fit_progress *p)
{
    run *const r = context;
    r->steps += p->event == OCTET_FIT_STEP;
    r->epochs += p->event == OCTET_FIT_EPOCH;
    if (p->event == OCTET_FIT_EPOCH) r->mean = p->mean_loss;
    if (p->event == OCTET_FIT_START) r->resumed = p->resumed;
    if (p->event == OCTET_FIT_STEP) assert_true(p->last.step > r->resumed && p->last.step <= p->steps);
    if (p->scores) {
        r->last = p->scores->top1;
        if (p->best) r->best = r->last;
        else assert_true(r->last <= r->best || r->fit.checkpoint); /* a best of an earlier life */
    }
    return ++r->calls == r->stop_at;
}

/* At a rate so high that the best epoch is not the last. */
static run new_run(void)
{
    const octet_train_options train = { .epochs = EPOCHS, .batch = BATCH, .learning_rate = 1, .momentum = 0.9,
                                        .schedule = OCTET_SCHEDULE_CONSTANT, .flip = true, .crop = 1, .seed = 3,
                                        .threads = 1 };
    return (run){ .train = train, .labels = labels };
}

static octet_status begin(run *r, bool validate, octet_error *refusal)
{
    const shape_of_net          net     = { .seed = 3, .norm = true, .prepare = true };
    const octet_dataset_options options = { .labels = r->labels };
    r->graph                            = make(&net);
    MUST(octet_dataset_open(&r->data, images, &options, &err));
    if (validate) MUST(octet_dataset_open(&r->validation, images, &options, &err));
    MUST(octet_trainer_create(&r->trainer, r->graph, &r->train, &err));
    r->fit.validation       = r->validation;
    r->fit.progress         = watch;
    r->fit.progress_context = r;
    return octet_fit(&r->quantized, &r->scores, r->trainer, r->data, &r->fit, refusal);
}

static void end(run *r)
{
    octet_graph_free(r->quantized);
    octet_trainer_free(r->trainer);
    octet_dataset_free(r->validation);
    octet_dataset_free(r->data);
    octet_graph_free(r->graph);
}

/* A whole run whose network goes to results[which]. */
static run complete(run how, bool validate, int which)
{
    MUST(begin(&how, validate, &err));
    MUST(octet_graph_save_as(how.quantized, results[which], &(octet_save_options){ .replace = true }, &err));
    return how;
}

/* ---- tests ---- */

static void test_best(void **state)
{
    (void)state;
    run          r = complete(new_run(), true, 0);
    octet_scores scores[2];
    octet_graph *saved;
    assert_int_equal(r.steps, STEPS * EPOCHS); /* 20 samples are 2 batches of 8 */
    assert_int_equal(r.epochs, 1 + EPOCHS); /* the start counts, too */
    assert_true(r.scores.top1 == r.best && r.best > r.last);
    assert_int_equal(r.scores.count, SAMPLES);
    MUST(octet_graph_load(&saved, results[0], &err));
    MUST(octet_evaluate(scores, saved, NULL, r.validation, NULL, &err));
    assert_true(scores[0].top1 == r.best);
    octet_graph_free(saved);
    MUST(octet_trainer_store(r.trainer, &err)); /* the trainer has the best state, too */
    MUST(octet_convert(r.graph, &err));
    MUST(octet_graph_save(r.graph, results[1], &err));
    same_files(results[0], results[1]);
    end(&r);
}

/* Stopped at its n-th call, for every n there is, and taken up again until it is through. */
static void test_resume(void **state)
{
    (void)state;
    for (int validate = 0; validate < 2; validate++) {
        run plain = complete(new_run(), validate != 0, 0);
        end(&plain);
        for (size_t stop = 1; stop < plain.calls; stop++) {
            octet_error refusal = { 0 };
            run         stopped = new_run();
            stopped.fit.checkpoint = checkpoint;
            stopped.stop_at        = stop;
            assert_int_equal(begin(&stopped, validate != 0, &refusal), OCTET_ERR_ARGUMENT);
            assert_string_equal(refusal.text, "interrupted");
            end(&stopped);
            run again            = new_run();
            again.fit.checkpoint = checkpoint;
            again.train.threads  = 2;
            again                = complete(again, validate != 0, 1);
            assert_int_equal(stopped.steps + again.steps, STEPS * EPOCHS);
            assert_int_equal(again.resumed, stopped.steps);
            assert_true(again.epochs == 0 || again.mean == plain.mean);
            assert_memory_equal(&again.scores, &plain.scores, offsetof(octet_scores, seconds));
            same_files(results[0], results[1]);
            end(&again);
            assert_int_equal(unlink(checkpoint), 0);
        }
    }
}

/* Stopped again and again, one step each time: the best epoch is long past when the last run ends. */
static void test_many_stops(void **state)
{
    (void)state;
    run plain = complete(new_run(), true, 0);
    end(&plain);
    for (size_t lives = 0;; lives++) {
        octet_error refusal = { 0 };
        run         r       = new_run();
        r.fit.checkpoint    = checkpoint;
        r.stop_at           = 3; /* start, a step or a validation, one more */
        assert_in_range(lives, 0, 40);
        if (begin(&r, true, &refusal) == OCTET_OK) {
            assert_memory_equal(&r.scores, &plain.scores, offsetof(octet_scores, seconds));
            MUST(octet_graph_save_as(r.quantized, results[1], &(octet_save_options){ .replace = true }, &err));
            same_files(results[0], results[1]);
            end(&r);
            return;
        }
        assert_string_equal(refusal.text, "interrupted");
        end(&r);
    }
}

/* A finished run's checkpoint gives the result again at once; restart trains anew. */
static void test_finished(void **state)
{
    (void)state;
    run first            = new_run();
    first.fit.checkpoint = checkpoint;
    first                = complete(first, true, 0);
    end(&first);
    for (int restart = 0; restart < 2; restart++) {
        run r            = new_run();
        r.fit.checkpoint = checkpoint;
        r.fit.restart    = restart != 0;
        r                = complete(r, true, 1);
        assert_int_equal(r.steps, restart ? STEPS * EPOCHS : 0);
        same_files(results[0], results[1]);
        end(&r);
    }
}

static void test_patience(void **state)
{
    (void)state;
    run r                 = new_run();
    r.train.learning_rate = 1e-9; /* nothing gets better */
    r.fit.patience        = 2;
    r.fit.checkpoint      = checkpoint;
    r                     = complete(r, true, 0);
    assert_int_equal(r.epochs, 1 + 2);
    end(&r);
    run again                 = new_run();
    again.train.learning_rate = 1e-9;
    again.fit.patience        = 2;
    again.fit.checkpoint      = checkpoint;
    again                     = complete(again, true, 1);
    assert_int_equal(again.steps, 0);
    same_files(results[0], results[1]);
    end(&again);
}

static void refused(run r, bool validate, octet_status status, const char *text)
{
    octet_error refusal = { 0 };
    char        line[512];
    assert_int_equal(begin(&r, validate, &refusal), status);
    octet_error_line(line, sizeof line, &refusal);
    if (!strstr(line, text)) fail_msg("'%s' lacks '%s'", line, text);
    assert_int_equal(r.steps, 0);
    assert_null(r.quantized);
    end(&r);
}

static void test_refusals(void **state)
{
    (void)state;
    int64_t classes[SAMPLES] = { [7] = CLASSES };
    run     r                = new_run();
    r.labels                 = NULL;
    refused(r, false, OCTET_ERR_FORMAT, "x.npy: no labels");
    refused(r, true, OCTET_ERR_ARGUMENT, "validation by top1 needs labels");
    r             = new_run();
    r.train.batch = SAMPLES + 1;
    refused(r, false, OCTET_ERR_ARGUMENT, "data has 20 samples (need a batch of 21)");
    r              = new_run();
    r.fit.patience = 1;
    refused(r, false, OCTET_ERR_ARGUMENT, "patience needs validation");
    r            = new_run();
    r.fit.metric = OCTET_METRIC_SQNR;
    refused(r, true, OCTET_ERR_ARGUMENT, "needs a baseline");
    write_labels(classes, SAMPLES);
    refused(new_run(), false, OCTET_ERR_FORMAT, "x.npy: sample #7: label out of range (got 3, need 0 to 2");
}

/* What another run has left behind is not taken for one's own. */
static void test_foreign_checkpoint(void **state)
{
    (void)state;
    const int64_t classes[SAMPLES] = { 1 };
    run           first            = new_run();
    first.fit.checkpoint           = checkpoint;
    first                          = complete(first, true, 0);
    end(&first);
    run other            = new_run();
    other.fit.checkpoint = checkpoint;
    other.train.seed     = 4;
    refused(other, true, OCTET_ERR_ARGUMENT, "seed");
    other.train.seed = 3;
    other.fit.metric = OCTET_METRIC_MSE;
    refused(other, true, OCTET_ERR_ARGUMENT, "another way to validate");
    other.fit.metric = OCTET_METRIC_TOP1;
    refused(other, false, OCTET_ERR_FORMAT, "ckpt");
    write_labels(classes, SAMPLES);
    refused(other, true, OCTET_ERR_ARGUMENT, "other data");
    FILE *const file = fopen(checkpoint, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, -20, SEEK_END), 0);
    fputc('!', file);
    fclose(file);
    refused(other, true, OCTET_ERR_FORMAT, "ckpt");
}

#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILES(test_best),     WITH_FILES(test_resume),   WITH_FILES(test_many_stops),
        WITH_FILES(test_finished), WITH_FILES(test_patience), WITH_FILES(test_refusals),
        WITH_FILES(test_foreign_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
