/* SPDX-License-Identifier: Apache-2.0 */
/* What an optimizer moves. */
#ifndef OCTET_TRAIN_PARAMETER_H
#define OCTET_TRAIN_PARAMETER_H

#include <octet/tensor.h>

typedef enum octet_parameter_kind {
    OCTET_PARAMETER_WEIGHT = 0,
    OCTET_PARAMETER_BIAS,
    OCTET_PARAMETER_GAMMA,
    OCTET_PARAMETER_BETA,
    OCTET_PARAMETER_SCALE,
    OCTET_PARAMETER_ZERO_POINT,
} octet_parameter_kind;

typedef struct octet_parameter {
    const char          *name;
    octet_parameter_kind kind;
    octet_dtype          dtype; /* OCTET_F32; OCTET_F64 on a tape of doubles */
    void                *value, *gradient;
    size_t               count;
} octet_parameter;

#endif
