/* SPDX-License-Identifier: Apache-2.0 */
/* One pass of the float network over the samples, one after another: every value is counted as it is produced, beside
   the levels that the quantized network has for it. */
#include "engine/run.h"
#include "graph/op.h"
#include "ops/mode.h"
#include "report/gather.h"

#include <string.h>

enum { OUTPUTS = 64 };

typedef struct gathering {
    const octet_graph  *graph;
    octet_distribution *values;
    octet_plan         *plan;
    octet_workspace    *workspace;
    float              *input;
} gathering;

/* ---- channels ---- */

/* The dimension that counts channels: 1 behind a convolution or Gemm, the last behind a MatMul, as long as nothing in
   between moves dimensions; -1: not known. */
static int channel_axis(const octet_value *value)
{
    const int rank = value->rank;
    if (!value->has_shape || rank < 2) return -1;
    while (value->producer) {
        const octet_node *const node = value->producer;
        if (node->op->quant == OCTET_QUANT_MAC) return strcmp(node->op->name, "MatMul") != 0 ? 1 : rank - 1;
        if (node->op->flags & OCTET_OP_VIEW || !strcmp(node->op->name, "Transpose") || !node->input_count) return -1;
        value = node->inputs[0];
        if (!value || !value->has_shape || value->rank != rank) return -1;
    }
    return value->is_input ? 1 : -1;
}

static octet_channel_shape shape_of(const octet_value *value, const octet_tensor *tensor)
{
    const int axis = channel_axis(value);
    if (axis >= 0 && axis < tensor->rank) return octet_channels_along(tensor, axis);
    return (octet_channel_shape){ 1, 1, (size_t)octet_tensor_count(tensor) };
}

/* ---- samples ---- */

static octet_status see(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    const gathering *const   g     = context;
    const octet_value *const value = octet_graph_find_value(g->graph, name);
    (void)err;
    if (!value || !g->values[value->index].histogram || tensor->dtype != OCTET_F32 || tensor->qparams) return OCTET_OK;
    const octet_channel_shape shape = shape_of(value, tensor);
    octet_distribution *const d     = &g->values[value->index];
    if (d->channel_count != shape.channels) d->channel = NULL, d->channel_count = 0; /* another shape than declared */
    octet_distribution_add(d, tensor->data, shape);
    return OCTET_OK;
}

static octet_status make_value(gathering *g, const octet_graph *quantized, const octet_value *twin, octet_arena *arena,
                               octet_error *err)
{
    const octet_value *const   value  = octet_graph_find_value(g->graph, twin->name);
    const octet_qparams *const q      = octet_value_levels(quantized, twin);
    octet_range                chosen = { 0 };
    double                     step   = 0;
    if (!value || value->dtype != OCTET_F32 || value->constant || g->values[value->index].histogram) return OCTET_OK;
    if (q && q->count == 1) {
        step   = (double)q->scale[0];
        chosen = (octet_range){ true, (float)((q->qmin - q->zero_point[0]) * step),
                                (float)((q->qmax - q->zero_point[0]) * step) };
    }
    const int    axis     = channel_axis(value);
    const size_t channels = axis >= 0 && value->dims[axis] > 0 ? (size_t)value->dims[axis] : 0;
    return octet_distribution_make(&g->values[value->index], arena, &chosen, step, channels, err);
}

static octet_status make_values(gathering *g, const octet_graph *quantized, octet_arena *arena, octet_error *err)
{
    OCTET_TRY(octet_arena_get(&g->values, arena, (size_t)g->graph->value_count, sizeof *g->values, err));
    for (size_t i = 0; i < quantized->input_count; i++)
        OCTET_TRY(make_value(g, quantized, quantized->inputs[i], arena, err));
    for (const octet_node *n = quantized->first; n; n = n->next)
        if (n->output_count && n->outputs[0]) OCTET_TRY(make_value(g, quantized, n->outputs[0], arena, err));
    return OCTET_OK;
}

static octet_status run_samples(gathering *g, const octet_dataset *data, const octet_evaluate_options *options,
                                octet_error *err)
{
    const size_t     total = octet_dataset_count(data);
    const octet_port port  = octet_dataset_port(data);
    octet_tensor     outputs[OUTPUTS], input = { .dtype = OCTET_F32, .rank = port.rank, .data = g->input };
    memcpy(input.dims, port.dims, sizeof input.dims);
    for (size_t i = 0; i < total; i++) {
        const octet_progress progress = { "distributions", i + 1, total };
        OCTET_TRY(octet_dataset_read(data, i, g->input, NULL, err));
        OCTET_TRY(octet_run(g->workspace, &input, outputs, err));
        if (options->progress && options->progress(options->progress_context, &progress))
            return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
    }
    return OCTET_OK;
}

static octet_status prepare(gathering *g, const octet_report_source *source, const octet_evaluate_options *options,
                            octet_arena *arena, octet_error *err)
{
    octet_plan_options how   = options->baseline_plan;
    const octet_port   port  = octet_dataset_port(source->data);
    octet_tensor       shape = { .dtype = OCTET_F32, .rank = port.rank };
    memcpy(shape.dims, port.dims, sizeof shape.dims);
    how.batch = 1, how.keep_values = true;
    OCTET_TRY(make_values(g, source->quantized, arena, err));
    OCTET_TRY(octet_plan_create(&g->plan, g->graph, &how, err));
    OCTET_TRY(octet_workspace_create(&g->workspace, g->plan, err));
    octet_workspace_set_hook(g->workspace, see, g);
    return octet_arena_get(&g->input, arena, (size_t)octet_tensor_count(&shape), sizeof *g->input, err);
}

octet_status octet_gather_values(octet_value_statistics *statistics, const octet_report_source *source,
                                 const octet_evaluate_options *options, octet_arena *arena, octet_error *err)
{
    gathering g = { .graph = source->reference };
    if (g.graph->input_count != 1 || g.graph->output_count > OUTPUTS)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "networks with %zu inputs and %zu outputs have no report",
                          g.graph->input_count, g.graph->output_count);
    octet_status status = prepare(&g, source, options, arena, err);
    if (status == OCTET_OK) status = run_samples(&g, source->data, options, err);
    octet_workspace_free(g.workspace);
    octet_plan_free(g.plan);
    statistics->values = g.values;
    return status;
}
