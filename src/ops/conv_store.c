/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of sums of products: bias, batch norm and activation, or the integer rule (conv_store.h). */
#include "ops/conv_store.h"

#include "ops/levels.h"

#include <math.h>
#include <string.h>

/* y = ((x + bias - mean) / sqrt(variance + epsilon)) * gamma + beta of channel c, then the activation. */
static void finish_float(const octet_call *call, size_t c, float *y, size_t n)
{
    const octet_tensor *const bias = call->in_count > 2 ? call->in[2] : NULL;
    const octet_node *const   node = call->node;
    const float               b = bias ? ((const float *)bias->data)[c] : 0.0f;
    for (size_t i = 0; i < n; i++) y[i] += b;
    if (node->batch_norm) {
        const octet_batch_norm *const norm = node->batch_norm;
        const float                   r = 1.0f / sqrtf(norm->variance[c] + norm->epsilon);
        for (size_t i = 0; i < n; i++) y[i] = (y[i] - norm->mean[c]) * r * norm->gamma[c] + norm->beta[c];
    }
    octet_activation_apply(y, n, &node->activation);
}

void octet_conv_store_f32(const octet_call *call, const octet_mac_rule *rules, size_t c, const float *sum, size_t at,
                          size_t n)
{
    (void)rules;
    float *const y = (float *)call->out[0]->data + at;
    memcpy(y, sum, n * sizeof *y);
    finish_float(call, c, y, n);
}

void octet_conv_store_f64(const octet_call *call, const octet_mac_rule *rules, size_t c, const double *sum, size_t at,
                          size_t n)
{
    (void)rules;
    const octet_tensor *const     bias = call->in_count > 2 ? call->in[2] : NULL;
    const octet_activation *const clamp = &call->node->activation;
    double *const                 y = (double *)call->out[0]->data + at;
    const double                  b = bias ? ((const double *)bias->data)[c] : 0.0;
    const octet_batch_norm *const norm = call->node->batch_norm;
    for (size_t i = 0; i < n; i++) {
        y[i] = sum[i] + b;
        if (norm)
            y[i] = (y[i] - (double)norm->mean[c]) / sqrt((double)norm->variance[c] + (double)norm->epsilon) *
                       (double)norm->gamma[c] +
                   (double)norm->beta[c];
        if (clamp->on && y[i] < (double)clamp->lo) y[i] = (double)clamp->lo;
        if (clamp->on && y[i] > (double)clamp->hi) y[i] = (double)clamp->hi;
    }
}

void octet_conv_store_narrow(const octet_call *call, const octet_mac_rule *rules, size_t c, const int32_t *sum,
                             size_t at, size_t n)
{
    octet_mac_store(call, &rules[c], sum, at, 1, n);
}

void octet_conv_store_wide(const octet_call *call, const octet_mac_rule *rules, size_t c, const int64_t *sum, size_t at,
                           size_t n)
{
    octet_mac_store_wide(call, &rules[c], sum, at, 1, n);
}
