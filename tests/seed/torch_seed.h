/* SPDX-License-Identifier: Apache-2.0 */
/* PyTorch's random numbers and the model of its test_model_numerics.py, so that a seed gives upstream's own weights and
   data: mt19937, one 32-bit draw a value, (draw & 0xffffff) * 2^-24; layers initialised in the order of their
   making. */
#ifndef OCTET_TESTS_SEED_TORCH_SEED_H
#define OCTET_TESTS_SEED_TORCH_SEED_H

#include "support.h"

/* ---- torch.manual_seed, torch.rand, Tensor.uniform_ ---- */

typedef struct torch_generator {
    uint32_t state[624];
    int      next;
} torch_generator;

UNUSED static void torch_manual_seed(torch_generator *g, uint32_t seed)
{
    g->state[0] = seed;
    for (uint32_t i = 1; i < 624; i++) g->state[i] = 1812433253u * (g->state[i - 1] ^ (g->state[i - 1] >> 30)) + i;
    g->next = 624;
}

static inline void torch_refill(torch_generator *g)
{
    uint32_t *const s = g->state;
    for (int i = 0; i < 624; i++) {
        const uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % 624] & 0x7fffffffu);
        s[i] = s[(i + 397) % 624] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    g->next = 0;
}

static inline float torch_draw(torch_generator *g)
{
    if (g->next == 624) torch_refill(g);
    uint32_t y = g->state[g->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    y ^= y >> 18;
    return (float)(y & 0xffffffu) * 0x1p-24f;
}

UNUSED static void torch_rand(torch_generator *g, float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) x[i] = torch_draw(g);
}

/* The ends are float32, their difference too; the rest is done in double. */
UNUSED static void torch_uniform(torch_generator *g, float *x, size_t count, double bound)
{
    const float from = (float)-bound, to = (float)bound;
    for (size_t i = 0; i < count; i++) {
        x[i] = (float)((double)torch_draw(g) * (double)(to - from) + (double)from);
    }
}

/* kaiming_uniform_(a=sqrt(5)): what Conv and Linear start with. */
UNUSED static void torch_kaiming(torch_generator *g, float *x, size_t count, int fan_in)
{
    const double gain = sqrt(2.0 / (1 + sqrt(5.0) * sqrt(5.0))), deviation = gain / sqrt(fan_in);
    torch_uniform(g, x, count, sqrt(3.0) * deviation);
}

/* ---- ModelMultipleOps ---- */

enum { SEED_SIDE = 15, SEED_SAMPLE = 3 * SEED_SIDE * SEED_SIDE, SEED_OUTPUTS = 6 };

typedef struct seed_model {
    float conv1[9], conv2[9], fc[72], fc_bias[6];
    float gamma[3], beta[3], mean[3], variance[3]; /* of the batch norm behind conv1 */
} seed_model;

UNUSED static void seed_model_init(seed_model *m, torch_generator *g)
{
    torch_kaiming(g, m->conv1, 9, 3);
    torch_kaiming(g, m->conv2, 9, 3);
    torch_kaiming(g, m->fc, 72, 12);
    torch_uniform(g, m->fc_bias, 6, 1 / sqrt(12.0));
    for (int i = 0; i < 3; i++) {
        m->gamma[i] = m->variance[i] = 1;
        m->beta[i] = m->mean[i] = 0;
    }
}

static inline void add_floats(octet_graph *graph, const char *name, const float *x, const int64_t *dims, int rank)
{
    octet_tensor tensor = { .dtype = OCTET_F32, .rank = rank, .data = (void *)(uintptr_t)x };
    memcpy(tensor.dims, dims, (size_t)rank * sizeof *dims);
    MUST(octet_graph_add_constant(graph, name, &tensor, &err));
}

