/* SPDX-License-Identifier: Apache-2.0 */
/* From a file to a graph: check the bytes, unpack, build, find shapes, collapse Q/DQ. The messages and everything else
   temporary are gone when it returns. */
#include "onnx/onnx.pb-c.h"
#include "onnx/read.h"

#include "onnx/prescan.h"
#include "ops/check.h"
#include "ops/mode.h"
#include "ops/shape.h"

#include <math.h>
#include <string.h>

enum { OPSET_LOW = 1, IR_LOW = 1, IR_HIGH = 14 };

static octet_status check_versions(octet_reader *reader, octet_error *err)
{
    const Onnx__ModelProto *model = reader->model;
    const long long         ir = model->has_ir_version ? (long long)model->ir_version : 0;
    if (ir < IR_LOW || ir > IR_HIGH)
        return octet_fail_field(err, ir < 1 ? OCTET_ERR_FORMAT : OCTET_ERR_UNSUPPORTED, "ir_version",
                                "got %lld, need %d to %d", ir, IR_LOW, IR_HIGH);
    long long opset = 0;
    int       found = 0;
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *id = model->opset_import[i];
        if (id->domain && id->domain[0] && strcmp(id->domain, "ai.onnx") != 0) continue;
        opset = id->has_version ? (long long)id->version : 0;
        found++;
    }
    if (found == 0 && model->n_opset_import > 0)
        return octet_fail_field(err, OCTET_ERR_UNSUPPORTED, "opset_import", "names '%.60s' only, need ai.onnx",
                                model->opset_import[0]->domain);
    if (found != 1)
        return octet_fail_field(err, OCTET_ERR_FORMAT, "opset_import", "names the opset of ai.onnx %d times, need 1",
                                found);
    if (opset < OPSET_LOW || opset > OCTET_OPSET_HIGH)
        return octet_fail_field(err, opset < 1 ? OCTET_ERR_FORMAT : OCTET_ERR_UNSUPPORTED, "opset_import",
                                "opset %lld, need %d to %d", opset, OPSET_LOW, OCTET_OPSET_HIGH);
    reader->opset = (int)opset;
    reader->graph->opset = (int)opset;
    return OCTET_OK;
}

static octet_status read_metadata(octet_reader *reader, octet_error *err)
{
    const Onnx__ModelProto *model = reader->model;
    octet_graph            *graph = reader->graph;
    OCTET_TRY(octet_arena_get(&graph->metadata, graph->arena, model->n_metadata_props, sizeof *graph->metadata, err));
    graph->metadata_capacity = model->n_metadata_props;
    for (size_t i = 0; i < model->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = model->metadata_props[i];
        octet_metadata                     *to = &graph->metadata[graph->metadata_count++];
        to->key = octet_arena_copy(graph->arena, entry->key ? entry->key : "");
        to->value = octet_arena_copy(graph->arena, entry->value ? entry->value : "");
        if (!to->key || !to->value) return octet_fail_memory(err);
    }
    return OCTET_OK;
}

static double number_at(const octet_tensor *tensor, int64_t i)
{
    if (tensor->dtype == OCTET_F32) return (double)((const float *)tensor->data)[i];
    return ((const double *)tensor->data)[i];
}

/* Index of the first number that is NaN or infinite, or -1. infinite: such are fine. */
static int64_t first_not_finite(const octet_tensor *tensor, bool infinite)
{
    const int64_t count = octet_tensor_count(tensor);
    for (int64_t i = 0; i < count; i++) {
        const double x = number_at(tensor, i);
        if (infinite ? isnan(x) : !isfinite(x)) return i;
    }
    return -1;
}

static bool feeds_sums(const octet_value *value)
{
    for (size_t i = 0; i < value->use_count; i++)
        if (value->uses[i].node->op->quant == OCTET_QUANT_MAC) return true;
    return false;
}

/* Whether value can be a mask of -inf: who reads it adds it, puts it in places, or passes it on. */
static bool may_mask(const octet_value *value)
{
    static const char *const names[] = { "Add", "Expand", "Where" };
    for (size_t i = 0; i < value->use_count; i++) {
        const octet_node *const node = value->uses[i].node;
        bool                    fits = octet_node_moves(node);
        for (size_t n = 0; n < sizeof names / sizeof *names; n++) fits |= !strcmp(node->op->name, names[n]);
        if (!fits) return false;
    }
    return true;
}

