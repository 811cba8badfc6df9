/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer costs when it stays in float: its own time against that on levels, and a conversion at every border to a
   neighbour that stays on levels. */
#include "tune/tune.h"

#include "graph/op.h"
#include "ops/mode.h"

#include <octet/text.h>

#include <math.h>
#include <string.h>

/* Operators that compute: those that only move levels lose nothing by it. Names that are no text stay out of journals,
   and so of the search. */
static bool may_gain(const octet_graph *quantized, const octet_node *node)
{
    const octet_quant_kind kind = node->op->quant;
    char                   clean[1024];
    octet_text_clean(clean, sizeof clean, node->name);
    return octet_node_compute_mode(quantized, node) != OCTET_MODE_REAL && kind != OCTET_QUANT_NONE &&
           !octet_node_moves(node) && !strcmp(clean, node->name);
}

static const octet_layer_time *time_of(const octet_bench *bench, const char *name)
{
    for (size_t i = 0; i < bench->layer_count; i++)
        if (!bench->layers[i].conversion && !strcmp(bench->layers[i].name, name)) return &bench->layers[i];
    return NULL;
}

static double elements_of(const octet_value *value)
{
    const octet_tensor shape = octet_value_tensor(value, 1);
    return (double)octet_tensor_count(&shape);
}

/* Seconds for one element, from the conversions that the quantized network has: at least that of its input. */
static double conversion_time(const octet_bench *bench, const octet_graph *quantized)
{
    double seconds = 0, elements = 0;
    for (size_t i = 0; i < bench->layer_count; i++) {
        const octet_layer_time *const row = &bench->layers[i];
        const octet_value *const value = row->conversion ? octet_graph_find_value(quantized, row->name) : NULL;
        if (!value) continue;
        seconds += row->seconds;
        elements += elements_of(value);
    }
    return elements > 0 ? seconds / elements : 0;
}

/* Nodes that no step of their own runs (an Add in a convolution's sums) take no time. A float time that is not known
   is the one on levels, slowed down as the whole network is. */
static octet_status list_layers(octet_tune_times *times, octet_arena *arena, const octet_bench *bench,
                                const octet_graph *quantized, const octet_graph *graph, octet_error *err)
{
    const double slower = times->float_seconds / times->seconds;
    OCTET_TRY(octet_arena_get(&times->layers, arena, (size_t)quantized->node_count, sizeof *times->layers, err));
    for (const octet_node *n = quantized->first; n; n = n->next) {
        if (!may_gain(quantized, n) || !octet_graph_find_node(graph, n->name)) continue;
        const octet_layer_time *const row   = time_of(bench, n->name);
        octet_tune_layer *const       layer = &times->layers[times->layer_count++];
        *layer = (octet_tune_layer){ .name = octet_arena_copy(arena, n->name), .seconds = row ? row->seconds : 0 };
        layer->float_seconds = row && !isnan(row->baseline_seconds) ? row->baseline_seconds : layer->seconds * slower;
        if (!layer->name) return octet_fail_memory(err);
    }
    return OCTET_OK;
}

octet_status octet_tune_time_layers(octet_tune_times *times, octet_arena *arena, octet_graph *quantized,
                                    octet_graph *graph, const octet_tune_options *options, octet_error *err)
{
    octet_bench        *bench;
    octet_bench_options how = { .plan             = options->evaluate.plan,
                                .seconds          = options->bench_seconds > 0 ? options->bench_seconds : 2,
                                .layers           = true,
                                .default_only     = true,
                                .progress         = options->calibrate.progress,
                                .progress_context = options->calibrate.progress_context };
    how.plan.threads = 1; /* of a step that several share, the clock of one sees a part */
    OCTET_TRY(octet_bench_run(&bench, quantized, graph, &how, err));
    *times = (octet_tune_times){ .seconds       = bench->engines[0].time.min,
                                 .float_seconds = bench->baseline->time.min,
                                 .conversion    = conversion_time(bench, quantized) };
    const octet_status status = list_layers(times, arena, bench, quantized, graph, err);
    octet_bench_free(bench);
    return status;
}

static bool is_float(const octet_node *node, const char *const *floats, size_t count)
{
    for (size_t i = 0; node && i < count; i++)
        if (!strcmp(floats[i], node->name)) return true;
    return false;
}

/* Elements that are converted between levels and float for node's sake: inputs that do not come from float layers, and
   an output that is read by others. */
static double converted(const octet_node *node, const char *const *floats, size_t count)
{
    double elements = 0;
    for (int i = 0; i < node->input_count; i++) {
        const octet_value *const in = node->inputs[i];
        if (in && !in->constant && in->producer && !is_float(in->producer, floats, count)) elements += elements_of(in);
    }
    const octet_value *const out = node->output_count ? node->outputs[0] : NULL;
    for (size_t i = 0; out && i < out->use_count; i++)
        if (!is_float(out->uses[i].node, floats, count)) return elements + elements_of(out);
    return elements;
}

double octet_tune_cost(const octet_tune_times *times, const octet_graph *graph, const char *const *floats,
                       size_t count)
{
    double seconds = 0;
    for (size_t i = 0; i < times->layer_count; i++) {
        const octet_tune_layer *const layer = &times->layers[i];
        const octet_node *const       node  = octet_graph_find_node(graph, layer->name);
        if (!node || !is_float(node, floats, count)) continue;
        seconds += layer->float_seconds - layer->seconds + times->conversion * converted(node, floats, count);
    }
    return seconds;
}
