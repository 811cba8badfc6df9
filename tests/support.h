/* SPDX-License-Identifier: Apache-2.0 */
/* What tests share: random numbers by seed, building networks, temporary folders, the shared models. */
#ifndef OCTET_TESTS_SUPPORT_H
#define OCTET_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <octet/octet.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

/* Fails the test with octet's own message. */
#define MUST(call)                                                       \
    do {                                                                 \
        octet_error err = { 0 };                                         \
        if ((call) != OCTET_OK) fail_with(&err, #call, __FILE__, __LINE__); \
    } while (0)

static inline void fail_with(const octet_error *err, const char *call, const char *file, int line)
{
    char text[512];
    octet_error_line(text, sizeof text, err);
    print_error("%s\n  %s\n", call, text);
    _fail(file, line);
}

/* ---- random numbers (splitmix64) ---- */

typedef struct random_state {
    uint64_t at;
} random_state;

static inline uint64_t random_bits(random_state *r)
{
    uint64_t z = (r->at += 0x9e3779b97f4a7c15u);
    z          = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z          = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in [lo, hi). */
static inline float random_float(random_state *r, float lo, float hi)
{
    return lo + (hi - lo) * (float)((double)(random_bits(r) >> 11) * 0x1p-53);
}

static inline int64_t random_int(random_state *r, int64_t lo, int64_t hi)
{
    return lo + (int64_t)(random_bits(r) % (uint64_t)(hi - lo + 1));
}

static inline void random_fill(random_state *r, float *x, size_t count, float lo, float hi)
{
    for (size_t i = 0; i < count; i++) x[i] = random_float(r, lo, hi);
}

/* ---- building ---- */

enum { MOST_WEIGHTS = 1 << 16 };

typedef struct real_interval {
    float lo, hi; /* lo <= x < hi */
} real_interval;

static inline real_interval between(float lo, float hi) { return (real_interval){ lo, hi }; }

/* A float constant of random values. */
UNUSED static void add_random(octet_graph *graph, random_state *r, const char *name, const int64_t *dims, int rank,
                              real_interval values)
{
    static float data[MOST_WEIGHTS];
    octet_tensor tensor = { .dtype = OCTET_F32, .rank = rank, .data = data };
    for (int i = 0; i < rank; i++) tensor.dims[i] = dims[i];
    const int64_t count = octet_tensor_count(&tensor);
    assert_in_range(count, 0, MOST_WEIGHTS);
    random_fill(r, data, (size_t)count, values.lo, values.hi);
    MUST(octet_graph_add_constant(graph, name, &tensor, &err));
}

UNUSED static void add_ints(octet_graph *graph, const char *name, const int64_t *values, int64_t count)
{
    int64_t copy[16];
    memcpy(copy, values, (size_t)count * sizeof *copy);
    const octet_tensor tensor = { .dtype = OCTET_I64, .rank = 1, .dims = { count }, .data = copy };
    MUST(octet_graph_add_constant(graph, name, &tensor, &err));
}

/* One node of one output; inputs end with NULL, attributes (may be NULL) end with a zeroed one. */
UNUSED static void add_node(octet_graph *graph, const char *op, const char *output, const octet_attribute *attributes,
                            const char *const *inputs)
{
    int count = 0;
    while (inputs[count]) count++;
    const octet_node_spec spec = { .op = op, .name = output, .inputs = inputs, .input_count = count,
                                   .outputs = &output, .output_count = 1, .attributes = attributes };
    MUST(octet_graph_add(graph, &spec, &err));
}

#define INPUTS(...) (const char *const[]){ __VA_ARGS__, NULL }

/* ---- running ---- */

/* Runs graph once on input (batch as its first dimension says); copies output 0 into out, returns its count. */
UNUSED static size_t run_graph(const octet_graph *graph, const octet_tensor *input, float *out, size_t room,
                               const octet_plan_options *options)
{
    octet_plan        *plan;
    octet_workspace   *ws;
    octet_tensor       outputs[8];
    octet_plan_options how = options ? *options : (octet_plan_options){ 0 };
    how.inputs             = NULL;
    how.batch              = input->dims[0];
    MUST(octet_plan_create(&plan, graph, &how, &err));
    MUST(octet_workspace_create(&ws, plan, &err));
    MUST(octet_run(ws, input, outputs, &err));
    const size_t count = (size_t)octet_tensor_count(&outputs[0]);
    assert_true(count <= room);
    assert_int_equal(outputs[0].dtype, OCTET_F32);
    memcpy(out, outputs[0].data, count * sizeof *out);
    octet_workspace_free(ws);
    octet_plan_free(plan);
    return count;
}

UNUSED static double sqnr_db(const float *reference, const float *x, size_t count)
{
    double signal = 0, noise = 0;
    for (size_t i = 0; i < count; i++) {
        const double d = (double)reference[i] - x[i];
        signal += (double)reference[i] * reference[i];
        noise += d * d;
    }
    return noise == 0 ? INFINITY : 10 * log10(signal / noise);
}

/* ---- files ---- */

/* A .npy file of float32 or of bytes. */
UNUSED static void write_npy(const char *path, const octet_tensor *tensor)
{
    char shape[160] = "", header[256];
    for (int i = 0; i < tensor->rank; i++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%lld,", (long long)tensor->dims[i]);
    snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
             tensor->dtype == OCTET_U8 ? "|u1" : "<f4", shape);
    const uint16_t length = (uint16_t)((strlen(header) + 1 + 10 + 63) / 64 * 64 - 10);
    FILE *const    file   = fopen(path, "wb");
    assert_non_null(file);
    fwrite("\x93NUMPY\x01\x00", 1, 8, file);
    fwrite(&length, 2, 1, file);
    fprintf(file, "%-*s\n", length - 1, header);
    fwrite(tensor->data, octet_dtype_size(tensor->dtype), (size_t)octet_tensor_count(tensor), file);
    assert_int_equal(fclose(file), 0);
}

/* A fresh folder; the caller empties it and calls rmdir. */
UNUSED static void make_folder(char *path, size_t size)
{
    const char *const base = getenv("TMPDIR");
    snprintf(path, size, "%s/octet-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
}

/* The path of a file of the shared pack (OCTET_SHARED, else ../shared beside the project), or NULL, said loudly. */
UNUSED static const char *shared_path(char *path, size_t size, const char *name)
{
    const char *const given = getenv("OCTET_SHARED");
    const char *const bases[] = { given ? given : "../shared", OCTET_SOURCE_DIR "/../shared" };
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, size, "%s/%s", bases[i], name);
        if (access(path, R_OK) == 0) return path;
    }
    print_message("[ SKIPPED  ] %s: the shared pack is absent (set OCTET_SHARED)\n", name);
    return NULL;
}

#endif
