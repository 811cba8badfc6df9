/* SPDX-License-Identifier: Apache-2.0 */
/* The native engine: int8 on values in pixels, by the kernels of this CPU. A row of its table knows one family of
   operators; every step's state begins with the function that runs it. */
#ifndef OCTET_ENGINE_NATIVE_H
#define OCTET_ENGINE_NATIVE_H

#include "engine/native/window.h"
#include "ops/mac.h"

/* One thread's share of one phase of a step. */
typedef void (*octet_native_run)(const octet_step *step, const octet_call *call, int phase, int part);

/* accepts sets the step's layouts; prepare sets state, phases, parts, algorithm and scratch_bytes. */
typedef struct octet_native_row {
    const char *op;
    bool (*accepts)(const octet_plan *plan, octet_step *step, octet_reason *why);
    octet_status (*prepare)(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err);
} octet_native_row;

typedef struct octet_native_state {
    octet_native_run run;
} octet_native_state;

/* octet_engine.run_part of every step whose state begins so. */
void octet_native_run_part(const octet_step *step, const octet_call *call, int phase, int part);

/* ---- shared by the families (native.c) ---- */

/* Writes why; returns false. */
bool octet_native_decline(octet_reason *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether a value is computed and can lie in pixels. */
bool octet_native_pixels(const octet_plan *plan, const octet_value *value);

/* The same for the first `inputs` inputs and output 0 of the step's node; sets their layouts. */
bool octet_native_take(const octet_plan *plan, octet_step *step, int inputs, octet_reason *why);

/* How a value is best read: in rows where it has three dimensions or more and exists so, or nearly so. */
octet_layout octet_native_layout(const octet_plan *plan, const octet_value *value);

/* What octet_native_take has set to pixels becomes rows. */
void octet_native_use_rows(octet_step *step);

/* The Add that a node is summed in, if an engine can do both at once: its other input must lie in pixels, too. NULL:
   none. */
const octet_node *octet_native_add(const octet_plan *plan, const octet_node *node);

/* The area of an input or output form of the step. */
const octet_area *octet_native_in(const octet_plan *plan, const octet_step *step, int slot);
const octet_area *octet_native_out(const octet_plan *plan, const octet_step *step);

/* Extents of a value that does not lie in pixels, as if it did without any border; or in rows. */
octet_area octet_native_dense_area(const octet_tensor *shape);
octet_area octet_native_dense_rows(const octet_tensor *shape);

/* Where a value's results go, in bytes: its parameters, narrowed by an absorbed activation (NULL: none). */
octet_to_levels octet_native_to(const octet_qparams *qparams, const octet_activation *activation);

/* The zero point of a value's bytes. */
static inline int32_t octet_native_zero(const octet_area *area) { return area->zero; }

/* Parts that so many microseconds of work are worth cutting into. */
int octet_native_parts(const octet_plan *plan, double microseconds);

/* The rows [first, last) of `rows` that are one part's. */
typedef struct octet_share {
    size_t first, last;
} octet_share;
octet_share octet_native_share(size_t rows, int part, int parts);

/* Byte of the first channel of pixel (image, row). */
static inline size_t octet_native_row_at(const octet_area *area, size_t row)
{
    return area->offset + row / area->height * area->steps.image + row % area->height * area->steps.row;
}

/* ---- products (product.c): what convolution and matrix product share ---- */

/* Multipliers and integer biases of every output column, and whether sums are tame (kernels.h). */
typedef struct octet_native_sums {
    float         *multiplier;
    int32_t       *bias;
    const int8_t  *weights; /* s8, zero point 0: all of a column, then the next, each in the order of the graph */
    bool           tame;
    bool           real; /* output of real numbers */
    octet_to_levels to;
    float          residual_multiplier, real_lo, real_hi;
} octet_native_sums;

/* Whether the node's weights are constant levels that a kernel can take: s8 with zero point 0, or u8 with 128. */
bool octet_native_weights_fit(const octet_plan *plan, const octet_node *node, octet_reason *why);

/* The weights of a MatMul or Gemm alone, as octet_native_sums has them. */
octet_status octet_native_weights_of(const int8_t **weights, const octet_plan *plan, const octet_node *node,
                                     octet_arena *arena, octet_error *err);

octet_status octet_native_sums_make(octet_native_sums *sums, const octet_plan *plan, const octet_step *step,
                                    octet_arena *arena, octet_error *err);

/* The same for a product of two activations with so many columns, without bias: one multiplier for all of them. The
   weights of the kernels are input 1's bytes less 128. */
octet_status octet_native_sums_of_two(octet_native_sums *sums, const octet_plan *plan, const octet_step *step,
                                      size_t columns, octet_error *err);

/* ---- the rows' functions, by file ---- */

bool         octet_native_accepts_conv(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_native_prepare_conv(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err);
octet_status octet_native_prepare_depthwise(const octet_plan *plan, octet_step *step, const octet_native_sums *sums,
                                            octet_arena *arena, octet_error *err);
bool         octet_native_accepts_gemm(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_native_prepare_gemm(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err);
bool         octet_native_accepts_binary(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_native_prepare_binary(const octet_plan *plan, octet_step *step, octet_arena *arena,
                                         octet_error *err);
bool         octet_native_accepts_table(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_native_prepare_table(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err);
bool         octet_native_accepts_pool(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_native_prepare_pool(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err);
bool         octet_native_accepts_concat(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_native_prepare_concat(const octet_plan *plan, octet_step *step, octet_arena *arena,
                                         octet_error *err);
bool         octet_native_accepts_softmax(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_native_prepare_softmax(const octet_plan *plan, octet_step *step, octet_arena *arena,
                                          octet_error *err);
bool         octet_native_accepts_normal(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_native_prepare_normal(const octet_plan *plan, octet_step *step, octet_arena *arena,
                                         octet_error *err);
bool         octet_native_accepts_matmul(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_native_prepare_matmul(const octet_plan *plan, octet_step *step, octet_arena *arena,
                                         octet_error *err);
bool         octet_native_accepts_taps(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_native_prepare_taps(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err);
bool         octet_native_accepts_gates(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_native_prepare_gates(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err);
bool         octet_native_is_wide(const octet_plan *plan, const octet_node *node); /* levels of 16 bits */
bool         octet_native_accepts_dense(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_native_prepare_dense(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err);
bool         octet_native_accepts_real(const octet_plan *plan, octet_step *step, octet_reason *why);
octet_status octet_native_prepare_definition(const octet_plan *plan, octet_step *step, octet_arena *arena,
                                             octet_error *err);
octet_status octet_native_prepare_depth(const octet_plan *plan, octet_step *step, octet_arena *arena, octet_error *err);

#endif
