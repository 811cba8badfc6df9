/* SPDX-License-Identifier: Apache-2.0 */
/* Dynamic quantization in files. */
#ifndef OCTET_ONNX_DYNAMIC_H
#define OCTET_ONNX_DYNAMIC_H

/* Metadata "octet.dynamic:NODE" = "tensor", "row" or "reduced": how a node whose weights are dequantized in the file is
   meant, where ONNX's integer operators cannot say it. */
#define OCTET_DYNAMIC_METADATA "octet.dynamic:"

#endif
