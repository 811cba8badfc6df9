/* SPDX-License-Identifier: Apache-2.0 */
/* octet doctor: what this machine and build have, and whether they work: a small network is built, quantized, run and
   compared with sums done here by hand. */
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SAMPLES = 16, CHANNELS = 2, SIDE = 6, FILTERS = 3, KERNEL = 3, OUT = SIDE - KERNEL + 1 };

/* ---- self-test ---- */

/* Numbers without a library: a fixed linear congruence, in -1..1. */
static float next_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)((double)(*state >> 8) / (double)(1 << 23) - 1.0);
}

typedef struct trial {
    float          input[SAMPLES][CHANNELS][SIDE][SIDE], weight[FILTERS][CHANNELS][KERNEL][KERNEL], bias[FILTERS];
    octet_graph   *graph;
    octet_dataset *data;
    int            descriptor;
    char           path[64];
} trial;

static octet_status build(octet_graph **graph, trial *t, octet_error *err)
{
    const octet_tensor weight = { .dtype = OCTET_F32, .rank = 4, .dims = { FILTERS, CHANNELS, KERNEL, KERNEL },
                                  .data = t->weight };
    const octet_tensor bias   = { .dtype = OCTET_F32, .rank = 1, .dims = { FILTERS }, .data = t->bias };
    const octet_node_spec nodes[] = {
        { "Conv", "conv", (const char *const[]){ "x", "w", "b" }, 3, (const char *const[]){ "c" }, 1, NULL },
        { "Relu", "relu", (const char *const[]){ "c" }, 1, (const char *const[]){ "y" }, 1, NULL },
    };
    OCTET_TRY(octet_graph_new(graph, err));
    OCTET_TRY(octet_graph_add_input(*graph, "x", OCTET_F32, (const int64_t[]){ OCTET_DIM_FREE, CHANNELS, SIDE, SIDE },
                                    4, err));
    OCTET_TRY(octet_graph_add_constant(*graph, "w", &weight, err));
    OCTET_TRY(octet_graph_add_constant(*graph, "b", &bias, err));
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) OCTET_TRY(octet_graph_add(*graph, &nodes[i], err));
    OCTET_TRY(octet_graph_set_output(*graph, "y", err));
    return octet_graph_verify(*graph, err);
}

/* The samples as an .npy file that exists in memory only. */
static octet_status open_samples(trial *t, octet_error *err)
{
    char header[128] = "\x93NUMPY\1\0\x76";
    memset(header + 10, ' ', sizeof header - 10);
    const int n = snprintf(header + 10, sizeof header - 10,
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d, %d, %d), }", (int)SAMPLES,
                           (int)CHANNELS, (int)SIDE, (int)SIDE);
    header[10 + n]              = ' ';
    header[sizeof header - 1] = '\n';
    t->descriptor             = memfd_create("octet-self-test.npy", MFD_CLOEXEC);
    if (t->descriptor < 0 || write(t->descriptor, header, sizeof header) != (ssize_t)sizeof header ||
        write(t->descriptor, t->input, sizeof t->input) != (ssize_t)sizeof t->input)
        return octet_fail(err, OCTET_ERR_FILE, "self-test: cannot make a file in memory");
    snprintf(t->path, sizeof t->path, "/proc/self/fd/%d", t->descriptor);
    return octet_dataset_open(&t->data, t->path, &(octet_dataset_options){ .graph = t->graph }, err);
}

/* The definition, for one sample. */
static double expected(const trial *t, int sample, int filter, int y, int x)
{
    double sum = (double)t->bias[filter];
    for (int c = 0; c < CHANNELS; c++)
        for (int i = 0; i < KERNEL; i++)
            for (int j = 0; j < KERNEL; j++)
                sum += (double)t->input[sample][c][y + i][x + j] * (double)t->weight[filter][c][i][j];
    return fmax(sum, 0);
}

