/* SPDX-License-Identifier: Apache-2.0 */
/* The runner of recorded vectors: cases read from manifests, differences counted per row. A group is one function;
   main.c has the table of them. Octet's code is asked for every number: nothing here computes what is compared. */
#ifndef OCTET_TESTS_GOLDEN_H
#define OCTET_TESTS_GOLDEN_H

#include "base/arena.h"
#include "observe/qparams.h"
#include "ops/profile.h"

#include <octet/octet.h>

#include <jansson.h>

enum { GOLDEN_ROWS = 320 };

/* What section 5 of the vectors' README lists. */
typedef struct golden_row {
    char   what[96];
    size_t elements, differing;
    char   first[128]; /* case and index of the first difference */
} golden_row;

/* SQNR of one network of the zoo over its seeds: octet's own, and PyTorch's static flows. */
enum { GOLDEN_SEEDS = 8, GOLDEN_FLOWS = 12 };
typedef struct golden_network {
    char   name[32];
    size_t seeds, flows;
    double own[GOLDEN_SEEDS], torch[GOLDEN_FLOWS][GOLDEN_SEEDS];
    char   flow[GOLDEN_FLOWS][64];
} golden_network;

typedef struct golden_run {
    const char    *root;
    golden_network networks[8];
    golden_row  rows[GOLDEN_ROWS];
    size_t      row_count;
} golden_run;

typedef struct golden_case {
    golden_run   *run;
    const char   *name; /* "ops/cat_0" */
    const json_t *manifest;
    octet_arena  *arena;
    bool          failed;
    size_t        compared;
    char          skipped[96]; /* why nothing was compared */
} golden_case;

typedef struct golden_array {
    int      rank;
    int64_t  dims[OCTET_MAX_RANK];
    size_t   count;
    float   *real;  /* float32 arrays */
    int32_t *level; /* integer arrays */
} golden_array;

/* ---- reading (manifest.c). A malformed manifest fails the case and ends its function early (false). ---- */

bool    golden_array_read(golden_array *array, golden_case *c, const json_t *entry);
bool    golden_npy_read(golden_array *array, golden_case *c, const char *file);
float   golden_f32(golden_case *c, const json_t *entry);
int64_t golden_int(const json_t *object, const char *key, int64_t otherwise);
/* An integer, or a list of up to count of them (one integer stands for all). */
void    golden_ints(int64_t *out, size_t count, const json_t *entry, int64_t otherwise);
bool    golden_fail(golden_case *c, const char *why, ...) __attribute__((format(printf, 2, 3)));
void   *golden_memory(golden_case *c, size_t count, size_t size);

/* A quantized tensor: levels in their storage type, with parameters that span the type. */
bool golden_tensor_read(octet_tensor *tensor, golden_case *c, const json_t *entry);

/* The same from parts: levels may be NULL (an output to be filled). */
octet_tensor golden_tensor_make(golden_case *c, octet_dtype dtype, const int64_t *dims, int rank, float scale,
                                int32_t zero_point);
octet_dtype  golden_dtype(const json_t *qdtype);

/* A copy whose bytes lie as those of a channels-last tensor, [N, C, H, W] called [N, H, W, C]. */
octet_tensor golden_channels_last(golden_case *c, const octet_tensor *x);

/* ---- comparing (tally.c) ---- */

/* Bit for bit, except that zeros of both signs and all NaN are equal. */
void golden_note_floats(golden_case *c, const char *row, const float *got, const float *want, size_t count);
void golden_note_near(golden_case *c, const char *row, const float *got, const float *want, const double *tolerance,
                      size_t count);
/* Within tolerance, times the largest recorded number where that is over 1. */
void golden_note_close(golden_case *c, const char *row, const float *got, const golden_array *want, double tolerance);
void golden_note_levels(golden_case *c, const char *row, const int32_t *got, const int32_t *want, size_t count,
                        int32_t tolerance);
