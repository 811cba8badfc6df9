/* SPDX-License-Identifier: Apache-2.0 */
/* Rounding the weights of output channels so that e H e of each is least, where e is what rounding leaves and H the
   second moments of the inputs. */
#ifndef OCTET_QUANTIZE_ROUND_ROWS_H
#define OCTET_QUANTIZE_ROUND_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* H and its factor: products = factor * factor^T, factor lower triangular. */
typedef struct octet_quadratic {
    size_t  terms;
    double *products; /* [terms][terms], symmetric; octet_quadratic_factor makes it positive definite */
    double *factor;   /* [terms][terms]; above its diagonal: rubbish */
} octet_quadratic;

/* Adds to the diagonal of products what makes them positive definite, and factors them. */
void octet_quadratic_factor(octet_quadratic *h, int threads);

enum { OCTET_ROWS = 16 };

/* At most OCTET_ROWS output channels. */
typedef struct octet_rounded_rows {
    size_t        count;
    const double *target; /* [count][terms]: weights in levels, real numbers */
    int32_t      *level;  /* [count][terms], in: nearest; out: rounded, never worse than nearest */
    int32_t       lo, hi; /* of levels */
    double       *e, *g;  /* room, [count][terms] each */
} octet_rounded_rows;

/* Error feedback from the last term to the first, then single levels as long as any change helps. error[r] = e H e. */
void octet_round_rows(double *error, const octet_rounded_rows *rows, const octet_quadratic *h);

/* e H e of levels as they are. */
void octet_rows_error(double *error, const octet_rounded_rows *rows, const octet_quadratic *h);

#endif
