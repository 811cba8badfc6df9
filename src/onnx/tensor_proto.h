/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto to tensor: every size is checked against the shape before a byte is copied. */
#ifndef OCTET_ONNX_TENSOR_PROTO_H
#define OCTET_ONNX_TENSOR_PROTO_H

#include "base/arena.h"
#include "base/file.h"

#include <octet/tensor.h>

typedef struct Onnx__TensorProto Onnx__TensorProto;

/* Where tensors may keep their data outside the model. Zeroed except folder = nothing open yet. */
typedef struct octet_external {
    const char *folder;   /* of the model; NULL: external data is refused */
    const char *location; /* of the file that is open, relative to folder; NULL: none */
    octet_file  file;
} octet_external;

void octet_external_close(octet_external *external);

/* 2 or 4 where proto's numbers are of so few bits: they are read as s8 or u8, one a byte. 0 otherwise. */
int octet_narrow_bits(const Onnx__TensorProto *proto);

/* The tensor that proto holds, its data copied into arena. err has the field and the reason, but not the name. */
octet_status octet_tensor_from_proto(octet_tensor *tensor, const Onnx__TensorProto *proto, octet_external *external,
                                     octet_arena *arena, octet_error *err);

/* A whole file that holds one TensorProto (as ONNX's test data do). name (may be NULL) becomes its name, or "". */
octet_status octet_tensor_proto_read(octet_tensor *tensor, const char **name, const void *bytes, size_t size,
                                     octet_arena *arena, octet_error *err);

/* ONNX's number of a type to ours; OCTET_ERR_UNSUPPORTED or OCTET_ERR_FORMAT names what it is. */
octet_status octet_dtype_from_onnx(octet_dtype *dtype, int64_t number, octet_error *err);
int          octet_dtype_to_onnx(octet_dtype dtype);

/* The type of the same levels two in a byte: of u8 UINT4, of s8 INT4. */
int octet_dtype_to_onnx_packed(octet_dtype dtype);

#endif
