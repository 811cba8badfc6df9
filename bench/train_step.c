/* SPDX-License-Identifier: Apache-2.0 */
/* train_step MODEL DATA MODE BATCH THREADS RATE MOMENTUM DECAY: octet training one network, for bench/train. DATA.f32
   and DATA.i64 hold inputs and labels of some batches; MODE is "float", "live" (quantization in the loop, batch norm
   moving) or "frozen" (batch norm and ranges resting). Speaks as train_worker.py does: answers are JSON lines, it reads
   "run N" and "end" from its standard input. */
#include <octet/octet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LIVE_STEPS = 2, MOST_STEPS = 1 << 16 };

typedef struct training {
    octet_error    err;
    octet_graph   *graph;
    octet_trainer *trainer;
    octet_file     inputs, labels;
    size_t         batch, batches, sample; /* sample: floats of one */
    double        *losses;
    size_t         steps;
} training;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Bytes that /proc/self/status gives for VmRSS or VmHWM. */
static long memory(const char *field)
{
    char        line[256];
    long        kilobytes = 0;
    FILE *const status    = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, field, strlen(field)) == 0) kilobytes = atol(line + strlen(field) + 1);
    if (status) fclose(status);
    return kilobytes * 1024;
}

/* ---- steps ---- */

static octet_status step(training *t, double *seconds)
{
    const size_t       at    = t->steps % t->batches * t->batch;
    octet_tensor       input = { .dtype = OCTET_F32, .rank = 4, .dims = { (int64_t)t->batch, 3, 32, 32 } };
    octet_train_result result;
    input.data                    = (float *)t->inputs.data + at * t->sample;
    const octet_train_batch batch = { .inputs = &input, .labels = (const int64_t *)t->labels.data + at };
    const double            began = now();
    const octet_status      status = octet_trainer_step(t->trainer, &batch, &result, &t->err);
    *seconds                       = now() - began;
    if (status == OCTET_OK && t->steps < MOST_STEPS) t->losses[t->steps++] = result.loss;
    return status;
}

static octet_status run(training *t, long count)
{
    double seconds;
    for (long i = 0; i < count; i++) {
        const octet_status status = step(t, &seconds);
        if (status != OCTET_OK) return status;
        printf("%s%.9f", i ? ", " : "{\"seconds\": [", seconds);
    }
    puts("]}");
    return OCTET_OK;
}

/* The time of the fastest of a few steps. */
static octet_status warm_up(training *t, double *fastest)
{
    octet_status status = OCTET_OK;
    double       seconds;
    *fastest = 1e9;
    for (int i = 0; i < LIVE_STEPS && status == OCTET_OK; i++) {
        status = step(t, &seconds);
        if (seconds < *fastest) *fastest = seconds;
    }
    return status;
}

/* ---- from the command line to the first step ---- */

static octet_status open_network(training *t, char **words)
{
    octet_status status = octet_graph_load(&t->graph, words[1], &t->err);
    if (status != OCTET_OK) return status;
    return strcmp(words[3], "float") == 0 ? octet_fuse(t->graph, &t->err)
                                          : octet_prepare_qat(t->graph, NULL, NULL, NULL, &t->err);
}

static octet_status open_data(training *t, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.f32", name);
    octet_status status = octet_file_read(&t->inputs, path, 0, &t->err);
    if (status != OCTET_OK) return status;
    snprintf(path, sizeof path, "%s.i64", name);
    status     = octet_file_read(&t->labels, path, 0, &t->err);
    t->batches = t->labels.size / sizeof(int64_t) / t->batch;
    if (t->batches) t->sample = t->inputs.size / sizeof(float) / (t->batches * t->batch);
    return status;
}

static octet_status open_trainer(training *t, char **words)
{
    const octet_train_options options = {
        .batch         = t->batch,
        .threads       = atoi(words[5]),
        .learning_rate = atof(words[6]),
        .momentum      = atof(words[7]),
        .weight_decay  = atof(words[8]),
        .decay_all     = true,
        .schedule      = OCTET_SCHEDULE_CONSTANT,
    };
    return octet_trainer_create(&t->trainer, t->graph, &options, &t->err);
}

static octet_status start(training *t, char **words)
{
    const double began = now();
    double       fastest;
    t->batch            = (size_t)atol(words[4]);
    t->losses           = calloc(MOST_STEPS, sizeof *t->losses);
    octet_status status = open_data(t, words[2]);
    if (status == OCTET_OK) status = open_network(t, words);
    if (status == OCTET_OK) status = open_trainer(t, words);
    if (status != OCTET_OK) return status;
    printf("{\"load\": %.9f, \"planned\": %zu}\n", now() - began, octet_trainer_memory(t->trainer));
    octet_trainer_freeze_batch_norm(t->trainer, false);
    octet_trainer_freeze_observers(t->trainer, false);
    status = warm_up(t, &fastest);
    if (status == OCTET_OK && strcmp(words[3], "frozen") == 0) {
        octet_trainer_freeze_batch_norm(t->trainer, true);
        octet_trainer_freeze_observers(t->trainer, true);
        status = warm_up(t, &fastest);
    }
    if (status == OCTET_OK) printf("{\"fastest\": %.9f}\n", fastest);
    return status;
}

static void end(training *t, long before)
{
    printf("{\"peak\": %ld, \"before\": %ld, \"losses\": [", memory("VmHWM"), before);
    for (size_t i = 0; i < t->steps; i++) printf("%s%.9g", i ? ", " : "", t->losses[i]);
    puts("]}");
}

static octet_status serve(training *t, char **words)
{
    char         line[64];
    const long   before = memory("VmRSS");
    octet_status status = start(t, words);
    fflush(stdout);
    while (status == OCTET_OK && fgets(line, sizeof line, stdin)) {
        if (strncmp(line, "run ", 4) != 0) {
            end(t, before);
            break;
        }
        status = run(t, atol(line + 4));
        fflush(stdout);
    }
    return status;
}

int main(int argc, char **argv)
{
    training t = { 0 };
    char     line[512];
    if (argc != 9) {
        fprintf(stderr, "usage: train_step MODEL DATA MODE BATCH THREADS RATE MOMENTUM DECAY\n");
        return 2;
    }
    const octet_status status = serve(&t, argv);
    if (status != OCTET_OK) {
        octet_error_line(line, sizeof line, &t.err);
        fprintf(stderr, "train_step: %s\n", line);
    }
    octet_trainer_free(t.trainer);
    octet_graph_free(t.graph);
    octet_file_close(&t.inputs);
    octet_file_close(&t.labels);
    free(t.losses);
    return status == OCTET_OK ? 0 : 1;
}
