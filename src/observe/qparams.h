/* SPDX-License-Identifier: Apache-2.0 */
/* The ONE place that turns a range into scale and zero point: octet's formula, and both of PyTorch's,
   `_calculate_qparams` and ChooseQuantizationParams. */
#ifndef OCTET_OBSERVE_QPARAMS_H
#define OCTET_OBSERVE_QPARAMS_H

#include "observe/range.h"

#include <stdint.h>

/* real = (level - zero_point) * scale */
typedef struct octet_affine {
    float   scale;
    int32_t zero_point;
} octet_affine;

/* Octet's formula (docs/arithmetic.md): the range widened to hold zero, one division, in double. symmetric: the zero
   point is the middle level (0 for s8, 128 for u8) and both ends are covered. Returns false, with scale 1 and the level
   nearest 0, where nothing was seen or the range is too small for a normal scale: a decision worth recording. */
bool octet_qparams_from_range(octet_affine *affine, octet_range range, int32_t qmin, int32_t qmax, bool symmetric);

typedef enum octet_torch_scheme {
    OCTET_TORCH_AFFINE = 0,
    OCTET_TORCH_SYMMETRIC,
    OCTET_TORCH_FLOAT_QPARAMS, /* per_channel_affine_float_qparams: the zero point is a float */
} octet_torch_scheme;

/* What a torch observer is made of. Zeroed = quint8, affine, 0..255, eps 2^-23. */
typedef struct octet_torch_quantizer {
    octet_torch_scheme scheme;
    bool               is_signed;  /* qint8 */
    bool               custom;     /* quant_min and quant_max were given */
    int32_t            qmin, qmax; /* read where custom */
    bool               reduce_range;
    float              eps; /* 0: 2^-23 */
} octet_torch_quantizer;

/* Python's level // 2, with which reduce_range halves both ends. */
static inline int32_t octet_floor_half(int32_t level) { return (level - (level & 1)) / 2; }

/* The levels an observer of torch works with: the dtype's or the given ones, floor-divided by 2 with reduce_range. */
void octet_torch_levels(int32_t *qmin, int32_t *qmax, const octet_torch_quantizer *quantizer);

/* `_calculate_qparams`, every operation in float32. real_zero_point (may be NULL) is set for FLOAT_QPARAMS, whose
   zero_point is 0. A range that saw nothing gives scale 1, zero point 0. */
octet_affine octet_qparams_torch(float *real_zero_point, const octet_torch_quantizer *quantizer, octet_range range);

/* ChooseQuantizationParams, what PyTorch's fused and dynamic forms use: mostly in double, no eps, the zero point from
   the end with the smaller error, no scale below 6.1e-5. symmetric ("preserve_sparsity") counts only where values of
   both signs were seen. A range that saw nothing is that of zeros. */
octet_affine octet_qparams_choose(octet_range range, int32_t qmin, int32_t qmax, bool symmetric);

/* quantized::add_scalar and mul_scalar compute no level: these are the parameters with which x's levels, of qmin..qmax,
   mean x + scalar and x * scalar. A negative factor mirrors them (each becomes qmin + qmax - level); a factor of 0
   makes all of them 0. add: false where the zero point would leave qmin..qmax, for which torch rescales. */
bool         octet_qparams_add_scalar(octet_affine *sum, octet_affine x, double scalar, int32_t qmin, int32_t qmax);
octet_affine octet_qparams_mul_scalar(octet_affine x, double scalar, int32_t qmin, int32_t qmax);

#endif
