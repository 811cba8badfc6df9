/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of a data set: every epoch takes samples once, in an order and with an augmentation of its own, and batch n
   is the same whatever was read before it. */
#include "training.h"

#include "train/batches.h"

enum { SAMPLES = 20, PER_EPOCH = SAMPLES / BATCH };

static char folder[400], path[440];

static int setup(void **state)
{
    static float x[SAMPLES * PIXELS];
    (void)state;
    make_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/x.npy", folder);
    for (size_t i = 0; i < SAMPLES; i++) /* pixel p of sample i is 100 i + p + 1: never 0 */
        for (size_t p = 0; p < PIXELS; p++) x[i * PIXELS + p] = (float)(100 * i + p + 1);
    write_npy(path, &(octet_tensor){ .dtype = OCTET_F32, .rank = 4, .dims = { SAMPLES, 2, SIDE, SIDE }, .data = x });
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static octet_batches *open_batches(octet_arena *arena, octet_dataset *set, const octet_train_options *options)
{
    const shape_of_net net = { .seed = 1 };
    octet_graph       *graph = make(&net);
    octet_batches     *batches;
    MUST(octet_batches_new(&batches, arena, set, options, graph, &err));
    octet_graph_free(graph);
    assert_int_equal(octet_batches_per_epoch(batches), PER_EPOCH);
    return batches;
}

static const float *read_batch(octet_batches *batches, size_t step)
{
    octet_train_batch batch;
    MUST(octet_batches_read(&batch, batches, step, &err));
    assert_int_equal(batch.inputs->dims[0], BATCH);
    assert_null(batch.labels);
    return batch.inputs->data;
}

static const octet_train_options plain = { .loss = OCTET_LOSS_DISTILL, .batch = BATCH, .seed = 5, .threads = 2 };

static void test_order(void **state)
{
    (void)state;
    int            first[PER_EPOCH * BATCH];
    size_t         moved = 0;
    octet_dataset *set;
    octet_arena   *arena = octet_arena_new();
    MUST(octet_dataset_open(&set, path, NULL, &err));
    octet_batches *const batches = open_batches(arena, set, &plain);
    for (size_t epoch = 0; epoch < 3; epoch++) {
        bool seen[SAMPLES] = { false };
        for (size_t i = 0; i < PER_EPOCH * BATCH; i++) {
            const float *const x = read_batch(batches, epoch * PER_EPOCH + i / BATCH) + i % BATCH * PIXELS;
            const int          sample = (int)x[0] / 100;
            assert_in_range(sample, 0, SAMPLES - 1);
            assert_false(seen[sample]);
            seen[sample] = true;
            for (size_t p = 0; p < PIXELS; p++) assert_true(x[p] == (float)(100 * sample + (int)p + 1));
            if (epoch == 0) first[i] = sample;
            else moved += first[i] != sample;
        }
    }
    assert_true(moved > PER_EPOCH * BATCH);
    octet_arena_free(arena);
    octet_dataset_free(set);
}

/* The samples of a batch of two epochs, augmented: the same sample looks another way, unless nothing was asked for. */
static void test_augmentation(void **state)
{
    (void)state;
    static float        before[SAMPLES][PIXELS];
    bool                known[SAMPLES] = { false };
    size_t              changed = 0, same = 0;
    octet_dataset      *set;
    octet_arena        *arena = octet_arena_new();
    octet_train_options options = plain;
    options.flip                = true;
    options.crop                = 1;
    MUST(octet_dataset_open(&set, path, NULL, &err));
    octet_batches *const batches = open_batches(arena, set, &options);
    for (size_t i = 0; i < 2 * PER_EPOCH * BATCH; i++) {
        const float *const x = read_batch(batches, i / BATCH) + i % BATCH * PIXELS;
        const int sample = (int)x[2 * SIDE + 2] / 100; /* the middle is never padding */
        if (known[sample]) {
            const bool equal = !memcmp(before[sample], x, sizeof before[sample]);
            same += equal;
            changed += !equal;
        }
        memcpy(before[sample], x, sizeof before[sample]);
        known[sample] = true;
    }
    assert_true(changed > 3 * same); /* 1 in 18 is the same by chance */
    octet_arena_free(arena);
    octet_dataset_free(set);
}

static void test_any_order(void **state)
{
    (void)state;
    static const size_t steps[] = { 5, 0, 5, 3, 2, 1, 4 };
    octet_dataset      *set;
    octet_arena        *arena = octet_arena_new();
    octet_train_options options = plain;
    options.crop                = 2;
    MUST(octet_dataset_open(&set, path, NULL, &err));
    octet_batches *const batches = open_batches(arena, set, &options);
    options.threads              = 1;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        octet_batches *const alone = open_batches(arena, set, &options);
        assert_memory_equal(read_batch(batches, steps[i]), read_batch(alone, steps[i]), BATCH * PIXELS * sizeof(float));
    }
    octet_arena_free(arena);
    octet_dataset_free(set);
}

/* Targets are the references, or the samples themselves; here neither has the size of the network's output. */
static void test_targets(void **state)
{
    (void)state;
    octet_error         refusal = { 0 };
    octet_dataset      *set;
    octet_batches      *batches;
    octet_train_options options = plain;
    const shape_of_net  net = { .seed = 1 };
    octet_graph        *graph = make(&net);
    octet_arena        *arena = octet_arena_new();
    options.loss              = OCTET_LOSS_MSE;
    MUST(octet_dataset_open(&set, path, NULL, &err));
    assert_int_equal(octet_batches_new(&batches, arena, set, &options, graph, &refusal), OCTET_ERR_SHAPE);
    assert_non_null(strstr(refusal.text, "samples of 72 elements (the network's output 'fc' has 3)"));
    octet_arena_free(arena);
    octet_dataset_free(set);
    octet_graph_free(graph);
}

#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILES(test_order),
        WITH_FILES(test_augmentation),
        WITH_FILES(test_any_order),
        WITH_FILES(test_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