void golden_note_tensor(golden_case *c, const char *row, const octet_tensor *got, const golden_array *want,
                        int32_t tolerance);
void golden_skip(golden_case *c, const char *why);

/* SQNR, 20 log10(|reference| / |reference - x|); infinite where they are equal. */
double golden_decibels(const float *reference, const float *x, size_t count);

/* What an observer's "config" says. */
octet_torch_quantizer golden_torch_quantizer(golden_case *c, const json_t *config);

/* ---- graphs ---- */

octet_status golden_constant(octet_graph *graph, const char *name, const golden_array *array, octet_error *err);

/* ---- running one operator (node.c) ---- */

typedef struct golden_node {
    const char            *op;
    const octet_attribute *attributes; /* ends at name == NULL; may be NULL */
    const octet_tensor    *inputs[5];
    int                    input_count;
    bool                   relu; /* absorbed */
    const octet_profile   *profile;
    float                  scale; /* of the output, which is quint8; 0: input 0's parameters */
    int32_t                zero_point;
} golden_node;

/* Runs the operator's integer rule. False: the case has failed, or was skipped because there is no such operator. */
bool golden_node_run(octet_tensor *out, golden_case *c, const golden_node *node);

/* AdaptiveAvgPool, window by window as one GlobalAveragePool each: ONNX has no such operator. */
bool golden_adaptive_pool(octet_tensor *out, golden_case *c, const octet_tensor *in, const int64_t size[2],
                          const octet_profile *profile);

/* ---- cases of ops/ (ops.c) ---- */

const json_t *golden_input(const golden_case *c, const char *name);
const json_t *golden_attribute(const golden_case *c, const char *name);
bool          golden_ends_with_relu(const golden_case *c);

/* Runs node for both engines' profiles and compares; row's %s is the engine. planes: leave out what channels-last
   input gave. */
typedef struct golden_check {
    const char *row;
    int32_t     tolerance;
    bool        planes;
} golden_check;
void golden_check_engines(golden_case *c, golden_node *node, const golden_check *check);

/* ---- groups ---- */

void golden_observers(golden_case *c);
void golden_histogram(golden_case *c);
void golden_quantize(golden_case *c);
void golden_double_scale(golden_case *c);
void golden_fake_quant(golden_case *c);
void golden_fused(golden_case *c);
void golden_fixed(golden_case *c);
void golden_fuse(golden_case *c);
void golden_equalize(golden_case *c);
void golden_qat_module(golden_case *c);
void golden_qat_train(golden_case *c);
void golden_conv_transpose(golden_case *c);
void golden_interpolate(golden_case *c);
void golden_batch_norm(golden_case *c);
void golden_layer_norm(golden_case *c);
void golden_group_norm(golden_case *c);
void golden_instance_norm(golden_case *c);
void golden_pad(golden_case *c);
void golden_shuffle(golden_case *c);
void golden_mac(golden_case *c);
void golden_matmul(golden_case *c);
void golden_add(golden_case *c);
void golden_mul(golden_case *c);
void golden_function(golden_case *c);
void golden_clip(golden_case *c);
void golden_cat(golden_case *c);
void golden_relu(golden_case *c);
void golden_prelu(golden_case *c);
void golden_scalar(golden_case *c);
void golden_softmax(golden_case *c);
void golden_threshold(golden_case *c);
void golden_max_pool(golden_case *c);
void golden_average_pool(golden_case *c);
void golden_adaptive(golden_case *c);
void golden_mean(golden_case *c);
void golden_seed_flow(golden_case *c);
void golden_seed_fake(golden_case *c);
void golden_seed_one_sided(golden_case *c);
void golden_zoo(golden_case *c);
void golden_zoo_static(golden_case *c);
void golden_bias_correction(golden_case *c);
void golden_numeric_suite(golden_case *c);
void golden_linear_dynamic(golden_case *c);
void golden_dynamic(golden_case *c);

#endif
