/* SPDX-License-Identifier: Apache-2.0 */
/* What passes share that put one operator where exporters wrote several. Values that a file quantized between them are
   no part of a pattern: their rounding would be lost. */
#ifndef OCTET_PASSES_PATTERN_H
#define OCTET_PASSES_PATTERN_H

#include "passes/pass.h"

/* value is one float32 number, a constant of one element. */
bool octet_one_number(double *number, const octet_value *value);

/* The same, equal to number as far as float32 can tell (a few last bits, which exporters lose). */
bool octet_is_number(const octet_value *value, double number);

/* The node that makes value, if it is of op and value stays real; else NULL. */
octet_node *octet_made_by(const octet_value *value, const char *op);

/* value's only reader, if it is of op and value stays real; else NULL. */
octet_node *octet_read_once(const octet_value *value, const char *op);

/* The other operand of a node of two. */
static inline octet_value *octet_beside(const octet_node *node, const octet_value *value)
{
    return node->inputs[node->inputs[0] == value];
}

/* x where value is x * number or number * x, or (by Div) x / (1 / number); else NULL. */
octet_value *octet_scaled(const octet_value *value, double number);

/* x where value is x squared: Pow(x, 2) or Mul(x, x); else NULL. */
octet_value *octet_squared(const octet_value *value);

/* The last node of a chain of Muls, each the only reader of the one before, that multiplies gate by x once and by
   number once, in any order, number * x counting as both; NULL: there is none. number 1: by x alone. */
octet_node *octet_gated(octet_value *gate, const octet_value *x, double number);

/* A node of op with these inputs makes last's result instead of it; last disappears, and so will what only it read.
   The new node has last's name, and its attributes are at their defaults. */
octet_status octet_replace_pattern(octet_node **node, octet_graph *graph, octet_node *last, const octet_op *op,
                                   octet_value *const *inputs, octet_error *err);

/* Sets an attribute of float or int, or of text (kept as it is), that node's operator has. */
void octet_set_float(octet_node *node, const char *name, float value);
void octet_set_int(octet_node *node, const char *name, int64_t value);
void octet_set_text(octet_node *node, const char *name, const char *text);

#endif
