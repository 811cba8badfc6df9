/* SPDX-License-Identifier: Apache-2.0 */
/* Declares the row of every operator, octet_op_<x>, for the families that define them and for table.c; and what many
   rows begin with. */
#ifndef OCTET_OPS_ROWS_H
#define OCTET_OPS_ROWS_H

#include "graph/op.h"

#define OCTET_OP(x) extern const octet_op octet_op_##x;
#include "ops/list.h"
#undef OCTET_OP

#define OCTET_ONE_TO_ONE .min_inputs = 1, .max_inputs = 1, .min_outputs = 1, .max_outputs = 1

#endif
