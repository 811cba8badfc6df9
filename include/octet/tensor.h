/* SPDX-License-Identifier: Apache-2.0 */
/* A tensor is a view: type, shape, pointer. It never owns memory. One with qparams holds integer levels,
   one without holds real numbers. */
#ifndef OCTET_TENSOR_H
#define OCTET_TENSOR_H

#include <octet/error.h>

#include <stdbool.h>
#include <stdint.h>

enum { OCTET_MAX_RANK = 8 };

typedef enum octet_dtype {
    OCTET_NONE = 0, /* not known */
    OCTET_F32,
    OCTET_F64,
    OCTET_F16,  /* stored only: converted to OCTET_F32 before any arithmetic */
    OCTET_BF16, /* the upper half of an OCTET_F32; stored only, likewise */
    OCTET_I8,
    OCTET_U8,
    OCTET_I16,
    OCTET_U16,
    OCTET_I32,
    OCTET_U32,
    OCTET_I64,
    OCTET_U64,
    OCTET_BOOL, /* one byte, 0 or 1 */
    OCTET_DTYPE_COUNT
} octet_dtype;

/* real = (level - zero_point) * scale. Zeroed = not quantized.
   scale: finite, normal, > 0. qmin <= zero_point <= qmax; levels lie in qmin..qmax, which may be narrower
   than dtype's range. */
typedef struct octet_qparams {
    const float   *scale;      /* count entries */
    const int32_t *zero_point; /* count entries */
    int64_t        count;      /* 0: not quantized; 1: per tensor; else the channels along axis */
    int            axis;       /* meaningful where count > 1 */
    octet_dtype    dtype;      /* of the levels */
    int32_t        qmin, qmax;
    int64_t        block;      /* 0: none. Else scales belong to blocks of so many coordinates along axis, for each
                                  coordinate of the other axes: count entries in the order of a tensor of the levels'
                                  shape with ceil(dims[axis] / block) coordinates there. Constants only */
    const float   *real_zero_point; /* NULL, or count numbers in the place of zero_point, which is 0 then: PyTorch's
                                       embeddings, real = f32(f32(level - zero_point) * scale). Constants only */
} octet_qparams;

/* Elements lie densely in row-major order unless a function says otherwise. */
typedef struct octet_tensor {
    octet_dtype          dtype;
    int                  rank; /* 0 = a scalar */
    int64_t              dims[OCTET_MAX_RANK];
    void                *data;
    const octet_qparams *qparams; /* NULL: real numbers */
} octet_tensor;

/* Bytes of one element; 0 for OCTET_NONE. */
OCTET_API size_t octet_dtype_size(octet_dtype dtype);

/* "f32", "s8", "u8", "s32", "bool", ...; "?" when unknown. */
OCTET_API const char *octet_dtype_name(octet_dtype dtype);

/* Number of elements (1 for a scalar), or -1 when a dimension is negative or the product passes INT64_MAX. */
OCTET_API int64_t octet_tensor_count(const octet_tensor *tensor);

/* Number of bytes, or -1 as above. */
OCTET_API int64_t octet_tensor_bytes(const octet_tensor *tensor);

/* Writes "[1, 3, 224, 224]" (a free dimension as "N"). Returns text. */
OCTET_API const char *octet_shape_text(char *text, size_t size, const int64_t *dims, int rank);

#endif