/* AdaptiveAvgPool2d(4), which ONNX has not: 16 windows, averaged and put together again. */
static inline void add_adaptive_pool(octet_graph *graph, const char *in, const char *out)
{
    const octet_attribute across[] = { { .name = "axis", .i = 3 }, { 0 } };
    const octet_attribute down[] = { { .name = "axis", .i = 2 }, { 0 } };
    char rows[4][24], cells[4][4][24];
    add_ints(graph, "axes", (const int64_t[]){ 2, 3 }, 2);
    for (int y = 0; y < 4; y++) {
        for (int x = 0; x < 4; x++) {
            char from[24], to[24], part[24];
            snprintf(from, sizeof from, "from_%d_%d", y, x);
            snprintf(to, sizeof to, "to_%d_%d", y, x);
            snprintf(part, sizeof part, "window_%d_%d", y, x);
            snprintf(cells[y][x], sizeof cells[y][x], "mean_%d_%d", y, x);
            add_ints(graph, from, (const int64_t[]){ y * SEED_SIDE / 4, x * SEED_SIDE / 4 }, 2);
            add_ints(graph, to, (const int64_t[]){ ((y + 1) * SEED_SIDE + 3) / 4, ((x + 1) * SEED_SIDE + 3) / 4 }, 2);
            add_node(graph, "Slice", part, NULL, INPUTS(in, from, to, "axes"));
            add_node(graph, "GlobalAveragePool", cells[y][x], NULL, INPUTS(part));
        }
        snprintf(rows[y], sizeof rows[y], "row_%d", y);
        add_node(graph, "Concat", rows[y], across, INPUTS(cells[y][0], cells[y][1], cells[y][2], cells[y][3]));
    }
    add_node(graph, "Concat", out, down, INPUTS(rows[0], rows[1], rows[2], rows[3]));
}

/* Input and constants of both models. Value names are those of upstream's modules, so that recorded calls can be
   found. */
static inline octet_graph *seed_model_begin(const seed_model *m)
{
    octet_graph *graph;
    const int64_t input[] = { OCTET_DIM_FREE, 3, SEED_SIDE, SEED_SIDE }, kernel[] = { 3, 3, 1, 1 }, three[] = { 3 };
    const int64_t fc[] = { 6, 12 }, six[] = { 6 };
    const octet_attribute norm[] = { { .name = "epsilon", .f = 1e-5f }, { 0 } };
    MUST(octet_graph_new(&graph, &err));
    MUST(octet_graph_add_input(graph, "quant", OCTET_F32, input, 4, &err));
    add_floats(graph, "conv1.weight", m->conv1, kernel, 4);
    add_floats(graph, "bn1.weight", m->gamma, three, 1);
    add_floats(graph, "bn1.bias", m->beta, three, 1);
    add_floats(graph, "bn1.mean", m->mean, three, 1);
    add_floats(graph, "bn1.var", m->variance, three, 1);
    add_floats(graph, "conv2.weight", m->conv2, kernel, 4);
    add_floats(graph, "fc.weight", m->fc, fc, 2);
    add_floats(graph, "fc.bias", m->fc_bias, six, 1);
    add_ints(graph, "shape", (const int64_t[]){ -1, 12 }, 2);
    add_node(graph, "Conv", "conv1.raw", NULL, INPUTS("quant", "conv1.weight"));
    add_node(graph, "BatchNormalization", "bn1", norm,
             INPUTS("conv1.raw", "bn1.weight", "bn1.bias", "bn1.mean", "bn1.var"));
    add_node(graph, "Relu", "module.conv1", NULL, INPUTS("bn1"));
    return graph;
}

static inline void add_max_pool(octet_graph *graph, const char *in, const char *out, int64_t side)
{
    const int64_t sides[] = { side, side };
    const octet_attribute pool[] = { { .name = "kernel_shape", .ints = sides, .count = 2 },
                                     { .name = "strides", .ints = sides, .count = 2 }, { 0 } };
    add_node(graph, "MaxPool", out, pool, INPUTS(in));
}

/* From what comes before the second pool to the output. */
static inline octet_graph *seed_model_end(octet_graph *graph, const char *in)
{
    const octet_attribute axis[] = { { .name = "axis" }, { 0 } }, gemm[] = { { .name = "transB", .i = 1 }, { 0 } };
    add_max_pool(graph, in, "pooled", 2);
    add_node(graph, "Concat", "module.cat", axis, INPUTS("pooled", "pooled"));
    add_node(graph, "Reshape", "flat", NULL, INPUTS("module.cat", "shape"));
    add_node(graph, "Gemm", "module.fc", gemm, INPUTS("flat", "fc.weight", "fc.bias"));
    MUST(octet_graph_set_output(graph, "module.fc", &err));
    MUST(octet_graph_verify(graph, &err));
    return graph;
}

UNUSED static octet_graph *seed_model_build(const seed_model *m)
{
    octet_graph *const graph = seed_model_begin(m);
    add_node(graph, "Add", "module.skip_add", NULL, INPUTS("module.conv1", "quant"));
    add_node(graph, "Relu", "module.relu2", NULL, INPUTS("module.skip_add"));
    add_adaptive_pool(graph, "module.relu2", "module.avgpool");
    add_node(graph, "Conv", "module.conv2", NULL, INPUTS("module.avgpool", "conv2.weight"));
    return seed_model_end(graph, "module.conv2");
}

