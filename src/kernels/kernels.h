/* SPDX-License-Identifier: Apache-2.0 */
/* Integer kernels: pointers and numbers, no tensors. Every instruction set offers the same table and computes the same
   bits (docs/arithmetic.md); the rules below are those of its sections 2 and 3.

   Levels are bytes 0..255 here. s8 levels are stored plus 128 (the same bits with the top one flipped), and their
   zero points and bounds likewise: so there is one kind of activation, while weights are s8 with zero point 0.

   Images lie channels last: a pixel's channels lie together, pixels and rows at any distance. A kernel reads and
   writes exactly what its call names, except that convolutions may read (and ignore) up to OCTET_OVERREAD pixels and
   as many bytes past the input's last byte. Nothing here allocates or fails. */
#ifndef OCTET_KERNELS_KERNELS_H
#define OCTET_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OCTET_OVERREAD = 64 };

/* Where results go: y = clamp(rne(t) + zero_point), as levels in bytes. */
typedef struct octet_to_levels {
    int32_t zero_point;
    int32_t lo, hi; /* bounds of y, within 0..255 */
} octet_to_levels;

/* ---- sums of products: convolution, matrix product ---- */

/* Output pixels ("rows" of a matrix product) come in groups (images) of equal size; input and output of a group lie a
   fixed distance from those of the group before. In a group input row r begins at input + r * pixel, and its sum runs
   over taps x depth bytes: depth bytes from tap[t] on, for each t. So a convolution over an image with borders is a
   matrix product whose rows are all pixels, those in the border included, which nobody wants. */
typedef struct octet_conv_shape {
    size_t groups, rows; /* of one group */
    size_t columns;      /* output channels */
    size_t taps, depth;
    size_t pixel;        /* bytes from an input row to the next */
} octet_conv_shape;

/* s8 weights of column c, tap t, depth d: at[c * column + t * tap + d * depth]. */
typedef struct octet_conv_weights {
    const int8_t  *at;
    size_t         column, tap, depth;
    const int32_t *bias;       /* one per column, in units of the sums */
    const float   *multiplier; /* one per column */
    int32_t        input_zero; /* zero point of the input's bytes */
} octet_conv_weights;

/* How a convolution is cut, decided once per shape. The fields belong to the set that filled them in. */
typedef struct octet_conv_tiling {
    int  rows, columns;    /* of one block */
    int  depth, steps;     /* bytes of one step over depth, steps of a tap */
    bool columns_outer;    /* a column block meets all rows before the next; otherwise the other way round */
    bool split_columns;    /* parts are ranges of columns; otherwise of rows */
    char text[40];         /* for people: "6x64, rows outer" */
} octet_conv_tiling;

/* acc = sum (x - input_zero) * w + bias, int32 (the caller has proven that it fits; intermediate sums may wrap);
   t = f32(f32(acc) * multiplier); with a residual: t = f32(t + f32(f32(r - residual_zero) * residual_multiplier)).
   Levels: y as octet_to_levels says. Real numbers: t between real_lo and real_hi. Sums: acc itself. */
typedef struct octet_conv_call {
    const octet_conv_shape  *shape;
    const octet_conv_tiling *tiling;
    const void              *weights; /* packed by the same set for the same shape and tiling */
    const size_t            *tap;     /* shape->taps offsets in bytes */
    const uint8_t           *input;
    size_t                   input_group; /* bytes from a group to the next */
    void                    *output;      /* uint8_t levels, float or int32_t */
    size_t                   output_group;
    const int32_t           *place; /* per row of a group: bytes from the group's output to its first column, or
                                       negative: nobody wants this row. Columns lie together. */
    const uint8_t           *residual; /* NULL: none */
    size_t                   residual_group;
    const int32_t           *residual_place; /* per row, as place; not read where place is negative */
    float                    residual_multiplier;
    int32_t                  residual_zero;
    octet_to_levels          to;
    bool                     real;  /* write floats */
    bool                     sums;  /* write sums, in place of either; no residual */
    bool                     tame;  /* |t| < 2^30 for every sum that can occur: rounding before clamping is exact */
    float                    real_lo, real_hi;
} octet_conv_call;

