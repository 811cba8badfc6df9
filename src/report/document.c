/* SPDX-License-Identifier: Apache-2.0 */
/* The comparison's layers in its order, each with its place in the network, its times and its distributions. */
#include "report/document.h"

#include <octet/file.h>

#include "graph/op.h"
#include "ops/mode.h"
#include "report/gather.h"

#include <math.h>
#include <string.h>

/* Columns of a drawing by channel, and channels named one by one. */
enum { COLUMNS = 64, NAMED = 8 };

/* ---- distributions ---- */

/* Columns of neighbouring channels: each its lowest and its highest number. */
static void put_columns(octet_json *json, const octet_distribution *d)
{
    const size_t count = d->channel_count < COLUMNS ? d->channel_count : COLUMNS;
    octet_json_open(json, "columns", '[');
    for (size_t i = 0; i < count; i++) {
        octet_range all = { 0 };
        for (size_t c = i * d->channel_count / count; c < (i + 1) * d->channel_count / count; c++)
            all = octet_range_union(all, d->channel[c]);
        octet_json_short(json, NULL, all.seen ? (double)all.min : 0);
        octet_json_short(json, NULL, all.seen ? (double)all.max : 0);
    }
    octet_json_close(json, ']');
}

/* The first few of the channels that are outliers, as [channel, times the middle one], or dead. */
static size_t put_some(octet_json *json, const char *key, const octet_distribution *d, double middle, bool dead)
{
    const double nothing = octet_distribution_dead(d);
    size_t       found   = 0;
    octet_json_open(json, key, '[');
    for (size_t c = 0; c < d->channel_count; c++) {
        const double reach = octet_channel_reach(d->channel[c]);
        if (dead ? reach > nothing : reach < OCTET_OUTLIER * middle || reach <= nothing) continue;
        if (found++ >= NAMED) continue;
        if (!dead) octet_json_open(json, NULL, '[');
        octet_json_integer(json, NULL, (int64_t)c);
        if (!dead) octet_json_short(json, NULL, reach / middle);
        if (!dead) octet_json_close(json, ']');
    }
    octet_json_close(json, ']');
    return found;
}

static octet_status put_channels(octet_json *json, const octet_distribution *d, octet_error *err)
{
    double *room;
    if (!d->channel || d->channel_count < 2) {
        octet_json_null(json, "channels");
        return OCTET_OK;
    }
    OCTET_TRY(octet_arena_get(&room, json->arena, d->channel_count, sizeof *room, err));
    const double middle = octet_distribution_middle(d, room);
    octet_json_open(json, "channels", '{');
    octet_json_integer(json, "count", (int64_t)d->channel_count);
    octet_json_short(json, "middle", middle);
    octet_json_integer(json, "dead_count", (int64_t)put_some(json, "dead", d, middle, true));
    octet_json_integer(json, "outlier_count", (int64_t)put_some(json, "outliers", d, middle, false));
    put_columns(json, d);
    octet_json_close(json, '}');
    return OCTET_OK;
}

/* Members of an object that the caller has opened and closes. */
static octet_status put_distribution(octet_json *json, const octet_distribution *d, octet_error *err)
{
    const octet_bins bins = octet_distribution_bins(d);
    octet_json_integer(json, "count", (int64_t)d->count);
    octet_json_integer(json, "not_finite", (int64_t)d->rejected);
    octet_json_number(json, "min", d->seen.seen ? (double)d->seen.min : NAN);
    octet_json_number(json, "max", d->seen.seen ? (double)d->seen.max : NAN);
    octet_json_number(json, "lo", d->chosen.seen ? (double)d->chosen.min : NAN);
    octet_json_number(json, "hi", d->chosen.seen ? (double)d->chosen.max : NAN);
    octet_json_integer(json, "below", (int64_t)d->below);
    octet_json_integer(json, "above", (int64_t)d->above);
    octet_json_open(json, "bins", '{');
    octet_json_number(json, "lo", bins.lo);
    octet_json_number(json, "hi", bins.hi);
    octet_json_integer(json, "below", (int64_t)bins.below);
    octet_json_integer(json, "above", (int64_t)bins.above);
    octet_json_open(json, "counts", '[');
    for (int i = 0; i < OCTET_BINS; i++) octet_json_integer(json, NULL, (int64_t)bins.counts[i]);
    octet_json_close(json, ']');
    octet_json_close(json, '}');
    return put_channels(json, d, err);
}