/* SQNR of the graph's output against the definition. */
static octet_status measure(double *db, const octet_graph *graph, trial *t, octet_error *err)
{
    octet_plan      *plan      = NULL;
    octet_workspace *workspace = NULL;
    octet_tensor     output    = { 0 };
    double           signal = 0, noise = 0;
    octet_status     status = octet_plan_create(&plan, graph, NULL, err);
    if (status == OCTET_OK) status = octet_workspace_create(&workspace, plan, err);
    for (int s = 0; s < SAMPLES && status == OCTET_OK; s++) {
        const octet_tensor input = { .dtype = OCTET_F32, .rank = 4, .dims = { 1, CHANNELS, SIDE, SIDE },
                                     .data = t->input[s] };
        status = octet_run(workspace, &input, &output, err);
        if (status == OCTET_OK && octet_tensor_count(&output) != FILTERS * OUT * OUT)
            status = octet_fail(err, OCTET_ERR_BACKEND, "self-test: output has a wrong shape");
        for (int i = 0; i < FILTERS * OUT * OUT && status == OCTET_OK; i++) {
            const double want = expected(t, s, i / (OUT * OUT), i / OUT % OUT, i % OUT);
            const double got  = (double)((const float *)output.data)[i];
            signal += want * want;
            noise += (got - want) * (got - want);
        }
    }
    *db = status != OCTET_OK ? NAN : noise > 0 ? 10 * log10(signal / noise) : INFINITY;
    octet_workspace_free(workspace);
    octet_plan_free(plan);
    return status;
}

static octet_status quantize(trial *t, octet_error *err)
{
    OCTET_TRY(open_samples(t, err));
    OCTET_TRY(octet_fuse(t->graph, err));
    OCTET_TRY(octet_prepare(t->graph, NULL, err));
    OCTET_TRY(octet_calibrate(t->graph, t->data, NULL, err));
    return octet_convert(t->graph, err);
}

/* Float must agree to rounding; int8 as closely as 8 bits allow on one layer. */
static octet_status test(double db[2], trial *t, octet_error *err)
{
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof t->input / sizeof(float); i++) (&t->input[0][0][0][0])[i] = next_number(&state);
    for (size_t i = 0; i < sizeof t->weight / sizeof(float); i++) (&t->weight[0][0][0][0])[i] = next_number(&state);
    for (int i = 0; i < FILTERS; i++) t->bias[i] = next_number(&state);
    OCTET_TRY(build(&t->graph, t, err));
    OCTET_TRY(measure(&db[0], t->graph, t, err));
    OCTET_TRY(quantize(t, err));
    OCTET_TRY(measure(&db[1], t->graph, t, err));
    if (!(db[0] >= 100))
        return octet_fail(err, OCTET_ERR_BACKEND, "self-test: float is wrong (got %.1f dB, need 100)", db[0]);
    if (!(db[1] >= 30))
        return octet_fail(err, OCTET_ERR_BACKEND, "self-test: int8 is wrong (got %.1f dB, need 30)", db[1]);
    return OCTET_OK;
}

static octet_status self_test(cli_call *call, octet_error *err)
{
    trial *const  t     = cli_alloc(1, sizeof *t);
    double        db[2] = { NAN, NAN };
    const double  began = cli_now();
    json_t *const result = cli_json_object();
    t->descriptor             = -1;
    const octet_status status = test(db, t, err);
    octet_dataset_free(t->data);
    octet_graph_free(t->graph);
    if (t->descriptor >= 0) close(t->descriptor);
    free(t);
    const double seconds = cli_now() - began;
    cli_say(call, "%-12s%s in %.0f ms (float %.0f dB, int8 %.1f dB from sums done by hand)\n", "self-test",
            status == OCTET_OK ? "passed" : "FAILED", 1000 * seconds, db[0], db[1]);
    cli_json_set(result, "passed", json_boolean(status == OCTET_OK));
    cli_json_set(result, "float_db", cli_json_number(db[0]));
    cli_json_set(result, "int8_db", cli_json_number(db[1]));
    cli_json_set(result, "seconds", cli_json_number(seconds));
    cli_json_set(call->document, "self_test", result);
    return status;
}

/* ---- the machine ---- */