typedef struct octet_conv_kernel {
    size_t step; /* bytes of depth that one product of the set sums up: less depth than that is wasted */
    /* Decides for a shape and number of threads. */
    void (*choose)(octet_conv_tiling *tiling, const octet_conv_shape *shape, int parts);
    /* Bytes of packed weights, bias and multipliers; pack fills them (64-byte aligned, zeroed before). */
    size_t (*packed_size)(const octet_conv_shape *shape, const octet_conv_tiling *tiling);
    void (*pack)(void *packed, const octet_conv_shape *shape, const octet_conv_tiling *tiling,
                 const octet_conv_weights *weights);
    /* Computes part number `part` of `parts`; all of them together compute everything once. */
    void (*run)(const octet_conv_call *call, int part, int parts);
} octet_conv_kernel;

/* ---- depthwise convolution: output channel c reads input channel c alone ---- */

typedef struct octet_depthwise_shape {
    size_t images, height, width; /* of the output */
    size_t channels;
    int    kernel_height, kernel_width, stride_height, stride_width, dilation_height, dilation_width;
} octet_depthwise_shape;

/* Distances in bytes between images, rows and pixels. */
typedef struct octet_steps {
    size_t image, row, pixel;
} octet_steps;

/* As octet_conv_call; output pixel (n, y, x) reads the input's pixels (n, y * stride + i * dilation, ...) from input
   on: the caller has moved input to the first tap of the first window, and everything windows touch is readable. */
typedef struct octet_depthwise_call {
    const octet_depthwise_shape *shape;
    const void                  *weights; /* packed */
    const uint8_t               *input, *residual; /* residual NULL: none */
    void                        *output;           /* levels */
    octet_steps                  input_steps, output_steps, residual_steps;
    float                        residual_multiplier;
    int32_t                      residual_zero;
    octet_to_levels              to;
    bool                         tame;
} octet_depthwise_call;

typedef struct octet_depthwise_kernel {
    size_t (*packed_size)(const octet_depthwise_shape *shape);
    /* weights->column: distance between channels, ->tap: between taps (row-major kernel); depth is not used. */
    void (*pack)(void *packed, const octet_depthwise_shape *shape, const octet_conv_weights *weights);
    void (*run)(const octet_depthwise_call *call, int part, int parts); /* parts are ranges of output rows */
} octet_depthwise_kernel;

/* ---- element by element: n bytes that lie together ---- */

/* t = f32(f32(f32(a - a_zero) * a_multiplier) + f32(f32(b - b_zero) * b_multiplier)); Sub has a negative
   b_multiplier. */
typedef struct octet_add_levels {
    int32_t         a_zero, b_zero;
    float           a_multiplier, b_multiplier;
    octet_to_levels to;
} octet_add_levels;

/* t = f32(f32((a - a_zero) * (b - b_zero)) * multiplier). */
typedef struct octet_mul_levels {
    int32_t         a_zero, b_zero;
    float           multiplier;
    octet_to_levels to;
} octet_mul_levels;

/* t = f32(f32(q - zero) * multiplier): another scale; also the mean of a window, with the sum of all q - zero in place
   of q - zero. */
typedef struct octet_rescale_levels {
    int32_t         zero;
    float           multiplier;
    octet_to_levels to;
} octet_rescale_levels;

/* A window: rows x columns pixels from `first` on, row and column bytes apart. */
typedef struct octet_window_view {
    const uint8_t *first;
    size_t         rows, columns, row, column;
} octet_window_view;

/* Real numbers and levels: y = clamp(rne(f32(x / scale)) + zero_point), NaN as 0;
   x = f32(f32(q - zero_point) * scale). */
typedef struct octet_real_levels {
    float           scale;
    octet_to_levels to;
} octet_real_levels;

/* y[i] = q[from[i]] for i < n, of each of `pixels` pixels, y_pixel and q_pixel bytes apart: channel shuffles. */
typedef struct octet_select {
    size_t         pixels, y_pixel, q_pixel, n;
    const int32_t *from;
} octet_select;

typedef struct octet_element_kernel {
    void (*add)(uint8_t *y, const uint8_t *a, const uint8_t *b, size_t n, const octet_add_levels *rule);
    void (*mul)(uint8_t *y, const uint8_t *a, const uint8_t *b, size_t n, const octet_mul_levels *rule);
    void (*rescale)(uint8_t *y, const uint8_t *q, size_t n, const octet_rescale_levels *rule);
    void (*clamp)(uint8_t *y, const uint8_t *q, size_t n, uint8_t lo, uint8_t hi);
    void (*look_up)(uint8_t *y, const uint8_t *q, size_t n, const uint8_t table[256]);
    void (*select)(uint8_t *y, const uint8_t *q, const octet_select *how);
    /* One output pixel of n channels. */
    void (*max)(uint8_t *y, const octet_window_view *window, size_t n);
    void (*mean)(uint8_t *y, const octet_window_view *window, size_t n, const octet_rescale_levels *rule);
} octet_element_kernel;

