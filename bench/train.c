/* SPDX-License-Identifier: Apache-2.0 */
/* Speed and memory of training steps on random images: float (where the network is not prepared), and quantized while
   ranges move, while they rest, and with batch norm frozen, which is the integer forward pass.
   Usage: train_bench MODEL.onnx [BATCH [THREADS [STEPS [float|QCONFIG]]]] */
#include <octet/octet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(octet_status status, const octet_error *err)
{
    char line[512];
    if (status == OCTET_OK) return;
    octet_error_line(line, sizeof line, err);
    fprintf(stderr, "%s\n", line);
    exit(1);
}

static size_t count_of(const octet_tensor *t)
{
    size_t count = 1;
    for (int i = 0; i < t->rank; i++) count *= (size_t)t->dims[i];
    return count;
}

static octet_train_batch random_batch(const octet_graph *graph, int64_t batch)
{
    static octet_tensor input;
    const octet_port    info = octet_graph_input(graph, 0);
    int64_t *const      labels = calloc((size_t)batch, sizeof *labels);
    uint32_t            random = 12345;
    input = (octet_tensor){ .dtype = OCTET_F32, .rank = info.rank };
    memcpy(input.dims, info.dims, sizeof input.dims);
    input.dims[0] = batch;
    float *const x = malloc(count_of(&input) * sizeof *x);
    for (size_t i = 0; i < count_of(&input); i++) {
        random = random * 1664525u + 1013904223u;
        x[i]   = (float)(int32_t)random * 0x1p-30f;
    }
    for (int64_t i = 0; i < batch; i++) labels[i] = i % 10;
    input.data = x;
    return (octet_train_batch){ .inputs = &input, .labels = labels };
}

static int by_time(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void time_steps(octet_trainer *trainer, const octet_train_batch *batch, int steps, const char *what)
{
    octet_error        err;
    octet_train_result result;
    double             wall[1000], cpu = 0;
    must(octet_trainer_step(trainer, batch, &result, &err), &err);
    for (int i = 0; i < steps; i++) {
        const double used = seconds(CLOCK_PROCESS_CPUTIME_ID), begin = seconds(CLOCK_MONOTONIC);
        must(octet_trainer_step(trainer, batch, &result, &err), &err);
        wall[i] = seconds(CLOCK_MONOTONIC) - begin;
        cpu += seconds(CLOCK_PROCESS_CPUTIME_ID) - used;
    }
    qsort(wall, (size_t)steps, sizeof *wall, by_time);
    printf("%-28s %8.1f ms fastest %8.1f median %8.1f CPU   loss %.4f%s\n", what, 1e3 * wall[0], 1e3 * wall[steps / 2],
           1e3 * cpu / steps, result.loss, result.integer ? ", integers" : "");
    fflush(stdout);
}

static octet_trainer *trainer_of(octet_graph *graph, size_t batch, int threads)
{
    octet_error               err;
    octet_trainer            *trainer;
    const octet_train_options options = { .batch = batch, .threads = threads, .learning_rate = 1e-3, .momentum = 0.9 };
    must(octet_trainer_create(&trainer, graph, &options, &err), &err);
    return trainer;
}

int main(int argc, char **argv)
{
    const int64_t     batch   = argc > 2 ? atoll(argv[2]) : 128;
    const int         threads = argc > 3 ? atoi(argv[3]) : 2, steps = argc > 4 ? atoi(argv[4]) : 10;
    const char *const config  = argc > 5 ? argv[5] : "octet_qat";
    octet_graph      *graph;
    octet_error       err;
    struct rusage     usage;
    if (argc < 2 || steps < 1 || steps > 1000) return fprintf(stderr, "MODEL.onnx [BATCH [THREADS [STEPS]]]\n"), 2;
    must(octet_graph_load(&graph, argv[1], &err), &err);
    must(octet_fuse(graph, &err), &err);
    const octet_train_batch data = random_batch(graph, batch);
    if (strcmp(config, "float") != 0)
        must(octet_prepare_qat(graph, octet_qconfig_find(config), NULL, NULL, &err), &err);
    octet_trainer *const trainer = trainer_of(graph, (size_t)batch, threads);
    time_steps(trainer, &data, steps, config);
    if (strcmp(config, "float") != 0) {
        octet_trainer_freeze_observers(trainer, true);
        time_steps(trainer, &data, steps, "observers frozen");
    }
    octet_trainer_freeze_batch_norm(trainer, true);
    time_steps(trainer, &data, steps, "batch norm frozen");
    getrusage(RUSAGE_SELF, &usage);
    printf("trainer %.1f MB, process at most %.1f MB\n", 1e-6 * (double)octet_trainer_memory(trainer),
           1e-3 * (double)usage.ru_maxrss);
    octet_trainer_free(trainer);
    octet_graph_free(graph);
    return 0;
}