/* ModelMultipleOpsNoAvgPool: conv2 is called twice, and two samples make one row of the output. */
UNUSED static octet_graph *seed_model_build_shared(const seed_model *m)
{
    octet_graph *const graph = seed_model_begin(m);
    add_node(graph, "Conv", "module.conv2", NULL, INPUTS("quant", "conv2.weight"));
    add_node(graph, "Add", "module.skip_add", NULL, INPUTS("module.conv1", "module.conv2"));
    add_node(graph, "Relu", "module.relu2", NULL, INPUTS("module.skip_add"));
    add_max_pool(graph, "module.relu2", "module.maxpool", 4);
    add_node(graph, "Conv", "module.conv2 again", NULL, INPUTS("module.maxpool", "conv2.weight"));
    return seed_model_end(graph, "module.conv2 again");
}

/* ---- a whole experiment ---- */

/* Model, calibration and evaluation data of one seed, drawn in upstream's order. */
typedef struct seed_case {
    seed_model model;
    size_t     calibration_count, evaluation_count;
    float     *calibration, *evaluation;
    char       folder[512], file[600]; /* calibration as a .npy */
} seed_case;

UNUSED static seed_case seed_case_make(uint32_t seed, size_t calibration_count, size_t evaluation_count)
{
    torch_generator g;
    seed_case s = { .calibration_count = calibration_count, .evaluation_count = evaluation_count };
    torch_manual_seed(&g, seed);
    seed_model_init(&s.model, &g);
    s.calibration = malloc(calibration_count * SEED_SAMPLE * sizeof *s.calibration);
    s.evaluation = malloc(evaluation_count * SEED_SAMPLE * sizeof *s.evaluation);
    assert_true(s.calibration && s.evaluation);
    torch_rand(&g, s.calibration, calibration_count * SEED_SAMPLE);
    torch_rand(&g, s.evaluation, evaluation_count * SEED_SAMPLE);
    make_folder(s.folder, sizeof s.folder);
    snprintf(s.file, sizeof s.file, "%s/calib.npy", s.folder);
    write_npy(s.file, &(octet_tensor){ .dtype = OCTET_F32, .rank = 4, .data = s.calibration,
                                       .dims = { (int64_t)calibration_count, 3, SEED_SIDE, SEED_SIDE } });
    return s;
}

UNUSED static void seed_case_free(seed_case *s)
{
    unlink(s->file);
    rmdir(s->folder);
    free(s->calibration);
    free(s->evaluation);
}

/* Two output rows a sample. The caller frees the result. */
UNUSED static float *seed_run(const octet_graph *graph, const seed_case *s, const octet_plan_options *options)
{
    const size_t room = 2 * s->evaluation_count * SEED_OUTPUTS;
    float *const out = malloc(room * sizeof *out);
    const octet_tensor input = { .dtype = OCTET_F32, .rank = 4, .data = s->evaluation,
                                 .dims = { (int64_t)s->evaluation_count, 3, SEED_SIDE, SEED_SIDE } };
    octet_plan_options how = options ? *options : (octet_plan_options){ 0 };
    how.threads = 1; /* too small to share */
    assert_non_null(out);
    assert_int_equal(run_graph(graph, &input, out, room, &how), room);
    return out;
}

/* The quantized model. */
UNUSED static octet_graph *seed_quantize(const seed_case *s, const octet_qconfig *qconfig)
{
    octet_dataset *data;
    octet_graph *const graph = seed_model_build(&s->model);
    MUST(octet_dataset_open(&data, s->file, &(octet_dataset_options){ .graph = graph }, &err));
    MUST(octet_prepare(graph, qconfig, &err));
    MUST(octet_calibrate(graph, data, &(octet_calibrate_options){ .threads = 1 }, &err));
    MUST(octet_convert(graph, &err));
    octet_dataset_free(data);
    return graph;
}

/* SQNR of a quantized graph's output on the evaluation data. */
UNUSED static double seed_sqnr(const octet_graph *quantized, const seed_case *s, const octet_plan_options *options)
{
    octet_graph *const graph = seed_model_build(&s->model);
    float *const reference = seed_run(graph, s, NULL), *const got = seed_run(quantized, s, options);
    const double db = sqnr_db(reference, got, 2 * s->evaluation_count * SEED_OUTPUTS);
    free(reference);
    free(got);
    octet_graph_free(graph);
    return db;
}

#endif
