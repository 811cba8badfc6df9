/* SPDX-License-Identifier: Apache-2.0 */
/* NAME(load) of conv_rows_template.h for real numbers. */
#ifndef OCTET_OPS_CONV_LOAD_H
#define OCTET_OPS_CONV_LOAD_H

#include <octet/tensor.h>

#include <string.h>

static inline void load_f32(float *to, const octet_tensor *x, size_t first, size_t n)
{
    memcpy(to, (const float *)x->data + first, n * sizeof *to);
}

static inline void load_f64(double *to, const octet_tensor *x, size_t first, size_t n)
{
    memcpy(to, (const double *)x->data + first, n * sizeof *to);
}

#endif
