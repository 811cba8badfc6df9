/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX's numbers of types, for attributes that name one. */
#ifndef OCTET_OPS_CAST_H
#define OCTET_OPS_CAST_H

#include "graph/op.h"

/* The type that an attribute, called field, gives as TensorProto.DataType. */
octet_status octet_cast_type(octet_dtype *dtype, int64_t number, const char *field, octet_error *err);

#endif
