/* SPDX-License-Identifier: Apache-2.0 */
/* A convolution (or Linear: one place, a kernel of 1 x 1), batch norm and Relu with their gradients, written plainly in
   double: what PyTorch's test_quantize_eager_qat.py compares its fused modules with. Unfused is Conv -> BatchNorm ->
   Relu; folded is its _ReferenceConvBnNd, which scales weights before FakeQuantize and divides the product again. */
#ifndef OCTET_TESTS_SEED_PLAIN_NORM_H
#define OCTET_TESTS_SEED_PLAIN_NORM_H

#include "support.h"

#include "train/fake_quantize.h"

enum { PLAIN_WEIGHTS = 1024, PLAIN_CHANNELS = 16, PLAIN_VALUES = 1 << 14 };

typedef struct plain_layer {
    int    rank; /* of the input: 2 is Linear, 3 has a height of 1 */
    int    batch, groups, in, out; /* channels of one group */
    int    size[2], kernel[2], stride[2], pad[2], dilation[2];
    bool   bias, relu, frozen, slow, zero_gamma;
    float  epsilon, momentum; /* PyTorch's: the share of the batch */
} plain_layer;

typedef struct plain_numbers {
    double weight[PLAIN_WEIGHTS], bias[PLAIN_CHANNELS], gamma[PLAIN_CHANNELS], beta[PLAIN_CHANNELS];
} plain_numbers;

typedef struct plain_net {
    plain_layer          layer;
    bool                 folded;
    const octet_trained *fake; /* of folded: scale and levels; NULL: none */
    plain_numbers        value, gradient;
    double               mean[PLAIN_CHANNELS], variance[PLAIN_CHANNELS];             /* running */
    double               center[PLAIN_CHANNELS], rstd[PLAIN_CHANNELS];               /* that the last pass used */
    double               k[PLAIN_CHANNELS], deviation[PLAIN_CHANNELS], used[PLAIN_WEIGHTS];
    bool                 inside[PLAIN_WEIGHTS]; /* the levels */
    double               z[PLAIN_VALUES], u[PLAIN_VALUES], y[PLAIN_VALUES], dx[PLAIN_VALUES];
} plain_net;

static inline int plain_out(const plain_layer *l, int axis)
{
    return (l->size[axis] + 2 * l->pad[axis] - l->dilation[axis] * (l->kernel[axis] - 1) - 1) / l->stride[axis] + 1;
}

static inline int plain_channels(const plain_layer *l) { return l->groups * l->out; }
static inline int plain_places(const plain_layer *l) { return plain_out(l, 0) * plain_out(l, 1); }
static inline int plain_kernel(const plain_layer *l) { return l->in * l->kernel[0] * l->kernel[1]; }
static inline int plain_inputs(const plain_layer *l)
{
    return l->batch * l->groups * l->in * l->size[0] * l->size[1];
}
static inline int plain_outputs(const plain_layer *l) { return l->batch * plain_channels(l) * plain_places(l); }
static inline int plain_weights(const plain_layer *l) { return plain_channels(l) * plain_kernel(l); }

/* ---- the product ---- */

/* z given: forward. Else from dz to dx and dw, which are added to. */
typedef struct plain_product {
    const double *x, *w, *dz;
    double       *z, *dx, *dw;
} plain_product;

/* One output at (n, c, oy, ox): all pairs of an input and a weight. */
static inline void plain_output(const plain_layer *l, const plain_product *p, const int at[4])
{
    const int o = ((at[0] * plain_channels(l) + at[1]) * plain_out(l, 0) + at[2]) * plain_out(l, 1) + at[3];
    const int first = at[1] / l->out * l->in;
    for (int c = 0; c < l->in; c++)
        for (int i = 0; i < l->kernel[0] * l->kernel[1]; i++) {
            const int y = at[2] * l->stride[0] - l->pad[0] + i / l->kernel[1] * l->dilation[0];
            const int x = at[3] * l->stride[1] - l->pad[1] + i % l->kernel[1] * l->dilation[1];
            if (y < 0 || y >= l->size[0] || x < 0 || x >= l->size[1]) continue;
            const int from = ((at[0] * l->groups * l->in + first + c) * l->size[0] + y) * l->size[1] + x;
            const int k = (at[1] * l->in + c) * l->kernel[0] * l->kernel[1] + i;
            if (p->z) p->z[o] += p->x[from] * p->w[k];
            if (p->dx) p->dx[from] += p->dz[o] * p->w[k];
            if (p->dw) p->dw[k] += p->dz[o] * p->x[from];
        }
}

static inline void plain_multiply(const plain_layer *l, const plain_product *p)
{
    for (int n = 0; n < l->batch; n++)
        for (int c = 0; c < plain_channels(l); c++)
            for (int i = 0; i < plain_places(l); i++)
                plain_output(l, p, (int[]){ n, c, i / plain_out(l, 1), i % plain_out(l, 1) });
}

/* The n-th of channel c's numbers in a value of the output's shape. */
static inline int plain_at(const plain_layer *l, int c, int i)
{
    const int places = plain_places(l);
    return (i / places * plain_channels(l) + c) * places + i % places;
}

static inline int plain_count(const plain_layer *l) { return l->batch * plain_places(l); }

/* ---- forward ---- */

