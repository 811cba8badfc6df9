/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator, sorted by ONNX name. Adding one means adding its line here: OCTET_OP(x) is the row octet_op_x. */
