/* SPDX-License-Identifier: Apache-2.0 */
/* BatchNormalization that only a Conv reads moves into it: w' = w k, b' = b + the sum over a filter of w shift, with
   k = gamma / sqrt(var + epsilon) and shift = beta - mean k of its input channels. Precondition: the Conv pads nothing
   (padding is 0 behind the BatchNormalization, and would have to be shift / k), both with constants, nothing between
   quantized, the BatchNormalization not one of training. */
#include "passes/pattern.h"

#include "ops/attrs.h"

#include <math.h>
#include <string.h>

static bool pads_nothing(const octet_node *conv)
{
    const octet_window_attrs *const a = conv->attrs;
    if (!strcmp(a->auto_pad, "VALID")) return true;
    if (strcmp(a->auto_pad, "NOTSET") != 0) return false;
    for (int i = 0; i < a->pads.count; i++)
        if (a->pads.at[i]) return false;
    return true;
}

static bool fits(const octet_node *norm, const octet_node *conv)
{
    const octet_batch_norm_attrs *const attrs = norm->attrs;
    if (attrs->training_mode || norm->activation.on || conv->inputs[0] != norm->outputs[0] || conv->batch_norm)
        return false;
    if (!pads_nothing(conv) || !octet_constant_floats(conv->inputs[1]) || conv->inputs[1]->fake_quantize) return false;
    if (conv->input_count > 2 && conv->inputs[2] && !octet_constant_floats(conv->inputs[2])) return false;
    const int64_t channels = conv->inputs[1]->constant->dims[1] * ((const octet_window_attrs *)conv->attrs)->group;
    for (int i = 1; i < 5; i++)
        if (!octet_constant_floats(norm->inputs[i]) || octet_tensor_count(norm->inputs[i]->constant) != channels)
            return false;
    return true;
}

typedef struct affine {
    const float *gamma, *beta, *mean, *variance;
    double       epsilon;
} affine;

static double factor(const affine *a, int64_t c) { return a->gamma[c] / sqrt((double)a->variance[c] + a->epsilon); }

static octet_status fold(octet_graph *graph, octet_node *norm, octet_node *conv, octet_error *err)
{
    const octet_tensor *const w = conv->inputs[1]->constant;
    const int64_t out = w->dims[0], in = w->dims[1], taps = octet_tensor_count(w) / (out * in);
    const int64_t each = out / ((const octet_window_attrs *)conv->attrs)->group; /* filters of a group */
    const affine  a = { octet_constant_floats(norm->inputs[1]), octet_constant_floats(norm->inputs[2]),
                        octet_constant_floats(norm->inputs[3]), octet_constant_floats(norm->inputs[4]),
                        (double)((const octet_batch_norm_attrs *)norm->attrs)->epsilon };
    OCTET_TRY(octet_ensure_bias(graph, conv, out, err));
    octet_tensor       weight = *w, bias = *conv->inputs[2]->constant;
    const float *const old = w->data, *const old_bias = bias.data;
    float             *fresh, *sums;
    OCTET_TRY(octet_arena_get(&fresh, graph->arena, (size_t)(out * in * taps), sizeof *fresh, err));
    OCTET_TRY(octet_arena_get(&sums, graph->arena, (size_t)out, sizeof *sums, err));
    for (int64_t o = 0; o < out; o++) {
        double sum = old_bias[o];
        for (int64_t i = 0; i < in * taps; i++) {
            const int64_t at = o * in * taps + i, c = o / each * in + i / taps;
            const double  k = factor(&a, c);
            sum += old[at] * (a.beta[c] - a.mean[c] * k);
            fresh[at] = (float)(old[at] * k);
        }
        sums[o] = (float)sum;
    }
    weight.data = fresh, bias.data = sums;
    OCTET_TRY(octet_replace_constant(graph, conv, 1, &weight, err));
    OCTET_TRY(octet_replace_constant(graph, conv, 2, &bias, err));
    OCTET_TRY(octet_node_merge_name(graph, conv, norm->name, err));
    OCTET_TRY(octet_node_set_input(graph, conv, 0, norm->inputs[0], err));
    octet_node_remove(graph, norm);
    return OCTET_OK;
}

octet_status octet_pass_batch_norm_before(octet_graph *graph, octet_error *err)
{
    for (octet_node *n = graph->first, *next; n; n = next) {
        next = n->next;
        octet_node *const conv = octet_node_is(n, "BatchNormalization") ? octet_read_once(n->outputs[0], "Conv") : NULL;
        if (conv && fits(n, conv)) OCTET_TRY(fold(graph, n, conv, err));
    }
    return OCTET_OK;
}