static void show_engines(cli_call *call)
{
    const char   *name, *version = "";
    json_t *const list = cli_json_array();
    for (size_t i = 0; (name = octet_engine_name(i, &version)); i++) {
        json_t *const row = cli_json_object();
        cli_say(call, "%-12s%s %s\n", i ? "" : "engines", name, version ? version : "");
        cli_json_set(row, "name", cli_json_text(name));
        cli_json_set(row, "version", cli_json_text(version));
        cli_json_add(list, row);
    }
    cli_json_set(call->document, "engines", list);
}

/* A row of /proc/meminfo in bytes, 0 where it is missing. */
static double memory_row(const char *name)
{
    char        line[256];
    double      bytes = 0;
    FILE *const file  = fopen("/proc/meminfo", "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
            bytes = 1024 * strtod(line + strlen(name) + 1, NULL);
    if (file) fclose(file);
    return bytes;
}

static void show_machine(cli_call *call)
{
    char         text[2][32];
    const double available = memory_row("MemAvailable"), total = memory_row("MemTotal");
    cli_say(call, "%-12s%s\n", "octet", octet_version());
    cli_say(call, "%-12s%s\n", "cpu", octet_cpu_features());
    show_engines(call);
    cli_say(call, "%-12s%d\n", "threads", octet_default_threads());
    cli_say(call, "%-12s%s available of %s\n", "memory", cli_bytes(text[0], available), cli_bytes(text[1], total));
    cli_json_set(call->document, "cpu", cli_json_text(octet_cpu_features()));
    cli_json_set(call->document, "threads", json_integer(octet_default_threads()));
    cli_json_set(call->document, "memory_available_bytes", cli_json_number(available));
    cli_json_set(call->document, "memory_total_bytes", cli_json_number(total));
}

static const struct {
    const char *what, *value, *option;
} fixed_limits[] = {
    { "model file", "2 GiB - 1", "" },
    { "packed and repeated numbers of a model file", "4000000", "" },
    { "nested messages of a model file", "100", "" },
    { "dimensions of a tensor", "8", "" },
    { "one folded constant", "64 MiB", "" },
    { "configuration file", "16 MiB, 64 levels", "" },
    { "line of a label file", "4 KiB", "" },
};

static void show_limit(cli_call *call, json_t *list, const char *what, const char *value, const char *option)
{
    json_t *const row = cli_json_object();
    cli_say(call, "  %-52s %-28s %s%s\n", what, value, *option ? "--" : "", option);
    cli_json_set(row, "what", cli_json_text(what));
    cli_json_set(row, "value", cli_json_text(value));
    cli_json_set(row, "option", *option ? cli_json_text(option) : json_null());
    cli_json_add(list, row);
}

static void show_limits(cli_call *call)
{
    json_t *const list = cli_json_array();
    cli_say(call, "limits\n");
    for (const cli_option *row = cli_limit_options; row->name; row++)
        show_limit(call, list, row->help, row->standard, row->name);
    for (size_t i = 0; i < sizeof fixed_limits / sizeof *fixed_limits; i++)
        show_limit(call, list, fixed_limits[i].what, fixed_limits[i].value, fixed_limits[i].option);
    cli_json_set(call->document, "limits", list);
}

octet_status cli_doctor(cli_call *call, octet_error *err)
{
    OCTET_TRY(cli_check_outputs(call, err));
    show_machine(call);
    if (call->args.show_limits) show_limits(call);
    return self_test(call, err);
}

static const cli_option doctor_options[] = {
    { "limits", 0, CLI_FLAG, NULL, offsetof(cli_args, show_limits), NULL,
      "list all limits and the options that raise them" },
    { NULL },
};
static const cli_group doctor_groups[] = {
    { "what to show", doctor_options },
    { "common options", cli_common_options },
    { "limits", cli_limit_options },
    { NULL },
};
static const cli_example doctor_examples[] = {
    { "doctor", "what this machine has, and a self-test" },
    { "doctor --limits", "how large inputs may be" },
    { NULL },
};
const cli_syntax cli_doctor_syntax = { "", 0, 0, doctor_groups, doctor_examples };