static octet_status put_values(octet_json *json, const octet_report_source *source,
                               const octet_value_statistics *statistics, const octet_value *value, octet_error *err)
{
    const octet_value *const   twin = octet_graph_find_value(source->reference, value->name);
    const octet_qparams *const q    = octet_value_levels(source->quantized, value);
    if (!twin || !statistics->values[twin->index].histogram) {
        octet_json_null(json, "values");
        return OCTET_OK;
    }
    octet_json_open(json, "values", '{');
    octet_json_text(json, "name", value->name);
    octet_json_flag(json, "scaled", statistics->scaled[twin->index]);
    if (q && q->count == 1) {
        octet_json_text(json, "type", octet_dtype_name(q->dtype));
        octet_json_number(json, "scale", (double)q->scale[0]);
        octet_json_integer(json, "zero_point", q->zero_point[0]);
    }
    if (value->fake_quantize) octet_json_text(json, "method", value->fake_quantize->method);
    OCTET_TRY(put_distribution(json, &statistics->values[twin->index], err));
    octet_json_close(json, '}');
    return OCTET_OK;
}

static octet_status put_weights(octet_json *json, const octet_report_source *source, const octet_node *node,
                                octet_error *err)
{
    octet_weight_statistics weights;
    octet_arena *const      arena  = octet_arena_new(); /* as large as the layer's weights: it goes at once */
    octet_status            status = arena ? OCTET_OK : octet_fail_memory(err);
    if (status == OCTET_OK) status = octet_gather_weights(&weights, source, node, arena, err);
    if (status == OCTET_OK && weights.of.histogram) {
        octet_json_open(json, "weights", '{');
        octet_json_flag(json, "levels", weights.levels);
        octet_json_flag(json, "own", weights.own);
        octet_json_integer(json, "scales", (int64_t)weights.scales);
        octet_json_integer(json, "bits", weights.bits);
        status = put_distribution(json, &weights.of, err);
        octet_json_close(json, '}');
    } else if (status == OCTET_OK) {
        octet_json_null(json, "weights");
    }
    octet_arena_free(arena);
    return status;
}

/* ---- layers ---- */

/* Infinity has no number in JSON: equal says which of the errors are none at all. */
static void put_error(octet_json *json, const octet_layer_error *e)
{
    const struct {
        const char *key;
        double      value;
    } numbers[] = {
        { "local_db", e->local_db },     { "accumulated_db", e->accumulated_db }, { "cosine", e->cosine },
        { "max_abs", e->max_abs },       { "weights_db", e->weights_db },         { "output_db", e->output_db },
        { "gain_db", e->gain_db },       { "remedy_db", e->remedy_db },
    };
    octet_json_text(json, "name", e->name);
    octet_json_text(json, "op", e->op);
    octet_json_text(json, "merged", e->merged);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        octet_json_number(json, numbers[i].key, numbers[i].value);
    octet_json_text(json, "cause", octet_cause_name(e->cause));
    octet_json_text(json, "why", e->why);
    octet_json_text(json, "remedy", e->remedy);
    octet_json_open(json, "equal", '[');
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].value == INFINITY) octet_json_text(json, NULL, numbers[i].key);
    octet_json_close(json, ']');
}

/* A node may be several steps, or part of another one's (then no step has its name). */
static void put_times(octet_json *json, const octet_bench *bench, const char *name)
{
    double      seconds = NAN, real = NAN;
    const char *engine = NULL, *algorithm = NULL;
    for (size_t i = 0; bench && i < bench->layer_count; i++) {
        const octet_layer_time *const t = &bench->layers[i];
        if (t->conversion || strcmp(t->name, name) != 0) continue;
        seconds = isnan(seconds) ? t->seconds : seconds + t->seconds;
        if (!isnan(t->baseline_seconds)) real = isnan(real) ? t->baseline_seconds : real + t->baseline_seconds;
        engine = t->engine, algorithm = t->algorithm;
    }
    octet_json_number(json, "us", 1e6 * seconds);
    octet_json_number(json, "float_us", 1e6 * real);
    octet_json_text(json, "engine", engine);
    octet_json_text(json, "algorithm", algorithm);
}

static void put_node(octet_json *json, const octet_graph *graph, const octet_node *node)
{
    const octet_node_info info = octet_graph_node(graph, (size_t)node->index);
    octet_json_integer(json, "index", node->index);
    octet_json_text(json, "mode", info.mode == OCTET_MODE_REAL ? "float" : "int8");
    octet_json_integer(json, "macs", info.macs);
    /* What only moves levels, or compares them, is where its neighbours are. */
    octet_json_flag(json, "may_float", node->op->quant != OCTET_QUANT_NONE && !octet_node_moves(node));
    octet_json_open(json, "dims", '[');
    for (int i = 0; i < info.shape.rank; i++) octet_json_integer(json, NULL, info.shape.dims[i]);
    octet_json_close(json, ']');
    const octet_node *const add = octet_node_fused_add(graph, node);
    octet_json_text(json, "summed_in", add ? add->name : NULL);
}

static octet_status put_layer(octet_json *json, const octet_report_source *source,
                              const octet_value_statistics *statistics, const octet_layer_error *e, octet_error *err)
{
    const octet_node *const node = octet_graph_find_node(source->quantized, e->name);
    octet_json_open(json, NULL, '{');
    put_error(json, e);
    put_times(json, source->bench, e->name);
    if (node) {
        put_node(json, source->quantized, node);
        OCTET_TRY(put_values(json, source, statistics, node->outputs[0], err));
        OCTET_TRY(put_weights(json, source, node, err));
    }
    octet_json_close(json, '}');
    return OCTET_OK;
}

