/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the samples, one after another: every value of the float network is counted as it is produced, beside
   the levels that the quantized network has for it. That network runs, too: their channels tell whether these are the
   same numbers at all. */
#include "engine/run.h"
#include "graph/op.h"
#include "measure/inputs.h"
#include "ops/levels.h"
#include "ops/mode.h"
#include "report/gather.h"

#include <string.h>

enum { OUTPUTS = 64 };

/* A channel is scaled where the float network's is this many times the quantized one's, or as little, and both are
   much the same but for that (cosine^2): errors make them unlike, factors do not. A value is scaled where a quarter of
   its channels are. */
#define OTHER_FACTOR 1.2
#define ALIKE        0.8

/* One channel in both networks: sums of squares, and of products. */
typedef struct channel_sums {
    double real, own, product;
} channel_sums;

typedef struct gathering {
    const octet_graph  *graph, *quantized;
    octet_distribution *values;
    channel_sums      **sums; /* by value; NULL: not known */
    float              *room; /* for any value of quantized */
    octet_plan         *plans[2];
    octet_workspace    *workspaces[2];
    octet_inputs        source;
    octet_tensor       *inputs;
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
        if (node->op->quant == OCTET_QUANT_MAC) return octet_channel_axis(node, rank);
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

static void add_sums(channel_sums *sums, const float *real, const float *own, octet_channel_shape shape)
{
    for (size_t at = 0; at < octet_channels_count(&shape); at += shape.inner) {
        channel_sums *const to = &sums[at / shape.inner % shape.channels];
        for (size_t i = at; i < at + shape.inner; i++) {
            to->real += (double)real[i] * (double)real[i];
            to->own += (double)own[i] * (double)own[i];
            to->product += (double)real[i] * (double)own[i];
        }
    }
}

/* The float network has run the sample before. */
static octet_status see_quantized(void *context, const char *name, const octet_tensor *tensor, octet_error *err)
{
    const gathering *const   g     = context;
    const octet_value *const value = octet_graph_find_value(g->graph, name);
    const octet_value *const twin  = octet_graph_find_value(g->quantized, name);
    (void)err;
    if (!value || !twin || !g->sums[value->index]) return OCTET_OK;
    if (twin->producer && octet_node_fused_add(g->quantized, twin->producer)) return OCTET_OK; /* in the Add's units */
    const octet_channel_shape shape = shape_of(value, tensor);
    const octet_tensor        real  = octet_workspace_value(g->workspaces[0], value);
    const size_t              count = octet_channels_count(&shape);
    if (shape.channels != g->values[value->index].channel_count) return OCTET_OK;
    if (!real.data || real.dtype != OCTET_F32 || (size_t)octet_tensor_count(&real) != count) return OCTET_OK;
    if (tensor->qparams) octet_levels_real(g->room, tensor, 0, count, 0);
    else if (tensor->dtype != OCTET_F32) return OCTET_OK;
    add_sums(g->sums[value->index], real.data, tensor->qparams ? g->room : tensor->data, shape);
    return OCTET_OK;
}

/* ---- are they the same numbers? ---- */

static bool is_scaled(const channel_sums *sums, size_t count)
{
    size_t known = 0, scaled = 0;
    for (size_t c = 0; sums && c < count; c++) {
        const channel_sums *const s = &sums[c];
        if (!(s->real > 0 && s->own > 0)) continue;
        const double factor = s->product / s->own;
        known++;
        if (s->product * s->product < ALIKE * s->real * s->own) continue;
        scaled += factor > OTHER_FACTOR || factor < 1 / OTHER_FACTOR;
    }
    return known && 4 * scaled >= known;
}

static octet_status judge(bool **scaled, gathering *g, octet_arena *arena, octet_error *err)
{
    OCTET_TRY(octet_arena_get(scaled, arena, (size_t)g->graph->value_count, sizeof **scaled, err));
    for (int i = 0; i < g->graph->value_count; i++) {
        octet_distribution *const d = &g->values[i];
        (*scaled)[i]                = is_scaled(g->sums[i], d->channel_count);
        if ((*scaled)[i]) d->chosen = (octet_range){ 0 }, d->below = d->above = 0;
    }
    return OCTET_OK;
}

/* ---- preparing ---- */

static octet_status make_value(gathering *g, const octet_value *twin, octet_arena *arena, octet_error *err)
{
    const octet_value *const   value  = octet_graph_find_value(g->graph, twin->name);
    const octet_qparams *const q      = octet_value_levels(g->quantized, twin);
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
    if (channels) OCTET_TRY(octet_arena_get(&g->sums[value->index], arena, channels, sizeof **g->sums, err));
    return octet_distribution_make(&g->values[value->index], arena, &chosen, step, channels, err);
}

static octet_status make_values(gathering *g, octet_arena *arena, octet_error *err)
{
    const size_t count = (size_t)g->graph->value_count;
    int64_t      most  = 0;
    OCTET_TRY(octet_arena_get(&g->values, arena, count, sizeof *g->values, err));
    OCTET_TRY(octet_arena_get(&g->sums, arena, count, sizeof *g->sums, err));
    for (const octet_value *v = g->quantized->values; v; v = v->next) {
        const octet_tensor tensor = octet_plan_shape(g->plans[1], v);
        const bool         shown  = v->is_input || (v->producer && v->producer->outputs[0] == v);
        if (shown) OCTET_TRY(make_value(g, v, arena, err));
        if (octet_tensor_count(&tensor) > most) most = octet_tensor_count(&tensor);
    }
    return octet_arena_get(&g->room, arena, (size_t)most, sizeof *g->room, err);
}

static octet_status run_samples(gathering *g, const octet_evaluate_options *options, octet_error *err)
{
    const size_t total = octet_inputs_count(&g->source);
    octet_tensor outputs[OUTPUTS];
    for (size_t i = 0; i < total; i++) {
        const octet_progress progress = { "distributions", i + 1, total };
        OCTET_TRY(octet_inputs_read(g->inputs, &g->source, 0, i, err));
        for (int k = 0; k < 2; k++) OCTET_TRY(octet_run(g->workspaces[k], g->inputs, outputs, err));
        if (options->progress && options->progress(options->progress_context, &progress))
            return octet_fail(err, OCTET_ERR_ARGUMENT, "interrupted");
    }
    return OCTET_OK;
}

static octet_status make_plans(gathering *g, const octet_evaluate_options *options, const octet_tensor *shapes,
                               octet_error *err)
{
    const octet_value_hook hooks[] = { see, see_quantized };
    for (int k = 0; k < 2; k++) {
        octet_plan_options how = k ? options->plan : options->baseline_plan;
        how.inputs = shapes, how.keep_values = how.reals = true;
        how.threads = 1; /* half of the time is counting: others would only wait */
        OCTET_TRY(octet_plan_create(&g->plans[k], k ? g->quantized : g->graph, &how, err));
        OCTET_TRY(octet_workspace_create(&g->workspaces[k], g->plans[k], err));
        octet_workspace_set_hook(g->workspaces[k], hooks[k], g);
    }
    return OCTET_OK;
}

static octet_status prepare(gathering *g, const octet_report_source *source, const octet_evaluate_options *options,
                            octet_arena *arena, octet_error *err)
{
    octet_tensor *shapes;
    g->source = (octet_inputs){ .graph = g->graph, .data = source->data, .batch = 1,
                                .port_count = g->graph->input_count };
    OCTET_TRY(octet_inputs_make(&g->inputs, &g->source, arena, err));
    OCTET_TRY(octet_inputs_shapes(&shapes, &g->source, arena, err));
    OCTET_TRY(make_plans(g, options, shapes, err));
    return make_values(g, arena, err);
}

octet_status octet_gather_values(octet_value_statistics *statistics, const octet_report_source *source,
                                 const octet_evaluate_options *options, octet_arena *arena, octet_error *err)
{
    gathering g = { .graph = source->reference, .quantized = source->quantized };
    if (g.graph->input_count != g.quantized->input_count || g.graph->output_count > OUTPUTS ||
        g.quantized->output_count > OUTPUTS)
        return octet_fail(err, OCTET_ERR_UNSUPPORTED, "networks with %zu inputs and %zu outputs have no report",
                          g.graph->input_count, g.graph->output_count);
    octet_status status = prepare(&g, source, options, arena, err);
    if (status == OCTET_OK) status = run_samples(&g, options, err);
    if (status == OCTET_OK) status = judge(&statistics->scaled, &g, arena, err);
    for (int k = 0; k < 2; k++) {
        octet_workspace_free(g.workspaces[k]);
        octet_plan_free(g.plans[k]);
    }
    statistics->values = g.values;
    return status;
}
