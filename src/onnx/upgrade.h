/* SPDX-License-Identifier: Apache-2.0 */
/* What the functions that upgrade a raw node share. */
#ifndef OCTET_ONNX_UPGRADE_H
#define OCTET_ONNX_UPGRADE_H

#include "onnx/read.h"

typedef octet_status (*octet_upgrade_function)(octet_reader *reader, octet_raw_node *raw, octet_error *err);

/* apply is called for nodes of op in files whose opset is below the given one. */
typedef struct octet_upgrade_row {
    const char            *op;
    int                    below;
    octet_upgrade_function apply;
} octet_upgrade_row;

extern const octet_upgrade_row octet_upgrade_rows[]; /* ends with op == NULL; upgrade_rows.c */

/* QLinearConv and its like (qlinear.c): the plain operator between DequantizeLinear and QuantizeLinear nodes. */
octet_status octet_upgrade_qlinear(octet_reader *reader, octet_raw_node *raw, octet_error *err);

/* FusedConv, Gelu, ... of com.microsoft (microsoft.c): the operators of ONNX that they mean. */
octet_status octet_upgrade_microsoft(octet_reader *reader, octet_raw_node *raw, octet_error *err);

/* MatMulNBits, DynamicQuantizeMatMul and MatMulIntegerToFloat of com.microsoft (microsoft_products.c). */
octet_status octet_microsoft_narrow_product(octet_reader *reader, octet_raw_node *raw, octet_error *err);
octet_status octet_microsoft_dynamic_product(octet_reader *reader, octet_raw_node *raw, octet_error *err);
octet_status octet_microsoft_integer_product(octet_reader *reader, octet_raw_node *raw, octet_error *err);

/* A type that octet computes in float32 (half.c), wherever an attribute names it. */
octet_status octet_half_attributes(octet_reader *reader, octet_raw_node *raw, octet_error *err);

/* Takes the attribute of that name off the list; NULL where it is not given. type is ONNX's number of the type it must
   have. */
octet_status octet_raw_take(const Onnx__AttributeProto **attribute, octet_raw_node *raw, const char *name, int type,
                            octet_error *err);

octet_status octet_raw_give_int(octet_reader *reader, octet_raw_node *raw, const char *name, int64_t value,
                                octet_error *err);
octet_status octet_raw_give_float(octet_reader *reader, octet_raw_node *raw, const char *name, float value,
                                  octet_error *err);
octet_status octet_raw_give_string(octet_reader *reader, octet_raw_node *raw, const char *name, const char *value,
                                   octet_error *err);

/* slot may lie past the inputs so far: those between are left out. */
void octet_raw_set_input(octet_raw_node *raw, int slot, octet_value *value);

/* Input slot becomes a new constant; name is the last part of its name. rank 0 or 1. */
octet_status octet_raw_give_tensor(octet_reader *reader, octet_raw_node *raw, int slot, const char *name,
                                   const octet_tensor *tensor, octet_error *err);

/* A node beside raw, named after it; inputs and outputs are empty, with room. */
octet_status octet_raw_new(octet_raw_node *fresh, octet_reader *reader, const octet_raw_node *raw, const char *op,
                           octet_error *err);

/* An operator of up to three inputs in front of raw; *result is its output. */
octet_status octet_raw_in_front(octet_value **result, octet_reader *reader, const octet_raw_node *raw, const char *op,
                                octet_value *const inputs[3], octet_error *err);

/* An operator behind raw: it makes raw's result of what raw makes from now on, its input 0. The caller gives it
   attributes and other inputs, and emits it. Nodes behind raw are made from the last to the first. */
octet_status octet_raw_behind(octet_raw_node *node, octet_reader *reader, octet_raw_node *raw, const char *op,
                              octet_error *err);

/* NULL where it is left out. */
octet_value *octet_raw_input(const octet_raw_node *raw, int slot);

/* Fails where one of the first count inputs is left out. */
octet_status octet_raw_need(const octet_raw_node *raw, int count, octet_error *err);

#endif
