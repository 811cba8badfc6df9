/* SPDX-License-Identifier: Apache-2.0 */
/* Mean bias correction of the weight rounding: rounding weights shifts every output channel by the mean over positions
   of (W - Wq) applied to the mean input. That shift is known from calibration alone, so it is taken back. */
#include "quantize/calibration.h"

#include "base/channels.h"
#include "ops/levels.h"
#include "ops/mode.h"
#include "passes/integerize.h"
#include "passes/pass.h"

#include <math.h>
#include <string.h>

static const octet_mean *mean_of(const octet_calibration *c, const octet_value *value)
{
    const octet_mean *const mean = c->watches[value->index].mean;
    return mean && mean->sum ? mean : NULL;
}

/* W - Wq, real numbers, in W's layout: Wq is what node's weights become, W what they were before any step. */
static octet_status rounding_error(float *error, const octet_node *node, const float *before, octet_arena *arena,
                                   octet_error *err)
{
    const octet_tensor *const  w     = node->inputs[1]->constant;
    const octet_qparams *const q     = &node->inputs[1]->fake_quantize->qparams;
    const float *const         real  = w->data;
    const int64_t              count = octet_tensor_count(w);
    int64_t                    inner = q->count > 1 ? 1 : count;
    int32_t                   *row;
    for (int i = q->axis + 1; q->count > 1 && i < w->rank; i++) inner *= w->dims[i];
    OCTET_TRY(octet_arena_get(&row, arena, (size_t)inner, sizeof *row, err));
    for (int64_t at = 0; at < count; at += inner) {
        const int64_t          c  = at / inner % q->count;
        const octet_level_rule to = { q->scale[c], q->zero_point[c], q->qmin, q->qmax };
        octet_profile_octet.quantize(row, real + at, (size_t)inner, &to);
        for (int64_t i = 0; i < inner; i++)
            error[at + i] = before[at + i] - (float)(row[i] - to.zero_point) * to.scale;
    }
    return OCTET_OK;
}

octet_status octet_mean_image(octet_tensor *x, const octet_calibration *c, const octet_node *node, octet_arena *arena,
                              octet_error *err)
{
    const octet_mean *const mean = mean_of(c, node->inputs[0]);
    float                  *image;
    OCTET_TRY(octet_arena_get(&image, arena, mean->count, sizeof *image, err));
    for (size_t i = 0; i < mean->count; i++) image[i] = (float)octet_mean_at(mean, i, c->samples);
    *x      = octet_value_tensor(node->inputs[0], 1);
    x->data = image;
    return OCTET_OK;
}

octet_status octet_weighted_apply(octet_tensor *out, const octet_node *node, const octet_tensor *x,
                                  const octet_tensor *weight, octet_arena *arena, octet_error *err)
{
    octet_node bare = *node;
    bare.activation = (octet_activation){ 0 };
    *out            = octet_value_tensor(node->outputs[0], 1);
    const octet_tensor *const in[]   = { x, weight };
    octet_tensor *const       outs[] = { out };
    octet_call call = { .node = &bare, .attrs = bare.attrs, .in = in, .out = outs, .in_count = 2, .out_count = 1,
                        .arena = arena, .threads = 1 };
    OCTET_TRY(octet_arena_get(&out->data, arena, (size_t)octet_tensor_count(out), sizeof(float), err));
    const size_t scratch = node->op->scratch_size ? node->op->scratch_size(&call, false) : 0;
    OCTET_TRY(octet_arena_get(&call.scratch, arena, scratch, 1, err));
    return node->op->forward(&call, err);
}

/* Adds to each channel's bias the mean over positions of shift [outer, channels, inner]. */
static void add_means(float *bias, const octet_tensor *shift, int axis)
{
    const octet_channel_shape s  = octet_channels_along(shift, axis);
    const float *const        at = shift->data;
    for (size_t c = 0; c < s.channels; c++) {
        double sum = 0;
        for (size_t o = 0; o < s.outer; o++)
            for (size_t i = 0; i < s.inner; i++) sum += at[(o * s.channels + c) * s.inner + i];
        const double mean = sum / (double)(s.outer * s.inner);
        if (isfinite(mean)) bias[c] = (float)(bias[c] + mean);
    }
}

/* W before its rounding and the mean input of a node. */
typedef struct known {
    const float  *before;
    octet_tensor  mean;
} known;

static octet_status correct(octet_graph *graph, octet_node *node, const known *k, octet_arena *arena,
                            octet_error *err)
{
    octet_tensor weight = *node->inputs[1]->constant, shift;
    OCTET_TRY(octet_arena_get(&weight.data, arena, (size_t)octet_tensor_count(&weight), sizeof(float), err));
    OCTET_TRY(rounding_error(weight.data, node, k->before, arena, err));
    OCTET_TRY(octet_weighted_apply(&shift, node, &k->mean, &weight, arena, err));
    const int     axis     = octet_channel_axis(node, shift.rank);
    const int64_t channels = shift.dims[axis];
    OCTET_TRY(octet_ensure_bias(graph, node, channels, err));
    octet_tensor bias = *node->inputs[2]->constant;
    bias.data         = octet_arena_copy_bytes(arena, bias.data, (size_t)channels * sizeof(float));
    if (!bias.data) return octet_fail_memory(err);
    add_means(bias.data, &shift, axis);
    return octet_replace_constant(graph, node, 2, &bias, err);
}

octet_status octet_correct_bias(octet_graph *graph, octet_node *node, const float *before, const octet_tensor *mean,
                                octet_error *err)
{
    const bool can = octet_sums_integers(node) && octet_constant_floats(node->inputs[1]) &&
                     octet_node_takes_bias(node) && (mean || mean_of(graph->calibration, node->inputs[0]));
    if (!can) return OCTET_OK;
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    octet_status status = OCTET_OK;
    known        k      = { before ? before : octet_constant_floats(node->inputs[1]), { 0 } };
    if (mean) k.mean = *mean;
    else status = octet_mean_image(&k.mean, graph->calibration, node, arena, err);
    if (status == OCTET_OK) status = correct(graph, node, &k, arena, err);
    octet_arena_free(arena);
    return status;
}

octet_status octet_correct_means(octet_graph *graph, octet_error *err)
{
    const octet_calibration *const c       = graph->calibration;
    const bool                     correct = !c->qconfig.no_bias_correction && !graph->biases_corrected;
    for (octet_node *n = graph->first; n; n = n->next) {
        if (!octet_sums_integers(n) || c->target->real_bias) continue;
        OCTET_TRY(octet_raise_weight_scales(graph, n, err));
        if (correct) OCTET_TRY(octet_correct_bias(graph, n, NULL, NULL, err));
    }
    return OCTET_OK;
}
