/* SPDX-License-Identifier: Apache-2.0 */
/* How two tensors differ, gathered piece by piece. Zeroed = nothing seen. */
#ifndef OCTET_MEASURE_DIFFER_H
#define OCTET_MEASURE_DIFFER_H

#include <octet/diff.h>

#include "measure/sqnr.h"

typedef struct octet_differ {
    uint64_t           count, differing;
    bool               levels, reals; /* what has been seen */
    octet_level_counts level;
    octet_sqnr         real;
} octet_differ;

/* Adds the elements of measured and reference, in their order. Levels are compared as such where both are levels with
   one scale, the same: their distances from the zero points. Everything else is compared as real numbers. Of other
   types, or of different counts: adds nothing. */
void octet_differ_add(octet_differ *differ, const octet_tensor *measured, const octet_tensor *reference);

void octet_level_counts_merge(octet_level_counts *into, const octet_level_counts *from);

octet_tensor_diff octet_differ_result(const octet_differ *differ);

#endif
