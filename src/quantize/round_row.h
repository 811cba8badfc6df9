/* SPDX-License-Identifier: Apache-2.0 */
/* Rounding the weights of one output channel so that e H e is least, where e is what rounding leaves and H the second
   moments of the inputs. */
#ifndef OCTET_QUANTIZE_ROUND_ROW_H
#define OCTET_QUANTIZE_ROUND_ROW_H

#include <octet/error.h>

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* H and its factor: products = factor * factor^T, factor lower triangular. */
typedef struct octet_quadratic {
    size_t  terms;
    double *products; /* [terms][terms], symmetric; octet_quadratic_factor has made it positive definite */
    double *factor;   /* [terms][terms] */
} octet_quadratic;

/* Adds to the diagonal of products what makes them positive definite, and factors them. */
void octet_quadratic_factor(octet_quadratic *h, int threads);

typedef struct octet_row {
    const double *target; /* weights in levels, real numbers */
    int32_t       lo, hi; /* levels */
    int32_t      *level;  /* in: nearest; out: rounded, never worse than nearest */
    double       *room;   /* OCTET_ROW_ROOM * terms */
} octet_row;

enum { OCTET_ROW_ROOM = 3 };

/* Error feedback from the last term to the first, then single levels as long as any change helps. Returns e H e. */
double octet_round_row(const octet_row *row, const octet_quadratic *h);

/* e H e of levels. */
double octet_row_error(const octet_row *row, const octet_quadratic *h);

#endif
