/* SPDX-License-Identifier: Apache-2.0 */
/* Loading, storing and converting elements of any type (wide.h). Each type is one line. */
#include "ops/wide.h"

#include <math.h>
#include <string.h>

double octet_half_to_double(uint16_t half)
{
    const int    exponent = half >> 10 & 31, fraction = half & 1023;
    const double size = exponent == 31  ? (fraction ? (double)NAN : (double)INFINITY)
                        : exponent == 0 ? ldexp(fraction, -24)
                                        : ldexp(fraction + 1024, exponent - 25);
    return half & 0x8000 ? -size : size;
}

uint16_t octet_half_from_double(double x)
{
    const unsigned sign = signbit(x) ? 0x8000u : 0u;
    const double   size = fabs(x);
    if (isnan(x)) return (uint16_t)(sign | 0x7e00u);
    if (size >= 65520.0) return (uint16_t)(sign | 0x7c00u);
    if (size < 0x1p-14) return (uint16_t)(sign | (unsigned)rint(ldexp(size, 24)));
    int          exponent;
    const double fraction = frexp(size, &exponent); /* 0.5 <= fraction < 1; a carry out of it raises the exponent */
    return (uint16_t)(sign | (((unsigned)(exponent + 13) << 10) + (unsigned)rint(ldexp(fraction, 11))));
}