/* ---- between planes (channels first) and pixels (channels last) ---- */

/* `pixels` pixels of a row: plane c's number p is planes[c * plane + p]; pixel p's channel c is at
   levels[p * pixel + c]. The flip is 0x80 where the planes' levels are s8, else 0: it is applied to every byte moved
   between levels and levels, and not to real numbers. */
typedef struct octet_planes {
    size_t pixels, channels, plane, pixel; /* plane in elements */
} octet_planes;

typedef struct octet_planes_kernel {
    void (*quantize)(uint8_t *levels, const float *planes, const octet_planes *size, const octet_real_levels *rule);
    void (*dequantize)(float *planes, const uint8_t *levels, const octet_planes *size, const octet_real_levels *rule);
    void (*to_pixels)(uint8_t *levels, const uint8_t *planes, const octet_planes *size, uint8_t flip);
    void (*to_planes)(uint8_t *planes, const uint8_t *levels, const octet_planes *size, uint8_t flip);
    /* floats: pixels of `pixel` floats to planes */
    void (*real_to_planes)(float *planes, const float *pixels, const octet_planes *size);
} octet_planes_kernel;

/* ---- lines: n sums or levels that lie together ---- */

/* t = f32(f32(sum + term) * multiplier[i]), the sum modulo 2^32. Levels: y as octet_to_levels says. Real numbers: t
   between real_lo and real_hi. */
typedef struct octet_sums_rule {
    int32_t         term;
    const float    *multiplier;
    octet_to_levels to;
    float           real_lo, real_hi;
} octet_sums_rule;

/* With S1 = sum (q - zero), S2 = sum (q - zero)^2 and in double: mean = S1 / n (not centred: 0),
   variance = max((S2 / n - mean^2) * scale^2, 0), r = 1 / sqrt(variance + epsilon),
   t = f32(f32(((q - zero) * scale - mean * scale) * r * gain[i] + shift[i]) / unit). */
typedef struct octet_normal_rule {
    int32_t         zero;
    double          scale, epsilon;
    bool            centred;
    const double   *gain, *shift;
    float           unit;
    octet_to_levels to;
} octet_normal_rule;

/* e = table[d], d the distance of q from the largest, e at most 2^23;
   t = f32(f32(e) * f32(1 / (unit * sum of all e))). */
typedef struct octet_softmax_rule {
    const int32_t  *table; /* 256 */
    double          unit;
    octet_to_levels to;
} octet_softmax_rule;

typedef struct octet_lines_kernel {
    void (*finish)(uint8_t *y, const int32_t *sums, size_t n, const octet_sums_rule *rule);
    void (*finish_real)(float *y, const int32_t *sums, size_t n, const octet_sums_rule *rule);
    int64_t (*sum)(const uint8_t *x, size_t n);
    void (*normalize)(uint8_t *y, const uint8_t *x, size_t n, const octet_normal_rule *rule);
    void (*soften)(uint8_t *y, const uint8_t *x, size_t n, const octet_softmax_rule *rule);
} octet_lines_kernel;

/* ---- rows of real numbers while training ---- */

/* `pixels` rows of `channels` floats, one after the other. */
typedef struct octet_rows {
    size_t pixels, channels;
} octet_rows;

/* Added to: sums of z - pivot and of its square, the least and the most; all one per channel. */
typedef struct octet_row_sums {
    const float *pivot;
    double      *sum, *square;
    float       *least, *most;
} octet_row_sums;

/* x = clamp(z * scale + shift, lo, hi); where step > 0 it is then rounded: u = clamp(rne(f32(x / step)), lowest,
   highest), both within +-2^22, NaN as 0; y = f32(u * unit), level = u + zero_point. */
typedef struct octet_row_finish {
    const float *scale, *shift; /* one per channel */
    float        lo, hi;
    bool         bounded; /* lo or hi is finite */
    float        step, lowest, highest, unit;
    int32_t      zero_point;
} octet_row_finish;

