/* SPDX-License-Identifier: Apache-2.0 */
/* Conv, Gemm and MatMul as rows of a table, and where their elements lie channels last. */
#ifndef OCTET_TESTS_OPS_PRODUCT_CASE_H
#define OCTET_TESTS_OPS_PRODUCT_CASE_H

#include "case.h"

#include "ops/attrs.h"

typedef struct product_shape {
    const char *op;
    int         images, channels, filters;
    int         group; /* Gemm: 2 is transB */
    int         in[2]; /* MatMul: in[1] rows a sample */
    int         kernel[2]; /* kernel[1] 0: one dimension */
    int         stride[2], dilation[2], pads[4];
} product_shape;

#define MATRIX { 1, 1 }, { 1, 1 }, { 1, 1 }, { 0, 0, 0, 0 }

static inline bool product_is_conv(const product_shape *s) { return strcmp(s->op, "Conv") == 0; }

/* Weights lie [in, out]. */
static inline bool product_turned(const product_shape *s) { return !product_is_conv(s) && s->group == 1; }

/* Dims up to the -1 that ends them. */
static inline void product_dims(int64_t *to, const int64_t *from)
{
    do *to++ = *from;
    while (*from++ >= 0);
}

/* Attributes of the node, then dims (ended by -1) of inputs 0 and 1. */
static inline void product_attrs(op_case *c, const product_shape *s, int64_t x[6], int64_t w[6])
{
    const int     rank   = s->kernel[1] ? 2 : 1;
    const int64_t in[2]  = { s->channels, s->filters };
    const bool    turned = product_turned(s);
    if (!product_is_conv(s)) {
        const bool gemm = strcmp(s->op, "Gemm") == 0;
        if (gemm) case_set_int(c, "transB", !turned);
        product_dims(x, gemm ? DIMS(s->images, s->channels) : DIMS(s->images, s->in[1], s->channels));
        product_dims(w, turned ? DIMS(in[0], in[1]) : DIMS(in[1], in[0]));
        return;
    }
    octet_window_attrs *const a = c->node.attrs;
    a->group                    = s->group;
    a->strides.count = a->dilations.count = rank;
    a->pads.count                         = 2 * rank;
    for (int i = 0; i < rank; i++) {
        a->strides.at[i]     = s->stride[i];
        a->dilations.at[i]   = s->dilation[i];
        a->pads.at[i]        = s->pads[i];
        a->pads.at[i + rank] = s->pads[i + rank];
    }
    memcpy(x, DIMS(s->images, s->channels, s->in[0], rank == 2 ? s->in[1] : -1), 5 * sizeof *x);
    memcpy(w, DIMS(s->filters, s->channels / s->group, s->kernel[0], rank == 2 ? s->kernel[1] : -1), 5 * sizeof *w);
}

/* Where element i of a tensor lies channels last. A matrix lies so already. */
static inline size_t product_place(const octet_tensor *t, const product_shape *s, size_t i)
{
    const size_t images = (size_t)t->dims[0], channels = (size_t)t->dims[1];
    const size_t pixels = (size_t)octet_tensor_count(t) / images / channels;
    if (!product_is_conv(s)) return i;
    return i / pixels / channels * pixels * channels + i % pixels * channels + i / pixels % channels;
}

#endif