/* ---- the networks ---- */

static void put_network(octet_json *json, const char *key, const octet_graph *graph)
{
    octet_file file = { 0 };
    int64_t    real = 0;
    for (const octet_node *n = graph->first; n; n = n->next) {
        const octet_node_info info = octet_graph_node(graph, (size_t)n->index);
        real += info.mode == OCTET_MODE_REAL;
    }
    octet_json_open(json, key, '{');
    if (graph->path && octet_file_read(&file, graph->path, 0, NULL) == OCTET_OK) {
        octet_json_integer(json, "file_bytes", (int64_t)file.size);
        octet_file_close(&file);
    } else {
        octet_json_null(json, "file_bytes"); /* made in memory, or moved since */
    }
    octet_json_integer(json, "int8_nodes", graph->node_count - real);
    octet_json_integer(json, "float_nodes", real);
    octet_json_number(json, "macs", octet_graph_macs(graph));
    octet_json_close(json, '}');
}

static void put_bench(octet_json *json, const octet_bench *b)
{
    double converting = 0;
    if (!b || !b->engine_count) {
        octet_json_null(json, "time");
        return;
    }
    for (size_t i = 0; i < b->layer_count; i++) converting += b->layers[i].conversion ? b->layers[i].seconds : 0;
    octet_json_open(json, "time", '{');
    octet_json_text(json, "engine", b->engines[0].name);
    octet_json_integer(json, "threads", b->threads);
    octet_json_integer(json, "batch", b->batch);
    octet_json_integer(json, "runs", (int64_t)b->engines[0].time.runs);
    /* the fastest of runs in turns: what else the machine does can only add, and to one side more than to the other */
    octet_json_number(json, "us", 1e6 * b->engines[0].time.min);
    octet_json_number(json, "mad_us", 1e6 * b->engines[0].time.mad);
    octet_json_number(json, "float_us", b->baseline ? 1e6 * b->baseline->time.min : NAN);
    octet_json_number(json, "float_mad_us", b->baseline ? 1e6 * b->baseline->time.mad : NAN);
    octet_json_number(json, "converting_us", 1e6 * converting);
    octet_json_text(json, "cpu", octet_cpu_features());
    octet_json_close(json, '}');
}

static const char *name_of(const char *given, const octet_graph *graph)
{
    return given ? given : graph->path ? graph->path : "";
}

static void put_head(octet_json *json, const octet_report_source *source, const octet_report_options *options)
{
    const octet_comparison *const c = source->comparison;
    octet_json_text(json, "octet", octet_version());
    octet_json_text(json, "verb", "report");
    octet_json_integer(json, "schema", 1);
    octet_json_text(json, "title", options->title);
    octet_json_text(json, "float", name_of(options->reference_name, source->reference));
    octet_json_text(json, "quantized", name_of(options->quantized_name, source->quantized));
    octet_json_text(json, "data", options->data_name ? options->data_name : "");
    octet_json_integer(json, "samples", (int64_t)c->samples);
    octet_json_integer(json, "layer_samples", (int64_t)c->layer_samples);
    octet_json_integer(json, "effect_samples", (int64_t)c->effect_samples);
    octet_json_open(json, "output", '{');
    octet_json_number(json, "sqnr_db", c->output_sqnr_db);
    octet_json_number(json, "cosine", c->output_cosine);
    octet_json_number(json, "max_abs", c->output_max_abs);
    octet_json_close(json, '}');
    octet_json_number(json, "outlier", OCTET_OUTLIER);
    put_network(json, "float_network", source->reference);
    put_network(json, "quantized_network", source->quantized);
    put_bench(json, source->bench);
}

octet_status octet_report_document(octet_json *json, const octet_report_source *source,
                                   const octet_report_options *options, octet_error *err)
{
    octet_value_statistics statistics;
    OCTET_TRY(octet_gather_values(&statistics, source, &options->evaluate, json->arena, err));
    octet_json_open(json, NULL, '{');
    put_head(json, source, options);
    octet_json_open(json, "inputs", '[');
    for (size_t i = 0; i < source->quantized->input_count; i++) {
        octet_json_open(json, NULL, '{');
        OCTET_TRY(put_values(json, source, &statistics, source->quantized->inputs[i], err));
        octet_json_close(json, '}');
    }
    octet_json_close(json, ']');
    octet_json_open(json, "layers", '[');
    for (size_t i = 0; i < source->comparison->layer_count; i++)
        OCTET_TRY(put_layer(json, source, &statistics, &source->comparison->layers[i], err));
    octet_json_close(json, ']');
    octet_json_close(json, '}');
    return json->failed ? octet_fail_memory(err) : OCTET_OK;
}
