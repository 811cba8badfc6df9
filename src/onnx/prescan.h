/* SPDX-License-Identifier: Apache-2.0 */
/* A look at the bytes of a protobuf message before anything is unpacked: well formed, and within limits. */
#ifndef OCTET_ONNX_PRESCAN_H
#define OCTET_ONNX_PRESCAN_H

#include <octet/graph.h>

#include <protobuf-c/protobuf-c.h>

/* Whether bytes are a well formed message of the type, no deeper and no larger than limits (NULL: defaults) allow.
   After OCTET_OK, unpacking can fail for want of memory only. Allocates nothing. */
octet_status octet_prescan(const void *bytes, size_t size, const ProtobufCMessageDescriptor *type,
                           const octet_limits *limits, octet_error *err);

#endif