double octet_bfloat_to_double(uint16_t upper)
{
    const uint32_t bits = (uint32_t)upper << 16;
    float          x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

uint16_t octet_bfloat_from_double(double x)
{
    const float single = (float)x;
    uint32_t    bits;
    memcpy(&bits, &single, sizeof bits);
    if (isnan(x)) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* One line of the lists below: n elements of ctype, or of 16 bits that a function turns into a double. */
#define LOAD(dtype, ctype, member)                                                                                     \
    case dtype:                                                                                                        \
        for (size_t k = 0; k < n; k++) to[k].member = ((const ctype *)data)[at + (int64_t)k * step];                   \
        break;
#define LOAD_16(dtype, function)                                                                                       \
    case dtype:                                                                                                        \
        for (size_t k = 0; k < n; k++) to[k].f = function(((const uint16_t *)data)[at + (int64_t)k * step]);           \
        break;
#define STORE_16(dtype, function)                                                                                      \
    case dtype:                                                                                                        \
        for (size_t k = 0; k < n; k++) ((uint16_t *)data)[at + (int64_t)k] = function(from[k].f);                      \
        break;
#define STORE(dtype, ctype, member)                                                                                    \
    case dtype:                                                                                                        \
        for (size_t k = 0; k < n; k++) ((ctype *)data)[at + (int64_t)k] = (ctype)from[k].member;                       \
        break;

void octet_wide_load(octet_wide *to, const void *data, octet_dtype dtype, int64_t at, size_t n, int64_t step)
{
    switch (dtype) {
        LOAD(OCTET_F32, float, f)
        LOAD(OCTET_F64, double, f)
        LOAD(OCTET_I8, int8_t, i)
        LOAD(OCTET_U8, uint8_t, i)
        LOAD(OCTET_I16, int16_t, i)
        LOAD(OCTET_U16, uint16_t, i)
        LOAD(OCTET_I32, int32_t, i)
        LOAD(OCTET_U32, uint32_t, i)
        LOAD(OCTET_I64, int64_t, i)
        LOAD(OCTET_U64, int64_t, i)
        LOAD(OCTET_BOOL, uint8_t, i)
        LOAD_16(OCTET_F16, octet_half_to_double)
        LOAD_16(OCTET_BF16, octet_bfloat_to_double)
    case OCTET_NONE:
    case OCTET_DTYPE_COUNT:
        break;
    }
}

void octet_wide_store(void *data, octet_dtype dtype, int64_t at, const octet_wide *from, size_t n)
{
    switch (dtype) {
        STORE(OCTET_F32, float, f)
        STORE(OCTET_F64, double, f)
        STORE(OCTET_I8, int8_t, i)
        STORE(OCTET_U8, uint8_t, i)
        STORE(OCTET_I16, int16_t, i)
        STORE(OCTET_U16, uint16_t, i)
        STORE(OCTET_I32, int32_t, i)
        STORE(OCTET_U32, uint32_t, i)
        STORE(OCTET_I64, int64_t, i)
        STORE(OCTET_U64, int64_t, i)
        STORE(OCTET_BOOL, uint8_t, i)
        STORE_16(OCTET_F16, octet_half_from_double)
        STORE_16(OCTET_BF16, octet_bfloat_from_double)
    case OCTET_NONE:
    case OCTET_DTYPE_COUNT:
        break;
    }
}

void octet_wide_add(void *data, octet_dtype dtype, int64_t at, const octet_wide *from, size_t n, int64_t step)
{
    float *const  single = (float *)data + at;
    double *const wide = (double *)data + at;
    if (dtype == OCTET_F32)
        for (size_t k = 0; k < n; k++)
            single[(int64_t)k * step] = (float)((double)single[(int64_t)k * step] + from[k].f);
    else
        for (size_t k = 0; k < n; k++) wide[(int64_t)k * step] += from[k].f;
}

/* Lowest value and one past the highest, both exact in double. */
static void integer_range(octet_dtype dtype, double *low, double *end)
{
    static const bool unsigned_type[OCTET_DTYPE_COUNT] = {
        [OCTET_U8] = true, [OCTET_U16] = true, [OCTET_U32] = true, [OCTET_U64] = true};
    const int bits = 8 * (int)octet_dtype_size(dtype);
    *low = unsigned_type[dtype] ? 0.0 : -ldexp(1.0, bits - 1);
    *end = ldexp(1.0, unsigned_type[dtype] ? bits : bits - 1);
}

static int64_t truncated(double x, octet_dtype to)
{
    double low, end;
    integer_range(to, &low, &end);
    if (isnan(x)) return 0;
    if (x <= low) return to == OCTET_I64 ? INT64_MIN : (int64_t)low;
    if (x >= end) return to == OCTET_I64 ? INT64_MAX : to == OCTET_U64 ? -1 : (int64_t)(end - 1.0);
    return x >= 0x1p63 ? (int64_t)(uint64_t)x : (int64_t)x;
}

void octet_wide_convert(octet_wide *values, size_t n, octet_dtype from, octet_dtype to)
{
    const bool from_float = octet_dtype_is_float(from), to_float = octet_dtype_is_float(to);
    for (size_t k = 0; k < n; k++) {
        if (to == OCTET_BOOL)
            values[k].i = from_float ? values[k].f != 0.0 : values[k].i != 0;
        else if (from_float && !to_float)
            values[k].i = truncated(values[k].f, to);
        else if (!from_float && (to == OCTET_F32 || to == OCTET_BF16)) /* as float32, which is rounded once */
            values[k].f = from == OCTET_U64 ? (double)(float)(uint64_t)values[k].i : (double)(float)values[k].i;
        else if (!from_float && to_float)
            values[k].f = from == OCTET_U64 ? (double)(uint64_t)values[k].i : (double)values[k].i;
    }
}

static int64_t whole(double bound)
{
    return bound >= 0x1p63 ? INT64_MAX : bound <= -0x1p63 ? INT64_MIN : (int64_t)bound;
}

void octet_wide_clamp(octet_wide *values, size_t n, octet_dtype dtype, const octet_activation *activation)
{
    if (!activation->on) return;
    const double  lo = (double)activation->lo, hi = (double)activation->hi;
    const int64_t lowest = whole(ceil(lo)), highest = whole(floor(hi));
    for (size_t i = 0; i < n; i++) {
        octet_wide *const v = &values[i];
        if (octet_dtype_is_float(dtype))
            v->f = v->f < lo ? lo : v->f > hi ? hi : v->f;
        else
            v->i = v->i < lowest ? lowest : v->i > highest ? highest : v->i;
    }
}
