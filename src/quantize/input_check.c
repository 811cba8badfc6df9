/* SPDX-License-Identifier: Apache-2.0 */
/* Whether samples look like what the network was trained on. The first batch norm remembers what its channels were on
   average; what they are with these samples follows from the mean input, since a convolution is linear. */
#include "quantize/calibration.h"

#include "base/channels.h"
#include "passes/pass.h"

#include <math.h>

/* Standard deviations of a channel, averaged over channels, beyond which data is called unusual: another data set of
   the same kind stays below 1, bytes for fractions, or fractions for bytes with a mean, come to tens. */
#define MOST_DEVIATIONS 4.0

/* The first node that reads the network's input, has seen its mean, and contains a batch norm. */
static const octet_node *first_node(const octet_graph *graph)
{
    for (const octet_node *n = graph->first; n; n = n->next) {
        if (!n->folded || n->folded->channels < 1 || n->input_count < 3 || !n->inputs[2] || !n->inputs[2]->constant ||
            !n->inputs[1]->constant || n->inputs[1]->constant->dtype != OCTET_F32)
            continue;
        const octet_mean *const mean = graph->calibration->watches[n->inputs[0]->index].mean;
        for (size_t i = 0; mean && mean->sum && i < graph->input_count; i++)
            if (graph->inputs[i] == n->inputs[0]) return n;
    }
    return NULL;
}

/* |mean over positions + bias - beta| / |gamma|, averaged over channels. */
static double deviations(const octet_node *node, const octet_tensor *out)
{
    const octet_batch_norm *const norm = node->folded;
    const octet_channel_shape     s    = octet_channels_along(out, octet_node_is(node, "Conv") ? 1 : out->rank - 1);
    const float *const            bias = node->inputs[2]->constant->data, *const at = out->data;
    double                        all  = 0;
    if (s.channels != (size_t)norm->channels || octet_tensor_count(node->inputs[2]->constant) != norm->channels)
        return 0;
    for (size_t c = 0; c < s.channels; c++) {
        double sum = 0;
        for (size_t o = 0; o < s.outer; o++)
            for (size_t i = 0; i < s.inner; i++) sum += at[(o * s.channels + c) * s.inner + i];
        const double away = sum / (double)(s.outer * s.inner) + bias[c] - norm->beta[c];
        if (fabsf(norm->gamma[c]) > 1e-6f) all += fabs(away) / fabs((double)norm->gamma[c]);
    }
    return all / (double)s.channels;
}

octet_status octet_check_input(octet_graph *graph, octet_error *err)
{
    const octet_node *const node = first_node(graph);
    octet_tensor            x, out;
    if (!node) return OCTET_OK;
    octet_arena *const arena = octet_arena_new();
    if (!arena) return octet_fail_memory(err);
    double       mean = 0, far = 0;
    octet_status status = octet_mean_image(&x, graph->calibration, node, arena, err);
    if (status == OCTET_OK) status = octet_weighted_apply(&out, node, &x, node->inputs[1]->constant, arena, err);
    if (status == OCTET_OK) {
        const octet_watch *const watch = &graph->calibration->watches[node->inputs[0]->index];
        const octet_range        range = watch->group ? watch->group->observer.range : (octet_range){ 0 };
        const int64_t            count = octet_tensor_count(&x);
        for (int64_t i = 0; i < count; i++) mean += (double)((const float *)x.data)[i] / (double)count;
        far = deviations(node, &out);
        if (far > MOST_DEVIATIONS)
            status = octet_decide(graph, node->inputs[0]->name, OCTET_INPUT_UNUSUAL, err,
                                  "samples lie within %.4g..%.4g, mean %.4g: channels of '%.60s' are %.1f standard "
                                  "deviations away from what batch norm saw in training (usual: below 1)",
                                  (double)range.min, (double)range.max, mean, node->name, far);
    }
    octet_arena_free(arena);
    return status;
}