typedef struct octet_row_target {
    float   *reals;
    uint8_t *levels; /* of u8 or s8; NULL: not wanted */
} octet_row_target;

/* What the gradient d of finish's y becomes: 0 where rounding or clamping has cut z off. Added to, one per channel: its
   sum, its product with z - pivot; while parameters are learned, what LSQ wants for step and zero point. */
typedef struct octet_row_gradients {
    const octet_row_finish *how;
    octet_row_finish        wide; /* lo and hi: -2^22 and 2^22 */
    const float            *pivot;
    double                 *sum, *product;
    bool                    learns;
    double                 *step, *zero_point; /* one number each */
} octet_row_gradients;

typedef struct octet_rows_kernel {
    void (*moments)(const octet_row_sums *to, const float *z, const octet_rows *rows);
    void (*finish)(const octet_row_target *to, const float *z, const octet_row_finish *how, const octet_rows *rows);
    void (*reduce)(const octet_row_gradients *to, float *d, const float *z, const octet_rows *rows); /* d in place */
    /* d = d * factors[0] + z * factors[1] + factors[2] */
    void (*combine)(float *d, const float *z, const float *const factors[3], const octet_rows *rows);
} octet_rows_kernel;

/* ---- training ---- */

/* A depthwise convolution with real results: t = f32(f32(acc) * multiplier) for `pixels` output pixels of a row, whose
   windows begin `pixel` bytes apart; channels lie together on both sides. Everything windows touch is readable, and 16
   elements past the end of every array but t. At most OCTET_MOST_TAPS taps: sums of products stay below 2^24. */
enum { OCTET_MOST_TAPS = 512 };
typedef struct octet_depthwise_sums {
    size_t         pixels, channels, pixel, taps;
    const size_t  *tap;        /* offsets in bytes */
    const float   *weights;    /* [taps][channels], whole numbers of int8 */
    const int32_t *bias;       /* one per channel, with the input's zero point taken out */
    const float   *multiplier; /* one per channel */
} octet_depthwise_sums;

typedef struct octet_train_kernel {
    void (*depthwise)(float *t, const uint8_t *x, const octet_depthwise_sums *how);
} octet_train_kernel;

/* ---- differences ---- */

/* Sums of squares of a reference r and of d = r - measured, of their products, and of the differences of a second
   vector: number i of a call in lane i % OCTET_DIFFERENCE_LANES of each (levels: number c of every pixel). most: the
   largest |d| of the first. Zeroed = nothing seen; calls add. */
enum { OCTET_DIFFERENCE_LANES = 8 };
typedef struct octet_difference {
    double signal[OCTET_DIFFERENCE_LANES], noise[OCTET_DIFFERENCE_LANES], cross[OCTET_DIFFERENCE_LANES],
        second[OCTET_DIFFERENCE_LANES];
    float most;
} octet_difference;

/* `channels` numbers of each of `pixels` pixels, which lie `pixel` bytes apart as levels and `block` floats apart as
   real numbers. A level stands for f32((q - to.zero_point) * scale). */
typedef struct octet_compared_levels {
    size_t          pixels, channels, pixel, block;
    float           scale;
    octet_to_levels to;
} octet_compared_levels;

typedef struct octet_difference_kernel {
    void (*reals)(octet_difference *to, const float *reference, const float *measured, size_t n);
    /* whole is the first measured vector, fed the second, in whose place comes real, rounded:
       t = f32(real / scale), 0 for NaN. */
    void (*levels)(octet_difference *to, const octet_compared_levels *how, const float *real, const uint8_t *whole,
                   uint8_t *fed);
} octet_difference_kernel;

/* ---- sets ---- */

typedef struct octet_kernels {
    const char                    *name;  /* "avx512vnni" */
    unsigned                       needs; /* OCTET_CPU_... bits */
    const octet_conv_kernel       *conv;
    const octet_depthwise_kernel  *depthwise;
    const octet_element_kernel    *element;
    const octet_planes_kernel     *planes;
    const octet_lines_kernel      *lines;
    const octet_rows_kernel       *rows;
    const octet_train_kernel      *train;
    const octet_difference_kernel *difference;
} octet_kernels;

/* Sets of this build, best first, scalar last, then NULL. */
extern const octet_kernels *const octet_kernel_sets[];

/* The best set that needs nothing beyond the OCTET_CPU_... bits of cpu. */
const octet_kernels *octet_kernels_select(unsigned cpu);

#endif
