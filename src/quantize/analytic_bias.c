/* SPDX-License-Identifier: Apache-2.0 */
/* Bias correction without data (Nagel et al. 2019): behind a batch norm a channel is taken to be normal with mean beta
   and deviation |gamma|. Clamped and summed it stays a mean and a variance per channel, and a layer's bias takes back
   what the rounding of its weights makes of the means. Where that is not known, the means of the calibration serve. */
#include "quantize/correct_biases.h"

#include "observe/normal.h"
#include "ops/mode.h"
#include "passes/integerize.h"
#include "passes/pass.h"
#include "quantize/calibration.h"
#include "quantize/samples.h"

/* What is known of a value: one entry per coordinate of axis 1. */
typedef struct moments {
    const octet_normal *channels; /* NULL: nothing */
    int64_t             count;
} moments;

typedef struct analysis {
    octet_graph *graph;
    octet_arena *arena;
    moments     *known; /* by value->index */
} analysis;

static moments moments_of(const analysis *a, const octet_value *value)
{
    return value ? a->known[value->index] : (moments){ 0 };
}

static octet_status new_moments(octet_normal **channels, const analysis *a, int64_t count, octet_error *err)
{
    return octet_arena_get(channels, a->arena, (size_t)count, sizeof **channels, err);
}

/* ---- one node ---- */

static octet_status behind_batch_norm(moments *out, const analysis *a, const octet_batch_norm *norm, octet_error *err)
{
    octet_normal *to;
    OCTET_TRY(new_moments(&to, a, norm->channels, err));
    for (int64_t c = 0; c < norm->channels; c++)
        to[c] = (octet_normal){ (double)norm->beta[c], (double)norm->gamma[c] * (double)norm->gamma[c] };
    *out = (moments){ to, norm->channels };
    return OCTET_OK;
}

/* Summands are taken to be independent. */
static octet_status sum(moments *out, const analysis *a, const octet_node *add, octet_error *err)
{
    const moments x = moments_of(a, add->inputs[0]), y = moments_of(a, add->inputs[1]);
    octet_normal *to;
    if (!x.channels || !y.channels || x.count != y.count) return OCTET_OK;
    OCTET_TRY(new_moments(&to, a, x.count, err));
    for (int64_t c = 0; c < x.count; c++)
        to[c] = (octet_normal){ x.channels[c].mean + y.channels[c].mean,
                                x.channels[c].variance + y.channels[c].variance };
    *out = (moments){ to, x.count };
    return OCTET_OK;
}

static octet_status clamp(moments *out, const analysis *a, const octet_activation *bounds, octet_error *err)
{
    octet_normal *to;
    if (!out->channels || !bounds->on) return OCTET_OK;
    OCTET_TRY(new_moments(&to, a, out->count, err));
    for (int64_t c = 0; c < out->count; c++)
        to[c] = octet_normal_clamp(out->channels[c], (double)bounds->lo, (double)bounds->hi);
    out->channels = to;
    return OCTET_OK;
}

/* [N, C, ...] to [N, features]: every channel becomes its positions. */
static octet_status flatten(moments *out, const analysis *a, const octet_node *node, octet_error *err)
{
    const octet_value *const to   = node->outputs[0];
    const moments            from = moments_of(a, node->inputs[0]);
    octet_normal            *all;
    const bool fits = from.channels && to->has_shape && to->rank == 2 && to->dims[1] > 0;
    if (!fits || to->dims[1] % from.count) return OCTET_OK;
    OCTET_TRY(new_moments(&all, a, to->dims[1], err));
    const int64_t positions = to->dims[1] / from.count;
    for (int64_t i = 0; i < to->dims[1]; i++) all[i] = from.channels[i / positions];
    *out = (moments){ all, to->dims[1] };
    return OCTET_OK;
}

/* Averages keep a mean; their variance is at most that of what they average. */
static bool averages(const octet_node *node)
{
    return octet_node_is(node, "GlobalAveragePool") || octet_node_is(node, "AveragePool");
}

static octet_status derive(moments *out, const analysis *a, const octet_node *node, octet_error *err)
{
    octet_activation bounds = { .on = true };
    if (node->folded) OCTET_TRY(behind_batch_norm(out, a, node->folded, err));
    else if (octet_node_is(node, "Add")) OCTET_TRY(sum(out, a, node, err));
    else if (octet_node_is(node, "Flatten") || octet_node_is(node, "Reshape")) OCTET_TRY(flatten(out, a, node, err));
    else if (averages(node)) *out = moments_of(a, node->inputs[0]);
    else if (octet_activation_bounds(&bounds, node)) {
        *out = moments_of(a, node->inputs[0]);
        return clamp(out, a, &bounds, err);
    }
    return clamp(out, a, &node->activation, err);
}

/* ---- biases ---- */

/* The mean of a layer's input, every position of a channel alike. data NULL: not known. */
static octet_status mean_input(octet_tensor *mean, const analysis *a, const octet_node *node, octet_error *err)
{
    const moments known = moments_of(a, node->inputs[0]);
    float        *x;
    *mean = octet_value_tensor(node->inputs[0], 1);
    const bool fits = known.channels && node->inputs[0]->has_shape && mean->rank >= 2;
    if (!fits || mean->dims[1] != known.count) return OCTET_OK;
    const int64_t count = octet_tensor_count(mean), inner = count / (mean->dims[0] * known.count);
    OCTET_TRY(octet_arena_get(&x, a->arena, (size_t)count, sizeof *x, err));
    for (int64_t i = 0; i < count; i++) x[i] = (float)known.channels[i / inner % known.count].mean;
    mean->data = x;
    return OCTET_OK;
}

static octet_status correct(const analysis *a, octet_node *node, octet_error *err)
{
    octet_tensor mean;
    if (!octet_sums_integers(node) || !octet_node_takes_bias(node)) return OCTET_OK;
    OCTET_TRY(octet_raise_weight_scales(a->graph, node, err));
    OCTET_TRY(mean_input(&mean, a, node, err));
    if (!mean.data)
        OCTET_TRY(octet_decide(a->graph, node->name, "bias by calibration", err,
                               "no batch norm says what its input is like"));
    return octet_correct_bias(a->graph, node, NULL, mean.data ? &mean : NULL, err);
}

static octet_status correct_all(analysis *a, octet_error *err)
{
    OCTET_TRY(octet_check_bound(a->graph, "bias correction", err));
    OCTET_TRY(octet_arena_get(&a->known, a->arena, (size_t)a->graph->value_count, sizeof *a->known, err));
    for (const octet_node *n = a->graph->first; n; n = n->next)
        if (n->outputs[0]) OCTET_TRY(derive(&a->known[n->outputs[0]->index], a, n, err));
    for (octet_node *n = a->graph->first; n; n = n->next) OCTET_TRY(correct(a, n, err));
    return OCTET_OK;
}

octet_status octet_correct_biases_analytically(octet_graph *graph, octet_error *err)
{
    if (graph->biases_corrected)
        return octet_decide(graph, graph->name, "biases left", err, "an earlier step has corrected them from data");
    if (graph->calibration->target->real_bias)
        return octet_decide(graph, graph->name, "biases left", err, "the target keeps them as they are");
    analysis a = { .graph = graph, .arena = octet_arena_new() };
    if (!a.arena) return octet_fail_memory(err);
    const octet_status status = correct_all(&a, err);
    octet_arena_free(a.arena);
    graph->biases_corrected = status == OCTET_OK;
    return status;
}
