/* SPDX-License-Identifier: Apache-2.0 */
/* Levels of one scale and zero point to another, and what follows from it: how any operator that only moves elements
   runs on levels. */
#ifndef OCTET_OPS_RESCALE_H
#define OCTET_OPS_RESCALE_H

#include "ops/levels.h"

/* Same per-tensor scale, zero point and type: levels can be copied. */
bool octet_qparams_equal(const octet_qparams *a, const octet_qparams *b);

/* levels[i] = in's element first + i, in units of to; in and to are per tensor. */
void octet_rescale_row(int32_t *levels, const octet_tensor *in, size_t first, size_t n, const octet_level_rule *to,
                       const octet_profile *profile);

/* Runs move, which only moves elements from input 0 to the outputs, on levels; an output with other parameters than
   input 0 (or none) is rescaled afterwards. Needs octet_levels_scratch() bytes, before those that move needs. */
octet_status octet_forward_levels(const octet_call *call, octet_forward move, octet_error *err);

/* A forward_integer for operators that only move elements: the operator's own forward as move. */
octet_status octet_move_levels(const octet_call *call, octet_error *err);
size_t       octet_levels_scratch(const octet_call *call, bool integer);

#endif