/* Weights must be finite. Masks may be infinite, and single numbers: bounds of Clip, filling of masks. */
static octet_status check_finite(const octet_graph *graph, octet_error *err)
{
    for (const octet_value *v = graph->values; v; v = v->next) {
        const bool real = v->constant && !v->constant->qparams;
        const bool is_float = real && (v->constant->dtype == OCTET_F32 || v->constant->dtype == OCTET_F64);
        if (!is_float || v->rank == 0 || v->use_count == 0) continue;
        if (octet_tensor_count(v->constant) == 1 && !feeds_sums(v)) continue;
        const int64_t at = first_not_finite(v->constant, may_mask(v));
        if (at < 0) continue;
        octet_fail(err, OCTET_ERR_FORMAT, "element %lld is %g, need finite numbers (read by '%.80s')", (long long)at,
                   number_at(v->constant, at), v->uses[0].node->name);
        octet_error_node(err, v->name);
        return OCTET_ERR_FORMAT;
    }
    return OCTET_OK;
}

static octet_status finish(octet_reader *reader, octet_error *err)
{
    octet_graph *graph = reader->graph;
    bool         changed = false;
    OCTET_TRY(octet_graph_infer(graph, err));
    OCTET_TRY(check_finite(graph, err));
    OCTET_TRY(octet_read_half_outputs(reader, &changed, err));
    OCTET_TRY(octet_read_flattening(reader, &changed, err));
    OCTET_TRY(octet_read_expand(reader, &changed, err));
    OCTET_TRY(octet_read_dynamic(reader, &changed, err));
    OCTET_TRY(octet_read_qdq(reader, &changed, err));
    if (changed) {
        OCTET_TRY(octet_graph_sort(graph, err));
        octet_graph_sweep(graph);
        OCTET_TRY(octet_graph_infer(graph, err));
    }
    octet_graph_sweep(graph);
    OCTET_TRY(octet_read_check_outputs(reader, err));
    return octet_graph_check(graph, err);
}

static octet_status build(octet_reader *reader, octet_error *err)
{
    octet_graph *graph = reader->graph;
    if (!reader->model->graph) return octet_fail(err, OCTET_ERR_FORMAT, "not a valid ONNX file: it holds no graph");
    reader->proto = reader->model->graph;
    OCTET_TRY(check_versions(reader, err));
    if (reader->proto->name && reader->proto->name[0])
        graph->name = octet_arena_copy(graph->arena, reader->proto->name);
    if (!graph->name) return octet_fail_memory(err);
    OCTET_TRY(read_metadata(reader, err));
    OCTET_TRY(octet_read_graph(reader, err));
    return finish(reader, err);
}

/* The folder part of path: where external data may lie. */
static const char *folder_of(octet_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return octet_arena_copy(arena, ".");
    return octet_arena_format(arena, "%.*s", (int)(slash - path + 1), path);
}

static octet_status read_file(octet_graph *graph, octet_arena *arena, const char *path, const octet_file *file,
                              const octet_load_options *options, octet_error *err)
{
    octet_reader reader = {.graph = graph, .arena = arena, .ends = options->ends, .end_count = options->end_count};
    OCTET_TRY(octet_prescan(file->data, file->size, &onnx__model_proto__descriptor, &graph->limits, err));
    reader.external.folder = folder_of(arena, path);
    Onnx__ModelProto *model = reader.external.folder ? onnx__model_proto__unpack(NULL, file->size, file->data) : NULL;
    if (!model) return octet_fail_memory(err);
    reader.model = model;
    const octet_status status = build(&reader, err);
    octet_external_close(&reader.external);
    onnx__model_proto__free_unpacked(model, NULL);
    return status;
}

octet_status octet_graph_load_with(octet_graph **graph, const char *path, const octet_load_options *options,
                                   octet_error *err)
{
    *graph = NULL;
    octet_graph       *made = NULL;
    octet_file         file = {0};
    const octet_limits given = options->limits;
    OCTET_TRY(octet_file_read(&file, path, given.max_file ? given.max_file : INT32_MAX, err));
    octet_arena *arena = octet_arena_new();
    octet_status status = arena ? octet_graph_new(&made, err) : octet_fail_memory(err);
    if (status == OCTET_OK) {
        made->limits = given;
        made->path = octet_arena_copy(made->arena, path);
        status = made->path ? read_file(made, arena, path, &file, options, err) : octet_fail_memory(err);
    }
    octet_arena_free(arena);
    octet_file_close(&file);
    if (status == OCTET_OK) {
        *graph = made;
        return OCTET_OK;
    }
    octet_graph_free(made);
    octet_error_file(err, path);
    return status;
}

octet_status octet_graph_load_limited(octet_graph **graph, const char *path, const octet_limits *limits,
                                      octet_error *err)
{
    const octet_load_options options = {.limits = limits ? *limits : (octet_limits){0}};
    return octet_graph_load_with(graph, path, &options, err);
}

octet_status octet_graph_load(octet_graph **graph, const char *path, octet_error *err)
{
    return octet_graph_load_limited(graph, path, NULL, err);
}
