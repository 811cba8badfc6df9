/* SPDX-License-Identifier: Apache-2.0 */
/* A profile is how rounding is done: octet's own rules (docs/arithmetic.md) or another library's, bit for bit. Only
   the reference rules in ops/ know it. Every function works on a row of n elements that share one channel. Levels
   are int32 here whatever their storage type; ops/levels.h loads and stores them. */
#ifndef OCTET_OPS_PROFILE_H
#define OCTET_OPS_PROFILE_H

#include "graph/op.h"
#include "observe/qparams.h"

/* Where a result goes. */
typedef struct octet_level_rule {
    float   scale;
    int32_t zero_point;
    int32_t qmin, qmax; /* of the tensor, narrowed by an absorbed activation */
} octet_level_rule;

/* One output channel of a Conv, Gemm or MatMul. */
typedef struct octet_mac_rule {
    float            input_scale, weight_scale;
    bool             per_channel; /* weight scales: torch's FBGEMM adds a bias otherwise then */
    bool             convolves;   /* a convolution of at most 100 groups whose weights have zero point 0: torch's x86
                                     engine leaves it to oneDNN */
    bool             real;      /* result stays float32, in units of to.scale (1: plain real numbers) */
    octet_level_rule to;
    float            bias;       /* real bias, where the file or profile keeps one; else 0 */
    int32_t          bias_level; /* in units of input_scale * weight_scale */
    float            multiplier; /* set by mac_prepare */
    float            offset;     /* set by mac_prepare: bias in the profile's own form */
} octet_mac_rule;

/* Add and Sub: a + sign * b. Mul and PRelu: a * b. */
typedef struct octet_add_rule {
    float            a_scale, b_scale;
    int32_t          a_zero_point, b_zero_point;
    int              sign; /* 1 or -1 */
    octet_level_rule to;
    size_t           first, total; /* the row's place in the whole result: torch's vector code leaves the last
                                      total % 64 elements to scalar code, which rounds differently */
} octet_add_rule;

/* AveragePool, GlobalAveragePool, ReduceMean. */
typedef struct octet_average_rule {
    float            scale;
    int32_t          height, width; /* the window where it is one for all elements (GlobalAveragePool, ReduceMean over
                                       two axes): torch divides by one after the other. 0: AveragePool */
    bool             divides; /* ReduceMean: torch divides by the number of elements at once */
    octet_level_rule to;
} octet_average_rule;

/* One channel of a BatchNormalization on levels. */
typedef struct octet_norm_rule {
    float            scale; /* of the input */
    float            gamma, beta, mean, variance, epsilon;
    octet_level_rule to;
} octet_norm_rule;

/* A function of one number at the levels from first on. */
typedef struct octet_table_rule {
    const char      *op; /* as in ONNX */
    double         (*value)(double x, const void *attrs);
    const void      *attrs;
    octet_level_rule from, to;
    int32_t          first;
    bool             tail; /* for elements behind the last whole block */
} octet_table_rule;

struct octet_profile {
    const char *name;

    /* Parameters of what becomes levels 0..qmax when a node runs. */
    octet_affine (*dynamic)(octet_range range, int32_t qmax);
    bool dynamic_is_full; /* always 255, also where 7 bits are asked for */

    /* Real numbers to levels of such parameters. */
    void (*dynamic_levels)(int32_t *level, const float *x, size_t n, const octet_level_rule *to);

    /* Real numbers to levels. */
    void (*quantize)(int32_t *level, const float *x, size_t n, const octet_level_rule *to);

    /* Sums, without bias, to levels, or to float32 (mac_real) where rule->real. prepare: false when the multiplier is
       not finite and normal, or the bias does not fit. */
    bool (*mac_prepare)(octet_mac_rule *rule);
    void (*mac_levels)(int32_t *level, const int32_t *sum, size_t n, const octet_mac_rule *rule);
    void (*mac_real)(float *real, const int32_t *sum, size_t n, const octet_mac_rule *rule);

    /* Rows of a and b, each level less its zero point. false: the profile has no rule for such scales. */
    bool (*add)(int32_t *level, const int32_t *a, const int32_t *b, size_t n, const octet_add_rule *rule);

    void (*multiply)(int32_t *level, const int32_t *a, const int32_t *b, size_t n, const octet_add_rule *rule);

    /* PRelu: a where it is not below zero, else a * b. */
    void (*prelu)(int32_t *level, const int32_t *a, const int32_t *b, size_t n, const octet_add_rule *rule);

    void (*table)(int32_t *level, size_t n, const octet_table_rule *rule);
    size_t table_block; /* 0, or torch's vectors: elements behind the last whole block of so many are a tail */

    /* sum = sum of (level - zero_point) over a window; divisor as the operator counts. */
    void (*average)(int32_t *level, const int32_t *sum, const int32_t *divisor, size_t n,
                    const octet_average_rule *rule);
    bool max_pool_nearest; /* MaxPool without ceil_mode takes the nearest element in place of padding, which shows where
                              a dilated window steps over it */
    bool average_full_window; /* AveragePool without ceil_mode divides by the whole kernel, whatever it says */

    bool resize_single; /* Resize takes float32 coordinates, none below 0, and levels with their zero point */

    /* BatchNormalization: a level is rne(f32(f32((level - zero_point) * affine[0]) + affine[1])), plus zero point. */
    void (*norm)(float affine[2], const octet_norm_rule *rule);

    /* (level - zero_point) of one scale to another: Concat with unequal parameters, Requantize. */
    void (*rescale)(int32_t *level, const int32_t *offset_level, float scale, size_t n, const octet_level_rule *to);
};

extern const octet_profile octet_profile_octet, octet_profile_torch_qnnpack, octet_profile_torch_onednn,
    octet_profile_torch_fbgemm, octet_profile_torch_x86, octet_profile_torch_planes;

/* The row of that name; NULL: octet's own. NULL where there is none of the name. */
const octet_profile *octet_profile_find(const char *name);

#endif
