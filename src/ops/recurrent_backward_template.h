/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of recurrent_backward.c for one type. No guard: it is meant to be included again. */
#ifndef OCTET_OPS_LINEAR_BACK
#define OCTET_OPS_LINEAR_BACK
/* sums = weights * x + bias, backwards; NULL: not wanted. */
typedef struct linear_back {
    int64_t     count, depth; /* rows and columns of weights */
    const void *weights, *x, *dsums;
    void       *dweights, *dbias, *dx;
} linear_back;
#endif

static void NAME(accumulate)(T *to, const T *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] += from[i];
}

static void NAME(linear)(const linear_back *l)
{
    const T *const x = l->x, *const dsums = l->dsums;
    T *const       dweights = l->dweights, *const dx = l->dx;
    if (l->dbias) NAME(accumulate)(l->dbias, dsums, l->count);
    for (int64_t i = 0; i < l->count; i++) {
        const T *const weights = (const T *)l->weights + i * l->depth;
        for (int64_t k = 0; dweights && k < l->depth; k++) dweights[i * l->depth + k] += dsums[i] * x[k];
        for (int64_t k = 0; dx && k < l->depth; k++) dx[k] += dsums[i] * weights[k];
    }
}