/* Scaled weights, rounded as FakeQuantize does where there is one: to float32, by a true division. */
static inline void plain_fold(plain_net *n, int c)
{
    const int kernel = plain_kernel(&n->layer);
    n->deviation[c]  = sqrt(n->variance[c] + (double)n->layer.epsilon);
    n->k[c]          = n->value.gamma[c] / n->deviation[c];
    for (int i = c * kernel; i < (c + 1) * kernel; i++) {
        n->used[i]   = n->value.weight[i] * n->k[c];
        n->inside[i] = true;
        if (!n->fake) continue;
        const float scale = n->fake->scale[n->fake->channels > 1 ? c : 0];
        const float level = rintf((float)n->used[i] / scale), lo = (float)n->fake->qmin, hi = (float)n->fake->qmax;
        n->inside[i]      = level >= lo && level <= hi;
        n->used[i]        = (double)(fminf(fmaxf(level, lo), hi) * scale);
    }
}

/* Mean and deviation of the batch move the running ones; frozen takes those as they are. */
static inline void plain_statistics(plain_net *n, int c)
{
    const plain_layer *const l = &n->layer;
    const double count = plain_count(l), share = 1 - (double)(1 - l->momentum);
    double       mean = 0, variance = 0;
    for (int i = 0; i < plain_count(l); i++) mean += n->u[plain_at(l, c, i)] / count;
    for (int i = 0; i < plain_count(l); i++) variance += pow(n->u[plain_at(l, c, i)] - mean, 2) / count;
    if (!l->frozen) {
        n->mean[c] += share * (mean - n->mean[c]);
        n->variance[c] += share * (variance * count / (count - 1) - n->variance[c]);
    }
    n->center[c] = l->frozen ? n->mean[c] : mean;
    n->rstd[c]   = 1 / sqrt((l->frozen ? n->variance[c] : variance) + (double)l->epsilon);
}

UNUSED static void plain_forward(plain_net *n, const double *x)
{
    const plain_layer *const l = &n->layer;
    memset(n->z, 0, sizeof n->z);
    for (int c = 0; n->folded && c < plain_channels(l); c++) plain_fold(n, c);
    plain_multiply(l, &(plain_product){ .x = x, .w = n->folded ? n->used : n->value.weight, .z = n->z });
    for (int c = 0; c < plain_channels(l); c++) {
        for (int i = 0; i < plain_count(l); i++) {
            const int at = plain_at(l, c, i);
            n->u[at]     = (n->folded ? n->z[at] / n->k[c] : n->z[at]) + n->value.bias[c];
        }
        plain_statistics(n, c);
        for (int i = 0; i < plain_count(l); i++) {
            const int    at = plain_at(l, c, i);
            const double y  = n->value.gamma[c] * (n->u[at] - n->center[c]) * n->rstd[c] + n->value.beta[c];
            n->y[at]        = l->relu && y < 0 ? 0 : y;
        }
    }
}

/* ---- backward ---- */

/* d: of y, becomes that of u. */
static inline void plain_norm_backward(plain_net *n, int c, double *d)
{
    const plain_layer *const l = &n->layer;
    const double count = plain_count(l);
    double       sum = 0, along = 0;
    for (int i = 0; i < plain_count(l); i++) {
        const int at = plain_at(l, c, i);
        if (l->relu && n->y[at] <= 0) d[at] = 0;
        sum += d[at];
        along += d[at] * (n->u[at] - n->center[c]) * n->rstd[c];
    }
    n->gradient.gamma[c] = along;
    n->gradient.beta[c]  = sum;
    for (int i = 0; i < plain_count(l); i++) {
        const int    at     = plain_at(l, c, i);
        const double normal = (n->u[at] - n->center[c]) * n->rstd[c];
        const double less   = l->frozen ? 0 : (sum + normal * along) / count;
        d[at]               = n->value.gamma[c] * n->rstd[c] * (d[at] - less);
    }
}

/* d: of u, becomes that of z. Returns the gradient of k through the division. */
static inline double plain_divide_backward(plain_net *n, int c, double *d)
{
    double dk = 0;
    for (int i = 0; i < plain_count(&n->layer); i++) {
        const int at = plain_at(&n->layer, c, i);
        dk -= d[at] * n->z[at] / (n->k[c] * n->k[c]);
        d[at] /= n->k[c];
    }
    return dk;
}

UNUSED static void plain_backward(plain_net *n, const double *x, const double *dy)
{
    static double d[PLAIN_VALUES];
    const plain_layer *const l = &n->layer;
    double dk[PLAIN_CHANNELS] = { 0 };
    memcpy(d, dy, (size_t)plain_outputs(l) * sizeof *d);
    memset(&n->gradient, 0, sizeof n->gradient);
    memset(n->dx, 0, sizeof n->dx);
    for (int c = 0; c < plain_channels(l); c++) {
        plain_norm_backward(n, c, d);
        for (int i = 0; l->bias && i < plain_count(l); i++) n->gradient.bias[c] += d[plain_at(l, c, i)];
        if (n->folded) dk[c] = plain_divide_backward(n, c, d);
    }
    plain_multiply(l, &(plain_product){ .x = x, .w = n->folded ? n->used : n->value.weight, .dz = d, .dx = n->dx,
                                        .dw = n->gradient.weight });
    for (int i = 0; n->folded && i < plain_weights(l); i++) {
        const int c = i / plain_kernel(l);
        if (!n->inside[i]) n->gradient.weight[i] = 0;
        dk[c] += n->gradient.weight[i] * n->value.weight[i];
        n->gradient.weight[i] *= n->k[c];
    }
    for (int c = 0; n->folded && c < plain_channels(l); c++) n->gradient.gamma[c] += dk[c] / n->deviation[c];
}

#endif
