/* SPDX-License-Identifier: Apache-2.0 */
/* Elements of any type in one width: floats as double, integers as int64_t (uint64_t by its bits). What an operator
   does for types other than float32 it does on these, in one text. */
#ifndef OCTET_OPS_WIDE_H
#define OCTET_OPS_WIDE_H

#include "graph/op.h"

typedef union octet_wide {
    double  f; /* OCTET_F32, F64, F16, BF16 */
    int64_t i; /* all others */
} octet_wide;

enum { OCTET_WIDE_ROW = 256 }; /* a good number of elements for a buffer on the stack */

static inline bool octet_dtype_is_float(octet_dtype dtype)
{
    return dtype == OCTET_F32 || dtype == OCTET_F64 || dtype == OCTET_F16 || dtype == OCTET_BF16;
}

/* Reads n elements of type dtype, step apart (0: the same one n times), from data + at. */
void octet_wide_load(octet_wide *to, const void *data, octet_dtype dtype, int64_t at, size_t n, int64_t step);

/* Writes n elements densely to data + at. Floats are rounded once, integers keep their low bits. */
void octet_wide_store(void *data, octet_dtype dtype, int64_t at, const octet_wide *from, size_t n);

/* Adds n floats to those of a float32 or float64 array, step apart (0: all to one), each sum rounded once. */
void octet_wide_add(void *data, octet_dtype dtype, int64_t at, const octet_wide *from, size_t n, int64_t step);

/* values[i] = clamp(values[i], lo, hi) where the activation is on; NaN stays. */
void octet_wide_clamp(octet_wide *values, size_t n, octet_dtype dtype, const octet_activation *activation);

/* Turns values of type from into values of type to as ONNX's Cast does: towards zero, out of range to the nearest
   end, NaN to 0; integers keep their low bits; to bool: not zero. */
void octet_wide_convert(octet_wide *values, size_t n, octet_dtype from, octet_dtype to);

/* IEEE half precision, rounded to nearest even. */
double   octet_half_to_double(uint16_t half);
uint16_t octet_half_from_double(double x);

/* The upper half of a float32, rounded to nearest even. x is a float32's value. */
double   octet_bfloat_to_double(uint16_t upper);
uint16_t octet_bfloat_from_double(double x);

#endif
