/* SPDX-License-Identifier: Apache-2.0 */
/* A convolution, plain or transposed (or Linear: one place, a kernel of 1), batch norm and Relu with their gradients,
   written plainly in double: what PyTorch's test_quantize_eager_qat.py compares its fused modules with. Unfused is
   Conv -> BatchNorm -> Relu; folded is its _ReferenceConvBnNd, which scales weights before FakeQuantize and divides the
   product again. */
#ifndef OCTET_TESTS_SEED_PLAIN_NORM_H
#define OCTET_TESTS_SEED_PLAIN_NORM_H

#include "support.h"

#include "train/fake_quantize.h"

enum { PLAIN_WEIGHTS = 1024, PLAIN_CHANNELS = 16, PLAIN_VALUES = 1 << 15 };

typedef struct plain_layer {
    int    rank; /* of the input: 2 is Linear, 3 has a depth and height of 1 */
    bool   turned; /* ConvTranspose */
    int    batch, groups, in, out; /* channels of one group */
    int    size[3], kernel[3], stride[3], pad[3], dilation[3];
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
    const int reach = l->dilation[axis] * (l->kernel[axis] - 1) + 1;
    if (l->turned) return (l->size[axis] - 1) * l->stride[axis] - 2 * l->pad[axis] + reach;
    return (l->size[axis] + 2 * l->pad[axis] - reach) / l->stride[axis] + 1;
}

static inline int plain_channels(const plain_layer *l) { return l->groups * l->out; }
static inline int plain_places(const plain_layer *l) { return plain_out(l, 0) * plain_out(l, 1) * plain_out(l, 2); }
static inline int plain_taps(const plain_layer *l) { return l->kernel[0] * l->kernel[1] * l->kernel[2]; }
static inline int plain_kernel(const plain_layer *l) { return l->in * plain_taps(l); }
static inline int plain_inputs(const plain_layer *l)
{
    return l->batch * l->groups * l->in * l->size[0] * l->size[1] * l->size[2];
}
static inline int plain_outputs(const plain_layer *l) { return l->batch * plain_channels(l) * plain_places(l); }

/* Where the i-th weight of output channel c lies. */
static inline int plain_weight_at(const plain_layer *l, int c, int i)
{
    const int taps = plain_taps(l), in = i / taps;
    return l->turned ? ((c / l->out * l->in + in) * l->out + c % l->out) * taps + i % taps : c * plain_kernel(l) + i;
}

/* ---- the product ---- */

/* z given: forward. Else from dz to dx and dw, which are added to. */
typedef struct plain_product {
    const double *x, *w, *dz;
    double       *z, *dx, *dw;
} plain_product;

/* The input coordinate that tap k of output o reads; false: none. */
static inline bool plain_source(int *to, const plain_layer *l, int axis, int o, int k)
{
    const int reach = k * l->dilation[axis];
    *to = l->turned ? o + l->pad[axis] - reach : o * l->stride[axis] - l->pad[axis] + reach;
    if (l->turned && *to % l->stride[axis]) return false;
    if (l->turned) *to /= l->stride[axis];
    return *to >= 0 && *to < l->size[axis];
}

/* One output at (n, c, place): all pairs of an input and a weight. */
static inline void plain_output(const plain_layer *l, const plain_product *p, const int at[3])
{
    const int w = plain_out(l, 2), h = plain_out(l, 1);
    const int o = (at[0] * plain_channels(l) + at[1]) * plain_places(l) + at[2];
    const int first = at[1] / l->out * l->in, taps = plain_taps(l);
    for (int c = 0; c < l->in; c++)
        for (int i = 0; i < taps; i++) {
            int z, y, x;
            if (!plain_source(&z, l, 0, at[2] / w / h, i / l->kernel[2] / l->kernel[1]) ||
                !plain_source(&y, l, 1, at[2] / w % h, i / l->kernel[2] % l->kernel[1]) ||
                !plain_source(&x, l, 2, at[2] % w, i % l->kernel[2]))
                continue;
            const int image = at[0] * l->groups * l->in + first + c;
            const int from = ((image * l->size[0] + z) * l->size[1] + y) * l->size[2] + x;
            const int k = plain_weight_at(l, at[1], c * taps + i);
            if (p->z) p->z[o] += p->x[from] * p->w[k];
            if (p->dx) p->dx[from] += p->dz[o] * p->w[k];
            if (p->dw) p->dw[k] += p->dz[o] * p->x[from];
        }
}

static inline void plain_multiply(const plain_layer *l, const plain_product *p)
{
    for (int n = 0; n < l->batch; n++)
        for (int c = 0; c < plain_channels(l); c++)
            for (int i = 0; i < plain_places(l); i++) plain_output(l, p, (int[]){ n, c, i });
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
    for (int k = 0; k < kernel; k++) {
        const int i  = plain_weight_at(&n->layer, c, k);
        n->used[i]   = n->value.weight[i] * n->k[c];
        n->inside[i] = true;
        if (!n->fake) continue;
        const float scale = n->fake->scale[c % n->fake->channels];
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
    for (int w = 0; n->folded && w < plain_channels(l) * plain_kernel(l); w++) {
        const int c = w / plain_kernel(l), i = plain_weight_at(l, c, w % plain_kernel(l));
        if (!n->inside[i]) n->gradient.weight[i] = 0;
        dk[c] += n->gradient.weight[i] * n->value.weight[i];
        n->gradient.weight[i] *= n->k[c];
    }
    for (int c = 0; n->folded && c < plain_channels(l); c++) n->gradient.gamma[c] += dk[c] / n->deviation[c];
}

#endif
