/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of numbers_template.h for both types. */
#include "train/steps.h"

#include <math.h>

#define T       float
#define SQRT    sqrtf
#define NAME(x) float_##x
#include "train/numbers_template.h"
#undef T
#undef SQRT
#undef NAME

#define T       double
#define SQRT    sqrt
#define NAME(x) double_##x
#include "train/numbers_template.h"
#undef T
#undef SQRT
#undef NAME

#define ROW(x)                                                                                                      \
    {                                                                                                               \
        .scale = x##_scale, .norm_scale = x##_norm_scale, .affine = x##_affine,                                     \
        .clamp_gradient = x##_clamp_gradient, .moments = x##_moments, .gradient_moments = x##_gradient_moments,     \
        .combine = x##_combine, .dot = x##_dot, .add_scaled = x##_add_scaled,                                       \
    }

const octet_tape_numbers octet_tape_floats  = ROW(float);
const octet_tape_numbers octet_tape_doubles = ROW(double);
